package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nines/internal/civil"
)

func (b *builder) buildSLAs() {
	for i := range b.doc.SLAs {
		s := &b.doc.SLAs[i]
		if s.At == nil {
			continue
		}
		sla := SLA{
			Name:         string(s.Name),
			Title:        string(s.Title),
			Checks:       b.resolve(s.At, s.Checks),
			Target:       s.Target,
			Timezone:     s.Timezone.Location,
			Combine:      s.Combine,
			MinOutage:    s.MinOutage,
			ServiceHours: b.hours(&s.ServiceHours.hours),
			Credits:      b.credits(s),
			Since:        civil.Date(s.Since),
			CreditCap:    b.creditCap(s),
			Burn:         b.burns(s),
			Slack:        s.Slack,
		}
		if sla.Title == "" {
			sla.Title = sla.Name
		}
		if sla.Target.Micros == 0 {
			b.fault(s.At, "target", "is 0; write a percentage above 0, such as 99.95")
		}
		for _, address := range s.Email {
			sla.Email = append(sla.Email, string(address))
		}
		if len(s.Email) > 0 && b.doc.Email == nil && !b.partial {
			b.fault(s.At, "email", "needs to know how mail leaves; write a section email with server and from")
		}
		b.cfg.SLAs = append(b.cfg.SLAs, sla)
	}
}

// creditCap returns the most that is owed, or nil.
func (b *builder) creditCap(s *slaSection) *float64 {
	if s.CreditCap == nil {
		return nil
	}
	if *s.CreditCap < 0 || *s.CreditCap > 100 {
		b.fault(s.At, "credit_cap", "is %v; write 0 to 100", *s.CreditCap)
	}
	if len(s.Credits) == 0 {
		b.warn(s.At, "credit_cap", "caps nothing; write credits too, or leave it out")
	}
	return s.CreditCap
}

// burns returns the rules about the error budget.
func (b *builder) burns(s *slaSection) []Burn {
	var list []Burn
	for i := range s.Burn {
		rule := &s.Burn[i]
		if rule.At == nil {
			continue
		}
		out := Burn{Over: rule.Over, And: rule.And, Rate: rule.Rate, Severity: rule.Severity, Policy: string(rule.Policy)}
		if out.And == 0 {
			out.And = out.Over / 12
		}
		switch {
		case out.Over < 5*time.Minute || out.Over > 30*day:
			b.fault(rule.At, "over", "is %s; write 5m to 30d", formatDuration(out.Over))
		case out.And > out.Over || out.And < 0:
			b.fault(rule.At, "and", "is %s, longer than over, which is %s; write less", formatDuration(out.And), formatDuration(out.Over))
		}
		if !(out.Rate > 0) || out.Rate > 1e6 {
			b.fault(rule.At, "rate", "is %v; write a number above 0, such as 14.4", out.Rate)
		}
		if most := 1e8 / float64(max(1, 100_000_000-s.Target.Micros)); out.Rate > most && s.Target.Micros < 100_000_000 {
			b.warn(rule.At, "rate", "is %v, and with a target of %s even a complete outage burns at %.4g; write less than that", out.Rate, s.Target.Text, most)
		}
		if s.Target.Micros == 100_000_000 {
			b.warn(rule.At, "rate", "says nothing: a target of 100 has no error budget; leave burn out")
		}
		switch {
		case out.Policy != "" && !b.policies.has(out.Policy):
			b.fault(rule.At, "policy", "%s", b.policies.lacks(out.Policy))
		case out.Policy == "" && b.policies.has(defaultPolicy):
			out.Policy = defaultPolicy
		case out.Policy == "" && len(b.policies.names) > 0 && out.Severity == "page":
			b.fault(rule.At, "policy", "is missing, the rule pages, and no policy is called %s; name one of %s, or define %s", defaultPolicy, strings.Join(b.policies.names, ", "), defaultPolicy)
		}
		list = append(list, out)
	}
	return list
}

// credits returns what is owed below which availability.
func (b *builder) credits(s *slaSection) []Credit {
	var credits []Credit
	given := map[int64]position{}
	for i, c := range s.Credits {
		if c.At == nil {
			continue
		}
		if c.Percent < 0 || c.Percent > 100 {
			b.fault(c.At, "percent", "is %v; write 0 to 100", c.Percent)
		}
		if c.Below.Text != "" {
			if first, again := given[c.Below.Micros]; again {
				b.fault(c.At, "below", "is the same as at %s; keep one of the two", first)
			} else {
				given[c.Below.Micros] = c.At.nearest("below").position
				b.checkCredit(s, i)
			}
		}
		credits = append(credits, Credit{c.Below, c.Percent})
	}
	return credits
}

// checkCredit warns of a credit that is owed for a kept promise, or that pays
// less than the one before it for a greater failure.
func (b *builder) checkCredit(s *slaSection, i int) {
	c := s.Credits[i]
	if c.Below.Micros > s.Target.Micros && s.Target.Text != "" {
		b.warn(c.At, "below", "is %s, above the target, so that credit is owed for a promise that was kept; write at most %s", c.Below.Text, s.Target.Text)
	}
	if i == 0 || s.Credits[i-1].Below.Text == "" {
		return
	}
	if before := s.Credits[i-1]; (c.Below.Micros < before.Below.Micros) != (c.Percent > before.Percent) {
		b.warn(c.At, "percent", "is %v below %s, and %v below %s: less availability should earn more credit", c.Percent, c.Below.Text, before.Percent, before.Below.Text)
	}
}

