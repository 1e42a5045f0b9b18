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
	results     map[string][]kept // by check, in the order of At
	quarantines []checks.Quarantine
}

// kept is a result in a third of the memory: maps are the most of one.
type kept struct {
	checks.Result // with Facts that are shared with others, and no Phases
	phases        []phase
}

type phase struct {
	name string
	ms   float64
}

// result returns the result as it came.
func (k *kept) result() checks.Result {
	r := k.Result
	r.Phases = make(checks.Phases, len(k.phases))
	for _, p := range k.phases {
		r.Phases[p.name] = p.ms
	}
	return r
}

// before returns how many of a list in order are before t.
func before(list []kept, t time.Time) int {
	n, _ := slices.BinarySearchFunc(list, t, func(k kept, t time.Time) int { return k.At.Compare(t) })
	return n
}

// shared keeps one of what many results say alike.
type shared struct {
	words map[string]string
	facts map[string]checks.Facts // by their JSON
	buf   []byte
}

func (s *shared) word(w string) string {
	known, ok := s.words[w]
	if !ok {
		known = strings.Clone(w)
		s.words[known] = known
	}
	return known
}

// maxShared is how many different facts are looked for again.
const maxShared = 1 << 16

func (s *shared) factsOf(facts checks.Facts) checks.Facts {
	var err error
	if s.buf, err = appendMap(s.buf[:0], facts, appendFact); err != nil {
		return facts
	}
	known, ok := s.facts[string(s.buf)]
	switch {
	case ok:
		return known
	case len(s.facts) < maxShared:
		s.facts[string(s.buf)] = facts
	}
	return facts
}

// maxFaults is how many unusable lines are told of before reading stops.
const maxFaults = 100

// NewFileSource reads results and quarantines as `nines results export` writes
// them. Name is the file's for messages. If lines are unusable the error is
// config.Faults, which names them all; any other error is r's own.
func NewFileSource(name string, r io.Reader) (*FileSource, error) {
	s := &FileSource{results: map[string][]kept{}}
	common := &shared{words: map[string]string{}, facts: map[string]checks.Facts{}}
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
			s.keep(*rec.Result, common)
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
		byAt := func(a, b kept) int { return a.At.Compare(b.At) }
		if !slices.IsSortedFunc(list, byAt) {
			slices.SortFunc(list, byAt)
		}
	}
	return s, nil
}

// keep takes a result.
func (s *FileSource) keep(r checks.Result, common *shared) {
	k := kept{Result: r}
	k.Check, k.Region, k.Prober = common.word(r.Check), common.word(r.Region), common.word(r.Prober)
	k.Status, k.Reason = checks.Status(common.word(string(r.Status))), checks.Reason(common.word(string(r.Reason)))
	k.Facts, k.Phases = common.factsOf(r.Facts), nil
	k.phases = make([]phase, 0, len(r.Phases))
	for name, ms := range r.Phases {
		k.phases = append(k.phases, phase{common.word(name), ms})
	}
	s.results[k.Check] = append(s.results[k.Check], k)
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
		if err := ctx.Err(); err != nil {
			yield(checks.Result{}, err)
			return
		}
		list := s.results[check]
		for i := before(list, from); i < len(list); i++ {
			if !list[i].At.Before(to) || !yield(list[i].result(), nil) {
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
			n := before(list, end)
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
