package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"nines/internal/civil"
	"nines/notifier"
	"nines/notifier/rotation"
)

var slackMember = regexp.MustCompile(`^[UW][A-Z0-9]+$`)

func (b *builder) buildPeople() {
	for i := range b.doc.People {
		s := &b.doc.People[i]
		if s.At == nil {
			continue
		}
		if s.Slack != "" && !slackMember.MatchString(s.Slack) {
			b.warn(s.At, "slack", "%q does not look like a member's ID; write it as Slack shows it under Copy member ID, such as U012ALICE", clip(s.Slack))
		}
		b.cfg.People = append(b.cfg.People, notifier.Person{
			Name: string(s.Name), Phone: string(s.Phone), Slack: s.Slack, Email: string(s.Email), Zone: s.Timezone.Location,
		})
	}
	if len(b.doc.People) > 0 && len(b.doc.Policies) == 0 && !b.partial {
		b.warn(b.root, "policies", "there are none, so that nobody of people is ever paged; write one called %s", defaultPolicy)
	}
}

func (b *builder) buildRotations() {
	for i := range b.doc.Rotations {
		s := &b.doc.Rotations[i]
		if s.At == nil {
			continue
		}
		r := &rotation.Rotation{
			Name:  string(s.Name),
			Zone:  s.Timezone.Location,
			Every: rotation.Cadence(s.Every),
			Start: civil.Date(s.Start),
			Only:  b.hours(s.Only),
		}
		// Without a cadence no handoff can be judged.
		if r.Every.N > 0 && s.At.field("handoff") != nil {
			handoff, err := parseHandoff(s.Handoff, r.Every.Unit)
			if err != nil {
				b.fault(s.At, "handoff", "%v", err)
			}
			r.Handoff = handoff
		}
		for j, person := range s.People {
			if person != "" && !b.people.has(string(person)) {
				b.fault(s.At, at("people", j), "%s", b.people.lacks(string(person)))
			}
			r.People = append(r.People, string(person))
		}
		if s.At.field("people") != nil && len(s.People) == 0 {
			b.fault(s.At, "people", "is empty; name at least one person")
		}
		r.Overrides = b.overrides(s, r.Zone)
		b.cfg.Rotations = append(b.cfg.Rotations, r)
	}
}

// parseHandoff reads when turns change hands, in the form that the cadence's
// unit asks for.
func parseHandoff(text string, unit rotation.Unit) (rotation.Handoff, error) {
	day, clock, two := strings.Cut(text, " ")
	if !two {
		day, clock = "", text
	}
	var (
		h   rotation.Handoff
		err error
	)
	h.At, err = civil.ParseClock(clock)
	fits := err == nil && h.At < 24*60
	switch unit {
	case rotation.Hours, rotation.Days:
		if !fits || two {
			err = fmt.Errorf("%q is not a handoff of hours or days; write the time, such as 09:00", clip(text))
		}
	case rotation.Weeks:
		var bad error
		if h.Weekday, bad = civil.ParseWeekday(day); bad != nil || !fits {
			err = fmt.Errorf("%q is not a handoff of weeks; write the day and the time, such as mon 09:00", clip(text))
		}
	case rotation.Months:
		var bad error
		if h.Day, bad = strconv.Atoi(day); bad != nil || !fits || h.Day < 1 || h.Day > 31 {
			err = fmt.Errorf("%q is not a handoff of months; write the day of the month and the time, such as 15 09:00", clip(text))
		}
	}
	return h, err
}

// overrides returns who is on call instead, and when.
func (b *builder) overrides(s *rotationSection, zone *time.Location) []rotation.Override {
	var overrides []rotation.Override
	for i := range s.Overrides {
		o := &s.Overrides[i]
		if o.At == nil {
			continue
		}
		if o.Person != "" && !b.people.has(string(o.Person)) {
			b.fault(o.At, "person", "%s", b.people.lacks(string(o.Person)))
		}
		from, errFrom := parseWallClock(o.From, zone)
		to, errTo := parseWallClock(o.To, zone)
		switch {
		case errFrom != nil || errTo != nil:
			if errFrom != nil {
				b.fault(o.At, "from", "%v", errFrom)
			}
			if errTo != nil {
				b.fault(o.At, "to", "%v", errTo)
			}
			continue
		case !from.Before(to):
			b.fault(o.At, "to", "is not after from; write a later time")
			continue
		}
		for j, other := range overrides {
			if from.Before(other.To) && other.From.Before(to) && other.Person != string(o.Person) {
				b.warn(o.At, "", "overlaps overrides[%d]; only one of %s and %s can be on call", j, other.Person, o.Person)
			}
		}
		overrides = append(overrides, rotation.Override{Person: string(o.Person), From: from, To: to})
	}
	return overrides
}

// parseWallClock reads a time that clocks in zone show, or one with an offset.
func parseWallClock(text string, zone *time.Location) (time.Time, error) {
	if day, clock, ok := strings.Cut(text, "T"); ok {
		d, errDay := civil.ParseDate(day)
		c, errClock := civil.ParseClock(clock)
		if errDay == nil && errClock == nil && 1970 <= d.Year && d.Year <= 2200 {
			return civil.At(d, c, zone), nil
		}
	}
	t, err := parseInstant(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time; write it as 2026-11-24T09:00 on the rotation's clock, or with an offset: 2026-11-24T09:00:00+01:00", clip(text))
	}
	return t.In(zone), nil
}

