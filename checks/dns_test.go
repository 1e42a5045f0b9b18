package checks

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nines/checks/checkstest"
)

var zone = []string{
	"example.test. 300 IN A 192.0.2.10",
	"example.test. 60 IN A 192.0.2.11",
	"example.test. 60 IN MX 10 Mail.example.test.",
	`example.test. 60 IN TXT "v=spf1 include:_spf.example.test" " -all"`,
	"example.test. 60 IN AAAA 2001:db8::10",
	`example.test. 60 IN CAA 0 issue "ca.example.test"`,
	"www.example.test. 60 IN CNAME example.test.",
	`bytes.example.test. 60 IN TXT "\255\"quoted\\"`,
}

func dnsAt(server, domain, kind string) *DNS {
	d := newDNS()
	d.Server, d.Domain, d.Type = Servers{server}, domain, kind
	return d
}

func dnsOver(transport, server, domain, kind string) *DNS {
	d := dnsAt(server, domain, kind)
	d.Transport = transport
	return d
}

func TestDNSExpectations(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	for _, tt := range []struct {
		name, domain, kind string
		expect             func(*DNSExpect)
		status             Status
		reason             Reason
		answers            string
	}{
		{name: "plain", domain: "example.test", kind: "A", status: Up, answers: "192.0.2.10|192.0.2.11"},
		{name: "lower-case type", domain: "EXAMPLE.test.", kind: "a", status: Up},
		{name: "exact set", domain: "example.test", kind: "A", expect: func(e *DNSExpect) { e.Answer = []string{"192.0.2.11", "192.0.2.10"} }, status: Up},
		{name: "one is missing", domain: "example.test", kind: "A", expect: func(e *DNSExpect) { e.Answer = []string{"192.0.2.10", "192.0.2.11", "192.0.2.12"} }, status: Down, reason: ContentAnswer},
		{name: "one too many", domain: "example.test", kind: "A", expect: func(e *DNSExpect) { e.Answer = []string{"192.0.2.10"} }, status: Down, reason: ContentAnswer},
		{name: "contains", domain: "example.test", kind: "A", expect: func(e *DNSExpect) { e.AnswerContains = []string{"192.0.2.10"} }, status: Up},
		{name: "contains not", domain: "example.test", kind: "A", expect: func(e *DNSExpect) { e.AnswerContains = []string{"192.0.2.1"} }, status: Down, reason: ContentAnswer},
		{name: "through an alias", domain: "www.example.test", kind: "A", expect: func(e *DNSExpect) { e.Answer = []string{"192.0.2.10", "192.0.2.11"} }, status: Up},
		{name: "the alias itself", domain: "www.example.test", kind: "CNAME", expect: func(e *DNSExpect) { e.Answer = []string{"example.test"} }, status: Up, answers: "example.test."},
		{name: "mx in any case", domain: "example.test", kind: "MX", expect: func(e *DNSExpect) { e.Answer = []string{"10 mail.EXAMPLE.test"} }, status: Up},
		{name: "txt joined", domain: "example.test", kind: "TXT", expect: func(e *DNSExpect) { e.Answer = []string{"v=spf1 include:_spf.example.test -all"} }, status: Up},
		{name: "txt of bytes", domain: "bytes.example.test", kind: "TXT", status: Up, answers: "\uFFFD\"quoted\\"},
		{name: "aaaa written otherwise", domain: "example.test", kind: "AAAA", expect: func(e *DNSExpect) { e.Answer = []string{"2001:db8:0:0::10"} }, status: Up},
		{name: "caa", domain: "example.test", kind: "CAA", expect: func(e *DNSExpect) { e.Answer = []string{`0 issue "ca.example.test"`} }, status: Up},
		{name: "enough", domain: "example.test", kind: "A", expect: func(e *DNSExpect) { e.MinAnswers = 2 }, status: Up},
		{name: "too few", domain: "example.test", kind: "A", expect: func(e *DNSExpect) { e.MinAnswers = 3 }, status: Down, reason: ContentAnswer},
		{name: "none", domain: "example.test", kind: "SRV", status: Down, reason: DNSNoAnswer},
		{name: "none is right", domain: "example.test", kind: "SRV", expect: func(e *DNSExpect) { e.MinAnswers = 0 }, status: Up},
		{name: "no such name", domain: "nowhere.test", kind: "A", status: Down, reason: DNSNXDomain},
		{name: "no such name is right", domain: "nowhere.test", kind: "A", expect: func(e *DNSExpect) { e.Rcode = "nxdomain" }, status: Up},
		{name: "a name is wrong", domain: "example.test", kind: "A", expect: func(e *DNSExpect) { e.Rcode = "NXDOMAIN" }, status: Down, reason: DNSRcode},
		{name: "slow", domain: "example.test", kind: "A", expect: func(e *DNSExpect) { e.Within = time.Nanosecond }, status: Degraded, reason: SlowTotal},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(tt.name+"/"+transport, func(t *testing.T) {
				d := dnsAt(server.Addr(), tt.domain, tt.kind)
				d.Transport = transport
				if tt.expect != nil {
					tt.expect(&d.Expect)
				}
				r := run(t, d, 10*time.Second, loopback())
				wants(t, r, tt.status, tt.reason)
				if r.Facts["transport"] != transport || r.Facts["server"] != server.Addr() || r.Facts["aa"] != true {
					t.Errorf("facts %v", r.Facts)
				}
				if got := strings.Join(r.Facts["answers"].([]string), "|"); tt.answers != "" && got != tt.answers {
					t.Errorf("answers %q, want %q", got, tt.answers)
				}
				if tt.name == "plain" && r.Facts["ttl_min"] != 60 {
					t.Errorf("ttl_min %v", r.Facts["ttl_min"])
				}
				sumsUp(t, r)
			})
		}
	}
}

