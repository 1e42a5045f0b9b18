package statuspage

import (
	"time"

	"nines/internal/civil"
)

// Known is how long something is known for, be it that nobody could tell.
func (t Times) Known() time.Duration { return t.Up + t.Down + t.Unknown + t.Excused }

// Availability returns up / (up + down), or nil when that divides by zero.
func (t Times) Availability() *Percent {
	up, voted := t.Up.Milliseconds(), (t.Up + t.Down).Milliseconds()
	if voted <= 0 {
		return nil
	}
	// No overflow: a century of milliseconds, times 100,000, is below 2^63.
	p := Percent(up * 100_000 / voted)
	return &p
}

// last returns those of the days that are within the last n, today included.
func (p *Page) last(days []Day, n int) []Day {
	first := civil.DateOf(p.Now.UTC()).AddDays(1 - n)
	for len(days) > 0 && days[0].Date.Before(first) {
		days = days[1:]
	}
	return days
}

// sum adds up days.
func sum(days []Day) Times {
	var t Times
	for _, d := range days {
		t.Up += d.Up
		t.Down += d.Down
		t.Unknown += d.Unknown
		t.Excused += d.Excused
		t.Degraded += d.Degraded
	}
	return t
}

// look is how a day's bar looks; each has a class of the stylesheet and a word
// in the legend.
type look string

const (
	looksNone        look = "none"        // nothing is known
	looksUp          look = "up"          // never down
	looksDegraded    look = "degraded"    // degraded for more than a hundredth of the time up
	looksPartial     look = "partial"     // down for less than an hour
	looksDown        look = "down"        // down for an hour or more
	looksUnknown     look = "unknown"     // mostly unknown, never down
	looksMaintenance look = "maintenance" // mostly maintenance, never down
)

// looks says how a stretch of time is drawn. Any time down is seen.
func (t Times) looks() look {
	switch {
	case t.Known() == 0:
		return looksNone
	case t.Down >= time.Hour:
		return looksDown
	case t.Down > 0:
		return looksPartial
	case 2*t.Excused > t.Known():
		return looksMaintenance
	case t.Unknown > t.Up:
		return looksUnknown
	case t.Up == 0:
		return looksMaintenance
	case 100*t.Degraded > t.Up:
		return looksDegraded
	}
	return looksUp
}
