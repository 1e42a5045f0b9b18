package agreement

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"

	"nines/checks"
	"nines/checks/checkstest"
)

// fileOf writes text into a file of the test.
func fileOf(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Why two results differ, as rows say it: the figure first.
const (
	echoes   = "body: the page repeats the header of the request, and the two ask in other words"
	counting = "redirects: blackbox_exporter also counts the one that it does not follow"
)

func TestHTTPBin(t *testing.T) {
	t.Parallel()
	theirs := newBlackbox(t, fileOf(t, "ca.pem", must(checkstest.NewCA())(t).PEM()))
	server := httptest.NewServer(httpbin.New(httpbin.WithMaxDuration(10 * time.Second)))
	defer server.Close()
	for _, tt := range []struct {
		path    string
		module  string         // default http
		options map[string]any // beside the url
		reason  checks.Reason
		timeout time.Duration // default 5s
		// differs names the figures that differ, and why they should.
		differs string
	}{
		{path: "/status/200"},
		{path: "/status/204"},
		{path: "/status/299"},
		{path: "/status/404", reason: checks.HTTPStatus},
		{path: "/status/404", module: "http_404", options: map[string]any{"expect": map[string]any{"status": []int{404}}}},
		{path: "/status/200", module: "http_404", options: map[string]any{"expect": map[string]any{"status": []int{404}}}, reason: checks.HTTPStatus},
		{path: "/status/500", reason: checks.HTTPStatus},
		{path: "/status/503", reason: checks.HTTPStatus},
		{path: "/redirect/1", differs: echoes},
		{path: "/redirect/5", differs: echoes},
		{path: "/redirect/10", differs: echoes},
		{path: "/redirect/11", reason: checks.HTTPRedirect, differs: counting},
		{path: "/relative-redirect/3", differs: echoes},
		{path: "/absolute-redirect/3", differs: echoes},
		{path: "/redirect-to?url=/status/404&status_code=307", reason: checks.HTTPStatus},
		{path: "/redirect-to?url=/get&status_code=308", differs: echoes},
		{path: "/redirect/2", module: "http_still", options: map[string]any{"redirects": 0, "expect": map[string]any{"status": []int{302}}}, differs: counting},
		{path: "/cookies/set?a=1"},
		{path: "/html", module: "http_body", options: map[string]any{"expect": map[string]any{"body_contains": []string{"Herman"}}}},
		{path: "/json", module: "http_body", options: map[string]any{"expect": map[string]any{"body_matches": []string{"Herman"}}}, reason: checks.ContentMismatch},
		{path: "/html", module: "http_lacks", options: map[string]any{"expect": map[string]any{"body_lacks": []string{"Herman"}}}, reason: checks.ContentMismatch},
		{path: "/json", module: "http_header", options: map[string]any{"expect": map[string]any{"headers": map[string]string{"Content-Type": "application/json; charset=utf-8"}}}},
		{path: "/html", module: "http_header", options: map[string]any{"expect": map[string]any{"headers": map[string]string{"Content-Type": "application/json; charset=utf-8"}}}, reason: checks.ContentMismatch},
		{path: "/gzip", module: "http_gzip", differs: echoes},
		{path: "/basic-auth/alice/s3cret", module: "http_basic", options: map[string]any{"basic": map[string]string{"username": "alice", "password": "s3cret"}}},
		{path: "/basic-auth/alice/s3cret", reason: checks.HTTPStatus},
		{path: "/bearer", module: "http_bearer", options: map[string]any{"bearer": "t0ken"}},
		{path: "/bearer", reason: checks.HTTPStatus},
		{path: "/post", reason: checks.HTTPStatus},
		{path: "/status/201", module: "http_post", options: map[string]any{"method": "POST", "body": "hello"}},
		{path: "/stream-bytes/5000?seed=1"},
		{path: "/bytes/100"},
		{path: "/range/1024"},
		{path: "/base64/bmluZXM="},
		{path: "/encoding/utf8"},
		{path: "/xml"},
		{path: "/robots.txt"},
		{path: "/deny"},
		{path: "/image/png"},
		{path: "/links/3"},
		{path: "/etag/abc", differs: echoes},
		{path: "/cache", differs: echoes},
		{path: "/trailers?a=1", differs: echoes},
		{path: "/drip?duration=0.5s&numbytes=5"},
		{path: "/delay/0.3", differs: echoes},
		{path: "/delay/3", module: "http_short", timeout: time.Second, reason: checks.HTTPTimeout},
		{path: "/drip?duration=4s&numbytes=5&delay=0s", module: "http_short", timeout: time.Second, reason: checks.HTTPTimeout},
	} {
		t.Run(tt.path+" "+tt.module, func(t *testing.T) {
			if tt.module == "" {
				tt.module = "http"
			}
			if tt.timeout == 0 {
				tt.timeout = 5 * time.Second
			}
			options := map[string]any{"url": server.URL + tt.path}
			for name, value := range tt.options {
				options[name] = value
			}
			r := check(t, "http", options, tt.timeout)
			m := theirs.probe(t, tt.module, server.URL+tt.path)
			agree(t, r, m, tt.reason, tt.differs)
		})
	}
}

// agree holds a result against its reason and against blackbox_exporter. Where
// they are to differ, they must, or the row is out of date.
func agree(t *testing.T, r checks.Result, m metrics, reason checks.Reason, differs string) {
	t.Helper()
	if r.Reason != reason {
		t.Errorf("ours: %s %q (%s), want %q", r.Status, r.Reason, r.Detail, reason)
	}
	found := differ(r, m)
	what, _, _ := strings.Cut(differs, ":")
	for _, one := range found {
		if differs == "" || !strings.HasPrefix(one, what+":") {
			t.Errorf("%s (%s %s, %v)", one, r.Status, r.Reason, r.Facts)
		}
	}
	if differs != "" && len(found) == 0 {
		t.Errorf("they agree, and were to differ: %s", differs)
	}
}
