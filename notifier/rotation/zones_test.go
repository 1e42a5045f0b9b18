package rotation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"nines/internal/civil"
)

// clocksOf returns the zones whose clocks differ between from and to, each under
// the first of its names.
func clocksOf(t *testing.T, from, to time.Time) map[string]*time.Location {
	t.Helper()
	zones, seen := map[string]*time.Location{}, map[string]bool{}
	for _, name := range zoneNames(t) {
		loc := zone(t, name)
		_, offset := from.In(loc).Zone()
		key := fmt.Sprint(offset)
		for _, change := range civil.Changes(from, to, loc) {
			_, offset := change.In(loc).Zone()
			key += fmt.Sprint(" ", change.Unix(), offset)
		}
		if !seen[key] {
			seen[key] = true
			zones[name] = loc
		}
	}
	return zones
}

// In every zone and year until 2037, and on every day that has a change, shifts
// follow each other without a gap, and OnCall says what the preview says.
func TestEveryZone(t *testing.T) {
	from, to := instant(t, "2024-01-01"), instant(t, "2038-01-01")
	zones := clocksOf(t, from, to)
	if len(zones) < 60 {
		t.Fatalf("only %d zones were found", len(zones))
	}
	for i, name := range slices.Sorted(maps.Keys(zones)) {
		if testing.Short() && i%6 != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := civil.Changes(from, to, zones[name])
			for _, tc := range []struct{ every, handoff string }{
				{"daily", "02:30"}, {"daily", "00:00"}, {"weekly", "sun 02:00"}, {"weekly", "fri 24:00"}, {"monthly", "31 00:00"},
			} {
				r := rota(t, name, tc.every, tc.handoff, "2023-11-30", "abc")
				shifts := r.Shifts(from, to)
				checkTiled(t, r, shifts, from, to)
				for i := 0; i < len(shifts); i += 97 {
					checkOnCall(t, r, shifts[i])
				}
				for _, change := range changes {
					around := r.Shifts(change.AddDate(0, 0, -2), change.AddDate(0, 0, 2))
					for _, s := range around {
						checkOnCall(t, r, s)
					}
				}
			}
			for _, tc := range []struct{ every, handoff string }{{"12h", "01:30"}, {"7h", "00:00"}, {"6h", "02:00"}} {
				r := rota(t, name, tc.every, tc.handoff, "2023-11-30", "abc")
				for _, change := range changes {
					begin, end := change.AddDate(0, 0, -2), change.AddDate(0, 0, 2)
					shifts := r.Shifts(begin, end)
					checkTiled(t, r, shifts, begin, end)
					for _, s := range shifts {
						checkOnCall(t, r, s)
					}
				}
			}
		})
	}
}

// checkTiled holds shifts against what they are when somebody always is on call
// and nobody has two turns in a row.
func checkTiled(t *testing.T, r *Rotation, shifts []Shift, from, to time.Time) {
	t.Helper()
	checkShape(t, shifts)
	for i, s := range shifts {
		before := from
		if i > 0 {
			before = shifts[i-1].To
			if next := r.People[(strings.Index("abc", shifts[i-1].Person)+1)%3]; s.Person != next {
				t.Errorf("%s %v: after %s comes %s, not %s", r.Zone, r.Every, shifts[i-1].Person, next, s.Person)
			}
		}
		if !s.From.Equal(before) {
			t.Errorf("%s %v: nobody, or two, from %s to %s", r.Zone, r.Every, before, s.From)
		}
	}
	if last := shifts[len(shifts)-1].To; !last.Equal(to) {
		t.Errorf("%s %v: the last shift ends at %s, not %s", r.Zone, r.Every, last, to)
	}
}

// checkOnCall asks at a shift's first and last instant and in its middle.
func checkOnCall(t *testing.T, r *Rotation, s Shift) {
	t.Helper()
	for _, at := range []time.Time{s.From, s.From.Add(s.To.Sub(s.From) / 2), s.To.Add(-1)} {
		if person, ok := r.OnCall(at); !ok || person != s.Person {
			t.Errorf("%s %v: at %s OnCall has %q, the preview %q", r.Zone, r.Every, at, person, s.Person)
		}
	}
}
