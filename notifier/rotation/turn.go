package rotation

import (
	"time"

	"nines/internal/civil"
)

// margin is how far from a change of the clocks a shift and the windows around
// it look like any other week's.
const margin = 3 * 24 * time.Hour

// taken returns how many of the first k shifts were somebody's turn.
//
// Away from clock changes the pattern of the shifts that Only excludes comes
// again and again, so whole periods are multiplied and only the shifts near a
// change are looked at one by one: ten years of hours are 87,600 shifts.
func (r *Rotation) taken(k int) int {
	if r.Only == nil {
		return k
	}
	count, j := 0, 0
	walk := func(until int) {
		for ; j < until; j++ {
			if len(r.windows(r.handoff(j), r.handoff(j+1))) > 0 {
				count++
			}
		}
	}
	period, perPeriod := r.period(), -1
	leap := func(until int) {
		periods := 0
		if period > 0 {
			periods = (until - j) / period
		}
		if periods <= 1 {
			return // nothing to multiply
		}
		if perPeriod < 0 {
			before := count
			walk(j + period)
			perPeriod = count - before
			periods--
		}
		count += periods * perPeriod
		j += periods * period
	}
	first, last := r.handoff(0), r.handoff(k)
	for _, change := range civil.Changes(first.Add(-margin), last.Add(margin), r.Zone) {
		leap(min(k, r.index(change.Add(-margin))))
		walk(min(k, r.index(change.Add(margin))+1))
	}
	leap(k)
	walk(k)
	return count
}

// period returns after how many shifts the cadence and the week begin together
// again; zero when they do not.
func (r *Rotation) period() int {
	const week = 7 * 24
	hours := r.Every.N
	switch r.Every.Unit {
	case Days:
		hours *= 24
	case Weeks:
		hours *= week
	case Months:
		return 0
	}
	return week / gcd(hours, week)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
