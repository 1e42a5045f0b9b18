package checkstest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/quic-go/quic-go/http3"
)

// HTTP3 is an HTTP/3 server on loopback.
type HTTP3 struct {
	server *http3.Server
	socket net.PacketConn
	done   chan error
}

// NewHTTP3 starts a server on a free UDP port of 127.0.0.1.
func NewHTTP3(cert tls.Certificate, handler http.Handler) (*HTTP3, error) {
	return NewHTTP3At("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{http3.NextProtoH3}}, handler)
}

// NewHTTP3At starts a server on addr, host:port, with that configuration of
// TLS.
func NewHTTP3At(addr string, config *tls.Config, handler http.Handler) (*HTTP3, error) {
	socket, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	s := &HTTP3{server: &http3.Server{Handler: handler, TLSConfig: config}, socket: socket, done: make(chan error, 1)}
	go func() { s.done <- s.server.Serve(socket) }()
	return s, nil
}

// Addr returns host:port.
func (s *HTTP3) Addr() string { return s.socket.LocalAddr().String() }

// URL returns the server's address without a path.
func (s *HTTP3) URL() string { return "https://" + s.Addr() }

// Close ends the server and every connection to it.
func (s *HTTP3) Close() error {
	err := s.server.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) && !errors.Is(served, net.ErrClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, s.socket.Close())
}
