package report

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"time"

	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/sla"
)

// Between closes the books of one SLA on any span [from, to), in whole
// milliseconds, by the rules of a month. It has no month, revision or hash,
// and nothing of what was done about outages.
func Between(ctx context.Context, cfg *config.Config, s *config.SLA, from, to time.Time, src Source) (*Report, error) {
	window := sla.Interval{From: from.UnixMilli(), To: to.UnixMilli()}
	b := &builder{ctx: ctx, cfg: cfg, sla: s, source: src, window: window}
	if err := b.read(); err != nil {
		return nil, fmt.Errorf("accounting for %s: %w", s.Name, err)
	}
	r := &Report{SLA: s.Name, Title: cmp.Or(s.Title, s.Name), From: milli(window.From), To: milli(window.To), Target: micros(s.Target.Micros)}
	b.figures(r)
	return r, nil
}

// Outages returns the spans in which a check was down, as whole as in a report
// of [from, to): those that overlap it, in order.
func Outages(ctx context.Context, cfg *config.Config, c *config.Check, from, to time.Time, src Source) ([]regions.Span, error) {
	window := sla.Interval{From: from.UnixMilli(), To: to.UnixMilli()}
	b := &builder{ctx: ctx, cfg: cfg, source: src, window: window}
	quarantines, err := b.quarantines()
	if err != nil {
		return nil, err
	}
	got, _, err := newReader(ctx, src, c, quarantines, window).run(sha256.New().(hash.Cloner))
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
