package prober

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nines/checks"
	"nines/scheduler/config"
)

// childEnv makes the test binary a prober process: its value is the
// scheduler's URL, a space, and the data folder.
const childEnv = "NINES_TEST_PROBER"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// child is what the process does that is to be killed.
func child() int {
	var url, dir string
	fmt.Sscan(os.Getenv(childEnv), &url, &dir)
	p, err := New(Config{
		Scheduler: url, Name: member.Prober, Token: member.Token, DataDir: dir, Env: checks.Env{Allow: loopback},
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err == nil {
		p.houseEvery = 50 * time.Millisecond // so that it is killed while it trims
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err = p.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startChild starts a prober process.
func startChild(t *testing.T, url, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+url+" "+dir)
	cmd.Stderr = logTo{t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Killed at any moment, a prober loses nothing that was on disk, delivers
// nothing twice, and accounts for every slot between its first and its last.
func TestKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills a process twenty times")
	}
	s := newScheduler(t)
	var visits atomic.Int64
	url := target(t, func(w http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		time.Sleep(rand.N(300 * time.Millisecond))
	})
	var list []config.Check
	for i := range 20 {
		list = append(list, httpCheck(t, fmt.Sprintf("check-%d", i), url, time.Second, time.Second))
	}
	only(s, list...)
	dir := t.TempDir()
	kept := map[string]map[int64]bool{} // numbers seen on disk, by spool
	for range 20 {
		cmd := startChild(t, s.server.URL, dir)
		time.Sleep(rand.N(2 * time.Second))
		if rand.N(4) == 0 {
			s.leave() // killed while the scheduler is away
			time.Sleep(rand.N(time.Second))
		}
		cmd.Process.Kill()
		cmd.Wait()
		s.come()
		spool, _ := openTest(t, dir, 0)
		name := spool.nameOf(false)
		if kept[name] == nil {
			kept[name] = map[int64]bool{}
		}
		for _, r := range contents(t, spool) {
			if r.body == nil {
				t.Errorf("record %d is damaged", r.seq)
			}
			kept[name][r.seq] = true
		}
		spool.close()
	}
	cmd := startChild(t, s.server.URL, dir)
	end := time.Now().Add(3 * time.Second)
	s.recorder.await(t, "what was left", func(results []checks.Result) bool {
		late := 0
		for _, r := range results {
			if r.Slot.After(end) {
				late++
			}
		}
		return late >= len(list)
	})
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	spool, _ := openTest(t, dir, 0)
	if n := spool.rows.Load(); n != 0 {
		t.Errorf("%d results are left in the spool after SIGTERM", n)
	}

	for name, numbers := range kept {
		for seq := range numbers {
			if !s.recorder.taken[member.Prober+"/"+name][seq] {
				t.Errorf("number %d of spool %s was on disk and was not delivered", seq, name)
			}
		}
	}
	results := s.recorder.all()
	var up, offline int64
	for _, r := range results {
		switch {
		case r.Status == checks.Up:
			up++
		case r.Reason == checks.ProberOffline:
			offline++
		}
	}
	for _, c := range list {
		checkSlots(t, results, c.Name, time.Second)
	}
	t.Logf("%d results: %d up, %d offline; %d came twice and counted once; the target had %d visits", len(results), up, offline, s.recorder.again, visits.Load())
	if up > visits.Load() {
		t.Errorf("%d results are up where the target had %d visits", up, visits.Load())
	}
}
