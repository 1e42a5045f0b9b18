package prober

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"nines/checks"
)

// lateStart is how far behind its slot a run counts as late.
const lateStart = 10 * time.Millisecond

// start, skip and sweep make the Prober its schedule's sink.

func (p *Prober) start(t *task) {
	if !p.pool.submit(t) {
		p.schedule.ended(t, 0) // it was asked for: no slot is lost
	}
}

func (p *Prober) sweep() { p.pool.sweep() }

func (p *Prober) skip(list []skipped) {
	p.recording.Go(func() {
		p.recordSkipped(list)
		for _, k := range list {
			p.schedule.closed(k.job, k.from)
		}
	})
}

// perform runs a task and records what it found.
func (p *Prober) perform(ctx context.Context, t *task) {
	if t.asked {
		p.counts.asked.Add(1)
	} else {
		p.counts.slots.Add(1)
		if now, _ := p.clock.now(); now.Sub(t.slot) > lateStart {
			p.counts.late.Add(1)
		}
	}
	begun, at := time.Now(), p.clock.stamp()
	r := p.run(ctx, t)
	p.schedule.ended(t, time.Since(begun))
	p.clock.doubt(&r, at)
	p.pool.leave(t)
	r.Region, r.Prober = t.region, t.prober
	p.record(encode(&r, t.asked), &r)
	if !t.asked {
		p.schedule.closed(t.job, t.slot)
	}
}

// run runs a task's check. A panic is our own fault.
func (p *Prober) run(ctx context.Context, t *task) (r checks.Result) {
	defer func() {
		if cause := recover(); cause != nil {
			p.log.Error("run panicked", "check", t.spec.Name, "err", cause, "stack", string(debug.Stack()))
			r = checks.Result{
				Check: t.spec.Name, Slot: t.slot, At: t.slot,
				Status: checks.Unknown, Reason: checks.ProberInternal, Detail: fmt.Sprintf("panic: %.200v", cause),
			}
		}
	}()
	return t.spec.Run(ctx, &p.config.Env, t.slot)
}

// record keeps a result, and returns when it is on disk.
func (p *Prober) record(made *record, r *checks.Result) {
	p.counts.note(r)
	p.spool.append([]*record{made})
}

// refuse records tasks that the pool did not run.
func (p *Prober) refuse(tasks []*task, why refusal) {
	var list []skipped
	for _, t := range tasks {
		p.schedule.refused(t)
		if why == stopping {
			list = append(list, t.skipped(checks.ProberStopped, "the prober was stopped before the run began"))
		} else {
			list = append(list, t.skipped(checks.ProberOverloaded, "too many runs towards "+t.host))
		}
	}
	p.skip(list)
}

// recordSkipped records slots that were not run, one by one, a thousand at a
// time, and returns when they are on disk.
func (p *Prober) recordSkipped(list []skipped) {
	now, _ := p.clock.now()
	from, left := cutoff(list, now)
	if left > 0 {
		p.log.Warn("slots of too long a time were missed; the earliest are not recorded one by one", "slots", left, "before", from.UTC())
	}
	var records []*record
	total := 0
	for i := range list {
		k := &list[i]
		start := k.from
		if start.Before(from) {
			start = from
		}
		for slot := range k.slots.Between(start, k.to) {
			if k.job == nil && p.schedule.has(k.check, slot) {
				continue
			}
			r := k.result(slot)
			made := encode(&r, false)
			made.old = now.Sub(slot) > liveAge
			p.counts.note(&r)
			total++
			if records = append(records, made); len(records) == 1000 {
				p.spool.append(records)
				records = nil
			}
		}
	}
	p.spool.append(records)
	if total > 0 {
		k := &list[0]
		p.misses.warn(p.log, total, "slots were not run", "check", k.check, "region", k.region, "reason", k.reason, "detail", k.detail)
	}
}

// sometimes logs what may happen very often: every ten seconds at most, with
// how often it was.
type sometimes struct {
	mu   sync.Mutex
	last time.Time
	n    int
}

func (s *sometimes) warn(log *slog.Logger, n int, message string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n += n; time.Since(s.last) < 10*time.Second {
		return
	}
	log.Warn(message, append(args, "slots", s.n)...)
	s.last, s.n = time.Now(), 0
}
