package checks

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Bounds of one walk. What a hostile zone can make of it ends there.
const (
	maxQuestions   = 400 // of one run
	maxZones       = 32  // from the root down to a zone
	maxParents     = 6   // servers of a zone above that are tried
	maxZoneNames   = 32  // name servers of a zone that are looked at
	maxResolving   = 3   // walks within walks, for names of servers without glue
	questionsShare = 4   // a silent server takes this part of the time that is left
)

// zoneWalk is one run's way to the servers of a zone.
type zoneWalk struct {
	d      *DNS
	env    *Env
	target string // the name asked about, in lower case with its last dot
	asked  atomic.Int32
}

// zoneCut is where a zone begins: its name servers as its parent has them.
type zoneCut struct {
	zone  string
	names []string // of its name servers, in lower case, sorted
	addrs map[string][]netip.Addr
	// known are servers of the zone whose addresses need no looking up: those of
	// the root that are given, or one that has answered for the zone already.
	known []netip.AddrPort
	// delegated is whether the parent's NS records were seen. They are not when
	// one server has the parent and the zone, and speaks for the latter.
	delegated bool
}

// questions returns how many were asked.
func (w *zoneWalk) questions() int { return min(int(w.asked.Load()), maxQuestions) }

// find returns the cut of the zone that the target belongs to.
func (w *zoneWalk) find(ctx context.Context) (zoneCut, finding) {
	if roots := addressesAndPorts(w.d.Authoritative.Roots); len(roots) > 0 {
		return w.descend(ctx, zoneCut{zone: ".", known: roots}, w.target, 0)
	}
	for above := w.target; above != "."; {
		start, f := w.start(ctx, parentOf(above))
		if f.status != "" {
			return start, f
		}
		cut, f := w.descend(ctx, start, w.target, 0)
		if f.status != "" || cut.zone != start.zone || start.zone == "." {
			return cut, f
		}
		above = start.zone // the target's own: its parent is further up
	}
	return w.start(ctx, ".")
}

func parentOf(name string) string {
	if i, end := dns.NextLabel(name, 0); !end {
		return name[i:]
	}
	return "."
}

// start returns the deepest zone at or above a name that a resolver knows the
// servers of. A zone whose servers are all dead is passed over that way, even
// when the resolver takes too long to say so.
func (w *zoneWalk) start(ctx context.Context, name string) (zoneCut, finding) {
	for {
		msg, f := w.resolver(ctx, name, dns.TypeNS)
		if f.reason == ProberBlocked {
			return zoneCut{}, f
		}
		if f.status == "" {
			if names := nameServers(msg.Answer, name); len(names) > 0 {
				return zoneCut{zone: name, names: names}, finding{}
			}
		}
		if name == "." {
			if f.status == "" {
				f = against(DNSNoAnswer, "the resolver knows no name servers, not even of the root")
			}
			return zoneCut{}, f
		}
		name = parentOf(name)
	}
}

// descend follows referrals from a zone down to the one that the target
// belongs to.
func (w *zoneWalk) descend(ctx context.Context, at zoneCut, target string, depth int) (zoneCut, finding) {
	for range maxZones {
		next, f := w.below(ctx, &at, target, depth)
		if next.zone == "" && f.status == Down && len(at.names) > 0 {
			return at, finding{} // its servers are asked again, one by one
		}
		if f.status != "" || next.zone == "" {
			return at, f
		}
		at = next
	}
	return at, against(DNSLoop, "delegations lead through more than %d zones", maxZones)
}

// below returns the cut that the servers of at refer to for the target; one
// without a zone when at is the target's own, or with a finding when none of
// its servers says anything.
func (w *zoneWalk) below(ctx context.Context, at *zoneCut, target string, depth int) (zoneCut, finding) {
	q, err := newQuestion(target, "NS", "IN", EDNS{Size: ednsSize})
	if err != nil {
		return zoneCut{}, against(ProberInternal, "%v", err)
	}
	servers := w.stationsOf(ctx, at, depth)
	f, heard := against(DNSDelegation, "none of the name servers of %s has an address", at.zone), false
	for _, server := range servers[:min(len(servers), maxParents)] {
		msg, failed := w.patiently(ctx, &q, server)
		if failed.status != "" {
			if failed.status == Down || !heard {
				f = failed // what a server did says more than that we could not ask one
			}
			heard = heard || failed.status == Down
			continue
		}
		if cut := referral(msg, at.zone, target); cut.zone != "" {
			return cut, finding{}
		}
		if !msg.Authoritative {
			f, heard = against(DNSLame, "%v does not answer for the zone %s: %s", server, at.zone, rcodeName(msg.Rcode)), true
			continue
		}
		if apex := apexOf(msg); isBelow(apex, at.zone) && dns.IsSubDomain(apex, target) {
			return w.together(ctx, apex, server)
		}
		return zoneCut{}, finding{}
	}
	return zoneCut{}, f
}

