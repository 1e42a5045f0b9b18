package report

import (
	"cmp"
	"time"

	"nines/scheduler/sla"
)

// outages fills in the outages with what was done about them, and the means.
func (b *builder) outages(r *Report) error {
	r.Outages = []Outage{}
	var discover, respond, recovery mean
	milestones := map[int][]Milestone{} // by check, read when the first is wanted
	for _, o := range b.ledger.Outages {
		known, ok := milestones[o.Check]
		if !ok {
			var err error
			if known, err = b.milestones(o.Check); err != nil {
				return err
			}
			milestones[o.Check] = known
		}
		told := b.outage(o)
		tell(&told, o.Interval, known)
		r.Outages = append(r.Outages, told)
		discover.add(told.Discover)
		respond.add(told.Respond)
		if !told.Open {
			recovery.add(seconds(o.Len()))
		}
	}
	r.Discover, r.Acknowledge, r.Recover = discover.value(), respond.value(), recovery.value()
	return nil
}

// milestones returns what was done about any outage of the check that reaches
// into the window.
func (b *builder) milestones(check int) ([]Milestone, error) {
	var whole sla.Interval
	for _, o := range b.ledger.Outages {
		if o.Check == check {
			if whole.To == 0 {
				whole = o.Interval
			}
			whole.To = max(whole.To, o.To)
		}
	}
	return b.source.Milestones(b.ctx, b.checks[check].Name, milli(whole.From), milli(whole.To))
}

// outage describes an outage of the ledger.
func (b *builder) outage(o sla.Outage) Outage {
	c, span := b.checks[o.Check], b.readings[o.Check].spans[o.Span]
	return Outage{
		// Names have no dots or capitals, so that the parts can be told apart.
		ID:    c.Name + "." + span.From.Format("20060102T150405.000Z"),
		Check: c.Name, From: span.From, To: span.To, Seconds: seconds(o.Counted),
		Reason: string(span.Reason), Regions: span.Down,
		Title: cmp.Or(c.Title, c.Name), Meaning: span.Reason.Meaning(),
		Open: b.running && o.To > b.window.To,
	}
}

// tell fills in when the outage was known and in hand. Several incidents may
// have been opened for one outage: the first of each counts.
func tell(o *Outage, span sla.Interval, known []Milestone) {
	var opened, acknowledged time.Time
	for _, m := range known {
		if !within(m.From, span) && !within(m.Opened, span) {
			continue
		}
		opened, acknowledged = earlier(opened, m.Opened), earlier(acknowledged, m.Acknowledged)
	}
	if opened.IsZero() {
		return
	}
	// What was late or by another clock is never less than nothing.
	knew := max(span.From, opened.UnixMilli())
	o.Discover = seconds(knew - span.From)
	if acknowledged.IsZero() {
		return
	}
	inHand := max(knew, acknowledged.UnixMilli())
	o.Respond = seconds(inHand - knew)
	if !o.Open {
		o.Fix = seconds(max(0, span.To-inHand))
	}
}

func within(t time.Time, span sla.Interval) bool {
	ms := t.UnixMilli()
	return !t.IsZero() && span.From <= ms && ms < span.To
}

// earlier returns the earlier of two times, a zero one being none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// mean is the mean of lengths, rounded down to the millisecond.
type mean struct{ sum, n int64 }

func (m *mean) add(d Decimal) {
	if !d.Null() {
		m.sum += d.units
		m.n++
	}
}

func (m mean) value() Decimal {
	if m.n == 0 {
		return Decimal{}
	}
	return seconds(m.sum / m.n)
}
