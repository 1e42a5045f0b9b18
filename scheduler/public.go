package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/incident"
	"nines/scheduler/sla"
	"nines/scheduler/statuspage"
	"nines/scheduler/store"
)

// public is what the public pages may know of the scheduler. Whatever is not
// public by configuration, and every word of a target, a person or a log, is
// left behind here.
type public struct{ s *Scheduler }

var _ statuspage.Source = public{}

// plannedAhead is how far ahead maintenances are shown.
const plannedAhead = 30 * 24 * time.Hour

// Page implements statuspage.Source.
func (p public) Page(ctx context.Context) (*statuspage.Page, error) {
	s, c, now := p.s, p.s.config.Load(), p.s.now().UTC()
	days := max(1, c.StatusPage.Days)
	page := &statuspage.Page{Now: now, Days: days}
	from := midnight(civil.DateOf(now).AddDays(1 - days))
	groups := map[string]*statuspage.Group{}
	used := map[string]bool{} // regions
	var order []string
	for _, w := range s.standing() {
		if !w.check.Public {
			continue
		}
		check, err := p.check(ctx, w, from, now)
		if err != nil {
			return nil, err
		}
		g := groups[w.check.Group]
		if g == nil {
			g = &statuspage.Group{Title: w.check.Group}
			groups[w.check.Group] = g
			order = append(order, w.check.Group)
		}
		g.Checks = append(g.Checks, check)
		for _, region := range w.rule.Regions {
			used[region] = true
		}
		if newest := w.newest(); newest.After(page.Newest) {
			page.Newest = newest
		}
		page.StaleAfter = max(page.StaleAfter, w.rule.Stale())
	}
	for _, title := range groupOrder(order, c.StatusPage.Groups) {
		page.Groups = append(page.Groups, *groups[title])
	}
	for _, r := range c.Regions {
		if used[r.Name] {
			page.Regions = append(page.Regions, statuspage.Region{Name: r.Name, Title: cmp.Or(r.Title, r.Name)})
		}
	}
	page.Planned = planned(c, from, now.Add(plannedAhead))
	var err error
	if page.Open, page.Past, err = p.incidents(ctx, from, now); err != nil {
		return nil, err
	}
	page.SLAs, err = p.slas(ctx, now)
	return page, err
}

