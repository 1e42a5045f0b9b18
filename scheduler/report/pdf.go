package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

// Measures of a page, in millimetres: A4 with its margins.
const (
	pageWidth, pageHeight = 210.0, 297.0
	marginX, marginTop    = 18.0, 18.0
	bottom                = pageHeight - 20
	textWidth             = pageWidth - 2*marginX
)

// inks are the colours of the page's style sheet.
var inks = map[string][3]int{
	"ink": {0x1d, 0x23, 0x27}, "soft": {0x5b, 0x67, 0x70}, "axis": {0xdf, 0xe3, 0xe6}, "cell": {0xf1, 0xf3, 0xf4},
	"up": {0x4a, 0x8a, 0x6a}, "down": {0xb3, 0x40, 0x2f}, "unknown": {0xd8, 0xa3, 0x3c}, "excused": {0xb9, 0xc2, 0xc9},
	"p50": {0x23, 0x56, 0x6e}, "p95": {0x6b, 0x9d, 0xb5}, "p99": {0xb4, 0xcc, 0xd8},
	"met": {0x4a, 0x8a, 0x6a}, "breached": {0xb3, 0x40, 0x2f}, "indeterminate": {0xd8, 0xa3, 0x3c},
}

// paper is a document on its way.
type paper struct {
	*press
	sheet
	y float64 // where the next thing goes
}

// WritePDF writes the reports as one PDF on A4, each SLA beginning a page. The
// same reports are the same bytes: its date is the end of the first window.
func WritePDF(w io.Writer, reports []*Report) error {
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.SetCatalogSort(true)
	made := time.Unix(0, 0).UTC()
	title := "Service level report"
	if len(reports) > 0 {
		made = reports[0].To
		title = fmt.Sprintf("%s, %s", reports[0].Title, monthName(reports[0].Month))
	}
	pdf.SetCreationDate(made)
	pdf.SetModificationDate(made)
	pdf.SetProducer("nines", true)
	pdf.SetTitle(title, true)
	pdf.SetLang("en")
	pdf.SetMargins(marginX, marginTop, marginX)
	pdf.SetAutoPageBreak(false, 0)
	pdf.AliasNbPages("{pages}")
	set, err := newPress(pdf)
	if err != nil {
		return fmt.Errorf("writing the PDF: %w", err)
	}
	p := &paper{press: set}
	pdf.SetFooterFunc(p.footer)
	for _, r := range reports {
		p.page() // which ends the page before with its own foot
		p.sheet = sheet{r}
		p.report()
	}
	if len(reports) == 0 {
		pdf.AddPage()
	}
	// The last page's footer is written here.
	if err := pdf.Output(w); err != nil {
		return fmt.Errorf("writing the PDF: %w", err)
	}
	return nil
}

// ink chooses a colour for text, lines and areas.
func (p *paper) ink(class string) {
	c := inks[class]
	p.pdf.SetTextColor(c[0], c[1], c[2])
	p.pdf.SetDrawColor(c[0], c[1], c[2])
	p.pdf.SetFillColor(c[0], c[1], c[2])
}

// page begins a page.
func (p *paper) page() {
	p.pdf.AddPage()
	p.y = marginTop
}

// room begins a page unless so much is left of this one.
func (p *paper) room(height float64) bool {
	if p.y+height <= bottom {
		return false
	}
	p.page()
	return true
}

func (p *paper) footer() {
	if p.Report == nil {
		return
	}
	p.set(false, 7.5)
	p.ink("soft")
	p.text(marginX, pageHeight-11, "start", p.clip(fmt.Sprintf("%s, %s · revision %d · %s", p.Title, p.Name(), p.Revision, p.ResultsSHA256[:min(16, len(p.ResultsSHA256))]), textWidth-30))
	// The number of pages is put in for its alias, which is as wide as it may be.
	p.text(pageWidth-marginX-14, pageHeight-11, "start", fmt.Sprintf("%d / {pages}", p.pdf.PageNo()))
}

