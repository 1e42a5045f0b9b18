package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/store"
)

// ledger knows how each day of a check divides by its verdict. Days that are
// over are summed up once, from the results, and kept in the store for good,
// longer than the results themselves; a result that comes late has its days
// summed up again. Today is summed up from the results when it is first asked
// for and goes on with every verdict that changes.
type ledger struct {
	// immutable
	store *store.Store
	now   func() time.Time

	work sync.Mutex // held while reading from the store

	mu     sync.Mutex // protects following; never held for long: ingest waits for it
	checks map[string]*book
}

// book is one check's part of the ledger.
type book struct {
	rule  regions.Rule
	known bool
	first civil.Date               // the first day that anything is known of
	days  map[civil.Date][]verdict // of days that are over
	base  []verdict                // of the day of until, as the results say
	until time.Time                // how far base goes; zero: there is none
	turns []turning                // in order, after until
	stale bool                     // results came late for base
}

// verdict is a span of one verdict within a day; spans follow one another
// without a gap from the first on.
type verdict struct {
	From    int64           `json:"from"` // milliseconds
	To      int64           `json:"to"`
	Verdict regions.Verdict `json:"verdict"`
}

// turning is a verdict that began at a time.
type turning struct {
	at      time.Time
	verdict regions.Verdict
}

// resum is how often today is summed up again at most because of late results.
const resum = time.Minute

func newLedger(s *store.Store, now func() time.Time) *ledger {
	return &ledger{store: s, now: now, checks: map[string]*book{}}
}

// adopt makes the ledger one of the checks of c; first is the first day that
// anything is known of each. Days of checks whose rule has changed are read
// again, and summed up again where they are not by that rule.
func (l *ledger) adopt(c *config.Config, first map[string]civil.Date) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.checks
	l.checks = make(map[string]*book, len(c.Checks))
	for i := range c.Checks {
		name, rule := c.Checks[i].Name, c.Checks[i].Rule()
		b := before[name]
		if b == nil || fingerprint(b.rule) != fingerprint(rule) {
			b = &book{rule: rule, days: map[civil.Date][]verdict{}}
			b.first, b.known = first[name]
		}
		l.checks[name] = b
	}
}

// fingerprint tells rules apart that make different spans of the same results.
func fingerprint(r regions.Rule) string {
	print := fmt.Sprintf("%q %s %s %s", r.Regions, r.Every, r.Timeout, r.Quorum)
	if r.Weights != nil {
		print += fmt.Sprint(r.Weights)
	}
	return print
}

// forget has every check read again what the store has.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.checks {
		clear(b.days)
		b.until = time.Time{}
	}
}

// seen notes that there is a result of a check at a time.
func (l *ledger) seen(check string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.checks[check]; b != nil {
		b.seen(at)
	}
}

func (b *book) seen(at time.Time) {
	if day := civil.DateOf(at.UTC()); !b.known || day.Before(b.first) {
		b.first, b.known = day, true
	}
}

// late notes that results of a check in [from, to] came after their time, and
// that the store has dropped the days that they are in.
func (l *ledger) late(check string, from, to time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.checks[check]
	if b == nil {
		return
	}
	b.seen(from)
	first, last := civil.DateOf(from.UTC()), civil.DateOf(to.UTC())
	maps.DeleteFunc(b.days, func(day civil.Date, _ []verdict) bool { return !day.Before(first) && !last.Before(day) })
	b.stale = b.stale || !last.Before(civil.DateOf(b.until.UTC()))
}

// turned notes that the verdict of a check changed at t.
func (l *ledger) turned(check string, v regions.Verdict, t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.checks[check]; b != nil && !b.until.IsZero() {
		b.turns = append(b.turns, turning{t, v})
	}
}

// snapshot returns what is known of a check, to be read without the lock.
func (l *ledger) snapshot(check string) (book, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.checks[check]
	if b == nil || !b.known {
		return book{}, false
	}
	c := *b
	c.days, c.turns = maps.Clone(b.days), slices.Clone(b.turns)
	return c, true
}

// update changes what is known of a check, unless its rule has changed since
// the snapshot was taken.
func (l *ledger) update(check string, of book, f func(b *book)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.checks[check]; b != nil && fingerprint(b.rule) == fingerprint(of.rule) {
		f(b)
	}
}

// spans returns how [from, to) divides for a check, as far back as anything is
// known of it, and cut at both ends; to is not after now.
func (l *ledger) spans(ctx context.Context, check string, from, to time.Time) ([]verdict, error) {
	l.work.Lock()
	defer l.work.Unlock()
	b, ok := l.snapshot(check)
	if !ok {
		return nil, nil
	}
	first := civil.DateOf(from.UTC())
	if first.Before(b.first) {
		first = b.first
	}
	now := l.now().UTC()
	if err := l.load(ctx, check, b, first, civil.DateOf(now)); err != nil {
		return nil, err
	}
	var spans []verdict
	for day := first; midnight(day).Before(to); day = day.AddDays(1) {
		of, err := l.day(ctx, check, b, day, now)
		if err != nil {
			return nil, err
		}
		for _, s := range of {
			s.From, s.To = max(s.From, from.UnixMilli()), min(s.To, to.UnixMilli())
			if s.From >= s.To {
				continue
			}
			if n := len(spans); n > 0 && spans[n-1].Verdict == s.Verdict && spans[n-1].To == s.From {
				spans[n-1].To = s.To
				continue
			}
			spans = append(spans, s)
		}
	}
	return spans, nil
}

func midnight(day civil.Date) time.Time { return civil.StartOfDay(day, time.UTC) }

