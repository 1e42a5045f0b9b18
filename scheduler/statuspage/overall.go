package statuspage

import (
	"iter"
	"slices"
)

// level is how the site as a whole is. Its text is the class that the page's
// headline has and the end of its keys in the catalogue.
type level string

const (
	levelNothing     level = "nothing" // no check is public
	levelOperational level = "operational"
	levelMaintenance level = "maintenance"
	levelUnclear     level = "unclear" // some checks are unknown, the others up
	levelUnknown     level = "unknown" // every check is
	levelDegraded    level = "degraded"
	levelPartial     level = "partial"
	levelMajor       level = "major" // at least half of what is known is down
)

// checks yields every check of the page in the order in which they are shown,
// with the number of its group.
func (p *Page) checks() iter.Seq2[int, *Check] {
	return func(yield func(int, *Check) bool) {
		for g := range p.Groups {
			for i := range p.Groups[g].Checks {
				if !yield(g, &p.Groups[g].Checks[i]) {
					return
				}
			}
		}
	}
}

// public returns the page without incidents and maintenances of checks that are
// not on it. A Source leaves them out; if it should not, nobody sees them.
func (p *Page) public() *Page {
	shown := map[string]bool{}
	for _, c := range p.checks() {
		shown[c.Name] = true
	}
	private := func(i Incident) bool { return !shown[i.Check] }
	out := *p
	out.Open = slices.DeleteFunc(slices.Clone(p.Open), private)
	out.Past = slices.DeleteFunc(slices.Clone(p.Past), private)
	out.Planned = nil
	for _, w := range p.Planned {
		w.Checks = slices.DeleteFunc(slices.Clone(w.Checks), func(name string) bool { return !shown[name] })
		if len(w.Checks) > 0 {
			out.Planned = append(out.Planned, w)
		}
	}
	return &out
}

// tally is how many checks are in each state.
type tally map[State]int

func (p *Page) tally() tally {
	n := tally{}
	for _, c := range p.checks() {
		n[c.State.known()]++
	}
	return n
}

// total is how many checks there are.
func (n tally) total() int { return n[Up] + n[Degraded] + n[Down] + n[Unknown] + n[Maintenance] }

// level puts the worst first, and what is known before what is not.
func (n tally) level() level {
	total := n.total()
	switch {
	case total == 0:
		return levelNothing
	case n[Down] > 0 && 2*n[Down] >= n[Up]+n[Degraded]+n[Down]:
		return levelMajor
	case n[Down] > 0:
		return levelPartial
	case n[Degraded] > 0:
		return levelDegraded
	case n[Unknown] == total:
		return levelUnknown
	case n[Unknown] > 0:
		return levelUnclear
	case n[Maintenance] > 0:
		return levelMaintenance
	}
	return levelOperational
}

// state is the level as one of the states, for icons.
func (l level) state() State {
	switch l {
	case levelOperational:
		return Up
	case levelMaintenance:
		return Maintenance
	case levelDegraded, levelPartial:
		return Degraded
	case levelMajor:
		return Down
	}
	return Unknown
}

// known returns the state itself if it is one of the set, else Unknown.
func (s State) known() State {
	switch s {
	case Up, Degraded, Down, Maintenance:
		return s
	}
	return Unknown
}
