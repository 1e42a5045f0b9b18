package notifier

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The channels that a step can name.
const (
	Slack = "slack"
	SMS   = "sms"
	Voice = "voice"
	Email = "email"
)

// Reports reports whether the channel's vendor says if a message reached its
// person. Such channels are tried one after the other, each only when the one
// before did not deliver; the others are used at once and hold up nobody.
func Reports(channel string) bool { return channel == SMS || channel == Voice }

// Address returns where the channel finds the person: a phone number, a Slack
// member's id, an e-mail address. Empty: it cannot.
func Address(p Person, channel string) string {
	switch channel {
	case Slack:
		return p.Slack
	case SMS, Voice:
		return p.Phone
	case Email:
		return p.Email
	}
	return ""
}

// Roster knows the people and who is on call.
type Roster interface {
	// Person returns the person of that name, and false when there is none.
	Person(name string) (Person, bool)
	// OnCall returns the name of who is on call in the rotation at t, and false
	// when nobody is or there is no such rotation.
	OnCall(rotation string, t time.Time) (person string, ok bool)
}

// Paged is somebody who was told, and by which channel. Person is empty for
// the Slack channel.
type Paged struct {
	Person  string
	Channel string
}

// Fired is what a step comes to.
type Fired struct {
	Notices []Notice // to be queued; see For
	Told    []Paged  // by each notice's first channel
	// Step and Round are the next to fire, and NextAt is when. When Last is
	// set there is none, and NextAt is zero.
	Step, Round int
	NextAt      time.Time
	Last        bool
	Text        string // one sentence for the incident's log
}

// For returns the notices as those of an incident: with its number and their
// nonces.
func (f Fired) For(incident int64) []Notice { return ofIncident(f.Notices, incident) }

func ofIncident(notices []Notice, incident int64) []Notice {
	notices = slices.Clone(notices)
	for i := range notices {
		notices[i].Incident = incident
		notices[i].Nonce = NonceOf(notices[i])
	}
	return notices
}

// Fire goes to a step of a policy in a round, both from 0, and returns whom it
// tells at now. A step that finds nobody goes to the policy's fallback; without
// one it is passed over at once for the next step of the round. The Slack
// channel gets one notice, which calls everybody in the step by name; each
// person gets one by the first phone channel that has their number, with the
// others to follow, and one by e-mail.
//
// A round that has found nobody to its end does not start the next at once,
// since nothing can have changed: that waits as its last step says.
func Fire(p *Policy, roster Roster, step, round int, now time.Time) Fired {
	step = max(step, 0)
	if p != nil && step >= len(p.Steps) && round < p.Repeat {
		step, round = 0, round+1 // the policy has become shorter
	}
	if p == nil || step >= len(p.Steps) {
		return Fired{Step: step, Round: round, Last: true, Text: "the policy has no further step: nobody was told"}
	}
	f := firing{policy: p, roster: roster, round: round, now: now}
	var text []string
	for ; step < len(p.Steps); step++ {
		told, sentence := f.step(step)
		text = append(text, sentence)
		if told {
			break
		}
	}
	f.slackNotice()
	step = min(step, len(p.Steps)-1)
	fired := Fired{Notices: f.notices, Told: f.told, Step: step + 1, Round: round, Text: strings.Join(text, "; ")}
	if fired.Step == len(p.Steps) {
		fired.Step, fired.Round = 0, round+1
	}
	if fired.Last = fired.Round > p.Repeat; !fired.Last {
		fired.NextAt = now.Add(p.Steps[step].Wait)
	}
	return fired
}

// firing collects what the steps that are gone through at once come to.
type firing struct {
	policy *Policy
	roster Roster
	round  int
	now    time.Time

	notices []Notice
	told    []Paged
	slack   *Notice // nil: no step named the Slack channel so far
}

// chosen is a person whom a step tells, and why.
type chosen struct {
	Person
	why string
}

// step tells the people of a step. It reports whether it told anybody, and
// what it did in words.
func (f *firing) step(n int) (told bool, sentence string) {
	step := &f.policy.Steps[n]
	people, notes := f.people(step.Notify)
	if !f.reachable(people, step.By) && f.policy.Fallback != "" {
		found, missing := f.people([]string{f.policy.Fallback})
		for i := range found {
			found[i].why = "fallback (" + found[i].why + ")"
		}
		people, notes = append(people, found...), append(notes, missing...)
		people = unique(people)
	}
	told = f.reachable(people, step.By)
	who, more := f.tell(n, people)
	notes = append(notes, more...)
	name := fmt.Sprintf("step %d", n+1)
	if f.round > 0 {
		name += fmt.Sprintf(", round %d", f.round+1)
	}
	sentence = name + " told nobody"
	if len(who) > 0 {
		sentence = name + " told " + list(who)
	}
	if len(notes) > 0 {
		sentence += " (" + strings.Join(notes, ", ") + ")"
	}
	return told, sentence
}

