package checks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"nines/checks/dnssec"
)

// Signed is how a DNS check looks at signatures. Its options are embedded.
type Signed struct {
	DNSSEC       string   `json:"dnssec" enum:"validate,off" doc:"Whether the signatures are checked from a trust anchor to the answer: validate or off; default off."`
	TrustAnchors []string `json:"trust_anchors" doc:"The keys to begin with, as DS or DNSKEY records of a zone file; default: those of the root." example:"[\"example.com. DS 4711 13 2 3A9C…\"]"`

	parsed  sync.Once // makes anchors and err
	anchors []*dns.DS // TrustAnchors, or the root's
	err     error
	right   dnssec.Cache
}

// SignedExpect is what the signatures must be.
type SignedExpect struct {
	DNSSEC   string        `json:"dnssec" enum:"secure,insecure" doc:"With dnssec validate: secure, or insecure if a zone that is proved to be unsigned will do; default secure."`
	ValidFor time.Duration `json:"valid_for" doc:"With dnssec validate: how long every signature on the way to the answer must still be valid, or the check is down; without it the check is degraded from 2 days before the first end on, or in the last quarter of a shorter validity." example:"3d"`
}

const (
	dnssecValidate = "validate"
	dnssecOff      = "off"
	dnssecSecure   = "secure"
	dnssecInsecure = "insecure"
)

// signatureWarning is how long before its end a signature makes a check
// degraded when nothing else is said, or the last quarter of a shorter
// validity: signers renew with more to spare (BIND's dnssec-policy 5 days
// before, of 14), and those that sign as they answer are valid for a day or so.
const signatureWarning = 2 * 24 * time.Hour

func (s *Signed) validates() bool { return s.DNSSEC == dnssecValidate }

// edns is what goes out beside the check's questions: where they are validated,
// a demand for signatures.
func (d *DNS) edns() EDNS {
	edns := d.EDNS
	if d.validates() {
		edns.DO = true
	}
	return edns
}

// signedFaults says what is wrong with the options about signatures.
func (d *DNS) signedFaults(kind uint16) []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	switch d.Signed.DNSSEC {
	case dnssecValidate, dnssecOff, "":
	default:
		add("dnssec", "%q is neither validate nor off", clip(d.Signed.DNSSEC, 40))
	}
	switch d.Expect.DNSSEC {
	case dnssecSecure, dnssecInsecure, "":
	default:
		add("expect.dnssec", "%q is neither secure nor insecure", clip(d.Expect.DNSSEC, 40))
	}
	faults = append(faults, durationFaults("expect.valid_for", d.Expect.ValidFor)...)
	for i, text := range d.TrustAnchors {
		if _, err := dnssec.ParseAnchor(text); err != nil {
			add(fmt.Sprintf("trust_anchors[%d]", i), "%q %v; write one such as: example.com. DS 4711 13 2 and the digest", clip(text, 80), err)
		}
	}
	if d.validates() {
		if d.Server.authoritative() {
			add("dnssec", "is validate beside server: authoritative, which compares servers; write a check of its own for the signatures, with one of the zone's servers or a resolver")
		}
		if class, _ := recordClass(d.Class); class != dns.ClassINET {
			add("class", "is not IN, and only that is signed; leave it out, or write dnssec: off")
		}
		if d.EDNS.Size == 0 {
			add("edns.size", "is 0, which leaves EDNS out, and signatures with it; leave it out, or write dnssec: off")
		}
		if kind == dns.TypeRRSIG || kind == dns.TypeSIG {
			add("type", "is that of signatures, which are not signed themselves; write another, or dnssec: off")
		}
	}
	if d.Signed.DNSSEC != "" && d.Signed.DNSSEC != dnssecOff {
		return faults
	}
	for _, set := range []struct {
		path string
		is   bool
	}{{"trust_anchors", len(d.TrustAnchors) > 0}, {"expect.dnssec", d.Expect.DNSSEC != ""}, {"expect.valid_for", d.Expect.ValidFor != 0}} {
		if set.is {
			add(set.path, "says nothing without dnssec: validate")
		}
	}
	return faults
}

// trusted returns the trust anchors, which Faults has found right.
func (s *Signed) trusted() ([]*dns.DS, error) {
	s.parsed.Do(func() {
		if len(s.TrustAnchors) == 0 {
			s.anchors = dnssec.RootAnchors()
		}
		for _, text := range s.TrustAnchors {
			anchor, err := dnssec.ParseAnchor(text)
			if err != nil {
				s.err = fmt.Errorf("trust anchor %q %w", clip(text, 80), err)
			}
			s.anchors = append(s.anchors, anchor)
		}
	})
	return s.anchors, s.err
}

