package regions

import (
	"slices"
	"time"

	"nines/checks"
)

// Board is a check as it stands: what each region last said. Results are put
// on it as they arrive, in any order, and it is judged as time goes by.
//
// A Board is its owner's to lock; Judge changes it too.
type Board struct {
	rule   Rule
	said   [][]said // by region, in the order in which they come to count
	judged int64    // the latest t that it was judged at
}

// NewBoard returns a board on which nothing was said yet.
func NewBoard(rule Rule) *Board {
	return &Board{rule: rule, said: make([][]said, len(rule.Regions))}
}

// Add puts a result on the board and reports whether it has a place there:
// results of regions that the rule does not have are passed over, as are those
// too old to say anything. A result under quarantine has to come with the
// status unknown. Nothing of r is kept but strings.
func (b *Board) Add(r *checks.Result) bool {
	i := slices.Index(b.rule.Regions, r.Region)
	if i < 0 {
		return false
	}
	s := saidBy(r)
	list := b.said[i]
	place, known := slices.BinarySearchFunc(list, s, said.compare)
	if known {
		return true
	}
	list = slices.Insert(list, place, s)
	// What is dated ahead does not count yet and may never be let in the way of
	// what does: only the times judged say what is past.
	oldest := b.judged - 2*b.rule.staleMilli()
	keep := slices.IndexFunc(list, func(s said) bool { return s.at > oldest })
	if keep < 0 {
		keep = len(list)
	}
	b.said[i] = slices.Delete(list, 0, keep)
	return place >= keep
}

// Judge returns the verdict at t. It is exact for every t that is no earlier
// than Rule.Stale before the latest that it was ever asked for; results too old
// for that are forgotten.
func (b *Board) Judge(t time.Time) Judgement {
	at := t.UnixMilli()
	b.judged = max(b.judged, at)
	latest := make([]said, len(b.said))
	for i, list := range b.said {
		if n := counting(list, at); n > 0 {
			latest[i] = list[n-1]
		}
	}
	return b.rule.judge(latest, at, make([]Vote, 0, len(latest)))
}

// NextChange returns the first instant after t at which the judgement can
// change without another result: what a region said goes stale, or a result
// that is dated ahead comes to count. It is zero when there is no such instant.
func (b *Board) NextChange(t time.Time) time.Time {
	at, stale := t.UnixMilli(), b.rule.staleMilli()
	var next int64
	sooner := func(instant int64) {
		if instant > at && (next == 0 || instant < next) {
			next = instant
		}
	}
	for _, list := range b.said {
		n := counting(list, at)
		if n > 0 {
			sooner(list[n-1].at + stale)
		}
		if n < len(list) {
			sooner(list[n].at)
		}
	}
	if next == 0 {
		return time.Time{}
	}
	return milli(next)
}

// counting returns how many of what was said, in order, was said by t.
func counting(list []said, t int64) int {
	n := len(list)
	for n > 0 && list[n-1].at > t {
		n--
	}
	return n
}

// Clone returns a board that says the same and goes its own way from here on.
func (b *Board) Clone() *Board {
	c := &Board{rule: b.rule, said: make([][]said, len(b.said))}
	for i, list := range b.said {
		c.said[i] = slices.Clone(list)
	}
	return c
}