// groupOrder puts the configured groups first, in their order, then the others
// as they come, and last those that are in none.
func groupOrder(found, configured []string) []string {
	rank := func(title string) int {
		if title == "" {
			return len(configured) + 1
		}
		if i := slices.Index(configured, title); i >= 0 {
			return i
		}
		return len(configured)
	}
	found = slices.Clone(found)
	slices.SortStableFunc(found, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return found
}

// check tells of one check.
func (p public) check(ctx context.Context, w *watch, from, now time.Time) (statuspage.Check, error) {
	check := statuspage.Check{
		Name: w.check.Name, Title: cmp.Or(w.check.Title, w.check.Name),
		State: statuspage.State(w.judgment.Verdict), Since: utc(w.since),
	}
	spans, err := p.s.ledger.spans(ctx, w.check.Name, from, now)
	if err != nil {
		return check, err
	}
	if len(spans) > 0 && spans[0].Verdict == regions.Unknown && spans[0].From > from.UnixMilli() {
		spans = spans[1:] // before the first result of all there was nothing to know
	}
	excused := sla.Union(sla.Intervals(p.s.config.Load().MaintenanceOf(w.check.Name, from, now.Add(time.Minute))))
	for _, e := range excused {
		if now := now.UnixMilli(); e.From <= now && now < e.To {
			check.State, check.Since = statuspage.Maintenance, time.UnixMilli(e.From).UTC()
		}
	}
	check.Days = daysOf(spans, excused, now)
	if n := len(spans); n > 0 && check.Since.IsZero() && spans[n-1].Verdict == w.judgment.Verdict {
		check.Since = time.UnixMilli(spans[n-1].From).UTC()
	}
	for _, v := range w.judgment.Votes {
		state := statuspage.State(v.Status)
		if v.Status == "" {
			state = statuspage.Unknown
		}
		check.Regions = append(check.Regions, statuspage.RegionState{Region: v.Region, State: state})
	}
	return check, nil
}

// daysOf sums spans up by days of UTC.
func daysOf(spans []verdict, excused []sla.Interval, now time.Time) []statuspage.Day {
	var days []statuspage.Day
	for _, s := range spans {
		for from := s.From; from < s.To; {
			date := civil.DateOf(time.UnixMilli(from).UTC())
			next := midnight(date.AddDays(1)).UnixMilli()
			part := sla.Interval{From: from, To: min(s.To, next)}
			if n := len(days); n == 0 || days[n-1].Date != date {
				days = append(days, statuspage.Day{Date: date})
			}
			days[len(days)-1].Times = addTimes(days[len(days)-1].Times, s.Verdict, part, excused)
			from = part.To
		}
	}
	return days
}

// addTimes adds a part of a span, without what of it is excused.
func addTimes(t statuspage.Times, v regions.Verdict, part sla.Interval, excused []sla.Interval) statuspage.Times {
	counted := time.Duration(sla.Outside(part, excused)) * time.Millisecond
	t.Excused += time.Duration(part.Len())*time.Millisecond - counted
	switch v {
	case regions.Degraded:
		t.Degraded += counted
		t.Up += counted
	case regions.Up:
		t.Up += counted
	case regions.Down:
		t.Down += counted
	default:
		t.Unknown += counted
	}
	return t
}

// planned returns the maintenances of public checks in [from, to).
func planned(c *config.Config, from, to time.Time) []statuspage.Window {
	var list []statuspage.Window
	for i := range c.Maintenance {
		m := &c.Maintenance[i]
		var names []string
		for _, name := range m.Checks {
			if check := c.Check(name); check != nil && check.Public {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			continue
		}
		// A window is shown whole: what is cut at from is asked for from earlier.
		for _, span := range m.Spans(from.AddDate(0, 0, -8), to.AddDate(0, 0, 8)) {
			if span.To.Before(from) || !span.From.Before(to) {
				continue
			}
			id := fnv.New64a()
			fmt.Fprintf(id, "%q %q %d", m.Title, m.Checks, span.From.UnixMilli())
			list = append(list, statuspage.Window{
				ID: fmt.Sprintf("m%016x", id.Sum64()), Title: m.Title, Checks: names, From: span.From.UTC(), To: span.To.UTC(),
			})
		}
	}
	slices.SortStableFunc(list, func(a, b statuspage.Window) int { return a.From.Compare(b.From) })
	return list
}

// incidents returns those of public checks that are open, and those that ended
// since from, newest first.
func (p public) incidents(ctx context.Context, from, now time.Time) (open, past []statuspage.Incident, err error) {
	list, err := p.s.store.Incidents(ctx, from, now.Add(ahead))
	if err != nil {
		return nil, nil, err
	}
	for _, i := range list {
		told, err := p.incident(ctx, i)
		switch {
		case errors.Is(err, statuspage.ErrNotFound):
		case err != nil:
			return nil, nil, err
		case i.Open():
			open = append(open, told)
		default:
			past = append(past, told)
		}
	}
	return open, past, nil
}

// Incident implements statuspage.Source.
func (p public) Incident(ctx context.Context, id int64) (*statuspage.Incident, error) {
	i, err := p.s.store.Incident(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, statuspage.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	told, err := p.incident(ctx, i)
	return &told, err
}

// incident tells of an incident of a public check: what happened when, from
// the log's kinds alone. What a maintenance was planned for is no incident.
func (p public) incident(ctx context.Context, i incident.Incident) (statuspage.Incident, error) {
	c := p.s.config.Load().Check(i.Check)
	if c == nil || !c.Public || i.Muted == underMaintenance {
		return statuspage.Incident{}, statuspage.ErrNotFound
	}
	told := statuspage.Incident{
		ID: i.ID, Check: i.Check, Title: cmp.Or(c.Title, c.Name), Layer: i.Reason.Layer(),
		From: utc(i.OutageFrom), Opened: utc(i.Opened), Acknowledged: utc(i.AckedAt), Resolved: utc(i.ResolvedAt),
	}
	log, err := p.s.store.Events(ctx, i.ID)
	if err != nil {
		return told, err
	}
	for _, e := range log {
		if kind, ok := updateKinds[e.Kind]; ok {
			if e.Kind == incident.ResolvedEvent && i.Recovered.Equal(i.ResolvedAt) {
				kind = statuspage.Resolved
			}
			told.Updates = append(told.Updates, statuspage.Update{At: utc(e.At), Kind: kind})
		}
	}
	if n := len(told.Updates); n > 0 && i.Open() && i.Regions > 0 {
		told.Updates[n-1].Down, told.Updates[n-1].Regions = len(i.Down), i.Regions
	}
	return told, nil
}

// updateKinds are the events that the public is told of.
var updateKinds = map[incident.Kind]statuspage.UpdateKind{
	incident.OpenedEvent:       statuspage.Investigating,
	incident.WokeEvent:         statuspage.Investigating,
	incident.AcknowledgedEvent: statuspage.Identified,
	incident.SnoozedEvent:      statuspage.Identified,
	incident.ResolvedEvent:     statuspage.Monitoring,
	incident.RecoveredEvent:    statuspage.Resolved,
}

// slas tells how the month goes for promises all of whose checks are public.
func (p public) slas(ctx context.Context, now time.Time) ([]statuspage.SLA, error) {
	c := p.s.config.Load()
	var list []statuspage.SLA
	for i := range c.SLAs {
		promise := &c.SLAs[i]
		if slices.ContainsFunc(promise.Checks, func(name string) bool { return !c.Check(name).Public }) {
			continue
		}
		told, err := p.sla(ctx, c, promise, now)
		if err != nil {
			return nil, err
		}
		list = append(list, told)
	}
	return list, nil
}

// sla closes the books on the month so far, by the ledger's days.
func (p public) sla(ctx context.Context, c *config.Config, promise *config.SLA, now time.Time) (statuspage.SLA, error) {
	month := civil.MonthOf(now.In(promise.Timezone))
	from, to := month.Bounds(promise.Timezone)
	window := sla.Interval{From: from.UnixMilli(), To: now.UnixMilli()}
	outside := sla.OutsideHours(window, promise.ServiceHours, promise.Timezone)
	members := make([]sla.Check, len(promise.Checks))
	for i, name := range promise.Checks {
		// A down span is counted by its whole length: begin before the month.
		spans, err := p.s.ledger.spans(ctx, name, from.AddDate(0, 0, -2), now)
		if err != nil {
			return statuspage.SLA{}, err
		}
		members[i] = sla.Check{Spans: ledgerSpans(spans), Excused: append(sla.Intervals(c.MaintenanceOf(name, from, now)), outside...)}
	}
	l := sla.Account(sla.Terms{
		Window: window, MinOutage: promise.MinOutage.Milliseconds(), Average: promise.Combine == "average", Target: promise.Target.Micros,
	}, members)
	// What may be down is of the whole month, of which the rest is still to come.
	whole := l
	whole.Window += to.UnixMilli() - now.UnixMilli()
	told := statuspage.SLA{
		Name: promise.Name, Title: cmp.Or(promise.Title, promise.Name), Month: month, Target: promise.Target.Text,
		Allowed: time.Duration(whole.Allowed()) * time.Millisecond, Left: time.Duration(whole.Left()) * time.Millisecond,
	}
	if thousandths, ok := l.Availability().Thousandths(); ok {
		percent := statuspage.Percent(thousandths)
		told.Availability = &percent
	}
	switch l.Verdict() {
	case sla.Met:
		told.State = statuspage.Up
	case sla.Breached:
		told.State = statuspage.Down
	default:
		told.State = statuspage.Unknown
	}
	return told, nil
}

// ledgerSpans turns verdicts into what an SLA counts.
func ledgerSpans(spans []verdict) []sla.Span {
	var list []sla.Span
	for _, s := range spans {
		state := sla.Unknown
		switch s.Verdict {
		case regions.Up, regions.Degraded:
			state = sla.Up
		case regions.Down:
			state = sla.Down
		}
		if n := len(list); n > 0 && list[n-1].State == state && list[n-1].To == s.From {
			list[n-1].To = s.To
			continue
		}
		list = append(list, sla.Span{Interval: sla.Interval{From: s.From, To: s.To}, State: state})
	}
	return list
}

// latencyBucket is how much time one point of a check's chart stands for.
const latencyBucket = 15 * time.Minute

// latencyFor is the longest that a check's response times are shown before they are
// read again.
const latencyFor = time.Minute

// CheckPage implements statuspage.Source.
func (p public) CheckPage(ctx context.Context, name string) (*statuspage.CheckPage, error) {
	c := p.s.config.Load().Check(name)
	if c == nil || !c.Public {
		return nil, statuspage.ErrNotFound
	}
	now := p.s.now().UTC()
	return p.s.latencies.get(name, now, latencyFor, func() (*statuspage.CheckPage, error) { return p.latency(ctx, name, now) })
}

// latency reads how long the runs of the last 24 hours took that were up.
func (p public) latency(ctx context.Context, check string, now time.Time) (*statuspage.CheckPage, error) {
	from := now.Add(-24 * time.Hour).Truncate(latencyBucket)
	buckets, byRegion := map[time.Time][]time.Duration{}, map[string][]time.Duration{}
	for r, err := range p.s.store.Results(ctx, check, from, now) {
		if err != nil {
			return nil, err
		}
		if r.Status != checks.Up && r.Status != checks.Degraded {
			continue
		}
		took := time.Duration(r.TookMS * float64(time.Millisecond))
		bucket := r.At.Truncate(latencyBucket)
		buckets[bucket] = append(buckets[bucket], took)
		byRegion[r.Region] = append(byRegion[r.Region], took)
	}
	told := &statuspage.CheckPage{Latency: statuspage.Latency{Bucket: latencyBucket}}
	for at := from; at.Before(now); at = at.Add(latencyBucket) {
		if took := buckets[at]; len(took) > 0 {
			told.Latency.Points = append(told.Latency.Points, statuspage.Point{At: at, N: len(took), P50: percentile(took, 50), P95: percentile(took, 95)})
		}
	}
	for _, region := range slices.Sorted(maps.Keys(byRegion)) {
		took := byRegion[region]
		told.ByRegion = append(told.ByRegion, statuspage.RegionLatency{Region: region, N: len(took), P50: percentile(took, 50), P95: percentile(took, 95)})
	}
	var err error
	told.ByProfile, err = p.byProfile(ctx, check, from, now)
	return told, err
}

// profilesShown bounds how many checks one page compares.
const profilesShown = 12

// byProfile reads how long the public bandwidth checks of one's group took. Of
// a check that is none, or in no group but its own, there is that check alone.
func (p public) byProfile(ctx context.Context, check string, from, now time.Time) ([]statuspage.ProfileLatency, error) {
	c := p.s.config.Load()
	this := c.Check(check)
	if this == nil || this.Kind != "bandwidth" {
		return nil, nil
	}
	var list []statuspage.ProfileLatency
	for i := range c.Checks {
		other := &c.Checks[i]
		options, slow := other.Spec.Options.(*checks.Bandwidth)
		if !slow || !other.Public || other != this && (this.Group == "" || other.Group != this.Group) || len(list) == profilesShown {
			continue
		}
		var took []time.Duration
		for r, err := range p.s.store.Results(ctx, other.Name, from, now) {
			if err != nil {
				return nil, err
			}
			if r.Status == checks.Up || r.Status == checks.Degraded {
				took = append(took, time.Duration(r.TookMS*float64(time.Millisecond)))
			}
		}
		if len(took) > 0 {
			list = append(list, statuspage.ProfileLatency{
				Check: other.Name, Profile: options.Profile.String(), N: len(took), P50: percentile(took, 50), P95: percentile(took, 95),
			})
		}
	}
	return list, nil
}

// percentile returns the p-th percentile by the nearest rank; there is at
// least one value. It sorts the values.
func percentile(values []time.Duration, p int) time.Duration {
	slices.Sort(values)
	return values[max(1, (p*len(values)+99)/100)-1]
}
