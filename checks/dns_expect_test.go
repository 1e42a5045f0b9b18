package checks

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestDNSMoreExpectations(t *testing.T) {
	s := newDNSWorld(t)
	s.at("127.0.53.20", func(q *dns.Msg, _ bool) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.AuthenticatedData = q.AuthenticatedData // as one that checks signatures, when it is asked to say so
		switch kind := q.Question[0].Qtype; {
		case q.Question[0].Qclass == dns.ClassCHAOS:
			m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: kind, Class: dns.ClassCHAOS}, Txt: []string{"9.20.1"}}}
		case kind == dns.TypeA:
			m.Authoritative = true
			m.Answer = records(t, "www.example.test. 60 IN A 192.0.2.10", "www.example.test. 300 IN A 192.0.2.11")
			m.Ns = records(t, "example.test. 60 IN NS NS1.example.test.")
			m.Extra = append(m.Extra, records(t, "ns1.example.test. 60 IN A 192.0.2.53")...)
		case kind == dns.TypeSOA:
			m.Answer = records(t, soa("www.example.test.", 2026100105))
		case kind == dns.TypeTXT:
			m.Answer = records(t, `www.example.test. 60 IN TXT "v=spf1 mx" " -all"`, `www.example.test. 60 IN TXT "token=123"`)
		case kind == 65280:
			m.Answer = records(t, `www.example.test. 60 IN TYPE65280 \# 4 0A000001`)
		default:
			m.Ns = records(t, soa("example.test.", 7))
		}
		return m
	})
	yes, no := true, false
	pat := func(texts ...string) []Pattern {
		var patterns []Pattern
		for _, text := range texts {
			patterns = append(patterns, pattern(t, text))
		}
		return patterns
	}
	for _, tt := range []struct {
		name   string
		kind   string
		set    func(*DNS)
		status Status
		reason Reason
		detail string
	}{
		{name: "matches", kind: "TXT", set: func(d *DNS) { d.Expect.AnswerMatches = pat("^v=spf1 .* -all$", "^token=[0-9]+$") }, status: Up},
		{name: "one matches not", kind: "TXT", set: func(d *DNS) { d.Expect.AnswerMatches = pat("^v=spf1", "^token=[a-z]+$") }, status: Down, reason: ContentAnswer, detail: "^token=[a-z]+$"},
		{name: "not too many", kind: "A", set: func(d *DNS) { d.Expect.MaxAnswers = 2 }, status: Up},
		{name: "too many", kind: "A", set: func(d *DNS) { d.Expect.MaxAnswers = 1 }, status: Down, reason: ContentAnswer, detail: "at most 1"},
		{name: "authority", kind: "A", set: func(d *DNS) { d.Expect.AuthorityContains = []string{"Example.test NS ns1.example.test"} }, status: Up},
		{name: "authority lacks", kind: "A", set: func(d *DNS) { d.Expect.AuthorityContains = []string{"example.test NS ns2.example.test"} }, status: Down, reason: ContentAnswer, detail: "authority section"},
		{name: "additional", kind: "A", set: func(d *DNS) { d.Expect.AdditionalContains = []string{"ns1.example.test 5 IN A 192.0.2.53"} }, status: Up},
		{name: "additional lacks", kind: "A", set: func(d *DNS) { d.Expect.AdditionalContains = []string{"ns1.example.test A 192.0.2.54"} }, status: Down, reason: ContentAnswer, detail: "additional section"},
		{name: "ttl", kind: "A", set: func(d *DNS) { d.Expect.TTL = TTLRange{time.Minute, 5 * time.Minute} }, status: Up},
		{name: "ttl too short", kind: "A", set: func(d *DNS) { d.Expect.TTL.Min = 61 * time.Second }, status: Down, reason: ContentAnswer, detail: "192.0.2.10 may be kept for 1m0s"},
		{name: "ttl too long", kind: "A", set: func(d *DNS) { d.Expect.TTL.Max = 299 * time.Second }, status: Down, reason: ContentAnswer, detail: "192.0.2.11 may be kept for 5m0s"},
		{name: "aa", kind: "A", set: func(d *DNS) { d.Expect.AA = &yes }, status: Up},
		{name: "aa is not wanted", kind: "A", set: func(d *DNS) { d.Expect.AA = &no }, status: Down, reason: ContentAnswer, detail: "flag aa is true"},
		{name: "aa is missing", kind: "TXT", set: func(d *DNS) { d.Expect.AA = &yes }, status: Down, reason: ContentAnswer, detail: "flag aa is false"},
		{name: "ad is asked for", kind: "A", set: func(d *DNS) { d.Expect.AD = &yes }, status: Up},
		{name: "ad is not wanted", kind: "A", set: func(d *DNS) { d.Expect.AD = &no }, status: Down, reason: ContentAnswer, detail: "flag ad is true"},
		{name: "serial", kind: "SOA", set: func(d *DNS) { d.Expect.Serial.Min = 2026100105 }, status: Up},
		{name: "serial too old", kind: "SOA", set: func(d *DNS) { d.Expect.Serial.Min = 2026100106 }, status: Down, reason: DNSSerial, detail: "is 2026100105"},
		{name: "serial that has begun anew", kind: "SOA", set: func(d *DNS) { d.Expect.Serial.Min = 1<<32 - 1 }, status: Up},
		{name: "serial beside a negative answer", kind: "MX", set: func(d *DNS) { d.Expect.MinAnswers, d.Expect.Serial.Min = 0, 8 }, status: Down, reason: DNSSerial, detail: "is 7"},
		{name: "no serial at all", kind: "A", set: func(d *DNS) { d.Expect.Serial.Min = 1 }, status: Down, reason: DNSSerial, detail: "no SOA record"},
		{name: "small enough", kind: "A", set: func(d *DNS) { d.Expect.MaxSize = 512 }, status: Up},
		{name: "too large", kind: "A", set: func(d *DNS) { d.Expect.MaxSize = 100 }, status: Down, reason: DNSTooLarge, detail: "at most 100"},
		{name: "slow", kind: "A", set: func(d *DNS) { d.Expect.Within, d.Expect.FailAfter = 1, time.Hour }, status: Degraded, reason: SlowTotal},
		{name: "too slow", kind: "A", set: func(d *DNS) { d.Expect.Within, d.Expect.FailAfter = 1, 1 }, status: Down, reason: SlowTotal},
		{name: "another class", kind: "TXT", set: func(d *DNS) { d.Class, d.Expect.Answer = "ch", []string{"9.20.1"} }, status: Up},
		{name: "a type without name", kind: "TYPE65280", set: func(d *DNS) { d.Expect.Answer = []string{`\# 4 0a000001`} }, status: Up},
		{name: "another of it", kind: "TYPE65280", set: func(d *DNS) { d.Expect.Answer = []string{`\# 4 0a000002`} }, status: Down, reason: ContentAnswer},
		{name: "any", kind: "ANY", set: func(d *DNS) { d.Expect.MinAnswers = 0 }, status: Up},
		{name: "without edns", kind: "A", set: func(d *DNS) { d.EDNS.Size = 0 }, status: Up},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := dnsAt(fmt.Sprintf("127.0.53.20:%d", s.port), "www.example.test", tt.kind)
			tt.set(d)
			r := run(t, d, 10*time.Second, loopback())
			wants(t, r, tt.status, tt.reason)
			if !strings.Contains(r.Detail, tt.detail) {
				t.Errorf("detail %q lacks %q", r.Detail, tt.detail)
			}
			if size, _ := r.Facts["size"].(int); size < 40 || size > 512 {
				t.Errorf("size %v", r.Facts["size"])
			}
			sumsUp(t, r)
		})
	}
}

