package config

import (
	"strings"
	"time"

	"github.com/teambition/rrule-go"

	"nines/internal/civil"
)

// Recurrence is a rule of RFC 5545 (RRULE) by the clocks of a zone. Its times
// are wall-clock times of whole minutes: one that the clocks skip is the first
// instant after the gap, one that they show twice is the first of the two.
// Duration is elapsed time, however the clocks are changed meanwhile.
type Recurrence struct {
	Text     string // as it was written
	First    time.Time
	Duration time.Duration

	rule *rrule.RRule // of wall-clock times, as if they were UTC
}

// lastRecurrence bounds every rule: nothing here is later.
var lastRecurrence = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// longestMaintenance bounds how long one time of a rule may last.
const longestMaintenance = 31 * day

// frequencies are those that a rule may have.
var frequencies = map[rrule.Frequency]bool{rrule.DAILY: true, rrule.WEEKLY: true, rrule.MONTHLY: true, rrule.YEARLY: true}

// spans returns when the rule holds within [from, to), cut to it.
func (r *Recurrence) spans(from, to time.Time, zone *time.Location) []civil.Span {
	var spans []civil.Span
	// Wall clocks differ from UTC by less than a day.
	for _, wall := range r.rule.Between(from.Add(-r.Duration-2*day).UTC(), to.Add(2*day).UTC(), true) {
		start := civil.At(civil.DateOf(wall), civil.Clock(60*wall.Hour()+wall.Minute()), zone)
		span := civil.Span{From: civil.Later(start, from), To: civil.Earlier(start.Add(r.Duration), to)}
		if span.From.Before(span.To) {
			spans = append(spans, span)
		}
	}
	return spans
}

// recurrence reads a rule.
func (b *builder) recurrence(s *maintenanceSection) (*Recurrence, *time.Location) {
	zone := time.UTC
	if s.Timezone != nil && s.Timezone.Location != nil {
		zone = s.Timezone.Location
	}
	for _, key := range []string{"weekly", "to"} {
		if s.At.field(key) != nil {
			b.fault(s.At, key, "rrule is given too; keep one of the two")
		}
	}
	if s.At.field("from") == nil {
		b.fault(s.At, "from", "is missing; rrule needs its first time, such as 2026-10-13T22:00:00Z")
	}
	if s.At.field("duration") == nil {
		b.fault(s.At, "duration", "is missing; write how long each time of rrule lasts, such as 2h")
	}
	if s.From == nil || s.Duration == nil {
		return nil, zone
	}
	if *s.Duration <= 0 || *s.Duration > longestMaintenance {
		b.fault(s.At, "duration", "is %s; write more than 0s and at most 31d", formatDuration(*s.Duration))
	}
	first := time.Time(*s.From).In(zone)
	option, err := rrule.StrToROption(strings.TrimPrefix(s.RRule, "RRULE:"))
	if err != nil {
		b.fault(s.At, "rrule", "%s; write a rule of RFC 5545, such as FREQ=MONTHLY;BYDAY=2TU", err)
		return nil, zone
	}
	if !frequencies[option.Freq] {
		b.fault(s.At, "rrule", "recurs more often than daily; write FREQ=DAILY, WEEKLY, MONTHLY or YEARLY, with BYHOUR for several times a day")
		return nil, zone
	}
	option.Dtstart = time.Date(first.Year(), first.Month(), first.Day(), first.Hour(), first.Minute(), 0, 0, time.UTC)
	if option.Until.IsZero() || option.Until.After(lastRecurrence) {
		option.Until = lastRecurrence
	}
	rule, err := rrule.NewRRule(*option)
	if err != nil {
		b.fault(s.At, "rrule", "%s; write a rule of RFC 5545, such as FREQ=MONTHLY;BYDAY=2TU", err)
		return nil, zone
	}
	if rule.After(option.Dtstart, true).IsZero() {
		b.fault(s.At, "rrule", "never happens at or after from, which is %s; write a rule that does", first.Format(time.RFC3339))
	}
	return &Recurrence{Text: s.RRule, First: first, Duration: *s.Duration, rule: rule}, zone
}
