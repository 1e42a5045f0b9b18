package checks

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

// through returns a check that goes through a proxy.
func through(p *checkstest.Proxy, user, target string) *HTTP {
	h := httpAt(target)
	h.Proxy = secret.New(p.URL(user))
	return h
}

// proxies returns one of each kind; the authority is that of the one over TLS.
func proxies(t *testing.T) (*checkstest.CA, map[string]*checkstest.Proxy) {
	ca, cert := issue(t, checkstest.Leaf{})
	return ca, map[string]*checkstest.Proxy{
		"http":   opened(checkstest.NewProxy())(t),
		"https":  opened(checkstest.NewProxyTLS(cert))(t),
		"socks5": opened(checkstest.NewSOCKS())(t),
	}
}

func TestProxyPasses(t *testing.T) {
	ca, all := proxies(t)
	cert := must(ca.Issue(checkstest.Leaf{Names: []string{"shop.test"}}))(t)
	plain, secured := opened(checkstest.NewHTTP())(t), opened(checkstest.NewHTTPS(cert))(t)
	plain.Set(checkstest.Behaviour{Body: "Welcome"})
	secured.Set(checkstest.Behaviour{Body: "Welcome"})
	for name, p := range all {
		p.Name("shop.test:8080", plain.Addr())
		p.Name("shop.test:8443", secured.Addr())
		p.Demand("nines", "pr0xy")
		for _, tt := range []struct{ url, asked string }{
			{"http://shop.test:8080/front?x=1", "GET http://shop.test:8080/front?x=1"},
			{"https://shop.test:8443/front", "CONNECT shop.test:8443"},
			{plain.URL() + "/front", "GET " + plain.URL() + "/front"},
		} {
			t.Run(name+" "+tt.url, func(t *testing.T) {
				h := through(p, "nines:pr0xy", tt.url)
				h.CA, h.Bearer, h.Expect.BodyContains = ca.PEM(), secret.New("t0ken"), []string{"Welcome"}
				r := run(t, h, 10*time.Second, loopback())
				wants(t, r, Up, "")
				sumsUp(t, r)
				asked, headers := p.Asked()
				want := tt.asked
				if name == "socks5" && strings.HasPrefix(want, "GET") {
					want = "CONNECT " + strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(want, "?x=1"), "GET http://"), "/front")
				}
				last := len(asked) - 1
				if asked[last] != want || strings.HasPrefix(want, "CONNECT") && headers[last].Get("Authorization") != "" {
					t.Errorf("the proxy was asked for %q with %v, want %q", asked[last], headers[last], want)
				}
				got := append(plain.Requests(), secured.Requests()...)
				for _, request := range got {
					if request.Header.Get("Proxy-Authorization") != "" || request.Header.Get("Authorization") != "Bearer t0ken" {
						t.Errorf("the target got %v", request.Header)
					}
				}
				if _, has := r.Facts["remote_ip"]; has || r.Facts["proxy_ip"] != "127.0.0.1" {
					t.Errorf("facts %v", r.Facts)
				}
			})
		}
	}
}

func TestProxyFails(t *testing.T) {
	ca, all := proxies(t)
	target := "https://shop.test:8443/"
	for _, tt := range []struct {
		proxy  string
		answer int
		fault  checkstest.ProxyFault
		status Status
		reason Reason
		waits  bool
	}{
		{"http", 407, 0, Unknown, ProberProxy, false},
		{"http", 403, 0, Unknown, ProberProxy, false},
		{"http", 500, 0, Unknown, ProberProxy, false},
		{"http", 502, 0, Down, ConnectProxy, false},
		{"http", 503, 0, Down, ConnectProxy, false},
		{"http", 504, 0, Down, ConnectProxy, false},
		{"https", 502, 0, Down, ConnectProxy, false},
		{"https", 407, 0, Unknown, ProberProxy, false},
		{"http", 0, checkstest.ProxyStall, Down, ConnectTimeout, true},
		{"http", 0, checkstest.ProxyReset, Unknown, ProberProxy, false},
		{"http", 0, checkstest.ProxyGarbage, Unknown, ProberProxy, false},
		{"https", 0, checkstest.ProxySilent, Unknown, ProberProxy, true},
		{"socks5", 1, 0, Unknown, ProberProxy, false},
		{"socks5", 2, 0, Unknown, ProberProxy, false},
		{"socks5", 3, 0, Down, ConnectProxy, false},
		{"socks5", 4, 0, Down, ConnectProxy, false},
		{"socks5", 5, 0, Down, ConnectProxy, false},
		{"socks5", 6, 0, Down, ConnectProxy, false},
		{"socks5", 0, checkstest.ProxyStall, Down, ConnectTimeout, true},
		{"socks5", 0, checkstest.ProxySilent, Unknown, ProberProxy, true},
		{"socks5", 0, checkstest.ProxyReset, Unknown, ProberProxy, false},
		{"socks5", 0, checkstest.ProxyGarbage, Unknown, ProberProxy, false},
	} {
		p := all[tt.proxy]
		p.Set(tt.answer, tt.fault)
		h := through(p, "", target)
		h.CA = ca.PEM()
		timeout := 10 * time.Second
		if tt.waits {
			timeout = 300 * time.Millisecond
		}
		r := run(t, h, timeout, loopback())
		if r.Status != tt.status || r.Reason != tt.reason {
			t.Errorf("%s answers %d, fault %d: %s %s (%s)", tt.proxy, tt.answer, tt.fault, r.Status, r.Reason, r.Detail)
		}
		sumsUp(t, r)
	}
}

