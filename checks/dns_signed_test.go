package checks

import (
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nines/checks/checkstest"
	"nines/checks/dnssec"
)

// signedCheck returns options that validate what the server says, from its own
// key.
func signedCheck(z *checkstest.Signed, domain, kind string) *DNS {
	d := dnsAt(z.Addr(), domain, kind)
	d.Signed.DNSSEC = dnssecValidate
	d.TrustAnchors = []string{z.Key().String()}
	return d
}

func TestDNSSEC(t *testing.T) {
	day := 24 * time.Hour
	for _, tt := range []struct {
		name   string
		domain string // default www.test
		kind   string // default A
		change func(*checkstest.Signed, *DNS, *Env)
		status Status
		reason Reason
		detail string
		state  string // the fact
	}{
		{name: "secure", status: Up, state: "secure"},
		{name: "over tcp", change: func(_ *checkstest.Signed, d *DNS, _ *Env) { d.Transport = "tcp" }, status: Up, state: "secure"},
		{name: "by a DS", change: func(z *checkstest.Signed, d *DNS, _ *Env) {
			d.TrustAnchors = []string{z.Key().ToDS(dns.SHA384).String()}
		}, status: Up, state: "secure"},
		{name: "no such name", domain: "nowhere.test", change: func(_ *checkstest.Signed, d *DNS, _ *Env) { d.Expect.Rcode = "NXDOMAIN" }, status: Up, state: "secure"},
		{name: "no such name, proved, but expected", domain: "nowhere.test", status: Down, reason: DNSNXDomain, state: "secure"},
		{name: "no such name, not proved", domain: "nowhere.test", change: func(z *checkstest.Signed, d *DNS, _ *Env) {
			d.Expect.Rcode = "NXDOMAIN"
			z.Spoil(func(msg *dns.Msg) { msg.Ns = msg.Ns[:min(len(msg.Ns), 2)] })
		}, status: Down, reason: DNSBogus, state: "bogus"},
		{name: "none of the type", kind: "AAAA", change: func(_ *checkstest.Signed, d *DNS, _ *Env) { d.Expect.MinAnswers = 0 }, status: Up, state: "secure"},
		{name: "forged", change: func(z *checkstest.Signed, d *DNS, _ *Env) {
			d.Expect.Answer = []string{"192.0.2.66", "192.0.2.2"}
			z.Spoil(func(msg *dns.Msg) {
				if a, ok := first(msg.Answer).(*dns.A); ok {
					a.A = net.IPv4(192, 0, 2, 66)
				}
			})
		}, status: Down, reason: DNSBogus, detail: "the signature of A of www.test. by key", state: "bogus"},
		{name: "another anchor", change: func(_ *checkstest.Signed, d *DNS, _ *Env) {
			d.TrustAnchors = []string{"test. DS 1 13 2 " + strings.Repeat("ab", 32)}
		},
			status: Down, reason: DNSBogus, detail: "matches none of its keys", state: "bogus"},
		{name: "expired", change: func(z *checkstest.Signed, _ *DNS, _ *Env) { z.Span(time.Time{}, time.Now().Add(-time.Minute)) }, status: Down, reason: DNSBogus, detail: "expired on", state: "bogus"},
		{name: "not yet", change: func(z *checkstest.Signed, _ *DNS, _ *Env) { z.Span(time.Now().Add(time.Hour), time.Time{}) }, status: Down, reason: DNSBogus, detail: "good only from", state: "bogus"},
		{name: "ends early", change: func(_ *checkstest.Signed, d *DNS, _ *Env) { d.Expect.ValidFor = 8 * day }, status: Down, reason: DNSExpiresSoon, detail: "expected to last 8.0 days", state: "secure"},
		{name: "ends late enough", change: func(_ *checkstest.Signed, d *DNS, _ *Env) { d.Expect.ValidFor = 6 * day }, status: Up, state: "secure"},
		{name: "ends soon", change: func(z *checkstest.Signed, _ *DNS, _ *Env) { z.Span(time.Time{}, time.Now().Add(40*time.Hour)) }, status: Degraded, reason: DNSExpiresSoon, state: "secure"},
		{name: "ends soon and is wrong", change: func(z *checkstest.Signed, d *DNS, _ *Env) {
			z.Span(time.Time{}, time.Now().Add(40*time.Hour))
			d.Expect.Answer = []string{"192.0.2.9"}
		}, status: Down, reason: ContentAnswer, state: "secure"},
		{name: "is of short life", change: func(z *checkstest.Signed, _ *DNS, _ *Env) {
			z.Span(time.Now().Add(-day), time.Now().Add(day))
		}, status: Up, state: "secure"},
		{name: "is at the end of a short life", change: func(z *checkstest.Signed, _ *DNS, _ *Env) {
			z.Span(time.Now().Add(-day), time.Now().Add(7*time.Hour))
		}, status: Degraded, reason: DNSExpiresSoon, detail: "expected to last 7h45m", state: "secure"},
		{name: "not signed", domain: "www.plain.test", status: Down, reason: DNSInsecure, detail: "plain.test. is not signed", state: "insecure"},
		{name: "not signed, which will do", domain: "www.plain.test", change: func(_ *checkstest.Signed, d *DNS, _ *Env) { d.Expect.DNSSEC = dnssecInsecure }, status: Up, state: "insecure"},
		{name: "signed, which need not be", change: func(_ *checkstest.Signed, d *DNS, _ *Env) { d.Expect.DNSSEC = dnssecInsecure }, status: Up, state: "secure"},
		{name: "no key to be had", change: func(z *checkstest.Signed, _ *DNS, _ *Env) {
			z.Spoil(func(msg *dns.Msg) {
				if msg.Question[0].Qtype == dns.TypeDNSKEY {
					msg.Rcode = dns.RcodeRefused
				}
			})
		}, status: Down, reason: DNSUndecided, detail: "REFUSED", state: "indeterminate"},
		{name: "not under the anchor", change: func(_ *checkstest.Signed, d *DNS, _ *Env) {
			d.TrustAnchors[0] = strings.Replace(d.TrustAnchors[0], "test.", "example.", 1)
		}, status: Down, reason: DNSUndecided, detail: "no trust anchor", state: "indeterminate"},
		{name: "server fails", change: func(z *checkstest.Signed, _ *DNS, _ *Env) {
			z.Spoil(func(msg *dns.Msg) { msg.Rcode = dns.RcodeServerFailure })
		}, status: Down, reason: DNSServfail},
		{name: "clock was never set", change: func(_ *checkstest.Signed, _ *DNS, env *Env) {
			env.Now = func() time.Time { return time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC) }
		}, status: Unknown, reason: ProberClock, detail: "2020-01-02"},
		{name: "not looked at", change: func(z *checkstest.Signed, d *DNS, _ *Env) {
			z.Span(time.Time{}, time.Now().Add(-day))
			d.Signed.DNSSEC, d.TrustAnchors = "off", nil
		}, status: Up},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := opened(checkstest.NewSigned())(t)
			if tt.domain == "" {
				tt.domain = "www.test"
			}
			if tt.kind == "" {
				tt.kind = "A"
			}
			d, env := signedCheck(z, tt.domain, tt.kind), loopback()
			if tt.change != nil {
				tt.change(z, d, env)
			}
			r := run(t, d, 10*time.Second, env)
			wants(t, r, tt.status, tt.reason)
			if !strings.Contains(r.Detail, tt.detail) {
				t.Errorf("detail %q, want %q in it", r.Detail, tt.detail)
			}
			if state, _ := r.Facts["dnssec"].(string); state != tt.state {
				t.Errorf("facts %v", r.Facts)
			}
			if asked, unmarked := z.Asked(); (unmarked == 0) != d.validates() {
				t.Errorf("%d of %d questions lack DO or CD", unmarked, asked)
			}
			if tt.state == "secure" {
				chain := []string{"test. " + itoa(z.Key().KeyTag()) + " ECDSAP256SHA256"}
				if r.Facts["signature_expires"] != z.End().UTC().Format(time.RFC3339) || !slices.Equal(r.Facts["dnssec_chain"].([]string), chain) {
					t.Errorf("facts %v, want %v and %v", r.Facts, z.End().UTC(), chain)
				}
			}
		})
	}
}

