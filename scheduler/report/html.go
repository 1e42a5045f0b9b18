package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"nines/internal/civil"
	"nines/scheduler/sla"
)

//go:embed report.html
var page string

//go:embed report.css
var style string

// StyleSource is what a Content-Security-Policy has to allow in style-src for
// the page of WriteHTML, which has one <style> and nothing else of the kind:
// no scripts, no style attributes, nothing loaded from anywhere.
func StyleSource() string {
	sum := sha256.Sum256([]byte(style))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// WriteHTML writes the reports as one self-contained page for people, which
// prints on A4 with a page of its own for each SLA. Times are in the SLA's zone.
func WriteHTML(w io.Writer, reports []*Report) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(style) },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("parsing the report's template: %w", err)
	}
	sheets := make([]sheet, len(reports))
	for i, r := range reports {
		sheets[i] = sheet{r}
	}
	var buf bytes.Buffer
	if err := t.Execute(&buf, sheets); err != nil {
		return fmt.Errorf("writing the report's page: %w", err)
	}
	_, err = w.Write(buf.Bytes())
	return err
}

// sheet is a report with the words of its page.
type sheet struct{ *Report }

// Name is the month as people write it.
func (s sheet) Name() string { return monthName(s.Month) }

// NameOf is Name for another month.
func (s sheet) NameOf(month string) string { return monthName(month) }

// Calendar, Downtime and Responses are the charts by day.
func (s sheet) Calendar() chart { return calendar(s.Days()) }

// Downtime is the chart of how long each day was down.
func (s sheet) Downtime() chart { return downtime(s.Days()) }

// Responses is the chart of how long runs took.
func (s sheet) Responses() chart { return responses(s.Days()) }

// Timed reports whether there is anything for Responses to show.
func (s sheet) Timed() bool { return timed(s.Days()) }

// Draw is what the template of a chart needs.
func (s sheet) Draw(c chart) map[string]any { return map[string]any{"s": s, "c": c} }

// Rules are how the figures came about.
func (s sheet) Rules() []string {
	r := s.Report
	together, short, excused := "The service is down whenever any of its checks is, and otherwise unknown whenever any is.",
		"Every outage counts, however short.", "Maintenance is excused."
	if r.Average {
		together = "The times of all checks are added up."
	}
	if r.MinOutage > 0 {
		short = fmt.Sprintf("Outages shorter than %s from beginning to end are not counted.", s.Duration(r.MinOutage))
	}
	if r.ServiceHours != nil {
		excused = fmt.Sprintf("Maintenance and all times but the service hours, %s, are excused.", s.Hours())
	}
	list := []string{
		"A check is down when enough of the regions that can see it agree. When too few regions have anything to say, the time is unknown: neither up nor down.",
		together, short + " " + excused,
		"Availability is up / (up + down). Percentages are rounded down to three decimals, and the verdict is reached with exact figures. The target is met if it is met even with all unknown time as downtime, and missed if it is missed even with all of it as uptime.",
	}
	if r.Since != (civil.Date{}) {
		list = append(list, fmt.Sprintf("The promise began on %s: nothing before that day counts.", r.Since))
	}
	if len(r.Weighted) > 0 {
		list = append(list, "Regions do not all have one vote: "+strings.Join(r.Weighted, "; ")+".")
	}
	if !r.CreditCap.Null() {
		list = append(list, "No more than "+s.Percent(r.CreditCap)+" of the fee is owed for a month.")
	}
	if r.Rough {
		list = append(list, "Percentiles are within 1 %: they come from each day's distribution of response times.")
	}
	if r.Coarse {
		list = append(list, "The configuration was changed so that a result speaks for less long than when some of these days were summed up, and their results are gone: on those days a silence counts as it did then.")
	}
	return list
}

// Path is the points of a line as SVG has them.
func (s sheet) Path(points []point) string {
	var b strings.Builder
	for i, p := range points {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s.Coordinate(p.X) + "," + s.Coordinate(p.Y))
	}
	return b.String()
}

