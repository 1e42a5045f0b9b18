package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nines/checks"
	"nines/notifier"
	"nines/scheduler/incident"
)

// firedAt returns when each page of an incident was queued, since noon.
func (h *house) firedAt(id int64) []string {
	h.t.Helper()
	list, err := h.store.Notices(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	var words []string
	for _, n := range list {
		if n.Kind == notifier.PageNotice && n.Person != "" {
			words = append(words, fmt.Sprintf("%s %s", n.Person, n.Created.Sub(noon)))
		}
	}
	return words
}

// keepDown has every region see the check down each minute for a while.
func (h *house) keepDown(check string, d time.Duration) {
	h.t.Helper()
	for end := h.clock.Add(d); h.clock.Before(end); {
		h.see(check, checks.Down, everywhere...)
		h.pass(min(time.Minute, end.Sub(h.clock)))
	}
}

func TestEscalation(t *testing.T) {
	h := build(t)
	h.keepDown("shop", 45*time.Minute)
	want := []string{"alice 0s", "bob 5m0s", "alice 15m0s", "bob 20m0s"}
	if diff := cmp.Diff(want, h.firedAt(1)); diff != "" {
		t.Error(diff)
	}
	if i := h.incidents()[0]; !i.NextAt.IsZero() {
		t.Errorf("after the last step the next is due at %v", i.NextAt)
	}
}

func TestAcknowledgingStopsEscalation(t *testing.T) {
	h := build(t)
	h.keepDown("shop", 6*time.Minute)
	ctx := context.Background()
	i, changed, err := h.Acknowledge(ctx, 1, incident.By{Who: "bob", Via: "sms"})
	if err != nil || !changed || i.AckedBy != "bob" {
		t.Fatalf("%+v, %v, %v", i, changed, err)
	}
	i, changed, err = h.Acknowledge(ctx, 1, incident.By{Who: "alice", Via: "slack"})
	if err != nil || changed || i.AckedBy != "bob" {
		t.Errorf("a second time: %+v, %v, %v", i, changed, err)
	}
	h.keepDown("shop", time.Hour)
	if diff := cmp.Diff([]string{"alice 0s", "bob 5m0s"}, h.firedAt(1)); diff != "" {
		t.Error(diff)
	}
	// The others are told, whoever did it is not.
	notices := h.notices(1)
	if !slices.Contains(notices, "update sms alice") || slices.Contains(notices, "update sms bob") || !slices.Contains(notices, "update slack") {
		t.Errorf("notices: %v", notices)
	}
}

// TestRestartBetweenSteps: what is due while the scheduler is away fires when
// it is back, once.
func TestRestartBetweenSteps(t *testing.T) {
	h := build(t)
	h.keepDown("shop", time.Minute)
	h.clock = h.clock.Add(7 * time.Minute)
	h.reopen()
	h.pass(2 * time.Second)
	if diff := cmp.Diff([]string{"alice 0s", "bob 8m1s"}, h.firedAt(1)); diff != "" {
		t.Error(diff)
	}
}

func TestSnooze(t *testing.T) {
	h := build(t)
	h.keepDown("shop", time.Minute)
	if _, _, err := h.Snooze(context.Background(), 1, incident.By{Who: "alice", Via: "slack"}, noon.Add(31*time.Minute)); err != nil {
		t.Fatal(err)
	}
	h.keepDown("shop", 37*time.Minute)
	want := []string{"alice 0s", "alice 31m0s", "bob 36m0s"}
	if diff := cmp.Diff(want, h.firedAt(1)); diff != "" {
		t.Error(diff)
	}
	if i := h.incidents()[0]; i.AckedBy != "alice" || i.State != incident.Triggered {
		t.Errorf("the incident: %+v", i)
	}
}

func TestResolvedByHand(t *testing.T) {
	h := build(t)
	h.keepDown("shop", time.Minute)
	if _, _, err := h.Resolve(context.Background(), 1, incident.By{Who: "alice", Via: "slack"}); err != nil {
		t.Fatal(err)
	}
	h.keepDown("shop", 30*time.Minute)
	if all := h.incidents(); len(all) != 1 || all[0].State != incident.Resolved || all[0].ResolvedBy != "alice" {
		t.Fatalf("while it stayed down: %+v", all)
	}
	h.reopen()
	h.keepDown("shop", time.Minute)
	if n := len(h.incidents()); n != 1 {
		t.Fatalf("after a restart there are %d incidents", n)
	}
	h.see("shop", checks.Up, everywhere...)
	if i := h.incidents()[0]; i.Recovered.IsZero() || i.ResolvedBy != "alice" {
		t.Errorf("after it was up: %+v", i)
	}
	h.pass(time.Minute)
	h.see("shop", checks.Down, everywhere...)
	if n := len(h.incidents()); n != 2 {
		t.Errorf("down again: %d incidents", n)
	}
}

func TestWhoIsPaged(t *testing.T) {
	maintenance := "maintenance: [{title: Upgrade, checks: [shop], from: 2026-10-01T11:00:00Z, to: 2026-10-01T12:30:00Z}]\npeople:"
	for _, test := range []struct {
		name  string
		edits []string
		mute  time.Duration // a silence from noon on
		want  []string      // of the first 40 minutes
	}{
		{"page", nil, 0, []string{"alice 0s", "bob 5m0s", "alice 15m0s", "bob 20m0s"}},
		{"ticket", []string{"every: 60s", "severity: ticket, every: 60s"}, 0, nil},
		{"none", []string{"every: 60s", "severity: none, every: 60s"}, 0, nil},
		{"silenced", nil, time.Hour, nil},
		{"silenced for a while", nil, 30 * time.Minute, []string{"alice 30m0s", "bob 35m0s"}},
		{"maintenance until half past", []string{"people:\n", maintenance + "\n"}, 0, []string{"alice 30m0s", "bob 35m0s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := build(t, test.edits...)
			if test.mute > 0 {
				if _, err := h.AddSilence(context.Background(), "shop", noon.Add(test.mute), "a test", "alice"); err != nil {
					t.Fatal(err)
				}
			}
			h.keepDown("shop", 40*time.Minute)
			if diff := cmp.Diff(test.want, h.firedAt(1)); diff != "" {
				t.Error(diff)
			}
			slack := slices.Contains(h.notices(1), "page slack")
			if want := test.name != "none" && test.name != "silenced"; slack != want {
				t.Errorf("said in Slack: %v, want %v", slack, want)
			}
			i := h.incidents()[0]
			if wasMuted := test.name == "silenced"; (i.Muted != "") != wasMuted {
				t.Errorf("muted: %q", i.Muted)
			}
		})
	}
}

func TestEndSilence(t *testing.T) {
	h := build(t)
	ctx := context.Background()
	silence, err := h.AddSilence(ctx, "shop", noon.Add(time.Hour), "", "alice")
	if err != nil {
		t.Fatal(err)
	}
	h.keepDown("shop", time.Minute)
	if err := h.EndSilence(ctx, silence.ID); err != nil {
		t.Fatal(err)
	}
	h.pass(2 * time.Second)
	if diff := cmp.Diff([]string{"alice 1m1s"}, h.firedAt(1)); diff != "" {
		t.Error(diff)
	}
}

// stormYAML adds checks until there are ten besides shop and ns.
func stormEdits() []string {
	var b strings.Builder
	for n := range 10 {
		fmt.Fprintf(&b, "  - {name: svc-%d, kind: http, url: \"https://svc-%d.example.com/\"}\n", n, n)
	}
	return []string{"people:\n", "people:\n", "  - {name: ns, kind", b.String() + "  - {name: ns, kind"}
}

// TestStorm: the first pages go out at once, later ones join, and whoever was
// paged gets one list of them.
func TestStorm(t *testing.T) {
	h := build(t, stormEdits()...)
	ctx := context.Background()
	for n := range 10 {
		h.see(fmt.Sprintf("svc-%d", n), checks.Down, everywhere...)
		h.pass(time.Second)
	}
	all := h.incidents()
	if len(all) != 10 {
		t.Fatalf("%d incidents", len(all))
	}
	var within []int64
	pages := 0
	for _, i := range all {
		within = append(within, i.Within)
		pages += len(h.firedAt(i.ID))
	}
	if diff := cmp.Diff([]int64{0, 0, 0, 1, 1, 1, 1, 1, 1, 1}, within); diff != "" {
		t.Errorf("within: %s", diff)
	}
	if pages != 3 {
		t.Errorf("%d pages to people, want the first three", pages)
	}
	updates := 0
	for _, n := range h.notices(1) {
		if n == "update sms alice" {
			updates++
		}
	}
	if updates != 1 {
		t.Errorf("%d lists by SMS, want one: %v", updates, h.notices(1))
	}
	subject, err := outbox{h.store, h.Scheduler}.Subject(ctx, 1)
	if err != nil || len(subject.Also) != 7 {
		t.Errorf("the page lists %v, %v", subject.Also, err)
	}
	// The leader recovers: the oldest within goes on where it had come to.
	h.see("svc-0", checks.Up, everywhere...)
	all = h.incidents()
	if all[0].State != incident.Resolved || all[3].Within != 0 || all[4].Within != 4 || all[9].Within != 4 {
		t.Errorf("after the leader recovered: %+v", all[3:])
	}
	if !all[3].NextAt.Equal(noon.Add(5*time.Minute)) || len(all[3].Told) == 0 {
		t.Errorf("the new leader's next step is due at %v; told: %v", all[3].NextAt, all[3].Told)
	}
	// Whoever takes the page takes all that it lists.
	if _, _, err := h.Acknowledge(ctx, 4, incident.By{Who: "alice", Via: "sms"}); err != nil {
		t.Fatal(err)
	}
	for _, i := range h.incidents()[3:] {
		if i.State != incident.Acknowledged || i.Owner != "alice" {
			t.Errorf("incident %d is %s", i.ID, i.State)
		}
	}
	h.pass(6 * time.Minute)
	if got := h.firedAt(4); len(got) != 0 {
		t.Errorf("after the acknowledgement: %v", got)
	}
}

// TestNoStormAfterAcknowledgement: what fails once somebody has the page is news.
func TestNoStormAfterAcknowledgement(t *testing.T) {
	h := build(t, stormEdits()...)
	for n := range 4 {
		h.see(fmt.Sprintf("svc-%d", n), checks.Down, everywhere...)
	}
	for id := range int64(4) {
		if _, _, err := h.Acknowledge(context.Background(), id+1, incident.By{Who: "alice", Via: "sms"}); err != nil {
			t.Fatal(err)
		}
	}
	h.see("svc-5", checks.Down, everywhere...)
	if i := h.incidents()[4]; i.Within != 0 || len(h.firedAt(i.ID)) != 1 {
		t.Errorf("the fifth: %+v", i)
	}
}

// TestManySlowly: without a storm every check has its own page.
func TestManySlowly(t *testing.T) {
	h := build(t, stormEdits()...)
	for n := range 10 {
		h.see(fmt.Sprintf("svc-%d", n), checks.Down, everywhere...)
		h.pass(31 * time.Second)
	}
	for _, i := range h.incidents() {
		if i.Within != 0 {
			t.Errorf("incident %d is within %d", i.ID, i.Within)
		}
	}
}

func TestTestPage(t *testing.T) {
	h := build(t)
	ctx := context.Background()
	ids, err := h.TestPage(ctx, "carol", []string{"slack", "sms", "voice"})
	if err != nil || len(ids) != 2 {
		t.Fatalf("%v, %v; carol has no Slack", ids, err)
	}
	if _, err := h.TestPage(ctx, "nobody", []string{"sms"}); err == nil {
		t.Error("a page to nobody was queued")
	}
	leased, err := h.store.Lease(ctx, h.clock, 10, time.Minute)
	if err != nil || len(leased) != 2 {
		t.Errorf("%d are to be sent, %v", len(leased), err)
	}
}

// TestUpdates: regions that join one after the other make one update after a
// while, an acknowledgement does not wait for it, and the end overtakes it.
func TestUpdates(t *testing.T) {
	h := build(t)
	ctx := context.Background()
	due := func() []string {
		t.Helper()
		var words []string
		for {
			leased, err := h.store.Lease(ctx, h.clock, 100, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if len(leased) == 0 {
				return words
			}
			for _, l := range leased {
				if l.Channel == notifier.Slack {
					words = append(words, string(l.Kind))
				}
				if err := h.store.Settle(ctx, notifier.Settlement{ID: l.ID, Fence: l.Fence, At: h.clock, State: notifier.Delivered}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	expect := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, due()); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	h.see("shop", checks.Down, "eu", "us")
	expect("at once", "page")
	h.see("shop", checks.Down, "ap")
	h.pass(time.Second)
	h.see("shop", checks.Up, "ap")
	expect("while they settle")
	h.pass(9 * time.Second)
	expect("after ten seconds", "update")
	h.see("shop", checks.Down, "ap")
	if _, _, err := h.Acknowledge(ctx, 1, incident.By{Who: "bob", Via: "api"}); err != nil {
		t.Fatal(err)
	}
	expect("acknowledged", "update")
	h.pass(time.Second)
	h.see("shop", checks.Up, "ap")
	h.see("shop", checks.Up, "eu", "us")
	expect("over", "recovery")
	h.pass(time.Minute)
	expect("and nothing more")
}
