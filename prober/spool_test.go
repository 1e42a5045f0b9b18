package prober

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nines/checks"
	"nines/regions"
)

// openTest opens a spool in a folder, with an outbox of its own.
func openTest(t testing.TB, dir string, limit int64) (*spool, *outbox) {
	t.Helper()
	if limit == 0 {
		limit = 64 << 20
	}
	log := slog.New(slog.NewTextHandler(logTo{t}, nil))
	out := newOutbox(log)
	s, err := openSpool(spoolConfig{path: filepath.Join(dir, "spool.db"), limit: limit, out: out, log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-s.stopped:
		default:
			s.close()
		}
	})
	return s, out
}

// made returns the n-th result of a check as a record.
func made(check string, n int) *record {
	slot := time.Date(2026, 11, 23, 12, 0, n, 0, time.UTC)
	return encode(&checks.Result{
		Check: check, Region: "here", Prober: "here-1", Slot: slot, At: slot, TookMS: 12.5, Status: checks.Up,
		Phases: checks.Phases{"dns": 1.25, "connect": 2.5, "first_byte": 8.125}, Facts: checks.Facts{"http_status": 200, "http_version": "1.1"},
	}, false)
}

// contents returns everything that can be read.
func contents(t testing.TB, s *spool) (records []*record) {
	t.Helper()
	for after := int64(0); ; {
		part, upTo, end, err := s.read(context.Background(), after, 100, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if records = append(records, part...); end {
			return records
		}
		after = upTo
	}
}

func seqs(records []*record) (list []int64) {
	for _, r := range records {
		list = append(list, r.seq)
	}
	return list
}

func TestSpoolKeeps(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir, 0)
	var want []*record
	for i := range 250 {
		r := made("shop", i)
		r.urgent = true // shares its commit with nobody
		if err := s.append([]*record{r}); err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	name := s.nameOf(false)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := s.append([]*record{made("shop", 1)}); err == nil {
		t.Error("a closed spool takes results")
	}

	s, _ = openTest(t, dir, 0)
	if s.nameOf(false) != name {
		t.Errorf("the spool's name changed from %s to %s", name, s.nameOf(false))
	}
	got := contents(t, s)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i].seq != want[i].seq || !bytes.Equal(got[i].body, want[i].body) {
			t.Fatalf("record %d is not what was kept (%d of %d)", i, len(got), len(want))
		}
	}
	// Numbers are never used again, even when everything has gone.
	if err := s.trim(want, []byte(`{"floors":{"shop":1}}`)); err != nil {
		t.Fatal(err)
	}
	if rows, bytes := s.rows.Load(), s.bytes.Load(); rows != 0 || bytes != 0 {
		t.Errorf("%d rows of %d bytes are left", rows, bytes)
	}
	s.close()
	s, _ = openTest(t, dir, 0)
	if s.found.marks.Floors["shop"] != 1 {
		t.Errorf("marks %+v", s.found.marks)
	}
	next := made("shop", 1000)
	s.append([]*record{next})
	if next.seq != 251 {
		t.Errorf("the next number is %d, want 251", next.seq)
	}
}

func TestSpoolIsPrivate(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir, 0)
	s.append([]*record{made("shop", 1)})
	for _, name := range []string{"spool.db", "spool.db-wal"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	_, err := openSpool(spoolConfig{path: filepath.Join(dir, "spool.db"), limit: 1 << 20, out: newOutbox(slog.Default()), log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("opening it twice: %v", err)
	}
}

func TestSpoolSharesCommits(t *testing.T) {
	s, _ := openTest(t, t.TempDir(), 0)
	var running sync.WaitGroup
	begun := time.Now()
	for i := range 500 {
		running.Go(func() { s.append([]*record{made("shop", i)}) })
	}
	running.Wait()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("500 results at once took %s", took)
	}
	if n := len(contents(t, s)); n != 500 {
		t.Errorf("%d of 500 results are there", n)
	}
	// Nobody shares the fsync of an urgent one.
	r := made("shop", 1)
	r.urgent = true
	begun = time.Now()
	s.append([]*record{r})
	t.Logf("an urgent result took %s", time.Since(begun))
}

