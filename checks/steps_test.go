package checks

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

// shop is a server with a sign-in: a page with a token against forged requests,
// a session that begins with it, and a basket for those who are signed in.
func shop(t testing.TB) *httptest.Server {
	t.Helper()
	const password = "s3cr3t & more"
	var sessions atomic.Int64
	mux := http.NewServeMux()
	session := func(r *http.Request) string {
		c, err := r.Cookie("sid")
		if err != nil {
			return ""
		}
		return c.Value
	}
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		sid := fmt.Sprintf("session-%d", sessions.Add(1))
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: sid, Path: "/", HttpOnly: true})
		fmt.Fprintf(w, `<form method=post><input type="hidden" name="csrf" value="csrf+%s/=="><button>Sign in</button></form>`, sid)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		sid := session(r)
		if sid == "" || r.FormValue("csrf") != "csrf+"+sid+"/==" || r.FormValue("username") != "nines" || r.FormValue("password") != password {
			http.Error(w, "wrong "+r.FormValue("csrf"), http.StatusUnauthorized)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "user", Value: "nines-" + sid, Path: "/"})
		http.Redirect(w, r, "/account", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /account", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("user"); err != nil || c.Value != "nines-"+session(r) {
			http.Error(w, "not signed in", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"user": "nines", "api": map[string]any{"token": "api-" + session(r), "basket": "/basket/42"}})
	})
	mux.HandleFunc("POST /basket/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer api-"+session(r) {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		var order struct{ Item, Token string }
		if err := json.NewDecoder(r.Body).Decode(&order); err != nil || order.Token != "api-"+session(r) {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"basket": %q, "items": [%q], "total": 12.5}`, r.PathValue("id"), order.Item)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// act is a step as the tests write one.
type act struct {
	name, url, method, body string
	headers, form           map[string]secret.String
	basic                   Basic
	bearer                  secret.String
	expect                  HTTPExpect
	capture                 map[string]Capture
}

// steps returns a check of steps.
func steps(of ...act) *HTTP {
	h := newHTTP()
	h.Steps = make([]Step, len(of))
	for i, from := range of {
		s := &h.Steps[i]
		s.Preset()
		s.Name, s.URL, s.Headers, s.Body, s.Basic, s.Bearer = from.name, from.url, from.headers, from.body, from.basic, from.bearer
		s.Form, s.Expect, s.Capture = from.form, from.expect, from.capture
		if from.method != "" {
			s.Method = from.method
		}
	}
	return h
}

func path(t testing.TB, text string) *JSONPath {
	t.Helper()
	p := new(JSONPath)
	if err := p.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return p
}

func secrets(pairs ...string) map[string]secret.String {
	m := map[string]secret.String{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = secret.New(pairs[i+1])
	}
	return m
}

func signIn(t testing.TB, base string) *HTTP {
	h := steps(
		act{name: "page", url: base + "/login", capture: map[string]Capture{"csrf": {Match: new(pattern(t, `name="csrf" value="([^"]+)"`))}, "sid": {Cookie: "sid"}}},
		act{name: "login", url: base + "/login",
			form:    secrets("username", "nines", "password", "s3cr3t & more", "csrf", "{{csrf}}"),
			expect:  HTTPExpect{JSON: map[string]JSONExpect{"$.user": {Equals: jsonValue(t, `"nines"`)}}, Expr: []Expression{expression(t, "redirects == 1 && csrf != sid")}},
			capture: map[string]Capture{"token": {JSON: path(t, "$.api.token")}, "basket": {JSON: path(t, "$.api.basket")}}},
		act{name: "put in", url: "{{basket}}", method: "POST", bearer: secret.New("{{token}}"),
			headers: secrets("Content-Type", "application/json"), body: `{"item": "tea", "token": "{{token}}"}`,
			expect: HTTPExpect{Status: []StatusRange{{201, 201}}, JSON: map[string]JSONExpect{"$.items": {Length: new(1)}, "$.total": {Min: new(1.0), Max: new(100.0)}}}},
	)
	return h
}