func TestDNSFaults(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	for _, tt := range []struct {
		fault     checkstest.DNSFault
		transport string
		status    Status
		reason    Reason
	}{
		{checkstest.DNSSilent, "udp", Down, DNSTimeout},
		{checkstest.DNSSilent, "tcp", Down, DNSTimeout},
		{checkstest.DNSServfail, "udp", Down, DNSServfail},
		{checkstest.DNSRefused, "udp", Down, DNSRefused},
		{checkstest.DNSTruncate, "udp", Up, ""},
		{checkstest.DNSTruncate, "tcp", Up, ""},
		{checkstest.DNSWrongID, "udp", Down, DNSMismatch},
		{checkstest.DNSWrongID, "tcp", Down, DNSMismatch},
		{checkstest.DNSWrongQuestion, "udp", Down, DNSMismatch},
		{checkstest.DNSWrongQuestion, "tcp", Down, DNSMismatch},
		{checkstest.DNSSpoofed, "udp", Up, ""},
		{checkstest.DNSSpoofed, "tcp", Down, DNSMismatch},
		{checkstest.DNSGarbage, "udp", Down, DNSMalformed},
		{checkstest.DNSCut, "udp", Down, DNSMalformed},
		{checkstest.DNSCut, "tcp", Down, DNSMalformed},
		{checkstest.DNSLoop, "udp", Down, DNSLoop},
		{checkstest.DNSLongChain, "udp", Down, DNSLoop},
		{checkstest.DNSAlwaysTruncate, "udp", Down, DNSTruncated},
		{checkstest.DNSAlwaysTruncate, "tcp", Down, DNSTruncated},
		{checkstest.DNSOversized, "udp", Down, DNSTooLarge},
		{checkstest.DNSOversized, "tcp", Up, ""},
		{checkstest.DNSPointerLoop, "udp", Down, DNSMalformed},
		{checkstest.DNSPointerLoop, "tcp", Down, DNSMalformed},
	} {
		server.Set(tt.fault, 0)
		d := dnsAt(server.Addr(), "example.test", "A")
		d.Transport = tt.transport
		timeout := 10 * time.Second
		if tt.reason == DNSTimeout || tt.reason == DNSMismatch {
			timeout = 300 * time.Millisecond
		}
		r := run(t, d, timeout, loopback())
		if r.Status != tt.status || r.Reason != tt.reason {
			t.Errorf("fault %d over %s: %s %s (%s), want %s %s", tt.fault, tt.transport, r.Status, r.Reason, r.Detail, tt.status, tt.reason)
		}
		if tt.fault == checkstest.DNSTruncate && r.Facts["transport"] != "tcp" {
			t.Errorf("facts %v", r.Facts)
		}
	}
	for _, transport := range []string{"udp", "tcp"} {
		d := dnsAt(freePort(t), "example.test", "A")
		d.Transport = transport
		wants(t, run(t, d, 10*time.Second, loopback()), Down, DNSUnreachable)
	}
	d := dnsAt(fullBacklog(t), "example.test", "A")
	d.Transport = "tcp"
	wants(t, run(t, d, 300*time.Millisecond, loopback()), Down, DNSTimeout)
}

