package checks

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"nines/checks/throttle"
)

// asciiHost returns the form of a host's name that goes over the wire.
// Addresses and plain names come back as they are.
func asciiHost(host string) (string, error) {
	for i := range len(host) {
		if host[i] >= 0x80 {
			return idna.Lookup.ToASCII(host)
		}
	}
	return host, nil
}

// resolve returns the addresses of host, which is an address or a name, for
// family any, 4 or 6. Names are asked of the machine's own name servers and
// /etc/hosts, by Go's resolver, so that a run's end also ends the question.
func (e *Env) resolve(ctx context.Context, family, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if !inFamily(addr.Unmap(), family) {
			return nil, &resolveError{reason: DNSNoAnswer, host: host, err: errFamily}
		}
		return []netip.Addr{addr.Unmap()}, nil
	}
	network := "ip"
	if family == family4 || family == family6 {
		network = "ip" + family
	}
	name := host
	if strings.EqualFold(name, "localhost.") {
		name = "localhost" // as /etc/hosts has it
	} else if strings.Contains(name, ".") && !strings.HasSuffix(name, ".") {
		name += "." // a complete name: the machine's search list must not add to it
	}
	var seen lastRcode
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, server string) (net.Conn, error) {
		if e.nameServer != "" {
			server = e.nameServer
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, server)
		if udp, ok := conn.(*net.UDPConn); ok {
			return &rcodeConn{udp, &seen, e.link}, err
		}
		if e.link != nil && err == nil {
			conn = e.link.Conn(conn)
		}
		return conn, err
	}}
	addrs, err := resolver.LookupNetIP(ctx, network, name)
	if err != nil {
		return nil, &resolveError{reason: resolveReason(ctx, err, int(seen.Load())), host: host, err: err}
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

var errFamily = errors.New("the address is of the other family")

const (
	familyAny = "any"
	family4   = "4"
	family6   = "6"
	// familyEach is any, with every address probed by itself.
	familyEach = "each"
)

func inFamily(addr netip.Addr, family string) bool {
	switch family {
	case family4:
		return addr.Is4()
	case family6:
		return addr.Is6()
	}
	return true
}

// lastRcode is the worst code that a name server answered during one lookup,
// plus one; zero when none answered. Go's resolver reports several codes by
// one error, and "no such name" and "no such record" by another.
type lastRcode struct{ atomic.Int32 }

func (l *lastRcode) note(rcode int) {
	for code := int32(rcode) + 1; ; {
		old := l.Load()
		if old >= code || l.CompareAndSwap(old, code) {
			return
		}
	}
}

// rcodeConn notes the code of each answer that passes. It stays a PacketConn,
// by which the resolver knows UDP.
type rcodeConn struct {
	*net.UDPConn
	seen *lastRcode
	link *throttle.Link // whose rates are paid; nil: none
}

func (c *rcodeConn) Write(p []byte) (int, error) {
	if c.link != nil {
		c.link.Datagram(len(p), true)
	}
	return c.UDPConn.Write(p)
}

func (c *rcodeConn) Read(p []byte) (int, error) {
	n, err := c.UDPConn.Read(p)
	if c.link != nil && n > 0 {
		c.link.Datagram(n, false)
	}
	if n >= 12 && p[2]&0x80 != 0 {
		c.seen.note(int(p[3] & 0x0f))
	}
	return n, err
}

// resolveReason says what a failed lookup means. seen is lastRcode's value. A
// lookup for which no name server could even be reached is our own fault; one
// that nobody answered in time is the target's, as far as can be told here: a
// dead zone looks the same through any resolver.
func resolveReason(ctx context.Context, err error, seen int) Reason {
	switch seen - 1 {
	case dns.RcodeNameError:
		return DNSNXDomain
	case dns.RcodeServerFailure:
		return DNSServfail
	case dns.RcodeRefused:
		return DNSRefused
	}
	failed, isDNS := errors.AsType[*net.DNSError](err)
	_, otherFamily := errors.AsType[*net.AddrError](err)
	switch {
	case otherFamily:
		return DNSNoAnswer // /etc/hosts has the name, but no such address
	case ctx.Err() != nil || isDNS && failed.IsTimeout:
		return DNSTimeout
	case isDNS && failed.IsNotFound && seen == 0:
		return DNSNXDomain // no question was asked: the name is not one, or is reserved
	case isDNS && failed.IsNotFound:
		return DNSNoAnswer
	case isDNS && failed.IsTemporary && seen == 0:
		return ProberNetwork
	case seen > 1:
		return DNSRcode
	case seen == 1:
		return DNSMalformed
	}
	return ProberNetwork
}
