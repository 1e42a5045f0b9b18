package checks

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

// demanding has a server want a client certificate of the authority.
func demanding(ca *checkstest.CA, version uint16, mode tls.ClientAuthType) func(*tls.Config) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca.PEM()))
	return func(c *tls.Config) { c.ClientAuth, c.ClientCAs, c.MaxVersion = mode, pool, version }
}

func TestClientCertificate(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	own := must(ca.Issue(checkstest.Leaf{Names: []string{"prober.example"}, ForClients: true}))(t)
	strange := must(must(checkstest.NewCA())(t).Issue(checkstest.Leaf{Names: []string{"prober.example"}, ForClients: true}))(t)
	server := opened(checkstest.NewTLS(cert))(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tt := range []struct {
			name   string
			mode   tls.ClientAuthType
			own    *tls.Certificate
			status Status
			reason Reason
			says   string
		}{
			{"shown", tls.RequireAndVerifyClientCert, &own, Up, "", ""},
			{"none", tls.RequireAndVerifyClientCert, nil, Down, TLSHandshake, "client_cert"},
			{"none, but it may be left out", tls.RequestClientCert, nil, Up, "", ""},
			{"shown, and not asked for", tls.NoClientCert, &own, Up, "", ""},
			{"of a stranger", tls.RequireAnyClientCert, &strange, Up, "", ""},
		} {
			t.Run(tls.VersionName(version)+"/"+tt.name, func(t *testing.T) {
				server.Tune(demanding(ca, version, tt.mode))
				c := tlsAt(server.Addr(), ca.PEM())
				if tt.own != nil {
					certificate, key := writePair(t, "", *tt.own, nil)
					c.ClientCert, c.ClientKey = certificate, secret.New(key)
				}
				r := run(t, c, 10*time.Second, loopback())
				wants(t, r, tt.status, tt.reason)
				if !strings.Contains(r.Detail, tt.says) {
					t.Error(r.Detail)
				}
				if asked := tt.own == nil; asked != (r.Facts["client_certificate"] != nil) {
					t.Errorf("facts %v", r.Facts)
				}
			})
		}
	}
}

// The same inside an HTTP check, where by TLS 1.3 the refusal comes in place of
// the answer.
func TestClientCertificateOverHTTP(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	own := must(ca.Issue(checkstest.Leaf{Names: []string{"prober.example"}, ForClients: true}))(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, protocol := range []string{"http/1.1", "h2"} {
			server := httptest.NewUnstartedServer(http.HandlerFunc(page))
			server.EnableHTTP2 = protocol == "h2"
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			demanding(ca, version, tls.RequireAndVerifyClientCert)(server.TLS)
			server.StartTLS()
			h := httpAt(server.URL)
			h.CA = ca.PEM()
			wants(t, run(t, h, 10*time.Second, loopback()), Down, TLSHandshake)
			h = httpAt(server.URL)
			certificate, key := writePair(t, "", own, nil)
			h.CA, h.ClientCert, h.ClientKey = ca.PEM(), certificate, secret.New(key)
			wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
			server.Close()
		}
	}
}

func TestTrustFaults(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	certificate, key := writePair(t, "", cert, nil)
	_, otherKey := writePair(t, "", must(ca.Issue(checkstest.Leaf{}))(t), nil)
	for _, tt := range []struct {
		name, cert, key, path, says string
	}{
		{"neither", "", "", "", ""},
		{"a pair", certificate, key, "", ""},
		{"no key", certificate, "", "client_cert", "without client_key"},
		{"no certificate", "", key, "client_key", "without client_cert"},
		{"no pair", certificate, otherKey, "client_cert", "no pair"},
		{"rubbish", "x", "y", "client_cert", "no pair"},
	} {
		trust := &Trust{ClientCert: tt.cert, ClientKey: secret.New(tt.key)}
		faults := trust.faults()
		if len(faults) == 0 && tt.path == "" {
			continue
		}
		if len(faults) != 1 || faults[0].Path != tt.path || !strings.Contains(faults[0].Message, tt.says) || strings.Contains(faults[0].Message, "PRIVATE KEY") {
			t.Errorf("%s: %v", tt.name, faults)
		}
	}
}

// One backend with the old certificate, which is still good.
func TestTLSOfEveryAddress(t *testing.T) {
	ca := must(checkstest.NewCA())(t)
	fresh := must(ca.Issue(checkstest.ExpiringIn(80*24*time.Hour, "several.test")))(t)
	old := must(ca.Issue(checkstest.ExpiringIn(20*24*time.Hour, "several.test")))(t)
	older := must(ca.Issue(checkstest.ExpiringIn(5*24*time.Hour, "several.test")))(t)
	expired := must(ca.Issue(checkstest.ExpiringIn(-time.Hour, "several.test")))(t)
	first := opened(checkstest.NewTLSAt("127.0.0.1:0", fresh))(t)
	_, port, _ := net.SplitHostPort(first.Addr())
	second := opened(checkstest.NewTLSAt("127.0.0.2:"+port, fresh))(t)
	env := several(t, "127.0.0.1", "127.0.0.2")
	for _, tt := range []struct {
		name   string
		cert   tls.Certificate
		fault  checkstest.TLSFault
		expect TLSExpect
		status Status
		reason Reason
		says   string
	}{
		{name: "the same", cert: fresh, expect: TLSExpect{SameCertificate: true}, status: Up},
		{name: "an old one", cert: old, expect: TLSExpect{SameCertificate: true}, status: Degraded, reason: TLSDiffers, says: "127.0.0.2 until " + old.Leaf.NotAfter.Format("2006-01-02")},
		{name: "one that ends soon", cert: older, expect: TLSExpect{SameCertificate: true}, status: Degraded, reason: TLSDiffers, says: "127.0.0.2 until"},
		{name: "an old one, as meant", cert: old, status: Up},
		{name: "one that ends soon, as meant", cert: older, status: Degraded, reason: TLSExpiresSoon},
		{name: "an expired one", cert: expired, expect: TLSExpect{SameCertificate: true}, status: Degraded, reason: ConnectPartial, says: "127.0.0.2 (tls.expired)"},
		{name: "an expired one, all must work", cert: expired, expect: TLSExpect{AllAddresses: true}, status: Down, reason: ConnectPartial},
		{name: "none", cert: fresh, fault: checkstest.TLSReset, expect: TLSExpect{SameCertificate: true}, status: Degraded, reason: ConnectPartial},
	} {
		t.Run(tt.name, func(t *testing.T) {
			second.SetCertificate(tt.cert)
			second.SetFault(tt.fault)
			c := tlsAt("several.test:"+port, ca.PEM())
			c.IP, c.Expect = "each", tt.expect
			r := run(t, c, 10*time.Second, env)
			wants(t, r, tt.status, tt.reason)
			if !strings.Contains(r.Detail, tt.says) {
				t.Error(r.Detail)
			}
			if lines, ok := r.Facts["addresses"].([]string); !ok || len(lines) != 2 {
				t.Errorf("addresses %v", r.Facts["addresses"])
			}
		})
	}
	c := tlsAt("several.test:"+port, ca.PEM())
	c.Expect.AllAddresses = true
	if faults := c.Faults(); len(faults) != 1 || faults[0].Path != "expect.all_addresses" {
		t.Errorf("faults %v", faults)
	}
}
