package config

import (
	"regexp"
	"strings"
	"testing"
)

const digested = `
regions: [{name: a}, {name: b}]
checks:
  - {name: shop, kind: http, url: "https://shop.example.com/", group: g}
  - {name: api, kind: http, url: "https://api.example.com/", regions: [a, b]}
slas:
  - {name: gold, checks: [shop, api], target: 99.9, timezone: UTC, credits: [{below: 99, percent: 10}, {below: 98, percent: 20}]}
maintenance:
  - {checks: [shop], from: 2026-10-10T22:00:00Z, to: 2026-10-10T23:00:00Z}
  - {checks: [api], weekly: {day: sun, from: "03:00", to: "04:00"}}
`

func digest(t *testing.T, yaml string) string {
	t.Helper()
	return load(t, write(t, t.TempDir(), "nines.yaml", yaml)).Digest()
}

func TestDigest(t *testing.T) {
	want := digest(t, digested)
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(want) {
		t.Fatalf("the digest is %q", want)
	}
	replaced := func(from, to string) string {
		if strings.Count(digested, from) != 1 {
			t.Fatalf("%q stands %d times in the configuration", from, strings.Count(digested, from))
		}
		return digest(t, strings.Replace(digested, from, to, 1))
	}
	for from, to := range map[string]string{
		"https://shop.example.com/": "https://shop.example.org/",
		"{name: gold,":              "{name: gold, title: Gold, service_hours: always,",
		"regions: [a, b]":           "regions: [b, a]",
		"checks: [shop, api]":       "checks: [api, {group: g}]",
		"{below: 99, percent: 10}, {below: 98, percent: 20}": "{below: 98, percent: 20}, {below: 99.000, percent: 10}",
		"from: 2026-10-10T22:00:00Z":                         "from: 2026-10-11T00:00:00+02:00",
		"target: 99.9,":                                      "target: 99.90,",
		"regions: [{name: a}, {name: b}]":                    "regions: [{name: b, title: B}, {name: a}]",
		"group: g}":                                          "group: g, every: 60s, timeout: 10s, quorum: majority}",
		"maintenance:\n  - {checks: [shop], from: 2026-10-10T22:00:00Z, to: 2026-10-10T23:00:00Z}\n": "maintenance:\n  - {title: Upgrade, checks: [shop], from: 2026-10-10T22:00:00Z, to: 2026-10-10T23:00:00Z}\n",
	} {
		if got := replaced(from, to); got != want {
			t.Errorf("%s instead of %s changes no figure and changes the digest", to, from)
		}
	}
	seen := map[string]string{want: "nothing"}
	for from, to := range map[string]string{
		"group: g}":              "group: g, every: 61s}",
		"name: shop,":            "name: shop, timeout: 9s,",
		"name: api,":             "name: api, quorum: any,",
		"regions: [a, b]":        "regions: [a]",
		"checks: [shop, api]":    "checks: [shop]",
		"target: 99.9,":          "target: 99.91,",
		"timezone: UTC":          "timezone: Europe/Warsaw",
		"{name: gold,":           "{name: gold, combine: average,",
		"slas:\n  - {":           "slas:\n  - {min_outage: 1s, ",
		"10-10T23:00:00Z":        "10-10T23:00:01Z",
		"day: sun":               "day: mon",
		`to: "04:00"`:            `to: "04:00", timezone: Europe/Warsaw`,
		"percent: 10":            "percent: 11",
		"below: 98":              "below: 98.5",
		"checks: [api], weekly":  "checks: [shop, api], weekly",
		"timezone: UTC, credits": `timezone: UTC, service_hours: {from: "08:00", to: "18:00"}, credits`,
	} {
		got := replaced(from, to)
		if before, again := seen[got]; again {
			t.Errorf("%s instead of %s has the digest of %s", to, from, before)
		}
		seen[got] = to
	}
}
