package statuspage

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"time"
)

// profileRow is how long one check of the same group takes over its network.
type profileRow struct {
	Title, Profile string
	This           bool // the check whose page it is
	N              int
	P50, P95       time.Duration
	Bar            template.HTML
}

// A row's drawing, in its own units; it is stretched to the width there is.
const profileWidth, profileHeight = 100, 10

// profileRows compares checks by what their networks make of them, the fastest
// first. Checks that are not on the page are left out, and so is a
// comparison of nothing.
func (c catalogue) profileRows(p *Page, check string, list []ProfileLatency) []profileRow {
	var rows []profileRow
	var top time.Duration
	for _, shown := range p.checks() {
		for _, l := range list {
			if l.Check == shown.Name && l.N > 0 {
				rows = append(rows, profileRow{Title: shown.Title, Profile: l.Profile, This: l.Check == check, N: l.N, P50: l.P50, P95: l.P95})
				top = max(top, l.P50, l.P95)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b profileRow) int { return int(a.P50/time.Microsecond) - int(b.P50/time.Microsecond) })
	top = niceTop(top)
	for i := range rows {
		rows[i].Bar = c.profileBar(rows[i], top)
	}
	return rows
}

// profileBar is as long as the median, and paler as far as the 95th percentile.
func (c catalogue) profileBar(r profileRow, top time.Duration) template.HTML {
	width := func(d time.Duration) float64 { return profileWidth * float64(d) / float64(top) }
	median, most := width(r.P50), width(max(r.P50, r.P95))
	return template.HTML(fmt.Sprintf(`<svg class="rank" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`+
		`<rect class="p95" width="%.1f" height="%[2]d"/><rect class="median" width="%.1[5]f" height="%[2]d"/></svg>`,
		profileWidth, profileHeight, html.EscapeString(c.say("profiles.label", c.ms(r.P50), c.ms(r.P95))), most, median))
}
