package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxFindings is how many findings a result lists.
const maxFindings = 16

// zoneFindings collects what is wrong with a zone's servers.
type zoneFindings struct {
	list []finding
}

// add takes a finding with the weight that the check gives to its kind.
func (z *zoneFindings) add(severity string, f finding) {
	if severity == severityIgnore || f.status == "" {
		return
	}
	f.status = Status(severity)
	z.list = append(z.list, f)
}

// worst returns the first of those that weigh most.
func (z *zoneFindings) worst() finding {
	for _, status := range []Status{Down, Degraded} {
		for _, f := range z.list {
			if f.status == status {
				return f
			}
		}
	}
	return finding{}
}

// judge says what the servers' answers mean together. Answers that are not as
// expected come before differences, those before what is merely untidy.
func (s *zoneSurvey) judge(now time.Time, facts Facts) finding {
	s.tell(facts)
	working := s.working()
	if len(working) == 0 {
		return s.allDead()
	}
	var z zoneFindings
	for _, one := range working {
		z.list = append(z.list, s.answerOf(one, one == working[0], facts)...)
	}
	a := &s.d.Authoritative
	for _, one := range s.stations {
		if one.fault.status != "" && one.fault.reason == DNSLame {
			z.add(a.Lame, one.says(one.fault))
		}
	}
	for _, f := range s.differences(working) {
		z.add(a.Differs, f)
	}
	z.add(a.Serial, s.serials(working, now, facts))
	z.add(a.Delegation, s.delegation(working))
	for _, one := range s.stations {
		switch {
		case one.fault.status != "" && one.fault.reason != DNSLame:
			z.add(a.Unreachable, one.says(one.fault))
		case one.broken.status == Down:
			z.add(a.Unreachable, one.says(against(one.broken.reason, "over tcp: %s", one.broken.detail)))
		}
	}
	if len(z.list) > 0 {
		facts["findings"] = z.lines()
	}
	return z.worst()
}

// says names the server that a finding is about.
func (s *station) says(f finding) finding {
	f.detail = s.String() + ": " + f.detail
	return f
}

func (z *zoneFindings) lines() []string {
	var lines []string
	for _, f := range z.list[:min(len(z.list), maxFindings)] {
		lines = append(lines, clip(fmt.Sprintf("%s %s: %s", f.status, f.reason, f.detail), 250))
	}
	return lines
}

func (s *zoneSurvey) working() []*station {
	var working []*station
	for _, one := range s.stations {
		if one.works() {
			working = append(working, one)
		}
	}
	return working
}

// allDead is the finding when no server answers for the zone: what most of
// them suffer from, of equals the first. That we could not ask says nothing.
func (s *zoneSurvey) allDead() finding {
	count := map[Reason]int{}
	var told *station
	for _, one := range s.stations {
		if one.ours.status != "" {
			continue
		}
		count[one.fault.reason]++
		if told == nil || count[one.fault.reason] > count[told.fault.reason] {
			told = one
		}
	}
	if told == nil {
		return s.stations[0].says(s.stations[0].ours)
	}
	return against(told.fault.reason, "none of the %d servers of %s answers for it; %s: %s", len(s.stations), s.cut.zone, told, told.fault.detail)
}

// answerOf judges one server's answer to the check's question. The first
// server's is the one that facts tell.
func (s *zoneSurvey) answerOf(one *station, first bool, facts Facts) []finding {
	own := facts
	if !first {
		own = Facts{}
	}
	one.udp.tell(own)
	f := s.d.examine(one.udp, own)
	if f.status == "" {
		return nil
	}
	return []finding{one.says(f)}
}

