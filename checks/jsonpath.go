package checks

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ohler55/ojg/jp"
)

// Limits of paths into JSON.
const (
	maxPath  = 500     // bytes of one path
	maxNodes = 200_000 // values that a path may lead to on its way
)

// JSONPath leads to values in a JSON document (RFC 9535). The zero JSONPath
// is the document itself.
type JSONPath struct {
	text  string
	steps jp.Expr // without the $
}

var (
	errPathTooWide = fmt.Errorf("leads to more than %d values", maxNodes)
	errPathTooSlow = errors.New("could not be followed in the time that was left")
)

// UnmarshalText reads a path such as $.items[0].price. Of RFC 9535 it refuses
// what could not be followed within bounds: filters that look outside of the
// value that they are asked about, and patterns that come from the document.
func (p *JSONPath) UnmarshalText(text []byte) error {
	written := string(text)
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%q is not a path into JSON: %s", clip(written, 100), fmt.Sprintf(format, args...))
	}
	if len(text) > maxPath {
		return wrong("it has %d bytes, and at most %d are allowed", len(text), maxPath)
	}
	parsed, err := parsePath(written)
	if err != nil {
		return wrong("%v; write one such as $.items[0].price", err)
	}
	if len(parsed) == 0 {
		return wrong("it is empty; write one such as $.items[0].price")
	}
	if _, ok := parsed[0].(jp.Root); !ok {
		return wrong("it does not start with $; write one such as $.items[0].price")
	}
	for _, step := range parsed[1:] {
		switch step := step.(type) {
		case jp.Child, jp.Nth, jp.Wildcard, jp.Slice, jp.Union, jp.Descent:
		case *jp.Filter:
			operand, err := inspect(step)
			if err == nil {
				err = bounded(operand)
			}
			if err != nil {
				return wrong("%v", err)
			}
		default:
			return wrong("it has a part that is none of a key, an index, a slice, *, .. and a filter")
		}
	}
	if _, ends := parsed[len(parsed)-1].(jp.Descent); ends {
		return wrong("it ends in ..; write what to look for after it")
	}
	*p = JSONPath{written, parsed[1:]}
	return nil
}

// parsePath parses a path; of a fault of the parser itself it says only that
// the path cannot be read.
func parsePath(text string) (parsed jp.Expr, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it cannot be read")
		}
	}()
	return jp.ParseString(text)
}

// inspect returns what a filter is made of: a *jp.Form, or a jp.Expr for one
// that only asks whether there is something, which jp.Script.Inspect cannot
// take apart.
func inspect(filter *jp.Filter) (operand any, err error) {
	defer func() {
		if recover() == nil {
			return
		}
		text := strings.TrimSuffix(strings.TrimPrefix(filter.String(), "[?"), "]")
		operand, err = parsePath(strings.TrimSuffix(strings.TrimPrefix(text, "("), ")"))
	}()
	return filter.Inspect(), nil
}

// patternOps are the operators of filters that have a regular expression on
// their right.
var patternOps = []string{"=~", "~=", "match", "search"}

// hasPattern reports whether the regular expression of a form is written out.
// What is on the left must be a path: of functions inside, which have one
// operand, jp tells the operands wrongly.
func hasPattern(form *jp.Form) bool {
	if _, ok := form.Left.(jp.Expr); !ok {
		return false
	}
	switch form.Right.(type) {
	case string, *regexp.Regexp:
		return true
	}
	return false
}

// bounded says why a part of a filter could take more time than there are
// values beneath what it is asked about.
func bounded(operand any) error {
	switch operand := operand.(type) {
	case *jp.Form:
		if slices.Contains(patternOps, operand.Op) && !hasPattern(operand) {
			return errors.New("a filter takes its pattern from the document; write it out")
		}
		if err := bounded(operand.Left); err != nil {
			return err
		}
		return bounded(operand.Right)
	case jp.Expr:
		for i, step := range operand {
			switch step.(type) {
			case jp.At:
				if i > 0 {
					return errors.New("a filter has @ within a path")
				}
			case jp.Child, jp.Nth, jp.Wildcard, jp.Slice, jp.Union:
			case jp.Root:
				return errors.New("a filter looks at $; it may look at @ alone")
			default:
				return errors.New("a filter has .. or a filter in it; write it without")
			}
		}
	}
	return nil
}

// MarshalText writes the path as it was read.
func (p JSONPath) MarshalText() ([]byte, error) { return []byte(p.text), nil }

func (p JSONPath) String() string { return p.text }

// follow returns the values that the path leads to in document, in the
// document's order but for an object's keys, which are sorted. It gives up at
// until, if that is set, and when there are too many.
func (p JSONPath) follow(document any, until time.Time) ([]any, error) {
	nodes := []any{document}
	for _, step := range p.steps {
		w := pathWalk{until: until}
		_, descends := step.(jp.Descent)
		for _, node := range nodes {
			if descends {
				w.descend(node)
			} else {
				w.add(jp.Expr{step}.Get(node)...)
			}
			if w.err != nil {
				return nil, w.err
			}
		}
		nodes = w.found
	}
	return nodes, nil
}

// pathWalk collects what one step of a path leads to.
type pathWalk struct {
	until   time.Time
	found   []any
	visited int
	err     error
}

func (w *pathWalk) add(nodes ...any) {
	switch w.visited++; {
	case w.err != nil:
	case len(w.found)+len(nodes) > maxNodes:
		w.err = errPathTooWide
	case w.visited%256 == 0 && !w.until.IsZero() && time.Now().After(w.until):
		w.err = errPathTooSlow
	default:
		w.found = append(w.found, nodes...)
	}
}

// descend adds node and everything beneath it that can have something beneath
// it: a step after .. finds nothing in the others.
func (w *pathWalk) descend(node any) {
	switch node := node.(type) {
	case []any:
		w.add(node)
		for _, inner := range node {
			if w.err != nil {
				return
			}
			w.descend(inner)
		}
	case map[string]any:
		w.add(node)
		for _, key := range slices.Sorted(maps.Keys(node)) {
			if w.err != nil {
				return
			}
			w.descend(node[key])
		}
	}
}
