package checks

import (
	"context"
	"math"
	"time"

	"nines/checks/throttle"
)

// Bandwidth is a check of kind bandwidth: an HTTP request over a network that
// is made slow, and what its answer must be.
type Bandwidth struct {
	HTTPRequest
	Profile Profile         `json:"profile" required:"true" doc:"The network: one of the published profiles, or its figures." example:"slow-4g"`
	Expect  BandwidthExpect `json:"expect" doc:"What the answer must be."`
}

// BandwidthExpect is what an answer over a slow network must be.
type BandwidthExpect struct {
	HTTPExpect
	FirstByteWithin time.Duration `json:"first_byte_within" doc:"The longest until the answer begins, redirects included; a slower one is degraded; default: any time." example:"3s"`
	MinKbps         float64       `json:"min_kbps" doc:"The lowest rate at which the answer may come, in kbit/s; a slower one is degraded; default: any." example:"1200"`
}

func newBandwidth() *Bandwidth { return &Bandwidth{HTTPRequest: newHTTPRequest(maxBody)} }

// Faults says what is wrong with the options.
func (b *Bandwidth) Faults() []Fault {
	faults := append(b.HTTPRequest.faults(), b.Profile.faults()...)
	faults = append(faults, b.HTTPRequest.slowFaults(b.Expect.AllAddresses)...)
	faults = append(faults, b.Expect.HTTPExpect.faults()...)
	faults = append(faults, durationFaults("expect.first_byte_within", b.Expect.FirstByteWithin)...)
	switch {
	case !(b.Expect.MinKbps >= 0):
		faults = append(faults, Fault{"expect.min_kbps", "is negative; write a number of kbit/s"})
	case b.Expect.MinKbps >= b.Profile.DownKbps && b.Profile.DownKbps > 0:
		faults = append(faults, Fault{"expect.min_kbps", "is not below the profile's down_kbps, so it could never be met"})
	}
	return faults
}

// shortTransfer is how long a transfer must take for its rate to say anything.
const shortTransfer = 50 * time.Millisecond

// Probe makes the request once over the slow network and judges the answer.
func (b *Bandwidth) Probe(ctx context.Context, env *Env) Outcome {
	link := throttle.New(b.Profile.DownKbps*1000, b.Profile.UpKbps*1000, b.Profile.roundTrip())
	a, f := b.fetch(ctx, env, link, b.Expect.readsBody())
	if f.status == "" {
		f = b.Expect.judge(a)
	}
	facts := a.facts()
	facts["bytes"] = link.Received()
	facts["asked_down_kbps"], facts["asked_up_kbps"], facts["asked_rtt_ms"] = b.Profile.DownKbps, b.Profile.UpKbps, b.Profile.RTTMS
	if b.Profile.Name != "" {
		facts["profile"] = b.Profile.Name
	}
	if a.connecting > 0 {
		facts["rtt_ms"] = MillisOf(a.connecting)
	}
	if rate := a.kbps(); rate > 0 {
		facts["down_kbps"] = math.Round(rate*10) / 10
	}
	return a.watch.outcome(f, facts)
}

// kbps is how fast the answer came over a slow link, in kbit/s of all that the
// link carried; zero when that was too short to tell.
func (a *answer) kbps() float64 {
	if a.transfer < shortTransfer {
		return 0
	}
	return float64(a.carried) * 8 / 1000 / a.transfer.Seconds()
}

// judge returns the first expectation that is not met: down before degraded.
func (e *BandwidthExpect) judge(a *answer) finding {
	f := e.HTTPExpect.judge(a)
	rate := a.kbps()
	switch {
	case f.status != "":
		return f
	case e.FirstByteWithin > 0 && a.firstByte > e.FirstByteWithin:
		return against(SlowFirstByte, "the first byte came after %s; expected within %s", a.firstByte.Round(time.Millisecond), e.FirstByteWithin)
	case e.MinKbps > 0 && rate > 0 && rate < e.MinKbps:
		return against(SlowRate, "the answer came at %.0f kbit/s; expected at least %.0f", rate, e.MinKbps)
	}
	return finding{}
}
