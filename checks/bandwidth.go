package checks

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"nines/checks/throttle"
	"nines/internal/secret"
)

// Bandwidth is a check of kind bandwidth: an HTTP request, an upload or a whole
// page over a network that is made slow, and what its answer must be.
type Bandwidth struct {
	HTTPRequest
	Profile Profile         `json:"profile" required:"true" doc:"The network: one of the published profiles, or its figures." example:"slow-4g"`
	Upload  Size            `json:"upload" doc:"Send this many bytes that cannot be compressed, up to 16MiB, by POST unless method says PUT or PATCH; default: the body." example:"1MB"`
	Device  Device          `json:"device" doc:"What to make oneself out to be: phone, tablet or desktop, or its figures; default: nines itself." example:"phone"`
	Page    bool            `json:"page" doc:"Load the whole page in Chromium instead of making one request; default false." example:"true"`
	Expect  BandwidthExpect `json:"expect" doc:"What the answer must be."`

	once  sync.Once // makes sends and err
	sends *HTTPRequest
	err   error
}

// BandwidthExpect is what an answer over a slow network must be.
type BandwidthExpect struct {
	HTTPExpect
	FirstByteWithin time.Duration `json:"first_byte_within" doc:"The longest until the answer begins, redirects included; a slower one is degraded; default: any time." example:"3s"`
	MinKbps         float64       `json:"min_kbps" doc:"The lowest rate at which the answer may come, or the upload go, in kbit/s of the wire; a slower one is degraded; default: any." example:"1200"`
	PageExpect
}

// maxUpload bounds what one run sends.
const maxUpload = 16 << 20

func newBandwidth() *Bandwidth { return &Bandwidth{HTTPRequest: newHTTPRequest(maxBody)} }

// Faults says what is wrong with the options.
func (b *Bandwidth) Faults() []Fault {
	faults := append(b.HTTPRequest.faults(), b.Profile.faults()...)
	faults = append(faults, b.HTTPRequest.slowFaults(b.Expect.AllAddresses)...)
	faults = append(faults, b.uploadFaults()...)
	faults = append(faults, b.Device.faults()...)
	faults = append(faults, b.Expect.HTTPExpect.faults()...)
	faults = append(faults, durationFaults("expect.first_byte_within", b.Expect.FirstByteWithin)...)
	rate, key := b.Profile.DownKbps, "down_kbps"
	if b.Upload > 0 {
		rate, key = b.Profile.UpKbps, "up_kbps"
	}
	switch {
	case !(b.Expect.MinKbps >= 0):
		faults = append(faults, Fault{"expect.min_kbps", "is negative; write a number of kbit/s"})
	case b.Expect.MinKbps >= rate && rate > 0:
		faults = append(faults, Fault{"expect.min_kbps", "is not below the profile's " + key + ", so it could never be met"})
	}
	return append(faults, b.pageFaults()...)
}

func (b *Bandwidth) uploadFaults() []Fault {
	var faults []Fault
	if b.Upload < 0 || b.Upload > maxUpload {
		faults = append(faults, Fault{"upload", fmt.Sprintf("is %d bytes; write a size up to 16MiB", b.Upload)})
	}
	if b.Upload > 0 && (b.Body != "" || len(b.Form) > 0) {
		faults = append(faults, Fault{"upload", "is given beside body or form, and only one of them can be sent; keep one"})
	}
	switch b.Method {
	case "", "POST", "PUT", "PATCH":
	default:
		if b.Upload > 0 {
			faults = append(faults, Fault{"method", "cannot carry an upload; write POST, PUT or PATCH"})
		}
	}
	return faults
}

// shortTransfer is how long a transfer must take for its rate to say anything.
const shortTransfer = 50 * time.Millisecond

// Probe makes the request once over the slow network and judges the answer.
func (b *Bandwidth) Probe(ctx context.Context, env *Env) Outcome {
	if f := env.Path.shaper(b.Profile); f.status != "" {
		return Outcome{Status: f.status, Reason: f.reason, Detail: f.detail, Facts: b.asked()}
	}
	if b.Page {
		return b.probePage(ctx, env)
	}
	b.once.Do(b.prepare)
	if b.err != nil {
		return Outcome{Status: Unknown, Reason: ProberInternal, Detail: b.err.Error()}
	}
	link := b.Profile.link()
	slowly := *env
	slowly.link = link
	a, f := b.sends.fetch(ctx, &slowly, link, b.Expect.readsBody())
	rate := a.kbps()
	if b.Upload > 0 {
		rate = a.upKbps(link, b.Profile)
	}
	if f.status == "" {
		f = b.Expect.judge(a, rate)
	}
	f = b.blame(env, a, link, rate, f)
	return a.watch.outcome(f, b.facts(a, link, rate))
}

// asked are the facts about the profile.
func (b *Bandwidth) asked() Facts {
	facts := Facts{"asked_down_kbps": b.Profile.DownKbps, "asked_up_kbps": b.Profile.UpKbps, "asked_rtt_ms": b.Profile.RTTMS}
	if b.Profile.Name != "" {
		facts["profile"] = b.Profile.Name
	}
	if b.Profile.Loss > 0 {
		facts["asked_loss_percent"] = float64(b.Profile.Loss) * 100
	}
	if b.Device.Name != "" {
		facts["device"] = b.Device.Name
	}
	return facts
}

