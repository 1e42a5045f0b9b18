package notifier

import (
	"fmt"
	"strings"
	"time"
)

// maxSegments is how many segments an SMS may take.
const maxSegments = 2

// Headline returns what a message is about in one line without a full stop,
// such as "DOWN shop: connect.timeout from 3/3 regions since 14:02Z". A page
// that is sent late says how things are now.
func Headline(m Message) string {
	start, rest := headline(m)
	return start + rest
}

// headline returns the headline in two parts. Only the second may be cut.
func headline(m Message) (start, rest string) {
	s := &m.Subject
	checks := names(s)
	over := !s.Resolved.IsZero()
	switch {
	case m.Notice.Kind == TestNotice:
		return "TEST page from nines", fmt.Sprintf(" for %s: nothing is down", m.Notice.Person)
	case over && s.ResolvedBy != "":
		return "RESOLVED ", fmt.Sprintf("%s: by %s at %s%s", checks, s.ResolvedBy, m.clock(s.Resolved), after(s))
	case over:
		return "UP ", fmt.Sprintf("%s: back since %s%s", checks, m.clock(s.Resolved), after(s))
	case m.Notice.Kind == RecoveryNotice:
		return "UP ", checks
	case m.Notice.Kind == UpdateNotice && s.AckedBy != "":
		return "ACKED ", fmt.Sprintf("%s: by %s at %s", checks, s.AckedBy, m.clock(s.AckedAt))
	case m.Notice.Kind == UpdateNotice:
		return "STILL DOWN ", checks + from(s) + m.since(s)
	case s.AckedBy != "":
		return "DOWN ", fmt.Sprintf("%s%s%s, %s has it", checks, from(s), m.since(s), s.AckedBy)
	}
	return "DOWN ", checks + from(s) + m.since(s)
}

// names returns the check, or how many checks there are and the first of them.
func names(s *Subject) string {
	if len(s.Also) == 0 {
		return s.Check
	}
	all := append([]string{s.Check}, s.Also...)
	shown := strings.Join(all, ", ")
	if len(all) > 4 {
		shown = fmt.Sprintf("%s and %d more", strings.Join(all[:3], ", "), len(all)-3)
	}
	return fmt.Sprintf("%d checks: %s", len(all), shown)
}

// from returns why and from where a check is down: of several, their names say
// enough.
func from(s *Subject) string {
	if len(s.Also) > 0 {
		return ""
	}
	switch {
	case s.Reason == "" && s.Regions == 0:
		return ""
	case s.Regions == 0:
		return ": " + s.Reason
	case s.Reason == "":
		return fmt.Sprintf(" from %d/%d regions", s.Down, s.Regions)
	}
	return fmt.Sprintf(": %s from %d/%d regions", s.Reason, s.Down, s.Regions)
}

func (m Message) since(s *Subject) string {
	if s.Since.IsZero() {
		return ""
	}
	return " since " + m.clock(s.Since)
}

func after(s *Subject) string {
	if s.Since.IsZero() || s.Resolved.Before(s.Since) {
		return ""
	}
	return " after " + Span(s.Resolved.Sub(s.Since))
}

// clock returns a time of day in UTC, with its date when that is not clear from
// when the notice was made.
func (m Message) clock(t time.Time) string {
	if made := m.Notice.Created; !made.IsZero() && made.Sub(t).Abs() > 12*time.Hour {
		return t.UTC().Format("2 Jan 15:04Z")
	}
	return t.UTC().Format("15:04Z")
}

// Span returns a duration for people: "45 s", "8 min", "3 h 12 min", "2 d 4 h".
func Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// asks reports whether somebody is still to acknowledge what the message is
// about.
func (m Message) asks() bool {
	return m.Subject.Resolved.IsZero() && m.Subject.AckedBy == "" &&
		(m.Notice.Kind == PageNotice || m.Notice.Kind == UpdateNotice)
}

// SMSText returns the message as an SMS: in GSM-7 where that can be, in at most
// two segments. Names are cut for that; never the reply that acknowledges, the
// link, or the nonce at the end.
func SMSText(m Message) string {
	start, rest := headline(m)
	tail := "."
	if m.asks() {
		tail += fmt.Sprintf(" Reply ACK %d.", m.Notice.Incident)
	}
	if m.Link != "" {
		tail += " " + m.Link
	}
	if m.Notice.Nonce != "" {
		tail += " #" + m.Notice.Nonce
	}
	return fit(toGSM7(start+rest), toGSM7(tail))
}

