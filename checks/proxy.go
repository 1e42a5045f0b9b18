package checks

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	netproxy "golang.org/x/net/proxy"
)

// proxy is a server through which requests go: HTTP (RFC 9110, section 9.3.6,
// for tunnels), HTTP over TLS, or SOCKS version 5 (RFC 1928).
type proxy struct {
	place         place
	user          *url.Userinfo // nil: none
	authorization string        // for an HTTP proxy; empty: none
}

// proxyPorts are the ports of proxies by their scheme.
var proxyPorts = map[string]uint16{"http": 80, "https": 443, "socks5": 1080}

var errProxy = errors.New("is not a proxy; write one such as http://user:password@proxy.example.com:3128, https://proxy.example.com or socks5://proxy.example.com:1080")

// proxyOf reads the address of a proxy. It may hold a password: no error
// repeats it.
func proxyOf(text string) (*proxy, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errProxy
	}
	port, known := proxyPorts[u.Scheme]
	if !known || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errProxy
	}
	p := &proxy{user: u.User}
	if p.place, err = placeWith(u, port); err != nil {
		return nil, errProxy
	}
	if u.User == nil {
		return p, nil
	}
	username := u.User.Username()
	password, _ := u.User.Password()
	if p.socks() && (len(username) == 0 || len(username) > 255 || len(password) == 0 || len(password) > 255) {
		return nil, errors.New("has a user name or a password that SOCKS cannot carry; both have from 1 to 255 bytes")
	}
	if strings.Contains(username, ":") {
		return nil, errors.New("has a colon in its user name, which basic authentication cannot carry")
	}
	p.authorization = basicAuthorization(username, password)
	return p, nil
}

func (p *proxy) socks() bool { return p.place.scheme == "socks5" }

// relays reports whether the proxy is asked for h itself, and not for a tunnel
// to where h goes.
func (p *proxy) relays(h *hop) bool {
	return !p.socks() && h.place.scheme == "http" && h.version != HTTP2
}

// proxyFaults says what is wrong with the proxy and what it is used with.
func (r *HTTPRequest) proxyFaults(scheme string) []Fault {
	if r.Proxy.IsZero() {
		return nil
	}
	p, err := proxyOf(r.Proxy.Reveal())
	switch {
	case err != nil:
		return []Fault{{"proxy", err.Error()}}
	case r.IP == familyEach:
		return []Fault{{"proxy", "is given beside ip: each, but it is the proxy that looks the name up; leave one of them out"}}
	case r.Version == HTTP3:
		return []Fault{{"proxy", "is given beside http_version: 3, which it cannot carry; leave one of them out"}}
	case headerNamed(r.Headers, "Host") && p.relays(&hop{place: place{scheme: scheme}, version: r.Version}):
		return []Fault{{"headers.Host", "is given beside a proxy, which sets it from the URL; leave it out"}}
	}
	return nil
}

// openProxy opens a connection through the proxy: to it alone where it relays,
// else on to where h goes.
func (x *exchange) openProxy(ctx context.Context, h *hop) finding {
	if f := x.env.admitNamed(h.place.host); f.status != "" {
		return f
	}
	if f := x.connect(ctx, x.proxy.place); f.status != "" {
		return x.proxy.unusable(f)
	}
	x.answer.proxied, x.answer.remote = x.answer.remote, netip.Addr{}
	f := x.passProxy(h)
	x.answer.watch.mark(phaseConnect)
	return f
}

// admitNamed admits a host that somebody else looks up, as far as it can be
// judged by what it is called: addresses, and the names of the machine itself.
// What only looks like an address is no host to nines at all; see validHost.
func (e *Env) admitNamed(host string) finding {
	if addr, err := netip.ParseAddr(host); err == nil {
		return classify(stageConnect, e.admit(addr))
	}
	host = strings.TrimSuffix(host, ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return classify(stageConnect, e.admit(netip.AddrFrom4([4]byte{127, 0, 0, 1})))
	}
	return finding{}
}

// passProxy makes the connection to the proxy one to where h goes.
func (x *exchange) passProxy(h *hop) finding {
	if x.proxy.place.scheme == "https" {
		config := x.config(x.proxy.place.host, "http/1.1")
		config.Certificates, config.GetClientCertificate = nil, nil // ours are for the target
		secured, err := handshake(x.conn, config)
		if err != nil {
			return x.proxy.unusable(classify(stageTLS, err))
		}
		x.conn = secured
		state := secured.ConnectionState()
		if _, f := x.judge(&state, x.proxy.place.host, x.answer.now); f.status != "" {
			return x.proxy.unusable(f)
		}
	}
	switch {
	case x.proxy.socks():
		return x.proxy.tunnelSOCKS(x.conn, h.place)
	case x.proxy.relays(h):
		return finding{}
	}
	return x.proxy.tunnelHTTP(x.conn, h.place)
}

