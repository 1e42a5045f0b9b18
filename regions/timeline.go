package regions

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"time"

	"nines/checks"
)

// Span is a stretch of time with one verdict, from From up to but without To.
type Span struct {
	From, To time.Time
	Verdict  Verdict
	Down     []string      // regions that are down at From, in the rule's order
	Reason   checks.Reason // the commonest of theirs; of equals the first by the alphabet
}

// Fold returns the spans as the ledger counts them: degraded is up, and spans
// that touch and say the same are one. The spans given are not modified.
func Fold(spans []Span) []Span {
	var folded []Span
	for _, s := range spans {
		if s.Verdict == Degraded {
			s.Verdict = Up
		}
		if n := len(folded); n > 0 && folded[n-1].Verdict == s.Verdict && folded[n-1].To.Equal(s.From) {
			folded[n-1].To = s.To
			continue
		}
		folded = append(folded, s)
	}
	return folded
}

// RegionSpan is a stretch of time in which one region says the same.
type RegionSpan struct {
	From, To time.Time
	Status   checks.Status // up (degraded is up), down, or empty when silent
}

// Timeline divides [from, to) by the verdict. Results come in any order, and
// those before from count for what they still say there; results inside a
// quarantine of their prober count as unknown. A span that begins at from may
// really have begun earlier.
func Timeline(rule Rule, results iter.Seq[*checks.Result], quarantines []checks.Quarantine, from, to time.Time) []Span {
	s := NewSweep(rule, quarantines, from)
	type placed struct {
		region int
		said   said
	}
	var all []placed
	for r := range results {
		if i, said, ok := s.read(r); ok {
			all = append(all, placed{i, said})
		}
	}
	byAt := func(a, b placed) int { return cmp.Compare(a.said.at, b.said.at) }
	if !slices.IsSortedFunc(all, byAt) {
		slices.SortFunc(all, byAt)
	}
	for _, p := range all {
		if p.said.at >= to.UnixMilli() {
			break
		}
		s.add(p.region, p.said)
	}
	return s.End(to)
}

// Sweep goes through a check's results in the order of their At and divides
// the time from its start on by the verdict, and for each region by what the
// region says. It holds one result a region, however many go in.
type Sweep struct {
	rule       Rule
	stale      int64
	quarantine map[string][]checks.Quarantine // by prober

	now     int64  // everything before is settled; what counts from now on may still come
	latest  []said // by region
	changed bool   // since it was last judged, some region says something else
	expiry  int64  // no vote goes stale before that
	votes   []Vote // to be used again
	spans   []Span // the last one is open: its To is not set
	regions [][]RegionSpan
}

// NewSweep returns a sweep whose spans begin at from. Results from before are
// to be added as well, as far back as they still say something there.
func NewSweep(rule Rule, quarantines []checks.Quarantine, from time.Time) *Sweep {
	s := &Sweep{
		rule:    rule,
		stale:   rule.staleMilli(),
		now:     from.UnixMilli(),
		latest:  make([]said, len(rule.Regions)),
		changed: true,
		expiry:  math.MaxInt64,
		votes:   make([]Vote, 0, len(rule.Regions)),
		regions: make([][]RegionSpan, len(rule.Regions)),
	}
	for _, q := range quarantines {
		if s.quarantine == nil {
			s.quarantine = map[string][]checks.Quarantine{}
		}
		s.quarantine[q.Prober] = append(s.quarantine[q.Prober], q)
	}
	return s
}

// Add takes the next result; its At is not before that of the one before it.
// Results of regions that the rule does not have are passed over.
func (s *Sweep) Add(r *checks.Result) {
	if i, said, ok := s.read(r); ok {
		s.add(i, said)
	}
}

// read returns the place of the result's region and what it says there.
func (s *Sweep) read(r *checks.Result) (region int, _ said, ok bool) {
	i := slices.Index(s.rule.Regions, r.Region)
	if i < 0 {
		return 0, said{}, false
	}
	what := saidBy(r)
	for _, q := range s.quarantine[r.Prober] {
		if q.Covers(r) {
			what.status, what.reason = checks.Unknown, checks.ProberQuarantine
		}
	}
	return i, what, true
}

func (s *Sweep) add(region int, what said) {
	s.settle(what.at)
	before := s.latest[region]
	if before.status != "" && what.compare(before) <= 0 {
		return
	}
	s.latest[region] = what
	if what.status != before.status {
		s.changed = true
	}
	s.expiry = min(s.expiry, what.last+s.stale)
}

// Stretch is what one region says by several results that follow one another
// closer than a result speaks, with nothing else of that region between them.
type Stretch struct {
	Region      int   // its place in the rule
	First, Last int64 // At of the first and the last result, in milliseconds
	Status      checks.Status
	Reason      checks.Reason
}

// AddStretch takes all results of a stretch at once, in Add's order by its First.
// Quarantines are not looked at: they are part of its status.
func (s *Sweep) AddStretch(r Stretch) {
	s.add(r.Region, said{at: r.First, last: r.Last, status: r.Status, reason: r.Reason})
}

// Settle says that no further result has an At before t.
func (s *Sweep) Settle(t time.Time) { s.settle(t.UnixMilli()) }

func (s *Sweep) settle(t int64) {
	for s.now < t {
		s.judge()
		s.now = min(t, s.expiry)
	}
}

// judge notes what the regions say at s.now, and what they say together.
func (s *Sweep) judge() {
	if s.expiry <= s.now {
		s.expire()
	}
	if !s.changed {
		return
	}
	s.changed = false
	at := milli(s.now)
	j := s.rule.judge(s.latest, s.now, s.votes[:0])
	for i, v := range j.Votes {
		status := v.Status
		if status == checks.Degraded {
			status = checks.Up
		}
		if n := len(s.regions[i]); n == 0 || s.regions[i][n-1].Status != status {
			if n > 0 {
				s.regions[i][n-1].To = at
			}
			s.regions[i] = append(s.regions[i], RegionSpan{From: at, Status: status})
		}
	}
	n := len(s.spans)
	if n > 0 && s.spans[n-1].Verdict == j.Verdict {
		return
	}
	if n > 0 {
		s.spans[n-1].To = at
	}
	down, reason := j.Where()
	s.spans = append(s.spans, Span{From: at, Verdict: j.Verdict, Down: down, Reason: reason})
}

// expire forgets what is stale at s.now and finds when the next goes stale.
func (s *Sweep) expire() {
	s.expiry = math.MaxInt64
	for i, what := range s.latest {
		switch {
		case what.status == "":
		case s.now-what.last >= s.stale:
			s.latest[i] = said{}
			s.changed = true
		default:
			s.expiry = min(s.expiry, what.last+s.stale)
		}
	}
}

// Last returns the span that reaches up to what is settled; its To is not set.
// There is none before anything is settled.
func (s *Sweep) Last() (Span, bool) {
	if len(s.spans) == 0 {
		return Span{}, false
	}
	return s.spans[len(s.spans)-1], true
}

// End settles the time up to `to` and returns the spans from the start until
// then: without a gap, none empty, neighbours different. Nothing may be added
// afterwards.
func (s *Sweep) End(to time.Time) []Span {
	s.Settle(to)
	if n := len(s.spans); n > 0 {
		s.spans[n-1].To = milli(s.now)
	}
	for _, spans := range s.regions {
		if n := len(spans); n > 0 {
			spans[n-1].To = milli(s.now)
		}
	}
	return s.spans
}

// Regions returns, after End, the spans of each region in the rule's order.
func (s *Sweep) Regions() [][]RegionSpan { return s.regions }
