package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"nines/internal/civil"
)

// Delivery is somebody who is to be told of a revision of a closed month.
type Delivery struct {
	ID       int64
	SLA      string
	Month    civil.Month
	Revision int
	Channel  string // email or slack
	Address  string // empty: the channel's own
	Attempts int    // that have failed
	NextAt   time.Time
	Sent     time.Time // zero: not yet
	Detail   string    // of the last attempt that failed
}

// AddDelivery notes that somebody is to be told; to be told twice of one
// revision is to be told once.
func (tx *Tx) AddDelivery(ctx context.Context, d Delivery) error {
	_, err := tx.tx.ExecContext(ctx, `
		INSERT INTO deliveries (sla, month, revision, channel, address, attempts, next_at, sent, detail)
		VALUES (?, ?, ?, ?, ?, 0, ?, 0, '') ON CONFLICT DO NOTHING`,
		d.SLA, d.Month.String(), d.Revision, d.Channel, d.Address, ms(d.NextAt))
	if err != nil {
		return fmt.Errorf("noting who is told of %s for %s: %w", d.SLA, d.Month, err)
	}
	return nil
}

// SettleDelivery notes what an attempt came to: Sent, or Attempts, NextAt and
// Detail.
func (tx *Tx) SettleDelivery(ctx context.Context, d Delivery) error {
	_, err := tx.tx.ExecContext(ctx, "UPDATE deliveries SET attempts = ?, next_at = ?, sent = ?, detail = ? WHERE id = ?",
		d.Attempts, ms(d.NextAt), ms(d.Sent), d.Detail, d.ID)
	if err != nil {
		return fmt.Errorf("noting that %s for %s was told: %w", d.SLA, d.Month, err)
	}
	return nil
}

// DueDeliveries returns who is to be told by now, those waiting longest first.
func (s *Store) DueDeliveries(ctx context.Context, now time.Time) ([]Delivery, error) {
	return s.deliveries(ctx, "sent = 0 AND next_at <= ? ORDER BY next_at, id LIMIT 100", ms(now))
}

// Deliveries returns who was or is to be told of an SLA's months, the latest
// first.
func (s *Store) Deliveries(ctx context.Context, sla string) ([]Delivery, error) {
	return s.deliveries(ctx, "sla = ? ORDER BY month DESC, revision DESC, channel, address", sla)
}

func (s *Store) deliveries(ctx context.Context, where string, args ...any) (list []Delivery, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		list, err = queryAll(ctx, tx, func(row scanner) (d Delivery, err error) {
			var month string
			if err := row.Scan(&d.ID, &d.SLA, &month, &d.Revision, &d.Channel, &d.Address, &d.Attempts, when{&d.NextAt}, when{&d.Sent}, &d.Detail); err != nil {
				return d, err
			}
			d.Month, err = civil.ParseMonth(month)
			return d, err
		}, "SELECT id, sla, month, revision, channel, address, attempts, next_at, sent, detail FROM deliveries WHERE "+where, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading who is told of reports: %w", err)
	}
	return list, nil
}

// ClosedMonths returns the months of an SLA that are closed, the latest first.
func (s *Store) ClosedMonths(ctx context.Context, sla string) (months []civil.Month, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		months, err = queryAll(ctx, tx, func(row scanner) (m civil.Month, err error) {
			var text string
			if err := row.Scan(&text); err != nil {
				return m, err
			}
			return civil.ParseMonth(text)
		}, "SELECT DISTINCT month FROM reports WHERE sla = ? ORDER BY month DESC", sla)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the closed months of %s: %w", sla, err)
	}
	return months, nil
}
