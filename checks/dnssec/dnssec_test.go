package dnssec

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// world is the hierarchy that most tests ask: the root and its only child are
// signed, and so are example.test with NSEC, hashed.test with NSEC3 and
// open.test with NSEC3 and opt-out; plain.test is not.
func world(t testing.TB, algorithm uint8) *tree {
	t.Helper()
	example := newZone(t, "example.test.", algorithm,
		"example.test. 300 IN A 192.0.2.1",
		"www.example.test. 300 IN A 192.0.2.2", "www.example.test. 300 IN A 192.0.2.3",
		`www.example.test. 300 IN TXT "one" "two"`,
		"alias.example.test. 300 IN CNAME www.hashed.test.",
		"plain.example.test. 300 IN CNAME www.plain.test.",
		"gone.example.test. 300 IN CNAME nowhere.hashed.test.",
		"loop.example.test. 300 IN CNAME loop.example.test.",
		"old.example.test. 300 IN DNAME example.test.",
		"*.wild.example.test. 300 IN A 192.0.2.4",
		`real.wild.example.test. 300 IN TXT "real"`,
		"a.sub.wild.example.test. 300 IN A 192.0.2.4",
		"*.walias.example.test. 300 IN CNAME www.example.test.",
		"a.deep.empty.example.test. 300 IN A 192.0.2.5",
		"*.star.empty2.example.test. 300 IN A 192.0.2.5",
		"MiXeD.example.test. 300 IN MX 10 MAIL.Example.test.",
		"last.example.test. 300 IN A 192.0.2.6").sign()
	hashed := newZone(t, "hashed.test.", algorithm,
		"hashed.test. 300 IN MX 5 mail.hashed.test.",
		"www.hashed.test. 300 IN A 192.0.2.7",
		"*.wild.hashed.test. 300 IN A 192.0.2.8",
		"a.sub.wild.hashed.test. 300 IN A 192.0.2.8",
		"a.deep.empty.hashed.test. 300 IN A 192.0.2.9")
	hashed.nsec3 = &dns.NSEC3PARAM{Iterations: 3, Salt: "abcd"}
	below := newZone(t, "below.open.test.", algorithm, "www.below.open.test. 300 IN A 192.0.2.10").sign()
	open := newZone(t, "open.test.", algorithm,
		"www.open.test. 300 IN A 192.0.2.11",
		"*.wild.open.test. 300 IN A 192.0.2.12",
		"unsigned.open.test. 300 IN NS ns.unsigned.open.test.",
		"x.unsigned2.open.test. 300 IN NS ns.unsigned.open.test.").delegate(t, below)
	open.nsec3 = &dns.NSEC3PARAM{Flags: 1}
	plain := newZone(t, "plain.test.", 0, "www.plain.test. 300 IN A 192.0.2.13")
	free := newZone(t, "unsigned.open.test.", 0, "www.unsigned.open.test. 300 IN A 192.0.2.14")
	free2 := newZone(t, "x.unsigned2.open.test.", 0, "www.x.unsigned2.open.test. 300 IN A 192.0.2.14")
	top := newZone(t, "test.", algorithm).delegate(t, example).delegate(t, hashed).delegate(t, open).delegate(t, plain)
	root := newZone(t, ".", algorithm).delegate(t, top)
	return &tree{t: t, zones: []*signed{root.sign(), top.sign(), example, hashed.sign(), open.sign(), below, plain, free, free2}}
}

// validator trusts the first key of the tree's first zone.
func (h *tree) validator() *Validator {
	return &Validator{Anchors: []*dns.DS{h.zones[0].keys[0].rr.ToDS(dns.SHA256)}, Ask: h.Ask}
}

// verdict asks the tree a question as a check does, and validates the answer.
func (h *tree) verdict(v *Validator, name string, kind uint16) Verdict {
	msg, _ := h.Ask(context.Background(), name, kind)
	return v.Validate(context.Background(), dns.Question{Name: name, Qtype: kind, Qclass: dns.ClassINET}, msg, testNow)
}

