package scheduler

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nines/checks"
	"nines/regions"
	"nines/scheduler/incident"
)

func TestOutagePagesOnce(t *testing.T) {
	h := build(t)
	h.see("shop", checks.Up, everywhere...)
	h.pass(20 * time.Second)
	h.see("shop", checks.Down, "eu")
	if got := h.verdict("shop"); got != regions.Degraded || len(h.incidents()) != 0 {
		t.Fatalf("with one region of three down the verdict is %s and there are %d incidents", got, len(h.incidents()))
	}
	if diff := cmp.Diff([]string{"shop without eu"}, h.asked); diff != "" {
		t.Errorf("regions asked: %s", diff)
	}
	h.pass(2 * time.Second)
	h.see("shop", checks.Down, "us")
	h.see("shop", checks.Down, "ap")
	all := h.incidents()
	if len(all) != 1 {
		t.Fatalf("%d incidents, want 1", len(all))
	}
	i := all[0]
	if !i.OutageFrom.Equal(h.clock) || i.Reason != checks.ConnectTimeout || len(i.Down) != 3 || i.Regions != 3 || i.State != incident.Triggered {
		t.Errorf("the incident: %+v", i)
	}
	want := []string{"page slack", "page sms alice", "update slack"}
	if diff := cmp.Diff(want, h.notices(i.ID)); diff != "" {
		t.Errorf("notices: %s", diff)
	}
	if len(h.asked) != 1 {
		t.Errorf("the regions were asked %d times", len(h.asked))
	}
	h.pass(time.Minute)
	h.see("shop", checks.Up, everywhere...)
	i = h.incidents()[0]
	if i.State != incident.Resolved || i.ResolvedBy != "" || !i.ResolvedAt.Equal(h.clock) {
		t.Errorf("after the recovery: %+v", i)
	}
	want = append(want, "recovery slack", "recovery sms alice")
	if diff := cmp.Diff(want, h.notices(i.ID)); diff != "" {
		t.Errorf("notices: %s", diff)
	}
	h.pass(time.Minute)
	h.see("shop", checks.Down, everywhere...)
	if all := h.incidents(); len(all) != 2 || all[1].Flaps != 1 {
		t.Errorf("down again: %+v", all)
	}
}

func TestSameBatchTwice(t *testing.T) {
	h := build(t)
	b := h.batch(result("shop", "eu", noon, checks.Up), result("shop", "eu", noon.Add(time.Second), checks.Down))
	b.Entries = append(b.Entries, b.Entries[0])
	var acks []regions.Ack
	for range 2 {
		ack, err := h.Ingest(context.Background(), "eu-1", "eu", b)
		if err != nil {
			t.Fatal(err)
		}
		acks = append(acks, ack)
	}
	if diff := cmp.Diff(acks[0], acks[1]); diff != "" {
		t.Errorf("the second acknowledgement differs: %s", diff)
	}
	if n := h.stored("shop"); n != 2 {
		t.Errorf("%d results are stored, want 2", n)
	}
	again := regions.Batch{Spool: "spool-2", Entries: b.Entries[:1]}
	again.Entries[0].Result.Slot = noon.Add(-time.Minute)
	if _, err := h.Ingest(context.Background(), "eu-1", "eu", again); err != nil {
		t.Fatal(err)
	}
	if n := h.stored("shop"); n != 3 {
		t.Errorf("%d results are stored after another spool's first, want 3", n)
	}
}

// stored returns how many results of a check there are.
func (h *house) stored(check string) int {
	h.t.Helper()
	n := 0
	for _, err := range h.store.Results(context.Background(), check, time.UnixMilli(0), farFuture) {
		if err != nil {
			h.t.Fatal(err)
		}
		n++
	}
	return n
}

