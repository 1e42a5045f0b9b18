package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"nines/checks"
)

// PutQuarantine stores a quarantine; one that is there already is left.
func (tx *Tx) PutQuarantine(ctx context.Context, q checks.Quarantine) error {
	_, err := tx.putQuarantine(ctx, q)
	return err
}

func (tx *Tx) putQuarantine(ctx context.Context, q checks.Quarantine) (added bool, err error) {
	done, err := tx.tx.ExecContext(ctx,
		"INSERT INTO quarantines (prober, from_at, to_at, why) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		q.Prober, ms(q.From), ms(q.To), q.Why)
	if err != nil {
		return false, fmt.Errorf("storing a quarantine: %w", err)
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// Quarantines returns the quarantines that overlap [from, to), by prober and time.
func (s *Store) Quarantines(ctx context.Context, from, to time.Time) (list []checks.Quarantine, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		list, err = quarantines(ctx, tx, from, to)
		return err
	})
	return list, err
}

func quarantines(ctx context.Context, tx *sql.Tx, from, to time.Time) ([]checks.Quarantine, error) {
	list, err := queryAll(ctx, tx, func(row scanner) (q checks.Quarantine, err error) {
		return q, row.Scan(&q.Prober, when{&q.From}, when{&q.To}, &q.Why)
	}, "SELECT prober, from_at, to_at, why FROM quarantines WHERE from_at < ? AND to_at > ? ORDER BY prober, from_at, to_at",
		to.UnixMilli(), from.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("reading quarantines: %w", err)
	}
	return list, nil
}

// Export yields the quarantines that overlap [from, to) and then the results
// in it, check by check, those of a check in the order of Results. It sees the
// store at one instant.
func (s *Store) Export(ctx context.Context, from, to time.Time) iter.Seq2[checks.Record, error] {
	return func(yield func(checks.Record, error) bool) {
		err := s.read(ctx, func(tx *sql.Tx) error {
			if err := s.readNames(ctx, tx); err != nil {
				return err
			}
			list, err := quarantines(ctx, tx, from, to)
			if err != nil {
				return err
			}
			for i := range list {
				if !yield(checks.Record{Quarantine: &list[i]}, nil) {
					return nil
				}
			}
			names, err := checkIDs(ctx, tx)
			if err != nil {
				return err
			}
			for _, check := range names {
				more, err := s.eachResult(ctx, tx, selection{check, from.UnixMilli(), to.UnixMilli(), false}, func(r checks.Result) bool {
					return yield(checks.Record{Result: &r}, nil)
				})
				if err != nil || !more {
					return err
				}
			}
			return nil
		})
		if err != nil {
			yield(checks.Record{}, fmt.Errorf("exporting: %w", err))
		}
	}
}

// checkIDs returns the numbers of all names that may be a check's, by name.
func checkIDs(ctx context.Context, tx *sql.Tx) ([]int64, error) {
	// A region's or prober's name has no results as a check.
	return queryAll(ctx, tx, func(row scanner) (id int64, err error) { return id, row.Scan(&id) },
		"SELECT id FROM names ORDER BY name")
}

// importMost is how many records one transaction of an import takes.
const importMost = 5000

// Import stores the records that are not in the store yet, a result being
// known by its (check, region, prober, slot). A second import of the same
// changes nothing, and one that was cut short has only to be run again. An
// error that records yields ends it; what came before stays.
func (s *Store) Import(ctx context.Context, records iter.Seq2[checks.Record, error]) (added, known int, err error) {
	var batch []checks.Record
	flush := func() error {
		n := 0
		err := s.Update(ctx, func(tx *Tx) (err error) {
			n, err = tx.importBatch(ctx, batch)
			return err
		})
		if err != nil {
			return fmt.Errorf("importing: %w", err)
		}
		added, known = added+n, known+len(batch)-n
		batch = batch[:0]
		return nil
	}
	for rec, err := range records {
		if err != nil {
			if flushErr := flush(); flushErr != nil {
				return added, known, flushErr
			}
			return added, known, err
		}
		if batch = append(batch, rec); len(batch) == importMost {
			if err := flush(); err != nil {
				return added, known, err
			}
			if err := s.relieve(ctx); err != nil {
				return added, known, err
			}
		}
	}
	return added, known, flush()
}

// relieveFrom is how many results may wait during an import: each of its
// transactions looks through them.
const relieveFrom = 100_000

// relieve compacts when much is waiting, so that a long import stays fast.
func (s *Store) relieve(ctx context.Context) error {
	n, _, err := s.Live(ctx)
	if err != nil || n < relieveFrom {
		return err
	}
	return s.Compact(ctx)
}

// importBatch stores what is new among batch and returns how much that was.
func (tx *Tx) importBatch(ctx context.Context, batch []checks.Record) (added int, err error) {
	var results []checks.Result
	for _, rec := range batch {
		switch {
		case rec.Quarantine != nil:
			fresh, err := tx.putQuarantine(ctx, *rec.Quarantine)
			if err != nil {
				return 0, err
			}
			if !fresh {
				continue
			}
			added++
			if err := tx.DropDays(ctx, "", rec.Quarantine.From, rec.Quarantine.To.Add(24*time.Hour)); err != nil {
				return 0, err
			}
		case rec.Result != nil:
			results = append(results, *rec.Result)
		}
	}
	rows, err := tx.rows(ctx, results)
	if err != nil {
		return 0, err
	}
	seen, err := tx.keys(ctx, rows)
	if err != nil {
		return 0, err
	}
	fresh := results[:0]
	for i := range rows {
		if k := rows[i].key(); !seen[k] {
			seen[k] = true
			fresh = append(fresh, results[i])
		}
	}
	if err := tx.dropDaysOf(ctx, fresh); err != nil {
		return 0, err
	}
	return added + len(fresh), tx.Append(ctx, fresh)
}

// dropDaysOf forgets what the days of results came to, and those after, which
// begin with what was said last. A day whose results have been deleted keeps
// what it came to: what is imported may be a part of them.
func (tx *Tx) dropDaysOf(ctx context.Context, results []checks.Result) error {
	type day struct {
		check string
		day   int64
	}
	dropped := map[day]bool{}
	for i := range results {
		r := &results[i]
		d := day{r.Check, dayOf(r.At)}
		if dropped[d] {
			continue
		}
		dropped[d] = true
		for _, at := range []time.Time{r.At, r.At.Add(24 * time.Hour)} {
			gone, err := tx.prunedDay(ctx, r.Check, dayOf(at))
			if err != nil {
				return err
			}
			if gone {
				continue
			}
			if err := tx.DropDays(ctx, r.Check, at, at.Add(time.Millisecond)); err != nil {
				return err
			}
		}
	}
	return nil
}

// keys returns the keys in the store that rows could have.
func (tx *Tx) keys(ctx context.Context, rows []row) (map[key]bool, error) {
	spans := map[int64]bounds{} // by check
	for i := range rows {
		r := &rows[i]
		b, ok := spans[r.check]
		if !ok {
			b = bounds{fromSlot: r.slot, toSlot: r.slot}
		}
		b.fromSlot, b.toSlot = min(b.fromSlot, r.slot), max(b.toSlot, r.slot)
		spans[r.check] = b
	}
	seen := map[key]bool{}
	note := func(block []byte) error {
		_, err := decodeSome(block, func(r *row) bool {
			if b, ok := spans[r.check]; ok && r.slot >= b.fromSlot && r.slot <= b.toSlot {
				seen[r.key()] = true
			}
			return false
		}, true)
		return err
	}
	for check, b := range spans {
		err := eachRaw(ctx, tx.tx, note, "SELECT rows FROM blocks WHERE check_id = ? AND to_slot >= ? AND from_slot <= ?", check, b.fromSlot, b.toSlot)
		if err != nil {
			return nil, err
		}
	}
	if len(rows) > 0 {
		b := boundsOf(rows)
		err := eachRaw(ctx, tx.tx, note, "SELECT rows FROM live WHERE to_slot >= ? AND from_slot <= ?", b.fromSlot, b.toSlot)
		if err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// prunedDay reports whether a day of a check was summed up and its results have
// been deleted since.
func (tx *Tx) prunedDay(ctx context.Context, check string, day int64) (gone bool, err error) {
	first, err := pruned(ctx, tx.tx)
	if err != nil || day >= first {
		return false, err
	}
	err = tx.tx.QueryRowContext(ctx,
		"SELECT EXISTS (SELECT 1 FROM days WHERE check_id = (SELECT id FROM names WHERE name = ?) AND day = ?)", check, day).Scan(&gone)
	return gone, err
}
