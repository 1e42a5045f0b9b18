package checks

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"nines/internal/peer"
	"nines/internal/secret"
)

func needBrowser(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	if !HasBrowser() {
		peer.Missing(t, "chromium is not installed")
	}
}

func pageAt(url string, p Profile) *Bandwidth {
	b := slowly(url, p)
	b.Page, b.Device = true, devices["phone"]
	return b
}

// heavyShop is a page of 30 KB and two pictures of 60 KB.
func heavyShop(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case strings.HasPrefix(r.URL.Path, "/picture"):
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/><!--%s--></svg>`, strings.Repeat("x", 60_000))
	case r.URL.Path == "/favicon.ico":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>Shop</title><meta name=viewport content="width=device-width"><h1>Welcome</h1>
<img src=/picture1.svg width=300 height=300><img src=/picture2.svg width=300 height=300><!--%s-->`, strings.Repeat("x", 30_000))
	}
}

// A page takes what the network asks for: the round trips of its way, and its
// bytes at the rate.
func TestPageTimes(t *testing.T) {
	needBrowser(t)
	server := httptest.NewServer(http.HandlerFunc(heavyShop))
	defer server.Close()
	p := Profile{DownKbps: 1000, UpKbps: 1000, RTTMS: 150}
	var kept []Artifact
	env := loopback()
	env.Keep = func(check string, slot time.Time, files []Artifact) string {
		kept = files
		return check + "/kept"
	}
	b := pageAt(server.URL, p)
	b.Expect.BodyContains = []string{"Welcome"}
	b.Expect.LoadWithin, b.Expect.NoConsoleErrors = 20*time.Second, true
	r := run(t, b, 40*time.Second, env)
	wants(t, r, Up, "")
	load, _ := r.Facts["load_ms"].(float64)
	// Connect, document, pictures: three round trips, and 150 KB on the wire.
	least := 3*p.RTTMS + 150_000*8/p.DownKbps
	if load < least*0.97 || load > least*1.1+4*lateness || r.TookMS != load {
		t.Errorf("loaded after %v ms, want about %v; took %v", load, least, r.TookMS)
	}
	if bytes, _ := r.Facts["bytes"].(int64); bytes < 150_000 || bytes > 160_000 {
		t.Errorf("%v bytes", r.Facts["bytes"])
	}
	first, _ := r.Facts["first_byte_ms"].(float64)
	parsed, _ := r.Facts["dom_content_loaded_ms"].(float64)
	lcp, _ := r.Facts["lcp_ms"].(float64)
	if first < 2*p.RTTMS*0.97 || parsed < first || parsed > load || lcp <= 0 {
		t.Errorf("first byte %v, parsed %v, painted %v, loaded %v", first, parsed, lcp, load)
	}
	if share, _ := r.Facts["throttled_share"].(float64); share < 0.3 || share > 1 {
		t.Errorf("throttled for %v of the time", share)
	}
	if kept != nil || r.Facts["artifact"] != nil {
		t.Error("something was kept of a good run")
	}
}

func TestPageExpectations(t *testing.T) {
	needBrowser(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/noisy":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<!doctype html><title>x</title>hi<script>nothing()</script>")
		case "/missing":
			http.NotFound(w, r)
		default:
			heavyShop(w, r)
		}
	}))
	defer server.Close()
	for _, tt := range []struct {
		name, path string
		set        func(*BandwidthExpect)
		status     Status
		reason     Reason
	}{
		{"load", "/", func(e *BandwidthExpect) { e.LoadWithin = time.Millisecond }, Degraded, SlowLoad},
		{"paint", "/", func(e *BandwidthExpect) { e.LCPWithin = time.Millisecond }, Degraded, SlowPaint},
		{"requests", "/", func(e *BandwidthExpect) { e.MaxRequests = 2 }, Degraded, SlowWeight},
		{"bytes", "/", func(e *BandwidthExpect) { e.MaxTransfer = 1000 }, Degraded, SlowWeight},
		{"console", "/noisy", func(e *BandwidthExpect) { e.NoConsoleErrors = true }, Degraded, SlowConsole},
		{"status", "/missing", func(e *BandwidthExpect) { e.LoadWithin = time.Millisecond }, Down, HTTPStatus},
	} {
		b := pageAt(server.URL+tt.path, profiles["fios"])
		tt.set(&b.Expect)
		var kept []string
		env := loopback()
		env.Keep = func(_ string, _ time.Time, files []Artifact) string {
			for _, f := range files {
				kept = append(kept, f.Ext)
			}
			return "kept"
		}
		r := run(t, b, 30*time.Second, env)
		if r.Status != tt.status || r.Reason != tt.reason || len(kept) != 2 || r.Facts["artifact"] != "kept" {
			t.Errorf("%s: %s %s (%s); kept %v", tt.name, r.Status, r.Reason, r.Detail, kept)
		}
	}
}

