// Package statuspage is what the public sees: the status page and its history,
// a page a check and an incident, feeds, badges, and the same facts in the
// shapes of Atlassian Statuspage's public JSON. Pages are whole without
// JavaScript, carry a strict Content-Security-Policy, and are rendered and
// compressed once a change, however many people look.
//
// It can read and never write: all it knows comes through Source, whose types
// have no place for what is private. What happened is told by closed sets of
// words (State, Layer, UpdateKind) that this package turns into sentences, so
// that no text of a target, an operator's log or a person can come through;
// free text is titles only, which are public by configuration.
//
// Left to others: which checks are public and what became of them (package
// scheduler implements Source from the store). It may import regions, checks
// and internal packages.
package statuspage

import (
	"context"
	"errors"
	"time"

	"nines/internal/civil"
)

// ErrNotFound is what a Source returns for a check or an incident that does
// not exist or is not public; the page tells the two apart for nobody.
var ErrNotFound = errors.New("not found")

// Source is where the pages' facts come from. Everything that it returns is
// public: checks with `public: false`, their incidents and their part in a
// maintenance are left out. What it returns is not modified afterwards by
// either side. Calls may come from several goroutines at once.
type Source interface {
	// Page returns the whole site at a glance, for /, /history, the feeds, the
	// badges and the JSON.
	Page(ctx context.Context) (*Page, error)
	// CheckPage returns more about one check of Page, or ErrNotFound.
	CheckPage(ctx context.Context, name string) (*CheckPage, error)
	// Incident returns an incident of any age, or ErrNotFound.
	Incident(ctx context.Context, id int64) (*Incident, error)
}

// State is how something is, as the public is told.
type State string

// The states. Unknown is said when nobody can tell, which is not the same as
// down; Maintenance wins over all others while a maintenance runs.
const (
	Up          State = "up"
	Degraded    State = "degraded"
	Down        State = "down"
	Unknown     State = "unknown"
	Maintenance State = "maintenance"
)

// Percent is an exact part of a hundred in thousandths of a percent, floored:
// 99_982 is 99.982 %. A nil *Percent means that there is nothing to divide by.
type Percent int64

// Page is the site at a glance.
type Page struct {
	// Now is the clock when this was put together.
	Now time.Time
	// Newest is when the newest result of any public check was taken; zero if
	// there has been none.
	Newest time.Time
	// StaleAfter is how old Newest may be before the page says that it shows
	// the past; zero means five minutes. For how long the result speaks that
	// speaks for longest is a good choice.
	StaleAfter time.Duration
	// Days is over how many days bars and Past reach, today included.
	Days int
	// Regions are the places that checks run from, in the order of the
	// configuration. Only those that a public check uses.
	Regions []Region
	// Groups hold every public check once. They come in the order in which
	// they are shown; the one without a name, if any, holds the checks that
	// are in no group.
	Groups []Group
	// Open are the incidents that are not over, newest first.
	Open []Incident
	// Past are the incidents that have ended within Days, newest first.
	Past []Incident
	// Planned are maintenances that run now or are to come within 30 days, and
	// those that ended within Days, in order of From. A weekly maintenance is
	// here once for each time it takes place.
	Planned []Window
	// SLAs are the promises that are shown, the month so far. Those with a
	// check that is not public are left out.
	SLAs []SLA
}

// Region is a place that checks run from.
type Region struct {
	Name  string // [a-z0-9-]{1,63}
	Title string // for people
}

// Group is checks that belong together.
type Group struct {
	Title  string // empty: not in a group
	Checks []Check
}

// Check is one public check.
type Check struct {
	Name  string // [a-z0-9-]{1,63}, unique
	Title string // for people
	State State
	// Since is when State began, as far as is known; zero: not known.
	Since time.Time
	// Days are within the last Page.Days days, in order, each at most once. A
	// day that is missing is one of which nothing is known.
	Days []Day
	// Regions says how each of the regions that run the check sees it. A
	// region that is not here does not run it.
	Regions []RegionState
}

// RegionState is how one region sees a check.
type RegionState struct {
	Region string // its name
	State  State  // up, degraded, down, or unknown when the region is silent
}

// Times is how a stretch of time divides. It is exact in milliseconds; all
// zero means that nothing is known of the stretch.
type Times struct {
	Up      time.Duration // degraded included
	Down    time.Duration
	Unknown time.Duration
	Excused time.Duration // maintenance; wins over the others
	// Degraded is the part of Up that was shown as degraded.
	Degraded time.Duration
}

// Day is one calendar day of a check in UTC. Today ends at Page.Now.
type Day struct {
	Date civil.Date
	Times
}

// CheckPage is what a check's own page shows beyond what is in Page.
type CheckPage struct {
	// Latency is how long runs that were up took, over the last 24 hours and
	// all regions.
	Latency Latency
	// ByRegion is the same 24 hours region by region, one point each, in any
	// order. Regions without a run that was up are left out.
	ByRegion []RegionLatency
	// ByProfile is the same 24 hours of the checks over slow networks, one
	// point each: of a check of kind bandwidth, itself and those of its group;
	// of others, none.
	ByProfile []ProfileLatency
}

// ProfileLatency is how long one check took over its slow network: to load
// the page, or to have the answer.
type ProfileLatency struct {
	Check    string // its name
	Profile  string // the network's name, such as slow-4g, or its figures
	N        int    // runs that were up, from 1
	P50, P95 time.Duration
}

// Latency is response times in buckets of equal length.
type Latency struct {
	Bucket time.Duration // the length of one, such as 15 minutes
	// Points are in order of At. A bucket without a run that was up may be
	// left out; the chart then has a gap.
	Points []Point
}

// Point is the response times of one bucket.
type Point struct {
	At  time.Time     // the bucket's start
	N   int           // runs that were up; 0: no figures
	P50 time.Duration // median
	P95 time.Duration // 95th percentile
}

// RegionLatency is one region's response times over all of the 24 hours.
type RegionLatency struct {
	Region string // its name
	N      int    // runs that were up, from 1
	P50    time.Duration
	P95    time.Duration
}

// Incident is one outage of a public check as the public may know it.
type Incident struct {
	ID    int64
	Check string // the check's name
	Title string // the check's title
	// Layer is the first part of the reason (checks.Reason.Layer): dns,
	// connect, tls, http, content or slow. Any other word, the empty one
	// included, is shown as "problems" and nothing more.
	Layer string
	// From is since when the check was down; Opened, when it was noticed.
	From, Opened time.Time
	// Acknowledged and Resolved are zero until then.
	Acknowledged, Resolved time.Time
	// Updates are what has become of it, oldest first. Opened, Acknowledged
	// and Resolved are among them; if the list is empty, it is made of them.
	Updates []Update
}

// Update is one line of an incident's story.
type Update struct {
	At   time.Time
	Kind UpdateKind
	// Down of Regions are the regions that saw the check down at the time;
	// not said when Regions is 0.
	Down, Regions int
}

// UpdateKind is what an Update tells. Whatever else a log holds (who was
// paged, by what, notes) is not for the public.
type UpdateKind string

// The kinds of updates, with the status that Statuspage's clients are told.
const (
	Investigating UpdateKind = "investigating" // opened, or reopened after a snooze
	Identified    UpdateKind = "identified"    // somebody has it in hand
	Spread        UpdateKind = "spread"        // other regions than before are down; investigating
	Monitoring    UpdateKind = "monitoring"    // resolved by hand while the check was still down
	Resolved      UpdateKind = "resolved"      // over
)

// Window is one maintenance, planned, running or over.
type Window struct {
	// ID names it in feeds and JSON and stays the same for as long as it is
	// planned for the same time: a name made of its place or a hash of it,
	// [a-z0-9-]{1,63}.
	ID     string
	Title  string
	Checks []string // names of the public checks that it is about, never empty
	From   time.Time
	To     time.Time
}

// SLA is a promise and how the month goes.
type SLA struct {
	Name  string
	Title string
	Month civil.Month // the month that runs now, in the SLA's own zone
	// Target is as the configuration has it, in percent without the sign:
	// 99.95.
	Target string
	// Availability is of the month so far; nil when nothing is known.
	Availability *Percent
	// Allowed is how long the SLA may be down in the whole month.
	Allowed time.Duration
	// Left is Allowed without what was down; negative when overspent.
	Left time.Duration
	// State is Up while the target is kept, Down when it is missed, Unknown
	// when that hangs on time about which nothing is known.
	State State
}
