// Package incident is the life of one incident: how it opens, who has it in
// hand, when the next people are due, and how it ends. Every function takes an
// incident and what happened, time included, and returns the incident as it is
// then, what its log says of it, and whether anything changed. Nothing here
// touches a clock, a disk or a network, and no argument is modified.
//
// Left to others: when a check is down (regions), whom a step tells (notifier),
// where incidents are kept (store). It imports notifier and checks for the
// types that their rooms define.
package incident

import (
	"slices"
	"time"

	"nines/checks"
	"nines/notifier"
)

// State is where an incident stands.
type State string

const (
	Triggered    State = "triggered"    // nobody has it in hand
	Acknowledged State = "acknowledged" // somebody has
	Resolved     State = "resolved"     // over; nothing changes it any more
)

// The severities that a check can have.
const (
	Page   = "page"   // its policy is followed
	Ticket = "ticket" // one message to the Slack channel
	None   = "none"   // recorded only
)

// Incident is one incident.
type Incident struct {
	ID         int64
	Check      string
	OutageFrom time.Time // since when the check is down
	Opened     time.Time // when the scheduler came to know
	Severity   string    // page, ticket or none, as it was when the incident opened
	Policy     string    // empty: there is nobody to page
	Reason     checks.Reason
	Down       []string // regions that are down, as last seen
	Regions    int      // that the check is configured to run from
	Flaps      int      // incidents of the check in the hour before this one

	State State
	// Of the first who acknowledged; zero until then and never changed after.
	AckedAt  time.Time
	AckedBy  string
	AckedVia string
	// Owner has the incident in hand; empty when nobody has.
	Owner string
	// ResolvedBy is empty when the check itself recovered.
	ResolvedAt  time.Time
	ResolvedBy  string
	ResolvedVia string
	// Recovered is when the check was seen up again. An incident that was
	// resolved by hand waits for it before another can open.
	Recovered time.Time
	Snoozed   time.Time // asleep until then; zero: awake

	// Muted says why nobody is paged: a silence or a maintenance. Empty: paged.
	Muted string
	// Within is the incident whose page lists this one too; 0: its own page.
	Within int64

	Step, Round int       // the next to fire, from 0
	NextAt      time.Time // when it is due; zero: nothing further
	Told        []notifier.Paged
	Thread      *notifier.Thread // its Slack message; nil: none yet
}

// Event is one line of an incident's log.
type Event struct {
	At   time.Time
	Kind Kind
	Who  string // empty: nines itself
	Via  string // slack, sms, voice, link, api; empty: nines itself
	Text string
}

// Kind is what an Event is about.
type Kind string

const (
	OpenedEvent       Kind = "opened"
	UpdatedEvent      Kind = "updated"
	AcknowledgedEvent Kind = "acknowledged"
	SnoozedEvent      Kind = "snoozed"
	WokeEvent         Kind = "woke"
	ResolvedEvent     Kind = "resolved"
	RecoveredEvent    Kind = "recovered"
	FiredEvent        Kind = "fired"
	MutedEvent        Kind = "muted"
	NoticeEvent       Kind = "notice" // what became of a notice
)

// By is a person and the way by which they spoke.
type By struct {
	Who string
	Via string // slack, sms, voice, link, api
}

// Open reports whether the incident is not resolved.
func (i Incident) Open() bool { return i.State != Resolved }

// Settled reports whether the incident is over and its check has been up
// since, so that the next outage is another incident.
func (i Incident) Settled() bool { return i.State == Resolved && !i.Recovered.IsZero() }

// Due reports whether the next step is to fire at now.
func (i Incident) Due(now time.Time) bool {
	return i.State == Triggered && !i.NextAt.IsZero() && !i.NextAt.After(now)
}

// clone returns i with lists of its own.
func (i Incident) clone() Incident {
	i.Down, i.Told = slices.Clone(i.Down), slices.Clone(i.Told)
	if i.Thread != nil {
		t := *i.Thread
		i.Thread = &t
	}
	return i
}
