package checks

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// references are where a text takes what an earlier step has captured, as
// {{name}}. Two braces before anything else are themselves.
var references = regexp.MustCompile(`\{\{ *([a-z][a-z0-9_]{0,30}) *\}\}`)

// namesIn returns the names that a text refers to, in order.
func namesIn(text string) []string {
	if !strings.Contains(text, "{{") {
		return nil
	}
	var names []string
	for _, found := range references.FindAllStringSubmatch(text, -1) {
		names = append(names, found[1])
	}
	return names
}

// whole returns the name when a text is nothing but one reference.
func whole(text string) (name string, ok bool) {
	found := references.FindStringSubmatch(text)
	if found == nil || found[0] != text {
		return "", false
	}
	return found[1], true
}

// fill replaces the references in text by the values that have those names.
// escape makes a value fit for where it comes to stand, after what has been
// written so far.
func fill(text string, values map[string]string, escape func(before, value string) string) string {
	if !strings.Contains(text, "{{") {
		return text
	}
	var b strings.Builder
	end := 0
	for _, at := range references.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[end:at[0]])
		b.WriteString(escape(b.String(), values[text[at[2]:at[3]]]))
		end = at[1]
	}
	b.WriteString(text[end:])
	return b.String()
}

// asIs is the escaping of places that take any text.
func asIs(_, value string) string { return value }

// inURL escapes a value in a URL: as part of its query behind the question
// mark, and before that as one segment of its path (RFC 3986).
func inURL(before, value string) string {
	if strings.Contains(before, "?") {
		return url.QueryEscape(value)
	}
	if value == "." || value == ".." { // which would lead up the path
		return strings.ReplaceAll(value, ".", "%2E")
	}
	return url.PathEscape(value)
}

// inForm escapes a value in a body of type application/x-www-form-urlencoded.
func inForm(_, value string) string { return url.QueryEscape(value) }

// inJSON escapes a value within the quotes of a JSON text. Outside of quotes it
// is written as it is, such as a number.
func inJSON(before, value string) string {
	quoted := false
	for i := 0; i < len(before); i++ {
		switch before[i] {
		case '"':
			quoted = !quoted
		case '\\':
			i++
		}
	}
	if !quoted {
		return value
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "" // a string can be written
	}
	return string(text[1 : len(text)-1])
}

// bodyEscape returns how values are escaped in a body of a content type.
func bodyEscape(contentType string) func(before, value string) string {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch kind = strings.TrimSpace(kind); {
	case kind == "application/x-www-form-urlencoded":
		return inForm
	case kind == "application/json", strings.HasSuffix(kind, "+json"):
		return inJSON
	}
	return asIs
}

// authorityOf returns the part of a URL that says where a request goes: the
// scheme and all up to the path.
func authorityOf(text string) string {
	start := 0
	if i := strings.Index(text, "://"); i >= 0 {
		start = i + len("://")
	}
	if i := strings.IndexAny(text[start:], "/?#\\"); i >= 0 {
		return text[:start+i]
	}
	return text
}
