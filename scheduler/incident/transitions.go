package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nines/checks"
	"nines/notifier"
)

// Opening is what is known when an outage is first seen.
type Opening struct {
	Check      string
	OutageFrom time.Time
	Severity   string
	Policy     string
	Reason     checks.Reason
	Down       []string
	Regions    int
	Flaps      int
	Muted      string
	Within     int64
}

// Open returns a new incident whose first step is due at once, if anybody is
// to be told. Its ID is left for whoever stores it.
func Open(o Opening, at time.Time) (Incident, []Event) {
	i := Incident{
		Check: o.Check, OutageFrom: o.OutageFrom, Opened: at,
		Severity: o.Severity, Policy: o.Policy, Reason: o.Reason,
		Down: slices.Clone(o.Down), Regions: o.Regions, Flaps: o.Flaps,
		State: Triggered, Muted: o.Muted, Within: o.Within,
	}
	text := fmt.Sprintf("%s is down: %s from %d/%d regions (%s)", o.Check, o.Reason, len(o.Down), o.Regions, strings.Join(o.Down, ", "))
	events := []Event{{At: at, Kind: OpenedEvent, Text: text}}
	switch {
	case o.Muted != "":
		events = append(events, Event{At: at, Kind: MutedEvent, Text: "nobody is paged: " + o.Muted})
	case i.pages():
		i.NextAt = at
	}
	return i, events
}

// pages reports whether the incident follows a policy of its own.
func (i Incident) pages() bool {
	return i.Severity == Page && i.Policy != "" && i.Muted == "" && i.Within == 0
}

// Acknowledge puts the incident into somebody's hands and stops its
// escalation. A second time changes nothing: AckedBy says who was first.
func Acknowledge(i Incident, by By, at time.Time) (Incident, []Event, bool) {
	if i.State != Triggered {
		return i, nil, false
	}
	i = i.clone()
	i.State, i.Owner = Acknowledged, by.Who
	i.Snoozed, i.NextAt = time.Time{}, time.Time{}
	i.acked(by, at)
	return i, []Event{{At: at, Kind: AcknowledgedEvent, Who: by.Who, Via: by.Via, Text: "acknowledged by " + by.Who}}, true
}

// acked notes the first acknowledgement.
func (i *Incident) acked(by By, at time.Time) {
	if i.AckedAt.IsZero() {
		i.AckedAt, i.AckedBy, i.AckedVia = at, by.Who, by.Via
	}
}

// Snooze puts the incident into somebody's hands until the time given; if it
// is still open then, it wakes and escalates from the first step again.
func Snooze(i Incident, by By, until, at time.Time) (Incident, []Event, bool) {
	if i.State == Resolved || !until.After(at) || i.Snoozed.Equal(until) && i.Owner == by.Who {
		return i, nil, false
	}
	i = i.clone()
	i.State, i.Owner = Acknowledged, by.Who
	i.Snoozed, i.NextAt = until, time.Time{}
	i.acked(by, at)
	text := fmt.Sprintf("snoozed by %s until %s", by.Who, until.UTC().Format("2006-01-02 15:04Z"))
	return i, []Event{{At: at, Kind: SnoozedEvent, Who: by.Who, Via: by.Via, Text: text}}, true
}

// Wake ends a snooze whose time has come.
func Wake(i Incident, at time.Time) (Incident, []Event, bool) {
	if i.State != Acknowledged || i.Snoozed.IsZero() || at.Before(i.Snoozed) {
		return i, nil, false
	}
	i = i.clone()
	i.State, i.Owner, i.Snoozed = Triggered, "", time.Time{}
	i.Step, i.Round = 0, 0
	if i.pages() {
		i.NextAt = at
	}
	return i, []Event{{At: at, Kind: WokeEvent, Text: "the snooze is over and the check is still down"}}, true
}

// Resolve ends the incident by hand. Its check may still be down; no other
// incident opens before it has been up.
func Resolve(i Incident, by By, at time.Time) (Incident, []Event, bool) {
	if i.State == Resolved {
		return i, nil, false
	}
	i = i.clone()
	i.end(at)
	i.ResolvedBy, i.ResolvedVia = by.Who, by.Via
	return i, []Event{{At: at, Kind: ResolvedEvent, Who: by.Who, Via: by.Via, Text: "resolved by " + by.Who}}, true
}

