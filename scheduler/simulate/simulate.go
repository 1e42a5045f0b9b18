// Package simulate says what would have been different under other rules: it
// judges the results that are stored by two configurations, the one in force
// and a changed one, and compares outages, pages and SLAs.
//
// Outages and availability are what a report of the same span would say. Pages
// are what the policies come to, as far as a simulation can know:
//   - an outage pages from its first instant that no maintenance covers, unless
//     its severity says otherwise;
//   - where somebody acknowledged the real outage, an outage of the same time
//     is acknowledged then; where nobody did, people are paged until it is over
//     or the policy has no further step;
//   - every message counts as delivered at once, by the first channel that
//     reaches its person;
//   - storms, silences and snoozing are left out.
//
// It imports report, config, notifier, regions and checks.
package simulate

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"time"

	"nines/checks"
	"nines/notifier"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/report"
)

// Plan is what is compared.
type Plan struct {
	Before, After *config.Config
	// NoRetry has the checks that are not tried again in After: a run that was
	// up at its second try only counts as down.
	NoRetry  map[string]bool
	From, To time.Time
	Source   report.Source
}

// Outcome is what a change of rules comes to.
type Outcome struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Checks []Check   `json:"checks"` // those that differ, in the order of the configuration
	SLAs   []SLA     `json:"slas"`   // those whose checks or terms differ
	// Outages, seconds of them within the span, and messages to people and
	// channels, of all checks.
	OutagesBefore int     `json:"outages_before"`
	OutagesAfter  int     `json:"outages_after"`
	SecondsBefore float64 `json:"down_seconds_before"`
	SecondsAfter  float64 `json:"down_seconds_after"`
	PagesBefore   int     `json:"pages_before"`
	PagesAfter    int     `json:"pages_after"`
}

// Check is one check whose outages or pages differ.
type Check struct {
	Check       string   `json:"check"`
	Gained      []Outage `json:"gained"` // outages that overlap none of before
	Lost        []Outage `json:"lost"`   // that overlap none of after
	Moved       []Moved  `json:"moved"`  // that began or ended at another time
	PagesBefore int      `json:"pages_before"`
	PagesAfter  int      `json:"pages_after"`
}

// Outage is a stretch of time in which a check is down.
type Outage struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds float64   `json:"seconds"`
	Reason  string    `json:"reason"`
	Regions []string  `json:"regions"`
}

// Moved is an outage as it was and as it would have been.
type Moved struct {
	Before Outage `json:"before"`
	After  Outage `json:"after"`
}

// SLA is what became of one.
type SLA struct {
	SLA                string         `json:"sla"`
	AvailabilityBefore report.Decimal `json:"availability_before"`
	AvailabilityAfter  report.Decimal `json:"availability_after"`
	DownBefore         report.Decimal `json:"down_seconds_before"`
	DownAfter          report.Decimal `json:"down_seconds_after"`
	VerdictBefore      string         `json:"verdict_before"`
	VerdictAfter       string         `json:"verdict_after"`
}

