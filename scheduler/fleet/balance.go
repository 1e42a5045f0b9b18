package fleet

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"time"

	"nines/regions"
	"nines/scheduler/config"
)

// planned is a check as probers get it.
type planned struct {
	name    string
	regions []string
	wire    json.RawMessage
}

// place is where one prober runs a check.
type place struct{ check, region string }

// owner is the prober that runs a check in a region.
type owner struct {
	prober string
	since  time.Time // see regions.Share.Since
}

// plan encodes checks for their probers.
func (f *Fleet) plan(list []config.Check) []planned {
	plan := make([]planned, 0, len(list))
	for i := range list {
		c := &list[i]
		wire, err := c.Spec.Wire()
		if err != nil {
			f.log.Error("check cannot be given out", "check", c.Name, "err", err)
			continue
		}
		plan = append(plan, planned{c.Name, c.Regions, wire})
	}
	return plan
}

// rebalance gives every check and region to one prober and tells those whose
// share changed. f.mu is held.
func (f *Fleet) rebalance() {
	if f.closed {
		return
	}
	candidates, size := f.candidates()
	owners := make(map[place]owner, len(f.owners))
	given := make(map[string][]regions.Share, len(f.members))
	now := f.now().UTC().Truncate(time.Millisecond)
	for _, c := range f.checks {
		for i, region := range c.regions {
			chosen := choose(c.name, candidates[region])
			if chosen == "" {
				continue // a region without probers
			}
			at := place{c.name, region}
			own := f.owners[at]
			if own.prober != chosen {
				own = owner{prober: chosen}
				if size[region] > 1 {
					own.since = now
				}
			}
			owners[at] = own
			given[chosen] = append(given[chosen], regions.Share{Spec: c.wire, Index: i, Of: len(c.regions), Since: own.since})
		}
	}
	f.owners = owners
	for _, m := range f.members {
		a := regions.Assignment{Prober: m.Prober, Region: m.Region, Checks: given[m.Prober]}
		if err := f.probers[m.Prober].give(a); err != nil {
			f.log.Error("assignment cannot be encoded", "prober", m.Prober, "err", err)
		}
	}
}

// candidates returns the probers of each region among which its checks are
// divided: those that are present, or all where none is. size counts all.
func (f *Fleet) candidates() (names map[string][]string, size map[string]int) {
	names, size = map[string][]string{}, map[string]int{}
	for _, m := range f.members {
		size[m.Region]++
		if f.probers[m.Prober].present {
			names[m.Region] = append(names[m.Region], m.Prober)
		}
	}
	absent := map[string][]string{}
	for _, m := range f.members {
		if len(names[m.Region]) == 0 {
			absent[m.Region] = append(absent[m.Region], m.Prober)
		}
	}
	for region, all := range absent {
		names[region] = all
	}
	return names, size
}

// choose returns the candidate with the highest hash together with the check
// (rendezvous hashing): when one comes or goes, only its own share moves.
func choose(check string, candidates []string) string {
	var best string
	var most uint64
	for _, name := range candidates {
		h := fnv.New64a()
		io.WriteString(h, check)
		h.Write([]byte{0})
		io.WriteString(h, name)
		if weight := mix(h.Sum64()); best == "" || weight > most {
			best, most = name, weight
		}
	}
	return best
}

// mix spreads FNV's bits, whose high ones hardly depend on the last letters;
// it is the finalizer of MurmurHash3.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
