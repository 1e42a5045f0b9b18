package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"nines/internal/civil"
)

// Report is one revision of an SLA's report of a closed month, in one format.
type Report struct {
	SLA           string
	Month         civil.Month
	Revision      int    // from 1
	Format        string // json, csv, html, pdf, sig
	Made          time.Time
	ResultsSHA256 string
	ConfigSHA256  string // of the configuration that judged it; empty: not known
	Body          []byte
}

// PutReport stores a revision in one format; it is never replaced.
func (tx *Tx) PutReport(ctx context.Context, r Report) error {
	_, err := tx.tx.ExecContext(ctx,
		"INSERT INTO reports (sla, month, revision, format, made, results_sha256, config_sha256, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		r.SLA, r.Month.String(), r.Revision, r.Format, ms(r.Made), r.ResultsSHA256, r.ConfigSHA256, r.Body)
	if err != nil {
		return fmt.Errorf("storing the report of %s for %s: %w", r.SLA, r.Month, err)
	}
	return nil
}

// Report returns the latest revision of a closed month's report, or ErrNotFound.
func (s *Store) Report(ctx context.Context, sla string, month civil.Month, format string) (r Report, err error) {
	r.SLA, r.Month, r.Format = sla, month, format
	err = s.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx,
			"SELECT revision, made, results_sha256, config_sha256, body FROM reports WHERE sla = ? AND month = ? AND format = ? ORDER BY revision DESC LIMIT 1",
			sla, month.String(), format).Scan(&r.Revision, when{&r.Made}, &r.ResultsSHA256, &r.ConfigSHA256, &r.Body)
	})
	return r, found(err, "the report of %s for %s", sla, month)
}

// Revisions returns every revision of a closed month's report in a format,
// oldest first.
func (s *Store) Revisions(ctx context.Context, sla string, month civil.Month, format string) (list []Report, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		list, err = queryAll(ctx, tx, func(row scanner) (Report, error) {
			r := Report{SLA: sla, Month: month, Format: format}
			return r, row.Scan(&r.Revision, when{&r.Made}, &r.ResultsSHA256, &r.ConfigSHA256, &r.Body)
		}, "SELECT revision, made, results_sha256, config_sha256, body FROM reports WHERE sla = ? AND month = ? AND format = ? ORDER BY revision", sla, month.String(), format)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the reports of %s for %s: %w", sla, month, err)
	}
	return list, nil
}

// Bodies returns one revision of a closed month's report in every format, or
// ErrNotFound.
func (s *Store) Bodies(ctx context.Context, sla string, month civil.Month, revision int) (bodies map[string][]byte, err error) {
	bodies = map[string][]byte{}
	err = s.read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT format, body FROM reports WHERE sla = ? AND month = ? AND revision = ?", sla, month.String(), revision)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var format string
			var body []byte
			if err := rows.Scan(&format, &body); err != nil {
				return err
			}
			bodies[format] = body
		}
		if len(bodies) == 0 && rows.Err() == nil {
			return sql.ErrNoRows
		}
		return rows.Err()
	})
	return bodies, found(err, "the report of %s for %s", sla, month)
}
