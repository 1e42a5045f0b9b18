// Package checks knows what a check is, how one run of it goes and what a
// result says. Each kind of check is one file: its options, what is wrong with
// them, and the run itself.
//
// A run never fails: whatever a target does is a result. Faults of our own
// (no network, a blocked address, an overloaded prober) are the status
// unknown, never down.
//
// Left to others: when a check runs and where (package regions), keeping and
// shipping results (prober), and what many results say together (regions and
// scheduler). It imports packages dnssec and throttle beneath it and internal
// packages, and nothing else of this module.
package checks

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"nines/checks/throttle"
	"nines/internal/secret"
)

// Kind is one kind of check.
type Kind struct {
	// Summary is one line for help and documentation.
	Summary string
	// New returns the kind's options with their defaults set; it returns a
	// pointer to a struct whose json tags name the options.
	New func() Options
}

// kinds is every kind by the name that configurations use.
var kinds = map[string]Kind{
	"http":      {"an HTTP or HTTPS request and what its answer must be", func() Options { return newHTTP() }},
	"dns":       {"a DNS question and what its answer must be", func() Options { return newDNS() }},
	"icmp":      {"echo requests, as ping sends them", func() Options { return newICMP() }},
	"tcp":       {"a TCP connection and what is said over it", func() Options { return newTCP() }},
	"tls":       {"a TLS handshake and how long its certificate is valid", func() Options { return newTLS() }},
	"bandwidth": {"an HTTP request, an upload or a whole page over a slow network", func() Options { return newBandwidth() }},
}

// KindNames returns the names of all kinds in alphabetical order.
func KindNames() []string { return slices.Sorted(maps.Keys(kinds)) }

// KindOf returns the kind of that name, and whether there is one.
func KindOf(name string) (Kind, bool) {
	k, ok := kinds[name]
	return k, ok
}

// Options are the part of a check that its kind defines: a pointer to a struct
// whose json tags are the keys of a configuration. Field types are strings,
// numbers, booleans, time.Duration, secret.String, lists, maps with string
// keys and structs of them, and types with UnmarshalText.
type Options interface {
	// Faults says what is wrong, with paths relative to the check.
	Faults() []Fault
	// Target is the host or address that a run puts its load on.
	Target() string
	// Probe runs the check once and returns when done or when ctx ends,
	// whichever is first.
	Probe(ctx context.Context, env *Env) Outcome
}

// Fault is one thing that is wrong in a configuration: where, as a path such
// as expect.status[1], and what would be right.
type Fault struct {
	Path    string
	Message string
}

// Outcome is what one try found.
type Outcome struct {
	Status Status
	Reason Reason
	Detail string
	Phases Phases
	Facts  Facts
	// Spent says that the try took all the time that there was for the target: what
	// is left is too short for another.
	Spent bool
	// Took is the time measured by the try itself; zero means that the clock
	// around the try is used.
	Took time.Duration
	// Artifacts are what is worth keeping for the operator; never public.
	Artifacts []Artifact
}

// Artifact is one file about a run.
type Artifact struct {
	Ext  string // png or har
	Data []byte
}

// Env is what a run may use of the machine that it runs on. The zero value
// reaches public addresses only, from any source address.
type Env struct {
	// Allow lists the non-public ranges that may be reached.
	Allow []netip.Prefix
	// SourceIP is the address that probes leave from; invalid means any.
	SourceIP netip.Addr
	// Now is the clock for results and for certificates' dates; nil means
	// time.Now.
	Now func() time.Time
	// Path is what is known of how much this machine can carry; nil: nothing.
	Path *Path
	// Keep puts a failing run's artifacts away and returns their name, or ""
	// if they could not be kept; nil: they are thrown away.
	Keep func(check string, slot time.Time, files []Artifact) string

	nameServer string         // host:port in the place of the system's, for tests
	link       *throttle.Link // what lookups share a run's rates with; nil: nothing
}

func (e *Env) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// Spec is one check as probers know it.
type Spec struct {
	Name    string
	Kind    string
	Every   time.Duration // the distance between two slots of one region
	Timeout time.Duration // bounds one run, its second try included; at most Every
	Options Options
}

// The range of a check's interval that a prober accepts.
const (
	minEveryMS = 1000
	maxEveryMS = 366 * 24 * 3600 * 1000
)

// wireSpec is a Spec as it travels from the scheduler to a prober.
type wireSpec struct {
	Name    string          `json:"name"`
	Kind    string          `json:"kind"`
	EveryMS int64           `json:"every_ms"`
	TimeMS  int64           `json:"timeout_ms"`
	Options json.RawMessage `json:"options"`
}

// Wire encodes s for the prober that will run it, with its secrets revealed:
// for that connection only.
func (s Spec) Wire() (json.RawMessage, error) {
	options, err := secret.Marshal(s.Options)
	if err != nil {
		return nil, fmt.Errorf("encoding check %s: %w", s.Name, err)
	}
	return json.Marshal(wireSpec{s.Name, s.Kind, s.Every.Milliseconds(), s.Timeout.Milliseconds(), options})
}

// ParseWire decodes what Wire encoded and checks it as if it came from a file,
// since a prober need not trust its scheduler.
func ParseWire(data []byte) (Spec, error) {
	var w wireSpec
	if err := json.Unmarshal(data, &w); err != nil {
		return Spec{}, fmt.Errorf("decoding a check: %w", err)
	}
	kind, ok := kinds[w.Kind]
	if !ok {
		return Spec{}, fmt.Errorf("check %q: kind %q is unknown to this prober; upgrade it", clip(w.Name, 80), clip(w.Kind, 80))
	}
	if !validName(w.Name) || w.EveryMS < minEveryMS || w.EveryMS > maxEveryMS || w.TimeMS <= 0 || w.TimeMS > w.EveryMS {
		return Spec{}, fmt.Errorf("check %q: name, every or timeout out of range", clip(w.Name, 80))
	}
	s := Spec{
		Name:    w.Name,
		Kind:    w.Kind,
		Every:   time.Duration(w.EveryMS) * time.Millisecond,
		Timeout: time.Duration(w.TimeMS) * time.Millisecond,
		Options: kind.New(),
	}
	if err := json.Unmarshal(w.Options, s.Options); err != nil {
		return Spec{}, fmt.Errorf("decoding check %s: %w", w.Name, err)
	}
	if faults := s.Options.Faults(); len(faults) > 0 {
		return Spec{}, fmt.Errorf("check %s: %s: %s", w.Name, faults[0].Path, faults[0].Message)
	}
	return s, nil
}
