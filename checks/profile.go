package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nines/checks/throttle"
)

// Profile is a slow network: rates in kilobits (1000 bits) a second, as a
// shaper on the wire counts them, and the round trip, in full, that is added
// to the real one. In a configuration it is
// one of the published names, or the three figures.
type Profile struct {
	Name     string  `json:"-"` // empty when the figures were given
	DownKbps float64 `json:"down_kbps" doc:"The rate towards the prober, in kbit/s." example:"1600"`
	UpKbps   float64 `json:"up_kbps" doc:"The rate from the prober, in kbit/s." example:"750"`
	RTTMS    float64 `json:"rtt_ms" doc:"The full round trip that is added, in ms." example:"150"`
	Loss     Share   `json:"loss" doc:"The share of packets that are lost; an approximation; default 0%." example:"1%"`
}

// profiles are the published ones.
//
// Sources: WebPageTest's connection profiles (catchpoint/WebPageTest,
// www/settings/connectivity.ini.sample, and its list of test connections for
// 3g-slow and 4g); slow-4g is Lighthouse's default for mobiles
// (GoogleChrome/lighthouse, docs/throttling.md: 1.6 Mbps down, 750 Kbps up,
// 150 ms). All of them state the full round trip.
var profiles = map[string]Profile{
	"dial":    {"dial", 49, 30, 120, 0},
	"2g":      {"2g", 280, 256, 800, 0},
	"edge":    {"edge", 240, 200, 840, 0},
	"3g-slow": {"3g-slow", 400, 400, 400, 0},
	"3g":      {"3g", 1600, 768, 300, 0},
	"3g-fast": {"3g-fast", 1600, 768, 150, 0},
	"slow-4g": {"slow-4g", 1600, 750, 150, 0},
	"4g":      {"4g", 9000, 9000, 170, 0},
	"lte":     {"lte", 12000, 12000, 70, 0},
	"dsl":     {"dsl", 1500, 384, 50, 0},
	"cable":   {"cable", 5000, 1000, 28, 0},
	"fios":    {"fios", 20000, 5000, 4, 0},
}

// ProfileNames returns the names of the published profiles in alphabetical
// order.
func ProfileNames() []string { return slices.Sorted(maps.Keys(profiles)) }

// Limits of a profile's figures.
const (
	minKbps  = 1
	maxKbps  = 1_000_000
	maxRTTMS = 10_000
	maxLoss  = 0.5
)

// UnmarshalText reads a published name.
func (p *Profile) UnmarshalText(text []byte) error {
	known, ok := profiles[strings.ToLower(string(text))]
	if !ok {
		return fmt.Errorf("%q is not a profile; write one of %s, or {down_kbps: 1600, up_kbps: 750, rtt_ms: 150}",
			clip(string(text), 40), strings.Join(ProfileNames(), ", "))
	}
	*p = known
	return nil
}

// wireProfile is a Profile as it travels: its figures are those of whoever
// sent it, whatever the name means to the receiver.
type wireProfile struct {
	Name     string  `json:"name,omitempty"`
	DownKbps float64 `json:"down_kbps"`
	UpKbps   float64 `json:"up_kbps"`
	RTTMS    float64 `json:"rtt_ms"`
	Loss     Share   `json:"loss,omitzero"`
}

// MarshalJSON writes the figures and, if there is one, the name.
func (p Profile) MarshalJSON() ([]byte, error) { return json.Marshal(wireProfile(p)) }

// UnmarshalJSON reads what MarshalJSON writes, or a published name.
func (p *Profile) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var name string
		if err := json.Unmarshal(data, &name); err != nil {
			return err
		}
		return p.UnmarshalText([]byte(name))
	}
	var w wireProfile
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*p = Profile(w)
	return nil
}

// String is the profile's name, or its figures.
func (p Profile) String() string {
	if p.Name != "" {
		return p.Name
	}
	return fmt.Sprintf("%v/%v kbit/s, %v ms", p.DownKbps, p.UpKbps, p.RTTMS)
}

func (p Profile) roundTrip() time.Duration {
	return time.Duration(p.RTTMS * float64(time.Millisecond))
}

// link returns a network of the profile, for one run.
func (p Profile) link() *throttle.Link {
	return throttle.New(p.DownKbps*1000, p.UpKbps*1000, p.roundTrip()).Lossy(float64(p.Loss))
}

// faults says what is wrong with p.
func (p Profile) faults() []Fault {
	if p == (Profile{}) {
		return []Fault{{"profile", "is missing; write one of " + strings.Join(ProfileNames(), ", ")}}
	}
	var faults []Fault
	for _, rate := range []struct {
		key  string
		kbps float64
	}{{"down_kbps", p.DownKbps}, {"up_kbps", p.UpKbps}} {
		if !(minKbps <= rate.kbps && rate.kbps <= maxKbps) {
			faults = append(faults, Fault{"profile." + rate.key, fmt.Sprintf("is %v; write a number from %d to %d", rate.kbps, minKbps, maxKbps)})
		}
	}
	if !(0 <= p.RTTMS && p.RTTMS <= maxRTTMS) {
		faults = append(faults, Fault{"profile.rtt_ms", fmt.Sprintf("is %v; write a number from 0 to %d", p.RTTMS, maxRTTMS)})
	}
	if !(0 <= p.Loss && p.Loss <= maxLoss) {
		faults = append(faults, Fault{"profile.loss", fmt.Sprintf("is %v%%; write a share from 0%% to %v%%", float64(p.Loss)*100, maxLoss*100)})
	}
	if len(p.Name) > 40 {
		faults = append(faults, Fault{"profile", "has a name that is too long"})
	}
	return faults
}
