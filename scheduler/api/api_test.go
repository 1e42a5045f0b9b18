package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/secret"
	"nines/regions"
	"nines/scheduler"
	"nines/scheduler/api"
	"nines/scheduler/config"
	"nines/scheduler/store"
)

const yaml = `
listen: 127.0.0.1:0
public_url: https://status.example.com
store: nines.db
api_token: the-token-of-the-tests
regions: [{name: eu}]
probers: [{name: eu-1, region: eu, token: token-of-eu-1}]
checks: [{name: shop, kind: http, url: "https://shop.example.com/"}]
people: [{name: alice, phone: "+48500100200"}]
rotations: [{name: primary, timezone: UTC, every: weekly, handoff: mon 09:00, start: 2026-01-05, people: [alice]}]
policies: [{name: default, steps: [{notify: ["rotation:primary"], by: [sms], wait: 5m}]}]
slas: [{name: gold, checks: [shop], target: 99.9, timezone: UTC}]
twilio: {account_sid: AC00000000000000000000000000000001, auth_token: x, from: "+12025550100"}
`

// serve starts a scheduler's handler with one incident.
func serve(t *testing.T, yaml string) (*httptest.Server, *api.Client) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nines.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(c.Store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	s, err := scheduler.New(scheduler.Config{Config: c, Store: st})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	b := regions.Batch{Spool: "a", Entries: []regions.Entry{{Seq: 1, Result: checks.Result{
		Check: "shop", Slot: now, At: now, Status: checks.Down, Reason: checks.ConnectTimeout,
	}}}}
	if _, err := s.Ingest(context.Background(), "eu-1", "eu", b); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server, &api.Client{BaseURL: server.URL + "/", Token: secret.New("the-token-of-the-tests")}
}

// ask sends a request with the token.
func ask(t *testing.T, server *httptest.Server, method, path, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer the-token-of-the-tests")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(data)
}

func TestClient(t *testing.T) {
	_, c := serve(t, yaml)
	ctx := context.Background()
	status, err := c.Status(ctx)
	if err != nil || len(status.Checks) != 1 || status.Checks[0].Verdict != "down" || len(status.Incidents) != 1 {
		t.Fatalf("status: %+v, %v", status, err)
	}
	id := status.Incidents[0].ID
	for n, want := range []bool{true, false} {
		change, err := c.Acknowledge(ctx, id, []string{"alice", "bob"}[n])
		if err != nil || change.Changed != want || change.AcknowledgedBy != "alice" || change.State != "acknowledged" {
			t.Errorf("ack %d: %+v, %v", n, change, err)
		}
	}
	if change, err := c.Snooze(ctx, id, "alice", time.Hour); err != nil || change.SnoozedUntil.IsZero() {
		t.Errorf("snooze: %+v, %v", change, err)
	}
	one, err := c.Incident(ctx, id)
	if err != nil || len(one.Log) < 3 || len(one.Notices) == 0 {
		t.Errorf("the incident: %+v, %v", one, err)
	}
	silence, err := c.Silence(ctx, api.NewSilence{Check: "shop", For: "2d", Why: "moving house", Who: "alice"})
	if err != nil || silence.To.Sub(silence.From).Round(time.Minute) != 48*time.Hour {
		t.Errorf("silence: %+v, %v", silence, err)
	}
	if list, err := c.Silences(ctx); err != nil || len(list) != 1 || list[0].Why != "moving house" {
		t.Errorf("silences: %+v, %v", list, err)
	}
	if err := c.EndSilence(ctx, silence.ID); err != nil {
		t.Error(err)
	}
	pages, err := c.TestPage(ctx, api.TestPage{Person: "alice"})
	if err != nil || len(pages) != 2 {
		t.Fatalf("test pages: %+v, %v", pages, err)
	}
	if n, err := c.Notice(ctx, pages[0].ID); err != nil || n.State != "queued" || n.Kind != "test" {
		t.Errorf("the notice: %+v, %v", n, err)
	}
	if change, err := c.Resolve(ctx, id, ""); err != nil || change.State != "resolved" || change.ResolvedBy != "operator" {
		t.Errorf("resolve: %+v, %v", change, err)
	}
	var p *api.Problem
	if _, err := c.Acknowledge(ctx, 999, ""); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("an incident that is not there: %v", err)
	}
	c.Token = secret.New("another")
	if _, err := c.Status(ctx); !errors.As(err, &p) || p.Status != 401 {
		t.Errorf("with another token: %v", err)
	}
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	c.BaseURL = stranger.URL
	if _, err := c.Status(ctx); err == nil || !strings.Contains(err.Error(), "is this its address?") {
		t.Errorf("at another address: %v", err)
	}
}

