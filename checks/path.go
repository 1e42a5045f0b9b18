package checks

import (
	"maps"
	"sync"
	"time"
)

// What counts as evidence about a prober's own way into the Internet.
const (
	// fellShort is the part of the rate asked for below which a transfer that
	// the link did not hold up was held up by something else.
	fellShort = 0.9
	// reached is the part of the rate from which it was as good as reached.
	reached = 0.97
	// enoughTransfer is how long a transfer would have taken at the rate asked
	// for, at least, to say anything: a short one is over before TCP has found
	// out how fast it may go.
	enoughTransfer = 500 * time.Millisecond
	// pathMemory is how long a rate that was reached shows that the path can
	// carry it; pathRecent, how long one that was not counts against it.
	pathMemory = 24 * time.Hour
	pathRecent = time.Hour
	// pathWitnesses is how many other hosts have to be slow as well before it is
	// the path.
	pathWitnesses = 2
	// pathHosts bounds how many hosts are remembered.
	pathHosts = 1000
)

// Path is what a prober has found out about how much it can carry itself: by
// calibrating its shaper, and by what its bandwidth checks have reached. One
// is shared by all runs of a prober. The zero value, and nil, know nothing.
type Path struct {
	mu    sync.Mutex // protects following
	limit float64    // kbit/s that the shaper reached where it fell short; zero: it never did
	best  [2]sighting
	hosts [2]map[string]sighting
}

// sighting is one transfer that was large enough.
type sighting struct {
	at              time.Time
	asked, achieved float64 // kbit/s
}

// direction of a transfer.
type direction int

const (
	downward direction = iota
	upward
)

func (d direction) String() string { return [...]string{"down", "up"}[d] }

// Calibrated says how far the prober's own shaper goes: the kbit/s that it
// reached at the lowest rate that it could not keep up, or zero if it kept up
// all of them.
func (p *Path) Calibrated(limit float64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = limit
}

// shaper says why this prober cannot make a network of the profile, if so: its
// machine is too slow to shape at such a rate.
func (p *Path) shaper(profile Profile) finding {
	if p == nil {
		return finding{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if asked := max(profile.DownKbps, profile.UpKbps); p.limit > 0 && asked > p.limit {
		return against(ProberBandwidth, "this prober's own shaper reaches %.0f kbit/s, less than the %.0f asked for", p.limit, asked)
	}
	return finding{}
}

// note remembers a transfer.
func (p *Path) note(d direction, host string, s sighting) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if best := p.best[d]; s.achieved >= best.achieved || s.at.Sub(best.at) > pathMemory {
		p.best[d] = s
	}
	if p.hosts[d] == nil {
		p.hosts[d] = map[string]sighting{}
	}
	hosts := p.hosts[d]
	if len(hosts) >= pathHosts {
		maps.DeleteFunc(hosts, func(_ string, old sighting) bool { return s.at.Sub(old.at) > pathRecent })
	}
	if _, known := hosts[host]; known || len(hosts) < pathHosts {
		hosts[host] = s
	}
}

// tooSlow says why a transfer that fell short was held up by this prober's own
// path, if that is shown: nothing has reached the rate within a day, and in the
// last hour at least two other hosts fell short of no lower a rate.
func (p *Path) tooSlow(d direction, host string, s sighting) finding {
	if p == nil || s.achieved >= fellShort*s.asked {
		return finding{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if best := p.best[d]; s.at.Sub(best.at) <= pathMemory && best.achieved >= reached*s.asked {
		return finding{}
	}
	witnesses := 0
	for other, seen := range p.hosts[d] {
		if other != host && s.at.Sub(seen.at) <= pathRecent && seen.asked >= s.asked && seen.achieved < fellShort*s.asked {
			witnesses++
		}
	}
	if witnesses < pathWitnesses {
		return finding{}
	}
	return against(ProberBandwidth, "%.0f kbit/s %s of the %.0f asked for, and %d other hosts were no faster from here", s.achieved, d, s.asked, witnesses)
}

// large reports whether so much of the wire's bytes says something about a
// rate.
func large(wire int64, kbps float64) bool {
	return float64(wire)*8/1000 >= kbps*enoughTransfer.Seconds()
}
