package incident

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nines/notifier"
)

var start = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

func opened(o Opening) Incident {
	if o.Check == "" {
		o.Check = "shop"
	}
	o.OutageFrom, o.Reason, o.Regions = start.Add(-4*time.Second), "connect.timeout", 3
	i, _ := Open(o, start)
	i.ID = 41
	return i
}

func TestOpen(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Opening
		due  bool
	}{
		{"pages", Opening{Severity: Page, Policy: "default"}, true},
		{"nobody to page", Opening{Severity: Page}, false},
		{"ticket", Opening{Severity: Ticket, Policy: "default"}, false},
		{"none", Opening{Severity: None, Policy: "default"}, false},
		{"muted", Opening{Severity: Page, Policy: "default", Muted: "a silence"}, false},
		{"within another's page", Opening{Severity: Page, Policy: "default", Within: 7}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if i := opened(test.o); i.Due(start) != test.due || i.State != Triggered {
				t.Errorf("due: %v, want %v; %s", i.Due(start), test.due, i.State)
			}
		})
	}
}

func TestAcknowledgeTwice(t *testing.T) {
	i := opened(Opening{Severity: Page, Policy: "default"})
	first, events, changed := Acknowledge(i, By{"alice", "sms"}, start.Add(time.Minute))
	if !changed || len(events) != 1 || events[0].Who != "alice" || first.Due(start.Add(time.Hour)) {
		t.Fatalf("%v, %+v, %+v", changed, events, first)
	}
	second, events, changed := Acknowledge(first, By{"bob", "slack"}, start.Add(2*time.Minute))
	if changed || len(events) != 0 {
		t.Errorf("a second time: %v, %+v", changed, events)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
}

func TestSnooze(t *testing.T) {
	i := opened(Opening{Severity: Page, Policy: "default"})
	i.Step, i.Round, i.NextAt = 1, 1, start.Add(5*time.Minute)
	asleep, _, changed := Snooze(i, By{"alice", "slack"}, start.Add(30*time.Minute), start.Add(time.Minute))
	if !changed || asleep.State != Acknowledged || asleep.Owner != "alice" {
		t.Fatalf("asleep: %+v", asleep)
	}
	if _, _, woke := Wake(asleep, start.Add(29*time.Minute)); woke {
		t.Error("it woke before its time")
	}
	awake, _, woke := Wake(asleep, start.Add(30*time.Minute))
	if !woke || !awake.Due(start.Add(30*time.Minute)) || awake.Step != 0 || awake.Owner != "" || awake.AckedBy != "alice" {
		t.Errorf("awake: %+v", awake)
	}
	again, _, changed := Acknowledge(awake, By{"bob", "sms"}, start.Add(31*time.Minute))
	if !changed || again.Owner != "bob" || again.AckedBy != "alice" {
		t.Errorf("acknowledged again: %+v", again)
	}
}

func TestRecover(t *testing.T) {
	i := opened(Opening{Severity: Page, Policy: "default"})
	up, _, changed := Recover(i, start.Add(time.Minute))
	if !changed || up.State != Resolved || up.ResolvedBy != "" || !up.Settled() {
		t.Errorf("recovered: %+v", up)
	}
	byHand, _, _ := Resolve(i, By{"alice", "api"}, start.Add(time.Minute))
	if byHand.Open() || byHand.Settled() {
		t.Errorf("resolved by hand: %+v", byHand)
	}
	later, _, changed := Recover(byHand, start.Add(time.Hour))
	if !changed || !later.Settled() || later.ResolvedBy != "alice" || !later.ResolvedAt.Equal(start.Add(time.Minute)) {
		t.Errorf("up later: %+v", later)
	}
}

func TestHasten(t *testing.T) {
	i := opened(Opening{Severity: Page, Policy: "default"})
	i, _, _ = StepFired(i, Firing{Step: 1, NextAt: start.Add(5 * time.Minute)}, start)
	if soon, _, changed := Hasten(i, 0, start.Add(time.Second)); !changed || !soon.Due(start.Add(time.Second)) {
		t.Errorf("the next step: %+v", soon)
	}
	i.Round = 1 // the next step begins another round
	if _, _, changed := Hasten(i, 0, start.Add(time.Second)); changed {
		t.Error("a new round was hastened")
	}
}

// TestAnySequence: whatever happens in whatever order, the first to
// acknowledge is never lost, resolved is final, nobody is paged of what
// somebody has in hand, and nothing that was given is modified.
func TestAnySequence(t *testing.T) {
	people := rapid.SampledFrom([]string{"alice", "bob", "carol"})
	rapid.Check(t, func(t *rapid.T) {
		now := start
		i := opened(Opening{
			Severity: rapid.SampledFrom([]string{Page, Ticket, None}).Draw(t, "severity"),
			Policy:   rapid.SampledFrom([]string{"default", ""}).Draw(t, "policy"),
			Muted:    rapid.SampledFrom([]string{"", "a silence"}).Draw(t, "muted"),
			Within:   rapid.SampledFrom([]int64{0, 7}).Draw(t, "within"),
			Down:     []string{"eu", "us"},
		})
		step := func(name string, f func(Incident) (Incident, []Event, bool)) {
			before, copied := i, i.clone()
			after, events, changed := f(i)
			if diff := cmp.Diff(copied, before); diff != "" {
				t.Fatalf("%s modified what it was given: %s", name, diff)
			}
			if equal := cmp.Equal(before, after); equal == changed {
				t.Fatalf("%s says changed %v, and equal is %v", name, changed, equal)
			}
			if !changed && len(events) > 0 {
				t.Fatalf("%s changed nothing and logs %+v", name, events)
			}
			check(t, name, before, after)
			i = after
		}
		t.Repeat(map[string]func(*rapid.T){
			"later": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "s")) * time.Second) },
			"acknowledge": func(t *rapid.T) {
				by := By{people.Draw(t, "who"), "sms"}
				step("acknowledge", func(i Incident) (Incident, []Event, bool) { return Acknowledge(i, by, now) })
			},
			"snooze": func(t *rapid.T) {
				by, until := By{people.Draw(t, "who"), "slack"}, now.Add(time.Duration(rapid.IntRange(-60, 600).Draw(t, "s"))*time.Second)
				step("snooze", func(i Incident) (Incident, []Event, bool) { return Snooze(i, by, until, now) })
			},
			"resolve": func(t *rapid.T) {
				by := By{people.Draw(t, "who"), "api"}
				step("resolve", func(i Incident) (Incident, []Event, bool) { return Resolve(i, by, now) })
			},
			"wake":    func(*rapid.T) { step("wake", func(i Incident) (Incident, []Event, bool) { return Wake(i, now) }) },
			"recover": func(*rapid.T) { step("recover", func(i Incident) (Incident, []Event, bool) { return Recover(i, now) }) },
			"unmute":  func(*rapid.T) { step("unmute", func(i Incident) (Incident, []Event, bool) { return Unmute(i, now) }) },
			"hasten": func(t *rapid.T) {
				round := rapid.IntRange(0, 2).Draw(t, "round")
				step("hasten", func(i Incident) (Incident, []Event, bool) { return Hasten(i, round, now) })
			},
			"observe": func(t *rapid.T) {
				down := rapid.SampledFrom([][]string{{"eu"}, {"eu", "us"}, {"eu", "us", "ap"}}).Draw(t, "down")
				step("observe", func(i Incident) (Incident, []Event, bool) { return Observe(i, down, 3, now) })
			},
			"fire": func(t *rapid.T) {
				f := Firing{
					Told: []notifier.Paged{{Person: people.Draw(t, "who"), Channel: "sms"}},
					Step: i.Step + 1, Round: i.Round, NextAt: now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "wait")) * time.Second),
				}
				step("fire", func(i Incident) (Incident, []Event, bool) { return StepFired(i, f, now) })
			},
			"lead": func(*rapid.T) {
				before := Incident{ID: 7, Step: 1, NextAt: now.Add(time.Minute), Told: []notifier.Paged{{Person: "alice", Channel: "sms"}}}
				step("lead", func(i Incident) (Incident, []Event, bool) { return Lead(i, before, now) })
			},
			"follow": func(*rapid.T) {
				step("follow", func(i Incident) (Incident, []Event, bool) {
					i, changed := Follow(i, 7)
					return i, nil, changed
				})
			},
		})
	})
}

