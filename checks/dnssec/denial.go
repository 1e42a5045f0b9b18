package dnssec

import (
	"slices"

	"github.com/miekg/dns"
)

// denial is what a proof of absence shows.
type denial struct {
	nxdomain   bool   // the name does not exist; else it has nothing of the type
	compact    bool   // the two cannot be told apart by the code (RFC 9824)
	delegation bool   // the name is that of another zone
	insecure   *fault // the zone chose not to prove it
}

func (d denial) String() string {
	if d.nxdomain {
		return "does not exist"
	}
	return "exists"
}

// proof is the NSEC or NSEC3 records of one message that a zone signed.
type proof struct {
	*run
	zone   *zone
	nsecs  []*dns.NSEC
	nsec3s []*dns.NSEC3
}

// proofOf returns the proof that a message holds of a zone. Each set of it that
// the zone signed must be right, and so must the zone's SOA record: resolvers
// throw the whole answer away otherwise.
func (r *run) proofOf(msg *dns.Msg, z *zone) (*proof, *fault) {
	p := &proof{run: r, zone: z}
	looked := 0
	for _, set := range group(msg.Ns) {
		isDenial := set.kind == dns.TypeNSEC || set.kind == dns.TypeNSEC3
		if !(isDenial && set.signer() == z.name || set.kind == dns.TypeSOA && set.name == z.name) {
			continue
		}
		if looked++; looked > maxProofs {
			return nil, bogus(z.name, "more than %d records to prove an absence", maxProofs)
		}
		if _, f := r.prove(set, z, z.keys); f != nil {
			return nil, f
		}
		p.nsecs = append(p.nsecs, all[*dns.NSEC](set)...)
		p.nsec3s = append(p.nsec3s, all[*dns.NSEC3](set)...)
	}
	return p, nil
}

// denied checks the message's proof that a zone has nothing of that name, or
// nothing of that type.
func (r *run) denied(msg *dns.Msg, z *zone, name string, kind uint16) (denial, *fault) {
	p, f := r.proofOf(msg, z)
	if f != nil {
		return denial{}, f
	}
	if len(p.nsec3s) > 0 {
		if d, f := p.deny3(name, kind); f != nil || d != nil {
			return value(d), f
		}
	}
	if d := p.deny(name, kind); d != nil {
		return *d, nil
	}
	return denial{}, bogus(z.name, "nothing signed by %s proves that %s of %s does not exist", z.name, dns.Type(kind), name)
}

func value(d *denial) denial {
	if d == nil {
		return denial{}
	}
	return *d
}

// lacks reports whether a record with these types proves that its own name has
// nothing of the type. What stands at the upper side of a delegation speaks of
// DS alone, and what stands at the lower side never of it (RFC 6840 section
// 4.1, RFC 4035 section 5.2, RFC 5155 section 8.6).
func lacks(types []uint16, kind uint16, name string) bool {
	has := func(t uint16) bool { return slices.Contains(types, t) }
	switch {
	case kind == dns.TypeANY, has(kind), has(dns.TypeCNAME):
		return false
	case kind == dns.TypeDS:
		return !has(dns.TypeSOA) || name == "."
	}
	return !cut(types)
}

// cut reports whether the types are those of a delegation, seen from above.
func cut(types []uint16) bool {
	return slices.Contains(types, dns.TypeNS) && !slices.Contains(types, dns.TypeSOA)
}

// silentBelow reports whether a record with these types says nothing of the
// names below its own: they are another zone's, or are renamed (RFC 6840
// section 4.1, RFC 5155 section 8.3).
func silentBelow(types []uint16) bool { return cut(types) || slices.Contains(types, dns.TypeDNAME) }

// isCompact reports whether the types are those that say that the name does
// not exist (RFC 9824 section 3.1).
func isCompact(types []uint16) bool {
	return slices.Contains(types, dns.TypeNXNAME) && !slices.ContainsFunc(types, func(t uint16) bool {
		return t != dns.TypeNXNAME && t != dns.TypeRRSIG && t != dns.TypeNSEC
	})
}

// deny looks for a proof by NSEC records (RFC 4035 section 5.4); nil if there
// is none.
func (p *proof) deny(name string, kind uint16) *denial {
	if at := p.at(name); at != nil {
		if !lacks(at.TypeBitMap, kind, name) {
			return nil
		}
		return &denial{delegation: cut(at.TypeBitMap), compact: isCompact(at.TypeBitMap)}
	}
	closest, exists := p.over(name)
	switch {
	case closest == "":
		return nil
	case exists: // with nothing of its own
		return &denial{}
	}
	star := wildcard(closest)
	if at := p.at(star); at != nil {
		if !lacks(at.TypeBitMap, kind, star) || cut(at.TypeBitMap) {
			return nil
		}
		return &denial{}
	}
	above, exists := p.over(star)
	if above == "" {
		return nil
	}
	return &denial{nxdomain: !exists}
}

// at returns the NSEC record of a name.
func (p *proof) at(name string) *dns.NSEC {
	for _, n := range p.nsecs {
		if canonical(n.Hdr.Name) == name {
			return n
		}
	}
	return nil
}

// over looks for an NSEC record that spans a name, and returns the closest name
// above it that exists; empty if there is no such record. A name that a
// longer one hangs from exists, without records.
func (p *proof) over(name string) (closest string, exists bool) {
	for _, n := range p.nsecs {
		owner, next := canonical(n.Hdr.Name), canonical(n.NextDomain)
		if under(owner, name) && silentBelow(n.TypeBitMap) || !p.spans(owner, next, name) {
			continue
		}
		shared := max(dns.CompareDomainName(owner, name), dns.CompareDomainName(next, name))
		return suffix(name, shared), dns.IsSubDomain(name, next)
	}
	return "", false
}

// spans reports whether a name lies between two that follow each other in the
// zone. The last one's next is the first, which is the zone's own name (RFC
// 4034 section 4.1.1).
func (p *proof) spans(owner, next, name string) bool {
	if !dns.IsSubDomain(p.zone.name, next) || compare(owner, name) >= 0 {
		return false
	}
	if compare(owner, next) < 0 {
		return compare(name, next) < 0
	}
	return next == p.zone.name
}

// noCloser proves that a name which was answered from a wildcard of so many
// labels does not exist, nor anything between it and the wildcard.
func (p *proof) noCloser(name string, labels int) *fault {
	if closest, exists := p.over(name); closest != "" && !exists && dns.CountLabel(closest) == labels {
		return nil
	}
	if len(p.nsec3s) > 0 {
		return p.noCloser3(name, labels)
	}
	return bogus(p.zone.name, "the answer comes from a wildcard, and nothing proves that %s itself does not exist", name)
}