func TestRejected(t *testing.T) {
	ok := result("shop", "eu", noon, checks.Up)
	for _, test := range []struct {
		name string
		edit func(r *checks.Result)
		want string // part of why; empty: taken
	}{
		{"as it should be", func(*checks.Result) {}, ""},
		{"without names", func(r *checks.Result) { r.Prober, r.Region = "", "" }, ""},
		{"another prober", func(r *checks.Result) { r.Prober = "us-1" }, "was sent by"},
		{"another region", func(r *checks.Result) { r.Region = "us" }, "was sent by"},
		{"a check that is not configured", func(r *checks.Result) { r.Check = "nobody" }, "not configured"},
		{"a reason of its own", func(r *checks.Result) { r.Reason = "made.up" }, "not known"},
		{"a status of its own", func(r *checks.Result) { r.Status = "fine" }, "status"},
		{"a negative phase", func(r *checks.Result) { r.Phases = checks.Phases{"dns": -1} }, "phases_ms"},
		{"too many facts", func(r *checks.Result) {
			r.Facts = checks.Facts{}
			for n := range 100 {
				r.Facts[fmt.Sprint(n)] = n
			}
		}, "facts"},
		{"older than what is kept", func(r *checks.Result) { r.At = noon.AddDate(0, -3, 0) }, "older than"},
		{"far ahead", func(r *checks.Result) { r.At = noon.Add(2 * time.Hour) }, "ahead"},
		{"a little ahead", func(r *checks.Result) { r.At = noon.Add(time.Minute) }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := build(t)
			r := ok
			test.edit(&r)
			ack, err := h.Ingest(context.Background(), "eu-1", "eu", h.batch(r))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]int64{1}, ack.Seqs); diff != "" {
				t.Errorf("what may be forgotten: %s", diff)
			}
			why, rejected := ack.Rejected[1]
			if rejected != (test.want != "") || !strings.Contains(why, test.want) {
				t.Errorf("rejected: %v, %q; want %q", rejected, why, test.want)
			}
			if stored := h.stored(r.Check) > 0; stored == rejected {
				t.Errorf("stored: %v, rejected: %v", stored, rejected)
			}
		})
	}
}

// TestLateResultsNeverPage: what is older than two intervals is history.
func TestLateResultsNeverPage(t *testing.T) {
	for _, test := range []struct {
		name  string
		age   time.Duration
		pages bool
	}{
		{"now", 0, true},
		{"two intervals old", 2 * time.Minute, true},
		{"older, though it still says something", 2*time.Minute + time.Second, false},
		{"much older", time.Hour, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := build(t)
			for _, region := range everywhere {
				h.ingest(result("shop", region, noon.Add(-test.age), checks.Down))
			}
			h.pass(10 * time.Second)
			if paged := len(h.incidents()) == 1; paged != test.pages {
				t.Errorf("an incident opened: %v, want %v", paged, test.pages)
			}
		})
	}
}

// TestAfterLateResults: a fresh result pages even when late ones came before.
func TestAfterLateResults(t *testing.T) {
	h := build(t)
	for _, region := range everywhere {
		h.ingest(result("shop", region, noon.Add(-125*time.Second), checks.Down))
	}
	h.see("shop", checks.Down, "eu")
	if len(h.incidents()) != 1 {
		t.Error("the fresh result did not page")
	}
}

