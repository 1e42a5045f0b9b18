// Package fleet is the probers as the scheduler sees them: which are
// connected, which of them runs what, and the two endpoints under /probe/v1/
// that they use. Types on the wire are those of package regions.
//
// Left to others: what results mean and where they are kept (an Ingester, in
// the product package scheduler), who the members are (config), TLS and the
// HTTP server around the handler. It imports config, regions and checks.
package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"nines/internal/secret"
	"nines/regions"
	"nines/scheduler/config"
)

// Silence is how long a prober may be away before its checks go to the other
// probers of its region.
const Silence = 30 * time.Second

// Ingester takes results in.
type Ingester interface {
	// Ingest commits what is new in the batch and returns every number that
	// the prober may forget: committed now or before, or rejected for good. An
	// error means that nothing is settled and the prober should try again.
	Ingest(ctx context.Context, prober, region string, b regions.Batch) (regions.Ack, error)
}

// Config is what a Fleet needs.
type Config struct {
	Ingester Ingester
	Log      *slog.Logger     // nil: discarded
	Now      func() time.Time // nil: time.Now
}

// Member is a prober that may connect, and the region that it speaks for.
type Member struct {
	Prober string
	Region string
	Token  secret.String // the empty secret admits nobody
	Next   secret.String // admits as well, while it takes the place of Token; empty: none
}

// digest is the SHA-256 of a token.
type digest [sha256.Size]byte

// tokens returns the digests of the tokens that admit the member.
func (m Member) tokens() []digest {
	var list []digest
	for _, token := range []secret.String{m.Token, m.Next} {
		if !token.IsZero() {
			list = append(list, sha256.Sum256([]byte(token.Reveal())))
		}
	}
	return list
}

// Fleet keeps track of the probers. Its zero value is of no use; see New.
type Fleet struct {
	ingester Ingester
	log      *slog.Logger
	now      func() time.Time

	mu      sync.Mutex         // protects following
	probers map[string]*prober // by name
	members []Member           // in the order of Update
	checks  []planned
	index   map[string]int // of checks, by name
	owners  map[place]owner
	failing bool // the last batch could not be ingested
	closed  bool
}

// prober is a member and what is known of it. Fleet.mu protects it.
type prober struct {
	Member
	tokens  []digest
	stream  *stream     // nil: not connected
	present bool        // counts when checks are given out
	silence *time.Timer // ends present; runs from the last sign of life

	since   time.Time // connected or disconnected since then; zero: never seen
	heard   time.Time
	offset  time.Duration
	shaper  []regions.Shaped
	version string
	address string

	assignment []byte // a regions.Assignment as it was last made
	checks     int    // in it
}

// New returns a fleet without members; Update brings them. Register Close with
// the server's RegisterOnShutdown: streams do not end by themselves.
func New(c Config) *Fleet {
	f := &Fleet{
		ingester: c.Ingester,
		log:      c.Log,
		now:      c.Now,
		probers:  map[string]*prober{},
		owners:   map[place]owner{},
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.now == nil {
		f.now = time.Now
	}
	return f
}

// Update replaces members and checks, and tells every connected prober whose
// share changes. A member that is gone, or whose token no longer admits it, is
// disconnected.
func (f *Fleet) Update(members []Member, list []config.Check) {
	plan := f.plan(list)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members, f.checks = members, plan
	f.index = make(map[string]int, len(plan))
	for i, c := range plan {
		f.index[c.name] = i
	}
	before := f.probers
	f.probers = make(map[string]*prober, len(members))
	for _, m := range members {
		p := before[m.Prober]
		if p == nil {
			p = &prober{}
		} else {
			delete(before, m.Prober)
		}
		p.Member, p.tokens = m, m.tokens()
		if p.stream != nil && !slices.Contains(p.tokens, p.stream.token) {
			f.cut(p, "its token is no longer valid")
		}
		f.probers[m.Prober] = p
	}
	for _, p := range before {
		f.cut(p, "it is no longer a member")
		p.stop()
	}
	f.rebalance()
}

// Confirm asks one prober of each of the check's regions but one to run it
// now: the one whose check it is, or while that is not connected another of
// the region. Regions without a connected prober are not asked.
func (f *Fleet) Confirm(check, except string, slot time.Time) {
	run := regions.Run{Check: check, Slot: slot.UTC().Truncate(time.Millisecond)}
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := f.index[check]
	if !ok {
		return
	}
	for _, region := range f.checks[i].regions {
		if region == except {
			continue
		}
		p := f.probers[f.owners[place{check, region}].prober]
		if p != nil && p.stream != nil {
			p.stream.ask(run)
			continue
		}
		if name := choose(check, f.connected(region)); name != "" {
			standIn := run
			standIn.Spec = f.checks[i].wire
			f.probers[name].stream.ask(standIn)
		}
	}
}

// connected returns the probers of a region that have a stream. f.mu is held.
func (f *Fleet) connected(region string) (names []string) {
	for _, m := range f.members {
		if m.Region == region && f.probers[m.Prober].stream != nil {
			names = append(names, m.Prober)
		}
	}
	return names
}

// Close ends every stream and takes no more. Results are still taken.
func (f *Fleet) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, p := range f.probers {
		f.cut(p, "the scheduler stops")
		p.stop()
	}
}

