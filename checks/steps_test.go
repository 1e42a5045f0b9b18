package checks

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
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

func steps(of ...Step) *HTTP {
	h := newHTTP()
	h.Steps = make([]Step, len(of))
	for i := range of {
		s := &h.Steps[i]
		s.Preset()
		from := &of[i]
		s.Name, s.URL, s.Headers, s.Body, s.Basic, s.Bearer = from.Name, from.URL, from.Headers, from.Body, from.Basic, from.Bearer
		s.Form, s.Expect, s.Capture = from.Form, from.Expect, from.Capture
		if from.Method != "" {
			s.Method = from.Method
		}
	}
	return h
}

func at(url string) HTTPRequest { return HTTPRequest{URL: url} }

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
		Step{Name: "page", HTTPRequest: at(base + "/login"), Capture: map[string]Capture{"csrf": {Match: new(pattern(t, `name="csrf" value="([^"]+)"`))}, "sid": {Cookie: "sid"}}},
		Step{Name: "login", HTTPRequest: at(base + "/login"),
			Form:    secrets("username", "nines", "password", "s3cr3t & more", "csrf", "{{csrf}}"),
			Expect:  HTTPExpect{JSON: map[string]JSONExpect{"$.user": {Equals: jsonValue(t, `"nines"`)}}, Expr: []Expression{expression(t, "redirects == 1 && csrf != sid")}},
			Capture: map[string]Capture{"token": {JSON: path(t, "$.api.token")}, "basket": {JSON: path(t, "$.api.basket")}}},
		Step{Name: "put in", HTTPRequest: HTTPRequest{URL: "{{basket}}", Method: "POST", Bearer: secret.New("{{token}}"),
			Headers: secrets("Content-Type", "application/json"), Body: `{"item": "tea", "token": "{{token}}"}`},
			Expect: HTTPExpect{Status: []StatusRange{{201, 201}}, JSON: map[string]JSONExpect{"$.items": {Length: new(1)}, "$.total": {Min: new(1.0), Max: new(100.0)}}}},
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
	r := run(t, steps(Step{Name: "a", HTTPRequest: at(base)}, Step{Name: "b", HTTPRequest: at(base)}, Step{Name: "c", HTTPRequest: at(base)}), 10*time.Second, loopback())
	wants(t, r, Up, "")
	if n := server.Connections(); n != 1 || r.Facts["remote_ip"] != "127.0.0.1" {
		t.Errorf("%d connections, facts %v", n, r.Facts)
	}
}

var _ = io.Discard
var _ = url.Parse
var _ = slices.Sort[[]string]
