package checks

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// dnsWorld is a little Internet on loopback: name servers at 127.0.x.y, all on
// one port, each with a function that answers.
type dnsWorld struct {
	t    testing.TB
	port int

	mu      sync.Mutex
	answers map[string]func(q *dns.Msg, udp bool) *dns.Msg // by address
	asked   map[string]int
}

func newDNSWorld(t testing.TB) *dnsWorld {
	at := addrPort(freePort(t))
	return &dnsWorld{t: t, port: int(at.Port()), answers: map[string]func(*dns.Msg, bool) *dns.Msg{}, asked: map[string]int{}}
}

// at has a server answer at an address, over UDP and TCP.
func (s *dnsWorld) at(addr string, answer func(q *dns.Msg, udp bool) *dns.Msg) {
	s.t.Helper()
	s.mu.Lock()
	_, running := s.answers[addr]
	s.answers[addr] = answer
	s.mu.Unlock()
	if running {
		return
	}
	hostport := net.JoinHostPort(addr, fmt.Sprint(s.port))
	packets, err := net.ListenPacket("udp", hostport)
	if err != nil {
		s.t.Fatal(err)
	}
	stream, err := net.Listen("tcp", hostport)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: packets}, {Listener: stream}} {
		server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			s.mu.Lock()
			s.asked[addr]++
			answer := s.answers[addr]
			s.mu.Unlock()
			udp := w.LocalAddr().Network() == "udp"
			if m := answer(q, udp); m != nil {
				if udp {
					m.Truncate(ednsSize)
				}
				w.WriteMsg(m)
			}
		})
		go server.ActivateAndServe()
		s.t.Cleanup(func() { server.Shutdown() })
	}
}

// records reads records as a zone file has them.
func records(t testing.TB, texts ...string) []dns.RR {
	t.Helper()
	var read []dns.RR
	for _, text := range texts {
		read = append(read, must(dns.NewRR(text))(t))
	}
	return read
}

// authority answers for zones from their records, and refers to zones beneath.
func authority(t testing.TB, zone string, texts ...string) func(*dns.Msg, bool) *dns.Msg {
	all := records(t, texts...)
	return func(q *dns.Msg, _ bool) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		name := strings.ToLower(q.Question[0].Name)
		if !dns.IsSubDomain(zone, name) {
			m.Rcode = dns.RcodeRefused
			return m
		}
		exists := false
		for _, rr := range all {
			owner := rr.Header().Name
			if rr.Header().Rrtype == dns.TypeNS && owner != zone && dns.IsSubDomain(owner, name) {
				m.Ns = append(m.Ns, rr)
			}
			if owner == name {
				exists = true
				if kind := rr.Header().Rrtype; kind == q.Question[0].Qtype || kind == dns.TypeCNAME {
					m.Answer = append(m.Answer, rr)
				}
			}
		}
		if len(m.Ns) > 0 {
			m.Answer = nil
			for _, rr := range all {
				if _, ok := addressIn(rr); ok {
					m.Extra = append(m.Extra, rr)
				}
			}
			return m
		}
		m.Authoritative = true
		if len(m.Answer) == 0 {
			for _, rr := range all {
				if rr.Header().Rrtype == dns.TypeSOA && rr.Header().Name == zone {
					m.Ns = append(m.Ns, rr)
				}
			}
		}
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
		return m
	}
}

func soa(zone string, serial uint32) string {
	return fmt.Sprintf("%s 60 IN SOA ns.test. hostmaster.test. %d 3600 600 86400 60", zone, serial)
}

// world sets up a root, a zone test. and in it example.test. with two servers,
// ns1 at 127.0.53.11 and ns2 at 127.0.53.12.
func world(t testing.TB) (*dnsWorld, *DNS) {
	s := newDNSWorld(t)
	s.at("127.0.53.1", authority(t, ".", soa(".", 1), ". 60 IN NS root.", "test. 60 IN NS ns.test.", "ns.test. 60 IN A 127.0.53.2"))
	s.at("127.0.53.2", authority(t, "test.", soa("test.", 1), "test. 60 IN NS ns.test.",
		"example.test. 60 IN NS ns1.example.test.", "example.test. 60 IN NS ns2.example.test.",
		"ns1.example.test. 60 IN A 127.0.53.11", "ns2.example.test. 60 IN A 127.0.53.12"))
	s.at("127.0.53.11", authority(t, "example.test.", child(10)...))
	s.at("127.0.53.12", authority(t, "example.test.", child(10)...))
	d := dnsAt("authoritative", "www.example.test", "A")
	d.Authoritative.Roots = []string{fmt.Sprintf("127.0.53.1:%d", s.port)}
	d.Authoritative.Port = s.port
	d.Expect.Answer = []string{"192.0.2.10"}
	return s, d
}

