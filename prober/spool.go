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
	"sync"
	"sync/atomic"
	"syscall"
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
	if troubled(err) {
		s.log.Error("spool cannot be opened; results are kept in memory only until it can", "err", err)
		err = nil
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

// troubled reports whether err says that the disk is full or fails, which may
// pass, and not that the file or the configuration is wrong.
func troubled(err error) bool {
	var e *sqlite.Error
	if errors.As(err, &e) {
		code := e.Code() & 0xff
		return code == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EIO)
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
		return nil, after, true, nil
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
