package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"nines/checks"
)

// hour is in milliseconds.
const hour = int64(time.Hour / time.Millisecond)

// appendMost is how many results one row of live holds at most.
const appendMost = 10_000

// Append stores results, which the caller knows to be new.
func (tx *Tx) Append(ctx context.Context, results []checks.Result) error {
	for chunk := range slices.Chunk(results, appendMost) {
		rows, err := tx.rows(ctx, chunk)
		if err != nil {
			return err
		}
		b := boundsOf(rows)
		_, err = tx.tx.ExecContext(ctx,
			"INSERT INTO live (from_at, to_at, from_slot, to_slot, n, rows) VALUES (?, ?, ?, ?, ?, ?)",
			b.fromAt, b.toAt, b.fromSlot, b.toSlot, len(rows), encodeBlock(rows))
		if err != nil {
			return fmt.Errorf("appending results: %w", err)
		}
	}
	return nil
}

// rows returns results as blocks keep them, with their names numbered.
func (tx *Tx) rows(ctx context.Context, results []checks.Result) ([]row, error) {
	ids := map[string]int64{}
	rows := make([]row, len(results))
	for i := range results {
		r := &results[i]
		for _, name := range [...]string{r.Check, r.Region, r.Prober} {
			if _, ok := ids[name]; ok {
				continue
			}
			id, err := tx.intern(ctx, name)
			if err != nil {
				return nil, err
			}
			ids[name] = id
		}
		rows[i] = rowOf(r, ids)
	}
	return rows, nil
}

// bounds are the first and last times among some rows.
type bounds struct{ fromAt, toAt, fromSlot, toSlot int64 }

func boundsOf(rows []row) bounds {
	b := bounds{math.MaxInt64, math.MinInt64, math.MaxInt64, math.MinInt64}
	for i := range rows {
		b.fromAt, b.toAt = min(b.fromAt, rows[i].at), max(b.toAt, rows[i].at)
		b.fromSlot, b.toSlot = min(b.fromSlot, rows[i].slot), max(b.toSlot, rows[i].slot)
	}
	return b
}

// Results yields the check's results with from <= At < to, in the order of
// (At, Prober, Slot), holding six hours of them in memory. Quarantines are not
// applied. An error ends it. While it is read the store can be written to, but
// a reader of the store's few is taken.
func (s *Store) Results(ctx context.Context, check string, from, to time.Time) iter.Seq2[checks.Result, error] {
	return s.results(ctx, check, from, to, false)
}

// Outlines yields what Results does without what was measured: TookMS, Detail,
// Phases and Facts are empty. It takes a tenth of the time.
func (s *Store) Outlines(ctx context.Context, check string, from, to time.Time) iter.Seq2[checks.Result, error] {
	return s.results(ctx, check, from, to, true)
}

func (s *Store) results(ctx context.Context, check string, from, to time.Time, outline bool) iter.Seq2[checks.Result, error] {
	return func(yield func(checks.Result, error) bool) {
		err := s.read(ctx, func(tx *sql.Tx) error {
			if err := s.readNames(ctx, tx); err != nil {
				return err
			}
			id, ok := s.id(check)
			if !ok {
				return nil
			}
			_, err := s.eachResult(ctx, tx, selection{id, from.UnixMilli(), to.UnixMilli(), outline},
				func(r checks.Result) bool { return yield(r, nil) })
			return err
		})
		if err != nil {
			yield(checks.Result{}, fmt.Errorf("reading results of %s: %w", check, err))
		}
	}
}

// selection is which results are read, and whether in outline.
type selection struct {
	check    int64
	from, to int64 // of At
	outline  bool
}

func (sel selection) keep(r *row) bool {
	return r.check == sel.check && r.at >= sel.from && r.at < sel.to
}

// eachResult calls yield with results in order until it returns false, and
// reports whether it never did. It goes from window to window.
func (s *Store) eachResult(ctx context.Context, tx *sql.Tx, sel selection, yield func(checks.Result) bool) (bool, error) {
	names, live := s.names(), map[int64][]row{}
	err := sel.eachBlock(ctx, tx, func(rows []row) {
		for _, r := range rows {
			w := windowOf(hourOf(r.at))
			live[w] = append(live[w], r)
		}
	}, "SELECT rows FROM live WHERE to_at >= ? AND from_at < ?", sel.from, sel.to)
	if err != nil {
		return false, err
	}
	windows, err := queryAll(ctx, tx, func(row scanner) (w int64, err error) { return w, row.Scan(&w) },
		"SELECT DISTINCT hour - hour % ? FROM blocks WHERE check_id = ? AND hour BETWEEN ? AND ?",
		window, sel.check, windowOf(hourOf(sel.from)), hourOf(sel.to-1))
	if err != nil {
		return false, err
	}
	windows = slices.AppendSeq(windows, maps.Keys(live))
	slices.Sort(windows)
	for _, w := range slices.Compact(windows) {
		rows := live[w]
		err := sel.eachBlock(ctx, tx, func(more []row) { rows = append(rows, more...) },
			"SELECT rows FROM blocks WHERE check_id = ? AND hour BETWEEN ? AND ?", sel.check, w, w+window-1)
		if err != nil {
			return false, err
		}
		slices.SortFunc(rows, names.order)
		// A compaction that was cut short leaves rows in two places.
		rows = slices.CompactFunc(rows, func(a, b row) bool { return a.key() == b.key() })
		for i := range rows {
			if !yield(rows[i].result(names)) {
				return false, nil
			}
		}
	}
	return true, nil
}

