package report

import (
	"slices"

	"nines/scheduler/sla"
)

// latencies are how long the runs of a window took that found their target up,
// in microseconds: by region and by UTC day.
type latencies struct {
	window  sla.Interval
	regions []string
	exact   []tally            // by region; nil: not known
	rough   map[string]*sketch // by region; where exact is nil
	days    []*sketch          // from the window's first UTC day on; nil: none
	into    [2]*sketch
}

func newLatencies(regions []string, window sla.Interval, exact bool) *latencies {
	l := &latencies{window: window, regions: regions, days: make([]*sketch, dayOf(window.To-1)-dayOf(window.From)+1)}
	if exact {
		l.exact = make([]tally, len(regions))
		return l
	}
	l.rough = map[string]*sketch{}
	l.reset(regions)
	return l
}

// reset forgets all that is not exact, and is about other regions from now on.
func (l *latencies) reset(regions []string) {
	l.regions = regions
	for region, s := range l.rough {
		if s.clear(); !slices.Contains(regions, region) {
			delete(l.rough, region)
		}
	}
	for _, region := range regions {
		if l.rough[region] == nil {
			l.rough[region] = &sketch{}
		}
	}
	for _, s := range l.days {
		if s != nil {
			s.clear()
		}
	}
}

// add takes one run of the window.
func (l *latencies) add(region int, at, us int64) {
	l.exact[region].add(us)
	l.day(at).add(bucketOf(us), 1)
}

// day returns the sketch of the UTC day that a time of the window is on.
func (l *latencies) day(at int64) *sketch {
	i := dayOf(at) - dayOf(l.window.From)
	if l.days[i] == nil {
		l.days[i] = &sketch{}
	}
	return l.days[i]
}

// part implements partReader.
func (l *latencies) part(region string, from, to int64) []*sketch {
	p := part{from: from, to: to}
	into, wanted := l.rough[region]
	if !wanted || !p.within(l.window.From, l.window.To) {
		return nil
	}
	l.into = [2]*sketch{into, l.day(max(from, l.window.From))}
	return l.into[:]
}

// take adds what a rollup that was never stored holds.
func (l *latencies) take(r *Rollup) {
	for i := range r.Regions {
		for j := range r.Regions[i].parts {
			p := &r.Regions[i].parts[j]
			for _, into := range l.part(r.Regions[i].Region, p.from, p.to) {
				into.merge(&p.took)
			}
		}
	}
}

// taken are the latencies of all checks together.
type taken struct {
	exact map[string]*tally
	rough map[string]*sketch
	days  []*sketch
}

func (t *taken) merge(l *latencies) {
	if t.days == nil {
		t.exact, t.rough, t.days = map[string]*tally{}, map[string]*sketch{}, make([]*sketch, len(l.days))
	}
	for i := range l.exact {
		of := t.exact[l.regions[i]]
		if of == nil {
			of = &tally{}
			t.exact[l.regions[i]] = of
		}
		of.merge(&l.exact[i])
	}
	for region, s := range l.rough {
		if t.rough[region] == nil {
			t.rough[region] = &sketch{}
		}
		t.rough[region].merge(s)
	}
	for i, s := range l.days {
		if s == nil || s.n == 0 {
			continue
		}
		if t.days[i] == nil {
			t.days[i] = &sketch{}
		}
		t.days[i].merge(s)
	}
}

// percentile returns the p-th percentile of a region in microseconds.
func (t *taken) percentile(region string, p int64) (int64, bool) {
	if of := t.exact[region]; of != nil {
		return of.percentile(p)
	}
	return t.rough[region].percentile(p)
}

// percentiles are three of them, in milliseconds.
type percentiles struct{ p50, p95, p99 Decimal }

// percentilesOf asks for each of the three, in microseconds.
func percentilesOf(percentile func(p int64) (int64, bool)) (list percentiles) {
	for p, into := range map[int64]*Decimal{50: &list.p50, 95: &list.p95, 99: &list.p99} {
		if us, ok := percentile(p); ok {
			*into = millis(us)
		}
	}
	return list
}

// percentiles are those over all regions.
func (l *latencies) percentiles() percentiles {
	if l.exact != nil {
		var all tally
		for i := range l.exact {
			all.merge(&l.exact[i])
		}
		return percentilesOf(all.percentile)
	}
	var all sketch
	for _, s := range l.rough {
		all.merge(s)
	}
	return percentilesOf(all.percentile)
}
