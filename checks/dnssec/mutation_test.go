package dnssec

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// said is what a verdict says of an answer, in a form in which equal answers
// are equal: times to live and the letters' case of names do not count.
func said(v Verdict, rcode int) string {
	texts := []string{dns.RcodeToString[rcode]}
	for _, rr := range v.Records {
		rr = dns.Copy(rr)
		rr.Header().Ttl = 0
		text := rr.String()
		if _, isText := rr.(*dns.TXT); !isText {
			text = strings.ToLower(text)
		} else {
			text = strings.ToLower(rr.Header().String()) + strings.TrimPrefix(text, rr.Header().String())
		}
		texts = append(texts, text)
	}
	slices.Sort(texts[1:])
	return strings.Join(slices.Compact(texts), "\n")
}

// truths is what the world's secure answers say, by question.
type truth struct {
	question dns.Question
	answer   *dns.Msg
	says     string
}

func truths(t testing.TB, h *tree) []truth {
	var all []truth
	for _, q := range questions {
		if q.state != Secure || q.kind == dns.TypeANY {
			continue
		}
		msg := h.answer(q.name, q.kind)
		question := dns.Question{Name: q.name, Qtype: q.kind, Qclass: dns.ClassINET}
		got := h.validator().Validate(context.Background(), question, msg, testNow)
		if got.State != Secure {
			t.Fatalf("%s: %s (%s)", q.name, got.State, got.Why)
		}
		all = append(all, truth{question, msg, said(got, msg.Rcode)})
	}
	return all
}

// Whatever is done to the answer, or to one of those that the chain is built
// from: it is never secure and different, and never insecure instead of bogus.
func TestMutationsAreNeverSecure(t *testing.T) {
	h := world(t, dns.ED25519)
	all := truths(t, h)
	changed, secure := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		fact := rapid.SampledFrom(all).Draw(rt, "question")
		at := rapid.IntRange(0, 7).Draw(rt, "message")
		mutate := rapid.SampledFrom(mutations).Draw(rt, "mutation")
		asked := 0
		change := func(msg *dns.Msg) *dns.Msg {
			if asked++; asked-1 != at {
				return msg
			}
			return mutate.apply(rt, h, all, msg.Copy())
		}
		v := h.validator()
		v.Ask = func(_ context.Context, name string, kind uint16) (*dns.Msg, error) {
			return change(h.answer(name, kind)), nil
		}
		msg := change(fact.answer)
		got := v.Validate(context.Background(), fact.question, msg, testNow)
		if asked > at {
			changed++
		}
		switch {
		case got.State == Secure && said(got, msg.Rcode) != fact.says:
			rt.Fatalf("%s by %s: secure, says\n%s\nnot\n%s", fact.question.Name, mutate.name, said(got, msg.Rcode), fact.says)
		case got.State == Insecure:
			rt.Fatalf("%s by %s: insecure (%s)", fact.question.Name, mutate.name, got.Why)
		case got.State == Secure:
			secure++
		}
	})
	if !t.Failed() && (changed == 0 || secure == 0) {
		t.Errorf("%d answers were changed, %d were secure all the same", changed, secure)
	}
}

type mutation struct {
	name  string
	apply func(rt *rapid.T, h *tree, all []truth, msg *dns.Msg) *dns.Msg
}

