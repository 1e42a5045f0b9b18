package agreement

import (
	"testing"
	"time"

	"nines/checks"
	"nines/checks/checkstest"
)

func TestDNS(t *testing.T) {
	t.Parallel()
	theirs := newBlackbox(t, fileOf(t, "ca.pem", must(checkstest.NewCA())(t).PEM()))
	zone := must(checkstest.NewDNS("example.test. 60 IN A 192.0.2.10", "example.test. 60 IN A 192.0.2.11", "example.test. 60 IN MX 10 mail.example.test."))(t)
	defer zone.Close()
	name := func(domain, kind string, more map[string]any) map[string]any {
		options := map[string]any{"domain": domain, "type": kind, "server": zone.Addr()}
		for key, value := range more {
			options[key] = value
		}
		return options
	}
	for _, tt := range []struct {
		name, module string
		options      map[string]any
		fault        checkstest.DNSFault
		reason       checks.Reason
		differs      string
	}{
		{name: "A", module: "dns", options: name("example.test", "A", nil)},
		{name: "A by TCP", module: "dns_tcp", options: name("example.test", "A", map[string]any{"transport": "tcp"})},
		{name: "MX", module: "dns_mx", options: name("example.test", "MX", map[string]any{"expect": map[string]any{"answer": []string{"10 mail.example.test"}}})},
		{name: "no such name", module: "dns_none", options: name("nowhere.test", "A", nil), reason: checks.DNSNXDomain},
		{name: "no such name is right", module: "dns_none_right", options: name("nowhere.test", "A", map[string]any{"expect": map[string]any{"rcode": "NXDOMAIN"}})},
		{name: "servfail", module: "dns", options: name("example.test", "A", nil), fault: checkstest.DNSServfail, reason: checks.DNSServfail},
		{name: "refused", module: "dns", options: name("example.test", "A", nil), fault: checkstest.DNSRefused, reason: checks.DNSRefused},
		{name: "silent", module: "dns", options: name("example.test", "A", nil), fault: checkstest.DNSSilent, reason: checks.DNSTimeout},
		{name: "spoofed", module: "dns", options: name("example.test", "A", nil), fault: checkstest.DNSSpoofed},
		{name: "truncated", module: "dns", options: name("example.test", "A", nil), fault: checkstest.DNSTruncate},
		{name: "garbage", module: "dns", options: name("example.test", "A", nil), fault: checkstest.DNSGarbage, reason: checks.DNSMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone.Set(tt.fault, 0)
			r := check(t, "dns", tt.options, time.Second)
			m := theirs.probe(t, tt.module, zone.Addr())
			agree(t, r, m, tt.reason, tt.differs)
			if records, ok := r.Facts["answers"].([]string); ok && works(r) && m.value("probe_dns_answer_rrs") != float64(len(records)) && tt.fault == checkstest.DNSHealthy {
				t.Errorf("%d records, theirs %.0f", len(records), m.value("probe_dns_answer_rrs"))
			}
		})
	}
}
