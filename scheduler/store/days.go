package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"nines/internal/civil"
)

// daySeconds is the length of a day in UTC.
const daySeconds = 24 * 60 * 60

// dayOf returns the number of the UTC day that t falls on.
func dayOf(t time.Time) int64 {
	s := t.Unix()
	d := s / daySeconds
	if s%daySeconds < 0 {
		d--
	}
	return d
}

// dateOf returns the day of a number.
func dateOf(day int64) civil.Date { return civil.DateOf(time.Unix(day*daySeconds, 0).UTC()) }

// PutDay stores what a day of a check came to, in whatever form the caller
// keeps that.
func (tx *Tx) PutDay(ctx context.Context, check string, day civil.Date, summary []byte) error {
	id, err := tx.intern(ctx, check)
	if err != nil {
		return err
	}
	_, err = tx.tx.ExecContext(ctx,
		"INSERT INTO days (check_id, day, summary) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET summary = excluded.summary",
		id, dayOf(civil.StartOfDay(day, time.UTC)), summary)
	if err != nil {
		return fmt.Errorf("storing a day of %s: %w", check, err)
	}
	return nil
}

// Days returns the stored days of a check that overlap [from, to).
func (s *Store) Days(ctx context.Context, check string, from, to time.Time) (days map[civil.Date][]byte, err error) {
	days = map[civil.Date][]byte{}
	err = s.read(ctx, func(tx *sql.Tx) error {
		if err := s.readNames(ctx, tx); err != nil {
			return err
		}
		id, ok := s.id(check)
		if !ok {
			return nil
		}
		rows, err := tx.QueryContext(ctx, "SELECT day, summary FROM days WHERE check_id = ? AND day BETWEEN ? AND ?", id, dayOf(from), dayOf(to.Add(-1)))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var day int64
			var summary []byte
			if err := rows.Scan(&day, &summary); err != nil {
				return err
			}
			days[dateOf(day)] = summary
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading days of %s: %w", check, err)
	}
	return days, nil
}

// FirstDays returns, for each check, the first day that anything is known of.
func (s *Store) FirstDays(ctx context.Context) (map[string]civil.Date, error) {
	first := map[int64]int64{}
	note := func(check, day int64) {
		if before, ok := first[check]; !ok || day < before {
			first[check] = day
		}
	}
	days := map[string]civil.Date{}
	err := s.read(ctx, func(tx *sql.Tx) error {
		if err := s.readNames(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `
			SELECT check_id, min(day) FROM days GROUP BY check_id
			UNION ALL SELECT check_id, min(hour) / 24 FROM blocks GROUP BY check_id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var check, day int64
			if err := rows.Scan(&check, &day); err != nil {
				return err
			}
			note(check, day)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		noted := func(r *row) bool { note(r.check, hourOf(r.at)/24); return false }
		err = eachRaw(ctx, tx, func(block []byte) error {
			_, err := decodeSome(block, noted, true)
			return err
		}, "SELECT rows FROM live")
		for check, day := range first {
			days[s.names()[check]] = dateOf(day)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading first days: %w", err)
	}
	return days, nil
}

// prunedKey is where the day is kept up to which Prune has deleted results.
const prunedKey = "pruned"

// Pruned returns the first day that Prune has not deleted the results of: what
// days before it came to cannot be found out again.
func (s *Store) Pruned(ctx context.Context) (day civil.Date, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		n, err := pruned(ctx, tx)
		day = dateOf(n)
		return err
	})
	return day, err
}

// pruned returns the number of the first day that was not pruned.
func pruned(ctx context.Context, tx *sql.Tx) (day int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT coalesce((SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM meta WHERE key = ?), 0)", prunedKey).Scan(&day)
	return day, err
}

// DropDays forgets what days of a check came to that overlap [from, to),
// because something about them has changed, and notes them as touched. The
// empty check means all.
func (tx *Tx) DropDays(ctx context.Context, check string, from, to time.Time) error {
	const which = "(?1 = '' OR check_id = (SELECT id FROM names WHERE name = ?1)) AND day BETWEEN ?2 AND ?3"
	first, last := dayOf(from), dayOf(to.Add(-1))
	args := []any{check, first, last}
	var err error
	if check == "" {
		_, err = tx.tx.ExecContext(ctx, `
			INSERT INTO touched (check_name, day) SELECT (SELECT name FROM names WHERE id = check_id), day FROM days WHERE `+which+`
			ON CONFLICT DO NOTHING`, args...)
	}
	for day := first; check != "" && day <= last && err == nil; day++ {
		_, err = tx.tx.ExecContext(ctx, "INSERT INTO touched (check_name, day) VALUES (?, ?) ON CONFLICT DO NOTHING", check, day)
	}
	if err == nil {
		_, err = tx.tx.ExecContext(ctx, "DELETE FROM days WHERE "+which, args...)
	}
	if err == nil && first <= last {
		err = tx.dropRollups(ctx, check, first, last)
	}
	if err != nil {
		return fmt.Errorf("forgetting days of %s: %w", check, err)
	}
	return nil
}

// Touched is a day of a check that has changed after it was summed up.
type Touched struct {
	Check string
	Day   civil.Date
}

// Touched returns what DropDays has noted.
func (s *Store) Touched(ctx context.Context) (list []Touched, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		list, err = queryAll(ctx, tx, func(row scanner) (t Touched, err error) {
			var day int64
			err = row.Scan(&t.Check, &day)
			t.Day = dateOf(day)
			return t, err
		}, "SELECT check_name, day FROM touched ORDER BY check_name, day")
		return err
	})
	return list, err
}

// Untouch forgets some of what Touched returned.
func (tx *Tx) Untouch(ctx context.Context, list []Touched) error {
	for _, t := range list {
		_, err := tx.tx.ExecContext(ctx, "DELETE FROM touched WHERE check_name = ? AND day = ?", t.Check, dayOf(civil.StartOfDay(t.Day, time.UTC)))
		if err != nil {
			return err
		}
	}
	return nil
}
