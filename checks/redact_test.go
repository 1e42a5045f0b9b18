package checks

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nines/internal/secret"
)

// A captured text shows nowhere, in no form, cut or whole.
func TestHide(t *testing.T) {
	const secret = `tok"en/ü 1234567890`
	var r redactor
	r.add(secret, "{{token}}")
	r.add("42", "{{id}}")
	for detail, want := range map[string]string{
		"the body lacks " + secret:                                         "the body lacks {{token}}",
		fmt.Sprintf("the header X is %q", secret):                          `the header X is "{{token}}"`,
		"followed to https://h/" + url.PathEscape(secret) + "?x":           "followed to https://h/{{token}}?x",
		"followed to https://h/?a=" + url.QueryEscape(secret):              "followed to https://h/?a={{token}}",
		`$.a is "` + clip(secret, 12) + `"; expected "x` + clip(secret, 5): `$.a is "{{token}}…"; expected "x{{token}}…`,
		"the status is 401; expected 200-299, in 42 ms, 42,42 and 1428":    "the status is 401; expected 200-299, in {{id}} ms, {{id}},{{id}} and 1428",
		"nothing … of it …":                                                "nothing … of it …",
	} {
		if got := r.hide(detail); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", detail, got, want)
		}
	}
}

func TestHideProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringN(8, 60, -1).Draw(t, "secret")
		around := rapid.StringMatching(`[A-Z ]{0,5}`).Draw(t, "around")
		var r redactor
		r.add(secret, "{{a}}")
		for _, detail := range []string{around + secret + around, fmt.Sprintf("%s%q", around, secret), around + url.PathEscape(secret) + secret} {
			if got := r.hide(detail); strings.Contains(got, secret) && !strings.Contains("{{a}}"+around, secret) {
				t.Errorf("%q shows %q", got, secret)
			}
		}
	})
}

// A target that sends back what it got does not make it public.
func TestSentSecretsAreHidden(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		w.Header().Set("X-Echo", r.Header.Get("Authorization")+" "+r.Header.Get("X-Key")+" "+user+" "+password+" "+r.FormValue("pin"))
		w.Header().Set("X-Type", r.Header.Get("Content-Type"))
	}))
	defer server.Close()
	shows := map[string]HeaderExpect{"X-Echo": {Absent: new(true)}}
	with := func(change func(r *HTTPRequest)) []Options {
		plain, stepped := httpAt(server.URL), steps(act{name: "only", url: server.URL, form: secrets("pin", canary+"-pin"), expect: HTTPExpect{Headers: shows}})
		plain.Expect.Headers = shows
		change(&plain.HTTPRequest)
		change(&stepped.Steps[0].HTTPRequest)
		return []Options{plain, stepped}
	}
	for name, checks := range map[string][]Options{
		"bearer": with(func(r *HTTPRequest) { r.Bearer = secret.New(canary) }),
		"basic":  with(func(r *HTTPRequest) { r.Basic = Basic{"user", secret.New(canary)} }),
		"header": with(func(r *HTTPRequest) { r.Headers = secrets("x-key", canary) }),
	} {
		for _, check := range checks {
			r := run(t, check, 10*time.Second, loopback())
			wants(t, r, Down, ContentMismatch)
			packed := base64.StdEncoding.EncodeToString([]byte("user:" + canary))
			if strings.Contains(r.Detail, canary) || strings.Contains(r.Detail, packed[:16]) || !strings.Contains(r.Detail, "[redacted]") {
				t.Errorf("%s: %s", name, r.Detail)
			}
		}
	}
	// What is no credential is shown.
	h := httpAt(server.URL)
	h.Headers, h.Expect.Headers = secrets("Content-Type", "application/json"), map[string]HeaderExpect{"X-Type": HeaderEquals("text/html")}
	if r := run(t, h, 10*time.Second, loopback()); r.Detail != `the header X-Type is "application/json"; expected "text/html"` {
		t.Error(r.Detail)
	}
}

func TestHideInFacts(t *testing.T) {
	var r redactor
	r.add(canary, "{{token}}")
	facts := Facts{"n": 1, "text": "a " + canary, "list": []string{"b", canary + "!"}}
	r.hideIn(facts)
	if want := (Facts{"n": 1, "text": "a {{token}}", "list": []string{"b", "{{token}}!"}}); !reflect.DeepEqual(facts, want) {
		t.Errorf("got %v, want %v", facts, want)
	}
}
