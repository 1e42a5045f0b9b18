package simulate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nines/checks"
	"nines/internal/civil"
	"nines/notifier"
	"nines/regions"
	"nines/scheduler/config"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func outages(t *rapid.T, name string) []regions.Span {
	var list []regions.Span
	at := noon
	for range rapid.IntRange(0, 6).Draw(t, name) {
		at = at.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "gap")) * time.Minute)
		end := at.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "length")) * time.Minute)
		list = append(list, regions.Span{From: at, To: end, Verdict: regions.Down})
		at = end
	}
	return list
}

// What one direction gains the other loses, and every outage that differs is
// told of.
func TestCompareBothWays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := outages(t, "before"), outages(t, "after")
		var there, back, still Check
		there.compare(before, after)
		back.compare(after, before)
		still.compare(before, before)
		if diff := cmp.Diff(there.Gained, back.Lost); diff != "" {
			t.Errorf("gained one way is not lost the other:\n%s", diff)
		}
		if diff := cmp.Diff(there.Lost, back.Gained); diff != "" {
			t.Errorf("lost one way is not gained the other:\n%s", diff)
		}
		if len(still.Gained)+len(still.Lost)+len(still.Moved) > 0 {
			t.Errorf("the same outages differ: %+v", still)
		}
		if len(there.Gained) > len(after) || len(there.Lost) > len(before) {
			t.Errorf("more differs than there is: %+v", there)
		}
	})
}

func TestPages(t *testing.T) {
	cfg := &config.Config{
		People: []notifier.Person{{Name: "alice", Phone: "+48500100200"}, {Name: "bob", Phone: "+48500100201"}},
		Policies: []notifier.Policy{{Name: "default", Repeat: 1, Steps: []notifier.Step{
			{Notify: []string{"person:alice"}, By: []string{"sms"}, Wait: 5 * time.Minute},
			{Notify: []string{"person:bob"}, By: []string{"sms"}, Wait: 5 * time.Minute},
		}}},
	}
	check := func(severity string) *config.Check {
		return &config.Check{Spec: checks.Spec{Name: "shop"}, Severity: severity, Policy: "default"}
	}
	window := config.Maintenance{Checks: []string{"shop"}, Once: &civil.Span{From: noon.Add(-time.Hour), To: noon.Add(6 * time.Minute)}}
	for _, test := range []struct {
		name         string
		long         time.Duration
		severity     string
		acknowledged []time.Time
		maintenance  []config.Maintenance
		want         int
	}{
		{"a short one", time.Minute, "page", nil, nil, 1},
		{"one that reaches the second step", 6 * time.Minute, "page", nil, nil, 2},
		{"one that ends as the second step is due", 5 * time.Minute, "page", nil, nil, 1},
		{"one that goes through the policy and its repetition", time.Hour, "page", nil, nil, 4},
		{"acknowledged before the second step", time.Hour, "page", []time.Time{noon.Add(4 * time.Minute)}, nil, 1},
		{"acknowledged in another outage", time.Hour, "page", []time.Time{noon.Add(-time.Minute), noon.Add(2 * time.Hour)}, nil, 4},
		{"a ticket without Slack", time.Hour, "ticket", nil, nil, 0},
		{"none", time.Hour, "none", nil, nil, 0},
		{"under maintenance to its end", 6 * time.Minute, "page", nil, []config.Maintenance{window}, 0},
		{"longer than the maintenance", 10 * time.Minute, "page", nil, []config.Maintenance{window}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := *cfg
			cfg.Maintenance = test.maintenance
			span := regions.Span{From: noon, To: noon.Add(test.long), Verdict: regions.Down}
			if got := pages(&cfg, check(test.severity), span, test.acknowledged); got != test.want {
				t.Errorf("got %d messages, want %d", got, test.want)
			}
		})
	}
}
