package dnssec

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Work has bounds: many keys of one tag, many signatures, many records of
// denial, and answers that lead on and on.
func TestBounds(t *testing.T) {
	h := world(t, dns.ED25519)
	z := h.zones[2]
	t.Run("keys of one tag", func(t *testing.T) {
		twins := make([]*dns.DNSKEY, 100)
		for i := range twins {
			twins[i] = twin(z.keys[0].rr, i)
		}
		if tag := z.keys[0].rr.KeyTag(); twins[1].KeyTag() != tag || twins[99].KeyTag() != tag || twins[1].PublicKey == twins[2].PublicKey {
			t.Fatal("they are no twins")
		}
		records := z.data[z.name][dns.TypeDNSKEY]
		defer func() { z.data[z.name][dns.TypeDNSKEY] = records }()
		for _, key := range twins {
			z.data[z.name][dns.TypeDNSKEY] = append(z.data[z.name][dns.TypeDNSKEY], key)
		}
		if got := h.verdict(h.validator(), "www.example.test.", dns.TypeA); got.State != Bogus || !strings.Contains(got.Why, "digests") {
			t.Errorf("%s (%s)", got.State, got.Why)
		}
	})
	t.Run("keys of the tag that signs", func(t *testing.T) {
		records := z.data[z.name][dns.TypeDNSKEY]
		defer func() { z.data[z.name][dns.TypeDNSKEY] = records }()
		crowd := slices.Clone(records[:1])
		for i := range 500 {
			crowd = append(crowd, twin(z.keys[1].rr, i%40+1))
		}
		z.data[z.name][dns.TypeDNSKEY] = append(crowd, records[1])
		msg := h.answer("www.example.test.", dns.TypeA)
		r := h.start()
		if f := r.follow(context.Background(), "www.example.test.", dns.TypeA, msg); f == nil || f.state != Bogus || !strings.Contains(f.why, "more than 4 keys") || r.tried > 20 {
			t.Errorf("%v after %d signatures", f, r.tried)
		}
	})
	t.Run("signatures", func(t *testing.T) {
		msg := h.answer("www.example.test.", dns.TypeA)
		good := msg.Answer[len(msg.Answer)-1].(*dns.RRSIG)
		msg.Answer = msg.Answer[:len(msg.Answer)-1]
		for i := range 100 {
			wrong := *good
			wrong.OrigTtl = uint32(i)
			wrong.Expiration++
			msg.Answer = append(msg.Answer, &wrong)
		}
		msg.Answer = append(msg.Answer, good)
		r := h.start()
		if f := r.follow(context.Background(), "www.example.test.", dns.TypeA, msg); f == nil || f.state != Bogus || r.tried > maxSigsPerSet+8 {
			t.Errorf("%v after %d signatures", f, r.tried)
		}
	})
	t.Run("denials", func(t *testing.T) {
		msg := h.answer("nowhere.example.test.", dns.TypeA)
		for i := range 100 {
			rr := z.denials[z.chain[0]].(*dns.NSEC)
			other := *rr
			other.Hdr.Name = fmt.Sprintf("x%d.example.test.", i)
			msg.Ns = append(msg.Ns, z.withSig(t, []dns.RR{&other}, other.Hdr.Name)...)
		}
		r := h.start()
		if f := r.follow(context.Background(), "nowhere.example.test.", dns.TypeA, msg); f == nil || f.state != Bogus || r.tried > maxSignatures {
			t.Errorf("%v after %d signatures", f, r.tried)
		}
	})
	t.Run("questions", func(t *testing.T) {
		h.asked = 0
		got := h.verdict(h.validator(), strings.Repeat("a.", 60)+"plain.test.", dns.TypeA)
		if got.State != Insecure || h.asked > 10 {
			t.Errorf("%s (%s) after %d questions", got.State, got.Why, h.asked)
		}
		h.asked = 0
		h.change = func(name string, kind uint16, msg *dns.Msg) {
			if name != "." {
				msg.Ns = nil
			}
		}
		got = h.verdict(h.validator(), strings.Repeat("a.", 60)+"example.test.", dns.TypeA)
		if got.State == Secure || h.asked > maxQuestions+1 {
			t.Errorf("%s (%s) after %d questions", got.State, got.Why, h.asked)
		}
	})
}

// start returns a run as Validate makes one.
func (h *tree) start() *run {
	return &run{Validator: h.validator(), now: testNow, zones: map[string]*zone{}, answers: map[dns.Question]reply{}, hashes: map[hashKey]string{}}
}

// twin returns another key with the same tag: two of its 16-bit words are
// changed so that their sum stays.
func twin(key *dns.DNSKEY, i int) *dns.DNSKEY {
	other := *key
	raw := []byte(decode64(key.PublicKey))
	for word := 0; ; word += 2 {
		if int(raw[word])+i < 256 && int(raw[word+2])-i >= 0 {
			raw[word], raw[word+2] = raw[word]+byte(i), raw[word+2]-byte(i)
			break
		}
	}
	other.PublicKey = encode64(raw)
	return &other
}
