package checkstest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// HTTPFault is what an HTTP server does wrong.
type HTTPFault int

// The faults of an HTTP server. Those that stall last until the client has
// gone or the server is closed.
const (
	Healthy          HTTPFault = iota
	StallOnConnect             // accepts, and says nothing; with TLS not even that
	StallBeforeReply           // reads the request and never answers
	StallInHeader              // stops within the header of the answer
	StallInBody                // stops within the body
	Drip                       // sends the whole answer a byte at a time, Every apart
	ResetOnConnect             // accepts and resets
	ResetBeforeReply           // reads the request and resets
	ResetInHeader              // resets within the header
	ResetInBody                // resets within the body
	CloseBeforeReply           // reads the request and closes
	CloseInHeader              // closes within the header
	Truncate                   // announces more than it sends, and closes
	EndlessBody                // a body without an end
	EndlessHeader              // a header without an end
	HugeHeader                 // a complete header of a megabyte
	RedirectLoop               // redirects to itself
	NotHTTP                    // answers with something else
	Interim                    // sends interim answers (103) without an end
)

// Behaviour is what an HTTP server does with a request. The zero Behaviour
// answers 200 with an empty body.
type Behaviour struct {
	Fault  HTTPFault
	Status int // zero means 200
	Header http.Header
	Body   string
	Delay  time.Duration // before the answer
	Every  time.Duration // between two bytes of Drip; zero means 10ms
	Login  string        // the Authorization header that is demanded, or the answer is 401; empty: none
}

// Request is one that a server got.
type Request struct {
	Method, Path, Host, Body string
	Header                   http.Header
}

// HTTP is an HTTP/1.1 server on loopback.
type HTTP struct {
	listener *listener
	config   *tls.Config // nil without TLS

	mu       sync.Mutex
	all      Behaviour
	paths    map[string]Behaviour
	requests []Request
	conns    int
}

// maxRequests is how many requests a server remembers.
const maxRequests = 100

// NewHTTP starts a server on a free port of 127.0.0.1.
func NewHTTP() (*HTTP, error) { return newHTTPServer("127.0.0.1:0", nil) }

// NewHTTPS starts a server with TLS on a free port of 127.0.0.1.
func NewHTTPS(cert tls.Certificate) (*HTTP, error) {
	return newHTTPServer("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}})
}

// NewHTTPAt starts a server without TLS on addr, host:port.
func NewHTTPAt(addr string) (*HTTP, error) { return newHTTPServer(addr, nil) }

func newHTTPServer(addr string, config *tls.Config) (*HTTP, error) {
	s := &HTTP{config: config, paths: map[string]Behaviour{}}
	var err error
	if s.listener, err = listen(addr); err != nil {
		return nil, err
	}
	s.listener.start(s.serve)
	return s, nil
}

// Addr returns host:port.
func (s *HTTP) Addr() string { return s.listener.Addr().String() }

// URL returns the server's address without a path.
func (s *HTTP) URL() string {
	if s.config != nil {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// Close ends the server and every connection to it.
func (s *HTTP) Close() error { return s.listener.Close() }

// Set says how every path behaves that SetPath does not name.
func (s *HTTP) Set(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = b
}

// SetPath says how one path behaves.
func (s *HTTP) SetPath(path string, b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths[path] = b
}

// Requests returns the last requests, oldest first.
func (s *HTTP) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Connections returns how many connections were accepted.
func (s *HTTP) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (s *HTTP) behaviour(path string) Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.paths[path]; ok {
		return b
	}
	return s.all
}

func (s *HTTP) serve(conn net.Conn) {
	s.mu.Lock()
	s.conns++
	s.mu.Unlock()
	switch s.behaviour("").Fault {
	case StallOnConnect:
		s.stall(conn)
		return
	case ResetOnConnect:
		reset(conn)
		return
	}
	if s.config != nil {
		secured := tls.Server(conn, s.config)
		defer secured.Close()
		if secured.Handshake() != nil {
			return
		}
		conn = secured
	}
	reader := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
		if err != nil {
			return
		}
		s.remember(req, string(body))
		if !s.answer(conn, req, s.behaviour(req.URL.Path)) || req.Close {
			return
		}
	}
}

func (s *HTTP) remember(req *http.Request, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{req.Method, req.URL.Path, req.Host, body, req.Header})
	if extra := len(s.requests) - maxRequests; extra > 0 {
		s.requests = slices.Delete(s.requests, 0, extra)
	}
}

