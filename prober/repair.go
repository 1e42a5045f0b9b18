package prober

import (
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"time"

	"nines/checks"
)

// numbersApart is how far a repaired spool's numbers begin beyond the highest
// that can still be read, because higher ones may have been used.
const numbersApart = 1_000_000

// reopen opens the spool's file again after it could not be replaced.
func (s *spool) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.open()
	if err == nil {
		s.config.out.reread()
	}
	return err
}

// replace sets an unreadable file aside, begins a new one, and brings over
// what can still be read, under the numbers that it had.
func (s *spool) replace(cause error) (found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		s.db.Close()
		s.db = nil
	}
	aside := fmt.Sprintf("%s.bad-%s", s.config.path, time.Now().UTC().Format("20060102T150405.000"))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(s.config.path+suffix, aside+suffix); err != nil && !os.IsNotExist(err) {
			return found{}, fmt.Errorf("setting the spool aside: %w", err)
		}
	}
	f, err := s.open()
	if err != nil {
		return found{}, err
	}
	if saved, err := salvage(s.db, f.name, aside); err == nil {
		f = saved
		s.insertion.Close()
		if err := s.use(s.db, f); err != nil {
			return found{}, err
		}
		s.config.out.reread()
	}
	s.log.Error("spool was unreadable; it is set aside and a new one begun", "err", cause, "file", aside, "saved", f.rows, "damaged", f.damaged)
	s.damaged.Add(f.damaged)
	return f, nil
}

// salvage copies what can be read of a spool that was set aside into a new
// one, which takes over its name if that can be read.
func salvage(db *sql.DB, name, aside string) (found, error) {
	old, err := openSpoolFile(aside)
	if err != nil {
		return found{}, err
	}
	defer old.Close()
	if was, err := meta(old, "name"); err == nil && checks.ValidName(string(was)) && len(was) == len(name) {
		name = string(was)
	}
	marks, _ := meta(old, "marks")

	tx, err := db.Begin()
	if err != nil {
		return found{}, err
	}
	defer tx.Rollback()
	highest, damaged, err := salvageRecords(old, tx)
	if err != nil {
		return found{}, err
	}
	if _, err := tx.Exec("UPDATE meta SET value = ? WHERE key = 'name'", []byte(name)); err != nil {
		return found{}, err
	}
	if marks != nil {
		if _, err := tx.Exec("INSERT INTO meta (key, value) VALUES ('marks', ?)", marks); err != nil {
			return found{}, err
		}
	}
	if _, err := tx.Exec("DELETE FROM sqlite_sequence WHERE name = 'records'"); err != nil {
		return found{}, err
	}
	if _, err := tx.Exec("INSERT INTO sqlite_sequence (name, seq) VALUES ('records', ?)", highest+numbersApart); err != nil {
		return found{}, err
	}
	if err := tx.Commit(); err != nil {
		return found{}, err
	}
	f, err := inspect(db)
	f.damaged = damaged
	return f, err
}

// salvageRecords copies sound records, from both ends towards what cannot be
// read, and returns the highest number seen and how many were not sound.
func salvageRecords(old *sql.DB, tx *sql.Tx) (highest, damaged int64, err error) {
	if last, err := lastNumber(old); err == nil && last <= maxNumber {
		highest = last
	}
	if noted, err := meta(old, "last"); err == nil {
		if last, err := strconv.ParseInt(string(noted), 10, 64); err == nil && last <= maxNumber {
			highest = max(highest, last)
		}
	}
	for _, order := range []string{"ASC", "DESC"} {
		rows, err := old.Query("SELECT seq, check_name, slot, sum, body FROM records ORDER BY seq " + order)
		if err != nil {
			continue
		}
		for rows.Next() {
			var seq, slot, sum int64
			var check string
			var body []byte
			if rows.Scan(&seq, &check, &slot, &sum, &body) != nil || sum != checksum(seq, check, slot, body) {
				damaged++
				continue
			}
			highest = max(highest, seq)
			if _, err := tx.Exec("INSERT OR IGNORE INTO records (seq, check_name, slot, sum, body) VALUES (?, ?, ?, ?, ?)", seq, check, slot, sum, body); err != nil {
				rows.Close()
				return highest, damaged, err
			}
		}
		sound := rows.Err() == nil
		rows.Close()
		if sound {
			break // all was seen
		}
	}
	return highest, damaged, nil
}
