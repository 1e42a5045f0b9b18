package checks

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

func icmpTo(host string) *ICMP {
	c := newICMP()
	c.Host, c.Interval = host, 10*time.Millisecond
	return c
}

func TestICMPJudges(t *testing.T) {
	trips := func(ms ...int) *series {
		s := &series{sent: 10, trips: map[int]time.Duration{}}
		for i, n := range ms {
			s.trips[i] = time.Duration(n) * time.Millisecond
		}
		return s
	}
	ten := trips(1, 1, 1, 1, 1, 1, 1, 1, 1, 11)
	ratio := func(text string) Ratio {
		var r Ratio
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	unreachable := trips()
	unreachable.refusal = net.ErrClosed
	for _, tt := range []struct {
		name   string
		series *series
		expect ICMPExpect
		err    error
		status Status
		reason Reason
	}{
		{"all", ten, ICMPExpect{}, nil, "", ""},
		{"fast enough", ten, ICMPExpect{Within: 2 * time.Millisecond}, nil, "", ""},
		{"too slow", ten, ICMPExpect{Within: time.Millisecond}, nil, Degraded, SlowTotal},
		{"one lost", trips(1, 1, 1, 1, 1, 1, 1, 1, 1), ICMPExpect{}, nil, Degraded, ConnectLoss},
		{"one lost of ten allowed", trips(1, 1, 1, 1, 1, 1, 1, 1, 1), ICMPExpect{MaxLoss: ratio("10%")}, nil, "", ""},
		{"one lost, none allowed", trips(1, 1, 1, 1, 1, 1, 1, 1, 1), ICMPExpect{MaxLoss: ratio("0")}, nil, Down, ConnectLoss},
		{"two lost, one allowed, slow", trips(9, 9, 9, 9, 9, 9, 9, 9), ICMPExpect{MaxLoss: ratio("0.1"), Within: time.Millisecond}, nil, Down, ConnectLoss},
		{"one lost of ten allowed, slow", trips(9, 9, 9, 9, 9, 9, 9, 9, 9), ICMPExpect{MaxLoss: ratio("0.1"), Within: time.Millisecond}, nil, Degraded, SlowTotal},
		{"all lost", trips(), ICMPExpect{MaxLoss: ratio("1")}, nil, Down, ConnectTimeout},
		{"unreachable", unreachable, ICMPExpect{}, nil, Down, ConnectUnreachable},
		{"our fault", nil, ICMPExpect{}, &localError{ProberNetwork, net.ErrClosed}, Unknown, ProberNetwork},
		{"our fault in the middle", trips(), ICMPExpect{}, &localError{ProberNetwork, net.ErrClosed}, Unknown, ProberNetwork},
		{"no time to send", &series{}, ICMPExpect{}, nil, Down, ConnectTimeout},
	} {
		c := icmpTo("a.example")
		c.Expect = tt.expect
		if f := c.judge(tt.series, tt.err); f.status != tt.status || f.reason != tt.reason {
			t.Errorf("%s: %+v", tt.name, f)
		}
	}
}

// sentOut is a series of three requests to addr.
func sentOut(addr string, raw bool) *series {
	s := &series{pinger: pinger{to: netip.MustParseAddr(addr), raw: raw, id: 77}, size: 56, sent: 3, trips: map[int]time.Duration{2: 1}}
	copy(s.nonce[:], "sixteen bytes of")
	return s
}

// What is not an answer to one of our requests is not taken for one.
func TestICMPAnswers(t *testing.T) {
	from := &net.IPAddr{IP: net.IPv4(192, 0, 2, 1)}
	for _, tt := range []struct {
		name string
		edit func(*icmp.Message, *icmp.Echo)
		from net.Addr
		raw  bool
		want bool
	}{
		{"an answer", func(*icmp.Message, *icmp.Echo) {}, from, true, true},
		{"over a datagram socket", func(*icmp.Message, *icmp.Echo) {}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1)}, false, true},
		{"with the kernel's id", func(_ *icmp.Message, e *icmp.Echo) { e.ID = 5 }, from, false, true},
		{"from somebody else", func(*icmp.Message, *icmp.Echo) {}, &net.IPAddr{IP: net.IPv4(192, 0, 2, 2)}, true, false},
		{"with another id", func(_ *icmp.Message, e *icmp.Echo) { e.ID = 5 }, from, true, false},
		{"another nonce", func(_ *icmp.Message, e *icmp.Echo) { e.Data[0] ^= 1 }, from, true, false},
		{"another request's data", func(_ *icmp.Message, e *icmp.Echo) { e.Seq = 0 }, from, true, false},
		{"too short", func(_ *icmp.Message, e *icmp.Echo) { e.Data = e.Data[:55] }, from, true, false},
		{"not sent yet", func(_ *icmp.Message, e *icmp.Echo) { e.Seq, e.Data = 3, sentOut("192.0.2.1", true).data(3) }, from, true, false},
		{"a second time", func(_ *icmp.Message, e *icmp.Echo) { e.Seq, e.Data = 2, sentOut("192.0.2.1", true).data(2) }, from, true, false},
		{"a request", func(m *icmp.Message, _ *icmp.Echo) { m.Type = ipv4.ICMPTypeEcho }, from, true, false},
		{"another code", func(m *icmp.Message, _ *icmp.Echo) { m.Code = 1 }, from, true, false},
	} {
		s := sentOut("192.0.2.1", tt.raw)
		echo := &icmp.Echo{ID: 77, Seq: 1, Data: s.data(1)}
		m := &icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: echo}
		tt.edit(m, echo)
		number, ok := s.answers(must(m.Marshal(nil))(t), tt.from)
		if ok != tt.want || ok && number != 1 {
			t.Errorf("%s: %d, %v", tt.name, number, ok)
		}
	}
	s := sentOut("2001:db8::1", true)
	m := &icmp.Message{Type: ipv6.ICMPTypeEchoReply, Body: &icmp.Echo{ID: 77, Seq: 1, Data: s.data(1)}}
	if _, ok := s.answers(must(m.Marshal(nil))(t), &net.IPAddr{IP: net.ParseIP("2001:db8::1")}); !ok {
		t.Error("an answer over IPv6 is none")
	}
}

