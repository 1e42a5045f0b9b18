package rotation

import (
	"slices"
	"sort"
	"time"

	"nines/internal/civil"
)

// OnCall returns who is on call at t; ok is false when nobody is.
func (r *Rotation) OnCall(t time.Time) (person string, ok bool) {
	shifts := r.Shifts(t, t.Add(1))
	if len(shifts) == 0 {
		return "", false
	}
	return shifts[0].Person, true
}

// Shifts returns who is on call between from and to, in order, in the
// rotation's zone. Spans that touch and have one person are one shift; times
// at which nobody is on call are left out; the first and the last shift are cut
// at from and to.
func (r *Rotation) Shifts(from, to time.Time) []Shift {
	from, to = from.Round(0).In(r.Zone), to.Round(0).In(r.Zone)
	shifts := r.turns(from, to)
	for _, o := range r.Overrides {
		shifts = replace(shifts, cut(Shift{o.Person, o.From.Round(0).In(r.Zone), o.To.Round(0).In(r.Zone)}, from, to))
	}
	return merge(shifts)
}

// Begun returns the shifts that overlap from and to, as Shifts does, but with
// the whole of the first: it starts when it started, be it long before from.
// It is for calendars, which know a shift by its start.
func (r *Rotation) Begun(from, to time.Time) []Shift {
	begins := r.handoff(0)
	for _, o := range r.Overrides {
		begins = civil.Earlier(begins, o.From)
	}
	for days := 32; ; days *= 2 {
		early := from.AddDate(0, 0, -days)
		shifts := r.Shifts(early, to)
		first := slices.IndexFunc(shifts, func(s Shift) bool { return s.To.After(from) })
		if first < 0 {
			return nil
		}
		if shifts[first].From.After(early) || !begins.Before(early) {
			return shifts[first:]
		}
	}
}

// turns returns the shifts between from and to as the cadence and Only have
// them, without overrides.
func (r *Rotation) turns(from, to time.Time) []Shift {
	var shifts []Shift
	k := max(0, r.index(from))
	turn := r.taken(k)
	for start := r.handoff(k); start.Before(to); k++ {
		end := r.handoff(k + 1)
		windows := r.windows(start, end)
		for _, w := range windows {
			s := cut(Shift{r.People[turn%len(r.People)], w.From, w.To}, from, to)
			if s.From.Before(s.To) {
				shifts = append(shifts, s)
			}
		}
		if len(windows) > 0 {
			turn++
		}
		start = end
	}
	return shifts
}

// windows returns when somebody is on call between two handoffs. There is no
// window when Only excludes all of it, and then it is nobody's turn.
func (r *Rotation) windows(start, end time.Time) []civil.Span {
	if r.Only == nil {
		return []civil.Span{{From: start, To: end}}
	}
	return r.Only.Spans(start, end, r.Zone)
}

// handoff returns the instant of a handoff; number 0 opens the first shift.
// It never goes back: of two handoffs the later number is not the earlier.
func (r *Rotation) handoff(number int) time.Time {
	day, clock := r.reading(number)
	return civil.At(day, clock, r.Zone)
}

// reading returns what the clocks of the rotation's zone should show at a
// handoff.
func (r *Rotation) reading(number int) (civil.Date, civil.Clock) {
	n := number * r.Every.N
	switch r.Every.Unit {
	case Hours:
		const day = 24 * 60
		minutes := int(r.Handoff.At) + 60*n
		return r.Start.AddDays(minutes / day), civil.Clock(minutes % day)
	case Days:
		return r.Start.AddDays(n), r.Handoff.At
	case Weeks:
		wait := (int(r.Handoff.Weekday) - int(r.Start.Weekday()) + 7) % 7
		return r.Start.AddDays(wait + 7*n), r.Handoff.At
	default:
		first := r.dayOf(0)
		if first.Before(r.Start) {
			n++
		}
		return r.dayOf(n), r.Handoff.At
	}
}

// dayOf returns the handoff day of the month so many months after Start's.
func (r *Rotation) dayOf(months int) civil.Date {
	next := r.Start.Month + time.Month(months) + 1
	day := civil.DateOf(time.Date(r.Start.Year, next, 0, 12, 0, 0, 0, time.UTC)) // the month's last
	day.Day = min(day.Day, r.Handoff.Day)
	return day
}

// index returns the number of the last handoff at or before t, or −1 when the
// rotation has not begun.
func (r *Rotation) index(t time.Time) int {
	// No handoff that many days after Start is still to come, however
	// clock changes and a month's length fall.
	days := civil.DateOf(t.In(r.Zone)).DaysSince(r.Start) + 3
	if days < 0 {
		return -1
	}
	units := days
	switch r.Every.Unit {
	case Hours:
		units = 24 * days
	case Weeks:
		units = days / 7
	case Months:
		units = days / 28
	}
	return sort.Search(units/r.Every.N+1, func(k int) bool { return r.handoff(k).After(t) }) - 1
}

// cut returns the part of a shift that lies between from and to; where there is
// none, it does not end after it starts.
func cut(s Shift, from, to time.Time) Shift {
	if s.From.Before(from) {
		s.From = from
	}
	s.To = civil.Earlier(s.To, to)
	return s
}

// replace puts a shift over whatever there is in its span.
func replace(shifts []Shift, over Shift) []Shift {
	if !over.From.Before(over.To) {
		return shifts
	}
	var before, after []Shift
	for _, s := range shifts {
		if s.From.Before(over.From) {
			before = append(before, Shift{s.Person, s.From, civil.Earlier(s.To, over.From)})
		}
		if s.To.After(over.To) {
			after = append(after, cut(s, over.To, s.To))
		}
	}
	return slices.Concat(before, []Shift{over}, after)
}

// merge joins shifts of one person that touch.
func merge(shifts []Shift) []Shift {
	var merged []Shift
	for _, s := range shifts {
		if n := len(merged); n > 0 && merged[n-1].Person == s.Person && merged[n-1].To.Equal(s.From) {
			merged[n-1].To = s.To
			continue
		}
		merged = append(merged, s)
	}
	return merged
}
