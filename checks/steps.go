package checks

import (
	"context"
	"fmt"
	"maps"
	"net/http/cookiejar"
	"slices"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Limits of a transaction.
const (
	maxSteps      = 30  // of a check
	maxCaptures   = 20  // of a step
	maxReferences = 100 // of one text
)

// Step is one request of a transaction, what its answer must be and what of it
// the steps after it use.
type Step struct {
	Name string `json:"name" required:"true" doc:"What the step is called in results; unique within the check." example:"login"`
	HTTPRequest
	Expect  HTTPExpect         `json:"expect" doc:"What the answer must be."`
	Capture map[string]Capture `json:"capture" doc:"Texts to take from the answer, by the names under which later steps write them: {{token}}." example:"{token: {json: $.token}}"`
}

// Preset sets the defaults of a step's request.
func (s *Step) Preset() { s.HTTPRequest = newHTTPRequest(defaultMaxBody) }

// transaction is one run of a check with steps.
type transaction struct {
	http     *HTTP
	exchange *exchange
	captured map[string]string
	secrets  redactor // all that was captured or sent
	home     place    // of the first step
	last     *hop     // the request that was answered last
	before   *answer  // its answer

	phases Phases
	took   time.Duration
	said   []string // one line a step
}

// transact runs the steps in turn, up to the first that fails. Connections and
// cookies are kept between them, and nothing is kept after the last.
func (h *HTTP) transact(ctx context.Context, env *Env) Outcome {
	jar, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
	if err == nil {
		err = h.prepare()
	}
	if err != nil {
		return Outcome{Status: Unknown, Reason: ProberInternal, Detail: err.Error()}
	}
	t := &transaction{
		http: h, captured: map[string]string{}, phases: make(Phases, 5),
		exchange: &exchange{HTTPRequest: &h.HTTPRequest, env: env, fetching: fetching{jar: jar}},
	}
	defer t.exchange.close()
	t.secrets.addSecrets(&h.HTTPRequest)
	var f finding // the first that is slow, or the one that ends the run
	var where string
	var a *answer
	for i := range h.Steps {
		s := &h.Steps[i]
		t.secrets.addSecrets(&s.HTTPRequest)
		var found finding
		a, found = t.run(ctx, s)
		t.note(s, a, found)
		if found.status != "" && (f.status == "" || found.status != Degraded) {
			found.detail = fmt.Sprintf("step %d (%s): %s", i+1, s.Name, t.secrets.hide(found.detail))
			f, where = found, s.Name
		}
		if f.status != "" && f.status != Degraded {
			break
		}
	}
	if f.status == "" || f.status == Degraded {
		if whole := h.Expect.took(t.took); whole.status == Down || f.status == "" {
			f, where = whole, ""
		}
	}
	return t.outcome(a, f, where)
}

// note adds what a step took and how it ended.
func (t *transaction) note(s *Step, a *answer, f finding) {
	for phase, ms := range a.watch.phases {
		t.phases[phase] += ms
	}
	t.took += a.watch.took()
	ended := string(f.reason)
	if a.status != 0 {
		ended = fmt.Sprint(a.status)
	}
	if ended == "" {
		ended = "no answer"
	}
	t.said = append(t.said, fmt.Sprintf("%s: %s in %.1f ms", s.Name, ended, MillisOf(a.watch.took())))
}

func (t *transaction) outcome(last *answer, f finding, where string) Outcome {
	if f.status == "" {
		f.status = Up
	}
	facts := last.facts()
	t.secrets.hideIn(facts) // the names of the steps are not the target's
	facts["steps"] = t.said
	if where != "" {
		facts["step"] = where
	}
	return Outcome{Status: f.status, Reason: f.reason, Detail: f.detail, Phases: t.phases, Facts: facts, Took: t.took}
}

// run makes the request of one step, judges the answer and captures from it.
func (t *transaction) run(ctx context.Context, s *Step) (*answer, finding) {
	x := t.exchange
	a := &answer{watch: startWatch(), now: x.env.now(), captured: t.captured}
	x.answer = a
	h, f := t.hop(ctx, s)
	if f.status != "" {
		return a, f
	}
	if x.conn != nil && x.place == h.place { // what is known of the connection
		a.remote, a.tlsVersion, a.certificate = t.before.remote, t.before.tlsVersion, t.before.certificate
	}
	expect := s.Expect.filled(t.captured)
	x.use, x.redirects, x.sameHost = s.readsBody(), s.Redirects, s.SameHost
	last, answered, f := x.follow(ctx, h)
	if f.status != "" {
		return a, f
	}
	t.last, t.before = last, a
	x.finish(answered)
	f = expect.judge(a)
	if f.status != "" && f.status != Degraded {
		return a, f
	}
	if missing := t.capture(s, a); missing.status != "" {
		return a, missing
	}
	return a, f
}

// capture takes from an answer what later steps use.
func (t *transaction) capture(s *Step, a *answer) finding {
	for _, name := range slices.Sorted(maps.Keys(s.Capture)) {
		c := s.Capture[name]
		text, f := c.from(name, a, t.exchange.jar.Cookies(t.last.url))
		if f.status != "" {
			return f
		}
		t.captured[name] = text
		t.secrets.add(text, "{{"+name+"}}")
	}
	return finding{}
}

// readsBody returns what must be done with the body of a step's answer.
func (s *Step) readsBody() bodyUse {
	use := s.Expect.readsBody()
	for _, c := range s.Capture {
		if c.readsBody() {
			use |= bodyKept
		}
	}
	return use
}
