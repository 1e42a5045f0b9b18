package scheduler

import (
	"context"
	"fmt"
	"math"
	"time"

	"nines/checks"
	"nines/regions"
	"nines/scheduler/store"
)

// ingestMost bounds one transaction of ingest. A prober that goes away does
// not cut it short: what it sent is worth keeping.
const ingestMost = 30 * time.Second

// Limits of what one result may carry besides what Result.Validate checks.
const (
	maxPhases = 16
	maxFacts  = 64
)

// farAhead is how far ahead of our clock a result is no longer believed to be
// of any time at all.
const farAhead = time.Hour

// Ingest commits a prober's results and everything that follows from them in
// one transaction: what was not there before is stored, the checks are judged,
// incidents move, and notices are queued. It returns what may be forgotten. It
// is fleet's Ingester.
//
// Prober and Region are those of the token; a result that names others is
// rejected, as is one of a check that is not configured.
func (s *Scheduler) Ingest(ctx context.Context, prober, region string, b regions.Batch) (regions.Ack, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ingestMost)
	defer cancel()
	started := time.Now()
	ack := regions.Ack{Seqs: make([]int64, 0, len(b.Entries))}
	for i := range b.Entries {
		ack.Seqs = append(ack.Seqs, b.Entries[i].Seq)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	wrong := make([]error, len(b.Entries))
	for i := range b.Entries {
		if wrong[i] = s.admit(&b.Entries[i].Result, prober, region, now); wrong[i] != nil {
			if ack.Rejected == nil {
				ack.Rejected = map[int64]string{}
			}
			ack.Rejected[b.Entries[i].Seq] = wrong[i].Error()
		}
	}
	var taken []checks.Result
	t := s.begin(now)
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		fresh, err := tx.Receive(ctx, prober, b.Spool, ack.Seqs)
		if err != nil {
			return err
		}
		for i := range b.Entries {
			if fresh[i] && wrong[i] == nil {
				taken = append(taken, b.Entries[i].Result)
			}
		}
		if err := tx.Append(ctx, taken); err != nil {
			return err
		}
		return t.judge(ctx, tx, taken)
	})
	if err != nil {
		s.health.ingest(now, err)
		return regions.Ack{}, fmt.Errorf("ingesting from %s: %w", prober, err)
	}
	s.commit(t)
	s.health.ingest(now, nil)
	s.metrics.ingested(taken, time.Since(started))
	for seq, why := range ack.Rejected {
		s.log.Warn("result rejected", "prober", prober, "region", region, "seq", seq, "err", why)
	}
	ack.Now = now
	return ack, nil
}

// admit checks a result and completes it in place. The caller holds s.mu.
func (s *Scheduler) admit(r *checks.Result, prober, region string, now time.Time) error {
	if r.Prober != "" && r.Prober != prober || r.Region != "" && r.Region != region {
		return fmt.Errorf("it names prober %q in %q and was sent by %q in %q", r.Prober, r.Region, prober, region)
	}
	r.Prober, r.Region = prober, region
	if err := r.Validate(); err != nil {
		return err
	}
	if s.watches[r.Check] == nil {
		return fmt.Errorf("check %q is not configured", r.Check)
	}
	if keep := s.config.Load().Retention; keep > 0 && r.At.Before(now.Add(-keep)) {
		return fmt.Errorf("at: %s is older than results are kept", r.At.UTC().Format(time.RFC3339))
	}
	if r.At.After(now.Add(farAhead)) {
		return fmt.Errorf("at: %s is ahead of the scheduler's clock, which is at %s", r.At.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if r.Reason != "" && !r.Reason.Known() {
		return fmt.Errorf("reason %q is not known to this scheduler; upgrade it", r.Reason)
	}
	if len(r.Phases) > maxPhases || len(r.Facts) > maxFacts {
		return fmt.Errorf("%d phases and %d facts; at most %d and %d", len(r.Phases), len(r.Facts), maxPhases, maxFacts)
	}
	for name, ms := range r.Phases {
		if len(name) > 64 || math.IsNaN(ms) || ms < 0 || ms > 1e9 {
			return fmt.Errorf("phases_ms: %.80q: %v is not a number of milliseconds from 0 to 1e9", name, ms)
		}
	}
	r.Normalize()
	return nil
}

// quarantined reports whether r falls under a quarantine. The caller holds s.mu.
func (s *Scheduler) quarantined(r *checks.Result) bool {
	for i := range s.quarantines {
		if s.quarantines[i].Covers(r) {
			return true
		}
	}
	return false
}
