package prober

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/secret"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/fleet"
)

// only gives a scheduler one prober and the checks.
func only(s *scheduler, list ...config.Check) { s.Update([]fleet.Member{member}, list) }

func TestDownIsSentAtOnce(t *testing.T) {
	s := newScheduler(t)
	var broken atomic.Bool
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	only(s, httpCheck(t, "shop", url, time.Second, time.Second))
	runProber(t, s.server.URL, nil)
	s.recorder.await(t, "a result", func(r []checks.Result) bool { return len(r) > 0 })
	broken.Store(true)
	best := time.Hour
	seen := 0
	for range 5 {
		s.recorder.await(t, "an outage", func(list []checks.Result) bool {
			down := 0
			for _, r := range list {
				if r.Status == checks.Down {
					down++
					if down > seen {
						ended := r.At.Add(time.Duration(r.TookMS * float64(time.Millisecond)))
						best = min(best, time.Since(ended))
					}
				}
			}
			more := down > seen
			seen = max(seen, down)
			return more
		})
	}
	t.Logf("at best %s from the end of a failing run to its ingest", best)
	if best > 300*time.Millisecond {
		t.Errorf("it took %s at best from the end of a failing run to its ingest", best)
	}
}

func TestConfirm(t *testing.T) {
	s := newScheduler(t)
	url := target(t, fine)
	only(s, httpCheck(t, "shop", url, time.Minute, 10*time.Second))
	p := runProber(t, s.server.URL, nil)
	for p.Stats().Checks == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	asked := time.Now().UTC().Truncate(time.Millisecond)
	s.Confirm("shop", "here", asked) // not this region
	s.Confirm("shop", "there", asked)
	s.Confirm("shop", "there", asked.Add(time.Millisecond)) // too soon
	results := s.recorder.await(t, "the confirmation", func(r []checks.Result) bool { return len(r) > 0 })
	if took := time.Since(asked); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if r := results[0]; !r.Slot.Equal(asked) || r.Status != checks.Up || r.Check != "shop" {
		t.Errorf("the confirmation is %+v, want one with the slot %s", r, asked)
	}
	time.Sleep(300 * time.Millisecond)
	if n := p.Stats().Asked; n != 1 {
		t.Errorf("%d runs for the asking, want 1", n)
	}
}

// When the scheduler comes back, what is new comes first, and what is old
// behind it, the oldest first.
func TestBackfillBehindLive(t *testing.T) {
	t.Parallel()
	s := newScheduler(t)
	dir := t.TempDir()
	old, _ := openTest(t, dir, 0)
	var backlog []*record
	for i := range 5000 {
		backlog = append(backlog, made("shop", i-100_000))
	}
	old.append(backlog)
	old.close()

	url := target(t, fine)
	var list []config.Check
	for i := range 20 {
		list = append(list, httpCheck(t, fmt.Sprintf("check-%d", i), url, time.Second, time.Second))
	}
	only(s, list...)
	first := runProber(t, s.server.URL, func(c *Config) { c.DataDir = dir })
	s.recorder.await(t, "the assignment", func(r []checks.Result) bool { return len(r) > 0 })
	first.stop()
	s.leave()
	s.recorder.mu.Lock()
	s.recorder.results = nil
	s.recorder.mu.Unlock()
	again, _ := openTest(t, dir, 0)
	again.append([]*record{made("shop", -200_000)})
	left := again.rows.Load()
	again.close()

	p := runProber(t, s.server.URL, func(c *Config) { c.DataDir = dir })
	begun := time.Now()
	for p.Stats().Spooled < left+60 {
		time.Sleep(50 * time.Millisecond)
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("the prober does not work while the scheduler is away: %+v", p.Stats())
		}
	}
	s.come()
	came := time.Now().Add(-liveAge)
	results := s.recorder.await(t, "the backlog", func(list []checks.Result) bool {
		for _, r := range list {
			if r.Check == "shop" && r.Slot.Equal(time.UnixMilli(made("shop", -200_000).slot).UTC()) {
				return true
			}
		}
		return false
	})
	behind := false
	for i, r := range results {
		if r.Check == "shop" && !behind {
			behind = true
			if i < 40 {
				t.Errorf("only %d new results came before the backlog", i)
			}
		}
		if !behind && r.Slot.Before(came) {
			t.Errorf("result %d of %d is of %s", i, len(results), r.Slot)
		}
	}
}

