package sla

import (
	"cmp"
	"slices"
	"time"

	"nines/internal/civil"
)

// Union returns the same instants in order, without overlaps, touching
// intervals as one and empty ones left out. The list given is not modified.
func Union(list []Interval) []Interval {
	sorted := slices.DeleteFunc(slices.Clone(list), func(i Interval) bool { return i.Len() == 0 })
	slices.SortFunc(sorted, func(a, b Interval) int { return cmp.Compare(a.From, b.From) })
	var union []Interval
	for _, i := range sorted {
		if n := len(union); n > 0 && i.From <= union[n-1].To {
			union[n-1].To = max(union[n-1].To, i.To)
			continue
		}
		union = append(union, i)
	}
	return union
}

// Outside returns how much of i lies in none of the intervals of a Union.
func Outside(i Interval, union []Interval) int64 {
	n := i.Len()
	for _, u := range union {
		n -= u.Cut(i).Len()
	}
	return n
}

// Complement returns the parts of w that lie in none of the intervals of a
// Union.
func Complement(w Interval, union []Interval) []Interval {
	var rest []Interval
	at := w.From
	for _, u := range union {
		if gap := (Interval{at, u.From}).Cut(w); gap.Len() > 0 {
			rest = append(rest, gap)
		}
		at = max(at, u.To)
	}
	if gap := (Interval{at, w.To}).Cut(w); gap.Len() > 0 {
		rest = append(rest, gap)
	}
	return rest
}

// Intervals returns spans of wall-clock time as instants, in whole milliseconds.
func Intervals(spans []civil.Span) []Interval {
	list := make([]Interval, len(spans))
	for i, s := range spans {
		list[i] = Interval{s.From.UnixMilli(), s.To.UnixMilli()}
	}
	return list
}

// OutsideHours returns the parts of w that lie outside the service hours; nil
// hours are always.
func OutsideHours(w Interval, hours *civil.Hours, zone *time.Location) []Interval {
	if hours == nil {
		return nil
	}
	within := hours.Spans(time.UnixMilli(w.From), time.UnixMilli(w.To), zone)
	return Complement(w, Union(Intervals(within)))
}
