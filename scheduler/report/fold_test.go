package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/config"
	"nines/scheduler/report"
)

const dayMilli = 86_400_000

// rolledUp is a file of results as a store serves it that has summed up some
// days, and forgotten the results of those before whole.
type rolledUp struct {
	*report.FileSource
	days  map[string]map[int64][]byte // by check
	whole int64
}

func (s *rolledUp) Rollups(_ context.Context, check string, first, last int64, f func(int64, []byte) error) error {
	for day := first; day <= last; day++ {
		if body, ok := s.days[check][day]; ok {
			if err := f(day, body); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *rolledUp) Whole(context.Context) (time.Time, error) {
	return time.UnixMilli(s.whole * dayMilli).UTC(), nil
}

// rollUp sums up the days of the oracle's results that choose wants.
func rollUp(t fataler, o *oracle, file *report.FileSource, choose func(check string, day int64) bool) map[string]map[int64][]byte {
	all := map[string]map[int64][]byte{}
	for i := range o.cfg.Checks {
		c := &o.cfg.Checks[i]
		all[c.Name] = map[int64][]byte{}
		for j := range o.results {
			day := o.results[j].At.UnixMilli() / dayMilli
			if o.results[j].Check != c.Name || all[c.Name][day] != nil || !choose(c.Name, day) {
				continue
			}
			r, err := report.Roll(context.Background(), file, c, day)
			if err != nil {
				t.Fatal(err)
			}
			if all[c.Name][day], err = r.AppendBinary(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// A report of days that are summed up is the report of their results in every
// byte but the percentiles, which are within 1 %.
func TestRollupsAreTheResults(t *testing.T) {
	for range 2 {
		rapid.Check(t, func(t *rapid.T) {
			o := draw(t)
			file := fileSource(t, o)
			rolled := map[int64]bool{}
			days := rollUp(t, o, file, func(_ string, day int64) bool {
				if _, ok := rolled[day]; !ok {
					rolled[day] = rapid.IntRange(0, 3).Draw(t, "rolled") > 0
				}
				return rolled[day]
			})
			// Whatever is before the first day that was not summed up may be gone.
			whole := int64(math.MaxInt64)
			for i := range o.results {
				if day := o.results[i].At.UnixMilli() / dayMilli; !rolled[day] {
					whole = min(whole, day)
				}
			}
			if rapid.Bool().Draw(t, "pruned") && whole > 0 {
				kept := slices.DeleteFunc(slices.Clone(o.results), func(r checks.Result) bool { return r.At.UnixMilli()/dayMilli < whole })
				file = fileSource(t, &oracle{results: kept, quarantines: o.quarantines})
			} else {
				whole = 0
			}
			source := &rolledUp{file, days, min(whole, 40_000)}
			if whole == 0 {
				source.whole = 40_000 // have it read days all the same
				for day, is := range rolled {
					if !is {
						source.whole = min(source.whole, day)
					}
				}
			}
			want, got := decode(t, replay(t, o)), decode(t, build(t, o, source))
			_, end := o.month.Bounds(o.sla.Timezone)
			// A month that is still running ends within a day that is not over.
			comparePercentiles(t, want, got, !o.now.Before(end))
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Fatalf("-results +days:\n%s", diff)
			}
		})
	}
}

// The hash too, where whole days are read.
func TestRollupsHaveTheHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := draw(t)
		file := fileSource(t, o)
		days := rollUp(t, o, file, func(string, int64) bool { return true })
		source := &rolledUp{file, days, 40_000}
		var got []struct {
			SHA string `json:"results_sha256"`
		}
		if err := json.Unmarshal(build(t, o, source), &got); err != nil {
			t.Fatal(err)
		}
		if want := o.hash(); got[0].SHA != want {
			t.Fatalf("the hash is %s, want %s", got[0].SHA, want)
		}
	})
}

// comparePercentiles compares what is within 1 %, if it is to be, and takes it
// out.
func comparePercentiles(t fataler, want, got map[string]any, compare bool) {
	a, b := want["regions"].([]any), got["regions"].([]any)
	if len(a) != len(b) {
		t.Fatalf("%d regions, want %d", len(b), len(a))
	}
	for i := range a {
		x, y := a[i].(map[string]any), b[i].(map[string]any)
		for _, p := range []string{"p50_ms", "p95_ms", "p99_ms"} {
			was, is := figureOf(x[p]), figureOf(y[p])
			if !compare {
			} else if (x[p] == nil) != (y[p] == nil) || x[p] != nil && math.Abs(was-is) > was/100 {
				t.Fatalf("%s of %s is %v, want %v within 1 %%", p, x["region"], y[p], x[p])
			}
			delete(x, p)
			delete(y, p)
		}
	}
}

// A rule by which a result speaks for less than the longest step inside a
// stretch has the day read again; where its results are gone the report says so.
func TestCoarseDays(t *testing.T) {
	cfg, s := smallConfig(t)
	cfg.Checks[0].Regions = []string{"eu-west"}
	from, _ := civil.Month{Year: 2026, Month: 10}.Bounds(s.Timezone)
	o := &oracle{cfg: cfg, sla: s, month: civil.Month{Year: 2026, Month: 10}, now: from.AddDate(0, 2, 0)}
	for i := range 600 {
		at := from.Add(time.Duration(i) * 100 * time.Second)
		r := checks.Result{Check: "shop", Region: "eu-west", Prober: "p", Slot: at, At: at, Status: checks.Up, TookMS: 20}
		r.Normalize()
		o.results = append(o.results, r)
	}
	cfg.Checks[0].Every, cfg.Checks[0].Timeout = 100*time.Second, 10*time.Second
	file := fileSource(t, o)
	days := rollUp(t, o, file, func(string, int64) bool { return true })
	cfg.Checks[0].Every = 30 * time.Second // a result speaks for 70 s of each 100
	want := decode(t, replay(t, o))
	for _, gone := range []bool{false, true} {
		source := &rolledUp{file, days, from.UnixMilli()/dayMilli + 1} // later than the month begins: days are read
		if gone {
			source.whole = 40_000
		}
		r, err := report.Build(t.Context(), cfg, s, o.month, o.now, source)
		if err != nil {
			t.Fatal(err)
		}
		// The first day and that before it are gone in any case.
		exact := r.Seconds.Up.String() == fmt.Sprint(want["seconds"].(map[string]any)["up"])
		if exact || !r.Coarse {
			t.Errorf("gone: %v; up for %v of %v, coarse: %v", gone, r.Seconds.Up, want["seconds"], r.Coarse)
		}
	}
	source := &rolledUp{file, days, from.UnixMilli() / dayMilli}
	r, err := report.BuildExact(t.Context(), cfg, s, o.month, o.now, source)
	if err != nil || r.Coarse || r.Seconds.Up.String() != fmt.Sprint(want["seconds"].(map[string]any)["up"]) {
		t.Errorf("with all results it is up for %v of %v, %v", r.Seconds.Up, want["seconds"], err)
	}
}

// What a rollup says is read back, and whatever else is there is no rollup.
func FuzzRollup(f *testing.F) {
	o := &oracle{cfg: &config.Config{Checks: []config.Check{{Regions: []string{"eu"}}}}}
	o.cfg.Checks[0].Name, o.cfg.Checks[0].Every, o.cfg.Checks[0].Timeout = "shop", time.Minute, time.Second
	for i := range 50 {
		at := time.UnixMilli(20_000*dayMilli + int64(i)*50_000).UTC()
		status := []checks.Status{checks.Up, checks.Down, checks.Unknown, checks.Degraded}[i/7%4]
		o.results = append(o.results, checks.Result{Check: "shop", Region: "eu", Prober: "p", Slot: at, At: at, Status: status, Reason: checks.HTTPStatus, TookMS: float64(i*i) / 10})
	}
	for _, days := range rollUp(f, o, fileSource(f, o), func(string, int64) bool { return true }) {
		for _, body := range days {
			f.Add(body)
		}
	}
	f.Add([]byte{})
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 127})
	cfg, s := smallConfig(f)
	empty := fileSource(f, &oracle{})
	f.Fuzz(func(t *testing.T, body []byte) {
		source := &rolledUp{empty, map[string]map[int64][]byte{"shop": {20_735: body}}, 40_000}
		// It may be refused; it may not panic, run on or take the machine's memory.
		_, _ = report.Build(t.Context(), cfg, s, civil.Month{Year: 2026, Month: 10}, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), source)
	})
}