func TestSchedulerAway(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		leave, come func(*scheduler, []config.Check)
	}{
		{"unreachable", func(s *scheduler, _ []config.Check) { s.leave() }, func(s *scheduler, _ []config.Check) { s.come() }},
		{
			"ingest fails",
			func(s *scheduler, _ []config.Check) { s.recorder.fail(errors.New("no room")) },
			func(s *scheduler, _ []config.Check) { s.recorder.fail(nil) },
		},
		{
			"token revoked",
			func(s *scheduler, list []config.Check) {
				s.Update([]fleet.Member{{Prober: member.Prober, Region: member.Region, Token: secret.New("another one")}}, list)
			},
			func(s *scheduler, list []config.Check) { s.Update([]fleet.Member{member}, list) },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScheduler(t)
			url := target(t, fine)
			list := []config.Check{httpCheck(t, "shop", url, time.Second, time.Second), httpCheck(t, "cart", url, time.Second, time.Second)}
			only(s, list...)
			p := runProber(t, s.server.URL, nil)
			s.recorder.await(t, "a result", func(r []checks.Result) bool { return len(r) > 2 })
			test.leave(s, list)
			time.Sleep(500 * time.Millisecond) // what was under way is over
			before := len(s.recorder.all())
			time.Sleep(4 * time.Second)
			if n := len(s.recorder.all()) - before; n > 0 {
				t.Errorf("%d results came while the scheduler was away", n)
			}
			if n := p.Stats().Spooled; n < 6 {
				t.Errorf("%d results are in the spool after 4 s", n)
			}
			test.come(s, list)
			s.recorder.await(t, "the rest", func(r []checks.Result) bool { return len(r) >= before+12 })
			p.stop()
			results := s.recorder.all()
			checkSlots(t, results, "shop", time.Second)
			checkSlots(t, results, "cart", time.Second)
			for _, r := range results {
				if r.Status != checks.Up {
					t.Errorf("result %+v", r)
				}
			}
			if left := p.Stats().Spooled; left != 0 {
				t.Errorf("%d results are left in the spool", left)
			}
		})
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	s := newScheduler(t)
	s.recorder.reject = func(r *checks.Result) string {
		if r.Check == "bad" {
			return "no such check"
		}
		return ""
	}
	url := target(t, fine)
	only(s, httpCheck(t, "bad", url, time.Second, time.Second), httpCheck(t, "good", url, time.Second, time.Second))
	p := runProber(t, s.server.URL, nil)
	s.recorder.await(t, "results", func(r []checks.Result) bool { return len(r) > 3 })
	p.stop()
	stats := p.Stats()
	if stats.Rejected < 2 || stats.Delivered != int64(len(s.recorder.all())) || stats.Spooled != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// A batch that the scheduler cannot read costs only the entry that is to blame.
