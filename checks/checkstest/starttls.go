package checkstest

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// StartTLSFault is what a server does wrong on its way from plain text to TLS.
type StartTLSFault int

// The faults of a server that is asked to go over to TLS.
const (
	StartTLSHealthy StartTLSFault = iota
	StartTLSRefuse                // understands, and will not
	StartTLSLack                  // does not offer it
	StartTLSCut                   // closes in the middle of its answer
	StartTLSReset                 // resets instead of answering
	StartTLSEndless               // answers by a line without end
	StartTLSMany                  // answers by lines without end
	StartTLSDrip                  // answers a byte at a time, slower than anybody waits
	StartTLSStall                 // never says anything
	StartTLSInject                // puts plain text behind its go-ahead
	StartTLSOther                 // speaks another protocol
)

// StartTLS is a server on loopback that begins in plain text, goes over to TLS
// when asked, and then waits.
type StartTLS struct {
	listener *listener
	protocol string

	mu    sync.Mutex
	cert  tls.Certificate
	fault StartTLSFault
}

// NewStartTLS starts a server of a protocol (smtp, imap, pop3, ftp, ldap,
// postgres or mysql) on a free port of 127.0.0.1.
func NewStartTLS(protocol string, cert tls.Certificate) (*StartTLS, error) {
	if greetings[protocol] == nil {
		return nil, fmt.Errorf("no server speaks %s", protocol)
	}
	s := &StartTLS{protocol: protocol, cert: cert}
	var err error
	if s.listener, err = listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.listener.start(s.serve)
	return s, nil
}

// Addr returns host:port.
func (s *StartTLS) Addr() string { return s.listener.Addr().String() }

// Close ends the server and every connection to it.
func (s *StartTLS) Close() error { return s.listener.Close() }

// SetFault changes what goes wrong.
func (s *StartTLS) SetFault(f StartTLSFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// greetings are the protocols: each talks until the handshake is due, and
// returns false when it will not come.
var greetings = map[string]func(*plain) bool{
	"smtp": (*plain).smtp, "imap": (*plain).imap, "pop3": (*plain).pop3, "ftp": (*plain).ftp,
	"ldap": (*plain).ldap, "postgres": (*plain).postgres, "mysql": (*plain).mysql,
}

func (s *StartTLS) serve(conn net.Conn) {
	s.mu.Lock()
	p := &plain{Conn: conn, in: bufio.NewReader(conn), fault: s.fault, closing: s.listener.closing}
	config := &tls.Config{Certificates: []tls.Certificate{s.cert}}
	s.mu.Unlock()
	if p.fault == StartTLSStall {
		io.Copy(io.Discard, conn)
		return
	}
	if p.fault == StartTLSOther {
		io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n")
		io.Copy(io.Discard, conn)
		return
	}
	if !greetings[s.protocol](p) {
		return
	}
	secured := tls.Server(conn, config)
	if secured.Handshake() == nil {
		io.Copy(io.Discard, secured)
	}
}

// plain is the conversation before TLS.
type plain struct {
	net.Conn
	in      *bufio.Reader
	fault   StartTLSFault
	closing <-chan struct{}
}

// say sends text.
func (p *plain) say(text string) { io.WriteString(p.Conn, text) }

// hear reads a line and reports whether it begins with that word, in any case.
func (p *plain) hear(word string) bool {
	line, err := p.in.ReadString('\n')
	return err == nil && strings.HasPrefix(strings.ToUpper(line), word)
}

// answer gives the go-ahead, or what the fault has in its place.
func (p *plain) answer(yes, no string) bool {
	switch p.fault {
	case StartTLSRefuse:
		p.say(no)
		io.Copy(io.Discard, p.Conn)
	case StartTLSCut:
		p.say(yes[:len(yes)/2])
	case StartTLSReset:
		reset(p.Conn)
	case StartTLSEndless:
		p.flood(strings.Repeat(yes[:1], 1024))
	case StartTLSMany:
		p.flood(strings.Repeat("220-more\r\n* more\r\n", 50))
	case StartTLSDrip:
		for i := range len(yes) {
			p.say(yes[i : i+1])
			select {
			case <-p.closing:
				return false
			case <-time.After(time.Second):
			}
		}
	case StartTLSInject:
		p.say(yes + "250 injected\r\n")
		return true
	default:
		p.say(yes)
		return true
	}
	return false
}

// flood sends text again and again until the other side has enough.
func (p *plain) flood(text string) {
	for {
		if _, err := io.WriteString(p.Conn, text); err != nil {
			return
		}
	}
}

func (p *plain) smtp() bool {
	p.say("220-mail.example.com ESMTP\r\n220 ready\r\n")
	if !p.hear("EHLO ") {
		return false
	}
	if p.fault == StartTLSLack {
		p.say("250-mail.example.com\r\n250 SIZE 1000\r\n")
		return false
	}
	p.say("250-mail.example.com\r\n250-SIZE 1000\r\n250 StartTLS\r\n")
	return p.hear("STARTTLS\r\n") && p.answer("220 go ahead\r\n", "454 TLS not available due to temporary reason\r\n")
}

func (p *plain) imap() bool {
	if p.fault == StartTLSLack {
		p.say("* PREAUTH welcome back\r\n")
		return false
	}
	p.say("* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")
	for {
		line, err := p.in.ReadString('\n')
		tag, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case err != nil:
			return false
		case strings.EqualFold(command, "STARTTLS"):
			return p.answer("* BYE-BYE is no answer\r\n"+tag+" OK begin\r\n", tag+" NO not today\r\n")
		}
		p.say("* CAPABILITY IMAP4rev1 STARTTLS\r\n" + tag + " OK\r\n")
	}
}

