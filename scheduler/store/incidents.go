package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"nines/notifier"
	"nines/scheduler/incident"
)

const incidentColumns = `id, check_name, outage_from, opened, severity, policy, reason, down, regions, flaps,
	state, acked_at, acked_by, acked_via, owner, resolved_at, resolved_by, resolved_via, recovered, snoozed,
	muted, within, step, round, next_at, told, thread`

func scanIncident(row scanner) (incident.Incident, error) {
	var i incident.Incident
	err := row.Scan(&i.ID, &i.Check, when{&i.OutageFrom}, when{&i.Opened}, &i.Severity, &i.Policy, &i.Reason,
		asJSON{&i.Down}, &i.Regions, &i.Flaps,
		&i.State, when{&i.AckedAt}, &i.AckedBy, &i.AckedVia, &i.Owner,
		when{&i.ResolvedAt}, &i.ResolvedBy, &i.ResolvedVia, when{&i.Recovered}, when{&i.Snoozed},
		&i.Muted, &i.Within, &i.Step, &i.Round, when{&i.NextAt}, asJSON{&i.Told}, asJSON{&i.Thread})
	return i, err
}

// incidentValues are the values of incidentColumns but for the id.
func incidentValues(i incident.Incident) ([]any, error) {
	down, err := toJSON(i.Down)
	if err != nil {
		return nil, err
	}
	told, err := toJSON(i.Told)
	if err != nil {
		return nil, err
	}
	thread := ""
	if i.Thread != nil {
		if thread, err = toJSON(i.Thread); err != nil {
			return nil, err
		}
	}
	return []any{i.Check, ms(i.OutageFrom), ms(i.Opened), i.Severity, i.Policy, string(i.Reason), down, i.Regions, i.Flaps,
		string(i.State), ms(i.AckedAt), i.AckedBy, i.AckedVia, i.Owner,
		ms(i.ResolvedAt), i.ResolvedBy, i.ResolvedVia, ms(i.Recovered), ms(i.Snoozed),
		i.Muted, i.Within, i.Step, i.Round, ms(i.NextAt), told, thread}, nil
}

// asJSON scans text into what its JSON says; empty text leaves the zero value.
type asJSON struct{ into any }

// Scan implements sql.Scanner.
func (j asJSON) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("JSON is %T in the store", v)
	}
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), j.into)
}

func toJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// AddIncident stores a new incident with its log and returns it with its ID.
func (tx *Tx) AddIncident(ctx context.Context, i incident.Incident, events []incident.Event) (incident.Incident, error) {
	values, err := incidentValues(i)
	if err != nil {
		return i, err
	}
	err = tx.tx.QueryRowContext(ctx, `INSERT INTO incidents (
			check_name, outage_from, opened, severity, policy, reason, down, regions, flaps,
			state, acked_at, acked_by, acked_via, owner, resolved_at, resolved_by, resolved_via, recovered, snoozed,
			muted, within, step, round, next_at, told, thread)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, values...).Scan(&i.ID)
	if err != nil {
		return i, fmt.Errorf("adding an incident of %s: %w", i.Check, err)
	}
	return i, tx.Log(ctx, i.ID, events)
}

// PutIncident stores an incident as it is now and adds to its log.
func (tx *Tx) PutIncident(ctx context.Context, i incident.Incident, events []incident.Event) error {
	values, err := incidentValues(i)
	if err != nil {
		return err
	}
	done, err := tx.tx.ExecContext(ctx, `UPDATE incidents SET
			check_name = ?, outage_from = ?, opened = ?, severity = ?, policy = ?, reason = ?, down = ?, regions = ?, flaps = ?,
			state = ?, acked_at = ?, acked_by = ?, acked_via = ?, owner = ?,
			resolved_at = ?, resolved_by = ?, resolved_via = ?, recovered = ?, snoozed = ?,
			muted = ?, within = ?, step = ?, round = ?, next_at = ?, told = ?, thread = ?
		WHERE id = ?`, append(values, i.ID)...)
	if err != nil {
		return fmt.Errorf("storing incident %d: %w", i.ID, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(fmt.Errorf("incident %d: %w", i.ID, ErrNotFound), err)
	}
	return tx.Log(ctx, i.ID, events)
}

// Log adds to an incident's log.
func (tx *Tx) Log(ctx context.Context, incident int64, events []incident.Event) error {
	for _, e := range events {
		_, err := tx.tx.ExecContext(ctx, "INSERT INTO events (incident, at, kind, who, via, text) VALUES (?, ?, ?, ?, ?, ?)",
			incident, ms(e.At), string(e.Kind), e.Who, e.Via, e.Text)
		if err != nil {
			return fmt.Errorf("logging to incident %d: %w", incident, err)
		}
	}
	return nil
}

// Incident returns the incident of that number, or ErrNotFound.
func (tx *Tx) Incident(ctx context.Context, id int64) (incident.Incident, error) {
	return oneIncident(ctx, tx.tx, id)
}

// Incident returns the incident of that number, or ErrNotFound.
func (s *Store) Incident(ctx context.Context, id int64) (i incident.Incident, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		i, err = oneIncident(ctx, tx, id)
		return err
	})
	return i, err
}

func oneIncident(ctx context.Context, tx *sql.Tx, id int64) (incident.Incident, error) {
	i, err := scanIncident(tx.QueryRowContext(ctx, "SELECT "+incidentColumns+" FROM incidents WHERE id = ?", id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return i, fmt.Errorf("incident %d: %w", id, ErrNotFound)
	case err != nil:
		return i, fmt.Errorf("reading incident %d: %w", id, err)
	}
	return i, nil
}

// incidents returns those that match a condition.
func incidents(ctx context.Context, tx *sql.Tx, where string, args ...any) ([]incident.Incident, error) {
	list, err := queryAll(ctx, tx, scanIncident, "SELECT "+incidentColumns+" FROM incidents WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("reading incidents: %w", err)
	}
	return list, nil
}

// Incidents returns those that were not over before from and opened before to,
// newest first.
func (s *Store) Incidents(ctx context.Context, from, to time.Time) ([]incident.Incident, error) {
	return s.incidents(ctx, "outage_from < ? AND (state <> 'resolved' OR max(resolved_at, recovered) > ?) ORDER BY id DESC",
		to.UnixMilli(), from.UnixMilli())
}

// OpenIncidents returns those that are not resolved, oldest first.
func (s *Store) OpenIncidents(ctx context.Context) ([]incident.Incident, error) {
	return s.incidents(ctx, "state <> 'resolved' ORDER BY id")
}

// UnsettledIncidents returns those whose check has not been seen up since,
// resolved by hand or not, oldest first.
func (s *Store) UnsettledIncidents(ctx context.Context) ([]incident.Incident, error) {
	return s.incidents(ctx, "recovered = 0 ORDER BY id")
}

// LastIncidents returns up to max incidents, newest first.
func (s *Store) LastIncidents(ctx context.Context, max int) ([]incident.Incident, error) {
	return s.incidents(ctx, "true ORDER BY id DESC LIMIT ?", max)
}

func (s *Store) incidents(ctx context.Context, where string, args ...any) (list []incident.Incident, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		list, err = incidents(ctx, tx, where, args...)
		return err
	})
	return list, err
}

// OpenedSince returns how many incidents of a check opened at or after a time.
func (tx *Tx) OpenedSince(ctx context.Context, check string, since time.Time) (n int, err error) {
	err = tx.tx.QueryRowContext(ctx, "SELECT count(*) FROM incidents WHERE check_name = ? AND opened >= ?", check, since.UnixMilli()).Scan(&n)
	return n, err
}

// Unsettled returns the incident of a check that has not been seen up since,
// resolved by hand or not, or ErrNotFound.
func (tx *Tx) Unsettled(ctx context.Context, check string) (incident.Incident, error) {
	i, err := scanIncident(tx.tx.QueryRowContext(ctx,
		"SELECT "+incidentColumns+" FROM incidents WHERE check_name = ? AND recovered = 0 ORDER BY id DESC LIMIT 1", check))
	if errors.Is(err, sql.ErrNoRows) {
		return i, fmt.Errorf("an open incident of %s: %w", check, ErrNotFound)
	}
	return i, err
}

// Members returns the unresolved incidents within another's page, oldest first.
func (tx *Tx) Members(ctx context.Context, leader int64) ([]incident.Incident, error) {
	return incidents(ctx, tx.tx, "within = ? AND state <> 'resolved' ORDER BY id", leader)
}

// Paging returns the unresolved incidents of a policy that page and opened at
// or after a time, with a page of their own or within another's, oldest first.
func (tx *Tx) Paging(ctx context.Context, policy string, since time.Time) ([]incident.Incident, error) {
	return incidents(ctx, tx.tx,
		"state <> 'resolved' AND policy = ? AND muted = '' AND severity = 'page' AND opened >= ? ORDER BY id", policy, since.UnixMilli())
}

// DueIncidents returns those that need something at now: whose next step is
// due, whose snooze is over, or who are muted and may no longer be.
func (s *Store) DueIncidents(ctx context.Context, now time.Time) ([]incident.Incident, error) {
	return s.incidents(ctx, `state <> 'resolved' AND (
			state = 'triggered' AND next_at <> 0 AND next_at <= ?1
			OR state = 'acknowledged' AND snoozed <> 0 AND snoozed <= ?1
			OR state = 'triggered' AND muted <> '')
		ORDER BY id`, ms(now))
}

// Events returns an incident's log, oldest first.
func (s *Store) Events(ctx context.Context, incident int64) (list []incident.Event, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		list, err = events(ctx, tx, incident)
		return err
	})
	return list, err
}

func events(ctx context.Context, tx *sql.Tx, id int64) ([]incident.Event, error) {
	list, err := queryAll(ctx, tx, func(row scanner) (e incident.Event, err error) {
		return e, row.Scan(when{&e.At}, &e.Kind, &e.Who, &e.Via, &e.Text)
	}, "SELECT at, kind, who, via, text FROM events WHERE incident = ? ORDER BY id", id)
	if err != nil {
		return nil, fmt.Errorf("reading the log of incident %d: %w", id, err)
	}
	return list, nil
}

// subjectOf returns an incident as messages tell of it, but for what only the
// configuration knows.
func subjectOf(i incident.Incident, log []incident.Event, also []string) notifier.Subject {
	s := notifier.Subject{
		Incident: i.ID, Check: i.Check, Title: i.Check, Reason: string(i.Reason),
		Down: len(i.Down), Regions: i.Regions, Where: i.Down,
		Since: i.OutageFrom, Opened: i.Opened, Resolved: i.ResolvedAt, ResolvedBy: i.ResolvedBy,
		Also: also, Thread: i.Thread,
	}
	if i.Owner != "" {
		s.AckedBy, s.AckedAt = i.Owner, i.AckedAt
	}
	for _, told := range i.Told {
		if told.Person != "" && !slices.Contains(s.Paged, told.Person) {
			s.Paged = append(s.Paged, told.Person)
		}
	}
	for _, e := range log {
		if s.AckedBy != "" && e.Who == s.AckedBy && (e.Kind == incident.AcknowledgedEvent || e.Kind == incident.SnoozedEvent) {
			s.AckedAt = e.At // of whoever has it now, who need not have been the first
		}
		text := e.Text
		if e.Via != "" {
			text += " by way of " + e.Via
		}
		s.Log = append(s.Log, notifier.LogEntry{At: e.At, Text: text})
	}
	return s
}
