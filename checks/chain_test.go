package checks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
)

// signer signs a certificate of the given subject for the key.
func signer(t testing.TB, subject, issuer string, key *ecdsa.PublicKey, by *ecdsa.PrivateKey, number int64) []byte {
	t.Helper()
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	return must(x509.CreateCertificate(rand.Reader, template(subject), template(issuer), key, by))(t)
}

func p256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
}

// What a server shows is bounded, whatever it shows.
func TestHugeChains(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	server := opened(checkstest.NewTLS(cert))(t)
	key := p256(t)
	one := signer(t, "Filler", "Filler", &key.PublicKey, key, 1)
	filled := func(n int, before bool) tls.Certificate {
		c := cert
		c.Certificate = [][]byte{cert.Certificate[0]}
		if before {
			c.Certificate = append(c.Certificate, cert.Certificate[1])
		}
		for range n {
			c.Certificate = append(c.Certificate, one)
		}
		if !before {
			c.Certificate = append(c.Certificate, cert.Certificate[1])
		}
		return c
	}
	for _, tt := range []struct {
		name   string
		cert   tls.Certificate
		status Status
		reason Reason
		length any
		says   string
	}{
		{"500 needless ones", filled(500, true), Up, "", 502, ""},
		{"500 before the one that counts", filled(500, false), Down, TLSUntrusted, 502, "502 certificates"},
		{"1000", filled(1000, true), Down, TLSHandshake, nil, "exceeds"},
	} {
		server.SetCertificate(tt.cert)
		c := tlsAt(server.Addr(), ca.PEM())
		r := run(t, c, 10*time.Second, loopback())
		if r.Status != tt.status || r.Reason != tt.reason || r.Facts["chain_length"] != tt.length || !strings.Contains(r.Detail, tt.says) {
			t.Errorf("%s: %s %s (%s), chain of %v", tt.name, r.Status, r.Reason, r.Detail, r.Facts["chain_length"])
		}
		if names, ok := r.Facts["chain_served"].([]string); ok && len(names) > maxServed {
			t.Errorf("%s: reports %d certificates", tt.name, len(names))
		}
	}
}

// Authorities that all vouch for each other, under one name with one key, make
// for as many paths as there are orders of them. The search ends.
func TestChainsThatExplode(t *testing.T) {
	key := p256(t)
	leafKey := p256(t)
	leaf := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().AddDate(0, 0, -1), NotAfter: time.Now().AddDate(0, 0, 90),
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "Maze"}}, &leafKey.PublicKey, key))(t)
	cert := tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: leafKey}
	for i := range 200 {
		cert.Certificate = append(cert.Certificate, signer(t, "Maze", "Maze", &key.PublicKey, key, int64(i)+2))
	}
	for i := range 100 { // and different keys under one name, of which none fits
		wrong := p256(t)
		cert.Certificate = append(cert.Certificate, signer(t, "Maze", "Maze", &wrong.PublicKey, key, int64(i)+500))
	}
	server := opened(checkstest.NewTLS(cert))(t)
	c := tlsAt(server.Addr(), must(checkstest.NewCA())(t).PEM())
	c.ServerName = "localhost"
	wants(t, run(t, c, time.Second, loopback()), Down, TLSUntrusted)
}

// Whether a certificate is left out or the authority is a stranger.
func TestIncompleteOrUntrusted(t *testing.T) {
	rootKey, upperKey, leafKey := p256(t), p256(t), p256(t)
	root := signer(t, "Root", "Root", &rootKey.PublicKey, rootKey, 1)
	upper := signer(t, "Upper", "Root", &upperKey.PublicKey, rootKey, 2)
	leaf := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(3), DNSNames: []string{"localhost"}, NotBefore: time.Now().AddDate(0, 0, -1), NotAfter: time.Now().AddDate(0, 0, 90),
		IssuingCertificateURL: []string{"http://authority.example/upper.cer"},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "Upper"}}, &leafKey.PublicKey, upperKey))(t)
	stranger := must(checkstest.NewCA())(t)
	for _, tt := range []struct {
		name   string
		chain  [][]byte
		reason Reason
		says   string
	}{
		{"leaf alone", [][]byte{leaf}, TLSIncomplete, "it is at http://authority.example/upper.cer"},
		{"leaf and root", [][]byte{leaf, root}, TLSIncomplete, "CN=Upper"},
		{"leaf and upper", [][]byte{leaf, upper}, TLSUntrusted, "leads to CN=Root"},
		{"all", [][]byte{leaf, upper, root}, TLSUntrusted, "leads to CN=Root"},
		{"all, in another order", [][]byte{leaf, root, upper}, TLSUntrusted, "leads to CN=Root"},
	} {
		state := new(tls.ConnectionState)
		for _, der := range tt.chain {
			state.PeerCertificates = append(state.PeerCertificates, must(x509.ParseCertificate(der))(t))
		}
		if _, f := (&Trust{CA: stranger.PEM()}).judge(state, "localhost", time.Now()); f.reason != tt.reason || !strings.Contains(f.detail, tt.says) {
			t.Errorf("%s: %s (%s)", tt.name, f.reason, f.detail)
		}
	}
}