// The chain of aliases is reported, and where it ends outside of what the
// server knows that is said.
func TestDNSAliases(t *testing.T) {
	s := newDNSWorld(t)
	s.at("127.0.53.20", func(q *dns.Msg, _ bool) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Answer = records(t, "one.test. 60 IN CNAME Two.test.", "two.test. 60 IN CNAME away.elsewhere.")
		if q.RecursionDesired {
			m.Answer = append(m.Answer, records(t, "away.elsewhere. 60 IN A 192.0.2.10")...)
		}
		return m
	})
	d := dnsAt(fmt.Sprintf("127.0.53.20:%d", s.port), "ONE.test", "A")
	r := run(t, d, 10*time.Second, loopback())
	wants(t, r, Up, "")
	if got := fmt.Sprint(r.Facts["aliases"], r.Facts["answers"]); got != "[Two.test. away.elsewhere.] [192.0.2.10]" {
		t.Error(got)
	}
	again := dnsAt(d.Server[0], "one.test", "A")
	again.Recursion = false
	r = run(t, again, 10*time.Second, loopback())
	wants(t, r, Down, DNSNoAnswer)
	if !strings.Contains(r.Detail, "only the aliases Two.test. → away.elsewhere.") {
		t.Errorf("detail %q", r.Detail)
	}
}

// 16 aliases are followed, and one more is a loop.
func TestDNSLongestChain(t *testing.T) {
	for links, loop := range map[int]bool{1: false, maxCNAMEs: false, maxCNAMEs + 1: true} {
		msg := new(dns.Msg).SetQuestion("n0.test.", dns.TypeA)
		for i := range links {
			msg.Answer = append(msg.Answer, records(t, fmt.Sprintf("n%d.test. 60 IN CNAME n%d.test.", i, i+1))...)
		}
		msg.Answer = append(msg.Answer, records(t, fmt.Sprintf("n%d.test. 60 IN A 192.0.2.10", links))...)
		if c := followAliases(msg, dns.TypeA); c.loop != loop || (len(c.records) == 1) == loop {
			t.Errorf("%d links: %+v", links, c)
		}
	}
}
