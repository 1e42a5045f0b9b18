package scheduler

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/config"
	"nines/scheduler/report"
	"nines/scheduler/store"
)

// oneDay is a source of a day of one check.
type oneDay []checks.Result

func (o oneDay) Results(_ context.Context, _ string, from, to time.Time) iter.Seq2[checks.Result, error] {
	return func(yield func(checks.Result, error) bool) {
		for _, r := range o {
			if !r.At.Before(from) && r.At.Before(to) && !yield(r, nil) {
				return
			}
		}
	}
}

func (oneDay) Quarantines(context.Context, time.Time, time.Time) ([]checks.Quarantine, error) {
	return nil, nil
}

func (oneDay) Milestones(context.Context, string, time.Time, time.Time) ([]report.Milestone, error) {
	return nil, nil
}

// BenchmarkReport is a month of 1,000 checks from 5 regions at 60 s from a
// store whose days are summed up: 223 million results.
func BenchmarkReport(b *testing.B) {
	var extra strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&extra, "  - {name: svc-%d, kind: http, url: \"https://svc-%d.example.com/\", every: 60s, regions: [r1, r2, r3, r4, r5]}\n", n, n)
	}
	yaml := "store: nines.db\nregions: [{name: r1}, {name: r2}, {name: r3}, {name: r4}, {name: r5}]\nchecks:\n" + extra.String() +
		"slas: [{name: all, checks: [" + selectAll(1000) + "], target: 99.9, timezone: Europe/Warsaw}]\n"
	path := filepath.Join(b.TempDir(), "nines.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		b.Fatal(err)
	}
	cfg, err := config.Load(path, func(string) (string, bool) { return "", false })
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(cfg.Store)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	fill(b, s, cfg)
	month := civil.Month{Year: 2026, Month: 10}
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	peak, before := watchHeap(b), processorTime(b)
	b.ResetTimer()
	for b.Loop() {
		r, err := report.Build(b.Context(), cfg, &cfg.SLAs[0], month, now, reportSource{s})
		if err != nil {
			b.Fatal(err)
		}
		if r.Seconds.Down.Float() == 0 || r.Seconds.Unknown.Float() > 1000 {
			b.Fatalf("down for %v s, unknown for %v s", r.Seconds.Down, r.Seconds.Unknown)
		}
	}
	b.ReportMetric(float64(peak())/(1<<20), "MiB-heap")
	b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "cpu-s/report")
}

func selectAll(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("svc-%d", i)
	}
	return strings.Join(names, ", ")
}

// fill stores what the days from 29 September to 2 November came to, which is
// the same for many checks: most have no failure, some have a few.
func fill(b *testing.B, s *store.Store, cfg *config.Config) {
	b.Helper()
	check := cfg.Checks[0]
	first, last := int64(20725), int64(20760)
	bodies := map[int64][][]byte{}
	for day := first; day <= last; day++ {
		edge := slices.Contains([]int64{20726, 20727, 20757, 20758}, day)
		if !edge && bodies[first] != nil {
			bodies[day] = bodies[first]
			continue
		}
		for variant := range 8 {
			r, err := report.Roll(b.Context(), aDay(day, variant), &check, day)
			if err != nil {
				b.Fatal(err)
			}
			body, err := r.AppendBinary(nil)
			if err != nil {
				b.Fatal(err)
			}
			bodies[day] = append(bodies[day], body)
		}
	}
	size := 0
	for i := range cfg.Checks {
		if err := s.Update(b.Context(), func(tx *store.Tx) error {
			for day := first; day <= last; day++ {
				body := bodies[day][(i*7+int(day))%8]
				size += len(body)
				if err := tx.PutRollup(b.Context(), cfg.Checks[i].Name, day, body); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%.0f MB of days", float64(size)/1e6)
}

// aDay is a day of results from five regions; in some variants a part of them
// fails.
func aDay(day int64, variant int) oneDay {
	rnd := rand.New(rand.NewPCG(uint64(day), uint64(variant)))
	start := time.Unix(day*86400, 0).UTC()
	var results oneDay
	for slot := range 1440 {
		for region := range 5 {
			at := start.Add(time.Duration(slot)*time.Minute + time.Duration(region)*12*time.Second)
			r := checks.Result{Check: "svc-0", Region: fmt.Sprintf("r%d", region+1), Prober: "p", Slot: at, At: at.Add(time.Duration(rnd.IntN(9)) * time.Millisecond), Status: checks.Up}
			r.TookMS = float64(int(1000*120*(1+rnd.ExpFloat64()/4))) / 1000
			if variant == 3 && slot >= 600 && slot < 603 || rnd.IntN(2000) == 0 {
				r.Status, r.Reason = checks.Down, checks.ConnectTimeout
			}
			r.Normalize()
			results = append(results, r)
		}
	}
	return results
}

// watchHeap returns a function that tells how much was in use at most.
func watchHeap(b *testing.B) func() uint64 {
	stop, most := make(chan struct{}), make(chan uint64)
	runtime.GC()
	go func() {
		var peak uint64
		var m runtime.MemStats
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse+m.StackInuse)
			case <-stop:
				most <- peak
				return
			}
		}
	}()
	return func() uint64 { close(stop); return <-most }
}
