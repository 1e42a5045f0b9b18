package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nines/checks"
	"nines/internal/civil"
	"nines/regions"
	"nines/scheduler/api"
	"nines/scheduler/config"
	"nines/scheduler/incident"
	"nines/scheduler/sla"
	"nines/scheduler/store"
)

// burnWindows are those that the rate is told for, whatever the rules are:
// what pages by custom, and what the end of the budget is foreseen by.
var burnWindows = []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour, 3 * 24 * time.Hour}

// foreseenBy is the window whose rate is taken to go on.
const foreseenBy = 3 * 24 * time.Hour

// budgetsFor is how long budgets are told before they are counted again.
const budgetsFor = 15 * time.Second

// burning is the reason of an incident that a burn rule opens. No result has it.
const burning checks.Reason = "budget.burning"

// burnPrefix begins the names of what burn rules open incidents for; no check
// has a dot in its name.
const burnPrefix = "sla."

// burnName is what a rule of an SLA is called among incidents: sla.gold.1h.
func burnName(promise *config.SLA, rule config.Burn) string {
	return burnPrefix + promise.Name + "." + compact(rule.Over)
}

// compact writes a duration in its largest whole unit.
func compact(d time.Duration) string {
	for _, unit := range [...]struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d%unit.of == 0 {
			return fmt.Sprintf("%d%s", d/unit.of, unit.name)
		}
	}
	return d.String()
}

// account is what is known of an SLA's checks lately.
type account struct {
	promise *config.SLA
	checks  []sla.Check
	now     time.Time
}

// accountOf reads how the SLA's checks divide from a time on. It begins a day
// earlier, so that short outages are seen whole.
func (s *Scheduler) accountOf(ctx context.Context, c *config.Config, promise *config.SLA, from, to, now time.Time) (account, error) {
	a := account{promise: promise, now: now}
	window := sla.Interval{From: from.UnixMilli(), To: to.UnixMilli()}
	outside := sla.OutsideHours(window, promise.ServiceHours, promise.Timezone)
	for _, name := range promise.Checks {
		known, err := s.ledger.spans(ctx, name, from.AddDate(0, 0, -1), now)
		if err != nil {
			return a, err
		}
		var check sla.Check
		for _, v := range known {
			span := sla.Span{Interval: sla.Interval{From: v.From, To: v.To}}
			switch v.Verdict {
			case regions.Up, regions.Degraded:
				span.State = sla.Up
			case regions.Down:
				span.State = sla.Down
			}
			check.Spans = append(check.Spans, span)
		}
		check.Excused = append(sla.Intervals(c.MaintenanceOf(name, from, to)), outside...)
		a.checks = append(a.checks, check)
	}
	return a, nil
}

// ledger closes the books on a window.
func (a *account) ledger(from, to time.Time) sla.Ledger {
	return sla.Account(sla.Terms{
		Window:    sla.Interval{From: from.UnixMilli(), To: to.UnixMilli()},
		MinOutage: a.promise.MinOutage.Milliseconds(),
		Average:   a.promise.Combine == "average",
		Target:    a.promise.Target.Micros,
	}, a.checks)
}

// rate is how many times as fast as the target allows the budget was used over
// a window that ends now: the share of what counts that was down, by the share
// that may be. It is zero where nothing counts or nothing may be down.
func (a *account) rate(over time.Duration) float64 {
	l := a.ledger(a.now.Add(-over), a.now)
	counts, allowed := l.Window-l.Excused, sla.Hundred-a.promise.Target.Micros
	if counts == 0 || allowed <= 0 {
		return 0
	}
	return float64(l.Down) / float64(counts) * sla.Hundred / float64(allowed)
}

// budgetOf counts an SLA's error budget of the running month.
func (s *Scheduler) budgetOf(ctx context.Context, c *config.Config, promise *config.SLA, now time.Time) (api.Budget, error) {
	month := civil.MonthOf(now.In(promise.Timezone))
	from, to := month.Bounds(promise.Timezone)
	if promise.Since != (civil.Date{}) {
		from = civil.Later(from, civil.StartOfDay(promise.Since, promise.Timezone))
	}
	windows := slices.Clone(burnWindows)
	for _, rule := range promise.Burn {
		windows = append(windows, rule.Over, rule.And)
	}
	slices.Sort(windows)
	windows = slices.Compact(windows)
	a, err := s.accountOf(ctx, c, promise, civil.Earlier(from, now.Add(-windows[len(windows)-1])), to, now)
	if err != nil {
		return api.Budget{}, err
	}
	// What is to come is unknown as yet, and allows for as much as the past.
	l := a.ledger(from, civil.Later(from, to))
	b := api.Budget{
		SLA: promise.Name, Title: promise.Title, Month: month.String(), Target: promise.Target.Text,
		AllowedSeconds: inSeconds(l.Allowed()), UsedSeconds: inSeconds(l.Down), LeftSeconds: inSeconds(l.Left()), Burn: []api.BurnRate{},
	}
	for _, over := range windows {
		b.Burn = append(b.Burn, api.BurnRate{Over: compact(over), Rate: a.rate(over)})
	}
	switch used := a.rate(foreseenBy) * float64(sla.Hundred-promise.Target.Micros) / sla.Hundred; {
	case l.Left() < 0 || l.Left() == 0 && l.Down > 0:
		b.Exhausted = true
	case used > 0:
		if at := now.Add(time.Duration(float64(l.Left())/used) * time.Millisecond); at.Before(to) {
			b.ExhaustedAt = at.UTC().Truncate(time.Second)
		}
	}
	return b, nil
}