func TestSpoolFull(t *testing.T) {
	dir := t.TempDir()
	one := int64(len(made("shop", 0).body))
	s, out := openTest(t, dir, 100*one)
	var all []*record
	for i := range 300 {
		check := []string{"shop", "cart"}[i%2]
		r := made(check, i)
		r.urgent = true
		s.append([]*record{r})
		all = append(all, r)
		if i == 9 { // the first ten are delivered and not yet trimmed
			out.settle(out.take(100, 1<<20), regions.Ack{Seqs: seqs(all)})
		}
	}
	left := contents(t, s)
	if len(left) < 90 || len(left) > 100 {
		t.Errorf("%d results are left where there is room for 100", len(left))
	}
	if want := seqs(all[300-len(left):]); !slices.Equal(seqs(left), want) {
		t.Errorf("left are %v, want the latest", seqs(left))
	}
	var dropped int64
	for _, d := range s.droppedSpans() {
		dropped += d.Count
		first, last := 10, 300-len(left)-1
		if d.Check == "cart" {
			first++
		}
		if last%2 != first%2 {
			last--
		}
		if d.First != time.UnixMilli(all[first].slot).UTC() || d.Last != time.UnixMilli(all[last].slot).UTC() || d.Count != int64((last-first)/2+1) {
			t.Errorf("dropped %+v, want slots %d to %d", d, first, last)
		}
	}
	if want := int64(290 - len(left)); dropped != want {
		t.Errorf("%d results are said to be dropped, want %d: those that were delivered do not count", dropped, want)
	}
	if taken := out.take(1000, 1<<30); len(taken) != len(left) {
		t.Errorf("%d results are to be sent, want the %d that are left", len(taken), len(left))
	}
	s.close()
	s, _ = openTest(t, dir, 100*one)
	if len(s.droppedSpans()) != 2 {
		t.Error("what was dropped is forgotten")
	}
}

// A record that is damaged costs only itself.
func TestSpoolDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir, 0)
	for i := range 200 {
		r := made("shop", i)
		r.body = bytes.ReplaceAll(r.body, []byte(`"here-1"`), fmt.Appendf(nil, `"mark-%d"`, i))
		r.urgent = true
		s.append([]*record{r})
	}
	s.close()
	path := filepath.Join(dir, "spool.db")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte(`"mark-77"`))
	if at < 0 {
		t.Fatal("record 77 is not in the file")
	}
	data[at+2] ^= 0x10
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, out := openTest(t, dir, 0)
	records := contents(t, s)
	if len(records) != 200 {
		t.Fatalf("%d of 200 records are there", len(records))
	}
	for i, r := range records {
		if (r.body == nil) != (i == 77) {
			t.Errorf("record %d: %s", i, r.body)
		}
	}
	ship := &shipper{p: &Prober{spool: s, outbox: out, log: s.log}}
	if sound := ship.sound(records); len(sound) != 199 || s.damaged.Load() != 1 {
		t.Errorf("%d records are sound, %d damaged", len(sound), s.damaged.Load())
	}
	if list := out.forgettable(nil); len(list) != 1 || list[0].seq != 78 {
		t.Errorf("the damaged record is not given up: %v", seqs(list))
	}
}

// Wherever bytes of the file are turned, the spool opens, keeps working, and
// gives back nothing that was not put in.
func TestSpoolDamagedFile(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s, _ := openTest(t, base, 0)
	valid := map[int64]string{}
	for i := 0; i < 400; i += 20 {
		var batch []*record
		for k := range 20 {
			batch = append(batch, made(fmt.Sprintf("check-%d", k%7), i+k))
		}
		s.append(batch)
		for _, r := range batch {
			valid[r.seq] = string(r.body)
		}
	}
	s.trim(nil, []byte(`{"floors":{"shop":1}}`))
	s.close()
	sound, err := os.ReadFile(filepath.Join(base, "spool.db"))
	if err != nil {
		t.Fatal(err)
	}
	damage := func(name string, change func([]byte) []byte) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "spool.db"), change(bytes.Clone(sound)), 0o600); err != nil {
				t.Fatal(err)
			}
			s, _ := openTest(t, dir, 0)
			fresh := made("fresh", 9999)
			if err := s.append([]*record{fresh}); err != nil {
				t.Fatalf("append: %v", err)
			}
			if valid[fresh.seq] != "" && s.nameOf(false) != "" {
				old, _ := os.ReadFile(filepath.Join(base, "spool.db"))
				if bytes.Contains(old, []byte(s.nameOf(false))) {
					t.Errorf("number %d is used again under the same name", fresh.seq)
				}
			}
			readable, broken, whole := 0, 0, false
			records, _, _, err := s.read(context.Background(), 0, 10_000, 1<<30)
			if unreadable(err) {
				s.do(&write{repair: err})
				records, _, _, err = s.read(context.Background(), 0, 10_000, 1<<30)
			}
			if err != nil {
				t.Fatalf("reading it: %v", err)
			}
			for _, r := range records {
				switch {
				case r.body == nil:
					broken++
				case r.check == "fresh":
					whole = string(r.body) == string(fresh.body)
				case valid[r.seq] == string(r.body):
					readable++
				default:
					t.Errorf("record %d is not what was kept: %s", r.seq, r.body)
				}
			}
			if !whole {
				t.Error("the new record is lost")
			}
			t.Logf("%d of 400 can be read, %d are damaged", readable, broken)
		})
	}
	for page := 0; page*4096 < len(sound); page++ {
		if page > 6 && page%6 != 0 {
			continue // like its neighbours
		}
		for _, at := range []int{3, 8, 2000} {
			damage(fmt.Sprintf("page %d byte %d", page, at), func(b []byte) []byte {
				b[page*4096+at] ^= 0x55
				return b
			})
		}
	}
	damage("nothing of it is SQLite", func(b []byte) []byte { return bytes.Repeat([]byte("garbage "), 1000) })
	damage("half is gone", func(b []byte) []byte { return b[:len(b)/2] })
	damage("empty", func(b []byte) []byte { return nil })
	damage("a page of zeros", func(b []byte) []byte { clear(b[8192:12288]); return b })
}