// TestProblems: whatever is wrong is told as a problem with its status.
func TestProblems(t *testing.T) {
	server, _ := serve(t, yaml)
	for _, test := range []struct {
		method, path, body string
		status             int
		detail             string
	}{
		{"GET", "/api/v1/nothing", "", 404, "openapi.json"},
		{"GET", "/api/v1/", "", 404, ""},
		{"POST", "/api/v1/status", "{}", 405, "GET"},
		{"GET", "/api/v1/incidents/1/ack", "", 405, "POST"},
		{"GET", "/api/v1/incidents/x", "", 404, "x"},
		{"GET", "/api/v1/incidents/99", "", 404, "99"},
		{"GET", "/api/v1/incidents?limit=0", "", 400, "limit"},
		{"GET", "/api/v1/incidents?state=shut", "", 400, "state"},
		{"POST", "/api/v1/incidents/1/ack", `{"whom":"alice"}`, 400, "whom"},
		{"POST", "/api/v1/incidents/1/ack", `{"who":"al`, 400, "body"},
		{"POST", "/api/v1/incidents/1/ack", `{} {}`, 400, "goes on"},
		{"POST", "/api/v1/incidents/1/ack", `{"who":"` + strings.Repeat("a", 80) + `"}`, 400, "who"},
		{"POST", "/api/v1/incidents/1/ack", `{"who":"` + strings.Repeat("a", 70<<10) + `"}`, 413, "larger"},
		{"POST", "/api/v1/incidents/1/snooze", `{"for":"a while"}`, 400, "for"},
		{"POST", "/api/v1/silences", `{"check":"nobody","for":"1h"}`, 400, "nobody"},
		{"POST", "/api/v1/silences", `{"check":"shop"}`, 400, "for"},
		{"DELETE", "/api/v1/silences/7", "", 404, "7"},
		{"POST", "/api/v1/pages/test", `{"person":"nobody"}`, 400, "nobody"},
		{"POST", "/api/v1/pages/test", `{"person":"alice","by":["pigeon"]}`, 400, "pigeon"},
		{"POST", "/api/v1/quarantines", `{"prober":"eu-9"}`, 400, "eu-9"},
		{"POST", "/api/v1/quarantines", `{"prober":"eu-1"}`, 400, "from"},
		{"GET", "/api/v1/results?from=yesterday", "", 400, "yesterday"},
		{"GET", "/api/v1/reports/gold/october", "", 400, "october"},
		{"GET", "/api/v1/reports/lead/2026-10", "", 404, "lead"},
		{"GET", "/api/v1/oncall?rotation=nobody", "", 400, "nobody"},
	} {
		answer, body := ask(t, server, test.method, test.path, test.body)
		var p api.Problem
		err := json.Unmarshal([]byte(body), &p)
		if err != nil || answer.StatusCode != test.status || p.Status != test.status || p.Title == "" || p.Type == "" ||
			answer.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(p.Detail, test.detail) {
			t.Errorf("%s %s: %d %s", test.method, test.path, answer.StatusCode, body)
		}
		if test.status == 405 && answer.Header.Get("Allow") != test.detail {
			t.Errorf("%s %s: Allow: %q", test.method, test.path, answer.Header.Get("Allow"))
		}
	}
}

