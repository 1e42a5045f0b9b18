package report

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"nines/checks"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/sla"
)

// reading is what a check's results say of a window.
type reading struct {
	spans   []regions.Span // from the window's start at the latest, to its end at the earliest
	regions [][]regions.RegionSpan
	// of is the range of At of the results that it came from, To included.
	of      sla.Interval
	digests []dayDigest // of the days of of
	took    *latencies
	percentiles
	coarse bool // some day was summed up by a rule by which results spoke for longer
}

// reader reads the results of one check that a window's ledger comes from, and
// no others:
//
// Let A be the start of the down span that covers the window's start, or the
// window's start, less the time for which a result speaks; let B be the end of
// the down span that the window's end cuts or touches, or else the last
// millisecond of the window. Then it is every result of a region that the check
// is configured for with A <= At <= B. Of results that have check, region,
// prober and slot in common, only the one whose line sorts first is one.
//
// Nothing outside that range can move a figure of the report: what is not down
// just before A is known from the results after A alone, and so at B. The hash
// is over the whole UTC days from that of A to that of B.
type reader struct {
	ctx         context.Context
	source      Source
	check       *config.Check
	rule        regions.Rule
	quarantines []checks.Quarantine
	window      sla.Interval
	stale       int64

	places   map[place]int32
	seen     [][]version    // by place
	read     sla.Interval   // range of At of everything that was read
	chosen   map[key][]byte // the lines that count of results in several versions
	resolved sla.Interval   // the range in which versions were compared
}

// place is a prober in a region; the reader numbers them.
type place struct {
	region int
	prober string
}

// key is what makes a result of the check unique.
type key struct {
	place int32
	slot  int64
}

// version is the slot and at of a result that was read: two of one slot and
// different at are versions of one result.
type version struct{ slot, at int64 }

// entry is a result with the place of its region in the rule and its line.
type entry struct {
	result checks.Result
	region int
	key    key
	at     int64
	line   []byte
}

func newReader(ctx context.Context, source Source, check *config.Check, quarantines []checks.Quarantine, window sla.Interval) *reader {
	rule := check.Rule()
	return &reader{
		ctx: ctx, source: source, check: check, rule: rule, quarantines: quarantines, window: window,
		stale:  int64((rule.Stale() + time.Millisecond - 1) / time.Millisecond),
		places: map[place]int32{},
	}
}

// again makes ready for another pass.
func (rd *reader) again() {
	for i := range rd.seen {
		rd.seen[i] = rd.seen[i][:0]
	}
	rd.read = sla.Interval{From: math.MaxInt64, To: math.MinInt64}
}

// run reads what the window needs.
func (rd *reader) run() (*reading, error) {
	for {
		rd.again()
		got, err := rd.pass()
		if err != nil {
			return nil, fmt.Errorf("reading results of %s: %w", rd.check.Name, err)
		}
		again, err := rd.resolve()
		if err != nil {
			return nil, fmt.Errorf("reading results of %s: %w", rd.check.Name, err)
		}
		if !again {
			return got, nil
		}
	}
}

// pass reads once from the first day that matters to the last.
func (rd *reader) pass() (*reading, error) {
	start, err := rd.start()
	if err != nil {
		return nil, err
	}
	got := &reading{took: newLatencies(rd.rule.Regions, rd.window, true), of: sla.Interval{From: start - rd.stale}}
	sweep := regions.NewSweep(rd.rule, rd.quarantines, milli(start))
	digests := newDigester(rd.rule.Regions)
	last, ended := rd.window.To-1, false
	for e, err := range rd.entries(dayOf(got.of.From)*dayMilli, math.MaxInt64) {
		if err != nil {
			return nil, err
		}
		if e.at >= rd.window.To && !ended {
			// Go on only while the down span lasts that the window's end cuts.
			sweep.Settle(e.result.At)
			if open, _ := sweep.Last(); open.Verdict != regions.Down || open.From.UnixMilli() >= rd.window.To {
				got.close(sweep, last+rd.stale+1, rd.window)
				ended = true
			} else {
				last = e.at
			}
		}
		if ended && dayOf(e.at) > dayOf(got.of.To) {
			break
		}
		digests.add(e.region, e.at, e.line)
		if ended {
			continue
		}
		sweep.Add(&e.result)
		if e.at >= rd.window.From && e.at < rd.window.To && rd.wasUp(&e.result) {
			got.took.add(e.region, e.at, int64(math.Round(e.result.TookMS*1000)))
		}
	}
	if !ended {
		got.close(sweep, last+rd.stale+1, rd.window)
	}
	digests.flush()
	got.digests = digests.done
	return got, nil
}

// close ends the sweep, at a time by which nothing that was read says anything
// any more.
func (got *reading) close(sweep *regions.Sweep, end int64, window sla.Interval) {
	got.spans = cutAfter(sweep.End(milli(end)), window.To)
	got.regions = sweep.Regions()
	got.of.To = window.To - 1
	if n := len(got.spans); n > 0 && got.spans[n-1].Verdict == regions.Down {
		got.of.To = got.spans[n-1].To.UnixMilli()
	}
}

// cutAfter leaves out the spans that begin at `to` or later and cuts the last
// one there unless it is down.
func cutAfter(spans []regions.Span, to int64) []regions.Span {
	n := len(spans)
	for n > 0 && spans[n-1].From.UnixMilli() >= to {
		n--
	}
	spans = spans[:n]
	if n > 0 && spans[n-1].Verdict != regions.Down {
		spans[n-1].To = milli(min(to, spans[n-1].To.UnixMilli()))
	}
	return spans
}

