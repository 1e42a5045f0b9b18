package checks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
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

// HTTPExpect is what an answer must be. What is not set is not looked at,
// apart from the status.
type HTTPExpect struct {
	Status       []StatusRange     `json:"status" doc:"Status codes that are right, as codes, ranges or classes; default: [200-299]. Redirects are followed first." example:"[200-299, 404]"`
	Headers      map[string]string `json:"headers" doc:"Headers that the answer must have with exactly these values." example:"{Content-Type: text/html}"`
	BodyContains []string          `json:"body_contains" doc:"Texts that must all be in the body." example:"[Welcome]"`
	BodyLacks    []string          `json:"body_lacks" doc:"Texts none of which may be in the body." example:"[Fatal error]"`
	BodyMatches  []Pattern         `json:"body_matches" doc:"Regular expressions (RE2) that must all match somewhere in the body." example:"['order-[0-9]+']"`
	ValidFor     Lifetime          `json:"valid_for" doc:"How long the certificate of an https address must still be valid, as a duration or as a share of its life; default: any time." example:"14d"`
	AllAddresses bool              `json:"all_addresses" doc:"With ip: each, one bad address makes the check down, and not degraded; default false."`
	Within       time.Duration     `json:"within" doc:"The longest that the whole run may take; a slower one is degraded; default: any time." example:"2s"`
}

// expectations are looked at in this order, and the first that is not met is
// the result. Those that mean down come before those that mean degraded.
var expectations = []func(*HTTPExpect, *answer) finding{
	(*HTTPExpect).status,
	(*HTTPExpect).validFor,
	(*HTTPExpect).headers,
	(*HTTPExpect).bodyContains,
	(*HTTPExpect).bodyLacks,
	(*HTTPExpect).bodyMatches,
	(*HTTPExpect).within,
}

// judge returns the first expectation that a does not meet.
func (e *HTTPExpect) judge(a *answer) finding {
	for _, met := range expectations {
		if f := met(e, a); f.status != "" {
			return f
		}
	}
	return finding{}
}

// readsBody reports whether the body must be kept to be judged.
func (e *HTTPExpect) readsBody() bool {
	return len(e.BodyContains)+len(e.BodyLacks)+len(e.BodyMatches) > 0
}

func (e *HTTPExpect) status(a *answer) finding {
	if len(e.Status) == 0 {
		if a.status >= 200 && a.status <= 299 {
			return finding{}
		}
		return against(HTTPStatus, "the status is %s; expected 200-299", statusText(a.status))
	}
	for _, r := range e.Status {
		if r.Contains(a.status) {
			return finding{}
		}
	}
	return against(HTTPStatus, "the status is %s; expected %s", statusText(a.status), listed(e.Status))
}

func statusText(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}

func listed(ranges []StatusRange) string {
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = r.String()
	}
	return strings.Join(texts, ", ")
}

func (e *HTTPExpect) validFor(a *answer) finding { return a.certificate.validFor(e.ValidFor, a.now) }

func (e *HTTPExpect) headers(a *answer) finding {
	if len(e.Headers) == 0 {
		return finding{}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		got := a.header.Values(name)
		if !slices.Contains(got, e.Headers[name]) {
			return against(ContentMismatch, "the header %s is %q; expected %q", name, clip(strings.Join(got, ", "), 200), e.Headers[name])
		}
	}
	return finding{}
}

func (e *HTTPExpect) bodyContains(a *answer) finding {
	for _, text := range e.BodyContains {
		if !bytes.Contains(a.body, []byte(text)) {
			return against(ContentMismatch, "the body of %d bytes lacks %q", a.bodyBytes, clip(text, 200))
		}
	}
	return finding{}
}

func (e *HTTPExpect) bodyLacks(a *answer) finding {
	for _, text := range e.BodyLacks {
		if bytes.Contains(a.body, []byte(text)) {
			return against(ContentMismatch, "the body contains %q", clip(text, 200))
		}
	}
	return finding{}
}

func (e *HTTPExpect) bodyMatches(a *answer) finding {
	for _, p := range e.BodyMatches {
		if !p.match(a.body) {
			return against(ContentMismatch, "the body of %d bytes does not match %s", a.bodyBytes, clip(p.String(), 200))
		}
	}
	return finding{}
}

func (e *HTTPExpect) within(a *answer) finding { return slowerThan(e.Within, a.watch.took()) }

// slowerThan is the expectation that a run takes no longer than limit; zero
// means any time.
func slowerThan(limit, took time.Duration) finding {
	if limit <= 0 || took <= limit {
		return finding{}
	}
	return against(SlowTotal, "took %s; expected within %s", took.Round(time.Millisecond), limit)
}

// faults says what is wrong with e.
func (e *HTTPExpect) faults() []Fault {
	var faults []Fault
	for i, r := range e.Status {
		if r.First < 100 || r.Last > 599 || r.First > r.Last {
			faults = append(faults, Fault{fmt.Sprintf("expect.status[%d]", i), "is not a range of status codes; write one such as 200-299"})
		}
	}
	faults = append(faults, headerFaults("expect.headers", e.Headers)...)
	faults = append(faults, textFaults("expect.body_contains", e.BodyContains)...)
	faults = append(faults, textFaults("expect.body_lacks", e.BodyLacks)...)
	return append(faults, durationFaults("expect.within", e.Within)...)
}

func textFaults(path string, texts []string) []Fault {
	var faults []Fault
	for i, text := range texts {
		if text == "" {
			faults = append(faults, Fault{fmt.Sprintf("%s[%d]", path, i), "is empty, and every body contains that; write some text"})
		}
	}
	return faults
}

func durationFaults(path string, d time.Duration) []Fault {
	if d < 0 {
		return []Fault{{path, "is negative; write a duration such as 2s"}}
	}
	return nil
}