// Run judges the span by both configurations.
func Run(ctx context.Context, p Plan) (*Outcome, error) {
	out := &Outcome{From: p.From.UTC(), To: p.To.UTC(), Checks: []Check{}, SLAs: []SLA{}}
	judged := map[string]bool{} // checks that are judged otherwise
	for i := range p.After.Checks {
		if err := p.check(ctx, out, p.After.Checks[i].Name, judged); err != nil {
			return nil, err
		}
	}
	for i := range p.Before.Checks {
		if name := p.Before.Checks[i].Name; p.After.Check(name) == nil {
			if err := p.check(ctx, out, name, judged); err != nil {
				return nil, err
			}
		}
	}
	for i := range p.After.SLAs {
		if err := p.sla(ctx, out, &p.After.SLAs[i], judged); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// check compares what one check comes to. It may be in only one of the
// configurations.
func (p Plan) check(ctx context.Context, out *Outcome, name string, judged map[string]bool) error {
	was, is := p.Before.Check(name), p.After.Check(name)
	before, err := p.outages(ctx, was, p.Source)
	if err != nil {
		return err
	}
	after := before
	if was == nil || is == nil || p.NoRetry[name] || !reflect.DeepEqual(was.Rule(), is.Rule()) {
		judged[name] = true
		if after, err = p.outages(ctx, is, p.retried()); err != nil {
			return err
		}
	}
	c := Check{Check: name, Gained: []Outage{}, Lost: []Outage{}, Moved: []Moved{}}
	c.compare(before, after)
	acknowledged, err := p.acknowledged(ctx, name, before, after)
	if err != nil {
		return err
	}
	for _, o := range before {
		c.PagesBefore += pages(p.Before, was, o, acknowledged)
		out.SecondsBefore += p.inside(o)
	}
	for _, o := range after {
		c.PagesAfter += pages(p.After, is, o, acknowledged)
		out.SecondsAfter += p.inside(o)
	}
	out.OutagesBefore += len(before)
	out.OutagesAfter += len(after)
	out.PagesBefore += c.PagesBefore
	out.PagesAfter += c.PagesAfter
	if len(c.Gained)+len(c.Lost)+len(c.Moved) > 0 || c.PagesBefore != c.PagesAfter {
		out.Checks = append(out.Checks, c)
	}
	return nil
}

func (p Plan) outages(ctx context.Context, c *config.Check, src report.Source) ([]regions.Span, error) {
	if c == nil {
		return nil, nil
	}
	spans, err := report.Outages(ctx, c, p.From, p.To, src)
	if err != nil {
		return nil, fmt.Errorf("judging %s: %w", c.Name, err)
	}
	return spans, nil
}

// inside is how many seconds of an outage lie within the span.
func (p Plan) inside(o regions.Span) float64 {
	from, to := o.From, o.To
	if from.Before(p.From) {
		from = p.From
	}
	if to.After(p.To) {
		to = p.To
	}
	return to.Sub(from).Seconds()
}

// compare sorts outages into gained, lost and moved. Each of before is paired
// with the first of after that it overlaps.
func (c *Check) compare(before, after []regions.Span) {
	overlap := func(a, b regions.Span) bool { return a.From.Before(b.To) && b.From.Before(a.To) }
	paired := make([]bool, len(after))
	for _, o := range before {
		i := slices.IndexFunc(after, func(a regions.Span) bool { return overlap(o, a) })
		if i < 0 {
			c.Lost = append(c.Lost, outageOf(o))
			continue
		}
		if a := after[i]; !paired[i] && (!o.From.Equal(a.From) || !o.To.Equal(a.To)) {
			c.Moved = append(c.Moved, Moved{outageOf(o), outageOf(a)})
		}
		paired[i] = true
	}
	for i, a := range after {
		if !paired[i] && !slices.ContainsFunc(before, func(o regions.Span) bool { return overlap(o, a) }) {
			c.Gained = append(c.Gained, outageOf(a))
		}
	}
}

func outageOf(s regions.Span) Outage {
	return Outage{s.From.UTC(), s.To.UTC(), s.To.Sub(s.From).Seconds(), string(s.Reason), append([]string{}, s.Down...)}
}

// acknowledged returns when somebody took the real outages in hand.
func (p Plan) acknowledged(ctx context.Context, check string, lists ...[]regions.Span) ([]time.Time, error) {
	from, to := p.From, p.To
	for _, list := range lists {
		for _, o := range list {
			if o.From.Before(from) {
				from = o.From
			}
			if o.To.After(to) {
				to = o.To
			}
		}
	}
	known, err := p.Source.Milestones(ctx, check, from, to)
	if err != nil {
		return nil, fmt.Errorf("reading what was done about %s: %w", check, err)
	}
	var times []time.Time
	for _, m := range known {
		if !m.Acknowledged.IsZero() {
			times = append(times, m.Acknowledged)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times, nil
}

// pages is how many messages an outage comes to.
func pages(cfg *config.Config, c *config.Check, o regions.Span, acknowledged []time.Time) int {
	at := o.From
	for _, s := range cfg.MaintenanceOf(c.Name, o.From, o.To) {
		if !at.Before(s.From) && at.Before(s.To) {
			at = s.To
		}
	}
	end := o.To
	for _, t := range acknowledged {
		if !t.Before(o.From) && t.Before(end) {
			end = t
			break
		}
	}
	if !at.Before(o.To) {
		return 0 // maintenance covers all of it
	}
	switch {
	case c.Severity == "none", c.Severity != "page" && cfg.Slack == nil:
		return 0
	case c.Severity != "page":
		return 1 // in the Slack channel
	}
	policy, sent := cfg.Policy(c.Policy), 0
	for step, round := 0, 0; policy != nil; {
		fired := notifier.Fire(policy, config.Roster{Config: cfg}, step, round, at)
		sent += len(fired.Notices)
		if fired.Last || !fired.NextAt.Before(end) {
			break
		}
		step, round, at = fired.Step, fired.Round, fired.NextAt
	}
	return sent
}

// sla compares an SLA whose checks are judged otherwise, or whose own terms
// differ.
func (p Plan) sla(ctx context.Context, out *Outcome, is *config.SLA, judged map[string]bool) error {
	was := p.Before.SLA(is.Name)
	same := was != nil && reflect.DeepEqual(was, is) && !slices.ContainsFunc(is.Checks, func(name string) bool { return judged[name] })
	if was == nil || same && reflect.DeepEqual(p.Before.Maintenance, p.After.Maintenance) {
		return nil
	}
	before, err := report.Between(ctx, p.Before, was, p.From, p.To, p.Source)
	if err != nil {
		return err
	}
	after, err := report.Between(ctx, p.After, is, p.From, p.To, p.retried())
	if err != nil {
		return err
	}
	out.SLAs = append(out.SLAs, SLA{
		SLA: is.Name, AvailabilityBefore: before.Availability, AvailabilityAfter: after.Availability,
		DownBefore: before.Seconds.Down, DownAfter: after.Seconds.Down,
		VerdictBefore: string(before.Verdict), VerdictAfter: string(after.Verdict),
	})
	return nil
}

// retried returns the source as it would have been without second tries.
func (p Plan) retried() report.Source {
	if len(p.NoRetry) == 0 {
		return p.Source
	}
	return firstTries{p.Source, p.NoRetry}
}

// firstTries has the results of first tries for some checks.
type firstTries struct {
	report.Source
	checks map[string]bool
}

func (f firstTries) Results(ctx context.Context, check string, from, to time.Time) iter.Seq2[checks.Result, error] {
	results := f.Source.Results(ctx, check, from, to)
	if !f.checks[check] {
		return results
	}
	return func(yield func(checks.Result, error) bool) {
		for r, err := range results {
			if err == nil && (r.Status == checks.Up || r.Status == checks.Degraded) && secondTry(r.Facts) {
				r.Status = checks.Down
				if reason, ok := r.Facts["first_reason"].(string); ok {
					r.Reason = checks.Reason(reason)
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// secondTry reports whether a result is that of a second try; numbers come
// back from stores and files in more than one type.
func secondTry(facts checks.Facts) bool {
	tries, err := strconv.ParseFloat(fmt.Sprint(facts["tries"]), 64)
	return err == nil && tries > 1
}
