package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nines/checks"
	"nines/internal/civil"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/report"
)

func zone(t fataler, name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// fataler is what testing.TB and rapid.T have in common.
type fataler interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func quorum(t fataler, text string) regions.Quorum {
	q, err := regions.ParseQuorum(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// ndjson returns the records as a file of results.
func ndjson(t fataler, results []checks.Result, quarantines []checks.Quarantine) []byte {
	var file bytes.Buffer
	for i := range quarantines {
		if err := checks.WriteRecord(&file, checks.Record{Quarantine: &quarantines[i]}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range results {
		if err := checks.WriteRecord(&file, checks.Record{Result: &results[i]}); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

// replay is what the command does: a file in, JSON out.
func replay(t fataler, o *oracle) []byte { return build(t, o, fileSource(t, o)) }

func fileSource(t fataler, o *oracle) *report.FileSource {
	file, err := report.NewFileSource("results.ndjson", bytes.NewReader(ndjson(t, o.results, o.quarantines)))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func build(t fataler, o *oracle, src report.Source) []byte {
	r, err := report.Build(context.Background(), o.cfg, o.sla, o.month, o.now, src)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := report.WriteJSON(&out, []*report.Report{r}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// decode reads a report without what only the product can know.
func decode(t fataler, doc []byte) map[string]any {
	var list []map[string]any
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	if err := dec.Decode(&list); err != nil {
		t.Fatal(err)
	}
	delete(list[0], "results_sha256")
	for _, o := range list[0]["outages"].([]any) {
		delete(o.(map[string]any), "id")
	}
	return list[0]
}

var zones = []string{"UTC", "Europe/Warsaw", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Casablanca", "America/Havana", "Pacific/Apia"}

// draw makes a small month: few results, close together, where it can hurt.
func draw(t *rapid.T) *oracle {
	loc := zone(t, rapid.SampledFrom(zones).Draw(t, "zone"))
	months := []civil.Month{{Year: 2026, Month: 3}, {Year: 2026, Month: 10}, {Year: 2026, Month: 11}, {Year: 2026, Month: 4}, {Year: 2024, Month: 2}, {Year: 2011, Month: 12}}
	o := &oracle{month: rapid.SampledFrom(months).Draw(t, "month"), now: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), cfg: &config.Config{}}
	from, to := o.month.Bounds(loc)

	names := []string{"eu", "us", "ap", "sa"}[:rapid.IntRange(1, 4).Draw(t, "regions")]
	for _, name := range names {
		o.cfg.Regions = append(o.cfg.Regions, config.Region{Name: name, Title: name})
	}
	quorums := []string{"majority", "majority", "any", "all", "1", "2", "3"}
	var all []string
	for i := range rapid.IntRange(1, 3).Draw(t, "checks") {
		c := config.Check{Title: "Shop", Regions: names, Quorum: quorum(t, rapid.SampledFrom(quorums).Draw(t, "quorum"))}
		c.Name = fmt.Sprintf("shop-%d", i)
		c.Every = time.Duration(rapid.SampledFrom([]int{10, 30, 60}).Draw(t, "every")) * time.Second
		c.Timeout = time.Duration(rapid.IntRange(1, 10_000).Draw(t, "timeout")) * time.Millisecond
		if n := rapid.IntRange(0, len(names)-1).Draw(t, "left out"); n > 0 {
			c.Regions = slices.Clone(names)[n:]
			slices.Reverse(c.Regions)
		}
		o.cfg.Checks = append(o.cfg.Checks, c)
		all = append(all, c.Name)
	}
	o.sla = &config.SLA{
		Name: "gold", Title: "Gold <&> plan", Timezone: loc, Checks: rapid.Permutation(all).Draw(t, "order"),
		Target:    config.Percent{Micros: rapid.SampledFrom([]int64{99_950_000, 99_999_500, 100_000_000, 90_000_000, 50_000_000}).Draw(t, "target")},
		Combine:   rapid.SampledFrom([]string{"any-down", "average"}).Draw(t, "combine"),
		MinOutage: time.Duration(rapid.SampledFrom([]int{0, 0, 1, 20, 120}).Draw(t, "min_outage")) * time.Second,
		Credits:   []config.Credit{{Below: config.Percent{Micros: 99_950_000}, Percent: 10}, {Below: config.Percent{Micros: 50_000_000}, Percent: 100}, {Below: config.Percent{Micros: 90_000_000}, Percent: 25.5}},
	}
	o.sla.Checks = o.sla.Checks[:rapid.IntRange(1, len(all)).Draw(t, "of them")]

	// Most happens around few instants: the month's ends, and one within.
	within := from.Add(time.Duration(rapid.Int64Range(1, int64(to.Sub(from))-1).Draw(t, "within"))).Truncate(time.Millisecond)
	centres := []time.Time{from, to, within}
	near := func(label string) time.Time {
		ms := rapid.IntRange(-200_000, 200_000).Draw(t, label)
		if rapid.IntRange(0, 3).Draw(t, "round") == 0 {
			ms = ms / 10_000 * 10_000
		}
		return rapid.SampledFrom(centres).Draw(t, "centre").Add(time.Duration(ms) * time.Millisecond).UTC()
	}
	if rapid.IntRange(0, 5).Draw(t, "running") == 0 {
		o.now = near("now").Add(time.Duration(rapid.IntRange(0, 999_999).Draw(t, "nanoseconds")))
		if !o.now.Truncate(time.Millisecond).After(from) {
			o.now = from.Add(time.Second)
		}
	}
	status := rapid.SampledFrom([]checks.Status{checks.Up, checks.Up, checks.Degraded, checks.Down, checks.Down, checks.Down, checks.Unknown})
	reason := rapid.SampledFrom([]checks.Reason{checks.ConnectTimeout, checks.ConnectReset, checks.HTTPStatus, ""})
	taken := map[checks.Key]time.Time{}
	for range rapid.IntRange(0, 60).Draw(t, "results") {
		r := checks.Result{
			Check: rapid.SampledFrom(append(all, "other")).Draw(t, "check"), Region: rapid.SampledFrom(append(names, "nowhere")).Draw(t, "region"),
			Prober: rapid.SampledFrom([]string{"p", "q"}).Draw(t, "prober"), At: near("at"), Status: status.Draw(t, "status"), Reason: reason.Draw(t, "reason"),
			TookMS: float64(rapid.IntRange(0, 3_000_000).Draw(t, "took")) / 1000,
		}
		r.Slot = r.At.Add(-time.Duration(rapid.IntRange(0, 3).Draw(t, "late")) * time.Millisecond)
		r.Normalize()
		if at, ok := taken[r.Key()]; ok && !at.Equal(r.At) {
			continue // versions are made below, where both are read
		}
		taken[r.Key()] = r.At
		o.results = append(o.results, r)
		switch rapid.IntRange(0, 9).Draw(t, "again") {
		case 0:
			o.results = append(o.results, r)
		case 1: // another version of the same; far from where reading begins and ends
			if d := r.At.Sub(within); d.Abs() < 300*time.Second && within.Sub(from) > time.Hour && to.Sub(within) > time.Hour && o.now.Sub(within).Abs() > time.Hour {
				r.At = r.At.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 999, -7}).Draw(t, "moved")) * time.Millisecond)
				r.Status, r.TookMS = status.Draw(t, "other status"), float64(rapid.IntRange(0, 300).Draw(t, "other took"))
				o.results = append(o.results, r)
			}
		}
	}
	// And stretches in which every region runs on time and says the same.
	for range rapid.IntRange(0, 2).Draw(t, "stretches") {
		c, said, start := rapid.SampledFrom(o.cfg.Checks).Draw(t, "of"), status.Draw(t, "saying"), near("stretch")
		for k := range rapid.IntRange(1, 12).Draw(t, "slots") {
			for i, region := range c.Regions {
				slot := start.Add(time.Duration(k)*c.Every + time.Duration(i)*c.Every/time.Duration(len(c.Regions))).Truncate(time.Millisecond)
				o.results = append(o.results, checks.Result{Check: c.Name, Region: region, Prober: "s", Slot: slot, At: slot, Status: said, Reason: checks.TLSExpired, TookMS: 20,
					Phases: checks.Phases{}, Facts: checks.Facts{}})
			}
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "quarantines") {
		start := near("quarantine")
		o.quarantines = append(o.quarantines, checks.Quarantine{Prober: "q", Why: "clock", From: start, To: start.Add(time.Duration(rapid.IntRange(1, 100_000).Draw(t, "long")) * time.Millisecond)})
	}
	clock := func(label string) civil.Clock { return civil.Clock(15 * rapid.IntRange(0, 24*4).Draw(t, label)) }
	hours := func() *civil.Hours {
		h := &civil.Hours{From: clock("from"), To: clock("to")}
		for d := range h.Days {
			h.Days[d] = rapid.Bool().Draw(t, "day")
		}
		return h
	}
	if rapid.IntRange(0, 2).Draw(t, "hours") == 0 {
		o.sla.ServiceHours = hours()
	}
	for range rapid.IntRange(0, 2).Draw(t, "maintenance") {
		m := config.Maintenance{Title: "upgrade", Checks: all[:rapid.IntRange(1, len(all)).Draw(t, "for")]}
		if rapid.Bool().Draw(t, "once") {
			start := near("maintenance")
			m.Once = &civil.Span{From: start, To: start.Add(time.Duration(rapid.IntRange(1, 200_000).Draw(t, "long")) * time.Millisecond)}
		} else {
			m.Weekly, m.Zone = hours(), zone(t, rapid.SampledFrom(zones).Draw(t, "maintenance zone"))
		}
		o.cfg.Maintenance = append(o.cfg.Maintenance, m)
	}
	return o
}

// The report is what the contract says, by an implementation that shares no
// code with it.
func TestOracle(t *testing.T) {
	// Each round is 100 months, or what -rapid.checks says.
	for round := range 20 {
		t.Run(fmt.Sprint(round), func(t *testing.T) { rapid.Check(t, compareWithOracle) })
	}
}

func compareWithOracle(t *rapid.T) {
	o := draw(t)
	text, err := json.Marshal([]any{o.report()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(decode(t, text), decode(t, replay(t, o))); diff != "" {
		t.Fatalf("-contract +report:\n%s", diff)
	}
}

// Order and repetition change no byte, the hash included; nor does the source.
func TestOrderChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := draw(t)
		first := replay(t, o)
		shuffled := *o
		shuffled.results = rapid.Permutation(o.results).Draw(t, "arrival")
		shuffled.quarantines = append(rapid.Permutation(o.quarantines).Draw(t, "sick"), o.quarantines...)
		if n := len(shuffled.results); n > 0 {
			shuffled.results = append(shuffled.results, shuffled.results[:rapid.IntRange(0, n).Draw(t, "twice")]...)
		}
		if second := replay(t, &shuffled); !bytes.Equal(first, second) {
			t.Fatalf("another order, another report:\n%s", gocmp.Diff(string(first), string(second)))
		}
	})
}

// A report comes from the results that its hash is over, and from no others:
// without all the rest it is the same, byte for byte.
func TestSelfSufficient(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := draw(t)
		first := replay(t, o)
		if want := fmt.Sprintf("%q: %q", "results_sha256", o.hash()); !bytes.Contains(first, []byte(want)) {
			t.Fatalf("want %s in\n%s", want, first)
		}
		less := *o
		less.results = slices.DeleteFunc(slices.Clone(o.results), func(r checks.Result) bool {
			c := o.cfg.Check(r.Check)
			if c == nil || !slices.Contains(o.sla.Checks, r.Check) {
				return true
			}
			a, b := o.used(c)
			day := func(ms int64) int64 { return ms / 86_400_000 }
			at := r.At.UnixMilli()
			return day(at) < day(a) || day(b) < day(at) || !slices.Contains(c.Regions, r.Region)
		})
		if second := replay(t, &less); !bytes.Equal(first, second) {
			t.Fatalf("the rest mattered:\n%s", gocmp.Diff(string(first), string(second)))
		}
	})
}

// A result that said up and is made to say down never makes a figure better.
func TestDownIsNeverBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := draw(t)
		times := map[checks.Key]int{}
		for i := range o.results {
			times[o.results[i].Key()]++
		}
		var ups []int
		for i := range o.results {
			if s := o.results[i].Status; (s == checks.Up || s == checks.Degraded) && times[o.results[i].Key()] == 1 {
				ups = append(ups, i)
			}
		}
		if len(ups) == 0 {
			t.Skip("nothing is up")
		}
		before := decode(t, replay(t, o))
		o.results[rapid.SampledFrom(ups).Draw(t, "result")].Status = checks.Down
		after := decode(t, replay(t, o))
		for _, figure := range []string{"availability", "worst", "best", "budget_left_seconds"} {
			was, is := figureOf(before[figure]), figureOf(after[figure])
			if is > was {
				t.Fatalf("%s went from %v to %v", figure, was, is)
			}
		}
	})
}

// figureOf is a number of the report; of null, what nothing is above.
func figureOf(v any) float64 {
	if v == nil {
		return math.Inf(1)
	}
	f, _ := v.(json.Number).Float64()
	return f
}

func TestFutureMonth(t *testing.T) {
	cfg, s := smallConfig(t)
	src, err := report.NewFileSource("none", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	begins := time.Date(2026, 9, 30, 22, 0, 0, 0, time.UTC)
	_, err = report.Build(t.Context(), cfg, s, civil.Month{Year: 2026, Month: 10}, begins, src)
	if err == nil || !strings.Contains(err.Error(), "2026-10 has not begun yet in Europe/Warsaw; it does at 2026-09-30T22:00:00Z") {
		t.Errorf("a future month: %v", err)
	}
	r, err := report.Build(t.Context(), cfg, s, civil.Month{Year: 2026, Month: 10}, begins.Add(1999*time.Microsecond), src)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Seconds.Window.String(); got != "0.001" || !r.Running {
		t.Errorf("a millisecond of the month is %s s, running %v", got, r.Running)
	}
}

// smallConfig is one check from two regions under one SLA.
func smallConfig(t fataler) (*config.Config, *config.SLA) {
	cfg := &config.Config{
		Regions: []config.Region{{Name: "eu-west", Title: "Frankfurt"}, {Name: "us-east", Title: "Virginia"}},
		Checks: []config.Check{{
			Spec:  checks.Spec{Name: "shop", Kind: "http", Every: time.Minute, Timeout: 10 * time.Second},
			Title: "Shop front page", Regions: []string{"eu-west", "us-east"}, Quorum: quorum(t, "majority"),
		}},
		SLAs: []config.SLA{{
			Name: "gold", Title: "Gold support plan", Checks: []string{"shop"}, Timezone: zone(t, "Europe/Warsaw"),
			Target: config.Percent{Text: "99.95", Micros: 99_950_000}, Combine: "any-down",
			Credits: []config.Credit{{Below: config.Percent{Text: "99.95", Micros: 99_950_000}, Percent: 10}, {Below: config.Percent{Text: "99.0", Micros: 99_000_000}, Percent: 25}},
		}},
	}
	return cfg, &cfg.SLAs[0]
}

func ExampleBuild() {
	cfg := &config.Config{
		Regions: []config.Region{{Name: "here"}},
		Checks: []config.Check{{
			Spec:    checks.Spec{Name: "shop", Every: 60 * time.Second, Timeout: 10 * time.Second},
			Regions: []string{"here"},
		}},
		SLAs: []config.SLA{{Name: "gold", Checks: []string{"shop"}, Timezone: time.UTC, Target: config.Percent{Micros: 99_950_000}, Combine: "any-down"}},
	}
	results := strings.NewReader(`{"check":"shop","region":"here","prober":"p","slot":"2026-10-01T00:00:00Z","at":"2026-10-01T00:00:00Z","took_ms":12.5,"status":"up"}
{"check":"shop","region":"here","prober":"p","slot":"2026-10-01T00:01:00Z","at":"2026-10-01T00:01:00Z","took_ms":30,"status":"down","reason":"http.status"}
`)
	source, err := report.NewFileSource("results.ndjson", results)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := report.Build(context.Background(), cfg, &cfg.SLAs[0], civil.Month{Year: 2026, Month: 10}, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), source)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Verdict, r.Availability, r.Seconds.Up, r.Seconds.Down, r.Outages[0].Reason)
	// Output: indeterminate 31.578 60 130 http.status
}

