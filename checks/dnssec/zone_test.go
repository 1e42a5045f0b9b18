package dnssec

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// testNow is when the test's zones are asked; their signatures are good for a
// week before and after.
var testNow = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// signed is a zone that is served with its signatures.
type signed struct {
	name       string
	data       map[string]map[uint16][]dns.RR // by canonical name and type
	keys       []*testKey
	nsec3      *dns.NSEC3PARAM // nil for NSEC; Flags 1 is opt-out
	begin, end time.Time
	chain      []string // owners with an NSEC or NSEC3 record, sorted
	denials    map[string]dns.RR
	plain      bool // not signed at all
	made       map[string]*dns.RRSIG
}

type testKey struct {
	rr     *dns.DNSKEY
	signer crypto.Signer
}

func newKey(t testing.TB, zone string, algorithm uint8, flags uint16) *testKey {
	t.Helper()
	bits := map[uint8]int{dns.RSASHA1: 1024, dns.RSASHA256: 1024, dns.RSASHA512: 1024, dns.ECDSAP256SHA256: 256, dns.ECDSAP384SHA384: 384, dns.ED25519: 256}[algorithm]
	rr := &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300},
		Flags: flags, Protocol: 3, Algorithm: algorithm}
	if algorithm == dns.ED25519 { // the same in every process, for fuzzing
		seed := sha256.Sum256(fmt.Appendf(nil, "%s %d", zone, flags))
		private := ed25519.NewKeyFromSeed(seed[:])
		rr.PublicKey = encode64(private.Public().(ed25519.PublicKey))
		return &testKey{rr, private}
	}
	private, err := rr.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	return &testKey{rr, private.(crypto.Signer)}
}

// newZone makes a zone of one algorithm with an SOA and the given records,
// relative to nothing; call sign before it is asked.
func newZone(t testing.TB, name string, algorithm uint8, records ...string) *signed {
	t.Helper()
	z := &signed{name: name, data: map[string]map[uint16][]dns.RR{},
		begin: testNow.Add(-7 * 24 * time.Hour), end: testNow.Add(7 * 24 * time.Hour)}
	if algorithm == 0 {
		z.plain = true
	} else {
		z.keys = []*testKey{newKey(t, name, algorithm, 257), newKey(t, name, algorithm, 256)}
	}
	ns := "ns." + strings.TrimPrefix(name, ".")
	z.add(t, fmt.Sprintf("%s 300 IN SOA %s root.%s 1 3600 600 86400 60", name, ns, strings.TrimPrefix(name, ".")), fmt.Sprintf("%s 300 IN NS %s", name, ns))
	return z.add(t, records...)
}

func (z *signed) add(t testing.TB, records ...string) *signed {
	t.Helper()
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		z.put(rr)
	}
	return z
}

func (z *signed) put(rr dns.RR) {
	name := canonical(rr.Header().Name)
	if z.data[name] == nil {
		z.data[name] = map[uint16][]dns.RR{}
	}
	z.data[name][rr.Header().Rrtype] = append(z.data[name][rr.Header().Rrtype], rr)
}

// delegate adds what the zone above says of a zone below: name servers, and
// the DS of its first key if it is signed.
func (z *signed) delegate(t testing.TB, below *signed) *signed {
	z.add(t, fmt.Sprintf("%s 300 IN NS ns.%s", below.name, below.name))
	if !below.plain {
		z.put(below.keys[0].rr.ToDS(dns.SHA256))
	}
	return z
}

// sign makes the zone's keys public and its chain of denials; signatures are
// made when they are asked for.
func (z *signed) sign() *signed {
	if z.plain {
		return z
	}
	for _, key := range z.keys {
		z.put(key.rr)
	}
	z.denials = map[string]dns.RR{}
	names := z.names()
	if z.nsec3 == nil {
		for i, name := range names {
			z.denials[name] = &dns.NSEC{Hdr: z.header(name, dns.TypeNSEC), NextDomain: names[(i+1)%len(names)],
				TypeBitMap: append(z.types(name), dns.TypeRRSIG, dns.TypeNSEC)}
		}
		z.chain = names
	} else {
		of := map[string]string{}
		for _, name := range z.withEmpty(names) {
			types := z.data[name]
			if z.nsec3.Flags == 1 && name != z.name && types[dns.TypeNS] != nil && types[dns.TypeDS] == nil {
				continue
			}
			hash := dns.HashName(name, dns.SHA1, z.nsec3.Iterations, z.nsec3.Salt)
			of[hash] = name
			z.chain = append(z.chain, hash)
		}
		slices.Sort(z.chain)
		for i, hash := range z.chain {
			types := z.types(of[hash])
			if len(types) > 0 && !slices.Equal(types, []uint16{dns.TypeNS}) {
				types = append(types, dns.TypeRRSIG)
			}
			z.denials[hash] = &dns.NSEC3{Hdr: z.header(hash+"."+strings.TrimPrefix(z.name, "."), dns.TypeNSEC3), Hash: dns.SHA1,
				Flags: z.nsec3.Flags, Iterations: z.nsec3.Iterations, SaltLength: uint8(len(z.nsec3.Salt) / 2), Salt: z.nsec3.Salt,
				HashLength: 20, NextDomain: z.chain[(i+1)%len(z.chain)], TypeBitMap: types}
		}
	}
	for _, denial := range z.denials {
		switch rr := denial.(type) {
		case *dns.NSEC:
			slices.Sort(rr.TypeBitMap)
		case *dns.NSEC3:
			slices.Sort(rr.TypeBitMap)
		}
	}
	return z
}

func (z *signed) header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 60}
}

