package regions

import (
	"fmt"
	"strconv"
	"time"

	"nines/checks"
)

// Quorum is how many regions must say down before a check is: majority, any,
// all, or a number. Its zero value is majority.
type Quorum struct {
	kind string // "", any, all or count
	k    int
}

// The quorums that have a name.
var (
	majority = Quorum{}
	anyOne   = Quorum{kind: "any"}
	all      = Quorum{kind: "all"}
)

// AtLeast returns the quorum of k regions, or of all that vote if they are
// fewer; k is at least 1.
func AtLeast(k int) Quorum { return Quorum{kind: "count", k: max(1, k)} }

// ParseQuorum reads majority, any, all, or a number of regions from 1.
func ParseQuorum(s string) (Quorum, error) {
	switch s {
	case "majority":
		return majority, nil
	case "any":
		return anyOne, nil
	case "all":
		return all, nil
	}
	if k, err := strconv.Atoi(s); err == nil && k >= 1 {
		return AtLeast(k), nil
	}
	return Quorum{}, fmt.Errorf("%q is not a quorum; write majority, any, all, or a number of regions from 1", s)
}

// String returns the quorum as configurations have it.
func (q Quorum) String() string {
	switch q.kind {
	case "":
		return "majority"
	case "count":
		return strconv.Itoa(q.k)
	}
	return q.kind
}

// UnmarshalText reads what ParseQuorum reads.
func (q *Quorum) UnmarshalText(text []byte) (err error) {
	*q, err = ParseQuorum(string(text))
	return err
}

// MarshalText writes what ParseQuorum reads.
func (q Quorum) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// Met reports whether down of voting regions are enough; voting is at least 1.
func (q Quorum) Met(down, voting int) bool {
	switch q.kind {
	case "any":
		return down >= 1
	case "all":
		return down == voting
	case "count":
		return down >= min(q.k, voting)
	}
	return 2*down > voting
}

// Rule is how a check's results are judged.
type Rule struct {
	Regions []string // that the check is configured to run from
	Every   time.Duration
	Timeout time.Duration
	Quorum  Quorum
	// Weights are how many votes each region has, in the order of Regions; nil:
	// one each. They count in what the quorum compares, and in nothing else: how
	// many regions have to speak at all is a number of regions.
	Weights []int
}

// weight is how many votes a region has.
func (r Rule) weight(region int) int {
	if r.Weights == nil {
		return 1
	}
	return r.Weights[region]
}

// Stale is how long a result speaks for its region.
func (r Rule) Stale() time.Duration { return 2*r.Every + r.Timeout }

// Verdict is what the regions say of a check together.
type Verdict string

const (
	Up       Verdict = "up"
	Degraded Verdict = "degraded" // up, but not for everybody or not fast enough
	Down     Verdict = "down"
	Unknown  Verdict = "unknown" // too few regions have anything to say
)

// Vote is what one region has to say at an instant.
type Vote struct {
	Region string
	// Status is up, degraded or down; empty when the region is silent.
	Status checks.Status
	Reason checks.Reason
	At     time.Time // of the result that speaks; zero when there is none
}

// Judgement is the verdict at an instant and how it came about.
type Judgement struct {
	Verdict  Verdict
	Votes    []Vote // one a region, in the rule's order
	Voting   int    // regions that are up or down
	Down     int    // of those, the ones that are down
	Degraded int    // of those, the ones that are degraded
}
