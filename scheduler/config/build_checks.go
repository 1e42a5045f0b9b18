package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"nines/checks"
)

// defaultPolicy is the policy of checks that name none.
const defaultPolicy = "default"

func (b *builder) buildDefaults() {
	d := &b.doc.Defaults
	if d.Every < time.Second {
		b.fault(d.At, "every", "is %s; write at least 1s", formatDuration(d.Every))
	}
	if d.Timeout <= 0 {
		b.fault(d.At, "timeout", "is 0s; write more, such as 10s")
	}
	if d.At != nil && d.At.field("timeout") != nil && d.Timeout > d.Every {
		b.fault(d.At, "timeout", "is %s, longer than every, which is %s; write at most that", formatDuration(d.Timeout), formatDuration(d.Every))
	}
}

func (b *builder) buildChecks() {
	for i := range b.doc.Checks {
		s := &b.doc.Checks[i]
		if s.At != nil {
			b.cfg.Checks = append(b.cfg.Checks, b.check(s))
		}
	}
}

func (b *builder) check(s *checkSection) Check {
	d := &b.doc.Defaults
	c := Check{
		Spec:     checks.Spec{Name: string(s.Name), Kind: s.Kind, Every: or(s.Every, d.Every), Options: s.options},
		Title:    string(s.Title),
		Group:    string(s.Group),
		Public:   s.Public,
		Quorum:   or(s.Quorum, d.Quorum),
		Severity: or(s.Severity, d.Severity),
		Runbook:  string(s.Runbook),
		Labels:   s.Labels,
	}
	if c.Title == "" {
		c.Title = c.Name
	}
	c.Timeout = b.timings(s, c.Every)
	c.Regions = b.checkRegions(s)
	c.Weights = b.checkWeights(s, c.Regions)
	c.Policy = b.checkPolicy(s, c.Severity)
	if k, err := strconv.Atoi(c.Quorum.String()); err == nil && k > len(c.Regions) && len(c.Regions) > 0 && s.Quorum != nil {
		b.warn(s.At, "quorum", "asks for %d regions, and the check runs from %d, so that it means all; write all, or at most %d", k, len(c.Regions), len(c.Regions))
	}
	for _, label := range slices.Sorted(maps.Keys(c.Labels)) {
		if label == "" || strings.Contains(label, "=") {
			b.fault(s.At, "labels"+keyStep(label), "cannot be selected by label=value; write a name without =")
		}
	}
	if s.options != nil {
		for _, f := range s.options.Faults() {
			b.fault(s.At, f.Path, "%s", f.Message)
		}
	}
	return c
}

// timings checks every and timeout and returns the timeout. One that comes
// from the defaults is cut to what fits the check.
func (b *builder) timings(s *checkSection, every time.Duration) time.Duration {
	if s.Every != nil && every < time.Second {
		b.fault(s.At, "every", "is %s; write at least 1s", formatDuration(every))
	}
	if s.Timeout == nil {
		return min(b.doc.Defaults.Timeout, every)
	}
	switch timeout := *s.Timeout; {
	case timeout <= 0:
		b.fault(s.At, "timeout", "is 0s; write more, such as 10s")
	case timeout > every:
		b.fault(s.At, "timeout", "is %s, longer than every, which is %s; write at most that", formatDuration(timeout), formatDuration(every))
	}
	return *s.Timeout
}

// checkRegions returns the regions that a check runs from.
func (b *builder) checkRegions(s *checkSection) []string {
	if s.Regions == nil {
		return slices.Clone(b.regions.names)
	}
	if len(s.Regions) == 0 {
		b.fault(s.At, "regions", "is empty; name regions, or leave the key out for all")
	}
	var names []string
	for i, r := range s.Regions {
		switch region := string(r); {
		case region == "":
		case slices.Contains(names, region):
			b.fault(s.At, at("regions", i), "%s is named twice; keep one of the two", region)
		case !b.regions.has(region):
			b.fault(s.At, at("regions", i), "%s", b.regions.lacks(region))
		default:
			names = append(names, region)
		}
	}
	return names
}

// checkWeights returns how many votes each of the regions has.
func (b *builder) checkWeights(s *checkSection, names []string) []int {
	if len(s.Weights) == 0 {
		return nil
	}
	weights := make([]int, len(names))
	for i := range weights {
		weights[i] = 1
	}
	for region, weight := range s.Weights {
		place := slices.Index(names, region)
		switch {
		case place < 0:
			b.fault(s.At, "weights"+keyStep(region), "the check does not run from there; name one of %s", strings.Join(names, ", "))
		case weight < 1 || weight > 100:
			b.fault(s.At, "weights"+keyStep(region), "is %d; write 1 to 100", weight)
		default:
			weights[place] = weight
		}
	}
	return weights
}

// checkPolicy returns the policy by which the check's outages are told.
func (b *builder) checkPolicy(s *checkSection, severity string) string {
	policy := string(s.Policy)
	switch {
	case policy != "" && !b.policies.has(policy):
		b.fault(s.At, "policy", "%s", b.policies.lacks(policy))
	case policy != "":
	case b.policies.has(defaultPolicy):
		// With a partial roster it may be there under a name that was not read.
		policy = defaultPolicy
	case len(b.policies.names) > 0 && severity == "page":
		b.fault(s.At, "policy", "is missing, the check pages, and no policy is called %s; name one of %s, or define %s", defaultPolicy, strings.Join(b.policies.names, ", "), defaultPolicy)
	}
	if len(b.policies.names) == 0 {
		return ""
	}
	return policy
}

// or returns what was set, or else the default.
func or[T any](set *T, otherwise T) T {
	if set != nil {
		return *set
	}
	return otherwise
}
