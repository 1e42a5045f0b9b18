package checks

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

// tokenTaker answers 200 to one bearer token and 401 to all others.
func tokenTaker(server *checkstest.HTTP, token string) {
	server.Set(checkstest.Behaviour{Login: "Bearer " + token, Body: "Welcome"})
}

func withTokens(target string, tokens *checkstest.Tokens) *HTTP {
	h := httpAt(target + "/")
	h.OAuth2 = OAuth2{
		TokenURL: tokens.URL() + "?tenant=7", ClientID: "nines", ClientSecret: secret.New("s3cr3t/+"),
		Scopes: []string{"orders.read", "orders.list"}, Params: map[string]secret.String{"audience": secret.New("https://api.example.com")},
	}
	return h
}

func TestOAuth2Token(t *testing.T) {
	server, tokens := opened(checkstest.NewHTTP())(t), opened(checkstest.NewTokens())(t)
	tokenTaker(server, "token-1")
	h := withTokens(server.URL(), tokens)
	r := run(t, h, 10*time.Second, loopback())
	wants(t, r, Up, "")
	sumsUp(t, r)
	asked := tokens.Requests()[0]
	// RFC 6749, section 2.3.1, has both encoded as in a form.
	if password, _ := url.QueryUnescape(asked.Password); asked.User != "nines" || password != "s3cr3t/+" {
		t.Errorf("logged in as %q %q", asked.User, asked.Password)
	}
	if asked.Form.Get("grant_type") != "client_credentials" || asked.Form.Get("scope") != "orders.read orders.list" ||
		asked.Form.Get("audience") != "https://api.example.com" || asked.Form.Has("client_secret") {
		t.Errorf("asked for %v", asked.Form)
	}
	if ms, _ := r.Facts["token_ms"].(float64); ms <= 0 {
		t.Errorf("facts %v", r.Facts)
	}

	// It is kept for the next run.
	r = run(t, h, 10*time.Second, loopback())
	wants(t, r, Up, "")
	if len(tokens.Requests()) != 1 || r.Facts["token_ms"] != nil {
		t.Errorf("asked %d times; facts %v", len(tokens.Requests()), r.Facts)
	}

	// And got anew, once, when the server does not take it any more.
	tokenTaker(server, "token-2")
	r = run(t, h, 10*time.Second, loopback())
	wants(t, r, Up, "")
	sumsUp(t, r)
	if len(tokens.Requests()) != 2 || r.Facts["tries"] != nil {
		t.Errorf("asked %d times; facts %v", len(tokens.Requests()), r.Facts)
	}
	tokenTaker(server, "none")
	before := len(tokens.Requests())
	wants(t, run(t, h, 10*time.Second, loopback()), Down, HTTPStatus)
	if asked := len(tokens.Requests()) - before; asked != 2 { // one in each try
		t.Errorf("asked %d times", asked)
	}
}

func TestOAuth2TokenExpires(t *testing.T) {
	server, tokens := opened(checkstest.NewHTTP())(t), opened(checkstest.NewTokens())(t)
	for _, tt := range []struct{ life, asked int }{{3600, 1}, {0, 1}, {5, 3}} {
		tokens.Set(tt.life, nil)
		before := len(tokens.Requests())
		h := withTokens(server.URL(), tokens)
		for range 3 {
			wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
		}
		if asked := len(tokens.Requests()) - before; asked != tt.asked {
			t.Errorf("tokens of %d s: asked %d times, want %d", tt.life, asked, tt.asked)
		}
	}
}

func TestOAuth2InBody(t *testing.T) {
	server, tokens := opened(checkstest.NewHTTP())(t), opened(checkstest.NewTokens())(t)
	h := withTokens(server.URL(), tokens)
	h.OAuth2.AuthStyle = "body"
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
	asked := tokens.Requests()[0]
	if asked.User != "" || asked.Form.Get("client_id") != "nines" || asked.Form.Get("client_secret") != "s3cr3t/+" {
		t.Errorf("asked with %+v", asked)
	}
}

// What a token endpoint does wrong is against the check, in its own words but
// without a secret.
func TestOAuth2Fails(t *testing.T) {
	server, tokens := opened(checkstest.NewHTTP())(t), opened(checkstest.NewTokens())(t)
	says := func(status int, contentType, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter)
		says   string
	}{
		{"refused", says(401, "application/json", `{"error":"invalid_client","error_description":"unknown client"}`), "401 Unauthorized: invalid_client: unknown client"},
		{"refused with 200", says(200, "application/json", `{"error":"invalid_scope"}`), "invalid_scope"},
		{"echoes the secret", says(400, "text/plain", "bad secret s3cr3t/+ and s3cr3t%2F%2B"), "bad secret [redacted] and [redacted]"},
		{"page", says(500, "text/html", "<h1>Oops</h1>"), "500 Internal Server Error: <h1>Oops"},
		{"not JSON", says(200, "application/json", "token"), "cannot parse json"},
		{"no token", says(200, "application/json", `{"token_type":"bearer"}`), "missing access_token"},
		{"no header", says(200, "application/json", `{"access_token":"a\nb"}`), "no header can carry"},
		{"redirect", func(w http.ResponseWriter) {
			w.Header().Set("Location", server.URL()+"/elsewhere")
			w.WriteHeader(307)
		}, "307 Temporary Redirect"},
		{"endless", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			for range 100 {
				io.WriteString(w, strings.Repeat(" ", 10_000))
			}
		}, "larger than allowed"},
		{"cut", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "http.reset"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tokens.Set(3600, tt.answer)
			r := run(t, withTokens(server.URL(), tokens), 10*time.Second, loopback())
			wants(t, r, Down, HTTPToken)
			if !strings.Contains(r.Detail, tt.says) || strings.Contains(r.Detail, "s3cr3t") || strings.Contains(r.Detail, "tenant") {
				t.Errorf("detail %q, want %q in it", r.Detail, tt.says)
			}
			sumsUp(t, r)
		})
	}
	for _, asked := range server.Requests() {
		t.Errorf("the target was asked: %+v", asked)
	}

	tokens.Set(3600, func(http.ResponseWriter) { time.Sleep(800 * time.Millisecond) })
	wants(t, run(t, withTokens(server.URL(), tokens), 300*time.Millisecond, loopback()), Down, HTTPToken)

	h := withTokens(server.URL(), tokens)
	h.OAuth2.TokenURL = "http://" + freePort(t) + "/token"
	r := run(t, h, 10*time.Second, loopback())
	wants(t, r, Down, HTTPToken)
	if !strings.Contains(r.Detail, "connect.refused") {
		t.Error(r.Detail)
	}
	h.OAuth2.TokenURL = "http://169.254.169.254/token"
	wants(t, run(t, withHTTP(h), 10*time.Second, loopback()), Unknown, ProberBlocked)
}

