package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/incident"
)

// ask sends a request to the house and returns the answer with its body.
func (h *house) ask(method, target string, edit ...func(r *http.Request)) (*http.Response, string) {
	h.t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for _, f := range edit {
		f(r)
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	answer := w.Result()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer, string(body)
}

func asOperator(r *http.Request) { r.Header.Set("Authorization", "Bearer operator-token-of-the-tests") }

// local is the path of one of our own public addresses.
func local(t *testing.T, address string) string {
	t.Helper()
	path, ok := strings.CutPrefix(address, "https://status.example.com")
	if !ok {
		t.Fatalf("%q is not below the public URL", address)
	}
	return path
}

func TestLinkPage(t *testing.T) {
	h := build(t)
	h.see("shop", checks.Down, everywhere...)
	path := local(t, h.link(1, "alice"))
	answer, body := h.ask("GET", path)
	if answer.StatusCode != 200 || !strings.Contains(body, "Acknowledge as alice") || strings.Contains(body, "no answer from") {
		t.Errorf("GET: %d\n%s", answer.StatusCode, body)
	}
	if cache := answer.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
		t.Errorf("Cache-Control: %q", cache)
	}
	if i := h.incidents()[0]; i.State != incident.Triggered {
		t.Fatal("a GET acknowledged")
	}
	for name, wrong := range map[string]string{
		"no key":             "/i/1",
		"another's key":      "/i/1?k=" + strings.Replace(h.linkKey(1, "alice"), "alice", "bob", 1),
		"another incident's": "/i/1?k=" + h.linkKey(2, "alice"),
		"no number":          "/i/x?k=" + h.linkKey(1, "alice"),
		"half a key":         path[:len(path)-1],
		"nobody named":       "/i/1?k=." + h.linkKey(1, ""),
	} {
		for _, method := range []string{"GET", "POST"} {
			if answer, body := h.ask(method, wrong); answer.StatusCode != 404 || strings.Contains(body, "shop") {
				t.Errorf("%s, %s: %d\n%s", method, name, answer.StatusCode, body)
			}
		}
	}
	for range 2 {
		if answer, body := h.ask("POST", path); answer.StatusCode != 200 || !strings.Contains(body, "alice has it in hand") {
			t.Errorf("POST: %d\n%s", answer.StatusCode, body)
		}
	}
	i := h.incidents()[0]
	if i.AckedBy != "alice" || i.AckedVia != "link" {
		t.Errorf("acknowledged by %q via %q", i.AckedBy, i.AckedVia)
	}
}

func TestCalendars(t *testing.T) {
	h := build(t)
	all, one := local(t, h.CalendarLink("")), local(t, h.CalendarLink("primary"))
	for _, test := range []struct {
		path   string
		status int
		edit   func(r *http.Request)
	}{
		{all, 200, nil},
		{one, 200, nil},
		{"/oncall.ics", 401, nil},
		{"/oncall/primary.ics", 401, nil},
		{"/oncall/primary.ics?token=" + h.calendarToken(""), 401, nil},
		{"/oncall.ics", 200, asOperator},
		{"/oncall/nobody.ics", 404, asOperator},
		{"/oncall/primary", 404, asOperator},
	} {
		edits := []func(*http.Request){}
		if test.edit != nil {
			edits = append(edits, test.edit)
		}
		answer, body := h.ask("GET", test.path, edits...)
		if answer.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", test.path, answer.StatusCode, test.status)
		}
		if test.status == 200 && (!strings.Contains(body, "BEGIN:VEVENT") || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/calendar")) {
			t.Errorf("%s: %s", test.path, body)
		}
	}
	h = build(t, "api_token: operator-token-of-the-tests\n", "")
	if link := h.CalendarLink(""); link != "" {
		t.Errorf("without an api_token there is a feed at %s", link)
	}
	if answer, _ := h.ask("GET", "/oncall.ics?token="); answer.StatusCode != 401 {
		t.Errorf("without an api_token: %d", answer.StatusCode)
	}
}

func TestReportPages(t *testing.T) {
	h := build(t)
	h.see("shop", checks.Up, everywhere...)
	october := civil.Month{Year: 2026, Month: 10}
	secret := local(t, h.ReportLink("gold", october))
	for _, test := range []struct {
		path   string
		status int
		media  string
		edit   func(r *http.Request)
	}{
		{secret, 200, "text/html", nil},
		{secret + "&format=json", 200, "application/json", nil},
		{secret + "&format=csv", 200, "text/csv", nil},
		{secret + "&format=xml", 400, "", nil},
		{"/reports/gold/2026-10", 401, "", nil},
		{strings.Replace(secret, "2026-10", "2026-09", 1), 401, "", nil},
		{"/reports/gold/2026-10", 200, "text/html", asOperator},
		{"/reports/gold/october", 400, "", asOperator},
		{"/reports/lead/2026-10", 404, "", asOperator},
		{"/reports/gold/2026-11", 404, "", asOperator},
	} {
		edits := []func(*http.Request){}
		if test.edit != nil {
			edits = append(edits, test.edit)
		}
		answer, body := h.ask("GET", test.path, edits...)
		if answer.StatusCode != test.status || !strings.HasPrefix(answer.Header.Get("Content-Type"), test.media) {
			t.Errorf("%s: %d %s, want %d %s\n%.200s", test.path, answer.StatusCode, answer.Header.Get("Content-Type"), test.status, test.media, body)
		}
	}
}