func inSeconds(ms int64) float64 { return float64(ms) / 1000 }

// budgets returns the error budget of every SLA whose promise has begun.
func (s *Scheduler) budgets(ctx context.Context) ([]api.Budget, error) {
	now := s.now()
	return s.spent.get("", now, budgetsFor, func() ([]api.Budget, error) {
		c := s.config.Load()
		list := []api.Budget{}
		for i := range c.SLAs {
			promise := &c.SLAs[i]
			if promise.Since != (civil.Date{}) && now.Before(civil.StartOfDay(promise.Since, promise.Timezone)) {
				continue
			}
			b, err := s.budgetOf(ctx, c, promise, now)
			if err != nil {
				return nil, fmt.Errorf("counting the budget of %s: %w", promise.Name, err)
			}
			list = append(list, b)
		}
		return list, nil
	})
}

// burn opens an incident for each burn rule that has begun to hold, and ends
// those of rules that hold no longer.
func (s *Scheduler) burn(ctx context.Context) error {
	c, now := s.config.Load(), s.now()
	var errs []error
	for i := range c.SLAs {
		promise := &c.SLAs[i]
		if len(promise.Burn) == 0 || promise.Since != (civil.Date{}) && now.Before(civil.StartOfDay(promise.Since, promise.Timezone)) {
			continue
		}
		longest := slices.MaxFunc(promise.Burn, func(a, b config.Burn) int { return int(a.Over - b.Over) }).Over
		a, err := s.accountOf(ctx, c, promise, now.Add(-longest), now, now)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, rule := range promise.Burn {
			over, and := a.rate(rule.Over), a.rate(rule.And)
			if err := s.burnRule(ctx, promise, rule, over >= rule.Rate && and >= rule.Rate, over, now); err != nil {
				errs = append(errs, fmt.Errorf("the burn rule %s: %w", burnName(promise, rule), err))
			}
		}
	}
	return errors.Join(errs...)
}

// burnRule opens or ends the incident of one rule.
func (s *Scheduler) burnRule(ctx context.Context, promise *config.SLA, rule config.Burn, holds bool, rate float64, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := burnName(promise, rule)
	unsettled, err := s.store.UnsettledIncidents(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(unsettled, func(i incident.Incident) bool { return i.Check == name })
	if holds == (at >= 0) {
		return nil
	}
	t := s.begin(now)
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if !holds {
			return t.ended(ctx, tx, unsettled[at].ID)
		}
		_, err := t.start(ctx, tx, incident.Opening{
			Check: name, OutageFrom: now, Severity: rule.Severity, Policy: rule.Policy, Reason: burning,
		})
		return err
	})
	if err != nil {
		return err
	}
	s.log.Info("burn rule changed", "sla", promise.Name, "rule", name, "holds", holds, "rate", rate)
	s.commit(t)
	return nil
}

// promised reports whether an incident is of a burn rule that is configured.
func promised(c *config.Config, name string) bool {
	if !strings.HasPrefix(name, burnPrefix) {
		return false
	}
	for i := range c.SLAs {
		for _, rule := range c.SLAs[i].Burn {
			if burnName(&c.SLAs[i], rule) == name {
				return true
			}
		}
	}
	return false
}

var (
	budgetAllowed = desc("nines_sla_budget_allowed_seconds", "How long an SLA may be down this month.", "sla")
	budgetLeft    = desc("nines_sla_budget_left_seconds", "What is left of that; negative when it is overspent.", "sla")
	burnRate      = desc("nines_sla_burn_rate", "How many times as fast as the target allows the budget was used over a window.", "sla", "window")
	exhaustion    = desc("nines_sla_budget_exhausted_timestamp_seconds", "When the budget will be gone at the rate of the last three days, in Unix time; not there if not this month.", "sla")
)

// collectBudgets tells of every SLA's error budget.
func (s *Scheduler) collectBudgets(ctx context.Context, to chan<- prometheus.Metric) {
	list, err := s.budgets(ctx)
	if err != nil {
		return // the scrape says the rest; the job that pages logs it
	}
	for _, b := range list {
		gauge(to, budgetAllowed, b.AllowedSeconds, b.SLA)
		gauge(to, budgetLeft, b.LeftSeconds, b.SLA)
		for _, r := range b.Burn {
			gauge(to, burnRate, r.Rate, b.SLA, r.Over)
		}
		if !b.ExhaustedAt.IsZero() {
			gauge(to, exhaustion, float64(b.ExhaustedAt.Unix()), b.SLA)
		}
	}
}
