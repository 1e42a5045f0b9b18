package report_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/config"
	"nines/scheduler/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s (-update writes it anew), -want +got:\n%s", path, diff)
	}
}

// The two months of docs/availability.md in every format.
func TestGoldens(t *testing.T) {
	reports := workedReports(t)
	for name, write := range map[string]func(*bytes.Buffer) error{
		"worked.json": func(b *bytes.Buffer) error { return report.WriteJSON(b, reports) },
		"worked.csv":  func(b *bytes.Buffer) error { return report.WriteCSV(b, reports) },
		"worked.html": func(b *bytes.Buffer) error { return report.WriteHTML(b, reports) },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := write(&out); err != nil {
				t.Fatal(err)
			}
			golden(t, name, out.Bytes())
		})
	}
}

func TestNoReports(t *testing.T) {
	var out bytes.Buffer
	if err := report.WriteJSON(&out, nil); err != nil || out.String() != "[]\n" {
		t.Errorf("no reports are %q, %v", &out, err)
	}
	out.Reset()
	if err := report.WriteHTML(&out, nil); err != nil || !strings.Contains(out.String(), "<title>No reports</title>") {
		t.Errorf("no reports are %q, %v", &out, err)
	}
}

// nasty is a report in which everybody who may name something is hostile.
func nasty(t *testing.T) *report.Report {
	t.Helper()
	const evil = `"><script>alert('x')</script>&{{.}}`
	cfg, s := smallConfig(t)
	s.Title = evil
	cfg.Checks[0].Title, cfg.Regions[0].Title = evil, evil
	from := time.Date(2026, 10, 10, 0, 0, 0, 0, time.UTC)
	cfg.Maintenance = []config.Maintenance{{Title: evil, Checks: []string{"shop"}, Once: &civil.Span{From: from.Add(time.Hour), To: from.Add(2 * time.Hour)}}}
	w := &world{cfg: cfg, sla: s, month: civil.Month{Year: 2026, Month: 10}, results: map[string][]checks.Result{}}
	for i, region := range cfg.Checks[0].Regions {
		at := from.Add(time.Duration(i) * time.Second)
		w.results["shop"] = append(w.results["shop"], checks.Result{
			Check: "shop", Region: region, Prober: "p", Slot: at, At: at, Status: checks.Down, Reason: `=cmd|"<b>"`, Detail: evil,
		})
	}
	return w.report(t)
}

