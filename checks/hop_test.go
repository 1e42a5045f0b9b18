package checks

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

// redirectTo is an answer that leads elsewhere.
func redirectTo(status int, location string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {location}}}
}

// hopTo returns the first hop of a check of url.
func hopTo(t testing.TB, set func(*HTTP), at string) *hop {
	t.Helper()
	h := httpAt(at)
	if set != nil {
		set(h)
	}
	if err := h.prepare(); err != nil {
		t.Fatal(err)
	}
	return &h.first
}

// What goes along with a redirect, by where it leads.
func TestRedirectKeeps(t *testing.T) {
	from := func(at string) *hop {
		return hopTo(t, func(h *HTTP) {
			h.Bearer, h.ServerName = secret.New("t0ken"), "own.example.com"
			h.Headers = map[string]secret.String{
				"Cookie": secret.New("id=7"), "X-Api-Key": secret.New("k3y"), "Accept-Language": secret.New("pl"), "Host": secret.New("other.example.com"),
			}
		}, at)
	}
	for _, tt := range []struct {
		from, to string
		same     bool
	}{
		{"https://a.test/x", "/y", true},
		{"https://a.test/x", "https://A.test:443/y", true},
		{"http://a.test/x", "//a.test:80/y", true},
		{"https://a.test/x", "http://a.test/y", false}, // the way down
		{"http://a.test/x", "https://a.test/y", false},
		{"https://a.test/x", "https://a.test:8443/y", false},
		{"https://a.test/x", "https://b.test/y", false},
		{"https://a.test/x", "https://sub.a.test/y", false},
	} {
		h := from(tt.from)
		next, err := h.redirected(redirectTo(302, tt.to))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Authorization", "Cookie", "X-Api-Key"} {
			if got := next.header.Get(name) != ""; got != tt.same {
				t.Errorf("%s to %s: %s goes along: %v", tt.from, tt.to, name, got)
			}
		}
		if next.header.Get("Accept-Language") != "pl" || (next.host != "") != tt.same || (next.server == "own.example.com") != tt.same || next.foreign == tt.same {
			t.Errorf("%s to %s: %+v", tt.from, tt.to, next)
		}
		if h.header.Get("Authorization") == "" || h.host == "" {
			t.Errorf("%s to %s changed the first hop", tt.from, tt.to)
		}
	}
}

func TestRedirectBody(t *testing.T) {
	post := func(at string) *hop {
		return hopTo(t, func(h *HTTP) { h.Form = map[string]secret.String{"a": secret.New("b")} }, at)
	}
	for _, tt := range []struct {
		from, to     string
		status       int
		method, body string // empty: refused
	}{
		{"https://a.test/x", "/y", 307, "POST", "a=b"},
		{"https://a.test/x", "/y", 302, "GET", ""},
		{"https://a.test/x", "https://b.test/", 302, "GET", ""},
		{"https://a.test/x", "https://b.test/", 307, "", ""},
		{"https://a.test/x", "http://a.test/", 308, "", ""},
		{"http://a.test/x", "https://a.test/", 308, "POST", "a=b"},
		{"http://a.test:8080/x", "https://a.test/", 308, "", ""},
		{"http://a.test/x", "https://b.test/", 308, "", ""},
	} {
		next, err := post(tt.from).redirected(redirectTo(tt.status, tt.to))
		switch {
		case tt.method == "" && err == nil:
			t.Errorf("%s to %s with %d: sends %s %q", tt.from, tt.to, tt.status, next.method, next.body)
		case tt.method != "" && (err != nil || next.method != tt.method || next.body != tt.body):
			t.Errorf("%s to %s with %d: %+v, %v", tt.from, tt.to, tt.status, next, err)
		case tt.method != "" && (next.header.Get("Content-Type") != "") != (tt.body != ""):
			t.Errorf("%s to %s with %d: %v", tt.from, tt.to, tt.status, next.header)
		}
	}
}

func TestSameHost(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		stays    bool
	}{
		{"https://a.test/x", "/y", true},
		{"http://a.test/x", "https://a.test/", true},
		{"https://a.test/x", "http://a.test/", false},
		{"http://a.test/x", "https://a.test:8443/", false},
		{"http://a.test:8080/x", "https://a.test/", false},
		{"https://a.test/x", "https://a.test:8443/", false},
		{"https://a.test/x", "https://www.a.test/", false},
	} {
		h := hopTo(t, nil, tt.from)
		next, err := h.redirected(redirectTo(302, tt.to))
		if err != nil {
			t.Fatal(err)
		}
		if err := next.staysWith(h); (err == nil) != tt.stays {
			t.Errorf("%s to %s: %v", tt.from, tt.to, err)
		}
	}
}

