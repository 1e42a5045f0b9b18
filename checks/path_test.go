package checks

import (
	"fmt"
	"testing"
	"time"
)

// A slow server is never the prober's fault while others are reached well, and
// a slow path is, once three hosts show it.
func TestPath(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	slow := func(ago time.Duration) sighting { return sighting{now.Add(-ago), 9000, 2000} }
	fast := func(ago time.Duration) sighting { return sighting{now.Add(-ago), 9000, 8950} }
	type seen struct {
		host string
		sighting
	}
	for _, tt := range []struct {
		name  string
		seen  []seen
		slow  sighting
		blame bool
	}{
		{"nothing else is known", nil, slow(0), false},
		{"one other", []seen{{"b", slow(time.Minute)}}, slow(0), false},
		{"the same host twice", []seen{{"b", slow(2 * time.Minute)}, {"b", slow(time.Minute)}, {"a", slow(time.Hour)}}, slow(0), false},
		{"two others", []seen{{"b", slow(2 * time.Minute)}, {"c", slow(time.Minute)}}, slow(0), true},
		{"two others, too long ago", []seen{{"b", slow(2 * time.Hour)}, {"c", slow(time.Minute)}}, slow(0), false},
		{"two others, who were asked for less", []seen{{"b", sighting{now, 3000, 2000}}, {"c", slow(0)}}, slow(0), false},
		{"one was fast today", []seen{{"d", fast(20 * time.Hour)}, {"b", slow(2 * time.Minute)}, {"c", slow(time.Minute)}}, slow(0), false},
		{"one was fast yesterday", []seen{{"d", fast(25 * time.Hour)}, {"b", slow(2 * time.Minute)}, {"c", slow(time.Minute)}}, slow(0), true},
		{"it did not fall short", []seen{{"b", slow(2 * time.Minute)}, {"c", slow(time.Minute)}}, sighting{now, 9000, 8500}, false},
	} {
		var p Path
		for _, s := range tt.seen {
			p.note(downward, s.host, s.sighting)
			p.note(upward, s.host, sighting{s.at, s.asked, s.asked}) // says nothing of the way down
		}
		p.note(downward, "a", tt.slow)
		f := p.tooSlow(downward, "a", tt.slow)
		if (f.reason == ProberBandwidth) != tt.blame || tt.blame != (f.status == Unknown) {
			t.Errorf("%s: %+v", tt.name, f)
		}
		if f := p.tooSlow(upward, "a", tt.slow); f.status != "" {
			t.Errorf("%s: the way up too: %+v", tt.name, f)
		}
	}
}

func TestPathIsBounded(t *testing.T) {
	var p Path
	now := time.Now()
	for i := range 3 * pathHosts {
		p.note(downward, fmt.Sprint(i), sighting{now, 1, 1})
	}
	if n := len(p.hosts[downward]); n != pathHosts {
		t.Errorf("%d hosts are remembered", n)
	}
	p.note(downward, "later", sighting{now.Add(2 * pathRecent), 1, 1})
	if n := len(p.hosts[downward]); n != 1 {
		t.Errorf("%d hosts are remembered two hours later", n)
	}
	var none *Path
	none.note(downward, "x", sighting{})
	none.Calibrated(1)
	if f := none.tooSlow(downward, "x", sighting{now, 2, 1}); f.status != "" {
		t.Error(f)
	}
}

func TestShaperLimit(t *testing.T) {
	var p Path
	if f := p.shaper(profiles["fios"]); f.status != "" {
		t.Error(f)
	}
	p.Calibrated(15_000)
	for name, want := range map[string]Status{"fios": Unknown, "lte": "", "dial": ""} {
		if f := p.shaper(profiles[name]); f.status != want {
			t.Errorf("%s: %+v", name, f)
		}
	}
	b := slowly("http://127.0.0.1:1/", profiles["fios"])
	env := loopback()
	env.Path = &p
	wants(t, run(t, b, time.Second, env), Unknown, ProberBandwidth)
}