// start returns the start of the down span that reaches the window's start, or
// the window's start. It looks back twice as far each time.
func (rd *reader) start() (int64, error) {
	from := rd.window.From
	for reach := rd.stale; ; reach *= 2 {
		sweep := regions.NewSweep(rd.rule, rd.quarantines, milli(from-reach))
		for e, err := range rd.entries(from-reach-rd.stale, from) {
			if err != nil {
				return 0, err
			}
			sweep.Add(&e.result)
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

// wasUp reports whether r says that the target worked.
func (rd *reader) wasUp(r *checks.Result) bool {
	if r.Status != checks.Up && r.Status != checks.Degraded {
		return false
	}
	return !slices.ContainsFunc(rd.quarantines, func(q checks.Quarantine) bool { return q.Covers(r) })
}

// entries yields the results with an At in [from, to) that count, in the order
// of (At, region, prober, slot). What it yields is valid until the next.
func (rd *reader) entries(from, to int64) iter.Seq2[*entry, error] {
	return func(yield func(*entry, error) bool) {
		rd.read.From = min(rd.read.From, from)
		var group []entry // of one At
		flush := func() bool {
			counting := rd.distinct(group)
			for i := range counting {
				if !yield(&counting[i], nil) {
					return false
				}
			}
			group = group[:0]
			return true
		}
		for r, err := range rd.source.Results(rd.ctx, rd.check.Name, milli(from), milliUntil(to)) {
			if err != nil {
				yield(nil, err)
				return
			}
			region := slices.Index(rd.rule.Regions, r.Region)
			if region < 0 {
				continue
			}
			at := r.At.UnixMilli()
			if len(group) > 0 && at != group[0].at {
				if at < group[0].at {
					yield(nil, fmt.Errorf("the source gives %s after %s", r.At, milli(group[0].at)))
					return
				}
				if !flush() {
					return
				}
			}
			if group, err = rd.join(group, r, region, at); err != nil {
				yield(nil, err)
				return
			}
		}
		flush()
	}
}

// join appends a result to those of the same At, in buffers used before.
func (rd *reader) join(group []entry, r checks.Result, region int, at int64) ([]entry, error) {
	n := len(group)
	if n < cap(group) {
		group = group[:n+1]
	} else {
		group = append(group, entry{})
	}
	where := place{region, r.Prober}
	number, ok := rd.places[where]
	if !ok {
		number = int32(len(rd.places))
		rd.places[where] = number
		rd.seen = append(rd.seen, nil)
	}
	e := &group[n]
	e.result, e.region, e.at, e.key = r, region, at, key{number, r.Slot.UnixMilli()}
	var err error
	e.line, err = appendLine(e.line[:0], &r)
	return group, err
}

// distinct returns the results of one At that count, in order: of equal keys
// the first, and of a result in several versions the one that was chosen. It
// moves the others to the end of group, whose buffers stay apart.
func (rd *reader) distinct(group []entry) []entry {
	if len(group) > 1 {
		slices.SortFunc(group, func(a, b entry) int {
			return cmp.Or(strings.Compare(a.result.Region, b.result.Region), strings.Compare(a.result.Prober, b.result.Prober),
				cmp.Compare(a.key.slot, b.key.slot), bytes.Compare(a.line, b.line))
		})
	}
	n := 0
	var before key
	for i := range group {
		e := &group[i]
		if i > 0 && e.key == before {
			continue
		}
		before = e.key
		rd.seen[e.key.place] = append(rd.seen[e.key.place], version{e.key.slot, e.at})
		rd.read.To = max(rd.read.To, e.at)
		if line, ok := rd.chosen[e.key]; ok && !bytes.Equal(line, e.line) {
			continue
		}
		group[n], group[i] = group[i], group[n]
		n++
	}
	return group[:n]
}

// resolve looks for results that were read in several versions and chooses the
// line that sorts first of each. It reports whether the pass has to be done
// again with that choice, which is as rare as two probers under one name.
func (rd *reader) resolve() (again bool, err error) {
	several := rd.several()
	if len(several) == 0 || rd.chosen != nil && rd.resolved.From <= rd.read.From && rd.read.To <= rd.resolved.To {
		return false, nil
	}
	if rd.chosen != nil { // the pass went further than the one before
		rd.read = sla.Interval{From: min(rd.read.From, rd.resolved.From), To: max(rd.read.To, rd.resolved.To)}
		for k := range rd.chosen {
			several[k] = nil
		}
	}
	rd.chosen, rd.resolved = nil, rd.read
	for e, err := range rd.entries(rd.resolved.From, rd.resolved.To+1) {
		if err != nil {
			return false, err
		}
		if best, ok := several[e.key]; ok && (best == nil || bytes.Compare(e.line, best) < 0) {
			several[e.key] = bytes.Clone(e.line)
		}
	}
	rd.chosen = several
	return true, nil
}

// several returns the results that were read in several versions.
func (rd *reader) several() map[key][]byte {
	several := map[key][]byte{}
	for number, versions := range rd.seen {
		bySlot := func(a, b version) int { return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.at, b.at)) }
		if !slices.IsSortedFunc(versions, bySlot) {
			slices.SortFunc(versions, bySlot)
		}
		for i := 1; i < len(versions); i++ {
			if versions[i].slot == versions[i-1].slot && versions[i].at != versions[i-1].at {
				several[key{int32(number), versions[i].slot}] = nil
			}
		}
	}
	return several
}

func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// endOfTime is after every result: those of other centuries are not valid.
var endOfTime = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// milliUntil is milli for the end of a range, which may be open.
func milliUntil(ms int64) time.Time {
	if ms > endOfTime.UnixMilli() {
		return endOfTime
	}
	return milli(ms)
}
