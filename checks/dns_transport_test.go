package checks

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nines/checks/checkstest"
)

func TestDNSOverHTTPS(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	ca := must(checkstest.NewCA())(t)
	cert := must(ca.Issue(checkstest.Leaf{}))(t)
	type edit = func(http.ResponseWriter, []byte) []byte
	for _, tt := range []struct {
		name   string
		leaf   *checkstest.Leaf
		path   string
		edit   edit
		fault  checkstest.DNSFault
		status Status
		reason Reason
		says   string
	}{
		{name: "healthy", status: Up},
		{name: "template", path: "/dns-query{?dns}", status: Up},
		{name: "expired", leaf: &checkstest.Leaf{From: time.Now().Add(-48 * time.Hour), To: time.Now().Add(-time.Hour)}, status: Down, reason: TLSExpired},
		{name: "wrong name", leaf: &checkstest.Leaf{Names: []string{"dns.example.com"}}, status: Down, reason: TLSWrongName},
		{name: "not found", path: "/elsewhere", status: Down, reason: HTTPStatus, says: "404"},
		{name: "html", edit: func(w http.ResponseWriter, b []byte) []byte {
			w.Header().Set("Content-Type", "text/html")
			return []byte("<h1>hello</h1>")
		}, status: Down, reason: DNSMalformed, says: "text/html"},
		{name: "type with parameters", edit: func(w http.ResponseWriter, b []byte) []byte {
			w.Header().Set("Content-Type", "Application/DNS-Message; charset=x")
			return b
		}, status: Up},
		{name: "empty", edit: func(http.ResponseWriter, []byte) []byte { return nil }, status: Down, reason: DNSMalformed},
		{name: "too large", edit: func(_ http.ResponseWriter, b []byte) []byte { return append(b, make([]byte, 65536-len(b))...) }, status: Down, reason: DNSTooLarge},
		{name: "largest", edit: func(_ http.ResponseWriter, b []byte) []byte { return append(b, make([]byte, 65535-len(b))...) }, status: Up},
		{name: "another id", fault: checkstest.DNSWrongID, status: Down, reason: DNSMismatch},
		{name: "another question", fault: checkstest.DNSWrongQuestion, status: Down, reason: DNSMismatch},
		{name: "cut", fault: checkstest.DNSCut, status: Down, reason: DNSMalformed},
		{name: "truncated", fault: checkstest.DNSAlwaysTruncate, status: Down, reason: DNSTruncated},
		{name: "servfail", fault: checkstest.DNSServfail, status: Down, reason: DNSServfail},
		{name: "silent", fault: checkstest.DNSSilent, status: Down, reason: DNSTimeout},
		{name: "no answer", edit: func(w http.ResponseWriter, _ []byte) []byte {
			panic(http.ErrAbortHandler)
		}, status: Down, reason: DNSUnreachable},
	} {
		served := cert
		if tt.leaf != nil {
			served = must(ca.Issue(*tt.leaf))(t)
		}
		for _, method := range []string{"GET", "POST"} {
			t.Run(tt.name+"/"+method, func(t *testing.T) {
				server.Set(tt.fault, 0)
				addr, closer, err := server.ServeHTTPS(served, tt.edit)
				if err != nil {
					t.Fatal(err)
				}
				defer closer.Close()
				path := tt.path
				if path == "" {
					path = "/dns-query"
				}
				d := dnsOver("https", "https://"+addr+path, "example.test", "A")
				d.Method, d.CA = method, ca.PEM()
				d.Expect.Answer = []string{"192.0.2.10", "192.0.2.11"}
				timeout := 10 * time.Second
				if tt.reason == DNSTimeout {
					timeout = 300 * time.Millisecond
				}
				r := run(t, d, timeout, loopback())
				wants(t, r, tt.status, tt.reason)
				if !strings.Contains(r.Detail, tt.says) {
					t.Errorf("detail %q lacks %q", r.Detail, tt.says)
				}
				if r.Status == Up && (r.Facts["transport"] != "https" || r.Phases["tls"] == 0 || r.Facts["cert_expires"] == nil) {
					t.Errorf("facts %v, phases %v", r.Facts, r.Phases)
				}
				sumsUp(t, r)
			})
		}
	}
}

// Both versions of HTTP carry questions.
func TestDNSOverHTTPSVersions(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	ca, cert := issue(t, checkstest.Leaf{})
	for _, version := range []int{1, 2} {
		var got int
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r.ProtoMajor
			http.Error(w, "seen", http.StatusTeapot)
		})
		addr := serveHTTPVersion(t, cert, version, handler)
		d := dnsOver("https", "https://"+addr+"/", "example.test", "A")
		d.CA = ca.PEM()
		wants(t, run(t, d, 10*time.Second, loopback()), Down, HTTPStatus)
		if got != version {
			t.Errorf("asked over HTTP/%d, not HTTP/%d", got, version)
		}
	}
	if server.Asked() != 0 {
		t.Error("the name server itself was asked")
	}
}

