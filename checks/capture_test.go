package checks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

// canary is what a target tells and nobody may read in a result.
const canary = "c4n4ry-9f8e7d6c5b"

// Whatever goes wrong after a text was captured, neither detail nor facts show it.
func TestCapturedTextsAreSecret(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/give", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Token", canary)
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: canary})
		fmt.Fprintf(w, `{"token": %q, "quoted": "a \"%s\" ü", "link": "http://127.0.0.1:1/%s", "host": "//%s.invalid/"}`, canary, canary, canary, canary)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.URL.Query().Get("t"))
		fmt.Fprintf(w, `{"echo": %q}`, r.URL.Query().Get("t"))
	})
	mux.HandleFunc("/loop/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) })
	mux.HandleFunc("/away/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "ftp://"+strings.TrimPrefix(r.URL.Path, "/away/"), http.StatusFound)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	give := act{name: "give", url: server.URL + "/give", capture: map[string]Capture{
		"token": {JSON: path(t, "$.token")}, "quoted": {JSON: path(t, "$.quoted")}, "link": {JSON: path(t, "$.link")}, "host": {JSON: path(t, "$.host")},
		"sent": {Header: "x-token"}, "sid": {Cookie: "sid"}, "found": {Match: new(pattern(t, `"token": "([^"]*)"`))}, "every": {Match: new(pattern(t, `c4n4ry-\w+`))},
	}}
	echo := server.URL + "/echo?t={{quoted}}"
	for name, second := range map[string]act{
		"header":       {url: echo, expect: HTTPExpect{Headers: map[string]HeaderExpect{"X-Echo": HeaderEquals("{{token}} no")}}},
		"header there": {url: echo, expect: HTTPExpect{Headers: map[string]HeaderExpect{"X-Echo": {Absent: new(true)}}}},
		"json":         {url: echo, expect: HTTPExpect{JSON: map[string]JSONExpect{"$.echo": equalsJSON(t, `"<{{quoted}}>"`)}}},
		"json there":   {url: echo, expect: HTTPExpect{JSON: map[string]JSONExpect{"$.echo": {Absent: new(true)}}}},
		"contains":     {url: echo, expect: HTTPExpect{BodyContains: []string{"<{{token}}>"}}},
		"lacks":        {url: echo, expect: HTTPExpect{BodyLacks: []string{"{{token}}"}}},
		"expr":         {url: echo, expect: HTTPExpect{Expr: []Expression{expression(t, `int(token) == 1`)}}},
		"expr of JSON": {url: echo, expect: HTTPExpect{Expr: []Expression{expression(t, `date(json.echo) > now()`)}}},
		"loop":         {url: server.URL + "/loop/{{quoted}}?x={{token}}"},
		"away":         {url: server.URL + "/away/{{token}}"},
		"link":         {url: "{{link}}"},
		"host":         {url: "{{host}}"},
		"not a link":   {url: "{{quoted}}"},
		"capture":      {url: echo, capture: map[string]Capture{"more": {Header: "x-nothing"}}},
	} {
		second.name = "second"
		r := run(t, steps(give, second), 5*time.Second, loopback())
		whole, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		leaked := strings.Contains(string(whole), canary) || strings.Contains(string(whole), canary[:12])
		if name == "host" { // which host was asked for is what the detail is about
			leaked = strings.Contains(string(whole), "//"+canary)
		}
		if r.Status == Up || leaked || !strings.HasPrefix(r.Detail, "step 2 (second): ") {
			t.Errorf("%s: %s %s: %s\n%s", name, r.Status, r.Reason, r.Detail, whole)
		}
	}
}

