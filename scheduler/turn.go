package scheduler

import (
	"context"
	"maps"
	"slices"
	"time"

	"nines/checks"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// turn is what one transaction does to the scheduler's memory: it is thrown
// away when the transaction fails and made true when it has committed.
type turn struct {
	s       *Scheduler
	cfg     *config.Config
	now     time.Time
	watches map[string]*watch // clones, by check
	late    map[string]lateness
	ask     []confirmation
	paged   bool // notices were queued
	changed bool // something that the public sees, at once
}

// confirmation is a check that other regions are to run at once.
type confirmation struct {
	check, except string
	slot          time.Time
}

// begin starts a turn at now. The caller holds s.mu until commit.
func (s *Scheduler) begin(now time.Time) *turn {
	return &turn{s: s, cfg: s.config.Load(), now: now, watches: map[string]*watch{}}
}

// watch returns the check's watch for modification, or nil.
func (t *turn) watch(check string) *watch {
	if w := t.watches[check]; w != nil {
		return w
	}
	w := t.s.watches[check]
	if w == nil {
		return nil
	}
	w = w.clone()
	t.watches[check] = w
	return w
}

// commit makes a turn true. The caller holds s.mu and the transaction has
// committed.
func (s *Scheduler) commit(t *turn) {
	for check, w := range t.watches {
		before := s.watches[check]
		if newest := w.newest(); before.newest().IsZero() && !newest.IsZero() {
			s.ledger.seen(check, newest)
		}
		if before.judgment.Verdict != w.judgment.Verdict {
			s.ledger.turned(check, w.judgment.Verdict, t.now)
		}
		s.watches[check] = w
	}
	for check, l := range t.late {
		s.ledger.late(check, l.from, l.to)
	}
	if t.paged {
		s.wake()
	}
	if t.changed {
		s.pages.Load().Changed()
	}
	for _, c := range t.ask {
		s.log.Info("asking the other regions", "check", c.check, "region", c.except)
		s.confirm(c.check, c.except, c.slot)
	}
}

// judge puts new results on their boards and does what the verdicts ask for.
func (t *turn) judge(ctx context.Context, tx *store.Tx, results []checks.Result) error {
	touched := map[string]string{} // checks, and the region of their last result
	for i := range results {
		w := t.watch(results[i].Check)
		w.put(results[i], t.s.quarantined(&results[i]), t.now)
		touched[results[i].Check] = results[i].Region
	}
	t.late = lateOf(results, func(check string) time.Duration { return t.watch(check).rule.Stale() }, t.now)
	for check, l := range t.late {
		if err := tx.DropDays(ctx, check, l.from, l.to.Add(time.Millisecond)); err != nil {
			return err
		}
	}
	for _, check := range slices.Sorted(maps.Keys(touched)) {
		w := t.watch(check)
		if err := t.move(ctx, tx, w); err != nil {
			return err
		}
		if w.suspects(t.now) {
			t.ask = append(t.ask, confirmation{check, touched[check], t.now})
		}
	}
	return nil
}

// move judges a check and opens, updates or ends its incident accordingly.
func (t *turn) move(ctx context.Context, tx *store.Tx, w *watch) error {
	before := w.judgment.Verdict
	if w.judge(t.now) {
		t.changed = true
		t.s.log.Info("verdict changed", "check", w.check.Name, "from", before, "to", w.judgment.Verdict,
			"down", w.judgment.Down, "voting", w.judgment.Voting)
	}
	switch w.judgment.Verdict {
	case regions.Down:
		if w.incident != 0 {
			return t.observe(ctx, tx, w)
		}
		if w.mayOpen(t.now) {
			return t.open(ctx, tx, w)
		}
	case regions.Up, regions.Degraded:
		if w.incident != 0 {
			return t.recovered(ctx, tx, w)
		}
	}
	// Unknown says nothing: an open incident stays open.
	return nil
}

// open opens an incident and tells whoever is to be told first.
func (t *turn) open(ctx context.Context, tx *store.Tx, w *watch) error {
	c := w.check
	down, reason := w.judgment.Where()
	i, err := t.start(ctx, tx, incident.Opening{
		Check: c.Name, OutageFrom: w.downSince(t.now), Severity: c.Severity, Policy: c.Policy,
		Reason: reason, Down: down, Regions: len(w.rule.Regions),
	})
	if err == nil {
		w.incident = i.ID
	}
	return err
}

// start opens an incident, completed by what the store and the silences know,
// and tells whoever is to be told first.
func (t *turn) start(ctx context.Context, tx *store.Tx, o incident.Opening) (incident.Incident, error) {
	var err error
	if o.Flaps, err = tx.OpenedSince(ctx, o.Check, t.now.Add(-flapSpan)); err != nil {
		return incident.Incident{}, err
	}
	o.Muted = t.s.muted(o.Check, t.now)
	if o.Severity == incident.Page && o.Policy != "" && o.Muted == "" {
		if o.Within, err = leader(ctx, tx, o.Policy, t.now); err != nil {
			return incident.Incident{}, err
		}
	}
	i, events := incident.Open(o, t.now)
	if i, err = tx.AddIncident(ctx, i, events); err != nil {
		return i, err
	}
	t.changed = true
	t.s.log.Info("incident opened", "incident", i.ID, "check", o.Check, "reason", o.Reason, "down", len(o.Down), "regions", i.Regions, "muted", i.Muted)
	switch {
	case i.Within != 0:
		err = t.joined(ctx, tx, i)
	case i.Due(t.now):
		err = t.fire(ctx, tx, i)
	case i.Muted == "" && i.Severity != incident.None:
		err = t.announce(ctx, tx, i)
	}
	return i, err
}

// observe notes which regions are down now.
func (t *turn) observe(ctx context.Context, tx *store.Tx, w *watch) error {
	down, _ := w.judgment.Where()
	i, err := tx.Incident(ctx, w.incident)
	if err != nil {
		return err
	}
	i, events, changed := incident.Observe(i, down, len(w.rule.Regions), t.now)
	if !changed {
		return nil
	}
	if err := tx.PutIncident(ctx, i, events); err != nil {
		return err
	}
	return t.refresh(ctx, tx, i, "the regions that are down have changed", t.now.Add(settling))
}

// recovered ends the check's incident, if nobody has, and tells those who were
// paged.
func (t *turn) recovered(ctx context.Context, tx *store.Tx, w *watch) error {
	id := w.incident
	w.incident = 0
	return t.ended(ctx, tx, id)
}

// ended ends an incident whose cause is over.
func (t *turn) ended(ctx context.Context, tx *store.Tx, id int64) error {
	i, err := tx.Incident(ctx, id)
	if err != nil {
		return err
	}
	before := i
	i, events, changed := incident.Recover(i, t.now)
	if !changed {
		return nil
	}
	if err := tx.PutIncident(ctx, i, events); err != nil {
		return err
	}
	t.changed = true
	if !before.Open() {
		return nil
	}
	t.s.log.Info("incident ended", "incident", i.ID, "check", i.Check)
	return t.over(ctx, tx, before, i, "")
}
