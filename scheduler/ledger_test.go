package scheduler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nines/checks"
	"nines/internal/civil"
	"nines/regions"
)

// minutes sums up how long each verdict holds within spans.
func minutes(spans []verdict) map[regions.Verdict]float64 {
	sums := map[regions.Verdict]float64{}
	for _, s := range spans {
		sums[s.Verdict] += float64(s.To-s.From) / 60_000
	}
	return sums
}

func (h *house) spans(check string, from, to time.Time) []verdict {
	h.t.Helper()
	spans, err := h.ledger.spans(context.Background(), check, from, to)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 1; i < len(spans); i++ {
		if spans[i].From != spans[i-1].To || spans[i].Verdict == spans[i-1].Verdict {
			h.t.Fatalf("spans with a gap or a seam: %+v", spans)
		}
	}
	return spans
}

// TestLedgerIsTheResults: the days that the ledger keeps are what the results
// say, whichever way they came to be: live, after a restart, out of the store
// after the results are gone, or with results that came late.
func TestLedgerIsTheResults(t *testing.T) {
	h := build(t, "every: 60s", "every: 5m")
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(7, 8))
	begin := h.clock
	end := begin.Add(30 * time.Hour)
	var late []checks.Result
	for h.clock.Before(end) {
		for _, region := range everywhere {
			status := checks.Up
			if hour := h.clock.Sub(begin).Hours(); hour > 3 && hour < 4 || rnd.IntN(20) == 0 {
				status = checks.Down
			}
			r := result("shop", region, h.clock, status)
			if hour := h.clock.Sub(begin).Hours(); hour > 5 && hour < 6.5 {
				late = append(late, r) // this region was offline for an hour
				continue
			}
			h.ingest(r)
		}
		// The ticks of the minutes in between change nothing but staleness.
		h.clock = h.clock.Add(5 * time.Minute)
		if err := h.tick(ctx); err != nil {
			t.Fatal(err)
		}
		if h.clock.Sub(begin)%(6*time.Hour) == 0 {
			h.spans("shop", begin, h.clock) // as the page is looked at now and then
		}
	}
	want := func() []verdict {
		t.Helper()
		spans, err := h.ledger.sum(ctx, "shop", h.watches["shop"].rule, begin, h.clock)
		if err != nil {
			t.Fatal(err)
		}
		return spans
	}
	// Live verdicts begin when a result comes in, the ledger's when it was
	// made: in this test that is the same instant.
	if diff := cmp.Diff(want(), h.spans("shop", begin, h.clock)); diff != "" {
		t.Errorf("live: %s", diff)
	}
	if got := minutes(want())[regions.Unknown]; got < 50 {
		t.Errorf("while nothing was heard for an hour, %v minutes are unknown", got)
	}
	h.reopen()
	if diff := cmp.Diff(want(), h.spans("shop", begin, h.clock)); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	for _, r := range late {
		h.ingest(r)
	}
	if got := minutes(want())[regions.Unknown]; got > 11 {
		t.Errorf("with what came late, %v minutes are unknown", got)
	}
	if diff := cmp.Diff(want(), h.spans("shop", begin, h.clock)); diff != "" {
		t.Errorf("with what came late: %s", diff)
	}
	all := want()
	if err := h.ledger.close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Prune(ctx, midnight(civil.DateOf(h.clock))); err != nil {
		t.Fatal(err)
	}
	h.reopen()
	if diff := cmp.Diff(all, h.spans("shop", begin, h.clock)); diff != "" {
		t.Errorf("after the results are gone: %s", diff)
	}
}

// TestLedgerOverMidnight: the first minutes of a day, when results of the one
// before may still come, show what is known.
func TestLedgerOverMidnight(t *testing.T) {
	h := build(t)
	h.clock = time.Date(2026, 10, 1, 23, 50, 0, 0, time.UTC)
	begin := h.clock
	for n := range 15 {
		h.see("shop", checks.Up, everywhere...)
		if n == 5 {
			h.spans("shop", begin, h.clock)
		}
		h.pass(time.Minute)
		got := h.spans("shop", begin, h.clock)
		if diff := cmp.Diff([]verdict{{begin.UnixMilli(), h.clock.UnixMilli(), regions.Up}}, got); diff != "" {
			t.Fatalf("at %s: %s", h.clock.Format(time.TimeOnly), diff)
		}
	}
}

func TestRetention(t *testing.T) {
	h := build(t, "store: nines.db", "store: nines.db\nretention: {results: 33d}")
	ctx := context.Background()
	h.see("shop", checks.Up, everywhere...)
	h.clock = h.clock.AddDate(0, 0, 32)
	if err := h.retain(ctx); err != nil {
		t.Fatal(err)
	}
	if n := h.stored("shop"); n != 3 {
		t.Errorf("%d results are left within their time", n)
	}
	h.clock = h.clock.AddDate(0, 0, 2)
	if err := h.retain(ctx); err != nil {
		t.Fatal(err)
	}
	if n := h.stored("shop"); n != 0 {
		t.Errorf("%d results are left after their time", n)
	}
	if got := minutes(h.spans("shop", noon, noon.Add(time.Hour)))[regions.Up]; fmt.Sprintf("%.2f", got) != "2.17" {
		t.Errorf("the day says %v minutes up, want the 130 s that a result speaks for", got)
	}
}

// TestRuleChanged: days whose results are there are judged by the new rule;
// those whose results are gone stay as they were.
func TestRuleChanged(t *testing.T) {
	h := build(t)
	ctx := context.Background()
	for n := range 3 {
		h.clock = noon.AddDate(0, 0, n)
		h.see("shop", checks.Up, "us", "ap")
		h.see("shop", checks.Down, "eu")
	}
	h.clock = noon.AddDate(0, 0, 3)
	if err := h.ledger.close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Prune(ctx, noon.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := h.Reload(load(t, strings.Replace(baseYAML, "kind: http,", "kind: http, quorum: any,", 1)), nil); err != nil {
		t.Fatal(err)
	}
	var got []regions.Verdict
	for n := range 3 {
		at := noon.AddDate(0, 0, n)
		got = append(got, h.spans("shop", at, at.Add(time.Minute))[0].Verdict)
	}
	if diff := cmp.Diff([]regions.Verdict{regions.Degraded, regions.Down, regions.Down}, got); diff != "" {
		t.Error(diff)
	}
}