func (b *builder) buildPolicies() {
	for i := range b.doc.Policies {
		s := &b.doc.Policies[i]
		if s.At == nil {
			continue
		}
		p := notifier.Policy{Name: string(s.Name), Repeat: s.Repeat, Fallback: s.Fallback}
		if s.At.field("steps") != nil && len(s.Steps) == 0 {
			b.fault(s.At, "steps", "is empty; write at least one, such as {notify: [person:alice], by: [sms]}")
		}
		if s.Repeat < 0 {
			b.fault(s.At, "repeat", "is %d; write 0 or more", s.Repeat)
		}
		if s.Fallback != "" {
			b.checkNotified(s.At, "fallback", s.Fallback, "person")
		}
		for j := range s.Steps {
			if step := &s.Steps[j]; step.At != nil {
				p.Steps = append(p.Steps, b.step(step))
				b.checkReach(s, step)
			}
		}
		b.cfg.Policies = append(b.cfg.Policies, p)
	}
}

func (b *builder) step(s *stepSection) notifier.Step {
	if s.At.field("notify") != nil && len(s.Notify) == 0 {
		b.fault(s.At, "notify", "is empty; write rotation:NAME or person:NAME")
	}
	if s.At.field("by") != nil && len(s.By) == 0 {
		b.fault(s.At, "by", "is empty; write slack, sms, voice or email")
	}
	if s.Wait <= 0 {
		b.fault(s.At, "wait", "is 0s; write more, such as 5m")
	}
	for i, target := range s.Notify {
		b.checkNotified(s.At, at("notify", i), target, "rotation", "person")
	}
	for i, channel := range s.By {
		if slices.Contains(s.By[:i], channel) && channel != "" {
			b.fault(s.At, at("by", i), "%s is named twice; keep one of the two", channel)
		}
		if section := b.lacksSection(channel); section != "" {
			b.fault(s.At, at("by", i), "%s needs to know how; write a section %s", channel, section)
		}
	}
	return notifier.Step{Notify: s.Notify, By: s.By, Wait: s.Wait}
}

// lacksSection returns the section that a channel needs and the configuration
// does not have, or "".
func (b *builder) lacksSection(channel string) string {
	d := &b.doc
	switch {
	case b.partial:
	case channel == "slack" && d.Slack == nil:
		return "slack with token and channel"
	case (channel == "sms" || channel == "voice") && d.Twilio == nil:
		return "twilio with account_sid, auth_token and from"
	case channel == "email" && d.Email == nil:
		return "email with server and from"
	}
	return ""
}

// checkNotified checks a target such as person:alice, which must be of one of
// the kinds.
func (b *builder) checkNotified(where *node, relative, target string, kinds ...string) {
	kind, name, _ := strings.Cut(target, ":")
	if !slices.Contains(kinds, kind) || name == "" {
		b.fault(where, relative, "%q is nobody; write %s:NAME", clip(target), strings.Join(kinds, ":NAME or "))
		return
	}
	known := b.people
	if kind == "rotation" {
		known = b.rotations
	}
	if !known.has(name) {
		b.fault(where, relative, "%s", known.lacks(name))
	}
}

// checkReach warns of people whom a step may choose and cannot reach by some
// of its channels, and of a step that may choose nobody.
func (b *builder) checkReach(policy *policySection, step *stepSection) {
	sometimes := len(step.Notify) > 0
	for _, target := range step.Notify {
		sometimes = sometimes && b.hasGaps(target)
		for _, person := range b.reached(target) {
			b.checkChannels(person, step.By)
		}
	}
	if sometimes && policy.Fallback == "" {
		b.warn(step.At, "notify", "finds nobody outside the hours of %s; give the policy a fallback, such as person:alice", strings.Join(step.Notify, " and "))
	}
	if kind, name, _ := strings.Cut(policy.Fallback, ":"); kind == "person" {
		for i := range b.doc.People {
			if string(b.doc.People[i].Name) == name {
				b.checkChannels(&b.doc.People[i], step.By)
			}
		}
	}
}

// hasGaps reports whether a target is a rotation with hours.
func (b *builder) hasGaps(target string) bool {
	for i := range b.doc.Rotations {
		if r := &b.doc.Rotations[i]; target == "rotation:"+string(r.Name) {
			return r.Only != nil
		}
	}
	return false
}

// reached returns the people whom a target may stand for.
func (b *builder) reached(target string) []*personSection {
	kind, called, _ := strings.Cut(target, ":")
	names := []name{name(called)}
	if kind == "rotation" {
		names = nil
		for i := range b.doc.Rotations {
			if r := &b.doc.Rotations[i]; string(r.Name) == called {
				names = slices.Clone(r.People)
				for _, o := range r.Overrides {
					names = append(names, o.Person)
				}
			}
		}
	}
	var people []*personSection
	for i := range b.doc.People {
		if slices.Contains(names, b.doc.People[i].Name) {
			people = append(people, &b.doc.People[i])
		}
	}
	return people
}

// checkChannels warns of channels that a person cannot be reached by.
func (b *builder) checkChannels(person *personSection, by []string) {
	if person.At == nil || person.Name == "" {
		return
	}
	if person.Phone == "" && (slices.Contains(by, "sms") || slices.Contains(by, "voice")) {
		b.warn(person.At, "phone", "is missing, and a policy tells %s by phone; write it as \"+48500100200\"", person.Name)
	}
	if person.Email == "" && slices.Contains(by, "email") {
		b.warn(person.At, "email", "is missing, and a policy tells %s by e-mail; write the address", person.Name)
	}
}
