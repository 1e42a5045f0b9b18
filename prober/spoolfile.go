package prober

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const spoolSchema = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, even after its row is gone
  check_name TEXT NOT NULL,
  slot       INTEGER NOT NULL,                  -- milliseconds since the Unix epoch
  sum        INTEGER NOT NULL,                  -- CRC-32C of the row; see checksum
  body       BLOB NOT NULL                      -- the result as JSON
) STRICT;
CREATE TABLE dropped (
  episode    INTEGER NOT NULL, -- when the spool became full, in Unix seconds
  check_name TEXT NOT NULL,
  first      INTEGER NOT NULL, -- slots, in milliseconds since the Unix epoch
  last       INTEGER NOT NULL,
  count      INTEGER NOT NULL,
  PRIMARY KEY (episode, check_name)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;`

// openSpoolFile opens the SQLite file for this process alone.
func openSpoolFile(path string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(abs, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the spool: %w", err)
	}
	f.Close()
	dsn := "file:" + (&url.URL{Path: abs}).EscapedPath() + "?_txlock=immediate&_pragma=busy_timeout(1000)" +
		"&_pragma=locking_mode(EXCLUSIVE)&_pragma=auto_vacuum(INCREMENTAL)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("opening the spool: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// found is what a spool's file holds.
type found struct {
	name     string
	marks    marks
	recorded map[key]struct{} // slots that have a result, of those that the marks leave open
	rows     int64
	bytes    int64 // of bodies
	last     int64 // number
	damaged  int64 // records that could not be brought over from a former file
}

// load makes the schema in a new file, and reads what a former process left.
func load(db *sql.DB) (found, error) {
	var version int
	err := db.QueryRow("PRAGMA user_version").Scan(&version)
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY {
		return found{}, fmt.Errorf("another process uses it; give every prober a folder of its own: %w", err)
	}
	if err != nil {
		return found{}, err
	}
	if version > spoolVersion {
		return found{}, fmt.Errorf("it was made by a newer version of nines (schema %d, this one knows %d)", version, spoolVersion)
	}
	if version == 0 {
		if err := create(db); err != nil {
			return found{}, err
		}
	}
	return inspect(db)
}

// create makes the schema and a name.
func create(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(spoolSchema); err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO meta (key, value) VALUES ('name', ?)", []byte(spoolName())); err != nil {
		return err
	}
	return tx.Commit()
}

// inspect reads the name, the marks and which slots have a result. It passes
// over every row, and so finds a file whose structure is broken.
func inspect(db *sql.DB) (found, error) {
	f := found{recorded: map[key]struct{}{}}
	name, err := meta(db, "name")
	if err != nil {
		return f, err
	}
	if f.name = string(name); len(name) != 16 {
		return f, errDamaged
	}
	encoded, err := meta(db, "marks")
	if err != nil {
		return f, err
	}
	f.marks = decodeMarks(encoded)
	rows, err := db.Query("SELECT seq, check_name, slot, length(body) FROM records ORDER BY seq")
	if err != nil {
		return f, err
	}
	defer rows.Close()
	for rows.Next() {
		var check string
		var slot, length int64
		if err := rows.Scan(&f.last, &check, &slot, &length); err != nil {
			return f, errors.Join(errDamaged, err)
		}
		if f.marks.needs(check, slot) {
			f.recorded[key{check, slot}] = struct{}{}
		}
		f.rows, f.bytes = f.rows+1, f.bytes+length
	}
	if err := rows.Err(); err != nil {
		return f, err
	}
	return f, f.witness(db)
}

// witness reports damage if SQLite's note of the last number used is not what
// other places say; a number that is used again would be a result lost.
func (f *found) witness(db *sql.DB) error {
	last, err := lastNumber(db)
	if err != nil {
		return err
	}
	noted, err := meta(db, "last")
	if err != nil {
		return err
	}
	if before, _ := strconv.ParseInt(string(noted), 10, 64); last < before || last < f.last || last > maxNumber {
		return errDamaged
	}
	return nil
}

// querier is a database or a transaction in one.
type querier interface {
	QueryRow(query string, args ...any) *sql.Row
}

// lastNumber returns the highest number that was ever used.
func lastNumber(q querier) (last int64, err error) {
	err = q.QueryRow("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'records'), 0)").Scan(&last)
	return last, err
}

func meta(db *sql.DB, key string) (value []byte, err error) {
	err = db.QueryRow("SELECT value FROM meta WHERE key = ?", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return value, err
}
