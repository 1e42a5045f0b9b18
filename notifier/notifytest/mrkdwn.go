package notifytest

import (
	"html"
	"html/template"
	"net/url"
	"regexp"
	"strings"
)

// dots are the emoji that nines' messages use, for machines without their font.
var dots = strings.NewReplacer(
	":red_circle:", `<span class="dot red"></span>`, ":large_orange_circle:", `<span class="dot orange"></span>`,
	":large_green_circle:", `<span class="dot green"></span>`, ":white_circle:", `<span class="dot"></span>`)

var (
	angle = regexp.MustCompile(`<([^<>]*)>`)
	bold  = regexp.MustCompile(`\*([^*\n]+)\*`)
	web   = regexp.MustCompile(`https?://[^\s<>"]+`)
)

// mrkdwn shows Slack's markup: https://docs.slack.dev/messaging/formatting-message-text.
// Whatever is not one of its links, mentions and dates is text.
func (s *Sandbox) mrkdwn(text string) template.HTML {
	var b strings.Builder
	rest := text
	for {
		at := angle.FindStringIndex(rest)
		if at == nil {
			break
		}
		b.WriteString(plain(rest[:at[0]]))
		b.WriteString(s.special(rest[at[0]+1 : at[1]-1]))
		rest = rest[at[1]:]
	}
	b.WriteString(plain(rest))
	return template.HTML(b.String())
}

// plain shows text that Slack's three escapes are taken from.
func plain(text string) string {
	text = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
	shown := bold.ReplaceAllString(html.EscapeString(text), "<strong>$1</strong>")
	return dots.Replace(strings.ReplaceAll(shown, "\n", "<br>"))
}

// special shows what stands between angle brackets.
func (s *Sandbox) special(inner string) string {
	target, label, labelled := strings.Cut(inner, "|")
	switch {
	case strings.HasPrefix(target, "@"):
		return `<span class="mention">@` + html.EscapeString(s.member(target[1:])) + `</span>`
	case strings.HasPrefix(target, "!date^"):
		return `<time>` + html.EscapeString(label) + `</time>`
	case strings.HasPrefix(target, "!"):
		return `<span class="mention">` + html.EscapeString("@"+target[1:]) + `</span>`
	}
	if !labelled {
		label = target
	}
	return anchor(strings.ReplaceAll(target, "&amp;", "&"), strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(label))
}

// anchor links to web addresses alone.
func anchor(target, label string) string {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return html.EscapeString(label)
	}
	return `<a href="` + html.EscapeString(u.String()) + `" rel="noreferrer noopener" target="_blank">` + html.EscapeString(label) + `</a>`
}

// linked shows an SMS as phones do, with its addresses to tap on.
func linked(text string) template.HTML {
	var b strings.Builder
	rest := text
	for {
		at := web.FindStringIndex(rest)
		if at == nil {
			break
		}
		b.WriteString(html.EscapeString(rest[:at[0]]))
		b.WriteString(anchor(rest[at[0]:at[1]], rest[at[0]:at[1]]))
		rest = rest[at[1]:]
	}
	b.WriteString(html.EscapeString(rest))
	return template.HTML(strings.ReplaceAll(b.String(), "\n", "<br>"))
}
