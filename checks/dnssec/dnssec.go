// Package dnssec says whether the answer to a DNS question is proved by
// signatures: it builds the chain from a trust anchor to the zone of every
// record set in the answer, and where the answer is that there is nothing, it
// checks the proof of that.
//
// A Validator is given an answer and asks for the keys (DNSKEY) and the
// delegations (DS) on the way through a function; it has no network and no
// clock of its own. The verdict is one of the four states of RFC 4035 section
// 4.3: secure, insecure, bogus or indeterminate, with the zone that decided
// it, and for the proofs that held, when the first of them ends.
//
// What it follows: RFC 4033 to 4035 (DNSSEC), 4509 (SHA-256 in DS), 5011
// (revoked keys), 5155 (NSEC3), 6605, 5702, 8080 (algorithms), 6672 (DNAME),
// 6840 (clarifications), 9276 (NSEC3 iterations), 9824 (compact denial), 9904
// and 9905 (which algorithms count).
//
// Whoever answers may be hostile. The work of one validation is bounded in
// questions, signatures, keys of one tag and hashes (CVE-2023-50387 and
// CVE-2023-50868 were validators without such bounds), and whatever exceeds a
// bound is not secure.
//
// It imports github.com/miekg/dns and the standard library, and nothing of
// this module.
package dnssec

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// The bounds of one validation.
const (
	maxQuestions  = 48 // an address under ip6.arpa has 32 labels
	maxSignatures = 64 // that are computed
	maxSigsPerSet = 8  // signatures of one record set that are looked at
	maxKeysPerTag = 4  // keys of one tag and algorithm that are tried
	maxDigests    = 32 // of keys, to compare with DS records
	maxHashes     = 300
	maxProofs     = 32 // NSEC and NSEC3 record sets of one message that are looked at
	maxAliases    = 16

	// maxIterations is how often an NSEC3 hash may be repeated. Beyond it the
	// proof counts as insecure, as RFC 9276 section 3.2 lets validators do;
	// BIND, PowerDNS and Knot Resolver draw the line at 50 as well.
	maxIterations = 50

	// earliness is how long before its inception a signature is accepted: a
	// clock that is late by less is no fault of the zone. RFC 4035 has no
	// tolerance; Unbound allows an hour at least (val-sig-skew-min),
	// systemd-resolved 70 minutes, BIND nothing. Ends are taken as they are.
	earliness = 5 * time.Minute
)

// State is what is known of an answer.
type State int

// The four states, of which only Secure says that the answer is right.
const (
	// Indeterminate: what would decide could not be had, or no trust anchor
	// leads there.
	Indeterminate State = iota
	// Secure: signatures lead from a trust anchor to every record.
	Secure
	// Insecure: it is proved that the zone is not signed, or not in a way that
	// can be checked.
	Insecure
	// Bogus: the zone is signed and the answer is not proved.
	Bogus
)

func (s State) String() string {
	return [...]string{"indeterminate", "secure", "insecure", "bogus"}[s]
}

// Verdict is what a validation found.
type Verdict struct {
	State State
	// Why says for people what the state rests on; empty when Secure.
	Why string
	// Zone is the zone that decided: for Secure the one that the last record
	// is in, else the one where the chain ends or breaks. A canonical name.
	Zone string
	// Expires is when the first of the signatures that the chain was built
	// from ends, and Inception when that signature began; zero if none was.
	Expires, Inception time.Time
	// ExpiresAt says which signature that is, as "A of www.example.com.".
	ExpiresAt string
	// Dated is set if it was the dates of a signature that made the chain
	// break: on another day, or with another clock, the state might differ.
	Dated bool
	// Chain is the keys whose signatures were used, in the order of their use.
	Chain []Link
	// Records are what a Secure verdict is about: the records from the
	// question's name on, aliases included.
	Records []dns.RR
}

// Link is one key of a chain.
type Link struct {
	Zone      string
	KeyTag    uint16
	Algorithm uint8
}

// String returns the link as "example.com. 4711 ECDSAP256SHA256".
func (l Link) String() string {
	return fmt.Sprintf("%s %d %s", l.Zone, l.KeyTag, algorithmName(l.Algorithm))
}

// Validator validates answers. Its fields are not changed once it is used;
// it may be used by many at once if Ask may.
type Validator struct {
	// Anchors are the keys that are trusted to begin with, as DS records. The
	// closest that encloses a name is where its chain begins.
	Anchors []*dns.DS
	// Ask asks one question of class IN, with the bits DO and CD set, and
	// returns the answer to that question, whatever its code. An error makes
	// the verdict indeterminate.
	Ask func(ctx context.Context, name string, kind uint16) (*dns.Msg, error)
	// Cache remembers signatures that were right, for the next validation;
	// nil means that each is computed anew.
	Cache *Cache
}

// fault ends a proof: it is why the state is not Secure.
type fault struct {
	state State
	zone  string
	dated bool
	why   string
}

func (f *fault) Error() string { return f.why }

func bogus(zone, format string, args ...any) *fault {
	return &fault{state: Bogus, zone: zone, why: fmt.Sprintf(format, args...)}
}

func insecure(zone, format string, args ...any) *fault {
	return &fault{state: Insecure, zone: zone, why: fmt.Sprintf(format, args...)}
}

func indeterminate(zone, format string, args ...any) *fault {
	return &fault{zone: zone, why: fmt.Sprintf(format, args...)}
}

// reply is what came of a question.
type reply struct {
	msg *dns.Msg
	err error
}

