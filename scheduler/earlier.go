package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"nines/internal/civil"
	"nines/scheduler/report"
	"nines/scheduler/sla"
	"nines/scheduler/store"
)

// earlierMost is how many months a report compares its own with.
const earlierMost = 6

// EarlierMonths returns what the months before one came to, as they were
// closed, the latest first, as far as they follow one another.
func EarlierMonths(ctx context.Context, s *store.Store, name string, month civil.Month) ([]report.Earlier, error) {
	var list []report.Earlier
	for len(list) < earlierMost {
		month = before(month)
		stored, err := s.Report(ctx, name, month, "json")
		if errors.Is(err, store.ErrNotFound) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		past, err := pastMonth(stored.Body)
		if err != nil {
			return nil, fmt.Errorf("reading the report of %s for %s: %w", name, month, err)
		}
		list = append(list, past)
	}
	return list, nil
}

// before returns the month before.
func before(m civil.Month) civil.Month {
	return civil.MonthOf(midnight(civil.Date{Year: m.Year, Month: m.Month, Day: 1}).AddDate(0, 0, -1))
}

// pastMonth reads a stored report.
func pastMonth(body []byte) (past report.Earlier, err error) {
	var stored []struct {
		Month        string         `json:"month"`
		Verdict      sla.Verdict    `json:"verdict"`
		Availability report.Decimal `json:"availability"`
		Worst        report.Decimal `json:"worst"`
		Seconds      struct {
			Down report.Decimal `json:"down"`
		} `json:"seconds"`
		Outages []struct{}     `json:"outages"`
		Recover report.Decimal `json:"mttr_seconds"`
	}
	if err := json.Unmarshal(body, &stored); err != nil {
		return past, err
	}
	if len(stored) != 1 {
		return past, fmt.Errorf("it has %d SLAs", len(stored))
	}
	r := stored[0]
	return report.Earlier{
		Month: r.Month, Verdict: r.Verdict, Availability: r.Availability, Worst: r.Worst,
		Down: r.Seconds.Down, Outages: len(r.Outages), Recover: r.Recover,
	}, nil
}
