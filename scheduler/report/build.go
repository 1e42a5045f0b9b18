package report

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/sla"
)

// exactMost is up to how many results a month's percentiles are exact as long
// as its results are there: about as many as can be read in a second.
const exactMost = 1_000_000

// Build makes the report of one SLA for a month. A month that is still running
// ends at now, in whole milliseconds; one that has not begun is an error. Of a
// source that has Summaries, what has more than a million results is not read
// again where a day is summed up: percentiles are then within 1 %.
func Build(ctx context.Context, cfg *config.Config, s *config.SLA, month civil.Month, now time.Time, src Source) (*Report, error) {
	return build(ctx, cfg, s, month, now, src, exactMost)
}

// BuildExact is Build with exact percentiles whatever they cost, unless some
// results are gone.
func BuildExact(ctx context.Context, cfg *config.Config, s *config.SLA, month civil.Month, now time.Time, src Source) (*Report, error) {
	return build(ctx, cfg, s, month, now, src, math.MaxInt64)
}

func build(ctx context.Context, cfg *config.Config, s *config.SLA, month civil.Month, now time.Time, src Source, most int64) (*Report, error) {
	window, running, err := windowOf(s, month, now)
	if err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, cfg: cfg, sla: s, source: src, window: window, running: running, now: now.UnixMilli()}
	if err := b.readAll(most); err != nil {
		return nil, fmt.Errorf("building the report of %s for %s: %w", s.Name, month, err)
	}
	r := &Report{
		SLA: s.Name, Title: cmp.Or(s.Title, s.Name), Month: month.String(), Timezone: s.Timezone.String(),
		From: milli(window.From), To: milli(window.To), Target: micros(s.Target.Micros),
		Revision: 1, ResultsSHA256: b.sum, Zone: s.Timezone, Running: running,
		Average: b.terms().Average, MinOutage: s.MinOutage, ServiceHours: s.ServiceHours, Maintenance: b.maintenance(),
		Rough: b.rough, Coarse: b.coarse, daily: sync.OnceValue(func() []Day { return b.divideDays(month) }),
	}
	if first, _ := month.Bounds(s.Timezone); window.From > first.UnixMilli() {
		r.Since = s.Since
	}
	r.Weighted = b.weighted()
	b.figures(r)
	if err := b.outages(r); err != nil {
		return nil, fmt.Errorf("building the report of %s for %s: %w", s.Name, month, err)
	}
	return r, nil
}

// Promised reports whether the SLA's promise holds in any of a month.
func Promised(s *config.SLA, month civil.Month) bool {
	_, to := month.Bounds(s.Timezone)
	return s.Since == (civil.Date{}) || civil.StartOfDay(s.Since, s.Timezone).Before(to)
}

// windowOf returns the month in the SLA's zone as far as it has come.
func windowOf(s *config.SLA, month civil.Month, now time.Time) (w sla.Interval, running bool, err error) {
	from, to := month.Bounds(s.Timezone)
	if s.Since != (civil.Date{}) {
		if !Promised(s, month) {
			return w, false, fmt.Errorf("the promise holds since %s, after %s; name a later month", s.Since, month)
		}
		from = civil.Later(from, civil.StartOfDay(s.Since, s.Timezone))
	}
	w = sla.Interval{From: from.UnixMilli(), To: to.UnixMilli()}
	if ms := now.UnixMilli(); ms < w.To {
		w.To, running = ms, true
	}
	if w.Len() == 0 {
		return w, false, fmt.Errorf("%s has not begun yet in %s; it does at %s",
			month, s.Timezone, from.UTC().Format(time.RFC3339))
	}
	return w, running, nil
}

// builder is a report on its way.
type builder struct {
	ctx     context.Context
	cfg     *config.Config
	sla     *config.SLA
	source  Source
	window  sla.Interval
	running bool
	now     int64

	days   Summaries // nil: results are read
	whole  int64     // the first day whose results are there, where days is known
	rough  bool      // percentiles are within 1 %
	coarse bool      // see reading

	checks   []*config.Check
	outside  []sla.Interval // the service hours
	readings []*reading     // one a check
	excused  [][]sla.Interval
	took     taken
	sum      string // SHA-256 of all that was read, in hex
	ledger   sla.Ledger
}

func (b *builder) terms() sla.Terms {
	t := sla.Terms{
		Window:    b.window,
		MinOutage: int64((b.sla.MinOutage + time.Millisecond - 1) / time.Millisecond),
		Average:   b.sla.Combine == "average",
		Target:    b.sla.Target.Micros,
	}
	for _, c := range b.sla.Credits {
		t.Credits = append(t.Credits, sla.Credit{Below: c.Below.Micros, Percent: c.Percent})
	}
	return t
}

