package report

import (
	"time"

	"nines/internal/civil"
	"nines/scheduler/sla"
)

// Day is one day of the SLA's zone, as far as it lies in the window.
type Day struct {
	Date         civil.Date
	Availability Decimal
	Seconds      Seconds // their Window is zero where the window has nothing of the day
	// Of the day of UTC of the same date, over all checks and regions; null
	// where nothing was up.
	P50, P95, P99 Decimal
}

// Earlier is a month that was closed before.
type Earlier struct {
	Month        string
	Verdict      sla.Verdict
	Availability Decimal
	Worst        Decimal
	Down         Decimal // seconds
	Outages      int
	Recover      Decimal // MTTR in seconds
}

// Days divides the month by the days of the SLA's zone.
func (r *Report) Days() []Day {
	if r.daily == nil {
		return nil
	}
	return r.daily()
}

// divideDays closes the books on each day of the month.
func (b *builder) divideDays(month civil.Month) []Day {
	list := make([]sla.Check, len(b.checks))
	for i := range b.checks {
		list[i] = sla.Check{Spans: ledgerSpans(b.readings[i].spans), Excused: b.excused[i]}
	}
	var days []Day
	for d := (civil.Date{Year: month.Year, Month: month.Month, Day: 1}); d.Month == month.Month; d = d.AddDays(1) {
		day := Day{Date: d}
		terms := b.terms()
		from, to := civil.StartOfDay(d, b.sla.Timezone), civil.StartOfDay(d.AddDays(1), b.sla.Timezone)
		terms.Window = sla.Interval{From: from.UnixMilli(), To: to.UnixMilli()}.Cut(b.window)
		if terms.Window.Len() > 0 {
			l := sla.Account(terms, near(list, terms.Window))
			day.Availability, day.Seconds = percent(l.Availability()), secondsOf(l.Totals)
		}
		utc := dayOf(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).UnixMilli()) - dayOf(b.window.From)
		if utc >= 0 && utc < int64(len(b.took.days)) {
			took := percentilesOf(b.took.days[utc].percentile)
			day.P50, day.P95, day.P99 = took.p50, took.p95, took.p99
		}
		days = append(days, day)
	}
	return days
}

// near returns the checks with those of their spans alone that touch a window.
func near(list []sla.Check, window sla.Interval) []sla.Check {
	cut := make([]sla.Check, len(list))
	for i, c := range list {
		cut[i].Excused = c.Excused
		first := 0
		for first < len(c.Spans) && c.Spans[first].To <= window.From {
			first++
		}
		last := first
		for last < len(c.Spans) && c.Spans[last].From < window.To {
			last++
		}
		cut[i].Spans = c.Spans[first:last]
	}
	return cut
}