// questions is what the world is asked, and what must come of it.
var questions = []struct {
	name  string
	kind  uint16
	state State
	zone  string
}{
	{"www.example.test.", dns.TypeA, Secure, "example.test."},
	{"WWW.eXample.test.", dns.TypeA, Secure, "example.test."},
	{"www.example.test.", dns.TypeTXT, Secure, "example.test."},
	{"www.example.test.", dns.TypeANY, Secure, "example.test."},
	{"mixed.example.test.", dns.TypeMX, Secure, "example.test."},
	{"example.test.", dns.TypeDNSKEY, Secure, "example.test."},
	{"example.test.", dns.TypeDS, Secure, "test."},
	{"example.test.", dns.TypeSOA, Secure, "example.test."},
	{".", dns.TypeSOA, Secure, "."},
	{".", dns.TypeDS, Secure, "."},
	{"alias.example.test.", dns.TypeA, Secure, "hashed.test."},
	{"alias.example.test.", dns.TypeCNAME, Secure, "example.test."},
	{"alias.example.test.", dns.TypeAAAA, Secure, "hashed.test."},
	{"gone.example.test.", dns.TypeA, Secure, "hashed.test."},
	{"plain.example.test.", dns.TypeA, Insecure, "plain.test."},
	{"loop.example.test.", dns.TypeA, Indeterminate, "loop.example.test."},
	{"www.old.example.test.", dns.TypeA, Secure, "example.test."},
	{"nowhere.old.example.test.", dns.TypeA, Secure, "example.test."},
	{"any.wild.example.test.", dns.TypeA, Secure, "example.test."},
	{"any.thing.wild.example.test.", dns.TypeA, Secure, "example.test."},
	{"*.wild.example.test.", dns.TypeA, Secure, "example.test."},
	{"any.wild.example.test.", dns.TypeAAAA, Secure, "example.test."},
	{"any.walias.example.test.", dns.TypeA, Secure, "example.test."},
	{"any.walias.example.test.", dns.TypeAAAA, Secure, "example.test."},
	{"wild.example.test.", dns.TypeA, Secure, "example.test."},
	{"empty.example.test.", dns.TypeA, Secure, "example.test."},
	{"deep.empty.example.test.", dns.TypeA, Secure, "example.test."},
	{"x.empty2.example.test.", dns.TypeA, Secure, "example.test."},
	{"nowhere.example.test.", dns.TypeA, Secure, "example.test."},
	{"zz.zz.example.test.", dns.TypeA, Secure, "example.test."},
	{"nowhere.example.test.", dns.TypeDS, Secure, "example.test."},
	{"www.example.test.", dns.TypeAAAA, Secure, "example.test."},
	{"www.example.test.", dns.TypeDS, Secure, "example.test."},
	{"example.test.", dns.TypeAAAA, Secure, "example.test."},

	{"www.hashed.test.", dns.TypeA, Secure, "hashed.test."},
	{"www.hashed.test.", dns.TypeAAAA, Secure, "hashed.test."},
	{"hashed.test.", dns.TypeAAAA, Secure, "hashed.test."},
	{"nowhere.hashed.test.", dns.TypeA, Secure, "hashed.test."},
	{"far.nowhere.hashed.test.", dns.TypeA, Secure, "hashed.test."},
	{"any.wild.hashed.test.", dns.TypeA, Secure, "hashed.test."},
	{"any.thing.wild.hashed.test.", dns.TypeA, Secure, "hashed.test."},
	{"any.wild.hashed.test.", dns.TypeAAAA, Secure, "hashed.test."},
	{"empty.hashed.test.", dns.TypeA, Secure, "hashed.test."},
	{"deep.empty.hashed.test.", dns.TypeA, Secure, "hashed.test."},
	{"nowhere.hashed.test.", dns.TypeDS, Secure, "hashed.test."},

	{"www.open.test.", dns.TypeA, Secure, "open.test."},
	{"www.open.test.", dns.TypeAAAA, Secure, "open.test."},
	{"below.open.test.", dns.TypeDS, Secure, "open.test."},
	{"www.below.open.test.", dns.TypeA, Secure, "below.open.test."},
	{"nowhere.open.test.", dns.TypeA, Insecure, "open.test."},
	{"any.wild.open.test.", dns.TypeA, Insecure, "open.test."},
	{"unsigned.open.test.", dns.TypeDS, Insecure, "open.test."},
	{"www.unsigned.open.test.", dns.TypeA, Insecure, "unsigned.open.test."},
	{"unsigned2.open.test.", dns.TypeA, Insecure, "open.test."},
	{"www.x.unsigned2.open.test.", dns.TypeA, Insecure, "unsigned2.open.test."},

	{"www.plain.test.", dns.TypeA, Insecure, "plain.test."},
	{"www.plain.test.", dns.TypeAAAA, Insecure, "plain.test."},
	{"nowhere.plain.test.", dns.TypeA, Insecure, "plain.test."},
	{"plain.test.", dns.TypeDS, Secure, "test."},
	{"nowhere.test.", dns.TypeA, Secure, "test."},
	{"a.b.nowhere.", dns.TypeA, Secure, "."},
}

