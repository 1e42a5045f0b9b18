package statuspage

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"nines/internal/civil"
)

// Drawings are SVG within the page. The Content-Security-Policy allows no style
// of their own, so they are made of attributes, and of classes that the
// stylesheet knows. Every text in them is escaped here.

// symbols draws each state once, so that a page with a thousand of them only
// refers to it. Shapes differ, so that nobody has to tell colours apart.
const symbols template.HTML = `<svg class="symbols" width="0" height="0" aria-hidden="true" focusable="false"><defs>` +
	`<symbol id="s-up" viewBox="0 0 16 16"><circle class="shape" cx="8" cy="8" r="8"/><path d="M4.6 8.3l2.3 2.3 4.5-4.9"/></symbol>` +
	`<symbol id="s-degraded" viewBox="0 0 16 16"><path class="shape" d="M6.7 1.3a1.5 1.5 0 0 1 2.6 0l6.4 11.3a1.5 1.5 0 0 1-1.3 2.3H1.6a1.5 1.5 0 0 1-1.3-2.3z"/><path d="M8 5.6v4M8 12.2v.01"/></symbol>` +
	`<symbol id="s-down" viewBox="0 0 16 16"><path class="shape" d="M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7z"/><path d="M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"/></symbol>` +
	`<symbol id="s-unknown" viewBox="0 0 16 16"><circle class="ring" cx="8" cy="8" r="7"/><path class="dash" d="M5 8h6"/></symbol>` +
	`<symbol id="s-maintenance" viewBox="0 0 16 16"><rect class="shape" width="16" height="16" rx="4"/><path d="M5 4.6v6.8M8 4.6v6.8M11 4.6v6.8"/></symbol>` +
	`</defs></svg>`

// favicons are the same shapes on their own, in colours that stand out from
// light and dark tabs alike.
var favicons = map[State]string{
	Up:          `<circle cx="8" cy="8" r="8" fill="#1f9d61"/><path d="M4.6 8.3l2.3 2.3 4.5-4.9"/>`,
	Degraded:    `<path d="M6.7 1.3a1.5 1.5 0 0 1 2.6 0l6.4 11.3a1.5 1.5 0 0 1-1.3 2.3H1.6a1.5 1.5 0 0 1-1.3-2.3z" fill="#d07a00" stroke="none"/><path d="M8 5.6v4M8 12.2v.01"/>`,
	Down:        `<path d="M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7z" fill="#d8342b" stroke="none"/><path d="M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"/>`,
	Unknown:     `<circle cx="8" cy="8" r="8" fill="#737b87"/><path d="M5 8h6"/>`,
	Maintenance: `<rect width="16" height="16" rx="4" fill="#2f6fdb" stroke="none"/><path d="M5 4.6v6.8M8 4.6v6.8M11 4.6v6.8"/>`,
}

func favicon(s State) string {
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><g fill="none" stroke-linecap="round" stroke-linejoin="round" stroke-width="1.8">` +
		strings.Replace(favicons[s], `<path d="M`, `<path stroke="#fff" d="M`, -1) + `</g></svg>`
}

// icon refers to a state's symbol; it says nothing to screen readers, which are
// told in words beside it.
func icon(s State) template.HTML {
	return template.HTML(`<svg class="icon ` + string(s.known()) + `" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><use href="#s-` + string(s.known()) + `"/></svg>`)
}

func swatch(of string) template.HTML {
	return template.HTML(`<svg class="swatch" viewBox="0 0 12 12" aria-hidden="true" focusable="false"><rect class="` + html.EscapeString(of) + `" width="12" height="12" rx="3"/></svg>`)
}

// The bars' drawing, in its own units; it is stretched to the width there is.
const (
	barStep, barWidth = 4, 3
	barsHeight        = 36
	barsFoot          = 32 // where bars stand; below is room for marks
)

