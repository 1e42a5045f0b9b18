package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// health is how the parts that pages depend on are doing.
type health struct {
	mu        sync.Mutex // protects following
	tick      time.Time  // the last that succeeded
	tickErr   error
	ingestErr error     // of the last batch
	results   time.Time // when the last batch was committed
}

func newHealth(now time.Time) *health { return &health{tick: now, results: now} }

func (h *health) ticked(now time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tickErr = err; err == nil {
		h.tick = now
	}
}

func (h *health) ingest(now time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ingestErr = err; err == nil {
		h.results = now
	}
}

// tickLate is how long verdicts may stand still before they count as broken.
const tickLate = 15 * time.Second

// sick says why ingest, verdicts or paging do not work, or nil.
func (s *Scheduler) sick(ctx context.Context) error {
	now := s.now()
	c := s.config.Load()
	s.health.mu.Lock()
	tick, tickErr, ingestErr, results := s.health.tick, s.health.tickErr, s.health.ingestErr, s.health.results
	s.health.mu.Unlock()
	var errs []error
	if late := now.Sub(tick); late > tickLate {
		errs = append(errs, errors.Join(fmt.Errorf("no verdict was reached for %s", late.Round(time.Second)), tickErr))
	}
	if ingestErr != nil {
		errs = append(errs, ingestErr)
	}
	if quiet := now.Sub(results); len(c.Checks) > 0 && quiet > longestStale(c) {
		errs = append(errs, fmt.Errorf("no result came for %s", quiet.Round(time.Second)))
	}
	depth, oldest, err := s.store.OutboxDepth(ctx, now)
	switch {
	case err != nil:
		errs = append(errs, err)
	case depth > 0 && now.Sub(oldest) > outboxLate:
		errs = append(errs, fmt.Errorf("%d notices wait, the oldest since %s", depth, oldest.Format(time.RFC3339)))
	}
	return errors.Join(errs...)
}

// ready says why results cannot be taken in or verdicts reached, or nil.
func (s *Scheduler) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		return err
	}
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if late := s.now().Sub(s.health.tick); late > tickLate {
		return errors.Join(fmt.Errorf("no verdict was reached for %s", late.Round(time.Second)), s.health.tickErr)
	}
	return nil
}
