package dnssec

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Answers made of what zones truly signed, put together to prove what is not
// so. Each is bogus.
func TestAttacks(t *testing.T) {
	h := world(t, dns.ECDSAP256SHA256)
	test, example, hashed, open := h.zones[1], h.zones[2], h.zones[3], h.zones[4]
	// soa, nsec and nsec3 return what the zone has, signed.
	soa := func(z *signed) []dns.RR { return z.withSig(t, z.data[z.name][dns.TypeSOA], z.name) }
	nsec := func(z *signed, name string) []dns.RR {
		return z.withSig(t, []dns.RR{z.nsec(name)}, z.nsec(name).Header().Name)
	}
	nsec3 := func(z *signed, name string) []dns.RR {
		rr := z.nsec3At(name)
		return z.withSig(t, []dns.RR{rr}, rr.Header().Name)
	}
	sign := func(z *signed, rr dns.RR) []dns.RR { return z.withSig(t, []dns.RR{rr}, rr.Header().Name) }
	set := func(z *signed, name string, kind uint16, as string) []dns.RR {
		return z.withSig(t, z.data[name][kind], as)
	}
	for _, tt := range []struct {
		name   string
		ask    string
		kind   uint16
		answer []dns.RR
		proof  []dns.RR
		rcode  int
	}{
		{name: "a wildcard's NSEC moved to a name that exists", ask: "real.wild.example.test.", kind: dns.TypeTXT,
			proof: slices.Concat(soa(example), example.withSig(t, []dns.RR{example.nsec("*.wild.example.test.")}, "real.wild.example.test."))},
		{name: "a wildcard where the name exists", ask: "real.wild.example.test.", kind: dns.TypeA,
			answer: set(example, "*.wild.example.test.", dns.TypeA, "real.wild.example.test."), proof: nsec(example, "real.wild.example.test.")},
		{name: "a wildcard below a closer name", ask: "b.sub.wild.example.test.", kind: dns.TypeA,
			answer: set(example, "*.wild.example.test.", dns.TypeA, "b.sub.wild.example.test."), proof: nsec(example, "b.sub.wild.example.test.")},
		{name: "a wildcard at a name that is empty", ask: "sub.wild.example.test.", kind: dns.TypeA,
			answer: set(example, "*.wild.example.test.", dns.TypeA, "sub.wild.example.test."), proof: nsec(example, "sub.wild.example.test.")},
		{name: "a wildcard without proof", ask: "any.wild.example.test.", kind: dns.TypeA,
			answer: set(example, "*.wild.example.test.", dns.TypeA, "any.wild.example.test.")},
		{name: "a hashed wildcard below a closer name", ask: "b.sub.wild.hashed.test.", kind: dns.TypeA,
			answer: set(hashed, "*.wild.hashed.test.", dns.TypeA, "b.sub.wild.hashed.test."),
			proof:  slices.Concat(nsec3(hashed, "b.sub.wild.hashed.test."), nsec3(hashed, "sub.wild.hashed.test."), nsec3(hashed, "wild.hashed.test."))},
		{name: "a wildcard denied where it exists", ask: "any.wild.example.test.", kind: dns.TypeA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(example), nsec(example, "any.wild.example.test."), nsec(example, "*.wild.example.test."))},
		{name: "a wildcard's records denied", ask: "any.wild.example.test.", kind: dns.TypeA,
			proof: slices.Concat(soa(example), nsec(example, "*.wild.example.test."))},
		{name: "a hashed wildcard's records denied", ask: "any.wild.hashed.test.", kind: dns.TypeA,
			proof: slices.Concat(soa(hashed), nsec3(hashed, "wild.hashed.test."), nsec3(hashed, "any.wild.hashed.test."), nsec3(hashed, "*.wild.hashed.test."))},
		{name: "a hashed wildcard denied where it exists", ask: "any.wild.hashed.test.", kind: dns.TypeA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(hashed), nsec3(hashed, "wild.hashed.test."), nsec3(hashed, "any.wild.hashed.test."), nsec3(hashed, "*.wild.hashed.test."))},
		{name: "a hashed wildcard not denied", ask: "nowhere.hashed.test.", kind: dns.TypeA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(hashed), nsec3(hashed, "hashed.test."), nsec3(hashed, "nowhere.hashed.test."))},
		{name: "a hashed name not denied", ask: unlike(hashed, "*.hashed.test."), kind: dns.TypeA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(hashed), nsec3(hashed, "hashed.test."), nsec3(hashed, "*.hashed.test."))},
		{name: "the upper side of a delegation denies what lies below", ask: "www.example.test.", kind: dns.TypeA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(test), nsec(test, "example.test."))},
		{name: "the upper side of a delegation denies the zone's own records", ask: "example.test.", kind: dns.TypeA,
			proof: slices.Concat(soa(test), nsec(test, "example.test."))},
		{name: "the hashed upper side of a delegation denies the zone's own records", ask: "below.open.test.", kind: dns.TypeSOA,
			proof: slices.Concat(soa(open), nsec3(open, "below.open.test."))},
		{name: "opt-out below a signed delegation", ask: "www.below.open.test.", kind: dns.TypeA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(open), nsec3(open, "below.open.test."), nsec3(open, "www.below.open.test."), nsec3(open, "*.below.open.test."))},
		{name: "the lower side of a delegation denies its DS", ask: "example.test.", kind: dns.TypeDS,
			proof: slices.Concat(soa(example), nsec(example, "example.test."))},
		{name: "a DS that the zone itself signed", ask: "example.test.", kind: dns.TypeDS,
			answer: append(set(test, "example.test.", dns.TypeDS, "example.test.")[:1], example.signature(t, example.keys[1], test.data["example.test."][dns.TypeDS]))},
		{name: "a key that is an alias", ask: "alias.example.test.", kind: dns.TypeA, proof: slices.Concat(soa(example), nsec(example, "alias.example.test."))},
		{name: "nothing at all of a name with a record", ask: "www.example.test.", kind: dns.TypeANY, proof: slices.Concat(soa(example), nsec(example, "www.example.test."))},
		{name: "a span that turns back within the zone", ask: "zz.example.test.", kind: dns.TypeA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(example), nsec(example, "*.example.test."),
				sign(example, &dns.NSEC{Hdr: example.header("z.example.test.", dns.TypeNSEC), NextDomain: "b.example.test.", TypeBitMap: []uint16{dns.TypeA}}))},
		{name: "a span that leads out of the zone", ask: "zz.example.test.", kind: dns.TypeA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(example), nsec(example, "*.example.test."),
				sign(example, &dns.NSEC{Hdr: example.header("z.example.test.", dns.TypeNSEC), NextDomain: "zzz.test.", TypeBitMap: []uint16{dns.TypeA}}))},
		{name: "names below a renamed one", ask: "x.old.example.test.", kind: dns.TypeA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(example), nsec(example, "old.example.test."), nsec(example, "*.old.example.test."))},
		{name: "an NSEC3 record with flags of tomorrow", ask: "www.hashed.test.", kind: dns.TypeAAAA,
			proof: slices.Concat(soa(hashed), sign(hashed, flags(hashed.nsec3At("www.hashed.test."), 2)))},
		{name: "NSEC3 records of two parameters", ask: "www.hashed.test.", kind: dns.TypeAAAA,
			proof: slices.Concat(soa(hashed), nsec3(hashed, "www.hashed.test."), sign(hashed, salted(hashed.nsec3At("hashed.test."))))},
		{name: "another alias than the DNAME makes", ask: "www.old.example.test.", kind: dns.TypeA,
			answer: slices.Concat(set(example, "old.example.test.", dns.TypeDNAME, "old.example.test."),
				[]dns.RR{&dns.CNAME{Hdr: example.header("www.old.example.test.", dns.TypeCNAME), Target: "evil.test."}})},
		{name: "two aliases", ask: "alias.example.test.", kind: dns.TypeA,
			answer: append(set(example, "alias.example.test.", dns.TypeCNAME, "alias.example.test."),
				&dns.CNAME{Hdr: example.header("alias.example.test.", dns.TypeCNAME), Target: "evil.test."})},
		{name: "a record of another class", ask: "www.example.test.", kind: dns.TypeA,
			answer: append(set(example, "www.example.test.", dns.TypeA, "www.example.test."),
				&dns.A{Hdr: dns.RR_Header{Name: "www.example.test.", Rrtype: dns.TypeA, Class: dns.ClassCHAOS}, A: []byte{192, 0, 2, 66}})},
		{name: "a code that denies what is there", ask: "www.example.test.", kind: dns.TypeA, rcode: dns.RcodeNameError,
			answer: set(example, "www.example.test.", dns.TypeA, "www.example.test.")},
		{name: "a code that denies what a wildcard stands for", ask: "any.wild.example.test.", kind: dns.TypeAAAA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(example), nsec(example, "any.wild.example.test."), nsec(example, "*.wild.example.test."))},
		{name: "a code that denies a name", ask: "www.example.test.", kind: dns.TypeAAAA, rcode: dns.RcodeNameError,
			proof: slices.Concat(soa(example), nsec(example, "www.example.test."))},
		{name: "a code that hides that there is no name", ask: "nowhere.hashed.test.", kind: dns.TypeA,
			proof: slices.Concat(soa(hashed), nsec3(hashed, "hashed.test."), nsec3(hashed, "nowhere.hashed.test."), nsec3(hashed, "*.hashed.test."))},
		{name: "a signature in a longer form", ask: "www.example.test.", kind: dns.TypeA,
			answer: padded(set(example, "www.example.test.", dns.TypeA, "www.example.test."))},
		{name: "signed by a zone whose name only ends alike", ask: "www.example.test.", kind: dns.TypeA,
			answer: append(example.data["www.example.test."][dns.TypeA], strangers(t, "ample.test.", example.data["www.example.test."][dns.TypeA]))},
		{name: "an unsigned SOA record", ask: "www.example.test.", kind: dns.TypeAAAA,
			proof: slices.Concat(soa(example)[:1], nsec(example, "www.example.test."))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := new(dns.Msg).SetQuestion(tt.ask, tt.kind)
			msg.Answer, msg.Ns, msg.Rcode = tt.answer, tt.proof, tt.rcode
			got := h.validator().Validate(context.Background(), msg.Question[0], msg, testNow)
			if got.State != Bogus {
				t.Errorf("%s (%s)", got.State, got.Why)
			}
		})
	}
}

