package regions_test

import (
	"testing"
	"time"

	"nines/checks"
	"nines/regions"
)

// Weights count in what a quorum compares, and not in how many regions have to
// speak; all alike they change nothing.
func TestWeights(t *testing.T) {
	tests := []struct {
		quorum  string
		weights []int
		votes   string // U up, G degraded, D down, . nothing
		want    regions.Verdict
	}{
		{"majority", nil, "DUU", regions.Degraded},
		{"majority", []int{1, 1, 1}, "DUU", regions.Degraded},
		{"majority", []int{2, 1, 1}, "DUU", regions.Degraded}, // 2 of 4 are no majority
		{"majority", []int{3, 1, 1}, "DUU", regions.Down},
		{"majority", []int{2, 1, 1}, "UDD", regions.Degraded},
		{"majority", []int{2, 1, 1}, "DDU", regions.Down},
		{"majority", []int{100, 1, 1}, "D..", regions.Unknown}, // one opinion is one, whatever it weighs
		{"majority", []int{3, 1, 1}, "GUU", regions.Degraded},
		{"majority", []int{1, 3, 1}, "GUU", regions.Up},
		{"any", []int{1, 9, 9}, "DUU", regions.Down},
		{"all", []int{9, 1, 1}, "DUU", regions.Degraded},
		{"3", []int{3, 1, 1}, "DUU", regions.Down},
		{"3", []int{2, 1, 1}, "UDD", regions.Degraded},
		{"9", []int{2, 1, 1}, "DDD", regions.Down},
	}
	for _, tt := range tests {
		r := rule(quorum(t, tt.quorum), "a", "b", "c")
		r.Weights = tt.weights
		b := regions.NewBoard(r)
		s := regions.NewSweep(r, nil, at(0))
		for i, vote := range tt.votes {
			if status := map[rune]checks.Status{'U': checks.Up, 'G': checks.Degraded, 'D': checks.Down}[vote]; status != "" {
				b.Add(result(r.Regions[i], "p", 0, status, ""))
				s.Add(result(r.Regions[i], "p", 0, status, ""))
			}
		}
		if got := b.Judge(at(0)).Verdict; got != tt.want {
			t.Errorf("%s of %s by %v: the board says %s, want %s", tt.quorum, tt.votes, tt.weights, got, tt.want)
		}
		if got := s.End(at(1000))[0]; got.Verdict != tt.want || got.To.Sub(got.From) != time.Second {
			t.Errorf("%s of %s by %v: the sweep says %+v, want %s", tt.quorum, tt.votes, tt.weights, got, tt.want)
		}
	}
}
