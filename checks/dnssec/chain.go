package dnssec

import (
	"context"
	"errors"
	"strings"

	"github.com/miekg/dns"
)

// key is a key of a zone, with its tag, which is made of all its bytes.
type key struct {
	*dns.DNSKEY
	tag uint16
}

// zone is a zone as far as the chain got: its keys, or why it has none that
// count.
type zone struct {
	name     string
	keys     []key
	insecure *fault // nil when it has keys
}

// ask asks a question once in a run.
func (r *run) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	question := dns.Question{Name: name, Qtype: kind, Qclass: dns.ClassINET}
	if known, asked := r.answers[question]; asked {
		return known.msg, known.err
	}
	if len(r.answers) >= maxQuestions {
		return nil, indeterminate(name, "the chain takes more than %d questions", maxQuestions)
	}
	msg, err := r.Ask(ctx, name, kind)
	if err == nil && msg == nil {
		err = errors.New("there is no answer")
	}
	r.answers[question] = reply{msg, err}
	return msg, err
}

// askFor asks for the DS or DNSKEY records of a zone.
func (r *run) askFor(ctx context.Context, name string, kind uint16) (*dns.Msg, *fault) {
	msg, err := r.ask(ctx, name, kind)
	if err != nil {
		return nil, indeterminate(name, "asking for %s of %s: %v", dns.Type(kind), name, err)
	}
	if msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError {
		return nil, indeterminate(name, "the answer to %s of %s has the code %s", dns.Type(kind), name, dns.RcodeToString[msg.Rcode])
	}
	return msg, nil
}

// anchored returns the closest trust anchors that enclose name.
func (r *run) anchored(name string) (apex string, anchors []*dns.DS) {
	for _, anchor := range r.Anchors {
		owner := canonical(anchor.Hdr.Name)
		switch {
		case !dns.IsSubDomain(owner, name):
		case len(anchors) == 0 || dns.CountLabel(owner) > dns.CountLabel(apex):
			apex, anchors = owner, []*dns.DS{anchor}
		case owner == apex:
			anchors = append(anchors, anchor)
		}
	}
	return apex, anchors
}

// zone returns the zone of that name, which a signature names. The chain goes
// upwards from signer to signer while the answers say who they are, so that
// labels without a cut cost nothing; where there is no DS it comes from above.
func (r *run) zone(ctx context.Context, name string) (*zone, *fault) {
	if z := r.zones[name]; z != nil {
		return z, nil
	}
	apex, anchors := r.anchored(name)
	if len(anchors) == 0 {
		return nil, indeterminate(name, "no trust anchor leads to %s", name)
	}
	if apex == name {
		return r.keysOf(ctx, name, anchors, "the trust anchor")
	}
	msg, f := r.askFor(ctx, name, dns.TypeDS)
	if f != nil {
		return nil, f
	}
	if ds := pick(group(msg.Answer), name, dns.TypeDS); ds != nil {
		if above := ds.signer(); above != "" && dns.IsSubDomain(apex, above) {
			z, f := r.zone(ctx, above)
			if f != nil || z.insecure != nil {
				return z, f
			}
			z, _, f = r.enter(ctx, z, name)
			return z, f
		}
	}
	z, f := r.walk(ctx, name)
	if f == nil && z.insecure == nil && z.name != name {
		return nil, bogus(z.name, "%s signs as a zone and is only a name in %s", name, z.name)
	}
	return z, f
}

// walk returns the zone that holds name, going down from the trust anchor one
// label at a time. It ends early at a delegation that is proved unsigned, and
// where a name is proved not to exist: nothing is below it (RFC 8020).
func (r *run) walk(ctx context.Context, name string) (*zone, *fault) {
	apex, anchors := r.anchored(name)
	if len(anchors) == 0 {
		return nil, indeterminate(name, "no trust anchor leads to %s", name)
	}
	z, f := r.zone(ctx, apex)
	for n := dns.CountLabel(apex) + 1; n <= dns.CountLabel(name); n++ {
		if f != nil || z.insecure != nil {
			break
		}
		var below *zone
		var gone bool
		if below, gone, f = r.enter(ctx, z, suffix(name, n)); below != nil {
			z = below
		}
		if gone {
			break
		}
	}
	return z, f
}

