package statuspage

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// badge is a label and what is said of it, on a colour.
type badge struct {
	Label, Message string
	Color          string // six hexadecimal digits
}

// Colours of badges: white text is legible on each (WCAG AA).
var badgeColors = map[State]string{
	Up: "1a7f4e", Degraded: "a85f00", Down: "c62a22", Unknown: "616874", Maintenance: "2860c5",
}

// stateBadge says how a check is.
func (c catalogue) stateBadge(check *Check) badge {
	state := check.State.known()
	return badge{check.Title, c.say("state." + string(state)), badgeColors[state]}
}

// uptimeBadge says how available a check was over the days of its bars.
func (c catalogue) uptimeBadge(check *Check) badge {
	b := badge{Label: check.Title, Message: c.say("badge.none"), Color: badgeColors[Unknown]}
	p := sum(check.Days).Availability()
	if p == nil {
		return b
	}
	b.Message = c.say("badge.uptime", c.percent(p))
	switch {
	case *p >= 99_900:
		b.Color = badgeColors[Up]
	case *p >= 99_000:
		b.Color = badgeColors[Degraded]
	default:
		b.Color = badgeColors[Down]
	}
	return b
}

// badge serves a check's badge as SVG, or as shields.io's endpoint JSON. That
// of a check that is not public is that of none.
func (h *Handler) badge(w http.ResponseWriter, r *http.Request, what, name string, asJSON bool, make func(*Check) badge) {
	absent := h.absentBadge
	if asJSON {
		absent, what = h.absentShield, what+" json"
	}
	h.ofCheck(w, r, what, name, absent, func(_ context.Context, _ *Page, _ int, c *Check) (*document, error) {
		return make(c).document(http.StatusOK, asJSON)
	})
}

func (b badge) document(status int, asJSON bool) (*document, error) {
	b.Label = clip(b.Label, 40)
	if !asJSON {
		return newDocument(badgeKind, status, []byte(b.svg())), nil
	}
	// https://shields.io/badges/endpoint-badge
	content, err := json.Marshal(map[string]any{
		"schemaVersion": 1, "label": b.Label, "message": b.Message, "color": b.Color,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a badge: %w", err)
	}
	k := badgeKind
	k.contentType, k.policy = typeJSON, policyData
	return newDocument(k, status, content), nil
}

// svg draws the badge. Widths are those of Verdana at 11 pixels, and textLength
// makes other fonts fit.
func (b badge) svg() string {
	const pad = 6
	left, right := textWidth(b.Label), textWidth(b.Message)
	l, r := left+2*pad, right+2*pad
	text := func(x, width int, s string) string {
		return fmt.Sprintf(`<text x="%d" y="14" textLength="%d">%s</text>`, x, width, xmlText(s))
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="20" role="img" aria-label="%s: %s">`+
		`<title>%[2]s: %[3]s</title><clipPath id="r"><rect width="%[1]d" height="20" rx="4"/></clipPath>`+
		`<g clip-path="url(#r)"><rect width="%[4]d" height="20" fill="#3b424d"/><rect x="%[4]d" width="%[5]d" height="20" fill="#%[6]s"/></g>`+
		`<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">%[7]s%[8]s</g></svg>`,
		l+r, xmlText(b.Label), xmlText(b.Message), l, r, b.Color,
		text(pad, left, b.Label), text(l+pad, right, b.Message))
}

// xmlText escapes s; what XML cannot hold becomes U+FFFD.
func xmlText(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}

// verdana is the advance of ASCII's letters from space to tilde, in tenths of a
// pixel at 11 pixels.
const verdana = "\x27\x2b\x32\x5a\x46\x76\x50\x1e\x32\x32\x46\x5a\x28\x32\x28\x32" +
	"\x46\x46\x46\x46\x46\x46\x46\x46\x46\x46\x32\x32\x5a\x5a\x5a\x3c" +
	"\x6e\x4b\x4b\x4d\x55\x46\x3f\x55\x53\x2e\x32\x4c\x3d\x5d\x52\x57" +
	"\x42\x57\x4c\x4b\x44\x51\x4b\x6d\x4b\x44\x4b\x32\x32\x32\x5a\x46" +
	"\x46\x42\x45\x39\x45\x42\x27\x45\x46\x1e\x26\x41\x1e\x6b\x46\x43" +
	"\x45\x45\x2f\x39\x2b\x46\x41\x5a\x41\x41\x3a\x46\x32\x46\x5a"

// textWidth estimates how wide s is, in pixels.
func textWidth(s string) int {
	tenths := 0
	for _, r := range s {
		switch i := int(r) - ' '; {
		case i >= 0 && i < len(verdana):
			tenths += int(verdana[i])
		case r < 0x2e80:
			tenths += 70
		default:
			tenths += 110 // CJK, emoji
		}
	}
	return max(1, (tenths+5)/10)
}

// clip cuts s to n runes, marking the cut.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