func TestMetrics(t *testing.T) {
	h := build(t)
	r := result("shop", "eu", noon, checks.Up)
	r.Phases = checks.Phases{"dns": 1.5, "connect": 20, "tls": 41, "first_byte": 50, "transfer": 11}
	r.Facts = checks.Facts{"http_status": 200, "http_version": "HTTP/2.0", "cert_expires": "2027-01-04T11:00:00Z", "chain_expires": "2027-01-01T11:00:00Z", "tls_version": "TLS 1.3", "remote_ip": "203.0.113.7", "redirects": 1}
	h.ingest(r)
	h.see("shop", checks.Down, "us", "ap")
	dns := result("ns", "eu", noon, checks.Up)
	dns.Phases, dns.Facts = checks.Phases{"dns": 3}, checks.Facts{"answers": []any{"192.0.2.10"}}
	h.ingest(dns)
	answer, body := h.ask("GET", "/metrics")
	if answer.StatusCode != 200 {
		t.Fatalf("%d\n%s", answer.StatusCode, body)
	}
	for _, want := range []string{
		`probe_success{check="shop",region="eu"} 1`,
		`probe_success{check="shop",region="us"} 0`,
		`probe_duration_seconds{check="shop",region="eu"} 0.12`,
		`probe_http_status_code{check="shop",region="eu"} 200`,
		`probe_http_version{check="shop",region="eu"} 2`,
		`probe_http_ssl{check="shop",region="eu"} 1`,
		`probe_http_redirects{check="shop",region="eu"} 1`,
		`probe_http_duration_seconds{check="shop",phase="processing",region="eu"} 0.05`,
		`probe_dns_lookup_time_seconds{check="shop",region="eu"} 0.0015`,
		`probe_ip_protocol{check="shop",region="eu"} 4`,
		`probe_ssl_earliest_cert_expiry{check="shop",region="eu"} 1.7988012e+09`,
		`probe_ssl_last_chain_expiry_timestamp_seconds{check="shop",region="eu"} 1.7990604e+09`,
		`probe_failed_due_to_regex{check="shop",region="eu"} 0`,
		`probe_dns_query_succeeded{check="ns",region="eu"} 0`,
		`probe_tls_version_info{check="shop",region="eu",version="TLS 1.3"} 1`,
		`probe_dns_duration_seconds{check="ns",phase="request",region="eu"} 0.003`,
		`probe_dns_answer_rrs{check="ns",region="eu"} 1`,
		`nines_check_verdict{check="shop",verdict="down"} 1`,
		`nines_incidents_open{state="triggered"} 1`,
		`nines_results_total{status="up"} 2`,
		`nines_results_total{status="down"} 2`,
		`nines_outbox_depth 2`,
		`nines_ingest_seconds_count 4`,
		`nines_prober_connected{prober="eu-1",region="eu"} 0`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("%s is not there", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
	h.clock = h.clock.Add(time.Hour)
	if _, body := h.ask("GET", "/metrics"); strings.Contains(body, "probe_success{") {
		t.Error("what is an hour old is still told")
	}
}

func TestHealth(t *testing.T) {
	h := build(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if answer, body := h.ask("GET", path); answer.StatusCode != 200 {
			t.Errorf("%s: %d\n%s", path, answer.StatusCode, body)
		}
	}
	h.clock = h.clock.Add(time.Minute) // and no tick
	if answer, body := h.ask("GET", "/readyz"); answer.StatusCode != 503 || strings.Contains(body, "verdict") {
		t.Errorf("when verdicts stand still: %d\n%s", answer.StatusCode, body)
	}
	h.pass(time.Second)
	if err := h.sick(context.Background()); err != nil {
		t.Errorf("sick: %v", err)
	}
	h.pass(5 * time.Minute)
	if err := h.sick(context.Background()); err == nil || !strings.Contains(err.Error(), "no result came") {
		t.Errorf("five minutes without results: %v", err)
	}
	h.store.Close()
	if answer, _ := h.ask("GET", "/readyz"); answer.StatusCode != 503 {
		t.Errorf("without a store: %d", answer.StatusCode)
	}
}

// TestDeadMan: the switch is pinged while all is well, and not otherwise.
func TestDeadMan(t *testing.T) {
	pings := 0
	hc := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { pings++ }))
	defer hc.Close()
	h := build(t, "listen:", "dead_man_url: "+hc.URL+"/abc\nlisten:")
	ctx := context.Background()
	h.see("shop", checks.Up, everywhere...)
	h.pass(time.Second)
	if err := h.ping(ctx); err != nil || pings != 1 {
		t.Errorf("%d pings, %v", pings, err)
	}
	h.see("shop", checks.Down, everywhere...)
	h.pass(time.Second)
	h.see("ns", checks.Up, "eu")
	if err := h.ping(ctx); err != nil || pings != 2 {
		t.Errorf("with fresh pages waiting: %d pings, %v", pings, err)
	}
	h.keepDown("shop", 3*time.Minute) // and nobody dispatches
	if err := h.ping(ctx); err == nil || pings != 2 {
		t.Errorf("with pages that wait for minutes: %d pings, %v", pings, err)
	}
}

