package scheduler

import (
	"slices"
	"time"

	"nines/checks"
	"nines/regions"
	"nines/scheduler/config"
)

// ahead is how far a result may be dated in the future, as clocks differ. One
// within it counts at once. One beyond is kept as it came and says nothing on
// the boards: the ledger, which goes by its date, counts it when that has come.
const ahead = 5 * time.Second

// flapSpan is how far back incidents of a check count as its flapping.
const flapSpan = time.Hour

// watch is a check as it stands now. A watch is replaced and not modified once
// others can see it: what a transaction does not commit never was.
type watch struct {
	check *config.Check
	rule  regions.Rule
	board *regions.Board

	judged   time.Time // when it was last judged, and never for an earlier time again
	judgment regions.Judgement
	since    time.Time // of the verdict; zero: not known
	next     time.Time // when the verdict may change without a result; zero: it does not

	incident int64 // the one that is not settled; 0: none
	asked    time.Time
	// By region, in the rule's order: whether it was down when last judged, and
	// its latest result, which is not modified; nil: none yet.
	failing []bool
	latest  []*checks.Result
}

func newWatch(c *config.Check, now time.Time) *watch {
	rule := c.Rule()
	return &watch{
		check: c, rule: rule, board: regions.NewBoard(rule), next: now,
		failing: make([]bool, len(rule.Regions)), latest: make([]*checks.Result, len(rule.Regions)),
		judgment: regions.Judgement{Verdict: regions.Unknown},
	}
}

// clone returns a watch that can be modified.
func (w *watch) clone() *watch {
	c := *w
	c.board = w.board.Clone()
	c.failing, c.latest = slices.Clone(w.failing), slices.Clone(w.latest)
	return &c
}

// put puts a result on the board, unless it is dated too far ahead. The
// quarantined says nothing but that it was.
func (w *watch) put(r checks.Result, quarantined bool, now time.Time) {
	if r.At.After(now.Add(ahead)) {
		return
	}
	if quarantined {
		r.Status, r.Reason = checks.Unknown, checks.ProberQuarantine
	}
	if i := slices.Index(w.rule.Regions, r.Region); i >= 0 {
		if before := w.latest[i]; before == nil || before.At.Before(r.At) {
			kept := r
			w.latest[i] = &kept
		}
	}
	w.board.Add(&r)
	if r.At.After(w.judged) {
		w.judged = r.At // it counts at once, and so never later
	}
}

// verdictAt returns what judge would find at now.
func (w *watch) verdictAt(now time.Time) regions.Verdict {
	if w.judged.After(now) {
		now = w.judged
	}
	return w.board.Judge(now).Verdict
}

// judge judges the check at now, or at a result that is dated a little ahead.
// It reports whether the verdict has changed.
func (w *watch) judge(now time.Time) bool {
	if w.judged.Before(now) {
		w.judged = now
	}
	before := w.judgment.Verdict
	w.judgment = w.board.Judge(w.judged)
	w.next = w.board.NextChange(w.judged)
	if w.judgment.Verdict == before {
		return false
	}
	w.since = now
	return true
}

// newest returns when the latest result of any region was taken; zero: there
// is none.
func (w *watch) newest() time.Time {
	var newest time.Time
	for _, r := range w.latest {
		if r != nil && r.At.After(newest) {
			newest = r.At
		}
	}
	return newest
}

// down returns the votes that are down.
func (w *watch) down() (votes []regions.Vote) {
	for _, v := range w.judgment.Votes {
		if v.Status == checks.Down {
			votes = append(votes, v)
		}
	}
	return votes
}

// mayOpen reports whether the verdict at now is one to open an incident for:
// down, by a result that is not older than two intervals. Others are history
// that came late.
func (w *watch) mayOpen(now time.Time) bool {
	if w.judgment.Verdict != regions.Down {
		return false
	}
	for _, v := range w.down() {
		if now.Sub(v.At) <= 2*w.rule.Every {
			return true
		}
	}
	return false
}

// downSince returns since when the verdict is down without a break, as far
// back as the results that vote now tell.
func (w *watch) downSince(now time.Time) time.Time {
	var times []time.Time
	for _, v := range w.down() {
		times = append(times, v.At)
	}
	from := now
	for len(times) > 0 {
		last := 0
		for i, t := range times {
			if t.After(times[last]) {
				last = i
			}
		}
		t := times[last]
		if w.board.Judge(t).Verdict != regions.Down {
			break
		}
		if t.Before(from) {
			from = t
		}
		times = append(times[:last], times[last+1:]...)
	}
	return from
}

// suspects reports whether a region has begun to fail that did not before,
// while the check as a whole is not down: the other regions are to look at
// once. It is asked for at most once in half an interval, and again for a
// region only after it has been up, so that a check in trouble is run at most
// a few times as often as planned.
func (w *watch) suspects(now time.Time) bool {
	began := false
	for i, v := range w.judgment.Votes {
		down := v.Status == checks.Down
		began = began || down && !w.failing[i]
		w.failing[i] = down
	}
	if !began || w.judgment.Verdict == regions.Down || len(w.rule.Regions) < 2 || now.Sub(w.asked) < w.rule.Every/2 {
		return false
	}
	w.asked = now
	return true
}
