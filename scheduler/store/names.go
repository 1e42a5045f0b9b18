package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strings"
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

// remember caches committed names. The maps are replaced, so that whoever has
// them can go on reading.
func (s *Store) remember(names map[string]int64) {
	if len(names) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, byID := maps.Clone(s.ids), maps.Clone(s.byID)
	for name, id := range names {
		ids[name], byID[id] = id, name
	}
	s.ids, s.byID = ids, byID
}

// id returns the number of a committed name.
func (s *Store) id(name string) (int64, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	id, ok := s.ids[name]
	return id, ok
}

// names are the committed names by their numbers; they are not modified.
type names map[int64]string

func (s *Store) names() names {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byID
}

// order is how a check's results are read: by At; of equal At, the greater
// (prober, slot) is the later.
func (n names) order(a, b row) int {
	if a.at != b.at {
		return cmp.Compare(a.at, b.at)
	}
	return cmp.Or(strings.Compare(n[a.prober], n[b.prober]), cmp.Compare(a.slot, b.slot), strings.Compare(n[a.region], n[b.region]))
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

// names are those committed and those that this transaction numbered.
func (tx *Tx) names() names {
	if len(tx.made) == 0 {
		return tx.s.names()
	}
	all := maps.Clone(tx.s.names())
	for name, id := range tx.made {
		all[id] = name
	}
	return all
}
