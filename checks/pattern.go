package checks

import (
	"fmt"
	"regexp"
	"strings"
)

// Pattern is a regular expression in RE2's syntax, which takes linear time
// whatever it is matched against. The zero Pattern matches everything.
type Pattern struct{ re *regexp.Regexp }

// maxPattern is the longest regular expression, in bytes.
const maxPattern = 1000

// UnmarshalText compiles the expression.
func (p *Pattern) UnmarshalText(text []byte) error {
	if len(text) > maxPattern {
		return fmt.Errorf("is a regular expression of %d bytes; at most %d are allowed", len(text), maxPattern)
	}
	re, err := regexp.Compile(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a regular expression in RE2's syntax: %s", clip(string(text), 80), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	p.re = re
	return nil
}

// MarshalText writes the expression as it was read.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p Pattern) String() string {
	if p.re == nil {
		return ""
	}
	return p.re.String()
}

func (p Pattern) match(b []byte) bool { return p.re == nil || p.re.Match(b) }

// groups returns how many groups the expression has.
func (p Pattern) groups() int {
	if p.re == nil {
		return 0
	}
	return p.re.NumSubexp()
}

// first returns what the expression's first group matches first in b, or the
// whole match when it has no group.
func (p Pattern) first(b []byte) string {
	if p.re == nil {
		return ""
	}
	found := p.re.FindSubmatch(b)
	if found == nil {
		return ""
	}
	return string(found[min(1, len(found)-1)])
}