// Status is one prober as operators see it.
type Status struct {
	Prober    string        `json:"prober"`
	Region    string        `json:"region"`
	Connected bool          `json:"connected"`
	Since     time.Time     `json:"since,omitzero"`     // of Connected; zero: not seen since the scheduler started
	LastSeen  time.Time     `json:"last_seen,omitzero"` // its last request or, while connected, beat
	Offset    time.Duration `json:"-"`                  // its clock minus ours, to about half a round trip
	Version   string        `json:"version,omitempty"`
	Address   string        `json:"address,omitempty"`
	Checks    int           `json:"checks"` // given to it
	// Shaper is how exact its own shaper was when it last said so.
	Shaper []regions.Shaped `json:"-"`
}

// Status returns every member, in the order in which Update got them.
func (f *Fleet) Status() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]Status, 0, len(f.members))
	for _, m := range f.members {
		p := f.probers[m.Prober]
		list = append(list, Status{
			Prober: p.Prober, Region: p.Region, Connected: p.stream != nil, Since: p.since, LastSeen: p.heard,
			Offset: p.offset, Version: p.version, Address: p.address, Checks: p.checks, Shaper: p.shaper,
		})
	}
	return list
}

// caller is a member by the token that it came with.
type caller struct {
	Member
	token digest
}

// identify returns the member that a token belongs to. Every token is compared,
// by its hash, so that time tells nothing of any.
func (f *Fleet) identify(token string) (caller, bool) {
	sum := digest(sha256.Sum256([]byte(token)))
	f.mu.Lock()
	defer f.mu.Unlock()
	var found *prober
	for _, p := range f.probers {
		for _, known := range p.tokens {
			if subtle.ConstantTimeCompare(known[:], sum[:]) == 1 {
				found = p
			}
		}
	}
	if found == nil {
		return caller{}, false
	}
	return caller{found.Member, sum}, true
}

// alive notes a sign of life: a stream that opened, or a request of a prober
// that has one. f.mu is held.
func (f *Fleet) alive(p *prober) {
	p.heard = f.now()
	if p.stream == nil || f.closed {
		return // it cannot be told what to run
	}
	if p.silence == nil {
		p.silence = time.AfterFunc(Silence, func() { f.lost(p) })
	} else {
		p.silence.Reset(Silence)
	}
	if !p.present {
		p.present = true
		f.divide(p.Region, f.owners)
	}
}

// lost takes a prober's checks away because nothing was heard from it.
func (f *Fleet) lost(p *prober) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !p.present || f.probers[p.Prober] != p || f.closed {
		return
	}
	p.present = false
	f.cut(p, "nothing was heard from it")
	f.log.Warn("prober lost", "prober", p.Prober, "region", p.Region)
	f.divide(p.Region, f.owners)
}

// cut ends the prober's stream if it has one. f.mu is held.
func (f *Fleet) cut(p *prober, why string) {
	if p.stream != nil {
		p.stream.end(why)
		p.stream, p.since = nil, f.now()
	}
}

// stop ends what runs for a prober that is no longer a member.
func (p *prober) stop() {
	if p.silence != nil {
		p.silence.Stop()
	}
	p.present = false
}

// give makes a the prober's assignment and tells it if that is a change.
// Fleet.mu is held.
func (p *prober) give(a regions.Assignment) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	p.checks = len(a.Checks)
	if bytes.Equal(p.assignment, data) {
		return nil
	}
	p.assignment = data
	if p.stream != nil {
		p.stream.assign(data)
	}
	return nil
}
