package report_test

import (
	"strings"
	"testing"
	"time"

	"nines/internal/civil"
	"nines/scheduler/report"
)

// A promise that begins within a month counts from that day on, and there is no
// report of a month before it.
func TestSince(t *testing.T) {
	cfg, s := smallConfig(t)
	src := fileSource(t, &oracle{})
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	s.Since = civil.Date{Year: 2026, Month: 10, Day: 15}
	r, err := report.Build(t.Context(), cfg, s, civil.Month{Year: 2026, Month: 10}, now, src)
	if err != nil {
		t.Fatal(err)
	}
	// 17 days of Warsaw, one of which has 25 hours.
	if got := r.From.Format(time.RFC3339); got != "2026-10-14T22:00:00Z" || r.Seconds.Window.String() != "1472400" || r.Since != s.Since {
		t.Errorf("the window begins at %s and has %s s", got, r.Seconds.Window)
	}
	if r, err = report.Build(t.Context(), cfg, s, civil.Month{Year: 2026, Month: 11}, now, src); err != nil || r.Since != (civil.Date{}) || r.Seconds.Window.String() != "2592000" {
		t.Errorf("the month after: %+v, %v", r, err)
	}
	_, err = report.Build(t.Context(), cfg, s, civil.Month{Year: 2026, Month: 9}, now, src)
	if err == nil || !strings.Contains(err.Error(), "the promise holds since 2026-10-15, after 2026-09") {
		t.Errorf("the month before: %v", err)
	}
}

// A cap bounds what is owed, and nothing else.
func TestCreditCap(t *testing.T) {
	w := warsaw(t)
	for limit, want := range map[float64]string{0: "0", 7.5: "7.5", 10: "10", 50: "10"} {
		w.sla.CreditCap = &limit
		if r := w.report(t); r.Credit.String() != want || r.Availability.String() != "99.937" {
			t.Errorf("capped at %v %s are owed", limit, r.Credit)
		}
	}
}
