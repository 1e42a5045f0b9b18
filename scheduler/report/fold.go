package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"nines/regions"
	"nines/scheduler/sla"
)

// Summaries is a Source that keeps days summed up, some of them without their
// results.
type Summaries interface {
	Source
	// Rollups calls f with each stored day of a check from the first to the last,
	// in order, as Rollup.AppendBinary made it; days are counted from the epoch.
	// The bytes are f's until it returns.
	Rollups(ctx context.Context, check string, first, last int64, f func(day int64, body []byte) error) error
	// Whole returns since when every result is there; of the time before there
	// is at most what Rollups has.
	Whole(ctx context.Context) (time.Time, error)
}

// folder makes a check's reading from days summed up; it is reader's twin. Its
// latencies are those of took, which may be used again after they are merged.
type folder struct {
	*reader
	days  Summaries
	whole int64 // the first day whose results are there
	now   int64

	first, last int64 // days that are loaded; last before first: none
	loaded      map[int64]*Rollup
	took        *latencies
	// coarse are the days that were summed up by a rule by which a result spoke
	// for longer: true where they are to be summed up again, false where that
	// cannot be done any more.
	coarse map[int64]bool
}

func (f *folder) run() (*reading, error) {
	f.coarse = map[int64]bool{}
	for {
		found := len(f.coarse)
		f.took.reset(f.rule.Regions)
		got, err := f.fold()
		if err != nil {
			return nil, fmt.Errorf("reading days of %s: %w", f.check.Name, err)
		}
		if found == len(f.coarse) {
			for _, again := range f.coarse {
				got.coarse = got.coarse || !again
			}
			return got, nil
		}
	}
}

func (f *folder) fold() (*reading, error) {
	f.first, f.loaded = dayOf(f.window.From-f.stale), map[int64]*Rollup{}
	f.last = f.first - 1
	if err := f.reach(f.first, dayOf(f.window.To-1)); err != nil {
		return nil, err
	}
	start, err := f.start()
	if err != nil {
		return nil, err
	}
	got := &reading{took: f.took, of: sla.Interval{From: start - f.stale}}
	sweep := regions.NewSweep(f.rule, nil, milli(start))
	last, ended := f.window.To-1, false
	for from := f.first; !ended; {
		for _, s := range f.stretches(from, f.last) {
			if s.First >= f.window.To {
				sweep.Settle(milli(s.First))
				if open, _ := sweep.Last(); open.Verdict != regions.Down || open.From.UnixMilli() >= f.window.To {
					ended = true
					break
				}
			}
			last = max(last, s.Last)
			sweep.AddStretch(s)
		}
		if from = f.last + 1; ended || from > dayOf(f.now)+1 {
			break
		}
		// Whether the down span goes on that the window's end cuts, another day
		// has to say.
		sweep.Settle(milli(from * dayMilli))
		if open, _ := sweep.Last(); open.Verdict != regions.Down || open.From.UnixMilli() >= f.window.To {
			break
		}
		if err := f.reach(from, from); err != nil {
			return nil, err
		}
	}
	got.close(sweep, last+f.stale+1, f.window)
	if err := f.reach(dayOf(got.of.From), dayOf(got.of.To)); err != nil {
		return nil, err
	}
	for day := dayOf(got.of.From); day <= dayOf(got.of.To); day++ {
		if r := f.loaded[day]; r != nil {
			got.digests = append(got.digests, f.digestsOf(r)...)
		}
	}
	return got, nil
}

// start returns the start of the down span that reaches the window's start, or
// the window's start.
func (f *folder) start() (int64, error) {
	from := f.window.From
	for reach := f.stale; ; reach *= 2 {
		first := dayOf(from - reach - f.stale)
		if err := f.reach(first, f.last); err != nil {
			return 0, err
		}
		sweep := regions.NewSweep(f.rule, nil, milli(from-reach))
		for _, s := range f.stretches(first, dayOf(from)) {
			if s.First < from {
				sweep.AddStretch(s)
			}
		}
		sweep.Settle(milli(from))
		switch last, _ := sweep.Last(); {
		case last.Verdict != regions.Down:
			return from, nil
		case last.From.UnixMilli() > from-reach:
			return last.From.UnixMilli(), nil
		}
	}
}

// reach loads the days from first to last besides those that are loaded.
func (f *folder) reach(first, last int64) error {
	for _, gap := range [...][2]int64{{first, f.first - 1}, {f.last + 1, last}} {
		if gap[0] > gap[1] {
			continue
		}
		if err := f.days.Rollups(f.ctx, f.check.Name, gap[0], gap[1], f.take); err != nil {
			return err
		}
		for day := gap[0]; day <= gap[1]; day++ {
			if err := f.sum(day); err != nil {
				return err
			}
		}
	}
	f.first, f.last = min(f.first, first), max(f.last, last)
	return nil
}

// take takes a day as it is stored, unless it cannot be used.
func (f *folder) take(day int64, stored []byte) error {
	if f.coarse[day] {
		return nil
	}
	r, err := readRollup(day, stored, f.rule.Regions, f.took)
	if err != nil {
		return err
	}
	f.loaded[day] = r
	for i := range r.Regions {
		if g := &r.Regions[i]; g.Gap >= f.stale && slices.Contains(f.rule.Regions, g.Region) {
			f.coarse[day] = day >= f.whole
		}
	}
	return nil
}

// sum sums up a day that is not stored, or not so that it can be used, by
// whatever results there are.
func (f *folder) sum(day int64) error {
	if f.loaded[day] != nil || day > dayOf(f.now)+1 {
		return nil
	}
	r, err := roll(f.ctx, f.source, f.check, f.quarantines, day)
	if err != nil {
		return err
	}
	f.loaded[day] = r
	f.took.take(r)
	return nil
}

// stretches returns those of the days from first to last in the order of their
// beginnings, their regions numbered by the rule.
func (f *folder) stretches(first, last int64) []regions.Stretch {
	var list []regions.Stretch
	for day := first; day <= last; day++ {
		r := f.loaded[day]
		if r == nil {
			continue
		}
		from := len(list)
		for i := range r.Regions {
			place := slices.Index(f.rule.Regions, r.Regions[i].Region)
			if place < 0 {
				continue
			}
			for _, s := range r.Regions[i].Stretches {
				s.Region = place
				list = append(list, s)
			}
		}
		slices.SortStableFunc(list[from:], func(a, b regions.Stretch) int { return cmp.Compare(a.First, b.First) })
	}
	return list
}

// digestsOf returns the hashes of a day's regions that the rule has.
func (f *folder) digestsOf(r *Rollup) []dayDigest {
	var list []dayDigest
	for i := range r.Regions {
		if g := &r.Regions[i]; slices.Contains(f.rule.Regions, g.Region) {
			list = append(list, dayDigest{r.Day, g.Region, g.Sum})
		}
	}
	slices.SortFunc(list, func(a, b dayDigest) int { return cmp.Compare(a.region, b.region) })
	return list
}