// fit returns head and tail together, with the end of head cut so that both
// fit into two segments.
func fit(head, tail string) string {
	if n, _ := Segments(head + tail); n <= maxSegments {
		return head + tail
	}
	const cut = "..."
	runes := []rune(head)
	for len(runes) > 0 {
		runes = runes[:len(runes)-1]
		if n, _ := Segments(string(runes) + cut + tail); n <= maxSegments {
			break
		}
	}
	// The tail starts with the full stop that ends a sentence.
	return strings.TrimRight(string(runes), " ,:") + cut + strings.TrimPrefix(tail, ".")
}

// VoiceText returns the message as a sentence to be read out.
func VoiceText(m Message) string {
	s := &m.Subject
	title := s.Title
	if title == "" {
		title = s.Check
	}
	if n := len(s.Also); n > 0 {
		title = fmt.Sprintf("%s, and %d more checks", title, n)
	}
	is := "is"
	if len(s.Also) > 0 {
		is = "are"
	}
	switch {
	case m.Notice.Kind == TestNotice:
		return fmt.Sprintf("This is a test page from nines for %s. Nothing is down.", m.Notice.Person)
	case !s.Resolved.IsZero() && s.ResolvedBy != "":
		return fmt.Sprintf("This is nines. The incident about %s was resolved by %s.", title, s.ResolvedBy)
	case !s.Resolved.IsZero() || m.Notice.Kind == RecoveryNotice:
		return fmt.Sprintf("This is nines. %s %s up again.", title, is)
	case s.AckedBy != "":
		return fmt.Sprintf("This is nines. %s %s down. %s has acknowledged it.", title, is, s.AckedBy)
	}
	text := fmt.Sprintf("This is nines. %s %s down", title, is)
	if len(s.Also) == 0 && s.Reason != "" {
		text += ": " + strings.NewReplacer(".", " ", "_", " ", "-", " ").Replace(s.Reason)
	}
	if len(s.Also) == 0 && s.Regions > 0 {
		text += fmt.Sprintf(", from %d of %d regions", s.Down, s.Regions)
	}
	if !s.Since.IsZero() {
		text += s.Since.UTC().Format(", since 15:04") + " U T C"
	}
	return text + "."
}

// EmailText returns the message as an e-mail in plain text.
func EmailText(m Message) (subject, body string) {
	s := &m.Subject
	subject = strings.Join(strings.Fields(Headline(m)), " ")
	if m.Notice.Incident != 0 {
		subject += fmt.Sprintf(" (incident %d)", m.Notice.Incident)
	}
	var b strings.Builder
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-13s %s\n", label+":", strings.Join(strings.Fields(value), " "))
		}
	}
	b.WriteString(Headline(m) + ".\n\n")
	line("Check", s.Check)
	if s.Title != s.Check {
		line("Title", s.Title)
	}
	line("Reason", s.Reason)
	line("Regions", strings.Join(s.Where, ", "))
	line("Also", strings.Join(s.Also, ", "))
	if !s.Since.IsZero() {
		line("Since", s.Since.UTC().Format(time.RFC3339))
	}
	if s.AckedBy != "" {
		line("Acknowledged", fmt.Sprintf("%s, %s", s.AckedBy, s.AckedAt.UTC().Format(time.RFC3339)))
	}
	line("Runbook", s.Runbook)
	if m.Link != "" {
		action := "See it"
		if m.asks() {
			action = "See it and acknowledge"
		}
		fmt.Fprintf(&b, "\n%s: %s\n", action, m.Link)
	}
	if len(s.Log) > 0 {
		b.WriteString("\nSo far:\n")
		for _, entry := range s.Log {
			fmt.Fprintf(&b, "  %s  %s\n", entry.At.UTC().Format("2006-01-02 15:04:05Z"), entry.Text)
		}
	}
	if m.Notice.Why != "" {
		fmt.Fprintf(&b, "\nYou get this because of %s.\n", m.Notice.Why)
	}
	return subject, b.String()
}
