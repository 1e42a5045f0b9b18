package rotation

import (
	"time"

	"nines/internal/civil"
)

// Doubt is a handoff whose time on the wall is skipped by the clocks of the
// rotation's zone, or comes twice.
type Doubt struct {
	Day     civil.Date
	Clock   civil.Clock
	Skipped bool      // else it comes twice
	At      time.Time // when the handoff is: after the gap, or at the first of the two
}

// Doubts returns the handoffs from from up to to that people may read in two
// ways, in order.
func (r *Rotation) Doubts(from, to time.Time) []Doubt {
	var doubts []Doubt
	for k := max(0, r.index(from)); ; k++ {
		at := r.handoff(k)
		if !at.Before(to) {
			return doubts
		}
		if at.Before(from) {
			continue
		}
		day, clock := r.reading(k)
		if skipped := !shows(at, day, clock); skipped || r.again(at, day, clock) {
			doubts = append(doubts, Doubt{day, clock, skipped, at})
		}
	}
}

// shows reports whether clocks show a reading at t, which has their zone.
func shows(t time.Time, day civil.Date, clock civil.Clock) bool {
	if clock == 24*60 {
		day, clock = day.AddDays(1), 0
	}
	return civil.DateOf(t) == day && t.Hour()*60+t.Minute() == int(clock)
}

// again reports whether clocks that show a reading at t show it once more when
// they have been set back.
func (r *Rotation) again(t time.Time, day civil.Date, clock civil.Clock) bool {
	const longest = 26 * time.Hour // no zone's clocks were ever set back further
	_, before := t.Zone()
	for _, change := range civil.Changes(t, t.Add(longest), r.Zone) {
		_, after := change.In(r.Zone).Zone()
		second := t.Add(time.Duration(before-after) * time.Second)
		if second.After(t) && !second.Before(change) && shows(second.In(r.Zone), day, clock) {
			return true
		}
	}
	return false
}