// resolve returns the checks that a selection names, in the order of the file.
func (b *builder) resolve(owner *node, selection selection) []string {
	chosen := make([]bool, len(b.checks.names))
	for i := range selection {
		s, where := &selection[i], at("checks", i)
		switch {
		case s.text && s.name == "":
			b.fault(owner, where, "is empty; write the name of a check")
		case s.text && !b.checks.has(s.name):
			b.fault(owner, where, "%s", b.lacksCheck(s.name))
		case s.text:
			place, known := b.checks.place[s.name]
			if known && chosen[place] {
				b.warn(owner, where, "%s is already selected; keep one of the two", s.name)
			}
			if known {
				chosen[place] = true
			}
		case s.At != nil:
			b.selectBy(s, chosen)
		}
	}
	if owner.field("checks") != nil && len(selection) == 0 {
		b.fault(owner, "checks", "selects no check; write names, {group: …} or {label: …=…}")
	}
	var names []string
	for place, name := range b.checks.names {
		if chosen[place] {
			names = append(names, name)
		}
	}
	return names
}

// lacksCheck says that there is no such check; it may be a group's name.
func (b *builder) lacksCheck(name string) string {
	if slices.Contains(b.groups, name) {
		return fmt.Sprintf("no check is called %q; write {group: %s} for the checks of that group", clip(name), clip(name))
	}
	return b.checks.lacks(name)
}

// selectBy chooses the checks of a group or with a label.
func (b *builder) selectBy(s *selected, chosen []bool) {
	label, value, isLabel := strings.Cut(s.Label, "=")
	given := func(key string) bool { return s.At.field(key) != nil }
	switch {
	case given("group") && given("label"):
		b.fault(s.At, "label", "group is given too; write two selectors, or keep one of the two")
		return
	case !given("group") && !given("label"):
		b.fault(s.At, "group", "is missing, and label is too; write {group: Storefront} or {label: team=web}")
		return
	case given("label") && (!isLabel || label == ""):
		b.fault(s.At, "label", "%q is not a label with its value; write it as team=web", clip(s.Label))
		return
	}
	found := false
	for i := range b.doc.Checks {
		c := &b.doc.Checks[i]
		got, has := c.Labels[label]
		if given("group") && string(c.Group) == s.Group || isLabel && has && got == value {
			found = true
			if place, known := b.checks.place[string(c.Name)]; known {
				chosen[place] = true
			}
		}
	}
	switch {
	case found || b.checks.partial:
	case given("group"):
		b.fault(s.At, "group", "no check is in the group %q; %s", clip(s.Group), didYouMean(s.Group, b.groups))
	default:
		b.fault(s.At, "label", "no check has the label %s; give it to one, or select by name", clip(s.Label))
	}
}

// hours returns the window, or nil for one that is not given: always.
func (b *builder) hours(h *hours) *civil.Hours {
	if h == nil || h.At == nil {
		return nil
	}
	window := civil.Hours{From: civil.Clock(h.From), To: civil.Clock(h.To)}
	for _, days := range h.Days {
		for d, on := range days {
			window.Days[d] = window.Days[d] || on
		}
	}
	switch {
	case h.Days == nil:
		window.Days = civil.EveryDay()
	case len(h.Days) == 0:
		b.fault(h.At, "days", "is empty; name days, or leave the key out for every day")
	}
	return &window
}

func (b *builder) buildMaintenance() {
	for i := range b.doc.Maintenance {
		s := &b.doc.Maintenance[i]
		if s.At == nil {
			continue
		}
		m := Maintenance{Title: string(s.Title), Checks: b.resolve(s.At, s.Checks), Zone: time.UTC}
		switch {
		case s.RRule != "" || s.At.field("rrule") != nil:
			m.Rule, m.Zone = b.recurrence(s)
		case s.Duration != nil:
			b.fault(s.At, "duration", "is of rrule, which is not given; write to instead")
		case s.Timezone != nil:
			b.fault(s.At, "timezone", "is of rrule, which is not given; write offsets in from and to, or a timezone in weekly")
		case s.Weekly != nil && (s.From != nil || s.To != nil):
			b.fault(s.At, "weekly", "from or to is given too; keep weekly, or from and to")
		case s.Weekly != nil:
			m.Weekly = &civil.Hours{From: civil.Clock(s.Weekly.From), To: civil.Clock(s.Weekly.To)}
			m.Weekly.Days[s.Weekly.Day] = true
			m.Zone = s.Weekly.Timezone.Location
		default:
			m.Once = b.once(s)
		}
		b.cfg.Maintenance = append(b.cfg.Maintenance, m)
	}
}

// once returns the span of a maintenance that happens once.
func (b *builder) once(s *maintenanceSection) *civil.Span {
	if s.From == nil || s.To == nil {
		for _, key := range []string{"from", "to"} {
			if s.At.field(key) == nil && s.At.nearest("weekly").kind != unread {
				b.fault(s.At, key, "is missing; write from and to, such as 2026-10-10T22:00:00Z, or weekly")
			}
		}
		return nil
	}
	span := civil.Span{From: time.Time(*s.From), To: time.Time(*s.To)}
	if !span.From.Before(span.To) {
		b.fault(s.At, "to", "is not after from; write a later time")
	}
	return &span
}
