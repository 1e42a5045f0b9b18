package notifier

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Config is what a Dispatcher works with. Zero durations and numbers mean the
// default that is named.
type Config struct {
	Outbox   Outbox
	Channels map[string]Channel // by name; a notice for another one fails
	// People returns the person of that name as the configuration has them now.
	People func(name string) (Person, bool)
	// Link returns where a person sees and acknowledges an incident; the person
	// is empty for the Slack channel. Nil: messages have no link.
	Link func(incident int64, person string) string
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil: slog.Default
	// Wake says that notices were just put into the outbox. Nil, or a signal
	// that is lost, costs at most Poll. It is never closed.
	Wake <-chan struct{}
	// Observe is told of every settlement that was recorded, for metrics. It is
	// called by several goroutines and must not block. Nil: nobody is.
	Observe func(Outcome)

	Poll          time.Duration // how often the outbox is asked anyway; 1s
	SendTimeout   time.Duration // of one call of a Channel; 10s
	DeliverWithin time.Duration // until a page goes to the next channel; 45s
	Patience      time.Duration // until what escalates to nobody is given up; 1h
	Backoff       time.Duration // before the second attempt, doubled for each further one; 1s
	Workers       int           // calls of one channel at a time; 8
}

// Outcome is one settled lease, as metrics count it.
type Outcome struct {
	Channel   string
	Kind      NoticeKind
	State     State         // Queued: to be tried again
	Age       time.Duration // since the notice was queued
	Unclear   bool          // the vendor did not say whether it took the message
	Exhausted bool
}

const (
	leaseMax = 256 // notices leased at a time
	// backlog is how many notices of one channel wait for a worker. Further
	// ones go back, so that they do not fill the leases that others need.
	backlog = 256
	// waitMost is how long one waits: what is leased must still be so when its
	// turn comes.
	waitMost = 5 * time.Second
	// settleMost bounds recording one settlement.
	settleMost = 5 * time.Second
)

// Dispatcher sends what is in the outbox, each channel independently of the
// others. Any number of them may share an outbox.
type Dispatcher struct {
	// immutable
	cfg   Config
	lease time.Duration
	slots map[string]chan struct{} // a place for each call under way, by channel
	again chan struct{}            // the outbox is worth asking at once
	lanes lanes
}

