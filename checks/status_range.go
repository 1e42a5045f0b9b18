package checks

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// StatusRange is a range of HTTP status codes, both ends included. It is
// written 200, 200-299 or 2xx.
type StatusRange struct{ First, Last int }

// Contains reports whether the code is in the range.
func (s StatusRange) Contains(code int) bool { return s.First <= code && code <= s.Last }

func (s StatusRange) String() string {
	if s.First == s.Last {
		return strconv.Itoa(s.First)
	}
	return fmt.Sprintf("%d-%d", s.First, s.Last)
}

// MarshalText writes the range as String does.
func (s StatusRange) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads 200, 200-299 or 2xx; codes are from 100 to 599.
func (s *StatusRange) UnmarshalText(text []byte) error {
	written := string(text)
	if len(text) == 3 && (written[1:] == "xx" || written[1:] == "XX") {
		written = fmt.Sprintf("%c00-%c99", text[0], text[0])
	}
	first, last, isRange := strings.Cut(written, "-")
	if !isRange {
		last = first
	}
	from, ok1 := statusCode(first)
	to, ok2 := statusCode(last)
	if !ok1 || !ok2 || from > to {
		return fmt.Errorf("%q is not a status; write a code such as 200, a range such as 200-299, or a class such as 2xx", clip(string(text), 40))
	}
	*s = StatusRange{from, to}
	return nil
}

func statusCode(s string) (int, bool) {
	if len(s) != 3 {
		return 0, false
	}
	code, err := strconv.Atoi(s)
	return code, err == nil && 100 <= code && code <= 599
}

// UnmarshalJSON reads a number too.
func (s *StatusRange) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '"' {
		return s.UnmarshalText(data)
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	return s.UnmarshalText([]byte(text))
}

func listed(ranges []StatusRange) string {
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = r.String()
	}
	return strings.Join(texts, ", ")
}
