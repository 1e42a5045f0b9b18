package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"nines/internal/secret"
)

// redactor hides texts in what people get to read: those that steps have
// captured, and those that a check sends and a target may send back.
type redactor struct{ forms []shownForm }

// shownForm is how a text may look in a detail, and what is written there
// instead.
type shownForm struct{ text, by string }

// add makes r hide a text, in whose place by is written.
func (r *redactor) add(value, by string) {
	for _, text := range shownForms(value) {
		r.forms = append(r.forms, shownForm{text, by})
	}
	// The longest first: one may be part of another.
	slices.SortStableFunc(r.forms, func(a, b shownForm) int { return len(b.text) - len(a.text) })
}

// shortSecret is below how many bytes a text is hidden only where it stands
// alone: the 1 of a page number is in too many words.
const shortSecret = 8

// addSecrets makes r hide what a request sends that may be a credential. Shorter
// ones than shortSecret are no secrets worth the name, and would be found
// everywhere.
func (r *redactor) addSecrets(request *HTTPRequest) {
	sent := []secret.String{request.Bearer, request.Basic.Password}
	if request.Basic.set() {
		_, encoded, _ := strings.Cut(basicAuthorization(request.Basic.Username, request.Basic.Password.Reveal()), " ")
		sent = append(sent, secret.New(encoded))
	}
	sent = append(sent, request.OAuth2.ClientSecret)
	sent = slices.AppendSeq(sent, maps.Values(request.Form))
	sent = slices.AppendSeq(sent, maps.Values(request.OAuth2.Params))
	for name, value := range request.Headers {
		switch name = textproto.CanonicalMIMEHeaderKey(name); {
		case slices.Contains(keptElsewhere, name), name == "Host", name == "Content-Type":
		default:
			sent = append(sent, value)
		}
	}
	for _, value := range sent {
		if text := value.Reveal(); len(text) >= shortSecret && len(namesIn(text)) == 0 {
			r.add(text, secret.Redacted)
		}
	}
}

// hide replaces every text that r has in a detail, in any of the forms in which
// details show texts, whole or cut short.
func (r *redactor) hide(detail string) string {
	for _, f := range r.forms {
		detail = replaceShown(detail, f.text, f.by)
	}
	return detail
}

// hideIn hides in texts among facts.
func (r *redactor) hideIn(facts Facts) {
	for name, value := range facts {
		switch value := value.(type) {
		case string:
			facts[name] = r.hide(value)
		case []string:
			for i := range value {
				value[i] = r.hide(value[i])
			}
		}
	}
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