// names returns the names that the zone speaks for, in canonical order: none
// below a delegation.
func (z *signed) names() []string {
	var names []string
	for name := range z.data {
		hidden := false
		for above := parent(name); under(z.name, above); above = parent(above) {
			hidden = hidden || z.data[above][dns.TypeNS] != nil
		}
		if !hidden {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, compare)
	return names
}

// withEmpty adds the names that only longer ones hang from. With opt-out those
// above unsigned delegations alone are left out.
func (z *signed) withEmpty(names []string) []string {
	all := slices.Clone(names)
	for _, name := range names {
		if z.nsec3.Flags == 1 && z.data[name][dns.TypeNS] != nil && z.data[name][dns.TypeDS] == nil {
			continue
		}
		for above := name; above != z.name; above = parent(above) {
			if !slices.Contains(all, above) {
				all = append(all, above)
			}
		}
	}
	return all
}

func (z *signed) types(name string) []uint16 {
	var types []uint16
	for kind := range z.data[name] {
		types = append(types, kind)
	}
	return types
}

// exists reports whether the name, or a longer one, has records.
func (z *signed) exists(name string) bool {
	for owner := range z.data {
		if dns.IsSubDomain(name, owner) {
			return true
		}
	}
	return false
}

// withSig returns records under a name, with the signature that they have
// under their own.
func (z *signed) withSig(t testing.TB, records []dns.RR, as string) []dns.RR {
	kind := records[0].Header().Rrtype
	isUpper := kind == dns.TypeNS && canonical(records[0].Header().Name) != z.name
	var out []dns.RR
	for _, rr := range records {
		rr = dns.Copy(rr)
		rr.Header().Name = as
		out = append(out, rr)
	}
	if z.plain || isUpper {
		return out
	}
	key := z.keys[len(z.keys)-1]
	if kind == dns.TypeDNSKEY {
		key = z.keys[0]
	}
	sig := z.signature(t, key, records)
	sig.Hdr.Name = as
	return append(out, sig)
}

// signature signs records, once for each span of time.
func (z *signed) signature(t testing.TB, key *testKey, records []dns.RR) *dns.RRSIG {
	signs := fmt.Sprint(key.rr, z.begin, z.end, records)
	if made := z.made[signs]; made != nil {
		return dns.Copy(made).(*dns.RRSIG)
	}
	if z.made == nil {
		z.made = map[string]*dns.RRSIG{}
	}
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Ttl: records[0].Header().Ttl}, Algorithm: key.rr.Algorithm, KeyTag: key.rr.KeyTag(),
		SignerName: z.name, Inception: uint32(z.begin.Unix()), Expiration: uint32(z.end.Unix())}
	if err := sig.Sign(key.signer, records); err != nil {
		t.Fatal(err)
	}
	z.made[signs] = sig
	return dns.Copy(sig).(*dns.RRSIG)
}

func (z *signed) closest(name string) string {
	for above := parent(name); ; above = parent(above) {
		if z.exists(above) || above == "." {
			return above
		}
	}
}

// deny adds the zone's SOA and its proof that a name does not exist, or that
// one which does has nothing of a type.
func (z *signed) deny(t testing.TB, msg *dns.Msg, name, closest string, nxdomain bool) {
	z.prove(t, msg, z.data[z.name][dns.TypeSOA][0])
	switch {
	case z.plain:
	case z.nsec3 == nil:
		z.prove(t, msg, z.nsec(name))
		if nxdomain {
			z.prove(t, msg, z.nsec(wildcard(closest)))
		}
	case !nxdomain && z.denials[z.hash(name)] != nil:
		z.prove(t, msg, z.denials[z.hash(name)])
		if strings.HasPrefix(name, "*.") {
			z.prove(t, msg, z.denials[z.hash(closest)])
		}
	default: // it does not exist, or is left out
		for z.denials[z.hash(closest)] == nil {
			name, closest = closest, parent(closest)
		}
		z.prove(t, msg, z.denials[z.hash(closest)])
		z.prove(t, msg, z.nsec3At(suffix(name, dns.CountLabel(closest)+1)))
		if nxdomain {
			z.prove(t, msg, z.nsec3At(wildcard(closest)))
		}
	}
}

// denyCloser adds the proof that a wildcard was the closest.
func (z *signed) denyCloser(t testing.TB, msg *dns.Msg, name, closest string) {
	switch {
	case z.plain:
	case z.nsec3 == nil:
		z.prove(t, msg, z.nsec(name))
	default:
		z.prove(t, msg, z.nsec3At(suffix(name, dns.CountLabel(closest)+1)))
	}
}

// prove adds a record with its signature to the authority section, once.
func (z *signed) prove(t testing.TB, msg *dns.Msg, rr dns.RR) {
	if !slices.ContainsFunc(msg.Ns, func(other dns.RR) bool { return dns.IsDuplicate(rr, other) }) {
		msg.Ns = append(msg.Ns, z.withSig(t, []dns.RR{rr}, rr.Header().Name)...)
	}
}

func (z *signed) hash(name string) string {
	return dns.HashName(name, dns.SHA1, z.nsec3.Iterations, z.nsec3.Salt)
}

// nsec returns the NSEC record at or before a name.
func (z *signed) nsec(name string) dns.RR {
	at, found := slices.BinarySearchFunc(z.chain, name, compare)
	if !found {
		at--
	}
	return z.denials[z.chain[at]]
}

// nsec3At returns the NSEC3 record at or before a name's hash.
func (z *signed) nsec3At(name string) dns.RR {
	at, found := slices.BinarySearch(z.chain, z.hash(name))
	if !found {
		at = (at + len(z.chain) - 1) % len(z.chain)
	}
	return z.denials[z.chain[at]]
}

func decode64(s string) []byte {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return raw
}

func encode64(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }
