package checks

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// HTTPExpect is what an answer must be. What is not set is not looked at,
// apart from the status.
type HTTPExpect struct {
	Status         []StatusRange           `json:"status" doc:"Status codes that are right, as codes, ranges or classes; default: [200-299]. Redirects are followed first." example:"[200-299, 404]"`
	Version        []string                `json:"http_version" enum:"1.0,1.1,2,3" doc:"Versions of HTTP in which the answer may come; default: any." example:"[2, 3]"`
	Headers        map[string]HeaderExpect `json:"headers" doc:"What headers of the answer must be: a text that one must equal, or a mapping." example:"{Content-Type: text/html, X-Debug: {absent: true}, Server: {matches: '^nginx'}}"`
	BodyContains   []string                `json:"body_contains" doc:"Texts that must all be in the body." example:"[Welcome]"`
	BodyLacks      []string                `json:"body_lacks" doc:"Texts none of which may be in the body." example:"[Fatal error]"`
	BodyMatches    []Pattern               `json:"body_matches" doc:"Regular expressions (RE2) that must all match somewhere in the body." example:"['order-[0-9]+']"`
	JSON           map[string]JSONExpect   `json:"json" doc:"What a JSON body must hold at paths (RFC 9535): a value to equal, or a mapping." example:"{$.status: ok, '$.items[0].price': {min: 1, max: 100}, $.error: {absent: true}}"`
	Expr           []Expression            `json:"expr" doc:"Conditions in the language of expr that must all be true, over status, headers, body, json, phases and more." example:"['json.total > 0 && phases.tls < 200']"`
	MinBytes       int                     `json:"min_bytes" doc:"The least size of the body, unpacked, in bytes; default: any." example:"1000"`
	MaxBytes       *int                    `json:"max_bytes" doc:"The largest size of the body, unpacked, in bytes; default: up to max_body." example:"500000"`
	SHA256         string                  `json:"sha256" doc:"The SHA-256 of the body, unpacked, in hex; default: any." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	ModifiedWithin time.Duration           `json:"modified_within" doc:"How long ago the content may have changed last, by its Last-Modified header; default: any time." example:"24h"`
	ValidFor       Lifetime                `json:"valid_for" doc:"How long the certificate of an https address must still be valid, as a duration or as a share of its life; default: any time." example:"14d"`
	AllAddresses   bool                    `json:"all_addresses" doc:"With ip: each, one bad address makes the check down, and not degraded; default false."`
	Within         time.Duration           `json:"within" doc:"The longest that the whole run may take; a slower one is degraded; default: any time." example:"2s"`
	FailAfter      time.Duration           `json:"fail_after" doc:"The longest that the whole run may take; a slower one is down; default: any time up to the timeout." example:"8s"`
}

// expectations are looked at in this order, and the first that is not met is
// the result. Those that mean down come before those that mean degraded.
var expectations = []func(*HTTPExpect, *answer) finding{
	(*HTTPExpect).status,
	(*HTTPExpect).version,
	(*HTTPExpect).validFor,
	(*HTTPExpect).headers,
	(*HTTPExpect).modifiedWithin,
	(*HTTPExpect).size,
	(*HTTPExpect).digest,
	(*HTTPExpect).bodyContains,
	(*HTTPExpect).bodyLacks,
	(*HTTPExpect).bodyMatches,
	(*HTTPExpect).json,
	(*HTTPExpect).expressions,
	(*HTTPExpect).time,
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

// bodyUse says what is done with a body beside reading it to its end.
type bodyUse uint8

const (
	bodyKept   bodyUse = 1 << iota // for expectations of its content
	bodyHashed                     // for its SHA-256
)

// readsBody returns what must be done with the body for it to be judged.
func (e *HTTPExpect) readsBody() bodyUse {
	var use bodyUse
	if len(e.BodyContains)+len(e.BodyLacks)+len(e.BodyMatches)+len(e.JSON) > 0 || slices.ContainsFunc(e.Expr, Expression.readsBody) {
		use |= bodyKept
	}
	if e.SHA256 != "" {
		use |= bodyHashed
	}
	return use
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

func (e *HTTPExpect) validFor(a *answer) finding { return a.certificate.validFor(e.ValidFor, a.now) }

func (e *HTTPExpect) version(a *answer) finding {
	if len(e.Version) == 0 || slices.Contains(e.Version, a.version) {
		return finding{}
	}
	return against(HTTPVersion, "the answer came by HTTP/%s; expected %s", a.version, strings.Join(e.Version, ", "))
}

func (e *HTTPExpect) size(a *answer) finding {
	switch {
	case a.bodyBytes < e.MinBytes:
		return against(ContentMismatch, "the body has %d bytes; expected at least %d", a.bodyBytes, e.MinBytes)
	case e.MaxBytes != nil && a.bodyBytes > *e.MaxBytes:
		return against(ContentMismatch, "the body has %d bytes; expected at most %d", a.bodyBytes, *e.MaxBytes)
	}
	return finding{}
}

func (e *HTTPExpect) digest(a *answer) finding {
	if e.SHA256 == "" || strings.EqualFold(e.SHA256, a.digest) {
		return finding{}
	}
	return against(ContentMismatch, "the SHA-256 of the body of %d bytes is %s; expected %s", a.bodyBytes, a.digest, strings.ToLower(e.SHA256))
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

func (e *HTTPExpect) time(a *answer) finding { return e.took(a.watch.took()) }

// took judges how long a run took, by the hard limit before the soft one.
func (e *HTTPExpect) took(took time.Duration) finding {
	if f := slowerThan(e.FailAfter, took); f.status != "" {
		return f.hard()
	}
	return slowerThan(e.Within, took)
}

// hard returns f for a limit beyond which a target that is slow is as good as
// down: what is slow is degraded by itself.
func (f finding) hard() finding {
	f.status = Down
	return f
}

// slowerThan is the expectation that a run takes no longer than limit; zero
// means any time.
func slowerThan(limit, took time.Duration) finding {
	if limit <= 0 || took <= limit {
		return finding{}
	}
	return against(SlowTotal, "took %s; expected within %s", took.Round(time.Millisecond), limit)
}

// httpVersions are the versions of HTTP as an answer's is told.
var httpVersions = []string{"1.0", "1.1", "2", "3"}

// faults says what is wrong with e, where these names of captured texts are
// known to expressions.
func (e *HTTPExpect) faults(captured ...string) []Fault {
	var faults []Fault
	add := func(key, format string, args ...any) {
		faults = append(faults, Fault{"expect." + key, fmt.Sprintf(format, args...)})
	}
	for i, r := range e.Status {
		if r.First < 100 || r.Last > 599 || r.First > r.Last {
			add(fmt.Sprintf("status[%d]", i), "is not a range of status codes; write one such as 200-299")
		}
	}
	for i, v := range e.Version {
		if !slices.Contains(httpVersions, v) {
			add(fmt.Sprintf("http_version[%d]", i), "%q is none of %s", clip(v, 40), strings.Join(httpVersions, ", "))
		}
	}
	faults = append(faults, e.headerFaults()...)
	faults = append(faults, textFaults("expect.body_contains", e.BodyContains)...)
	faults = append(faults, textFaults("expect.body_lacks", e.BodyLacks)...)
	faults = append(faults, e.jsonFaults()...)
	for i, x := range e.Expr {
		if err := x.faults(captured); err != nil {
			add(fmt.Sprintf("expr[%d]", i), "%v", err)
		}
	}
	switch {
	case e.MinBytes < 0:
		add("min_bytes", "is negative; write a number of bytes")
	case e.MaxBytes != nil && *e.MaxBytes < 0:
		add("max_bytes", "is negative; write a number of bytes")
	case e.MaxBytes != nil && *e.MaxBytes < e.MinBytes:
		add("max_bytes", "is less than min_bytes, so that no body fits")
	}
	if raw, err := hex.DecodeString(e.SHA256); err != nil || e.SHA256 != "" && len(raw) != sha256.Size {
		add("sha256", "%q is not a SHA-256; write its 64 hexadecimal digits", clip(e.SHA256, 80))
	}
	faults = append(faults, durationFaults("expect.modified_within", e.ModifiedWithin)...)
	faults = append(faults, durationFaults("expect.within", e.Within)...)
	if e.FailAfter > 0 && e.FailAfter <= e.Within {
		add("fail_after", "is not longer than within, so that a run could not be degraded; write more than %s", e.Within)
	}
	return append(faults, durationFaults("expect.fail_after", e.FailAfter)...)
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
