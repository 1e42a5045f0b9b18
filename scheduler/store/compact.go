package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"
)

// series is what a block for good holds.
type series struct{ check, hour, region int64 }

// Live returns how many results wait to be compacted, and the At of the oldest.
func (s *Store) Live(ctx context.Context) (n int, oldest time.Time, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT coalesce(sum(n), 0), coalesce(min(from_at), 0) FROM live").Scan(&n, when{&oldest})
	})
	return n, oldest, err
}

// Compact moves results from where batches are appended into blocks. It works
// through transactions that are short enough for ingest to come in between;
// one that is cut short has only to be run again.
func (s *Store) Compact(ctx context.Context) error {
	s.compacting.Lock()
	defer s.compacting.Unlock()
	for {
		more, err := s.compactSome(ctx)
		if err != nil {
			return fmt.Errorf("compacting results: %w", err)
		}
		if !more {
			return nil
		}
	}
}

// compactMost bounds how many results one round of a compaction takes into
// memory, seriesMost how many blocks one of its transactions writes.
const (
	compactMost = 100_000
	seriesMost  = 500
)

// compactSome moves the oldest rows of live and reports whether some are left.
func (s *Store) compactSome(ctx context.Context) (more bool, err error) {
	var last int64
	moving := map[series][]row{}
	err = s.read(ctx, func(tx *sql.Tx) error {
		last, more, err = oldestLive(ctx, tx)
		if err != nil {
			return err
		}
		return eachBlock(ctx, tx, func(rows []row) {
			for _, r := range rows {
				of := series{r.check, hourOf(r.at), r.region}
				moving[of] = append(moving[of], r)
			}
		}, "SELECT rows FROM live WHERE id <= ?", last)
	})
	if err != nil || len(moving) == 0 {
		return false, err
	}
	for chunk := range slices.Chunk(slices.Collect(maps.Keys(moving)), seriesMost) {
		err := s.Update(ctx, func(tx *Tx) error {
			for _, of := range chunk {
				if err := tx.merge(ctx, of, moving[of]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return more, s.Update(ctx, func(tx *Tx) error {
		_, err := tx.tx.ExecContext(ctx, "DELETE FROM live WHERE id <= ?", last)
		return err
	})
}

// oldestLive returns the id up to which live holds about compactMost results,
// and whether there are more.
func oldestLive(ctx context.Context, tx *sql.Tx) (last int64, more bool, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT id, n FROM live ORDER BY id")
	if err != nil {
		return 0, false, err
	}
	defer rows.Close()
	for total := 0; rows.Next(); {
		if total >= compactMost {
			return last, true, nil
		}
		var n int
		if err := rows.Scan(&last, &n); err != nil {
			return 0, false, err
		}
		total += n
	}
	return last, false, rows.Err()
}

// merge puts rows into the block of a series.
func (tx *Tx) merge(ctx context.Context, of series, rows []row) error {
	there, err := blockRows(ctx, tx.tx, "check_id = ? AND hour = ? AND region_id = ?", of.check, of.hour, of.region)
	if err != nil {
		return err
	}
	// Of a row that is there twice the one in the block stays.
	rows = append(there, rows...)
	seen := make(map[key]bool, len(rows))
	rows = slices.DeleteFunc(rows, func(r row) bool {
		twice := seen[r.key()]
		seen[r.key()] = true
		return twice
	})
	slices.SortFunc(rows, tx.s.order)
	b := boundsOf(rows)
	_, err = tx.tx.ExecContext(ctx, `
		INSERT INTO blocks (check_id, hour, region_id, from_slot, to_slot, n, rows) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (check_id, hour, region_id) DO UPDATE SET
			from_slot = excluded.from_slot, to_slot = excluded.to_slot, n = excluded.n, rows = excluded.rows`,
		of.check, of.hour, of.region, b.fromSlot, b.toSlot, len(rows), encodeBlock(rows))
	return err
}
