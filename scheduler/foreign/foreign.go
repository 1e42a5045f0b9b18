// Package foreign reads the configurations of other probers and says the same
// as a configuration of nines: Gatus, blackbox_exporter with the Prometheus
// that scrapes it, and the backups of Uptime Kuma.
//
// Whatever a file holds is either carried over, or left out without a word
// because nines has it by itself (such as a second try), or named in a note
// with its place. Nothing is lost in silence: what no rule looked at becomes a
// note of its own.
//
// The formats are those of Gatus 5, blackbox_exporter 0.23 to 0.27 and the
// JSON backups of Uptime Kuma 1.x. Package foreign imports the YAML library
// alone; that its output is a valid configuration is for its tests to show.
package foreign

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Imported is what became of a file.
type Imported struct {
	// YAML is a configuration of nines.
	YAML []byte
	// Checks is how many checks it has.
	Checks int
	// Notes say what did not carry over, in the order of the file.
	Notes []Note
}

// Note is one thing that did not carry over, or not exactly.
type Note struct {
	File         string
	Line, Column int    // from 1
	Where        string // a path such as endpoints[0].ssh
	What         string
}

func (n Note) String() string {
	if n.Where == "" {
		return fmt.Sprintf("%s:%d:%d: %s", n.File, n.Line, n.Column, n.What)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", n.File, n.Line, n.Column, n.Where, n.What)
}

// Fault is why a file cannot be read at all.
type Fault struct{ Note }

func (f *Fault) Error() string { return f.String() }

// File is a file as it was read.
type File struct {
	Name string
	Data []byte
}

// conversion is one import on its way: what was written so far.
type conversion struct {
	doc    *draft
	checks []*draft
	taken  map[string]bool // names of checks
	notes  []Note
	// dollars makes a text of the file one that nines reads as the same.
	dollars func(string) string
}

func newConversion(dollars func(string) string) *conversion {
	return &conversion{doc: newDraft(), taken: map[string]bool{}, dollars: dollars}
}

// plainDollars is for files in which a dollar is a dollar.
func plainDollars(text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	return strings.NewReplacer("$$", "$$$$", "${", "$${").Replace(text)
}

func (c *conversion) note(n Note) { c.notes = append(c.notes, n) }

// check begins a check whose name is made of words, of which only the first
// is used unless another check is called that already.
func (c *conversion) check(words ...string) *draft {
	d := newDraft()
	d.set("name", c.name(words...))
	c.checks = append(c.checks, d)
	return d
}

// name returns a name that no check has yet: of the last word, of all of them,
// or with a number behind.
func (c *conversion) name(words ...string) string {
	base := slug(words[len(words)-1])
	name := base
	if c.taken[name] && len(words) > 1 {
		base = slug(strings.Join(words, "-"))
		name = base
	}
	for i := 2; c.taken[name]; i++ {
		suffix := fmt.Sprintf("-%d", i)
		name = base[:min(len(base), maxName-len(suffix))] + suffix
	}
	c.taken[name] = true
	return name
}

// finish writes everything down.
func (c *conversion) finish(from string) (*Imported, error) {
	c.doc.set("checks", c.checks)
	text, err := c.doc.yaml("Made from the configuration of " + from + " by nines import.")
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(c.notes, func(a, b Note) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Imported{YAML: text, Checks: len(c.checks), Notes: c.notes}, nil
}

// maxName is how long a check's name may be.
const maxName = 63

// slug makes a check's name of any text: small letters, digits and hyphens.
func slug(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(text) {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
			continue
		}
		gap = true
	}
	name := b.String()
	name = strings.TrimRight(name[:min(len(name), maxName)], "-")
	if name == "" {
		return "check"
	}
	return name
}
