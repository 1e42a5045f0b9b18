package foreign

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxFile is how many bytes a file may have; backups of Uptime Kuma hold
// icons and certificates too.
const maxFile = 16 << 20

// source is a mapping of the file that is read. Each key that a rule looks at
// is taken; what was not taken by the end becomes a note, so that no key is
// passed over in silence.
type source struct {
	conv  *conversion
	file  string
	path  string
	node  *yaml.Node
	taken map[string]bool
	inner []*source // in the order in which they were taken
}

// open reads a file of YAML, of which JSON is a part.
func open(c *conversion, f File) (*source, error) {
	bad := func(line, column int, format string, args ...any) error {
		return &Fault{Note{f.Name, line, column, "", fmt.Sprintf(format, args...)}}
	}
	if len(f.Data) > maxFile {
		return nil, bad(1, 1, "the file has %d bytes; at most %d are read", len(f.Data), maxFile)
	}
	var top yaml.Node
	if strings.TrimSpace(string(f.Data)) == "" {
		return nil, bad(1, 1, "the file is empty")
	}
	if err := yaml.Load(f.Data, &top); err != nil {
		if at := (*yaml.LoadError)(nil); errors.As(err, &at) {
			return nil, bad(max(at.Mark.Line, 1), max(at.Mark.Column, 1), "%s", at.Message)
		}
		return nil, bad(1, 1, "%v", err)
	}
	node := &top
	if node.Kind == yaml.DocumentNode && len(node.Content) == 1 {
		node = node.Content[0]
	}
	if node = dealias(node); node.Kind != yaml.MappingNode {
		return nil, bad(max(node.Line, 1), max(node.Column, 1), "is not a mapping of keys to values")
	}
	return &source{conv: c, file: f.Name, node: node, taken: map[string]bool{}}, nil
}

func dealias(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// find returns the value of a key and takes the key; nil when it is not there
// or null. A key of a mapping that is merged in (<<) counts.
func (s *source) find(key string) *yaml.Node {
	if s == nil {
		return nil
	}
	s.taken[key] = true
	n := lookup(s.node, key, map[*yaml.Node]bool{})
	if n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	return n
}

// lookup returns the value of a key. Mappings that were seen already are not
// looked at again: they may hold themselves.
func lookup(m *yaml.Node, key string, seen map[*yaml.Node]bool) *yaml.Node {
	if m.Kind != yaml.MappingNode || seen[m] {
		return nil
	}
	seen[m] = true
	var merged *yaml.Node
	for i := 0; i+1 < len(m.Content); i += 2 {
		switch m.Content[i].Value {
		case key:
			return dealias(m.Content[i+1])
		case "<<":
			from := dealias(m.Content[i+1])
			if from.Kind != yaml.SequenceNode {
				from = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{from}}
			}
			for _, one := range from.Content {
				if found := lookup(dealias(one), key, seen); found != nil && merged == nil {
					merged = found
				}
			}
		}
	}
	return merged
}

// has reports whether the key is there and not null, without taking it.
func (s *source) has(key string) bool {
	if s == nil {
		return false
	}
	n := lookup(s.node, key, map[*yaml.Node]bool{})
	return n != nil && (n.Kind != yaml.ScalarNode || n.ShortTag() != "!!null")
}

func (s *source) where(key string) string {
	if s.path == "" {
		return key
	}
	return s.path + "." + key
}

// lost notes that a key does not carry over, and why.
func (s *source) lost(key, format string, args ...any) {
	if n := s.find(key); n != nil {
		s.noteAt(n, s.where(key), format, args...)
	}
}

func (s *source) noteAt(n *yaml.Node, where, format string, args ...any) {
	s.conv.note(Note{s.file, max(n.Line, 1), max(n.Column, 1), where, fmt.Sprintf(format, args...)})
}

// note says something of the whole mapping.
func (s *source) note(format string, args ...any) { s.noteAt(s.node, s.path, format, args...) }

// drop takes keys that say nothing to nines.
func (s *source) drop(keys ...string) {
	if s == nil {
		return
	}
	for _, key := range keys {
		s.taken[key] = true
	}
}

// text returns a scalar as text, "" when there is none.
func (s *source) text(key string) string {
	n := s.find(key)
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		s.noteAt(n, s.where(key), "is not a single value, and was left out")
		return ""
	}
	return s.conv.dollars(n.Value)
}

// boolean returns a scalar as true or false; fallback when there is none.
func (s *source) boolean(key string, fallback bool) bool {
	switch strings.ToLower(s.text(key)) {
	case "true", "yes", "on", "1":
		return true
	case "false", "no", "off", "0":
		return false
	}
	return fallback
}

// number returns a whole number; fallback when there is none.
func (s *source) number(key string, fallback int) int {
	if number, err := strconv.ParseFloat(s.text(key), 64); err == nil {
		return int(number)
	}
	return fallback
}

