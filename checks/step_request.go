package checks

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"nines/internal/secret"
)

// hop makes the first request of a step.
func (t *transaction) hop(ctx context.Context, s *Step) (*hop, finding) {
	r, location, f := s.request(&t.http.HTTPRequest, t.captured, t.last)
	if f.status != "" {
		return nil, f
	}
	if err := r.prepare(); err != nil {
		return nil, against(ContentMismatch, "what was captured makes no address: %v", err)
	}
	h := r.first
	h.config, h.version = nil, t.http.Version // the exchange makes it, of what the check says
	if location != "" {
		// Whoever wrote the answer says where this leads: it is a redirect.
		next, err := h.redirected(&http.Response{StatusCode: http.StatusPermanentRedirect, Header: http.Header{"Location": {location}}})
		switch {
		case err != nil:
			return nil, against(HTTPRedirect, "%v", err)
		case next.place != h.place && next.body != "":
			return nil, against(HTTPRedirect, "what was captured leads to another origin, %s, to which no body is sent", next.place.host)
		}
		h = *next
	}
	if t.last == nil {
		t.home = h.place
	}
	if name := t.http.ServerName; name != "" && h.place == t.home {
		h.server = name
	}
	if t.http.OAuth2.set() && h.place == t.home && len(h.header["Authorization"]) == 0 {
		return t.exchange.authorize(ctx, &h)
	}
	return &h, finding{}
}

// request returns the request of a step with these texts in the place of their
// names. A URL that is nothing but a name is returned as location, and the
// request is then to where the last answer came from.
func (s *Step) request(check *HTTPRequest, values map[string]string, last *hop) (r *HTTPRequest, location string, f finding) {
	preset := newHTTPRequest(defaultMaxBody)
	r = &preset
	r.Method, r.Redirects, r.SameHost = s.Method, s.Redirects, s.SameHost
	if name, ok := whole(s.URL); ok && last != nil {
		location, r.URL = values[name], last.url.String()
	} else {
		r.URL = fill(s.URL, values, inURL)
	}
	r.Headers = make(map[string]secret.String, len(check.Headers)+len(s.Headers))
	for name, value := range check.Headers {
		r.Headers[textproto.CanonicalMIMEHeaderKey(name)] = value
	}
	for name, value := range s.Headers {
		if r.Headers[textproto.CanonicalMIMEHeaderKey(name)], f = headerText("the header "+name, value, values); f.status != "" {
			return nil, "", f
		}
	}
	if r.Bearer, f = headerText("bearer", s.Bearer, values); f.status != "" {
		return nil, "", f
	}
	r.Basic = Basic{s.Basic.Username, secret.New(fill(s.Basic.Password.Reveal(), values, asIs))}
	s.fillBody(r, values)
	return r, location, finding{}
}

// headerText fills in a text that a header carries. Whatever a target says, it
// cannot end the header.
func headerText(what string, written secret.String, values map[string]string) (secret.String, finding) {
	plain := written.Reveal()
	if !strings.Contains(plain, "{{") {
		return written, finding{}
	}
	filled := fill(plain, values, asIs)
	if !httpguts.ValidHeaderFieldValue(filled) {
		return secret.String{}, against(ContentMismatch, "what was captured has characters in it that no header can carry, and %s is made of it", what)
	}
	return secret.New(filled), finding{}
}

// fillBody gives r the step's body or form.
func (s *Step) fillBody(r *HTTPRequest, values map[string]string) {
	r.Body = fill(s.Body, values, bodyEscape(r.Headers["Content-Type"].Reveal()))
	if len(s.Form) > 0 {
		r.Form = make(map[string]secret.String, len(s.Form))
	}
	for name, value := range s.Form {
		r.Form[name] = secret.New(fill(value.Reveal(), values, asIs))
	}
}

// filled returns e with these texts in the place of their names.
func (e *HTTPExpect) filled(values map[string]string) *HTTPExpect {
	if len(values) == 0 {
		return e
	}
	f := *e
	f.BodyContains, f.BodyLacks = filledAll(e.BodyContains, values), filledAll(e.BodyLacks, values)
	f.Headers = maps.Clone(e.Headers)
	for name, rule := range f.Headers {
		if rule.Equals != nil {
			rule.Equals = new(fill(*rule.Equals, values, asIs))
			f.Headers[name] = rule
		}
	}
	f.JSON = maps.Clone(e.JSON)
	for path, rule := range f.JSON {
		if text, ok := rule.Equals.value.(string); ok {
			rule.Equals.value = fill(text, values, asIs)
			f.JSON[path] = rule
		}
	}
	return &f
}

func filledAll(texts []string, values map[string]string) []string {
	filled := slices.Clone(texts)
	for i := range filled {
		filled[i] = fill(filled[i], values, asIs)
	}
	return filled
}

// written is a text of a step and where it stands.
type written struct{ path, text string }

// texts returns the texts of a step in which names are replaced.
func (s *Step) texts() []written {
	all := []written{{"url", s.URL}, {"body", s.Body}, {"bearer", s.Bearer.Reveal()}, {"basic.password", s.Basic.Password.Reveal()}}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		all = append(all, written{"headers." + name, s.Headers[name].Reveal()})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Form)) {
		all = append(all, written{"form." + name, s.Form[name].Reveal()})
	}
	for i, text := range s.Expect.BodyContains {
		all = append(all, written{fmt.Sprintf("expect.body_contains[%d]", i), text})
	}
	for i, text := range s.Expect.BodyLacks {
		all = append(all, written{fmt.Sprintf("expect.body_lacks[%d]", i), text})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Expect.Headers)) {
		if equals := s.Expect.Headers[name].Equals; equals != nil {
			all = append(all, written{"expect.headers." + name, *equals})
		}
	}
	for _, path := range slices.Sorted(maps.Keys(s.Expect.JSON)) {
		if equals, ok := s.Expect.JSON[path].Equals.value.(string); ok {
			all = append(all, written{fmt.Sprintf("expect.json[%q]", path), equals})
		}
	}
	return all
}
