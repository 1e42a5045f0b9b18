package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/google/uuid"

	"nines/regions"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// job is something that is done again and again.
type job struct {
	name  string
	every time.Duration
	run   func(ctx context.Context) error
}

func (s *Scheduler) jobs() []job {
	return []job{
		{"tick", time.Second, s.tick},
		{"compact", 5 * time.Minute, s.compact},
		{"retain", time.Hour, s.retain},
		{"close months", 10 * time.Minute, s.closeMonths},
		{"burn", 30 * time.Second, s.burn},
		{"send reports", time.Minute, s.deliver},
		{"dead man", time.Minute, s.ping},
	}
}

// startJobs starts the jobs and returns what stops them and waits for those
// under way.
func (s *Scheduler) startJobs(ctx context.Context) (stop func() error, err error) {
	cron, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithStopTimeout(shutdownMost))
	if err != nil {
		return nil, fmt.Errorf("starting jobs: %w", err)
	}
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	for _, j := range s.jobs() {
		_, err := cron.NewJob(gocron.DurationJob(j.every), gocron.NewTask(s.once(working, j)), gocron.WithName(j.name),
			// s.once recovers from whatever the job does; without this, gocron
			// lets the process die of what is left.
			gocron.WithEventListeners(gocron.AfterJobRunsWithPanic(func(_ uuid.UUID, name string, p any) {
				s.log.Error("job panicked", "job", name, "err", p)
			})))
		if err != nil {
			cancel()
			return nil, fmt.Errorf("starting the job %s: %w", j.name, err)
		}
	}
	cron.Start()
	return func() error {
		// What a job has begun in the store it may finish, for a while.
		defer cancel()
		defer time.AfterFunc(shutdownMost/2, cancel).Stop()
		if err := cron.Shutdown(); err != nil {
			return fmt.Errorf("stopping jobs: %w", err)
		}
		return nil
	}, nil
}

// once returns a function that runs a job unless it still runs, and logs when
// it begins or ceases to fail.
func (s *Scheduler) once(ctx context.Context, j job) func() {
	free := make(chan struct{}, 1)
	free <- struct{}{}
	failing := false // only changed by whoever has free
	return func() {
		select {
		case <-free:
		default:
			s.metrics.skipped.WithLabelValues(j.name).Inc()
			return
		}
		defer func() { free <- struct{}{} }()
		err := s.attempt(ctx, j)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			s.log.Error("job failed", "job", j.name, "err", err)
		case err == nil && failing:
			s.log.Info("job works again", "job", j.name)
		}
		failing = err != nil
	}
}

func (s *Scheduler) attempt(ctx context.Context, j job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return j.run(ctx)
}

// tick does what is due by the clock alone: it judges checks whose votes have
// gone stale, and moves incidents on.
func (s *Scheduler) tick(ctx context.Context) error {
	now := s.now()
	err := errors.Join(s.judgeDue(ctx), s.attendDue(ctx, now))
	s.health.ticked(now, err)
	return err
}

// judgeDue judges the checks whose verdict may have changed without a result.
func (s *Scheduler) judgeDue(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(s.now())
	for name, w := range s.watches {
		if !w.next.IsZero() && !w.next.After(t.now) {
			t.watch(name)
		}
	}
	if len(t.watches) == 0 {
		return nil
	}
	// A change of the verdict that no incident follows from is not written.
	quiet := true
	for _, w := range t.watches {
		quiet = quiet && w.incident == 0 && w.verdictAt(t.now) != regions.Down
	}
	move := func(tx *store.Tx) error {
		for _, w := range t.watches {
			if err := t.move(ctx, tx, w); err != nil {
				return err
			}
		}
		return nil
	}
	var err error
	if quiet {
		err = move(nil)
	} else {
		err = s.store.Update(ctx, move)
	}
	if err != nil {
		return fmt.Errorf("judging: %w", err)
	}
	s.commit(t)
	return nil
}

// attendDue moves on the incidents that wait for the clock. One that cannot be
// does not hold up the others.
func (s *Scheduler) attendDue(ctx context.Context, now time.Time) error {
	due, err := s.store.DueIncidents(ctx, now)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, i := range due {
		if i.Muted != "" && s.muted(i.Check, now) != "" {
			continue
		}
		t := s.begin(s.now())
		err := s.store.Update(ctx, func(tx *store.Tx) error { return t.attend(ctx, tx, i.ID) })
		if err != nil {
			errs = append(errs, fmt.Errorf("incident %d: %w", i.ID, err))
			continue
		}
		s.commit(t)
	}
	return errors.Join(errs...)
}

// attend does what an incident waits for: it wakes, is unmuted, or goes to its
// next step.
func (t *turn) attend(ctx context.Context, tx *store.Tx, id int64) error {
	i, err := tx.Incident(ctx, id)
	if err != nil {
		return err
	}
	i, events, woke := incident.Wake(i, t.now)
	wasMuted := i.Muted != "" && t.s.muted(i.Check, t.now) == ""
	if wasMuted {
		unmuted, more, _ := incident.Unmute(i, t.now)
		i, events = unmuted, append(events, more...)
	}
	if len(events) > 0 {
		t.changed = true
		if err := tx.PutIncident(ctx, i, events); err != nil {
			return err
		}
	}
	switch {
	case i.Due(t.now):
		return t.fire(ctx, tx, i)
	case wasMuted && i.Severity != incident.None:
		return t.announce(ctx, tx, i)
	case woke:
		return t.refresh(ctx, tx, i, "the snooze is over", t.now)
	}
	return nil
}

// compact moves results into blocks when many wait or an hour is over.
func (s *Scheduler) compact(ctx context.Context) error {
	n, oldest, err := s.store.Live(ctx)
	if err != nil || n == 0 {
		return err
	}
	if n < compactFrom && !oldest.Before(s.now().Truncate(time.Hour)) {
		return nil
	}
	return s.store.Compact(ctx)
}

// compactFrom is how many results may wait before they are compacted within
// the hour that they belong to, which costs writing some blocks twice.
const compactFrom = 5_000_000

// retain sums up the days that are over and then deletes the raw results that
// are older than they are kept.
func (s *Scheduler) retain(ctx context.Context) error {
	if err := s.ledger.close(ctx); err != nil {
		return err
	}
	if err := s.rollUp(ctx); err != nil {
		return err
	}
	keep := s.config.Load().Retention
	if keep <= 0 {
		return nil
	}
	n, err := s.store.Prune(ctx, s.now().Add(-keep))
	if n > 0 {
		s.log.Info("old results deleted", "blocks", n)
	}
	return err
}

// ping tells the dead man's switch that all is well, if it is.
func (s *Scheduler) ping(ctx context.Context) error {
	url := s.config.Load().DeadMan
	if url == "" {
		return nil
	}
	if sick := s.sick(ctx); sick != nil {
		return fmt.Errorf("not pinging the dead man's switch: %w", sick)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("pinging the dead man's switch: %w", err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode >= 300 {
		return fmt.Errorf("pinging the dead man's switch: %s", answer.Status)
	}
	return nil
}
