package rotation

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"nines/internal/civil"
)

// The table of hard days in docs/oncall.md is what the code does.
func TestHardDays(t *testing.T) {
	doc, err := os.ReadFile("../../docs/oncall.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(doc), "\n| zone | every | handoff | from | to | hours | why |\n|---|---|---|---|---|---|---|\n")
	if !ok {
		t.Fatal("docs/oncall.md has no table of hard days")
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 9 {
			break
		}
		rows++
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		zoneName, every, at, hours, why := cells[1], cells[2], cells[3], cells[6], cells[7]
		t.Run(why, func(t *testing.T) {
			from, to := local(t, cells[4]), local(t, cells[5])
			// A week is a whole number of turns of every cadence in the table.
			start := civil.DateOf(from).AddDays(-7)
			r := rota(t, zoneName, every, at, start.String(), "ab")
			if got := from.In(r.Zone).Format(time.RFC3339); got != from.Format(time.RFC3339) {
				t.Errorf("%s is %s there", cells[4], got)
			}
			if got := to.In(r.Zone).Format(time.RFC3339); got != to.Format(time.RFC3339) {
				t.Errorf("%s is %s there", cells[5], got)
			}
			for _, s := range r.Shifts(from.AddDate(0, 0, -1), to.AddDate(0, 0, 1)) {
				if !s.From.Equal(from) {
					continue
				}
				if !s.To.Equal(to) {
					t.Errorf("the shift of %s ends at %s, not %s", cells[4], s.To, cells[5])
				}
				if got := strconv.FormatFloat(s.To.Sub(s.From).Hours(), 'f', -1, 64); got != hours {
					t.Errorf("the shift of %s lasts %s h, not %s", cells[4], got, hours)
				}
				return
			}
			t.Errorf("no shift begins at %s", cells[4])
		})
	}
	if rows < 25 {
		t.Errorf("the table has only %d rows", rows)
	}
}

func local(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04Z07:00", s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