// TestPublicPages: what is private by configuration or by nature is nowhere.
func TestPublicPages(t *testing.T) {
	h := build(t)
	h.see("shop", checks.Up, everywhere...)
	h.pass(time.Minute)
	h.see("shop", checks.Down, everywhere...)
	h.see("ns", checks.Down, everywhere...)
	h.pass(time.Second)
	if _, _, err := h.Acknowledge(context.Background(), 1, incident.By{Who: "alice", Via: "sms"}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/": "Shop", "/history": "Shop", "/checks/shop": "Shop", "/incidents/1": "Shop",
		"/history.atom": "Shop", "/badge/shop.svg": "svg", "/api/v2/summary.json": `"Shop"`,
	} {
		answer, body := h.ask("GET", path)
		if answer.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d\n%.500s", path, answer.StatusCode, body)
		}
		for _, private := range []string{"alice", "bob", "192.0.2.", "shop.example.com", "no answer from", "wiki.example.com", ">ns<", `"ns"`, "eu-1"} {
			if strings.Contains(body, private) {
				t.Errorf("%s tells %q", path, private)
			}
		}
	}
	for _, path := range []string{"/checks/ns", "/incidents/2", "/checks/nobody", "/nowhere"} {
		if answer, _ := h.ask("GET", path); answer.StatusCode != 404 {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	page, err := public{h.Scheduler}.Page(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	check := page.Groups[0].Checks[0]
	if len(check.Days) != 1 || check.Days[0].Up != time.Minute || check.Days[0].Down != time.Second || check.State != "down" {
		t.Errorf("the check: %+v", check)
	}
	if len(page.SLAs) != 1 || page.SLAs[0].Left != page.SLAs[0].Allowed-time.Second || page.SLAs[0].Allowed.Round(time.Second) != 2678*time.Second {
		t.Errorf("the SLAs: %+v", page.SLAs)
	}
	if len(page.Open) != 1 || len(page.Open[0].Updates) != 2 || page.Open[0].Layer != "connect" {
		t.Errorf("open: %+v", page.Open)
	}
}

func TestPageDuringMaintenance(t *testing.T) {
	h := build(t, "people:\n", "maintenance: [{title: Upgrade, checks: [shop, ns], from: 2026-10-01T11:00:00Z, to: 2026-10-01T12:30:00Z}]\npeople:\n")
	h.see("shop", checks.Down, everywhere...)
	h.pass(time.Minute)
	page, err := public{h.Scheduler}.Page(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	check := page.Groups[0].Checks[0]
	if check.State != "maintenance" || check.Days[0].Excused != time.Minute || check.Days[0].Down != 0 || len(page.Open) != 0 {
		t.Errorf("%+v, open %+v", check, page.Open)
	}
	if len(page.Planned) != 1 || len(page.Planned[0].Checks) != 1 {
		t.Errorf("planned: %+v", page.Planned)
	}
}

func TestOperatorAPI(t *testing.T) {
	h := build(t)
	h.see("shop", checks.Down, everywhere...)
	answer, body := h.ask("GET", "/api/v1/status", asOperator)
	var status struct {
		Checks    []struct{ Check, Verdict string }
		Incidents []struct{ ID int64 }
		Probers   []struct{ Prober string }
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil || answer.StatusCode != 200 {
		t.Fatalf("%d %v\n%s", answer.StatusCode, err, body)
	}
	if fmt.Sprint(status) != "{[{shop down} {ns unknown}] [{1}] [{eu-1} {us-1} {ap-1}]}" {
		t.Errorf("status: %+v", status)
	}
	answer, body = h.ask("GET", "/api/v1/links", asOperator)
	if answer.StatusCode != 200 || !strings.Contains(body, "/oncall/primary.ics?token=") || !strings.Contains(body, "/reports/gold/2026-10?k=") {
		t.Errorf("links: %d\n%s", answer.StatusCode, body)
	}
}