// unusable is the finding against a proxy for what was found on the way to it.
func (p *proxy) unusable(f finding) finding {
	if f.status == Unknown {
		return f
	}
	return against(ProberProxy, "the proxy %s: %s (%s)", p.place.hostPort(), f.detail, f.reason)
}

// refuses is the finding against a proxy that answers with that status.
func (p *proxy) refuses(status int) finding {
	return against(ProberProxy, "the proxy %s answered %s", p.place.hostPort(), statusText(status))
}

// cannot is the finding against a target that the proxy did not reach.
func (p *proxy) cannot(to place, why string) finding {
	return against(ConnectProxy, "the proxy %s could not connect to %s: %s", p.place.hostPort(), to.hostPort(), why)
}

// waits is the finding when the proxy took a question for a target and the run
// ended before it answered, which is what a target looks like that does not
// answer it.
func (p *proxy) waits(to place) finding {
	return against(ConnectTimeout, "no time left while the proxy %s was connecting to %s", p.place.hostPort(), to.hostPort())
}

// unreached are the answers of a proxy that did not get through.
var unreached = []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// tinyproxyCannot reports whether tinyproxy says that it did not get through:
// with a status that others have for faults of their own.
func tinyproxyCannot(answered *http.Response) bool {
	return answered.StatusCode == http.StatusInternalServerError && strings.HasSuffix(answered.Status, "Unable to connect")
}

// tunnelHTTP asks the proxy at the other end of conn for a tunnel.
func (p *proxy) tunnelHTTP(conn net.Conn, to place) finding {
	header := http.Header{"User-Agent": {userAgent}}
	if p.authorization != "" {
		header.Set("Proxy-Authorization", p.authorization)
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: to.hostPort()}, Host: to.hostPort(), Header: header}
	err := req.Write(conn)
	var answered *http.Response
	reader := bufio.NewReader(&limited{r: conn, left: maxHeader})
	if err == nil {
		answered, err = http.ReadResponse(reader, req)
	}
	switch {
	case err != nil && isTimeout(err):
		return p.waits(to)
	case err != nil:
		return p.unusable(classify(stageHeader, err))
	case slices.Contains(unreached, answered.StatusCode), tinyproxyCannot(answered):
		return p.cannot(to, "it answered "+clip(answered.Status, 80))
	case answered.StatusCode < 200 || answered.StatusCode > 299:
		return p.refuses(answered.StatusCode)
	case reader.Buffered() > 0:
		return p.unusable(against(HTTPProtocol, "it sent something before it was asked"))
	}
	return finding{}
}

// notReached are the replies of SOCKS for a target that the proxy did not
// reach (RFC 1928, section 6: 03 to 06), in the words of the library.
var notReached = []string{"network unreachable", "host unreachable", "connection refused", "TTL expired"}

// tunnelSOCKS asks the proxy at the other end of conn for a tunnel. Names go
// to it as they are.
func (p *proxy) tunnelSOCKS(conn net.Conn, to place) finding {
	var auth *netproxy.Auth
	if p.user != nil {
		password, _ := p.user.Password()
		auth = &netproxy.Auth{User: p.user.Username(), Password: password}
	}
	heard := &hears{Conn: conn}
	dialer, err := netproxy.SOCKS5("tcp", p.place.hostPort(), auth, handed{heard})
	if err == nil {
		// Without a context of its own: it would move conn's deadline.
		_, err = dialer.(netproxy.ContextDialer).DialContext(context.Background(), "tcp", to.hostPort())
	}
	if err == nil {
		return finding{}
	}
	why := err.Error()
	if op, ok := errors.AsType[*net.OpError](err); ok {
		why = strings.TrimPrefix(op.Err.Error(), "unknown error ")
	}
	switch {
	case slices.Contains(notReached, why):
		return p.cannot(to, why)
	case isTimeout(err) && heard.any:
		return p.waits(to)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		why = "it closed the connection"
	}
	return against(ProberProxy, "the proxy %s: %s", p.place.hostPort(), why)
}

// hears notes whether anything has come.
type hears struct {
	net.Conn
	any bool
}

func (h *hears) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.any = h.any || n > 0
	return n, err
}
