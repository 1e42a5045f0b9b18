package regions

import (
	"encoding/json"
	"time"

	"nines/checks"
)

// The wire between scheduler and probers, under /probe/v1. A prober opens
// GET /probe/v1/stream and reads one Message a line for as long as the
// connection lives; it sends what it found by POST /probe/v1/results, one
// Batch a request, gzip'd JSON, answered by an Ack. Both carry
// "Authorization: Bearer TOKEN".
//
// Either side tells a peer that is gone from one that has nothing to say:
// the scheduler writes a heartbeat every BeatEvery, and a prober that has sent
// no batch for as long sends an empty one.
const (
	StreamPath  = "/probe/v1/stream"
	ResultsPath = "/probe/v1/results"

	BeatEvery = 10 * time.Second
	// MaxEntries is how many entries a batch may have.
	MaxEntries = 10_000
)

// Message is one line from the scheduler to a prober. Exactly one field
// besides Now is set; a line with Now alone is a heartbeat.
type Message struct {
	Now        time.Time   `json:"now"` // the scheduler's clock when it wrote the line
	Assignment *Assignment `json:"assignment,omitempty"`
	Run        *Run        `json:"run,omitempty"`
}

// Assignment is everything that a prober runs; it replaces the one before.
type Assignment struct {
	Prober string  `json:"prober"`
	Region string  `json:"region"`
	Checks []Share `json:"checks"`
}

// Share is a check and the region's place among those that run it, which
// decides its slots.
type Share struct {
	Spec  json.RawMessage `json:"spec"`  // as checks.Spec.Wire encodes it
	Index int             `json:"index"` // of this region, from 0
	Of    int             `json:"of"`    // regions that run the check
	// Since is from when the check has been this prober's. A prober that was
	// not running accounts for the slots that it missed since then; earlier
	// ones were another's. Zero: always, the region has no other prober.
	Since time.Time `json:"since,omitzero"`
}

// Run asks for one run at once, to confirm what another region saw.
type Run struct {
	Check string    `json:"check"`
	Slot  time.Time `json:"slot"` // when it was asked
	// Spec is the check as checks.Spec.Wire encodes it when it is not among the
	// prober's own: it stands in for another of its region.
	Spec json.RawMessage `json:"spec,omitempty"`
}

// Batch is results on their way to the scheduler; without entries it says that
// the prober lives, and asks the scheduler for its clock.
type Batch struct {
	// Spool names the prober's spool file; a new file has a new name, so that
	// its numbers are told from those of the one before.
	Spool   string    `json:"spool"`
	Now     time.Time `json:"now"` // the prober's clock when it began to send
	Entries []Entry   `json:"entries"`
	// Shaper is how exact the prober's own shaper was when it last measured
	// it, now and then; empty: nothing new.
	Shaper []Shaped `json:"shaper,omitempty"`
}

// Shaped is one rate and round trip that a prober's shaper was asked for, and
// what it achieved on loopback.
type Shaped struct {
	AskedKbps  float64 `json:"asked_kbps"`
	Kbps       float64 `json:"kbps"`
	AskedRTTMS float64 `json:"asked_rtt_ms"`
	RTTMS      float64 `json:"rtt_ms"`
}

// MaxShaped is how many of them a batch may have.
const MaxShaped = 16

// Entry is one result and its number in the spool. Numbers are used once.
type Entry struct {
	Seq    int64         `json:"seq"`
	Result checks.Result `json:"result"`
}

// Ack says which entries the scheduler has committed, so that the spool may
// forget them. Rejected ones are among them: they will never be taken.
type Ack struct {
	Seqs     []int64          `json:"seqs"`
	Rejected map[int64]string `json:"rejected,omitempty"` // why, by number
	Now      time.Time        `json:"now"`                // the scheduler's clock when it answered
}
