package checks

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Status is what one run of a check says of its target.
type Status string

const (
	Up       Status = "up"
	Degraded Status = "degraded" // works, but outside a soft limit; counts as up
	Down     Status = "down"
	Unknown  Status = "unknown" // the run says nothing about the target
)

// Valid reports whether s is one of the four statuses.
func (s Status) Valid() bool {
	return s == Up || s == Degraded || s == Down || s == Unknown
}

// Phases are the parts of a run by name, in milliseconds: dns, connect, tls,
// first_byte and transfer. A phase that did not happen is absent.
type Phases map[string]float64

// Facts are what a run found out about its target, by name. Values are what
// JSON holds: strings, numbers, booleans, and lists and objects of them.
type Facts map[string]any

// Result is what one run of a check in one region found. It travels as one
// JSON object, from the prober's spool to an export.
type Result struct {
	Check  string    `json:"check"`
	Region string    `json:"region"`
	Prober string    `json:"prober"`
	Slot   time.Time `json:"slot"` // the planned start; (check, region, prober, slot) is unique
	At     time.Time `json:"at"`   // the start of the first try
	// TookMS is how long the try that is reported took, in milliseconds.
	TookMS float64 `json:"took_ms"`
	Status Status  `json:"status"`
	Reason Reason  `json:"reason"` // empty when up
	Detail string  `json:"detail"` // for people; never shown in public
	Phases Phases  `json:"phases_ms"`
	Facts  Facts   `json:"facts"`
}

// Key is what makes a result unique.
type Key struct {
	Check, Region, Prober string
	Slot                  int64 // milliseconds since the Unix epoch
}

// Key returns what makes r unique.
func (r *Result) Key() Key { return Key{r.Check, r.Region, r.Prober, r.Slot.UnixMilli()} }

// Normalize brings r to the form in which results are stored and compared:
// times in UTC and whole milliseconds, measurements in whole microseconds,
// maps that are never nil.
func (r *Result) Normalize() {
	r.Slot = r.Slot.UTC().Truncate(time.Millisecond)
	r.At = r.At.UTC().Truncate(time.Millisecond)
	r.TookMS = roundMS(r.TookMS)
	if r.Phases == nil {
		r.Phases = Phases{}
	}
	for name, ms := range r.Phases {
		r.Phases[name] = roundMS(ms)
	}
	if r.Facts == nil {
		r.Facts = Facts{}
	}
}

// Validate says what is wrong with r as somebody sent it, or nil. Its limits
// keep one result from a strange prober within bounds.
func (r *Result) Validate() error {
	switch {
	case !validName(r.Check):
		return fmt.Errorf("check: %q is not a check's name", clip(r.Check, 80))
	case !validName(r.Region):
		return fmt.Errorf("region: %q is not a region's name", clip(r.Region, 80))
	case !validName(r.Prober):
		return fmt.Errorf("prober: %q is not a prober's name", clip(r.Prober, 80))
	case !validTime(r.Slot):
		return fmt.Errorf("slot: must be a time of this century, such as 2026-10-01T00:00:00Z")
	case !validTime(r.At):
		return fmt.Errorf("at: must be a time of this century, such as 2026-10-01T00:00:00Z")
	case math.IsNaN(r.TookMS) || r.TookMS < 0 || r.TookMS > 1e9:
		return fmt.Errorf("took_ms: %v is not a number of milliseconds from 0 to 1e9", r.TookMS)
	case !r.Status.Valid():
		return fmt.Errorf("status: %q is none of up, degraded, down, unknown", clip(string(r.Status), 80))
	case len(r.Reason) > 64 || len(r.Detail) > 4096:
		return fmt.Errorf("reason or detail: too long; at most 64 and 4096 bytes")
	}
	return nil
}

// MillisOf returns d in milliseconds.
func MillisOf(d time.Duration) float64 { return roundMS(float64(d) / float64(time.Millisecond)) }

func roundMS(ms float64) float64 { return math.Round(ms*1000) / 1000 }

func validTime(t time.Time) bool { return t.Year() >= 2000 && t.Year() < 2100 }

// ValidName reports whether s can name a check, region, prober, SLA, person,
// rotation or policy: [a-z0-9-]{1,63}.
func ValidName(s string) bool { return validName(s) }

func validName(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// clip cuts s to at most n bytes at a rune's edge, marking the cut.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}

// Quarantine is a span in which a prober was found sick: its results with an
// At inside [From, To) count as unknown and are kept as they came.
type Quarantine struct {
	Prober string    `json:"prober"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Why    string    `json:"why"`
}

// Covers reports whether r falls under the quarantine.
func (q *Quarantine) Covers(r *Result) bool {
	return q.Prober == r.Prober && !r.At.Before(q.From) && r.At.Before(q.To)
}

// Record is one line of results: a result or a quarantine.
type Record struct {
	Result     *Result
	Quarantine *Quarantine
}

// MarshalJSON writes the record as contract and exports have it: a result as
// itself, a quarantine under its name.
func (r Record) MarshalJSON() ([]byte, error) {
	if r.Quarantine != nil {
		return json.Marshal(struct {
			Quarantine *Quarantine `json:"quarantine"`
		}{r.Quarantine})
	}
	return json.Marshal(r.Result)
}
