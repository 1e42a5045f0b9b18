package checks

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// pinger opens a socket for echo requests to addr: one that every user may have
// where net.ipv4.ping_group_range says so (icmp(7)), else a raw one.
func (e *Env) pinger(ctx context.Context, addr netip.Addr) (pinger, error) {
	conn, err := e.pingSocket(addr)
	if err == nil {
		return pinger{Conn: conn, packets: conn.(net.PacketConn), to: addr}, nil
	}
	if !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EPROTONOSUPPORT) {
		return pinger{}, e.blame(err, netip.AddrPortFrom(addr, 1))
	}
	network := "ip4:icmp"
	if addr.Is6() {
		network = "ip6:ipv6-icmp"
	}
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { hearErrors(int(fd), addr) })
	}}
	if e.SourceIP.IsValid() {
		dialer.LocalAddr = &net.IPAddr{IP: e.SourceIP.Unmap().AsSlice()}
	}
	raw, err := dialer.DialContext(ctx, network, addr.String())
	switch {
	case errors.Is(err, syscall.EPERM):
		return pinger{}, noPrivilege(err)
	case err != nil:
		return pinger{}, e.blame(err, netip.AddrPortFrom(addr, 1))
	}
	return pinger{Conn: raw, packets: raw.(net.PacketConn), to: addr, raw: true, id: 1 + rand.IntN(1<<16-1)}, nil
}

// pingSocket opens a datagram socket for ICMP, whose id is the kernel's.
func (e *Env) pingSocket(addr netip.Addr) (net.Conn, error) {
	family, protocol := syscall.AF_INET, syscall.IPPROTO_ICMP
	if addr.Is6() {
		family, protocol = syscall.AF_INET6, syscall.IPPROTO_ICMPV6
	}
	fd, err := syscall.Socket(family, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "ping")
	defer file.Close()
	hearErrors(fd, addr)
	if e.SourceIP.IsValid() {
		if err := syscall.Bind(fd, sockaddr(e.SourceIP.Unmap())); err != nil {
			return nil, os.NewSyscallError("bind", err)
		}
	}
	if err := syscall.Connect(fd, sockaddr(addr)); err != nil {
		return nil, os.NewSyscallError("connect", err)
	}
	return net.FileConn(file)
}

// hearErrors has the kernel report what routers say, such as that there is no
// such host (IP_RECVERR, ip(7)). Without it such a host is merely silent.
func hearErrors(fd int, addr netip.Addr) {
	if addr.Is6() {
		syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR, 1)
	} else {
		syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
	}
}

func sockaddr(addr netip.Addr) syscall.Sockaddr {
	if addr.Is4() {
		return &syscall.SockaddrInet4{Addr: addr.As4()}
	}
	to := &syscall.SockaddrInet6{Addr: addr.As16()}
	if link, err := net.InterfaceByName(addr.Zone()); err == nil {
		to.ZoneId = uint32(link.Index)
	}
	return to
}
