// Package checkstest has targets on loopback that fail on demand: an HTTP
// server, TLS servers with a throw-away authority, with STARTTLS or without, a
// DNS server, and a TCP server that follows a script. They are
// real servers on real sockets, behave as they are told while they run, and
// stand in for the world in tests and in the demo.
//
// It imports nothing of this module.
package checkstest

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// listener accepts connections and hands each to a goroutine of its own.
type listener struct {
	net.Listener

	mu      sync.Mutex
	conns   map[net.Conn]bool // nil once closed
	serving sync.WaitGroup
	closing chan struct{}
}

// listen opens addr, host:port; port 0 is a free one.
func listen(addr string) (*listener, error) {
	inner, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	return &listener{Listener: inner, conns: map[net.Conn]bool{}, closing: make(chan struct{})}, nil
}

// start begins to serve, until l is closed.
func (l *listener) start(serve func(net.Conn)) {
	l.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
			if !l.adopt(conn) {
				conn.Close()
				return
			}
			l.serving.Go(func() {
				defer l.drop(conn)
				serve(conn)
			})
		}
	})
}

func (l *listener) adopt(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		return false
	}
	l.conns[conn] = true
	return true
}

func (l *listener) drop(conn net.Conn) {
	conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns != nil {
		delete(l.conns, conn)
	}
}

// Close ends every connection and returns when nothing runs any more. Closing
// again does nothing.
func (l *listener) Close() error {
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	if conns != nil {
		close(l.closing)
	}
	l.mu.Unlock()
	err := l.Listener.Close()
	if conns == nil {
		err = nil
	}
	for conn := range conns {
		conn.Close()
	}
	l.serving.Wait()
	return err
}

// reset closes conn so that the peer sees a reset.
func reset(conn net.Conn) {
	if inner, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = inner.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