func (p *plain) pop3() bool {
	p.say("+OK POP3 ready\r\n")
	if p.fault == StartTLSLack {
		p.hear("STLS")
		p.say("-ERR unknown command\r\n")
		return false
	}
	return p.hear("STLS\r\n") && p.answer("+OK begin TLS\r\n", "-ERR not today\r\n")
}

func (p *plain) ftp() bool {
	p.say("120 in a moment\r\n220-Welcome\r\nto this server\r\n 220 is not the end\r\n220 ready\r\n")
	if p.fault == StartTLSLack {
		p.hear("AUTH TLS")
		p.say("502 command not implemented\r\n")
		return false
	}
	return p.hear("AUTH TLS\r\n") && p.answer("234 begin TLS\r\n", "534 policy\r\n")
}

func (p *plain) ldap() bool {
	request := make([]byte, 31)
	if _, err := io.ReadFull(p.in, request); err != nil || !strings.Contains(string(request), "1.3.6.1.4.1.1466.20037") {
		return false
	}
	result := func(code byte, said string) string {
		body := "\x0a\x01" + string(code) + "\x04\x00\x04" + string(byte(len(said))) + said
		// As Active Directory writes it: every length in four bytes.
		body = "\x02\x01\x01\x78\x84\x00\x00\x00" + string(byte(len(body))) + body
		return "\x30\x84\x00\x00\x00" + string(byte(len(body))) + body
	}
	if p.fault == StartTLSLack {
		p.say(result(2, "unsupported extended operation"))
		return false
	}
	return p.answer(result(0, ""), result(52, "")) // unavailable
}

func (p *plain) postgres() bool {
	request := make([]byte, 8)
	if _, err := io.ReadFull(p.in, request); err != nil || binary.BigEndian.Uint32(request[4:]) != 80877103 {
		return false
	}
	if p.fault == StartTLSLack {
		p.say("E\x00\x00\x00\x20unsupported frontend protocol\x00")
		return false
	}
	return p.answer("S", "N")
}

func (p *plain) mysql() bool {
	capabilities := "\xff\xff" // CLIENT_SSL is 0x0800, the lower byte first
	if p.fault == StartTLSLack {
		capabilities = "\xff\xf7"
	}
	body := "\x0a8.4.0-test\x00\x01\x00\x00\x00noncenon\x00" + capabilities + strings.Repeat("\x00", 13)
	packet := func(body string) string { return string([]byte{byte(len(body)), 0, 0, 0}) + body }
	if !p.answer(packet(body), packet("\xff\x6a\x04Host is blocked")) || p.fault == StartTLSLack {
		return false
	}
	request := make([]byte, 36)
	_, err := io.ReadFull(p.Conn, request) // unbuffered: the handshake follows at once
	return err == nil && binary.LittleEndian.Uint32(request[4:])&0x0800 != 0
}
