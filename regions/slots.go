package regions

import (
	"hash/fnv"
	"iter"
	"time"
)

// grid is what slots are snapped to, so that a prober wakes up ten times a
// second at most however many checks it runs.
const grid = 100 * time.Millisecond

// Phase returns where within Every the slots of a check lie in region i of the
// n that run it: (hash(check) + i·every/n) mod every. The regions of one check
// are spread evenly; different checks start from different places. The hash
// is the 64-bit FNV-1a of the name, in grid steps, so that a phase is the same
// on every machine and after every restart.
//
// Phases are multiples of 100 ms where every is one, else of a millisecond
// where every is one.
func Phase(check string, every time.Duration, i, n int) time.Duration {
	if every <= 0 {
		return 0
	}
	step := time.Duration(1)
	for _, coarser := range [...]time.Duration{time.Millisecond, grid} {
		if every%coarser == 0 {
			step = coarser
		}
	}
	n = max(1, n)
	i = ((i % n) + n) % n
	// every/n first: i·every would overflow for long intervals of many regions.
	offset := every/time.Duration(n)*time.Duration(i) + every%time.Duration(n)*time.Duration(i)/time.Duration(n)
	h := fnv.New64a()
	h.Write([]byte(check))
	start := time.Duration(h.Sum64()%uint64(every/step)) * step
	return (start + offset/step*step) % every
}

// Slots are the planned times of a check in a region: Phase + k·Every, counted
// from the Unix epoch.
type Slots struct {
	Every time.Duration // above zero
	Phase time.Duration // from zero, less than Every
}

// SlotsOf returns the slots of a check in region i of the n that run it.
func SlotsOf(check string, every time.Duration, i, n int) Slots {
	return Slots{Every: every, Phase: Phase(check, every, i, n)}
}

// Next returns the first slot after the time given, in UTC.
func (s Slots) Next(after time.Time) time.Time {
	since := after.UnixNano() - int64(s.Phase)
	k := since / int64(s.Every)
	if since%int64(s.Every) < 0 {
		k-- // Go rounds towards zero, slots before the epoch want the floor
	}
	return time.Unix(0, (k+1)*int64(s.Every)+int64(s.Phase)).UTC()
}

// Between yields the slots from the first time up to, but without, the second.
func (s Slots) Between(from, to time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for t := s.Next(from.Add(-1)); t.Before(to); t = t.Add(s.Every) {
			if !yield(t) {
				return
			}
		}
	}
}