var mutations = []mutation{
	{"a byte", func(rt *rapid.T, _ *tree, _ []truth, msg *dns.Msg) *dns.Msg {
		wire, err := msg.Pack()
		if err != nil {
			rt.Fatal(err)
		}
		at := rapid.IntRange(3, len(wire)-1).Draw(rt, "at")
		wire[at] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bits"))
		read := new(dns.Msg)
		if read.Unpack(wire) != nil {
			return msg
		}
		return read
	}},
	{"a record is gone", func(rt *rapid.T, _ *tree, _ []truth, msg *dns.Msg) *dns.Msg {
		section := sectionOf(rt, msg)
		if at := rapid.IntRange(0, len(*section)).Draw(rt, "at"); at < len(*section) {
			*section = slices.Delete(*section, at, at+1)
		}
		return msg
	}},
	{"a section is gone", func(rt *rapid.T, _ *tree, _ []truth, msg *dns.Msg) *dns.Msg {
		*sectionOf(rt, msg) = nil
		return msg
	}},
	{"a type is gone", func(rt *rapid.T, _ *tree, _ []truth, msg *dns.Msg) *dns.Msg {
		kind := rapid.SampledFrom([]uint16{dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeSOA, dns.TypeDS, dns.TypeA, dns.TypeCNAME}).Draw(rt, "type")
		gone := func(rr dns.RR) bool { return rr.Header().Rrtype == kind }
		msg.Answer, msg.Ns = slices.DeleteFunc(msg.Answer, gone), slices.DeleteFunc(msg.Ns, gone)
		return msg
	}},
	{"another code", func(rt *rapid.T, _ *tree, _ []truth, msg *dns.Msg) *dns.Msg {
		msg.Rcode = rapid.IntRange(0, 5).Draw(rt, "code")
		return msg
	}},
	{"another answer", func(rt *rapid.T, _ *tree, all []truth, _ *dns.Msg) *dns.Msg {
		return rapid.SampledFrom(all).Draw(rt, "other").answer.Copy()
	}},
	{"another answer's records beside", func(rt *rapid.T, _ *tree, all []truth, msg *dns.Msg) *dns.Msg {
		other := rapid.SampledFrom(all).Draw(rt, "other").answer.Copy()
		msg.Answer, msg.Ns = append(msg.Answer, other.Answer...), append(msg.Ns, other.Ns...)
		return msg
	}},
	{"another answer's proof", func(rt *rapid.T, _ *tree, all []truth, msg *dns.Msg) *dns.Msg {
		msg.Answer, msg.Ns = nil, rapid.SampledFrom(all).Draw(rt, "other").answer.Copy().Ns
		msg.Rcode = rapid.SampledFrom([]int{dns.RcodeSuccess, dns.RcodeNameError}).Draw(rt, "code")
		return msg
	}},
	{"another record in the set", func(rt *rapid.T, _ *tree, _ []truth, msg *dns.Msg) *dns.Msg {
		if len(msg.Answer) > 0 && len(msg.Question) > 0 {
			rr := &dns.A{Hdr: dns.RR_Header{Name: msg.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: []byte{192, 0, 2, 66}}
			msg.Answer = append(msg.Answer, rr)
		}
		return msg
	}},
	{"a record under another name", func(rt *rapid.T, _ *tree, all []truth, msg *dns.Msg) *dns.Msg {
		from := rapid.SampledFrom(all).Draw(rt, "from").answer.Copy()
		name := msg.Question[0].Name
		for _, rr := range append(from.Answer, from.Ns...) {
			rr.Header().Name = name
		}
		msg.Answer, msg.Ns = from.Answer, from.Ns
		return msg
	}},
	{"another time to live", func(rt *rapid.T, _ *tree, _ []truth, msg *dns.Msg) *dns.Msg {
		for _, rr := range slices.Concat(msg.Answer, msg.Ns) {
			rr.Header().Ttl = rapid.Uint32().Draw(rt, "ttl")
		}
		return msg
	}},
	{"signed by a stranger", func(rt *rapid.T, h *tree, _ []truth, msg *dns.Msg) *dns.Msg {
		for _, set := range group(msg.Answer) {
			z := rapid.SampledFrom(h.zones[1:6]).Draw(rt, "zone")
			key := newKey(h.t, z.name, dns.ECDSAP256SHA256, 257)
			if rapid.Bool().Draw(rt, "of the world") {
				key = z.keys[0]
			}
			for i, rr := range msg.Answer {
				if rr == dns.RR(first(set.sigs)) {
					msg.Answer[i] = z.signature(h.t, key, set.records)
				}
			}
		}
		return msg
	}},
}

func first(sigs []*dns.RRSIG) *dns.RRSIG {
	if len(sigs) == 0 {
		return nil
	}
	return sigs[0]
}

func sectionOf(rt *rapid.T, msg *dns.Msg) *[]dns.RR {
	if rapid.Bool().Draw(rt, "answer") {
		return &msg.Answer
	}
	return &msg.Ns
}

// Every single bit of the answers counts, or says nothing: all of them for a
// positive answer, a denial and a wildcard.
func TestEveryByte(t *testing.T) {
	h := world(t, dns.ED25519)
	for _, fact := range truths(t, h) {
		if !slices.Contains([]string{"www.example.test.", "nowhere.hashed.test.", "any.wild.example.test."}, fact.question.Name) || fact.question.Qtype != dns.TypeA {
			continue
		}
		wire, err := fact.answer.Pack()
		if err != nil {
			t.Fatal(err)
		}
		v := h.validator()
		v.Cache = new(Cache) // which must not be fooled either
		refused := 0
		for at := 3; at < len(wire); at++ {
			changed := slices.Clone(wire)
			changed[at] ^= 1
			msg := new(dns.Msg)
			if msg.Unpack(changed) != nil {
				continue
			}
			got := v.Validate(context.Background(), fact.question, msg, testNow)
			if got.State == Insecure || got.State == Secure && said(got, msg.Rcode) != fact.says {
				t.Errorf("%s with byte %d changed: %s (%s)", fact.question.Name, at, got.State, got.Why)
			}
			if got.State == Bogus {
				refused++
			}
		}
		if refused < len(wire)/2 {
			t.Errorf("%s: only %d of %d bytes count", fact.question.Name, refused, len(wire))
		}
	}
}

// FuzzValidate gives the validator any message as answer to a question, and any
// other in place of what it asks. It ends, within its bounds, and is not led
// astray.
func FuzzValidate(f *testing.F) {
	h := world(f, dns.ED25519)
	all := truths(f, h)
	for i, fact := range all {
		wire, err := fact.answer.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), uint8(255), wire)
		f.Add(uint8(i), uint8(i%5), wire)
	}
	f.Fuzz(func(t *testing.T, which, at uint8, wire []byte) {
		msg := new(dns.Msg)
		if msg.Unpack(wire) != nil {
			return
		}
		fact := all[int(which)%len(all)]
		answer := fact.answer
		asked := 0
		v := h.validator()
		v.Ask = func(_ context.Context, name string, kind uint16) (*dns.Msg, error) {
			if asked++; asked-1 == int(at) {
				return msg, nil
			}
			return h.answer(name, kind), nil
		}
		if at == 255 {
			answer = msg
		}
		got := v.Validate(context.Background(), fact.question, answer, testNow)
		if got.State == Secure && said(got, answer.Rcode) != fact.says {
			t.Errorf("%s is secure and says\n%s\nnot\n%s", fact.question.Name, said(got, answer.Rcode), fact.says)
		}
		if asked > maxQuestions {
			t.Errorf("%d questions", asked)
		}
	})
}

