// Package store keeps results, incidents, notices and whatever else must
// survive, in one SQLite file. It is the only SQL of the server. Exported
// methods of Store are transactions of their own; Update is one that the
// caller fills by the methods of Tx. What a committed transaction wrote is on
// the disk: a kill at any moment loses nothing of it and leaves nothing else.
//
// Results are appended a batch at a time and compacted later into blocks of a
// check, region and hour; readers see both as one.
//
// Judging, paging and reporting are others': store knows the types of checks,
// notifier and incident, and decides only what must be decided in the same
// transaction as the writing. It implements notifier.Outbox.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

var (
	// ErrNotFound says that what was asked for is not in the store.
	ErrNotFound = errors.New("not found")
	// ErrNewer says that the store was written by a newer nines.
	ErrNewer = errors.New("the store was written by a newer nines; upgrade this one, or restore the backup made before that upgrade")
)

// readers is how many transactions may read at once; an iterator holds one
// for as long as it is being read.
const readers = 8

// Store is an open store. Its methods may be called at the same time.
type Store struct {
	path string
	w    *sql.DB // one connection
	r    *sql.DB // cannot write

	compacting sync.Mutex

	mu   sync.RWMutex     // protects following
	ids  map[string]int64 // of the names table
	byID names
}

// Open opens the store in the SQLite file at path, creating it or bringing its
// schema up to date; a copy of the file as it was is kept beside it then.
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the store's folder: %w", err)
	}
	// The file holds people's names and random keys: its owner's alone. One that
	// exists is left to SQLite, whose locks a Close of ours would undo.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		f.Close()
	case !errors.Is(err, os.ErrExist):
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return open(path, true)
}

// OpenExisting opens a store that is there and of this version, as commands do
// beside a running scheduler; it creates and migrates nothing.
func OpenExisting(path string) (*Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return open(path, false)
}

func open(path string, migrating bool) (*Store, error) {
	ctx := context.Background()
	s := &Store{path: path, ids: map[string]int64{}, byID: names{}}
	var err error
	if s.w, err = connect(path, 1, false); err != nil {
		return nil, err
	}
	if migrating {
		err = migrate(ctx, s.w, path)
	} else {
		err = current(ctx, s.w)
	}
	if err == nil {
		s.r, err = connect(path, readers, true)
	}
	if err == nil {
		err = s.loadNames(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	return s, nil
}

// connect returns a pool of at most n connections. Settings are part of the
// address because they are a connection's own; busy_timeout comes first so
// that the others wait too.
func connect(path string, n int, readOnly bool) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)", "foreign_keys(1)",
		"cache_size(-16384)", "temp_store(memory)", "journal_size_limit(67108864)",
	}}
	if readOnly {
		q.Set("_txlock", "deferred")
		q.Add("_pragma", "query_only(1)")
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// Close closes the store. Transactions that are under way are waited for.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.r, s.w} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Ping reports whether the store can be written to: it begins a transaction
// and gives it up.
func (s *Store) Ping(ctx context.Context) error {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing to the store: %w", err)
	}
	return tx.Rollback()
}

// Backup writes a consistent copy of the store to a new file at path, while
// the store is in use.
func (s *Store) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("backing up to %s: %w; name a file that is not there yet", path, os.ErrExist)
	}
	// A connection of its own: ingest goes on meanwhile.
	db, err := connect(s.path, 1, false)
	if err != nil {
		return err
	}
	defer db.Close()
	return copyInto(ctx, db, path)
}

// copyInto writes what db holds to a new file, which appears under its name
// only when it is whole and on the disk.
func copyInto(ctx context.Context, db *sql.DB, path string) error {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("backing up: %w", err)
	}
	// SQLite would create the file readable for others.
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	defer f.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		os.Remove(part)
		return fmt.Errorf("backing up to %s: %w", path, err)
	}
	if err := errors.Join(f.Sync(), os.Rename(part, path), syncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("backing up to %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// keepCopy makes a backup at path unless an earlier try has.
func keepCopy(ctx context.Context, db *sql.DB, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	return copyInto(ctx, db, path)
}