// clip shortens text to a width.
func (p *paper) clip(text string, width float64) string {
	if p.width(text) <= width {
		return text
	}
	return text[:p.fitting(text, width-p.width("…"))] + "…"
}

// paragraph sets text in lines.
func (p *paper) paragraph(class string, bold bool, size float64, x, width float64, text string) {
	p.set(bold, size)
	height := size * 0.3528 * 1.42
	for _, line := range p.wrap(text, width) {
		p.room(height)
		p.set(bold, size)
		p.ink(class)
		p.text(x, p.y+height*.78, "start", line)
		p.y += height
	}
}

func (p *paper) heading(text string) {
	p.room(26)
	p.y += 8
	p.paragraph("ink", true, 12, marginX, textWidth, text)
	p.y += 1.5
}

func (p *paper) subheading(text string) {
	p.room(42)
	p.y += 3
	p.paragraph("ink", true, 9, marginX, textWidth, text)
	p.y += 1
}

func (p *paper) note(text string) {
	p.y += 1
	p.paragraph("soft", false, 8, marginX, textWidth, text)
}

// report sets one report.
func (p *paper) report() {
	p.paragraph("soft", false, 8.5, marginX, textWidth, "SERVICE LEVEL REPORT")
	p.y += 1
	p.paragraph("ink", true, 20, marginX, textWidth, p.Title)
	p.paragraph("ink", false, 14, marginX, textWidth, p.Name())
	p.y += 1
	span := fmt.Sprintf("%s to %s · %s", p.At(p.From), p.At(p.To), p.Timezone)
	if p.Running {
		span += " · the month is still running"
	}
	p.paragraph("soft", false, 8.5, marginX, textWidth, span)
	p.verdict()
	p.figures()
	p.budget()
	p.charts()
	p.outages()
	p.checks()
	p.regions()
	p.excused()
	p.earlier()
	p.credits()
	p.counting()
}

// verdict is the sentence, beside a bar in its colour.
func (p *paper) verdict() {
	p.y += 6
	top := p.y
	p.paragraph("ink", false, 13, marginX+5, textWidth-5, p.Sentence())
	p.ink(string(p.Verdict))
	p.pdf.Rect(marginX, top, 1.2, p.y-top, "F")
	p.y += 6
}

func (p *paper) figures() {
	for _, row := range [...][4][2]string{
		{{"Availability", p.Percent(p.Availability)}, {"If unknown was down", p.Percent(p.Worst)}, {"If unknown was up", p.Percent(p.Best)}, {"Known of what counts", p.Percent(p.Coverage)}},
		{{"Up", p.Long(p.Seconds.Up)}, {"Down", p.Long(p.Seconds.Down)}, {"Unknown", p.Long(p.Seconds.Unknown)}, {"Excused", p.Long(p.Seconds.Excused)}},
	} {
		for i, figure := range row {
			x := marginX + float64(i)*(textWidth/4)
			p.ink("axis")
			p.pdf.SetLineWidth(.2)
			p.pdf.Line(x, p.y, x+textWidth/4-4, p.y)
			p.set(false, 7.5)
			p.ink("soft")
			p.text(x, p.y+4.5, "start", figure[0])
			p.set(true, 11)
			p.ink("ink")
			for size := 11.0; p.width(figure[1]) > textWidth/4-4 && size > 6; size-- {
				p.set(true, size)
			}
			p.text(x, p.y+10, "start", figure[1])
		}
		p.y += 14
	}
}

func (p *paper) budget() {
	p.ink("axis")
	p.pdf.Rect(marginX, p.y, textWidth, 1.6, "F")
	used := "up"
	if p.Overspent() {
		used = "down"
	}
	p.ink(used)
	p.pdf.Rect(marginX, p.y, textWidth*float64(p.Used())/1000, 1.6, "F")
	p.y += 3
	left := "Left"
	if p.Overspent() {
		left = "Overspent by"
	}
	p.note(fmt.Sprintf("Downtime allowed: %s. Used: %s. %s: %s.", p.Long(p.Allowed), p.Long(p.Seconds.Down), left, p.Long(p.LeftOrOver())))
}

