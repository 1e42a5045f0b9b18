package prober

import (
	"encoding/json"
	"testing"
	"time"

	"nines/checks"
	"nines/checks/checkstest"
	"nines/scheduler/config"
	"nines/scheduler/fleet"
)

// A prober whose clock is years ahead of its scheduler's sees every
// certificate as expired, and says that its clock is off.
func TestWrongClockIsNotAnExpiredCertificate(t *testing.T) {
	ca, err := checkstest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(checkstest.Leaf{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := checkstest.NewTLS(cert)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	kind, _ := checks.KindOf("tls")
	options := kind.New()
	wire, err := json.Marshal(map[string]string{"address": server.Addr(), "ca": ca.PEM()})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(wire, options); err != nil {
		t.Fatal(err)
	}
	check := config.Check{
		Spec:    checks.Spec{Name: "cert", Kind: "tls", Every: time.Second, Timeout: time.Second, Options: options},
		Regions: []string{"here"},
	}
	for name, off := range map[string]time.Duration{"right": 0, "two years ahead": 2 * 365 * 24 * time.Hour, "two years behind": -2 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := newScheduler(t)
			s.Update([]fleet.Member{member}, []config.Check{check})
			runProber(t, s.server.URL, func(c *Config) {
				c.Env.Now = func() time.Time { return time.Now().Add(off) }
			})
			results := s.recorder.await(t, "three results", func(r []checks.Result) bool { return len(r) >= 3 })
			for _, r := range results {
				if off == 0 && r.Status != checks.Up || off != 0 && (r.Status != checks.Unknown || r.Reason != checks.ProberClock) {
					t.Errorf("got %s %q (%s)", r.Status, r.Reason, r.Detail)
				}
			}
		})
	}
}
