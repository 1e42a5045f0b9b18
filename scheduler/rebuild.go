package scheduler

import (
	"context"
	"fmt"
	"time"

	"nines/scheduler/config"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// rebuild makes the watches of a configuration from the store. Of checks that
// were watched before, what is known of their verdict is kept. The caller
// holds s.mu.
func (s *Scheduler) rebuild(ctx context.Context, c *config.Config, now time.Time) (map[string]*watch, error) {
	watches := make(map[string]*watch, len(c.Checks))
	for i := range c.Checks {
		check := &c.Checks[i]
		w := newWatch(check, now)
		if before := s.watches[check.Name]; before != nil {
			w.asked, w.since, w.judgment.Verdict = before.asked, before.since, before.judgment.Verdict
		}
		watches[check.Name] = w
	}
	latest, err := s.store.Latest(ctx, now.Add(-longestStale(c)), now.Add(ahead))
	if err != nil {
		return nil, err
	}
	for i := range latest {
		if w := watches[latest[i].Check]; w != nil {
			w.put(latest[i], s.quarantined(&latest[i]), now)
		}
	}
	open, err := s.store.UnsettledIncidents(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range open {
		if w := watches[i.Check]; w != nil {
			w.incident = i.ID
			if w.since.IsZero() && i.Open() {
				w.since = i.OutageFrom
			}
		}
	}
	return watches, nil
}

// retire ends the incidents of checks that are no longer configured: nothing
// will ever say that they are up. The caller holds s.mu.
func (s *Scheduler) retire(ctx context.Context, c *config.Config, now time.Time) error {
	open, err := s.store.UnsettledIncidents(ctx)
	if err != nil {
		return err
	}
	for _, i := range open {
		if c.Check(i.Check) != nil || promised(c, i.Check) {
			continue
		}
		t := s.begin(now)
		t.cfg = c
		err := s.store.Update(ctx, func(tx *store.Tx) error { return t.retire(ctx, tx, i.ID) })
		if err != nil {
			return fmt.Errorf("ending the incident of %s, which is no longer configured: %w", i.Check, err)
		}
		if t.paged {
			s.wake()
		}
	}
	return nil
}

func (t *turn) retire(ctx context.Context, tx *store.Tx, id int64) error {
	i, err := tx.Incident(ctx, id)
	if err != nil {
		return err
	}
	before := i
	i, events, _ := incident.Resolve(i, incident.By{Who: "nines", Via: "configuration"}, t.now)
	i, more, _ := incident.Recover(i, t.now)
	if before.Open() {
		more = []incident.Event{{At: t.now, Kind: incident.UpdatedEvent, Text: i.Check + " is no longer configured"}}
	}
	if err := tx.PutIncident(ctx, i, append(events, more...)); err != nil {
		return err
	}
	if !before.Open() {
		return nil
	}
	return t.over(ctx, tx, before, i, "")
}