func (p *paper) charts() {
	p.heading("Day by day")
	p.chart(p.Calendar())
	p.note(fmt.Sprintf("Days of %s. A day with an outage says how long it was down; the others, how available they were. – is a day that is excused.", p.Timezone))
	p.subheading("Downtime")
	p.chart(p.Downtime())
	p.legend("down", "down", "unknown", "unknown")
	if p.Timed() {
		p.subheading("Response times")
		p.chart(p.Responses())
		p.legend("p50", "half of all runs within", "p95", "95 % within", "p99", "99 % within; days of UTC")
	}
}

// chartScale is how many millimetres a unit of a chart is.
const chartScale = 0.25

func (p *paper) chart(c chart) {
	p.room(c.Height * chartScale)
	x0, y0 := marginX, p.y
	for _, m := range c.Marks {
		p.ink(m.Class)
		switch {
		case len(m.Points) > 0:
			p.pdf.SetLineWidth(.45)
			if m.Class == "axis" {
				p.pdf.SetLineWidth(.2)
			}
			p.pdf.MoveTo(x0+m.Points[0].X*chartScale, y0+m.Points[0].Y*chartScale)
			for _, at := range m.Points[1:] {
				p.pdf.LineTo(x0+at.X*chartScale, y0+at.Y*chartScale)
			}
			p.pdf.DrawPath("D")
		case m.Size > 0:
			p.set(false, m.Size*chartScale/0.3528)
			p.text(x0+m.X*chartScale, y0+m.Y*chartScale, m.Anchor, m.Text)
		default:
			p.pdf.Rect(x0+m.X*chartScale, y0+m.Y*chartScale, m.W*chartScale, m.H*chartScale, "F")
		}
	}
	p.y += c.Height * chartScale
}

// legend explains colours: a class, then what it means.
func (p *paper) legend(pairs ...string) {
	p.y += 1.5
	x := marginX
	p.set(false, 7.5)
	for i := 0; i < len(pairs); i += 2 {
		p.ink(pairs[i])
		p.pdf.Rect(x, p.y, 2.4, 2.4, "F")
		p.ink("soft")
		p.text(x+3.6, p.y+2.2, "start", pairs[i+1])
		x += 3.6 + p.width(pairs[i+1]) + 5
	}
	p.y += 4
}

func (p *paper) outages() {
	p.heading("Outages")
	if len(p.Outages) == 0 {
		p.paragraph("ink", false, 9, marginX, textWidth, "There were none.")
		return
	}
	t := p.table([]column{{"Check", 25, false}, {"From", 26, false}, {"To", 26, false}, {"Counted", 18, true}, {"Cause", 35, false}, {"Discover", 14.5, true}, {"Respond", 14.5, true}, {"Fix", 15, true}})
	for _, o := range p.Outages {
		to, counted := p.Short(o.To), p.Long(o.Seconds)
		if o.Open {
			to = "still going on"
		}
		if p.Partly(o) {
			counted += " of " + p.Total(o)
		}
		cause := o.Reason
		if o.Meaning != "" {
			cause = o.Meaning + " (" + o.Reason + ")"
		}
		if len(o.Regions) > 0 {
			cause += ", seen from " + strings.Join(o.Regions, ", ")
		}
		t.row(o.Title, p.Short(o.From), to, counted, cause, p.Long(o.Discover), p.Long(o.Respond), p.Long(o.Fix))
	}
	p.note(p.Means())
}

