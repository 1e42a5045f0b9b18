package fleet

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"slices"
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

// rebalance gives every check in every region to one prober. f.mu is held.
func (f *Fleet) rebalance() {
	owners := f.owners
	f.owners = make(map[place]owner, len(owners))
	in := map[string]bool{}
	for _, m := range f.members {
		if !in[m.Region] {
			in[m.Region] = true
			f.divide(m.Region, owners)
		}
	}
}

// divide gives every check of a region to one of its probers, and tells those
// whose share changed. owners is who had them so far. f.mu is held.
func (f *Fleet) divide(region string, owners map[place]owner) {
	if f.closed {
		return
	}
	candidates, size := f.candidates(region)
	given := make(map[string][]regions.Share, size)
	now := f.now().UTC().Truncate(time.Millisecond)
	for _, c := range f.checks {
		index := slices.Index(c.regions, region)
		if index < 0 {
			continue
		}
		at := place{c.name, region}
		own, chosen := owners[at], choose(c.name, candidates)
		if own.prober != chosen {
			own = owner{prober: chosen}
			if size > 1 {
				own.since = now
			}
		}
		f.owners[at] = own
		given[chosen] = append(given[chosen], regions.Share{Spec: c.wire, Index: index, Of: len(c.regions), Since: own.since})
	}
	for _, m := range f.members {
		if m.Region != region {
			continue
		}
		a := regions.Assignment{Prober: m.Prober, Region: m.Region, Checks: given[m.Prober]}
		if err := f.probers[m.Prober].give(a); err != nil {
			f.log.Error("assignment cannot be encoded", "prober", m.Prober, "err", err)
		}
	}
}

// candidates returns the probers among which a region's checks are divided:
// those that are present, or all where none is. size counts all.
func (f *Fleet) candidates(region string) (names []string, size int) {
	var absent []string
	for _, m := range f.members {
		if m.Region != region {
			continue
		}
		size++
		if f.probers[m.Prober].present {
			names = append(names, m.Prober)
		} else {
			absent = append(absent, m.Prober)
		}
	}
	if len(names) == 0 {
		names = absent
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