func child(serial uint32, more ...string) []string {
	return append([]string{soa("example.test.", serial), "example.test. 60 IN NS ns1.example.test.", "example.test. 60 IN NS ns2.example.test.",
		"ns1.example.test. 60 IN A 127.0.53.11", "ns2.example.test. 60 IN A 127.0.53.12", "www.example.test. 60 IN A 192.0.2.10"}, more...)
}

func fails(rcode int) func(*dns.Msg, bool) *dns.Msg {
	return func(q *dns.Msg, _ bool) *dns.Msg { return new(dns.Msg).SetRcode(q, rcode) }
}

func silent(*dns.Msg, bool) *dns.Msg { return nil }

func TestZoneServers(t *testing.T) {
	const ns2 = "127.0.53.12"
	for _, tt := range []struct {
		name   string
		change func(s *dnsWorld, d *DNS)
		status Status
		reason Reason
		detail string // what the detail must have
	}{
		{name: "healthy", status: Up},
		{name: "one is refused", change: func(s *dnsWorld, d *DNS) { s.at(ns2, fails(dns.RcodeRefused)) }, status: Down, reason: DNSLame, detail: "ns2.example.test 127.0.53.12: answers REFUSED"},
		{name: "one fails", change: func(s *dnsWorld, d *DNS) { s.at(ns2, fails(dns.RcodeServerFailure)) }, status: Down, reason: DNSLame, detail: "SERVFAIL"},
		{name: "one refers upwards", change: func(s *dnsWorld, d *DNS) {
			s.at(ns2, func(q *dns.Msg, _ bool) *dns.Msg {
				m := new(dns.Msg).SetReply(q)
				m.Ns = records(t, ". 60 IN NS root.")
				return m
			})
		}, status: Down, reason: DNSLame, detail: "refers elsewhere"},
		{name: "one only resolves", change: func(s *dnsWorld, d *DNS) {
			s.at(ns2, func(q *dns.Msg, udp bool) *dns.Msg {
				m := authority(t, "example.test.", child(10)...)(q, udp)
				m.Authoritative = false
				return m
			})
		}, status: Down, reason: DNSLame, detail: "not an authority"},
		{name: "lame is ignored", change: func(s *dnsWorld, d *DNS) {
			s.at(ns2, fails(dns.RcodeRefused))
			d.Authoritative.Lame = "ignore"
		}, status: Up},
		{name: "lame is degraded", change: func(s *dnsWorld, d *DNS) {
			s.at(ns2, fails(dns.RcodeRefused))
			d.Authoritative.Lame = "degraded"
		}, status: Degraded, reason: DNSLame},
		{name: "one is silent", change: func(s *dnsWorld, d *DNS) { s.at(ns2, silent) }, status: Degraded, reason: DNSTimeout, detail: "ns2"},
		{name: "one is silent over tcp", change: func(s *dnsWorld, d *DNS) {
			healthy := authority(t, "example.test.", child(10)...)
			s.at(ns2, func(q *dns.Msg, udp bool) *dns.Msg {
				if udp {
					return healthy(q, udp)
				}
				return nil
			})
		}, status: Degraded, reason: DNSTimeout, detail: "over tcp"},
		{name: "all are silent", change: func(s *dnsWorld, d *DNS) { s.at("127.0.53.11", silent); s.at(ns2, silent) }, status: Down, reason: DNSTimeout, detail: "none of the 2 servers of example.test."},
		{name: "all are lame", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.11", fails(dns.RcodeRefused))
			s.at(ns2, fails(dns.RcodeRefused))
		}, status: Down, reason: DNSLame, detail: "none of the 2 servers"},
		{name: "one is behind", change: func(s *dnsWorld, d *DNS) {
			s.at(ns2, authority(t, "example.test.", child(9)...))
			d.Authoritative.SerialLag = 0
		}, status: Degraded, reason: DNSSerial, detail: "has serial 10 and ns2.example.test 127.0.53.12 still has 9: 1 behind"},
		{name: "one is behind for a moment", change: func(s *dnsWorld, d *DNS) { s.at(ns2, authority(t, "example.test.", child(9)...)) }, status: Up},
		{name: "one is behind by little", change: func(s *dnsWorld, d *DNS) {
			s.at(ns2, authority(t, "example.test.", child(9)...))
			d.Authoritative.SerialLag, d.Authoritative.SerialSkew = 0, 1
		}, status: Up},
		{name: "serials begin anew", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.11", authority(t, "example.test.", child(1)...))
			s.at(ns2, authority(t, "example.test.", child(1<<32-2)...))
			d.Authoritative.SerialLag, d.Authoritative.Serial = 0, "down"
		}, status: Down, reason: DNSSerial, detail: "still has 4294967294: 3 behind"},
		{name: "one has another answer", change: func(s *dnsWorld, d *DNS) {
			s.at(ns2, authority(t, "example.test.", child(10, "www.example.test. 60 IN A 192.0.2.11")...))
			d.Expect.Answer = nil
		}, status: Down, reason: DNSDiffers, detail: "with one serial, 10"},
		{name: "one has a wrong answer", change: func(s *dnsWorld, d *DNS) {
			s.at(ns2, authority(t, "example.test.", child(10, "www.example.test. 60 IN A 192.0.2.11")...))
		}, status: Down, reason: ContentAnswer, detail: "ns2.example.test 127.0.53.12: "},
		{name: "aliases differ", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.11", authority(t, "example.test.", child(10, "cdn.example.test. 60 IN CNAME a.elsewhere.")...))
			s.at(ns2, authority(t, "example.test.", child(10, "cdn.example.test. 60 IN CNAME b.elsewhere.")...))
			d.Domain, d.Expect.Answer, d.Expect.MinAnswers = "cdn.example.test", nil, 0
		}, status: Down, reason: DNSDiffers, detail: "→ b.elsewhere."},
		{name: "one server follows an alias out of the zone", change: func(s *dnsWorld, d *DNS) {
			healthy := authority(t, "example.test.", child(10, "cdn.example.test. 60 IN CNAME a.elsewhere.")...)
			s.at("127.0.53.11", healthy)
			s.at(ns2, func(q *dns.Msg, udp bool) *dns.Msg {
				m := healthy(q, udp)
				if q.Question[0].Qtype == dns.TypeA && len(m.Answer) > 0 {
					m.Answer = append(m.Answer, records(t, "a.elsewhere. 60 IN CNAME b.elsewhere.", "b.elsewhere. 60 IN A 192.0.2.77")...)
				}
				return m
			})
			d.Domain, d.Expect.Answer, d.Expect.MinAnswers = "cdn.example.test", nil, 0
		}, status: Up},
		{name: "a DS record is the parent's", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.2", func(q *dns.Msg, udp bool) *dns.Msg {
				if q.Question[0].Qtype == dns.TypeDS {
					m := new(dns.Msg).SetReply(q)
					m.Authoritative = true
					m.Answer = records(t, "example.test. 60 IN DS 1 13 2 AB")
					return m
				}
				return authority(t, "test.", soa("test.", 1), "test. 60 IN NS ns.test.", "ns.test. 60 IN A 127.0.53.2")(q, udp)
			})
			d.Domain, d.Type, d.Expect.Answer = "example.test", "DS", []string{"1 13 2 AB"}
		}, status: Up},
		{name: "transports differ", change: func(s *dnsWorld, d *DNS) {
			other := authority(t, "example.test.", child(10, "www.example.test. 60 IN A 192.0.2.11")...)
			healthy := authority(t, "example.test.", child(10)...)
			s.at(ns2, func(q *dns.Msg, udp bool) *dns.Msg {
				if udp {
					return healthy(q, udp)
				}
				return other(q, udp)
			})
		}, status: Down, reason: DNSDiffers, detail: "over tcp"},
		{name: "the zone names a third", change: func(s *dnsWorld, d *DNS) {
			more := []string{"example.test. 60 IN NS ns3.example.test.", "ns3.example.test. 60 IN A 127.0.53.13"}
			for _, addr := range []string{"127.0.53.11", ns2, "127.0.53.13"} {
				s.at(addr, authority(t, "example.test.", child(10, more...)...))
			}
		}, status: Degraded, reason: DNSDelegation, detail: "names [ns1.example.test., ns2.example.test.]; the zone"},
		{name: "the parent names one without address", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.2", authority(t, "test.", soa("test.", 1), "example.test. 60 IN NS ns1.example.test.", "example.test. 60 IN NS ns9.example.test.", "ns1.example.test. 60 IN A 127.0.53.11"))
			d.Authoritative.Delegation = "down"
		}, status: Down, reason: DNSDelegation, detail: "no address is known of ns9.example.test."},
		{name: "no server has an address", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.2", authority(t, "test.", soa("test.", 1), "example.test. 60 IN NS ns9.example.test."))
		}, status: Down, reason: DNSDelegation, detail: "none of the name servers"},
		{name: "a server of another zone", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.1", authority(t, ".", soa(".", 1), "test. 60 IN NS ns.test.", "ns.test. 60 IN A 127.0.53.2", "other. 60 IN NS ns.other.", "ns.other. 60 IN A 127.0.53.3"))
			s.at("127.0.53.3", authority(t, "other.", soa("other.", 1), "dns.other. 60 IN A 127.0.53.12"))
			s.at("127.0.53.2", authority(t, "test.", soa("test.", 1), "example.test. 60 IN NS ns1.example.test.", "example.test. 60 IN NS dns.other.", "ns1.example.test. 60 IN A 127.0.53.11"))
			d.Authoritative.Delegation = "ignore"
		}, status: Up},
		{name: "names that lead in a circle", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.1", authority(t, ".", soa(".", 1), "test. 60 IN NS ns.other.", "other. 60 IN NS ns.test."))
		}, status: Down, reason: DNSDelegation},
		{name: "the root is refused", change: func(s *dnsWorld, d *DNS) { s.at("127.0.53.1", fails(dns.RcodeRefused)) }, status: Down, reason: DNSLame, detail: "zone .: REFUSED"},
		{name: "the root is silent", change: func(s *dnsWorld, d *DNS) { s.at("127.0.53.1", silent) }, status: Down, reason: DNSTimeout},
		{name: "the parent is lame", change: func(s *dnsWorld, d *DNS) { s.at("127.0.53.2", fails(dns.RcodeServerFailure)) }, status: Down, reason: DNSLame, detail: "none of the 1 servers of test."},
		{name: "no such zone", change: func(s *dnsWorld, d *DNS) { d.Domain = "www.nowhere.test" }, status: Down, reason: DNSNXDomain, detail: "ns.test 127.0.53.2"},
		{name: "parent and zone at one server", change: func(s *dnsWorld, d *DNS) {
			parent := authority(t, "test.", soa("test.", 1), "test. 60 IN NS ns.test.")
			zone := authority(t, "example.test.", child(10)...)
			s.at("127.0.53.2", func(q *dns.Msg, udp bool) *dns.Msg {
				if dns.IsSubDomain("example.test.", q.Question[0].Name) {
					return zone(q, udp)
				}
				return parent(q, udp)
			})
		}, status: Up},
		{name: "only one may be asked", change: func(s *dnsWorld, d *DNS) {
			s.at(ns2, fails(dns.RcodeRefused))
			d.Authoritative.MaxServers = 1
		}, status: Up},
		{name: "a private server", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.2", authority(t, "test.", soa("test.", 1), "example.test. 60 IN NS ns1.example.test.", "example.test. 60 IN NS ns2.example.test.",
				"ns1.example.test. 60 IN A 127.0.53.11", "ns2.example.test. 60 IN A 10.1.2.3"))
		}, status: Up},
		{name: "all servers are private", change: func(s *dnsWorld, d *DNS) {
			s.at("127.0.53.2", authority(t, "test.", soa("test.", 1), "example.test. 60 IN NS ns1.example.test.", "ns1.example.test. 60 IN A 10.1.2.3"))
		}, status: Unknown, reason: ProberBlocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, d := world(t)
			if tt.change != nil {
				tt.change(s, d)
			}
			timeout := 10 * time.Second
			if tt.reason == DNSTimeout {
				timeout = 2 * time.Second
			}
			r := run(t, d, timeout, loopback())
			wants(t, r, tt.status, tt.reason)
			if !strings.Contains(r.Detail, tt.detail) {
				t.Errorf("detail %q lacks %q", r.Detail, tt.detail)
			}
			sumsUp(t, r)
			if t.Failed() {
				t.Logf("facts %v", r.Facts)
			}
		})
	}
}