// people resolves rotation:NAME and person:NAME, each person once, and says
// what it did not find.
func (f *firing) people(refs []string) (found []chosen, notes []string) {
	for _, ref := range refs {
		kind, name, _ := strings.Cut(ref, ":")
		if kind == "rotation" {
			onCall, ok := f.roster.OnCall(name, f.now)
			if !ok {
				notes = append(notes, "nobody is on call in "+ref)
				continue
			}
			name = onCall
		}
		person, ok := f.roster.Person(name)
		if !ok {
			notes = append(notes, fmt.Sprintf("%s is not among the people", name))
			continue
		}
		found = append(found, chosen{person, ref})
	}
	return unique(found), notes
}

// unique merges the entries of one person.
func unique(people []chosen) []chosen {
	var each []chosen
	for _, p := range people {
		i := slices.IndexFunc(each, func(q chosen) bool { return q.Name == p.Name })
		if i < 0 {
			each = append(each, p)
		} else {
			each[i].why += " and " + p.why
		}
	}
	return each
}

// reachable reports whether any of the people can be told by any of the
// channels. Slack's channel is there for everybody.
func (f *firing) reachable(people []chosen, by []string) bool {
	return slices.ContainsFunc(people, func(p chosen) bool {
		return slices.Contains(by, Slack) || len(chain(p.Person, by)) > 0 || mails(p.Person, by)
	})
}

// chain returns the channels, in order, that report whether they reached a
// person and that have an address for this one.
func chain(p Person, by []string) []string {
	var channels []string
	for _, channel := range by {
		if Reports(channel) && Address(p, channel) != "" && !slices.Contains(channels, channel) {
			channels = append(channels, channel)
		}
	}
	return channels
}

func mails(p Person, by []string) bool { return slices.Contains(by, Email) && p.Email != "" }

// tell makes the notices of one step. It returns whom they tell, in words, and
// which channels could tell nobody.
func (f *firing) tell(n int, people []chosen) (who, notes []string) {
	by := f.policy.Steps[n].By
	direct := without(by, Slack)
	for _, p := range people {
		why := fmt.Sprintf("%s, step %d", p.why, n+1)
		if f.round > 0 {
			why += fmt.Sprintf(", round %d", f.round+1)
		}
		notices := personal(p.Person, by, Notice{Kind: PageNotice, Step: n, Round: f.round, Why: why}, f.now)
		var channels []string
		for _, notice := range notices {
			channels = append(channels, strings.Join(append([]string{notice.Channel}, notice.Then...), " then "))
			f.told = append(f.told, Paged{p.Name, notice.Channel})
		}
		f.notices = append(f.notices, notices...)
		if len(channels) > 0 {
			who = append(who, fmt.Sprintf("%s by %s for %s", p.Name, list(channels), p.why))
		} else if len(direct) > 0 {
			notes = append(notes, fmt.Sprintf("%s of %s has no address for %s", p.Name, p.why, list(direct)))
		}
	}
	for _, channel := range direct {
		if len(people) > 0 && !slices.ContainsFunc(people, func(p chosen) bool { return Address(p.Person, channel) != "" }) {
			notes = append(notes, channel+" is skipped: nobody in the step has an address for it")
		}
	}
	if slices.Contains(by, Slack) {
		if said := f.mention(n, people); said != "" {
			who = append(who, said)
		}
	}
	return who, notes
}

// mention has the step's people called by name in the Slack channel.
func (f *firing) mention(n int, people []chosen) (said string) {
	if f.slack == nil {
		f.slack = &Notice{}
		said = "the Slack channel"
	}
	f.slack.Step = n
	for _, p := range people {
		f.slack.Mention = append(f.slack.Mention, p.Name)
	}
	return said
}

// slackNotice adds the one notice to the Slack channel, which comes first
// because it costs nobody's sleep.
func (f *firing) slackNotice() {
	if f.slack == nil {
		return
	}
	n := *f.slack
	n.Kind, n.Channel, n.Round = PageNotice, Slack, f.round
	n.State, n.NotBefore, n.Created = Queued, f.now, f.now
	n.Why = fmt.Sprintf("policy %s, step %d", f.policy.Name, n.Step+1)
	if f.round > 0 {
		n.Why += fmt.Sprintf(", round %d", f.round+1)
	}
	f.notices = slices.Insert(f.notices, 0, n)
	f.told = slices.Insert(f.told, 0, Paged{"", Slack})
}

// personal returns the notices that tell one person by the channels given,
// made after a template.
func personal(p Person, by []string, template Notice, now time.Time) []Notice {
	template.Person = p.Name
	template.State, template.NotBefore, template.Created = Queued, now, now
	var notices []Notice
	if channels := chain(p, by); len(channels) > 0 {
		n := template
		n.Channel, n.Then = channels[0], channels[1:]
		notices = append(notices, n)
	}
	if mails(p, by) {
		n := template
		n.Channel = Email
		notices = append(notices, n)
	}
	return notices
}

func without(items []string, item string) []string {
	return slices.DeleteFunc(slices.Clone(items), func(s string) bool { return s == item })
}

// list joins items as a sentence does: "a, b and c".
func list(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}
