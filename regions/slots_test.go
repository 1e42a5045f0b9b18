package regions_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nines/regions"
)

// Probers of two versions must agree on these; they were computed by another
// program from the published FNV-1a.
func TestPhaseIsStable(t *testing.T) {
	tests := []struct {
		check string
		every time.Duration
		i, n  int
		want  time.Duration
	}{
		{"", 10 * time.Second, 0, 1, 3700 * time.Millisecond}, // 0xcbf29ce484222325 mod 100 is 37
		{"a", 10 * time.Second, 0, 1, 9600 * time.Millisecond},
		{"shop", 30 * time.Second, 0, 3, 4100 * time.Millisecond},
		{"shop", 30 * time.Second, 1, 3, 14100 * time.Millisecond},
		{"shop", 30 * time.Second, 2, 3, 24100 * time.Millisecond},
		{"shop", 1050 * time.Millisecond, 1, 3, 691 * time.Millisecond},
		{"shop", time.Second, 5, 3, 700 * time.Millisecond},
		{"shop", 0, 0, 3, 0},
	}
	for _, tt := range tests {
		if got := regions.Phase(tt.check, tt.every, tt.i, tt.n); got != tt.want {
			t.Errorf("Phase(%q, %v, %d, %d) = %v, want %v", tt.check, tt.every, tt.i, tt.n, got, tt.want)
		}
	}
}

func TestPhasesAreSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		check := rapid.StringMatching(`[a-z0-9-]{1,20}`).Draw(t, "check")
		every := time.Duration(rapid.IntRange(1000, 14*24*3600*1000).Draw(t, "every")) * time.Millisecond
		n := rapid.IntRange(1, 12).Draw(t, "n")
		var phases []time.Duration
		for i := range n {
			p := regions.Phase(check, every, i, n)
			if p < 0 || p >= every {
				t.Fatalf("phase %v is not within %v", p, every)
			}
			if every%(100*time.Millisecond) == 0 && p%(100*time.Millisecond) != 0 {
				t.Fatalf("phase %v is off the grid", p)
			}
			phases = append(phases, p)
		}
		slices.Sort(phases)
		for i, p := range phases {
			next := phases[(i+1)%n]
			if i == n-1 {
				next += every
			}
			if gap := next - p; n > 1 && (gap-every/time.Duration(n)).Abs() > 100*time.Millisecond {
				t.Fatalf("a gap of %v between slots of %d regions every %v: %v", gap, n, every, phases)
			}
		}
	})
}

// Different checks must not all start at once: over 100 places of the grid no
// place gets more than twice its share.
func TestChecksAreSpread(t *testing.T) {
	count := map[time.Duration]int{}
	for i := range 10_000 {
		count[regions.Phase(fmt.Sprintf("check-%d", i), 10*time.Second, 0, 1)]++
	}
	for phase, n := range count {
		if n > 200 {
			t.Errorf("%d of 10000 checks start at %v", n, phase)
		}
	}
	if len(count) != 100 {
		t.Errorf("%d of 100 places are used", len(count))
	}
}

func TestSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.IntRange(1000, 3_600_000).Draw(t, "every")) * time.Millisecond
		s := regions.Slots{Every: every, Phase: time.Duration(rapid.Int64Range(0, int64(every)-1).Draw(t, "phase"))}
		after := time.Unix(0, rapid.Int64Range(-1<<60, 1<<61).Draw(t, "after"))
		next := s.Next(after)
		if !next.After(after) || next.Sub(after) > every {
			t.Fatalf("Next(%v) = %v with %v", after, next, every)
		}
		if off := (next.UnixNano() - int64(s.Phase)) % int64(every); off != 0 {
			t.Fatalf("%v is %d ns off its slot", next, off)
		}
		if again := s.Next(next); again.Sub(next) != every {
			t.Fatalf("the slot after %v is %v", next, again)
		}
		got := slices.Collect(s.Between(next, next.Add(3*every)))
		if want := []time.Time{next, next.Add(every), next.Add(2 * every)}; !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("Between = %v, want %v", got, want)
		}
	})
}

func ExampleSlotsOf() {
	shop := regions.SlotsOf("shop", 30*time.Second, 1, 3)
	fmt.Println(shop.Next(time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)).Format(time.RFC3339Nano))
	// Output: 2026-10-01T00:00:14.1Z
}