// withHTTP returns a check with the options of h that has not run yet.
func withHTTP(h *HTTP) *HTTP {
	fresh := httpAt(h.URL)
	fresh.OAuth2, fresh.Proxy, fresh.CA = h.OAuth2, h.Proxy, h.CA
	return fresh
}

// A token stays with its origin.
func TestOAuth2TokenStays(t *testing.T) {
	first, other := opened(checkstest.NewHTTP())(t), opened(checkstest.NewHTTP())(t)
	tokens := opened(checkstest.NewTokens())(t)
	first.SetPath("/", checkstest.Behaviour{Status: 302, Header: http.Header{"Location": {other.URL() + "/end"}}})
	other.Set(checkstest.Behaviour{Status: 401})
	h := withTokens(first.URL(), tokens)
	wants(t, run(t, h, 10*time.Second, loopback()), Down, HTTPStatus)
	if got := other.Requests()[0]; got.Header.Get("Authorization") != "" {
		t.Errorf("the other origin got %v", got.Header)
	}
	if len(tokens.Requests()) != 1 {
		t.Errorf("asked %d times for a token that was not sent", len(tokens.Requests()))
	}
}

func TestOAuth2Trust(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	target := opened(checkstest.NewHTTP())(t)
	endpoint := opened(checkstest.NewHTTPS(cert))(t)
	endpoint.Set(checkstest.Behaviour{Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"access_token":"a","token_type":"bearer"}`})
	h := httpAt(target.URL())
	h.OAuth2 = OAuth2{TokenURL: endpoint.URL(), ClientID: "nines", ClientSecret: secret.New("x")}
	r := run(t, h, 10*time.Second, loopback())
	wants(t, r, Down, HTTPToken)
	if !strings.Contains(r.Detail, "tls.untrusted") {
		t.Error(r.Detail)
	}
	h = withHTTP(h)
	h.CA = ca.PEM()
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
}

func TestOAuth2Faults(t *testing.T) {
	full := OAuth2{TokenURL: "https://login.example.com/t", ClientID: "a", ClientSecret: secret.New("b")}
	for _, tt := range []struct {
		name string
		set  func(*HTTP)
		path string
	}{
		{"whole", func(*HTTP) {}, ""},
		{"no URL", func(h *HTTP) { h.OAuth2.TokenURL = "" }, "oauth2.token_url"},
		{"ftp", func(h *HTTP) { h.OAuth2.TokenURL = "ftp://a/" }, "oauth2.token_url"},
		{"user", func(h *HTTP) { h.OAuth2.TokenURL = "https://u:p@a/" }, "oauth2.token_url"},
		{"no id", func(h *HTTP) { h.OAuth2.ClientID = "" }, "oauth2.client_id"},
		{"no secret", func(h *HTTP) { h.OAuth2.ClientSecret = secret.String{} }, "oauth2.client_secret"},
		{"scope", func(h *HTTP) { h.OAuth2.Scopes = []string{"a", "b c"} }, "oauth2.scopes[1]"},
		{"own parameter", func(h *HTTP) { h.OAuth2.Params = map[string]secret.String{"scope": secret.New("x")} }, "oauth2.params.scope"},
		{"style", func(h *HTTP) { h.OAuth2.AuthStyle = "query" }, "oauth2.auth_style"},
		{"beside basic", func(h *HTTP) { h.Basic.Username = "a" }, "oauth2"},
		{"beside bearer", func(h *HTTP) { h.Bearer = secret.New("a") }, "oauth2"},
		{"beside a header", func(h *HTTP) { h.Headers = map[string]secret.String{"authorization": secret.New("x")} }, "headers.Authorization"},
	} {
		h := httpAt("https://example.com/")
		h.OAuth2 = full
		tt.set(h)
		oneFault(t, tt.name, h.Faults(), tt.path)
	}
	if text := fmt.Sprintf("%+v", full); strings.Contains(text, "b}") {
		t.Error(text)
	}
}

// oneFault checks that there is one fault, at path, or none where that is empty.
func oneFault(t testing.TB, name string, faults []Fault, path string) {
	t.Helper()
	switch {
	case path == "" && len(faults) > 0:
		t.Errorf("%s: %v", name, faults)
	case path != "" && (len(faults) != 1 || faults[0].Path != path || faults[0].Message == ""):
		t.Errorf("%s: %v, want one at %s", name, faults, path)
	}
}