func TestZoneFacts(t *testing.T) {
	s, d := world(t)
	s.at("127.0.53.12", authority(t, "example.test.", child(7)...))
	r := run(t, d, 10*time.Second, loopback())
	wants(t, r, Up, "")
	for name, want := range map[string]any{
		"zone": "example.test.", "serial": int64(10), "serial_skew": int64(3), "rcode": "NOERROR", "ttl_min": 60, "questions": 11,
	} {
		if r.Facts[name] != want {
			t.Errorf("%s is %v (%T), want %v", name, r.Facts[name], r.Facts[name], want)
		}
	}
	want := []string{
		"ns1.example.test 127.0.53.11: serial 10, NOERROR [192.0.2.10]",
		"ns2.example.test 127.0.53.12: serial 7, NOERROR [192.0.2.10]",
	}
	if got, _ := r.Facts["servers"].([]string); !slices.Equal(got, want) {
		t.Errorf("servers %q", got)
	}
	if got := fmt.Sprint(r.Facts["parent_ns"], r.Facts["zone_ns"]); got != "[ns1.example.test. ns2.example.test.] [ns1.example.test. ns2.example.test.]" {
		t.Error(got)
	}
}

// Every address of a server is asked, in both families as far as this prober
// may and can.
func TestZoneFamilies(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		l.Close()
	}
	s, d := world(t)
	s.at("::1", authority(t, "example.test.", child(10)...))
	s.at("127.0.53.2", authority(t, "test.", soa("test.", 1), "example.test. 60 IN NS ns1.example.test.", "example.test. 60 IN NS ns2.example.test.",
		"ns1.example.test. 60 IN A 127.0.53.11", "ns2.example.test. 60 IN AAAA ::1"))
	both := loopback()
	both.Allow = append(both.Allow, netip.MustParsePrefix("::1/128"))
	only4 := loopback()
	only4.Allow, only4.SourceIP = both.Allow, netip.MustParseAddr("127.0.0.1")
	for _, tt := range []struct {
		name    string
		env     *Env
		ip      string
		servers int
		skipped string
	}{
		{"both", both, "any", 2, ""},
		{"the check wants one", both, "4", 1, ""},
		{"the check wants the other", both, "6", 1, ""},
		{"not allowed", loopback(), "any", 1, "prober.blocked"},
		{"not from this address", only4, "any", 1, "prober.network"},
	} {
		d.IP = tt.ip
		r := run(t, d, 10*time.Second, tt.env)
		wants(t, r, Up, "")
		servers, _ := r.Facts["servers"].([]string)
		skipped, _ := r.Facts["skipped"].([]string)
		if len(servers) != tt.servers || (len(skipped) == 1) != (tt.skipped != "") || !strings.Contains(strings.Join(skipped, ""), tt.skipped) {
			t.Errorf("%s: servers %q, skipped %q", tt.name, servers, skipped)
		}
	}
}

