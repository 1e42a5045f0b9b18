package scheduler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/config"
	"nines/scheduler/report"
	"nines/scheduler/store"
)

// closeAfter is how long after its end a month is closed.
const closeAfter = 48 * time.Hour

// reportSource is the store as reports read it.
type reportSource struct{ store *store.Store }

// ReportSource returns a store as the source of reports.
func ReportSource(s *store.Store) report.Summaries { return reportSource{s} }

// Results implements report.Source.
func (r reportSource) Results(ctx context.Context, check string, from, to time.Time) iter.Seq2[checks.Result, error] {
	return r.store.Results(ctx, check, from, to)
}

// Rollups implements report.Summaries. Days before a check's first are empty.
func (r reportSource) Rollups(ctx context.Context, check string, first, last int64, f func(day int64, body []byte) error) error {
	next := first
	err := r.store.Rollups(ctx, check, first, last, func(day int64, body []byte) error {
		if day == next {
			next++
		}
		return f(day, body)
	})
	if err != nil || next > last {
		return err
	}
	begins, err := r.store.FirstDay(ctx, check, last+1)
	for day := first; err == nil && day < min(begins, last+1); day++ {
		var empty []byte
		if empty, err = (&report.Rollup{Day: day}).AppendBinary(nil); err == nil {
			err = f(day, empty)
		}
	}
	return err
}

// Whole implements report.Summaries.
func (r reportSource) Whole(ctx context.Context) (time.Time, error) {
	day, err := r.store.Pruned(ctx)
	return midnight(day), err
}

// Quarantines implements report.Source.
func (r reportSource) Quarantines(ctx context.Context, from, to time.Time) ([]checks.Quarantine, error) {
	return r.store.Quarantines(ctx, from, to)
}

// Milestones implements report.Source.
func (r reportSource) Milestones(ctx context.Context, check string, from, to time.Time) ([]report.Milestone, error) {
	incidents, err := r.store.Incidents(ctx, from, to)
	if err != nil {
		return nil, err
	}
	var list []report.Milestone
	for _, i := range slices.Backward(incidents) {
		if i.Check == check {
			list = append(list, report.Milestone{From: i.OutageFrom, Opened: i.Opened, Acknowledged: i.AckedAt})
		}
	}
	return list, nil
}

// reportWriters are the formats of a report and their media types.
var reportWriters = map[string]struct {
	write     func(io.Writer, []*report.Report) error
	mediaType string
}{
	"json": {report.WriteJSON, "application/json"},
	"csv":  {report.WriteCSV, "text/csv; charset=utf-8"},
	"html": {report.WriteHTML, "text/html; charset=utf-8"},
	"pdf":  {report.WritePDF, "application/pdf"},
}

// closeMonths stores the reports of months that ended 48 hours ago, and makes
// another revision of those that results have come for since.
func (s *Scheduler) closeMonths(ctx context.Context) error {
	c, now := s.config.Load(), s.now()
	touched, err := s.store.Touched(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for i := range c.SLAs {
		if err := s.closeMonthsOf(ctx, c, &c.SLAs[i], touched, now); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 && len(touched) > 0 {
		errs = append(errs, s.store.Update(ctx, func(tx *store.Tx) error { return tx.Untouch(ctx, touched) }))
	}
	return errors.Join(errs...)
}

// closeMonthsOf closes the last month that is to be closed of an SLA, and the
// closed ones that touched days are in.
func (s *Scheduler) closeMonthsOf(ctx context.Context, c *config.Config, promise *config.SLA, touched []store.Touched, now time.Time) error {
	last := civil.MonthOf(now.Add(-closeAfter).In(promise.Timezone))
	last = civil.MonthOf(midnight(civil.Date{Year: last.Year, Month: last.Month, Day: 1}).AddDate(0, 0, -1))
	months := map[civil.Month]bool{last: false} // whether it is to be made again
	for _, t := range touched {
		if !slices.Contains(promise.Checks, t.Check) {
			continue
		}
		// A day of UTC is in up to two months of the SLA's zone.
		for _, at := range []time.Time{midnight(t.Day), midnight(t.Day.AddDays(1))} {
			months[civil.MonthOf(at.In(promise.Timezone))] = true
		}
	}
	for month, again := range months {
		if err := s.closeMonth(ctx, c, promise, month, again, now); err != nil {
			return fmt.Errorf("closing %s of %s: %w", month, promise.Name, err)
		}
	}
	return nil
}

func (s *Scheduler) closeMonth(ctx context.Context, c *config.Config, promise *config.SLA, month civil.Month, again bool, now time.Time) error {
	from, to := month.Bounds(promise.Timezone)
	if now.Before(to.Add(closeAfter)) || !report.Promised(promise, month) {
		return nil
	}
	before, err := s.store.Report(ctx, promise.Name, month, "json")
	closed := err == nil
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	case closed && !again:
		return nil
	}
	if known, err := s.anyResult(ctx, promise, from, to); err != nil || !known {
		return err // there was no month before the first result
	}
	r, err := report.BuildExact(ctx, c, promise, month, now, reportSource{s.store})
	if err != nil {
		return err
	}
	if closed && r.ResultsSHA256 == before.ResultsSHA256 {
		return nil
	}
	r.Revision = before.Revision + 1
	if r.Earlier, err = EarlierMonths(ctx, s.store, promise.Name, month); err != nil {
		return err
	}
	bodies, err := bodiesOf(r, c)
	if err != nil {
		return err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		for format, body := range bodies {
			err := tx.PutReport(ctx, store.Report{
				SLA: promise.Name, Month: month, Revision: r.Revision, Format: format,
				Made: now, ResultsSHA256: r.ResultsSHA256, ConfigSHA256: c.Digest(), Body: body,
			})
			if err != nil {
				return err
			}
		}
		return addDeliveries(ctx, tx, c, promise, month, r.Revision, now)
	})
	if err == nil {
		s.log.Info("month closed", "sla", promise.Name, "month", month.String(), "revision", r.Revision, "verdict", r.Verdict)
	}
	return err
}

// bodiesOf returns a report in every format, and signed where there is a key.
func bodiesOf(r *report.Report, c *config.Config) (map[string][]byte, error) {
	bodies := map[string][]byte{}
	for format, f := range reportWriters {
		var body bytes.Buffer
		if err := f.write(&body, []*report.Report{r}); err != nil {
			return nil, err
		}
		bodies[format] = body.Bytes()
	}
	bodies[summaryFormat] = []byte(report.Summary(r))
	if c.ReportKey != nil {
		bodies[signatureFormat] = report.Sign(bodies["json"], c.ReportKey)
	}
	return bodies, nil
}

// Formats that are stored besides those of reportWriters.
const (
	signatureFormat = "sig" // of the JSON
	summaryFormat   = "txt" // what mails and Slack say
)

// anyResult reports whether a check of the SLA has a result in [from, to), or
// had one.
func (s *Scheduler) anyResult(ctx context.Context, promise *config.SLA, from, to time.Time) (bool, error) {
	for _, check := range promise.Checks {
		for _, err := range s.store.Outlines(ctx, check, from, to) {
			return err == nil, err
		}
	}
	first, last := dayNumber(civil.DateOf(from.UTC())), dayNumber(civil.DateOf(to.Add(-1).UTC()))
	for _, check := range promise.Checks {
		known := false
		err := s.store.Rollups(ctx, check, first, last, func(int64, []byte) error { known = true; return nil })
		if err != nil || known {
			return known, err
		}
	}
	return false, nil
}
