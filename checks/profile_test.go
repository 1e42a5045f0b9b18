package checks

import (
	"encoding/json"
	"math"
	"testing"
)

func TestProfiles(t *testing.T) {
	for _, name := range ProfileNames() {
		p := pt(t, name)
		if p.Name != name || len(p.faults()) > 0 || p.RTTMS <= 0 {
			t.Errorf("%s: %+v %v", name, p, p.faults())
		}
	}
	for text, want := range map[string]Profile{
		`"slow-4g"`: {"slow-4g", 1600, 750, 150, 0},
		`"EDGE"`:    {"edge", 240, 200, 840, 0},
		`{"down_kbps":400,"up_kbps":300,"rtt_ms":200}`:                   {"", 400, 300, 200, 0},
		`{"name":"slow-4g","down_kbps":1,"up_kbps":2,"rtt_ms":3}`:        {"slow-4g", 1, 2, 3, 0}, // the sender's figures
		`{"name":"of next year","down_kbps":5,"up_kbps":5,"rtt_ms":0.5}`: {"of next year", 5, 5, 0.5, 0},
	} {
		var p Profile
		if err := json.Unmarshal([]byte(text), &p); err != nil || p != want {
			t.Errorf("%s: %+v, %v", text, p, err)
		}
	}
	var p Profile
	for _, bad := range []string{`"5g"`, `""`, `5`, `{"down_kbps":"fast"}`} {
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("%s is a profile", bad)
		}
	}
}

func TestProfileFaults(t *testing.T) {
	for _, tt := range []struct {
		p    Profile
		path string
	}{
		{Profile{}, "profile"},
		{Profile{DownKbps: 0, UpKbps: 100}, "profile.down_kbps"},
		{Profile{DownKbps: 100, UpKbps: -1}, "profile.up_kbps"},
		{Profile{DownKbps: math.NaN(), UpKbps: 100}, "profile.down_kbps"},
		{Profile{DownKbps: 2_000_000, UpKbps: 100}, "profile.down_kbps"},
		{Profile{DownKbps: 100, UpKbps: 100, RTTMS: 10_001}, "profile.rtt_ms"},
		{Profile{DownKbps: 100, UpKbps: 100, RTTMS: math.Inf(1)}, "profile.rtt_ms"},
	} {
		if faults := tt.p.faults(); len(faults) != 1 || faults[0].Path != tt.path {
			t.Errorf("%+v: %v, want one at %s", tt.p, faults, tt.path)
		}
	}
}

func FuzzProfile(f *testing.F) {
	f.Add([]byte(`"slow-4g"`))
	f.Add([]byte(`{"down_kbps":400,"up_kbps":300,"rtt_ms":200}`))
	f.Add([]byte(`{"name":"x","down_kbps":1e308,"up_kbps":-0,"rtt_ms":1e-9}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p, again Profile
		if json.Unmarshal(data, &p) != nil || len(p.faults()) > 0 {
			return
		}
		if p.roundTrip() < 0 || p.roundTrip() > maxRTTMS*1e6 {
			t.Errorf("%+v has a round trip of %v", p, p.roundTrip())
		}
		wire, err := json.Marshal(p)
		if err != nil || json.Unmarshal(wire, &again) != nil || again != p {
			t.Errorf("%+v becomes %+v (%v)", p, again, err)
		}
	})
}
