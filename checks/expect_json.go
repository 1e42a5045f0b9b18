package checks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// What a value of a document takes in memory at the worst, in bytes, measured
// with what is thrown away on the way: an object with its first key, a list, and
// any further value.
const (
	objectCost = 1200
	listCost   = 140
	valueCost  = 90
)

// maxDocument is the largest body that is read as JSON, in bytes. What it
// becomes in memory is some twenty times that at worst. The nesting is bounded
// by encoding/json, at 10000.
const maxDocument = 4 << 20

// maxExact is the largest whole number up to which every one is a float64.
const maxExact = 1 << 53

// JSONValue is a JSON value that is no list and no object: a text, a number,
// true, false or null. The zero JSONValue is not set.
type JSONValue struct {
	set   bool
	value any // string, int64, float64, bool or nil
}

// IsZero reports whether no value is set.
func (v JSONValue) IsZero() bool { return !v.set }

// MarshalJSON writes the value; one that is not set is null.
func (v JSONValue) MarshalJSON() ([]byte, error) { return json.Marshal(v.value) }

// UnmarshalJSON reads a single value.
func (v *JSONValue) UnmarshalJSON(data []byte) error {
	value, err := parseDocument(data)
	if err != nil {
		return err
	}
	switch value := value.(type) {
	case []any, map[string]any:
		return errors.New("is a list or a mapping; write a single value")
	case float64:
		if math.IsInf(value, 0) {
			return errors.New("is a number that is too large")
		}
		if whole := int64(value); float64(whole) == value && -maxExact <= whole && whole <= maxExact {
			*v = JSONValue{true, whole} // as it is written out again
			return nil
		}
	}
	*v = JSONValue{true, value}
	return nil
}

func (v JSONValue) String() string { return shownValue(v.value) }

