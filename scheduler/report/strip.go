package report

import "nines/scheduler/sla"

// stripWidth is how many columns a check's month is painted in.
const stripWidth = 372

// strip paints a divided window in columns and joins equal neighbours. A column
// in which anything was down is down, so that no outage is too short to be
// seen; else it is what most of it is.
func strip(divided []sla.Span, window sla.Interval) []Segment {
	var columns [stripWidth][4]int64
	for _, s := range divided {
		first := (s.From - window.From) * stripWidth / window.Len()
		for x := first; x < stripWidth; x++ {
			column := sla.Interval{
				From: window.From + x*window.Len()/stripWidth,
				To:   window.From + (x+1)*window.Len()/stripWidth,
			}
			if column.From >= s.To {
				break
			}
			columns[x][s.State] += s.Cut(column).Len()
		}
	}
	var segments []Segment
	for x, ms := range columns {
		class := "up"
		switch {
		case ms[sla.Down] > 0:
			class = "down"
		case ms[sla.Excused] > ms[sla.Up] && ms[sla.Excused] >= ms[sla.Unknown]:
			class = "excused"
		case ms[sla.Unknown] > ms[sla.Up]:
			class = "unknown"
		}
		if n := len(segments); n > 0 && segments[n-1].Class == class {
			segments[n-1].Width++
			continue
		}
		segments = append(segments, Segment{x, 1, class})
	}
	return segments
}