func TestHTMLIsSafe(t *testing.T) {
	var out bytes.Buffer
	if err := report.WriteHTML(&out, []*report.Report{nasty(t)}); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	for _, never := range []string{"<script", "<b>", " style=", " on", "{{", "ZgotmplZ", "http://", "https://", "<link", "<img"} {
		if never == " on" {
			if m := regexp.MustCompile(`<[^>]* on\w+=`).FindString(page); m != "" {
				t.Errorf("the page has a handler: %s", m)
			}
			continue
		}
		if i := strings.Index(strings.ReplaceAll(page, "&amp;{{.}}", ""), never); i >= 0 {
			t.Errorf("the page has %q", never)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;") {
		t.Error("the title is not there")
	}
}

// The page's one <style> is what StyleSource allows.
func TestStyleSource(t *testing.T) {
	var out bytes.Buffer
	if err := report.WriteHTML(&out, []*report.Report{nasty(t)}); err != nil {
		t.Fatal(err)
	}
	styles := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllSubmatch(out.Bytes(), -1)
	if len(styles) != 1 {
		t.Fatalf("%d <style> elements", len(styles))
	}
	sum := sha256.Sum256(styles[0][1])
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; report.StyleSource() != want {
		t.Errorf("StyleSource is %s, the page's is %s", report.StyleSource(), want)
	}
}

func TestCSVIsSafe(t *testing.T) {
	var out bytes.Buffer
	if err := report.WriteCSV(&out, []*report.Report{nasty(t)}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	reason := slices.Index(rows[0], "reason")
	if got := rows[len(rows)-1][reason]; got != `'=cmd|"<b>"` {
		t.Errorf("the reason is %q", got)
	}
}

// The verdict's sentence in each of its forms.
func TestSentences(t *testing.T) {
	month := civil.Month{Year: 2026, Month: 10}
	from, to := month.Bounds(zone(t, "Europe/Warsaw"))
	tests := []struct {
		name    string
		every   time.Duration // a result an hour speaks for twice that and 20 minutes
		until   time.Time     // results from there on are missing
		down    int           // slots at the start that are down
		excused bool
		now     time.Time
		want    string
	}{
		{"met", 25 * time.Minute, to, 0, false, to, "The target of 99.95 % was met: availability was 100 %."},
		{"met in spite of", 40 * time.Minute, to.Add(-time.Hour), 0, false, to, "The target of 99.95 % was met: availability was 100 %, and 99.955 % even if all that is unknown was down."},
		{"missed", 25 * time.Minute, to, 1, false, to, "The target of 99.95 % was missed: availability was 99.865 %."},
		{"missed whatever", 25 * time.Minute, to.Add(-24 * time.Hour), 5, false, to, "The target of 99.95 % was missed: availability was 99.306 %, and 99.328 % even if all that is unknown was up."},
		{"open", 25 * time.Minute, to.Add(-24 * time.Hour), 0, false, to, "It cannot be said whether the target of 99.95 % was met: availability lies between 96.8 % and 100 %, and 23 h 50 min are unknown."},
		{"nothing counts", 25 * time.Minute, to, 0, true, to, "In this month, there was no time that counts: all of it is excused."},
		{"running", 25 * time.Minute, to, 0, false, from.Add(240 * time.Hour), "So far, the target of 99.95 % was met: availability was 100 %."},
		{"running, nothing counts", 25 * time.Minute, to, 0, true, from.Add(time.Hour), "So far, there was no time that counts: all of it is excused."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, s := smallConfig(t)
			cfg.Checks[0].Every, cfg.Checks[0].Timeout, cfg.Checks[0].Regions = tt.every, 20*time.Minute, []string{"eu-west"}
			if tt.excused {
				cfg.Maintenance = []config.Maintenance{{Title: "moving", Checks: []string{"shop"}, Once: &civil.Span{From: from, To: to}}}
			}
			w := &world{cfg: cfg, sla: s, month: month, results: map[string][]checks.Result{}}
			for at := from; at.Before(tt.until); at = at.Add(time.Hour) {
				r := checks.Result{Check: "shop", Region: "eu-west", Prober: "p", Slot: at.UTC(), At: at.UTC(), Status: checks.Up}
				if at.Before(from.Add(time.Duration(tt.down) * time.Hour)) {
					r.Status = checks.Down
				}
				w.results["shop"] = append(w.results["shop"], r)
			}
			r, err := report.Build(t.Context(), cfg, s, month, tt.now, w)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := report.WriteHTML(&out, []*report.Report{r}); err != nil {
				t.Fatal(err)
			}
			said := regexp.MustCompile(`(?s)<p class="verdict \w+">(.*?)</p>`).FindStringSubmatch(out.String())[1]
			if said = strings.ReplaceAll(said, "\u00a0", " "); said != tt.want {
				t.Errorf("got  %s\nwant %s", said, tt.want)
			}
		})
	}
}

// What was done about outages finds its way to the right one.
func TestMilestones(t *testing.T) {
	w := warsaw(t)
	for name, list := range w.results { // the last outage is not needed
		w.results[name] = slices.DeleteFunc(list, func(r checks.Result) bool {
			return r.At.Before(instant(t, "2026-10-06T12:00:00Z")) || r.At.After(instant(t, "2026-10-11T00:00:00Z"))
		})
	}
	first := instant(t, "2026-10-06T12:10:20Z")
	second := instant(t, "2026-10-10T22:30:20Z")
	after := func(t time.Time, s float64) time.Time { return t.Add(time.Duration(s * float64(time.Second))) }
	tests := []struct {
		name  string
		known []report.Milestone
		want  [3]string // discover, respond and fix of the first two, by a slash
	}{
		{"nothing known", nil, [3]string{"/", "/", "/"}},
		{"not acknowledged", []report.Milestone{{From: first, Opened: after(first, 3)}}, [3]string{"3/", "/", "/"}},
		{"began later as it was seen then", []report.Milestone{{From: after(first, 60), Opened: after(first, 61.5), Acknowledged: after(first, 100)}}, [3]string{"61.5/", "38.5/", "380/"}},
		{"began earlier as it was seen then", []report.Milestone{{From: after(first, -60), Opened: after(first, 1), Acknowledged: after(first, 2)}}, [3]string{"1/", "1/", "478/"}},
		{"of another time", []report.Milestone{{From: after(first, -600), Opened: after(first, -599), Acknowledged: after(first, 2)}}, [3]string{"/", "/", "/"}},
		{"opened twice", []report.Milestone{{From: after(first, 200), Opened: after(first, 201), Acknowledged: after(first, 210)}, {From: first, Opened: after(first, 5)}}, [3]string{"5/", "205/", "270/"}},
		{"acknowledged when it was over", []report.Milestone{{From: first, Opened: after(first, 5), Acknowledged: after(first, 600)}}, [3]string{"5/", "595/", "0/"}},
		{"both", []report.Milestone{{From: first, Opened: first, Acknowledged: after(first, 480)}, {From: second, Opened: after(second, 1), Acknowledged: after(second, 2)}}, [3]string{"0/1", "480/1", "0/2398"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.milestones = map[string][]report.Milestone{"shop": tt.known}
			o := w.report(t).Outages
			got := [3]string{
				o[0].Discover.String() + "/" + o[1].Discover.String(), o[0].Respond.String() + "/" + o[1].Respond.String(), o[0].Fix.String() + "/" + o[1].Fix.String(),
			}
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// An outage that is not over when the report is made has no end to show.
func TestOpenOutage(t *testing.T) {
	w := warsaw(t)
	now := instant(t, "2026-10-06T12:15:00.0009Z")
	for name, list := range w.results {
		w.results[name] = slices.DeleteFunc(list, func(r checks.Result) bool { return r.At.After(now) })
	}
	r, err := report.Build(t.Context(), w.cfg, w.sla, w.month, now, w)
	if err != nil {
		t.Fatal(err)
	}
	o := r.Outages[0]
	// us-east, of 12:14:20, and ap-south, of 12:14:40, are the last to speak;
	// when us-east falls silent at 12:16:30 the other two still say down, and at
	// 12:16:50 only eu-west, of 12:15:00, is left.
	if !o.Open || o.Seconds.String() != "280" || !o.Fix.Null() || !r.Recover.Null() || !o.To.Equal(instant(t, "2026-10-06T12:16:50Z")) {
		t.Errorf("got %+v", o)
	}
	if !r.Running || !r.To.Equal(instant(t, "2026-10-06T12:15:00Z")) || r.Seconds.Window.String() != "483300" {
		t.Errorf("the window is %v of %v s", r.To, r.Seconds.Window)
	}
	var page bytes.Buffer
	if err := report.WriteHTML(&page, []*report.Report{r}); err != nil || !strings.Contains(page.String(), "still going on") {
		t.Errorf("the page does not say so; %v", err)
	}
	if r, err = report.Build(t.Context(), w.cfg, w.sla, w.month, o.To, w); err != nil {
		t.Fatal(err)
	}
	if o := r.Outages[0]; o.Open || r.Recover.String() != "390" {
		t.Errorf("of an outage that is just over: %+v, recovered after %v", o, r.Recover)
	}
}

// A quarantine is part of what a report comes from when it reaches into the
// time that the report looks at.
func TestQuarantinesInTheHash(t *testing.T) {
	w := few(t)
	from, to := w.month.Bounds(w.sla.Timezone)
	// The hash is over whole days of UTC.
	begin := from.Add(-w.cfg.Checks[0].Every*2 - w.cfg.Checks[0].Timeout).UTC().Truncate(24 * time.Hour)
	to = to.Add(-1).UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	none := w.report(t).ResultsSHA256
	for _, tt := range []struct {
		name     string
		from, to time.Time
		counts   bool
	}{
		{"ends before", begin.Add(-time.Hour), begin, false},
		{"ends in the first millisecond", begin.Add(-time.Hour), begin.Add(time.Millisecond), true},
		{"begins in the last", to.Add(-time.Millisecond), to.Add(time.Hour), true},
		{"begins after", to, to.Add(time.Hour), false},
	} {
		w.quarantines = []checks.Quarantine{{Prober: "p", From: tt.from, To: tt.to, Why: "clock"}}
		if got := w.report(t).ResultsSHA256; (got != none) != tt.counts {
			t.Errorf("%s: the hash is %s, without %s", tt.name, got, none)
		}
	}
}

// Two probers under one name make two versions of every result. The line that
// sorts first counts, wherever it comes from and whatever its time.
func TestVersions(t *testing.T) {
	cfg, s := smallConfig(t)
	cfg.Checks[0].Regions = []string{"eu-west"}
	from, _ := civil.Month{Year: 2026, Month: 10}.Bounds(s.Timezone)
	var single, double []checks.Result
	for i := range 100 {
		slot := from.Add(time.Duration(i) * time.Minute)
		a := checks.Result{Check: "shop", Region: "eu-west", Prober: "p", Slot: slot, At: slot.Add(500 * time.Millisecond), Status: checks.Down, Reason: checks.HTTPStatus}
		b := a
		// "…00.5Z" sorts before "…00Z" of the slot itself.
		b.At, b.Status, b.Reason = slot, checks.Up, ""
		a.Normalize()
		b.Normalize()
		single, double = append(single, a), append(double, b, a)
	}
	o := &oracle{cfg: cfg, sla: s, month: civil.Month{Year: 2026, Month: 10}, now: from.AddDate(0, 2, 0), results: single}
	want := replay(t, o)
	for range 2 {
		o.results = double
		if got := replay(t, o); !bytes.Equal(got, want) {
			t.Fatalf("-one prober +two of one name:\n%s", gocmp.Diff(string(want), string(got)))
		}
		slices.Reverse(double)
	}
}

// few is a world of a few results, which begin with the month.
func few(t *testing.T) *world {
	t.Helper()
	cfg, s := smallConfig(t)
	w := &world{cfg: cfg, sla: s, month: civil.Month{Year: 2026, Month: 10}, results: map[string][]checks.Result{}}
	from, _ := w.month.Bounds(s.Timezone)
	for i := range 10 {
		at := from.Add(time.Duration(i) * time.Second)
		w.results["shop"] = append(w.results["shop"], checks.Result{Check: "shop", Region: "eu-west", Prober: "p", Slot: at, At: at, Status: checks.Up})
	}
	return w
}

// A file gives its results as they came.
func TestFileKeepsAll(t *testing.T) {
	results := []checks.Result{
		{Check: "shop", Region: "eu-west", Prober: "p", Slot: instant(t, "2026-10-01T00:00:00Z"), At: instant(t, "2026-10-01T00:00:00.012Z"), TookMS: 12.345, Status: checks.Down,
			Reason: checks.HTTPStatus, Detail: "got <503>", Phases: checks.Phases{"dns": 1.5, "tls": 0}, Facts: checks.Facts{"http_status": 503.0, "tls": []any{"1.3", true, nil}}},
		{Check: "shop", Region: "eu-west", Prober: "p", Slot: instant(t, "2026-10-01T00:01:00Z"), At: instant(t, "2026-10-01T00:01:00Z"), Status: checks.Up, Phases: checks.Phases{}, Facts: checks.Facts{}},
	}
	src, err := report.NewFileSource("r.ndjson", bytes.NewReader(ndjson(t, results, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var got []checks.Result
	for r, err := range src.Results(t.Context(), "shop", results[0].At, results[1].At.Add(1)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if diff := gocmp.Diff(results, got); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
	for range src.Results(t.Context(), "shop", results[0].At.Add(1), results[1].At) {
		t.Error("there is a result between the two")
	}
}

// An outage that begins after the month, when a vote goes stale, is none of
// the month's: what comes after it is not part of the report.
func TestReadsNoFurther(t *testing.T) {
	cfg, s := smallConfig(t)
	places := []string{"a", "b", "c", "d"}
	cfg.Regions = []config.Region{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	cfg.Checks[0].Regions = places
	month := civil.Month{Year: 2026, Month: 10}
	_, to := month.Bounds(s.Timezone)
	w := &world{cfg: cfg, sla: s, month: month, results: map[string][]checks.Result{}}
	add := func(place string, seconds int, status checks.Status) {
		at := to.Add(time.Duration(seconds) * time.Second).UTC()
		w.results["shop"] = append(w.results["shop"], checks.Result{Check: "shop", Region: place, Prober: "p", Slot: at, At: at, Status: status})
	}
	add("a", -125, checks.Up) // goes stale 5 s after the month
	add("b", -20, checks.Up)
	add("c", -15, checks.Down)
	add("d", -10, checks.Down)
	first := w.report(t)
	add("d", 30, checks.Down)
	if second := w.report(t); len(second.Outages) != 0 || second.Seconds != first.Seconds {
		t.Errorf("what came after the month makes %d outages and %+v", len(second.Outages), second.Seconds)
	}
	w.results["shop"] = w.results["shop"][:4]
	add("d", 24*60*60, checks.Down) // not on the month's last day of UTC either
	if second := w.report(t); second.ResultsSHA256 != first.ResultsSHA256 || len(second.Outages) != 0 {
		t.Errorf("the report came from %s, then from %s, with %d outages", first.ResultsSHA256, second.ResultsSHA256, len(second.Outages))
	}
}

func TestSourceOutOfOrder(t *testing.T) {
	w := few(t)
	slices.Reverse(w.results["shop"])
	_, err := report.Build(t.Context(), w.cfg, w.sla, w.month, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), careless{w})
	if err == nil || !strings.Contains(err.Error(), "building the report of gold for 2026-10: reading results of shop: the source gives ") {
		t.Errorf("got %v", err)
	}
}

// careless gives all that it has as it has it.
type careless struct{ *world }

func (c careless) Results(_ context.Context, check string, _, _ time.Time) iter.Seq2[checks.Result, error] {
	return func(yield func(checks.Result, error) bool) {
		for _, r := range c.results[check] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func TestFileFaults(t *testing.T) {
	good := `{"check":"shop","region":"eu-west","prober":"p","slot":"2026-10-01T00:00:00Z","at":"2026-10-01T00:00:00Z","status":"up"}`
	text := strings.Join([]string{
		good,
		"",
		"{\"check\":",
		`hello`,
		strings.Replace(good, `"up"`, `"fine"`, 1),
		strings.Replace(good, `"at":"2026`, `"at":"1926`, 1),
		strings.Replace(good, `"at":"2026-10-01T00:00:00Z"`, `"at":7`, 1),
		`{"quarantine":{"prober":"p","from":"2026-10-01T01:00:00Z","to":"2026-10-01T01:00:00Z"}}`,
		strings.Repeat("x", checks.MaxRecord+1),
		good,
	}, "\n")
	_, err := report.NewFileSource("r.ndjson", strings.NewReader(text))
	var faults config.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got %v", err)
	}
	var lines []int
	for _, f := range faults {
		lines = append(lines, f.Line)
		if !strings.HasPrefix(f.String(), fmt.Sprintf("r.ndjson:%d:", f.Line)) || f.Path == "" || f.Message == "" || f.Column < 1 {
			t.Errorf("fault %+v", f)
		}
	}
	if want := []int{3, 4, 5, 6, 7, 8, 9}; !slices.Equal(lines, want) {
		t.Errorf("faults in lines %v, want %v:\n%v", lines, want, err)
	}
	if got := faults[2].String(); got != `r.ndjson:5:1: status: "fine" is none of up, degraded, down, unknown` {
		t.Error(got)
	}
	if got := faults[1].String(); !strings.HasPrefix(got, "r.ndjson:4:1: line: is not a result: ") || !strings.HasSuffix(got, "; write one JSON object a line, as `nines results export` does") {
		t.Error(got)
	}

	_, err = report.NewFileSource("binary", strings.NewReader(strings.Repeat("\x00\n", 10_000)))
	if !errors.As(err, &faults) || len(faults) != 101 || !strings.Contains(faults[100].Message, "is this a file of results?") {
		t.Errorf("%d faults of a file that is none", len(faults))
	}

	broken := errors.New("the disk is gone")
	_, err = report.NewFileSource("r.ndjson", iotest.ErrReader(broken))
	if !errors.Is(err, broken) || errors.As(err, &faults) && len(faults) == 0 {
		t.Errorf("got %v", err)
	}
}

func TestMonth(t *testing.T) {
	var text bytes.Buffer
	add := func(check, at string, n int) {
		for i := range n {
			r := checks.Result{Check: check, Region: "eu-west", Prober: "p", Slot: instant(t, at).Add(time.Duration(i) * time.Second), At: instant(t, at).Add(time.Duration(i) * time.Second), Status: checks.Up}
			if err := checks.WriteRecord(&text, checks.Record{Result: &r}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add("shop", "2026-10-31T22:59:50Z", 15) // ten in October in Warsaw
	add("shop", "2026-09-30T12:00:00Z", 9)
	add("ns", "2025-01-01T00:00:00Z", 99)
	src, err := report.NewFileSource("r.ndjson", &text)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		zone  string
		names []string
		want  string
	}{
		{"Europe/Warsaw", []string{"shop"}, "2026-10"},
		{"Asia/Tokyo", []string{"shop"}, "2026-11"},
		{"UTC", []string{"shop", "ns"}, "2025-01"},
		{"UTC", []string{"other"}, ""},
	}
	for _, tt := range tests {
		month, ok := src.Month(zone(t, tt.zone), tt.names)
		if got := month.String(); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%v in %s: %s, %v, want %s", tt.names, tt.zone, got, ok, tt.want)
		}
	}
}

func TestCancelled(t *testing.T) {
	w := few(t)
	src, err := report.NewFileSource("r.ndjson", bytes.NewReader(ndjson(t, w.results["shop"], nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = report.Build(ctx, w.cfg, w.sla, w.month, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), src)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
