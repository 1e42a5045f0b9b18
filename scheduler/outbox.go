package scheduler

import (
	"context"
	"fmt"
	"time"

	"nines/notifier"
	"nines/scheduler/store"
)

// outbox is the store's, with what only the configuration knows of an incident.
type outbox struct {
	*store.Store
	s *Scheduler
}

// Subject implements notifier.Outbox.
func (o outbox) Subject(ctx context.Context, id int64) (notifier.Subject, error) {
	subject, err := o.Store.Subject(ctx, id)
	if err != nil {
		return subject, err
	}
	if c := o.s.config.Load().Check(subject.Check); c != nil {
		subject.Title, subject.Runbook = c.Title, c.Runbook
	}
	return subject, nil
}

// relays are channels that stay while those behind them change with the
// configuration.
func (s *Scheduler) relays() map[string]notifier.Channel {
	all := map[string]notifier.Channel{}
	for _, name := range [...]string{notifier.Slack, notifier.SMS, notifier.Voice, notifier.Email} {
		all[name] = relay{s, name}
	}
	return all
}

type relay struct {
	s    *Scheduler
	name string
}

// channel returns the one behind, or a permanent refusal.
func (r relay) channel() (notifier.Channel, error) {
	if channel := (*r.s.channels.Load())[r.name]; channel != nil {
		return channel, nil
	}
	return nil, &notifier.SendError{Permanent: true, Detail: fmt.Sprintf("no %s is configured", r.name)}
}

// Send implements notifier.Channel.
func (r relay) Send(ctx context.Context, m notifier.Message) (notifier.Receipt, error) {
	channel, err := r.channel()
	if err != nil {
		return notifier.Receipt{}, err
	}
	return channel.Send(ctx, m)
}

// Find implements notifier.Channel.
func (r relay) Find(ctx context.Context, m notifier.Message) (notifier.Receipt, bool, error) {
	channel, err := r.channel()
	if err != nil {
		return notifier.Receipt{}, false, err
	}
	return channel.Find(ctx, m)
}

// Status implements notifier.Channel.
func (r relay) Status(ctx context.Context, receipt string) (notifier.State, string, error) {
	channel, err := r.channel()
	if err != nil {
		return "", "", err
	}
	return channel.Status(ctx, receipt)
}

// outboxLate is how long a notice may be due before paging counts as broken.
const outboxLate = 2 * time.Minute
