package checkstest

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// DNSFault is what a name server does wrong.
type DNSFault int

// The faults of a name server. Silent is for questions; the server still
// accepts connections.
const (
	DNSHealthy        DNSFault = iota
	DNSSilent                  // never answers
	DNSServfail                // answers SERVFAIL
	DNSRefused                 // answers REFUSED
	DNSTruncate                // answers over UDP with TC and no records
	DNSWrongID                 // answers under another id, and never rightly
	DNSWrongQuestion           // answers another question, and never rightly
	DNSSpoofed                 // sends a wrong answer under another id first, then the right one
	DNSGarbage                 // answers with bytes that are no message
	DNSCut                     // answers with a message that ends in the middle
	DNSLoop                    // answers with aliases that lead in a circle
	DNSLongChain               // answers with 20 aliases before the record
	DNSAlwaysTruncate          // answers with TC over TCP too
	DNSOversized               // answers over UDP with more than was asked for
	DNSPointerLoop             // answers with a name that points to itself
	DNSLossy                   // never answers a question when it comes first
	DNSWrongCookie             // answers with another client's cookie
	DNSNoCookie                // answers without the cookie
	DNSBadCookie               // refuses questions without the server's own cookie
	DNSWrongSubnet             // answers for another client subnet
)

// DNS is a name server on loopback that answers from a map of records, over UDP
// and TCP on one port.
type DNS struct {
	udp net.PacketConn
	tcp *listener

	mu      sync.Mutex
	records map[string][]dns.RR // by name in lower case
	fault   DNSFault
	delay   time.Duration
	asked   int
	seen    map[[2]byte]bool // ids of questions, for DNSLossy

	serving sync.WaitGroup
}

// NewDNS starts a server on a free port of 127.0.0.1, with records as a zone
// file has them, such as "example.test. 60 IN A 192.0.2.10".
func NewDNS(records ...string) (*DNS, error) {
	s := &DNS{records: map[string][]dns.RR{}, seen: map[[2]byte]bool{}}
	if err := s.Add(records...); err != nil {
		return nil, err
	}
	var err error
	for range 20 { // until a port is free for both
		if s.tcp, err = listen("127.0.0.1:0"); err != nil {
			return nil, err
		}
		if s.udp, err = net.ListenPacket("udp", s.tcp.Addr().String()); err == nil {
			s.tcp.start(s.serveStream)
			s.serving.Go(s.serveDatagrams)
			return s, nil
		}
		s.tcp.Close()
	}
	return nil, fmt.Errorf("finding a port for UDP and TCP: %w", err)
}

// Addr returns host:port, the same for UDP and TCP.
func (s *DNS) Addr() string { return s.tcp.Addr().String() }

// Close ends the server and every connection to it.
func (s *DNS) Close() error {
	err := errors.Join(s.udp.Close(), s.tcp.Close())
	s.serving.Wait()
	return err
}

// Add adds records.
func (s *DNS) Add(records ...string) error {
	parsed := make([]dns.RR, 0, len(records))
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil || rr == nil {
			return fmt.Errorf("reading the record %q: %w", text, err)
		}
		parsed = append(parsed, rr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rr := range parsed {
		name := strings.ToLower(rr.Header().Name)
		s.records[name] = append(s.records[name], rr)
	}
	return nil
}

// Remove takes away every record of a name.
func (s *DNS) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, strings.ToLower(dns.Fqdn(name)))
}

// Set says what goes wrong, and how long each answer is held back.
func (s *DNS) Set(f DNSFault, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.delay = f, delay
}

// Asked returns how many questions have come.
func (s *DNS) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *DNS) serveDatagrams() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		question := append([]byte(nil), buf[:n]...)
		s.serving.Go(func() {
			for _, answer := range s.answers(question, true) {
				s.udp.WriteTo(answer, from)
			}
		})
	}
}

func (s *DNS) serveStream(conn net.Conn) {
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		for _, answer := range s.answers(question, false) {
			if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
				return
			}
		}
	}
}

// ServeTLS also serves the same records over TLS, on a free port of 127.0.0.1,
// until the returned closer is closed.
func (s *DNS) ServeTLS(cert tls.Certificate) (addr string, closer io.Closer, err error) {
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	l, err := listen("127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	l.start(func(conn net.Conn) { s.serveStream(tls.Server(conn, config)) })
	return l.Addr().String(), l, nil
}

// ServeHTTPS also answers over HTTP/2 and HTTP/1.1 as RFC 8484 has it, at
// https://ADDR/dns-query, until the returned closer is closed. Whatever edit
// makes of an answer is sent; nil leaves them as they are.
func (s *DNS) ServeHTTPS(cert tls.Certificate, edit func(http.ResponseWriter, []byte) []byte) (addr string, closer io.Closer, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{
		Handler:           s.overHTTPS(edit),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	s.serving.Go(func() { server.ServeTLS(l, "", "") })
	return l.Addr().String(), server, nil
}

func (s *DNS) overHTTPS(edit func(http.ResponseWriter, []byte) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("dns"))
		if r.Method == http.MethodPost {
			question, err = io.ReadAll(io.LimitReader(r.Body, 64<<10))
		}
		if err != nil || r.URL.Path != "/dns-query" {
			http.NotFound(w, r)
			return
		}
		answers := s.answers(question, false)
		if len(answers) == 0 {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/dns-message")
		answer := answers[0]
		if edit != nil {
			answer = edit(w, answer)
		}
		w.Write(answer)
	})
}

