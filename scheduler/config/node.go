package config

import (
	"fmt"
	"strconv"
	"strings"
)

// nodeKind is the shape of a value.
type nodeKind int

const (
	unread  nodeKind = iota // a fault was told of it
	absent                  // written without a value
	scalar                  // text
	list                    // items
	mapping                 // fields
)

func (k nodeKind) String() string {
	return [...]string{"unread", "nothing", "a single value", "a list", "a mapping of keys to values"}[k]
}

// node is one value of a file with its aliases and merge keys resolved and its
// variables expanded. It knows where it stands.
type node struct {
	position
	kind   nodeKind
	parent *node
	step   string // from the parent to here: .key or [index]

	text   string // of a scalar; of null, how it is written
	bare   bool   // a scalar without quotes, which may be a number or such
	items  []*node
	fields []field
	index  map[string]int // of fields, by key
}

// field is one key of a mapping and its value.
type field struct {
	key   string
	at    position // of the key
	value *node
}

// path returns where n stands, from the top of its file; empty for the top.
func (n *node) path() string {
	var steps []string
	for ; n != nil; n = n.parent {
		steps = append(steps, n.step)
	}
	var b strings.Builder
	for i := len(steps) - 1; i >= 0; i-- {
		b.WriteString(steps[i])
	}
	return strings.TrimPrefix(b.String(), ".")
}

// beneath returns the path of what is at relative, seen from n.
func (n *node) beneath(relative string) string {
	switch path := n.path(); {
	case relative == "":
		return path
	case path == "" || relative[0] == '[':
		return path + relative
	default:
		return path + "." + relative
	}
}

// keyStep returns the step to a key; one that does not look like a key is
// quoted, so that a path can be read.
func keyStep(key string) string {
	for _, r := range key {
		plain := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-'
		if !plain {
			return "[" + strconv.Quote(clip(key)) + "]"
		}
	}
	if key == "" {
		return `[""]`
	}
	return "." + clip(key)
}

func indexStep(i int) string { return fmt.Sprintf("[%d]", i) }

// field returns the field of that key, or nil.
func (n *node) field(key string) *field {
	if i, ok := n.index[key]; ok {
		return &n.fields[i]
	}
	return nil
}

// add appends a field whose key n does not have.
func (n *node) add(f field) {
	if n.index == nil {
		n.index = map[string]int{}
	}
	n.index[f.key] = len(n.fields)
	n.fields = append(n.fields, f)
}

// nearest returns the value at a path relative to n, such as
// expect.status[1], or the nearest one around it that exists.
func (n *node) nearest(relative string) *node {
	for relative != "" {
		next, rest := n.follow(relative)
		if next == nil {
			return n
		}
		n, relative = next, strings.TrimPrefix(rest, ".")
	}
	return n
}

// follow takes the first step of a relative path and returns what is left.
func (n *node) follow(relative string) (*node, string) {
	if inside, found := strings.CutPrefix(relative, "["); found {
		if quoted, err := strconv.QuotedPrefix(inside); err == nil { // the key itself may hold brackets
			key, _ := strconv.Unquote(quoted)
			if f := n.field(key); f != nil {
				return f.value, strings.TrimPrefix(inside[len(quoted):], "]")
			}
			return nil, ""
		}
		inside, rest, _ := strings.Cut(inside, "]")
		if i, err := strconv.Atoi(inside); err == nil && 0 <= i && i < len(n.items) {
			return n.items[i], rest
		}
		return nil, ""
	}
	// A key may itself hold dots and brackets, so the longest one that fits is
	// taken.
	var best *field
	for i := range n.fields {
		f := &n.fields[i]
		rest, fits := strings.CutPrefix(relative, f.key)
		if fits && (rest == "" || rest[0] == '.' || rest[0] == '[') && (best == nil || len(f.key) > len(best.key)) {
			best = f
		}
	}
	if best != nil {
		return best.value, relative[len(best.key):]
	}
	key := relative
	if end := strings.IndexAny(relative, ".["); end >= 0 {
		key = relative[:end]
	}
	if f := n.field(key + fileSuffix); f != nil {
		return f.value, relative[len(key):]
	}
	return nil, ""
}