// equal compares by value: 1 and 1.0 are the same number.
func (v JSONValue) equal(got any) bool {
	switch got.(type) {
	case []any, map[string]any:
		return false
	}
	if v.value == got {
		return true
	}
	_, wantsWhole := v.value.(int64)
	_, isWhole := got.(int64)
	if wantsWhole == isWhole {
		return false // of one type, and not the same
	}
	want, ok1 := number(v.value)
	has, ok2 := number(got)
	return ok1 && ok2 && want == has
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// JSONExpect is what the values at one path of a JSON body must be. In a
// configuration it is a single value, which they must equal, or a mapping.
type JSONExpect struct {
	Equals  JSONValue `json:"equals" doc:"The exact value: a text, a number, true, false or null; default: any." example:"ok"`
	Matches *Pattern  `json:"matches" doc:"A regular expression (RE2) that must match somewhere in the text; default: any." example:"'^A'"`
	Min     *float64  `json:"min" doc:"The least that the number may be; default: any." example:"1"`
	Max     *float64  `json:"max" doc:"The most that the number may be; default: any." example:"100"`
	Length  *int      `json:"length" doc:"How many items a list has, keys an object or characters a text; default: any." example:"3"`
	Absent  *bool     `json:"absent" doc:"With true nothing may be there, with false something must, whatever it is." example:"true"`
}

// wireJSONExpect is a JSONExpect as it travels: null is a value to expect, so
// that what is not set is left out.
type wireJSONExpect struct {
	Equals  json.RawMessage `json:"equals,omitempty"`
	Matches *Pattern        `json:"matches,omitempty"`
	Min     *float64        `json:"min,omitempty"`
	Max     *float64        `json:"max,omitempty"`
	Length  *int            `json:"length,omitempty"`
	Absent  *bool           `json:"absent,omitempty"`
}

// MarshalJSON writes what is set.
func (e JSONExpect) MarshalJSON() ([]byte, error) {
	w := wireJSONExpect{nil, e.Matches, e.Min, e.Max, e.Length, e.Absent}
	if !e.Equals.IsZero() {
		equals, err := e.Equals.MarshalJSON()
		if err != nil {
			return nil, err
		}
		w.Equals = equals
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads an object, or a single value to equal.
func (e *JSONExpect) UnmarshalJSON(data []byte) error {
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		var equals JSONValue
		if err := equals.UnmarshalJSON(data); err != nil {
			return err
		}
		*e = JSONExpect{Equals: equals}
		return nil
	}
	var w wireJSONExpect
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*e = JSONExpect{JSONValue{}, w.Matches, w.Min, w.Max, w.Length, w.Absent}
	if w.Equals != nil {
		return e.Equals.UnmarshalJSON(w.Equals)
	}
	return nil
}

// judge says what is wrong with the values at a path. Where there are several,
// each of them has to fit.
func (e *JSONExpect) judge(path string, got []any) finding {
	switch {
	case e.Absent != nil && *e.Absent:
		if len(got) > 0 {
			return against(ContentMismatch, "%s is %s; expected nothing there", path, shownValue(got[0]))
		}
		return finding{}
	case len(got) == 0:
		return against(ContentMismatch, "there is nothing at %s; expected %s", path, e)
	}
	for _, value := range got {
		if wrong := e.against(value); wrong != "" {
			return against(ContentMismatch, "%s is %s; expected %s", path, shownValue(value), wrong)
		}
	}
	return finding{}
}

// against says what was expected where value is not that.
func (e *JSONExpect) against(value any) string {
	n, isNumber := number(value)
	text, isText := value.(string)
	switch {
	case !e.Equals.IsZero() && !e.Equals.equal(value):
		return e.Equals.String()
	case e.Matches != nil && !(isText && e.Matches.match([]byte(text))):
		return "a text that matches " + clip(e.Matches.String(), 200)
	case e.Min != nil && !(isNumber && n >= *e.Min):
		return fmt.Sprintf("a number from %v", *e.Min)
	case e.Max != nil && !(isNumber && n <= *e.Max):
		return fmt.Sprintf("a number up to %v", *e.Max)
	case e.Length != nil && length(value) != *e.Length:
		return fmt.Sprintf("a length of %d", *e.Length)
	}
	return ""
}

// length returns how many items, keys or characters a value has, and -1 for one
// that has none of them.
func length(value any) int {
	switch value := value.(type) {
	case []any:
		return len(value)
	case map[string]any:
		return len(value)
	case string:
		return utf8.RuneCountInString(value)
	}
	return -1
}

// String says what is expected, for people.
func (e *JSONExpect) String() string {
	var said []string
	add := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if !e.Equals.IsZero() {
		add("%s", e.Equals)
	}
	if e.Matches != nil {
		add("a text that matches %s", clip(e.Matches.String(), 200))
	}
	if e.Min != nil {
		add("a number from %v", *e.Min)
	}
	if e.Max != nil {
		add("a number up to %v", *e.Max)
	}
	if e.Length != nil {
		add("a length of %d", *e.Length)
	}
	if said == nil {
		return "some value"
	}
	return strings.Join(said, " and ")
}

// shownValue writes a value of a document for people; of lists and objects how
// large they are.
func shownValue(value any) string {
	switch value := value.(type) {
	case []any:
		return fmt.Sprintf("a list of %d", len(value))
	case map[string]any:
		return fmt.Sprintf("an object of %d", len(value))
	case string:
		return fmt.Sprintf("%q", clip(value, 200))
	case nil:
		return "null"
	}
	return fmt.Sprint(value)
}

// document is a body read as JSON.
type document struct {
	value any
	err   error
}

// json returns the body as JSON, read once.
func (a *answer) json() document {
	if a.document == nil {
		a.document = new(document)
		// Eight times what a body may have: 8 MiB by default.
		room := 8 * min(cmp.Or(a.limit, defaultMaxBody), maxDocument)
		if len(a.body) > maxDocument {
			a.document.err = fmt.Errorf("the body has %d bytes, and JSON is read from at most %d", len(a.body), maxDocument)
		} else if costOf(a.body) > room {
			a.document.err = fmt.Errorf("the body has more values than JSON is read of within max_body, %d bytes; raise that if they are right", cmp.Or(a.limit, defaultMaxBody))
		} else if a.document.value, a.document.err = parseDocument(a.body); a.document.err != nil {
			a.document.err = fmt.Errorf("the body is not JSON %w", a.document.err)
		}
	}
	return *a.document
}

// costOf is about what a document takes in memory at the worst, in bytes, by its
// punctuation outside of texts.
func costOf(document []byte) (cost int) {
	for i := 0; i < len(document); i++ {
		switch document[i] {
		case '{':
			cost += objectCost
		case '[':
			cost += listCost
		case ',':
			cost += valueCost
		case '"':
			for i++; i < len(document) && document[i] != '"'; i++ {
				if document[i] == '\\' {
					i++
				}
				cost++
			}
		}
	}
	return cost
}

// parseDocument reads one JSON value (RFC 8259). Numbers become int64 where
// they are whole and fit, else float64. An error says at which byte, counted
// from 0, the fault is.
func parseDocument(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		syntax, ok := errors.AsType[*json.SyntaxError](err)
		if !ok { // io.EOF and io.ErrUnexpectedEOF
			return nil, fmt.Errorf("at byte %d: it ends too early", len(data))
		}
		return nil, fmt.Errorf("at byte %d: %w", max(syntax.Offset-1, 0), syntax)
	}
	end := int(decoder.InputOffset())
	if rest := bytes.TrimLeft(data[end:], " \t\r\n"); len(rest) > 0 {
		return nil, fmt.Errorf("at byte %d: there is more after its end", len(data)-len(rest))
	}
	return plainNumbers(value), nil
}

// plainNumbers replaces the numbers in value, as they were written, by what
// they are. Too large ones are infinite.
func plainNumbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole
		}
		float, _ := v.Float64() // of an error it says infinity
		return float
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plainNumbers(v[key])
		}
	}
	return value
}