// answers returns the messages that are sent upon a question.
func (s *DNS) answers(question []byte, udp bool) [][]byte {
	asked := new(dns.Msg)
	if asked.Unpack(question) != nil || len(asked.Question) != 1 {
		return nil
	}
	s.mu.Lock()
	fault, delay := s.fault, s.delay
	s.asked++
	again := s.seen[[2]byte(question)]
	s.seen[[2]byte(question)] = true
	s.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-s.tcp.closing:
			return nil
		}
	}
	reply := s.lookup(asked)
	echoOptions(asked, reply, fault)
	switch fault {
	case DNSSilent:
		return nil
	case DNSServfail:
		return pack(new(dns.Msg).SetRcode(asked, dns.RcodeServerFailure))
	case DNSRefused:
		return pack(new(dns.Msg).SetRcode(asked, dns.RcodeRefused))
	case DNSTruncate:
		if udp {
			reply.Truncated, reply.Answer = true, nil
		}
	case DNSWrongID:
		reply.Id++
	case DNSWrongQuestion:
		reply.Question[0].Name = "elsewhere." + reply.Question[0].Name
	case DNSSpoofed:
		spoof := new(dns.Msg).SetRcode(asked, dns.RcodeNameError)
		spoof.Id++
		return append(pack(spoof), pack(reply)...)
	case DNSGarbage:
		return [][]byte{append(append([]byte(nil), question[:2]...), 0x80, 0xff, 0xff)}
	case DNSCut:
		whole := pack(reply)
		return [][]byte{whole[0][:len(whole[0])-3]}
	case DNSLoop:
		name := asked.Question[0].Name
		reply.Answer = []dns.RR{alias(name, "loop."+name), alias("loop."+name, name)}
	case DNSLongChain:
		reply.Answer = nil
		name := asked.Question[0].Name
		for i := range 20 {
			next := fmt.Sprintf("n%d.%s", i, asked.Question[0].Name)
			reply.Answer = append(reply.Answer, alias(name, next))
			name = next
		}
	case DNSAlwaysTruncate:
		reply.Truncated, reply.Answer = true, nil
	case DNSOversized:
		for range 100 {
			reply.Answer = append(reply.Answer, reply.Answer[0])
		}
	case DNSPointerLoop:
		reply.Extra = nil
		end := len(pack(reply)[0])
		reply.Answer = append(reply.Answer, alias("points.to.itself.", "target."))
		broken := pack(reply)[0]
		// The last record's name becomes a pointer to where it stands.
		return [][]byte{append(broken[:end:end], append([]byte{0xc0 | byte(end>>8), byte(end)}, broken[end+2:]...)...)}
	case DNSLossy:
		if !again {
			return nil
		}
	}
	return pack(reply)
}

// serverCookie is what the server adds to every client's cookie, in hex.
const serverCookie = "0011223344556677"

// echoOptions answers the options of a question: its cookie with the server's
// own behind it, its client subnet with a scope.
func echoOptions(asked, reply *dns.Msg, fault DNSFault) {
	opt := asked.IsEdns0()
	if opt == nil {
		return
	}
	reply.SetEdns0(4096, opt.Do())
	echo := reply.IsEdns0()
	for _, option := range opt.Option {
		switch option := option.(type) {
		case *dns.EDNS0_COOKIE:
			cookie := option.Cookie[:16] + serverCookie
			switch {
			case fault == DNSNoCookie:
				continue
			case fault == DNSWrongCookie:
				cookie = "ffffffffffffffff" + serverCookie
			case fault == DNSBadCookie && option.Cookie != cookie:
				reply.Rcode, reply.Answer = dns.RcodeBadCookie, nil
			}
			echo.Option = append(echo.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
		case *dns.EDNS0_SUBNET:
			subnet := *option
			subnet.SourceScope = subnet.SourceNetmask
			if fault == DNSWrongSubnet {
				subnet.SourceNetmask++
			}
			echo.Option = append(echo.Option, &subnet)
		}
	}
}

func alias(name, target string) dns.RR {
	return &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: target}
}

func pack(msg *dns.Msg) [][]byte {
	wire, err := msg.Pack()
	if err != nil {
		return nil
	}
	return [][]byte{wire}
}

// lookup answers from the records, following aliases.
func (s *DNS) lookup(asked *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(asked)
	reply.Authoritative, reply.RecursionAvailable = true, true
	name, kind := strings.ToLower(asked.Question[0].Name), asked.Question[0].Qtype
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records[name]) == 0 {
		reply.Rcode = dns.RcodeNameError
		return reply
	}
	for range 8 {
		target := ""
		for _, rr := range s.records[name] {
			cname, isAlias := rr.(*dns.CNAME)
			if rr.Header().Rrtype == kind || isAlias || kind == dns.TypeANY {
				reply.Answer = append(reply.Answer, rr)
			}
			if isAlias && kind != dns.TypeCNAME {
				target = strings.ToLower(cname.Target)
			}
		}
		if target == "" {
			break
		}
		name = target
	}
	return reply
}
