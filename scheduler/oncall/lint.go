// Package oncall finds what is wrong with who is told, before an outage does:
// times at which nobody would be, people whom a step cannot reach, steps and
// rotations that are never used, handoffs that can be read in two ways, and
// messages that do not fit.
//
// It asks the same functions as paging does, and imports config, notifier and
// rotation.
package oncall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"nines/notifier"
	"nines/notifier/rotation"
	"nines/scheduler/config"
)

// Kind is what a finding is about.
type Kind string

const (
	Gap         Kind = "gap"         // nobody would be told
	Unreachable Kind = "unreachable" // a step cannot reach a person
	Unused      Kind = "unused"      // a step, policy or rotation never comes to anything
	Doubt       Kind = "doubt"       // a handoff's time is skipped, or comes twice
	Message     Kind = "message"     // an SMS would have to be cut
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind  Kind      `json:"kind"`
	Where string    `json:"where"` // such as "policy web, step 2"
	What  string    `json:"what"`
	From  time.Time `json:"from,omitzero"` // of a gap or a handoff
	To    time.Time `json:"to,omitzero"`   // of a gap
}

// Lint looks at a configuration and at who is on call in [from, to).
func Lint(cfg *config.Config, from, to time.Time) []Finding {
	l := &linter{cfg: cfg, roster: config.Roster{Config: cfg}, from: from, to: to}
	for i := range cfg.Policies {
		l.policy(&cfg.Policies[i])
	}
	for _, r := range cfg.Rotations {
		l.rotation(r)
	}
	for i := range cfg.Checks {
		l.messages(&cfg.Checks[i])
	}
	return l.findings
}

type linter struct {
	cfg      *config.Config
	roster   config.Roster
	from, to time.Time
	findings []Finding
}

func (l *linter) add(kind Kind, where, format string, args ...any) *Finding {
	l.findings = append(l.findings, Finding{Kind: kind, Where: where, What: fmt.Sprintf(format, args...)})
	return &l.findings[len(l.findings)-1]
}

// pages reports whether an outage of a check goes by the policy.
func (l *linter) pages(policy string) bool {
	return slices.ContainsFunc(l.cfg.Checks, func(c config.Check) bool { return c.Severity == "page" && c.Policy == policy })
}

func (l *linter) policy(p *notifier.Policy) {
	where := "policy " + p.Name
	if !l.pages(p.Name) {
		l.add(Unused, where, "is the policy of no check that pages")
		return
	}
	l.gaps(p, where)
	for i := range p.Steps {
		l.step(&p.Steps[i], fmt.Sprintf("%s, step %d", where, i+1))
	}
}

// gaps finds when an outage would tell no person at once. Who is on call only
// changes where a shift begins or ends.
func (l *linter) gaps(p *notifier.Policy, where string) {
	var open *Finding
	edges := l.edges(p)
	for i, at := range edges[:len(edges)-1] {
		fired := notifier.Fire(p, l.roster, 0, 0, at)
		somebody := slices.ContainsFunc(fired.Told, func(told notifier.Paged) bool { return told.Person != "" })
		switch {
		case somebody:
			open = nil
		case open == nil:
			open = l.add(Gap, where, "nobody would be told: %s", fired.Text)
			open.From, open.To = at, edges[i+1]
		default:
			open.To = edges[i+1]
		}
	}
}