// differences compares the answers of servers that have one version of the
// zone, and those of each server's transports. Servers with different
// versions may well differ.
func (s *zoneSurvey) differences(working []*station) []finding {
	var found []finding
	firstOf := map[uint32]*station{}
	for _, one := range working {
		if one.tcp != nil && one.broken.status == "" && essenceOf(one.udp, s.cut.zone) != essenceOf(one.tcp, s.cut.zone) {
			found = append(found, one.says(against(DNSDiffers, "answers %s over %s and %s over %s",
				essenceOf(one.udp, s.cut.zone), one.udp.transport, essenceOf(one.tcp, s.cut.zone), one.tcp.transport)))
		}
		other, known := firstOf[one.serial]
		if !known {
			firstOf[one.serial] = one
		} else if essenceOf(other.udp, s.cut.zone) != essenceOf(one.udp, s.cut.zone) {
			found = append(found, against(DNSDiffers, "with one serial, %d, %s answers %s and %s answers %s",
				one.serial, other, essenceOf(other.udp, s.cut.zone), one, essenceOf(one.udp, s.cut.zone)))
		}
	}
	return found
}

// essenceOf is what two equal answers of a zone's servers have in common. Where
// an alias leads out of the zone it ends: some servers know more, and may say so.
func essenceOf(r *reply, zone string) string {
	c := followAliases(r.msg, r.msg.Question[0].Qtype)
	for i, alias := range c.aliases {
		if !dns.IsSubDomain(zone, alias) {
			return "→ " + clip(strings.ToLower(strings.Join(c.aliases[:i+1], " → ")), 300)
		}
	}
	return rcodeName(r.msg.Rcode) + " " + recordList(normalized(c.records))
}

// serials compares the versions of the zone that its servers have.
func (s *zoneSurvey) serials(working []*station, now time.Time, facts Facts) finding {
	newest, oldest := working[0], working[0]
	for _, one := range working[1:] {
		if serialBefore(newest.serial, one.serial) {
			newest = one
		}
		if serialBefore(one.serial, oldest.serial) {
			oldest = one
		}
	}
	skew := newest.serial - oldest.serial
	lag := now.Sub(s.d.newest.seen(newest.serial, now))
	facts["serial"], facts["serial_skew"] = int64(newest.serial), int64(skew)
	if skew == 0 {
		return finding{}
	}
	facts["serial_lag_s"] = lag.Seconds()
	if skew <= s.d.Authoritative.SerialSkew || lag < s.d.Authoritative.SerialLag {
		return finding{}
	}
	return against(DNSSerial, "%s has serial %d and %s still has %d: %d behind, for %s since the newer was first seen",
		newest, newest.serial, oldest, oldest.serial, skew, lag.Round(time.Second))
}

// delegation compares the name servers that the parent names with those that
// the zone names, at each of its servers.
func (s *zoneSurvey) delegation(working []*station) finding {
	if !s.cut.delegated {
		return finding{}
	}
	if len(s.homeless) > 0 {
		return against(DNSDelegation, "no address is known of %s", clip(strings.Join(s.homeless, ", "), 300))
	}
	for _, one := range working {
		if len(one.names) > 0 && !slices.Equal(one.names, s.cut.names) {
			return against(DNSDelegation, "the parent of %s names %s; the zone, at %s, names %s",
				s.cut.zone, recordList(s.cut.names), one, recordList(one.names))
		}
	}
	return finding{}
}

// tell writes down the zone and what was found at each server.
func (s *zoneSurvey) tell(facts Facts) {
	facts["zone"] = s.cut.zone
	if s.cut.delegated {
		facts["parent_ns"] = clipAll(s.cut.names)
	}
	if names := s.childNames(); len(names) > 0 {
		facts["zone_ns"] = clipAll(names[:min(len(names), maxZoneNames)])
	}
	var lines, skipped []string
	for _, one := range s.stations {
		switch {
		case one.ours.status != "":
			skipped = append(skipped, fmt.Sprintf("%s: %s %s", one, one.ours.reason, clip(one.ours.detail, 100)))
		case one.fault.status != "":
			lines = append(lines, fmt.Sprintf("%s: %s", one, one.fault.reason))
		default:
			lines = append(lines, fmt.Sprintf("%s: serial %d, %s", one, one.serial, clip(essenceOf(one.udp, s.cut.zone), 120)))
		}
	}
	if s.left > 0 {
		skipped = append(skipped, fmt.Sprintf("%d more than max_servers", s.left))
	}
	facts["servers"] = lines
	if len(skipped) > 0 {
		facts["skipped"] = skipped
	}
}
