package prober

import (
	"sync/atomic"
	"time"

	"nines/checks"
)

// Stats is a snapshot of what a prober has done since it started, and of where
// it stands.
type Stats struct {
	Connected   bool          // a stream from the scheduler is open
	Region      string        // empty: no assignment yet
	Checks      int           // assigned
	Running     int           // runs in flight
	Waiting     int           // runs that wait for their host's turn
	ClockOffset time.Duration // this machine's clock minus the scheduler's
	ClockKnown  bool          // ClockOffset was measured

	Slots   int64                   // planned slots that were run
	Late    int64                   // of those, begun more than 10 ms after their slot
	Asked   int64                   // runs that the scheduler asked for
	Results map[checks.Status]int64 // by what they say
	Missed  map[checks.Reason]int64 // results unknown through our own fault

	Spooled    int64 // results on disk, delivered ones included until the next cleaning
	SpoolBytes int64 // of their encodings
	InMemory   int   // results that could not be put on disk
	Lost       int64 // of those, the ones that found no room in memory either
	Dropped    int64 // results lost because the spool was full, all told
	// DroppedSpans says which; the oldest spans are left out beyond a thousand.
	DroppedSpans []DroppedSpan
	Damaged      int64 // results that could not be read back

	Delivered int64 // results that the scheduler has
	Rejected  int64 // results that it will never take
	Batches   int64 // requests that carried them
}

// DroppedSpan is results of one check that were dropped: Count of them, with
// slots from First to Last.
type DroppedSpan struct {
	Check       string
	First, Last time.Time
	Count       int64
}

// statuses and reasons that are counted, by index.
var (
	statuses = [...]checks.Status{checks.Up, checks.Degraded, checks.Down, checks.Unknown}
	faults   = [...]checks.Reason{
		checks.ProberOverloaded, checks.ProberClock, checks.ProberOffline, checks.ProberStopped, checks.ProberInternal,
		checks.ProberNetwork, checks.ProberBlocked, checks.ProberBandwidth, checks.ProberBrowser,
	}
)

// counts is what Stats counts.
type counts struct {
	slots, late, asked           atomic.Int64
	delivered, rejected, batches atomic.Int64
	results                      [len(statuses)]atomic.Int64
	faults                       [len(faults)]atomic.Int64
	connected                    atomic.Bool
}

// note counts a result.
func (c *counts) note(r *checks.Result) {
	for i, s := range statuses {
		if r.Status == s {
			c.results[i].Add(1)
		}
	}
	if r.Status != checks.Unknown {
		return
	}
	for i, reason := range faults {
		if r.Reason == reason {
			c.faults[i].Add(1)
		}
	}
}

// Stats returns a snapshot.
func (p *Prober) Stats() Stats {
	s := Stats{
		Connected: p.counts.connected.Load(),
		Slots:     p.counts.slots.Load(), Late: p.counts.late.Load(), Asked: p.counts.asked.Load(),
		Delivered: p.counts.delivered.Load(), Rejected: p.counts.rejected.Load(), Batches: p.counts.batches.Load(),
		Results: map[checks.Status]int64{}, Missed: map[checks.Reason]int64{},
		Spooled: p.spool.rows.Load(), SpoolBytes: p.spool.bytes.Load(), Damaged: p.spool.damaged.Load(),
	}
	for i, status := range statuses {
		s.Results[status] = p.counts.results[i].Load()
	}
	for i, reason := range faults {
		if n := p.counts.faults[i].Load(); n > 0 {
			s.Missed[reason] = n
		}
	}
	s.Region, s.Checks = p.schedule.place()
	s.Running, s.Waiting = p.pool.size()
	s.ClockOffset, s.ClockKnown = p.clock.offset()
	s.InMemory, s.Lost = p.outbox.inMemory()
	s.DroppedSpans = p.spool.droppedSpans()
	for _, d := range s.DroppedSpans {
		s.Dropped += d.Count
	}
	return s
}