func TestQuestions(t *testing.T) {
	for _, algorithm := range []uint8{dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519} {
		h := world(t, algorithm)
		v := h.validator()
		for _, tt := range questions {
			t.Run(algorithmName(algorithm)+"/"+tt.name+"/"+dns.Type(tt.kind).String(), func(t *testing.T) {
				got := h.verdict(v, tt.name, tt.kind)
				if got.State != tt.state || got.Zone != tt.zone {
					t.Errorf("%s in %s (%s), want %s in %s", got.State, got.Zone, got.Why, tt.state, tt.zone)
				}
				if (got.Why == "") != (got.State == Secure) {
					t.Errorf("%s because %q", got.State, got.Why)
				}
				if got.State == Secure && (!got.Expires.Equal(testNow.Add(7*24*time.Hour)) || !got.Inception.Equal(testNow.Add(-7*24*time.Hour))) {
					t.Errorf("from %s to %s", got.Inception, got.Expires)
				}
				if got.State == Secure && (len(got.Chain) < 1 || got.Chain[0].Zone != "." || got.Chain[0].KeyTag != h.zones[0].keys[0].rr.KeyTag()) {
					t.Errorf("chain %v", got.Chain)
				}
			})
		}
	}
}

func TestRecordsOfAVerdict(t *testing.T) {
	h := world(t, dns.ED25519)
	got := h.verdict(h.validator(), "alias.example.test.", dns.TypeA)
	if len(got.Records) != 2 || got.Records[1].(*dns.A).A.String() != "192.0.2.7" {
		t.Errorf("%v", got.Records)
	}
	var chain []string
	for _, link := range got.Chain {
		chain = append(chain, link.Zone)
	}
	if want := ". . test. test. example.test. example.test. hashed.test. hashed.test."; strings.Join(chain, " ") != want {
		t.Errorf("chain %q, want %q", chain, want)
	}
}

// What the server leaves out of an answer because it is another's is asked for.
func TestAliasThatTheAnswerEndsAt(t *testing.T) {
	h := world(t, dns.ED25519)
	msg := h.answer("alias.example.test.", dns.TypeA)
	msg.Answer = msg.Answer[:2] // the alias and its signature
	question := dns.Question{Name: "alias.example.test.", Qtype: dns.TypeA}
	got := h.validator().Validate(context.Background(), question, msg, testNow)
	if got.State != Secure || len(got.Records) != 2 {
		t.Errorf("%s (%s): %v", got.State, got.Why, got.Records)
	}
}