func TestDNSOverTLS(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	ca := must(checkstest.NewCA())(t)
	for _, tt := range []struct {
		leaf   checkstest.Leaf
		status Status
		reason Reason
	}{
		{checkstest.Leaf{}, Up, ""},
		{checkstest.ExpiringIn(-time.Hour), Down, TLSExpired},
		{checkstest.Leaf{Names: []string{"dns.example.com"}}, Down, TLSWrongName},
	} {
		addr, closer, err := server.ServeTLS(must(ca.Issue(tt.leaf))(t))
		if err != nil {
			t.Fatal(err)
		}
		d := dnsAt(addr, "example.test", "A")
		d.Transport, d.CA = "tls", ca.PEM()
		r := run(t, d, 10*time.Second, loopback())
		wants(t, r, tt.status, tt.reason)
		if r.Facts["cert_expires"] == nil {
			t.Errorf("facts %v", r.Facts)
		}
		sumsUp(t, r)
		closer.Close()
	}
}

func TestDNSSystemServers(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	env := &Env{nameServer: server.Addr()} // private, and the machine's own
	d := newDNS()
	d.Domain = "example.test"
	wants(t, run(t, d, 10*time.Second, env), Up, "")
	if d.Target() != "example.test" {
		t.Errorf("target %q", d.Target())
	}
	env.nameServer = freePort(t)
	wants(t, run(t, d, 10*time.Second, env), Unknown, ProberNetwork)
}

func TestDNSServerByName(t *testing.T) {
	server := opened(checkstest.NewDNS(append(zone, "ns.test. 60 IN A 127.0.0.1")...))(t)
	env := loopback()
	env.nameServer = server.Addr()
	_, port, _ := strings.Cut(server.Addr(), ":")
	d := dnsAt("ns.test:"+port, "example.test", "A")
	r := run(t, d, 10*time.Second, env)
	wants(t, r, Up, "")
	sumsUp(t, r)
}

