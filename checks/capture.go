package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// maxCaptured is the longest text that a step captures, in bytes.
const maxCaptured = 8 << 10

// Capture is where in its answer a step finds a text for the steps after it;
// one of its fields is set.
type Capture struct {
	JSON   *JSONPath `json:"json" doc:"A path into the JSON body; the first value there is taken." example:"$.token"`
	Header string    `json:"header" doc:"The name of a header." example:"X-Token"`
	Match  *Pattern  `json:"match" doc:"A regular expression (RE2) on the body; what its group matches is taken, or all of the match when it has none." example:"'name=\"csrf\" value=\"([^\"]+)\"'"`
	Cookie string    `json:"cookie" doc:"The name of a cookie, set by the answer or before." example:"sid"`
}

// String says where the text is looked for, for people.
func (c *Capture) String() string {
	switch {
	case c.JSON != nil:
		return c.JSON.String()
	case c.Header != "":
		return "the header " + c.Header
	case c.Cookie != "":
		return "the cookie " + c.Cookie
	case c.Match != nil:
		return "a match of " + clip(c.Match.String(), 200)
	}
	return "nowhere"
}

// readsBody reports whether the body must be kept for it.
func (c Capture) readsBody() bool { return c.Match != nil || c.JSON != nil }

// from returns the text, or what is wrong with the answer. cookies are those
// that would be sent with the next request to the same address.
func (c *Capture) from(name string, a *answer, cookies []*http.Cookie) (string, finding) {
	text, f := c.find(a, cookies)
	switch {
	case f.status != "":
		return "", f
	case text == "":
		return "", against(ContentMismatch, "nothing to capture as %s at %s", name, c)
	case len(text) > maxCaptured:
		return "", against(ContentMismatch, "what is to be captured as %s at %s has %d bytes; at most %d are taken", name, c, len(text), maxCaptured)
	}
	return text, finding{}
}

func (c *Capture) find(a *answer, cookies []*http.Cookie) (string, finding) {
	switch {
	case c.JSON != nil:
		d := a.json()
		if d.err != nil {
			return "", against(ContentMismatch, "%v", d.err)
		}
		found, err := c.JSON.follow(d.value, a.until)
		if err != nil {
			return "", against(ContentMismatch, "%s %v", c.JSON, err)
		}
		if len(found) == 0 || found[0] == nil {
			return "", finding{}
		}
		return textOf(found[0]), finding{}
	case c.Header != "":
		return a.header.Get(c.Header), finding{}
	case c.Cookie != "":
		set := (&http.Response{Header: a.header}).Cookies()
		for _, cookie := range slices.Concat(set, cookies) {
			if cookie.Name == c.Cookie {
				return cookie.Value, finding{}
			}
		}
	case c.Match != nil:
		return c.Match.first(a.body), finding{}
	}
	return "", finding{}
}

func (c *Capture) faults(path string) []Fault {
	given := 0
	for _, is := range []bool{c.JSON != nil, c.Header != "", c.Match != nil, c.Cookie != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return []Fault{{path, "must say where the text is; write one of json, header, match and cookie"}}
	case c.Header != "" && !httpguts.ValidHeaderFieldName(c.Header):
		return []Fault{{path + ".header", "is not a header's name; write one such as X-Token"}}
	case c.Match != nil && c.Match.groups() > 1:
		return []Fault{{path + ".match", fmt.Sprintf("has %d groups; write one around what is to be captured, and (?:…) for the others", c.Match.groups())}}
	}
	return nil
}

// capturedName is what a captured text can be called.
var capturedName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)

// captureFaults says what is wrong with the captures of a step.
func captureFaults(path string, captures map[string]Capture) []Fault {
	var faults []Fault
	if len(captures) > maxCaptures {
		faults = append(faults, Fault{path, fmt.Sprintf("are %d; at most %d are allowed", len(captures), maxCaptures)})
	}
	for _, name := range slices.Sorted(maps.Keys(captures)) {
		at := path + "." + clip(name, 80)
		switch {
		case !capturedName.MatchString(name):
			faults = append(faults, Fault{at, fmt.Sprintf("%q cannot be a name; write 1 to 31 of a-z, 0-9 and _, beginning with a letter", clip(name, 80))})
		case slices.Contains(reservedNames(), name):
			faults = append(faults, Fault{at, fmt.Sprintf("%s has a meaning in expressions; write another name, such as my_%s", name, name)})
		}
		c := captures[name]
		faults = append(faults, c.faults(at)...)
	}
	return faults
}

// textOf returns a value of a document as text: a text without its quotes,
// anything else as JSON.
func textOf(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	data, err := json.Marshal(value)
	if err != nil {
		return "" // a number that is too large to be written
	}
	return string(data)
}
