package foreign

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// draft is a YAML mapping in the making. Its keys keep the order in which they
// were set.
type draft struct{ node *yaml.Node }

func newDraft() *draft { return &draft{&yaml.Node{Kind: yaml.MappingNode}} }

// set appends a key, unless the value is one that says nothing: an empty text
// or list, a mapping without keys, zero or false.
func (d *draft) set(key string, value any) {
	if n := valueNode(value); n != nil {
		d.put(key, n)
	}
}

// always appends a key whatever its value is.
func (d *draft) always(key string, value any) {
	n := valueNode(value)
	if n == nil {
		n = new(yaml.Node)
		if err := n.Encode(value); err != nil {
			panic(fmt.Sprintf("encoding %T: %v", value, err)) // only plain values are given
		}
	}
	d.put(key, n)
}

func (d *draft) put(key string, value *yaml.Node) {
	for i := 0; i < len(d.node.Content); i += 2 {
		if d.node.Content[i].Value == key {
			d.node.Content[i+1] = value
			return
		}
	}
	d.node.Content = append(d.node.Content, textNode(key), value)
}

// under returns the mapping at key, made if it is not there.
func (d *draft) under(key string) *draft {
	for i := 0; i < len(d.node.Content); i += 2 {
		if d.node.Content[i].Value == key {
			return &draft{d.node.Content[i+1]}
		}
	}
	inner := newDraft()
	d.put(key, inner.node)
	return inner
}

// append adds to the list at key, made if it is not there.
func (d *draft) append(key string, value any) {
	for i := 0; i < len(d.node.Content); i += 2 {
		if d.node.Content[i].Value == key {
			list := d.node.Content[i+1]
			more := listNode([]any{value})
			list.Content = append(list.Content, more.Content...)
			list.Style &= more.Style // on one line while all of its items are plain
			return
		}
	}
	d.put(key, listNode([]any{value}))
}

// prune takes out mappings that stayed empty.
func (d *draft) prune() {
	kept := d.node.Content[:0]
	for i := 0; i < len(d.node.Content); i += 2 {
		value := d.node.Content[i+1]
		if value.Kind == yaml.MappingNode {
			(&draft{value}).prune()
			if len(value.Content) == 0 {
				continue
			}
		}
		kept = append(kept, d.node.Content[i], value)
	}
	d.node.Content = kept
}

// literal is a value that stands in YAML as it is, such as a number whose
// digits must stay.
type literal string

// clockTime is a time of day, which YAML 1.1 would read as a number.
type clockTime string

// valueNode returns the node of a value; nil when it says nothing.
func valueNode(value any) *yaml.Node {
	switch value := value.(type) {
	case string:
		if value == "" {
			return nil
		}
		return textNode(value)
	case literal:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: string(value)}
	case clockTime:
		return &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: string(value)}
	case time.Duration:
		if value == 0 {
			return nil
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Value: durationText(value)}
	case bool:
		if !value {
			return nil
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Value: "true"}
	case int:
		if value == 0 {
			return nil
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(value)}
	case []string:
		list := make([]any, len(value))
		for i := range value {
			list[i] = value[i]
		}
		return listNode(list)
	case []any:
		return listNode(value)
	case *draft:
		value.prune()
		if len(value.node.Content) == 0 {
			return nil
		}
		return value.node
	case []*draft:
		list := make([]any, len(value))
		for i := range value {
			list[i] = value[i]
		}
		n := listNode(list)
		if n == nil {
			n = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		} else {
			n.Style = 0
		}
		return n
	}
	panic(fmt.Sprintf("%T has no place in a configuration", value))
}

// listNode returns a list on one line where its items are plain.
func listNode(items []any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, item := range items {
		inner := valueNode(item)
		if inner == nil {
			inner = textNode("")
		}
		if inner.Kind != yaml.ScalarNode || len(inner.Value) > 60 {
			n.Style = 0
		}
		n.Content = append(n.Content, inner)
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

// textNode returns a text, quoted where YAML would read another type.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.Contains(text, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}

// durationText writes a duration as configurations have it: 90s, 5m, 2h, 14d.
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.String()
}

// yaml writes the mapping as a file whose first line is a comment.
func (d *draft) yaml(comment string) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s\n", comment)
	dumper, err := yaml.NewDumper(&out, yaml.WithIndent(2))
	if err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	if err := dumper.Dump(d.node); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	if err := dumper.Close(); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	return out.Bytes(), nil
}
