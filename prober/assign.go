package prober

import (
	"fmt"
	"time"

	"nines/checks"
	"nines/regions"
)

// due is when a job's next slot is, in nanoseconds since the Unix epoch.
type due struct {
	at  int64
	job *job
}

// dueHeap is what is due, the earliest first. The times stand in it, so that
// keeping its order takes no look at the jobs.
type dueHeap []due

// dueOf returns the heap of all jobs.
func dueOf(jobs map[string]*job) dueHeap {
	h := make(dueHeap, 0, len(jobs))
	for _, j := range jobs {
		h = append(h, due{j.next.UnixNano(), j})
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
	return h
}

// later moves the first job behind those that are due before at.
func (h dueHeap) later(at time.Time) {
	h[0].at = at.UnixNano()
	h.sink(0)
}

// sink restores the order below i.
func (h dueHeap) sink(i int) {
	for moving := h[i]; ; {
		least := 2*i + 1
		if least >= len(h) {
			break
		}
		if right := least + 1; right < len(h) && h[right].at < h[least].at {
			least = right
		}
		if h[least].at >= moving.at {
			break
		}
		h[i], h[least] = h[least], moving
		i = least
	}
}

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
			s.claim(d.spec.Name, j.next)
		case j.slots != d.slots:
			j.next = d.slots.Next(now)
		}
		j.raw, j.since = string(d.share.Spec), d.share.Since
		j.spec, j.slots, j.host = d.spec, d.slots, d.spec.Options.Target()
		s.jobs[d.spec.Name] = j
	}
	s.due = dueOf(s.jobs)
}