// bars draws one bar for each of the page's days, and says the same in words. A
// day on which something was down stands out by a mark below it, not by colour
// alone; one without data is low.
func (c catalogue) bars(days []Day, p *Page) template.HTML {
	n := max(p.Days, 1)
	first := civil.DateOf(p.Now.UTC()).AddDays(1 - n)
	days = p.last(days, n)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="bars" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`,
		n*barStep-(barStep-barWidth), barsHeight, html.EscapeString(c.barsLabel(days)))
	for i := range n {
		if len(days) == 0 || days[0].Date != first.AddDays(i) {
			c.bar(&b, i, looksNone, "")
			continue
		}
		c.bar(&b, i, days[0].looks(), c.barTitle(days[0]))
		days = days[1:]
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func (c catalogue) bar(b *strings.Builder, i int, l look, title string) {
	top := 0
	switch l {
	case looksNone:
		top = 24
	case looksUnknown:
		top = 12
	}
	b.WriteString(`<rect class="`)
	b.WriteString(string(l))
	b.WriteString(`" x="`)
	b.WriteString(strconv.Itoa(i * barStep))
	if top > 0 {
		b.WriteString(`" y="`)
		b.WriteString(strconv.Itoa(top))
	}
	b.WriteString(`" width="3" height="`)
	b.WriteString(strconv.Itoa(barsFoot - top))
	if title == "" {
		b.WriteString(`"/>`)
		return
	}
	b.WriteString(`"><title>`)
	b.WriteString(html.EscapeString(title))
	b.WriteString(`</title></rect>`)
	if l == looksPartial || l == looksDown {
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="34" width="3" height="2"/>`, l, i*barStep)
	}
}

// barTitle says one day in words, exactly.
func (c catalogue) barTitle(d Day) string {
	date := c.day(d.Date)
	if d.Known() == 0 {
		return c.say("bar.nothing", date)
	}
	var text string
	switch p := d.Availability(); {
	case p != nil:
		text = c.say("bar.available", c.percent(p))
	case d.Excused >= d.Unknown:
		text = c.say("bar.onlyexcused")
	default:
		text = c.say("bar.onlyunknown")
	}
	for _, part := range []struct {
		key  string
		long time.Duration
	}{{"bar.down", d.Down}, {"bar.unknown", d.Unknown}, {"bar.excused", d.Excused}} {
		if part.long > 0 {
			text += c.say(part.key, c.long(part.long))
		}
	}
	return c.say("bar.day", date, text)
}

// barsLabel says all the days in a sentence.
func (c catalogue) barsLabel(days []Day) string {
	var bad int
	var last Day
	for _, d := range days {
		if d.Down > 0 {
			bad++
			last = d
		}
	}
	text := c.uptime(days)
	if sum(days).Availability() == nil {
		return c.say("bars.label", text)
	}
	if bad == 0 {
		return c.say("bars.label", text+", "+c.say("bars.clean"))
	}
	text += ", " + c.count("bars.bad", bad)
	return c.say("bars.label", text+c.say("bars.latest", c.day(last.Date), c.percent(last.Availability())))
}

// uptime is the availability over all the days, in words.
func (c catalogue) uptime(days []Day) string {
	p := sum(days).Availability()
	if p == nil {
		return c.say("days.nothing")
	}
	return c.say("days.uptime", c.percent(p))
}

// chart is a drawing with what stands at its axes, which is text of the page so
// that it keeps its size however narrow the drawing becomes.
type chart struct {
	SVG template.HTML
	Ys  []string // from the top
	Xs  []string // from the left
}

const chartWidth, chartHeight = 960, 200

// span24 is how far back the chart reaches.
const span24 = 24 * time.Hour

// chart draws the median as a line and the 95th percentile as a band above it,
// over the 24 hours to now. A bucket without figures is a gap.
func (c catalogue) chart(l Latency, now time.Time) chart {
	from := now.Add(-span24)
	var points []Point
	for _, p := range l.Points {
		if p.N > 0 && p.At.Add(l.Bucket).After(from) && p.At.Before(now) {
			points = append(points, p)
		}
	}
	if len(points) == 0 {
		return chart{}
	}
	byP50 := func(a, b Point) int { return cmp.Compare(a.P50, b.P50) }
	low, high := slices.MinFunc(points, byP50).P50, slices.MaxFunc(points, byP50).P50
	worst := slices.MaxFunc(points, func(a, b Point) int { return cmp.Compare(a.P95, b.P95) }).P95
	top := niceTop(max(worst, high))

	x := func(p Point) float64 {
		mid := p.At.Add(l.Bucket / 2).Sub(from)
		return chartWidth * min(1, max(0, float64(mid)/float64(span24)))
	}
	y := func(d time.Duration) float64 { return chartHeight * (1 - float64(d)/float64(top)) }
	var band, line, dots strings.Builder
	for _, run := range unbroken(points, l.Bucket) {
		if len(run) == 1 {
			// Round ends make a dot of next to nothing.
			fmt.Fprintf(&dots, "M%.1f %.1fh.1M%.1f %.1fh.1", x(run[0]), y(run[0].P50), x(run[0]), y(run[0].P95))
			continue
		}
		for i, p := range run {
			fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(i, 1)], x(p), y(p.P50))
			fmt.Fprintf(&band, "%c%.1f %.1f", "ML"[min(i, 1)], x(p), y(max(p.P50, p.P95)))
		}
		for _, p := range slices.Backward(run) {
			fmt.Fprintf(&band, "L%.1f %.1f", x(p), y(p.P50))
		}
		band.WriteString("Z")
	}
	label := c.say("chart.label", c.ms(low), c.ms(high), c.ms(worst))
	svg := fmt.Sprintf(`<svg viewBox="0 0 %[1]d %[2]d" preserveAspectRatio="none" role="img" aria-label="%[3]s">`+
		`<path class="grid" d="M0 0H%[1]dM0 %[4]dH%[1]dM0 %[2]dH%[1]d"/><path class="band" d="%[5]s"/><path class="line" d="%[6]s"/><path class="line dots" d="%[7]s"/></svg>`,
		chartWidth, chartHeight, html.EscapeString(label), chartHeight/2, &band, &line, &dots)

	xs := make([]string, 0, 5)
	for i := range 4 {
		xs = append(xs, from.Add(time.Duration(i)*span24/4).UTC().Format("15:04"))
	}
	return chart{
		SVG: template.HTML(svg),
		Ys:  []string{c.ms(top), c.ms(top / 2), c.ms(0)},
		Xs:  append(xs, c.say("chart.now")),
	}
}

// unbroken divides points where a bucket is missing between them.
func unbroken(points []Point, bucket time.Duration) [][]Point {
	var runs [][]Point
	start := 0
	for i := 1; i <= len(points); i++ {
		if i == len(points) || points[i].At.Sub(points[i-1].At) > bucket+bucket/2 {
			runs = append(runs, points[start:i])
			start = i
		}
	}
	return runs
}

// niceTop returns the least of 1, 2, 4, 6 or 8 times a power of ten milliseconds
// that is not below d.
func niceTop(d time.Duration) time.Duration {
	ms := max(2, float64(d)/float64(time.Millisecond))
	unit := math.Pow(10, math.Floor(math.Log10(ms)))
	for _, f := range []float64{1, 2, 4, 6, 8, 10} {
		if f*unit >= ms {
			return time.Duration(f * unit * float64(time.Millisecond))
		}
	}
	return time.Duration(10 * unit * float64(time.Millisecond))
}
