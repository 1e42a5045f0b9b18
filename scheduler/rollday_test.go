package scheduler

import (
	"bytes"
	"context"
	"iter"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/report"
)

// A month whose results are gone is reported on as before, but for the
// percentiles; a result that comes late has its day summed up again.
func TestReportOutlivesItsResults(t *testing.T) {
	h := build(t)
	ctx := context.Background()
	for at := noon; at.Before(noon.Add(3 * time.Hour)); at = at.Add(time.Minute) {
		h.clock = at
		status := checks.Up
		if at.Minute() < 5 {
			status = checks.Down
		}
		h.see("shop", status, everywhere...)
	}
	october := civil.Month{Year: 2026, Month: 10}
	c := h.config.Load()
	c.Retention = 24 * time.Hour
	promise := c.SLA("gold")
	made := func() *report.Report {
		t.Helper()
		r, err := report.Build(ctx, c, promise, october, h.clock, reportSource{h.store})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	h.clock = noon.Add(20 * time.Hour)
	if err := h.rollUp(ctx); err != nil {
		t.Fatal(err)
	}
	late := result("shop", "eu", noon.Add(90*time.Minute+time.Second), checks.Down)
	late.Prober = "eu-2"
	var one iter.Seq2[checks.Record, error] = func(yield func(checks.Record, error) bool) { yield(checks.Record{Result: &late}, nil) }
	if _, _, err := h.store.Import(ctx, one); err != nil {
		t.Fatal(err)
	}
	h.clock = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	before := made()
	if err := h.retain(ctx); err != nil {
		t.Fatal(err)
	}
	for range h.store.Results(ctx, "shop", noon, noon.Add(24*time.Hour)) {
		t.Fatal("there are results still")
	}
	after := made()
	for i := range after.Regions {
		after.Regions[i].P50, after.Regions[i].P95, after.Regions[i].P99 = before.Regions[i].P50, before.Regions[i].P95, before.Regions[i].P99
	}
	var want, got bytes.Buffer
	if err := report.WriteJSON(&want, []*report.Report{before}); err != nil {
		t.Fatal(err)
	}
	if err := report.WriteJSON(&got, []*report.Report{after}); err != nil {
		t.Fatal(err)
	}
	if len(before.Outages) == 0 || want.String() != got.String() {
		t.Errorf("with results:\n%s\nwithout:\n%s", &want, &got)
	}
}
