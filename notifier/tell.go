package notifier

import (
	"slices"
	"time"
)

// Announce returns the notice that puts an incident into the Slack channel
// without paging anybody: what a ticket is.
func Announce(incident int64, why string, now time.Time) []Notice {
	return ofIncident([]Notice{{
		Kind: PageNotice, Channel: Slack, Why: why,
		State: Queued, NotBefore: now, Created: now,
	}}, incident)
}

// Test returns the notices of a page that only tries the person's channels.
// With several, each is a notice of its own, so that every one of them is
// tried; those without an address are left out.
func Test(p Person, by []string, now time.Time) []Notice {
	var notices []Notice
	for _, channel := range by {
		if Address(p, channel) == "" {
			continue
		}
		n := Notice{
			Kind: TestNotice, Person: p.Name, Channel: channel, Why: "a test",
			State: Queued, NotBefore: now, Created: now,
		}
		if channel == Slack {
			n.Mention = []string{p.Name}
		}
		notices = append(notices, n)
	}
	return ofIncident(notices, 0)
}

// Tell returns the notices that tell those who were paged of an incident what
// became of it: each person by the phone channel that was used for them last,
// or else by e-mail, and the Slack channel once. Except is left out: who did it
// knows it. No other channel follows: nobody need act.
func Tell(incident int64, kind NoticeKind, paged []Paged, why, except string, now time.Time) []Notice {
	var order []string
	last := map[string]string{}
	for _, p := range paged {
		if p.Person == except && except != "" {
			continue
		}
		channel, seen := last[p.Person]
		if !seen {
			order = append(order, p.Person)
		}
		if !seen || Reports(p.Channel) || !Reports(channel) {
			last[p.Person] = p.Channel
		}
	}
	var notices []Notice
	for _, person := range order {
		notices = append(notices, Notice{
			Kind: kind, Person: person, Channel: last[person], Why: why,
			State: Queued, NotBefore: now, Created: now,
		})
	}
	return ofIncident(notices, incident)
}

// Follow returns the notice that replaces one which will not arrive: the same
// by the next channel. It is empty, and exhausted true, when that was the last
// way to reach the person in this step.
func Follow(n Notice, now time.Time) (next []Notice, exhausted bool) {
	if len(n.Then) == 0 {
		return nil, n.Kind == PageNotice
	}
	follow := Notice{
		Incident: n.Incident, Kind: n.Kind, Step: n.Step, Round: n.Round, Person: n.Person,
		Channel: n.Then[0], Then: slices.Clone(n.Then[1:]), Why: n.Why,
		State: Queued, NotBefore: now, Created: now,
	}
	follow.Nonce = NonceOf(follow)
	return []Notice{follow}, false
}

// Advances reports whether a notice may go from one state to the other: only
// ever forwards, so that a vendor's reports may come late, twice and in any
// order.
func Advances(from, to State) bool {
	rank := func(s State) int {
		switch s {
		case Queued:
			return 0
		case Leased:
			return 1
		case Accepted:
			return 2
		}
		return 3 // Delivered, Failed and Cancelled are ends
	}
	return rank(to) > rank(from)
}