// Coordinate is a length on a chart, in hundredths at most.
func (s sheet) Coordinate(v float64) string {
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// PastVerdict is the verdict of an earlier month in a word.
func (s sheet) PastVerdict(v sla.Verdict) string { return verdictWords[v] }

var verdictWords = map[sla.Verdict]string{sla.Met: "met", sla.Breached: "missed", sla.Indeterminate: "cannot be said"}

// Change compares the availability with that of the month before.
func (s sheet) Change() string { return change(s.Report) }

// change says in a sentence how the availability moved since the month before.
func change(r *Report) string {
	if len(r.Earlier) == 0 || r.Availability.Null() || r.Earlier[0].Availability.Null() {
		return ""
	}
	before := r.Earlier[0]
	moved := Decimal{r.Availability.units - before.Availability.units, 3, true}
	switch {
	case moved.units > 0:
		return fmt.Sprintf("Availability is %s percentage points above that of %s.", moved, monthName(before.Month))
	case moved.units < 0:
		return fmt.Sprintf("Availability is %s percentage points below that of %s.", Decimal{-moved.units, 3, true}, monthName(before.Month))
	}
	return fmt.Sprintf("Availability is that of %s.", monthName(before.Month))
}

// At is an instant on the SLA's clocks, exact to the millisecond.
func (s sheet) At(t time.Time) string { return t.In(s.Zone).Format("2 Jan 2006, 15:04:05.999 MST") }

// Short is At without the year, for tables.
func (s sheet) Short(t time.Time) string { return t.In(s.Zone).Format("2 Jan, 15:04:05.999 MST") }

// Percent is a percentage with its sign, or a dash.
func (s sheet) Percent(d Decimal) string {
	if d.Null() {
		return "–"
	}
	return d.String() + "\u00a0%"
}

// Millis is a time in milliseconds, or a dash.
func (s sheet) Millis(d Decimal) string {
	if d.Null() {
		return "–"
	}
	digits := 2
	switch ms := d.Float(); {
	case ms >= 100:
		digits = 0
	case ms >= 10:
		digits = 1
	}
	return strconv.FormatFloat(d.Float(), 'f', digits, 64) + "\u00a0ms"
}

// Long is a length in days, hours, minutes and seconds, or a dash.
func (s sheet) Long(d Decimal) string {
	if d.Null() {
		return "–"
	}
	ms, sign := d.units, ""
	if ms < 0 {
		ms, sign = -ms, "−"
	}
	var parts []string
	for _, unit := range [...]struct {
		ms   int64
		name string
	}{{86_400_000, "d"}, {3_600_000, "h"}, {60_000, "min"}} {
		if n := ms / unit.ms; n > 0 {
			parts = append(parts, strconv.FormatInt(n, 10)+"\u00a0"+unit.name)
			ms %= unit.ms
		}
	}
	if ms > 0 || len(parts) == 0 {
		parts = append(parts, seconds(ms).String()+"\u00a0s")
	}
	return sign + strings.Join(parts, " ")
}

// Duration is a length from the configuration.
func (s sheet) Duration(d time.Duration) string { return s.Long(seconds(d.Milliseconds())) }

// Sentence is the verdict in one sentence.
func (s sheet) Sentence() string {
	target, so := s.Percent(s.Target), ""
	if s.Running {
		so = "So far, "
	}
	unknown := s.Seconds.Unknown.units > 0
	switch {
	case s.Worst.Null():
		return cmp.Or(so, "In this month, ") + "there was no time that counts: all of it is excused."
	case s.Verdict == sla.Met && !unknown:
		return sentence(so + "the target of " + target + " was met: availability was " + s.Percent(s.Availability) + ".")
	case s.Verdict == sla.Met:
		return sentence(so + "the target of " + target + " was met: availability was " + s.Percent(s.Availability) +
			", and " + s.Percent(s.Worst) + " even if all that is unknown was down.")
	case s.Verdict == sla.Breached && !unknown:
		return sentence(so + "the target of " + target + " was missed: availability was " + s.Percent(s.Availability) + ".")
	case s.Verdict == sla.Breached:
		return sentence(so + "the target of " + target + " was missed: availability was " + s.Percent(s.Availability) +
			", and " + s.Percent(s.Best) + " even if all that is unknown was up.")
	}
	return sentence(so + "it cannot be said whether the target of " + target + " was met: availability lies between " +
		s.Percent(s.Worst) + " and " + s.Percent(s.Best) + ", and " + s.Long(s.Seconds.Unknown) + " are unknown.")
}

// sentence begins with a capital.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// Used is how much of the allowed downtime is gone, from 0 to 1000; more than
// all of it is 1000.
func (s sheet) Used() int64 {
	down, allowed := s.Seconds.Down.units, s.Allowed.units
	switch {
	case down == 0:
		return 0
	case down >= allowed:
		return 1000
	}
	return max(1, down*1000/allowed)
}

// Overspent reports whether more was down than is allowed.
func (s sheet) Overspent() bool { return s.Left.units < 0 }

// LeftOrOver is what is left of the allowed downtime, or by how much more was
// down.
func (s sheet) LeftOrOver() Decimal { return seconds(max(s.Left.units, -s.Left.units)) }

// Means tells the mean times of outages, as far as they are known.
func (s sheet) Means() string {
	var parts []string
	for _, mean := range [...]struct {
		of   Decimal
		text string
	}{
		{s.Discover, "discovered after %s"},
		{s.Acknowledge, "in somebody's hands %s later"},
		{s.Recover, "over %s after it began"},
		{s.BetweenFailures, "%s of uptime between failures"},
	} {
		if !mean.of.Null() {
			parts = append(parts, fmt.Sprintf(mean.text, s.Long(mean.of)))
		}
	}
	return "On average: " + strings.Join(parts, ", ") + "."
}

// ExcusedTogether tells what is excused of the whole.
func (s sheet) ExcusedTogether() string {
	if s.Average || len(s.Checks) == 1 {
		return "What overlaps is excused once: " + s.Long(s.Seconds.Excused) + " in all."
	}
	return "A check has no say while it is excused. The service as a whole is excused when all its checks are: " + s.Long(s.Seconds.Excused) + "."
}

// Hours describes the service hours, of which there are some.
func (s sheet) Hours() string {
	h := s.ServiceHours
	var days []string
	for i := range 7 {
		// From Monday on; the set counts from Sunday.
		if day := time.Weekday((i + 1) % 7); h.Days[day] {
			days = append(days, day.String()[:3])
		}
	}
	which := strings.Join(days, ", ")
	if len(days) == 7 {
		which = "every day"
	}
	return fmt.Sprintf("%s from %s to %s (%s)", which, h.From, h.To, s.Timezone)
}

// Planned is how long a maintenance was inside the window.
func (s sheet) Planned(m Maintenance) string { return s.Duration(m.To.Sub(m.From)) }

// Total is the length of an outage as a whole.
func (s sheet) Total(o Outage) string { return s.Duration(o.To.Sub(o.From)) }

// Partly reports whether only a part of the outage counts; of one that is still
// going on nobody knows the whole.
func (s sheet) Partly(o Outage) bool {
	return !o.Open && o.Seconds.units != o.To.Sub(o.From).Milliseconds()
}

// Segment is a stretch of a check's strip, in columns.
type Segment struct {
	X, Width int
	Class    string
}

// Strip is the month of a check as the page paints it, in StripWidth columns.
func (s sheet) Strip(c Check) []Segment { return c.strip }

// StripWidth is how many columns a strip has.
func (s sheet) StripWidth() int { return stripWidth }

// Repeat is the command that makes the same figures from exported results.
func (s sheet) Repeat() string {
	return fmt.Sprintf("nines replay -c nines.yaml --results results.ndjson --month %s", s.Month)
}
