package store

import (
	"context"
	"database/sql"
	"fmt"
)

// rollupID is the row of a check's day.
func rollupID(check, day int64) int64 { return check<<16 | day&0xffff }

// PutRollup stores what a day of a check, counted from the epoch, came to, in
// whatever form the caller keeps that.
func (tx *Tx) PutRollup(ctx context.Context, check string, day int64, body []byte) error {
	id, err := tx.intern(ctx, check)
	if err != nil {
		return err
	}
	_, err = tx.tx.ExecContext(ctx, "INSERT INTO rollups (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
		rollupID(id, day), body)
	if err != nil {
		return fmt.Errorf("storing a day of %s: %w", check, err)
	}
	return nil
}

// Rollups calls f with each stored day of a check from first to last, in order;
// the bytes are f's until it returns.
func (s *Store) Rollups(ctx context.Context, check string, first, last int64, f func(day int64, body []byte) error) error {
	err := s.read(ctx, func(tx *sql.Tx) error {
		id, ok := s.id(check)
		if !ok { // another process may have named it
			if err := s.readNames(ctx, tx); err != nil {
				return err
			}
			if id, ok = s.id(check); !ok {
				return nil
			}
		}
		rows, err := tx.QueryContext(ctx, "SELECT id & 65535, body FROM rollups WHERE id BETWEEN ? AND ? ORDER BY id", rollupID(id, first), rollupID(id, last))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var day int64
			var body sql.RawBytes
			if err := rows.Scan(&day, &body); err != nil {
				return err
			}
			if err := f(day, body); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("reading days of %s: %w", check, err)
	}
	return nil
}

// FirstDay returns the first day that anything may be known of a check, counted
// from the epoch, or none.
func (s *Store) FirstDay(ctx context.Context, check string, none int64) (day int64, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		if err := s.readNames(ctx, tx); err != nil {
			return err
		}
		day = none
		if id, ok := s.id(check); ok {
			day, err = firstDay(ctx, tx, id, none)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reading the first day of %s: %w", check, err)
	}
	return day, nil
}

// firstDay does FirstDay's work. What waits to be compacted may be any check's.
func firstDay(ctx context.Context, tx *sql.Tx, check, none int64) (day int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT min(
		coalesce((SELECT id & 65535 FROM rollups WHERE id BETWEEN ?1 << 16 AND ?1 << 16 | 65535 ORDER BY id LIMIT 1), ?2),
		coalesce((SELECT hour / 24 FROM blocks WHERE check_id = ?1 ORDER BY hour LIMIT 1), ?2),
		coalesce((SELECT min(from_at) / 86400000 FROM live), ?2))`, check, none).Scan(&day)
	return day, err
}

// Unrolled returns the days of a check from first to last that are not stored.
func (s *Store) Unrolled(ctx context.Context, check string, first, last int64) (days []int64, err error) {
	rolled := map[int64]bool{}
	err = s.read(ctx, func(tx *sql.Tx) error {
		if err := s.readNames(ctx, tx); err != nil {
			return err
		}
		id, ok := s.id(check)
		if !ok {
			first = last + 1
			return nil
		}
		stored, err := queryAll(ctx, tx, func(row scanner) (day int64, err error) { return day, row.Scan(&day) },
			"SELECT id & 65535 FROM rollups WHERE id BETWEEN ? AND ?", rollupID(id, first), rollupID(id, last))
		for _, day := range stored {
			rolled[day] = true
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading days of %s: %w", check, err)
	}
	for day := first; day <= last; day++ {
		if !rolled[day] {
			days = append(days, day)
		}
	}
	return days, nil
}

// dropRollups forgets days, but for those whose results are gone.
func (tx *Tx) dropRollups(ctx context.Context, check string, first, last int64) error {
	raw, err := pruned(ctx, tx.tx)
	if err != nil {
		return err
	}
	first = max(first, raw)
	if check == "" {
		_, err = tx.tx.ExecContext(ctx, "DELETE FROM rollups WHERE id & 65535 BETWEEN ? AND ?", first, last)
		return err
	}
	_, err = tx.tx.ExecContext(ctx, `DELETE FROM rollups WHERE id BETWEEN
		(SELECT id FROM names WHERE name = ?1) << 16 | ?2 AND (SELECT id FROM names WHERE name = ?1) << 16 | ?3`, check, first, last)
	return err
}
