package statuspage

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Everything in here that a Source should have left out, or should not have
// said, and that would be found in what the public gets if it were passed on.
const canary = "CANARY"

// indiscreet is the example told by a Source that has forgotten every rule.
func indiscreet() *fake {
	f := example()
	p := f.page
	secret := Incident{
		ID: 66, Check: "canary-private", Title: "CANARY private check", Layer: "connect",
		From: at.Add(-time.Hour), Opened: at.Add(-time.Hour),
	}
	past := secret
	past.ID, past.Resolved = 67, at.Add(-time.Minute)
	p.Open = append(p.Open, secret)
	p.Past = append(p.Past, past)
	f.incidents[66], f.incidents[67] = &secret, &past
	f.checks["canary-private"] = &CheckPage{Latency: exampleLatency("x"), ByRegion: []RegionLatency{{Region: "CANARY", N: 1}}}
	p.Planned = append(p.Planned, Window{"canary-w", "CANARY secret migration", []string{"canary-private"}, at.Add(-time.Minute), at.Add(time.Hour)})
	p.Planned[1].Checks = append(p.Planned[1].Checks, "canary-private")

	// Words that are none of the closed sets.
	leak := p.Open[0]
	leak.Layer = "connect.timeout: dial tcp 10.20.30.40:443 CANARY"
	leak.Updates = append(leak.Updates,
		Update{At: at.Add(-3 * time.Minute), Kind: "acknowledged by alice CANARY +48500100200"},
		Update{At: at.Add(-2 * time.Minute), Kind: "CANARY"})
	p.Open[0] = leak
	f.incidents[41] = &leak
	check := &p.Groups[0].Checks[0]
	check.State = "down: CANARY"
	check.Regions[0].State = "CANARY"
	check.Regions = append(check.Regions, RegionState{"canary-region", Down})
	f.checks["shop"].ByProfile = []ProfileLatency{{Check: "canary-private", Profile: "CANARY", N: 1, P50: time.Second}}
	f.checks["shop"].ByRegion = append(f.checks["shop"].ByRegion, RegionLatency{Region: "canary-region", N: 3})
	p.SLAs[0].State = "CANARY"
	return f
}

func TestNothingPrivate(t *testing.T) {
	s := newSite(t, indiscreet())
	asked := []string{
		"/checks/canary-private", "/incidents/66", "/incidents/67", "/badge/canary-private.svg", "/badge/canary-private.json",
		"/badge/canary-private/uptime.svg", "/badge/canary-private/uptime.json", "/?CANARY", "/CANARY", "/history?q=CANARY",
	}
	for _, path := range paths {
		asked = append(asked, path)
	}
	missing := s.get("/checks/nothing").Body.String()
	for _, path := range asked {
		w := s.get(path)
		text := w.Body.String()
		for name, values := range w.Header() {
			text += name + strings.Join(values, "")
		}
		for _, bad := range []string{canary, "canary", "10.20.30.40", "alice", "48500100200", "dial tcp", "timeout"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s tells the public %q", path, bad)
			}
		}
		if strings.Contains(path, "/canary-private") || strings.HasPrefix(path, "/incidents/6") {
			if w.Code != 404 {
				t.Errorf("%s: status %d", path, w.Code)
			}
			if !strings.HasPrefix(path, "/badge") && text[:len(missing)] != missing {
				t.Errorf("%s: what is private looks other than what does not exist", path)
			}
		}
	}
}

// Errors are for the log, and nothing of them for the public.
func TestErrorsStayInside(t *testing.T) {
	f := example()
	var log strings.Builder
	s := newSite(t, f, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	if w := s.get("/"); w.Code != 200 {
		t.Fatalf("status %d", w.Code)
	}
	f.err = errors.New("CANARY at 10.20.30.40")
	for _, path := range []string{"/checks/shop", "/incidents/41"} {
		w := s.get(path)
		if w.Code != 503 || strings.Contains(w.Body.String(), canary) {
			t.Errorf("%s: status %d, %s", path, w.Code, w.Body)
		}
	}
	if !strings.Contains(log.String(), canary) {
		t.Error("the log does not say what went wrong")
	}
}
