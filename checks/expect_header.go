package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// HeaderExpect is what one header of an answer must be. In a configuration it
// is a text, which the header must equal, or a mapping. Of a header that comes
// several times, one value that fits is enough.
type HeaderExpect struct {
	Equals  *string  `json:"equals" doc:"The exact value; default: any." example:"text/html"`
	Matches *Pattern `json:"matches" doc:"A regular expression (RE2) that must match somewhere in the value; default: any value." example:"'^nginx'"`
	Absent  *bool    `json:"absent" doc:"With true the header must not be there, with false it must, whatever its value." example:"true"`
}

// HeaderEquals returns the expectation that a header has exactly this value.
func HeaderEquals(value string) HeaderExpect { return HeaderExpect{Equals: &value} }

// UnmarshalText reads the value that the header must equal.
func (h *HeaderExpect) UnmarshalText(text []byte) error {
	*h = HeaderEquals(string(text))
	return nil
}

// UnmarshalJSON reads a text, which the header must equal, or an object.
func (h *HeaderExpect) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var value string
		if err := json.Unmarshal(data, &value); err != nil {
			return err
		}
		*h = HeaderEquals(value)
		return nil
	}
	type plain HeaderExpect
	return json.Unmarshal(data, (*plain)(h))
}

// judge says what is wrong with the values that a header has in an answer.
func (h *HeaderExpect) judge(name string, got []string) finding {
	shown := clip(strings.Join(got, ", "), 200)
	switch {
	case h.Absent != nil && *h.Absent:
		if len(got) > 0 {
			return against(ContentMismatch, "the header %s is %q; expected none", name, shown)
		}
		return finding{}
	case len(got) == 0:
		return against(ContentMismatch, "the header %s is missing; expected %s", name, h)
	case !slices.ContainsFunc(got, h.fits):
		return against(ContentMismatch, "the header %s is %q; expected %s", name, shown, h)
	}
	return finding{}
}

func (h *HeaderExpect) fits(value string) bool {
	return (h.Equals == nil || *h.Equals == value) && (h.Matches == nil || h.Matches.match([]byte(value)))
}

// String says what is expected, for people.
func (h *HeaderExpect) String() string {
	var said []string
	if h.Equals != nil {
		said = append(said, fmt.Sprintf("%q", clip(*h.Equals, 200)))
	}
	if h.Matches != nil {
		said = append(said, "a match of "+clip(h.Matches.String(), 200))
	}
	if said == nil {
		return "any value"
	}
	return strings.Join(said, " and ")
}

func (e *HTTPExpect) headers(a *answer) finding {
	if len(e.Headers) == 0 {
		return finding{}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		expected := e.Headers[name]
		if f := expected.judge(name, a.header.Values(name)); f.status != "" {
			return f
		}
	}
	return finding{}
}

func (e *HTTPExpect) headerFaults() []Fault {
	equal := make(map[string]string, len(e.Headers))
	var faults []Fault
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		h := e.Headers[name]
		equal[name] = ""
		if h.Equals != nil {
			equal[name] = *h.Equals
		}
		at := "expect.headers." + clip(name, 80)
		switch {
		case h.Equals == nil && h.Matches == nil && h.Absent == nil:
			faults = append(faults, Fault{at, "says nothing of the header; write a text, or one of equals, matches and absent"})
		case h.Absent != nil && *h.Absent && (h.Equals != nil || h.Matches != nil):
			faults = append(faults, Fault{at + ".absent", "is true beside equals or matches, which ask for the header; keep one"})
		}
	}
	return append(headerFaults("expect.headers", equal), faults...)
}

// modifiedWithin judges the age that Last-Modified (RFC 9110, section 8.8.2) tells:
// by the server's own clock when Date says it, by ours otherwise.
func (e *HTTPExpect) modifiedWithin(a *answer) finding {
	if e.ModifiedWithin <= 0 {
		return finding{}
	}
	text := a.header.Get("Last-Modified")
	if text == "" {
		return against(ContentStale, "the header Last-Modified is missing; expected a change within %s", days(e.ModifiedWithin))
	}
	changed, err := http.ParseTime(text)
	if err != nil {
		return against(ContentStale, "the header Last-Modified is %q, which is no date", clip(text, 100))
	}
	now := a.now
	if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
		now = date // both are by the server's clock
	}
	if age := now.Sub(changed); age > e.ModifiedWithin {
		return against(ContentStale, "the content last changed %s ago, on %s; expected a change within %s",
			days(age), changed.UTC().Format("2006-01-02T15:04:05Z"), days(e.ModifiedWithin))
	}
	return finding{}
}
