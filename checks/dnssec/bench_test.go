package dnssec

import (
	"context"
	"testing"

	"github.com/miekg/dns"
)

// A chain of three zones: the root, test and example.test.
func BenchmarkValidate(b *testing.B) {
	for _, algorithm := range []uint8{dns.RSASHA256, dns.ECDSAP256SHA256, dns.ED25519} {
		for _, cached := range []bool{false, true} {
			name := algorithmName(algorithm) + "/computed"
			if cached {
				name = algorithmName(algorithm) + "/cached"
			}
			b.Run(name, func(b *testing.B) {
				h := world(b, algorithm)
				answers := map[string]*dns.Msg{}
				v := h.validator()
				v.Ask = func(_ context.Context, name string, kind uint16) (*dns.Msg, error) {
					key := name + dns.Type(kind).String()
					if answers[key] == nil {
						answers[key] = h.answer(name, kind)
					}
					return answers[key], nil
				}
				if cached {
					v.Cache = new(Cache)
				}
				question := dns.Question{Name: "www.example.test.", Qtype: dns.TypeA, Qclass: dns.ClassINET}
				msg := h.answer(question.Name, question.Qtype)
				b.ReportAllocs()
				for b.Loop() {
					if got := v.Validate(context.Background(), question, msg, testNow); got.State != Secure {
						b.Fatal(got.Why)
					}
				}
			})
		}
	}
}
