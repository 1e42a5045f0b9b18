package slack

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"nines/notifier"
)

// The buttons' action ids.
const (
	ackAction     = "nines_ack"
	resolveAction = "nines_resolve"
	snoozeAction  = "nines_snooze"
)

// SnoozeFor is how long the Snooze button lets an incident sleep.
const SnoozeFor = time.Hour

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// text escapes what is not ours, so that it can neither mention anybody nor
// pass as a link, and cuts it to a length that no field refuses (2,000
// characters, of which an escaped one is up to five).
func text(s string) string {
	const longest = 350
	if runes := []rune(s); len(runes) > longest {
		s = string(runes[:longest]) + "…"
	}
	return escaper.Replace(s)
}

// link returns mrkdwn that shows the label and leads to the address.
func link(address, label string) string {
	return "<" + strings.NewReplacer("<", "%3C", ">", "%3E", "|", "%7C", " ", "%20").Replace(address) + "|" + text(label) + ">"
}

// date shows a time in the reader's own zone, and in UTC where that cannot be.
func date(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04:05Z"))
}

// mentions names people so that Slack tells those who are there.
func mentions(people []notifier.Person) string {
	var all []string
	for _, p := range people {
		if p.Slack != "" {
			all = append(all, "<@"+text(p.Slack)+">")
		} else {
			all = append(all, text(p.Name))
		}
	}
	return strings.Join(all, ", ")
}

// fallback is what a notification shows of a message.
func fallback(m notifier.Message) string { return text(notifier.Headline(m)) }

// reply is what a notice adds to the incident's thread.
func reply(m notifier.Message) string {
	if m.Notice.Kind == notifier.PageNotice && m.Subject.Resolved.IsZero() && len(m.Mention) > 0 {
		return fmt.Sprintf("Paging %s (%s): %s.", mentions(m.Mention), text(m.Notice.Why), fallback(m))
	}
	return fallback(m) + "."
}

// blocks is an incident's message as things are now. It has buttons only where
// pressing one will be believed.
func blocks(m notifier.Message, pressable bool) []slack.Block {
	if m.Notice.Kind == notifier.TestNotice {
		return []slack.Block{
			section(":white_circle: *Test page from nines* for " + mentions(m.Mention) + ". Nothing is down."),
			footer(m.Notice.Nonce),
		}
	}
	s := &m.Subject
	all := []slack.Block{section(title(s))}
	if f := fields(s); len(f) > 0 {
		all = append(all, slack.NewSectionBlock(nil, f, nil))
	}
	if len(s.Also) > 0 {
		all = append(all, section(fmt.Sprintf("*Also down (%d)*: %s", len(s.Also), text(strings.Join(s.Also, ", ")))))
	}
	if m.Notice.Kind == notifier.PageNotice && len(m.Mention) > 0 && s.Resolved.IsZero() {
		all = append(all, section("Paging "+mentions(m.Mention)))
	}
	if pressable && s.Resolved.IsZero() {
		all = append(all, buttons(s))
	}
	foot := []string{fmt.Sprintf("Incident %d", s.Incident)}
	if m.Link != "" {
		foot = append(foot, link(m.Link, "open"))
	}
	if s.Runbook != "" {
		foot = append(foot, link(s.Runbook, "runbook"))
	}
	return append(all, footer(strings.Join(append(foot, m.Notice.Nonce), " · ")))
}

func title(s *notifier.Subject) string {
	name := s.Title
	if name == "" {
		name = s.Check
	}
	switch {
	case !s.Resolved.IsZero() && s.ResolvedBy != "":
		return fmt.Sprintf(":large_green_circle: *RESOLVED* by %s · *%s*", text(s.ResolvedBy), text(name))
	case !s.Resolved.IsZero():
		return fmt.Sprintf(":large_green_circle: *UP* · *%s*", text(name))
	case s.AckedBy != "":
		return fmt.Sprintf(":large_orange_circle: *DOWN* · *%s* · %s has it", text(name), text(s.AckedBy))
	}
	return fmt.Sprintf(":red_circle: *DOWN* · *%s*", text(name))
}

// fields are what is known of the incident, at most ten (Slack's limit).
func fields(s *notifier.Subject) []*slack.TextBlockObject {
	var all []*slack.TextBlockObject
	add := func(label, value string) {
		if value != "" {
			all = append(all, slack.NewTextBlockObject(slack.MarkdownType, "*"+label+"*\n"+value, false, false))
		}
	}
	add("Check", text(s.Check))
	add("Reason", text(s.Reason))
	if s.Regions > 0 {
		add("Regions", text(strings.TrimSpace(fmt.Sprintf("%d/%d %s", s.Down, s.Regions, strings.Join(s.Where, ", ")))))
	}
	if !s.Since.IsZero() {
		add("Since", date(s.Since))
	}
	add("Paged", text(strings.Join(s.Paged, ", ")))
	if s.AckedBy != "" {
		add("Acknowledged", text(s.AckedBy)+", "+date(s.AckedAt))
	}
	if !s.Resolved.IsZero() {
		value := date(s.Resolved)
		if !s.Since.IsZero() {
			value += " after " + notifier.Span(s.Resolved.Sub(s.Since))
		}
		add("Over", value)
	}
	return all
}

func section(markdown string) *slack.SectionBlock {
	return slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, markdown, false, false), nil, nil)
}

func footer(markdown string) *slack.ContextBlock {
	return slack.NewContextBlock("", slack.NewTextBlockObject(slack.MarkdownType, markdown, false, false))
}

// buttons are what can be done with an open incident.
func buttons(s *notifier.Subject) *slack.ActionBlock {
	value := strconv.FormatInt(s.Incident, 10)
	button := func(action, label string) *slack.ButtonBlockElement {
		return slack.NewButtonBlockElement(action, value, slack.NewTextBlockObject(slack.PlainTextType, label, false, false))
	}
	var all []slack.BlockElement
	if s.AckedBy == "" {
		all = append(all, button(ackAction, "Acknowledge").WithStyle(slack.StylePrimary))
	}
	plain := func(s string) *slack.TextBlockObject {
		return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
	}
	resolve := button(resolveAction, "Resolve").WithConfirm(slack.NewConfirmationBlockObject(
		plain("Resolve this incident?"), plain("No other one opens for this check before it has been up again."),
		plain("Resolve"), plain("Cancel")))
	all = append(all, resolve, button(snoozeAction, "Snooze 1 h"))
	return slack.NewActionBlock("nines", all...)
}
