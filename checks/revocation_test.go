package checks

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"nines/checks/checkstest"
)

func TestStaple(t *testing.T) {
	ca := must(checkstest.NewCA())(t)
	other := must(checkstest.NewCA())(t)
	plain := must(ca.Issue(checkstest.Leaf{}))(t)
	demanding := must(ca.Issue(checkstest.Leaf{MustStaple: true}))(t)
	server := opened(checkstest.NewTLS(plain))(t)
	past, soon := time.Now().AddDate(0, 0, -8), time.Now().Add(time.Hour)
	staple := func(ca *checkstest.CA, cert tls.Certificate, s checkstest.Staple) []byte {
		return must(ca.Staple(cert.Leaf, s))(t)
	}
	for _, tt := range []struct {
		name   string
		cert   tls.Certificate
		staple []byte
		set    func(*TLS)
		status Status
		reason Reason
		word   string
		says   string
	}{
		{name: "none", cert: plain, status: Up, word: "none"},
		{name: "good", cert: plain, staple: staple(ca, plain, checkstest.Staple{}), status: Up, word: "good"},
		{name: "good by a responder", cert: plain, staple: staple(ca, plain, checkstest.Staple{Delegated: true}), status: Up, word: "good"},
		{name: "revoked", cert: plain, staple: staple(ca, plain, checkstest.Staple{Status: ocsp.Revoked}), status: Down, reason: TLSRevoked, word: "revoked", says: "because its key was compromised"},
		{name: "revoked, insecure", cert: plain, staple: staple(ca, plain, checkstest.Staple{Status: ocsp.Revoked}), set: func(c *TLS) { c.Insecure = true }, status: Up},
		{name: "revoked, off", cert: plain, staple: staple(ca, plain, checkstest.Staple{Status: ocsp.Revoked}), set: func(c *TLS) { c.Revocation = "off" }, status: Up, word: "revoked"},
		{name: "revoked and stale", cert: plain, staple: staple(ca, plain, checkstest.Staple{Status: ocsp.Revoked, From: past}), status: Down, reason: TLSRevoked},
		{name: "stale", cert: plain, staple: staple(ca, plain, checkstest.Staple{From: past}), status: Degraded, reason: TLSStaple, word: "stale", says: "valid until"},
		{name: "of tomorrow", cert: plain, staple: staple(ca, plain, checkstest.Staple{From: soon}), status: Degraded, reason: TLSStaple, word: "stale", says: "valid from"},
		{name: "unknown", cert: plain, staple: staple(ca, plain, checkstest.Staple{Status: ocsp.Unknown}), status: Degraded, reason: TLSStaple, word: "unknown"},
		{name: "of another certificate", cert: plain, staple: staple(ca, demanding, checkstest.Staple{}), status: Degraded, reason: TLSStaple, word: "invalid"},
		{name: "of another authority", cert: plain, staple: staple(other, plain, checkstest.Staple{}), status: Degraded, reason: TLSStaple, word: "invalid"},
		{name: "revoked by another authority", cert: plain, staple: staple(other, plain, checkstest.Staple{Status: ocsp.Revoked}), status: Degraded, reason: TLSStaple, word: "invalid"},
		{name: "by no responder", cert: plain, staple: staple(ca, plain, checkstest.Staple{Impostor: true}), status: Degraded, reason: TLSStaple, word: "invalid", says: "did not make a responder"},
		{name: "by a stranger", cert: plain, staple: staple(ca, plain, checkstest.Staple{Stranger: true}), status: Degraded, reason: TLSStaple, word: "invalid", says: "does not vouch"},
		{name: "rubbish", cert: plain, staple: []byte("rubbish"), status: Degraded, reason: TLSStaple, word: "invalid"},
		{name: "demanded and there", cert: demanding, staple: staple(ca, demanding, checkstest.Staple{}), status: Up, word: "good"},
		{name: "demanded and missing", cert: demanding, status: Degraded, reason: TLSStaple, word: "none", says: "demands"},
		{name: "demanded and missing, off", cert: demanding, set: func(c *TLS) { c.Revocation = "off" }, status: Up, word: "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			served := tt.cert
			served.OCSPStaple = tt.staple
			server.SetCertificate(served)
			c := tlsAt(server.Addr(), ca.PEM())
			if tt.set != nil {
				tt.set(c)
			}
			for range 2 { // the second time from memory
				r := run(t, c, 10*time.Second, loopback())
				wants(t, r, tt.status, tt.reason)
				if tt.word != "" && r.Facts["ocsp"] != tt.word || !strings.Contains(r.Detail, tt.says) {
					t.Errorf("ocsp %v (%s)", r.Facts["ocsp"], r.Detail)
				}
			}
		})
	}
}