func TestTransaction(t *testing.T) {
	server := shop(t)
	h := signIn(t, server.URL)
	r := run(t, h, 10*time.Second, loopback())
	wants(t, r, Up, "")
	sumsUp(t, r)
	said, _ := r.Facts["steps"].([]string)
	if len(said) != 3 || !strings.HasPrefix(said[0], "page: 200 in ") || !strings.HasPrefix(said[2], "put in: 201 in ") || r.Facts["step"] != nil {
		t.Errorf("facts %v", r.Facts)
	}
	if h.Target() != "127.0.0.1" {
		t.Errorf("target %q", h.Target())
	}
	// A wrong password: the run ends there and says where.
	h.Steps[1].Form["password"] = secret.New("wr0ng")
	r = run(t, h, 10*time.Second, loopback())
	wants(t, r, Down, HTTPStatus)
	said, _ = r.Facts["steps"].([]string)
	if !strings.HasPrefix(r.Detail, "step 2 (login): the status is 401 Unauthorized; expected 200-299") || r.Facts["step"] != "login" || len(said) != 2 || r.Facts["tries"] != 2 {
		t.Errorf("%s, %v", r.Detail, r.Facts)
	}
}

// One connection carries the whole transaction, redirects included.
func TestTransactionKeepsItsConnection(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	server.Set(checkstest.Behaviour{Body: "fine"})
	base := server.URL()
	r := run(t, steps(act{name: "a", url: base}, act{name: "b", url: base}, act{name: "c", url: base}), 10*time.Second, loopback())
	wants(t, r, Up, "")
	if n := server.Connections(); n != 1 || r.Facts["remote_ip"] != "127.0.0.1" {
		t.Errorf("%d connections, facts %v", n, r.Facts)
	}
}

// Where a server closes the connection between two steps, a new one is used.
func TestTransactionReconnects(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	server.Set(checkstest.Behaviour{Header: http.Header{"Connection": {"close"}}})
	r := run(t, steps(act{name: "a", url: server.URL()}, act{name: "b", url: server.URL()}), 10*time.Second, loopback())
	wants(t, r, Up, "")
	if n := server.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// Over HTTP/2 the steps share one connection too, and its facts are told.
func TestTransactionOverTLS(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	var conns atomic.Int64
	for _, h2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(page))
		server.Config.ConnState, server.TLS, server.EnableHTTP2 = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				conns.Add(1)
			}
		}, tlsConfig(cert), h2
		server.StartTLS()
		defer server.Close()
		conns.Store(0)
		h := steps(act{name: "a", url: server.URL}, act{name: "b", url: server.URL, expect: HTTPExpect{ValidFor: span(time.Hour), Expr: []Expression{expression(t, "cert_days_left > 0")}}})
		h.CA = ca.PEM()
		r := run(t, h, 10*time.Second, loopback())
		wants(t, r, Up, "")
		sumsUp(t, r)
		if conns.Load() != 1 || r.Facts["tls_version"] != "TLS 1.3" || r.Facts["cert_expires"] == nil || r.Phases[phaseTLS] == 0 {
			t.Errorf("%d connections, facts %v, phases %v", conns.Load(), r.Facts, r.Phases)
		}
		h = steps(act{name: "a", url: server.URL}, act{name: "b", url: server.URL, expect: HTTPExpect{ValidFor: span(1e6 * time.Hour)}})
		h.CA = ca.PEM()
		r = run(t, h, 10*time.Second, loopback())
		wants(t, r, Down, TLSExpiresSoon)
		if r.Facts["step"] != "b" {
			t.Errorf("facts %v", r.Facts)
		}
	}
}

