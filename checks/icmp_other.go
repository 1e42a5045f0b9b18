//go:build !linux

package checks

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
)

// pinger opens a raw socket for echo requests to addr.
func (e *Env) pinger(ctx context.Context, addr netip.Addr) (pinger, error) {
	network := "ip4:icmp"
	if addr.Is6() {
		network = "ip6:ipv6-icmp"
	}
	var dialer net.Dialer
	if e.SourceIP.IsValid() {
		dialer.LocalAddr = &net.IPAddr{IP: e.SourceIP.Unmap().AsSlice()}
	}
	raw, err := dialer.DialContext(ctx, network, addr.String())
	switch {
	case errors.Is(err, os.ErrPermission):
		return pinger{}, noPrivilege(err)
	case err != nil:
		return pinger{}, e.blame(err, netip.AddrPortFrom(addr, 1))
	}
	return pinger{Conn: raw, packets: raw.(net.PacketConn), to: addr, raw: true, id: 1 + rand.IntN(1<<16-1)}, nil
}
