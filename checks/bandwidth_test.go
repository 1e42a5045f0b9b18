package checks

import (
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
)

func slowly(url string, p Profile) *Bandwidth {
	b := newBandwidth()
	b.URL, b.Profile = url, p
	return b
}

func TestBandwidthTimes(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	plain := opened(checkstest.NewHTTP())(t)
	secured := opened(checkstest.NewHTTPS(cert))(t)
	const size = 100_000
	body := strings.Repeat("0123456789", size/10)
	plain.SetPath("/", checkstest.Behaviour{Body: body})
	plain.SetPath("/moved", checkstest.Behaviour{Status: 302, Header: http.Header{"Location": {"/"}}})
	secured.Set(checkstest.Behaviour{Body: body})
	p := Profile{DownKbps: 2000, UpKbps: 1000, RTTMS: 60}
	transfer := float64(size) * 8 / p.DownKbps // ms
	for _, tt := range []struct {
		name, url string
		turns     float64
	}{
		{"http", plain.URL() + "/", 2},          // connect, request
		{"https", secured.URL(), 3},             // and a handshake
		{"redirect", plain.URL() + "/moved", 3}, // and a second request on the connection
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := slowly(tt.url, p)
			b.CA, b.Expect.BodyContains = ca.PEM(), []string{"0123456789"}
			r := run(t, b, 20*time.Second, loopback())
			wants(t, r, Up, "")
			// Headers and certificates are some KB on top; a busy machine is late.
			least := transfer*0.97 + tt.turns*p.RTTMS - 10
			if most := transfer*1.03 + tt.turns*p.RTTMS + 60; r.TookMS < least || r.TookMS > most+lateness {
				t.Errorf("took %v ms, want %v to %v", r.TookMS, least, most)
			}
			if rate := r.Facts["down_kbps"].(float64); rate > p.DownKbps*1.1 || rate < p.DownKbps*0.97-lateness {
				t.Errorf("at %v kbit/s", rate)
			}
			if rtt := r.Facts["rtt_ms"].(float64); rtt < p.RTTMS || rtt > p.RTTMS+20+lateness {
				t.Errorf("round trip %v ms", rtt)
			}
			if r.Facts["asked_down_kbps"] != p.DownKbps || r.Facts["bytes"].(int64) < size || r.Facts["http_version"] != "1.1" {
				t.Errorf("facts %v", r.Facts)
			}
			sumsUp(t, r)
		})
	}
}

// lateness is what a busy machine may add, in ms.
const lateness = 400

func TestBandwidthExpectations(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	server.Set(checkstest.Behaviour{Body: strings.Repeat("x", 30_000)})
	p := Profile{DownKbps: 2000, UpKbps: 1000, RTTMS: 20}
	for _, tt := range []struct {
		name   string
		expect func(*BandwidthExpect)
		status Status
		reason Reason
	}{
		{"nothing", func(e *BandwidthExpect) {}, Up, ""},
		{"within", func(e *BandwidthExpect) { e.Within = 100 * time.Millisecond }, Degraded, SlowTotal},
		{"first byte", func(e *BandwidthExpect) { e.FirstByteWithin = 30 * time.Millisecond }, Degraded, SlowFirstByte},
		{"body", func(e *BandwidthExpect) { e.Within, e.BodyContains = time.Millisecond, []string{"y"} }, Down, ContentMismatch},
		{"status", func(e *BandwidthExpect) { e.Status = []StatusRange{{404, 404}} }, Down, HTTPStatus},
	} {
		b := slowly(server.URL(), p)
		tt.expect(&b.Expect)
		r := run(t, b, 20*time.Second, loopback())
		if r.Status != tt.status || r.Reason != tt.reason {
			t.Errorf("%s: %s %s (%s)", tt.name, r.Status, r.Reason, r.Detail)
		}
	}

	// A server slower than the link is what min_kbps finds.
	server.Set(checkstest.Behaviour{Fault: checkstest.Drip, Every: 2 * time.Millisecond, Body: strings.Repeat("x", 200)})
	b := slowly(server.URL(), p)
	b.Expect.MinKbps = 1000
	wants(t, run(t, b, 20*time.Second, loopback()), Degraded, SlowRate)

	// The timeout holds however slow the link is.
	server.Set(checkstest.Behaviour{Body: strings.Repeat("x", 100_000)})
	b = slowly(server.URL(), Profile{"", 100, 100, 20, 0})
	wants(t, run(t, b, 500*time.Millisecond, loopback()), Down, HTTPTimeout)
	b = slowly(server.URL(), Profile{"", 100, 100, 5000, 0})
	wants(t, run(t, b, 300*time.Millisecond, loopback()), Down, ConnectTimeout)
}

func TestBandwidthFaultsOfOptions(t *testing.T) {
	for _, tt := range []struct {
		set  func(*Bandwidth)
		path string
	}{
		{func(b *Bandwidth) {}, ""},
		{func(b *Bandwidth) { b.Profile = Profile{} }, "profile"},
		{func(b *Bandwidth) { b.URL = "" }, "url"},
		{func(b *Bandwidth) { b.Expect.MinKbps = math.NaN() }, "expect.min_kbps"},
		{func(b *Bandwidth) { b.Expect.MinKbps = 1600 }, "expect.min_kbps"},
		{func(b *Bandwidth) { b.Expect.FirstByteWithin = -1 }, "expect.first_byte_within"},
		{func(b *Bandwidth) { b.Expect.Within = -1 }, "expect.within"},
	} {
		b := slowly("https://example.com/", pt(t, "slow-4g"))
		tt.set(b)
		faults := b.Faults()
		if tt.path == "" && len(faults) > 0 || tt.path != "" && (len(faults) != 1 || faults[0].Path != tt.path) {
			t.Errorf("%v, want one at %q", faults, tt.path)
		}
	}
}

// HTTP/3 goes over the same slow network, datagram by datagram. Its congestion
// control needs some round trips to find the rate.
func TestBandwidthOverQUIC(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	const size = 300_000
	server := opened(checkstest.NewHTTP3(cert, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("0123456789", size/10))
	})))(t)
	p := Profile{DownKbps: 2000, UpKbps: 1000, RTTMS: 60}
	b := slowly(server.URL()+"/", p)
	b.CA, b.Version, b.Expect.BodyContains = ca.PEM(), HTTP3, []string{"0123456789"}
	if faults := b.Faults(); len(faults) > 0 {
		t.Fatal(faults)
	}
	wants(t, run(t, overQUIC(ca, server.URL()), 20*time.Second, loopback()), Up, "") // the server has begun its work
	before := runtime.NumGoroutine()
	r := run(t, b, 20*time.Second, loopback())
	wants(t, r, Up, "")
	least := float64(size)*8/p.DownKbps*0.97 + 2*p.RTTMS - 10 // a handshake and the request
	if most := 1.5*least + lateness; r.TookMS < least || r.TookMS > most {
		t.Errorf("took %v ms, want %v to %v", r.TookMS, least, most)
	}
	if rate := r.Facts["down_kbps"].(float64); rate > p.DownKbps*1.1 || rate < p.DownKbps*0.6 {
		t.Errorf("at %v kbit/s", rate)
	}
	if rtt := r.Facts["rtt_ms"].(float64); rtt < p.RTTMS || rtt > p.RTTMS+40+lateness {
		t.Errorf("round trip %v ms", rtt)
	}
	if r.Facts["http_version"] != "3" {
		t.Errorf("facts %v", r.Facts)
	}
	sumsUp(t, r)
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
		}
	}
}