func first(records []dns.RR) dns.RR {
	if len(records) == 0 {
		return nil
	}
	return records[0]
}

// A run that ends while the chain is built does not know; nor does one that may
// not reach the server again.
func TestDNSSECOutOfTime(t *testing.T) {
	z := opened(checkstest.NewSigned())(t)
	block := make(chan struct{})
	t.Cleanup(func() { close(block) })
	z.Spoil(func(msg *dns.Msg) {
		if msg.Question[0].Qtype == dns.TypeDNSKEY {
			<-block
		}
	})
	wants(t, run(t, signedCheck(z, "www.test", "A"), 500*time.Millisecond, loopback()), Down, DNSUndecided)
}

// When the root's own signatures do not fit the clock, it is the clock.
func TestDNSSECOfTheRootByAWrongClock(t *testing.T) {
	d := newDNS()
	wrong := dnssec.Verdict{State: dnssec.Bogus, Dated: true, Zone: ".", Why: "it expired"}
	if f := d.judgeVerdict(wrong, time.Now()); f.status != Unknown || f.reason != ProberClock {
		t.Errorf("%v", f)
	}
	for _, change := range []func(*dnssec.Verdict, *DNS){
		func(v *dnssec.Verdict, _ *DNS) { v.Dated = false },
		func(v *dnssec.Verdict, _ *DNS) { v.Zone = "example.com." },
		func(_ *dnssec.Verdict, d *DNS) { d.TrustAnchors = []string{". DS 1 13 2 " + strings.Repeat("ab", 32)} },
	} {
		d, other := newDNS(), wrong
		change(&other, d)
		if f := d.judgeVerdict(other, time.Now()); f.status != Down || f.reason != DNSBogus {
			t.Errorf("%+v: %v", other, f)
		}
	}
}