func (p *paper) checks() {
	p.heading("Checks")
	t := p.table([]column{{"Check", 32, false}, {"Availability", 19, true}, {"Up", 28, true}, {"Down", 17, true}, {"Unknown", 17, true}, {"Excused", 17, true}, {"50 %", 15, true}, {"95 %", 14, true}, {"99 %", 15, true}})
	for _, c := range p.Checks {
		p.room(14)
		t.bare = true
		t.row(c.Title, p.Percent(c.Availability), p.Long(c.Seconds.Up), p.Long(c.Seconds.Down), p.Long(c.Seconds.Unknown), p.Long(c.Seconds.Excused),
			p.Millis(c.P50), p.Millis(c.P95), p.Millis(c.P99))
		for _, s := range c.strip {
			p.ink(s.Class)
			p.pdf.Rect(marginX+textWidth*float64(s.X)/stripWidth, p.y, textWidth*float64(s.Width)/stripWidth, 2.6, "F")
		}
		p.y += 4.6
	}
	p.legend("up", "up", "down", "down", "unknown", "unknown", "excused", "excused")
}

func (p *paper) regions() {
	p.heading("Regions")
	t := p.table([]column{{"Region", 62, false}, {"Availability", 28, true}, {"Half of all within", 28, true}, {"95 % within", 28, true}, {"99 % within", 28, true}})
	for _, r := range p.Regions {
		t.row(r.Title, p.Percent(r.Availability), p.Millis(r.P50), p.Millis(r.P95), p.Millis(r.P99))
	}
	p.note("What each region saw by itself. An outage is counted only when enough regions agree. Times are of runs that found their target up.")
}

func (p *paper) excused() {
	p.heading("Excused")
	if len(p.Maintenance) == 0 && p.ServiceHours == nil {
		p.paragraph("ink", false, 9, marginX, textWidth, "Nothing: there was no maintenance, and the promise holds always.")
		return
	}
	t := p.table([]column{{"Why", 42, false}, {"Checks", 36, false}, {"From", 36, false}, {"To", 36, false}, {"Length", 24, true}})
	for _, m := range p.Maintenance {
		t.row(m.Title, strings.Join(m.Checks, ", "), p.Short(m.From), p.Short(m.To), p.Planned(m))
	}
	if p.ServiceHours != nil {
		t.row("Outside the service hours", "all", p.Hours(), "", p.Long(p.OutsideHours))
	}
	p.note(p.ExcusedTogether())
}

func (p *paper) earlier() {
	if len(p.Earlier) == 0 {
		return
	}
	p.heading("Earlier months")
	t := p.table([]column{{"Month", 36, false}, {"Availability", 24, true}, {"If unknown was down", 30, true}, {"Down", 24, true}, {"Outages", 16, true}, {"Recovery", 20, true}, {"Target", 24, true}})
	t.row(p.Name(), p.Percent(p.Availability), p.Percent(p.Worst), p.Long(p.Seconds.Down), fmt.Sprint(len(p.Outages)), p.Long(p.Recover), p.PastVerdict(p.Verdict))
	for _, e := range p.Earlier {
		t.row(monthName(e.Month), p.Percent(e.Availability), p.Percent(e.Worst), p.Long(e.Down), fmt.Sprint(e.Outages), p.Long(e.Recover), p.PastVerdict(e.Verdict))
	}
	if text := p.Change(); text != "" {
		p.note(text)
	}
}

func (p *paper) credits() {
	if len(p.Credits) == 0 {
		return
	}
	p.heading("Credit")
	t := p.table([]column{{"Availability below", 60, false}, {"Credit", 30, true}, {"", 84, false}})
	for _, c := range p.Credits {
		owed := ""
		if c.Owed {
			owed = "   owed"
		}
		t.row(p.Percent(c.Below), p.Percent(c.Percent), owed)
	}
}

func (p *paper) counting() {
	p.heading("How it was counted")
	for _, rule := range p.Rules() {
		p.set(false, 8.5)
		p.room(5)
		p.ink("soft")
		p.pdf.Rect(marginX, p.y+1.9, 1, 1, "F")
		p.paragraph("ink", false, 8.5, marginX+4, textWidth-4, rule)
		p.y += .8
	}
	p.room(20)
	p.y += 5
	p.paragraph("soft", false, 8, marginX, textWidth, fmt.Sprintf("Revision %d · SHA-256 of the results: %s", p.Revision, p.ResultsSHA256))
	p.paragraph("soft", false, 8, marginX, textWidth, "The same figures from the exported results: "+p.Repeat())
}
