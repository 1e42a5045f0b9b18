package report

import (
	"context"
	"iter"
	"time"

	"nines/checks"
)

// Source is where a report's results come from. A store and a file that hold
// the same results make the same report.
type Source interface {
	// Results yields the check's results with from <= At < to, those with an
	// earlier At first, as checks.Result.Normalize leaves them. The same result
	// may come more than once, and in more than one version. Quarantines are
	// not applied. An error ends it.
	Results(ctx context.Context, check string, from, to time.Time) iter.Seq2[checks.Result, error]
	// Quarantines returns at least those that overlap [from, to).
	Quarantines(ctx context.Context, from, to time.Time) ([]checks.Quarantine, error)
	// Milestones returns what was done about outages of the check that overlap
	// [from, to), as far as anything is known.
	Milestones(ctx context.Context, check string, from, to time.Time) ([]Milestone, error)
}

// Milestone is what was done about one outage. Times not known are zero.
type Milestone struct {
	From         time.Time // since when the check was down, as it was seen then
	Opened       time.Time // when the scheduler came to know
	Acknowledged time.Time // when somebody first took it in hand
}
