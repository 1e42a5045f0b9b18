package scheduler

import (
	"context"
	"fmt"
	"time"

	"nines/checks"
	"nines/notifier"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// actMost bounds what one answer of a person may take.
const actMost = 10 * time.Second

// Acknowledge puts an incident, and those within its page, into somebody's
// hands. It returns the incident as it is then, and whether that changed
// anything: AckedBy says who was first.
func (s *Scheduler) Acknowledge(ctx context.Context, id int64, by incident.By) (incident.Incident, bool, error) {
	return s.act(ctx, id, by, "acknowledged", func(i incident.Incident, now time.Time) (incident.Incident, []incident.Event, bool) {
		return incident.Acknowledge(i, by, now)
	})
}

// Resolve ends an incident by hand, and not those within its page.
func (s *Scheduler) Resolve(ctx context.Context, id int64, by incident.By) (incident.Incident, bool, error) {
	return s.act(ctx, id, by, "resolved", func(i incident.Incident, now time.Time) (incident.Incident, []incident.Event, bool) {
		return incident.Resolve(i, by, now)
	})
}

// Snooze puts an incident, and those within its page, into somebody's hands
// until the time given.
func (s *Scheduler) Snooze(ctx context.Context, id int64, by incident.By, until time.Time) (incident.Incident, bool, error) {
	return s.act(ctx, id, by, "snoozed", func(i incident.Incident, now time.Time) (incident.Incident, []incident.Event, bool) {
		return incident.Snooze(i, by, until, now)
	})
}

// change is a pure step of an incident's life.
type change func(i incident.Incident, now time.Time) (incident.Incident, []incident.Event, bool)

// act changes an incident as a person asked for and tells the others.
func (s *Scheduler) act(ctx context.Context, id int64, by incident.By, what string, f change) (i incident.Incident, changed bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actMost)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(s.now())
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		i, changed, err = t.act(ctx, tx, id, by, what, f)
		return err
	})
	if err != nil {
		return incident.Incident{}, false, err
	}
	if changed {
		t.changed = true
		s.log.Info("incident "+what, "incident", i.ID, "check", i.Check, "person", by.Who, "via", by.Via)
	}
	s.commit(t)
	return i, changed, nil
}

func (t *turn) act(ctx context.Context, tx *store.Tx, id int64, by incident.By, what string, f change) (incident.Incident, bool, error) {
	i, err := tx.Incident(ctx, id)
	if err != nil {
		return i, false, err
	}
	before := i
	i, events, changed := f(i, t.now)
	if !changed {
		return i, false, nil
	}
	if err := tx.PutIncident(ctx, i, events); err != nil {
		return i, false, err
	}
	if !i.Open() {
		return i, true, t.over(ctx, tx, before, i, by.Who)
	}
	// The page lists them all: whoever takes it takes them all.
	members, err := tx.Members(ctx, i.ID)
	if err != nil {
		return i, false, err
	}
	for _, m := range members {
		if m, events, changed := f(m, t.now); changed {
			if err := tx.PutIncident(ctx, m, events); err != nil {
				return i, false, err
			}
		}
	}
	if i.Within != 0 {
		return i, true, t.refresh(ctx, tx, i, i.Check+" was "+what+" by "+by.Who, t.now)
	}
	return i, true, t.queueUpdates(ctx, tx, notifier.Tell(i.ID, notifier.UpdateNotice, i.Told, what+" by "+by.Who, by.Who, t.now))
}

// AddSilence keeps a check from paging anybody from now on until the time given.
func (s *Scheduler) AddSilence(ctx context.Context, check string, until time.Time, why, who string) (store.Silence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	silence := store.Silence{Check: check, From: now, To: until, Why: why, Who: who, Created: now}
	err := s.silence(ctx, now, func(tx *store.Tx) (err error) {
		silence, err = tx.AddSilence(ctx, silence)
		return err
	})
	if err == nil {
		s.log.Info("silenced", "check", check, "until", until, "person", who, "why", why)
	}
	return silence, err
}

// EndSilence ends a silence, or returns store.ErrNotFound. Incidents that are
// still open page from then on.
func (s *Scheduler) EndSilence(ctx context.Context, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	return s.silence(ctx, now, func(tx *store.Tx) error { return tx.EndSilence(ctx, id, now) })
}

// silence changes the silences. The caller holds s.mu.
func (s *Scheduler) silence(ctx context.Context, now time.Time, f func(tx *store.Tx) error) error {
	if err := s.store.Update(ctx, f); err != nil {
		return err
	}
	silences, err := s.store.Silences(ctx, now)
	if err != nil {
		return err
	}
	s.silences = silences
	return nil
}

// AddQuarantine stores that a prober was found sick. What it said then counts
// as unknown from now on, on the boards as in the ledger.
func (s *Scheduler) AddQuarantine(ctx context.Context, q checks.Quarantine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.From, q.To = q.From.UTC().Truncate(time.Millisecond), q.To.UTC().Truncate(time.Millisecond)
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutQuarantine(ctx, q); err != nil {
			return err
		}
		return tx.DropDays(ctx, "", q.From, q.To.Add(longestStale(s.config.Load())))
	})
	if err != nil {
		return err
	}
	s.log.Warn("prober quarantined", "prober", q.Prober, "from", q.From, "to", q.To, "why", q.Why)
	now := s.now()
	s.quarantines, err = s.store.Quarantines(ctx, now.Add(-longestStale(s.config.Load())), farFuture)
	if err != nil {
		return err
	}
	watches, err := s.rebuild(ctx, s.config.Load(), now)
	if err != nil {
		return err
	}
	s.watches = watches
	s.ledger.forget()
	return nil
}

// TestPage queues a test page to a person by each of the channels given that
// has an address of theirs, and returns the notices' numbers.
func (s *Scheduler) TestPage(ctx context.Context, person string, by []string) ([]int64, error) {
	p := s.config.Load().Person(person)
	if p == nil {
		return nil, fmt.Errorf("nobody is called %q: %w", person, store.ErrNotFound)
	}
	var ids []int64
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		ids, err = tx.Queue(ctx, notifier.Test(*p, by, s.now()))
		return err
	})
	if err != nil {
		return nil, err
	}
	s.wake()
	return ids, nil
}
