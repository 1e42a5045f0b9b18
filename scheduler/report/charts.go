package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"nines/internal/civil"
)

// A chart is drawn once, in units of its own, and painted twice: as SVG on the
// page and as vectors in the PDF.
type chart struct {
	Width, Height float64
	Label         string // what it shows, for those who cannot see it
	Marks         []mark
}

// mark is a rectangle, a line of several points, or a text.
type mark struct {
	Class      string // of colour; see the style sheet and the PDF's inks
	X, Y, W, H float64
	Points     []point
	Text       string
	Anchor     string // start, middle or end
	Size       float64
}

type point struct{ X, Y float64 }

func (c *chart) rect(class string, x, y, w, h float64) {
	c.Marks = append(c.Marks, mark{Class: class, X: x, Y: y, W: w, H: h})
}

func (c *chart) line(class string, points ...point) {
	c.Marks = append(c.Marks, mark{Class: class, Points: points})
}

func (c *chart) text(class string, x, y, size float64, anchor, text string) {
	c.Marks = append(c.Marks, mark{Class: class, X: x, Y: y, Size: size, Anchor: anchor, Text: text})
}

// chartWidth is that of every chart.
const chartWidth = 560.0

// calendar shows the month as a wall calendar does, weeks from Monday on.
func calendar(days []Day) chart {
	const header, height = 18.0, 38.0
	width := chartWidth / 7
	c := chart{Width: chartWidth, Label: "Each day of the month"}
	for i := range 7 {
		c.text("soft", (float64(i)+.5)*width, 12, 11, "middle", time.Weekday((i + 1) % 7).String()[:3])
	}
	row := 0
	for i, d := range days {
		column := (int(d.Date.Weekday()) + 6) % 7
		if i > 0 && column == 0 {
			row++
		}
		x, y := float64(column)*width, header+float64(row)*height
		class, says := d.state()
		c.rect("cell", x+1, y+1, width-2, height-2)
		c.rect(class, x+1, y+height-6, width-2, 5)
		c.text("soft", x+7, y+14, 11, "start", strconv.Itoa(d.Date.Day))
		c.text("ink", x+width-7, y+27, 11, "end", says)
	}
	c.Height = header + float64(row+1)*height
	return c
}

// state returns what a day is coloured as, and what is written on it.
func (d Day) state() (class, says string) {
	s := d.Seconds
	switch {
	case s.Window.units == 0:
		return "cell", ""
	case s.Down.units > 0:
		return "down", roughly(s.Down.units)
	case s.Excused.units == s.Window.units:
		return "excused", "–"
	case s.Up.units == 0:
		return "unknown", "unknown"
	case s.Unknown.units*20 > s.Window.units:
		return "unknown", d.Availability.String() + "\u00a0%"
	}
	return "up", d.Availability.String() + "\u00a0%"
}

// roughly is a length in its largest unit, for where there is little room.
func roughly(ms int64) string {
	switch {
	case ms < 1000:
		return fmt.Sprintf("%d\u00a0ms", ms)
	case ms < 120_000:
		return seconds(ms/1000*1000).String() + "\u00a0s"
	case ms < 2*60*60_000:
		return fmt.Sprintf("%d\u00a0min", (ms+30_000)/60_000)
	}
	return fmt.Sprintf("%.1f\u00a0h", float64(ms)/3_600_000)
}

// plot is where the bars or lines of a chart by day go.
type plot struct {
	chart
	left, top, width, height float64
	days                     int
	most                     float64 // the value at the top
}