func TestDNSFaultsOfOptions(t *testing.T) {
	for _, tt := range []struct {
		set  func(*DNS)
		path string
	}{
		{func(d *DNS) {}, ""},
		{func(d *DNS) { d.Domain = "" }, "domain"},
		{func(d *DNS) { d.Domain = strings.Repeat("a", 64) + ".example" }, "domain"},
		{func(d *DNS) { d.Domain = "_dmarc.example.com" }, ""},
		{func(d *DNS) { d.Domain = "żółw.example" }, ""},
		{func(d *DNS) { d.Domain = "." }, ""},
		{func(d *DNS) { d.Type = "AXFR" }, "type"},
		{func(d *DNS) { d.Type = "B" }, "type"},
		{func(d *DNS) { d.Server = Servers{"192.0.2.53:5353"} }, ""},
		{func(d *DNS) { d.Server = Servers{"2001:db8::53"} }, ""},
		{func(d *DNS) { d.Server = Servers{"ns1.example.com"} }, ""},
		{func(d *DNS) { d.Server = Servers{"192.0.2.53:x"} }, "server"},
		{func(d *DNS) { d.Transport = "quic" }, "transport"},
		{func(d *DNS) { d.Transport, d.Server = "tls", Servers{"system"} }, "server"},
		{func(d *DNS) { d.Type, d.Class = "TXT", "CH" }, ""},
		{func(d *DNS) { d.Type, d.Class = "type65280", "class42" }, ""},
		{func(d *DNS) { d.Type = "TYPE252" }, "type"},
		{func(d *DNS) { d.Type = "TYPE70000" }, "type"},
		{func(d *DNS) { d.Class = "NONE" }, "class"},
		{func(d *DNS) { d.Server = nil }, "server"},
		{func(d *DNS) { d.Server = make(Servers, 17) }, "server"},
		{func(d *DNS) { d.Server = Servers{"192.0.2.53", "192.0.2.54:x"} }, "server[1]"},
		{func(d *DNS) { d.Server = Servers{"192.0.2.53", "192.0.2.53"} }, "server[1]"},
		{func(d *DNS) { d.Server = Servers{"192.0.2.53", "system"} }, ""},
		{func(d *DNS) { d.Server = Servers{"192.0.2.53", "authoritative"} }, "server[1]"},
		{func(d *DNS) { d.Server = Servers{"authoritative"} }, ""},
		{func(d *DNS) { d.Transport, d.Server = "tcp", Servers{"authoritative"} }, "server"},
		{func(d *DNS) { d.Transport, d.Server = "https", Servers{"https://dns.example/dns-query{?dns}"} }, ""},
		{func(d *DNS) { d.Transport, d.Server = "https", Servers{"dns.example"} }, "server"},
		{func(d *DNS) { d.Transport, d.Server = "https", Servers{"http://dns.example/"} }, "server"},
		{func(d *DNS) { d.Transport, d.Server = "https", Servers{"https://me:secret@dns.example/"} }, "server"},
		{func(d *DNS) {
			d.Transport, d.Server, d.EDNS.Cookie = "https", Servers{"https://dns.example/"}, true
		}, "edns.cookie"},
		{func(d *DNS) { d.Need = "most" }, "need"},
		{func(d *DNS) { d.Method = "PUT" }, "method"},
		{func(d *DNS) { d.IP = "5" }, "ip"},
		{func(d *DNS) { d.EDNS.Size = 0 }, ""},
		{func(d *DNS) { d.EDNS.Size = 511 }, "edns.size"},
		{func(d *DNS) { d.EDNS.Size, d.EDNS.DO = 0, true }, "edns.size"},
		{func(d *DNS) { d.EDNS.Subnet = netip.MustParsePrefix("198.51.100.7/24") }, "edns.subnet"},
		{func(d *DNS) { d.Authoritative.From = []string{"ns.example"} }, "authoritative.from[0]"},
		{func(d *DNS) { d.Authoritative.Roots = []string{"192.0.2.1:x"} }, "authoritative.roots[0]"},
		{func(d *DNS) {
			d.Authoritative.From, d.Authoritative.Roots = []string{"192.0.2.1"}, []string{"192.0.2.2"}
		}, "authoritative.from"},
		{func(d *DNS) { d.Authoritative.Port = 0 }, "authoritative.port"},
		{func(d *DNS) { d.Authoritative.MaxServers = 33 }, "authoritative.max_servers"},
		{func(d *DNS) { d.Authoritative.Lame = "bad" }, "authoritative.lame"},
		{func(d *DNS) { d.Authoritative.SerialLag = -1 }, "authoritative.serial_lag"},
		{func(d *DNS) { d.Expect.AuthorityContains = []string{"example.com NS ns1.example.com"} }, ""},
		{func(d *DNS) { d.Expect.AuthorityContains = []string{"ns1.example.com"} }, "expect.authority_contains[0]"},
		{func(d *DNS) { d.Expect.AdditionalContains = []string{""} }, "expect.additional_contains[0]"},
		{func(d *DNS) { d.Expect.MaxAnswers = -1 }, "expect.max_answers"},
		{func(d *DNS) { d.Expect.MinAnswers, d.Expect.MaxAnswers = 3, 2 }, "expect.max_answers"},
		{func(d *DNS) { d.Expect.TTL = TTLRange{Min: time.Hour, Max: time.Minute} }, "expect.ttl.max"},
		{func(d *DNS) { d.Expect.TTL.Min = -1 }, "expect.ttl.min"},
		{func(d *DNS) { d.Expect.MaxSize = 65536 }, "expect.max_size"},
		{func(d *DNS) { d.Expect.Within, d.Expect.FailAfter = time.Second, time.Millisecond }, "expect.fail_after"},
		{func(d *DNS) { d.Expect.Rcode = "OOPS" }, "expect.rcode"},
		{func(d *DNS) { d.Expect.Answer = []string{"192.0.2.10", "example.com"} }, "expect.answer[1]"},
		{func(d *DNS) { d.Expect.AnswerContains = []string{"192.0.2.10\n$INCLUDE /etc/passwd"} }, "expect.answer_contains[0]"},
		{func(d *DNS) { d.Expect.MinAnswers = -1 }, "expect.min_answers"},
		{func(d *DNS) { d.Expect.Within = -1 }, "expect.within"},
	} {
		d := dnsAt("192.0.2.53", "example.com", "A")
		tt.set(d)
		faults := d.Faults()
		if tt.path == "" && len(faults) > 0 || tt.path != "" && (len(faults) != 1 || faults[0].Path != tt.path) {
			t.Errorf("%v, want one at %q", faults, tt.path)
		}
	}
}