// unlike returns a name directly in a zone that does not exist, and that no
// record denies which denies the other or names the zone.
func unlike(z *signed, other string) string {
	for i := 0; ; i++ {
		name := fmt.Sprintf("x%d.%s", i, z.name)
		if at := z.nsec3At(name); at != z.nsec3At(other) && at != z.nsec3At(z.name) {
			return name
		}
	}
}

func flags(rr dns.RR, flags uint8) dns.RR {
	other := dns.Copy(rr).(*dns.NSEC3)
	other.Flags = flags
	return other
}

func salted(rr dns.RR) dns.RR {
	other := dns.Copy(rr).(*dns.NSEC3)
	other.Salt, other.SaltLength = "", 0
	return other
}

// padded returns a set whose ECDSA signature has a zero before each half.
func padded(set []dns.RR) []dns.RR {
	sig := set[len(set)-1].(*dns.RRSIG)
	raw := decode64(sig.Signature)
	sig.Signature = encode64(slices.Concat([]byte{0}, raw[:32], []byte{0}, raw[32:]))
	return set
}

func strangers(t *testing.T, zone string, set []dns.RR) dns.RR {
	z := &signed{name: zone, begin: testNow, end: testNow}
	return z.signature(t, newKey(t, zone, dns.ED25519, 257), set)
}

