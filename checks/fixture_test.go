package checks

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"nines/checks/checkstest"
)

// loopback is an Env that may reach 127.0.0.0/8.
func loopback() *Env { return &Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}} }

// must returns v, or ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// opened is must for what has to be closed at the test's end.
func opened[T interface{ Close() error }](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { v.Close() })
		return v
	}
}

// run runs options once as a check does, second try included.
func run(t testing.TB, options Options, timeout time.Duration, env *Env) Result {
	t.Helper()
	for _, f := range options.Faults() {
		t.Fatalf("%s: %s", f.Path, f.Message)
	}
	spec := Spec{Name: "test", Kind: "test", Every: time.Minute, Timeout: timeout, Options: options}
	start := time.Now()
	r := spec.Run(context.Background(), env, start)
	// Half a second is for a machine that has other things to do.
	if took, most := time.Since(start), timeout+timeout/10+500*time.Millisecond; took > most {
		t.Errorf("the run took %v, more than %v", took, most)
	}
	r.Region, r.Prober = "here", "here"
	if err := r.Validate(); err != nil {
		t.Errorf("not a valid result: %v", err)
	}
	if (r.Reason == "") != (r.Status == Up) || r.Reason != "" && !r.Reason.Known() {
		t.Errorf("%s with reason %q", r.Status, r.Reason)
	}
	return r
}

// wants checks status and reason.
func wants(t testing.TB, r Result, status Status, reason Reason) {
	t.Helper()
	if r.Status != status || r.Reason != reason {
		t.Errorf("got %s %q (%s), want %s %q", r.Status, r.Reason, r.Detail, status, reason)
	}
}

// httpAt returns options of kind http for a URL.
func httpAt(url string) *HTTP {
	h := newHTTP()
	h.URL = url
	return h
}

// freePort returns an address on which nothing listens.
func freePort(t testing.TB) string {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	return l.Addr().String()
}

// issue makes an authority and one certificate of it.
func issue(t testing.TB, leaf checkstest.Leaf) (*checkstest.CA, tls.Certificate) {
	t.Helper()
	ca := must(checkstest.NewCA())(t)
	return ca, must(ca.Issue(leaf))(t)
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func itoa(n uint16) string { return strconv.Itoa(int(n)) }

func tlsConfig(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// serveHTTPVersion serves one version of HTTP over TLS until the test ends.
func serveHTTPVersion(t testing.TB, cert tls.Certificate, version int, handler http.Handler) string {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(version == 1)
	protocols.SetHTTP2(version == 2)
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = version == 2
	server.Config.Protocols = protocols
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
