package scheduler

import (
	"context"
	"slices"
	"time"

	"nines/internal/civil"
	"nines/notifier"
	"nines/scheduler/config"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// Many checks that fail within a short time make one page that lists them: when
// at least stormFrom incidents of a policy have opened within stormSpan and
// nobody has acknowledged the page of one of them, a further one joins it. The
// first pages go out at once and are never held back.
const (
	stormSpan = 30 * time.Second
	stormFrom = 3
	// stormDigest is how long those who were paged wait for the list of what
	// has joined since: one message for all of it.
	stormDigest = 20 * time.Second
)

// settling is how long the Slack message waits for the regions to be of one
// mind before it says that they have changed it.
const settling = 10 * time.Second

// leader returns the incident whose page another that opens now joins, or 0.
func leader(ctx context.Context, tx *store.Tx, policy string, now time.Time) (int64, error) {
	recent, err := tx.Paging(ctx, policy, now.Add(-stormSpan))
	if err != nil || len(recent) < stormFrom {
		return 0, err
	}
	for _, i := range recent {
		page := i
		if i.Within != 0 {
			if page, err = tx.Incident(ctx, i.Within); err != nil {
				return 0, err
			}
		}
		if page.State == incident.Triggered && page.Within == 0 {
			return page.ID, nil
		}
	}
	return 0, nil
}

// joined tells those who got the page that it is about one more check.
func (t *turn) joined(ctx context.Context, tx *store.Tx, member incident.Incident) error {
	i, err := tx.Incident(ctx, member.Within)
	if err != nil {
		return err
	}
	event := incident.Event{At: t.now, Kind: incident.UpdatedEvent, Text: member.Check + " is down too: " + string(member.Reason)}
	if err := tx.Log(ctx, i.ID, []incident.Event{event}); err != nil {
		return err
	}
	notices := notifier.Tell(i.ID, notifier.UpdateNotice, i.Told, "more checks are down", "", t.now)
	for n := range notices {
		if notices[n].Channel != notifier.Slack {
			notices[n].NotBefore = t.now.Add(stormDigest)
		}
	}
	return t.queueUpdates(ctx, tx, notices)
}

// queueUpdates queues updates, but for those of which the same person is to
// get one by the same channel anyway: what is sent says how things are then.
func (t *turn) queueUpdates(ctx context.Context, tx *store.Tx, notices []notifier.Notice) error {
	for _, n := range notices {
		waiting, err := tx.UpdateWaits(ctx, n.Incident, n.Person, n.Channel, n.NotBefore)
		if err != nil {
			return err
		}
		if waiting {
			continue
		}
		if err := t.queue(ctx, tx, []notifier.Notice{n}); err != nil {
			return err
		}
	}
	return nil
}

func (t *turn) queue(ctx context.Context, tx *store.Tx, notices []notifier.Notice) error {
	if len(notices) == 0 {
		return nil
	}
	t.paged = true
	_, err := tx.Queue(ctx, notices)
	return err
}

// fire goes to the step of the incident's policy that is due.
func (t *turn) fire(ctx context.Context, tx *store.Tx, i incident.Incident) error {
	fired := notifier.Fire(t.cfg.Policy(i.Policy), config.Roster{Config: t.cfg}, i.Step, i.Round, t.now)
	notices := fired.For(i.ID)
	next, events, changed := incident.StepFired(i, incident.Firing{
		Told: fired.Told, Text: fired.Text, Step: fired.Step, Round: fired.Round, NextAt: fired.NextAt,
	}, t.now)
	if !changed {
		return nil
	}
	if err := tx.PutIncident(ctx, next, events); err != nil {
		return err
	}
	t.s.log.Info("step fired", "incident", i.ID, "check", i.Check, "notices", len(notices), "text", fired.Text)
	return t.queue(ctx, tx, notices)
}

// announce puts an incident that pages nobody into the Slack channel.
func (t *turn) announce(ctx context.Context, tx *store.Tx, i incident.Incident) error {
	if t.cfg.Slack == nil {
		return nil
	}
	why := "severity " + i.Severity
	if i.Severity == incident.Page {
		why = "there is nobody to page"
	}
	next, changed := incident.Reached(i, notifier.Paged{Channel: notifier.Slack})
	if changed {
		if err := tx.PutIncident(ctx, next, nil); err != nil {
			return err
		}
	}
	return t.queue(ctx, tx, notifier.Announce(i.ID, why, t.now))
}

// refresh has the incident's Slack message, or that of the page that lists it,
// say at the time given how things are then.
func (t *turn) refresh(ctx context.Context, tx *store.Tx, i incident.Incident, why string, at time.Time) error {
	if i.Within != 0 {
		var err error
		if i, err = tx.Incident(ctx, i.Within); err != nil {
			return err
		}
	}
	channel := notifier.Paged{Channel: notifier.Slack}
	if !slices.Contains(i.Told, channel) {
		return nil
	}
	notices := notifier.Tell(i.ID, notifier.UpdateNotice, []notifier.Paged{channel}, why, "", t.now)
	for n := range notices {
		notices[n].NotBefore = at
	}
	return t.queueUpdates(ctx, tx, notices)
}

// over tells those who were paged that an incident has ended, but for whoever
// ended it, and hands its page on to those within it. Before is the incident as
// it was while it was open.
func (t *turn) over(ctx context.Context, tx *store.Tx, before, i incident.Incident, by string) error {
	if i.Within != 0 {
		return t.refresh(ctx, tx, i, i.Check+" is over", t.now)
	}
	if err := t.handOn(ctx, tx, before); err != nil {
		return err
	}
	if err := tx.CancelUpdates(ctx, i.ID, t.now); err != nil {
		return err
	}
	return t.queue(ctx, tx, notifier.Tell(i.ID, notifier.RecoveryNotice, i.Told, "it is over", by, t.now))
}

// handOn makes the oldest incident within an ended one's page the one that
// goes on escalating for all that are left.
func (t *turn) handOn(ctx context.Context, tx *store.Tx, ended incident.Incident) error {
	members, err := tx.Members(ctx, ended.ID)
	if err != nil || len(members) == 0 {
		return err
	}
	next, events, _ := incident.Lead(members[0], ended, t.now)
	if err := tx.PutIncident(ctx, next, events); err != nil {
		return err
	}
	for _, m := range members[1:] {
		if m, changed := incident.Follow(m, next.ID); changed {
			if err := tx.PutIncident(ctx, m, nil); err != nil {
				return err
			}
		}
	}
	if t.cfg.Slack == nil {
		return nil
	}
	return t.queue(ctx, tx, notifier.Announce(next.ID, "after incident "+itoa(ended.ID), t.now))
}

// underMaintenance is why nobody is paged during a maintenance.
const underMaintenance = "a maintenance is planned for now"

// muted says why nobody is paged of a check at t, or nothing. The caller holds
// s.mu.
func (s *Scheduler) muted(check string, t time.Time) string {
	for i := range s.silences {
		if q := &s.silences[i]; q.Covers(check, t) {
			why := "silenced until " + q.To.UTC().Format("2006-01-02 15:04Z")
			if q.Who != "" {
				why += " by " + q.Who
			}
			if q.Why != "" {
				why += ": " + q.Why
			}
			return why
		}
	}
	if spans := s.config.Load().MaintenanceOf(check, t, t.Add(time.Millisecond)); covers(spans, t) {
		return underMaintenance
	}
	return ""
}

func covers(spans []civil.Span, t time.Time) bool {
	return slices.ContainsFunc(spans, func(s civil.Span) bool { return !t.Before(s.From) && t.Before(s.To) })
}