// Cookies of every kind of step are kept: of answers, of redirects, per path;
// and a new run begins without any.
func TestTransactionKeepsCookies(t *testing.T) {
	var got []string
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.URL.Path+" "+r.Header.Get("Cookie"))
		switch r.URL.Path {
		case "/a":
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "only", Value: "2", Path: "/only"})
			http.SetCookie(w, &http.Cookie{Name: "other", Value: "3", Domain: "example.com"})
		case "/b":
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "5", Path: "/"})
			http.Redirect(w, r, "/c", http.StatusFound)
		case "/d":
			http.SetCookie(w, &http.Cookie{Name: "a", MaxAge: -1, Path: "/"})
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	h := steps(act{name: "a", url: server.URL + "/a"}, act{name: "b", url: server.URL + "/b"},
		act{name: "d", url: server.URL + "/d"}, act{name: "only", url: server.URL + "/only"})
	want := []string{"/a ", "/b a=1", "/c a=1; b=5", "/d a=1; b=5", "/only only=2; b=5"}
	for range 2 {
		got = nil
		wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A slow step is degraded and does not end the run; what is down afterwards
// counts for more. The whole has limits of its own.
func TestSlowTransactions(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	server.SetPath("/slow", checkstest.Behaviour{Delay: 60 * time.Millisecond, Body: "slow"})
	server.SetPath("/bad", checkstest.Behaviour{Status: 500})
	fast := act{name: "fast", url: server.URL()}
	slow := act{name: "slow", url: server.URL() + "/slow", expect: HTTPExpect{Within: 20 * time.Millisecond}, capture: map[string]Capture{"it": {Match: new(pattern(t, "s.ow"))}}}
	use := act{name: "use", url: server.URL() + "/{{it}}"}
	bad := act{name: "bad", url: server.URL() + "/bad"}
	tooSlow := slow
	tooSlow.name, tooSlow.expect = "too slow", HTTPExpect{FailAfter: 20 * time.Millisecond}
	for _, tt := range []struct {
		name   string
		check  *HTTP
		whole  HTTPExpect
		status Status
		reason Reason
		step   any
		says   string
	}{
		{"slow step", steps(fast, slow, use), HTTPExpect{}, Degraded, SlowTotal, "slow", "step 2 (slow): took "},
		{"slow and bad", steps(slow, bad), HTTPExpect{}, Down, HTTPStatus, "bad", "step 2 (bad): the status is 500"},
		{"too slow step", steps(tooSlow, bad), HTTPExpect{}, Down, SlowTotal, "too slow", "step 1 (too slow): took "},
		{"slow whole", steps(fast, unlimited(slow)), HTTPExpect{Within: 20 * time.Millisecond}, Degraded, SlowTotal, nil, "took "},
		{"too slow whole", steps(fast, slow), HTTPExpect{FailAfter: 20 * time.Millisecond}, Down, SlowTotal, nil, "took "},
		{"bad and too slow", steps(unlimited(slow), bad), HTTPExpect{FailAfter: 20 * time.Millisecond}, Down, HTTPStatus, "bad", "step 2 (bad): "},
	} {
		tt.check.Expect = tt.whole
		r := run(t, tt.check, 10*time.Second, loopback())
		wants(t, r, tt.status, tt.reason)
		if r.Facts["step"] != tt.step || !strings.HasPrefix(r.Detail, tt.says) {
			t.Errorf("%s: %s; %v", tt.name, r.Detail, r.Facts)
		}
		sumsUp(t, r)
	}
}

// unlimited returns the step without its own limit.
func unlimited(s act) act {
	s.expect = HTTPExpect{}
	return s
}

// The check's timeout bounds all steps together.
func TestTransactionsEnd(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	server.SetPath("/stall", checkstest.Behaviour{Fault: checkstest.StallBeforeReply})
	r := run(t, steps(act{name: "a", url: server.URL()}, act{name: "b", url: server.URL() + "/stall"}), 300*time.Millisecond, loopback())
	wants(t, r, Down, HTTPTimeout)
	said, _ := r.Facts["steps"].([]string)
	if !strings.HasPrefix(r.Detail, "step 2 (b): no time left") || len(said) != 2 || !strings.HasPrefix(said[1], "b: http.timeout in ") || r.TookMS < 250 {
		t.Errorf("%s; %v; %v", r.Detail, r.Facts, r.TookMS)
	}
}

// One check's runs do not know of each other.
func TestTransactionsRunBesideEachOther(t *testing.T) {
	server := shop(t)
	h := signIn(t, server.URL)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			spec := Spec{Name: "test", Kind: "http", Every: time.Minute, Timeout: 10 * time.Second, Options: h}
			if r := spec.Run(context.Background(), loopback(), time.Now()); r.Status != Up {
				t.Errorf("%s %s", r.Reason, r.Detail)
			}
		})
	}
	wg.Wait()
}

