package checks

import (
	"fmt"
	"net/netip"
)

// special is a range of addresses that is not part of the public Internet.
type special struct {
	prefix netip.Prefix
	name   string
}

// nonPublic is every range that a probe does not reach unless the prober's
// owner allows it; of two that hold an address, the earlier names it.
//
// Sources: IANA's "IPv4 Special-Purpose Address Registry", "IPv6
// Special-Purpose Address Registry", "IPv4 Multicast Address Space Registry"
// and "Internet Protocol Version 6 Address Space", as of 2025; whatever they do
// not call globally reachable is here. The few assignments inside 192.0.0.0/24
// and 2001::/23 that they do (anycast for PCP, TURN, AS112, …) stay blocked:
// nobody's website lives there.
var nonPublic = []special{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network, RFC 791"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private use, RFC 1918"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by carriers for NAT, RFC 6598"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback, RFC 1122"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local, RFC 3927"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private use, RFC 1918"},
	{netip.MustParsePrefix("192.0.0.0/24"), "IETF protocol assignments, RFC 6890"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation, RFC 5737"},
	{netip.MustParsePrefix("192.88.99.0/24"), "former 6to4 relays, RFC 7526"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private use, RFC 1918"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking, RFC 2544"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation, RFC 5737"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation, RFC 5737"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast, RFC 5771"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast, RFC 919"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved, RFC 1112"},

	{netip.MustParsePrefix("::/128"), "unspecified, RFC 4291"},
	{netip.MustParsePrefix("::1/128"), "loopback, RFC 4291"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local translation to IPv4, RFC 8215"},
	{netip.MustParsePrefix("100::/64"), "discard, RFC 6666"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "dummy prefix, RFC 9780"},
	{netip.MustParsePrefix("2001::/32"), "Teredo, RFC 4380"},
	{netip.MustParsePrefix("2001:2::/48"), "benchmarking, RFC 5180"},
	{netip.MustParsePrefix("2001::/23"), "IETF protocol assignments, RFC 2928"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation, RFC 3849"},
	{netip.MustParsePrefix("2002::/16"), "6to4, RFC 3056"},
	{netip.MustParsePrefix("3fff::/20"), "documentation, RFC 9637"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing, RFC 9602"},
	{netip.MustParsePrefix("fc00::/7"), "unique local, RFC 4193"},
	{netip.MustParsePrefix("fe80::/10"), "link-local, RFC 4291"},
	{netip.MustParsePrefix("fec0::/10"), "site-local, RFC 3879"},
	{netip.MustParsePrefix("ff00::/8"), "multicast, RFC 4291"},
	// Only 2000::/3 is assigned to the public so far.
	{netip.MustParsePrefix("::/3"), "reserved by the IETF, RFC 4291"},
	{netip.MustParsePrefix("4000::/2"), "reserved by the IETF, RFC 4291"},
	{netip.MustParsePrefix("8000::/1"), "reserved by the IETF, RFC 4291"},
}

// nat64 holds the whole IPv4 Internet as seen through a translator (RFC 6052):
// networks without IPv4 resolve names into it, so an address in it is as
// public as the IPv4 address that it ends in.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// blockedError says that the prober's owner has not allowed an address.
type blockedError struct {
	addr netip.Addr
	why  string
}

func (e *blockedError) Error() string {
	return fmt.Sprintf("this prober may not reach %v (%s); its owner can allow that", e.addr, e.why)
}

// admit returns nil when probes may reach addr, else a *blockedError. An
// allowed range admits exactly the addresses in it: allowing 10.0.0.0/8 opens
// neither an IPv6 address that embeds one of them nor another loopback.
func (e *Env) admit(addr netip.Addr) error {
	plain := addr.Unmap().WithZone("") // a prefix matches no address with a zone
	for _, allowed := range e.Allow {
		if allowed.Contains(plain) {
			return nil
		}
	}
	if why := whyNotPublic(plain); why != "" {
		return &blockedError{addr, why}
	}
	return nil
}

// whyNotPublic names what addr is for when it is not part of the public
// Internet, and is empty when it is.
func whyNotPublic(addr netip.Addr) string {
	if !addr.IsValid() {
		return "not an address"
	}
	if nat64.Contains(addr) {
		inner := embedded(addr, 12)
		if why := whyNotPublic(inner); why != "" {
			return fmt.Sprintf("translated to %v: %s", inner, why)
		}
		return ""
	}
	for _, s := range nonPublic {
		if s.prefix.Contains(addr) {
			return s.name + tunnelled(addr)
		}
	}
	return ""
}

// embedded returns the IPv4 address in the four bytes of addr from offset.
func embedded(addr netip.Addr, offset int) netip.Addr {
	b := addr.As16()
	return netip.AddrFrom4([4]byte(b[offset : offset+4]))
}

// tunnelled says which IPv4 address a tunnel's address stands for. The tunnels
// themselves are blocked whatever is inside: no public service is reached
// through them, and a relay nearby would lead into the prober's network.
func tunnelled(addr netip.Addr) string {
	if !addr.Is6() {
		return ""
	}
	b := addr.As16()
	switch {
	case b[0] == 0x20 && b[1] == 0x02: // 6to4: 2002:AABB:CCDD::/48
		return fmt.Sprintf("; it leads to %v", embedded(addr, 2))
	case b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0: // Teredo: the last four bytes, inverted
		return fmt.Sprintf("; it leads to %v", netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}))
	}
	return ""
}