// Facts of the chain: as served, as built, and when the first of it ends.
func TestChainFacts(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{To: time.Now().AddDate(20, 0, 0)})
	server := opened(checkstest.NewTLS(cert))(t)
	r := run(t, tlsAt(server.Addr(), ca.PEM()), 10*time.Second, loopback())
	intermediate := must(x509.ParseCertificate(cert.Certificate[1]))(t)
	if got := strings.Join(r.Facts["chain_built"].([]string), " < "); got != "CN=localhost < CN=Test Intermediate,O=nines test authority < CN=Test Root,O=nines test authority" {
		t.Error(got)
	}
	if got := strings.Join(r.Facts["chain_served"].([]string), " < "); got != "CN=localhost < CN=Test Intermediate,O=nines test authority" {
		t.Error(got)
	}
	if ends := intermediate.NotAfter.UTC().Format(time.RFC3339); r.Facts["chain_expires"] != ends || r.Facts["cert_expires"] != ends {
		t.Errorf("ends %v and %v, not %s", r.Facts["chain_expires"], r.Facts["cert_expires"], ends)
	}
	for name, want := range map[string]any{
		"cert_not_before": cert.Leaf.NotBefore.UTC().Format(time.RFC3339), "cert_serial": cert.Leaf.SerialNumber.Text(16), "cert_signature": "ECDSA-SHA256",
		"must_staple": false, "ocsp": "none",
	} {
		if r.Facts[name] != want {
			t.Errorf("%s is %v, want %v", name, r.Facts[name], want)
		}
	}
	if sum, _ := r.Facts["cert_sha256"].(string); len(sum) != 64 {
		t.Errorf("fingerprint %q", sum)
	}
}

// A clock that cannot be right makes dates say nothing.
func TestImplausibleClock(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	server := opened(checkstest.NewTLS(cert))(t)
	env := loopback()
	env.Now = func() time.Time { return time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) }
	wants(t, run(t, tlsAt(server.Addr(), ca.PEM()), 10*time.Second, env), Unknown, ProberClock)
	insecure := tlsAt(server.Addr(), "")
	insecure.Insecure, insecure.Expect.ValidFor = true, span(time.Hour)
	wants(t, run(t, insecure, 10*time.Second, env), Unknown, ProberClock)
}

// Of two ways to a root the one that lasts longer counts, with its weakest part.
func TestTheLongerChainCounts(t *testing.T) {
	now := time.Now()
	until := func(days int) *x509.Certificate {
		return &x509.Certificate{NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(0, 0, days)}
	}
	leaf := until(80)
	short := []*x509.Certificate{leaf, until(10), until(900)}
	long := []*x509.Certificate{leaf, until(60), until(900)}
	for _, chains := range [][][]*x509.Certificate{{short, long}, {long, short}} {
		chain, ends := lasting(chains)
		if !ends.Equal(now.AddDate(0, 0, 60)) || chain[1] != long[1] {
			t.Errorf("lasts until %v", ends)
		}
		if valid := validAt(chains, now.AddDate(0, 0, 30)); len(valid) != 1 || valid[0][1] != long[1] {
			t.Errorf("%d chains are left after the first has ended", len(valid))
		}
		if valid := validAt(chains, now.AddDate(0, 0, 70)); len(valid) != 0 {
			t.Errorf("%d chains are left after both have ended", len(valid))
		}
	}
}
