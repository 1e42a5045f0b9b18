package checks

import (
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

// single is what the probe of one address found.
type single struct {
	addr netip.Addr
	Outcome
}

// probeEach probes every address that host has at once, each by itself, and
// puts together what they say. The whole is as good as the worst address, with
// two exceptions: addresses of which only some are down make the check
// degraded, connect.partial, or down where allMustWork; and those that say
// nothing about the target, such as IPv6 from a machine without it, are left
// out unless all are like that. compare, when not nil, may find something in
// how the addresses differ when none of them is down; that then counts more
// than what makes a single one degraded.
func (e *Env) probeEach(ctx context.Context, host string, allMustWork bool, probe func(context.Context, netip.Addr) Outcome, compare func([]single) finding) Outcome {
	watch := startWatch()
	addrs, asked, err := e.locate(ctx, familyEach, host)
	if asked {
		watch.mark(phaseDNS)
	}
	if err != nil {
		return watch.outcome(classify(stageDNS, err), nil)
	}
	found := make([]single, len(addrs))
	var probes sync.WaitGroup
	for i, addr := range addrs { // maxAddresses at most
		probes.Go(func() { found[i] = single{addr, guarded(ctx, addr, probe)} })
	}
	probes.Wait()
	whole := together(found, allMustWork)
	if (whole.Status == Up || whole.Status == Degraded && whole.Reason != ConnectPartial) && compare != nil {
		if f := compare(found); f.status != "" {
			whole.Status, whole.Reason, whole.Detail = f.status, f.reason, f.detail
		}
	}
	if whole.Phases == nil {
		whole.Phases = Phases{}
	}
	if asked {
		whole.Phases[phaseDNS] += watch.phases[phaseDNS]
		whole.Took += watch.took()
	}
	return whole
}

// guarded probes one address; a panic is our own fault.
func guarded(ctx context.Context, addr netip.Addr, probe func(context.Context, netip.Addr) Outcome) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = Outcome{Status: Unknown, Reason: ProberInternal, Detail: fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return probe(ctx, addr)
}

// together is the outcome of all the addresses: that of the slowest of the
// worst, its facts extended by a line for each address.
func together(found []single, allMustWork bool) Outcome {
	rank := map[Status]int{Unknown: 0, Up: 1, Degraded: 2, Down: 3}
	worst := slices.MaxFunc(found, func(a, b single) int {
		if by := rank[a.Status] - rank[b.Status]; by != 0 {
			return by
		}
		return int(a.Took - b.Took)
	})
	var bad, lines []string
	silent := 0
	for _, one := range found {
		line := fmt.Sprintf("%v: %s", one.addr, one.Status)
		if one.Reason != "" {
			line += " " + string(one.Reason)
		}
		lines = append(lines, line)
		switch one.Status {
		case Down:
			bad = append(bad, fmt.Sprintf("%v (%s)", one.addr, one.Reason))
		case Unknown:
			silent++
		}
	}
	whole := worst.Outcome
	if len(bad) > 0 && len(bad) < len(found)-silent {
		whole.Status, whole.Reason = Degraded, ConnectPartial
		if allMustWork {
			whole.Status = Down
		}
		whole.Detail = fmt.Sprintf("%d of %d addresses do not work: %s; %s", len(bad), len(found), strings.Join(bad, ", "), worst.Detail)
	}
	if whole.Facts == nil {
		whole.Facts = Facts{}
	}
	whole.Facts["addresses"] = lines
	return whole
}
