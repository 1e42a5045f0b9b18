package scheduler

import (
	"context"
	"fmt"
	"time"

	"nines/internal/civil"
	"nines/scheduler/config"
	"nines/scheduler/report"
	"nines/scheduler/store"
)

// rollAfter is how long after its end a day is summed up for reports. Results
// that come later have it summed up again.
const rollAfter = time.Hour

// dayNumber returns days since the epoch.
func dayNumber(day civil.Date) int64 { return midnight(day).Unix() / (24 * 60 * 60) }

// rollUp sums up the days that are over and not summed up yet, of every check.
func (s *Scheduler) rollUp(ctx context.Context) error {
	c := s.config.Load()
	first, err := s.store.FirstDays(ctx)
	if err != nil {
		return err
	}
	raw, err := s.store.Pruned(ctx)
	if err != nil {
		return err
	}
	for i := range c.Checks {
		check := &c.Checks[i]
		begins, ok := first[check.Name]
		if !ok {
			continue
		}
		over := s.now().Add(-max(rollAfter, check.Rule().Stale()))
		last := dayNumber(civil.DateOf(over.UTC())) - 1
		days, err := s.store.Unrolled(ctx, check.Name, max(dayNumber(begins), dayNumber(raw)), last)
		if err != nil {
			return err
		}
		for _, day := range days {
			if err := s.rollDay(ctx, check, day); err != nil {
				return fmt.Errorf("summing up a day of %s: %w", check.Name, err)
			}
		}
	}
	return nil
}

// rollDay sums up one day. It reads while it has the writing transaction, so
// that no result can come in between that the day would lack for good.
func (s *Scheduler) rollDay(ctx context.Context, check *config.Check, day int64) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		r, err := report.Roll(ctx, reportSource{s.store}, check, day)
		if err != nil {
			return err
		}
		body, err := r.AppendBinary(nil)
		if err != nil {
			return err
		}
		return tx.PutRollup(ctx, check.Name, day, body)
	})
}