// readAll reads results where all are there and no more than `most`, and what
// days came to otherwise.
func (b *builder) readAll(most int64) error {
	days, ok := b.source.(Summaries)
	if !ok {
		return b.read()
	}
	since, err := days.Whole(b.ctx)
	if err != nil {
		return err
	}
	b.whole = dayOf(since.UnixMilli())
	if b.expected() <= most && b.whole <= dayOf(b.window.From) {
		if err := b.read(); !errors.Is(err, errGone) {
			return err
		}
	}
	b.days, b.rough = days, true
	return b.read()
}

// expected is how many results the window should have.
func (b *builder) expected() (n int64) {
	for _, name := range b.sla.Checks {
		if c := b.cfg.Check(name); c != nil {
			n += b.window.Len() / max(1, c.Every.Milliseconds()) * int64(len(c.Regions))
		}
	}
	return n
}

// errGone says that results are needed that are gone.
var errGone = errors.New("results are gone")

// read reads every check and closes the ledger.
func (b *builder) read() error {
	b.outside = sla.OutsideHours(b.window, b.sla.ServiceHours, b.sla.Timezone)
	b.checks, b.excused, b.took = nil, nil, taken{}
	quarantines, err := wholeQuarantines(b.ctx, b.source)
	if err != nil {
		return err
	}
	for _, name := range b.sla.Checks {
		c := b.cfg.Check(name)
		if c == nil {
			return fmt.Errorf("no check is called %q", name)
		}
		b.checks, b.excused = append(b.checks, c), append(b.excused, b.excusedOf(c))
	}
	if err := b.readChecks(quarantines); err != nil {
		return err
	}
	digest := sha256.New()
	var overlapping []checks.Quarantine
	spans := make([]sla.Check, len(b.checks))
	for _, i := range b.byName() {
		got := b.readings[i]
		writeDigests(digest, b.checks[i].Name, got.digests)
		spans[i] = sla.Check{Spans: ledgerSpans(got.spans), Excused: b.excused[i]}
		b.coarse = b.coarse || got.coarse
		from, to := dayOf(got.of.From)*dayMilli, (dayOf(got.of.To)+1)*dayMilli
		for _, q := range quarantines {
			if q.From.UnixMilli() < to && q.To.UnixMilli() > from {
				overlapping = append(overlapping, q)
			}
		}
	}
	if err := writeQuarantines(digest, overlapping); err != nil {
		return err
	}
	b.sum = hex.EncodeToString(digest.Sum(nil))
	b.ledger = sla.Account(b.terms(), spans)
	return nil
}

// readChecks reads every check, several at a time where days are read.
func (b *builder) readChecks(quarantines []checks.Quarantine) error {
	b.readings = make([]*reading, len(b.checks))
	workers := 1
	if b.days != nil {
		workers = min(4, runtime.GOMAXPROCS(0))
	}
	var next atomic.Int64
	var reading sync.WaitGroup
	var mu sync.Mutex // protects errs and b.took
	var errs []error
	for range workers {
		reading.Go(func() {
			scratch := newLatencies(nil, b.window, false)
			for i := int(next.Add(1)) - 1; i < len(b.checks); i = int(next.Add(1)) - 1 {
				got, err := b.reading(b.checks[i], quarantines, scratch)
				mu.Lock()
				if b.readings[i] = got; err != nil {
					errs = append(errs, err)
					next.Store(int64(len(b.checks)))
				} else {
					b.took.merge(got.took)
					got.percentiles = got.took.percentiles()
					got.took = nil
				}
				mu.Unlock()
			}
		})
	}
	reading.Wait()
	return errors.Join(errs...)
}

// reading reads one check; where days are read its latencies are scratch.
func (b *builder) reading(c *config.Check, quarantines []checks.Quarantine, scratch *latencies) (*reading, error) {
	rd := newReader(b.ctx, b.source, c, quarantines, b.window)
	if b.days != nil {
		return (&folder{reader: rd, days: b.days, whole: b.whole, now: b.now, took: scratch}).run()
	}
	got, err := rd.run()
	if err == nil && b.whole > dayOf(got.of.From) {
		err = errGone
	}
	return got, err
}

// byName returns the places of the checks in the order of their names, which
// the hash goes by: it does not depend on how a configuration is arranged.
func (b *builder) byName() []int {
	order := make([]int, len(b.checks))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(b.checks[i].Name, b.checks[j].Name) })
	return order
}

// wholeQuarantines returns all quarantines in whole milliseconds.
func wholeQuarantines(ctx context.Context, src Source) ([]checks.Quarantine, error) {
	list, err := src.Quarantines(ctx, time.Unix(0, 0).UTC(), endOfTime)
	if err != nil {
		return nil, fmt.Errorf("reading quarantines: %w", err)
	}
	list = slices.Clone(list)
	for i := range list {
		list[i].From, list[i].To = milli(list[i].From.UnixMilli()), milli(list[i].To.UnixMilli())
	}
	return list, nil
}

// excusedOf returns when the check does not count: under maintenance and
// outside the service hours.
func (b *builder) excusedOf(c *config.Check) []sla.Interval {
	planned := b.cfg.MaintenanceOf(c.Name, milli(b.window.From), milli(b.window.To))
	return append(sla.Intervals(planned), b.outside...)
}