// Recover notes that the check is up again, which ends an incident that nobody
// has ended before.
func Recover(i Incident, at time.Time) (Incident, []Event, bool) {
	if !i.Recovered.IsZero() {
		return i, nil, false
	}
	i = i.clone()
	i.Recovered = at
	text := i.Check + " is up again"
	if i.State != Resolved {
		i.end(at)
		text += " after " + at.Sub(i.OutageFrom).Round(time.Second).String()
	}
	return i, []Event{{At: at, Kind: RecoveredEvent, Text: text}}, true
}

// end makes i resolved.
func (i *Incident) end(at time.Time) {
	i.State, i.ResolvedAt = Resolved, at
	i.Snoozed, i.NextAt = time.Time{}, time.Time{}
}

// Observe notes which regions are down now. The reason stays that of the
// outage's start.
func Observe(i Incident, down []string, regions int, at time.Time) (Incident, []Event, bool) {
	if i.State == Resolved || slices.Equal(i.Down, down) && i.Regions == regions {
		return i, nil, false
	}
	i = i.clone()
	i.Down, i.Regions = slices.Clone(down), regions
	text := fmt.Sprintf("down from %d/%d regions", len(down), regions)
	if len(down) > 0 {
		text += " (" + strings.Join(down, ", ") + ")"
	}
	return i, []Event{{At: at, Kind: UpdatedEvent, Text: text}}, true
}

// Firing is a step that told people, and what comes after it.
type Firing struct {
	Told        []notifier.Paged
	Text        string    // for the log
	Step, Round int       // the next to fire
	NextAt      time.Time // when; zero: the policy is at its end
}

// StepFired notes whom the step that was due told, and when the next is due.
func StepFired(i Incident, f Firing, at time.Time) (Incident, []Event, bool) {
	if !i.Due(at) {
		return i, nil, false
	}
	i = i.clone()
	for _, told := range f.Told {
		if !slices.Contains(i.Told, told) {
			i.Told = append(i.Told, told)
		}
	}
	i.Step, i.Round, i.NextAt = f.Step, f.Round, f.NextAt
	return i, []Event{{At: at, Kind: FiredEvent, Text: f.Text}}, true
}

// Reached notes that the person was told by a further channel.
func Reached(i Incident, told notifier.Paged) (Incident, bool) {
	if slices.Contains(i.Told, told) {
		return i, false
	}
	i = i.clone()
	i.Told = append(i.Told, told)
	return i, true
}

// Hasten makes the next step due at once, because nobody in the step of that
// round could be told. A new round is not hastened: the same channels would
// only be tried again before anything can have changed.
func Hasten(i Incident, round int, at time.Time) (Incident, []Event, bool) {
	if i.State != Triggered || i.NextAt.IsZero() || !i.NextAt.After(at) || i.Round != round {
		return i, nil, false
	}
	i = i.clone()
	i.NextAt = at
	return i, []Event{{At: at, Kind: UpdatedEvent, Text: "nobody could be told; going on to the next step at once"}}, true
}

// Unmute starts the escalation of an incident whose silence or maintenance is
// over while its check is still down.
func Unmute(i Incident, at time.Time) (Incident, []Event, bool) {
	if i.State != Triggered || i.Muted == "" {
		return i, nil, false
	}
	i = i.clone()
	i.Muted = ""
	if i.pages() {
		i.NextAt = at
	}
	return i, []Event{{At: at, Kind: UpdatedEvent, Text: "no longer muted and the check is still down"}}, true
}

// Lead makes an incident that was within another's page the one that escalates
// for those left, from where the other had come.
func Lead(i, before Incident, at time.Time) (Incident, []Event, bool) {
	if i.State == Resolved || i.Within == 0 {
		return i, nil, false
	}
	i = i.clone()
	i.Within = 0
	for _, told := range before.Told {
		if !slices.Contains(i.Told, told) {
			i.Told = append(i.Told, told)
		}
	}
	if i.State == Triggered && i.pages() {
		i.Step, i.Round, i.NextAt = before.Step, before.Round, before.NextAt
		if i.NextAt.IsZero() {
			i.NextAt = at
		}
	}
	return i, []Event{{At: at, Kind: UpdatedEvent, Text: fmt.Sprintf("goes on as a page of its own, after incident %d", before.ID)}}, true
}

// Follow moves an incident into the page of another.
func Follow(i Incident, leader int64) (Incident, bool) {
	if i.State == Resolved || i.Within == leader || i.ID == leader {
		return i, false
	}
	i = i.clone()
	i.Within, i.NextAt = leader, time.Time{}
	return i, true
}