// What this prober may not reach, a page does not either; a page that cannot
// be reached says why as a request would.
func TestPageFailures(t *testing.T) {
	needBrowser(t)
	for _, tt := range []struct {
		name, url string
		env       *Env
		status    Status
		reason    Reason
	}{
		{"blocked", "http://127.0.0.1:8081/", &Env{}, Unknown, ProberBlocked},
		{"blocked by TLS", "https://10.1.2.3/", &Env{}, Unknown, ProberBlocked},
		{"localhost", "http://localhost:8081/", &Env{}, Unknown, ProberBlocked},
		{"refused", "http://" + freePort(t) + "/", loopback(), Down, ConnectRefused},
	} {
		r := run(t, pageAt(tt.url, profiles["fios"]), 20*time.Second, tt.env)
		if r.Status != tt.status || r.Reason != tt.reason {
			t.Errorf("%s: %s %s (%s)", tt.name, r.Status, r.Reason, r.Detail)
		}
	}
	secure := httptest.NewTLSServer(http.HandlerFunc(heavyShop))
	defer secure.Close()
	wants(t, run(t, pageAt(secure.URL, profiles["fios"]), 20*time.Second, loopback()), Down, TLSUntrusted)
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hang.Close()
	wants(t, run(t, pageAt(hang.URL, profiles["fios"]), 6*time.Second, loopback()), Down, HTTPTimeout)
}