// eachBlock decodes what is selected of each block that a query returns.
func (sel selection) eachBlock(ctx context.Context, tx *sql.Tx, f func([]row), query string, args ...any) error {
	return eachRaw(ctx, tx, func(block []byte) error {
		rows, err := decodeSome(block, sel.keep, sel.outline)
		if err == nil {
			f(rows)
		}
		return err
	}, query, args...)
}

// hourOf returns the hour that a time in milliseconds falls in.
func hourOf(ms int64) int64 {
	h := ms / hour
	if ms%hour < 0 {
		h--
	}
	return h
}

// blockRows returns the rows of the blocks that match a condition.
func blockRows(ctx context.Context, tx *sql.Tx, where string, args ...any) ([]row, error) {
	var all []row
	err := eachBlock(ctx, tx, func(rows []row) { all = append(all, rows...) }, "SELECT rows FROM blocks WHERE "+where, args...)
	return all, err
}

// eachBlock decodes each block that a query returns.
func eachBlock(ctx context.Context, tx *sql.Tx, f func([]row), query string, args ...any) error {
	return eachRaw(ctx, tx, func(block []byte) error {
		rows, err := decodeBlock(block)
		if err == nil {
			f(rows)
		}
		return err
	}, query, args...)
}

// eachRaw calls f with each block that a query returns, which is f's until it
// returns.
func eachRaw(ctx context.Context, tx *sql.Tx, f func([]byte) error, query string, args ...any) error {
	found, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var block sql.RawBytes
		if err := found.Scan(&block); err != nil {
			return err
		}
		if err := f(block); err != nil {
			return err
		}
	}
	return found.Err()
}

// Latest returns the latest result of every check, region and prober among
// those with from <= At < to, in no particular order.
func (s *Store) Latest(ctx context.Context, from, to time.Time) ([]checks.Result, error) {
	first, end := from.UnixMilli(), to.UnixMilli()
	type series struct{ check, region, prober int64 }
	latest := map[series]row{}
	var names names
	note := func(rows []row) {
		for _, r := range rows {
			of := series{r.check, r.region, r.prober}
			if before, ok := latest[of]; r.at >= first && r.at < end && (!ok || names.order(before, r) < 0) {
				latest[of] = r
			}
		}
	}
	var results []checks.Result
	err := s.read(ctx, func(tx *sql.Tx) error {
		if err := s.readNames(ctx, tx); err != nil {
			return err
		}
		names = s.names()
		if err := eachBlock(ctx, tx, note, "SELECT rows FROM live WHERE to_at >= ? AND from_at < ?", first, end); err != nil {
			return err
		}
		if err := eachBlock(ctx, tx, note, "SELECT rows FROM blocks WHERE hour BETWEEN ? AND ?", windowOf(hourOf(first)), hourOf(end-1)); err != nil {
			return err
		}
		for _, r := range latest {
			results = append(results, r.result(names))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the latest results: %w", err)
	}
	return results, nil
}

// Prune deletes the results of every whole day (UTC) before the time given, so
// that a day is there whole or not at all, a bounded number of blocks at a
// time.
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	const most = 2000
	deleted := 0
	day := dayOf(before)
	err := s.Update(ctx, func(tx *Tx) error {
		done, err := pruned(ctx, tx.tx)
		if err != nil || done >= day {
			return err
		}
		return tx.setMeta(ctx, prunedKey, []byte(strconv.FormatInt(day, 10)))
	})
	if err != nil {
		return 0, fmt.Errorf("deleting old results: %w", err)
	}
	for {
		n := int64(0)
		err := s.Update(ctx, func(tx *Tx) error {
			done, err := tx.tx.ExecContext(ctx,
				"DELETE FROM blocks WHERE id IN (SELECT id FROM blocks WHERE hour < ? LIMIT ?)", day*24, most)
			if err != nil {
				return err
			}
			n, err = done.RowsAffected()
			return err
		})
		if err != nil {
			return deleted, fmt.Errorf("deleting old results: %w", err)
		}
		deleted += int(n)
		if n < most {
			return deleted, nil
		}
	}
}
