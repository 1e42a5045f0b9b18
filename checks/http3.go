package checks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"nines/checks/throttle"
)

// What one run may take of a server that sends more than it is asked for.
const (
	maxQUICStream     = 1 << 20 // bytes of an answer that wait to be read
	maxQUICConnection = 2 << 20
	maxQUICStreams    = 16 // that the server opens; it needs three (RFC 9114, section 6.2)
)

// http3Conn is a connection that speaks HTTP/3 (RFC 9114).
type http3Conn struct {
	client    *http3.ClientConn
	quic      *quic.Conn
	transport *quic.Transport
	socket    net.Conn
	packets   net.PacketConn // over socket
}

// openHTTP3 shakes hands with where h goes by QUIC, in which connecting and TLS
// are one exchange, and judges the certificate.
func (x *exchange) openHTTP3(ctx context.Context, h *hop) finding {
	watch := &x.answer.watch
	if h.place.scheme != "https" {
		return h.version.refused("the redirect leads to %s, which is not https", shownURL(h.url))
	}
	addrs, asked, err := x.addresses(ctx, h.place.host)
	if asked && err == nil && x.slow != nil {
		err = x.slow.RoundTrip(ctx)
	}
	if asked {
		watch.mark(phaseDNS)
	}
	if err != nil {
		return classify(stageDNS, err)
	}
	before := watch.took()
	config := x.configFor(h)
	beside := x.env.overTCP(ctx, addrs, h.place.port)
	defer beside.close()
	conn, err := race(ctx, addrs, func(ctx context.Context, addr netip.Addr) (*http3Conn, error) {
		return x.env.dialHTTP3(ctx, addr, h.place.port, config, x.slow)
	}, (*http3Conn).close)
	f := finding{}
	if err != nil {
		f = h.version.judgeQUIC(err, beside)
	}
	watch.mark(phaseTLS)
	if f.status != "" {
		return f
	}
	x.answer.connects(watch.took() - before) // one round trip (RFC 9001, section 4)
	x.h3, x.conn, x.place = conn, conn.socket, h.place
	if remote, ok := conn.socket.RemoteAddr().(*net.UDPAddr); ok {
		x.answer.remote = remote.AddrPort().Addr().Unmap()
	}
	state := conn.quic.ConnectionState().TLS
	return x.judgeServer(&state, h)
}

// dialHTTP3 opens a connection to an address that has been admitted, over a
// socket that hears that address alone, and over a slow link unless that is nil.
func (e *Env) dialHTTP3(ctx context.Context, addr netip.Addr, port uint16, config *tls.Config, slow *throttle.Link) (*http3Conn, error) {
	socket, err := e.datagrams(ctx, addr, port)
	if err != nil {
		return nil, err
	}
	left := time.Minute
	if deadline, bounded := ctx.Deadline(); bounded {
		left = time.Until(deadline) + time.Second // ctx is to end it, and not this
	}
	c := &http3Conn{socket: socket, packets: connected{socket}}
	if slow != nil {
		c.packets = slow.PacketConn(c.packets)
	}
	c.transport = &quic.Transport{Conn: c.packets}
	c.quic, err = c.transport.Dial(ctx, socket.RemoteAddr(), config, &quic.Config{
		HandshakeIdleTimeout: left, MaxIdleTimeout: left,
		MaxIncomingStreams: -1, MaxIncomingUniStreams: maxQUICStreams,
		MaxStreamReceiveWindow: maxQUICStream, MaxConnectionReceiveWindow: maxQUICConnection,
	})
	if err != nil {
		c.close()
		return nil, e.blame(err, netip.AddrPortFrom(addr, port))
	}
	c.client = (&http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: maxHeader}).NewClientConn(c.quic)
	return c, nil
}