func (e *HTTPExpect) json(a *answer) finding {
	if len(e.JSON) == 0 {
		return finding{}
	}
	d := a.json()
	if d.err != nil {
		return against(ContentMismatch, "%v", d.err)
	}
	for _, written := range slices.Sorted(maps.Keys(e.JSON)) {
		var path JSONPath
		if err := path.UnmarshalText([]byte(written)); err != nil {
			return against(ProberInternal, "%v", err) // Faults has refused it
		}
		got, err := path.follow(d.value, a.until)
		if err != nil {
			return against(ContentMismatch, "%s %v", written, err)
		}
		expected := e.JSON[written]
		if f := expected.judge(written, got); f.status != "" {
			return f
		}
	}
	return finding{}
}

func (e *HTTPExpect) jsonFaults() []Fault {
	var faults []Fault
	for _, written := range slices.Sorted(maps.Keys(e.JSON)) {
		at := fmt.Sprintf("expect.json[%q]", clip(written, 80))
		add := func(key, format string, args ...any) {
			faults = append(faults, Fault{at + key, fmt.Sprintf(format, args...)})
		}
		var path JSONPath
		if err := path.UnmarshalText([]byte(written)); err != nil {
			add("", "%v", err)
		}
		x := e.JSON[written]
		rules := !x.Equals.IsZero() || x.Matches != nil || x.Min != nil || x.Max != nil || x.Length != nil
		switch {
		case !rules && x.Absent == nil:
			add("", "says nothing of the value; write a value, or some of equals, matches, min, max, length and absent")
		case rules && x.Absent != nil && *x.Absent:
			add(".absent", "is true beside what the value must be; keep one")
		}
		if x.Min != nil && x.Max != nil && *x.Min > *x.Max {
			add(".min", "is above max, so that no number fits")
		}
		if x.Length != nil && *x.Length < 0 {
			add(".length", "is negative; write a number from 0")
		}
	}
	return faults
}
