package prober

import (
	"context"
	"sync"
	"time"
)

const (
	// hostRuns is how many planned runs one host has in flight at most; a run
	// beyond it waits for as long as its slot may be late.
	hostRuns = 512
	// hostSlowRuns is how many of those may be of checks whose last run was
	// slow, so that targets that hang leave the host's others alone.
	hostSlowRuns = 384
	// slowRun is how long a run takes at least to be a slow one.
	slowRun = time.Second
	// maxRuns bounds all runs in flight, to keep memory and files in bounds.
	maxRuns = 4096
	// obeyLimit is how long a run may take to end once it is told to.
	obeyLimit = 3 * time.Second
)

// pool runs tasks, each in a goroutine of its own.
type pool struct {
	run    func(context.Context, *task) // runs and records
	refuse func([]*task, refusal)       // records that they were not run
	mono   func() time.Duration
	ctx    context.Context // of the runs
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex // protects following
	hosts   map[string]*host
	crowded map[*host]bool // those with tasks that wait
	running int
}

// refusal is why a task is not run.
type refusal int

const (
	tooLate  refusal = iota // its turn did not come in time
	stopping                // the prober stops
)

// host is what is in flight towards one target.
type host struct {
	name    string
	running int
	slow    int
	waiting []*task
}

func newPool(mono func() time.Duration, run func(context.Context, *task), refuse func([]*task, refusal)) *pool {
	ctx, cancel := context.WithCancel(context.Background())
	return &pool{
		run: run, refuse: refuse, mono: mono, ctx: ctx, cancel: cancel,
		hosts: map[string]*host{}, crowded: map[*host]bool{},
	}
}

// submit runs a task now, or when its host has room. Runs that were asked for
// go before planned ones and do not wait; it reports false if there is no room
// even so.
func (p *pool) submit(t *task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[t.host]
	if h == nil {
		h = &host{name: t.host}
		p.hosts[t.host] = h
	}
	switch {
	case t.asked && p.running < maxRuns && h.running < 2*hostRuns || p.room(h, t):
		p.begin(h, t)
	case t.asked:
		return false
	default:
		h.waiting = append(h.waiting, t)
		p.crowded[h] = true
	}
	return true
}

// room reports whether the host, and the pool, can take the task. p.mu is held.
func (p *pool) room(h *host, t *task) bool {
	return p.running < maxRuns && h.running < hostRuns && (!t.slow || h.slow < hostSlowRuns)
}

// begin runs a task. p.mu is held.
func (p *pool) begin(h *host, t *task) {
	p.running++
	h.running++
	if t.slow {
		h.slow++
	}
	p.tasks.Go(func() { p.run(p.ctx, t) })
}

// leave gives a task's place to the next one, once its run is over.
func (p *pool) leave(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[t.host]
	p.running--
	h.running--
	if t.slow {
		h.slow--
	}
	p.promote(h)
}

// promote begins the host's waiting tasks that have room, in their order; slow
// ones do not hold up the others. p.mu is held.
func (p *pool) promote(h *host) {
	kept := h.waiting[:0]
	for _, t := range h.waiting {
		if p.room(h, t) {
			p.begin(h, t)
		} else {
			kept = append(kept, t)
		}
	}
	clear(h.waiting[len(kept):])
	h.waiting = kept
	if len(kept) == 0 {
		delete(p.crowded, h)
		if h.running == 0 {
			delete(p.hosts, h.name)
		}
	}
}

// sweep refuses the tasks whose time to start has passed.
func (p *pool) sweep() {
	now := p.mono()
	var late []*task
	p.mu.Lock()
	for h := range p.crowded {
		kept := h.waiting[:0]
		for _, t := range h.waiting {
			if now > t.until {
				late = append(late, t)
			} else {
				kept = append(kept, t)
			}
		}
		clear(h.waiting[len(kept):])
		h.waiting = kept
		p.promote(h)
	}
	p.mu.Unlock()
	if len(late) > 0 {
		p.refuse(late, tooLate)
	}
}

// drain refuses what waits, and returns when what runs has ended. Runs that
// take longer than the limit are told to end, and left behind if they do not;
// it reports whether none was.
func (p *pool) drain(limit time.Duration) bool {
	var waiting []*task
	p.mu.Lock()
	for h := range p.crowded {
		waiting = append(waiting, h.waiting...)
		h.waiting = nil
	}
	clear(p.crowded)
	p.mu.Unlock()
	if len(waiting) > 0 {
		p.refuse(waiting, stopping)
	}
	defer p.cancel()
	ended := make(chan struct{})
	go func() {
		p.tasks.Wait()
		close(ended)
	}()
	for _, limit := range []time.Duration{limit, obeyLimit} {
		select {
		case <-ended:
			return true
		case <-time.After(limit):
			p.cancel()
		}
	}
	return false
}

// size returns how many tasks run and wait.
func (p *pool) size() (running, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h := range p.crowded {
		waiting += len(h.waiting)
	}
	return p.running, waiting
}
