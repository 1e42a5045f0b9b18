package report

import (
	"fmt"
	"strings"
)

// Summary is a report in a few lines of plain text, for a message: the first
// names it and would do as a subject.
func Summary(r *Report) string {
	s := sheet{r}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s, %s", r.Title, s.Name())
	line("")
	line("%s", s.Sentence())
	line("Downtime: %s of %s allowed.", s.Long(r.Seconds.Down), s.Long(r.Allowed))
	if r.Seconds.Unknown.units > 0 {
		line("Unknown: %s.", s.Long(r.Seconds.Unknown))
	}
	switch len(r.Outages) {
	case 0:
		line("There were no outages.")
	case 1:
		line("There was 1 outage.")
	default:
		line("There were %d outages.", len(r.Outages))
	}
	if r.Credit.units > 0 {
		line("Credit owed: %s of the fee.", s.Percent(r.Credit))
	}
	if r.Revision > 1 {
		line("This is revision %d: results have come late.", r.Revision)
	}
	return strings.ReplaceAll(b.String(), "\u00a0", " ")
}
