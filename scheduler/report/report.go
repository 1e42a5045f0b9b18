// Package report makes the monthly SLA report: it reads the results that a
// month's ledger comes from, closes the ledger, and writes it as JSON, CSV and
// HTML. The same results make the same bytes, whether they come from a store
// or from a file, in whatever order they once arrived.
//
// Verdicts are regions' to find and the arithmetic is sla's; here is what joins
// them: which results a month needs, who was excused when, and the words and
// tables. docs/availability.md tells it all in prose, with two months worked
// by hand.
//
// It imports config, sla, regions and checks.
package report

import (
	"time"

	"nines/internal/civil"
	"nines/scheduler/sla"
)

// Report is one month of one SLA. Its JSON is the public format; fields
// without a JSON name are for the other formats.
type Report struct {
	SLA      string      `json:"sla"`
	Title    string      `json:"title"`
	Month    string      `json:"month"`
	Timezone string      `json:"timezone"`
	From     time.Time   `json:"from"`
	To       time.Time   `json:"to"` // of a month that is still running, when the report was made
	Target   Decimal     `json:"target"`
	Verdict  sla.Verdict `json:"verdict"`

	Availability Decimal `json:"availability"` // percent, as are the next three
	Worst        Decimal `json:"worst"`
	Best         Decimal `json:"best"`
	Coverage     Decimal `json:"coverage"`
	Seconds      Seconds `json:"seconds"`
	Allowed      Decimal `json:"allowed_down_seconds"`
	Left         Decimal `json:"budget_left_seconds"`
	Credit       Decimal `json:"credit_percent"`

	Outages         []Outage `json:"outages"`
	Discover        Decimal  `json:"mttd_seconds"`
	Acknowledge     Decimal  `json:"mtta_seconds"`
	Recover         Decimal  `json:"mttr_seconds"`
	BetweenFailures Decimal  `json:"mtbf_seconds"`

	Checks  []Check  `json:"checks"`
	Regions []Region `json:"regions"`

	Revision      int    `json:"revision"`
	ResultsSHA256 string `json:"results_sha256"`

	Zone         *time.Location `json:"-"`
	Running      bool           `json:"-"` // the month is not over
	Average      bool           `json:"-"` // how the checks were put together
	MinOutage    time.Duration  `json:"-"`
	ServiceHours *civil.Hours   `json:"-"` // nil: always
	OutsideHours Decimal        `json:"-"` // seconds of the window
	Maintenance  []Maintenance  `json:"-"`
	Credits      []Credit       `json:"-"` // as they were promised
	CreditCap    Decimal        `json:"-"` // the most that is owed; null: as Credits say
	Since        civil.Date     `json:"-"` // the first day of the promise, where the month is its first
	Weighted     []string       `json:"-"` // what regions count how often, of checks where not all count once
	Earlier      []Earlier      `json:"-"` // months closed before, the latest first; set by whoever knows them
	Rough        bool           `json:"-"` // percentiles are within 1 %
	Coarse       bool           `json:"-"` // some days were summed up by a rule by which results spoke for longer

	daily func() []Day
}

// Seconds divide a window: the other four sum to Window.
type Seconds struct {
	Window  Decimal `json:"window"`
	Up      Decimal `json:"up"`
	Down    Decimal `json:"down"`
	Unknown Decimal `json:"unknown"`
	Excused Decimal `json:"excused"`
}

// Outage is one whole down span of a check.
type Outage struct {
	ID      string    `json:"id"`
	Check   string    `json:"check"`
	From    time.Time `json:"from"` // neither is cut at the window's ends
	To      time.Time `json:"to"`
	Seconds Decimal   `json:"seconds"` // what counts: inside the window and not excused
	Reason  string    `json:"reason"`
	Regions []string  `json:"regions"` // that were down at From

	Discover Decimal `json:"discover_seconds"` // from the outage's start until the scheduler knew
	Respond  Decimal `json:"respond_seconds"`  // until somebody had it in hand
	Fix      Decimal `json:"fix_seconds"`      // until it was over

	Title   string `json:"-"` // of the check
	Meaning string `json:"-"` // of the reason
	Open    bool   `json:"-"` // not over when the report was made
}

// Check is one check's part.
type Check struct {
	Check        string  `json:"check"`
	Availability Decimal `json:"availability"`
	Seconds      Seconds `json:"seconds"`

	P50   Decimal   `json:"-"` // over all regions
	P95   Decimal   `json:"-"`
	P99   Decimal   `json:"-"`
	Title string    `json:"-"`
	strip []Segment // the month for the page
}

// Region is what one region saw of the SLA's checks, added up: on its own,
// without quorum or min_outage, and without what was excused.
type Region struct {
	Region       string  `json:"region"`
	Availability Decimal `json:"availability"`
	P50          Decimal `json:"p50_ms"`
	P95          Decimal `json:"p95_ms"`
	P99          Decimal `json:"p99_ms"`

	Title string `json:"-"`
}

// Maintenance is one planned interruption inside the window.
type Maintenance struct {
	Title    string
	Checks   []string // of the SLA
	From, To time.Time
}

// Credit is one line of what was promised.
type Credit struct {
	Below   Decimal // percent
	Percent Decimal
	Owed    bool // this is the one that applies
}

func secondsOf(t sla.Totals) Seconds {
	return Seconds{seconds(t.Window), seconds(t.Up), seconds(t.Down), seconds(t.Unknown), seconds(t.Excused)}
}
