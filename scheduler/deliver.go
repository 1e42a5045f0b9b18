package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"nines/internal/civil"
	"nines/notifier"
	"nines/notifier/email"
	"nines/scheduler/config"
	"nines/scheduler/store"
)

// deliverWithin is how long a closed month is tried to be told of, and
// deliverMost what one attempt may take.
const (
	deliverWithin = 7 * 24 * time.Hour
	deliverMost   = time.Minute
)

// mailer is what channel email can do besides telling of incidents.
type mailer interface {
	Mail(ctx context.Context, m email.Mail) error
}

// announcer is what channel slack can do besides telling of incidents.
type announcer interface {
	Announce(ctx context.Context, text string) error
}

// addDeliveries notes who is told of a revision, in the transaction that
// stores it.
func addDeliveries(ctx context.Context, tx *store.Tx, c *config.Config, promise *config.SLA, month civil.Month, revision int, now time.Time) error {
	d := store.Delivery{SLA: promise.Name, Month: month, Revision: revision, NextAt: now}
	for _, address := range promise.Email {
		d.Channel, d.Address = notifier.Email, address
		if err := tx.AddDelivery(ctx, d); err != nil {
			return err
		}
	}
	if c.Slack != nil && promise.Slack {
		d.Channel, d.Address = notifier.Slack, ""
		return tx.AddDelivery(ctx, d)
	}
	return nil
}

// deliver tells those who are to be told of closed months. What fails is tried
// again, less and less often.
func (s *Scheduler) deliver(ctx context.Context) error {
	due, err := s.store.DueDeliveries(ctx, s.now())
	if err != nil {
		return err
	}
	for _, d := range due {
		failed := s.deliverOne(ctx, d)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now := s.now()
		var refused *notifier.SendError
		switch {
		case failed == nil:
			d.Sent = now
			s.log.Info("report sent", "sla", d.SLA, "month", d.Month.String(), "revision", d.Revision, "channel", d.Channel)
		default:
			d.Attempts++
			d.Detail = failed.Error()
			d.NextAt = now.Add(min(time.Hour, time.Minute<<min(d.Attempts, 6)))
			month, _ := s.store.Report(ctx, d.SLA, d.Month, "json")
			if errors.As(failed, &refused) && refused.Permanent || now.Sub(month.Made) > deliverWithin {
				d.NextAt = farFuture // nobody is told again
			}
			s.log.Error("sending a report", "sla", d.SLA, "month", d.Month.String(), "channel", d.Channel, "err", failed)
		}
		if err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.SettleDelivery(ctx, d) }); err != nil {
			return err
		}
	}
	return nil
}

// deliverOne tells one.
func (s *Scheduler) deliverOne(ctx context.Context, d store.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, deliverMost)
	defer cancel()
	bodies, err := s.store.Bodies(ctx, d.SLA, d.Month, d.Revision)
	if err != nil {
		return err
	}
	summary := string(bodies[summaryFormat])
	subject, _, _ := strings.Cut(summary, "\n")
	link := s.ReportLink(d.SLA, d.Month)
	switch channel := (*s.channels.Load())[d.Channel]; channel := channel.(type) {
	case mailer:
		m := email.Mail{
			To: d.Address, Subject: subject, Date: s.now(), ID: fmt.Sprintf("report-%s-%s-%d-%d", d.SLA, d.Month, d.Revision, d.ID),
			Body: summary + "\nThe report is attached. Whoever has this link can read it too:\n" + link + "\n",
		}
		name := d.SLA + "-" + d.Month.String()
		m.Files = append(m.Files, email.File{Name: name + ".pdf", Type: "application/pdf", Body: bodies["pdf"]},
			email.File{Name: name + ".json", Type: "application/json", Body: bodies["json"]})
		if sig := bodies[signatureFormat]; sig != nil {
			m.Files = append(m.Files, email.File{Name: name + ".json.sig", Type: "application/json", Body: sig})
		}
		return channel.Mail(ctx, m)
	case announcer:
		first, rest, _ := strings.Cut(mrkdwn.Replace(strings.TrimSpace(summary)), "\n")
		return channel.Announce(ctx, fmt.Sprintf("*<%s|%s>*%s", link, first, rest))
	}
	return &notifier.SendError{Detail: fmt.Sprintf("no %s is configured", d.Channel)}
}

// mrkdwn makes text safe in Slack's markup.
var mrkdwn = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "/")
