package prober

import (
	"database/sql"
	"errors"
	"strconv"
	"time"
)

// writer does all writing, in order, until the spool is closed.
func (s *spool) writer() {
	defer close(s.stopped)
	for {
		select {
		case w := <-s.in:
			s.commit(s.gather(w))
		case <-s.quit:
			return
		}
	}
}

// gather waits a moment for writes that can share the first one's transaction.
func (s *spool) gather(first *write) []*write {
	batch, count := []*write{first}, len(first.records)
	if urgent(first) {
		return batch
	}
	wait := time.NewTimer(linger)
	defer wait.Stop()
	for count < commitSize {
		select {
		case w := <-s.in:
			batch, count = append(batch, w), count+len(w.records)
			if urgent(w) {
				return batch
			}
		case <-wait.C:
			return batch
		}
	}
	return batch
}

// urgent reports whether somebody waits for w more than a moment matters.
func urgent(w *write) bool {
	if w.repair != nil || w.marks != nil {
		return true
	}
	for _, r := range w.records {
		if r.urgent {
			return true
		}
	}
	return false
}

// commit does the batch in one transaction and answers. Records that cannot be
// put on disk go to the outbox all the same.
func (s *spool) commit(batch []*write) {
	var err error
	for _, w := range batch {
		if w.repair != nil {
			_, err = s.replace(w.repair)
		}
	}
	if err == nil {
		err = s.store(batch)
	}
	if unreadable(err) {
		if _, err = s.replace(err); err == nil {
			err = s.store(batch)
		}
	}
	s.noteDisk(err)
	for _, w := range batch {
		s.config.out.add(w.records)
		if err == nil && len(w.records) > 0 {
			s.visible.Store(w.records[len(w.records)-1].seq)
		}
		w.done <- err
	}
}

// noteDisk logs when the disk begins or ceases to fail.
func (s *spool) noteDisk(err error) {
	if errors.Is(err, errResting) {
		return
	}
	switch failing := err != nil; {
	case failing && !s.failing:
		s.log.Error("spool cannot be written; results are kept in memory only", "err", err)
	case !failing && s.failing:
		s.log.Info("spool can be written again")
	}
	s.failing = err != nil
	if s.failing {
		s.rested = time.Now().Add(diskRest)
	}
}

// store does the batch on disk. If it cannot, its records are numbered as
// results that are in memory only.
func (s *spool) store(batch []*write) (err error) {
	defer func() {
		if err != nil {
			s.last = 0 // whether the commit was done is not known: look again
			s.number = numberInMemory(batch, s.number)
		}
	}()
	if time.Now().Before(s.rested) && s.failing {
		return errResting
	}
	if s.db == nil {
		if err := s.reopen(); err != nil {
			return err
		}
	}
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if s.last == 0 {
		if s.last, err = lastNumber(tx); err != nil {
			return err
		}
	}
	var change tally
	for _, w := range batch {
		if err := s.insert(tx, w.records, &change); err != nil {
			return err
		}
		if err := forget(tx, w.forget, &change); err != nil {
			return err
		}
		if w.marks != nil {
			if err := saveMarks(tx, w.marks, s.last); err != nil {
				return err
			}
		}
	}
	gone, err := s.makeRoom(tx, &change)
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.config.out.drop(gone)
	s.rows.Add(change.rows)
	s.bytes.Add(change.bytes)
	s.shrink(batch)
	return nil
}

// numberInMemory numbers the batch's records behind the number given, and
// returns the last one used.
func numberInMemory(batch []*write, number int64) int64 {
	for _, w := range batch {
		for _, r := range w.records {
			number++
			r.seq, r.memory = number, true
		}
	}
	return number
}

// keepDropped is for how many seconds it is remembered what was dropped.
const keepDropped = 90 * 24 * 60 * 60

// tally is by how much a transaction changes what is on disk.
type tally struct{ rows, bytes int64 }

// insert numbers records and writes them.
func (s *spool) insert(tx *sql.Tx, records []*record, change *tally) error {
	if len(records) == 0 {
		return nil
	}
	stmt := tx.Stmt(s.insertion)
	defer stmt.Close()
	for _, r := range records {
		s.last++
		if _, err := stmt.Exec(s.last, r.check, r.slot, checksum(s.last, r.check, r.slot, r.body), r.body); err != nil {
			return err
		}
		r.seq, r.memory = s.last, false
		change.rows++
		change.bytes += int64(len(r.body))
	}
	return nil
}

