package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/config"
)

// FileSource is a Source of the results in an NDJSON file, held in memory. It
// knows nothing of what people did about an outage.
type FileSource struct {
	results     map[string][]checks.Result // by check, in the order of At
	quarantines []checks.Quarantine
}

// maxFaults is how many unusable lines are told of before reading stops.
const maxFaults = 100

// NewFileSource reads results and quarantines as `nines results export` writes
// them. Name is the file's for messages. If lines are unusable the error is
// config.Faults, which names them all; any other error is r's own.
func NewFileSource(name string, r io.Reader) (*FileSource, error) {
	s := &FileSource{results: map[string][]checks.Result{}}
	words := map[string]string{} // each name is kept once
	var faults config.Faults
	for rec, err := range checks.ReadRecords(r) {
		var line *checks.LineError
		switch {
		case errors.As(err, &line):
			faults = append(faults, faultOf(name, line))
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", name, err)
		case rec.Quarantine != nil:
			s.quarantines = append(s.quarantines, *rec.Quarantine)
		default:
			s.keep(*rec.Result, words)
		}
		if len(faults) == maxFaults {
			last := faults[maxFaults-1]
			faults = append(faults, config.Fault{File: name, Line: last.Line, Column: 1, Path: "file",
				Message: fmt.Sprintf("reading stops after %d unusable lines; is this a file of results?", maxFaults)})
			break
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	for _, list := range s.results {
		byAt := func(a, b checks.Result) int { return a.At.Compare(b.At) }
		if !slices.IsSortedFunc(list, byAt) {
			slices.SortFunc(list, byAt)
		}
	}
	return s, nil
}

// keep takes a result with its names shared with those before.
func (s *FileSource) keep(r checks.Result, words map[string]string) {
	share := func(word string) string {
		known, ok := words[word]
		if !ok {
			known = strings.Clone(word)
			words[known] = known
		}
		return known
	}
	r.Check, r.Region, r.Prober = share(r.Check), share(r.Region), share(r.Prober)
	r.Status, r.Reason = checks.Status(share(string(r.Status))), checks.Reason(share(string(r.Reason)))
	s.results[r.Check] = append(s.results[r.Check], r)
}

// faultOf says where a line is wrong and what would be right.
func faultOf(name string, e *checks.LineError) config.Fault {
	path, message, ok := strings.Cut(e.Err.Error(), ": ")
	if !ok {
		path, message = "line", e.Err.Error()
	}
	if path == "not a result" {
		path, message = "line", "is not a result: "+message+"; write one JSON object a line, as `nines results export` does"
	}
	return config.Fault{File: name, Line: e.Line, Column: e.Column, Path: path, Message: message}
}

// Results implements Source.
func (s *FileSource) Results(ctx context.Context, check string, from, to time.Time) iter.Seq2[checks.Result, error] {
	return func(yield func(checks.Result, error) bool) {
		list := s.results[check]
		first, _ := slices.BinarySearchFunc(list, from, func(r checks.Result, t time.Time) int { return r.At.Compare(t) })
		for i, r := range list[first:] {
			if !r.At.Before(to) {
				return
			}
			if i%4096 == 0 && ctx.Err() != nil {
				yield(checks.Result{}, ctx.Err())
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Quarantines implements Source.
func (s *FileSource) Quarantines(context.Context, time.Time, time.Time) ([]checks.Quarantine, error) {
	return s.quarantines, nil
}

// Milestones implements Source: none are known.
func (s *FileSource) Milestones(context.Context, string, time.Time, time.Time) ([]Milestone, error) {
	return nil, nil
}

// Month returns the month of the zone that holds most of the results of the
// checks given, the later of two that hold as many; false without results.
func (s *FileSource) Month(zone *time.Location, names []string) (civil.Month, bool) {
	counts := map[civil.Month]int{}
	for _, name := range names {
		list := s.results[name]
		for len(list) > 0 {
			month := civil.MonthOf(list[0].At.In(zone))
			_, end := month.Bounds(zone)
			n, _ := slices.BinarySearchFunc(list, end, func(r checks.Result, t time.Time) int { return r.At.Compare(t) })
			counts[month] += n
			list = list[n:]
		}
	}
	var most civil.Month
	for month, n := range counts {
		if c := cmp.Compare(n, counts[most]); c > 0 || c == 0 && later(month, most) {
			most = month
		}
	}
	return most, len(counts) > 0
}

func later(a, b civil.Month) bool {
	return a.Year > b.Year || a.Year == b.Year && a.Month > b.Month
}