func TestDNSResendsOverUDP(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	server.Set(checkstest.DNSLossy, 0)
	r := run(t, dnsAt(server.Addr(), "example.test", "A"), 10*time.Second, loopback())
	wants(t, r, Up, "")
	if r.Facts["resent"] != 1 || r.Facts["tries"] != nil {
		t.Errorf("facts %v", r.Facts)
	}
}

func TestDNSCancelledAtOnce(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	server.Set(checkstest.DNSSilent, 0)
	ca, cert := issue(t, checkstest.Leaf{})
	overTLS, closer, err := server.ServeTLS(cert)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	overHTTPS, closer2, err := server.ServeHTTPS(cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closer2.Close()
	authoritative := dnsAt("authoritative", "example.test", "A")
	authoritative.Authoritative.Roots = []string{server.Addr()}
	several := dnsAt(server.Addr(), "example.test", "A")
	several.Server = append(several.Server, freePort(t))
	for name, d := range map[string]*DNS{
		"udp":           dnsAt(server.Addr(), "example.test", "A"),
		"tcp":           dnsOver("tcp", server.Addr(), "example.test", "A"),
		"tls":           dnsOver("tls", overTLS, "example.test", "A"),
		"https":         dnsOver("https", "https://"+overHTTPS+"/dns-query", "example.test", "A"),
		"several":       several,
		"authoritative": authoritative,
	} {
		t.Run(name, func(t *testing.T) {
			d.CA = ca.PEM()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			start := time.Now()
			spec := Spec{Name: "test", Kind: "dns", Every: time.Hour, Timeout: 10 * time.Minute, Options: d}
			r := spec.Run(ctx, loopback(), start)
			wants(t, r, Unknown, ProberStopped)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it went on for %v", took)
			}
		})
	}
}

func TestDNSCookies(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	d := dnsAt(server.Addr(), "example.test", "A")
	d.EDNS.Cookie = true
	sent := func() int { return len(d.cookies.of(netip.MustParseAddr("127.0.0.1"))) }
	for _, step := range []struct {
		fault  checkstest.DNSFault
		status Status
		reason Reason
		known  int // bytes of cookie that are sent next
	}{
		{checkstest.DNSNoCookie, Up, "", 8}, // not every server knows cookies
		{checkstest.DNSWrongCookie, Down, DNSMismatch, 8},
		{checkstest.DNSHealthy, Up, "", 16},
		{checkstest.DNSHealthy, Up, "", 16},
		{checkstest.DNSNoCookie, Down, DNSMismatch, 8}, // this one does
		{checkstest.DNSNoCookie, Up, "", 8},
		{checkstest.DNSBadCookie, Up, "", 16}, // the second question has what the first learnt
	} {
		server.Set(step.fault, 0)
		timeout := 10 * time.Second
		if step.reason == DNSMismatch {
			timeout = 300 * time.Millisecond
		}
		r := run(t, d, timeout, loopback())
		if r.Status != step.status || r.Reason != step.reason || sent() != step.known {
			t.Errorf("fault %d: %s %s (%s), then %d bytes; want %v", step.fault, r.Status, r.Reason, r.Detail, sent(), step)
		}
		if gave, told := r.Facts["cookie"]; r.Status == Up && told != (step.known == 16) || told && gave != true {
			t.Errorf("fault %d: facts %v", step.fault, r.Facts)
		}
	}
	server.Set(checkstest.DNSWrongCookie, 0)
	d.Transport = "tcp"
	wants(t, run(t, d, 10*time.Second, loopback()), Down, DNSMismatch)
}

func TestDNSClientSubnet(t *testing.T) {
	server := opened(checkstest.NewDNS(zone...))(t)
	for _, subnet := range []string{"198.51.100.0/24", "2001:db8::/32", "198.51.100.128/25", "0.0.0.0/0"} {
		d := dnsAt(server.Addr(), "example.test", "A")
		d.EDNS.Subnet = netip.MustParsePrefix(subnet)
		server.Set(checkstest.DNSHealthy, 0)
		r := run(t, d, 10*time.Second, loopback())
		wants(t, r, Up, "")
		if r.Facts["subnet_scope"] != d.EDNS.Subnet.Bits() {
			t.Errorf("%s: facts %v", subnet, r.Facts)
		}
		server.Set(checkstest.DNSWrongSubnet, 0)
		wants(t, run(t, d, 300*time.Millisecond, loopback()), Down, DNSMismatch)
	}
}

