package dnssec

import (
	"context"

	"github.com/miekg/dns"
)

// positive proves a record set of an answer.
func (r *run) positive(ctx context.Context, set *rrset, msg *dns.Msg) *fault {
	signer := set.signer()
	if signer == "" {
		if len(set.sigs) > 0 {
			return bogus(set.name, "%s is signed by no zone that it lies in", set)
		}
		return r.unsigned(ctx, set.name, set.kind, set.String()+" has no signature")
	}
	z, f := r.zone(ctx, signer)
	if f != nil {
		return f
	}
	if z.insecure != nil {
		return z.insecure
	}
	if f := r.provePositive(set, msg, z); f != nil {
		return f
	}
	r.verdict.Zone = z.name
	r.verdict.Records = append(r.verdict.Records, set.records...)
	return nil
}

// provePositive proves a set by the zone's keys, and if it was made from a
// wildcard, that no closer name exists (RFC 4035 section 5.3.4).
func (r *run) provePositive(set *rrset, msg *dns.Msg, z *zone) *fault {
	sig, f := r.prove(set, z, z.keys)
	if f != nil || int(sig.Labels) == labelsOf(set.name) {
		return f
	}
	p, f := r.proofOf(msg, z)
	if f != nil {
		return f
	}
	return p.noCloser(set.name, int(sig.Labels))
}

// unsigned says what it means that an answer about name has no signatures:
// insecure if the way down from the trust anchor leads through a delegation
// that is proved unsigned, else bogus.
func (r *run) unsigned(ctx context.Context, name string, kind uint16, what string) *fault {
	if kind == dns.TypeDS {
		name = parent(name)
	}
	z, f := r.walk(ctx, name)
	switch {
	case f != nil:
		return f
	case z.insecure != nil:
		return z.insecure
	}
	return bogus(z.name, "%s, though the zone %s is signed", what, z.name)
}

// negative proves that there is nothing of that name, or nothing of that type.
func (r *run) negative(ctx context.Context, name string, kind uint16, msg *dns.Msg) *fault {
	if to := referral(name, msg); to != "" {
		return indeterminate(to, "the server refers to those of %s and has no answer itself", to)
	}
	signer := denier(msg, name, kind)
	if signer == "" {
		return r.unsigned(ctx, name, kind, "nothing signed proves that "+dns.Type(kind).String()+" of "+name+" does not exist")
	}
	z, f := r.zone(ctx, signer)
	if f != nil {
		return f
	}
	if z.insecure != nil {
		return z.insecure
	}
	d, f := r.denied(msg, z, name, kind)
	switch {
	case f != nil:
		return f
	case d.insecure != nil:
		return d.insecure
	case !d.compact && d.nxdomain != (msg.Rcode == dns.RcodeNameError):
		return bogus(z.name, "the answer's code is %s, and the proof is that %s %s", dns.RcodeToString[msg.Rcode], name, d)
	}
	r.verdict.Zone = z.name
	return nil
}

// referral returns the zone that a server without an answer refers to, or an
// empty text.
func referral(name string, msg *dns.Msg) string {
	to := ""
	for _, set := range group(msg.Ns) {
		if set.kind == dns.TypeSOA {
			return ""
		}
		if set.kind == dns.TypeNS && dns.IsSubDomain(set.name, name) {
			to = set.name
		}
	}
	if msg.Rcode != dns.RcodeSuccess || len(msg.Answer) > 0 {
		return ""
	}
	return to
}

// denier returns the deepest zone that signed a denial in the message and may
// speak for the name, or an empty text.
func denier(msg *dns.Msg, name string, kind uint16) string {
	deepest := ""
	for _, set := range group(msg.Ns) {
		if set.kind != dns.TypeNSEC && set.kind != dns.TypeNSEC3 {
			continue
		}
		signer := set.signer()
		if signer == "" || !dns.IsSubDomain(signer, name) || kind == dns.TypeDS && signer == name && name != "." {
			continue
		}
		if deepest == "" || dns.CountLabel(signer) > dns.CountLabel(deepest) {
			deepest = signer
		}
	}
	return deepest
}