// One server is asked over IPv6 as over IPv4.
func TestDNSFamilies(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		l.Close()
	}
	s := newDNSWorld(t)
	s.at("::1", authority(t, "example.test.", child(10)...))
	env := loopback()
	env.Allow = append(env.Allow, netip.MustParsePrefix("::1/128"))
	for _, transport := range []string{"udp", "tcp"} {
		d := dnsOver(transport, fmt.Sprintf("[::1]:%d", s.port), "www.example.test", "A")
		for ip, want := range map[string]Status{"any": Up, "6": Up, "4": Down} {
			d.IP = ip
			if r := run(t, d, 10*time.Second, env); r.Status != want {
				t.Errorf("%s, ip %s: %s %s (%s)", transport, ip, r.Status, r.Reason, r.Detail)
			}
		}
	}
}

// What hostile servers put into a result stays below the longest line.
func TestZoneResultIsBounded(t *testing.T) {
	s := newDNSWorld(t)
	label := strings.Repeat("\\001", 60)
	long := label + "." + label + "." + label + "."
	text := strings.Repeat("\\001\\\"<", 60)
	var serial atomic.Uint32
	s.at("127.0.53.1", func(q *dns.Msg, _ bool) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		if q.Question[0].Qtype == dns.TypeSOA {
			m.Answer = records(t, soa("test.", serial.Add(1)))
			return m
		}
		if q.Question[0].Qtype == dns.TypeNS && len(dns.SplitDomainName(q.Question[0].Name)) > 1 {
			m.Authoritative = false
			for i := range 8 {
				name := fmt.Sprintf("n%d.%s", i, long)
				m.Ns = append(m.Ns, records(t, "test. 60 IN NS "+name)...)
				m.Extra = append(m.Extra, records(t, name+" 60 IN A 127.0.53.1", name+" 60 IN A 127.0.53.1", name+" 60 IN A 127.0.53.1")...)
			}
			return m
		}
		for i := range 8 {
			m.Answer = append(m.Answer, records(t, fmt.Sprintf("%s 60 IN NS m%d.%s", q.Question[0].Name, i, long), fmt.Sprintf("%s 60 IN TXT \"%d%s\"", q.Question[0].Name, i, text))...)
		}
		return m
	})
	d := dnsAt("authoritative", "a.test", "TXT")
	d.Authoritative.Roots, d.Authoritative.Port, d.Authoritative.MaxServers = []string{fmt.Sprintf("127.0.53.1:%d", s.port)}, s.port, maxStations
	d.Authoritative.SerialLag = 0
	r := run(t, d, 20*time.Second, loopback())
	line := must(json.Marshal(r))(t)
	t.Logf("%d bytes", len(line))
	if len(line) > MaxRecord || r.Facts["servers"] == nil {
		t.Errorf("%d bytes: %.2000s", len(line), line)
	}
}