// duration returns a time such as 30s or 1d; fallback when there is none.
func (s *source) duration(key string, fallback time.Duration) time.Duration {
	text := s.text(key)
	if text == "" {
		return fallback
	}
	d, err := parseDuration(text)
	if err != nil {
		s.noteAt(s.find(key), s.where(key), "%q is not a duration, and %s stands in for it", text, durationText(fallback))
		return fallback
	}
	return d
}

// parseDuration reads Go's durations and those of Prometheus, with d, w and y.
func parseDuration(text string) (time.Duration, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	units := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'y': 365 * 24 * time.Hour}
	var whole time.Duration
	for rest := text; rest != ""; {
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end <= 0 {
			return 0, fmt.Errorf("%q is not a duration", text)
		}
		unit, known := units[rest[end]]
		if !known {
			last, err := time.ParseDuration(rest)
			return whole + last, err
		}
		n, err := strconv.Atoi(rest[:end])
		if err != nil || n > 1000 {
			return 0, fmt.Errorf("%q is not a duration", text)
		}
		whole += time.Duration(n) * unit
		rest = rest[end+1:]
	}
	return whole, nil
}

// item is one text of a list and where it stands.
type item struct {
	text, where string
	node        *yaml.Node
}

// items returns a list of scalars; a scalar alone is a list of one.
func (s *source) items(key string) []item {
	n := s.find(key)
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.ScalarNode:
		return []item{{s.conv.dollars(n.Value), s.where(key), n}}
	case n.Kind != yaml.SequenceNode:
		s.noteAt(n, s.where(key), "is not a list, and was left out")
		return nil
	}
	var items []item
	for i, inner := range n.Content {
		where := fmt.Sprintf("%s[%d]", s.where(key), i)
		if inner = dealias(inner); inner.Kind != yaml.ScalarNode {
			s.noteAt(inner, where, "is not a single value, and was left out")
			continue
		}
		items = append(items, item{s.conv.dollars(inner.Value), where, inner})
	}
	return items
}

// texts returns the texts of a list.
func (s *source) texts(key string) []string {
	var texts []string
	for _, item := range s.items(key) {
		texts = append(texts, item.text)
	}
	return texts
}

// pair is a key and its text, in the order of the file.
type pair struct{ key, value string }

// pairs returns a mapping of texts.
func (s *source) pairs(key string) []pair {
	inner := s.child(key)
	if inner == nil {
		return nil
	}
	var pairs []pair
	for i := 0; i+1 < len(inner.node.Content); i += 2 {
		name := inner.node.Content[i].Value
		if inner.find(name) != nil && name != "<<" {
			pairs = append(pairs, pair{name, inner.text(name)})
		}
	}
	return pairs
}

// child returns the mapping at key; nil when there is none.
func (s *source) child(key string) *source {
	n := s.find(key)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		s.noteAt(n, s.where(key), "is not a mapping, and was left out")
		return nil
	}
	return s.enter(n, s.where(key))
}

func (s *source) enter(n *yaml.Node, path string) *source {
	inner := &source{conv: s.conv, file: s.file, path: path, node: n, taken: map[string]bool{}}
	s.inner = append(s.inner, inner)
	return inner
}

// children returns the mappings of the list at key, or of the values of the
// mapping there.
func (s *source) children(key string) []*source {
	n := s.find(key)
	if n == nil {
		return nil
	}
	var all []*source
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			path := fmt.Sprintf("%s[%d]", s.where(key), i)
			if item = dealias(item); item.Kind != yaml.MappingNode {
				s.noteAt(item, path, "is not a mapping, and was left out")
				continue
			}
			all = append(all, s.enter(item, path))
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			item := dealias(n.Content[i+1])
			path := s.where(key) + "." + n.Content[i].Value
			if item.Kind != yaml.MappingNode {
				s.noteAt(item, path, "is not a mapping, and was left out")
				continue
			}
			all = append(all, s.enter(item, path))
		}
	default:
		s.noteAt(n, s.where(key), "is not a list, and was left out")
	}
	return all
}

// abandon takes everything: a note on the whole has said enough.
func (s *source) abandon() {
	for i := 0; i+1 < len(s.node.Content); i += 2 {
		s.taken[s.node.Content[i].Value] = true
	}
	s.inner = nil
}

// rest notes every key that no rule looked at, in s and all mappings taken
// from it.
func (s *source) rest() {
	for i := 0; i+1 < len(s.node.Content); i += 2 {
		key, value := s.node.Content[i], s.node.Content[i+1]
		shared := value.Anchor != "" // it counts where it is used
		if s.taken[key.Value] || key.Value == "<<" || shared || saysNothing(dealias(value)) {
			continue
		}
		s.noteAt(key, s.where(key.Value), "is not carried over")
	}
	for _, inner := range s.inner {
		inner.rest()
	}
}

// saysNothing reports whether a value is one that exports write for "not set".
func saysNothing(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.ShortTag() == "!!null" || n.Value == "" || n.Value == "false" || n.Value == "0"
	case yaml.MappingNode, yaml.SequenceNode:
		return len(n.Content) == 0
	}
	return false
}
