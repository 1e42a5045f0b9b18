package scheduler

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nines/internal/civil"
	"nines/scheduler/api"
	"nines/scheduler/store"
)

// Revisions implements api.Reporter: every revision of a closed month's report
// and what moved from the one before.
func (v watcher) Revisions(ctx context.Context, sla string, month civil.Month) ([]api.Revision, error) {
	stored, err := v.s.store.Revisions(ctx, sla, month, "json")
	if err != nil {
		return nil, err
	}
	if len(stored) == 0 {
		return nil, fmt.Errorf("a closed report of %q for %s: %w", sla, month, store.ErrNotFound)
	}
	var before map[string]string
	list := make([]api.Revision, len(stored))
	for i, r := range stored {
		figures, err := figuresOf(r.Body)
		if err != nil {
			return nil, fmt.Errorf("reading revision %d: %w", r.Revision, err)
		}
		list[i] = api.Revision{Revision: r.Revision, Made: r.Made, ResultsSHA256: r.ResultsSHA256, ConfigSHA256: r.ConfigSHA256, Moved: []api.Move{}}
		if before != nil {
			list[i].Moved = moved(before, figures)
		}
		before = figures
	}
	return list, nil
}

// Moved returns the figures that differ between two reports in JSON of one SLA
// each.
func Moved(before, after []byte) ([]api.Move, error) {
	was, err := figuresOf(before)
	if err != nil {
		return nil, err
	}
	is, err := figuresOf(after)
	if err != nil {
		return nil, err
	}
	return moved(was, is), nil
}

// figuresOf returns the figures of a report as its JSON has them, by where they
// stand: outages.shop.20261001T120000.000Z.seconds.
func figuresOf(body []byte) (map[string]string, error) {
	var reports []map[string]any
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if err := d.Decode(&reports); err != nil {
		return nil, err
	}
	figures := map[string]string{}
	for _, r := range reports {
		delete(r, "revision")
		delete(r, "results_sha256")
		flatten(figures, "", r)
	}
	return figures, nil
}

// flatten writes what v holds into figures. Things in lists are named by
// whatever names them.
func flatten(figures map[string]string, at string, v any) {
	join := func(name string) string { return strings.TrimPrefix(at+"."+name, ".") }
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(figures, join(name), inner)
		}
	case []any:
		for i, inner := range v {
			name := fmt.Sprint(i)
			if of, ok := inner.(map[string]any); ok {
				for _, key := range [...]string{"id", "check", "region"} {
					if text, ok := of[key].(string); ok {
						name = text
						break
					}
				}
			}
			flatten(figures, join(name), inner)
		}
	case nil:
		figures[at] = "null"
	default:
		figures[at] = fmt.Sprint(v)
	}
}

// moved returns what differs, in the order of names. What was not there before
// or is not there any more is empty on that side.
func moved(before, after map[string]string) []api.Move {
	list := []api.Move{}
	names := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.SortFunc(names, cmp.Compare[string])
	for _, name := range slices.Compact(names) {
		if before[name] != after[name] {
			list = append(list, api.Move{Figure: name, Before: before[name], After: after[name]})
		}
	}
	return list
}