func TestSpoolOfNewerVersion(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir, 0)
	s.db.Exec("PRAGMA user_version = 2")
	s.close()
	_, err := openSpool(spoolConfig{path: filepath.Join(dir, "spool.db"), limit: 1 << 20, out: newOutbox(slog.Default()), log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("opening it: %v", err)
	}
}

// When the disk is full, results pass through memory; when it is not any more,
// they are kept on disk again.
func TestDiskFull(t *testing.T) {
	s, out := openTest(t, t.TempDir(), 0)
	r := made("shop", 0)
	s.append([]*record{r})
	var pages int
	if err := s.db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+2)); err != nil {
		t.Fatal(err)
	}
	var kept, passed int
	for i := range 100 {
		r := made("shop", i+1)
		r.urgent = true
		if err := s.append([]*record{r}); err == nil {
			kept++
		} else {
			passed++
		}
		if r.memory == (i < kept) {
			t.Fatalf("record %d: in memory %t", i, r.memory)
		}
	}
	if n, lost := out.inMemory(); kept == 0 || passed == 0 || n != passed || lost != 0 {
		t.Fatalf("%d are on disk, %d passed, %d are in memory, %d lost", kept, passed, n, lost)
	}
	first := out.take(1000, 1<<20)
	if len(first) != passed || first[0].seq != 1 || s.nameOf(true) == s.nameOf(false) {
		t.Errorf("%d records with numbers from %d under the name %s", len(first), first[0].seq, s.nameOf(true))
	}
	out.settle(first, regions.Ack{Seqs: seqs(first)})
	if n, _ := out.inMemory(); n != 0 {
		t.Error("delivered results stay in memory")
	}
	if _, err := s.db.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	s.rested = time.Time{} // as if the rest were over
	if err := s.append([]*record{made("shop", 500)}); err != nil {
		t.Errorf("append, with room again: %v", err)
	}
}

// A disk that cannot be opened at the start is waited for.
func TestDiskFullAtStart(t *testing.T) {
	for _, err := range []error{fmt.Errorf("opening: %w", syscall.ENOSPC), syscall.EIO} {
		if !troubled(err) {
			t.Errorf("%v is not the disk's trouble", err)
		}
	}
	for _, err := range []error{nil, os.ErrPermission, errDamaged} {
		if troubled(err) {
			t.Errorf("%v is the disk's trouble", err)
		}
	}
	s, out := openTest(t, t.TempDir(), 0)
	s.append(numbered(1, 3, nil))
	s.mu.Lock()
	s.db.Close()
	s.db = nil // as if it had not been opened
	s.mu.Unlock()
	if records, _, end, err := s.read(t.Context(), 0, 10, 1<<20); len(records) != 0 || !end || err != nil {
		t.Errorf("without a file %d records are read, %t, %v", len(records), end, err)
	}
	at, _ := out.position()
	out.advance(at, 3, true)
	if err := s.append(numbered(4, 1, nil)); err != nil {
		t.Errorf("append, with a disk again: %v", err)
	}
	if _, backlog := out.position(); !backlog || len(contents(t, s)) != 4 {
		t.Errorf("the file is not looked at again")
	}
}

func TestEncode(t *testing.T) {
	r := checks.Result{Check: "shop", Region: "here", Prober: "here-1", Slot: time.Now(), At: time.Now(), Status: checks.Down, Reason: checks.HTTPStatus}
	r.Facts = checks.Facts{"long": strings.Repeat("x", checks.MaxRecord)}
	var long checks.Result
	if made := encode(&r, false); json.Unmarshal(made.body, &long) != nil || len(made.body) > maxResult || long.Status != checks.Down || !made.urgent {
		t.Errorf("a long result becomes %.200s", made.body)
	}
	r.Facts = checks.Facts{"no": func() {}}
	var odd checks.Result
	if made := encode(&r, false); json.Unmarshal(made.body, &odd) != nil || odd.Status != checks.Unknown || odd.Reason != checks.ProberInternal || odd.Validate() != nil {
		t.Errorf("a result without an encoding becomes %.200s", made.body)
	}
}

func BenchmarkSpool(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%d together", n), func(b *testing.B) {
			s, out := openTest(b, b.TempDir(), 0)
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			for b.Loop() {
				batch := make([]*record, n)
				for k := range batch {
					batch[k] = made("shop", k)
				}
				batch[0].urgent = true
				if err := s.append(batch); err != nil {
					b.Fatal(err)
				}
				taken := out.take(n, 1<<30)
				out.settle(taken, regions.Ack{Seqs: seqs(taken)})
				forget := out.forgettable(nil)
				if err := s.trim(forget, []byte("{}")); err != nil {
					b.Fatal(err)
				}
				out.forget(forget)
			}
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N*n), "cpu-ns/result")
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "results/s")
		})
	}
}

// cpuTime returns the processor time that this process has taken.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
