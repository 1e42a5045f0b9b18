package notifier

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	fastest = 15 * time.Second // the longest backoff where another channel waits
	slowest = time.Minute      // and where none does
)

// handle does what a leased notice needs and returns what became of it.
func (d *Dispatcher) handle(ctx context.Context, l LeasedNotice) Settlement {
	channel := d.cfg.Channels[l.Channel]
	if channel == nil {
		return d.failed(l, fmt.Sprintf("no %s is configured", l.Channel))
	}
	if l.Overdue {
		return d.overdue(ctx, channel, l)
	}
	m, err := d.message(ctx, l.Notice)
	if missing := (*missingPerson)(nil); errors.As(err, &missing) {
		l.Then = nil // no other channel finds them either
		return d.failed(l, err.Error())
	}
	if err != nil {
		return d.later(l, &SendError{Detail: err.Error()}, l.Unclear)
	}
	if l.Person != "" && Address(m.Person, l.Channel) == "" {
		return d.failed(l, fmt.Sprintf("%s has no address for %s", l.Person, l.Channel))
	}
	if l.Unclear {
		r, found, err := d.find(ctx, channel, m)
		if err != nil {
			return d.later(l, fmt.Errorf("looking for an earlier attempt: %w", err), true)
		}
		if found {
			return d.accepted(r, "an earlier attempt had arrived")
		}
	}
	return d.send(ctx, channel, l, m)
}

// find looks for an earlier attempt. A vendor that will never say counts as
// not having it: twice is better than never.
func (d *Dispatcher) find(ctx context.Context, channel Channel, m Message) (r Receipt, found bool, err error) {
	err = d.call(ctx, func(ctx context.Context) (err error) {
		r, found, err = channel.Find(ctx, m)
		return err
	})
	if refused := (*SendError)(nil); errors.As(err, &refused) && refused.Permanent {
		return Receipt{}, false, nil
	}
	return r, found, err
}

// send has the vendor take the message, and reads its answer.
func (d *Dispatcher) send(ctx context.Context, channel Channel, l LeasedNotice, m Message) Settlement {
	var r Receipt
	err := d.call(ctx, func(ctx context.Context) (err error) {
		r, err = channel.Send(ctx, m)
		return err
	})
	var refused *SendError
	switch {
	case err == nil && l.Unclear:
		return d.accepted(r, "sent again: an earlier attempt was not found and may still arrive")
	case err == nil:
		return d.accepted(r, "")
	case errors.As(err, &refused) && refused.Permanent:
		return d.failed(l, refused.Detail)
	}
	return d.later(l, err, refused == nil)
}

// call runs one call of a channel within its time. A channel that panics has
// given an unclear answer; the other pages must still go out.
func (d *Dispatcher) call(ctx context.Context, f func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.SendTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			d.cfg.Log.Error("a channel panicked", "err", p)
			err = fmt.Errorf("the channel panicked: %v", p)
		}
	}()
	return f(ctx)
}

// missingPerson says that a notice is for somebody who is no longer there.
type missingPerson struct{ name string }

func (e *missingPerson) Error() string { return e.name + " is no longer among the people" }

// message puts together what is to be sent.
func (d *Dispatcher) message(ctx context.Context, n Notice) (Message, error) {
	if n.Nonce == "" {
		n.Nonce = NonceOf(n)
	}
	m := Message{Notice: n}
	if n.Person != "" {
		person, ok := d.cfg.People(n.Person)
		if !ok {
			return m, &missingPerson{n.Person}
		}
		m.Person = person
	}
	for _, name := range n.Mention {
		if person, ok := d.cfg.People(name); ok {
			m.Mention = append(m.Mention, person)
		}
	}
	if n.Incident == 0 {
		return m, nil
	}
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	subject, err := d.cfg.Outbox.Subject(ctx, n.Incident)
	if err != nil {
		return m, fmt.Errorf("reading incident %d: %w", n.Incident, err)
	}
	m.Subject = subject
	if d.cfg.Link != nil {
		m.Link = d.cfg.Link(n.Incident, n.Person)
	}
	return m, nil
}

// accepted is what becomes of a notice that the vendor took.
func (d *Dispatcher) accepted(r Receipt, detail string) Settlement {
	s := Settlement{State: Accepted, Receipt: r.ID, Thread: r.Thread, Detail: detail}
	if r.Delivered {
		s.State = Delivered
	} else {
		s.DeliverBy = d.cfg.Now().Add(d.cfg.DeliverWithin)
	}
	return s
}

// failed is what becomes of a notice that will not arrive.
func (d *Dispatcher) failed(l LeasedNotice, detail string) Settlement {
	follow, exhausted := Follow(l.Notice, d.cfg.Now())
	return Settlement{State: Failed, Receipt: l.Receipt, Detail: detail, Follow: follow, Exhausted: exhausted}
}

// overdue asks the vendor once about a message whose delivery it has not
// reported. Anything but a yes is a no.
func (d *Dispatcher) overdue(ctx context.Context, channel Channel, l LeasedNotice) Settlement {
	var (
		state  State
		detail string
	)
	err := d.call(ctx, func(ctx context.Context) (err error) {
		state, detail, err = channel.Status(ctx, l.Receipt)
		return err
	})
	switch {
	case err == nil && state == Delivered:
		return Settlement{State: Delivered, Receipt: l.Receipt, Detail: detail}
	case err == nil && state == Failed:
		return d.failed(l, detail)
	case err != nil:
		detail = err.Error()
	}
	return d.failed(l, fmt.Sprintf("no delivery was reported within %s: %s", d.cfg.DeliverWithin, detail))
}

// later is what becomes of a notice that is worth another attempt, as long as
// there is time for one.
func (d *Dispatcher) later(l LeasedNotice, err error, unclear bool) Settlement {
	now := d.cfg.Now()
	wait, giveUp := d.backoff(l), l.Created.Add(d.cfg.Patience)
	if escalates(l.Notice) {
		giveUp = l.Created.Add(d.cfg.DeliverWithin)
	}
	var refused *SendError
	if errors.As(err, &refused) {
		wait = max(wait, refused.RetryAfter)
	}
	if now.Add(wait).After(giveUp) {
		return d.failed(l, fmt.Sprintf("given up after %d attempts: %s", max(l.Attempts, 1), err))
	}
	return Settlement{State: Queued, NotBefore: now.Add(wait), Unclear: unclear, Detail: err.Error()}
}

// escalates reports whether somebody waits for the notice to arrive or fail,
// to go on with another channel or another person.
func escalates(n Notice) bool {
	return Reports(n.Channel) && n.Kind == PageNotice || n.Kind == TestNotice
}

// backoff returns how long to wait before the next attempt.
func (d *Dispatcher) backoff(l LeasedNotice) time.Duration {
	longest := slowest
	if escalates(l.Notice) {
		longest = fastest
	}
	wait := d.cfg.Backoff
	for range min(l.Attempts-1, 10) {
		wait *= 2
	}
	return min(wait, longest)
}