func (b *Bandwidth) facts(a *answer, link *throttle.Link, rate float64) Facts {
	facts := a.facts()
	for name, value := range b.asked() {
		facts[name] = value
	}
	down, up := link.Payload()
	facts["bytes"], facts["bytes_up"] = down, up
	if a.connecting > 0 {
		facts["rtt_ms"] = MillisOf(a.connecting)
	}
	if a.firstByte > 0 {
		facts["first_byte_ms"] = MillisOf(a.firstByte)
	}
	if a.transfer > 0 {
		facts["last_byte_ms"] = MillisOf(a.firstByte + a.transfer)
	}
	if took := a.watch.took(); took > 0 {
		facts["throttled_share"] = math.Round(min(1, link.Held().Seconds()/took.Seconds())*1000) / 1000
	}
	if rate > 0 && b.Upload > 0 {
		facts["up_kbps"] = math.Round(rate*10) / 10
	}
	if down := a.kbps(); down > 0 {
		facts["down_kbps"] = math.Round(down*10) / 10
	}
	return facts
}

// prepare makes the request that is sent: what the options say, with the
// device's headers and the upload where they leave room for them.
func (b *Bandwidth) prepare() {
	b.sends = &b.HTTPRequest
	if !b.Device.set() && b.Upload == 0 {
		return
	}
	// A copy by its keys, since a struct with a lock in it cannot be copied.
	text, err := secret.Marshal(&b.HTTPRequest)
	made := newHTTPRequest(maxBody)
	if err == nil {
		err = json.Unmarshal(text, &made)
	}
	if err != nil {
		b.err = fmt.Errorf("preparing the request: %w", err)
		return
	}
	defaults := b.Device.headersIfSet()
	if b.Upload > 0 {
		defaults["Content-Type"] = "application/octet-stream"
		made.Body = incompressible(int(b.Upload))
		if made.Method == "" {
			made.Method = "POST"
		}
	}
	if made.Headers == nil {
		made.Headers = map[string]secret.String{}
	}
	for name, value := range defaults {
		if !headerNamed(made.Headers, name) {
			made.Headers[name] = secret.New(value)
		}
	}
	b.sends = &made
}

// incompressible returns n bytes that nothing on the way can make fewer: the
// same ones each time.
func incompressible(n int) string {
	source := rand.NewChaCha8([32]byte{})
	body := make([]byte, n)
	source.Read(body) // never fails
	return string(body)
}

// kbps is how fast the answer came over a slow link, in kbit/s of all that the
// link carried; zero when that was too short to tell.
func (a *answer) kbps() float64 {
	if a.transfer < shortTransfer {
		return 0
	}
	return float64(a.carried) * 8 / 1000 / a.transfer.Seconds()
}

// upKbps is how fast the request went, until the answer began and without the
// round trip in between; zero when that was too short, or when redirects make
// it unclear what was sent when.
func (a *answer) upKbps(link *throttle.Link, p Profile) float64 {
	took := time.Duration(a.watch.phases[phaseFirstByte]*float64(time.Millisecond)) - max(a.connecting, p.roundTrip())
	if a.redirects > 0 || a.firstByte == 0 || took < shortTransfer {
		return 0
	}
	return float64(link.Sent()) * 8 / 1000 / took.Seconds()
}

// blame remembers how fast the run was, and lays it on this prober if its own
// path was too slow: then neither up nor slow is said of the target, nor that
// its answer did not end in time. What else it did wrong stays its own.
func (b *Bandwidth) blame(env *Env, a *answer, link *throttle.Link, rate float64, f finding) finding {
	way, asked, carried := downward, b.Profile.DownKbps, a.carried
	if b.Upload > 0 {
		way, asked, carried = upward, b.Profile.UpKbps, link.Sent()
	}
	if rate == 0 || !large(carried, asked) || b.Profile.Loss > 0 {
		return f
	}
	s := sighting{env.now(), asked, rate}
	env.Path.note(way, b.Target(), s)
	if f.status == Unknown || f.status == Down && f.reason != HTTPTimeout {
		return f
	}
	if own := env.Path.tooSlow(way, b.Target(), s); own.status != "" {
		return own
	}
	return f
}

// judge returns the first expectation that is not met: down before degraded.
func (e *BandwidthExpect) judge(a *answer, rate float64) finding {
	f := e.HTTPExpect.judge(a)
	switch {
	case f.status != "":
		return f
	case e.FirstByteWithin > 0 && a.firstByte > e.FirstByteWithin:
		return against(SlowFirstByte, "the first byte came after %s; expected within %s", a.firstByte.Round(time.Millisecond), e.FirstByteWithin)
	case e.MinKbps > 0 && rate > 0 && rate < e.MinKbps:
		return against(SlowRate, "the transfer ran at %.0f kbit/s; expected at least %.0f", rate, e.MinKbps)
	}
	return finding{}
}
