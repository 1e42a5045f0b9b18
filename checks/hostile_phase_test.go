package checks

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
)

// stopAfter is a connection that ends once so many bytes have been written.
type stopAfter struct {
	net.Conn
	left  int
	reset bool
}

func (c *stopAfter) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p[:min(len(p), c.left)])
	if c.left -= n; c.left == 0 {
		endConn(c.Conn, c.reset)
		return n, io.ErrClosedPipe
	}
	return n, err
}

// A connection that ends, in each phase, by a reset or in order. What is down
// is the target, the reason tells how far it came, and nothing is waited for.
func TestHostileResetAtEveryPhase(t *testing.T) {
	const header, body = statusOK + "Content-Length: 100\r\nX-Half: way\r\n\r\n", "half of the body"
	request := func(conn net.Conn) bool {
		_, err := http.ReadRequest(bufio.NewReader(conn))
		return err == nil
	}
	hello := func(conn net.Conn) bool {
		_, err := conn.Read(make([]byte, 16<<10))
		return err == nil
	}
	plain := []struct {
		phase  string
		serve  func(net.Conn)
		reset  Reason
		closed Reason
	}{
		{"after accept", func(net.Conn) {}, HTTPReset, HTTPReset},
		{"after the request", func(c net.Conn) { request(c) }, HTTPReset, HTTPReset},
		{"in the status line", func(c net.Conn) { request(c); io.WriteString(c, header[:7]) }, HTTPReset, HTTPReset},
		{"in the header", func(c net.Conn) { request(c); io.WriteString(c, header[:30]) }, HTTPReset, HTTPReset},
		{"before the header's last byte", func(c net.Conn) { request(c); io.WriteString(c, header[:len(header)-1]) }, HTTPReset, HTTPReset},
		{"before the body", func(c net.Conn) { request(c); io.WriteString(c, header) }, HTTPReset, HTTPTruncated},
		{"in the body", func(c net.Conn) { request(c); io.WriteString(c, header+body) }, HTTPReset, HTTPTruncated},
	}
	for _, reset := range []bool{true, false} {
		for _, tt := range plain {
			want := tt.closed
			if reset {
				want = tt.reset
			}
			t.Run(fmt.Sprintf("plain %s, reset %v", tt.phase, reset), func(t *testing.T) {
				addr := rawServer(t, func(conn net.Conn) { tt.serve(conn); endConn(conn, reset) })
				endsAs(t, httpAt("http://"+addr), want)
			})
			t.Run(fmt.Sprintf("TLS %s, reset %v", tt.phase, reset), func(t *testing.T) {
				addr := rawTLSServer(t, func(conn *tls.Conn) { tt.serve(conn); endConn(conn, reset) }, "http/1.1")
				endsAs(t, trusting(t, httpAt("https://"+addr)), want)
			})
		}
		t.Run(fmt.Sprintf("before the hello, reset %v", reset), func(t *testing.T) {
			addr := rawServer(t, func(conn net.Conn) { endConn(conn, reset) })
			endsAs(t, trusting(t, httpAt("https://"+addr)), TLSHandshake)
			endsAs(t, trustingTLS(t, addr), TLSHandshake)
		})
		t.Run(fmt.Sprintf("after the hello, reset %v", reset), func(t *testing.T) {
			addr := rawServer(t, func(conn net.Conn) { hello(conn); endConn(conn, reset) })
			endsAs(t, trusting(t, httpAt("https://"+addr)), TLSHandshake)
			endsAs(t, trustingTLS(t, addr), TLSHandshake)
		})
		// Within the server's part of the handshake: in the header of its first
		// record, in the hello, at that record's end, and in what follows.
		for _, n := range []int{1, 5, 40, 127, 133, 200, 600} {
			t.Run(fmt.Sprintf("after %d bytes of the handshake, reset %v", n, reset), func(t *testing.T) {
				config := &tls.Config{Certificates: []tls.Certificate{hostileAuthority(t).cert}}
				addr := rawServer(t, func(conn net.Conn) {
					tls.Server(&stopAfter{conn, n, reset}, config).Handshake()
				})
				endsAs(t, trusting(t, httpAt("https://"+addr)), TLSHandshake)
				endsAs(t, trustingTLS(t, addr), TLSHandshake)
			})
		}
		for _, tt := range []struct {
			phase         string
			write         func(f frames, stream uint32)
			reset, closed Reason
		}{
			{"after the request", func(frames, uint32) {}, HTTPReset, HTTPReset},
			{"in the header", func(f frames, stream uint32) {
				f.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: fields(":status", "200")})
			}, HTTPReset, HTTPReset},
			{"before the body", func(f frames, stream uint32) { f.header(stream, false, fields(":status", "200")) }, HTTPReset, HTTPTruncated},
			{"in the body", func(f frames, stream uint32) {
				f.header(stream, false, fields(":status", "200"))
				f.WriteData(stream, false, []byte(body))
			}, HTTPReset, HTTPTruncated},
		} {
			t.Run(fmt.Sprintf("HTTP/2 %s, reset %v", tt.phase, reset), func(t *testing.T) {
				want := tt.closed
				if reset {
					want = tt.reset
				}
				endsAs(t, http2Server(func(f frames, stream uint32) {
					tt.write(f, stream)
					if !reset { // what is left unread would make the end a reset
						f.conn.NetConn().(*net.TCPConn).CloseWrite()
						io.Copy(io.Discard, f.conn.NetConn())
					}
					endConn(f.conn, reset)
				})(t), want)
			})
		}
	}
}

// endsAs runs options and expects them to be down for the reason, soon. A reset
// may overtake the connection itself.
func endsAs(t *testing.T, options Options, reason Reason) {
	t.Helper()
	start := time.Now()
	r := run(t, options, 30*time.Second, loopback())
	if r.Reason == ConnectReset && r.Status == Down {
		return
	}
	wants(t, r, Down, reason)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v to see that the connection is gone", took)
	}
}
