package scheduler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"nines/internal/civil"
	"nines/scheduler/config"
	"nines/scheduler/report"
	"nines/scheduler/store"
)

// runningFor is the longest that the report of a month that is not closed is
// shown before it is made again.
const runningFor = time.Minute

// errNotYet says that a month has not begun.
var errNotYet = errors.New("the month has not begun yet")

// month returns an SLA's report in a format: as it was closed, or as the month
// has come so far. What does not exist is store.ErrNotFound.
func (s *Scheduler) month(ctx context.Context, name string, month civil.Month, format string) ([]byte, error) {
	c := s.config.Load()
	promise := c.SLA(name)
	stored, err := s.store.Report(ctx, name, month, format)
	switch {
	case err == nil:
		return stored.Body, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	case promise == nil:
		return nil, fmt.Errorf("the SLA %q: %w", name, store.ErrNotFound)
	case format == signatureFormat:
		return nil, fmt.Errorf("a signature of %s: %w", month, err) // what is not closed is not signed
	}
	if from, _ := month.Bounds(promise.Timezone); s.now().Before(from) || !report.Promised(promise, month) {
		return nil, fmt.Errorf("%s: %w", month, errors.Join(errNotYet, store.ErrNotFound))
	}
	r, err := s.runningReport(ctx, c, promise, month)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	err = reportWriters[format].write(&body, []*report.Report{r})
	return body.Bytes(), err
}

// runningReport returns the report of a month that is not closed.
func (s *Scheduler) runningReport(ctx context.Context, c *config.Config, promise *config.SLA, month civil.Month) (*report.Report, error) {
	now := s.now()
	return s.running.get(promise.Name+" "+month.String(), now, runningFor, func() (*report.Report, error) {
		r, err := report.Build(ctx, c, promise, month, now, reportSource{s.store})
		if err == nil {
			r.Earlier, err = EarlierMonths(ctx, s.store, promise.Name, month)
		}
		return r, err
	})
}

// serveReport answers /reports/{sla}/{month} to whoever has the report's key,
// or api_token.
func (s *Scheduler) serveReport(w http.ResponseWriter, r *http.Request) {
	name, text := r.PathValue("sla"), r.PathValue("month")
	month, err := civil.ParseMonth(text)
	if !s.bearer(r) && (err != nil || !sealed(r.FormValue("k"), s.keys.reports, name, month.String())) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="nines"`)
		http.Error(w, "the report needs its key in the address, or api_token as a Bearer token", http.StatusUnauthorized)
		return
	}
	format := r.FormValue("format")
	if format == "" {
		format = "html"
	}
	writer, known := reportWriters[format]
	if format == signatureFormat {
		writer.mediaType, known = "application/json", true
	}
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case !known:
		http.Error(w, fmt.Sprintf("format %q: must be html, pdf, json, csv or sig", format), http.StatusBadRequest)
		return
	}
	body, err := s.month(r.Context(), name, month, format)
	switch {
	case errors.Is(err, store.ErrNotFound):
		http.Error(w, "there is no such report", http.StatusNotFound)
		return
	case err != nil:
		if r.Context().Err() == nil {
			s.log.Error("making a report", "sla", name, "month", text, "err", err)
		}
		http.Error(w, "the report could not be made", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", writer.mediaType)
	header.Set("Cache-Control", "private, no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if format == "csv" || format == "pdf" {
		header.Set("Content-Disposition", fmt.Sprintf("%s; filename=%q", disposition[format], name+"-"+month.String()+"."+format))
	}
	w.Write(body) // whoever went away has no use for the error
}

// disposition is what a browser does with a format.
var disposition = map[string]string{"csv": "attachment", "pdf": "inline"}
