package checks

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// open connects to where h goes, by the proxy if there is one, shakes hands and
// judges the certificate.
func (x *exchange) open(ctx context.Context, h *hop) finding {
	if h.version == HTTP3 {
		return x.openHTTP3(ctx, h)
	}
	if x.proxy != nil {
		if f := x.openProxy(ctx, h); f.status != "" {
			return f
		}
	} else if f := x.connect(ctx, h.place); f.status != "" {
		return f
	}
	x.place = h.place
	if h.place.scheme == "https" {
		f := x.secure(ctx, h)
		x.answer.watch.mark(phaseTLS)
		if f.status != "" || x.h2 != nil {
			return f
		}
	} else if h.version == HTTP2 {
		return x.speakHTTP2(ctx)
	}
	size := plainBuffer
	if x.slow != nil {
		size = throttledBuffer
	}
	x.h1 = newHTTP1(x.conn, size)
	if x.proxy != nil && x.proxy.relays(h) {
		x.h1.relayed, x.h1.authorization = true, x.proxy.authorization
	}
	return finding{}
}

// connect looks a place up and opens a connection to it.
func (x *exchange) connect(ctx context.Context, to place) finding {
	watch := &x.answer.watch
	addrs, asked, err := x.addresses(ctx, to.host)
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
	conn, err := x.env.connect(ctx, addrs, to.port)
	if err == nil {
		x.conn = conn
		x.answer.remote = remoteIP(conn)
		if x.slow != nil {
			err = x.slow.RoundTrip(ctx)
			x.conn = x.slow.Conn(conn)
		}
	}
	watch.mark(phaseConnect)
	if err != nil {
		return classify(stageConnect, err)
	}
	x.answer.connects(watch.took() - before)
	x.stop = cutAtEnd(ctx, x.conn)
	return finding{}
}

// connects notes how long it took to connect.
func (a *answer) connects(took time.Duration) {
	if a.connecting == 0 || took < a.connecting {
		a.connecting = took
	}
}

// addresses returns where a host is, as locate does.
func (x *exchange) addresses(ctx context.Context, host string) (addrs []netip.Addr, asked bool, err error) {
	if x.pinned.IsValid() && host == x.first.place.host {
		return []netip.Addr{x.pinned}, false, nil
	}
	return x.env.locate(ctx, x.IP, host)
}

// secure shakes hands on x.conn and judges the certificate.
func (x *exchange) secure(ctx context.Context, h *hop) finding {
	secured, err := handshake(x.conn, x.configFor(h))
	if err != nil {
		return h.version.judgeHandshake(err)
	}
	x.conn = secured
	state := secured.ConnectionState()
	if f := x.judgeServer(&state, h); f.status != "" {
		return f
	}
	if f := h.version.judgeProtocol(state.NegotiatedProtocol); f.status != "" {
		return f
	}
	if state.NegotiatedProtocol != "h2" {
		return finding{}
	}
	return x.speakHTTP2(ctx)
}

// judgeServer judges the certificate that was shown for h and notes what it
// says.
func (x *exchange) judgeServer(state *tls.ConnectionState, h *hop) finding {
	var f finding
	x.answer.tlsVersion = tls.VersionName(state.Version)
	x.answer.certificate, f = x.judge(state, h.server, x.answer.now)
	return f
}

// configFor returns what the handshake for h needs. Another origin than the
// check's own is shown no certificate of ours.
func (x *exchange) configFor(h *hop) *tls.Config {
	if x.slow == nil && h.config != nil {
		return h.config
	}
	protocols := h.protocols()
	if x.slow != nil && h.version != HTTP3 {
		protocols = []string{"http/1.1"}
	}
	config := x.config(h.server, protocols...)
	if h.foreign {
		config.Certificates, config.GetClientCertificate = nil, nil
	}
	return config
}

func (x *exchange) speakHTTP2(ctx context.Context) finding {
	var err error
	x.h2, x.frames, err = http2Over(ctx, x.conn, x.place, x.MaxBody)
	return classify(stageHeader, err)
}

// handed is a dialer whose connection is there already.
type handed struct{ net.Conn }

// Dial returns the connection.
func (h handed) Dial(_, _ string) (net.Conn, error) { return h.Conn, nil }

// DialContext returns the connection.
func (h handed) DialContext(context.Context, string, string) (net.Conn, error) { return h.Conn, nil }