// The clock of a server that is behind starts when its newest serial is first
// seen, and again with each newer one.
func TestZoneSerialLag(t *testing.T) {
	s, d := world(t)
	d.Authoritative.SerialLag = time.Minute
	now := time.Now()
	env := loopback()
	env.Now = func() time.Time { return now }
	for i, step := range []struct {
		primary uint32
		later   time.Duration
		status  Status
	}{{10, 0, Up}, {11, 0, Up}, {11, 59 * time.Second, Up}, {11, time.Second, Degraded}, {12, time.Hour, Up}, {12, time.Minute, Degraded}, {10, time.Hour, Up}} {
		now = now.Add(step.later)
		s.at("127.0.53.11", authority(t, "example.test.", child(step.primary)...))
		if r := run(t, d, 10*time.Second, env); r.Status != step.status {
			t.Errorf("step %d: %s %s (%s)", i, r.Status, r.Reason, r.Detail)
		}
	}
}

// Without roots the parent is found through a resolver.
func TestZoneThroughResolver(t *testing.T) {
	s, d := world(t)
	all := authority(t, ".", soa(".", 1), ". 60 IN NS root.", "test. 60 IN NS ns.test.", "ns.test. 60 IN A 127.0.53.2", "root. 60 IN A 127.0.53.1")
	resolver := func(q *dns.Msg, udp bool) *dns.Msg {
		if !q.RecursionDesired {
			return new(dns.Msg).SetRcode(q, dns.RcodeRefused)
		}
		m := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		switch {
		case dns.IsSubDomain("example.test.", name):
			m.Rcode = dns.RcodeServerFailure // as resolvers do when a zone is broken
		case name == "test." && q.Question[0].Qtype == dns.TypeNS:
			m.Answer = records(t, "test. 60 IN NS ns.test.")
		case name == "ns.test." && q.Question[0].Qtype == dns.TypeA:
			m.Answer = records(t, "ns.test. 60 IN A 127.0.53.2")
		default:
			return all(q, udp)
		}
		return m
	}
	s.at("127.0.53.5", resolver)
	d.Authoritative.Roots, d.Authoritative.From = nil, []string{fmt.Sprintf("127.0.53.5:%d", s.port)}
	r := run(t, d, 10*time.Second, loopback())
	wants(t, r, Up, "")
	if r.Facts["zone"] != "example.test." || r.Facts["parent_ns"] == nil {
		t.Errorf("facts %v", r.Facts)
	}
	env := loopback()
	env.nameServer, d.Authoritative.From = d.Authoritative.From[0], nil
	wants(t, run(t, d, 10*time.Second, env), Up, "")

	// A resolver that knows the zone itself leads first to it, and then above.
	s.at("127.0.53.5", func(q *dns.Msg, udp bool) *dns.Msg {
		if q.Question[0].Name == "example.test." && q.Question[0].Qtype == dns.TypeNS {
			m := new(dns.Msg).SetReply(q)
			m.Answer = records(t, "example.test. 60 IN NS ns1.example.test.")
			return m
		}
		if q.Question[0].Name == "ns1.example.test." && q.Question[0].Qtype == dns.TypeA {
			m := new(dns.Msg).SetReply(q)
			m.Answer = records(t, "ns1.example.test. 60 IN A 127.0.53.11")
			return m
		}
		return resolver(q, udp)
	})
	r = run(t, d, 10*time.Second, env)
	wants(t, r, Up, "")
	if r.Facts["parent_ns"] == nil {
		t.Errorf("the parent was not asked: %v", r.Facts)
	}
	// One that gives up on a dead zone too late does not hide that it is dead.
	s.at("127.0.53.11", silent)
	s.at("127.0.53.12", silent)
	s.at("127.0.53.5", func(q *dns.Msg, udp bool) *dns.Msg {
		if dns.IsSubDomain("example.test.", q.Question[0].Name) {
			return nil
		}
		return resolver(q, udp)
	})
	wants(t, run(t, d, 4*time.Second, env), Down, DNSTimeout)
	s.at("127.0.53.5", silent)
	wants(t, run(t, d, time.Second, env), Unknown, ProberNetwork)
}

