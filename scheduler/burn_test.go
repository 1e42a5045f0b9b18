package scheduler

import (
	"context"
	"math"
	"testing"
	"time"

	"nines/checks"
	"nines/scheduler/config"
	"nines/scheduler/incident"
)

// A budget of 99.95 % that is down for ten minutes of an hour burns at 333
// times its rate; the rule opens one incident and ends it when the short window
// is clean, and whatever pages goes by the policy.
func TestBurn(t *testing.T) {
	h := build(t)
	ctx := context.Background()
	c := h.config.Load()
	promise := c.SLA("gold")
	promise.Target = config.Percent{Text: "99.95", Micros: 99_950_000}
	promise.Checks = []string{"shop"}
	promise.Burn = []config.Burn{{Over: time.Hour, And: 5 * time.Minute, Rate: 14.4, Severity: incident.Page, Policy: c.Policies[0].Name}}
	every := c.Check("shop").Every
	pass := func(d time.Duration, status checks.Status) {
		t.Helper()
		for end := h.clock.Add(d); h.clock.Before(end); h.clock = h.clock.Add(every) {
			h.see("shop", status, everywhere...)
			if err := h.burn(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	burning := func() (list []incident.Incident) {
		t.Helper()
		open, err := h.store.UnsettledIncidents(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range open {
			if i.Check == "sla.gold.1h" {
				list = append(list, i)
			}
		}
		return list
	}
	pass(time.Hour, checks.Up)
	if got := burning(); len(got) != 0 {
		t.Fatalf("nothing burns, and there is %+v", got)
	}
	pass(10*time.Minute, checks.Down)
	got := burning()
	if len(got) != 1 || got[0].Reason != "budget.burning" || len(got[0].Told) == 0 {
		t.Fatalf("ten minutes down, and there is %+v", got)
	}
	budgets, err := h.budgets(ctx)
	if err != nil || len(budgets) == 0 {
		t.Fatalf("budgets: %+v, %v", budgets, err)
	}
	b := budgets[0]
	if math.Abs(b.UsedSeconds-600) > every.Seconds() || math.Abs(b.AllowedSeconds-b.UsedSeconds-b.LeftSeconds) > 1e-6 {
		t.Errorf("the budget is %+v", b)
	}
	for _, r := range b.Burn {
		if want := 600.0 / 3600 / 0.0005; r.Over == "1h" && math.Abs(r.Rate-want) > 0.1*want {
			t.Errorf("it burns at %v, want about %v", r.Rate, want)
		}
	}
	if err := h.Reload(c, nil); err != nil || len(burning()) != 1 {
		t.Errorf("after a reload %d burn, %v", len(burning()), err)
	}
	pass(10*time.Minute, checks.Up)
	if got := burning(); len(got) != 0 {
		t.Errorf("the short window is clean, and there is still %+v", got)
	}
	h.clock = h.clock.Add(time.Hour)
	b2, err := h.budgetOf(ctx, c, promise, h.clock)
	if err != nil || b2.Exhausted || b2.ExhaustedAt.IsZero() {
		t.Errorf("at a rate of 600 s in three days, 1339 s end %+v, %v", b2, err)
	}
}
