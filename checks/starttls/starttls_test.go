package starttls_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/checks/starttls"
)

func server(t *testing.T, protocol string) (*checkstest.StartTLS, *checkstest.CA) {
	t.Helper()
	ca, err := checkstest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(checkstest.Leaf{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := checkstest.NewStartTLS(protocol, cert)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, ca
}

func dial(t *testing.T, addr string, patience time.Duration) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func TestUpgrade(t *testing.T) {
	for _, protocol := range starttls.Protocols() {
		t.Run(protocol, func(t *testing.T) {
			s, _ := server(t, protocol)
			conn := dial(t, s.Addr(), 10*time.Second)
			if err := starttls.Upgrade(conn, protocol); err != nil {
				t.Fatal(err)
			}
			if err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
				t.Errorf("no handshake afterwards: %v", err)
			}
			if port, ok := starttls.Port(protocol); !ok || port == 0 {
				t.Error("no port")
			}
		})
	}
	if _, ok := starttls.Port("gopher"); ok || starttls.Upgrade(nil, "gopher") == nil {
		t.Error("gopher has STARTTLS")
	}
}

func TestFaults(t *testing.T) {
	refused := func(err error) bool { _, ok := errors.AsType[*starttls.RefusedError](err); return ok }
	nonsense := func(err error) bool { _, ok := errors.AsType[*starttls.ProtocolError](err); return ok }
	is := func(wanted error) func(error) bool {
		return func(err error) bool { return errors.Is(err, wanted) }
	}
	for _, protocol := range starttls.Protocols() {
		s, _ := server(t, protocol)
		for fault, tt := range map[checkstest.StartTLSFault]struct {
			name string
			want func(error) bool
		}{
			checkstest.StartTLSRefuse:  {"refuse", refused},
			checkstest.StartTLSLack:    {"lack", refused},
			checkstest.StartTLSCut:     {"cut", is(starttls.ErrClosed)},
			checkstest.StartTLSEndless: {"endless", func(err error) bool { return is(starttls.ErrTooMuch)(err) || nonsense(err) }},
			checkstest.StartTLSMany:    {"many", func(err error) bool { return is(starttls.ErrTooMuch)(err) || nonsense(err) }},
			checkstest.StartTLSDrip:    {"drip", is(os.ErrDeadlineExceeded)},
			checkstest.StartTLSStall:   {"stall", is(os.ErrDeadlineExceeded)},
			checkstest.StartTLSInject:  {"inject", is(starttls.ErrInjected)},
			checkstest.StartTLSOther:   {"other", nonsense},
			checkstest.StartTLSReset:   {"reset", func(err error) bool { return err != nil }},
		} {
			if protocol == "postgres" {
				switch fault {
				case checkstest.StartTLSDrip: // its answer is one byte
					continue
				case checkstest.StartTLSEndless, checkstest.StartTLSOther: // both begin with S
					tt.want = is(starttls.ErrInjected)
				}
			}
			if protocol == "mysql" && fault == checkstest.StartTLSReset {
				continue // it speaks first: the reset may come while connecting
			}
			t.Run(protocol+"/"+tt.name, func(t *testing.T) {
				s.SetFault(fault)
				patience := 10 * time.Second
				if tt.name == "drip" || tt.name == "stall" {
					patience = 200 * time.Millisecond
				}
				conn := dial(t, s.Addr(), patience)
				if err := starttls.Upgrade(conn, protocol); !tt.want(err) {
					t.Errorf("got %v", err)
				} else if len(err.Error()) > 300 {
					t.Errorf("says too much: %v", err)
				}
			})
		}
	}
}

// pipe is a connection whose other side says one thing, whatever it hears.
type pipe struct {
	io.Reader
	asked bytes.Buffer
	net.Conn
}

func (p *pipe) Read(b []byte) (int, error)  { return p.Reader.Read(b) }
func (p *pipe) Write(b []byte) (int, error) { return p.asked.Write(b) }
func (p *pipe) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv6loopback} }

// one gives a byte a read, so that answers come apart and in time.
type one struct{ r io.Reader }

func (o one) Read(b []byte) (int, error) { return o.r.Read(b[:min(1, len(b))]) }

