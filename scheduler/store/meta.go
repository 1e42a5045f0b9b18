package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
)

// Key returns the random key of that name, 32 bytes, made when it is first
// asked for and the same ever after.
func (s *Store) Key(ctx context.Context, name string) (key []byte, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		key, err = tx.meta(ctx, "key:"+name)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		key = make([]byte, 32)
		rand.Read(key)
		return tx.setMeta(ctx, "key:"+name, key)
	})
	if err != nil {
		return nil, fmt.Errorf("the key %s: %w", name, err)
	}
	return key, nil
}

// meta returns a single value, or ErrNotFound.
func (tx *Tx) meta(ctx context.Context, key string) (value []byte, err error) {
	err = tx.tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return value, err
}

func (tx *Tx) setMeta(ctx context.Context, key string, value []byte) error {
	_, err := tx.tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	return err
}
