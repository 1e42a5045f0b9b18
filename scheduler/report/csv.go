package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
)

// columns are those of the CSV, in order. Every row has all of them; what does
// not apply to its kind is empty.
var columns = [...]string{
	"row", "sla", "month", "check", "region", "outage", "from", "to",
	"verdict", "target_percent", "availability_percent", "worst_percent", "best_percent", "coverage_percent",
	"window_seconds", "up_seconds", "down_seconds", "unknown_seconds", "excused_seconds",
	"allowed_down_seconds", "budget_left_seconds", "credit_percent",
	"reason", "down_regions", "discover_seconds", "respond_seconds", "fix_seconds", "recover_seconds", "between_failures_seconds",
	"p50_ms", "p95_ms", "p99_ms", "revision", "results_sha256",
}

// WriteCSV writes the reports as one table for spreadsheets and scripts: a
// header, then for each SLA a row "sla", a row "check" a check, a row "region"
// a region and a row "outage" an outage. In the row "sla", discover, respond
// and recover are the means. Numbers are as in the JSON, times RFC 3339 UTC.
func WriteCSV(w io.Writer, reports []*Report) error {
	cw := csv.NewWriter(w)
	if err := cw.Write(columns[:]); err != nil {
		return err
	}
	for _, r := range reports {
		for _, row := range r.rows() {
			record := make([]string, len(columns))
			for i, column := range columns {
				record[i] = plain(row[column])
			}
			if err := cw.Write(record); err != nil {
				return err
			}
		}
	}
	cw.Flush()
	return cw.Error()
}

// row is a row of the CSV by column.
type row map[string]string

func (r *Report) rows() []row {
	first := row{
		"from": utc(r.From), "to": utc(r.To), "verdict": string(r.Verdict), "target_percent": r.Target.String(),
		"availability_percent": r.Availability.String(), "worst_percent": r.Worst.String(), "best_percent": r.Best.String(),
		"coverage_percent": r.Coverage.String(), "allowed_down_seconds": r.Allowed.String(), "budget_left_seconds": r.Left.String(),
		"credit_percent": r.Credit.String(), "discover_seconds": r.Discover.String(), "respond_seconds": r.Acknowledge.String(),
		"recover_seconds": r.Recover.String(), "between_failures_seconds": r.BetweenFailures.String(),
		"revision": strconv.Itoa(r.Revision), "results_sha256": r.ResultsSHA256,
	}
	rows := []row{r.row("sla", first, r.Seconds)}
	for _, c := range r.Checks {
		rows = append(rows, r.row("check", row{"check": c.Check, "availability_percent": c.Availability.String()}, c.Seconds))
	}
	for _, g := range r.Regions {
		rows = append(rows, r.row("region", row{
			"region": g.Region, "availability_percent": g.Availability.String(),
			"p50_ms": g.P50.String(), "p95_ms": g.P95.String(), "p99_ms": g.P99.String(),
		}, Seconds{}))
	}
	for _, o := range r.Outages {
		rows = append(rows, r.row("outage", row{
			"outage": o.ID, "check": o.Check, "from": utc(o.From), "to": utc(o.To),
			"reason": o.Reason, "down_regions": strings.Join(o.Regions, " "),
			"discover_seconds": o.Discover.String(), "respond_seconds": o.Respond.String(), "fix_seconds": o.Fix.String(),
		}, Seconds{Down: o.Seconds}))
	}
	return rows
}

// row completes a row with what every row has.
func (r *Report) row(kind string, cells row, s Seconds) row {
	cells["row"], cells["sla"], cells["month"] = kind, r.SLA, r.Month
	cells["window_seconds"], cells["up_seconds"], cells["down_seconds"] = s.Window.String(), s.Up.String(), s.Down.String()
	cells["unknown_seconds"], cells["excused_seconds"] = s.Unknown.String(), s.Excused.String()
	return cells
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// plain keeps a spreadsheet from taking what a prober or a name says for a
// formula.
func plain(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return cell
	}
	if _, err := strconv.ParseFloat(cell, 64); err == nil {
		return cell
	}
	return "'" + cell
}
