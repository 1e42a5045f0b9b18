package civil

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Span is the half-open stretch of time from From up to but without To.
type Span struct{ From, To time.Time }

// Duration returns the length of the span; an inverted span has length zero.
func (s Span) Duration() time.Duration { return max(0, s.To.Sub(s.From)) }

// Days is a set of weekdays, indexed by time.Weekday.
type Days [7]bool

// EveryDay returns the set of all seven days.
func EveryDay() Days { return Days{true, true, true, true, true, true, true} }

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWeekday reads a day written by its first three letters.
func ParseWeekday(s string) (time.Weekday, error) {
	if i := slices.Index(weekdays, strings.ToLower(s)); i >= 0 {
		return time.Weekday(i), nil
	}
	return 0, fmt.Errorf("%q is not a weekday; write one of %s", s, strings.Join(weekdays, ", "))
}

// ParseDays reads weekdays and ranges of them, such as mon-fri and sat. A
// range may wrap around the week's end: fri-mon.
func ParseDays(list []string) (Days, error) {
	var days Days
	for _, item := range list {
		first, last, isRange := strings.Cut(item, "-")
		a, err := ParseWeekday(strings.TrimSpace(first))
		if err != nil {
			return Days{}, err
		}
		b := a
		if isRange {
			if b, err = ParseWeekday(strings.TrimSpace(last)); err != nil {
				return Days{}, err
			}
		}
		for d := a; ; d = (d + 1) % 7 {
			days[d] = true
			if d == b {
				break
			}
		}
	}
	return days, nil
}

// Hours is a daily window on some days of the week, in wall-clock time. From
// at or after To means that the window ends on the following day; equal times
// make a window of a whole day. Days names the days on which a window starts.
type Hours struct {
	Days     Days
	From, To Clock
}

// overnight reports whether a window ends on the day after it starts.
func (h Hours) overnight() bool { return h.From >= h.To }

// On returns the window that starts on day d in loc, and whether there is one
// with any length: a window that a clock change swallows whole is none.
func (h Hours) On(d Date, loc *time.Location) (Span, bool) {
	if !h.Days[d.Weekday()] {
		return Span{}, false
	}
	end := d
	if h.overnight() {
		end = d.AddDays(1)
	}
	s := Span{At(d, h.From, loc), At(end, h.To, loc)}
	return s, s.From.Before(s.To)
}

// Spans returns the windows that overlap [from, to), cut at its ends, in
// order, with touching windows merged.
func (h Hours) Spans(from, to time.Time, loc *time.Location) []Span {
	var spans []Span
	// A window may start up to two days before from and still reach into it
	// where a clock change pushes its end, and on the day after to's where a
	// clock is set back over midnight and to is in the evening's second pass.
	last := DateOf(to.In(loc)).AddDays(1)
	for d := DateOf(from.In(loc)).AddDays(-2); !last.Before(d); d = d.AddDays(1) {
		s, ok := h.On(d, loc)
		if !ok {
			continue
		}
		s = Span{Later(s.From, from), Earlier(s.To, to)}
		if !s.From.Before(s.To) {
			continue
		}
		if n := len(spans); n > 0 && !spans[n-1].To.Before(s.From) {
			spans[n-1].To = Later(spans[n-1].To, s.To)
			continue
		}
		spans = append(spans, s)
	}
	return spans
}

// Later returns the later of two instants.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Earlier returns the earlier of two instants.
func Earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