// judgeSigned validates an answer where that is wanted, and weighs what it
// finds with what was found of the answer itself: an answer that is not proved
// is not worth judging, and a warning comes last.
func (d *DNS) judgeSigned(ctx context.Context, env *Env, got *reply, watch *stopwatch, facts Facts, judged finding) finding {
	if !d.validates() || got.msg.Rcode != dns.RcodeSuccess && got.msg.Rcode != dns.RcodeNameError {
		return judged
	}
	now := env.now()
	if now.Before(earliestNow) {
		return against(ProberClock, "the prober's clock shows %s; signatures cannot be judged by it", now.UTC().Format(time.RFC3339))
	}
	anchors, err := d.trusted()
	if err != nil {
		return against(ProberInternal, "%v", err)
	}
	var ours finding // the last fault of our own
	validator := &dnssec.Validator{Anchors: anchors, Cache: &d.right, Ask: func(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
		msg, f := d.askSigned(ctx, env, got.server, name, kind, watch)
		if f.status == Unknown {
			ours = f
		}
		if f.status != "" {
			return nil, errors.New(f.detail)
		}
		return msg, nil
	}}
	verdict := validator.Validate(ctx, got.msg.Question[0], got.msg, now)
	if verdict.State == dnssec.Indeterminate && ours.status != "" {
		return ours
	}
	describeSigned(verdict, facts)
	proved := d.judgeVerdict(verdict, now)
	if proved.status == Degraded && judged.status != "" || proved.status == "" {
		return judged
	}
	return proved
}

// askSigned asks the check's server one of the questions that a chain takes.
func (d *DNS) askSigned(ctx context.Context, env *Env, server nameServer, name string, kind uint16, watch *stopwatch) (*dns.Msg, finding) {
	q := question{kind: kind, class: dns.ClassINET, limit: plainSize, edns: d.edns()}
	if err := q.pack(name); err != nil {
		return nil, against(DNSUndecided, "asking for %s: %v", name, err)
	}
	q.flags(d.Recursion, false)
	q.checkingDisabled(true)
	answer, f := d.ask(ctx, env, &q, d.Transport, server, watch)
	return answer.msg, f
}

// describeSigned puts what a validation found into facts.
func describeSigned(v dnssec.Verdict, facts Facts) {
	facts["dnssec"] = v.State.String()
	if v.State == dnssec.Secure {
		facts["signature_expires"] = v.Expires.UTC().Format(time.RFC3339)
	}
	if len(v.Chain) == 0 {
		return
	}
	var chain []string
	for _, link := range v.Chain[:min(len(v.Chain), maxShown)] {
		chain = append(chain, clip(link.String(), 300))
	}
	facts["dnssec_chain"] = chain
}

// judgeVerdict holds a validation against what is expected.
func (d *DNS) judgeVerdict(v dnssec.Verdict, now time.Time) finding {
	why := clip(v.Why, 600)
	switch v.State {
	case dnssec.Bogus:
		// The root's signatures are renewed weeks before they end. It is rather
		// the clock.
		if v.Dated && v.Zone == "." && len(d.TrustAnchors) == 0 {
			return against(ProberClock, "the root's signatures are not valid at %s by the prober's clock: %s", now.UTC().Format(time.RFC3339), why)
		}
		return against(DNSBogus, "%s", why)
	case dnssec.Indeterminate:
		return against(DNSUndecided, "%s", why)
	case dnssec.Insecure:
		if d.Expect.DNSSEC == dnssecInsecure {
			return finding{}
		}
		return against(DNSInsecure, "%s", why)
	}
	return d.lasting(v, now)
}

// lasting is the expectation that signatures stay valid for a while.
func (d *DNS) lasting(v dnssec.Verdict, now time.Time) finding {
	limit := cmp.Or(d.Expect.ValidFor, min(signatureWarning, v.Expires.Sub(v.Inception)/4))
	left := v.Expires.Sub(now)
	if left >= limit {
		return finding{}
	}
	f := against(DNSExpiresSoon, "the signature of %s expires on %s, in %s; expected to last %s",
		clip(strings.TrimSpace(v.ExpiresAt), 300), v.Expires.UTC().Format(time.RFC3339), days(left), days(limit))
	if d.Expect.ValidFor == 0 {
		f.status = Degraded
	}
	return f
}
