package statuspage

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens again")

const publicURL = "https://status.example.com"

// site is a Handler and a mux in front of it, as the scheduler has them.
type site struct {
	*Handler
	mux *http.ServeMux
}

func newSite(t testing.TB, s Source, change ...func(*Config)) site {
	t.Helper()
	c := Config{Source: s, Title: "Example Status", PublicURL: publicURL, Now: func() time.Time { return at }}
	for _, f := range change {
		f(&c)
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Routes(mux)
	mux.HandleFunc("/", h.NotFound)
	return site{h, mux}
}

// ask sends a request; headers come as name, value, name, value.
func (s site) ask(method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w
}

func (s site) get(path string, headers ...string) *httptest.ResponseRecorder {
	return s.ask(http.MethodGet, path, headers...)
}

// paths is every sort of document, by the golden that it has.
var paths = map[string]string{
	"home.html":                 "/",
	"home-still.html":           "/?refresh=off",
	"history.html":              "/history",
	"check.html":                "/checks/shop",
	"check-empty.html":          "/checks/cert",
	"check-bandwidth.html":      "/checks/mobile",
	"incident-open.html":        "/incidents/41",
	"incident-past.html":        "/incidents/38",
	"missing.html":              "/checks/nothing",
	"history.atom":              "/history.atom",
	"history.rss":               "/history.rss",
	"badge.svg":                 "/badge/shop.svg",
	"badge.json":                "/badge/shop.json",
	"badge-uptime.svg":          "/badge/shop/uptime.svg",
	"badge-uptime.json":         "/badge/shop/uptime.json",
	"badge-missing.svg":         "/badge/nothing.svg",
	"summary.json":              "/api/v2/summary.json",
	"status.json":               "/api/v2/status.json",
	"components.json":           "/api/v2/components.json",
	"incidents.json":            "/api/v2/incidents.json",
	"unresolved.json":           "/api/v2/incidents/unresolved.json",
	"maintenances.json":         "/api/v2/scheduled-maintenances.json",
	"maintenances-coming.json":  "/api/v2/scheduled-maintenances/upcoming.json",
	"maintenances-running.json": "/api/v2/scheduled-maintenances/active.json",
}

// hash is what changes in an asset's name with every edit of it.
var hash = regexp.MustCompile(`\.[0-9a-f]{12}\.`)

func TestGoldens(t *testing.T) {
	s := newSite(t, example())
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			got := hash.ReplaceAll(s.get(path).Body.Bytes(), []byte(".0123456789ab."))
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s is not its golden (-want +got; go test -update writes them):\n%s", path, diff)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	s := newSite(t, example())
	policy := "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			h := s.get(path).Header()
			if got := h.Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options is %q", got)
			}
			if got := h.Get("Referrer-Policy"); got != "no-referrer" {
				t.Errorf("Referrer-Policy is %q", got)
			}
			cors, page := "*", strings.HasSuffix(name, ".html")
			if page {
				cors = ""
				if got := h.Get("Content-Security-Policy"); got != policy {
					t.Errorf("Content-Security-Policy is %q", got)
				}
			}
			if got := h.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") {
				t.Errorf("Content-Security-Policy is %q", got)
			}
			if got := h.Get("Access-Control-Allow-Origin"); got != cors {
				t.Errorf("Access-Control-Allow-Origin is %q, want %q", got, cors)
			}
			if got := h.Get("Cache-Control"); !strings.Contains(name, "missing") && !strings.Contains(got, "stale-if-error=86400") {
				t.Errorf("Cache-Control is %q", got)
			}
			wantType := map[string]string{
				".html": "text/html; charset=utf-8", ".json": "application/json; charset=utf-8", ".svg": "image/svg+xml; charset=utf-8",
				".atom": "application/atom+xml; charset=utf-8", ".rss": "application/rss+xml; charset=utf-8",
			}[filepath.Ext(name)]
			if got := h.Get("Content-Type"); got != wantType {
				t.Errorf("Content-Type is %q, want %q", got, wantType)
			}
		})
	}
}

// What the policy forbids would silently not work.
func TestNothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|<script|\sstyle=|\son[a-z]+=|javascript:|\ssrc="(?:https?:)?//`)
	s := newSite(t, example())
	for name, path := range paths {
		if found := inline.FindString(s.get(path).Body.String()); found != "" {
			t.Errorf("%s has %q, which the policy forbids", name, found)
		}
	}
}

