package checks

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestGuardBlocksWhatIsNotPublic(t *testing.T) {
	for _, tt := range []struct{ addr, why string }{
		{"0.0.0.0", "this network"},
		{"0.1.2.3", "this network"},
		{"10.1.2.3", "private use"},
		{"100.64.0.1", "carriers"},
		{"100.127.255.255", "carriers"},
		{"127.0.0.1", "loopback"},
		{"127.255.255.254", "loopback"},
		{"169.254.169.254", "link-local"},
		{"172.16.0.1", "private use"},
		{"172.31.255.255", "private use"},
		{"192.0.0.8", "protocol assignments"},
		{"192.0.2.1", "documentation"},
		{"192.88.99.1", "6to4"},
		{"192.168.1.1", "private use"},
		{"198.18.0.1", "benchmarking"},
		{"198.19.255.255", "benchmarking"},
		{"198.51.100.7", "documentation"},
		{"203.0.113.7", "documentation"},
		{"224.0.0.1", "multicast"},
		{"239.255.255.255", "multicast"},
		{"240.0.0.1", "reserved"},
		{"255.255.255.255", "broadcast"},
		{"::", "unspecified"},
		{"::1", "loopback"},
		{"::7f00:1", "reserved"}, // IPv4-compatible 127.0.0.1
		{"::ffff:127.0.0.1", "loopback"},
		{"::ffff:10.0.0.1", "private use"},
		{"::ffff:169.254.169.254", "link-local"},
		{"64:ff9b::7f00:1", "translated to 127.0.0.1"},
		{"64:ff9b::a9fe:a9fe", "translated to 169.254.169.254"},
		{"64:ff9b:1::808:808", "local translation"},
		{"100::1", "discard"},
		{"100:0:0:1::1", "dummy"},
		{"2001::1", "Teredo"},
		{"2001:0:4136:e378:8000:63bf:f5ff:fffe", "it leads to 10.0.0.1"},
		{"2001:2::1", "benchmarking"},
		{"2001:10::1", "protocol assignments"},
		{"2001:db8::1", "documentation"},
		{"2002:7f00:1::1", "it leads to 127.0.0.1"},
		{"2002:808:808::1", "6to4"},
		{"3fff::1", "documentation"},
		{"5f00::1", "segment routing"},
		{"fc00::1", "unique local"},
		{"fd12:3456::1", "unique local"},
		{"fe80::1", "link-local"},
		{"fe80::1%eth0", "link-local"},
		{"febf::1", "link-local"},
		{"fec0::1", "site-local"},
		{"ff02::1", "multicast"},
		{"4000::1", "reserved"},
		{"e000::1", "reserved"},
	} {
		err := (&Env{}).admit(netip.MustParseAddr(tt.addr))
		var blocked *blockedError
		if !errors.As(err, &blocked) || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v; want it blocked as %q", tt.addr, err, tt.why)
		}
	}
	if err := (&Env{}).admit(netip.Addr{}); err == nil {
		t.Error("no address at all is admitted")
	}
}

func TestGuardAdmitsThePublicInternet(t *testing.T) {
	for _, addr := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
		"2606:4700:4700::1111", "2001:4860:4860::8888", "2001:200::1", "2003::1", "2a00:1450::1", "3ffe::1",
		"::ffff:8.8.8.8", "64:ff9b::808:808",
	} {
		if err := (&Env{}).admit(netip.MustParseAddr(addr)); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// What is allowed opens exactly that.
func TestGuardAllows(t *testing.T) {
	env := func(allow string) *Env { return &Env{Allow: []netip.Prefix{netip.MustParsePrefix(allow)}} }
	for _, tt := range []struct {
		allow, addr string
		admitted    bool
	}{
		{"127.0.0.0/8", "127.0.0.1", true},
		{"127.0.0.0/8", "::ffff:127.0.0.1", true},
		{"127.0.0.0/8", "::1", false},
		{"127.0.0.0/8", "64:ff9b::7f00:1", false},
		{"127.0.0.0/8", "2002:7f00:1::1", false},
		{"127.0.0.0/8", "10.0.0.1", false},
		{"127.0.0.1/32", "127.0.0.2", false},
		{"::1/128", "::1", true},
		{"::1/128", "127.0.0.1", false},
		{"fe80::/10", "fe80::1%eth0", true},
		{"64:ff9b::/96", "64:ff9b::a00:1", true},
		{"10.0.0.0/8", "8.8.8.8", true},
	} {
		if err := env(tt.allow).admit(netip.MustParseAddr(tt.addr)); (err == nil) != tt.admitted {
			t.Errorf("allow %s, reach %s: %v", tt.allow, tt.addr, err)
		}
	}
}

// Every range of the table is blocked at both of its ends.
func TestGuardTableEnds(t *testing.T) {
	for _, s := range nonPublic {
		if s.prefix != s.prefix.Masked() {
			t.Errorf("%v has bits beyond its length", s.prefix)
		}
		for _, addr := range []netip.Addr{s.prefix.Addr(), lastOf(s.prefix)} {
			if whyNotPublic(addr) == "" {
				t.Errorf("%v of %v is admitted", addr, s.prefix)
			}
		}
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

func FuzzGuard(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("64:ff9b::7f00:1").AsSlice())
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		blocked := (&Env{}).admit(addr) != nil
		if plain := addr.Unmap(); !blocked && (!plain.IsGlobalUnicast() || plain.IsPrivate()) {
			t.Errorf("%v is admitted", addr)
		}
		if mapped := netip.AddrFrom16(addr.As16()); addr.Is4() && blocked != ((&Env{}).admit(mapped) != nil) {
			t.Errorf("%v and %v are not judged alike", addr, mapped)
		}
	})
}
