package scheduler

import (
	"context"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/api"
)

// watcher is what the operator API knows of the scheduler.
type watcher struct{ s *Scheduler }

// Status implements api.Watcher.
func (v watcher) Status(ctx context.Context) (api.Status, error) {
	s, now := v.s, v.s.now()
	status := api.Status{Now: now.UTC(), Checks: []api.Check{}, Probers: []api.Prober{}}
	if sick := s.sick(ctx); sick != nil {
		status.Trouble = sick.Error()
	}
	for _, w := range s.standing() {
		status.Checks = append(status.Checks, w.status())
	}
	s.mu.Lock()
	for i := range status.Checks {
		status.Checks[i].Muted = s.muted(status.Checks[i].Check, now)
	}
	s.mu.Unlock()
	for _, p := range s.fleet.Status() {
		status.Probers = append(status.Probers, api.Prober{
			Prober: p.Prober, Region: p.Region, Connected: p.Connected, Since: p.Since, LastSeen: p.LastSeen,
			OffsetMS: checks.MillisOf(p.Offset), Version: p.Version, Address: p.Address, Checks: p.Checks,
		})
	}
	budgets, err := s.budgets(ctx)
	if err != nil {
		return status, err
	}
	status.Budgets = budgets
	return status, nil
}

func (w *watch) status() api.Check {
	c := api.Check{
		Check: w.check.Name, Title: w.check.Title, Group: w.check.Group,
		Verdict: string(w.judgment.Verdict), Since: utc(w.since), Incident: w.incident, Votes: []api.Vote{},
	}
	for _, vote := range w.judgment.Votes {
		c.Votes = append(c.Votes, api.Vote{Region: vote.Region, Status: string(vote.Status), Reason: string(vote.Reason), At: utc(vote.At)})
	}
	return c
}

// utc keeps the zero time zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// Report implements api.Reporter.
func (v watcher) Report(ctx context.Context, sla string, month civil.Month) ([]byte, error) {
	return v.s.month(ctx, sla, month, "json")
}

// Links implements api.Watcher.
func (v watcher) Links() api.Links {
	c, now := v.s.config.Load(), v.s.now()
	links := api.Links{Calendars: []api.CalendarLink{}, Reports: []api.ReportLink{}, Overview: v.s.OverviewLink()}
	if url := v.s.CalendarLink(""); url != "" {
		links.Calendars = append(links.Calendars, api.CalendarLink{URL: url})
		for _, rota := range c.Rotations {
			links.Calendars = append(links.Calendars, api.CalendarLink{Rotation: rota.Name, URL: v.s.CalendarLink(rota.Name)})
		}
	}
	for i := range c.SLAs {
		promise := &c.SLAs[i]
		running := civil.MonthOf(now.In(promise.Timezone))
		first := midnight(civil.Date{Year: running.Year, Month: running.Month, Day: 1})
		for _, month := range []civil.Month{running, civil.MonthOf(first.AddDate(0, -1, 0))} {
			links.Reports = append(links.Reports, api.ReportLink{SLA: promise.Name, Month: month.String(), URL: v.s.ReportLink(promise.Name, month)})
		}
	}
	return links
}
