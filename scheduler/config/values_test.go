package config

import (
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nines/checks"
	"nines/internal/civil"
	"nines/internal/secret"
	"nines/notifier"
	"nines/notifier/rotation"
	"nines/regions"
)

// comparers let cmp look at what has no exported fields.
var comparers = cmp.Options{
	cmp.Comparer(func(a, b secret.String) bool { return a.Reveal() == b.Reveal() }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b regions.Quorum) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() }),
}

func zoneOf(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func instantOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The complete example says everything that a configuration can hold.
func TestComplete(t *testing.T) {
	folder, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Load("../../examples/complete.yaml", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	warsaw, newYork := zoneOf(t, "Europe/Warsaw"), zoneOf(t, "America/New_York")
	weekdays := civil.Days{false, true, true, true, true, true, false}
	all := []string{"eu-west", "us-east", "ap-south"}
	want := &Config{
		Listen: "127.0.0.1:8080", PublicURL: "https://status.example.com", Store: filepath.Join(folder, "nines.db"),
		APIToken: secret.New("an-operator-token"), Retention: 35 * 24 * time.Hour,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, DeadMan: "https://hc.example.com/ping/abc",
		Regions: []Region{
			{Name: "eu-west", Title: "Frankfurt"},
			{Name: "us-east", Title: "Virginia", SourceIP: netip.MustParseAddr("127.0.0.2")},
			{Name: "ap-south", Title: "Mumbai"},
		},
		Probers: []Prober{{Name: "fra-1", Region: "eu-west", Token: secret.New("a-token-for-fra-1")}},
		Checks: []Check{
			{
				Spec:  checks.Spec{Name: "shop", Kind: "http", Every: 30 * time.Second, Timeout: 10 * time.Second},
				Title: "Shop front page", Group: "Storefront", Public: true, Regions: []string{"eu-west", "us-east"},
				Severity: "page", Policy: "web", Runbook: "https://wiki.example.com/shop", Labels: map[string]string{"team": "web"},
			},
			{
				Spec:  checks.Spec{Name: "ns", Kind: "dns", Every: time.Minute, Timeout: 10 * time.Second},
				Title: "Name server", Public: true, Regions: all, Quorum: quorum(t, "any"),
				Severity: "page", Policy: "default", Labels: map[string]string{"team": "ops"},
			},
			{
				Spec:  checks.Spec{Name: "cert", Kind: "tls", Every: time.Hour, Timeout: 10 * time.Second},
				Title: "Certificate of the shop", Group: "Storefront", Regions: all, Quorum: quorum(t, "2"),
				Severity: "ticket", Policy: "default",
			},
			{
				Spec:  checks.Spec{Name: "mobile", Kind: "bandwidth", Every: 5 * time.Minute, Timeout: 30 * time.Second},
				Title: "Shop on a slow phone", Group: "Storefront", Public: true, Regions: all,
				Severity: "none", Policy: "default",
			},
		},
		SLAs: []SLA{
			{
				Name: "gold", Title: "Gold support plan", Checks: []string{"shop", "ns"}, Slack: true, Target: Percent{"99.95", 99_950_000},
				Timezone: warsaw, Combine: "any-down",
				Credits: []Credit{{Percent{"99.95", 99_950_000}, 10}, {Percent{"99.0", 99_000_000}, 25}},
				Email:   []string{"sla@customer.example"},
			},
			{
				Name: "office", Title: "Office hours", Checks: []string{"shop", "ns", "cert", "mobile"}, Slack: true, Target: Percent{"99.5", 99_500_000},
				Timezone: newYork, Combine: "average", MinOutage: time.Minute,
				ServiceHours: &civil.Hours{Days: weekdays, From: 8 * 60, To: 18 * 60},
			},
		},
		Maintenance: []Maintenance{
			{
				Title: "Database upgrade", Checks: []string{"shop"}, Zone: time.UTC,
				Once: &civil.Span{From: instantOf(t, "2026-10-10T22:00:00Z"), To: instantOf(t, "2026-10-10T23:00:00Z")},
			},
			{
				Title: "Weekly window", Checks: []string{"ns"}, Zone: time.UTC,
				Weekly: &civil.Hours{Days: civil.Days{true}, From: 3 * 60, To: 4 * 60},
			},
		},
		People: []notifier.Person{
			{Name: "alice", Phone: "+48500100200", Slack: "U012ALICE", Email: "alice@example.com", Zone: warsaw},
			{Name: "bob", Phone: "+12025550123", Slack: "U012BOB", Email: "bob@example.com", Zone: newYork},
		},
		Rotations: []*rotation.Rotation{
			{
				Name: "primary", Zone: warsaw, Every: rotation.Cadence{N: 1, Unit: rotation.Weeks},
				Handoff: rotation.Handoff{Weekday: time.Monday, At: 9 * 60}, Start: civil.Date{Year: 2026, Month: 1, Day: 5},
				People: []string{"alice", "bob"}, Only: &civil.Hours{Days: weekdays, From: 8 * 60, To: 20 * 60},
				Overrides: []rotation.Override{{Person: "bob", From: instantOf(t, "2026-11-24T08:00:00Z"), To: instantOf(t, "2026-11-25T08:00:00Z")}},
			},
			{
				Name: "secondary", Zone: newYork, Every: rotation.Cadence{N: 12, Unit: rotation.Hours},
				Handoff: rotation.Handoff{At: 9 * 60}, Start: civil.Date{Year: 2026, Month: 1, Day: 5}, People: []string{"bob", "alice"},
			},
		},
		Policies: []notifier.Policy{
			{
				Name: "default", Repeat: 3, Fallback: "person:alice",
				Steps: []notifier.Step{
					{Notify: []string{"rotation:primary"}, By: []string{"slack", "sms"}, Wait: 5 * time.Minute},
					{Notify: []string{"rotation:secondary", "person:alice"}, By: []string{"sms", "voice"}, Wait: 10 * time.Minute},
				},
			},
			{Name: "web", Steps: []notifier.Step{{Notify: []string{"person:alice"}, By: []string{"slack", "email"}, Wait: 15 * time.Minute}}},
		},
		Slack:      &Slack{secret.New("xoxb-a-bot-token"), "C0INCIDENTS", secret.New("a-signing-secret"), "https://slack.com/api/"},
		Twilio:     &Twilio{"AC00000000000000000000000000000000", secret.New("an-auth-token"), "+12025550100", "https://api.twilio.com"},
		Email:      &Email{"smtp.example.com:587", "nines", secret.New("a-password"), "Nines <nines@example.com>", "starttls"},
		StatusPage: StatusPage{Title: "Example Status", Logo: filepath.Join(folder, "logo.svg"), Groups: []string{"Storefront"}, Days: 90},
	}
	if diff := cmp.Diff(want, withoutOptions(cfg), comparers); diff != "" {
		t.Errorf("complete.yaml (-want +got):\n%s", diff)
	}
}

// withoutOptions returns c without the options of kinds, which their own tests
// look at.
func withoutOptions(c *Config) *Config {
	for i := range c.Checks {
		c.Checks[i].Options = nil
	}
	return c
}

func quorum(t *testing.T, text string) regions.Quorum {
	t.Helper()
	q, err := regions.ParseQuorum(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// What the smallest configuration does not say.
func TestMinimal(t *testing.T) {
	cfg, err := Load("../../examples/minimal.yaml", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Listen: "127.0.0.1:8080", Store: filepath.Join(folder, "nines.db"), Retention: 35 * 24 * time.Hour,
		Regions: []Region{{Name: "here", Title: "here"}},
		Checks: []Check{{
			Spec:  checks.Spec{Name: "shop", Kind: "http", Every: 30 * time.Second, Timeout: 10 * time.Second},
			Title: "shop", Public: true, Regions: []string{"here"}, Severity: "page",
		}},
		SLAs: []SLA{{
			Name: "gold", Title: "gold", Checks: []string{"shop"}, Slack: true, Target: Percent{"99.95", 99_950_000},
			Timezone: zoneOf(t, "Europe/Warsaw"), Combine: "any-down",
		}},
		StatusPage: StatusPage{Title: "Status", Days: 90},
	}
	if diff := cmp.Diff(want, withoutOptions(cfg), comparers); diff != "" {
		t.Errorf("minimal.yaml (-want +got):\n%s", diff)
	}
}

// Ways of writing that are odd and right.
func TestOdd(t *testing.T) {
	cfg := load(t, "testdata/valid/odd.yaml")
	type check struct {
		Name, Title    string
		Every, Timeout time.Duration
		Quorum         string
		Public         bool
		Severity       string
		Labels         map[string]string
	}
	var got []check
	for _, c := range cfg.Checks {
		got = append(got, check{c.Name, c.Title, c.Every, c.Timeout, c.Quorum.String(), c.Public, c.Severity, c.Labels})
	}
	labels := map[string]string{"team": "web", "empty": ""}
	want := []check{
		{"shop", "shop", 90 * time.Second, 10 * time.Second, "1", false, "page", labels},
		{"api", "api", 1500 * time.Millisecond, 500 * time.Millisecond, "1", false, "none", labels},
		{"third", "a: b, c: [d] # \"e\" '", 14 * 24 * time.Hour, 10 * time.Second, "all", false, "page", labels},
		{"0", "0", 90 * time.Minute, 10 * time.Second, "1", true, "page", nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	if got := cfg.Checks[0].Options.(*checks.HTTP).URL; got != "https://shop.example.com/t0ken?a=b,c" {
		t.Errorf("the URL is %s", got)
	}
	for what, pair := range map[string][2]string{
		"api_token":      {cfg.APIToken.Reveal(), "odd-token"},
		"public_url":     {cfg.PublicURL, "https://status.example.com/base"},
		"region's title": {cfg.Regions[0].Title, "${HOST} for $5 $ status.example.com a{b,[c]"},
		"phone":          {cfg.People[0].Phone, "+48500100200"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	if diff := cmp.Diff([]string{"shop", "api", "third", "0"}, cfg.SLA("none-empty").Checks); diff != "" {
		t.Errorf("selected (-want +got):\n%s", diff)
	}
	hours := &civil.Hours{Days: civil.Days{true, true, false, true, false, true, true}, From: 22 * 60, To: 6 * 60}
	if diff := cmp.Diff(hours, cfg.SLA("none-empty").ServiceHours); diff != "" {
		t.Errorf("service hours (-want +got):\n%s", diff)
	}
	oddRotations(t, cfg)
}

func oddRotations(t *testing.T, cfg *Config) {
	t.Helper()
	type turn struct {
		Every   rotation.Cadence
		Handoff rotation.Handoff
	}
	for name, want := range map[string]turn{
		"a": {rotation.Cadence{N: 12, Unit: rotation.Hours}, rotation.Handoff{At: 9 * 60}},
		"b": {rotation.Cadence{N: 3, Unit: rotation.Days}, rotation.Handoff{}},
		"c": {rotation.Cadence{N: 2, Unit: rotation.Weeks}, rotation.Handoff{Weekday: time.Sunday, At: 24*60 - 1}},
		"d": {rotation.Cadence{N: 1, Unit: rotation.Months}, rotation.Handoff{Day: 31, At: 9 * 60}},
	} {
		r := cfg.Rotation(name)
		if diff := cmp.Diff(want, turn{r.Every, r.Handoff}); diff != "" {
			t.Errorf("rotation %s (-want +got):\n%s", name, diff)
		}
	}
	// 02:30 was skipped on that morning: the first instant after the gap.
	o := cfg.Rotation("d").Overrides[0]
	if want := instantOf(t, "2026-03-29T01:00:00Z"); !o.From.Equal(want) {
		t.Errorf("the override starts at %s, want %s", o.From, want)
	}
	if want := instantOf(t, "2026-03-29T03:30:00Z"); !o.To.Equal(want) {
		t.Errorf("the override ends at %s, want %s", o.To, want)
	}
}

// A timeout from the defaults never exceeds the check's own every.
func TestTimeoutFitsEvery(t *testing.T) {
	path := write(t, t.TempDir(), "nines.yaml", `
regions: [{name: here}]
defaults: {every: 5s}
checks:
  - {name: a, kind: http, url: "https://a.example/"}
  - {name: b, kind: http, url: "https://a.example/", every: 2s}
  - {name: c, kind: http, url: "https://a.example/", every: 1m}
`)
	cfg := load(t, path)
	for name, want := range map[string]time.Duration{"a": 5 * time.Second, "b": 2 * time.Second, "c": 10 * time.Second} {
		if got := cfg.Check(name).Timeout; got != want {
			t.Errorf("%s: the timeout is %s, want %s", name, got, want)
		}
	}
}

// Maintenance is cut to what was asked about, and is nobody else's.
func TestMaintenanceOf(t *testing.T) {
	cfg, err := Load("../../examples/complete.yaml", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time { return instantOf(t, text) }
	for _, tt := range []struct {
		check, from, to string
		want            []civil.Span
	}{
		{"shop", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", []civil.Span{{From: at("2026-10-10T22:00:00Z"), To: at("2026-10-10T23:00:00Z")}}},
		{"shop", "2026-10-10T22:30:00Z", "2026-10-10T22:45:00Z", []civil.Span{{From: at("2026-10-10T22:30:00Z"), To: at("2026-10-10T22:45:00Z")}}},
		{"shop", "2026-10-10T23:00:00Z", "2026-11-01T00:00:00Z", nil},
		{"ns", "2026-10-04T03:30:00Z", "2026-10-12T00:00:00Z", []civil.Span{
			{From: at("2026-10-04T03:30:00Z"), To: at("2026-10-04T04:00:00Z")}, {From: at("2026-10-11T03:00:00Z"), To: at("2026-10-11T04:00:00Z")},
		}},
		{"cert", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", nil},
	} {
		got := cfg.MaintenanceOf(tt.check, at(tt.from), at(tt.to))
		if diff := cmp.Diff(tt.want, got, comparers); diff != "" {
			t.Errorf("%s from %s to %s (-want +got):\n%s", tt.check, tt.from, tt.to, diff)
		}
	}
}

// A configuration without regions runs from one place.
func TestDefaultRegion(t *testing.T) {
	cfg := load(t, write(t, t.TempDir(), "a.yaml", "checks: [{name: shop, kind: http, url: https://shop.example.com/}]\n"))
	want := []Region{{Name: "local", Title: "local"}}
	if diff := cmp.Diff(want, cfg.Regions, comparers); diff != "" {
		t.Errorf("regions (-want +got):\n%s", diff)
	}
	if got := cfg.Checks[0].Regions; !slices.Equal(got, []string{"local"}) {
		t.Errorf("the check runs from %v", got)
	}
}