func TestFaultsOfTheChain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(h *tree, v *Validator)
		ask   string // default www.example.test
		state State
		zone  string
		why   string
		dated bool
	}{
		{name: "no anchor", spoil: func(_ *tree, v *Validator) { v.Anchors = nil }, state: Indeterminate, zone: "example.test.", why: "no trust anchor"},
		{name: "anchor elsewhere", spoil: func(h *tree, v *Validator) { v.Anchors = []*dns.DS{h.zones[3].keys[0].rr.ToDS(dns.SHA256)} }, state: Indeterminate, zone: "example.test.", why: "no trust anchor"},
		{name: "anchor of the zone itself", spoil: func(h *tree, v *Validator) {
			v.Anchors = []*dns.DS{h.zones[2].keys[0].rr.ToDS(dns.SHA384)}
			h.change = func(name string, _ uint16, msg *dns.Msg) {
				if !dns.IsSubDomain("example.test.", name) {
					msg.Rcode = dns.RcodeRefused
				}
			}
		}, state: Secure, zone: "example.test."},
		{name: "another anchor", spoil: func(h *tree, v *Validator) { v.Anchors = []*dns.DS{newKey(h.t, ".", 13, 257).rr.ToDS(dns.SHA256)} }, state: Bogus, zone: ".", why: "matches none of its keys"},
		{name: "anchor of the zone signing key", spoil: func(h *tree, v *Validator) { v.Anchors = []*dns.DS{h.zones[0].keys[1].rr.ToDS(dns.SHA256)} }, state: Bogus, zone: ".", why: "not among the trusted keys"},
		{name: "one of two anchors", spoil: func(h *tree, v *Validator) {
			v.Anchors = append([]*dns.DS{newKey(h.t, ".", 13, 257).rr.ToDS(dns.SHA256)}, v.Anchors...)
		}, state: Secure, zone: "example.test."},
		{name: "answer expired", spoil: func(h *tree, _ *Validator) { h.zones[2].end = testNow.Add(-time.Second) }, state: Bogus, zone: "example.test.", why: "expired on 2026-06-01T11:59:59Z", dated: true},
		{name: "good to the last second", spoil: func(h *tree, _ *Validator) { h.zones[2].end = testNow }, state: Secure, zone: "example.test."},
		{name: "root expired", spoil: func(h *tree, _ *Validator) { h.zones[0].end = testNow.Add(-time.Hour) }, state: Bogus, zone: ".", why: "expired", dated: true},
		{name: "in the future", spoil: func(h *tree, _ *Validator) { h.zones[2].begin = testNow.Add(time.Hour) }, state: Bogus, zone: "example.test.", why: "good only from 2026-06-01T13:00:00Z", dated: true},
		{name: "a little in the future", spoil: func(h *tree, _ *Validator) { h.zones[2].begin = testNow.Add(4 * time.Minute) }, state: Secure, zone: "example.test."},
		{name: "ends before it begins", spoil: func(h *tree, _ *Validator) {
			h.zones[2].begin, h.zones[2].end = testNow.Add(4*time.Minute), testNow.Add(time.Minute)
		}, state: Bogus, zone: "example.test.", why: "ends before it begins"},
		{name: "wrong DS", spoil: func(h *tree, _ *Validator) {
			h.zones[1].data["example.test."][dns.TypeDS] = []dns.RR{newKey(h.t, "example.test.", 13, 257).rr.ToDS(dns.SHA256)}
		}, state: Bogus, zone: "example.test.", why: "matches none of its keys"},
		{name: "DS of unknown digest", spoil: func(h *tree, _ *Validator) {
			h.zones[1].data["example.test."][dns.TypeDS][0].(*dns.DS).DigestType = 5
		}, state: Insecure, zone: "example.test.", why: "has no algorithm or digest"},
		{name: "DS of unknown algorithm", spoil: func(h *tree, _ *Validator) {
			h.zones[1].data["example.test."][dns.TypeDS][0].(*dns.DS).Algorithm = dns.ED448
		}, state: Insecure, zone: "example.test.", why: "ED448"},
		{name: "DS of RSA/SHA-1", spoil: func(h *tree, _ *Validator) {
			h.zones[1].data["example.test."][dns.TypeDS][0].(*dns.DS).Algorithm = dns.RSASHA1
		}, state: Insecure, zone: "example.test.", why: "RSASHA1"},
		{name: "DS of SHA-1 alone", spoil: func(h *tree, _ *Validator) {
			h.zones[1].data["example.test."][dns.TypeDS] = []dns.RR{h.zones[2].keys[0].rr.ToDS(dns.SHA1)}
		}, state: Secure, zone: "example.test."},
		{name: "DS of SHA-1 beside a wrong one of SHA-256", spoil: func(h *tree, _ *Validator) {
			wrong := h.zones[2].keys[0].rr.ToDS(dns.SHA256)
			wrong.Digest = strings.Repeat("00", 32)
			h.zones[1].data["example.test."][dns.TypeDS] = []dns.RR{h.zones[2].keys[0].rr.ToDS(dns.SHA1), wrong}
		}, state: Bogus, zone: "example.test.", why: "matches none"},
		{name: "key is revoked", spoil: func(h *tree, _ *Validator) { flagged(h, dns.ZONE|dns.SEP|dns.REVOKE) }, state: Bogus, zone: "example.test.", why: "matches none"},
		{name: "key is no zone key", spoil: func(h *tree, _ *Validator) { flagged(h, dns.SEP) }, state: Bogus, zone: "example.test.", why: "matches none"},
		{name: "key is no entry point", spoil: func(h *tree, _ *Validator) { flagged(h, dns.ZONE) }, state: Secure, zone: "example.test."},
		{name: "keys are refused", spoil: func(h *tree, _ *Validator) {
			h.change = func(_ string, kind uint16, msg *dns.Msg) {
				if kind == dns.TypeDNSKEY {
					msg.Rcode = dns.RcodeServerFailure
				}
			}
		}, state: Indeterminate, zone: ".", why: "SERVFAIL"},
		{name: "no keys", spoil: func(h *tree, _ *Validator) { delete(h.zones[2].data["example.test."], dns.TypeDNSKEY) }, state: Bogus, zone: "example.test.", why: "has no DNSKEY"},
		{name: "signatures are stripped", spoil: func(h *tree, _ *Validator) {
			h.change = func(_ string, _ uint16, msg *dns.Msg) {
				msg.Answer = slices.DeleteFunc(msg.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
			}
		}, state: Bogus, zone: ".", why: "has no signature"},
		{name: "no DS and no proof", spoil: func(h *tree, _ *Validator) {
			h.change = func(name string, kind uint16, msg *dns.Msg) {
				if kind == dns.TypeDS && name == "plain.test." {
					msg.Ns = nil
				}
			}
		}, ask: "www.plain.test.", state: Bogus, zone: "test.", why: "proves"},
		{name: "too many iterations", spoil: func(h *tree, _ *Validator) {
			z := h.zones[3]
			z.nsec3.Iterations, z.chain = maxIterations+1, nil
			z.sign()
		}, ask: "nowhere.hashed.test.", state: Insecure, zone: "hashed.test.", why: "51 iterations"},
		{name: "many iterations", spoil: func(h *tree, _ *Validator) {
			z := h.zones[3]
			delete(z.data[z.name], dns.TypeDNSKEY)
			z.nsec3.Iterations, z.chain = maxIterations, nil
			z.sign()
		}, ask: "nowhere.hashed.test.", state: Secure, zone: "hashed.test."},
		{name: "referral", spoil: func(h *tree, _ *Validator) {
			h.change = func(_ string, kind uint16, msg *dns.Msg) {
				if kind == dns.TypeA {
					msg.Answer, msg.Ns = nil, h.zones[1].data["example.test."][dns.TypeNS]
				}
			}
		}, state: Indeterminate, zone: "example.test.", why: "refers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := world(t, dns.ED25519)
			v := h.validator()
			tt.spoil(h, v)
			if tt.ask == "" {
				tt.ask = "www.example.test."
			}
			got := h.verdict(v, tt.ask, dns.TypeA)
			if got.State != tt.state || got.Zone != tt.zone || !strings.Contains(got.Why, tt.why) || got.Dated != tt.dated {
				t.Errorf("%s in %s (%s), dated %v; want %s in %s (%s)", got.State, got.Zone, got.Why, got.Dated, tt.state, tt.zone, tt.why)
			}
		})
	}
}

