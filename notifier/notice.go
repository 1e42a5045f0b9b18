// Package notifier tells people: whom and by which channel (escalation), and
// that it is never lost (the outbox's dispatch). A notice is sent at least
// once; after a crash or an unclear answer the ledger says which.
//
// Vendors are leaves of their own (slack, twilio, email) behind Channel; who
// is on call is rotation's to say; where notices are kept is the caller's, who
// implements Outbox. It imports rotation and internal packages only.
package notifier

import (
	"context"
	"errors"
	"time"
)

// Person is somebody who can be told.
type Person struct {
	Name  string
	Phone string // E.164, or empty
	Slack string // a Slack member's id, or empty
	Email string // or empty
	Zone  *time.Location
}

// Policy is who is told, in which order, until somebody acknowledges.
type Policy struct {
	Name     string
	Steps    []Step
	Repeat   int    // how many times the steps are gone through again after the first time
	Fallback string // "person:NAME" who gets a step that finds nobody on call, or empty
}

// Step is one rung of a policy.
type Step struct {
	Notify []string      // "rotation:NAME" and "person:NAME"
	By     []string      // slack, sms, voice, email
	Wait   time.Duration // until the next step when nobody acknowledges
}

// NoticeKind is what a notice is about.
type NoticeKind string

const (
	PageNotice     NoticeKind = "page"     // something is down: act
	UpdateNotice   NoticeKind = "update"   // what was said before has changed: acknowledged, more checks, …
	RecoveryNotice NoticeKind = "recovery" // it is over
	TestNotice     NoticeKind = "test"     // a page that was asked for to see that it arrives
)

// State is how far a notice has come. It only ever moves forwards.
type State string

const (
	Queued    State = "queued"    // to be sent, not before its time
	Leased    State = "leased"    // somebody is sending it
	Accepted  State = "accepted"  // the vendor took it
	Delivered State = "delivered" // the vendor says that it arrived, or cannot say more
	Failed    State = "failed"    // it will not arrive
	Cancelled State = "cancelled" // no longer wanted
)

// Notice is one thing to be said to one person, or to the Slack channel, by
// one channel.
type Notice struct {
	ID        int64
	Incident  int64 // 0 for a test
	Kind      NoticeKind
	Step      int      // of the policy, from 0
	Round     int      // how often the policy was gone through before
	Person    string   // empty for what goes to the Slack channel alone
	Channel   string   // slack, sms, voice, email
	Then      []string // the channels to move to when this one does not deliver
	Why       string   // how the person was chosen: "rotation:primary, step 1"
	Mention   []string // names of the people whom a Slack notice calls by name; nil on other channels
	Nonce     string   // stands in the text, so that a vendor's list can be searched for it
	State     State
	Attempts  int
	NotBefore time.Time
	DeliverBy time.Time // when an accepted notice counts as not delivered; zero: never
	Receipt   string    // the vendor's id for it
	Detail    string    // what the vendor said last
	Created   time.Time
}

// Leased is a notice that the dispatcher has to itself for a while.
type LeasedNotice struct {
	Notice
	Fence int64 // Settle refuses an older one
	// Unclear: an earlier attempt may have reached the vendor.
	Unclear bool
	// Overdue: it was accepted and its delivery was never reported.
	Overdue bool
}

// Settlement is what became of a leased notice. It is recorded, and its
// follow-ups are queued, in one transaction.
type Settlement struct {
	ID, Fence int64
	At        time.Time
	State     State // Queued to try again at NotBefore; Accepted; Delivered; Failed
	Receipt   string
	Detail    string
	NotBefore time.Time
	DeliverBy time.Time
	// Unclear, of one that is Queued again: the attempt may have reached the
	// vendor, and the next lease says so.
	Unclear bool
	Follow  []Notice // to be queued now: the next channel
	// Exhausted: no channel is left for this person in this step. When that
	// is so of everybody in the step, the incident's next step is due at once.
	Exhausted bool
	// Thread is the vendor's address of an incident's message, to be kept with
	// the incident so that it can be edited: Slack's channel and timestamp.
	Thread *Thread
}

// Thread is where an incident's Slack message stands.
type Thread struct {
	Channel   string
	Timestamp string
}

// Subject is an incident as messages tell of it.
type Subject struct {
	Incident int64
	Check    string
	Title    string
	Reason   string
	Down     int // regions
	Regions  int
	Where    []string // names of the regions down
	Since    time.Time
	Opened   time.Time
	AckedBy  string // empty: nobody yet
	AckedAt  time.Time
	Resolved time.Time // zero: still open
	// ResolvedBy is who ended it by hand; empty: the check is up again.
	ResolvedBy string
	Runbook    string
	Also       []string // other checks in the same page
	Paged      []string // names of everybody paged so far
	Thread     *Thread  // nil: no Slack message yet
	Log        []LogEntry
}

// LogEntry is one line of an incident's log.
type LogEntry struct {
	At   time.Time
	Text string
}

// Outbox keeps notices. Its methods are transactions.
type Outbox interface {
	// Lease takes up to max notices that are due at now, oldest first, for the
	// time given: queued ones whose time has come, leased ones whose lease ran
	// out (Unclear), accepted ones whose DeliverBy has passed (Overdue).
	Lease(ctx context.Context, now time.Time, max int, lease time.Duration) ([]LeasedNotice, error)
	// Settle records what became of a leased notice, or returns ErrLeaseLost.
	Settle(ctx context.Context, s Settlement) error
	// Subject returns the incident that a notice is about.
	Subject(ctx context.Context, incident int64) (Subject, error)
}

// ErrLeaseLost says that a notice was settled or leased by somebody else.
var ErrLeaseLost = errors.New("the notice's lease was lost")

// Message is a notice ready to be sent.
type Message struct {
	Notice  Notice
	Person  Person   // zero for the Slack channel
	Mention []Person // of the notice's Mention, as far as they are known
	Subject Subject  // zero for a test
	Link    string   // where the incident can be seen and acknowledged
}

// Receipt is what a vendor answered to a message that it took.
type Receipt struct {
	ID        string
	Delivered bool // nothing further will be reported
	Thread    *Thread
}

// Channel sends messages by one vendor. Send's errors are *SendError where the
// vendor's answer says what to do next; any other error is unclear: the
// message may have been taken.
type Channel interface {
	Send(ctx context.Context, m Message) (Receipt, error)
	// Find looks for a message that was perhaps taken, by its nonce.
	Find(ctx context.Context, m Message) (r Receipt, found bool, err error)
	// Status asks how far the message with this receipt has come: Accepted,
	// Delivered or Failed, with the vendor's words.
	Status(ctx context.Context, receipt string) (State, string, error)
}

// SendError is a vendor's refusal. The message was not taken.
type SendError struct {
	Permanent  bool          // trying again is of no use
	RetryAfter time.Duration // when the vendor said so; zero: it did not
	Detail     string
}

func (e *SendError) Error() string { return e.Detail }