// run is one validation.
type run struct {
	*Validator
	now     time.Time
	zones   map[string]*zone
	answers map[dns.Question]reply
	hashes  map[hashKey]string
	digests int
	tried   int // signatures computed
	verdict Verdict
}

// Validate says whether answer, which came to that question, is proved at that
// time. The answer must hold what a server sends when asked with the bit DO.
func (v *Validator) Validate(ctx context.Context, question dns.Question, answer *dns.Msg, now time.Time) Verdict {
	r := &run{Validator: v, now: now,
		zones: map[string]*zone{}, answers: map[dns.Question]reply{}, hashes: map[hashKey]string{}}
	f := r.follow(ctx, canonical(question.Name), question.Qtype, answer)
	if f == nil {
		r.verdict.State = Secure
		return r.verdict
	}
	r.verdict.State, r.verdict.Why, r.verdict.Zone, r.verdict.Dated = f.state, f.why, f.zone, f.dated
	r.verdict.Records = nil
	return r.verdict
}

// severity orders states by what they say of an answer whose parts differ.
var severity = [...]int{Secure: 0, Insecure: 1, Indeterminate: 2, Bogus: 3}

// follow proves an answer from the question's name through its aliases to the
// end. One alias that is insecure does not excuse a bogus rest.
func (r *run) follow(ctx context.Context, name string, kind uint16, msg *dns.Msg) *fault {
	if kind == dns.TypeRRSIG || kind == dns.TypeSIG {
		return indeterminate(name, "signatures are not themselves signed")
	}
	var worst *fault
	for range maxAliases {
		if msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError {
			return indeterminate(name, "the answer to %s has the code %s", name, dns.RcodeToString[msg.Rcode])
		}
		if slices.ContainsFunc(msg.Answer, func(rr dns.RR) bool { return rr.Header().Class != dns.ClassINET }) {
			return bogus(name, "the answer to %s has records of another class than IN, which no signature covers", name)
		}
		next, f := r.step(ctx, name, kind, msg)
		if f != nil && (worst == nil || severity[f.state] > severity[worst.state]) {
			worst = f
		}
		if next == "" || worst != nil && worst.state != Insecure {
			return worst
		}
		name = next
		if endsAt(msg, name, kind) {
			var err error
			if msg, err = r.ask(ctx, name, kind); err != nil {
				return indeterminate(name, "asking for what %s is an alias of: %v", name, err)
			}
		}
	}
	return indeterminate(name, "more than %d aliases", maxAliases)
}

// endsAt reports whether a message that led to name says nothing of it: a
// server that is not the authority for an alias's target leaves it out.
func endsAt(msg *dns.Msg, name string, kind uint16) bool {
	if msg.Rcode != dns.RcodeSuccess {
		return false
	}
	for _, set := range group(msg.Ns) {
		if set.kind == dns.TypeSOA && dns.IsSubDomain(set.name, name) {
			return false
		}
	}
	for _, set := range group(msg.Answer) {
		if set.name == name && (set.kind == kind || set.kind == dns.TypeCNAME || kind == dns.TypeANY) || set.isDNAME(name) {
			return false
		}
	}
	return true
}

// step proves what the message says of one name, and returns the name that it
// is an alias of, if it is one.
func (r *run) step(ctx context.Context, name string, kind uint16, msg *dns.Msg) (next string, f *fault) {
	var found []*rrset
	var alias, dname *rrset
	for _, set := range group(msg.Answer) {
		switch {
		case set.name == name && (set.kind == kind || kind == dns.TypeANY):
			found = append(found, set)
		case set.name == name && set.kind == dns.TypeCNAME:
			alias = set
		case set.isDNAME(name):
			dname = set
		}
	}
	switch {
	case len(found) > 0:
		for _, set := range found {
			if f := r.positive(ctx, set, msg); f != nil {
				return "", f
			}
		}
		if msg.Rcode == dns.RcodeNameError {
			return "", bogus(name, "the answer's code is NXDOMAIN, and %s exists", name)
		}
		return "", nil
	case dname != nil:
		return r.renamed(ctx, name, dname, alias, msg)
	case alias != nil:
		if len(alias.records) != 1 {
			return "", bogus(name, "%s is an alias of more than one name", name)
		}
		return canonical(alias.records[0].(*dns.CNAME).Target), r.positive(ctx, alias, msg)
	}
	return "", r.negative(ctx, name, kind, msg)
}

// renamed proves a DNAME; the alias that a server makes of it is unsigned, and
// must be the one that follows (RFC 6672 section 5.3.1).
func (r *run) renamed(ctx context.Context, name string, dname, alias *rrset, msg *dns.Msg) (string, *fault) {
	if len(dname.records) != 1 {
		return "", bogus(dname.name, "%s has more than one DNAME", dname.name)
	}
	target := canonical(dname.records[0].(*dns.DNAME).Target)
	renamed := name[:len(name)-len(dname.name)]
	if dname.name == "." {
		renamed = name
	}
	if target != "." {
		renamed += target
	}
	if _, ok := dns.IsDomainName(renamed); !ok {
		return "", bogus(dname.name, "the DNAME of %s makes no name of %s", dname.name, name)
	}
	if alias != nil && (len(alias.records) != 1 || canonical(alias.records[0].(*dns.CNAME).Target) != renamed) {
		return "", bogus(dname.name, "the alias of %s is not what the DNAME of %s makes it", name, dname.name)
	}
	return renamed, r.positive(ctx, dname, msg)
}
