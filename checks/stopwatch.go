package checks

import "time"

// The phases of a run, in the order in which they happen.
const (
	phaseDNS       = "dns"
	phaseConnect   = "connect"
	phaseTLS       = "tls"
	phaseFirstByte = "first_byte"
	phaseTransfer  = "transfer"
)

// stopwatch divides the time of a try into phases without gaps, so that they
// add up to the time that the try took.
type stopwatch struct {
	start, last time.Time
	phases      Phases
}

func startWatch() stopwatch {
	now := time.Now()
	return stopwatch{now, now, make(Phases, 5)}
}

// mark ends a phase. One that happens again, after a redirect, adds up.
func (w *stopwatch) mark(phase string) {
	now := time.Now()
	w.phases[phase] += float64(now.Sub(w.last)) / float64(time.Millisecond)
	w.last = now
}

// skip leaves out the time since the last mark, as if it had not passed.
func (w *stopwatch) skip() {
	now := time.Now()
	w.start = w.start.Add(now.Sub(w.last))
	w.last = now
}

// took is the time from the start to the last mark.
func (w *stopwatch) took() time.Duration { return w.last.Sub(w.start) }

// outcome makes what was found into an outcome; no finding means up.
func (w *stopwatch) outcome(f finding, facts Facts) Outcome {
	if f.status == "" {
		f.status = Up
	}
	return Outcome{Status: f.status, Reason: f.reason, Detail: f.detail, Phases: w.phases, Facts: facts, Took: w.took()}
}