func TestStepFaults(t *testing.T) {
	url := "https://shop.example.com/"
	take := act{name: "take", url: url, capture: map[string]Capture{"token": {Header: "X"}}}
	with := func(change func(h *HTTP)) *HTTP {
		h := steps(take, act{name: "use", url: url})
		h.Steps[0].Capture = maps.Clone(h.Steps[0].Capture)
		change(h)
		return h
	}
	second := func(change func(s *Step)) *HTTP { return with(func(h *HTTP) { change(&h.Steps[1]) }) }
	for _, tt := range []struct {
		name, path, says string
		check            *HTTP
	}{
		{"url beside", "url", "keep one of the two", with(func(h *HTTP) { h.URL = "https://a.example/" })},
		{"method beside", "method", "beside steps", with(func(h *HTTP) { h.Method = "POST" })},
		{"body beside", "body", "beside steps", with(func(h *HTTP) { h.Body = "x" })},
		{"bearer beside", "bearer", "beside steps", with(func(h *HTTP) { h.Bearer = secret.New("x") })},
		{"basic beside", "basic", "beside steps", with(func(h *HTTP) { h.Basic.Username = "x" })},
		{"redirects beside", "redirects", "beside steps", with(func(h *HTTP) { h.Redirects = 0 })},
		{"host beside", "headers.Host", "all steps", with(func(h *HTTP) { h.Headers = secrets("host", "a.example") })},
		{"expect beside", "expect", "more than within and fail_after", with(func(h *HTTP) { h.Expect.BodyLacks = []string{"x"} })},
		{"time beside", "expect.fail_after", "not longer than within", with(func(h *HTTP) { h.Expect.Within, h.Expect.FailAfter = 2, 1 })},
		{"trust beside", "ca", "holds no certificate", with(func(h *HTTP) { h.CA = "x" })},
		{"each address", "ip", "not repeated for every address", with(func(h *HTTP) { h.IP = familyEach })},
		{"no name", "steps[1].name", "1 to 63", second(func(s *Step) { s.Name = "" })},
		{"lines", "steps[1].name", "on one line", second(func(s *Step) { s.Name = "a\nb" })},
		{"same name", "steps[1].name", "earlier step", second(func(s *Step) { s.Name = "take" })},
		{"trust within", "steps[1].insecure", "share their connections", second(func(s *Step) { s.Insecure = true })},
		{"ip within", "steps[1].ip", "share their connections", second(func(s *Step) { s.IP = "4" })},
		{"no url", "steps[1].url", "not an address", second(func(s *Step) { s.URL = "" })},
		{"unknown", "steps[1].url", "refers to {{nope}}, which no earlier step captures; captured so far: token", second(func(s *Step) { s.URL += "{{nope}}" })},
		{"own", "steps[0].body", "refers to {{token}}", with(func(h *HTTP) { h.Steps[0].Body = "{{token}}" })},
		{"in a form", "steps[1].form.a", "refers to {{nope}}", second(func(s *Step) { s.Form = secrets("a", "{{nope}}") })},
		{"in a header", "steps[1].headers.A", "refers to {{nope}}", second(func(s *Step) { s.Headers = secrets("A", "{{nope}}") })},
		{"in a bearer", "steps[1].bearer", "refers to {{nope}}", second(func(s *Step) { s.Bearer = secret.New("{{nope}}") })},
		{"in a password", "steps[1].basic.password", "refers to {{nope}}", second(func(s *Step) { s.Basic = Basic{"a", secret.New("{{nope}}")} })},
		{"in an expectation", `steps[1].expect.json["$.a"]`, "refers to {{nope}}", second(func(s *Step) { s.Expect.JSON = map[string]JSONExpect{"$.a": equalsJSON(t, `"{{nope}}"`)} })},
		{"in a text", "steps[1].expect.body_lacks[0]", "refers to {{nope}}", second(func(s *Step) { s.Expect.BodyLacks = []string{"{{nope}}"} })},
		{"in a pattern", "steps[1].expect.body_matches[0]", "regular expression", second(func(s *Step) { s.Expect.BodyMatches = []Pattern{pattern(t, "{{token}}")} })},
		{"in expr", "steps[1].expect.expr[0]", "unknown name nope", second(func(s *Step) { s.Expect.Expr = []Expression{expression(t, "nope == ''")} })},
		{"in expr too early", "steps[0].expect.expr[0]", "unknown name token", with(func(h *HTTP) { h.Steps[0].Expect.Expr = []Expression{expression(t, "token == ''")} })},
		{"host", "steps[1].url", "takes its host from what was captured", second(func(s *Step) { s.URL = "https://{{token}}/" })},
		{"end of the host", "steps[1].url", "takes its host from what was captured", second(func(s *Step) { s.URL = "https://a.example{{token}}" })},
		{"port", "steps[1].url", "takes its host from what was captured", second(func(s *Step) { s.URL = "https://a.example:{{token}}/" })},
		{"scheme", "steps[1].url", "takes its host from what was captured", second(func(s *Step) { s.URL = "{{token}}://a.example/" })},
		{"part", "steps[1].url", "takes its host from what was captured", second(func(s *Step) { s.URL = "{{token}}/path" })},
		{"host header", "steps[1].headers.Host", "write the host", second(func(s *Step) { s.Headers = secrets("Host", "{{token}}") })},
		{"header", "steps[1].headers", "no header can carry", second(func(s *Step) { s.Headers = secrets("A", "{{token}}\n") })},
		{"form and body", "steps[1].form", "keep one", second(func(s *Step) { s.Form, s.Body = secrets("a", "b"), "x" })},
		{"two places", "steps[0].capture.token", "one of json, header, match and cookie", with(func(h *HTTP) { h.Steps[0].Capture["token"] = Capture{Header: "a", Cookie: "b"} })},
		{"no place", "steps[0].capture.token", "one of json, header, match and cookie", with(func(h *HTTP) { h.Steps[0].Capture["token"] = Capture{} })},
		{"groups", "steps[0].capture.token.match", "has 2 groups", with(func(h *HTTP) { h.Steps[0].Capture["token"] = Capture{Match: new(pattern(t, "(a)(b)"))} })},
		{"no header name", "steps[0].capture.token.header", "not a header's name", with(func(h *HTTP) { h.Steps[0].Capture["token"] = Capture{Header: "a b"} })},
		{"bad name", "steps[1].capture.A-b", "cannot be a name", second(func(s *Step) { s.Capture = map[string]Capture{"A-b": {Header: "X"}} })},
		{"taken name", "steps[1].capture.body", "has a meaning", second(func(s *Step) { s.Capture = map[string]Capture{"body": {Header: "X"}} })},
		{"word", "steps[1].capture.not", "has a meaning", second(func(s *Step) { s.Capture = map[string]Capture{"not": {Header: "X"}} })},
		{"many references", "steps[1].body", "101 times", second(func(s *Step) { s.Body = strings.Repeat("{{token}}", 101) })},
		{"many captures", "steps[1].capture", "at most 20", second(func(s *Step) {
			s.Capture = map[string]Capture{}
			for i := range 21 {
				s.Capture[fmt.Sprintf("a%d", i)] = Capture{Header: "X"}
			}
		})},
		{"many", "steps", "at most 30", with(func(h *HTTP) {
			for i := range 29 {
				s := act{name: fmt.Sprint(i), url: url}
				h.Steps = append(h.Steps, steps(s).Steps...)
			}
		})},
	} {
		faults := tt.check.Faults()
		if len(faults) != 1 || faults[0].Path != tt.path || !strings.Contains(faults[0].Message, tt.says) {
			t.Errorf("%s: %q, want %s: %s", tt.name, faults, tt.path, tt.says)
		}
	}
	fine := second(func(s *Step) {
		s.URL, s.Headers, s.Body = "https://shop.example.com/{{token}}?a={{ token }}", secrets("A", "{{token}}"), "{{token}} {{Other}} {{}}"
		s.Capture = map[string]Capture{"token": {Cookie: "again"}}
		s.Expect = HTTPExpect{BodyContains: []string{"{{token}}"}, Expr: []Expression{expression(t, `token != ""`)}}
	})
	fine.Headers, fine.IP, fine.MaxBody, fine.Insecure, fine.Expect.Within = secrets("User-Agent", "x"), "4", 5, true, time.Second
	if faults := fine.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
}
