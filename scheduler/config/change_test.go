package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nines/scheduler/config"
)

const changeable = `
regions: [{name: a}, {name: b}, {name: c}]
defaults: {every: 60s}
checks:
  - {name: shop, kind: http, url: "https://shop.example.com/", quorum: majority, policy: web, expect: {within: 2s}}
  - {name: cart, kind: http, url: "https://cart.example.com/", policy: web}
slas: [{name: gold, checks: [shop], target: 99.9}]
people: [{name: alice, phone: "+48500100200"}, {name: bob, phone: "+48500100201"}]
policies:
  - {name: web, steps: [{notify: [person:alice], by: [sms], wait: 5m}, {notify: [person:bob], by: [sms], wait: 5m}]}
twilio: {account_sid: AC0123456789abcdef0123456789abcdef, auth_token: t, from: "+12025550100"}
`

func loadChanged(t *testing.T, changes ...string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nines.yaml")
	if err := os.WriteFile(file, []byte(changeable), 0o600); err != nil {
		t.Fatal(err)
	}
	var list []config.Change
	for _, text := range changes {
		c, err := config.ParseChange(text)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return config.LoadChanged(file, func(string) (string, bool) { return "", false }, list)
}

func TestChanges(t *testing.T) {
	for _, test := range []struct {
		change string
		got    func(*config.Config) any
		want   any
	}{
		{"check.shop.quorum=2", func(c *config.Config) any { return c.Check("shop").Quorum.String() }, "2"},
		{"check.cart.quorum=any", func(c *config.Config) any { return c.Check("cart").Quorum.String() }, "any"},
		{"check.shop.regions=[a, b]", func(c *config.Config) any { return strings.Join(c.Check("shop").Regions, " ") }, "a b"},
		{"check.shop.every=30s", func(c *config.Config) any { return c.Check("shop").Every }, 30 * time.Second},
		{"defaults.every=2m", func(c *config.Config) any { return c.Check("cart").Every }, 2 * time.Minute},
		{"defaults.quorum=all", func(c *config.Config) any { return c.Check("cart").Quorum.String() }, "all"},
		{"sla.gold.target=99.99", func(c *config.Config) any { return c.SLA("gold").Target.Micros }, int64(99_990_000)},
		{"policy.web.repeat=2", func(c *config.Config) any { return c.Policy("web").Repeat }, 2},
		{"policy.web.steps[1].wait=1m", func(c *config.Config) any { return c.Policy("web").Steps[1].Wait }, time.Minute},
		{"retention.results=70d", func(c *config.Config) any { return c.Retention }, 70 * 24 * time.Hour},
	} {
		t.Run(test.change, func(t *testing.T) {
			cfg, err := loadChanged(t, test.change)
			if err != nil {
				t.Fatal(err)
			}
			if got := test.got(cfg); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestChangesThatCannotBe(t *testing.T) {
	for _, test := range []struct{ change, want string }{
		{"nonsense", `"nonsense" is not a change; write one such as check.shop.quorum=2`},
		{"=2", `"=2" is not a change`},
		{"check.shop.quorum=0", "check.shop.quorum=0:1:1: checks[0].quorum: "},
		{"check.nosuch.quorum=1", `there is no check called "nosuch"`},
		{"check.shop=1", "names no key"},
		{"check.shop.quorumm=1", "unknown key"},
		{"check.shop.quorum.x=1", "there is nothing at checks[0].quorum to"},
		{"policy.web.steps[7].wait=1m", "there is nothing at policies[0].steps[7]"},
		{"policy.web.steps[x].wait=1m", "there is nothing at policies[0].steps[x]"},
		{"check.shop.regions=[a", "close the list with ]"},
		{"listen.x=1", "listen: is a mapping of keys to values"},
	} {
		t.Run(test.change, func(t *testing.T) {
			_, err := loadChanged(t, test.change)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// A change never breaks the loader, whatever it says.
func FuzzChange(f *testing.F) {
	f.Add("check.shop.quorum=2")
	f.Add("policy.web.steps[0].wait=[")
	f.Add("check..=")
	f.Add("a[[.b]]=&x [*x]")
	f.Fuzz(func(t *testing.T, text string) { loadChanged(t, text) })
}
