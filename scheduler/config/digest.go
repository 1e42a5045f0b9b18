package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"nines/internal/civil"
)

// Digest returns the SHA-256, in hex, of everything in c that decides how
// results are judged: checks' regions, timing and quorum, SLAs and
// maintenance. What a probe asks, who is told and how things are called do not
// change it, nor does the order in which things stand in the files.
func (c *Config) Digest() string {
	type check struct {
		Name           string
		Regions        []string
		Every, Timeout time.Duration
		Quorum         string
		Weights        map[string]int `json:",omitempty"` // of those that have another than 1
	}
	type credit struct {
		Below   int64
		Percent float64
	}
	type sla struct {
		Name, Timezone, Combine string
		Checks                  []string
		Target                  int64
		MinOutage               time.Duration
		ServiceHours            *civil.Hours
		Credits                 []credit
		Since                   string   `json:",omitempty"`
		CreditCap               *float64 `json:",omitempty"`
	}
	type maintenance struct {
		Checks   []string
		From, To string
		Weekly   *civil.Hours
		Timezone string
		Rule     string        `json:",omitempty"`
		Duration time.Duration `json:",omitempty"`
	}
	var judged struct {
		Checks      []check
		SLAs        []sla
		Maintenance []maintenance
	}
	for _, k := range c.Checks {
		judged.Checks = append(judged.Checks, check{k.Name, slices.Sorted(slices.Values(k.Regions)), k.Every, k.Timeout, k.Quorum.String(), k.weights()})
	}
	for _, s := range c.SLAs {
		out := sla{
			Name: s.Name, Timezone: s.Timezone.String(), Combine: s.Combine, Checks: slices.Sorted(slices.Values(s.Checks)),
			Target: s.Target.Micros, MinOutage: s.MinOutage, ServiceHours: s.ServiceHours,
		}
		if s.Since != (civil.Date{}) {
			out.Since = s.Since.String()
		}
		out.CreditCap = s.CreditCap
		for _, cr := range s.Credits {
			out.Credits = append(out.Credits, credit{cr.Below.Micros, cr.Percent})
		}
		slices.SortFunc(out.Credits, func(a, b credit) int { return int(a.Below - b.Below) })
		judged.SLAs = append(judged.SLAs, out)
	}
	for _, m := range c.Maintenance {
		out := maintenance{Checks: slices.Sorted(slices.Values(m.Checks)), Weekly: m.Weekly}
		if m.Once != nil {
			out.From, out.To = m.Once.From.UTC().Format(time.RFC3339Nano), m.Once.To.UTC().Format(time.RFC3339Nano)
		} else {
			out.Timezone = m.Zone.String()
		}
		if m.Rule != nil {
			out.From, out.Rule, out.Duration = m.Rule.First.UTC().Format(time.RFC3339Nano), m.Rule.Text, m.Rule.Duration
		}
		judged.Maintenance = append(judged.Maintenance, out)
	}
	slices.SortFunc(judged.Checks, func(a, b check) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(judged.SLAs, func(a, b sla) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(judged.Maintenance, func(a, b maintenance) int { return strings.Compare(encoded(a), encoded(b)) })
	sum := sha256.Sum256([]byte(encoded(judged)))
	return hex.EncodeToString(sum[:])
}

// weights returns those of the regions that have another than 1.
func (c *Check) weights() map[string]int {
	var weights map[string]int
	for i, w := range c.Weights {
		if w != 1 {
			if weights == nil {
				weights = map[string]int{}
			}
			weights[c.Regions[i]] = w
		}
	}
	return weights
}

// encoded returns v, which holds nothing that JSON cannot, as JSON.
func encoded(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
