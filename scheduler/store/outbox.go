package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"nines/notifier"
	"nines/scheduler/incident"
)

var _ notifier.Outbox = (*Store)(nil)

// Lease takes up to max notices that are due at now, oldest first. A page to a
// person whose incident somebody has in hand by now is cancelled instead. Of
// an incident's Slack notices one is out at a time, so that its message is
// posted once and edited in order.
func (s *Store) Lease(ctx context.Context, now time.Time, max int, lease time.Duration) (leased []notifier.LeasedNotice, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		leased = nil
		if err := cancelMoot(ctx, tx.tx, now); err != nil {
			return err
		}
		ids, err := due(ctx, tx.tx, now, max)
		if err != nil {
			return err
		}
		for _, id := range ids {
			n, err := take(ctx, tx.tx, id, now.Add(lease))
			if err != nil {
				return err
			}
			leased = append(leased, n)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("leasing notices: %w", err)
	}
	return leased, nil
}

// isDue is the condition under which a notice may be leased at ?1.
const isDue = `(n.state = 'queued' AND n.not_before <= ?1 OR n.state = 'leased' AND n.leased_until <= ?1
	OR n.state = 'accepted' AND n.deliver_by <> 0 AND n.deliver_by <= ?1)`

// isMoot holds for pages to people that are no longer wanted.
const isMoot = `n.kind = 'page' AND n.person <> '' AND n.incident <> 0
	AND (SELECT i.state FROM incidents i WHERE i.id = n.incident) <> 'triggered'`

// cancelMoot ends pages that are due and no longer wanted. One that a vendor
// has taken stays accepted, and its delivery is no longer waited for.
func cancelMoot(ctx context.Context, tx *sql.Tx, now time.Time) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE notices AS n SET
			state = CASE state WHEN 'accepted' THEN 'accepted' ELSE 'cancelled' END,
			deliver_by = 0, settled = ?1,
			detail = CASE
				WHEN state = 'accepted' THEN 'not waited for: the incident was taken in hand'
				WHEN unclear OR state = 'leased' AND leased_from <> 'accepted' THEN 'the incident was taken in hand; an earlier attempt may have arrived'
				ELSE 'the incident was taken in hand before this was sent' END,
			unclear = unclear OR state = 'leased'
		WHERE `+isDue+` AND `+isMoot, ms(now))
	return err
}

// due returns the notices that can be leased, oldest first.
func due(ctx context.Context, tx *sql.Tx, now time.Time, max int) ([]int64, error) {
	return queryAll(ctx, tx, func(row scanner) (id int64, err error) { return id, row.Scan(&id) }, `
		SELECT n.id FROM notices n WHERE `+isDue+`
			AND NOT (n.channel = 'slack' AND n.incident <> 0 AND n.state <> 'accepted' AND EXISTS (
				SELECT 1 FROM notices e
				WHERE e.incident = n.incident AND e.channel = 'slack' AND e.id <> n.id
					AND (e.state = 'leased' OR e.state = 'queued' AND e.id < n.id AND e.not_before <= ?1)))
		ORDER BY max(n.not_before, n.created), n.id LIMIT ?2`, ms(now), max)
}

// take leases one notice.
func take(ctx context.Context, tx *sql.Tx, id int64, until time.Time) (notifier.LeasedNotice, error) {
	var n notifier.LeasedNotice
	fields := append(noticeFields(&n.Notice), &n.Fence, &n.Unclear, &n.Overdue)
	// Leased again after its lease ran out, a notice was perhaps sent; whether
	// it was overdue is what it was leased from at first.
	err := tx.QueryRowContext(ctx, `
		UPDATE notices SET
			leased_from = CASE state WHEN 'leased' THEN leased_from ELSE state END,
			unclear = unclear OR state = 'leased' AND leased_from = 'queued',
			state = 'leased', leased_until = ?, fence = fence + 1, attempts = attempts + (state = 'queued' OR state = 'leased' AND leased_from = 'queued')
		WHERE id = ?
		RETURNING `+noticeColumns+`, fence, unclear, leased_from = 'accepted'`, ms(until), id).Scan(fields...)
	return n, err
}

// Settle records what became of a leased notice and queues what follows, or
// returns ErrLeaseLost.
func (s *Store) Settle(ctx context.Context, st notifier.Settlement) error {
	err := s.Update(ctx, func(tx *Tx) error { return tx.settle(ctx, st) })
	if err != nil && !errors.Is(err, notifier.ErrLeaseLost) {
		return fmt.Errorf("settling notice %d: %w", st.ID, err)
	}
	return err
}

func (tx *Tx) settle(ctx context.Context, st notifier.Settlement) error {
	n, err := settleNotice(ctx, tx.tx, st)
	if err != nil {
		return err
	}
	if st.State == notifier.Accepted && st.Receipt != "" {
		if err := applyEarly(ctx, tx.tx, st.Receipt, st.At); err != nil {
			return err
		}
	}
	if _, err := queue(ctx, tx.tx, st.Follow); err != nil {
		return err
	}
	if n.Incident == 0 {
		return nil
	}
	i, err := tx.Incident(ctx, n.Incident)
	if err != nil {
		return err
	}
	var events []incident.Event
	if text := noticeText(n, st); text != "" {
		events = append(events, incident.Event{At: st.At, Kind: incident.NoticeEvent, Text: text})
	}
	if st.Thread != nil {
		thread := *st.Thread
		i.Thread = &thread
	}
	for _, f := range st.Follow {
		i, _ = incident.Reached(i, notifier.Paged{Person: f.Person, Channel: f.Channel})
	}
	if st.Exhausted && n.Kind == notifier.PageNotice {
		left, err := hopeful(ctx, tx.tx, n)
		if err != nil {
			return err
		}
		if !left {
			next, log, _ := incident.Hasten(i, n.Round, st.At)
			i, events = next, append(events, log...)
		}
	}
	return tx.PutIncident(ctx, i, events)
}

// settleNotice writes the settlement to the notice and returns it as it was.
func settleNotice(ctx context.Context, tx *sql.Tx, st notifier.Settlement) (notifier.Notice, error) {
	n, err := scanNotice(tx.QueryRowContext(ctx,
		"SELECT "+noticeColumns+" FROM notices WHERE id = ? AND fence = ? AND state = 'leased'", st.ID, st.Fence))
	if errors.Is(err, sql.ErrNoRows) {
		return n, notifier.ErrLeaseLost
	}
	if err != nil {
		return n, err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE notices SET state = ?, receipt = coalesce(nullif(?, ''), receipt), detail = ?,
			not_before = max(not_before, ?), deliver_by = ?, settled = ?, leased_until = 0,
			unclear = ?
		WHERE id = ?`,
		string(st.State), st.Receipt, st.Detail, ms(st.NotBefore), ms(st.DeliverBy), ms(st.At), st.Unclear, st.ID)
	return n, err
}