// busy is a month of so many checks from five regions every minute, with what
// a result holds as a rule.
type busy struct {
	cfg *config.Config
	n   int // results a check
}

func newBusy(t fataler, n int) *busy {
	b := &busy{cfg: &config.Config{}}
	places := []string{"ap-south", "eu-north", "eu-west", "us-east", "us-west"}
	for _, name := range places {
		b.cfg.Regions = append(b.cfg.Regions, config.Region{Name: name})
	}
	s := config.SLA{Name: "gold", Timezone: time.UTC, Target: percentOf("99.9", 99_900_000), Combine: "any-down"}
	for i := range n {
		c := httpCheck(t, fmt.Sprintf("check-%d", i), "", "majority", places...)
		b.cfg.Checks, s.Checks = append(b.cfg.Checks, c), append(s.Checks, c.Name)
	}
	b.cfg.SLAs = []config.SLA{s}
	b.n = 31 * 24 * 60 * len(places)
	return b
}

func (b *busy) Results(_ context.Context, check string, from, to time.Time) iter.Seq2[checks.Result, error] {
	return func(yield func(checks.Result, error) bool) {
		first := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
		phases := checks.Phases{"dns": 1.2, "connect": 20.1, "tls": 41, "first_byte": 50.2, "transfer": 10.9}
		facts := checks.Facts{"http_status": 200.0}
		for i := range b.n {
			place := i % 5
			at := first.Add(time.Duration(i) * 12 * time.Second)
			if at.Before(from) {
				continue
			}
			r := checks.Result{Check: check, Region: b.cfg.Regions[place].Name, Prober: b.cfg.Regions[place].Name, Slot: at, At: at.Add(12 * time.Millisecond),
				TookMS: float64(120_000+i*7919%50_000) / 1000, Status: checks.Up, Phases: phases, Facts: facts}
			if i/5%1440 == 17 { // a minute a day
				r.Status, r.Reason = checks.Down, checks.ConnectTimeout
			}
			if !at.Before(to) || !yield(r, nil) {
				return
			}
		}
	}
}

func (b *busy) Quarantines(context.Context, time.Time, time.Time) ([]checks.Quarantine, error) {
	return nil, nil
}

func (b *busy) Milestones(context.Context, string, time.Time, time.Time) ([]report.Milestone, error) {
	return nil, nil
}

func BenchmarkBuild(b *testing.B) {
	const n = 10
	src := newBusy(b, n)
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		if _, err := report.Build(context.Background(), src.cfg, &src.cfg.SLAs[0], civil.Month{Year: 2026, Month: 10}, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), src); err != nil {
			b.Fatal(err)
		}
	}
	results := float64(b.N * n * src.n)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/results, "ns/result")
	// Of both cores, the collector's work included: the figure to compare when
	// others use the machine.
	b.ReportMetric(float64(processorTime(b)-before)/results, "cpu-ns/result")
}

func processorTime(t fataler) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
