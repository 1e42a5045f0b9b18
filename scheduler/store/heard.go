package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Heard reports whether the request of that id has been acted on.
func (s *Store) Heard(ctx context.Context, id string) (heard bool, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM heard WHERE id = ?)", id).Scan(&heard)
	})
	return heard, err
}

// heardFor is how long requests are remembered. Some vendors' signatures have
// no date; what an answer from more than a year ago is about is long over.
const heardFor = 400 * 24 * time.Hour

// Hear notes that the request of that id has been acted on.
func (s *Store) Hear(ctx context.Context, id string, now time.Time) error {
	err := s.Update(ctx, func(tx *Tx) error {
		if _, err := tx.tx.ExecContext(ctx, "DELETE FROM heard WHERE at < ?", ms(now.Add(-heardFor))); err != nil {
			return err
		}
		_, err := tx.tx.ExecContext(ctx, "INSERT INTO heard (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING", id, ms(now))
		return err
	})
	if err != nil {
		return fmt.Errorf("noting a request: %w", err)
	}
	return nil
}