// ledgerSpans turns verdicts into what the ledger counts, one for one.
func ledgerSpans(spans []regions.Span) []sla.Span {
	list := make([]sla.Span, len(spans))
	for i, s := range spans {
		list[i] = sla.Span{Interval: sla.Interval{From: s.From.UnixMilli(), To: s.To.UnixMilli()}}
		switch s.Verdict {
		case regions.Up, regions.Degraded:
			list[i].State = sla.Up
		case regions.Down:
			list[i].State = sla.Down
		}
	}
	return list
}

// figures fills in all that the ledger and the regions say.
func (b *builder) figures(r *Report) {
	l := b.ledger
	r.Verdict = l.Verdict()
	r.Availability, r.Worst, r.Best, r.Coverage = percent(l.Availability()), percent(l.Worst()), percent(l.Best()), percent(l.Coverage())
	r.Seconds = secondsOf(l.Totals)
	r.Allowed, r.Left = seconds(l.Allowed()), seconds(l.Left())
	r.OutsideHours = seconds(b.window.Len() - sla.Outside(b.window, b.outside))
	owed, any := l.Credit()
	if limit := b.sla.CreditCap; limit != nil {
		owed.Percent, r.CreditCap = min(owed.Percent, *limit), share(*limit)
	}
	r.Credit = share(owed.Percent)
	for _, c := range b.sla.Credits {
		r.Credits = append(r.Credits, Credit{micros(c.Below.Micros), share(c.Percent), any && c.Below.Micros == owed.Below})
	}
	if between, ok := l.BetweenFailures(); ok {
		r.BetweenFailures = seconds(between)
	}
	r.Checks = []Check{}
	for i, c := range b.checks {
		r.Checks = append(r.Checks, Check{
			Check: c.Name, Title: cmp.Or(c.Title, c.Name),
			Availability: percent(l.Checks[i].Availability()), Seconds: secondsOf(l.Checks[i]),
			P50: b.readings[i].percentiles.p50, P95: b.readings[i].percentiles.p95, P99: b.readings[i].percentiles.p99,
			strip: strip(l.Divided[i], b.window),
		})
	}
	r.Regions = []Region{}
	for _, region := range b.cfg.Regions {
		if seen, ok := b.region(region); ok {
			r.Regions = append(r.Regions, seen)
		}
	}
}

// weighted tells which regions of which checks have more than one vote.
func (b *builder) weighted() (list []string) {
	for _, c := range b.checks {
		for i, weight := range c.Weights {
			if weight != 1 {
				list = append(list, fmt.Sprintf("%s of %s has %d votes", c.Regions[i], cmp.Or(c.Title, c.Name), weight))
			}
		}
	}
	return list
}

// share is a percentage from the configuration that is not compared with
// anything: what is owed.
func share(percent float64) Decimal { return micros(int64(math.Round(percent * 1e6))) }

// region sums up what one region saw; false where no check runs from it.
func (b *builder) region(region config.Region) (Region, bool) {
	var seen []sla.Check
	for i, c := range b.checks {
		place := slices.Index(c.Regions, region.Name)
		if place < 0 {
			continue
		}
		var spans []sla.Span
		for _, s := range b.readings[i].regions[place] {
			span := sla.Span{Interval: sla.Interval{From: s.From.UnixMilli(), To: s.To.UnixMilli()}}
			switch s.Status {
			case checks.Up:
				span.State = sla.Up
			case checks.Down:
				span.State = sla.Down
			}
			spans = append(spans, span)
		}
		seen = append(seen, sla.Check{Spans: spans, Excused: b.excused[i]})
	}
	if len(seen) == 0 {
		return Region{}, false
	}
	l := sla.Account(sla.Terms{Window: b.window, Average: true}, seen)
	r := Region{Region: region.Name, Title: cmp.Or(region.Title, region.Name), Availability: percent(l.Availability())}
	took := percentilesOf(func(p int64) (int64, bool) { return b.took.percentile(region.Name, p) })
	r.P50, r.P95, r.P99 = took.p50, took.p95, took.p99
	return r, true
}

// maintenance lists the planned interruptions of the SLA's checks in order.
func (b *builder) maintenance() []Maintenance {
	var list []Maintenance
	for i := range b.cfg.Maintenance {
		m := &b.cfg.Maintenance[i]
		var ours []string
		for _, name := range m.Checks {
			if slices.Contains(b.sla.Checks, name) {
				ours = append(ours, name)
			}
		}
		if len(ours) == 0 {
			continue
		}
		for _, s := range m.Spans(milli(b.window.From), milli(b.window.To)) {
			list = append(list, Maintenance{Title: m.Title, Checks: ours, From: s.From.UTC(), To: s.To.UTC()})
		}
	}
	slices.SortStableFunc(list, func(x, y Maintenance) int { return x.From.Compare(y.From) })
	return list
}