// New returns a dispatcher, which does nothing before Run.
func New(cfg Config) (*Dispatcher, error) {
	if cfg.Outbox == nil || cfg.People == nil {
		return nil, errors.New("a dispatcher needs an outbox and people")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	cfg.Poll = cmp.Or(cfg.Poll, time.Second)
	cfg.SendTimeout = cmp.Or(cfg.SendTimeout, 10*time.Second)
	cfg.DeliverWithin = cmp.Or(cfg.DeliverWithin, 45*time.Second)
	cfg.Patience = cmp.Or(cfg.Patience, time.Hour)
	cfg.Backoff = cmp.Or(cfg.Backoff, time.Second)
	cfg.Workers = cmp.Or(cfg.Workers, 8)
	d := &Dispatcher{
		cfg: cfg,
		// Waiting, reading the incident, finding, sending, settling: each at
		// its slowest.
		lease: waitMost + settleMost + 2*cfg.SendTimeout + settleMost,
		slots: map[string]chan struct{}{},
		again: make(chan struct{}, 1),
	}
	for name := range cfg.Channels {
		d.slots[name] = make(chan struct{}, cfg.Workers)
	}
	return d, nil
}

// Run sends notices until ctx ends, and then finishes what it is sending,
// which takes no longer than a lease.
func (d *Dispatcher) Run(ctx context.Context) error {
	tick := time.NewTicker(d.cfg.Poll)
	defer tick.Stop()
	// What is being sent when ctx ends is still to be sent and recorded.
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	healthy := true
	for ctx.Err() == nil {
		leased, err := d.cfg.Outbox.Lease(ctx, d.cfg.Now(), leaseMax, d.lease)
		if healthy != (err == nil) && ctx.Err() == nil {
			if healthy = err == nil; healthy {
				d.cfg.Log.Info("leasing notices works again")
			} else {
				d.cfg.Log.Error("leasing notices", "err", err)
			}
		}
		for _, l := range leased {
			d.enqueue(ctx, sending, l)
		}
		if len(leased) == leaseMax {
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-d.cfg.Wake:
		case <-d.again:
		}
	}
	timer := time.AfterFunc(d.lease, stop)
	defer timer.Stop()
	d.lanes.work.Wait()
	return nil
}

// lane is what is sent one after the other, in order: an incident's messages
// to one person by one channel. A later one relies on what became of the one
// before (Slack's thread), or makes no sense before it (UP before DOWN).
type lane struct {
	channel  string
	incident int64
	person   string
}

// queued is a leased notice and when it was put into its lane.
type queued struct {
	LeasedNotice
	since time.Time
}

// lanes are the notices that are leased and not yet settled.
type lanes struct {
	work sync.WaitGroup // one for each lane that has notices

	mu      sync.Mutex // protects following
	queues  map[lane][]queued
	waiting map[string]int // notices in queues, by channel
}

// push adds a notice to its lane. It reports whether the lane was empty, so
// that somebody must go through it now, and whether the channel's lanes are
// too full to take it.
func (q *lanes) push(l queued) (first, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queues == nil {
		q.queues, q.waiting = map[lane][]queued{}, map[string]int{}
	}
	if q.waiting[l.Channel] >= backlog {
		return false, true
	}
	key := laneOf(l.Notice)
	_, running := q.queues[key]
	q.queues[key] = append(q.queues[key], l)
	q.waiting[l.Channel]++
	return !running, false
}

// next takes the first notice off a lane, or closes the empty lane.
func (q *lanes) next(key lane) (queued, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.queues[key]
	if len(queue) == 0 {
		delete(q.queues, key)
		return queued{}, false
	}
	q.queues[key] = queue[1:]
	q.waiting[key.channel]--
	return queue[0], true
}

func laneOf(n Notice) lane {
	key := lane{n.Channel, n.Incident, n.Person}
	if n.Channel == Slack {
		key.person = "" // all of it goes into one message and its thread
	}
	return key
}

// enqueue puts a leased notice behind those of its lane.
func (d *Dispatcher) enqueue(ctx, sending context.Context, l LeasedNotice) {
	first, full := d.lanes.push(queued{l, time.Now()})
	switch {
	case full:
		d.lanes.work.Go(func() { d.giveBack(sending, l, waitMost) })
	case first:
		d.lanes.work.Go(func() {
			for {
				q, ok := d.lanes.next(laneOf(l.Notice))
				if !ok {
					return
				}
				d.take(ctx, sending, q)
			}
		})
	}
}

// take waits for a place among the channel's calls and sends the notice. One
// that has waited too long goes back, as does everything unsent when ctx ends.
func (d *Dispatcher) take(ctx, sending context.Context, q queued) {
	slot := d.slots[q.Channel]
	if slot == nil { // an unknown channel, which needs no call
		d.settle(sending, q.LeasedNotice, d.handle(sending, q.LeasedNotice))
		return
	}
	left := time.NewTimer(waitMost - time.Since(q.since))
	defer left.Stop()
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	case <-left.C:
	case <-ctx.Done():
	}
	if ctx.Err() != nil || time.Since(q.since) >= waitMost {
		d.giveBack(sending, q.LeasedNotice, 0)
		return
	}
	d.settle(sending, q.LeasedNotice, d.handle(sending, q.LeasedNotice))
}

// giveBack returns a notice that nothing was tried with.
func (d *Dispatcher) giveBack(ctx context.Context, l LeasedNotice, wait time.Duration) {
	s := Settlement{State: Queued, NotBefore: d.cfg.Now().Add(wait), Unclear: l.Unclear, Receipt: l.Receipt, Detail: l.Detail}
	if l.Overdue {
		// It stays accepted, and is overdue again when wait is over.
		s.State, s.NotBefore, s.DeliverBy = Accepted, l.NotBefore, s.NotBefore
	}
	d.settle(ctx, l, s)
}

// settle records what became of a notice, trying for a while: what cannot be
// recorded is sent again when the lease has run out.
func (d *Dispatcher) settle(ctx context.Context, l LeasedNotice, s Settlement) {
	s.ID, s.Fence, s.At = l.ID, l.Fence, d.cfg.Now()
	log := d.cfg.Log.With("notice", l.ID, "incident", l.Incident, "channel", l.Channel, "person", l.Person)
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	var err error
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		if err = d.cfg.Outbox.Settle(ctx, s); err == nil || errors.Is(err, ErrLeaseLost) {
			break
		}
		select {
		case <-time.After(wait):
			continue
		case <-ctx.Done():
		}
		break
	}
	if err != nil {
		log.Error("recording what became of a notice", "state", s.State, "err", err)
		return
	}
	switch s.State {
	case Failed:
		log.Warn("notice failed", "detail", s.Detail, "exhausted", s.Exhausted)
	case Queued:
		log.Warn("notice will be tried again", "detail", s.Detail, "unclear", s.Unclear)
	default:
		log.Info("notice sent", "state", s.State, "receipt", s.Receipt, "detail", s.Detail)
	}
	if len(s.Follow) > 0 || s.Exhausted {
		select {
		case d.again <- struct{}{}:
		default:
		}
	}
	if d.cfg.Observe != nil {
		d.cfg.Observe(Outcome{
			Channel: l.Channel, Kind: l.Kind, State: s.State, Age: s.At.Sub(l.Created),
			Unclear: s.Unclear, Exhausted: s.Exhausted,
		})
	}
}
