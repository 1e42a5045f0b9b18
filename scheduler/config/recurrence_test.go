package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// maintained returns when a check is under the maintenance given.
func maintained(t *testing.T, maintenance, from, to string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nines.yaml")
	yaml := "checks: [{name: shop, kind: http, url: \"https://shop.example.com/\"}]\nmaintenance: [{checks: [shop], " + maintenance + "}]\n"
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	begin, err := time.Parse(time.RFC3339, from)
	if err != nil {
		t.Fatal(err)
	}
	end, err := time.Parse(time.RFC3339, to)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, s := range c.MaintenanceOf("shop", begin, end) {
		list = append(list, s.From.UTC().Format(time.RFC3339)+"/"+s.To.UTC().Format(time.RFC3339))
	}
	return list
}

func TestRecurrence(t *testing.T) {
	tests := []struct{ name, maintenance, from, to, want string }{
		{"second Tuesdays, by the clock", `rrule: "FREQ=MONTHLY;BYDAY=2TU", from: 2026-01-13T22:00:00+01:00, duration: 2h, timezone: Europe/Warsaw`,
			"2026-09-30T22:00:00Z", "2026-11-30T23:00:00Z", "2026-10-13T20:00:00Z/2026-10-13T22:00:00Z 2026-11-10T21:00:00Z/2026-11-10T23:00:00Z"},
		{"in the gap: the first instant after it", `rrule: FREQ=DAILY, from: 2026-03-01T02:30:00+01:00, duration: 30m, timezone: Europe/Warsaw`,
			"2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z", "2026-03-29T01:00:00Z/2026-03-29T01:30:00Z"},
		{"shown twice: the first, and elapsed time", `rrule: FREQ=DAILY, from: 2026-10-01T02:30:00+02:00, duration: 2h, timezone: Europe/Warsaw`,
			"2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z", "2026-10-25T00:30:00Z/2026-10-25T02:30:00Z"},
		{"cut at the ends, begun before", `rrule: "FREQ=WEEKLY;BYDAY=SA", from: 2026-10-03T20:00:00Z, duration: 3d`,
			"2026-10-05T00:00:00Z", "2026-10-11T00:00:00Z", "2026-10-05T00:00:00Z/2026-10-06T20:00:00Z 2026-10-10T20:00:00Z/2026-10-11T00:00:00Z"},
		{"counted", `rrule: "FREQ=DAILY;COUNT=2", from: 2026-10-03T20:00:00Z, duration: 1h`,
			"2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-10-03T20:00:00Z/2026-10-03T21:00:00Z 2026-10-04T20:00:00Z/2026-10-04T21:00:00Z"},
		{"before the first", `rrule: FREQ=YEARLY, from: 2027-10-03T20:00:00Z, duration: 1h`, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", ""},
		{"with its prefix, twice a day", `rrule: "RRULE:FREQ=DAILY;BYHOUR=6,18;UNTIL=20261003T070000Z", from: 2026-10-02T06:00:00Z, duration: 1h`,
			"2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-10-02T06:00:00Z/2026-10-02T07:00:00Z 2026-10-02T18:00:00Z/2026-10-02T19:00:00Z 2026-10-03T06:00:00Z/2026-10-03T07:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(maintained(t, tt.maintenance, tt.from, tt.to), " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Whatever is wrong with the keys of promises is said where it stands.
func TestPromiseFaults(t *testing.T) {
	const check = "regions: [{name: eu}, {name: us}]\nchecks: [{name: shop, kind: http, url: \"https://shop.example.com/\"%s}]\n"
	tests := []struct{ name, check, rest, want string }{
		{"hourly", "", `maintenance: [{checks: [shop], rrule: FREQ=HOURLY, from: 2026-10-03T20:00:00Z, duration: 1h}]`, "rrule: recurs more often than daily"},
		{"no rule", "", `maintenance: [{checks: [shop], rrule: every day, from: 2026-10-03T20:00:00Z, duration: 1h}]`, "write a rule of RFC 5545"},
		{"never", "", `maintenance: [{checks: [shop], rrule: "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", from: 2026-10-03T20:00:00Z, duration: 1h}]`, "never happens"},
		{"no duration", "", `maintenance: [{checks: [shop], rrule: FREQ=DAILY, from: 2026-10-03T20:00:00Z}]`, "duration: is missing"},
		{"no first", "", `maintenance: [{checks: [shop], rrule: FREQ=DAILY, duration: 1h}]`, "from: is missing"},
		{"both", "", `maintenance: [{checks: [shop], rrule: FREQ=DAILY, from: 2026-10-03T20:00:00Z, to: 2026-10-03T21:00:00Z, duration: 1h}]`, "to: rrule is given too"},
		{"duration alone", "", `maintenance: [{checks: [shop], from: 2026-10-03T20:00:00Z, duration: 1h}]`, "duration: is of rrule"},
		{"weight elsewhere", ", weights: {ap: 2}", "", "weights.ap: the check does not run from there"},
		{"no weight", ", weights: {eu: 0}", "", "weights.eu: is 0; write 1 to 100"},
		{"cap", "", `slas: [{name: gold, checks: [shop], target: 99, credit_cap: 101}]`, "credit_cap: is 101"},
		{"since", "", `slas: [{name: gold, checks: [shop], target: 99, since: October}]`, "since:"},
		{"burn over", "", `slas: [{name: gold, checks: [shop], target: 99, burn: [{over: 1m, rate: 2}]}]`, "burn[0].over: is 1m"},
		{"burn and", "", `slas: [{name: gold, checks: [shop], target: 99, burn: [{over: 1h, and: 2h, rate: 2}]}]`, "burn[0].and: is 2h"},
		{"burn rate", "", `slas: [{name: gold, checks: [shop], target: 99, burn: [{over: 1h, rate: -2}]}]`, "burn[0].rate: is -2"},
		{"key", "", `report_key: secret`, "report_key: is not an Ed25519 private key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "nines.yaml")
			if err := os.WriteFile(path, []byte(strings.Replace(check, "%s", tt.check, 1)+tt.rest+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, func(string) (string, bool) { return "", false })
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Every configuration in docs/availability.md is valid.
func TestAvailabilityExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "availability.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		yaml, _, _ := strings.Cut(block, "```")
		path := filepath.Join(t.TempDir(), "nines.yaml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Errorf("%v\n%s", err, yaml)
			continue
		}
		if len(c.SLAs) > 0 && len(c.SLAs[0].Burn) == 3 && c.Maintenance[0].Rule != nil && c.Checks[0].Weights[0] == 2 {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d examples have burn rules, an rrule and weights", found)
	}
}
