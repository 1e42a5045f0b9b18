package prober

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// linger is how long a write waits for others to share its fsync, unless
	// somebody waits for one of them.
	linger = 15 * time.Millisecond
	// commitSize is how many results one transaction takes at most, roughly.
	commitSize = 4096
	// diskRest is how long a disk that failed is left alone.
	diskRest = 5 * time.Second
	// maxNumber is more results than a prober has in its life.
	maxNumber = 1 << 50
	// spoolVersion is the schema's, in user_version.
	spoolVersion = 1
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

type spoolConfig struct {
	path  string
	limit int64   // bytes of results
	out   *outbox // hears of every record that was taken
	log   *slog.Logger
}

// spool keeps results in a SQLite file until the scheduler has them. Results
// that arrive close together share one transaction and so one fsync. When the
// disk fails, results pass through memory; when the spool is full, the oldest
// go.
type spool struct {
	config  spoolConfig
	log     *slog.Logger
	in      chan *write
	quit    chan struct{} // closed to end the writer
	stopped chan struct{} // closed when it has ended

	rows    atomic.Int64 // on disk
	bytes   atomic.Int64 // of bodies on disk
	visible atomic.Int64 // the highest number that the outbox knows of
	damaged atomic.Int64

	found found // at the start; fixed

	mu   sync.RWMutex // held for reading while db is used, for writing while it is replaced
	db   *sql.DB      // nil: there is none that works
	name string

	// Of the writer alone.
	insertion *sql.Stmt
	last      int64     // number; 0: the file has to be asked
	rested    time.Time // the disk is left alone until then
	failing   bool
	memory    string // the name under which results that are not on disk travel
	number    int64  // the last one of those
	episode   int64  // see the table dropped; 0: not full
}

// key names a slot of a check.
type key struct {
	check string
	slot  int64
}

// write is one piece of the writer's work.
type write struct {
	records []*record
	forget  []*record // to delete
	marks   []byte    // nil: as they are
	repair  error     // why the file cannot be read
	done    chan error
}

// openSpool opens or creates a spool and starts its writer; close ends it.
func openSpool(c spoolConfig) (*spool, error) {
	s := &spool{
		config: c, log: c.log, memory: spoolName(),
		in: make(chan *write), quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	var err error
	s.found, err = s.open()
	if unreadable(err) {
		s.found, err = s.replace(err)
	}
	if err != nil {
		return nil, err
	}
	go s.writer()
	return s, nil
}

// spoolName makes up a name for a numbering of its own.
func spoolName() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// unreadable reports whether err says that the file is broken, not the disk.
func unreadable(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB) ||
		errors.Is(err, errDamaged)
}

var (
	errDamaged = errors.New("what it says of itself is damaged")
	errClosed  = errors.New("the spool is closed")
	errResting = errors.New("the disk failed a moment ago")
)

// open opens the file and reads what is in it.
func (s *spool) open() (found, error) {
	db, err := openSpoolFile(s.config.path)
	if err != nil {
		return found{}, err
	}
	f, err := load(db)
	if err != nil {
		db.Close()
		return found{}, fmt.Errorf("opening the spool %s: %w", s.config.path, err)
	}
	if err := s.use(db, f); err != nil {
		db.Close()
		return found{}, fmt.Errorf("opening the spool %s: %w", s.config.path, err)
	}
	return f, nil
}

// use makes db, with what was found in it, the one to work with.
func (s *spool) use(db *sql.DB, f found) (err error) {
	s.insertion, err = db.Prepare("INSERT INTO records (seq, check_name, slot, sum, body) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	s.db, s.name, s.last = db, f.name, 0
	s.rows.Store(f.rows)
	s.bytes.Store(f.bytes)
	s.visible.Store(f.last)
	return nil
}

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

// append keeps records and returns when they are on disk, or in the outbox's
// memory because the disk fails.
func (s *spool) append(records []*record) error {
	if len(records) == 0 {
		return nil
	}
	return s.do(&write{records: records})
}

// trim deletes delivered records and saves the marks, in one transaction.
func (s *spool) trim(forget []*record, marks []byte) error {
	return s.do(&write{forget: forget, marks: marks})
}

// do hands w to the writer and waits for it.
func (s *spool) do(w *write) error {
	w.done = make(chan error, 1)
	select {
	case s.in <- w:
		return <-w.done
	case <-s.stopped:
		return errClosed
	}
}

// close ends the writer after what it was given, and closes the file.
func (s *spool) close() error {
	close(s.quit)
	<-s.stopped
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing the spool: %w", err)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers everything in a row, so that a damaged one costs only itself.
func checksum(seq int64, check string, slot int64, body []byte) int64 {
	var head [16]byte
	binary.LittleEndian.PutUint64(head[:8], uint64(seq))
	binary.LittleEndian.PutUint64(head[8:], uint64(slot))
	sum := crc32.Update(0, castagnoli, head[:])
	sum = crc32.Update(sum, castagnoli, []byte(check))
	return int64(crc32.Update(sum, castagnoli, body))
}

// read returns up to n records behind the number given, of at most size bytes
// together but at least one; the number up to which it looked; and whether
// that is the spool's end. Damaged records come without a body.
func (s *spool) read(ctx context.Context, after int64, n, size int) (records []*record, upTo int64, end bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil, after, false, nil
	}
	visible := s.visible.Load()
	rows, err := s.db.QueryContext(ctx, `SELECT seq, check_name, slot, sum, body FROM records
		WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`, after, visible, n)
	if err != nil {
		return nil, after, false, fmt.Errorf("reading the spool: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r record
		var sum int64
		if err := rows.Scan(&r.seq, &r.check, &r.slot, &sum, &r.body); err != nil {
			return nil, after, false, fmt.Errorf("reading the spool: %w", errors.Join(errDamaged, err))
		}
		if size -= len(r.body); size < 0 && len(records) > 0 {
			return records, records[len(records)-1].seq, false, nil
		}
		if sum != checksum(r.seq, r.check, r.slot, r.body) {
			r.body = nil
		}
		records = append(records, &r)
	}
	if err := rows.Err(); err != nil {
		return nil, after, false, fmt.Errorf("reading the spool: %w", err)
	}
	if len(records) == n {
		return records, records[n-1].seq, false, nil
	}
	return records, visible, true, nil
}

// nameOf returns the name that records travel under: the file's, or that of
// those which could not be put on disk.
func (s *spool) nameOf(memory bool) string {
	if memory {
		return s.memory
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.name
}