// What goes over the wire is what was asked for, as a library reads it.
func TestDNSQuestionOnTheWire(t *testing.T) {
	plain := must(newQuestion("www.example.test", "A", "IN", EDNS{}))(t)
	plain.flags(true, false)
	full := must(newQuestion("www.example.test", "TYPE65280", "CH", EDNS{Size: 4096, DO: true, Subnet: netip.MustParsePrefix("2001:db8::/32"), Cookie: true}))(t)
	full.flags(false, true)
	for _, tt := range []struct {
		q      question
		cookie []byte
		want   string
	}{
		{plain, nil, "www.example.test. A IN rd=true ad=false"},
		{full, []byte("8 bytes."), "www.example.test. TYPE65280 CH rd=false ad=true 4096 do=true [2001:db8::]/32/0 382062797465732e"},
		{full, []byte("8 bytes.server's"), "www.example.test. TYPE65280 CH rd=false ad=true 4096 do=true [2001:db8::]/32/0 382062797465732e7365727665722773"},
	} {
		framed, sent := tt.q.send(2, tt.cookie)
		if len(framed) != len(sent.wire)+2 {
			t.Errorf("%d bytes for %d", len(framed), len(sent.wire))
		}
		msg := new(dns.Msg)
		if err := msg.Unpack(sent.wire); err != nil {
			t.Fatal(err)
		}
		q := msg.Question[0]
		got := fmt.Sprintf("%s %s %s rd=%t ad=%t", q.Name, dns.Type(q.Qtype), dns.Class(q.Qclass), msg.RecursionDesired, msg.AuthenticatedData)
		if opt := msg.IsEdns0(); opt != nil {
			got += fmt.Sprintf(" %d do=%t", opt.UDPSize(), opt.Do())
			for _, option := range opt.Option {
				got += " " + option.String()
			}
		}
		if got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestDNSSeveralServers(t *testing.T) {
	good := opened(checkstest.NewDNS(zone...))(t)
	other := opened(checkstest.NewDNS("example.test. 60 IN A 192.0.2.99"))(t)
	dead := freePort(t)
	for _, tt := range []struct {
		need    string
		servers Servers
		status  Status
		reason  Reason
		detail  string
	}{
		{"all", Servers{good.Addr(), other.Addr()}, Down, ContentAnswer, other.Addr()},
		{"all", Servers{good.Addr(), dead}, Down, DNSUnreachable, dead},
		{"any", Servers{dead, other.Addr(), good.Addr()}, Up, "", ""},
		{"any", Servers{dead, other.Addr()}, Down, DNSUnreachable, dead},
		{"all", Servers{good.Addr(), "[2001:db8::1]:53"}, Up, "", ""},
		{"all", Servers{"10.0.0.1", "[2001:db8::1]:53"}, Unknown, ProberBlocked, "10.0.0.1"},
	} {
		d := dnsAt("", "example.test", "A")
		d.Server, d.Need = tt.servers, tt.need
		d.Expect.AnswerContains = []string{"192.0.2.10"}
		r := run(t, d, 10*time.Second, loopback())
		wants(t, r, tt.status, tt.reason)
		if !strings.HasPrefix(r.Detail, tt.detail) {
			t.Errorf("detail %q", r.Detail)
		}
		lines, _ := r.Facts["servers"].([]string)
		if len(lines) != len(tt.servers) {
			t.Errorf("servers %v", lines)
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, tt.servers[i]+": ") {
				t.Errorf("line %q is not of %s", line, tt.servers[i])
			}
		}
	}
}

// A silent server does not hold up the others, and the run ends in time.
func TestDNSSeveralSilentServers(t *testing.T) {
	good := opened(checkstest.NewDNS(zone...))(t)
	d := dnsAt("", "example.test", "A")
	d.Server = Servers{good.Addr()}
	for range 9 {
		silent := opened(checkstest.NewDNS(zone...))(t)
		silent.Set(checkstest.DNSSilent, 0)
		d.Server = append(d.Server, silent.Addr())
	}
	d.Need = "any"
	wants(t, run(t, d, 500*time.Millisecond, loopback()), Up, "")
	d.Need = "all"
	wants(t, run(t, d, 500*time.Millisecond, loopback()), Down, DNSTimeout)
}

func TestDNSServersText(t *testing.T) {
	for _, tt := range []struct{ json, again string }{
		{`"192.0.2.53"`, `"192.0.2.53"`},
		{`["192.0.2.53"]`, `"192.0.2.53"`},
		{`["192.0.2.53","192.0.2.54"]`, `["192.0.2.53","192.0.2.54"]`},
	} {
		var s Servers
		if err := s.UnmarshalJSON([]byte(tt.json)); err != nil {
			t.Fatal(err)
		}
		if again := must(s.MarshalJSON())(t); string(again) != tt.again {
			t.Errorf("%s becomes %s", tt.json, again)
		}
	}
	var s Servers
	if err := s.UnmarshalJSON([]byte("5")); err == nil {
		t.Error("a number is taken")
	}
}