// newPlot draws the axes: a few round values from 0 to most, said by label.
func newPlot(days []Day, most float64, label func(v float64) string) *plot {
	p := &plot{left: 58, top: 8, height: 96, days: len(days), most: most}
	p.width = chartWidth - p.left - 4
	p.chart = chart{Width: chartWidth, Height: p.top + p.height + 20}
	for i := range 3 {
		v := most * float64(i) / 2
		y := p.y(v)
		p.line("axis", point{p.left, y}, point{p.left + p.width, y})
		p.text("soft", p.left-6, y+4, 10, "end", label(v))
	}
	for i, d := range days {
		if d.Date.Day == 1 || d.Date.Day%5 == 0 {
			p.text("soft", p.x(i)+p.width/float64(2*p.days), p.top+p.height+15, 10, "middle", strconv.Itoa(d.Date.Day))
		}
	}
	return p
}

func (p *plot) x(i int) float64     { return p.left + p.width*float64(i)/float64(p.days) }
func (p *plot) y(v float64) float64 { return p.top + p.height*(1-v/p.most) }

// roundUp returns the least of 1, 2, 4 or 5 times a power of ten that is not
// below v.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range [...]float64{1, 2, 4, 5} {
		if m*unit >= v {
			return m * unit
		}
	}
	return 10 * unit
}

// downtime shows how long each day was down, and unknown on top of that.
func downtime(days []Day) chart {
	longest := 0.0
	for _, d := range days {
		longest = max(longest, d.Seconds.Down.Float()+d.Seconds.Unknown.Float())
	}
	unit, name := 1.0, "s"
	switch {
	case longest > 2*3600:
		unit, name = 3600, "h"
	case longest > 120:
		unit, name = 60, "min"
	}
	p := newPlot(days, roundUp(longest/unit), func(v float64) string { return short(v) + "\u00a0" + name })
	p.Label = "How long each day was down or unknown"
	wide := p.width / float64(p.days)
	for i, d := range days {
		down, unknown := d.Seconds.Down.Float()/unit, d.Seconds.Unknown.Float()/unit
		// A little is drawn as a line, so that it can be seen.
		h := func(v float64) float64 {
			if v == 0 {
				return 0
			}
			return max(1.5, p.height*v/p.most)
		}
		base := p.top + p.height
		if down > 0 {
			p.rect("down", p.x(i)+wide*.15, base-h(down), wide*.7, h(down))
		}
		if unknown > 0 {
			p.rect("unknown", p.x(i)+wide*.15, base-h(down)-h(unknown), wide*.7, h(unknown))
		}
	}
	return p.chart
}

func short(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// responses shows how long runs took, by day.
func responses(days []Day) chart {
	longest := 0.0
	for _, d := range days {
		longest = max(longest, d.P99.Float())
	}
	unit, name := 1.0, "ms"
	if longest > 5000 {
		unit, name = 1000, "s"
	}
	p := newPlot(days, roundUp(longest/unit), func(v float64) string { return short(v) + "\u00a0" + name })
	p.Label = "How long runs took, by day: half, 95 % and 99 % of them"
	for _, series := range [...]struct {
		class string
		of    func(d Day) Decimal
	}{{"p99", func(d Day) Decimal { return d.P99 }}, {"p95", func(d Day) Decimal { return d.P95 }}, {"p50", func(d Day) Decimal { return d.P50 }}} {
		var points []point
		end := func() {
			if len(points) == 1 { // a day by itself is a dash
				points = []point{{points[0].X - 3, points[0].Y}, {points[0].X + 3, points[0].Y}}
			}
			if len(points) > 0 {
				p.line(series.class, points...)
			}
			points = nil
		}
		for i, d := range days {
			v := series.of(d)
			if v.Null() {
				end()
				continue
			}
			points = append(points, point{p.x(i) + p.width/float64(2*p.days), p.y(v.Float() / unit)})
		}
		end()
	}
	return p.chart
}

// timed reports whether any day has a latency to show.
func timed(days []Day) bool {
	return slices.ContainsFunc(days, func(d Day) bool { return !d.P50.Null() })
}

// monthName is a month as people write it.
func monthName(text string) string {
	month, err := civil.ParseMonth(text)
	if err != nil {
		return text
	}
	return fmt.Sprintf("%s %d", month.Month, month.Year)
}