func TestPoison(t *testing.T) {
	var taken atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := unpack(r)
		if err != nil {
			t.Error(err)
		}
		for _, e := range b.Entries {
			if e.Result.Check == "bad" {
				http.Error(w, "I cannot read this", http.StatusBadRequest)
				return
			}
		}
		taken.Add(int64(len(b.Entries)))
		fmt.Fprintf(w, `{"seqs":[%s]}`, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(seqsOf(b))), ","), "[]"))
	}))
	t.Cleanup(server.Close)
	p, err := New(Config{Scheduler: server.URL, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.spool.close()
	var records []*record
	for i := range 100 {
		name := "good"
		if i%33 == 5 {
			name = "bad"
		}
		records = append(records, made(name, i))
	}
	p.spool.append(records)
	if err := p.shipper.send(context.Background(), p.outbox.take(1000, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if n := taken.Load(); n != 97 {
		t.Errorf("%d results were taken, want 97", n)
	}
	if stats := p.Stats(); stats.Delivered != 97 || stats.Rejected != 3 || len(p.outbox.forgettable(nil)) != 100 {
		t.Errorf("stats %+v", stats)
	}
}

// The token goes to the scheduler and nowhere else.
func TestRedirectIsNotFollowed(t *testing.T) {
	var visits atomic.Int64
	elsewhere := target(t, func(http.ResponseWriter, *http.Request) { visits.Add(1) })
	front := target(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere+r.URL.Path, http.StatusFound)
	})
	p := runProber(t, front, nil)
	time.Sleep(700 * time.Millisecond)
	p.stop()
	if n := visits.Load(); n > 0 {
		t.Errorf("%d requests followed a redirect", n)
	}
}

func TestAssignmentFromDisk(t *testing.T) {
	t.Parallel()
	s := newScheduler(t)
	url := target(t, fine)
	only(s, httpCheck(t, "shop", url, time.Second, time.Second))
	dir := t.TempDir()
	p := runProber(t, s.server.URL, func(c *Config) { c.DataDir = dir })
	s.recorder.await(t, "a result", func(r []checks.Result) bool { return len(r) > 0 })
	p.stop()
	info, err := os.Stat(filepath.Join(dir, "assignment.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("assignment.json: %v, %v", info, err)
	}
	s.leave()
	p = runProber(t, s.server.URL, func(c *Config) { c.DataDir = dir })
	time.Sleep(clockHold + 2500*time.Millisecond)
	if stats := p.Stats(); stats.Slots < 2 || stats.Region != "here" {
		t.Fatalf("the prober does not work without its scheduler: %+v", stats)
	}
	s.come()
	began := len(s.recorder.all())
	// Results may flow again well before the stream does, whose word the
	// account of the absence waits for.
	offline := func(r []checks.Result) (n int) {
		for i := range r {
			if r[i].Reason == checks.ProberOffline {
				n++
			}
		}
		return n
	}
	s.recorder.await(t, "results again, and of the absence", func(r []checks.Result) bool { return len(r) > began+8 && offline(r) >= 2 })
	p.stop()
	results := s.recorder.all()
	checkSlots(t, results, "shop", time.Second)
	if n := offline(results); n < 2 {
		t.Errorf("%d slots are unknown because the prober did not run, want those of the 3 s it waited for the scheduler", n)
	}
}

func TestAssignmentsOfNoUse(t *testing.T) {
	good := plan{name: "good", every: time.Second}.share(t)
	shares := []regions.Share{
		{Spec: []byte(`{"name":"odd","kind":"http","every_ms":1000,"timeout_ms":1000,"options":{"url":"::"}}`), Of: 1},
		{Spec: []byte(`{"name":"odd","kind":"telepathy","every_ms":1000,"timeout_ms":1000,"options":{}}`), Of: 1},
		{Spec: []byte(`[]`), Of: 1},
		{Spec: nil, Of: 1},
		{Spec: good.Spec, Index: 3, Of: 2},
		good, good,
	}
	p, err := New(Config{Scheduler: "http://127.0.0.1:1", DataDir: t.TempDir(), Name: "here-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.spool.close()
	p.adopt(&regions.Assignment{Prober: "other-1", Region: "here", Checks: shares}, true)
	if n := p.Stats().Checks; n != 0 {
		t.Errorf("%d checks of another prober's assignment are run", n)
	}
	p.adopt(&regions.Assignment{Prober: "here-1", Region: "<here>", Checks: shares}, true)
	if n := p.Stats().Checks; n != 0 {
		t.Errorf("%d checks of a region without a name are run", n)
	}
	shares[3].Spec = []byte("null")
	p.adopt(&regions.Assignment{Prober: "here-1", Region: "here", Checks: shares}, true)
	if n := p.Stats().Checks; n != 1 {
		t.Errorf("%d checks are run, want the good one, once", n)
	}
}

func TestStopWaitsForRuns(t *testing.T) {
	t.Parallel()
	s := newScheduler(t)
	began := make(chan bool, 100)
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		began <- true
		time.Sleep(1500 * time.Millisecond)
	})
	only(s, httpCheck(t, "slow", url, 3*time.Second, 3*time.Second))
	p := runProber(t, s.server.URL, nil)
	<-began
	p.stop()
	results := s.recorder.all()
	if len(results) != 1 || results[0].Status != checks.Up {
		t.Errorf("results %+v, want the run that was under way", results)
	}
}

func TestClockOfAnotherTime(t *testing.T) {
	t.Parallel()
	for _, shift := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(shift.String(), func(t *testing.T) {
			t.Parallel()
			s := newScheduler(t)
			only(s, httpCheck(t, "shop", target(t, fine), time.Second, time.Second))
			p := runProber(t, s.server.URL, func(c *Config) {
				c.Env.Now = func() time.Time { return time.Now().Add(shift) }
			})
			results := s.recorder.await(t, "results", func(r []checks.Result) bool { return len(r) > 2 })
			for _, r := range results {
				if r.Status != checks.Unknown || r.Reason != checks.ProberClock || time.Since(r.Slot).Abs() > 10*time.Second {
					t.Errorf("result %+v", r)
				}
			}
			if off := p.Stats().ClockOffset; (off - shift).Abs() > 2*time.Second {
				t.Errorf("the clock is off by %s, want %s", off, shift)
			}
			for _, status := range s.Status() {
				if (status.Offset - shift).Abs() > 2*time.Second {
					t.Errorf("the scheduler sees the clock off by %s, want %s", status.Offset, shift)
				}
			}
		})
	}
}

// The disk fails while a prober works: it goes on.
func TestProbingWithoutDisk(t *testing.T) {
	t.Parallel()
	s := newScheduler(t)
	only(s, httpCheck(t, "shop", target(t, fine), time.Second, time.Second))
	p := runProber(t, s.server.URL, nil)
	s.recorder.await(t, "a result", func(r []checks.Result) bool { return len(r) > 0 })
	p.spool.mu.RLock()
	p.spool.db.Exec("PRAGMA query_only = 1")
	p.spool.mu.RUnlock()
	began := len(s.recorder.all())
	s.recorder.await(t, "results", func(r []checks.Result) bool { return len(r) > began+3 })
	p.stop()
	checkSlots(t, s.recorder.all(), "shop", time.Second)
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	if len(s.recorder.taken) != 2 {
		t.Errorf("results came under %d names, want that of the file and one for those in memory", len(s.recorder.taken))
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name   string
		config Config
	}{
		{"no URL", Config{DataDir: dir}},
		{"a host alone", Config{Scheduler: "status.example.com", DataDir: dir}},
		{"another scheme", Config{Scheduler: "ftp://status.example.com", DataDir: dir}},
		{"a password", Config{Scheduler: "https://me:secret@status.example.com", DataDir: dir}},
		{"a query", Config{Scheduler: "https://status.example.com/?a=b", DataDir: dir}},
		{"no folder", Config{Scheduler: "https://status.example.com"}},
		{"a name that is none", Config{Scheduler: "https://status.example.com", Name: "FRA 1", DataDir: dir}},
		{"a folder that cannot be", Config{Scheduler: "https://status.example.com", DataDir: "/dev/null/data"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if p, err := New(test.config); err == nil {
				p.spool.close()
				t.Error("it is accepted")
			}
		})
	}
}
