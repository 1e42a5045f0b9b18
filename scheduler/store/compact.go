package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Results are compacted twice: those of an hour from where batches are
// appended into a block of each check, region and hour, and those blocks, when
// their window is over, into one. A block of a window is named by its first
// hour, and results that come late make a block of their hour beside it until
// the next time. Nothing depends on which results are where: readers put
// together all that a window has, each result once.

// window is how many hours a block holds for good: about as much as fills
// pages well at an interval of a minute. It divides the day.
const window = 6

// windowOf returns the first hour of the window that an hour is in.
func windowOf(hour int64) int64 { return hour - hour%window }

// series is what a block holds.
type series struct{ check, hour, region int64 }

// Live returns how many results wait to be compacted, and the At of the oldest.
func (s *Store) Live(ctx context.Context) (n int, oldest time.Time, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT coalesce(sum(n), 0), coalesce(min(from_at), 0) FROM live").Scan(&n, when{&oldest})
	})
	return n, oldest, err
}

const (
	// passMost bounds how many results a compaction takes into memory.
	passMost = 100_000
	// blocksMost bounds how many blocks one of its transactions writes, so that
	// ingest comes in between.
	blocksMost = 200
)

// Compact moves all results that wait into blocks, and merges the blocks of
// windows that are over. One that is cut short has only to be run again.
func (s *Store) Compact(ctx context.Context) error {
	s.compacting.Lock()
	defer s.compacting.Unlock()
	if err := s.drain(ctx); err != nil {
		return fmt.Errorf("compacting results: %w", err)
	}
	if err := s.mergeWindows(ctx); err != nil {
		return fmt.Errorf("merging blocks: %w", err)
	}
	return nil
}

// drain moves the rows of live into blocks, some of the checks at a time.
func (s *Store) drain(ctx context.Context) error {
	var last, n int64
	err := s.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT coalesce(max(id), 0), coalesce(sum(n), 0) FROM live").Scan(&last, &n)
	})
	if err != nil || n == 0 {
		return err
	}
	passes := (n + passMost - 1) / passMost
	for pass := range passes {
		moving := map[series][]row{}
		mine := func(r *row) bool { return r.check%passes == pass }
		err := s.read(ctx, func(tx *sql.Tx) error {
			return eachRaw(ctx, tx, func(block []byte) error {
				rows, err := decodeSome(block, mine, false)
				for _, r := range rows {
					of := series{r.check, hourOf(r.at), r.region}
					moving[of] = append(moving[of], r)
				}
				return err
			}, "SELECT rows FROM live WHERE id <= ?", last)
		})
		if err != nil {
			return err
		}
		if err := s.inChunks(ctx, slices.Collect(maps.Keys(moving)), func(tx *Tx, of series) error {
			return tx.merge(ctx, of, moving[of])
		}); err != nil {
			return err
		}
	}
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.tx.ExecContext(ctx, "DELETE FROM live WHERE id <= ?", last)
		return err
	})
}

// inChunks does something about each series, in transactions that are short.
func (s *Store) inChunks(ctx context.Context, all []series, f func(tx *Tx, of series) error) error {
	for chunk := range slices.Chunk(all, blocksMost) {
		err := s.Update(ctx, func(tx *Tx) error {
			for _, of := range chunk {
				if err := f(tx, of); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// merge puts rows into the block of a series.
func (tx *Tx) merge(ctx context.Context, of series, rows []row) error {
	there, err := blockRows(ctx, tx.tx, "check_id = ? AND hour = ? AND region_id = ?", of.check, of.hour, of.region)
	if err != nil {
		return err
	}
	return tx.putBlock(ctx, of, append(there, rows...))
}

// putBlock makes rows the block of a series. Of a row that is there twice the
// first stays.
func (tx *Tx) putBlock(ctx context.Context, of series, rows []row) error {
	seen := make(map[key]bool, len(rows))
	rows = slices.DeleteFunc(rows, func(r row) bool {
		twice := seen[r.key()]
		seen[r.key()] = true
		return twice
	})
	slices.SortFunc(rows, tx.names().order)
	b := boundsOf(rows)
	_, err := tx.tx.ExecContext(ctx, `
		INSERT INTO blocks (check_id, hour, region_id, from_slot, to_slot, n, rows) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (check_id, hour, region_id) DO UPDATE SET
			from_slot = excluded.from_slot, to_slot = excluded.to_slot, n = excluded.n, rows = excluded.rows`,
		of.check, of.hour, of.region, b.fromSlot, b.toSlot, len(rows), encodeBlock(rows))
	return err
}

// mergeWindows merges the blocks of each window but the newest of all. One
// whose blocks are too large together is left as it is.
func (s *Store) mergeWindows(ctx context.Context) error {
	var apart []series
	err := s.read(ctx, func(tx *sql.Tx) (err error) {
		apart, err = queryAll(ctx, tx, func(row scanner) (of series, err error) {
			return of, row.Scan(&of.check, &of.hour, &of.region)
		}, `SELECT check_id, hour - hour % ?1, region_id FROM blocks
			WHERE hour < (SELECT max(hour) - max(hour) % ?1 FROM blocks)
			GROUP BY 1, 2, 3 HAVING count(*) > 1 AND sum(n) <= ?2`, window, maxRows)
		return err
	})
	if err != nil {
		return err
	}
	return s.inChunks(ctx, apart, func(tx *Tx, of series) error {
		const where = "check_id = ? AND hour BETWEEN ? AND ? AND region_id = ?"
		args := []any{of.check, of.hour, of.hour + window - 1, of.region}
		rows, err := blockRows(ctx, tx.tx, where+" ORDER BY hour", args...)
		if err != nil {
			return err
		}
		if _, err := tx.tx.ExecContext(ctx, "DELETE FROM blocks WHERE "+where, args...); err != nil {
			return err
		}
		return tx.putBlock(ctx, of, rows)
	})
}
