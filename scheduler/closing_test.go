package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/store"
)

// TestCloseMonth: a month closes 48 hours after its end; results that come
// later make another revision, and the same ones none.
func TestCloseMonth(t *testing.T) {
	h := build(t)
	ctx := context.Background()
	for at := noon; at.Before(noon.Add(3 * time.Hour)); at = at.Add(time.Minute) {
		h.clock = at
		h.see("shop", checks.Up, everywhere...)
	}
	october := civil.Month{Year: 2026, Month: 10}
	revision := func() int {
		t.Helper()
		if err := h.closeMonths(ctx); err != nil {
			t.Fatal(err)
		}
		r, err := h.store.Report(ctx, "gold", october, "json")
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		return r.Revision
	}
	h.clock = time.Date(2026, 11, 2, 23, 59, 0, 0, time.UTC)
	if n := revision(); n != 0 {
		t.Errorf("before 48 hours are over there is revision %d", n)
	}
	h.clock = h.clock.Add(time.Minute)
	for range 2 {
		if n := revision(); n != 1 {
			t.Errorf("after 48 hours the revision is %d", n)
		}
	}
	down := result("shop", "eu", noon.Add(90*time.Minute+time.Second), checks.Down)
	down.Prober = "eu-2"
	imported := func() {
		t.Helper()
		var one iter.Seq2[checks.Record, error] = func(yield func(checks.Record, error) bool) { yield(checks.Record{Result: &down}, nil) }
		if _, _, err := h.store.Import(ctx, one); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		imported()
		if n := revision(); n != 2 {
			t.Errorf("after a late result the revision is %d", n)
		}
	}
	if left, _ := h.store.Touched(ctx); len(left) != 0 {
		t.Errorf("still to be looked at: %v", left)
	}
	body, err := h.month(ctx, "gold", october, "json")
	if err != nil {
		t.Fatal(err)
	}
	var reports []struct {
		Revision int    `json:"revision"`
		SHA      string `json:"results_sha256"`
	}
	if err := json.Unmarshal(body, &reports); err != nil || len(reports) != 1 || reports[0].Revision != 2 || len(reports[0].SHA) != 64 {
		t.Errorf("the report is %s, %v", body, err)
	}
	if html, err := h.month(ctx, "gold", october, "html"); err != nil || !strings.Contains(string(html), "<") {
		t.Errorf("as HTML: %v", err)
	}
	revisions, err := watcher{h.Scheduler}.Revisions(ctx, "gold", october)
	if err != nil || len(revisions) != 2 || len(revisions[0].Moved) != 0 {
		t.Fatalf("the revisions: %+v, %v", revisions, err)
	}
	var figures []string
	for _, m := range revisions[1].Moved {
		figures = append(figures, m.Figure)
	}
	if !slices.Contains(figures, "regions.eu.availability") || slices.Contains(figures, "availability") {
		t.Errorf("what moved: %v", figures)
	}
	// Closed for good: the configuration may forget the SLA.
	if _, err := h.month(ctx, "gold", civil.Month{Year: 2027, Month: 1}, "json"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a month that has not begun: %v", err)
	}
}
