package checks

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
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

// authority returns the part of a URL that says where a request goes: the
// scheme and all up to the path.
func authority(text string) string {
	start := 0
	if i := strings.Index(text, "://"); i >= 0 {
		start = i + len("://")
	}
	if i := strings.IndexAny(text[start:], "/?#\\"); i >= 0 {
		return text[:start+i]
	}
	return text
}

// redactor hides captured texts in what people get to read.
type redactor struct{ forms []shownForm }

// shownForm is how a captured text may look in a detail, and what is written
// there instead.
type shownForm struct{ text, by string }

// add makes r hide a text.
func (r *redactor) add(name, value string) {
	for _, text := range shownForms(value) {
		r.forms = append(r.forms, shownForm{text, "{{" + name + "}}"})
	}
	// The longest first: one may be part of another.
	slices.SortStableFunc(r.forms, func(a, b shownForm) int { return len(b.text) - len(a.text) })
}

// shortSecret is below how many bytes a captured text is hidden only where it
// stands alone: the 1 of a page number is in too many words.
const shortSecret = 8

// hide replaces every captured text in a detail by its name, in any of the
// forms in which details show texts, whole or cut short.
func (r *redactor) hide(detail string) string {
	for _, f := range r.forms {
		detail = replaceShown(detail, f.text, f.by)
	}
	return detail
}

// shownForms returns how a text may look in a detail.
func shownForms(value string) []string {
	quoted := fmt.Sprintf("%q", value)
	text, _ := json.Marshal(value)
	forms := []string{value, quoted[1 : len(quoted)-1], string(text[1 : len(text)-1]), url.QueryEscape(value), url.PathEscape(value)}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// replaceShown replaces text in detail, and the start of it before a cut.
func replaceShown(detail, text, by string) string {
	if len(text) >= shortSecret {
		detail = strings.ReplaceAll(detail, text, by)
	} else {
		alone := regexp.MustCompile(`(^|[^0-9A-Za-z])` + regexp.QuoteMeta(text) + `($|[^0-9A-Za-z])`)
		for range 2 { // neighbours share what is between them
			detail = alone.ReplaceAllString(detail, "${1}"+by+"${2}")
		}
	}
	const cut = "…"
	for end := strings.Index(detail, cut); end >= 0; {
		shown := detail[:end]
		for n := min(len(text), len(shown)); n >= 3; n-- {
			if strings.HasSuffix(shown, text[:n]) {
				detail = shown[:len(shown)-n] + by + detail[end:]
				end += len(by) - n
				break
			}
		}
		next := strings.Index(detail[end+len(cut):], cut)
		if next < 0 {
			break
		}
		end += len(cut) + next
	}
	return detail
}
