package report

import (
	"context"
	"fmt"
	"math"
	"time"

	"nines/checks"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/sla"
)

// versionsApart is how far from each other versions of one result can be for
// a rollup to see that they are. At is within an interval of Slot.
const versionsApart = int64(time.Hour / time.Millisecond)

// Roll sums up a UTC day of a check, counted from the epoch, by its results. It
// reads an hour on either side of the day as well.
func Roll(ctx context.Context, src Source, check *config.Check, day int64) (*Rollup, error) {
	quarantines, err := wholeQuarantines(ctx, src)
	if err != nil {
		return nil, err
	}
	return roll(ctx, src, check, quarantines, day)
}

func roll(ctx context.Context, src Source, check *config.Check, quarantines []checks.Quarantine, day int64) (*Rollup, error) {
	window := sla.Interval{From: day * dayMilli, To: (day + 1) * dayMilli}
	rd := newReader(ctx, src, check, quarantines, window)
	for {
		rd.again()
		rolled, err := rd.roll()
		if err != nil {
			return nil, fmt.Errorf("reading results of %s: %w", check.Name, err)
		}
		again, err := rd.resolve()
		if err != nil {
			return nil, fmt.Errorf("reading results of %s: %w", check.Name, err)
		}
		if !again {
			rolled.Day = day
			return rolled, nil
		}
	}
}

// roll reads the window once.
func (rd *reader) roll() (*Rollup, error) {
	digests := newDigester(rd.rule.Regions)
	makers := make([]stretcher, len(rd.rule.Regions))
	for e, err := range rd.entries(rd.window.From-versionsApart, rd.window.To+versionsApart) {
		if err != nil {
			return nil, err
		}
		if e.at < rd.window.From || e.at >= rd.window.To {
			continue
		}
		digests.add(e.region, e.at, e.line)
		makers[e.region].add(e, rd.said(&e.result), rd.stale)
	}
	digests.flush()
	r := &Rollup{}
	for _, digest := range digests.done {
		for i, name := range rd.rule.Regions {
			if name == digest.region {
				g := makers[i].finish(rd.stale)
				g.Region, g.Sum = name, digest.sum
				r.Regions = append(r.Regions, g)
			}
		}
	}
	return r, nil
}

// said returns what a result counts as: degraded is up, and a reason is kept
// of what is down alone.
func (rd *reader) said(r *checks.Result) regions.Stretch {
	at := r.At.UnixMilli()
	s := regions.Stretch{First: at, Last: at, Status: r.Status}
	for _, q := range rd.quarantines {
		if q.Covers(r) {
			s.Status = checks.Unknown
		}
	}
	switch s.Status {
	case checks.Degraded:
		s.Status = checks.Up
	case checks.Down:
		s.Reason = r.Reason
	}
	return s
}

// stretcher joins one region's results into stretches.
type stretcher struct {
	RegionDay
	last regions.Stretch // the latest result, which one of the same At may outdo
}

func (m *stretcher) add(e *entry, said regions.Stretch, stale int64) {
	if m.Count++; m.Count > 1 && said.First > m.last.First {
		m.join(stale)
	}
	m.last = said
	if said.Status == checks.Up {
		m.took(e.at, int64(math.Round(e.result.TookMS*1000)))
	}
}

// join puts the latest result to the stretches.
func (m *stretcher) join(stale int64) {
	if n := len(m.Stretches); n > 0 {
		s := &m.Stretches[n-1]
		gap := m.last.First - s.Last
		silent := s.Status == checks.Unknown
		if s.Status == m.last.Status && s.Reason == m.last.Reason && (silent || gap < stale) {
			if s.Last = m.last.Last; !silent {
				m.Gap = max(m.Gap, gap)
			}
			return
		}
	}
	m.Stretches = append(m.Stretches, m.last)
}

func (m *stretcher) took(at, us int64) {
	if n := len(m.parts); n == 0 || partOf(m.parts[n-1].from) != partOf(at) {
		m.parts = append(m.parts, part{from: at})
	}
	p := &m.parts[len(m.parts)-1]
	p.to = at
	p.took.add(bucketOf(us), 1)
}

func (m *stretcher) finish(stale int64) RegionDay {
	m.join(stale)
	return m.RegionDay
}
