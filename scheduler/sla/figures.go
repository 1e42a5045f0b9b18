package sla

import (
	"fmt"
	"math/bits"
)

// Hundred is 100 % in millionths of a percent, which is how promises are given.
const Hundred = 100_000_000

// Credit is what is owed when the availability is below a percentage.
type Credit struct {
	Below   int64   // millionths of a percent
	Percent float64 // of the fee
}

// Ratio is an exact share: Part of Whole, neither negative, Part at most Whole.
// Of nothing there is no share: where Whole is zero the ratio is null.
type Ratio struct{ Part, Whole int64 }

// Null reports whether there is no such share.
func (r Ratio) Null() bool { return r.Whole == 0 }

// Thousandths returns the share in thousandths of a percent, rounded down, and
// false where it is null.
func (r Ratio) Thousandths() (int64, bool) {
	if r.Null() {
		return 0, false
	}
	return mulDiv(r.Part, 100_000, r.Whole), true
}

// AtLeast reports whether the exact share is at least so many millionths of a
// percent. A null share is not.
func (r Ratio) AtLeast(micros int64) bool { return !r.Null() && r.compare(micros) >= 0 }

// Below reports whether the exact share is less than so many millionths of a
// percent. A null share is not.
func (r Ratio) Below(micros int64) bool { return !r.Null() && r.compare(micros) < 0 }

// compare compares Part·Hundred with micros·Whole in 128 bits.
func (r Ratio) compare(micros int64) int {
	aHigh, aLow := bits.Mul64(uint64(r.Part), Hundred)
	bHigh, bLow := bits.Mul64(uint64(max(0, micros)), uint64(r.Whole))
	switch {
	case aHigh == bHigh && aLow == bLow:
		return 0
	case aHigh < bHigh || aHigh == bHigh && aLow < bLow:
		return -1
	}
	return 1
}

// mulDiv returns a·b/c rounded down, for a and b from zero and a·b/c within 63
// bits.
func mulDiv(a, b, c int64) int64 {
	high, low := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(high, low, uint64(c))
	return int64(q)
}

// Availability is up / (up + down).
func (t Totals) Availability() Ratio { return Ratio{t.Up, t.Up + t.Down} }

// Worst is the availability if all that is unknown was down.
func (t Totals) Worst() Ratio { return Ratio{t.Up, t.Up + t.Down + t.Unknown} }

// Best is the availability if all that is unknown was up.
func (t Totals) Best() Ratio { return Ratio{t.Up + t.Unknown, t.Up + t.Down + t.Unknown} }

// Coverage is how much of what counts is known: (up + down) / (window − excused).
func (t Totals) Coverage() Ratio { return Ratio{t.Up + t.Down, t.Window - t.Excused} }

// Verdict is whether a promise was kept.
type Verdict string

const (
	Met           Verdict = "met"           // even if all that is unknown was down
	Breached      Verdict = "breached"      // even if all that is unknown was up
	Indeterminate Verdict = "indeterminate" // it depends on what is unknown, or nothing counts
)

// Verdict compares exactly; what is shown is rounded down, what is decided is not.
func (l Ledger) Verdict() Verdict {
	switch {
	case l.Worst().AtLeast(l.Terms.Target):
		return Met
	case l.Best().Below(l.Terms.Target):
		return Breached
	}
	return Indeterminate
}

// Allowed is the downtime that the target leaves, (100 − target) % of what is
// not excused, rounded down to the millisecond.
func (l Ledger) Allowed() int64 {
	return mulDiv(min(Hundred, max(0, Hundred-l.Terms.Target)), l.Window-l.Excused, Hundred)
}

// Left is what remains of Allowed; negative when it is overspent.
func (l Ledger) Left() int64 { return l.Allowed() - l.Down }

// Credit returns what is owed: that of the lowest Below above the exact
// availability, and whether any is.
func (l Ledger) Credit() (Credit, bool) {
	var owed Credit
	found := false
	for _, c := range l.Terms.Credits {
		if l.Availability().Below(c.Below) && (!found || c.Below < owed.Below) {
			owed, found = c, true
		}
	}
	return owed, found
}

// BetweenFailures is the mean time between failures, up time by outage,
// rounded down; false without an outage.
func (l Ledger) BetweenFailures() (int64, bool) {
	if len(l.Outages) == 0 {
		return 0, false
	}
	return l.Up / int64(len(l.Outages)), true
}

func (t Totals) String() string {
	return fmt.Sprintf("window %d = up %d + down %d + unknown %d + excused %d ms", t.Window, t.Up, t.Down, t.Unknown, t.Excused)
}
