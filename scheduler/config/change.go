package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Change sets one value over what the files say, as in check.shop.quorum=2.
type Change struct {
	// Path says which: the kind and name of an entry and a key of it, such as
	// check.shop.quorum, sla.gold.target or policy.web.steps[0].wait, or keys
	// from the top, such as defaults.quorum.
	Path string
	// Value is YAML.
	Value string
}

// ParseChange reads PATH=VALUE.
func ParseChange(text string) (Change, error) {
	path, value, found := strings.Cut(text, "=")
	if path = strings.TrimSpace(path); !found || path == "" {
		return Change{}, fmt.Errorf("%q is not a change; write one such as check.shop.quorum=2", clip(text))
	}
	return Change{path, value}, nil
}

func (c Change) String() string { return c.Path + "=" + c.Value }

// entries is where entries of a kind stand in the document.
var entries = map[string]string{
	"check": "checks", "sla": "slas", "policy": "policies", "rotation": "rotations",
	"person": "people", "region": "regions", "prober": "probers",
}

// apply sets a change in the values of the files.
func (r *reader) apply(root *node, c Change) {
	at := position{c.String(), 1, 1}
	value := r.changed(c)
	if value == nil {
		return
	}
	n, steps := root, splitPath(c.Path)
	if list, ok := entries[steps[0]]; ok && len(steps) >= 2 {
		entry := entryNamed(root, list, steps[1])
		if entry == nil {
			r.fault(at, c.Path, "there is no %s called %q; name one of the configuration", steps[0], clip(steps[1]))
			return
		}
		n, steps = entry, steps[2:]
	}
	if len(steps) == 0 {
		r.fault(at, c.Path, "names no key; write one such as check.shop.quorum=2")
		return
	}
	for _, step := range steps[:len(steps)-1] {
		next := n.next(step)
		switch {
		case next == nil && !strings.HasPrefix(step, "[") && n.kind == mapping:
			next = &node{position: at, kind: mapping, parent: n, step: keyStep(step)}
			n.set(field{step, at, next})
		case next == nil || next.kind == scalar:
			r.fault(at, c.Path, "there is nothing at %s to set it in", n.beneath(strings.TrimPrefix(step, ".")))
			return
		}
		n = next
	}
	last := steps[len(steps)-1]
	value.parent = n
	switch i, isIndex := indexOf(last); {
	case isIndex && n.kind == list && i < len(n.items):
		value.step = last
		n.items[i] = value
	case !isIndex && n.kind == mapping:
		value.step = keyStep(last)
		n.set(field{last, at, value})
	default:
		r.fault(at, c.Path, "there is nothing at %s to set it in", n.path())
	}
}

// changed reads the value of a change; nil when it cannot be read.
func (r *reader) changed(c Change) *node {
	content, ok := r.parse(c.String(), []byte(c.Value))
	if !ok {
		return nil
	}
	if len(content) == 0 {
		return &node{position: position{c.String(), 1, 1}, kind: absent}
	}
	r.file, r.inside, r.aliased = c.String(), nil, 0
	return r.build(content[0], nil, "", 0)
}

// splitPath divides a path at its dots and before its brackets.
func splitPath(path string) []string {
	var steps []string
	for part := range strings.SplitSeq(path, ".") {
		key, rest, _ := strings.Cut(part, "[")
		steps = append(steps, key)
		for rest != "" {
			var index string
			index, rest, _ = strings.Cut(rest, "]")
			steps = append(steps, "["+index+"]")
			rest = strings.TrimPrefix(rest, "[")
		}
	}
	return steps
}

// indexOf reads a step such as [2].
func indexOf(step string) (int, bool) {
	inside, isIndex := strings.CutPrefix(step, "[")
	i, err := strconv.Atoi(strings.TrimSuffix(inside, "]"))
	return i, isIndex && err == nil && i >= 0
}

func entryNamed(root *node, list, name string) *node {
	f := root.field(list)
	if f == nil {
		return nil
	}
	i := slices.IndexFunc(f.value.items, func(n *node) bool {
		called := n.field("name")
		return called != nil && called.value.text == name
	})
	if i < 0 {
		return nil
	}
	return f.value.items[i]
}

// next returns what one step leads to, or nil.
func (n *node) next(step string) *node {
	if i, isIndex := indexOf(step); isIndex {
		if i < len(n.items) {
			return n.items[i]
		}
		return nil
	}
	if f := n.field(step); f != nil && f.value.kind != absent {
		return f.value
	}
	return nil
}

// set appends a field, or replaces the one that has its key.
func (n *node) set(f field) {
	if have := n.field(f.key); have != nil {
		*have = f
		return
	}
	n.add(f)
}
