package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a configuration: in which file, where in
// it, at which key, and what would be right. Line and Column count from 1.
type Fault struct {
	File         string
	Line, Column int
	Path         string // such as checks[0].expect.status[1], from the top of File; file or yaml for the whole
	Message      string
}

// String returns the fault as the one line that users see:
// file:line:column: where.it.is: what is wrong, and what would be right.
func (f Fault) String() string {
	line := fmt.Sprintf("%s:%d:%d: %s: %s", f.File, f.Line, f.Column, f.Path, f.Message)
	// What a file says must neither break the line nor move a cursor.
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return '·'
		}
		return r
	}, line)
}

// Faults is everything that is wrong, sorted by file and position. It is the
// only error that Load returns.
type Faults []Fault

// Error returns the faults one a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// position is a place in a file.
type position struct {
	file         string
	line, column int
}

func (p position) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column) }

// findings collects faults and warnings, and keeps one mistake from being told
// again by everything that depends on it.
type findings struct {
	faults, warnings []Fault
	// broken are the places whose value could not be read: what is said later
	// of such a place, or of one beneath it, is a consequence.
	broken map[place]bool
}

// place is where a value stands in the document of one file.
type place struct{ file, path string }

// unreadable adds a fault of a value that could not be read at all.
func (f *findings) unreadable(at position, path, format string, args ...any) {
	f.fault(at, path, format, args...)
	f.spoil(at.file, path)
}

// spoil makes what is said of path from now on a consequence.
func (f *findings) spoil(file, path string) {
	if f.broken == nil {
		f.broken = map[place]bool{}
	}
	f.broken[place{file, path}] = true
}

func (f *findings) fault(at position, path, format string, args ...any) {
	if !f.consequence(at.file, path) {
		f.faults = append(f.faults, newFault(at, path, format, args...))
	}
}

func (f *findings) warning(at position, path, format string, args ...any) {
	f.warnings = append(f.warnings, newFault(at, path, format, args...))
}

func newFault(at position, path, format string, args ...any) Fault {
	return Fault{at.file, max(1, at.line), max(1, at.column), cmp.Or(path, "file"), fmt.Sprintf(format, args...)}
}

// consequence reports whether path, or what it stands in, could not be read.
func (f *findings) consequence(file, path string) bool {
	if len(f.broken) == 0 {
		return false
	}
	for path != "" {
		if f.broken[place{file, path}] {
			return true
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return f.broken[place{file, ""}]
}

// sorted returns the faults by file and position. A value that an alias brings
// to several places is told of once.
func sorted(faults []Fault) Faults {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	type said struct {
		position
		message string
	}
	seen := map[said]bool{}
	return slices.DeleteFunc(faults, func(f Fault) bool {
		key := said{position{f.File, f.Line, f.Column}, f.Message}
		again := seen[key]
		seen[key] = true
		return again
	})
}
