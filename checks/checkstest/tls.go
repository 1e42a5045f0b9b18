package checkstest

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
)

// TLSFault is what a TLS server does wrong.
type TLSFault int

// The faults of a TLS server.
const (
	TLSHealthy TLSFault = iota
	TLSStall            // accepts, and never answers the hello
	TLSReset            // resets once the hello has come
	TLSClose            // closes once the hello has come
	TLSPlain            // answers in plain text
	TLSOld              // knows nothing newer than TLS 1.1
)

// TLS is a server on loopback that shakes hands and then waits.
type TLS struct {
	listener *listener

	mu    sync.Mutex
	cert  tls.Certificate
	fault TLSFault
	tune  func(*tls.Config) // nil for none
}

// NewTLS starts a server on a free port of 127.0.0.1.
func NewTLS(cert tls.Certificate) (*TLS, error) { return NewTLSAt("127.0.0.1:0", cert) }

// NewTLSAt starts a server on host:port.
func NewTLSAt(addr string, cert tls.Certificate) (*TLS, error) {
	s := &TLS{cert: cert}
	var err error
	if s.listener, err = listen(addr); err != nil {
		return nil, err
	}
	s.listener.start(s.serve)
	return s, nil
}

// Addr returns host:port.
func (s *TLS) Addr() string { return s.listener.Addr().String() }

// Close ends the server and every connection to it.
func (s *TLS) Close() error { return s.listener.Close() }

// SetCertificate changes what is served.
func (s *TLS) SetCertificate(cert tls.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cert = cert
}

// SetFault changes what goes wrong.
func (s *TLS) SetFault(f TLSFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Tune has every handshake's configuration changed by f; nil ends that.
func (s *TLS) Tune(f func(*tls.Config)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tune = f
}

func (s *TLS) serve(conn net.Conn) {
	s.mu.Lock()
	cert, fault, tune := s.cert, s.fault, s.tune
	s.mu.Unlock()
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	if tune != nil {
		tune(config)
	}
	switch fault {
	case TLSStall:
		io.Copy(io.Discard, conn)
		return
	case TLSReset, TLSClose, TLSPlain:
		hello := make([]byte, 16<<10)
		if _, err := conn.Read(hello); err != nil {
			return
		}
		switch fault {
		case TLSReset:
			reset(conn)
		case TLSPlain:
			io.WriteString(conn, "HTTP/1.0 400 Bad Request\r\n\r\n")
		}
		return
	case TLSOld:
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	secured := tls.Server(conn, config)
	if secured.Handshake() == nil {
		io.Copy(io.Discard, secured)
	}
}