// FuzzParseAnchor reads any text; what it takes is read the same again.
func FuzzParseAnchor(f *testing.F) {
	for _, text := range rootAnchors {
		f.Add(text)
	}
	f.Add(newKey(f, "example.test.", dns.ED25519, 257).rr.String())
	f.Fuzz(func(t *testing.T, text string) {
		ds, err := ParseAnchor(text)
		if err != nil {
			return
		}
		again, err := ParseAnchor(ds.String())
		if err != nil || again.String() != ds.String() {
			t.Errorf("%q: %v, then %v (%v)", text, ds, again, err)
		}
	})
}

// FuzzCompare looks for names from messages that have no order, or one that
// does not fit to who lies below whom.
func FuzzCompare(f *testing.F) {
	f.Add([]byte("\x01a\x07example\x00"), []byte("\x01*\x01z\x07example\x00"))
	f.Add([]byte("\x01\xc8\x07example\x00"), []byte("\x01\x01\x07EXAMPLE\x00"))
	f.Fuzz(func(t *testing.T, x, y []byte) {
		a, _, err := dns.UnpackDomainName(x, 0)
		b, _, err2 := dns.UnpackDomainName(y, 0)
		if err != nil || err2 != nil {
			return
		}
		a, b = canonical(a), canonical(b)
		if (compare(a, b) < 0) != (compare(b, a) > 0) {
			t.Errorf("%q and %q have no order", a, b)
		}
		if (compare(a, b) == 0) != (a == b) {
			t.Errorf("%q and %q are equal: %d", a, b, compare(a, b))
		}
		if under(a, b) && compare(a, b) >= 0 {
			t.Errorf("%q does not come before %q below it", a, b)
		}
	})
}

// The order of RFC 4034 section 6.1.
func TestCompare(t *testing.T) {
	names := []string{"example.", "a.example.", "yljkjljk.a.example.", "z.a.example.", "zabc.a.example.", "z.example.",
		`\001.z.example.`, "*.z.example.", `\200.z.example.`}
	for i, a := range names {
		for j, b := range names {
			if c := compare(a, b); (c < 0) != (i < j) || (c == 0) != (i == j) {
				t.Errorf("%s and %s: %d", a, b, c)
			}
		}
	}
}