// together returns the cut of a zone that one server has beside its parent.
func (w *zoneWalk) together(ctx context.Context, apex string, server netip.AddrPort) (zoneCut, finding) {
	q, err := newQuestion(apex, "NS", "IN", EDNS{Size: ednsSize})
	if err != nil {
		return zoneCut{}, against(ProberInternal, "%v", err)
	}
	msg, f := w.patiently(ctx, &q, server)
	if f.status != "" {
		return zoneCut{}, f
	}
	cut := zoneCut{zone: apex, names: nameServers(msg.Answer, apex), addrs: glue(msg), known: []netip.AddrPort{server}}
	if len(cut.names) == 0 {
		return zoneCut{}, finding{}
	}
	return cut, finding{}
}

// referral reads a delegation of a zone between at, itself left out, and the
// target.
func referral(msg *dns.Msg, at, target string) zoneCut {
	if msg.Rcode != dns.RcodeSuccess || msg.Authoritative && len(msg.Answer) > 0 {
		return zoneCut{}
	}
	for _, rr := range msg.Ns {
		zone := strings.ToLower(rr.Header().Name)
		if rr.Header().Rrtype == dns.TypeNS && isBelow(zone, at) && dns.IsSubDomain(zone, target) {
			return zoneCut{zone: zone, names: nameServers(msg.Ns, zone), addrs: glue(msg), delegated: true}
		}
	}
	return zoneCut{}
}

func isBelow(name, zone string) bool {
	return name != "" && name != zone && dns.IsSubDomain(zone, name)
}

// apexOf returns the name of the zone that an authoritative answer to a
// question for NS records speaks for, or nothing when it does not say.
func apexOf(msg *dns.Msg) string {
	for _, rr := range slices.Concat(msg.Answer, msg.Ns) {
		if kind := rr.Header().Rrtype; kind == dns.TypeNS || kind == dns.TypeSOA {
			return strings.ToLower(rr.Header().Name)
		}
	}
	return ""
}

// nameServers returns the names in a zone's NS records, in lower case and
// sorted.
func nameServers(records []dns.RR, zone string) []string {
	var names []string
	for _, rr := range records {
		if ns, ok := rr.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, zone) {
			names = append(names, strings.ToLower(ns.Ns))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxZoneNames)]
}

// glue returns the addresses in a message's additional section by name.
func glue(msg *dns.Msg) map[string][]netip.Addr {
	addrs := map[string][]netip.Addr{}
	for _, rr := range msg.Extra {
		if addr, ok := addressIn(rr); ok {
			name := strings.ToLower(rr.Header().Name)
			addrs[name] = append(addrs[name], addr)
		}
	}
	return addrs
}

func addressIn(rr dns.RR) (netip.Addr, bool) {
	var addr netip.Addr
	var ok bool
	switch rr := rr.(type) {
	case *dns.A:
		addr, ok = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		addr, ok = netip.AddrFromSlice(rr.AAAA)
	}
	return addr.Unmap(), ok
}

// stationsOf returns where the servers of a zone above are asked.
func (w *zoneWalk) stationsOf(ctx context.Context, at *zoneCut, depth int) []netip.AddrPort {
	if len(at.known) > 0 {
		return at.known
	}
	var servers []netip.AddrPort
	for _, name := range at.names {
		for _, addr := range w.addresses(ctx, at, name, depth) {
			servers = append(servers, w.at(addr))
		}
		if len(servers) >= maxParents {
			break
		}
	}
	return servers
}

func (w *zoneWalk) at(addr netip.Addr) netip.AddrPort {
	return netip.AddrPortFrom(addr, uint16(w.d.Authoritative.Port))
}

// addresses returns those of a name server: from the parent's glue, or else
// looked up.
func (w *zoneWalk) addresses(ctx context.Context, cut *zoneCut, name string, depth int) []netip.Addr {
	if known, ok := cut.addrs[name]; ok {
		return known
	}
	found := w.lookUpAddresses(ctx, name, depth)
	cut.learn(name, found)
	return found
}

// learn keeps the addresses of a name server.
func (c *zoneCut) learn(name string, addrs []netip.Addr) {
	if c.addrs == nil {
		c.addrs = map[string][]netip.Addr{}
	}
	c.addrs[name] = addrs
}

