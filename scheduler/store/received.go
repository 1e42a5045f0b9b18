package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
)

// seqs is the range of spool numbers from the first up to and with the last.
type seqs struct{ from, to int64 }

// Receive notes that the prober's spool entries with these numbers are being
// taken, and reports for each, in order, whether it is new.
func (tx *Tx) Receive(ctx context.Context, prober, spool string, numbers []int64) ([]bool, error) {
	before, err := received(ctx, tx.tx, prober, spool)
	if err != nil {
		return nil, err
	}
	fresh := make([]bool, len(numbers))
	after := slices.Clone(before)
	for i, n := range numbers {
		after, fresh[i] = add(after, n)
	}
	return fresh, replaceReceived(ctx, tx.tx, prober, spool, before, after)
}

// received returns what has been taken of a spool, in order.
func received(ctx context.Context, tx *sql.Tx, prober, spool string) ([]seqs, error) {
	return queryAll(ctx, tx, func(row scanner) (r seqs, err error) {
		return r, row.Scan(&r.from, &r.to)
	}, "SELECT from_seq, to_seq FROM received WHERE prober = ? AND spool = ? ORDER BY from_seq", prober, spool)
}

// replaceReceived writes the difference between two states of a spool.
func replaceReceived(ctx context.Context, tx *sql.Tx, prober, spool string, before, after []seqs) error {
	for _, r := range before {
		if slices.Contains(after, r) {
			continue
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM received WHERE prober = ? AND spool = ? AND from_seq = ?", prober, spool, r.from); err != nil {
			return err
		}
	}
	for _, r := range after {
		if slices.Contains(before, r) {
			continue
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO received (prober, spool, from_seq, to_seq) VALUES (?, ?, ?, ?)", prober, spool, r.from, r.to); err != nil {
			return err
		}
	}
	return nil
}

// add puts n into ranges, which stay sorted and apart, and reports whether it
// was not there.
func add(ranges []seqs, n int64) ([]seqs, bool) {
	// i is the first range that ends at n-1 or later: the only one that n can
	// be in, or continue.
	i, _ := slices.BinarySearchFunc(ranges, n, func(r seqs, n int64) int { return cmp.Compare(r.to, n-1) })
	switch {
	case i < len(ranges) && ranges[i].from <= n && n <= ranges[i].to:
		return ranges, false
	case i < len(ranges) && ranges[i].to == n-1:
		ranges[i].to = n
		if i+1 < len(ranges) && ranges[i+1].from == n+1 {
			ranges[i].to = ranges[i+1].to
			ranges = slices.Delete(ranges, i+1, i+2)
		}
		return ranges, true
	case i < len(ranges) && ranges[i].from == n+1:
		ranges[i].from = n
		return ranges, true
	}
	return slices.Insert(ranges, i, seqs{n, n}), true
}
