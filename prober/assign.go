package prober

import (
	"container/heap"
	"fmt"

	"nines/checks"
	"nines/regions"
)

// dueHeap is jobs by their next slot, the earliest first.
type dueHeap []*job

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, k int) bool { return h[i].next.Before(h[k].next) }
func (h dueHeap) Swap(i, k int)      { h[i], h[k] = h[k], h[i]; h[i].at, h[k].at = i, k }
func (h *dueHeap) Push(x any) {
	j := x.(*job)
	j.at = len(*h)
	*h = append(*h, j)
}
func (h *dueHeap) Pop() any {
	old := *h
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return j
}

// moved puts j where it belongs after its next slot changed.
func (h *dueHeap) moved(j *job) { heap.Fix(h, j.at) }

// draft is a check of a new assignment.
type draft struct {
	share regions.Share
	spec  checks.Spec
	slots regions.Slots
}

// drafts reads an assignment. Checks that are of no use are left out and
// logged; the others run.
func (s *schedule) drafts(a *regions.Assignment) []draft {
	known := s.known()
	seen := make(map[string]bool, len(a.Checks))
	list := make([]draft, 0, len(a.Checks))
	for _, share := range a.Checks {
		d := draft{share: share}
		var err error
		if j, ok := known[string(share.Spec)]; ok {
			d.spec = j
		} else if d.spec, err = checks.ParseWire(share.Spec); err != nil {
			s.log.Error("assigned check is of no use", "err", err)
			continue
		}
		switch name := d.spec.Name; {
		case seen[name]:
			err = fmt.Errorf("it is assigned twice")
		case share.Of < 1 || share.Index < 0 || share.Index >= share.Of:
			err = fmt.Errorf("place %d of %d regions is none", share.Index, share.Of)
		}
		if err != nil {
			s.log.Error("assigned check is of no use", "check", d.spec.Name, "err", err)
			continue
		}
		seen[d.spec.Name] = true
		d.slots = regions.SlotsOf(d.spec.Name, d.spec.Every, share.Index, share.Of)
		list = append(list, d)
	}
	return list
}

// known returns the checks in force by how the scheduler sent them.
func (s *schedule) known() map[string]checks.Spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	specs := make(map[string]checks.Spec, len(s.jobs))
	for _, j := range s.jobs {
		specs[j.raw] = j.spec
	}
	return specs
}

// assign makes the drafts what is run. Checks whose slots stay the same lose
// none and repeat none; no slot that was handed out is handed out again.
func (s *schedule) assign(region, prober string, list []draft) {
	s.tick() // what is due now belongs to the assignment before
	now, _ := s.clock.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.handed) {
		now = s.handed
	}
	s.region, s.prober = region, prober
	gone := s.jobs
	s.jobs = make(map[string]*job, len(list))
	for _, d := range list {
		j := gone[d.spec.Name]
		delete(gone, d.spec.Name)
		switch {
		case j == nil:
			j = &job{next: d.slots.Next(now.Add(runwayOfNew))}
			heap.Push(&s.due, j)
			s.claim(d.spec.Name, j.next)
		case j.slots != d.slots:
			j.next = d.slots.Next(now)
			s.due.moved(j)
		}
		j.raw, j.since = string(d.share.Spec), d.share.Since
		j.spec, j.slots, j.host = d.spec, d.slots, d.spec.Options.Target()
		s.jobs[d.spec.Name] = j
	}
	for _, j := range gone {
		heap.Remove(&s.due, j.at)
	}
}