// kept is a day as the store keeps it.
type kept struct {
	Rule  string    `json:"rule"`
	Spans []verdict `json:"spans"`
}

// load reads the days in [first, today) that are in the store and not in
// memory, into b too.
func (l *ledger) load(ctx context.Context, check string, b book, first, today civil.Date) error {
	missing := false
	for day := first; day.Before(today); day = day.AddDays(1) {
		_, ok := b.days[day]
		missing = missing || !ok
	}
	if !missing {
		return nil
	}
	stored, err := l.store.Days(ctx, check, midnight(first), midnight(today))
	if err != nil {
		return err
	}
	raw, err := l.store.Pruned(ctx)
	if err != nil {
		return err
	}
	for day, data := range stored {
		var k kept
		if err := json.Unmarshal(data, &k); err != nil {
			return fmt.Errorf("reading %s of %s: %w", day, check, err)
		}
		// By another rule, it is summed up again as long as the results are there.
		again := k.Rule != fingerprint(b.rule) && !day.Before(raw)
		if _, ok := b.days[day]; !ok && !again {
			b.days[day] = k.Spans
			l.update(check, b, func(b *book) { b.days[day] = k.Spans })
		}
	}
	return nil
}

// day returns a day's spans, summing it up if that was not done before.
func (l *ledger) day(ctx context.Context, check string, b book, day civil.Date, now time.Time) ([]verdict, error) {
	if spans, ok := b.days[day]; ok {
		return spans, nil
	}
	over := midnight(day.AddDays(1))
	if now.Before(over) {
		return l.running(ctx, check, b, day, now)
	}
	// Results that are under way may still belong to yesterday.
	settled := now.Sub(over) >= b.rule.Stale()
	if !settled && civil.DateOf(b.until) == day {
		return b.reach(over), nil
	}
	spans, err := l.sum(ctx, check, b.rule, midnight(day), over)
	if err != nil || !settled {
		return spans, err
	}
	data, err := json.Marshal(kept{fingerprint(b.rule), spans})
	if err != nil {
		return nil, err
	}
	err = l.store.Update(ctx, func(tx *store.Tx) error { return tx.PutDay(ctx, check, day, data) })
	if err != nil {
		return nil, err
	}
	l.update(check, b, func(b *book) { b.days[day] = spans })
	return spans, nil
}

// running returns today's spans until now.
func (l *ledger) running(ctx context.Context, check string, b book, day civil.Date, now time.Time) ([]verdict, error) {
	if civil.DateOf(b.until) == day && (!b.stale || now.Sub(b.until) < resum) {
		return b.reach(now), nil
	}
	l.update(check, b, func(b *book) {
		b.until, b.stale, b.turns = now, false, nil // from here on turnings are noted
	})
	spans, err := l.sum(ctx, check, b.rule, midnight(day), now)
	l.update(check, b, func(b *book) {
		if b.base = spans; err != nil {
			b.until = time.Time{}
		}
	})
	return spans, err
}

// reach returns the spans of the day of b.until, up to a time on it or at its
// end.
func (b *book) reach(end time.Time) []verdict {
	spans := slices.Clone(b.base)
	add := func(t time.Time, v regions.Verdict) {
		ms := min(t.UnixMilli(), end.UnixMilli())
		if n := len(spans); n > 0 {
			spans[n-1].To = max(spans[n-1].From, ms)
			ms = spans[n-1].To
		}
		spans = append(spans, verdict{ms, ms, v})
	}
	for _, t := range b.turns {
		add(t.at, t.verdict)
	}
	if n := len(spans); n > 0 {
		spans[n-1].To = max(spans[n-1].From, end.UnixMilli())
	}
	return spans
}

// sum divides [from, to) by the results in the store.
func (l *ledger) sum(ctx context.Context, check string, rule regions.Rule, from, to time.Time) ([]verdict, error) {
	quarantines, err := l.store.Quarantines(ctx, from.Add(-rule.Stale()), to)
	if err != nil {
		return nil, err
	}
	sweep := regions.NewSweep(rule, quarantines, from)
	for r, err := range l.store.Outlines(ctx, check, from.Add(-rule.Stale()), to) {
		if err != nil {
			return nil, err
		}
		sweep.Add(&r)
	}
	var spans []verdict
	for _, s := range sweep.End(to) {
		spans = append(spans, verdict{s.From.UnixMilli(), s.To.UnixMilli(), s.Verdict})
	}
	return spans, nil
}

// close sums up all days that are over and not summed up yet.
func (l *ledger) close(ctx context.Context) error {
	if err := l.store.Compact(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	names := slices.Sorted(maps.Keys(l.checks))
	l.mu.Unlock()
	for _, check := range names {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now := l.now().UTC()
		if _, err := l.spans(ctx, check, time.Time{}, midnight(civil.DateOf(now))); err != nil {
			return fmt.Errorf("summing up days of %s: %w", check, err)
		}
	}
	return nil
}

// lateness is the span of At of a check's results that came after their time.
type lateness struct{ from, to time.Time }

// lateOf returns, by check, which of the results came after their time: those
// that say nothing of now, and so did not go into any verdict.
func lateOf(results []checks.Result, stale func(check string) time.Duration, now time.Time) map[string]lateness {
	late := map[string]lateness{}
	for i := range results {
		r := &results[i]
		age := stale(r.Check)
		if now.Sub(r.At) < age {
			continue
		}
		l, ok := late[r.Check]
		if !ok {
			l = lateness{r.At, r.At}
		}
		if r.At.Before(l.from) {
			l.from = r.At
		}
		if end := r.At.Add(age); end.After(l.to) {
			l.to = end
		}
		late[r.Check] = l
	}
	return late
}
