// Package rotation answers who is on call. One pure function serves paging,
// previews, calendars and handoffs, so that they cannot disagree: everything,
// time included, comes in as an argument, and no clock, disk or network is
// touched.
//
// It imports nothing of this module but internal packages.
package rotation

import (
	"time"

	"nines/internal/civil"
)

// Unit is what a rotation's cadence counts.
type Unit int

const (
	Hours Unit = iota
	Days
	Weeks
	Months
)

// Cadence is how long a turn is: so many hours, days, weeks or months.
type Cadence struct {
	N    int // at least 1
	Unit Unit
}

// Handoff is the wall-clock time at which turns change hands.
type Handoff struct {
	Weekday time.Weekday // for weeks
	Day     int          // for months: 1 to 31; a month without it hands off on its last day
	At      civil.Clock
}

// Rotation is people taking turns.
type Rotation struct {
	Name    string
	Zone    *time.Location
	Every   Cadence
	Handoff Handoff
	// Start is the day from which the rotation counts: the first shift, which
	// is the one that contains the first handoff on or after it, belongs to
	// the first of People. Before that handoff nobody is on call.
	Start  civil.Date
	People []string // at least one
	// Only is when anybody is on call; nil means always. A shift without any
	// time in it uses up nobody's turn.
	Only      *civil.Hours
	Overrides []Override
}

// Override puts a person on call for a span, whoever's turn it is, and whether
// or not it is anybody's. It uses up no turn. Of two that overlap the later in
// the list wins; one that does not end after it starts is none.
type Override struct {
	Person   string
	From, To time.Time
}

// Shift is a contiguous span of one person.
type Shift struct {
	Person   string
	From, To time.Time
}