func TestSameHostOverSockets(t *testing.T) {
	first, other := opened(checkstest.NewHTTP())(t), opened(checkstest.NewHTTP())(t)
	first.SetPath("/own", checkstest.Behaviour{Status: 302, Header: http.Header{"Location": {"/end"}}})
	first.SetPath("/away", checkstest.Behaviour{Status: 302, Header: http.Header{"Location": {other.URL() + "/?key=s3cret"}}})
	check := func(path string, same bool) *HTTP {
		h := httpAt(first.URL() + path)
		h.SameHost = same
		return h
	}
	wants(t, run(t, check("/own", true), 10*time.Second, loopback()), Up, "")
	wants(t, run(t, check("/away", false), 10*time.Second, loopback()), Up, "")
	reached := len(other.Requests())
	r := run(t, check("/away", true), 10*time.Second, loopback())
	wants(t, r, Down, HTTPRedirect)
	if len(other.Requests()) != reached || strings.Contains(r.Detail, "s3cret") || !strings.Contains(r.Detail, other.Addr()) {
		t.Errorf("%d requests to the other; %s", len(other.Requests())-reached, r.Detail)
	}
}

// Each hop has its line, the last one too when it fails.
func TestHops(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	server.SetPath("/a", checkstest.Behaviour{Status: 301, Header: http.Header{"Location": {"/b?key=s3cret#part"}}, Delay: 20 * time.Millisecond})
	server.SetPath("/b", checkstest.Behaviour{Status: 302, Header: http.Header{"Location": {"/c"}}})
	server.SetPath("/c", checkstest.Behaviour{Body: "Welcome"})
	starts := func(lines []string, begins ...string) bool {
		return slices.EqualFunc(lines, begins, func(line, begin string) bool { return strings.HasPrefix(line, begin+" ") })
	}
	url := server.URL()
	r := run(t, httpAt(url+"/a?key=s3cret"), 10*time.Second, loopback())
	wants(t, r, Up, "")
	sumsUp(t, r)
	hops, _ := r.Facts["hops"].([]string)
	if !starts(hops, "301 "+url+"/a", "302 "+url+"/b", "200 "+url+"/c") || strings.Contains(hops[1], "connect") || strings.Contains(strings.Join(hops, ""), "s3cret") {
		t.Errorf("hops %q", hops)
	}
	if r := run(t, httpAt(url+"/c"), 10*time.Second, loopback()); r.Facts["hops"] != nil {
		t.Errorf("facts %v", r.Facts)
	}
	server.SetPath("/c", checkstest.Behaviour{Fault: checkstest.StallBeforeReply})
	r = run(t, httpAt(url+"/a"), 300*time.Millisecond, loopback())
	wants(t, r, Down, HTTPTimeout)
	if hops, _ := r.Facts["hops"].([]string); !starts(hops, "301 "+url+"/a", "302 "+url+"/b", "no answer "+url+"/c") {
		t.Errorf("hops %q", hops)
	}
}

func TestShownURL(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://u:p@a.test/x%2fy?key=1#z", "https://a.test/x%2fy"},
		{"http://a.test:8080", "http://a.test:8080"},
		{"http://a.test/" + strings.Repeat("x", 300), "http://a.test/" + strings.Repeat("x", 186) + "…"},
	} {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := shownURL(u); got != tt.want {
			t.Errorf("%s is shown as %s", tt.url, got)
		}
	}
}

// Wherever a redirect leads, only the origin that it came from gets the
// credentials, and only the web is led to.
func FuzzRedirected(f *testing.F) {
	for _, location := range []string{"/end", "//b.test/", "http://a.test:443/", "https://a.test@b.test/", "https://a.test.:443/", "https://A.TEST/", "file:///etc/passwd", "http://[::1", "\x00", "https://ą.test/", "?x=1"} {
		f.Add(location, 302)
		f.Add(location, 307)
	}
	f.Fuzz(func(t *testing.T, location string, status int) {
		h := hopTo(t, func(h *HTTP) { h.Bearer, h.Method, h.Body = secret.New("t0ken"), "POST", "payload" }, "https://a.test/x")
		next, err := h.redirected(redirectTo(status, location))
		if err != nil || next == nil {
			return
		}
		own := next.place == place{"https", "a.test", 443}
		if own != (next.header.Get("Authorization") != "") || !own && (next.body != "" || next.staysWith(h) == nil) {
			t.Errorf("%q with %d: %+v", location, status, next)
		}
		if next.url.User != nil || next.url.Scheme != "http" && next.url.Scheme != "https" || len(next.line(status, nil)) > 300 {
			t.Errorf("%q leads to %v", location, next.url)
		}
	})
}