func TestConditionalRequests(t *testing.T) {
	s := newSite(t, example())
	plain := s.get("/")
	zipped := s.get("/", "Accept-Encoding", "gzip, deflate, br")
	tag, zippedTag := plain.Header().Get("ETag"), zipped.Header().Get("ETag")
	if !regexp.MustCompile(`^"[0-9a-f]+"$`).MatchString(tag) || !regexp.MustCompile(`^"[0-9a-f]+-gz"$`).MatchString(zippedTag) {
		t.Errorf("the tags are %s and %s; both must be strong, and differ", tag, zippedTag)
	}
	if got := zipped.Header().Get("Content-Encoding"); got != "gzip" {
		t.Errorf("Content-Encoding is %q", got)
	}
	for _, w := range []*httptest.ResponseRecorder{plain, zipped} {
		if got := w.Header().Get("Vary"); got != "Accept-Encoding, Accept-Language" {
			t.Errorf("Vary is %q", got)
		}
	}
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(unzipped, plain.Body.Bytes()) {
		t.Error("the compressed page is another")
	}

	for _, c := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"the tag", []string{"If-None-Match", tag}, 304},
		{"the tag weakened by a proxy", []string{"If-None-Match", "W/" + tag}, 304},
		{"one of several", []string{"If-None-Match", `"other", ` + tag}, 304},
		{"any", []string{"If-None-Match", "*"}, 304},
		{"another", []string{"If-None-Match", `"other"`}, 200},
		{"that of the other encoding", []string{"If-None-Match", zippedTag}, 200},
		{"compressed", []string{"If-None-Match", zippedTag, "Accept-Encoding", "gzip"}, 304},
	} {
		w := s.get("/", c.headers...)
		if w.Code != c.want {
			t.Errorf("%s: status %d, want %d", c.name, w.Code, c.want)
		}
		if w.Code == 304 && (w.Body.Len() > 0 || w.Header().Get("ETag") == "" || w.Header().Get("Cache-Control") == "") {
			t.Errorf("%s: a 304 has a tag, a lifetime and no body; this has %v and %d bytes", c.name, w.Header(), w.Body.Len())
		}
	}

	head := s.ask(http.MethodHead, "/")
	if head.Code != 200 || head.Body.Len() > 0 || head.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD gave status %d, %d bytes of body, length %s", head.Code, head.Body.Len(), head.Header().Get("Content-Length"))
	}
}

func TestAcceptsGzip(t *testing.T) {
	for value, want := range map[string]bool{
		"":                   false,
		"gzip":               true,
		"GZIP":               true,
		"br, gzip;q=0.5":     true,
		"gzip;q=0":           false,
		"gzip; q=0.000":      false,
		"identity":           false,
		"*":                  true,
		"*;q=0":              false,
		"gzip;q=0, *":        false,
		"deflate, gzip;q=1":  true,
		"gzip;q=nonsense":    false,
		"xgzip, gzipped":     false,
		"gzip,deflate;q=0.5": true,
	} {
		if got := acceptsGzip([]string{value}); got != want {
			t.Errorf("acceptsGzip(%q) = %v", value, got)
		}
	}
	if acceptsGzip(nil) {
		t.Error("who says nothing takes what everybody can read")
	}
}

func TestNotFound(t *testing.T) {
	s := newSite(t, example())
	for _, path := range []string{
		"/nothing", "/checks/nothing", "/checks/", "/checks/shop/", "/incidents/9", "/incidents/041", "/incidents/-1", "/incidents/0",
		"/incidents/99999999999999999999", "/incidents/x", "/badge/shop", "/badge/shop.png", "/badge/shop/other.svg", "/badge/nothing.svg",
		"/badge/nothing/uptime.svg", "/assets/style.css", "/assets/../go.mod", "/api/v2/nothing.json", "/history/", "/checks/%2e%2e",
	} {
		w := s.get(path)
		if w.Code != 404 && w.Code != 301 && w.Code != 307 {
			t.Errorf("%s: status %d", path, w.Code)
		}
		if strings.Contains(w.Body.String(), "nothing.") && !strings.HasSuffix(path, ".json") {
			t.Errorf("%s: the answer repeats what was asked for", path)
		}
	}
	if body := s.get("/nowhere").Body.String(); !strings.Contains(body, "There is nothing here") || !strings.Contains(body, `href="/"`) {
		t.Error("the page for what is missing says so and links home")
	}
}

// Nobody waits for a rendering who could be shown an older one, and there is
// never more than one at a time.
func TestOneRenderingAtATime(t *testing.T) {
	var running, most, calls atomic.Int64
	slow := &slowSource{Source: example(), during: func() {
		now := running.Add(1)
		for {
			seen := most.Load()
			if now <= seen || most.CompareAndSwap(seen, now) {
				break
			}
		}
		calls.Add(1)
		time.Sleep(5 * time.Millisecond)
		running.Add(-1)
	}}
	s := newSite(t, slow)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for _, path := range paths {
				if w := s.get(path); w.Code != 200 && !strings.Contains(path, "nothing") {
					t.Errorf("%s: status %d", path, w.Code)
				}
				if i == 0 {
					s.Changed()
				}
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d renderings at once", most.Load())
	}
	if limit := int64(5 * len(paths)); calls.Load() > limit {
		t.Errorf("the source was asked %d times, want at most %d", calls.Load(), limit)
	}
}

// slowSource calls during while it is asked.
type slowSource struct {
	Source
	during func()
}

func (s *slowSource) Page(ctx context.Context) (*Page, error) {
	s.during()
	return s.Source.Page(ctx)
}

