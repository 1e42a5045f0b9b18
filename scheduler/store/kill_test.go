package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"nines/checks"
	"nines/notifier"
	"nines/scheduler/incident"
)

// victimEnv makes the test binary a process that writes to the store named
// until it is killed.
const victimEnv = "NINES_STORE_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victimEnv); path != "" {
		victim(path)
	}
	os.Exit(m.Run())
}

// victim commits one result, incident and notice a transaction and prints the
// number of each that was committed.
func victim(path string) {
	s, err := Open(path)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	ctx := context.Background()
	go func() {
		for {
			if err := s.Compact(ctx); err != nil {
				fmt.Println("error:", err)
				os.Exit(1)
			}
		}
	}()
	n, err := strconv.Atoi(os.Getenv(victimEnv + "_FROM"))
	for ; err == nil; n++ {
		err = s.Update(ctx, func(tx *Tx) error { return victimWrite(ctx, tx, n) })
		if err == nil {
			fmt.Println(n)
		}
	}
	fmt.Println("error:", err)
	os.Exit(1)
}

// victimAt spreads the results so that compactions have windows to merge.
func victimAt(n int) time.Time { return start.Add(time.Duration(n) * 20 * time.Minute) }

func victimWrite(ctx context.Context, tx *Tx, n int) error {
	fresh, err := tx.Receive(ctx, "eu-1", "spool", []int64{int64(n)})
	if err != nil || !fresh[0] {
		return err
	}
	at := victimAt(n)
	if err := tx.Append(ctx, []checks.Result{plainResult("shop", "eu", at, checks.Down)}); err != nil {
		return err
	}
	i, events := incident.Open(incident.Opening{Check: "shop", OutageFrom: at, Severity: incident.Page, Policy: "default"}, at)
	if i, err = tx.AddIncident(ctx, i, events); err != nil {
		return err
	}
	_, err = tx.Queue(ctx, []notifier.Notice{{Incident: i.ID, Kind: notifier.PageNotice, Person: "alice", Channel: notifier.SMS, Created: at}})
	return err
}

// TestKilled: what was committed before a SIGKILL is there after it, once, and
// nothing of what was not.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "nines.db")
	next := 0
	for round := range 6 {
		committed := runVictim(t, path, next, time.Duration(50+60*round)*time.Millisecond)
		next = checkVictim(t, path, committed)
	}
	if next == 0 {
		t.Error("nothing was ever committed; the test shows nothing")
	}
}

// runVictim starts a writer, kills it once it has committed something and the
// time given is over, and returns the last number that it said it committed.
func runVictim(t *testing.T, path string, from int, after time.Duration) (last int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+path, fmt.Sprintf("%s_FROM=%d", victimEnv, from))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last = from - 1
	var kill *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Error(lines.Text())
			break
		}
		last = n
		if kill == nil {
			kill = time.AfterFunc(after, func() { cmd.Process.Signal(syscall.SIGKILL) })
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	return last
}

// checkVictim looks at what a killed writer left and returns the next number.
func checkVictim(t *testing.T, path string, committed int) (next int) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	results := all(t, s.Results(ctx, "shop", ever.from, ever.to))
	for n, r := range results {
		if want := victimAt(n); !r.At.Equal(want) {
			t.Fatalf("result %d is of %v, want %v: lost or twice", n, r.At, want)
		}
	}
	if len(results) <= committed {
		t.Errorf("%d was committed and only %d results are there", committed, len(results))
	}
	open, err := s.OpenIncidents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	leased, err := s.Lease(ctx, ever.to, 1<<20, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(open) != len(results) || len(leased) != len(results) {
		t.Errorf("%d results, %d incidents and %d notices: a transaction was torn", len(results), len(open), len(leased))
	}
	var integrity string
	if err := s.w.QueryRow("PRAGMA integrity_check").Scan(&integrity); err != nil || integrity != "ok" {
		t.Errorf("integrity: %s, %v", integrity, err)
	}
	return len(results)
}
