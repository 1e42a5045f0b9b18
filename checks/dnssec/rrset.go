package dnssec

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// rrset is the records of one name and type, and the signatures that came with
// them.
type rrset struct {
	name    string // canonical
	kind    uint16
	records []dns.RR
	sigs    []*dns.RRSIG
}

func (s *rrset) String() string { return dns.Type(s.kind).String() + " of " + s.name }

// isDNAME reports whether the set renames a name.
func (s *rrset) isDNAME(name string) bool { return s.kind == dns.TypeDNAME && under(s.name, name) }

// group returns the record sets of one section, in the order of their first
// records. Other classes than IN are left out.
func group(section []dns.RR) []*rrset {
	type place struct {
		name string
		kind uint16
	}
	sets := map[place]*rrset{}
	var order []*rrset
	set := func(name string, kind uint16) *rrset {
		at := place{canonical(name), kind}
		if sets[at] == nil {
			sets[at] = &rrset{name: at.name, kind: kind}
			order = append(order, sets[at])
		}
		return sets[at]
	}
	for _, rr := range section {
		h := rr.Header()
		if h.Class != dns.ClassINET || h.Rrtype == dns.TypeOPT {
			continue
		}
		if sig, ok := rr.(*dns.RRSIG); ok {
			s := set(h.Name, sig.TypeCovered)
			s.sigs = append(s.sigs, sig)
			continue
		}
		s := set(h.Name, h.Rrtype)
		if len(s.records) > 0 && s.records[0].Header().Name != h.Name {
			// The same name in other letters: package dns wants one spelling.
			rr = dns.Copy(rr)
			rr.Header().Name = s.records[0].Header().Name
		}
		s.records = append(s.records, rr)
	}
	return slices.DeleteFunc(order, func(s *rrset) bool { return len(s.records) == 0 })
}

// pick returns the set of that name and type, or nil.
func pick(sets []*rrset, name string, kind uint16) *rrset {
	for _, s := range sets {
		if s.name == name && s.kind == kind {
			return s
		}
	}
	return nil
}

// signer returns the deepest zone that signed the set and encloses it, or an
// empty text. A delegation's DS is its parent's, so never signed by itself
// (RFC 4035 section 2.4).
func (s *rrset) signer() string {
	deepest := ""
	for _, sig := range s.sigs[:min(len(s.sigs), maxSigsPerSet)] {
		name := canonical(sig.SignerName)
		if !dns.IsSubDomain(name, s.name) || s.kind == dns.TypeDS && name == s.name {
			continue
		}
		if deepest == "" || dns.CountLabel(name) > dns.CountLabel(deepest) {
			deepest = name
		}
	}
	return deepest
}

// labelsOf returns how many labels a name has as signatures count them: the
// root and the asterisk of a wildcard are none (RFC 4034 section 3.1.3).
func labelsOf(name string) int {
	n := dns.CountLabel(name)
	if strings.HasPrefix(name, "*.") {
		n--
	}
	return n
}

// expandable reports whether a set may have been made from a wildcard. What
// zones, keys and denials rest on must stand in the zone as it is: else the
// NSEC record of a wildcard could be moved to another name.
func expandable(kind uint16) bool {
	switch kind {
	case dns.TypeDNSKEY, dns.TypeDS, dns.TypeSOA, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeDNAME:
		return false
	}
	return true
}

// prove checks the set's signatures with keys of the zone until one is right,
// and returns it. A wildcard that the set may have been made from is for the
// caller to look at.
//
// It checks what RFC 4035 section 5.3.1 demands and package dns's Verify does
// not: that the signer is the zone and encloses the name label by label, the
// dates, the number of labels, the length of the signature. It relies on Verify
// for the canonical form and order of the records and their times to live, for
// the match of type, class, tag and algorithm, and for the cryptography. Verify
// cannot put together the name of a wildcard directly below the root, so that
// one is never right.
func (r *run) prove(set *rrset, z *zone, keys []key) (*dns.RRSIG, *fault) {
	if len(set.sigs) == 0 {
		return nil, bogus(z.name, "%s has no signature, though the zone %s is signed", set, z.name)
	}
	if !dns.IsSubDomain(z.name, set.name) {
		return nil, bogus(z.name, "%s is not in the zone %s", set, z.name)
	}
	sigs := slices.Clone(set.sigs)
	slices.SortStableFunc(sigs, func(a, b *dns.RRSIG) int { return cmp.Compare(r.left(b), r.left(a)) })
	var why *fault
	for _, sig := range sigs[:min(len(sigs), maxSigsPerSet)] {
		f := r.try(set, sig, z, keys)
		if f == nil {
			r.used(set, sig)
			return sig, nil
		}
		// What is wrong with a signature's dates says more than that another
		// has no key.
		if why == nil || f.dated && !why.dated {
			why = f
		}
	}
	return nil, why
}

