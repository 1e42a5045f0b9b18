package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever a file holds, Load says what is wrong with it, with a place, and
// never panics; what it takes is complete.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/faulty/*.yaml", "testdata/faulty/*/*.yaml", "testdata/valid/*.yaml", "testdata/warnings/*.yaml", "../../examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := write(t, dir, "nines.yaml", string(data))
		cfg, err := Load(path, environment)
		if err != nil {
			checkForm(t, err)
			return
		}
		checkComplete(t, cfg)
	})
}

// checkComplete checks what everybody who uses a configuration relies on.
func checkComplete(t *testing.T, c *Config) {
	t.Helper()
	for i := range c.Checks {
		k := &c.Checks[i]
		if k.Name == "" || k.Options == nil || len(k.Regions) == 0 || k.Title == "" ||
			k.Every < time.Second || k.Timeout <= 0 || k.Timeout > k.Every || c.Check(k.Name) != k {
			t.Errorf("check %d is not complete: %+v", i, k)
		}
		if k.Policy != "" && c.Policy(k.Policy) == nil {
			t.Errorf("check %s has the policy %s, which there is not", k.Name, k.Policy)
		}
		if _, err := k.Wire(); err != nil {
			t.Errorf("check %s does not travel: %v", k.Name, err)
		}
	}
	for i := range c.SLAs {
		if s := &c.SLAs[i]; len(s.Checks) == 0 || s.Timezone == nil || s.Target.Micros < 1 || s.Target.Micros > 100_000_000 {
			t.Errorf("SLA %d is not complete: %+v", i, s)
		}
	}
	for i := range c.Maintenance {
		if m := &c.Maintenance[i]; (m.Once == nil) == (m.Weekly == nil) || m.Zone == nil || len(m.Checks) == 0 {
			t.Errorf("maintenance %d is not complete: %+v", i, m)
		}
	}
	for _, r := range c.Rotations {
		if r.Zone == nil || r.Every.N < 1 || len(r.People) == 0 {
			t.Errorf("rotation %s is not complete: %+v", r.Name, r)
		}
	}
	if len(c.Digest()) != 64 {
		t.Errorf("the digest is %q", c.Digest())
	}
	if len(c.Warnings) > 0 {
		checkForm(t, Faults(c.Warnings))
	}
}

// Expansion takes any text, and text without a dollar is left alone.
func FuzzExpand(f *testing.F) {
	f.Add("${HOST} $$ ${NOPE:-x} ${")
	f.Fuzz(func(t *testing.T, text string) {
		got, _ := expand(text, environment)
		if !strings.Contains(text, "$") && got != text {
			t.Errorf("%q became %q", text, got)
		}
		if !strings.ContainsFunc(text, isMask) && unmask(mask(text)) != text {
			t.Errorf("%q is masked for good", text)
		}
	})
}

// Escaping every dollar gives back any text.
func TestEscapedTextIsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		got, wrong := expand(strings.ReplaceAll(text, "$", "$$"), environment)
		if got != text || wrong != nil {
			t.Fatalf("%q became %q, %q", text, got, wrong)
		}
	})
}

func TestDurationsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(longest)).Draw(t, "d"))
		got, err := parseDuration(formatDuration(d))
		if err != nil || got != d {
			t.Fatalf("%v is written %s and read as %v, %v", d, formatDuration(d), got, err)
		}
	})
}

// Turning any part of a good file into something else gives a configuration or
// faults with places, and never a panic.
func TestMutilated(t *testing.T) {
	data, err := os.ReadFile("../../examples/complete.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		cut := append([]string{}, lines...)
		for range rapid.IntRange(1, 4).Draw(rt, "cuts") {
			i := rapid.IntRange(0, len(cut)-1).Draw(rt, "line")
			switch rapid.SampledFrom([]string{"drop", "double", "value", "indent", "half"}).Draw(rt, "how") {
			case "drop":
				cut[i] = ""
			case "double":
				cut[i] += cut[i]
			case "value":
				if key, _, ok := strings.Cut(cut[i], ": "); ok {
					cut[i] = key + ": " + rapid.SampledFrom([]string{"[]", "{}", "null", "-1", "\"\"", "[[x]]", "{x: y}", "999999999999", "${", "*a"}).Draw(rt, "value") + "\n"
				}
			case "indent":
				cut[i] = "  " + cut[i]
			case "half":
				cut[i] = cut[i][:len(cut[i])/2] + "\n"
			}
		}
		path := write(t, dir, "nines.yaml", strings.Join(cut, ""))
		cfg, err := Load(path, environment)
		if err != nil {
			checkForm(rt, err)
			return
		}
		checkComplete(t, cfg)
	})
}