// answer writes one answer and reports whether the connection goes on.
func (s *HTTP) answer(conn net.Conn, req *http.Request, b Behaviour) bool {
	if !s.pause(b.Delay) {
		return false
	}
	if b.Login != "" && req.Header.Get("Authorization") != b.Login {
		b = Behaviour{Status: http.StatusUnauthorized}
	}
	header, body := compose(req, b)
	half := body[:len(body)/2]
	switch b.Fault {
	case StallOnConnect, StallBeforeReply:
		s.stall(conn)
	case StallInHeader:
		io.WriteString(conn, header[:len(header)/2])
		s.stall(conn)
	case StallInBody:
		io.WriteString(conn, header+half)
		s.stall(conn)
	case Drip:
		return s.drip(conn, header+body, b.Every)
	case ResetOnConnect, ResetBeforeReply:
		reset(conn)
	case ResetInHeader:
		io.WriteString(conn, header[:len(header)/2])
		s.pause(20 * time.Millisecond) // so that the header arrives before the reset
		reset(conn)
	case ResetInBody:
		io.WriteString(conn, header+half)
		s.pause(20 * time.Millisecond)
		reset(conn)
	case CloseBeforeReply:
	case CloseInHeader:
		io.WriteString(conn, header[:len(header)/2])
	case Truncate:
		io.WriteString(conn, header+half)
	case EndlessBody:
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
		forever(conn, strings.Repeat("endless ", 512))
	case EndlessHeader:
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		forever(conn, strings.Repeat("X-Endless: header\r\n", 64))
	case HugeHeader:
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+strings.Repeat("X-Huge: "+strings.Repeat("h", 1014)+"\r\n", 1024)+"\r\n")
	case NotHTTP:
		io.WriteString(conn, "220 mail.example.com ESMTP ready\r\n")
	case Interim:
		forever(conn, "HTTP/1.1 103 Early Hints\r\n\r\n")
	default:
		_, err := io.WriteString(conn, header+body)
		return err == nil
	}
	return false
}

// compose returns the header and the body of the answer.
func compose(req *http.Request, b Behaviour) (header, body string) {
	status := b.Status
	if status == 0 {
		status = http.StatusOK
	}
	fields := b.Header.Clone()
	if fields == nil {
		fields = http.Header{}
	}
	body = b.Body
	switch b.Fault {
	case RedirectLoop:
		status = http.StatusFound
		fields.Set("Location", req.URL.Path)
	case Truncate, StallInBody, ResetInBody:
		if body == "" {
			body = strings.Repeat("some of the body ", 16)
		}
	}
	var h strings.Builder
	fmt.Fprintf(&h, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	if fields.Get("Content-Length") == "" && fields.Get("Transfer-Encoding") == "" {
		fields.Set("Content-Length", fmt.Sprint(len(body)))
	}
	if fields.Get("Content-Type") == "" {
		fields.Set("Content-Type", "text/html; charset=utf-8")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, value := range fields[name] {
			fmt.Fprintf(&h, "%s: %s\r\n", name, value)
		}
	}
	h.WriteString("\r\n")
	if req.Method == http.MethodHead {
		body = ""
	}
	return h.String(), body
}

func (s *HTTP) drip(conn net.Conn, text string, every time.Duration) bool {
	if every == 0 {
		every = 10 * time.Millisecond
	}
	for i := range len(text) {
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil || !s.pause(every) {
			return false
		}
	}
	return true
}

// stall waits until the client closes the connection or the server ends.
func (s *HTTP) stall(conn net.Conn) { io.Copy(io.Discard, conn) }

// pause waits for d and reports whether the server still runs.
func (s *HTTP) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.listener.closing:
		return false
	}
}

// forever writes text until the client has gone.
func forever(conn net.Conn, text string) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}
