// Package sla is the arithmetic of availability: spans of up, down and unknown
// go in with what is excused and what was promised, and out comes the ledger of
// a window with everything that follows from it. It is section 4 of the
// contract, items 3 to 7.
//
// It is pure. Instants are milliseconds since the Unix epoch and lengths are
// milliseconds, all of them integers; percentages are fractions that are
// compared exactly and only ever rounded down. Up, down, unknown and excused
// sum to the window to the millisecond.
//
// Left to others: verdicts (regions), where results come from and how a ledger
// looks (report). It imports nothing of this module but internal packages.
package sla

import (
	"cmp"
	"slices"
)

// State is what an instant counts as.
type State uint8

const (
	Unknown State = iota // too little was known to say; also where no span is
	Up
	Down
	Excused // maintenance, or outside service hours
)

// Interval is the half-open stretch [From, To).
type Interval struct{ From, To int64 }

// Len returns the length; an inverted interval has none.
func (i Interval) Len() int64 { return max(0, i.To-i.From) }

// Cut returns the part of i that lies within w; its length may be zero.
func (i Interval) Cut(w Interval) Interval {
	return Interval{max(i.From, w.From), min(i.To, w.To)}
}

// Span is an interval in one state: Up, Down or Unknown.
type Span struct {
	Interval
	State State
}

// Check is one check on its way into a ledger.
type Check struct {
	// Spans are in order and do not overlap; what lies between them is
	// unknown. A down span that crosses an end of the window is given whole.
	Spans []Span
	// Excused is when nothing counts, in any order.
	Excused []Interval
}

// Terms are what was promised.
type Terms struct {
	Window    Interval
	MinOutage int64 // shorter down spans count as up
	Average   bool  // the checks' times are added up; else any check that is down makes all down
	Target    int64 // millionths of a percent: 99.95 % is 99_950_000
	Credits   []Credit
}

// Totals divides a window. Up, Down, Unknown and Excused sum to Window.
type Totals struct{ Window, Up, Down, Unknown, Excused int64 }

// Outage is one whole down span of a check.
type Outage struct {
	Check int // its place among the checks
	Span  int // its place among the check's spans
	Interval
	Counted int64 // how much of it lies in the window and is not excused; above zero
}

// Ledger is what a window comes to.
type Ledger struct {
	Terms Terms
	Totals
	Checks  []Totals // one a check, in their order
	Divided [][]Span // the window of each check without a gap, Excused laid over
	Outages []Outage // by From, then by check
}

// Account closes the books on a window.
func Account(terms Terms, checks []Check) Ledger {
	l := Ledger{Terms: terms, Checks: make([]Totals, len(checks)), Divided: make([][]Span, len(checks))}
	for i, c := range checks {
		excused := Union(c.Excused)
		l.Divided[i] = divide(c.Spans, excused, terms)
		l.Checks[i] = sum(l.Divided[i])
		for n, s := range c.Spans {
			if s.State != Down || s.Len() < terms.MinOutage {
				continue
			}
			if counted := Outside(s.Cut(terms.Window), excused); counted > 0 {
				l.Outages = append(l.Outages, Outage{Check: i, Span: n, Interval: s.Interval, Counted: counted})
			}
		}
	}
	slices.SortStableFunc(l.Outages, func(a, b Outage) int { return cmp.Compare(a.From, b.From) })
	if terms.Average {
		for _, t := range l.Checks {
			l.Totals = l.Totals.plus(t)
		}
	} else {
		l.Totals = anyDown(l.Divided, terms.Window)
	}
	return l
}

func (t Totals) plus(o Totals) Totals {
	return Totals{t.Window + o.Window, t.Up + o.Up, t.Down + o.Down, t.Unknown + o.Unknown, t.Excused + o.Excused}
}

// add counts so many milliseconds in one state.
func (t *Totals) add(s State, ms int64) {
	t.Window += ms
	switch s {
	case Up:
		t.Up += ms
	case Down:
		t.Down += ms
	case Excused:
		t.Excused += ms
	default:
		t.Unknown += ms
	}
}

func sum(spans []Span) Totals {
	var t Totals
	for _, s := range spans {
		t.add(s.State, s.Len())
	}
	return t
}

// divide returns the window without a gap: the check's spans once short
// outages are forgiven, cut to the window, with what is excused laid over
// them. Excused is in order and does not overlap.
func divide(spans []Span, excused []Interval, terms Terms) []Span {
	whole := make([]Span, 0, len(spans)+2*len(excused)+1)
	// lay appends up to `to`, as the state given where nothing is excused.
	at := terms.Window.From
	lay := func(to int64, state State) {
		for at < to {
			for len(excused) > 0 && excused[0].To <= at {
				excused = excused[1:]
			}
			next, what := to, state
			if len(excused) > 0 {
				if excused[0].From <= at {
					next, what = min(to, excused[0].To), Excused
				} else {
					next = min(to, excused[0].From)
				}
			}
			whole = append(whole, Span{Interval{at, next}, what})
			at = next
		}
	}
	for _, s := range spans {
		if s.State == Down && s.Len() < terms.MinOutage {
			s.State = Up
		}
		s.Interval = s.Cut(terms.Window)
		if s.Len() == 0 {
			continue
		}
		lay(s.From, Unknown)
		lay(s.To, s.State)
	}
	lay(terms.Window.To, Unknown)
	return whole
}

// anyDown says for each instant what all checks together are: down if one is,
// else unknown if one is, else up. A check that is excused then has no say;
// where all are, the instant is excused. Each list covers the window.
func anyDown(checks [][]Span, window Interval) Totals {
	type change struct {
		at       int64
		from, to State
	}
	var changes []change
	var count [4]int // checks in each state
	for _, spans := range checks {
		for i, s := range spans {
			if i == 0 {
				count[s.State]++
			} else if before := spans[i-1].State; before != s.State {
				changes = append(changes, change{s.From, before, s.State})
			}
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	together := func() State {
		switch {
		case count[Down] > 0:
			return Down
		case count[Unknown] > 0:
			return Unknown
		case count[Up] > 0:
			return Up
		}
		return Excused
	}
	var t Totals
	at := window.From
	for _, c := range changes {
		t.add(together(), c.at-at)
		at = c.at
		count[c.from]--
		count[c.to]++
	}
	t.add(together(), Interval{at, window.To}.Len())
	return t
}