// TestResultsFromTheFuture: one within a few seconds counts at once and for
// good; one beyond is kept and moves nothing.
func TestResultsFromTheFuture(t *testing.T) {
	h := build(t)
	for _, region := range everywhere {
		h.ingest(result("shop", region, noon.Add(4*time.Second), checks.Down))
	}
	if len(h.incidents()) != 1 {
		t.Fatal("a clock that is four seconds ahead held up the page")
	}
	h.pass(2 * time.Second)
	if i := h.incidents()[0]; i.State != incident.Triggered || len(h.incidents()) != 1 {
		t.Errorf("two seconds later: %+v", i)
	}
	for _, region := range everywhere {
		h.ingest(result("ns", region, noon.Add(time.Minute), checks.Down))
	}
	h.see("ns", checks.Up, everywhere...)
	if got := h.verdict("ns"); got != regions.Up {
		t.Errorf("with results from the future the verdict is %s", got)
	}
	h.reopen()
	if err := h.tick(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := h.verdict("ns"); got != regions.Up {
		t.Errorf("after a restart it is %s", got)
	}
}

// TestUnknownKeepsIncident: a check that nothing is heard of is unknown, an open incident
// stays open then, and what is heard next decides.
func TestUnknownKeepsIncident(t *testing.T) {
	h := build(t)
	h.see("shop", checks.Down, everywhere...)
	h.pass(3 * time.Minute)
	if got := h.verdict("shop"); got != regions.Unknown {
		t.Fatalf("after three minutes without results the verdict is %s", got)
	}
	if i := h.incidents()[0]; i.State != incident.Triggered {
		t.Errorf("the incident is %s", i.State)
	}
	h.see("shop", checks.Down, everywhere...)
	if n := len(h.incidents()); n != 1 {
		t.Errorf("%d incidents", n)
	}
	h.pass(time.Second)
	h.see("shop", checks.Up, "eu", "us")
	if i := h.incidents()[0]; i.State != incident.Resolved {
		t.Errorf("the incident is %s", i.State)
	}
}

// TestConfirmationIsBounded: a region that keeps failing alone has the others
// asked once, and a flapping one at most every other run.
func TestConfirmationIsBounded(t *testing.T) {
	h := build(t)
	for n := range 20 {
		h.see("shop", checks.Down, "eu")
		h.see("shop", checks.Up, "us", "ap")
		if n == 0 {
			h.see("shop", checks.Down, "eu")
		}
		h.pass(time.Minute)
	}
	if len(h.asked) != 1 {
		t.Errorf("a region that kept failing had the others asked %d times", len(h.asked))
	}
	h.asked = nil
	for n := range 20 {
		h.see("shop", []checks.Status{checks.Up, checks.Down}[n%2], "eu")
		h.see("shop", checks.Up, "us", "ap")
		h.pass(10 * time.Second)
	}
	if most := 200 / 30; len(h.asked) > most+1 {
		t.Errorf("a flapping region had the others asked %d times in 200 s", len(h.asked))
	}
}

// TestArrivalOrder: whatever the order in which the same results arrive within
// an instant, the verdict at the end is the same.
func TestArrivalOrder(t *testing.T) {
	var results []checks.Result
	rnd := rand.New(rand.NewPCG(5, 6))
	for n := range 12 {
		for i, region := range everywhere {
			status := checks.Up
			if n >= 10 && i < 2 || rnd.IntN(5) == 0 {
				status = checks.Down
			}
			results = append(results, result("shop", region, noon.Add(-time.Duration(11-n)*time.Minute), status))
		}
	}
	var want regions.Judgement
	for n := range 20 {
		h := build(t)
		for _, r := range results {
			h.ingest(r)
		}
		got := h.watches["shop"].judgment
		if n == 0 {
			want = got
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("in another order: %s", diff)
		}
		rnd.Shuffle(len(results), func(i, j int) { results[i], results[j] = results[j], results[i] })
	}
	if want.Verdict != regions.Down {
		t.Errorf("the verdict is %s", want.Verdict)
	}
}

// TestAllOrNothing: a fault at any step of a transaction leaves nothing of it,
// in the store or in memory, and the same batch does all of it afterwards.
func TestAllOrNothing(t *testing.T) {
	for _, table := range []string{"names", "live", "received", "incidents", "events", "notices"} {
		t.Run(table, func(t *testing.T) {
			h := build(t)
			if table != "names" { // a name that is known is not stored again
				h.see("shop", checks.Up, "us", "ap")
				h.see("shop", checks.Down, "us")
			}
			db, err := sql.Open("sqlite", h.path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			fault := fmt.Sprintf("CREATE TRIGGER fault BEFORE INSERT ON %s BEGIN SELECT RAISE(ABORT, 'injected'); END", table)
			if _, err := db.Exec(fault); err != nil {
				t.Fatal(err)
			}
			before, asked := h.stored("shop"), len(h.asked)
			b := h.batch(result("shop", "eu", h.clock, checks.Down))
			if _, err := h.Ingest(context.Background(), "eu-1", "eu", b); err == nil || !strings.Contains(err.Error(), "injected") {
				t.Fatalf("the fault was not met: %v", err)
			}
			if h.stored("shop") != before || len(h.incidents()) != 0 || len(h.asked) != asked || h.verdict("shop") == regions.Down {
				t.Error("something of the failed transaction is there")
			}
			if err := h.tick(context.Background()); err != nil || len(h.incidents()) != 0 {
				t.Errorf("the next tick: %v, %d incidents", err, len(h.incidents()))
			}
			if _, err := db.Exec("DROP TRIGGER fault"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := h.Ingest(context.Background(), "eu-1", "eu", b); err != nil {
					t.Fatal(err)
				}
			}
			if table == "names" {
				return
			}
			if h.stored("shop") != before+1 || len(h.incidents()) != 1 {
				t.Errorf("afterwards: %d results, %d incidents", h.stored("shop"), len(h.incidents()))
			}
			if diff := cmp.Diff([]string{"page slack", "page sms alice"}, h.notices(1)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRestart: nothing that was known is lost and nothing is said twice.
func TestRestart(t *testing.T) {
	h := build(t)
	h.see("shop", checks.Down, everywhere...)
	before := h.notices(1)
	for range 3 {
		h.reopen()
		h.pass(5 * time.Second)
		if h.verdict("shop") != regions.Down || len(h.incidents()) != 1 {
			t.Fatalf("after a restart: %s, %d incidents", h.verdict("shop"), len(h.incidents()))
		}
	}
	if diff := cmp.Diff(before, h.notices(1)); diff != "" {
		t.Error(diff)
	}
	h.see("shop", checks.Up, everywhere...)
	if i := h.incidents()[0]; i.State != incident.Resolved {
		t.Errorf("the incident is %s", i.State)
	}
}

// TestReload: a reload keeps verdicts and incidents, and ends those of checks
// that are gone.
func TestReload(t *testing.T) {
	h := build(t)
	h.see("shop", checks.Down, everywhere...)
	h.see("ns", checks.Down, everywhere...)
	c := load(t, baseYAML)
	if err := h.Reload(c, nil); err != nil {
		t.Fatal(err)
	}
	if h.verdict("shop") != regions.Down || len(h.incidents()) != 2 {
		t.Fatalf("after a reload: %s, %d incidents", h.verdict("shop"), len(h.incidents()))
	}
	without := load(t, strings.Replace(baseYAML, "  - {name: ns, kind: dns, domain: example.com, type: A, server: 192.0.2.53, public: false}\n", "", 1))
	if err := h.Reload(without, nil); err != nil {
		t.Fatal(err)
	}
	all := h.incidents()
	if all[0].State != incident.Triggered || all[1].State != incident.Resolved {
		t.Errorf("shop is %s, ns is %s", all[0].State, all[1].State)
	}
	if !slices.Contains(h.notices(2), "recovery sms alice") {
		t.Errorf("notices: %v", h.notices(2))
	}
	ack := h.ingest(result("ns", "eu", h.clock, checks.Up))
	if len(ack.Rejected) != 1 {
		t.Error("a result of a check that is gone was taken")
	}
}

func TestQuarantine(t *testing.T) {
	h := build(t)
	h.see("shop", checks.Up, "us", "ap")
	h.see("shop", checks.Down, "eu")
	if got := h.verdict("shop"); got != regions.Degraded {
		t.Fatalf("the verdict is %s", got)
	}
	q := checks.Quarantine{Prober: "eu-1", From: noon.Add(-time.Hour), To: noon.Add(time.Hour), Why: "sees everything down"}
	if err := h.AddQuarantine(context.Background(), q); err != nil {
		t.Fatal(err)
	}
	h.pass(time.Second)
	if got := h.verdict("shop"); got != regions.Up {
		t.Errorf("without the sick prober the verdict is %s", got)
	}
	h.see("shop", checks.Down, "eu")
	h.reopen()
	h.pass(time.Second)
	if got := h.verdict("shop"); got != regions.Up {
		t.Errorf("after a restart it is %s", got)
	}
}