// An answer that was good a moment ago is looked at again by the clock.
func TestStapleGoesStale(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	cert.OCSPStaple = must(ca.Staple(cert.Leaf, checkstest.Staple{}))(t)
	server := opened(checkstest.NewTLS(cert))(t)
	c, env := tlsAt(server.Addr(), ca.PEM()), loopback()
	wants(t, run(t, c, 10*time.Second, env), Up, "")
	env.Now = func() time.Time { return time.Now().AddDate(0, 0, 8) }
	wants(t, run(t, c, 10*time.Second, env), Degraded, TLSStaple)
}

// lists is a web server of one list of revoked certificates.
type lists struct {
	data  atomic.Pointer[[]byte]
	asked atomic.Int32
	*httptest.Server
}

func newLists(t testing.TB) *lists {
	l := new(lists)
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.asked.Add(1)
		switch data := l.data.Load(); {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/moved", http.StatusFound)
		case data == nil:
			http.NotFound(w, r)
		default:
			w.Write(*data)
		}
	}))
	t.Cleanup(l.Close)
	return l
}

func TestRevocationList(t *testing.T) {
	ca := must(checkstest.NewCA())(t)
	other := must(checkstest.NewCA())(t)
	web := newLists(t)
	cert := must(ca.Issue(checkstest.Leaf{ListURL: web.URL + "/list"}))(t)
	number := []*big.Int{big.NewInt(77), cert.Leaf.SerialNumber}
	scope := func(flags string) []pkix.Extension {
		return []pkix.Extension{{Id: issuingPoint, Critical: true, Value: []byte("\x30" + string(byte(len(flags))) + flags)}}
	}
	point := func(url string) string {
		name := "\x86" + string(byte(len(url))) + url
		name = "\xa0" + string(byte(len(name))) + name
		return "\xa0" + string(byte(len(name))) + name
	}
	list := func(ca *checkstest.CA, l checkstest.List) []byte { return must(ca.List(l))(t) }
	for _, tt := range []struct {
		name   string
		list   []byte
		url    string // the list's own when empty
		status Status
		reason Reason
		word   string
		says   string
	}{
		{name: "empty", list: list(ca, checkstest.List{}), status: Up, word: "good"},
		{name: "others", list: list(ca, checkstest.List{Revoked: number[:1]}), status: Up, word: "good"},
		{name: "revoked", list: list(ca, checkstest.List{Revoked: number}), status: Down, reason: TLSRevoked, word: "revoked", says: "superseded"},
		{name: "old", list: list(ca, checkstest.List{From: time.Now().AddDate(0, 0, -8)}), status: Degraded, reason: TLSCRL, word: "unavailable", says: "valid until"},
		{name: "of tomorrow", list: list(ca, checkstest.List{From: time.Now().Add(time.Hour)}), status: Degraded, reason: TLSCRL, word: "unavailable", says: "valid from"},
		{name: "of another authority", list: list(other, checkstest.List{Revoked: number}), status: Degraded, reason: TLSCRL, word: "unavailable", says: "signature"},
		{name: "rubbish", list: []byte("rubbish"), status: Degraded, reason: TLSCRL, word: "unavailable", says: "no list"},
		{name: "missing", status: Degraded, reason: TLSCRL, word: "unavailable", says: "404"},
		{name: "too large", list: make([]byte, maxList+1), status: Degraded, reason: TLSCRL, word: "unavailable", says: "more than 8 MiB"},
		{name: "redirects for ever", url: web.URL + "/moved", status: Degraded, reason: TLSCRL, word: "unavailable", says: "redirects"},
		{name: "nobody there", url: "http://" + freePort(t), status: Degraded, reason: TLSCRL, word: "unavailable", says: "refused"},
		{name: "blocked", url: "http://10.0.0.1/", status: Degraded, reason: TLSCRL, word: "unavailable", says: "may not reach"},
		{name: "over LDAP", url: "ldap://example.com/", status: Up, word: "none"},
		{name: "delta", list: list(ca, checkstest.List{Extensions: []pkix.Extension{{Id: deltaIndicator, Critical: true, Value: []byte{2, 1, 1}}}}), status: Degraded, reason: TLSCRL, says: "delta"},
		{name: "unknown extension", list: list(ca, checkstest.List{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true}}}), status: Degraded, reason: TLSCRL, says: "1.2.3"},
		{name: "unknown extension of no weight", list: list(ca, checkstest.List{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}}}}), status: Up, word: "good"},
		{name: "of users", list: list(ca, checkstest.List{Extensions: scope("\x81\x01\xff")}), status: Up, word: "good"},
		{name: "of authorities", list: list(ca, checkstest.List{Extensions: scope("\x82\x01\xff")}), status: Degraded, reason: TLSCRL, says: "does not cover"},
		{name: "of some reasons", list: list(ca, checkstest.List{Extensions: scope("\x83\x02\x07\x80")}), status: Degraded, reason: TLSCRL, says: "some reasons"},
		{name: "indirect", list: list(ca, checkstest.List{Extensions: scope("\x84\x01\xff")}), status: Degraded, reason: TLSCRL, says: "indirect"},
		{name: "of a part", list: list(ca, checkstest.List{Extensions: scope(point(web.URL + "/list"))}), status: Up, word: "good"},
		{name: "of another part", list: list(ca, checkstest.List{Extensions: scope(point("http://a.example/2"))}), status: Degraded, reason: TLSCRL, says: "other certificates"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			web.data.Store(&tt.list)
			if tt.list == nil {
				web.data.Store(nil)
			}
			shown := cert
			if tt.url != "" {
				shown = must(ca.Issue(checkstest.Leaf{ListURL: tt.url}))(t)
			}
			server := opened(checkstest.NewTLS(shown))(t)
			c := tlsAt(server.Addr(), ca.PEM())
			c.Revocation = "crl"
			before := web.asked.Load()
			for range 3 {
				r := run(t, c, 10*time.Second, loopback())
				wants(t, r, tt.status, tt.reason)
				if tt.word != "" && r.Facts["crl"] != tt.word || !strings.Contains(r.Detail, tt.says) {
					t.Errorf("crl %v (%s)", r.Facts["crl"], r.Detail)
				}
				sumsUp(t, r)
			}
			if asked := web.asked.Load() - before; tt.url == "" && asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// A server of lists that hangs does not hold up the run past its end.
func TestRevocationListEnds(t *testing.T) {
	silent := opened(checkstest.NewTLS(tls.Certificate{}))(t)
	silent.SetFault(checkstest.TLSStall)
	ca, cert := issue(t, checkstest.Leaf{ListURL: "http://" + silent.Addr() + "/"})
	server := opened(checkstest.NewTLS(cert))(t)
	c := tlsAt(server.Addr(), ca.PEM())
	c.Revocation = "crl"
	wants(t, run(t, c, 500*time.Millisecond, loopback()), Degraded, TLSCRL)
}

// What is remembered of a list ends with the list, and after an hour.
func TestRevocationListIsForgotten(t *testing.T) {
	web := newLists(t)
	ca, cert := issue(t, checkstest.Leaf{ListURL: web.URL})
	data := must(ca.List(checkstest.List{}))(t)
	web.data.Store(&data)
	chain := []*x509.Certificate{cert.Leaf, must(x509.ParseCertificate(cert.Certificate[1]))(t)}
	var known revocationLists
	now := time.Now()
	for i, step := range []struct {
		at    time.Duration
		asked int32
	}{{0, 1}, {59 * time.Minute, 1}, {61 * time.Minute, 2}, {100 * time.Minute, 2}, {8 * 24 * time.Hour, 3}} {
		says := known.lookUp(t.Context(), loopback(), chain, now.Add(step.at))
		if asked := web.asked.Load(); asked != step.asked || (says.err != nil) != (i == 4) {
			t.Errorf("after %v: asked %d times, %+v", step.at, asked, says)
		}
	}
	for i := range 3 * maxHeard {
		known.lookUp(t.Context(), loopback(), []*x509.Certificate{{Raw: fmt.Append(nil, i)}, chain[1]}, now)
	}
	if n := len(known.known); n > maxHeard {
		t.Errorf("remembers %d certificates", n)
	}
}

func FuzzStaple(f *testing.F) {
	ca := must(checkstest.NewCA())(f)
	cert := must(ca.Issue(checkstest.Leaf{}))(f)
	issuer := must(x509.ParseCertificate(cert.Certificate[1]))(f)
	for _, s := range []checkstest.Staple{{}, {Status: ocsp.Revoked}, {Delegated: true}, {Impostor: true}, {Stranger: true}} {
		f.Add(must(ca.Staple(cert.Leaf, s))(f))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		said := new(Trust).readStaple(raw, []*x509.Certificate{cert.Leaf, issuer}, time.Now())
		// The authority's key is not in the corpus: what it did not sign is not believed.
		if said.word == ocspGood || said.word == ocspRevoked {
			if answer, err := parseStaple(raw, cert.Leaf, issuer, time.Now()); err != nil || answer.SerialNumber.Cmp(cert.Leaf.SerialNumber) != 0 {
				t.Errorf("%s: %v", said.word, err)
			}
		}
	})
}

func FuzzRevocationList(f *testing.F) {
	ca := must(checkstest.NewCA())(f)
	cert := must(ca.Issue(checkstest.Leaf{ListURL: "http://a.example/"}))(f)
	issuer := must(x509.ParseCertificate(cert.Certificate[1]))(f)
	for _, l := range []checkstest.List{{}, {Revoked: []*big.Int{cert.Leaf.SerialNumber}}, {Extensions: []pkix.Extension{{Id: issuingPoint, Critical: true, Value: []byte("\x30\x03\x81\x01\xff")}}}} {
		data := must(ca.List(l))(f)
		f.Add(data)
		f.Add([]byte("\x30\x03\x82\x01\xff"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		says, until, err := readList(data, cert.Leaf, issuer, time.Now())
		if err == nil && (until.Before(time.Now()) || says.err != nil) {
			t.Errorf("%+v until %v", says, until)
		}
		coversAll(data, cert.Leaf)
	})
}