// check fails for a step that no incident may take.
func check(t *rapid.T, name string, before, after Incident) {
	t.Helper()
	if before.AckedBy != "" && (after.AckedBy != before.AckedBy || !after.AckedAt.Equal(before.AckedAt) || after.AckedVia != before.AckedVia) {
		t.Fatalf("%s lost who was first: %+v", name, after)
	}
	if before.State == Resolved {
		recovered := after
		recovered.Recovered = before.Recovered
		if diff := cmp.Diff(before, recovered); diff != "" {
			t.Fatalf("%s changed a resolved incident: %s", name, diff)
		}
	}
	if !before.Recovered.IsZero() && !after.Recovered.Equal(before.Recovered) {
		t.Fatalf("%s moved the recovery", name)
	}
	if after.State != Triggered && !after.NextAt.IsZero() {
		t.Fatalf("%s pages of what is %s", name, after.State)
	}
	if !after.NextAt.IsZero() && !after.pages() {
		t.Fatalf("%s pages of what pages nobody: %+v", name, after)
	}
	if (after.State == Acknowledged) != (after.Owner != "" && after.State != Resolved) {
		t.Fatalf("%s: %s and owned by %q", name, after.State, after.Owner)
	}
	if !after.Snoozed.IsZero() && after.State != Acknowledged {
		t.Fatalf("%s: asleep and %s", name, after.State)
	}
	for _, told := range before.Told {
		if !slices.Contains(after.Told, told) {
			t.Fatalf("%s forgot that %v was told", name, told)
		}
	}
}