func TestPageWithoutBrowser(t *testing.T) {
	t.Setenv("NINES_BROWSER", "/nonexistent/chromium")
	if HasBrowser() {
		t.Error("a browser was found")
	}
	wants(t, run(t, pageAt("https://example.com/", profiles["fios"]), time.Second, &Env{}), Unknown, ProberBrowser)
	// One that does not start is no better.
	t.Setenv("NINES_BROWSER", os.Args[0]+"-none")
	file := t.TempDir() + "/chromium"
	if err := os.WriteFile(file, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NINES_BROWSER", file)
	wants(t, run(t, pageAt("https://example.com/", profiles["fios"]), 5*time.Second, &Env{}), Unknown, ProberBrowser)
}

// More than two pages at once are the prober's fault.
func TestPagesAtOnce(t *testing.T) {
	needBrowser(t)
	for range cap(browsers) {
		browsers <- struct{}{}
	}
	defer func() {
		for range cap(browsers) {
			<-browsers
		}
	}()
	r := run(t, pageAt("https://example.com/", profiles["fios"]), time.Second, &Env{})
	wants(t, r, Unknown, ProberOverloaded)
}

func TestUpload(t *testing.T) {
	type got struct {
		method, kind string
		size         int64
	}
	seen := make(chan got, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		seen <- got{r.Method, r.Header.Get("Content-Type"), n}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	p := Profile{DownKbps: 8000, UpKbps: 2000, RTTMS: 60}
	b := slowly(server.URL, p)
	b.Upload, b.Method = 200_000, "PUT"
	b.Expect.MinKbps = 100
	r := run(t, b, 20*time.Second, loopback())
	wants(t, r, Up, "")
	if g := <-seen; g != (got{"PUT", "application/octet-stream", 200_000}) {
		t.Errorf("the server got %+v", g)
	}
	wire := 200_000 * 1514.0 / 1448
	least := 2*p.RTTMS + wire*8/p.UpKbps
	if r.TookMS < least*0.97 || r.TookMS > least*1.03+lateness {
		t.Errorf("took %v ms, want %v", r.TookMS, least)
	}
	if up, _ := r.Facts["up_kbps"].(float64); up > p.UpKbps*1.1 || up < p.UpKbps*0.5 {
		t.Errorf("%v kbit/s up", r.Facts["up_kbps"])
	}
	if up, _ := r.Facts["bytes_up"].(int64); up < 200_000 || up > 201_000 {
		t.Errorf("%v bytes up", up)
	}
	if b.Body != "" || b.Method != "PUT" {
		t.Error("the options were changed")
	}
}

func TestDeviceHeaders(t *testing.T) {
	seen := make(chan http.Header, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	defer server.Close()
	b := slowly(server.URL, profiles["fios"])
	b.Device = devices["phone"]
	wants(t, run(t, b, 10*time.Second, loopback()), Up, "")
	h := <-seen
	for name, want := range map[string]string{"User-Agent": devices["phone"].UserAgent, "Sec-Ch-Ua-Mobile": "?1", "Dpr": "1.75", "Viewport-Width": "412"} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	b = slowly(server.URL, profiles["fios"])
	b.Device = devices["tablet"]
	wants(t, run(t, b, 10*time.Second, loopback()), Up, "")
	if h := <-seen; h.Get("Dpr") != "" || !strings.Contains(h.Get("Accept"), "text/html") {
		t.Errorf("a tablet of Apple says %v", h)
	}
}

func TestPageFaultsOfOptions(t *testing.T) {
	for i, tt := range []struct {
		set  func(*Bandwidth)
		path string
	}{
		{func(b *Bandwidth) {}, ""},
		{func(b *Bandwidth) { b.Page, b.Expect.LoadWithin, b.Expect.MaxCLS = true, time.Second, 0.1 }, ""},
		{func(b *Bandwidth) { b.Expect.LoadWithin = time.Second }, "page"},
		{func(b *Bandwidth) { b.Page, b.Expect.LCPWithin = true, -1 }, "expect.lcp_within"},
		{func(b *Bandwidth) { b.Page, b.Expect.MaxCLS = true, -1 }, "expect.max_cls"},
		{func(b *Bandwidth) { b.Page, b.Expect.MaxRequests = true, 5000 }, "expect.max_requests"},
		{func(b *Bandwidth) { b.Page, b.Expect.MaxTransfer = true, 1<<40 }, "expect.max_transfer"},
		{func(b *Bandwidth) { b.Page, b.Method = true, "POST" }, "method"},
		{func(b *Bandwidth) { b.Page, b.Upload = true, 5 }, "upload"},
		{func(b *Bandwidth) { b.Page, b.Form = true, secrets("a", "b") }, "form"},
		{func(b *Bandwidth) { b.Page, b.Proxy = true, secret.New("http://proxy.example.com:3128") }, "proxy"},
		{func(b *Bandwidth) { b.Page, b.SameHost = true, true }, "same_host"},
		{func(b *Bandwidth) { b.Upload, b.Form = 5, secrets("a", "b") }, "upload"},
		{func(b *Bandwidth) { b.Page, b.Expect.ValidFor = true, span(5) }, "expect.valid_for"},
		{func(b *Bandwidth) { b.Page, b.Expect.MinKbps = true, 5 }, "expect.min_kbps"},
		{func(b *Bandwidth) { b.Upload = maxUpload + 1 }, "upload"},
		{func(b *Bandwidth) { b.Upload, b.Body = 5, "x" }, "upload"},
		{func(b *Bandwidth) { b.Upload, b.Method = 5, "HEAD" }, "method"},
		{func(b *Bandwidth) { b.Upload, b.Expect.MinKbps = 5, 750 }, "expect.min_kbps"},
		{func(b *Bandwidth) { b.Device = Device{Width: 5, Height: 5} }, "device.user_agent"},
		{func(b *Bandwidth) { b.Device = Device{UserAgent: "x", Height: 5} }, "device.width"},
		{func(b *Bandwidth) { b.Device = Device{UserAgent: "x", Width: 5, Height: 5, DPR: 11} }, "device.dpr"},
		{func(b *Bandwidth) { b.Profile.Loss = 0.6 }, "profile.loss"},
	} {
		b := slowly("https://example.com/", pt(t, "slow-4g"))
		tt.set(b)
		faults := b.Faults()
		if tt.path == "" && len(faults) > 0 || tt.path != "" && (len(faults) != 1 || faults[0].Path != tt.path) {
			t.Errorf("%s: %v, want one at %q", strconv.Itoa(i), faults, tt.path)
		}
	}
}