func FuzzDNSAnswer(f *testing.F) {
	d := dnsAt("192.0.2.53", "example.test", "A")
	d.Expect.Answer = []string{"192.0.2.10"}
	d.EDNS.Cookie, d.EDNS.Subnet = true, netip.MustParsePrefix("198.51.100.0/24")
	if err := d.prepare(); err != nil {
		f.Fatal(err)
	}
	_, sent := d.question.send(0, []byte("8 bytes."))
	server := opened(checkstest.NewDNS(zone...))(f)
	conn := must(loopback().datagrams(f.Context(), addrPort(server.Addr()).Addr(), addrPort(server.Addr()).Port()))(f)
	defer conn.Close()
	for fault := checkstest.DNSHealthy; fault <= checkstest.DNSWrongSubnet; fault++ {
		if fault == checkstest.DNSSilent || fault == checkstest.DNSLossy {
			continue
		}
		server.Set(fault, 0)
		conn.Write(sent.wire)
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(buf[:n], uint16(1), "application/dns-message")
		f.Add(buf[:n], uint16(255), "text/html")
	}
	f.Fuzz(func(t *testing.T, answer []byte, kind uint16, contentType string) {
		if len(answer) > 1 {
			copy(answer, sent.wire[:2]) // or else nothing more would be looked at
		}
		content, err := readContent(contentType, answer, &sent)
		if (content == nil) == (err == nil) {
			t.Fatalf("content %v, error %v", content, err)
		}
		msg, err := sent.match(answer)
		if err != nil || msg == nil {
			if content != nil {
				t.Error("over https it matches")
			}
			return
		}
		facts := Facts{}
		d.question.kind = kind
		f := d.examine(&reply{msg: msg, size: len(answer)}, facts)
		if f.reason != "" && !f.reason.Known() {
			t.Errorf("reason %q", f.reason)
		}
		total := 0
		for _, text := range facts["answers"].([]string) {
			total += len(text)
		}
		if len(facts["answers"].([]string)) > maxShown || total > maxShownBytes || len(f.detail) > 2048 {
			t.Errorf("%d bytes of answers and a detail of %d bytes are shown", total, len(f.detail))
		}
		lame(msg, "example.test.")
		referral(msg, ".", "example.test.")
		apexOf(msg)
	})
}

func FuzzCanonicalRecord(f *testing.F) {
	f.Add("192.0.2.10", uint16(1))
	f.Add("10 mail.example.com", uint16(15))
	f.Add(`0 issue "ca.example"`, uint16(257))
	f.Add("v=spf1 -all", uint16(16))
	f.Fuzz(func(t *testing.T, text string, kind uint16) {
		once, err := canonical(kind, text)
		switch {
		case err != nil:
			return
		case kind != dns.TypeA && kind != dns.TypeAAAA && kind != dns.TypeMX && kind != dns.TypeNS && kind != dns.TypeTXT:
			return // rdata of rare types is not always read as it is written
		}
		if again, err := canonical(kind, once); err != nil || again != once {
			t.Errorf("%q becomes %q, and that %q (%v)", text, once, again, err)
		}
	})
}