// Compact denial: the name does not exist, and its NSEC record says so in its
// types (RFC 9824). The code may be either.
func TestCompactDenial(t *testing.T) {
	h := world(t, dns.ED25519)
	z := h.zones[2]
	nxname := &dns.NSEC{Hdr: z.header("nowhere.example.test.", dns.TypeNSEC), NextDomain: `\000.nowhere.example.test.`,
		TypeBitMap: []uint16{dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNXNAME}}
	for _, rcode := range []int{dns.RcodeSuccess, dns.RcodeNameError} {
		msg := new(dns.Msg).SetQuestion("nowhere.example.test.", dns.TypeA)
		msg.Rcode = rcode
		z.prove(t, msg, z.data[z.name][dns.TypeSOA][0])
		z.prove(t, msg, nxname)
		if got := h.validator().Validate(context.Background(), msg.Question[0], msg, testNow); got.State != Secure {
			t.Errorf("%s with %s (%s)", got.State, dns.RcodeToString[rcode], got.Why)
		}
	}
	nxname.TypeBitMap = []uint16{dns.TypeMX, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNXNAME}
	msg := new(dns.Msg).SetQuestion("nowhere.example.test.", dns.TypeA)
	msg.Rcode = dns.RcodeNameError
	z.prove(t, msg, nxname)
	if got := h.validator().Validate(context.Background(), msg.Question[0], msg, testNow); got.State != Bogus || !strings.Contains(got.Why, "exists") {
		t.Errorf("%s (%s)", got.State, got.Why)
	}
}

// What package dns's Verify takes as right and is not: a zone whose name only
// ends alike, and a wildcard above the zone. Should it come to refuse these, the
// checks here are still what RFC 4035 section 5.3.1 demands.
func TestWhatVerifyTakes(t *testing.T) {
	h := world(t, dns.ED25519)
	for _, tt := range []struct{ zone, signed, shown string }{
		{"ample.test.", "www.example.test.", "www.example.test."},
		{"example.test.", "*.test.", "www.example.test."},
	} {
		z := &signed{name: tt.zone, begin: testNow.Add(-1), end: testNow}
		made := newKey(t, tt.zone, dns.ED25519, 257)
		record := func(name string) []dns.RR {
			return []dns.RR{&dns.A{Hdr: z.header(name, dns.TypeA), A: []byte{192, 0, 2, 66}}}
		}
		sig := z.signature(t, made, record(tt.signed))
		sig.Hdr.Name = tt.shown
		if err := sig.Verify(made.rr, record(tt.shown)); err != nil {
			t.Errorf("%s in %s: Verify says %v", tt.shown, tt.zone, err)
		}
		keys := []key{{made.rr, made.rr.KeyTag()}}
		set := &rrset{name: tt.shown, kind: dns.TypeA, records: record(tt.shown), sigs: []*dns.RRSIG{sig}}
		if _, f := h.start().prove(set, &zone{name: tt.zone, keys: keys}, keys); f == nil || f.state != Bogus {
			t.Errorf("%s in %s: %v", tt.shown, tt.zone, f)
		}
	}
}
