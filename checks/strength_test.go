package checks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
)

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	return must(rsa.GenerateKey(rand.Reader, bits))(t)
}

func TestTLSStrength(t *testing.T) {
	ca := must(checkstest.NewCA())(t)
	valid := must(ca.Issue(checkstest.Leaf{}))(t)
	strong2048 := must(ca.Issue(checkstest.Leaf{Key: rsaKey(t, 2048)}))(t)
	weak1024 := must(ca.Issue(checkstest.Leaf{Key: rsaKey(t, 1024)}))(t)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards := must(ca.Issue(checkstest.Leaf{Key: edKey}))(t)
	p384 := must(ca.Issue(checkstest.Leaf{Key: must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)}))(t)
	versions := func(least, most uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = least, most }
	}
	server := opened(checkstest.NewTLS(valid))(t)
	for _, tt := range []struct {
		name   string
		cert   tls.Certificate
		tune   func(*tls.Config)
		expect TLSExpect
		status Status
		reason Reason
		key    string
		says   string
	}{
		{name: "usual", cert: valid, status: Up, key: "ECDSA P-256"},
		{name: "strong and usual", cert: valid, expect: TLSExpect{Strong: true, MinVersion: "1.3"}, status: Up},
		{name: "RSA 2048", cert: strong2048, expect: TLSExpect{Strong: true}, status: Up, key: "RSA 2048"},
		{name: "RSA 1024", cert: weak1024, status: Degraded, reason: TLSWeak, key: "RSA 1024", says: "RSA 1024"},
		{name: "RSA 1024, strong", cert: weak1024, expect: TLSExpect{Strong: true}, status: Down, reason: TLSWeak},
		{name: "Ed25519", cert: edwards, status: Up, key: "Ed25519"},
		{name: "P-384", cert: p384, status: Up, key: "ECDSA P-384"},
		{name: "TLS 1.0", cert: valid, tune: versions(tls.VersionTLS10, tls.VersionTLS10), status: Degraded, reason: TLSWeak, says: "TLS 1.0"},
		{name: "TLS 1.1", cert: valid, tune: versions(tls.VersionTLS10, tls.VersionTLS11), status: Degraded, reason: TLSWeak, says: "TLS 1.1"},
		{name: "TLS 1.1, strong", cert: valid, tune: versions(tls.VersionTLS10, tls.VersionTLS11), expect: TLSExpect{Strong: true}, status: Down, reason: TLSWeak},
		{name: "TLS 1.1, 1.2 asked for", cert: valid, tune: versions(tls.VersionTLS10, tls.VersionTLS11), expect: TLSExpect{MinVersion: "1.2"}, status: Down, reason: TLSWeak, says: "expected TLS 1.2"},
		{name: "TLS 1.2, 1.3 asked for", cert: valid, tune: versions(0, tls.VersionTLS12), expect: TLSExpect{MinVersion: "1.3"}, status: Down, reason: TLSWeak, says: "expected TLS 1.3"},
		{name: "TLS 1.2", cert: valid, tune: versions(0, tls.VersionTLS12), status: Up},
		{name: "cipher without forward secrecy", cert: strong2048, tune: func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		}, status: Degraded, reason: TLSWeak, says: "TLS_RSA_WITH_AES_128_CBC_SHA"},
		{name: "3DES", cert: strong2048, tune: func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}
		}, status: Degraded, reason: TLSWeak, says: "3DES"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.SetCertificate(tt.cert)
			server.Tune(tt.tune)
			c := tlsAt(server.Addr(), ca.PEM())
			tt.expect.SameCertificate = true
			c.Expect = tt.expect
			r := run(t, c, 10*time.Second, loopback())
			wants(t, r, tt.status, tt.reason)
			if !strings.Contains(r.Detail, tt.says) || tt.key != "" && r.Facts["cert_key"] != tt.key {
				t.Errorf("%v: %s", r.Facts["cert_key"], r.Detail)
			}
		})
	}
}

// A signature that can be forged is weak, on whatever certificate but a root;
// Go refuses to make or check them, so this one only says that it is.
func TestWeakSignatures(t *testing.T) {
	_, cert := issue(t, checkstest.Leaf{})
	state := new(tls.ConnectionState)
	for _, der := range cert.Certificate {
		state.PeerCertificates = append(state.PeerCertificates, must(x509.ParseCertificate(der))(t))
	}
	served := state.PeerCertificates
	if weak := weaklySigned(served); weak != nil {
		t.Errorf("%v is weak", weak.SignatureAlgorithm)
	}
	served[1].SignatureAlgorithm = x509.SHA1WithRSA
	if weak := weaklySigned(served); weak != served[1] {
		t.Error("an intermediate signed with SHA-1 is not weak")
	}
	if f := judgeChain(served, x509.UnknownAuthorityError{}, time.Now()); f.status != Down || f.reason != TLSWeak || !strings.Contains(f.detail, "SHA1-RSA") {
		t.Errorf("%+v", f)
	}
	served[1].RawIssuer = served[1].RawSubject // a root
	if weak := weaklySigned(served); weak != nil {
		t.Error("a root's own signature counts")
	}
}