// close ends the connection and everything that runs for it.
func (c *http3Conn) close() {
	if c.quic != nil {
		c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
	c.transport.Close()
	c.packets.Close()
}

func (c *http3Conn) roundTrip(req *http.Request) (*http.Response, error) {
	answered, err := c.client.RoundTrip(req)
	if err != nil {
		return nil, c.explain(req.Context(), err)
	}
	answered.Request = req
	return answered, nil
}

// explain says what an error of the client library means when classify could
// not tell.
func (c *http3Conn) explain(ctx context.Context, err error) error {
	_, gaveUp := errors.AsType[*http3.Error](err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.Contains(err.Error(), "too large") && !errors.Is(err, errTooLarge):
		return fmt.Errorf("the answer's header is %w: more than %d bytes", errTooLarge, maxHeader)
	case gaveUp:
		return fmt.Errorf("%w: %w", errGaveUp, err)
	}
	return err
}

// judgeQUIC says what it means that no connection came about. A server that is
// there, but not for QUIC, does not speak what is demanded.
func (p Protocol) judgeQUIC(err error, beside *overTCP) finding {
	failed, wasTransport := errors.AsType[*quic.TransportError](err)
	_, otherVersion := errors.AsType[*quic.VersionNegotiationError](err)
	switch {
	case isLocal(err), errors.Is(err, context.Canceled):
		return classify(stageConnect, err)
	case otherVersion:
		return p.refused("it speaks other versions of QUIC")
	case wasTransport && failed.ErrorCode == 0x100+noProtocol:
		return p.refused("it knows none of the protocols that the handshake offered")
	case wasTransport && failed.ErrorCode.IsCryptoError():
		return against(TLSHandshake, "%s", brief(failed))
	case wasTransport && failed.ErrorCode == quic.ConnectionRefused:
		return against(ConnectRefused, "the server refuses connections over QUIC")
	case isTimeout(err) && beside.answers():
		return p.refused("it answers over TCP, but nothing came back over QUIC")
	case errors.Is(err, syscall.ECONNREFUSED) && beside.answers():
		return p.refused("it answers over TCP, but nothing listens on the UDP port")
	case isTimeout(err), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return classify(stageConnect, err)
	}
	return against(TLSHandshake, "shaking hands over QUIC: %s", brief(err))
}

// overTCP finds out whether a server that says nothing over QUIC is there at
// all. It asks when half of the run's time is up, so that the answer has come
// when the other half is.
type overTCP struct {
	ask   func()
	timer *time.Timer // of ask
	found chan bool
	end   context.CancelFunc
}

func (e *Env) overTCP(ctx context.Context, addrs []netip.Addr, port uint16) *overTCP {
	half := 5 * time.Second
	if deadline, bounded := ctx.Deadline(); bounded {
		half = time.Until(deadline) / 2
	}
	ctx, cancel := context.WithCancel(ctx)
	o := &overTCP{found: make(chan bool, 1), end: cancel}
	o.ask = func() {
		ctx, cancel := context.WithTimeout(ctx, half)
		defer cancel()
		conn, err := e.connect(ctx, addrs, port)
		if err == nil {
			conn.Close()
		}
		o.found <- err == nil
	}
	o.timer = time.AfterFunc(half, o.ask)
	return o
}

// answers reports whether the server accepts connections. It is asked once.
func (o *overTCP) answers() bool {
	if o.timer.Stop() {
		o.ask()
	}
	return <-o.found
}

// close ends the question if it is still open.
func (o *overTCP) close() {
	o.timer.Stop()
	o.end()
}

// connected is a connected UDP socket in the form in which QUIC takes one. The
// kernel drops what comes from anybody else.
type connected struct{ net.Conn }

// ReadFrom reads what the other end sent.
func (c connected) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := c.Read(p)
	return n, c.RemoteAddr(), err
}

// WriteTo writes to the other end, whatever address is named.
func (c connected) WriteTo(p []byte, _ net.Addr) (int, error) { return c.Write(p) }

// SetReadBuffer leaves the buffer as it is: one answer fits, and the kernel's
// limits are the machine's owner's to raise.
func (c connected) SetReadBuffer(int) error { return nil }

// SetWriteBuffer leaves the buffer as it is.
func (c connected) SetWriteBuffer(int) error { return nil }