func TestProxyOfNoUse(t *testing.T) {
	ca, all := proxies(t)
	target := opened(checkstest.NewHTTP())(t)
	gone := httpAt(target.URL())
	gone.Proxy = secret.New("http://u:pr0xy@" + freePort(t))
	r := run(t, gone, 10*time.Second, loopback())
	wants(t, r, Unknown, ProberProxy)
	if strings.Contains(r.Detail, "pr0xy@") || !strings.Contains(r.Detail, "connect.refused") {
		t.Error(r.Detail)
	}
	for name, p := range all {
		p.Demand("nines", "pr0xy")
		h := through(p, "nines:wrong", target.URL())
		h.CA = ca.PEM()
		r := run(t, h, 10*time.Second, loopback())
		if r.Status != Unknown || r.Reason != ProberProxy {
			t.Errorf("%s with a wrong password: %s %s (%s)", name, r.Status, r.Reason, r.Detail)
		}
		h = through(p, "", target.URL())
		h.CA = ca.PEM()
		if r := run(t, h, 10*time.Second, loopback()); r.Reason != ProberProxy {
			t.Errorf("%s without a password: %s %s (%s)", name, r.Status, r.Reason, r.Detail)
		}
	}
	untrusted := through(all["https"], "nines:pr0xy", target.URL())
	r = run(t, untrusted, 10*time.Second, loopback())
	wants(t, r, Unknown, ProberProxy)
	if !strings.Contains(r.Detail, "tls.untrusted") {
		t.Error(r.Detail)
	}
	untrusted = through(all["https"], "nines:pr0xy", target.URL())
	untrusted.Insecure = true
	wants(t, run(t, untrusted, 10*time.Second, loopback()), Up, "")

	eager := through(all["http"], "nines:pr0xy", "https://"+target.Addr())
	all["http"].Set(0, checkstest.ProxyEager)
	wants(t, run(t, eager, 10*time.Second, loopback()), Unknown, ProberProxy)
}

// Neither the proxy nor an address of a target is reached without leave.
func TestProxyGuard(t *testing.T) {
	p := opened(checkstest.NewProxy())(t)
	server := opened(checkstest.NewHTTP())(t)
	server.Set(checkstest.Behaviour{Status: 302, Header: http.Header{"Location": {"http://169.254.169.254/latest/"}}})
	wants(t, run(t, through(p, "", "http://shop.test/"), 10*time.Second, &Env{}), Unknown, ProberBlocked)
	for _, url := range []string{
		"http://10.0.0.1/", "https://[::1]/", "http://169.254.169.254/", server.URL(),
	} {
		wants(t, run(t, through(p, "", url), 10*time.Second, loopback()), Unknown, ProberBlocked)
	}
	for _, url := range []string{"http://2130706433/", "http://127.1/", "http://0x7f.0x0.0x0.0x1/", "https://127.0.0.0x1./"} {
		if faults := through(p, "", url).Faults(); len(faults) != 1 || faults[0].Path != "url" {
			t.Errorf("%s, which a proxy may read as an address: %v", url, faults)
		}
	}
	only := &Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}} // not the machine's own names
	second := opened(net.Listen("tcp", "127.0.0.2:0"))(t)
	h := httpAt("https://sub.localhost/")
	h.Proxy = secret.New("http://" + second.Addr().String())
	wants(t, run(t, h, 10*time.Second, only), Unknown, ProberBlocked)
	if asked, _ := p.Asked(); len(asked) != 1 { // for what then redirected
		t.Errorf("the proxy was asked for %v", asked)
	}
}

// From http to https of one site, the body goes along but no credentials, and
// same_host allows it.
func TestRedirectUpgrade(t *testing.T) {
	ca := must(checkstest.NewCA())(t)
	cert := must(ca.Issue(checkstest.Leaf{Names: []string{"shop.test"}}))(t)
	plain, secured := opened(checkstest.NewHTTP())(t), opened(checkstest.NewHTTPS(cert))(t)
	p := opened(checkstest.NewProxy())(t)
	p.Name("shop.test:80", plain.Addr())
	p.Name("shop.test:443", secured.Addr())
	p.Name("other.test:80", plain.Addr())
	check := func(location string) *HTTP {
		plain.Set(checkstest.Behaviour{Status: 308, Header: http.Header{"Location": {location}}})
		h := through(p, "", "http://shop.test/login?key=s3cret")
		h.CA, h.Form, h.SameHost, h.Bearer = ca.PEM(), map[string]secret.String{"a": secret.New("b c")}, true, secret.New("t0ken")
		return h
	}
	r := run(t, check("https://shop.test/login?key=s3cret"), 10*time.Second, loopback())
	wants(t, r, Up, "")
	sumsUp(t, r)
	got := secured.Requests()[0]
	if got.Method != "POST" || got.Body != "a=b+c" || got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || got.Header.Get("Authorization") != "" {
		t.Errorf("the target got %+v", got)
	}
	hops, _ := r.Facts["hops"].([]string)
	if len(hops) != 2 || !strings.HasPrefix(hops[0], "308 http://shop.test/login ") || !strings.HasPrefix(hops[1], "200 https://shop.test/login ") ||
		!strings.Contains(hops[0], "connect ") || strings.Contains(hops[0], "tls ") || !strings.Contains(hops[1], "tls ") {
		t.Errorf("hops %q", hops)
	}
	wants(t, run(t, check("http://other.test/"), 10*time.Second, loopback()), Down, HTTPRedirect)
	wants(t, run(t, check("https://shop.test:8443/"), 10*time.Second, loopback()), Down, HTTPRedirect)
}

// A slow network lies before the proxy, and pays for the tunnel too.
func TestProxyOverSlowLink(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	server, p := opened(checkstest.NewHTTPS(cert))(t), opened(checkstest.NewProxy())(t)
	server.Set(checkstest.Behaviour{Body: "Welcome"})
	b := slowly(server.URL(), Profile{DownKbps: 2000, UpKbps: 1000, RTTMS: 40})
	b.CA, b.Proxy, b.Expect.BodyContains = ca.PEM(), secret.New(p.URL("")), []string{"Welcome"}
	r := run(t, b, 20*time.Second, loopback())
	wants(t, r, Up, "")
	sumsUp(t, r)
	if r.Phases["connect"] < 80 || r.Phases["tls"] < 40 { // connecting and CONNECT
		t.Errorf("phases %v", r.Phases)
	}
}

func TestProxyFaults(t *testing.T) {
	for _, tt := range []struct {
		name, proxy string
		set         func(*HTTP)
		path        string
	}{
		{"http", "http://proxy.example.com:3128", nil, ""},
		{"https with user", "https://u:p@proxy.example.com/", nil, ""},
		{"socks5", "socks5://[2001:db8::1]", nil, ""},
		{"scheme", "ftp://proxy.example.com", nil, "proxy"},
		{"no scheme", "relay.test:3128", nil, "proxy"},
		{"path", "http://proxy.example.com/x", nil, "proxy"},
		{"host", "http://pro xy/", nil, "proxy"},
		{"half a login for SOCKS", "socks5://user@proxy.example.com", nil, "proxy"},
		{"colon", "http://a%3Ab:p@proxy.example.com", nil, "proxy"},
		{"each", "http://proxy.example.com", func(h *HTTP) { h.IP = "each" }, "proxy"},
		{"3", "http://proxy.example.com", func(h *HTTP) { h.Version = HTTP3 }, "proxy"},
		{"Host", "http://proxy.example.com", func(h *HTTP) {
			h.URL, h.Headers = "http://example.com/", map[string]secret.String{"host": secret.New("169.254.169.254")}
		}, "headers.Host"},
		{"Host in a tunnel", "http://proxy.example.com", func(h *HTTP) { h.Headers = map[string]secret.String{"host": secret.New("a")} }, ""},
	} {
		h := httpAt("https://example.com/")
		h.Proxy = secret.New(tt.proxy)
		if tt.set != nil {
			tt.set(h)
		}
		faults := h.Faults()
		oneFault(t, tt.name, faults, tt.path)
		for _, f := range faults {
			if f.Path == "proxy" && strings.Contains(f.Message, tt.proxy) {
				t.Errorf("%s: the fault repeats it: %s", tt.name, f.Message)
			}
		}
	}
}

// What is read as a proxy can be used as one, and what is not is not repeated.
func FuzzProxyOf(f *testing.F) {
	for _, text := range []string{"http://u:p@proxy.test:3128", "https://proxy.test/", "socks5://u:p@[::1]", "socks5h://a", "http://:p@a", "http://a:0", "http://a?b", "%zz", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := proxyOf("http://user:s3cret7@" + text)
		if err != nil {
			if strings.Contains(err.Error(), "s3cret7") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if !validHost(p.place.host) || p.place.port == 0 || proxyPorts[p.place.scheme] == 0 {
			t.Errorf("%q is read as %+v", text, p.place)
		}
	})
}
