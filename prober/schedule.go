package prober

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/google/uuid"

	"nines/checks"
	"nines/regions"
)

const (
	// tickEvery is the grid of slots; see regions.Phase.
	tickEvery = 100 * time.Millisecond
	// tickLag is how far behind the grid ticks are aimed: one that came a
	// moment before it would find a slot only the next time round.
	tickLag = 500 * time.Microsecond
	// tickSkew is how far ticks may come off the grid before they are moved.
	tickSkew = 5 * time.Millisecond
	// runwayOfNew is how long after its assignment a check's first slot is at
	// the earliest, so that the marks that cover it are on disk.
	runwayOfNew = 250 * time.Millisecond
	// askedEvery is how often a check is run for the asking, at most.
	askedEvery = time.Second
	// askedAge is how old a request to run may be.
	askedAge = 30 * time.Second
)

// sink is where the schedule's slots go.
type sink interface {
	start(*task)    // a slot to be run
	skip([]skipped) // slots that are not
	sweep()         // time passes
}

// schedule hands out slots when they are due, each once.
type schedule struct {
	clock *clock
	sink  sink
	log   *slog.Logger

	ticking sync.Mutex // held while a tick is at work

	mu         sync.Mutex // protects following
	jobs       map[string]*job
	due        dueHeap
	region     string
	prober     string
	guests     map[string]*job // checks of others that were asked for, by name
	handed     time.Time       // slots up to and with this are handed out
	handedMono time.Duration   // the same instant, monotonic

	// What a former process left; see marks.
	left     map[string]int64
	gaps     map[string][]gap
	recorded map[key]struct{}

	skew skew // of ticking's holder
}

// job is one check of the assignment. schedule.mu protects it.
type job struct {
	raw   string // the spec as the scheduler sent it
	host  string // that its runs put their load on
	since time.Time

	spec  checks.Spec
	slots regions.Slots
	next  time.Time // the first slot not handed out

	busy    bool    // a planned run has not ended
	open    []int64 // slots handed out and not recorded; the first one stands for a span
	asking  bool    // a run that was asked for has not ended
	asked   bool    // one was ever
	askedAt time.Duration
	slow    bool // its last run took long
}

// task is one run to be done.
type task struct {
	job            *job
	spec           checks.Spec
	host           string
	slots          regions.Slots
	slot           time.Time
	asked          bool // for confirmation, not planned
	slow           bool
	region, prober string
	until          time.Duration // monotonic: the latest start
}

// skipped is the task as a slot that is not run.
func (t *task) skipped(reason checks.Reason, detail string) skipped {
	return skipped{
		job: t.job, check: t.spec.Name, slots: t.slots, from: t.slot, to: t.slot.Add(1), region: t.region, prober: t.prober,
		reason: reason, detail: detail,
	}
}

func newSchedule(c *clock, s sink, log *slog.Logger) *schedule {
	return &schedule{clock: c, sink: s, log: log, jobs: map[string]*job{}, gaps: map[string][]gap{}}
}

// drive ticks until ctx ends.
func (s *schedule) drive(ctx context.Context) error {
	cron, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithStopTimeout(2*time.Second))
	if err != nil {
		return fmt.Errorf("making the schedule: %w", err)
	}
	definition := func() (gocron.JobDefinition, gocron.Task, []gocron.JobOption) {
		return gocron.DurationJob(tickEvery), gocron.NewTask(s.tick), []gocron.JobOption{
			gocron.WithStartAt(gocron.WithStartDateTime(s.onGrid())),
			// Without a listener for it, gocron lets a panic end the process.
			gocron.WithEventListeners(gocron.AfterJobRunsWithPanic(func(_ uuid.UUID, _ string, cause any) {
				s.log.Error("tick panicked", "err", cause, "stack", string(debug.Stack()))
			})),
		}
	}
	what, task, options := definition()
	tick, err := cron.NewJob(what, task, options...)
	if err != nil {
		return fmt.Errorf("making the schedule: %w", err)
	}
	cron.Start()
	look := time.NewTicker(10 * time.Second)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := cron.Shutdown(); err != nil {
				s.log.Warn("schedule did not stop in time", "err", err)
			}
			return nil
		case <-look.C:
			if !s.offGrid() {
				continue
			}
			what, task, options := definition()
			if tick, err = cron.Update(tick.ID(), what, task, options...); err != nil {
				return fmt.Errorf("moving the schedule back to its grid: %w", err)
			}
		}
	}
}

// onGrid returns a time soon, on the grid of the wall clock, with a monotonic
// reading: a tick aimed by the wall clock alone would wait an hour when that
// is set back by one.
func (s *schedule) onGrid() time.Time {
	now, _ := s.clock.now()
	soon := now.Add(tickEvery / 2)
	return time.Now().Add(soon.Truncate(tickEvery).Add(tickEvery + tickLag).Sub(now))
}

// skew is how far behind the grid ticks come, at best.
type skew struct {
	least time.Duration
	ticks int
}

func (k *skew) note(now time.Time) {
	off := now.Sub(now.Truncate(tickEvery))
	if k.ticks == 0 || off < k.least {
		k.least = off
	}
	k.ticks++
}

// offGrid reports whether ticks have left the grid, which they do when the
// clock is set, and begins to watch anew.
func (s *schedule) offGrid() bool {
	if !s.ticking.TryLock() {
		return false
	}
	defer s.ticking.Unlock()
	off := s.skew.ticks > 20 && s.skew.least > tickSkew
	s.skew = skew{}
	return off
}

