package config

import (
	"slices"

	"go.yaml.in/yaml/v4"
)

const (
	// maxDepth is how deeply values may be nested.
	maxDepth = 50
	// maxAliased is how many values aliases may bring into one file: more than
	// thousands of checks with a common base, and less than the billions of a
	// bomb of nested aliases.
	maxAliased = 200_000
)

// reader turns files into values.
type reader struct {
	*findings
	getenv func(string) (string, bool)

	// of the file that is being read
	file    string
	inside  []*yaml.Node // the aliases' targets that are being expanded
	aliased int          // values that aliases have brought so far
}

// root returns the values of a parsed document, or nil when it holds none.
func (r *reader) root(file string, top *yaml.Node) (root *node, ok bool) {
	r.file, r.inside, r.aliased = file, nil, 0
	root = r.build(top, nil, "", 0)
	switch root.kind {
	case mapping:
		return root, true
	case absent:
		return nil, true
	case scalar, list:
		r.unreadable(root.position, "file", "is %s; write keys with values, such as checks: […]", root.kind)
	}
	return nil, false
}

// build returns n as a value; one that is a fault is of kind unread.
func (r *reader) build(n *yaml.Node, parent *node, step string, depth int) *node {
	out := &node{position: r.at(n), parent: parent, step: step}
	aliased := len(r.inside) > 0
	if aliased {
		r.aliased++
	}
	switch {
	case depth > maxDepth:
		r.unreadable(out.position, out.path(), "is nested more than %d deep; nest less deeply", maxDepth)
		return out
	case aliased && r.aliased > maxAliased:
		if r.aliased == maxAliased+1 {
			r.fault(out.position, out.path(), "aliases repeat more than %d values; write fewer of them", maxAliased)
		}
		r.spoil(out.file, out.path())
		return out
	case n.Kind == yaml.AliasNode:
		return r.alias(n, out, depth)
	case n.Style&yaml.TaggedStyle != 0 && !coreTags[n.ShortTag()]:
		r.unreadable(out.position, out.path(), "has the tag %s, which means nothing here; leave it out", clip(n.ShortTag()))
		return out
	}
	switch n.Kind {
	case yaml.ScalarNode:
		r.scalar(n, out)
	case yaml.SequenceNode:
		out.kind = list
		for i, item := range n.Content {
			out.items = append(out.items, r.build(item, out, indexStep(i), depth+1))
		}
	case yaml.MappingNode:
		out.kind = mapping
		r.fields(n, out, depth)
	}
	return out
}

// coreTags are the tags that may be written out; they change nothing, because
// the key decides what its value has to be.
var coreTags = map[string]bool{"!!str": true, "!!int": true, "!!float": true, "!!bool": true, "!!seq": true, "!!map": true, "!!timestamp": true}

func (r *reader) at(n *yaml.Node) position { return position{r.file, n.Line, n.Column} }

// alias returns what n stands for, in out's place. Its position is where it is
// written, because there it can be mended.
func (r *reader) alias(n *yaml.Node, out *node, depth int) *node {
	if slices.Contains(r.inside, n.Alias) {
		r.unreadable(out.position, out.path(), "*%s stands inside what it repeats; write the value out", clip(n.Value))
		return out
	}
	r.inside = append(r.inside, n.Alias)
	out = r.build(n.Alias, out.parent, out.step, depth)
	r.inside = r.inside[:len(r.inside)-1]
	return out
}

// scalar fills in a single value.
func (r *reader) scalar(n *yaml.Node, out *node) {
	if n.ShortTag() == "!!null" {
		out.kind, out.text = absent, n.Value
		return
	}
	text, wrong := expand(unmask(n.Value), r.getenv)
	for _, w := range wrong {
		r.fault(out.position, out.path(), "%s", w)
	}
	if len(wrong) > 0 {
		r.spoil(out.file, out.path())
		return
	}
	out.kind, out.text, out.bare = scalar, text, n.Style == 0
}

// fields fills in the fields of a mapping: its own first, then those that
// merge keys bring and it does not have.
func (r *reader) fields(n *yaml.Node, out *node, depth int) {
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value, at := n.Content[i], n.Content[i+1], r.at(n.Content[i])
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			r.fault(at, out.path(), "a key is a list or a mapping; write a plain word")
			continue
		}
		if key.ShortTag() == "!!merge" {
			merges = append(merges, value)
			continue
		}
		name := unmask(key.Value)
		step := keyStep(name)
		if first := out.field(name); first != nil {
			r.fault(at, (&node{parent: out, step: step}).path(), "is already given at %s; keep one of the two", first.at)
			continue
		}
		out.add(field{name, at, r.build(value, out, step, depth+1)})
	}
	for _, m := range merges {
		r.merge(m, out, depth)
	}
}

// merge adds the keys that are not given yet from a mapping, or from a list of
// mappings of which the first wins.
func (r *reader) merge(n *yaml.Node, out *node, depth int) {
	from := r.build(n, out, "", depth+1)
	sources := []*node{from}
	if from.kind == list {
		sources = from.items
	}
	for _, source := range sources {
		if source.kind != mapping {
			if source.kind != unread {
				r.fault(r.at(n), out.beneath("<<"), "merges %s; write a mapping, or a list of mappings", source.kind)
			}
			continue
		}
		for _, f := range source.fields {
			if out.field(f.key) == nil {
				f.value.parent, f.value.step = out, keyStep(f.key)
				out.add(f)
			}
		}
	}
}