// left returns how many seconds the signature is still good for, by the serial
// arithmetic of RFC 1982 that RFC 4034 section 3.1.5 demands.
func (r *run) left(sig *dns.RRSIG) int32 { return int32(sig.Expiration - uint32(r.now.Unix())) }

// age returns how many seconds the signature has been good for.
func (r *run) age(sig *dns.RRSIG) int32 { return int32(uint32(r.now.Unix()) - sig.Inception) }

func (r *run) expires(sig *dns.RRSIG) time.Time {
	return r.now.Truncate(time.Second).Add(time.Duration(r.left(sig)) * time.Second)
}

func (r *run) begins(sig *dns.RRSIG) time.Time {
	return r.now.Truncate(time.Second).Add(-time.Duration(r.age(sig)) * time.Second)
}

// try checks one signature.
func (r *run) try(set *rrset, sig *dns.RRSIG, z *zone, keys []key) *fault {
	switch {
	case canonical(sig.SignerName) != z.name:
		return bogus(z.name, "%s is signed by %s, not by its zone %s", set, canonical(sig.SignerName), z.name)
	case int(sig.Labels) > labelsOf(set.name), int(sig.Labels) < dns.CountLabel(z.name),
		!expandable(set.kind) && int(sig.Labels) != labelsOf(set.name):
		return bogus(z.name, "the signature of %s is for a name of %d labels", set, sig.Labels)
	case !wellFormed(sig):
		return bogus(z.name, "the signature of %s is not one of algorithm %s", set, algorithmName(sig.Algorithm))
	}
	candidates := 0
	for _, key := range keys {
		if key.Algorithm != sig.Algorithm || key.tag != sig.KeyTag {
			continue
		}
		if candidates++; candidates > maxKeysPerTag {
			return bogus(z.name, "the zone %s has more than %d keys of the tag %d", z.name, maxKeysPerTag, sig.KeyTag)
		}
		if f := r.inDate(set, sig, z); f != nil {
			return f
		}
		if r.Cache.knows(sig, key.DNSKEY, set) {
			return nil
		}
		if r.tried++; r.tried > maxSignatures {
			return bogus(z.name, "the answers need more than %d signatures checked", maxSignatures)
		}
		if sig.Verify(key.DNSKEY, set.records) == nil {
			r.Cache.remember(sig, key.DNSKEY, set)
			return nil
		}
	}
	if candidates == 0 {
		return bogus(z.name, "%s is signed by key %d of %s, which is not among the trusted keys of %s", set, sig.KeyTag, algorithmName(sig.Algorithm), z.name)
	}
	return bogus(z.name, "the signature of %s by key %d of %s is wrong", set, sig.KeyTag, z.name)
}

func (r *run) inDate(set *rrset, sig *dns.RRSIG, z *zone) *fault {
	f := bogus(z.name, "")
	f.dated = true
	switch {
	case int32(sig.Expiration-sig.Inception) < 0:
		f.why, f.dated = "the signature of "+set.String()+" ends before it begins", false
	case r.left(sig) < 0:
		f.why = "the signature of " + set.String() + " expired on " + r.expires(sig).UTC().Format(time.RFC3339)
	case r.age(sig) < -int32(earliness/time.Second):
		f.why = "the signature of " + set.String() + " is good only from " + r.begins(sig).UTC().Format(time.RFC3339)
	default:
		return nil
	}
	return f
}

// used notes a signature that the chain rests on.
func (r *run) used(set *rrset, sig *dns.RRSIG) {
	if ends := r.expires(sig); r.verdict.Expires.IsZero() || ends.Before(r.verdict.Expires) {
		r.verdict.Expires, r.verdict.Inception, r.verdict.ExpiresAt = ends, r.begins(sig), set.String()
	}
	link := Link{canonical(sig.SignerName), sig.KeyTag, sig.Algorithm}
	if !slices.Contains(r.verdict.Chain, link) {
		r.verdict.Chain = append(r.verdict.Chain, link)
	}
}