func TestToken(t *testing.T) {
	server, _ := serve(t, yaml)
	closed, _ := serve(t, strings.Replace(yaml, "api_token: the-token-of-the-tests\n", "", 1))
	for _, test := range []struct {
		name, authorization, path string
		server                    *httptest.Server
		status                    int
	}{
		{"no token", "", "/api/v1/status", server, 401},
		{"another", "Bearer another", "/api/v1/status", server, 401},
		{"another scheme", "Basic the-token-of-the-tests", "/api/v1/status", server, 401},
		{"the token", "bearer the-token-of-the-tests", "/api/v1/status", server, 200},
		{"a path that is not there", "", "/api/v1/nothing", server, 401},
		{"the description", "", "/api/v1/openapi.json", server, 200},
		{"none configured, none given", "", "/api/v1/status", closed, 401},
		{"none configured, an empty one given", "Bearer ", "/api/v1/status", closed, 401},
	} {
		r, err := http.NewRequest("GET", test.server.URL+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.authorization != "" {
			r.Header.Set("Authorization", test.authorization)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", test.name, answer.StatusCode, test.status)
		}
		if test.server == closed && !strings.Contains(string(body), "set api_token") {
			t.Errorf("%s: no hint in %s", test.name, body)
		}
	}
}

// TestDescription: OpenAPI describes exactly what is served, and every $ref in
// it leads somewhere.
func TestDescription(t *testing.T) {
	server, _ := serve(t, yaml)
	_, body := ask(t, server, "GET", "/api/v1/openapi.json", "")
	var d struct {
		OpenAPI    string                               `json:"openapi"`
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components map[string]map[string]any            `json:"components"`
	}
	if err := json.Unmarshal([]byte(body), &d); err != nil || d.OpenAPI != "3.1.0" {
		t.Fatalf("%v\n%s", err, body)
	}
	for _, match := range regexp.MustCompile(`"#/components/(\w+)/(\w+)"`).FindAllStringSubmatch(body, -1) {
		if _, ok := d.Components[match[1]][match[2]]; !ok {
			t.Errorf("%s leads nowhere", match[0])
		}
	}
	// Whatever is described answers with something other than "there is no
	// such path" or "not by this method", and no other method does.
	fill := regexp.MustCompile(`\{[a-z]+\}`)
	ids := map[string]bool{}
	for path, methods := range d.Paths {
		target := fill.ReplaceAllString(path, "1")
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			op, described := methods[strings.ToLower(method)]
			answer, body := ask(t, server, method, target, "{}")
			if served := answer.StatusCode != 405 && !strings.Contains(body, "there is no /api/"); served != described {
				t.Errorf("%s %s: served %v, described %v (%d)", method, path, served, described, answer.StatusCode)
			}
			if !described {
				continue
			}
			if id, _ := op["operationId"].(string); id == "" || ids[id] {
				t.Errorf("%s %s: operationId %q", method, path, id)
			} else {
				ids[id] = true
			}
		}
	}
	if len(ids) < 15 {
		t.Errorf("only %d operations are described", len(ids))
	}
}

func TestExport(t *testing.T) {
	server, _ := serve(t, yaml)
	answer, body := ask(t, server, "GET", "/api/v1/results?from=2000-01-01", "")
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %s", answer.StatusCode, body)
	}
	var names []string
	for rec, err := range checks.ReadRecords(strings.NewReader(body)) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, rec.Result.Check)
	}
	if !slices.Equal(names, []string{"shop"}) {
		t.Errorf("exported: %v", names)
	}
	if _, body := ask(t, server, "GET", "/api/v1/oncall?from=2026-01-05&to=2026-01-20", ""); !strings.Contains(body, `"person":"alice"`) {
		t.Errorf("on call: %s", body)
	}
	if answer, body := ask(t, server, "GET", "/api/v1/oncall", ""); answer.StatusCode != 200 || !strings.Contains(body, `"rotation":"primary"`) {
		t.Errorf("on call now: %s", body)
	}
}
