package checks

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// zoneSurvey asks all servers of a zone.
type zoneSurvey struct {
	*zoneWalk
	cut      zoneCut
	stations []*station
	left     int      // addresses that were not asked, being too many
	homeless []string // names of servers without an address
}

// station is a name server of the zone at one of its addresses.
type station struct {
	name string
	addr netip.Addr

	ours   finding // why it could not be asked, which is not its fault
	fault  finding // why it does not answer for the zone
	serial uint32
	names  []string // of the zone's name servers, as it has them
	udp    *reply   // the answer to the check's own question
	tcp    *reply   // the same over TCP; nil when that was not asked for
	broken finding  // why there is no answer over TCP
}

// works reports whether the server answers for the zone.
func (s *station) works() bool { return s.ours.status == "" && s.fault.status == "" }

func (s *station) String() string {
	return clip(strings.TrimSuffix(s.name, "."), 80) + " " + s.addr.String()
}

// run asks the servers that the parent names, and then those that only the
// zone names.
func (s *zoneSurvey) run(ctx context.Context) finding {
	asked := map[string]bool{}
	names := s.cut.names
	if s.cut.zone == "." && len(s.cut.names) == 0 {
		return against(DNSDelegation, "the servers of the root that are given neither refer to a zone of %s nor name the root's", s.target)
	}
	for range 2 {
		before := len(s.stations)
		s.gather(ctx, names, asked)
		s.askAll(ctx, s.stations[before:])
		names = s.childNames()
	}
	if len(s.stations) == 0 {
		return against(DNSDelegation, "none of the name servers of %s has an address: %s", s.cut.zone, clip(strings.Join(s.cut.names, ", "), 300))
	}
	return finding{}
}

// gather makes a station of every address of servers that have none yet.
func (s *zoneSurvey) gather(ctx context.Context, names []string, asked map[string]bool) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return asked[name] })
	s.lookUpMissing(ctx, names)
	for _, name := range names {
		asked[name] = true
		addrs := s.addresses(ctx, &s.cut, name, 0)
		if len(addrs) == 0 {
			s.homeless = append(s.homeless, name)
		}
		for _, addr := range addrs {
			switch {
			case !inFamily(addr, s.d.IP):
			case len(s.stations) == s.d.Authoritative.MaxServers:
				s.left++
			default:
				s.stations = append(s.stations, &station{name: name, addr: addr})
			}
		}
	}
}

// lookUpMissing finds the addresses of servers that have no glue, all of them
// in a share of the time, so that a slow resolver leaves enough to ask them.
func (s *zoneSurvey) lookUpMissing(ctx context.Context, names []string) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return s.cut.addrs[name] != nil })
	share, cancel := shareOf(ctx, questionsShare)
	defer cancel()
	found := make([][]netip.Addr, len(names))
	turn := make(chan struct{}, maxAsked)
	var asking sync.WaitGroup
	for i, name := range names {
		asking.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			found[i] = s.lookUpAddresses(share, name, 0)
		})
	}
	asking.Wait()
	for i, name := range names {
		s.cut.learn(name, found[i])
	}
}

// childNames returns the name servers that the zone itself names, at any of
// its servers.
func (s *zoneSurvey) childNames() []string {
	var names []string
	for _, one := range s.stations {
		names = append(names, one.names...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// askAll asks stations, a few at a time. Each has its share of what time is
// left, so that the silent ones leave some to the others.
func (s *zoneSurvey) askAll(ctx context.Context, stations []*station) {
	waves := (len(stations) + maxAsked - 1) / maxAsked
	turn := make(chan struct{}, maxAsked)
	var asking sync.WaitGroup
	for _, one := range stations {
		asking.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			mine, cancel := shareOf(ctx, waves+1)
			defer cancel()
			s.askOne(mine, one)
		})
	}
	asking.Wait()
}

// askOne asks one server for the zone's SOA and NS records and the check's own
// question.
func (s *zoneSurvey) askOne(ctx context.Context, one *station) {
	soa, f := s.about(ctx, one, "SOA")
	if f.status == "" {
		f = lame(soa, s.cut.zone)
	}
	if one.blame(f) {
		return
	}
	one.serial = soaOf(soa).Serial
	if ns, f := s.about(ctx, one, "NS"); f.status == "" {
		one.names = nameServers(ns.Answer, s.cut.zone)
	}
	at := s.at(one.addr)
	if one.udp, f = s.ask(ctx, &s.d.question, transportUDP, at, false); one.blame(f) {
		return
	}
	if s.d.Authoritative.CompareTransports {
		one.tcp, one.broken = s.ask(ctx, &s.d.question, transportTCP, at, false)
	}
}

// blame puts a finding down to the server, or to us when it is our own fault,
// and reports whether there is one.
func (s *station) blame(f finding) bool {
	if f.status == Unknown {
		s.ours = f
	} else {
		s.fault = f
	}
	return f.status != ""
}

// about asks a server for the zone's own records of a type.
func (s *zoneSurvey) about(ctx context.Context, one *station, kind string) (*dns.Msg, finding) {
	q, err := newQuestion(s.cut.zone, kind, "IN", EDNS{Size: ednsSize})
	if err != nil {
		return nil, against(ProberInternal, "%v", err)
	}
	got, f := s.ask(ctx, &q, transportUDP, s.at(one.addr), false)
	return got.msg, f
}

// lame says why an answer to the question for a zone's SOA record does not
// come from one of the zone's servers (RFC 9499, section 7).
func lame(msg *dns.Msg, zone string) finding {
	soa := soaOf(msg)
	switch {
	case msg.Rcode != dns.RcodeSuccess:
		return against(DNSLame, "answers %s for the zone %s", rcodeName(msg.Rcode), zone)
	case !msg.Authoritative && len(msg.Answer) == 0 && len(msg.Ns) > 0:
		return against(DNSLame, "refers elsewhere for the zone %s", zone)
	case !msg.Authoritative:
		return against(DNSLame, "is not an authority for the zone %s", zone)
	case soa == nil || len(msg.Answer) == 0 || !strings.EqualFold(soa.Hdr.Name, zone):
		return against(DNSLame, "has no SOA record for the zone %s", zone)
	}
	return finding{}
}