func TestWhatIsSaid(t *testing.T) {
	for _, tt := range []struct{ protocol, answers, says string }{
		{"smtp", "220 a\n250 STARTTLS\n", "does not offer"}, // the first line is the server's name
		{"smtp", "220 a\r\n250-a\r\n250 STARTTLS\r\n220 b\r\n", ""},
		{"smtp", "220 a\r\n250-a\r\n251 STARTTLS\r\n", "does not speak smtp"},
		{"smtp", "220", "closed"},
		{"smtp", "554 \x1b[2Jgo away\x00\r\n", `"554  [2Jgo away"`},
		{"smtp", "22x\r\n", "does not speak smtp"},
		{"smtp", "\r\n", "does not speak smtp"},
		{"smtp", strings.Repeat("220-\r\n", 200), "more than the protocol allows"},
		{"imap", "* ok ready\r\n* CAPABILITY X\r\nA1 OK\r\n", `"A1 OK"`}, // another tag
		{"imap", "* ok ready\r\na1 ok\r\n", ""},
		{"imap", "* BYE overloaded\r\n", "overloaded"},
		{"imap", "+OK POP3\r\n", "does not speak imap"},
		{"imap", "* OK\r\na1 BAD what\r\n", "a1 BAD what"},
		{"pop3", "+OK\r\n+OK\r\n", ""},
		{"pop3", "-ERR busy\r\n", "-ERR busy"},
		{"ftp", "220\r\n234\r\n", ""},
		{"ftp", "421 too many users\r\n", "too many users"},
		{"ldap", "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00", ""},
		{"ldap", "\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00", "does not speak"},
		{"ldap", "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00", "result code 52"},
		{"ldap", "\x30\x84\xff\xff\xff\xff", "more than the protocol allows"},
		{"ldap", "\x30\x80", "does not speak"},
		{"ldap", "\x30\x03\x02\x84\xff", "does not speak"},
		{"postgres", "S", ""},
		{"postgres", "N", `"N"`},
		{"postgres", "H", "does not speak postgres"},
		{"mysql", "\x00\x00\x00\x00", "does not speak mysql"},
		{"mysql", "\x01\x00\x00\x00\xff", "does not offer"},
		{"mysql", "\x01\x00\x00\x00\x0a", "does not speak mysql"},
		{"mysql", "\xff\xff\xff\x00", "does not speak mysql"},
	} {
		for _, r := range []io.Reader{strings.NewReader(tt.answers), one{strings.NewReader(tt.answers)}} {
			if whole, ok := r.(*strings.Reader); ok && whole.Len() > 1 && strings.Count(tt.answers, "\n") > 1 && !strings.Contains(tt.says, "more") {
				continue // several answers at once are an injection
			}
			err := starttls.Upgrade(&pipe{Reader: r}, tt.protocol)
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s %.40q: %v, want %q", tt.protocol, tt.answers, err, tt.says)
			}
		}
	}
}

// An answer that came before its question is nobody's answer.
func TestAnswersBeforeQuestions(t *testing.T) {
	early := "220 a\r\n250-a\r\n250 STARTTLS\r\n220 b\r\n"
	if err := starttls.Upgrade(&pipe{Reader: strings.NewReader(early)}, "smtp"); !errors.Is(err, starttls.ErrInjected) {
		t.Errorf("got %v", err)
	}
}

func FuzzUpgrade(f *testing.F) {
	for i, answers := range []string{
		"220 a\r\n250-a\r\n250 STARTTLS\r\n220 b\r\n", "* OK\r\n* X\r\na1 OK\r\n", "+OK\r\n+OK\r\n", "120 a\r\n220-b\r\nc\r\n220 d\r\n234 e\r\n",
		"\x30\x84\x00\x00\x00\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00", "S",
		"\x1e\x00\x00\x00\x0a8.4.0-test\x00\x01\x00\x00\x00noncenon\x00\xff\xff\x00\x00\x00",
	} {
		f.Add(byte(i), []byte(answers))
	}
	protocols := starttls.Protocols()
	f.Fuzz(func(t *testing.T, which byte, answers []byte) {
		for _, r := range []io.Reader{bytes.NewReader(answers), one{bytes.NewReader(answers)}} {
			p := &pipe{Reader: r}
			err := starttls.Upgrade(p, protocols[int(which)%len(protocols)])
			if err != nil && (len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\r\n\x00\x1b")) {
				t.Errorf("unfit for people: %q", err)
			}
			if p.asked.Len() > 200 {
				t.Errorf("said %d bytes", p.asked.Len())
			}
		}
	})
}
