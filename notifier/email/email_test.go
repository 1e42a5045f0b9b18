package email_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"nines/internal/secret"
	"nines/notifier"
	"nines/notifier/email"
)

// server is a small SMTP server: EHLO, STARTTLS, AUTH PLAIN, one message at a
// time.
type server struct {
	listener net.Listener
	tls      *tls.Config
	implicit bool // TLS from the first byte
	plain    bool // no TLS is offered
	password string

	// refuse is the answer to a command in place of the usual one; "cut" ends
	// the connection without one. "." is the end of a message's data.
	refuse map[string]string

	mu       sync.Mutex
	messages []string
	rcpt     []string
	secure   []bool // whether each came over TLS
	users    []string
	work     sync.WaitGroup
}

// start runs the server, and returns the roots that vouch for it.
func start(t *testing.T, s *server) (addr string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(leaf)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.work.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.work.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(5 * time.Second))
				if s.implicit {
					conn = tls.Server(conn, s.tls)
				}
				s.serve(conn, s.implicit)
			})
		}
	})
	t.Cleanup(func() { s.listener.Close(); s.work.Wait() })
	return s.listener.Addr().String(), roots
}

// serve speaks RFC 5321 on a connection.
func (s *server) serve(conn net.Conn, secure bool) {
	r := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	if !s.implicit || secure {
		say("220 mail.test ESMTP")
	}
	var rcpt string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		word = strings.ToUpper(word)
		if answer, ok := s.refuse[word]; ok {
			if answer == "cut" {
				return
			}
			say("%s", answer)
			continue
		}
		switch word {
		case "EHLO":
			lines := []string{"mail.test", "8BITMIME"}
			if !secure && !s.plain {
				lines = append(lines, "STARTTLS")
			}
			if s.password != "" {
				lines = append(lines, "AUTH PLAIN")
			}
			for i, l := range lines {
				separator := "-"
				if i == len(lines)-1 {
					separator = " "
				}
				say("250%s%s", separator, l)
			}
		case "STARTTLS":
			say("220 go on")
			upgraded := tls.Server(conn, s.tls)
			if err := upgraded.Handshake(); err != nil {
				return
			}
			conn, secure = upgraded, true
			r = bufio.NewReader(conn)
		case "AUTH":
			_, given, _ := strings.Cut(rest, " ")
			decoded, _ := base64.StdEncoding.DecodeString(given)
			parts := strings.Split(string(decoded), "\x00")
			if len(parts) != 3 || parts[2] != s.password {
				say("535 5.7.8 no")
				continue
			}
			s.mu.Lock()
			s.users = append(s.users, parts[1])
			s.mu.Unlock()
			say("235 good")
		case "RCPT":
			rcpt = rest
			say("250 ok")
		case "DATA":
			say("354 go on")
			var data strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				data.WriteString(strings.TrimPrefix(line, "."))
			}
			if s.refuse["."] == "" || s.refuse["."] == "cut" {
				s.mu.Lock()
				s.messages, s.rcpt, s.secure = append(s.messages, data.String()), append(s.rcpt, rcpt), append(s.secure, secure)
				s.mu.Unlock()
			}
			switch s.refuse["."] {
			case "":
				say("250 queued")
			case "cut":
				return
			default:
				say("%s", s.refuse["."])
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func page() notifier.Message {
	n := notifier.Notice{Incident: 41, Kind: notifier.PageNotice, Person: "alice", Channel: "email", Why: "rotation:primary, step 1", Created: time.Now()}
	n.Nonce = notifier.NonceOf(n)
	return notifier.Message{
		Notice: n, Person: notifier.Person{Name: "alice", Email: "alice@example.com"}, Link: "https://status.example.com/i/41?k=abc",
		Subject: notifier.Subject{Incident: 41, Check: "shop", Title: "Sklep „Żółw”", Reason: "connect.timeout", Down: 2, Regions: 3, Since: time.Now()},
	}
}

func TestSend(t *testing.T) {
	tests := []struct {
		name   string
		server *server
		cfg    email.Config
		secure bool
	}{
		{"starttls with a password", &server{password: "geheim"}, email.Config{TLS: "starttls", Username: "nines", Password: secret.New("geheim")}, true},
		{"starttls is the default", &server{}, email.Config{}, true},
		{"tls", &server{implicit: true, password: "geheim"}, email.Config{TLS: "tls", Username: "nines", Password: secret.New("geheim")}, true},
		{"none", &server{plain: true}, email.Config{TLS: "none"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr, roots := start(t, test.server)
			test.cfg.Server, test.cfg.From, test.cfg.Trust = addr, "Nines <nines@status.example.com>", &tls.Config{RootCAs: roots}
			c, err := email.New(test.cfg)
			if err != nil {
				t.Fatal(err)
			}
			m := page()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			r, err := c.Send(ctx, m)
			if err != nil || !r.Delivered || r.ID != m.Notice.Nonce+".nines@status.example.com" {
				t.Fatalf("%+v, %v", r, err)
			}
			s := test.server
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.messages) != 1 || s.secure[0] != test.secure || !strings.Contains(s.rcpt[0], "<alice@example.com>") {
				t.Fatalf("%d messages, to %v, over TLS %v", len(s.messages), s.rcpt, s.secure)
			}
			if test.cfg.Username != "" && (len(s.users) != 1 || s.users[0] != "nines") {
				t.Errorf("sent as %v", s.users)
			}
			check(t, m, s.messages[0])
		})
	}
}

// check reads a message as a mailbox does.
func check(t *testing.T, m notifier.Message, raw string) {
	t.Helper()
	got, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var words mime.WordDecoder
	subject, err := words.DecodeHeader(got.Header.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, "DOWN shop: connect.timeout from 2/3 regions since ") || !strings.HasSuffix(subject, "(incident 41)") {
		t.Errorf("subject %q, %v", subject, err)
	}
	for name, want := range map[string]string{
		"From": `"Nines" <nines@status.example.com>`, "To": "<alice@example.com>", "Auto-Submitted": "auto-generated",
		"Message-ID": "<" + m.Notice.Nonce + ".nines@status.example.com>", "References": "<incident-41.nines@status.example.com>",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q; want %q", name, got.Header.Get(name), want)
		}
	}
	if kind := got.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("a message of %s", kind)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Sklep „Żółw”", "See it and acknowledge: https://status.example.com/i/41?k=abc", "rotation:primary, step 1"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the body lacks %q: %s", want, body)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name      string
		server    *server
		password  string
		unclear   bool
		permanent bool
	}{
		{"the person is unknown", &server{plain: true, refuse: map[string]string{"RCPT": "550 5.1.1 no such user"}}, "", false, true},
		{"grey-listed", &server{plain: true, refuse: map[string]string{"RCPT": "451 4.7.1 come back later"}}, "", false, false},
		{"the sender is refused", &server{plain: true, refuse: map[string]string{"MAIL": "553 no"}}, "", false, true},
		{"the message is refused", &server{plain: true, refuse: map[string]string{".": "554 5.7.1 spam"}}, "", false, true},
		{"the disk is full", &server{plain: true, refuse: map[string]string{".": "452 4.3.1 full"}}, "", false, false},
		{"cut before", &server{plain: true, refuse: map[string]string{"MAIL": "cut"}}, "", false, false},
		{"cut when the data begins", &server{plain: true, refuse: map[string]string{"DATA": "cut"}}, "", false, false},
		{"cut at the end of the data", &server{plain: true, refuse: map[string]string{".": "cut"}}, "", true, false},
		{"the wrong password", &server{password: "geheim"}, "falsch", false, true},
		{"a failure after it was taken", &server{plain: true, refuse: map[string]string{"RSET": "500 what?", "QUIT": "cut"}}, "", false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr, roots := start(t, test.server)
			cfg := email.Config{Server: addr, From: "nines@status.example.com", TLS: "none", Trust: &tls.Config{RootCAs: roots}}
			if test.password != "" {
				cfg.TLS, cfg.Username, cfg.Password = "starttls", "nines", secret.New(test.password)
			}
			c, err := email.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			r, err := c.Send(ctx, page())
			if test.name == "a failure after it was taken" {
				if err != nil || !r.Delivered {
					t.Errorf("%+v, %v", r, err)
				}
				return
			}
			var got *notifier.SendError
			errors.As(err, &got)
			if err == nil || (got == nil) != test.unclear || got != nil && got.Permanent != test.permanent {
				t.Errorf("%#v, %v; want unclear %v, permanent %v", got, err, test.unclear, test.permanent)
			}
			if test.password != "" && strings.Contains(err.Error(), test.password) {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

// The password is not shown to a server that offers no TLS, nor to one whose
// certificate nobody vouches for.
func TestTLSIsNotOptional(t *testing.T) {
	for _, test := range []struct {
		name   string
		server *server
		trust  bool
		tls    string
	}{
		{"none is offered", &server{plain: true, password: "geheim"}, true, "starttls"},
		{"a stranger's certificate", &server{password: "geheim"}, false, "starttls"},
		{"a stranger's certificate at once", &server{implicit: true, password: "geheim"}, false, "tls"},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr, roots := start(t, test.server)
			cfg := email.Config{Server: addr, From: "nines@status.example.com", Username: "nines", Password: secret.New("geheim"), TLS: test.tls}
			if test.trust {
				cfg.Trust = &tls.Config{RootCAs: roots}
			}
			c, err := email.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Send(t.Context(), page())
			if refused := (*notifier.SendError)(nil); !errors.As(err, &refused) || refused.Permanent {
				t.Errorf("%#v", err)
			}
			test.server.mu.Lock()
			defer test.server.mu.Unlock()
			if len(test.server.users) > 0 {
				t.Error("the password was sent")
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // which never says anything
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := email.New(email.Config{Server: listener.Addr().String(), From: "nines@status.example.com", TLS: "none"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := c.Send(ctx, page()); err == nil || time.Since(begun) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}

func TestHeadersCannotBeAdded(t *testing.T) {
	s := &server{plain: true}
	addr, _ := start(t, s)
	c, err := email.New(email.Config{Server: addr, From: "nines@status.example.com", TLS: "none"})
	if err != nil {
		t.Fatal(err)
	}
	m := page()
	m.Subject.Reason = "x\r\nBcc: boss@example.com\r\n\r\nhello"
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got, err := mail.ReadMessage(strings.NewReader(s.messages[0]))
	if err != nil || got.Header.Get("Bcc") != "" {
		t.Errorf("%v, %v", got.Header, err)
	}
	m.Person.Email = "alice@example.com>\r\nRCPT TO:<boss@example.com"
	if _, err := c.Send(t.Context(), m); err == nil {
		t.Error("an address with a line end was taken")
	}
}

func TestNew(t *testing.T) {
	for name, cfg := range map[string]email.Config{
		"no server":            {From: "a@b.c"},
		"a sender without @":   {Server: "mail", From: "nines"},
		"a kind of TLS unkown": {Server: "mail", From: "a@b.c", TLS: "ssl"},
		"a port without sense": {Server: "mail:smtp", From: "a@b.c"},
	} {
		if _, err := email.New(cfg); err == nil {
			t.Error("a client with", name)
		}
	}
	if _, err := email.New(email.Config{Server: "mail", From: "a@b.c"}); err != nil {
		t.Error(err)
	}
}

// A report comes as a mail of several parts whose files are, byte for byte,
// what was attached, and is refused as other mail is.
func TestMail(t *testing.T) {
	pdf := []byte("%PDF-1.4\r\n.\r\n..dots\r\n\x00\xff\xfe" + strings.Repeat("\n.", 3000))
	m := email.Mail{
		To: "Ängste & Co <sla@customer.example>", Subject: "„Złoty”: kept, 99.95 % in October 2026", ID: "report-gold-2026-10-1-7",
		Date: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), Body: ".\nKept — " + strings.Repeat("długi wiersz ", 200) + "\n",
		Files: []email.File{{Name: "złoty-2026-10.pdf", Type: "application/pdf", Body: pdf}, {Name: "gold.json", Type: "application/json", Body: []byte("{}\n")}},
	}
	s := &server{password: "geheim"}
	addr, roots := start(t, s)
	c, err := email.New(email.Config{Server: addr, From: "nines@status.example.com", Username: "nines", Password: secret.New("geheim"), Trust: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Mail(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.messages) != 1 || !s.secure[0] || !strings.Contains(s.rcpt[0], "<sla@customer.example>") {
		t.Fatalf("%d messages to %v, over TLS %v", len(s.messages), s.rcpt, s.secure)
	}
	for line := range strings.SplitSeq(s.messages[0], "\r\n") {
		if len(line) > 998 { // RFC 5322, section 2.1.1
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	got, err := mail.ReadMessage(strings.NewReader(s.messages[0]))
	if err != nil {
		t.Fatal(err)
	}
	var words mime.WordDecoder
	if subject, err := words.DecodeHeader(got.Header.Get("Subject")); err != nil || subject != m.Subject {
		t.Errorf("subject %q, %v", subject, err)
	}
	if id := got.Header.Get("Message-ID"); id != "<report-gold-2026-10-1-7.nines@status.example.com>" {
		t.Errorf("it is called %s", id)
	}
	if at, err := got.Header.Date(); err != nil || !at.Equal(m.Date) {
		t.Errorf("it is of %v, %v", at, err)
	}
	kind, parameters, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatalf("a message of %s, %v", kind, err)
	}
	parts := multipart.NewReader(got.Body, parameters["boundary"])
	text, err := parts.NextPart() // which decodes quoted-printable
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(text); err != nil || strings.ReplaceAll(string(body), "\r\n", "\n") != m.Body {
		t.Errorf("it says %q, %v", body, err)
	}
	for _, f := range m.Files {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		name, err := words.DecodeHeader(part.FileName())
		if err != nil || name != f.Name || !strings.HasPrefix(part.Header.Get("Content-Type"), f.Type) {
			t.Errorf("file %q of %s, %v; want %q of %s", name, part.Header.Get("Content-Type"), err, f.Name, f.Type)
		}
		body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		if err != nil || !bytes.Equal(body, f.Body) {
			t.Errorf("%s came as %d bytes, not as its %d; %v", f.Name, len(body), len(f.Body), err)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("there is more: %v", err)
	}
}

func TestMailErrors(t *testing.T) {
	for _, test := range []struct {
		name      string
		to        string
		refuse    map[string]string
		permanent bool
	}{
		{"no address", "sla@customer.example>\r\nRCPT TO:<boss@example.com", nil, true},
		{"nobody there", "sla@customer.example", map[string]string{"RCPT": "550 5.1.1 no such user"}, true},
		{"full", "sla@customer.example", map[string]string{".": "452 4.3.1 full"}, false},
		{"away", "sla@customer.example", map[string]string{"EHLO": "421 4.3.2 going down", "HELO": "421 4.3.2 going down"}, false},
	} {
		addr, _ := start(t, &server{plain: true, refuse: test.refuse})
		c, err := email.New(email.Config{Server: addr, From: "nines@status.example.com", TLS: "none"})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Mail(t.Context(), email.Mail{To: test.to, Subject: "s", Body: "b", ID: "x", Date: time.Now()})
		var refused *notifier.SendError
		if !errors.As(err, &refused) || refused.Permanent != test.permanent {
			t.Errorf("%s: %#v; want one that is permanent: %v", test.name, err, test.permanent)
		}
	}
}
