package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"nines/notifier"
)

const noticeColumns = `id, incident, kind, step, round, person, channel, then_by, mention, why, nonce, state, attempts,
	not_before, deliver_by, receipt, detail, created`

func scanNotice(row scanner) (notifier.Notice, error) {
	var n notifier.Notice
	err := row.Scan(noticeFields(&n)...)
	return n, err
}

// noticeFields are where noticeColumns are scanned to.
func noticeFields(n *notifier.Notice) []any {
	return []any{&n.ID, &n.Incident, &n.Kind, &n.Step, &n.Round, &n.Person, &n.Channel, asJSON{&n.Then}, asJSON{&n.Mention}, &n.Why, &n.Nonce,
		&n.State, &n.Attempts, when{&n.NotBefore}, when{&n.DeliverBy}, &n.Receipt, &n.Detail, when{&n.Created}}
}

// Queue puts notices into the outbox and returns their IDs.
func (tx *Tx) Queue(ctx context.Context, notices []notifier.Notice) ([]int64, error) {
	return queue(ctx, tx.tx, notices)
}

func queue(ctx context.Context, tx *sql.Tx, notices []notifier.Notice) ([]int64, error) {
	var ids []int64
	for _, n := range notices {
		then, err := toJSON(n.Then)
		if err != nil {
			return nil, err
		}
		mention, err := toJSON(n.Mention)
		if err != nil {
			return nil, err
		}
		var id int64
		err = tx.QueryRowContext(ctx, `INSERT INTO notices (
				incident, kind, step, round, person, channel, then_by, mention, why, nonce, state, attempts,
				not_before, deliver_by, receipt, detail, created, fence, leased_until, leased_from, unclear, settled)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, 0, '', '', ?, 0, 0, '', 0, 0) RETURNING id`,
			n.Incident, string(n.Kind), n.Step, n.Round, n.Person, n.Channel, then, mention, n.Why, n.Nonce, n.Attempts,
			ms(n.NotBefore), ms(n.Created)).Scan(&id)
		if err != nil {
			return nil, fmt.Errorf("queuing a notice: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// UpdateWaits reports whether an update of the incident to the person by the
// channel waits to be sent, which will say all there is to say when it is; it
// is sent at the time given at the latest then.
func (tx *Tx) UpdateWaits(ctx context.Context, incident int64, person, channel string, by time.Time) (bool, error) {
	done, err := tx.tx.ExecContext(ctx, `
		UPDATE notices SET not_before = min(not_before, ?)
		WHERE incident = ? AND person = ? AND channel = ? AND kind = 'update' AND state = 'queued'`, ms(by), incident, person, channel)
	if err != nil {
		return false, fmt.Errorf("looking for an update that waits: %w", err)
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

// CancelUpdates cancels the updates of an incident that wait to be sent,
// because something is said now that makes them old.
func (tx *Tx) CancelUpdates(ctx context.Context, incident int64, now time.Time) error {
	_, err := tx.tx.ExecContext(ctx,
		"UPDATE notices SET state = 'cancelled', settled = ?, detail = 'overtaken by the end' WHERE incident = ? AND kind = 'update' AND state = 'queued'",
		ms(now), incident)
	if err != nil {
		return fmt.Errorf("cancelling updates: %w", err)
	}
	return nil
}

// Notices returns the notices of an incident, oldest first.
func (s *Store) Notices(ctx context.Context, incident int64) (list []notifier.Notice, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		list, err = queryAll(ctx, tx, scanNotice, "SELECT "+noticeColumns+" FROM notices WHERE incident = ? ORDER BY id", incident)
		return err
	})
	return list, err
}

// Notice returns the notice of that number, or ErrNotFound.
func (s *Store) Notice(ctx context.Context, id int64) (n notifier.Notice, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		n, err = scanNotice(tx.QueryRowContext(ctx, "SELECT "+noticeColumns+" FROM notices WHERE id = ?", id))
		return found(err, "notice %d", id)
	})
	return n, err
}

// Reported notes what a vendor said of the delivery of the message with that
// receipt, and reports whether there is such a message. A failed delivery makes
// the notice overdue at once, so that the dispatcher moves on to the next
// channel. A report that comes before the message is settled as accepted, as a
// fast carrier's can, is kept for that moment.
func (s *Store) Reported(ctx context.Context, receipt string, state notifier.State, detail string, now time.Time) (known bool, err error) {
	if receipt == "" || state != notifier.Delivered && state != notifier.Failed {
		return false, nil // on its way: nothing to note
	}
	err = s.Update(ctx, func(tx *Tx) error {
		err := tx.tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM notices WHERE receipt = ?)", receipt).Scan(&known)
		if err != nil {
			return err
		}
		if known {
			return applyReport(ctx, tx.tx, receipt, state, detail, now)
		}
		if _, err := tx.tx.ExecContext(ctx, "DELETE FROM early WHERE at < ?", ms(now.Add(-time.Hour))); err != nil {
			return err
		}
		_, err = tx.tx.ExecContext(ctx, "INSERT INTO early (receipt, state, detail, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
			receipt, string(state), detail, ms(now))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("noting a delivery report: %w", err)
	}
	return known, nil
}

// applyReport notes a delivery report with its notice, if that waits for one.
func applyReport(ctx context.Context, tx *sql.Tx, receipt string, state notifier.State, detail string, now time.Time) error {
	query := "UPDATE notices SET state = 'delivered', deliver_by = 0, settled = ?, detail = ? WHERE receipt = ? AND state = 'accepted'"
	if state == notifier.Failed {
		query = "UPDATE notices SET deliver_by = ?, detail = ? WHERE receipt = ? AND state = 'accepted'"
	}
	_, err := tx.ExecContext(ctx, query, ms(now), detail, receipt)
	return err
}

// applyEarly notes with a notice that has just been accepted what was reported
// before.
func applyEarly(ctx context.Context, tx *sql.Tx, receipt string, now time.Time) error {
	var state notifier.State
	var detail string
	err := tx.QueryRowContext(ctx, "DELETE FROM early WHERE receipt = ? RETURNING state, detail", receipt).Scan(&state, &detail)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return applyReport(ctx, tx, receipt, state, detail, now)
}

// NoticeCounts returns how many notices there are by channel and state.
func (s *Store) NoticeCounts(ctx context.Context) (map[string]map[notifier.State]int, error) {
	counts := map[string]map[notifier.State]int{}
	err := s.read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT channel, state, count(*) FROM notices GROUP BY channel, state")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var channel string
			var state notifier.State
			var n int
			if err := rows.Scan(&channel, &state, &n); err != nil {
				return err
			}
			if counts[channel] == nil {
				counts[channel] = map[notifier.State]int{}
			}
			counts[channel][state] = n
		}
		return rows.Err()
	})
	return counts, err
}

// OutboxDepth returns how many notices are due and not sent, and since when
// the oldest of them is.
func (s *Store) OutboxDepth(ctx context.Context, now time.Time) (n int, oldest time.Time, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx,
			"SELECT count(*), coalesce(min(max(not_before, created)), 0) FROM notices WHERE state = 'queued' AND not_before <= ? OR state = 'leased'", ms(now)).
			Scan(&n, when{&oldest})
	})
	return n, oldest, err
}

// found turns a query's "no rows" into ErrNotFound of what was asked for.
func found(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf(format+": %w", append(args, err)...)
	}
	return nil
}