// A zone that leads on and on ends a run all the same.
func TestZoneBounds(t *testing.T) {
	s := newDNSWorld(t)
	s.at("127.0.53.1", func(q *dns.Msg, _ bool) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		labels := dns.SplitDomainName(q.Question[0].Name)
		for i := range 30 { // each of a name that leads here again
			m.Ns = append(m.Ns, records(t, fmt.Sprintf("%s. 60 IN NS ns%d.x%d.%s", labels[len(labels)-1], i, i, q.Question[0].Name))...)
		}
		return m
	})
	d := dnsAt("authoritative", "a.b.c.test", "A")
	d.Authoritative.Roots = []string{fmt.Sprintf("127.0.53.1:%d", s.port)}
	d.Authoritative.Port = s.port
	r := run(t, d, 20*time.Second, loopback())
	if r.Status != Down {
		t.Errorf("%s %s (%s)", r.Status, r.Reason, r.Detail)
	}
	if n, ok := r.Facts["questions"].(int); !ok || n > maxQuestions {
		t.Errorf("%d questions", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Two tries, in which each question may be sent thrice and then over TCP.
	if n := s.asked["127.0.53.1"]; n > 2*4*maxQuestions {
		t.Errorf("%d questions were sent", n)
	}
}

func TestSerialArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, step := rapid.Uint32().Draw(t, "a"), rapid.Uint32Range(1, 1<<31-1).Draw(t, "step")
		if !serialBefore(a, a+step) || serialBefore(a+step, a) || serialBefore(a, a) {
			t.Errorf("%d and %d", a, a+step)
		}
	})
	if serialBefore(0, 1<<31) || serialBefore(1<<31, 0) {
		t.Error("two that are half the circle apart are ordered")
	}
}

func TestAddressAndPort(t *testing.T) {
	for text, want := range map[string]string{"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353", "[2001:db8::1]:5": "[2001:db8::1]:5", "2001:db8::1": "[2001:db8::1]:53", "::ffff:192.0.2.1": "192.0.2.1:53"} {
		if got, err := addressAndPort(text, 53); err != nil || got != netip.MustParseAddrPort(want) {
			t.Errorf("%s: %v (%v)", text, got, err)
		}
	}
}