func FuzzICMPAnswers(f *testing.F) {
	s := sentOut("192.0.2.1", true)
	for _, kind := range []icmp.Type{ipv4.ICMPTypeEchoReply, ipv4.ICMPTypeEcho} {
		m := &icmp.Message{Type: kind, Body: &icmp.Echo{ID: 77, Seq: 1, Data: s.data(1)}}
		f.Add(must(m.Marshal(nil))(f), true)
	}
	f.Add([]byte{0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, packet []byte, six bool) {
		s := sentOut("192.0.2.1", true)
		from := &net.IPAddr{IP: net.IPv4(192, 0, 2, 1)}
		if six {
			s, from = sentOut("2001:db8::1", true), &net.IPAddr{IP: net.ParseIP("2001:db8::1")}
		}
		if number, ok := s.answers(packet, from); ok && (number > 1 || !strings.Contains(string(packet), "sixteen bytes of")) {
			t.Errorf("%x answers %d", packet, number)
		}
	})
}

func TestICMPFaultsOfOptions(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		set        func(*ICMP)
	}{
		{"good", "", func(*ICMP) {}},
		{"an address", "", func(c *ICMP) { c.Host = "2001:db8::1" }},
		{"no host", "host", func(c *ICMP) { c.Host = "" }},
		{"a port", "host", func(c *ICMP) { c.Host = "a.example:80" }},
		{"family", "ip", func(c *ICMP) { c.IP = "5" }},
		{"none", "count", func(c *ICMP) { c.Count = 0 }},
		{"too many", "count", func(c *ICMP) { c.Count = 101 }},
		{"a flood", "interval", func(c *ICMP) { c.Interval = time.Millisecond }},
		{"too small", "size", func(c *ICMP) { c.Size = 23 }},
		{"too large", "size", func(c *ICMP) { c.Size = 8193 }},
		{"all of one", "expect.all_addresses", func(c *ICMP) { c.Expect.AllAddresses = true }},
		{"negative", "expect.within", func(c *ICMP) { c.Expect.Within = -1 }},
	} {
		c := icmpTo("a.example")
		tt.set(c)
		faults := c.Faults()
		if tt.path == "" && len(faults) != 0 || tt.path != "" && (len(faults) != 1 || faults[0].Path != tt.path) {
			t.Errorf("%s: %v", tt.name, faults)
		}
	}
	if c := icmpTo("a.example"); c.Target() != "a.example" {
		t.Errorf("target %q", c.Target())
	}
}
