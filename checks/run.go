package checks

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Run runs the check once, with the second try that a failure earns, and
// returns what was found. The result's Region and Prober are left for the
// caller to fill in. Run returns by the check's timeout; when ctx ends before
// that, the run says nothing about the target.
func (s Spec) Run(ctx context.Context, env *Env, slot time.Time) Result {
	r := Result{Check: s.Name, Slot: slot, At: env.now()}
	out := s.tries(ctx, env, time.Now().Add(s.Timeout))
	if ctx.Err() != nil && out.Status != Up && out.Status != Degraded {
		out.Status, out.Reason, out.Detail = Unknown, ProberStopped, "the run was cancelled before it ended"
	}
	r.Status, r.Reason, r.Detail = out.Status, out.Reason, validText(clip(out.Detail, 1024))
	r.TookMS, r.Phases, r.Facts = MillisOf(out.Took), out.Phases, validFacts(out.Facts)
	if env.Keep != nil && len(out.Artifacts) > 0 {
		if name := env.Keep(s.Name, slot, out.Artifacts); name != "" {
			r.Facts["artifact"] = name
		}
	}
	r.Normalize()
	return r
}

// tries makes the first try and, when that finds the target down with time to
// spare, the second. A second try that only ran out of what time was left says
// less than the first, which is reported then.
func (s Spec) tries(ctx context.Context, env *Env, deadline time.Time) Outcome {
	first := s.try(ctx, env, deadline)
	if first.Status != Down || first.Spent || !time.Now().Before(deadline) || ctx.Err() != nil {
		return first
	}
	reported, other := s.try(ctx, env, deadline), &first
	key := "first_reason"
	if slices.Contains(timeouts[:], reported.Reason) && !slices.Contains(timeouts[:], first.Reason) {
		second := reported
		reported, other, key = first, &second, "second_reason"
	}
	if reported.Facts == nil {
		reported.Facts = Facts{}
	}
	reported.Facts["tries"] = 2
	reported.Facts[key] = string(other.Reason)
	return reported
}

// try runs the kind's probe once under the deadline. A panic is our own fault.
func (s Spec) try(ctx context.Context, env *Env, deadline time.Time) (out Outcome) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			out = Outcome{Status: Unknown, Reason: ProberInternal, Detail: fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
		if out.Took == 0 {
			out.Took = time.Since(start)
		}
	}()
	return s.Options.Probe(ctx, env)
}

// validText makes what a target said fit for JSON, so that a result reads the
// same after any number of trips.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func validFacts(facts Facts) Facts {
	for name, value := range facts {
		switch value := value.(type) {
		case string:
			facts[name] = validText(value)
		case []string:
			for i := range value {
				value[i] = validText(value[i])
			}
		}
	}
	return facts
}
