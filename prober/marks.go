package prober

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"nines/checks"
	"nines/regions"
)

// marks say which slots have their result. They are saved with the spool: what
// they leave open, and the spool has no result for, was missed by a process
// that did not live to run it.
type marks struct {
	// Floors is, by check, the first slot that may lack its result, in
	// milliseconds since the Unix epoch.
	Floors map[string]int64 `json:"floors"`
	// Gaps are earlier slots, by check, that a former process missed and that
	// are not settled yet.
	Gaps map[string][]gap `json:"gaps,omitempty"`
}

// gap is the slots from From up to, but without, To.
type gap struct{ From, To int64 }

// decodeMarks reads marks. Those that cannot be read say nothing.
func decodeMarks(data []byte) marks {
	var m marks
	if json.Unmarshal(data, &m) != nil {
		return marks{}
	}
	return m
}

// floor returns the first slot of a check that may lack its result; ok is
// false if nothing is known of the check.
func (m marks) floor(check string) (slot int64, ok bool) {
	slot, ok = m.Floors[check]
	for _, g := range m.Gaps[check] {
		if !ok || g.From < slot {
			slot, ok = g.From, true
		}
	}
	return slot, ok
}

// needs reports whether a result for the slot tells something that the marks
// do not.
func (m marks) needs(check string, slot int64) bool {
	floor, ok := m.floor(check)
	return ok && slot >= floor
}

// marks returns the marks to save, encoded, and the floor of every check.
func (s *schedule) marks() (encoded []byte, floors map[string]int64) {
	s.mu.Lock()
	m := marks{Floors: maps.Clone(s.left), Gaps: maps.Clone(s.gaps)}
	if m.Floors == nil {
		m.Floors = make(map[string]int64, len(s.jobs))
	}
	for name, j := range s.jobs {
		m.Floors[name] = j.floor()
	}
	s.mu.Unlock()
	floors = make(map[string]int64, len(m.Floors))
	for name := range m.Floors {
		floors[name], _ = m.floor(name)
	}
	encoded, _ = json.Marshal(m) // numbers by name: cannot fail
	return encoded, floors
}

// floor returns the first slot of j that may lack its result.
func (j *job) floor() int64 {
	floor := j.next.UnixMilli()
	for _, slot := range j.open {
		floor = min(floor, slot)
	}
	return floor
}

// restore takes over what a former process left.
func (s *schedule) restore(m marks, recorded map[key]struct{}) {
	s.left, s.gaps, s.recorded = m.Floors, m.Gaps, recorded
	if s.gaps == nil {
		s.gaps = map[string][]gap{}
	}
}

// claim makes a gap of what a former process left of a check, up to where this
// one takes over. s.mu is held.
func (s *schedule) claim(name string, next time.Time) {
	if from, ok := s.left[name]; ok {
		delete(s.left, name)
		if to := next.UnixMilli(); from < to {
			s.gaps[name] = append(slices.Clip(s.gaps[name]), gap{from, to})
		}
	}
}

// offline returns the gaps as slots to be recorded, now that the scheduler has
// said which checks are ours and since when, and forgets those that are not.
// closed is to be called when they are recorded.
func (s *schedule) offline() (list []skipped, closed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = nil
	for name, gaps := range s.gaps {
		j := s.jobs[name]
		if j == nil {
			delete(s.gaps, name)
			continue
		}
		for _, g := range gaps {
			from, to := time.UnixMilli(g.From), time.UnixMilli(g.To)
			if from.Before(j.since) {
				from = j.since
			}
			if from.Before(to) {
				list = append(list, skipped{
					check: name, slots: j.slots, from: from, to: to, region: s.region, prober: s.prober,
					reason: checks.ProberOffline, detail: "the prober was not running",
				})
			}
		}
	}
	settled := maps.Clone(s.gaps)
	return list, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for name := range settled {
			delete(s.gaps, name)
		}
	}
}

// has reports whether a former process left a result for the slot.
func (s *schedule) has(check string, slot time.Time) bool {
	_, ok := s.recorded[key{check, slot.UnixMilli()}]
	return ok
}

// Bounds of what is recorded one by one after a prober was away or stood
// still; of slots further back the first that is recorded tells when it began.
const (
	missedAge   = 24 * time.Hour
	missedCount = 100_000
)

// skipped is slots that are not run: those of a check from From up to, but
// without, To.
type skipped struct {
	job            *job // whose marks wait for them; nil: none
	check          string
	slots          regions.Slots
	from, to       time.Time
	region, prober string
	reason         checks.Reason
	detail         string
}

// count returns how many slots there are from the cutoff on.
func (k *skipped) count(cutoff time.Time) int64 {
	from := k.from
	if from.Before(cutoff) {
		from = cutoff
	}
	first := k.slots.Next(from.Add(-1))
	if !first.Before(k.to) {
		return 0
	}
	return 1 + int64(k.to.Add(-1).Sub(first)/k.slots.Every)
}

// result is what is recorded of one of the slots.
func (k *skipped) result(slot time.Time) checks.Result {
	return checks.Result{
		Check: k.check, Region: k.region, Prober: k.prober, Slot: slot, At: slot,
		Status: checks.Unknown, Reason: k.reason, Detail: k.detail,
	}
}

// cutoff returns from when on slots are recorded so that they are neither too
// old nor too many, and how many are left out.
func cutoff(list []skipped, now time.Time) (from time.Time, left int64) {
	total := func(from time.Time) (n int64) {
		for i := range list {
			n += list[i].count(from)
		}
		return n
	}
	all := total(time.Time{})
	if all <= 1 {
		return time.Time{}, 0
	}
	from = now.Add(-missedAge)
	if total(from) > missedCount {
		// The latest instant from which there are few enough, to 100 ms.
		few := now.Add(missedAge)
		for few.Sub(from) > 100*time.Millisecond {
			if mid := from.Add(few.Sub(from) / 2); total(mid) > missedCount {
				from = mid
			} else {
				few = mid
			}
		}
		from = few
	}
	return from, all - total(from)
}