// enter returns the zone that begins at a name within another, or nil if none
// does; gone says that not even the name exists.
func (r *run) enter(ctx context.Context, above *zone, name string) (begun *zone, gone bool, f *fault) {
	if z := r.zones[name]; z != nil {
		return z, false, nil
	}
	msg, f := r.askFor(ctx, name, dns.TypeDS)
	if f != nil {
		return nil, false, f
	}
	for _, set := range group(msg.Answer) {
		switch {
		case set.name == name && set.kind == dns.TypeDS:
			if _, f := r.prove(set, above, above.keys); f != nil {
				return nil, false, f
			}
			z, f := r.keysOf(ctx, name, all[*dns.DS](set), "the DS")
			return z, false, f
		case set.name == name && set.kind == dns.TypeCNAME, set.isDNAME(name):
			return nil, false, r.provePositive(set, msg, above) // no zone begins at an alias
		}
	}
	d, f := r.denied(msg, above, name, dns.TypeDS)
	if f != nil {
		return nil, false, f
	}
	why := d.insecure
	if d.delegation {
		why = insecure(name, "the zone %s is not signed: %s proves that there is no DS", name, above.name)
	}
	if why == nil {
		return nil, d.nxdomain, nil
	}
	why.zone = name
	r.zones[name] = &zone{name: name, insecure: why}
	return r.zones[name], false, nil
}

// all returns the records of a set as what they are.
func all[T dns.RR](set *rrset) []T {
	var found []T
	for _, rr := range set.records {
		if rr, ok := rr.(T); ok {
			found = append(found, rr)
		}
	}
	return found
}

// keysOf asks for a zone's keys and proves them by what vouches for one of
// them: DS records of the zone above, or trust anchors (RFC 4035 section 5.2).
func (r *run) keysOf(ctx context.Context, name string, vouchers []*dns.DS, source string) (*zone, *fault) {
	z := &zone{name: name}
	usable := usableDS(vouchers)
	if len(usable) == 0 {
		z.insecure = insecure(name, "%s of %s has no algorithm or digest that can be checked: %s", source, name, described(vouchers))
		r.zones[name] = z
		return z, nil
	}
	msg, f := r.askFor(ctx, name, dns.TypeDNSKEY)
	if f != nil {
		return nil, f
	}
	set := pick(group(msg.Answer), name, dns.TypeDNSKEY)
	if set == nil {
		return nil, bogus(name, "%s of %s says that it is signed, and it has no DNSKEY", source, name)
	}
	var keys []key
	for _, rr := range all[*dns.DNSKEY](set) {
		if usableKey(rr) {
			keys = append(keys, key{rr, rr.KeyTag()})
		}
	}
	vouched, f := r.vouched(name, usable, keys)
	if f != nil {
		return nil, f
	}
	if len(vouched) == 0 {
		return nil, bogus(name, "%s of %s (%s) matches none of its keys", source, name, described(usable))
	}
	if _, f := r.prove(set, z, vouched); f != nil {
		return nil, f
	}
	z.keys = keys
	r.zones[name] = z
	return z, nil
}

// vouched returns the keys that one of the DS records is the digest of.
func (r *run) vouched(name string, vouchers []*dns.DS, keys []key) ([]key, *fault) {
	var found []key
	for _, key := range keys {
		for _, ds := range vouchers {
			if ds.KeyTag != key.tag || ds.Algorithm != key.Algorithm {
				continue
			}
			if r.digests++; r.digests > maxDigests {
				return nil, bogus(name, "the zone %s needs more than %d digests of keys", name, maxDigests)
			}
			if made := key.ToDS(ds.DigestType); made != nil && strings.EqualFold(made.Digest, ds.Digest) {
				found = append(found, key)
				break
			}
		}
	}
	return found, nil
}

// described lists DS records for people, the first few of them.
func described(records []*dns.DS) string {
	var texts []string
	for _, ds := range records[:min(len(records), 4)] {
		texts = append(texts, Link{ds.Hdr.Name, ds.KeyTag, ds.Algorithm}.String())
	}
	return strings.Join(texts, ", ")
}
