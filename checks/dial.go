package checks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// fallbackDelay is how long an address is tried alone before the next one is
// tried beside it (RFC 8305, section 8, recommends 250 ms).
const fallbackDelay = 250 * time.Millisecond

// maxAddresses is how many of a name's addresses are tried.
const maxAddresses = 8

// admitAll checks every address before a packet goes to any of them, and
// returns those to try in order. One that is blocked blocks the run: a name
// that leads into a private network for some of its users is nobody's to probe.
func (e *Env) admitAll(addrs []netip.Addr) ([]netip.Addr, error) {
	for _, addr := range addrs {
		if err := e.admit(addr); err != nil {
			return nil, err
		}
	}
	if e.SourceIP.IsValid() {
		source := e.SourceIP.Unmap()
		reachable := addrs[:0:0]
		for _, addr := range addrs {
			if addr.Is4() == source.Is4() {
				reachable = append(reachable, addr)
			}
		}
		if len(reachable) == 0 {
			return nil, &localError{ProberNetwork, fmt.Errorf("probes leave from %v, which no address of the target can be reached from", source)}
		}
		addrs = reachable
	}
	return alternate(addrs)[:min(len(addrs), maxAddresses)], nil
}

// alternate orders addresses so that the families take turns, beginning with
// the one that the resolver put first (RFC 8305, section 4).
func alternate(addrs []netip.Addr) []netip.Addr {
	if len(addrs) < 3 {
		return addrs
	}
	var first, second []netip.Addr
	for _, addr := range addrs {
		if addr.Is4() == addrs[0].Is4() {
			first = append(first, addr)
		} else {
			second = append(second, addr)
		}
	}
	ordered := make([]netip.Addr, 0, len(addrs))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			ordered = append(ordered, first[i])
		}
		if i < len(second) {
			ordered = append(ordered, second[i])
		}
	}
	return ordered
}

// connect opens a TCP connection to the first of the addresses that answers.
// The addresses have been admitted.
func (e *Env) connect(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, error) {
	if len(addrs) == 1 {
		return e.connectOne(ctx, addrs[0], port)
	}
	return race(ctx, addrs, func(ctx context.Context, addr netip.Addr) (net.Conn, error) {
		return e.connectOne(ctx, addr, port)
	}, func(conn net.Conn) { conn.Close() })
}

// race opens a connection to the first of the addresses that answers, each
// tried beside the others a moment after the one before it. Those that come too
// late are dropped.
func race[T any](ctx context.Context, addrs []netip.Addr, open func(context.Context, netip.Addr) (T, error), drop func(T)) (T, error) {
	if len(addrs) == 1 {
		return open(ctx, addrs[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type attempt struct {
		conn T
		err  error
	}
	attempts := make(chan attempt)
	var none T
	var firstErr error
	for next, pending := 0, 0; ; {
		if next < len(addrs) {
			addr := addrs[next]
			next, pending = next+1, pending+1
			go func() {
				conn, err := open(ctx, addr)
				select {
				case attempts <- attempt{conn, err}:
				case <-ctx.Done(): // another was faster, or the run has ended
					if err == nil {
						drop(conn)
					}
				}
			}()
		}
		var fallback <-chan time.Time
		if next < len(addrs) {
			fallback = time.After(fallbackDelay)
		}
		select {
		case <-fallback:
		case a := <-attempts:
			if a.err == nil {
				return a.conn, nil
			}
			if firstErr == nil || isLocal(firstErr) {
				firstErr = a.err // what a target did says more than that we lack a route
			}
			if pending--; pending == 0 && next == len(addrs) {
				return none, firstErr
			}
		case <-ctx.Done():
			return none, fmt.Errorf("connecting to %v and %d more: %w", addrs[0], len(addrs)-1, ctx.Err())
		}
	}
}

func (e *Env) connectOne(ctx context.Context, addr netip.Addr, port uint16) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1} // runs are too short for keep-alive probes
	remote := netip.AddrPortFrom(addr, port)
	conn, err := dialer.DialTCP(ctx, "tcp", e.source(), remote)
	if err != nil {
		return nil, e.blame(err, remote)
	}
	return conn, nil
}

func remoteIP(conn net.Conn) netip.Addr {
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return remote.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// datagrams opens a UDP socket that hears addr alone.
func (e *Env) datagrams(ctx context.Context, addr netip.Addr, port uint16) (net.Conn, error) {
	var dialer net.Dialer
	remote := netip.AddrPortFrom(addr, port)
	conn, err := dialer.DialUDP(ctx, "udp", e.source(), remote)
	if err != nil {
		return nil, e.blame(err, remote)
	}
	return conn, nil
}

func (e *Env) source() netip.AddrPort {
	if !e.SourceIP.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(e.SourceIP.Unmap(), 0)
}

// localError is a fault of this machine: it says nothing about the target.
type localError struct {
	reason Reason
	err    error
}

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

func isLocal(err error) bool {
	_, local := errors.AsType[*localError](err)
	return local
}

// blame makes err a *localError when this machine is why remote was not
// reached. "Network is unreachable" can come from a router far away as well as
// from a machine without a route; a UDP socket, which sends nothing when it is
// connected, tells which it is.
func (e *Env) blame(err error, remote netip.AddrPort) error {
	errno, _ := errors.AsType[syscall.Errno](err)
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		return &localError{ProberOverloaded, err}
	case syscall.EADDRNOTAVAIL, syscall.EACCES, syscall.EPERM, syscall.ENETDOWN, syscall.EAFNOSUPPORT:
		return &localError{ProberNetwork, err}
	case syscall.ENETUNREACH:
		if !e.hasRoute(remote) {
			return &localError{ProberNetwork, err}
		}
	}
	return err
}

func (e *Env) hasRoute(remote netip.AddrPort) bool {
	var dialer net.Dialer
	conn, err := dialer.DialUDP(context.Background(), "udp", e.source(), remote)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// locate returns the addresses of host that may be tried, in order, and
// whether a name server had to be asked. All of them have been admitted.
func (e *Env) locate(ctx context.Context, family, host string) (addrs []netip.Addr, asked bool, err error) {
	_, notAddress := netip.ParseAddr(host)
	addrs, err = e.resolve(ctx, family, host)
	if err == nil {
		addrs, err = e.admitAll(addrs)
	}
	return addrs, notAddress != nil, err
}