// hopeful reports whether a page of the same step may still reach a person, or
// has, by a channel that says so: no other holds up the next step.
func hopeful(ctx context.Context, tx *sql.Tx, n notifier.Notice) (bool, error) {
	var left int
	err := tx.QueryRowContext(ctx, `
		SELECT count(*) FROM notices WHERE incident = ? AND kind = 'page' AND step = ? AND round = ?
			AND channel IN (?, ?) AND state IN ('queued', 'leased', 'accepted', 'delivered')`, n.Incident, n.Step, n.Round, notifier.SMS, notifier.Voice).Scan(&left)
	return left > 0, err
}

// noticeText is what an incident's log says of a notice: of those to people,
// and of what did not arrive.
func noticeText(n notifier.Notice, st notifier.Settlement) string {
	to := n.Person
	if to == "" {
		to = "the channel"
	}
	switch {
	case st.State == notifier.Failed:
		return fmt.Sprintf("%s to %s did not arrive: %s", n.Channel, to, st.Detail)
	case n.Person != "" && n.Kind == notifier.PageNotice && (st.State == notifier.Accepted || st.State == notifier.Delivered):
		return fmt.Sprintf("%s to %s: %s", n.Channel, to, st.State)
	}
	return ""
}

// Subject returns the incident that a notice is about, as far as the store
// knows: Title is the check's name and Runbook is empty.
func (s *Store) Subject(ctx context.Context, id int64) (subject notifier.Subject, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		i, err := oneIncident(ctx, tx, id)
		if err != nil {
			return err
		}
		log, err := events(ctx, tx, id)
		if err != nil {
			return err
		}
		also, err := queryAll(ctx, tx, func(row scanner) (name string, err error) { return name, row.Scan(&name) },
			"SELECT check_name FROM incidents WHERE within = ? AND state <> 'resolved' ORDER BY id", id)
		if err != nil {
			return err
		}
		subject = subjectOf(i, log, also)
		return nil
	})
	return subject, err
}
