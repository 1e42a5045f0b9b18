package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

// Migrations are numbered files, forward only, never edited once released; the
// store's user_version is the number of the last that ran.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations returns the statements of every migration in order.
func migrations() ([]string, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var list []string
	for i, name := range names {
		if !strings.HasPrefix(name, fmt.Sprintf("migrations/%04d_", i+1)) {
			return nil, fmt.Errorf("migration %s is out of order", name)
		}
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list = append(list, string(text))
	}
	return list, nil
}

func userVersion(ctx context.Context, db *sql.DB) (v int, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v)
	return v, err
}

// current checks that the store is of this version.
func current(ctx context.Context, db *sql.DB) error {
	list, err := migrations()
	if err != nil {
		return err
	}
	switch v, err := userVersion(ctx, db); {
	case err != nil:
		return err
	case v > len(list):
		return fmt.Errorf("%w (schema %d, known to this nines: %d)", ErrNewer, v, len(list))
	case v < len(list):
		return fmt.Errorf("the store has schema %d and this nines needs %d; start the scheduler once to bring it up to date", v, len(list))
	}
	return nil
}

// migrate brings the store's schema up to date. A store that holds something
// is copied to PATH.before-N first, N being the schema that it is brought to.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	list, err := migrations()
	if err != nil {
		return err
	}
	from, err := userVersion(ctx, db)
	if err != nil {
		return err
	}
	if from > len(list) {
		return fmt.Errorf("%w (schema %d, known to this nines: %d)", ErrNewer, from, len(list))
	}
	if from == len(list) {
		return nil
	}
	if from > 0 {
		if err := keepCopy(ctx, db, fmt.Sprintf("%s.before-%d", path, len(list))); err != nil {
			return err
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// Another process may have migrated while this one waited for the lock.
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&from); err != nil {
		return err
	}
	for i := from; i < len(list); i++ {
		if _, err := tx.ExecContext(ctx, list[i]); err != nil {
			return fmt.Errorf("migrating to schema %d: %w", i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(list))); err != nil {
		return err
	}
	return tx.Commit()
}