func TestCaptures(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	const body = `{"text": "a", "n": 1.50, "list": [1, {"b": "c"}], "null": null, "empty": "", "yes": true, "long": "` + "LONG" + `"}`
	long := strings.Repeat("x", maxCaptured)
	server.SetPath("/", checkstest.Behaviour{Body: strings.Replace(body, "LONG", long, 1), Header: http.Header{"X-Token": {"t", "u"}, "X-Empty": {""}, "Set-Cookie": {"sid=1; Path=/", "q=\"2\""}}})
	server.SetPath("/longer", checkstest.Behaviour{Body: long + "x"})
	for _, tt := range []struct {
		name    string
		path    string
		capture Capture
		want    string // empty: there is nothing
		says    string
	}{
		{"text", "/", Capture{JSON: path(t, "$.text")}, "a", ""},
		{"number", "/", Capture{JSON: path(t, "$.n")}, "1.5", ""},
		{"bool", "/", Capture{JSON: path(t, "$.yes")}, "true", ""},
		{"list", "/", Capture{JSON: path(t, "$.list")}, `[1,{"b":"c"}]`, ""},
		{"first of several", "/", Capture{JSON: path(t, "$.list[*]")}, "1", ""},
		{"null", "/", Capture{JSON: path(t, "$.null")}, "", "nothing to capture as it at $.null"},
		{"empty", "/", Capture{JSON: path(t, "$.empty")}, "", "nothing to capture as it at $.empty"},
		{"no value", "/", Capture{JSON: path(t, "$.no")}, "", "nothing to capture as it at $.no"},
		{"not JSON", "/longer", Capture{JSON: path(t, "$.no")}, "", "the body is not JSON at byte 0"},
		{"as long as can be", "/", Capture{JSON: path(t, "$.long")}, long, ""},
		{"too long", "/longer", Capture{Match: new(pattern(t, "x+"))}, "", "has 8193 bytes; at most 8192"},
		{"header", "/", Capture{Header: "x-token"}, "t", ""},
		{"no header", "/", Capture{Header: "X-No"}, "", "nothing to capture as it at the header X-No"},
		{"empty header", "/", Capture{Header: "X-Empty"}, "", "nothing to capture as it at the header X-Empty"},
		{"cookie", "/", Capture{Cookie: "sid"}, "1", ""},
		{"quoted cookie", "/", Capture{Cookie: "q"}, "2", ""},
		{"no cookie", "/", Capture{Cookie: "no"}, "", "nothing to capture as it at the cookie no"},
		{"match", "/", Capture{Match: new(pattern(t, `"te.t": `))}, `"text": `, ""},
		{"group", "/", Capture{Match: new(pattern(t, `"te(x)t"`))}, "x", ""},
		{"no match", "/", Capture{Match: new(pattern(t, "nope(.)"))}, "", "nothing to capture as it at a match of nope(.)"},
	} {
		h := steps(
			act{name: "take", url: server.URL() + tt.path, capture: map[string]Capture{"it": tt.capture}},
			act{name: "use", url: server.URL() + "/used", method: "POST", body: "{{it}}"},
		)
		r := run(t, h, 10*time.Second, loopback())
		if tt.want == "" {
			wants(t, r, Down, ContentMismatch)
			if !strings.HasPrefix(r.Detail, "step 1 (take): "+tt.says) && !strings.Contains(r.Detail, tt.says) {
				t.Errorf("%s: %s", tt.name, r.Detail)
			}
			continue
		}
		wants(t, r, Up, "")
		all := server.Requests()
		if got := all[len(all)-1]; got.Path != "/used" || got.Body != tt.want {
			t.Errorf("%s: the server got %.100q", tt.name, got.Body)
		}
	}
}

// A target cannot end a header and begin another.
func TestCapturedTextsStayInTheirHeader(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	server.Set(checkstest.Behaviour{Body: `{"t": "a\r\nX-Evil: yes"}`})
	take := act{name: "take", url: server.URL(), capture: map[string]Capture{"t": {JSON: path(t, "$.t")}}}
	for name, use := range map[string]act{
		"header": {url: server.URL(), headers: secrets("X-A", "b{{t}}")},
		"bearer": {url: server.URL(), bearer: secret.New("{{t}}")},
	} {
		use.name = "use"
		before := len(server.Requests())
		r := run(t, steps(take, use), 10*time.Second, loopback())
		wants(t, r, Down, ContentMismatch)
		if !strings.Contains(r.Detail, "step 2 (use): what was captured has characters in it that no header can carry") || len(server.Requests())-before != 2 {
			t.Errorf("%s: %s, %d requests", name, r.Detail, len(server.Requests())-before)
		}
	}
	basic := act{name: "use", url: server.URL(), basic: Basic{"u", secret.New("{{t}}")}}
	wants(t, run(t, steps(take, basic), 10*time.Second, loopback()), Up, "")
}