func TestDNSSECFaults(t *testing.T) {
	ds := "example.com. DS 1 13 2 " + strings.Repeat("ab", 32)
	for _, tt := range []struct {
		name   string
		change func(*DNS)
		faults map[string]string
	}{
		{"none", func(d *DNS) { d.TrustAnchors, d.Expect.DNSSEC, d.Expect.ValidFor = []string{ds}, "insecure", time.Hour }, nil},
		{"unknown words", func(d *DNS) { d.Signed.DNSSEC, d.Expect.DNSSEC = "on", "bogus" }, map[string]string{"dnssec": "validate", "expect.dnssec": "secure"}},
		{"negative", func(d *DNS) { d.Expect.ValidFor = -1 }, map[string]string{"expect.valid_for": "negative"}},
		{"no anchor", func(d *DNS) { d.TrustAnchors = []string{ds, "example.com. DS 1 16 2 ab"} }, map[string]string{"trust_anchors[1]": "ED448"}},
		{"signatures of signatures", func(d *DNS) { d.Type = "rrsig" }, map[string]string{"type": "not signed themselves"}},
		{"nothing to judge", func(d *DNS) {
			d.Signed.DNSSEC, d.TrustAnchors, d.Expect.DNSSEC, d.Expect.ValidFor = "", []string{ds}, "secure", time.Hour
		}, map[string]string{"trust_anchors": "dnssec: validate", "expect.dnssec": "dnssec: validate", "expect.valid_for": "dnssec: validate"}},
	} {
		d := newDNS()
		d.Domain, d.Signed.DNSSEC = "example.com", "validate"
		tt.change(d)
		got := map[string]string{}
		for _, f := range d.Faults() {
			got[f.Path] = f.Message
		}
		if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(tt.faults))) {
			t.Errorf("%s: %v", tt.name, got)
		}
		for path, part := range tt.faults {
			if !strings.Contains(got[path], part) {
				t.Errorf("%s: %s: %q, want %q in it", tt.name, path, got[path], part)
			}
		}
	}
}