// tick hands out what is due. Ticks that come while one is at work do nothing.
func (s *schedule) tick() {
	if !s.ticking.TryLock() {
		return
	}
	defer s.ticking.Unlock()
	s.sink.sweep()
	r, ok := s.clock.read()
	if !ok {
		return
	}
	s.skew.note(r.now)
	s.mu.Lock()
	tasks, skips := s.handOut(r)
	s.mu.Unlock()
	for _, t := range tasks {
		s.launch(t)
	}
	if len(skips) > 0 {
		s.sink.skip(skips)
	}
}

// launch starts a task. A panic costs that one slot.
func (s *schedule) launch(t *task) {
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("starting a run panicked", "check", t.spec.Name, "err", cause, "stack", string(debug.Stack()))
			s.refused(t)
			s.sink.skip([]skipped{t.skipped(checks.ProberInternal, "the prober failed to start the run")})
		}
	}()
	s.sink.start(t)
}

// patience is how late a slot of a check may begin.
func patience(every time.Duration) time.Duration {
	return min(max(every/10, time.Second), 5*time.Second)
}

// handOut takes every slot up to now. The last one of each check is run; those
// before it were missed. s.mu is held.
func (s *schedule) handOut(r reading) (tasks []*task, skips []skipped) {
	if !r.now.After(s.handed) {
		return nil, nil // the clock was set back: these slots are handed out
	}
	reason, detail := checks.ProberOverloaded, "the prober stood still"
	if ahead := r.now.Sub(s.handed) - (r.mono - s.handedMono); !s.handed.IsZero() && (r.jumped || ahead >= clockJump) {
		reason, detail = checks.ProberClock, "the prober's clock was set"
	}
	s.handed, s.handedMono = r.now, r.mono
	for until := r.now.UnixNano(); len(s.due) > 0 && s.due[0].at <= until; {
		j := s.due[0].job
		last := j.slots.Next(r.now).Add(-j.slots.Every)
		if j.next.Before(last) {
			j.open = append(j.open, j.next.UnixMilli())
			skips = append(skips, s.miss(j, j.next, last, reason, detail))
		}
		j.open = append(j.open, last.UnixMilli())
		j.next = last.Add(j.slots.Every)
		s.due.later(j.next)
		late := r.now.Sub(last)
		switch {
		case r.off != 0:
			skips = append(skips, s.miss(j, last, last.Add(1), checks.ProberClock, "the prober's clock is "+ahead(r.off)+" the scheduler's"))
		case late > patience(j.slots.Every):
			skips = append(skips, s.miss(j, last, last.Add(1), reason, detail))
		case j.busy:
			skips = append(skips, s.miss(j, last, last.Add(1), checks.ProberOverloaded, "the run before had not ended"))
		default:
			j.busy = true
			tasks = append(tasks, &task{
				job: j, spec: j.spec, host: j.host, slots: j.slots, slot: last, slow: j.slow, region: s.region, prober: s.prober,
				until: r.mono + patience(j.slots.Every) - late,
			})
		}
	}
	return tasks, skips
}

// miss returns slots of j that are not run. s.mu is held.
func (s *schedule) miss(j *job, from, to time.Time, reason checks.Reason, detail string) skipped {
	return skipped{
		job: j, check: j.spec.Name, slots: j.slots, from: from, to: to,
		region: s.region, prober: s.prober, reason: reason, detail: detail,
	}
}

// ahead writes how far a clock is off, for people.
func ahead(off time.Duration) string {
	if off < 0 {
		return (-off).Round(time.Second).String() + " behind"
	}
	return off.Round(time.Second).String() + " ahead of"
}

// ask returns the run that the scheduler asks for, unless the check is not
// ours, is being run for the asking or was a moment ago, the request is old, or
// the slot is planned anyway.
func (s *schedule) ask(run regions.Run) *task {
	now, off := s.clock.now()
	mono := s.clock.mono()
	slot := run.Slot.UTC().Truncate(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[run.Check]
	if j == nil {
		j = s.guest(run)
	}
	if j == nil || off != 0 || now.Sub(slot).Abs() > askedAge || j.slots.Every > 0 && j.slots.Next(slot.Add(-1)).Equal(slot) ||
		j.asking || j.asked && mono-j.askedAt < askedEvery {
		return nil
	}
	j.asking, j.asked, j.askedAt = true, true, mono
	return &task{job: j, spec: j.spec, host: j.host, slot: slot, asked: true, region: s.region, prober: s.prober}
}

// maxGuests is how many checks of others are remembered.
const maxGuests = 1000

// guest returns the job of a check that is another prober's, or nil when the
// request does not say what it is. It has no slots of its own. s.mu is held.
func (s *schedule) guest(run regions.Run) *job {
	if j := s.guests[run.Check]; j != nil && j.raw == string(run.Spec) {
		return j
	}
	if run.Spec == nil || s.region == "" {
		return nil
	}
	spec, err := checks.ParseWire(run.Spec)
	if err != nil || spec.Name != run.Check {
		s.log.Error("check that was asked for is of no use", "check", run.Check, "err", err)
		return nil
	}
	if s.guests == nil || len(s.guests) >= maxGuests {
		s.guests = map[string]*job{}
	}
	j := &job{raw: string(run.Spec), host: spec.Options.Target(), spec: spec}
	s.guests[run.Check] = j
	return j
}

// ended notes that a run is over, before its result is recorded.
func (s *schedule) ended(t *task, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.asked {
		t.job.asking = false
		return
	}
	t.job.busy, t.job.slow = false, took >= slowRun
}

// refused notes that a task will not be run.
func (s *schedule) refused(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.job.busy = false
}

// closed notes that the results of slots from the one given on are recorded.
func (s *schedule) closed(j *job, slot time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(j.open, slot.UnixMilli()); i >= 0 {
		j.open = slices.Delete(j.open, i, i+1)
	}
}

// place returns the region and how many checks there are.
func (s *schedule) place() (region string, checks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.region, len(s.jobs)
}
