package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Tx is a writing transaction. There is one at a time.
type Tx struct {
	s    *Store
	tx   *sql.Tx
	made map[string]int64 // names that this transaction numbered
}

// Update runs f in one transaction: what f does is kept, on the disk, if both
// f and the commit succeed, and not at all otherwise.
func (s *Store) Update(ctx context.Context, f func(*Tx) error) error {
	sqlTx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer sqlTx.Rollback()
	tx := &Tx{s: s, tx: sqlTx}
	if err := f(tx); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	s.remember(tx.made)
	return nil
}

// read runs f in one reading transaction, which sees the store at one instant.
func (s *Store) read(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := s.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("reading the store: %w", err)
	}
	defer tx.Rollback()
	return f(tx)
}

// queryAll runs a query and returns what scan makes of each row.
func queryAll[T any](ctx context.Context, tx *sql.Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// scanner is a row of a query.
type scanner interface{ Scan(dest ...any) error }

// ms returns t as the store keeps times: milliseconds, 0 for the zero time.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// at is the time that ms was given, in UTC.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// when scans milliseconds into a time.
type when struct{ t *time.Time }

// Scan implements sql.Scanner.
func (w when) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is %T in the store", v)
	}
	*w.t = at(n)
	return nil
}
