package checks

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// ianaNotReachable are the blocks that IANA's special-purpose registries (of
// 2025-10-09) and its registries of multicast and of IPv6 address space do not
// call globally reachable, first and last address of each. It is written down
// apart from the guard's own table, and in another form, so that a slip in one
// is no slip in the other.
var ianaNotReachable = []string{
	"0.0.0.0-0.255.255.255", "10.0.0.0-10.255.255.255", "100.64.0.0-100.127.255.255", "127.0.0.0-127.255.255.255",
	"169.254.0.0-169.254.255.255", "172.16.0.0-172.31.255.255", "192.0.0.0-192.0.0.255", "192.0.2.0-192.0.2.255",
	"192.168.0.0-192.168.255.255", "198.18.0.0-198.19.255.255", "198.51.100.0-198.51.100.255", "203.0.113.0-203.0.113.255",
	"224.0.0.0-239.255.255.255", "240.0.0.0-255.255.255.255",
	"::-::ffff:ffff", "64:ff9b:1::-64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "100::-100::ffff:ffff:ffff:ffff",
	"100:0:0:1::-100:0:0:1:ffff:ffff:ffff:ffff", "2001::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
	"2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"3fff::-3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "5f00::-5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"fec0::-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
}

// strict are blocks that the registries call reachable, or leave open, and that
// the guard blocks all the same: anycast for protocols inside of the blocks
// above, and relays of 6to4, which have been withdrawn.
var strict = []string{"192.88.99.0-192.88.99.255"}

type block struct{ first, last netip.Addr }

func blocksOf(texts []string) []block {
	blocks := make([]block, len(texts))
	for i, text := range texts {
		first, last, _ := strings.Cut(text, "-")
		blocks[i] = block{netip.MustParseAddr(first), netip.MustParseAddr(last)}
	}
	return blocks
}

func (b block) holds(addr netip.Addr) bool {
	return b.first.Is4() == addr.Is4() && b.first.Compare(addr) <= 0 && addr.Compare(b.last) <= 0
}

// reachable is the oracle: what the registries say of an address, followed
// through the two forms in which an IPv6 address stands for an IPv4 one.
func reachable(addr netip.Addr, blocks []block) bool {
	if addr.Is6() {
		b := addr.As16()
		inner := netip.AddrFrom4([4]byte(b[12:]))
		switch fmt.Sprintf("%x", b[:12]) {
		case "00000000000000000000ffff", // ::ffff:0:0/96, mapped
			"0064ff9b0000000000000000": // 64:ff9b::/96, translated
			return reachable(inner, blocks)
		}
		if b[0]>>5 != 1 { // outside of 2000::/3
			return false
		}
	}
	for _, b := range blocks {
		if b.holds(addr) {
			return false
		}
	}
	return true
}

// inside draws an address of a block, its ends more often than the rest.
func (b block) inside(t *rapid.T) netip.Addr {
	first, last := b.first.AsSlice(), b.last.AsSlice()
	drawn := make([]byte, len(first))
	low, high := true, true // still on the block's lower, upper end
	for i := range drawn {
		from, to := byte(0), byte(255)
		if low {
			from = first[i]
		}
		if high {
			to = last[i]
		}
		drawn[i] = byte(rapid.IntRange(int(from), int(to)).Draw(t, "byte"))
		low, high = low && drawn[i] == from, high && drawn[i] == to
	}
	addr, _ := netip.AddrFromSlice(drawn)
	return addr
}

// embed draws a form in which an IPv4 address can stand in an IPv6 one.
func embed(t *rapid.T, addr netip.Addr) netip.Addr {
	four := addr.As4()
	var b [16]byte
	switch rapid.SampledFrom([]string{"mapped", "translated", "compatible", "6to4", "teredo", "local"}).Draw(t, "form") {
	case "mapped":
		b[10], b[11] = 0xff, 0xff
		copy(b[12:], four[:])
	case "translated":
		b[1], b[2], b[3] = 0x64, 0xff, 0x9b
		copy(b[12:], four[:])
	case "compatible":
		copy(b[12:], four[:])
	case "6to4":
		b[0], b[1] = 0x20, 0x02
		copy(b[2:], four[:])
	case "teredo":
		b[0], b[1] = 0x20, 0x01
		for i := range four {
			b[12+i] = ^four[i]
		}
	case "local":
		b[1], b[2], b[3], b[5] = 0x64, 0xff, 0x9b, 1
		copy(b[12:], four[:])
	}
	return netip.AddrFrom16(b)
}

// The guard blocks what the registries say is not reachable and, but for what
// it is strict about, nothing else: however the address is written.
func TestGuardAgreesWithTheRegistries(t *testing.T) {
	blocks := blocksOf(ianaNotReachable)
	for i, b := range blocks {
		t.Run(ianaNotReachable[i], func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				addr := rapid.SampledFrom([]netip.Addr{b.first, b.last, b.first.Prev(), b.last.Next(), b.inside(t)}).Draw(t, "addr")
				if addr.IsValid() {
					agreed(t, addr, blocks)
				}
			})
		})
	}
	t.Run("anywhere", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")
			switch rapid.SampledFrom([]string{"four", "six", "assigned six"}).Draw(t, "kind") {
			case "four":
				b = b[:4]
			case "assigned six":
				b[0] = b[0]&0x1f | 0x20
			}
			addr, _ := netip.AddrFromSlice(b)
			agreed(t, addr, blocks)
		})
	})
}

// agreed holds the guard against the oracle, for addr or a form of it.
func agreed(t *rapid.T, addr netip.Addr, blocks []block) {
	if addr.Is4() && rapid.Bool().Draw(t, "embedded") {
		addr = embed(t, addr)
	}
	if addr.Is6() && rapid.Bool().Draw(t, "zoned") {
		addr = addr.WithZone("eth0")
	}
	plain := addr.WithZone("")
	err := (&Env{}).admit(addr)
	admitted := err == nil
	if admitted && !reachable(plain, blocks) {
		t.Fatalf("%v is admitted, and is not part of the public Internet", addr)
	}
	if !admitted && reachable(plain, append(blocksOf(strict), blocks...)) {
		t.Fatalf("%v is blocked, and is public: %v", addr, err)
	}
	// Read back from any way to write it, it is the same address.
	for _, text := range []string{addr.String(), addr.StringExpanded(), strings.ToUpper(plain.String())} {
		if read, err := netip.ParseAddr(text); err != nil || ((&Env{}).admit(read) == nil) != admitted {
			t.Fatalf("%s is not judged as %v is (%v)", text, addr, err)
		}
	}
	// To allow a range opens addresses in it, and no other.
	around := rapid.SampledFrom(blocks).Draw(t, "allowed").first
	prefix := netip.PrefixFrom(around, rapid.IntRange(1, around.BitLen()).Draw(t, "bits")).Masked()
	opened := (&Env{Allow: []netip.Prefix{prefix}}).admit(addr) == nil
	if want := admitted || prefix.Contains(plain.Unmap()); opened != want {
		t.Fatalf("%v with %v allowed: admitted is %v", addr, prefix, opened)
	}
}
