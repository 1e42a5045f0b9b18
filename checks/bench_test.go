package checks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nines/checks/checkstest"
)

// The benchmarks run a check's whole way, over loopback, beside the same work
// done by nothing but the library that it rests on. The server's share is in
// both. Compare within one run: the machines differ.

var benchEnv = &Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// reportCPU reports the processor time of one operation, which a busy machine
// does not change as it does the time that passes.
func reportCPU(b *testing.B) {
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.Cleanup(func() {
		syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		b.ReportMetric(float64(used)/1000/float64(b.N), "cpu-µs/op")
	})
}

func benchRuns(b *testing.B, spec Spec) {
	b.Helper()
	reportCPU(b)
	b.ReportAllocs()
	slot := time.Now()
	var bad atomic.Pointer[Result]
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r := spec.Run(context.Background(), benchEnv, slot); r.Status != Up {
				bad.Store(&r)
			}
		}
	})
	if r := bad.Load(); r != nil {
		b.Fatalf("not up: %s %s", r.Reason, r.Detail)
	}
}

func page(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<h1>Welcome</h1>") }

func BenchmarkHTTP(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(page))
	defer server.Close()
	b.Run("check", func(b *testing.B) {
		h := newHTTP()
		h.URL = server.URL
		h.Expect.BodyContains = []string{"Welcome"}
		benchRuns(b, Spec{Name: "bench", Kind: "http", Every: time.Minute, Timeout: 10 * time.Second, Options: h})
	})
	b.Run("net-http", func(b *testing.B) {
		benchNetHTTP(b, server.URL, &http.Transport{DisableKeepAlives: true})
	})
}

func benchNetHTTP(b *testing.B, url string, transport *http.Transport) {
	reportCPU(b)
	b.ReportAllocs()
	client := &http.Client{Transport: transport}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Get(url)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}

func BenchmarkHTTPS(b *testing.B) {
	ca, err := checkstest.NewCA()
	if err != nil {
		b.Fatal(err)
	}
	cert, err := ca.Issue(checkstest.Leaf{})
	if err != nil {
		b.Fatal(err)
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(page))
		server.EnableHTTP2 = protocol == "h2"
		server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		server.StartTLS()
		defer server.Close()
		b.Run("check/"+protocol, func(b *testing.B) {
			h := newHTTP()
			h.URL, h.CA = server.URL, ca.PEM()
			benchRuns(b, Spec{Name: "bench", Kind: "http", Every: time.Minute, Timeout: 10 * time.Second, Options: h})
		})
		b.Run("net-http/"+protocol, func(b *testing.B) {
			trust := &Trust{CA: ca.PEM()}
			trust.verify(cert.Leaf, verifyNothing) // makes the pool
			benchNetHTTP(b, server.URL, &http.Transport{
				DisableKeepAlives: true, ForceAttemptHTTP2: protocol == "h2",
				TLSClientConfig: &tls.Config{RootCAs: trust.private},
			})
		})
	}
}

func BenchmarkTLS(b *testing.B) {
	ca, err := checkstest.NewCA()
	if err != nil {
		b.Fatal(err)
	}
	cert, err := ca.Issue(checkstest.Leaf{})
	if err != nil {
		b.Fatal(err)
	}
	server, err := checkstest.NewTLS(cert)
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	b.Run("check", func(b *testing.B) {
		t := newTLS()
		t.Address, t.CA = server.Addr(), ca.PEM()
		benchRuns(b, Spec{Name: "bench", Kind: "tls", Every: time.Minute, Timeout: 10 * time.Second, Options: t})
	})
	b.Run("crypto-tls", func(b *testing.B) {
		reportCPU(b)
		b.ReportAllocs()
		trust := &Trust{CA: ca.PEM()}
		trust.verify(cert.Leaf, verifyNothing)
		config := &tls.Config{RootCAs: trust.private, ServerName: "127.0.0.1"}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				conn, err := tls.Dial("tcp", server.Addr(), config)
				if err != nil {
					b.Error(err)
					return
				}
				conn.Close()
			}
		})
	})
}

func BenchmarkDNS(b *testing.B) {
	server, err := checkstest.NewDNS("example.test. 60 IN A 192.0.2.10")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	b.Run("check", func(b *testing.B) {
		d := newDNS()
		d.Domain, d.Server = "example.test", Servers{server.Addr()}
		d.Expect.Answer = []string{"192.0.2.10"}
		benchRuns(b, Spec{Name: "bench", Kind: "dns", Every: time.Minute, Timeout: 10 * time.Second, Options: d})
	})
	b.Run("miekg-dns", func(b *testing.B) {
		reportCPU(b)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				msg := new(dns.Msg).SetQuestion("example.test.", dns.TypeA)
				if _, err := dns.Exchange(msg, server.Addr()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("socket", func(b *testing.B) {
		reportCPU(b)
		wire, err := new(dns.Msg).SetQuestion("example.test.", dns.TypeA).Pack()
		if err != nil {
			b.Fatal(err)
		}
		b.RunParallel(func(pb *testing.PB) {
			buf := make([]byte, 4096)
			for pb.Next() {
				conn, err := net.Dial("udp", server.Addr())
				if err != nil {
					b.Error(err)
					return
				}
				conn.Write(wire)
				conn.Read(buf)
				conn.Close()
			}
		})
	})
}

// A link so fast that what is measured is the throttle itself.
func BenchmarkBandwidth(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(page))
	defer server.Close()
	b.Run("check", func(b *testing.B) {
		o := newBandwidth()
		o.URL, o.Profile = server.URL, Profile{DownKbps: 1e6, UpKbps: 1e6}
		benchRuns(b, Spec{Name: "bench", Kind: "bandwidth", Every: time.Minute, Timeout: 10 * time.Second, Options: o})
	})
	b.Run("net-http", func(b *testing.B) {
		benchNetHTTP(b, server.URL, &http.Transport{DisableKeepAlives: true})
	})
}

// What the guard of HTTP/2 costs, a frame of 16 KiB at a time.
func BenchmarkGuardFrames(b *testing.B) {
	frame := append([]byte{0, 0x40, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 16<<10)...)
	buf := make([]byte, 4<<10)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		g := guardFrames(&pieces{reader: bytes.NewReader(frame)}, maxBody)
		for {
			if _, err := g.Read(buf); err != nil {
				break
			}
		}
	}
}

var verifyNothing = x509.VerifyOptions{}

// What expectations of the content cost, beside the request.
func BenchmarkExpectations(b *testing.B) {
	body := `{"status": "ok", "total": 3, "items": [` + strings.Repeat(`{"id": 1, "price": 9.5, "name": "tea"},`, 50) + `{"id": 2}]}`
	e := HTTPExpect{
		JSON:         map[string]JSONExpect{"$.status": equalsJSON(b, `"ok"`), "$.items[0].price": {Min: new(1.0)}, "$..id": {Min: new(1.0)}, "$.error": {Absent: new(true)}},
		Expr:         []Expression{expression(b, `json.total > 0 && all(json.items, .id > 0)`)},
		BodyContains: []string{"tea"},
	}
	b.ReportAllocs()
	for b.Loop() {
		if f := e.judge(answered(body)); f.status != "" {
			b.Fatal(f.detail)
		}
	}
}