// saveMarks writes the marks, and the last number as a second witness to what
// SQLite notes of it.
func saveMarks(tx *sql.Tx, marks []byte, last int64) error {
	_, err := tx.Exec("INSERT INTO meta (key, value) VALUES ('marks', ?), ('last', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
		marks, strconv.AppendInt(nil, last, 10))
	return err
}

// forget deletes records, a run of numbers at a time.
func forget(tx *sql.Tx, records []*record, change *tally) error {
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].seq == records[n-1].seq+1 {
			n++
		}
		from, to := records[0].seq, records[n-1].seq
		var rows, bytes int64
		err := tx.QueryRow("SELECT count(*), coalesce(sum(length(body)), 0) FROM records WHERE seq BETWEEN ? AND ?", from, to).Scan(&rows, &bytes)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM records WHERE seq BETWEEN ? AND ?", from, to); err != nil {
			return err
		}
		change.rows -= rows
		change.bytes -= bytes
		records = records[n:]
	}
	return nil
}

// makeRoom drops the oldest records while there are more than the limit, notes
// which, and returns their numbers. Those that were delivered do not count.
func (s *spool) makeRoom(tx *sql.Tx, change *tally) (gone []int64, err error) {
	limit := s.config.limit
	over := s.bytes.Load() + change.bytes - limit
	if over <= 0 {
		if s.episode != 0 && over < -limit/4 {
			s.log.Info("spool has room again")
			s.episode = 0
		}
		return nil, nil
	}
	if s.episode == 0 {
		s.episode = time.Now().Unix()
		s.log.Error("spool is full; the oldest results are dropped", "limit", limit)
		if _, err := tx.Exec("DELETE FROM dropped WHERE episode < ?", s.episode-keepDropped); err != nil {
			return nil, err
		}
	}
	over += limit / 64 // some more, so that not every write has to
	rows, err := tx.Query("SELECT seq, check_name, slot, length(body) FROM records ORDER BY seq")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	lost := map[string]*DroppedSpan{}
	for over > 0 && rows.Next() {
		var seq, slot, length int64
		var check string
		if err := rows.Scan(&seq, &check, &slot, &length); err != nil {
			return nil, err
		}
		gone = append(gone, seq)
		over -= length
		change.rows--
		change.bytes -= length
		if !s.config.out.delivered(seq) {
			widen(lost, check, slot)
		}
	}
	if err := rows.Close(); err != nil || len(gone) == 0 {
		return gone, err
	}
	if _, err := tx.Exec("DELETE FROM records WHERE seq <= ?", gone[len(gone)-1]); err != nil {
		return nil, err
	}
	return gone, s.noteDropped(tx, lost)
}

func widen(lost map[string]*DroppedSpan, check string, slot int64) {
	at := time.UnixMilli(slot)
	d := lost[check]
	if d == nil {
		d = &DroppedSpan{First: at, Last: at}
		lost[check] = d
	}
	if at.Before(d.First) {
		d.First = at
	}
	if at.After(d.Last) {
		d.Last = at
	}
	d.Count++
}

// noteDropped adds to the list of what was dropped.
func (s *spool) noteDropped(tx *sql.Tx, lost map[string]*DroppedSpan) error {
	for check, d := range lost {
		_, err := tx.Exec(`INSERT INTO dropped (episode, check_name, first, last, count) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last), count = count + excluded.count`,
			s.episode, check, d.First.UnixMilli(), d.Last.UnixMilli(), d.Count)
		if err != nil {
			return err
		}
	}
	return nil
}

// droppedSpans returns the latest thousand spans of what was dropped.
func (s *spool) droppedSpans() []DroppedSpan {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil
	}
	rows, err := s.db.Query("SELECT check_name, first, last, count FROM dropped ORDER BY episode DESC, check_name LIMIT 1000")
	if err != nil {
		return nil
	}
	defer rows.Close()
	var spans []DroppedSpan
	for rows.Next() {
		var d DroppedSpan
		var first, last int64
		if rows.Scan(&d.Check, &first, &last, &d.Count) != nil {
			return spans
		}
		d.First, d.Last = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		spans = append(spans, d)
	}
	return spans
}

// keepFree is how many free pages of the file are kept for the next results.
const keepFree = 256

// shrink gives space back to the file system after a backlog has gone, some of
// it at each cleaning.
func (s *spool) shrink(batch []*write) {
	for _, w := range batch {
		if w.forget == nil || s.bytes.Load() > s.config.limit/4 {
			continue
		}
		var free int
		if s.db.QueryRow("PRAGMA freelist_count").Scan(&free) == nil && free > keepFree {
			s.db.Exec("PRAGMA incremental_vacuum(256)") // best effort
		}
		return
	}
}
