package report

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/sla"
)

// Between closes the books of one SLA on any span [from, to), in whole
// milliseconds, by the rules of a month and from the results themselves. It has
// no month, revision or hash, and nothing of what was done about outages. Of a
// span whose results are gone it is an error.
func Between(ctx context.Context, cfg *config.Config, s *config.SLA, from, to time.Time, src Source) (*Report, error) {
	if err := allThere(ctx, src, from); err != nil {
		return nil, err
	}
	window := sla.Interval{From: from.UnixMilli(), To: to.UnixMilli()}
	b := &builder{ctx: ctx, cfg: cfg, sla: s, source: src, window: window, now: window.To}
	if err := b.read(); err != nil {
		return nil, fmt.Errorf("accounting for %s: %w", s.Name, err)
	}
	r := &Report{SLA: s.Name, Title: cmp.Or(s.Title, s.Name), From: milli(window.From), To: milli(window.To), Target: micros(s.Target.Micros)}
	b.figures(r)
	return r, nil
}

// Outages returns the spans in which a check was down, as whole as in a report
// of [from, to): those that overlap it, in order.
func Outages(ctx context.Context, c *config.Check, from, to time.Time, src Source) ([]regions.Span, error) {
	if err := allThere(ctx, src, from); err != nil {
		return nil, err
	}
	quarantines, err := wholeQuarantines(ctx, src)
	if err != nil {
		return nil, err
	}
	got, err := newReader(ctx, src, c, quarantines, sla.Interval{From: from.UnixMilli(), To: to.UnixMilli()}).run()
	if err != nil {
		return nil, err
	}
	var down []regions.Span
	for _, s := range got.spans {
		if s.Verdict == regions.Down && s.From.Before(to) && s.To.After(from) {
			down = append(down, s)
		}
	}
	return down, nil
}

// allThere returns an error unless the source still has its results from then
// on.
func allThere(ctx context.Context, src Source, from time.Time) error {
	days, ok := src.(Summaries)
	if !ok {
		return nil
	}
	since, err := days.Whole(ctx)
	if err != nil {
		return err
	}
	if from.Before(since) {
		return fmt.Errorf("results from before %s are gone, by retention; name a later time", since.UTC().Format(time.RFC3339))
	}
	return nil
}