// flagged gives the first key of example.test other flags, and has the zone
// above and the signatures follow.
func flagged(h *tree, flags uint16) {
	key := h.zones[2].keys[0].rr
	key.Flags = flags
	h.zones[1].data["example.test."][dns.TypeDS] = []dns.RR{key.ToDS(dns.SHA256)}
}

// A zone with two algorithms is right by either (RFC 6840 section 5.11), and
// the signature that lasts is the one that counts.
func TestTwoSignatures(t *testing.T) {
	h := world(t, dns.ED25519)
	z := h.zones[2]
	h.change = func(name string, kind uint16, msg *dns.Msg) {
		if kind != dns.TypeA {
			return
		}
		set := group(msg.Answer)[0]
		z.end = testNow.Add(time.Hour)
		msg.Answer = append(msg.Answer, z.signature(t, z.keys[1], set.records))
		z.end = testNow.Add(-time.Hour)
		msg.Answer = append(msg.Answer, z.signature(t, z.keys[1], set.records))
		z.end = testNow.Add(7 * 24 * time.Hour)
	}
	got := h.verdict(h.validator(), "www.example.test.", dns.TypeA)
	if got.State != Secure || !got.Expires.Equal(z.end) {
		t.Errorf("%s (%s), ends %s", got.State, got.Why, got.Expires)
	}
}

