package checks

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"testing"
	"time"

	"nines/checks/checkstest"
)

func tlsAt(address, ca string) *TLS {
	t := newTLS()
	t.Address, t.CA = address, ca
	return t
}

func TestTLSCertificates(t *testing.T) {
	ca := must(checkstest.NewCA())(t)
	other := must(checkstest.NewCA())(t)
	valid := must(ca.Issue(checkstest.Leaf{}))(t)
	server := opened(checkstest.NewTLS(valid))(t)
	const day = 24 * time.Hour
	short := func(left time.Duration) checkstest.Leaf { // of six days, as short-lived ones are
		to := time.Now().Add(left)
		return checkstest.Leaf{From: to.Add(-6 * day), To: to}
	}
	for _, tt := range []struct {
		name   string
		leaf   checkstest.Leaf
		set    func(*TLS)
		status Status
		reason Reason
	}{
		{name: "valid", status: Up},
		{name: "expired", leaf: checkstest.ExpiringIn(-time.Hour), status: Down, reason: TLSExpired},
		{name: "not yet valid", leaf: checkstest.NotYetValid(), status: Down, reason: TLSNotYetValid},
		{name: "wrong name", leaf: checkstest.Leaf{Names: []string{"shop.example.com", "127.0.0.9"}}, status: Down, reason: TLSWrongName},
		{name: "self-signed", leaf: checkstest.Leaf{SelfSigned: true}, status: Down, reason: TLSSelfSigned},
		{name: "other authority", set: func(c *TLS) { c.CA = other.PEM() }, status: Down, reason: TLSUntrusted},
		{name: "insecure", leaf: checkstest.Leaf{SelfSigned: true}, set: func(c *TLS) { c.Insecure = true }, status: Up},
		{name: "insecure and expired", leaf: checkstest.ExpiringIn(-time.Hour), set: func(c *TLS) { c.Insecure = true }, status: Degraded, reason: TLSExpiresSoon},
		{name: "insecure but expiring", leaf: checkstest.ExpiringIn(3 * day), set: func(c *TLS) { c.Insecure, c.Expect.ValidFor = true, span(14*day) }, status: Down, reason: TLSExpiresSoon},
		{name: "server_name", leaf: checkstest.Leaf{Names: []string{"shop.example.com"}}, set: func(c *TLS) { c.ServerName = "shop.example.com" }, status: Up},
		{name: "wildcard", leaf: checkstest.Leaf{Names: []string{"*.example.com"}}, set: func(c *TLS) { c.ServerName = "shop.example.com" }, status: Up},

		{name: "15 days left", leaf: checkstest.ExpiringIn(15 * day), status: Up},
		{name: "13 days left", leaf: checkstest.ExpiringIn(13 * day), status: Degraded, reason: TLSExpiresSoon},
		{name: "13 days left, 14 asked for", leaf: checkstest.ExpiringIn(13 * day), set: func(c *TLS) { c.Expect.ValidFor = span(14 * day) }, status: Down, reason: TLSExpiresSoon},
		{name: "13 days left, 7 asked for", leaf: checkstest.ExpiringIn(13 * day), set: func(c *TLS) { c.Expect.ValidFor = span(7 * day) }, status: Up},
		{name: "3 of 6 days left", leaf: short(3 * day), status: Up},
		{name: "1.5 of 6 days left", leaf: short(36 * time.Hour), status: Degraded, reason: TLSExpiresSoon},
		{name: "half a day of 6 left", leaf: short(day / 2), status: Down, reason: TLSExpiresSoon},
		{name: "2 days left", leaf: checkstest.ExpiringIn(2 * day), status: Down, reason: TLSExpiresSoon},
		{name: "2 of 6 days left, half asked for", leaf: short(2 * day), set: func(c *TLS) { c.Expect.ValidFor = Lifetime{part: 1, whole: 2} }, status: Down, reason: TLSExpiresSoon},
		{name: "4 of 6 days left, half asked for", leaf: short(4 * day), set: func(c *TLS) { c.Expect.ValidFor = Lifetime{part: 1, whole: 2} }, status: Up},
		{name: "no intermediate", leaf: checkstest.Leaf{Bare: true}, status: Down, reason: TLSIncomplete},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.SetCertificate(must(ca.Issue(tt.leaf))(t))
			c := tlsAt(server.Addr(), ca.PEM())
			if tt.set != nil {
				tt.set(c)
			}
			r := run(t, c, 10*time.Second, loopback())
			wants(t, r, tt.status, tt.reason)
			for _, name := range []string{"cert_expires", "cert_days_left", "cert_subject", "cert_issuer", "cert_sans", "tls_version", "tls_cipher", "chain_length", "remote_ip"} {
				if r.Facts[name] == nil {
					t.Errorf("no fact %s", name)
				}
			}
			sumsUp(t, r)
		})
	}
}

func TestTLSFacts(t *testing.T) {
	ca, cert := issue(t, checkstest.ExpiringIn(30*24*time.Hour, "shop.example.com", "127.0.0.1"))
	server := opened(checkstest.NewTLS(cert))(t)
	c := tlsAt(server.Addr(), ca.PEM())
	c.Expect.Within = time.Nanosecond
	r := run(t, c, 10*time.Second, loopback())
	wants(t, r, Degraded, SlowTotal)
	if names := r.Facts["cert_sans"].([]string); !slices.Equal(names, []string{"shop.example.com", "127.0.0.1"}) {
		t.Errorf("names %v", names)
	}
	if days := r.Facts["cert_days_left"].(float64); days < 29.8 || days > 30 {
		t.Errorf("%v days left", days)
	}
	for name, want := range map[string]any{
		"cert_expires": cert.Leaf.NotAfter.UTC().Format(time.RFC3339), "chain_length": 2, "tls_version": "TLS 1.3",
		"cert_subject": "CN=shop.example.com", "cert_issuer": "CN=Test Intermediate,O=nines test authority",
	} {
		if r.Facts[name] != want {
			t.Errorf("%s is %v, want %v", name, r.Facts[name], want)
		}
	}
}

func TestTLSFaults(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	server := opened(checkstest.NewTLS(cert))(t)
	for fault, want := range map[checkstest.TLSFault]Reason{ // one that is merely old is in TestTLSStrength
		checkstest.TLSStall: TLSTimeout,
		checkstest.TLSReset: TLSHandshake,
		checkstest.TLSClose: TLSHandshake,
		checkstest.TLSPlain: TLSHandshake,
	} {
		server.SetFault(fault)
		timeout := 10 * time.Second
		if want == TLSTimeout {
			timeout = 300 * time.Millisecond
		}
		wants(t, run(t, tlsAt(server.Addr(), ca.PEM()), timeout, loopback()), Down, want)
	}
	wants(t, run(t, tlsAt(freePort(t), ""), 10*time.Second, loopback()), Down, ConnectRefused)
	wants(t, run(t, tlsAt(fullBacklog(t), ""), 300*time.Millisecond, loopback()), Down, ConnectTimeout)
}

// A chain that was verified once is trusted again without its signatures, but
// not past its dates, under another name, or when another one is served.
func TestTrustRemembersChains(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	served := func(cert tls.Certificate) *tls.ConnectionState {
		state := new(tls.ConnectionState)
		for _, der := range cert.Certificate {
			state.PeerCertificates = append(state.PeerCertificates, must(x509.ParseCertificate(der))(t))
		}
		return state
	}
	trust := &Trust{CA: ca.PEM()}
	now := time.Now()
	for _, tt := range []struct {
		name   string
		state  *tls.ConnectionState
		host   string
		at     time.Time
		reason Reason
	}{
		{"first", served(cert), "localhost", now, ""},
		{"again", served(cert), "localhost", now, ""},
		{"other name", served(cert), "shop.example.com", now, TLSWrongName},
		{"past its end", served(cert), "localhost", now.AddDate(1, 0, 0), TLSExpired},
		{"before its start", served(cert), "localhost", now.AddDate(0, 0, -40), TLSNotYetValid},
		{"other leaf", served(must(ca.Issue(checkstest.Leaf{SelfSigned: true}))(t)), "localhost", now, TLSSelfSigned},
		{"without intermediate", served(tls.Certificate{Certificate: cert.Certificate[:1]}), "localhost", now, TLSIncomplete},
		{"still good", served(cert), "localhost", now, ""},
	} {
		if _, f := trust.judge(tt.state, tt.host, tt.at); f.reason != tt.reason {
			t.Errorf("%s: %q (%s), want %q", tt.name, f.reason, f.detail, tt.reason)
		}
	}
	if _, f := trust.judge(new(tls.ConnectionState), "localhost", now); f.reason != TLSHandshake {
		t.Errorf("no certificate: %+v", f)
	}
}

// An authority that expires before the leaf ends the chain with it.
func TestIntermediateExpiresFirst(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{To: time.Now().AddDate(20, 0, 0)})
	server := opened(checkstest.NewTLS(cert))(t)
	c := tlsAt(server.Addr(), ca.PEM())
	c.Expect.ValidFor = span(11 * 365 * 24 * time.Hour)
	wants(t, run(t, c, 10*time.Second, loopback()), Down, TLSExpiresSoon)

	env := loopback()
	env.Now = func() time.Time { return time.Now().AddDate(15, 0, 0) }
	c = tlsAt(server.Addr(), ca.PEM())
	r := c.Probe(t.Context(), env)
	if r.Status != Down || r.Reason != TLSExpired {
		t.Errorf("got %s %s (%s)", r.Status, r.Reason, r.Detail)
	}
}

func TestTLSFaultsOfOptions(t *testing.T) {
	for address, ok := range map[string]bool{
		"shop.example.com:443": true, "shop.example.com": true, "192.0.2.1": true, "[2001:db8::1]:8443": true, "2001:db8::1": true,
		"": false, "shop.example.com:0": false, "shop.example.com:https": false, "a b:443": false, "shop..example.com": false,
	} {
		if faults := tlsAt(address, "").Faults(); (len(faults) == 0) != ok {
			t.Errorf("%q: %v", address, faults)
		}
	}
	for address, want := range map[string]string{"shop.example.com:8443": "shop.example.com 8443", "[2001:db8::1]": "2001:db8::1 443", "żółw.example": "xn--w-uga1v8h.example 443"} {
		host, port, err := hostAndPort(address, 443)
		if got := net.JoinHostPort(host, "") + " "; err != nil || host+" "+itoa(port) != want {
			t.Errorf("%q: %s %d (%v) %s", address, host, port, err, got)
		}
	}
	c := tlsAt("a.example:443", "x")
	c.IP, c.Expect.MinVersion, c.Expect.Within = "x", "1.4", -1
	if faults := c.Faults(); len(faults) != 4 {
		t.Errorf("faults %v", faults)
	}
	if c.Target() != "a.example" {
		t.Errorf("target %q", c.Target())
	}
}
