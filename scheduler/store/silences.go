package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Silence keeps a check from paging anybody for a while.
type Silence struct {
	ID       int64
	Check    string
	From, To time.Time
	Why      string
	Who      string // who asked for it
	Created  time.Time
}

// Covers reports whether the silence holds for a check at t.
func (s *Silence) Covers(check string, t time.Time) bool {
	return s.Check == check && !t.Before(s.From) && t.Before(s.To)
}

// AddSilence stores a silence and returns it with its ID.
func (tx *Tx) AddSilence(ctx context.Context, s Silence) (Silence, error) {
	err := tx.tx.QueryRowContext(ctx,
		"INSERT INTO silences (check_name, from_at, to_at, why, who, created) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
		s.Check, ms(s.From), ms(s.To), s.Why, s.Who, ms(s.Created)).Scan(&s.ID)
	if err != nil {
		return s, fmt.Errorf("adding a silence of %s: %w", s.Check, err)
	}
	return s, nil
}

// EndSilence ends a silence that has not ended at now, or returns ErrNotFound.
func (tx *Tx) EndSilence(ctx context.Context, id int64, now time.Time) error {
	done, err := tx.tx.ExecContext(ctx, "UPDATE silences SET to_at = ? WHERE id = ? AND to_at > ?", ms(now), id, ms(now))
	if err != nil {
		return fmt.Errorf("ending silence %d: %w", id, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return found(sql.ErrNoRows, "silence %d", id)
	}
	return nil
}

// Silences returns the silences that have not ended at now, oldest first.
func (s *Store) Silences(ctx context.Context, now time.Time) (list []Silence, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		list, err = queryAll(ctx, tx, func(row scanner) (s Silence, err error) {
			return s, row.Scan(&s.ID, &s.Check, when{&s.From}, when{&s.To}, &s.Why, &s.Who, when{&s.Created})
		}, "SELECT id, check_name, from_at, to_at, why, who, created FROM silences WHERE to_at > ? ORDER BY id", ms(now))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading silences: %w", err)
	}
	return list, nil
}