// edges returns the instants in [from, to] at which somebody's shift begins or
// ends in a rotation that the policy names.
func (l *linter) edges(p *notifier.Policy) []time.Time {
	edges := []time.Time{l.from, l.to}
	targets := []string{p.Fallback}
	for _, s := range p.Steps {
		targets = append(targets, s.Notify...)
	}
	for _, target := range targets {
		name, isRotation := strings.CutPrefix(target, "rotation:")
		r := l.cfg.Rotation(name)
		if !isRotation || r == nil {
			continue
		}
		for _, s := range r.Shifts(l.from, l.to) {
			edges = append(edges, s.From.UTC(), s.To.UTC())
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	return slices.CompactFunc(edges, time.Time.Equal)
}

// step finds people whom a step may choose and cannot reach, and whether it
// may choose anybody.
func (l *linter) step(s *notifier.Step, where string) {
	var people []string
	for _, target := range s.Notify {
		kind, name, _ := strings.Cut(target, ":")
		if kind == "person" {
			people = append(people, name)
			continue
		}
		if r := l.cfg.Rotation(name); r != nil {
			for _, shift := range r.Shifts(l.from, l.to) {
				people = append(people, shift.Person)
			}
		}
	}
	slices.Sort(people)
	people = slices.Compact(people)
	reached := 0
	for _, name := range people {
		person, ok := l.roster.Person(name)
		if !ok {
			continue
		}
		if slices.ContainsFunc(s.By, func(channel string) bool { return notifier.Address(person, channel) != "" }) {
			reached++
			continue
		}
		l.add(Unreachable, where, "%s has no address for %s", name, strings.Join(s.By, " or "))
	}
	if reached == 0 && len(s.Notify) > 0 {
		l.add(Unused, where, "reaches nobody of %s in this span, so that it is always passed over", strings.Join(s.Notify, ", "))
	}
}

func (l *linter) rotation(r *rotation.Rotation) {
	where := "rotation " + r.Name
	used := slices.ContainsFunc(l.cfg.Policies, func(p notifier.Policy) bool {
		return p.Fallback == "rotation:"+r.Name ||
			slices.ContainsFunc(p.Steps, func(s notifier.Step) bool { return slices.Contains(s.Notify, "rotation:"+r.Name) })
	})
	if !used {
		l.add(Unused, where, "is named by no policy")
	}
	for _, d := range r.Doubts(l.from, l.to) {
		how := "comes twice, and the first counts"
		if d.Skipped {
			how = "is skipped by the clocks, and the first instant after counts"
		}
		l.add(Doubt, where, "the handoff on %s at %s %s; another time is clearer", d.Day, d.Clock, how).From = d.At.UTC()
	}
}

const (
	// longestNumber is an incident's number that stands for all that will come.
	longestNumber = 99_999
	// linkKey is how many characters of a page's link keep it from being
	// guessed.
	linkKey = 16
)

func (l *linter) longestName() string {
	longest := ""
	for _, p := range l.cfg.People {
		if len(p.Name) > len(longest) {
			longest = p.Name
		}
	}
	return longest
}

// messages finds checks whose pages would not say everything in two segments.
func (l *linter) messages(c *config.Check) {
	policy := l.cfg.Policy(c.Policy)
	if c.Severity != "page" || policy == nil ||
		!slices.ContainsFunc(policy.Steps, func(s notifier.Step) bool { return slices.Contains(s.By, notifier.SMS) }) {
		return
	}
	const since = "since 23:59Z"
	at := time.Date(2026, 1, 1, 23, 59, 0, 0, time.UTC)
	base := cmp.Or(l.cfg.PublicURL, "http://"+l.cfg.Listen)
	text := notifier.SMSText(notifier.Message{
		Notice:  notifier.Notice{Kind: notifier.PageNotice, Incident: longestNumber, Created: at, Nonce: fmt.Sprintf("%d-1-wwww", longestNumber)},
		Subject: notifier.Subject{Incident: longestNumber, Check: c.Name, Reason: "connect.unreachable", Down: len(c.Regions), Regions: len(c.Regions), Since: at},
		Link:    fmt.Sprintf("%s/i/%d?k=%s.%s", base, longestNumber, l.longestName(), strings.Repeat("a", linkKey)),
	})
	if n, _ := notifier.Segments(text); n > 2 || !strings.Contains(text, since) {
		l.add(Message, "check "+c.Name, "an SMS has no room for all it should say, with public_url and the name as long as they are: %q", text)
	}
}