func (s *slowSource) CheckPage(ctx context.Context, name string) (*CheckPage, error) {
	s.during()
	return s.Source.CheckPage(ctx, name)
}

func TestFreshness(t *testing.T) {
	f := example()
	now := at
	s := newSite(t, f, func(c *Config) { c.Now = func() time.Time { return now } })
	title := func() string {
		_, after, _ := strings.Cut(s.get("/").Body.String(), "<title>")
		text, _, _ := strings.Cut(after, " ·")
		return text
	}
	expect := func(what, want string, calls int64) {
		t.Helper()
		if got := title(); got != want {
			t.Errorf("%s: the page says %q, want %q", what, got, want)
		}
		if got := f.calls.Load(); got != calls {
			t.Errorf("%s: the source was asked %d times, want %d", what, got, calls)
		}
	}
	expect("at first", "Partial outage", 1)
	up := many(3).page
	f.page = up
	now = now.Add(4 * time.Second)
	expect("within five seconds", "Partial outage", 1)
	now = now.Add(time.Second)
	expect("after five seconds", "All systems operational", 2)
	f.page = example().page
	s.Changed()
	expect("after a change", "Partial outage", 3)
	expect("a change counts once", "Partial outage", 3)

	f.err = errors.New("disk on fire at 10.1.2.3")
	s.Changed()
	expect("when it cannot be read", "Partial outage", 4)
	expect("tried again only after a second", "Partial outage", 4)
	f.err, f.page = nil, up
	now = now.Add(time.Second)
	expect("when it can be read again", "All systems operational", 5)
}

// While something else is rendered an older copy will do, but not for ever.
func TestOldCopies(t *testing.T) {
	f := example()
	var now atomic.Int64
	s := newSite(t, f, func(c *Config) { c.Now = func() time.Time { return at.Add(time.Duration(now.Load())) } })
	s.get("/")
	s.clock.making.Lock()
	now.Store(int64(2*cacheFor - 1))
	s.get("/")
	if got := f.calls.Load(); got != 1 {
		t.Errorf("the source was asked %d times", got)
	}
	now.Store(int64(2 * cacheFor))
	done := make(chan bool)
	go func() { s.get("/"); close(done) }()
	select {
	case <-done:
		t.Error("a copy of ten seconds ago was served")
	case <-time.After(20 * time.Millisecond):
	}
	s.clock.making.Unlock()
	<-done
	if got := f.calls.Load(); got != 2 {
		t.Errorf("the source was asked %d times", got)
	}
}

func TestSourceFailsFromTheStart(t *testing.T) {
	s := newSite(t, &fake{err: errors.New("disk on fire at 10.1.2.3")})
	for name, path := range paths {
		w := s.get(path)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, headers %v", name, w.Code, w.Header())
		}
		if strings.Contains(w.Body.String(), "10.1.2.3") {
			t.Errorf("%s: the error is told to the public", name)
		}
	}
}

func TestRenderMessage(t *testing.T) {
	s := newSite(t, example())
	w := httptest.NewRecorder()
	s.RenderMessage(w, http.StatusGone, `Incident "41" & <more>`, template.HTML(`<form method="post"><button>Acknowledge</button></form>`))
	if w.Code != http.StatusGone {
		t.Errorf("status %d", w.Code)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, want := range []string{`<h1>Incident &#34;41&#34; &amp; &lt;more&gt;</h1>`, `<button>Acknowledge</button>`, `name="robots" content="noindex"`, s.asset("style.css")} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the message lacks %s", want)
		}
	}
}

func TestLogo(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := newSite(t, example(), func(c *Config) { c.Logo = write("logo.svg", `<svg xmlns="http://www.w3.org/2000/svg"/>`) })
	src := regexp.MustCompile(`<img src="([^"]+)"`).FindStringSubmatch(s.get("/").Body.String())
	if src == nil {
		t.Fatal("the page has no logo")
	}
	w := s.get(src[1])
	if w.Code != 200 || w.Header().Get("Content-Type") != "image/svg+xml" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("the logo: status %d, headers %v", w.Code, w.Header())
	}
	for name, path := range map[string]string{
		"is missing": filepath.Join(dir, "missing.svg"), "is no image": write("logo.html", "x"), "is too large": write("logo.png", strings.Repeat("x", maxLogo+1)),
	} {
		if _, err := New(Config{Source: example(), Logo: path}); err == nil {
			t.Errorf("a logo that %s is taken", name)
		}
	}
}

// A site below a path links below it.
func TestPublicURLWithPath(t *testing.T) {
	s := newSite(t, example(), func(c *Config) { c.PublicURL = "https://www.example.com/status/" })
	body := s.get("/").Body.String()
	for _, link := range regexp.MustCompile(`(?:href|src)="([^"#]+)"`).FindAllStringSubmatch(body, -1) {
		if !strings.HasPrefix(link[1], "/status/") {
			t.Errorf("the page links to %s", link[1])
		}
	}
}