// The earliest end on the chain is told, and where it is.
func TestEarliestEnd(t *testing.T) {
	h := world(t, dns.ED25519)
	h.zones[1].end = testNow.Add(time.Hour)
	got := h.verdict(h.validator(), "www.example.test.", dns.TypeA)
	if !got.Expires.Equal(testNow.Add(time.Hour)) || got.ExpiresAt != "DNSKEY of test." {
		t.Errorf("%s of %s", got.Expires, got.ExpiresAt)
	}
}

func TestAnchors(t *testing.T) {
	roots := RootAnchors()
	if len(roots) != 2 || roots[0] == nil || roots[0].KeyTag != 20326 || roots[1] == nil || roots[1].KeyTag != 38696 {
		t.Fatalf("%v", roots)
	}
	key := newKey(t, "example.test.", dns.ED25519, 257).rr
	for _, tt := range []struct{ text, fault string }{
		{key.String(), ""},
		{strings.ToUpper("example.test") + ". IN DNSKEY 257 3 15 " + key.PublicKey, ""},
		{key.ToDS(dns.SHA256).String(), ""},
		{"example.test DS 1 13 4 " + strings.Repeat("ab", 48), ""},
		{"example.test. DS 1 13 2 abcd", "a digest of 4 digits; type 2 has 64"},
		{"example.test. DS 1 16 2 " + strings.Repeat("ab", 32), "ED448"},
		{"example.test. DS 1 5 2 " + strings.Repeat("ab", 32), "RSASHA1"},
		{"example.test. DS 1 13 3 " + strings.Repeat("ab", 32), "digest type 3"},
		{"example.test. DNSKEY 385 3 15 " + key.PublicKey, "flags are 385"},
		{"example.test. A 192.0.2.1", "neither"},
		{"example.test. DS", "ALGORITHM0"},
		{"", "neither"},
		{"$INCLUDE /etc/passwd", "not one record"},
	} {
		ds, err := ParseAnchor(tt.text)
		switch {
		case tt.fault == "" && (err != nil || ds.Hdr.Name != "example.test."):
			t.Errorf("%q: %v %v", tt.text, ds, err)
		case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
			t.Errorf("%q: %v, want %q", tt.text, err, tt.fault)
		}
	}
}
