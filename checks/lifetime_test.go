package checks

import (
	"encoding/json"
	"testing"
	"time"
)

// span is a Lifetime of a duration.
func span(d time.Duration) Lifetime { return Lifetime{span: d} }

func TestLifetime(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		text    string
		of90    time.Duration // of a life of 90 days; negative when text is refused
		written string
	}{
		{"14d", 14 * day, "14d"},
		{"36h", 36 * time.Hour, "36h"},
		{"1d12h", 36 * time.Hour, "36h"},
		{"1.5d", 36 * time.Hour, "36h"},
		{"2w", 14 * day, "14d"},
		{"250.5ms", 250500 * time.Microsecond, "250.5ms"},
		{"0s", 0, ""},
		{"", 0, ""},
		{"1/3", 30 * day, "1/3"},
		{"2/3", 60 * day, "2/3"},
		{"33%", 29*day + 16*time.Hour + 48*time.Minute, "33%"},
		{"14", -1, ""}, {"-14d", -1, ""}, {"14 d", -1, ""}, {"d", -1, ""}, {"1/0", -1, ""}, {"0/3", -1, ""}, {"3/3", -1, ""}, {"4/3", -1, ""},
		{"100%", -1, ""}, {"0%", -1, ""}, {"33.3%", -1, ""}, {"1/3d", -1, ""}, {"200000d", -1, ""}, {"36500d36500d", -1, ""}, {"1..5d", -1, ""},
	} {
		var l Lifetime
		err := l.UnmarshalText([]byte(tt.text))
		if (err != nil) != (tt.of90 < 0) {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if err == nil && (l.of(90*day) != tt.of90 || l.String() != tt.written || l.isZero() != (tt.written == "")) {
			t.Errorf("%q: %v of 90 days, written %q", tt.text, l.of(90*day), l)
		}
	}
}

func TestRatio(t *testing.T) {
	for text, want := range map[string]string{
		"0.2": "20%", "20%": "20%", "0": "0%", "1": "100%", "100%": "100%", "0.125": "12.5%", "": "",
		"2": "bad", "101%": "bad", "-1": "bad", "0,2": "bad", "1e-1": "bad", "NaN": "bad", "%": "bad", "0.00001": "bad",
	} {
		var r Ratio
		err := r.UnmarshalText([]byte(text))
		wire, _ := r.MarshalText()
		if (err != nil) != (want == "bad") || err == nil && string(wire) != want {
			t.Errorf("%q: %q, %v; want %q", text, wire, err, want)
		}
	}
}

// What is read is written so that it is read the same.
func FuzzLifetime(f *testing.F) {
	for _, text := range []string{"14d", "1/3", "33%", "1.5d", "0.000001ms", "36500d", "", "1h1h", "999/1000", "9%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var l, again Lifetime
		if l.UnmarshalText([]byte(text)) == nil {
			if l.of(time.Hour) < 0 || l.of(longestSpan) > longestSpan {
				t.Errorf("%q is %v of a hundred years", text, l.of(longestSpan))
			}
			wire, _ := json.Marshal(l)
			if err := json.Unmarshal(wire, &again); err != nil || again != l {
				t.Errorf("%q: %+v becomes %+v by %s (%v)", text, l, again, wire, err)
			}
		}
		var r, same Ratio
		if r.UnmarshalText([]byte(text)) == nil {
			if r.percent < 0 || r.percent > 100 {
				t.Errorf("%q is %v", text, r)
			}
			wire, _ := r.MarshalText()
			if err := same.UnmarshalText(wire); err != nil || same.String() != r.String() {
				t.Errorf("%q: %v becomes %v by %s (%v)", text, r, same, wire, err)
			}
		}
	})
}