func (w *zoneWalk) lookUpAddresses(ctx context.Context, name string, depth int) []netip.Addr {
	var found []netip.Addr
	for _, kind := range [...]uint16{dns.TypeA, dns.TypeAAAA} {
		if ctx.Err() != nil || w.asked.Load() >= maxQuestions {
			break // what a hostile zone would have us look up has no end
		}
		msg, f := w.lookUp(ctx, name, kind, depth)
		if f.status != "" {
			continue
		}
		c := followAliases(msg, kind)
		for _, rr := range c.records {
			if addr, ok := addressIn(rr); ok && len(found) < maxAddresses {
				found = append(found, addr)
			}
		}
	}
	return found
}

// lookUp finds a record of any zone: through a resolver, or by another walk
// from the root where that is where this one began.
func (w *zoneWalk) lookUp(ctx context.Context, name string, kind uint16, depth int) (*dns.Msg, finding) {
	roots := addressesAndPorts(w.d.Authoritative.Roots)
	if len(roots) == 0 {
		return w.resolver(ctx, name, kind)
	}
	if depth == maxResolving {
		return nil, against(DNSLoop, "the name servers' names lead through more than %d zones", maxResolving)
	}
	cut, f := w.descend(ctx, zoneCut{zone: ".", known: roots}, name, depth+1)
	if f.status != "" {
		return nil, f
	}
	q, err := newQuestion(name, dns.Type(kind).String(), "IN", EDNS{Size: ednsSize})
	if err != nil {
		return nil, against(DNSMalformed, "%v", err)
	}
	f = against(DNSUnreachable, "no server of %s could be asked", cut.zone)
	for _, server := range w.stationsOf(ctx, &cut, depth+1) {
		var msg *dns.Msg
		if msg, f = w.patiently(ctx, &q, server); f.status == "" {
			return msg, f
		}
	}
	return nil, f
}

// resolver asks the resolvers in turn.
func (w *zoneWalk) resolver(ctx context.Context, name string, kind uint16) (*dns.Msg, finding) {
	q, err := newQuestion(name, dns.Type(kind).String(), "IN", EDNS{Size: ednsSize})
	if err != nil {
		return nil, against(DNSMalformed, "%v", err)
	}
	q.flags(true, false)
	resolvers := addressesAndPorts(w.d.Authoritative.From)
	if len(resolvers) == 0 {
		if resolvers, err = w.env.systemServers(53, familyAny); err != nil {
			return nil, against(ProberNetwork, "reading this machine's name servers: %v", err)
		}
	}
	var f finding
	for i, server := range resolvers {
		share, cancel := shareOf(ctx, max(questionsShare-i, 2))
		var got *reply
		// The system's resolvers were chosen by the machine's owner.
		got, f = w.ask(share, &q, transportUDP, server, len(w.d.Authoritative.From) == 0)
		cancel()
		if f.status == "" {
			return got.msg, rcodeFinding(got.msg.Rcode)
		}
	}
	if f.reason == DNSTimeout || f.reason == DNSUnreachable {
		f = against(ProberNetwork, "the resolver that knows the zone's parent does not answer: %s", f.detail)
	}
	return nil, f
}

// rcodeFinding says that a resolver could not tell.
func rcodeFinding(rcode int) finding {
	if rcode == dns.RcodeSuccess {
		return finding{}
	}
	return against(DNSRcode, "the answer's code is %s", rcodeName(rcode))
}

// patiently asks one server with a share of the time that is left.
func (w *zoneWalk) patiently(ctx context.Context, q *question, server netip.AddrPort) (*dns.Msg, finding) {
	share, cancel := shareOf(ctx, questionsShare)
	defer cancel()
	got, f := w.ask(share, q, transportUDP, server, false)
	if f.status != "" {
		return nil, f
	}
	return got.msg, f
}

// ask sends one question of the run's. A server's address must be admitted
// unless it is the machine's own resolver.
func (w *zoneWalk) ask(ctx context.Context, q *question, transport string, server netip.AddrPort, own bool) (*reply, finding) {
	if !own {
		if _, err := w.env.admitAll([]netip.Addr{server.Addr()}); err != nil {
			return &reply{}, classify(stageDNS, err)
		}
	}
	if w.asked.Add(1) > maxQuestions {
		return &reply{}, against(DNSDelegation, "the way to the zone takes more than %d questions", maxQuestions)
	}
	watch := stopwatch{start: time.Now(), last: time.Now(), phases: Phases{}}
	return w.d.ask(ctx, w.env, q, transport, nameServer{at: server}, &watch)
}
