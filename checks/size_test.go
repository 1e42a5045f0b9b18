package checks

import (
	"encoding/json"
	"testing"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "12": 12, "12B": 12, "500kB": 500_000, "500KB": 500_000, "1MB": 1_000_000, "2 MiB": 2 << 20, "64KiB": 64 << 10} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s is %d, want %d: %v", text, s, want, err)
		}
	}
	var s Size
	for _, bad := range []string{"", "MB", "-1", "1.5MB", "1GB", "1 M", "9999999999999999999"} {
		if err := s.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was read as %d", bad, s)
		}
	}
	for _, text := range []string{`5000`, `"5kB"`, `"5000"`} {
		if err := json.Unmarshal([]byte(text), &s); err != nil || s != 5000 {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
}

func TestShares(t *testing.T) {
	for text, want := range map[string]Share{"0%": 0, "1%": 0.01, "0.5 %": 0.005, "100%": 1} {
		var s Share
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s is %v, want %v: %v", text, s, want, err)
		}
		again, _ := s.MarshalText()
		var back Share
		if err := back.UnmarshalText(again); err != nil || back != want {
			t.Errorf("%s came back as %s: %v", text, again, err)
		}
	}
	var s Share
	for _, bad := range []string{"", "1", "101%", "-1%", "NaN%", "x%"} {
		if err := s.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was read as %v", bad, s)
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, seed := range []string{"1MB", "64KiB", "", "12", "0x1", "-5kB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, back Size
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		again, _ := s.MarshalText()
		if err := back.UnmarshalText(again); s < 0 || err != nil || back != s {
			t.Errorf("%q is %d and comes back as %d: %v", text, s, back, err)
		}
	})
}

func FuzzShare(f *testing.F) {
	for _, seed := range []string{"1%", "100%", "0.001%", "", "1e-300%", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s Share
		if s.UnmarshalText([]byte(text)) == nil && !(s >= 0 && s <= 1) {
			t.Errorf("%q is %v", text, s)
		}
	})
}
