// Package civil turns wall-clock times into instants: what "Monday 09:00" or
// "weekdays from 20:00 to 08:00" means in a zone whose clock jumps.
//
// One rule serves everybody who has a calendar (rotations, service hours,
// maintenance windows): a wall-clock time that a jump forward skips is the
// first instant after the jump, and one that a jump back repeats is its first
// occurrence.
//
// It is pure, imports nothing of this module and may be imported by all of it.
package civil

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Date is a day of the proleptic Gregorian calendar, in no particular zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf returns the day that t falls on in t's own location.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// AddDays returns the day n days later; n may be negative.
func (d Date) AddDays(n int) Date {
	return DateOf(time.Date(d.Year, d.Month, d.Day+n, 12, 0, 0, 0, time.UTC))
}

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday {
	return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC).Weekday()
}

// Before reports whether d comes before e.
func (d Date) Before(e Date) bool {
	return d.Year < e.Year || d.Year == e.Year && (d.Month < e.Month || d.Month == e.Month && d.Day < e.Day)
}

// DaysSince returns how many days d comes after e; negative when before.
func (d Date) DaysSince(e Date) int {
	const day = 24 * 60 * 60 // in seconds: a Duration ends after 292 years
	return int((time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix() -
		time.Date(e.Year, e.Month, e.Day, 0, 0, 0, 0, time.UTC).Unix()) / day)
}

// String returns the day as 2006-01-02.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

// ParseDate reads a day written as 2006-01-02.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is not a date; write it as 2026-01-31", s)
	}
	return DateOf(t), nil
}

// Clock is a time of day in minutes after midnight, 0 to 1440; 1440 is 24:00,
// the midnight at the day's end.
type Clock int

// ParseClock reads a time of day written as 15:04, from 00:00 to 24:00.
func ParseClock(s string) (Clock, error) {
	hh, mm, ok := strings.Cut(s, ":")
	h, errH := strconv.ParseUint(hh, 10, 8)
	m, errM := strconv.ParseUint(mm, 10, 8)
	if !ok || len(hh) != 2 || len(mm) != 2 || errH != nil || errM != nil || m > 59 || h*60+m > 24*60 {
		return 0, fmt.Errorf("%q is not a time of day; write it as \"09:00\", from \"00:00\" to \"24:00\"", s)
	}
	return Clock(h*60 + m), nil
}

// String returns the time of day as 15:04.
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", c/60, c%60) }

// At returns the instant at which the clocks of loc show c on day d. A time
// that was skipped is the first instant after the gap; a time that came twice
// is the first of the two. Days that a zone skipped whole count as a gap.
func At(d Date, c Clock, loc *time.Location) time.Time {
	// wall is the reading as if it were UTC; an instant shows it in loc if
	// adding the offset in force at that instant gives wall again.
	wall := time.Date(d.Year, d.Month, d.Day, 0, int(c), 0, 0, time.UTC)
	// No zone's offset is further from UTC than 26 hours, so wall is neither
	// shown nor skipped before this.
	const reach = 26 * time.Hour
	for t := wall.Add(-reach); ; {
		_, offset := t.In(loc).Zone()
		got := wall.Add(-time.Duration(offset) * time.Second)
		if got.Before(t) {
			// The stretch before ended earlier than wall and this one starts
			// later than it: wall was skipped.
			return t.In(loc)
		}
		next, ok := bound(t, loc)
		if !ok || got.Before(next) {
			return got.In(loc)
		}
		t = next
	}
}

// bound returns an instant after t up to which loc's offset stays what it is
// at t, or false when it never changes again. The offset need not change there.
func bound(t time.Time, loc *time.Location) (time.Time, bool) {
	_, end := t.In(loc).ZoneBounds()
	if end.IsZero() {
		return time.Time{}, false
	}
	if !end.After(t) {
		// Where a zone's last rule is in force, ZoneBounds takes every year for
		// 365 days long, and on the last day of a leap year answers with an end
		// that has passed (golang/go#81583). Nothing changes before the year does.
		u := t.UTC()
		end = time.Date(u.Year(), u.Month(), u.Day()+1, 0, 0, 0, 0, time.UTC)
	}
	return end, true
}

// Changes returns the instants after from and before to at which the offset
// of loc changes, in order.
func Changes(from, to time.Time, loc *time.Location) []time.Time {
	var changes []time.Time
	_, before := from.In(loc).Zone()
	for t := from; ; {
		next, ok := bound(t, loc)
		if !ok || !next.Before(to) {
			return changes
		}
		_, after := next.In(loc).Zone()
		if after != before {
			changes = append(changes, next)
		}
		t, before = next, after
	}
}

// StartOfDay returns the first instant of day d in loc, which need not be
// midnight.
func StartOfDay(d Date, loc *time.Location) time.Time { return At(d, 0, loc) }

// Month is a calendar month.
type Month struct {
	Year  int
	Month time.Month
}

// ParseMonth reads a month written as 2006-01.
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil {
		return Month{}, fmt.Errorf("%q is not a month; write it as 2026-01", s)
	}
	return MonthOf(t), nil
}

// MonthOf returns the month that t falls in, in t's own location.
func MonthOf(t time.Time) Month { return Month{t.Year(), t.Month()} }

// Next returns the month after m.
func (m Month) Next() Month { return MonthOf(time.Date(m.Year, m.Month+1, 1, 12, 0, 0, 0, time.UTC)) }

// String returns the month as 2006-01.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m.Year, m.Month) }

// Bounds returns the month's first instant in loc and that of the next month.
func (m Month) Bounds(loc *time.Location) (from, to time.Time) {
	next := m.Next()
	return StartOfDay(Date{m.Year, m.Month, 1}, loc), StartOfDay(Date{next.Year, next.Month, 1}, loc)
}