// A whole URL from a target is a redirect: to another origin go no credentials,
// and no further than the prober's owner allows.
func TestCapturedURLs(t *testing.T) {
	home, away := opened(checkstest.NewHTTP())(t), opened(checkstest.NewHTTP())(t)
	use := act{name: "use", url: "{{next}}", method: "POST", bearer: secret.New("t0ken"), headers: secrets("X-Key", "k3y", "Accept-Language", "pl"), body: "x"}
	take := act{name: "take", url: home.URL() + "/dir/page", capture: map[string]Capture{"next": {JSON: path(t, "$.next")}}}
	next := func(url string) {
		home.SetPath("/dir/page", checkstest.Behaviour{Body: fmt.Sprintf(`{"next": %q}`, url)})
	}
	last := func(s *checkstest.HTTP) checkstest.Request { all := s.Requests(); return all[len(all)-1] }

	next("other?a=b")
	wants(t, run(t, steps(take, use), 10*time.Second, loopback()), Up, "")
	if got := last(home); got.Path != "/dir/other" || got.Header.Get("Authorization") != "Bearer t0ken" || got.Header.Get("X-Key") != "k3y" || got.Method != "POST" || got.Body != "x" {
		t.Errorf("got %+v", got)
	}
	next(strings.Replace(away.URL(), "//", "//user:pw@", 1) + "/there")
	wants(t, run(t, steps(take, use), 10*time.Second, loopback()), Down, HTTPRedirect) // with its body
	if n := away.Connections(); n != 0 {
		t.Errorf("%d connections to where a body was not to go", n)
	}
	use.method, use.body = "", ""
	wants(t, run(t, steps(take, use), 10*time.Second, loopback()), Up, "")
	if got := last(away); got.Path != "/there" || got.Header.Get("Authorization") != "" || got.Header.Get("X-Key") != "" || got.Header.Get("Accept-Language") != "pl" {
		t.Errorf("got %+v", got)
	}
	for url, reason := range map[string]Reason{"http://10.1.2.3/": ProberBlocked, "http://169.254.169.254/latest": ProberBlocked, "http://[::1]/": ProberBlocked} {
		next(url)
		wants(t, run(t, steps(take, use), 10*time.Second, loopback()), Unknown, reason)
	}
	for _, url := range []string{"ftp://127.0.0.1/", "javascript:alert(1)", "http://", "http://a b/", "http://127.0.0.1:0/"} {
		next(url)
		wants(t, run(t, steps(take, use), 10*time.Second, loopback()), Down, HTTPRedirect)
	}
}

func FuzzCapture(f *testing.F) {
	f.Add(`name="csrf" value="([^"]+)"`, `<input name="csrf" value="x">`, "text/html")
	f.Add(`(?i)token=(\w*)`, "TOKEN=", "application/json")
	f.Add(`$`, "", "")
	f.Fuzz(func(t *testing.T, text, body, header string) {
		p := new(Pattern)
		if p.UnmarshalText([]byte(text)) != nil {
			return
		}
		a := answered(body)
		a.header = http.Header{"X-A": {header}, "Set-Cookie": {header}}
		for _, c := range []Capture{{Match: p}, {Header: "x-a"}, {Cookie: "a"}} {
			got, finding := c.from("it", a, nil)
			if (got == "") != (finding.status == Down) || len(got) > maxCaptured {
				t.Errorf("%v: %q and %+v", &c, got, finding)
			}
			if finding.status == "" && c.Match != nil && !strings.Contains(body, got) {
				t.Errorf("%q is not in %q", got, body)
			}
		}
		c := Capture{Match: p}
		c.faults("capture")
	})
}
