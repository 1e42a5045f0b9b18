package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// loadNames fills the cache of the names table, which only ever grows.
func (s *Store) loadNames(ctx context.Context) error {
	return s.read(ctx, func(tx *sql.Tx) error { return s.readNames(ctx, tx) })
}

// readNames brings the cache up to date as tx sees the table: another process
// may have added to it.
func (s *Store) readNames(ctx context.Context, tx *sql.Tx) error {
	s.mu.RLock()
	known := len(s.byID)
	s.mu.RUnlock()
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM names").Scan(&n); err != nil || n <= known {
		return err
	}
	rows, err := tx.QueryContext(ctx, "SELECT id, name FROM names")
	if err != nil {
		return err
	}
	defer rows.Close()
	found := map[string]int64{}
	for rows.Next() {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		found[name] = id
	}
	s.remember(found)
	return rows.Err()
}

// remember caches committed names.
func (s *Store) remember(names map[string]int64) {
	if len(names) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, id := range names {
		s.ids[name], s.byID[id] = id, name
	}
}

// id returns the number of a committed name.
func (s *Store) id(name string) (int64, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	id, ok := s.ids[name]
	return id, ok
}

// name returns the name of a number.
func (s *Store) name(id int64) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byID[id]
}

// intern returns the number of a name, giving it one if it has none.
func (tx *Tx) intern(ctx context.Context, name string) (int64, error) {
	if id, ok := tx.s.id(name); ok {
		return id, nil
	}
	if id, ok := tx.made[name]; ok {
		return id, nil
	}
	var id int64
	err := tx.tx.QueryRowContext(ctx, "SELECT id FROM names WHERE name = ?", name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.tx.QueryRowContext(ctx, "INSERT INTO names (name) VALUES (?) RETURNING id", name).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("numbering the name %q: %w", name, err)
	}
	if tx.made == nil {
		tx.made = map[string]int64{}
	}
	tx.made[name] = id
	return id, nil
}
