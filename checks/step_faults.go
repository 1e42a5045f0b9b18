package checks

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"nines/internal/secret"
)

// stepOptions are the options of a request that belong to a step, and
// sharedOptions those that belong to the check because they say how the
// connections are made which the steps share.
var (
	stepOptions   = []string{"url", "method", "headers", "body", "form", "basic", "bearer", "redirects", "same_host"}
	sharedOptions = []string{"headers", "oauth2", "proxy", "http_version", "ip", "max_body", "ca", "server_name", "insecure", "client_cert", "client_key"}
)

// notDefault returns the options of a request that are not at their default.
func notDefault(r *HTTPRequest) []string {
	var names []string
	var compare func(is, preset reflect.Value)
	compare = func(is, preset reflect.Value) {
		for i := range is.NumField() {
			f := is.Type().Field(i)
			switch name := f.Tag.Get("json"); {
			case f.Anonymous && name == "":
				compare(is.Field(i), preset.Field(i))
			case !f.IsExported() || name == "" || name == "-":
			case !bytes.Equal(wired(is.Field(i)), wired(preset.Field(i))):
				names = append(names, name)
			}
		}
	}
	preset := newHTTPRequest(defaultMaxBody)
	compare(reflect.ValueOf(r).Elem(), reflect.ValueOf(&preset).Elem())
	return names
}

// wired returns an option as it travels: there is no difference there between
// none and no entries.
func wired(option reflect.Value) []byte {
	data, err := secret.Marshal(option.Interface())
	if err != nil {
		return nil // what cannot travel is told of when it does
	}
	return data
}

// transactionFaults says what is wrong with a check that has steps.
func (h *HTTP) transactionFaults() []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	for _, option := range notDefault(&h.HTTPRequest) {
		switch {
		case option == "url":
			add("url", "is given beside steps, which have their own; keep one of the two")
		case option == "headers":
			if headerNamed(h.Headers, "Host") {
				add("headers.Host", "is given for all steps; write it in the step whose host it is for")
			}
		case slices.Contains(stepOptions, option):
			add(option, "is given beside steps; write it in the step that it is for")
		case option == "ip" && h.IP == familyEach:
			add("ip", "is each, and steps are not repeated for every address; write any, 4 or 6")
		case !slices.Contains(sharedOptions, option):
			add(option, "cannot be had with steps; leave it out")
		}
	}
	for _, f := range h.HTTPRequest.faults() {
		if f.Path != "url" && !(f.Path == "ip" && h.IP == familyEach) {
			faults = append(faults, f)
		}
	}
	timing := HTTPExpect{Within: h.Expect.Within, FailAfter: h.Expect.FailAfter}
	faults = append(faults, timing.faults()...)
	rest := h.Expect
	rest.Within, rest.FailAfter = 0, 0
	if rest.any() {
		add("expect", "has more than within and fail_after beside steps; write in the steps what their answers must be")
	}
	if len(h.Steps) > maxSteps {
		add("steps", "are %d; at most %d are allowed", len(h.Steps), maxSteps)
	}
	var captured []string
	named := map[string]bool{}
	for i := range h.Steps {
		s := &h.Steps[i]
		at := fmt.Sprintf("steps[%d]", i)
		switch {
		case !validStepName(s.Name):
			add(at+".name", "%q cannot be a name; write 1 to 63 letters on one line", clip(s.Name, 80))
		case named[s.Name]:
			add(at+".name", "%q is the name of an earlier step; write another", s.Name)
		}
		named[s.Name] = true
		for _, f := range s.faults(captured) {
			add(at+"."+f.Path, "%s", f.Message)
		}
		if s.Expect.MinBytes > h.MaxBody {
			add(at+".expect.min_bytes", "is more than max_body, so that no body fits")
		}
		captured = slices.AppendSeq(captured, maps.Keys(s.Capture))
	}
	return faults
}

// any reports whether e expects anything.
func (e *HTTPExpect) any() bool {
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if k := f.Kind(); (k == reflect.Map || k == reflect.Slice) && f.Len() > 0 || k != reflect.Map && k != reflect.Slice && !f.IsZero() {
			return true
		}
	}
	return false
}

func validStepName(name string) bool {
	control := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }
	return strings.TrimSpace(name) == name && name != "" && len(name) <= 63 && !strings.ContainsFunc(name, control)
}

// faults says what is wrong with the step after ones that captured these names.
func (s *Step) faults(captured []string) []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	for _, option := range notDefault(&s.HTTPRequest) {
		switch {
		case slices.Contains(stepOptions, option):
		case slices.Contains(sharedOptions, option):
			add(option, "is given in a step, and the steps share their connections; write it beside steps")
		default:
			add(option, "cannot be had with steps; leave it out")
		}
	}
	for _, t := range s.texts() {
		names := namesIn(t.text)
		if len(names) > maxReferences {
			add(t.path, "refers to captured texts %d times; at most %d are allowed", len(names), maxReferences)
			continue
		}
		for _, name := range names {
			if !slices.Contains(captured, name) {
				add(t.path, "refers to {{%s}}, which no earlier step captures%s", name, sofar(captured))
			}
		}
	}
	_, ok := whole(s.URL)
	noHost := !ok && len(namesIn(authorityOf(s.URL))) > 0
	if noHost {
		add("url", "takes its host from what was captured; write the host, or a URL that is nothing but {{name}}")
	}
	for name, value := range s.Headers {
		if strings.EqualFold(name, "Host") && len(namesIn(value.Reveal())) > 0 {
			add("headers."+name, "is taken from what was captured; write the host")
		}
	}
	for _, p := range s.patterns() {
		if len(namesIn(p.text)) > 0 {
			add(p.path, "has {{…}} in a regular expression, where nothing is put in; ask for it by expr")
		}
	}
	faults = append(faults, slices.DeleteFunc(s.filledFaults(captured), func(f Fault) bool { return noHost && f.Path == "url" })...)
	faults = append(faults, s.Expect.faults(captured...)...)
	return append(faults, captureFaults("capture", s.Capture)...)
}

// filledFaults says what is wrong with the step's request once something
// stands in the place of names.
func (s *Step) filledFaults(captured []string) []Fault {
	standIn := map[string]string{}
	for _, name := range captured {
		standIn[name] = "captured"
	}
	for _, text := range s.texts() { // those that no step captures have been told of
		for _, name := range namesIn(text.text) {
			standIn[name] = "captured"
		}
	}
	r, _, f := s.request(&HTTPRequest{}, standIn, &hop{url: &url.URL{Scheme: "https", Host: "shop.example.com"}})
	if f.status != "" { // nothing that stands in is wrong, so that what is written is
		return []Fault{{"headers", "have characters in them that no header can carry, such as a line's end"}}
	}
	return r.faults()
}

// sofar names what has been captured.
func sofar(captured []string) string {
	if len(captured) == 0 {
		return "; there is none"
	}
	names := slices.Compact(slices.Sorted(slices.Values(captured)))
	return "; captured so far: " + strings.Join(names, ", ")
}

// patterns returns the regular expressions of a step.
func (s *Step) patterns() []written {
	var all []written
	for i, p := range s.Expect.BodyMatches {
		all = append(all, written{fmt.Sprintf("expect.body_matches[%d]", i), p.String()})
	}
	for name, h := range s.Expect.Headers {
		if h.Matches != nil {
			all = append(all, written{"expect.headers." + name + ".matches", h.Matches.String()})
		}
	}
	for path, j := range s.Expect.JSON {
		if j.Matches != nil {
			all = append(all, written{fmt.Sprintf("expect.json[%q].matches", path), j.Matches.String()})
		}
	}
	return all
}
