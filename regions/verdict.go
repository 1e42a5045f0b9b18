// Package regions knows what runs where and when, and what the places say
// together: the slots of a check in its regions, the quorum, the verdict at an
// instant (Board) and over a span (Timeline, Sweep), and the wire between
// scheduler and probers.
//
// A verdict is a pure function of results and a rule: section 4 of the
// contract, items 1 and 2. It depends on no clock and never on the order in
// which results arrive. Board and Sweep put the same question to the same
// function, so that a page and a report cannot disagree.
//
// Left to others: running checks (prober), keeping results (store), what
// follows from a verdict (incident) and from a month of them (sla). It imports
// checks.
package regions

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"nines/checks"
)

// verdict applies the quorum to a count of votes of so many regions.
func (r Rule) verdict(speaking, voting, down, degraded int) Verdict {
	switch {
	case speaking == 0 || speaking < min(2, len(r.Regions)):
		return Unknown
	case r.Quorum.Met(down, voting):
		return Down
	case down > 0 || 2*degraded > voting:
		return Degraded
	}
	return Up
}

// judge lets the regions vote at t: latest holds what each of them last said,
// in the rule's order. Votes are appended to votes, which may be nil.
func (r Rule) judge(latest []said, t int64, votes []Vote) Judgement {
	j := Judgement{Votes: votes}
	stale := r.staleMilli()
	var voting, down, degraded int // by their weights
	for i, name := range r.Regions {
		v := latest[i].vote(name, t, stale)
		weight := r.weight(i)
		switch v.Status {
		case checks.Down:
			j.Down++
			j.Voting++
			down, voting = down+weight, voting+weight
		case checks.Degraded:
			j.Degraded++
			j.Voting++
			degraded, voting = degraded+weight, voting+weight
		case checks.Up:
			j.Voting++
			voting += weight
		}
		j.Votes = append(j.Votes, v)
	}
	j.Verdict = r.verdict(j.Voting, voting, down, degraded)
	return j
}

// Where returns the regions that are down, in the rule's order, and the
// commonest of their reasons; of equally common ones the first by the alphabet.
func (j Judgement) Where() ([]string, checks.Reason) {
	var down []string
	var reasons []checks.Reason
	for _, v := range j.Votes {
		if v.Status == checks.Down {
			down = append(down, v.Region)
			reasons = append(reasons, v.Reason)
		}
	}
	slices.Sort(reasons)
	var commonest checks.Reason
	most := 0
	for i := 0; i < len(reasons); {
		n := 1
		for i+n < len(reasons) && reasons[i+n] == reasons[i] {
			n++
		}
		if n > most {
			commonest, most = reasons[i], n
		}
		i += n
	}
	return down, commonest
}

// staleMilli is Stale in milliseconds. Instants are whole milliseconds, so
// that a fraction lets a result speak for one more.
func (r Rule) staleMilli() int64 {
	return int64((r.Stale() + time.Millisecond - 1) / time.Millisecond)
}

// said is what one result says for its region: the few bytes of it that a
// verdict needs. Its zero value says nothing.
type said struct {
	at, slot int64 // milliseconds since the Unix epoch
	last     int64 // At of the last of several results that say the same; of one, at
	tookMS   float64
	prober   string
	status   checks.Status // empty: nothing was said yet
	reason   checks.Reason
}

func saidBy(r *checks.Result) said {
	at := r.At.UnixMilli()
	return said{at, r.Slot.UnixMilli(), at, r.TookMS, r.Prober, r.Status, r.Reason}
}

// compare orders what was said in one region by what counts: the later at;
// of equal ones the greater (prober, slot). Two that are equal in all of that
// are one result in two versions, of which the one whose line of NDJSON sorts
// first counts: took_ms, status and reason are what the line goes on with.
func (s said) compare(o said) int {
	if c := cmp.Or(cmp.Compare(s.at, o.at), strings.Compare(s.prober, o.prober), cmp.Compare(s.slot, o.slot)); c != 0 {
		return c
	}
	return -cmp.Or(
		strings.Compare(decimal(s.tookMS), decimal(o.tookMS)),
		strings.Compare(string(s.status), string(o.status)),
		strings.Compare(string(s.reason), string(o.reason)),
	)
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// silentAt reports whether s gives its region no vote at t, in milliseconds.
func (s said) silentAt(t, stale int64) bool {
	return s.status == "" || s.status == checks.Unknown || t < s.at || t-s.last >= stale
}

// vote is what the region has to say at t.
func (s said) vote(region string, t, stale int64) Vote {
	if !s.silentAt(t, stale) {
		return Vote{Region: region, Status: s.status, Reason: s.reason, At: milli(s.at)}
	}
	v := Vote{Region: region}
	if s.status == checks.Unknown && t-s.last < stale {
		v.Reason = s.reason // why it is silent
	}
	return v
}

func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
