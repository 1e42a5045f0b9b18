package report_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/config"
)

// The oracle is the contract's section 4 once more: slow, without a state, and
// as near to its words as code can be. It looks at every instant at which
// anything can change and asks of each what every result says there. It shares
// nothing with the product but the types of what goes in.
type oracle struct {
	cfg         *config.Config
	sla         *config.SLA
	month       civil.Month
	now         time.Time
	results     []checks.Result // in any order, with duplicates
	quarantines []checks.Quarantine
}

// oracleSpan is a stretch of milliseconds.
type oracleSpan struct {
	from, to int64
	state    string
}

// wall is the instant of a wall-clock time: going forward from well before, the
// first at which the clocks show it or have passed it. A quarter of an hour is
// fine enough for the times of day and the zones that tests draw. It is slow,
// so answers are kept.
func wall(d civil.Date, minutes int, zone *time.Location) int64 {
	target := time.Date(d.Year, d.Month, d.Day, 0, minutes, 0, 0, time.UTC)
	question := target.String() + zone.String()
	if known, ok := walls.Load(question); ok {
		return known.(int64)
	}
	for t := target.Add(-30 * time.Hour); ; t = t.Add(15 * time.Minute) {
		l := t.In(zone)
		shown := time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
		if !shown.Before(target) {
			walls.Store(question, t.UnixMilli())
			return t.UnixMilli()
		}
	}
}

var walls sync.Map

func (o *oracle) window() (from, to int64) {
	next := o.month.Next()
	from = wall(civil.Date{Year: o.month.Year, Month: o.month.Month, Day: 1}, 0, o.sla.Timezone)
	to = wall(civil.Date{Year: next.Year, Month: next.Month, Day: 1}, 0, o.sla.Timezone)
	return from, min(to, o.now.UnixMilli())
}

// hours returns the windows of wall-clock hours that begin in or near the month.
func (o *oracle) hours(h *civil.Hours, zone *time.Location) []oracleSpan {
	var spans []oracleSpan
	first := civil.Date{Year: o.month.Year, Month: o.month.Month, Day: 1}
	for d := first.AddDays(-3); d.Before(first.AddDays(35)); d = d.AddDays(1) {
		if !h.Days[d.Weekday()] {
			continue
		}
		end := d
		if h.From >= h.To {
			end = d.AddDays(1)
		}
		spans = append(spans, oracleSpan{from: wall(d, int(h.From), zone), to: wall(end, int(h.To), zone)})
	}
	return spans
}

func covers(spans []oracleSpan, t int64) bool {
	return slices.ContainsFunc(spans, func(s oracleSpan) bool { return s.from <= t && t < s.to })
}

// distinct drops what is there twice; of two versions the line that sorts first stays.
func (o *oracle) distinct() []checks.Result {
	type id struct {
		check, region, prober string
		slot                  int64
	}
	best := map[id]checks.Result{}
	for _, r := range o.results {
		k := id{r.Check, r.Region, r.Prober, r.Slot.UnixMilli()}
		if had, ok := best[k]; !ok || lineOf(r) < lineOf(had) {
			best[k] = r
		}
	}
	var list []checks.Result
	for _, r := range best {
		list = append(list, r)
	}
	return list
}

func lineOf(r checks.Result) string {
	var b strings.Builder
	if err := checks.WriteRecord(&b, checks.Record{Result: &r}); err != nil {
		panic(err)
	}
	return b.String()
}

// says is item 1: what the region says at t: up, degraded, down, or nothing.
func (o *oracle) says(c *config.Check, results []checks.Result, region string, t int64) (string, checks.Reason) {
	var latest *checks.Result
	for i := range results {
		r := &results[i]
		if r.Check != c.Name || r.Region != region || r.At.UnixMilli() > t {
			continue
		}
		if latest == nil || cmp.Or(r.At.Compare(latest.At), strings.Compare(r.Prober, latest.Prober), r.Slot.Compare(latest.Slot)) > 0 {
			latest = r
		}
	}
	if latest == nil || t-latest.At.UnixMilli() >= (2*c.Every+c.Timeout).Milliseconds() {
		return "", ""
	}
	for _, q := range o.quarantines {
		if q.Prober == latest.Prober && q.From.UnixMilli() <= latest.At.UnixMilli() && latest.At.UnixMilli() < q.To.UnixMilli() {
			return "", ""
		}
	}
	if latest.Status == checks.Unknown {
		return "", ""
	}
	return string(latest.Status), latest.Reason
}

// verdict is item 2 (degraded is up), with the regions down and their reasons.
func (o *oracle) verdict(c *config.Check, results []checks.Result, t int64) (string, []string, []string) {
	d, u := 0, 0
	var where, why []string
	for _, region := range c.Regions {
		switch said, reason := o.says(c, results, region, t); said {
		case "down":
			d++
			where, why = append(where, region), append(why, string(reason))
		case "up", "degraded":
			u++
		}
	}
	n, r := d+u, len(c.Regions)
	if n < min(2, r) || n == 0 {
		return "unknown", nil, nil
	}
	down := false
	switch q := c.Quorum.String(); q {
	case "majority":
		down = 2*d > n
	case "any":
		down = d >= 1
	case "all":
		down = d == n
	default:
		down = d >= min(int(q[0]-'0'), n)
	}
	if down {
		return "down", where, why
	}
	return "up", nil, nil
}

// instants are all at which something can change, in order.
func (o *oracle) instants(c *config.Check, results []checks.Result, more ...int64) []int64 {
	list := slices.Clone(more)
	for _, r := range results {
		if r.Check == c.Name {
			list = append(list, r.At.UnixMilli(), r.At.UnixMilli()+(2*c.Every+c.Timeout).Milliseconds())
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// whole returns the check's spans over all time.
func (o *oracle) whole(c *config.Check, results []checks.Result) []oracleSpan {
	var spans []oracleSpan
	list := o.instants(c, results)
	for i := 0; i+1 < len(list); i++ {
		state, _, _ := o.verdict(c, results, list[i])
		if n := len(spans); n > 0 && spans[n-1].state == state {
			spans[n-1].to = list[i+1]
			continue
		}
		spans = append(spans, oracleSpan{list[i], list[i+1], state})
	}
	return spans
}

// excused returns when the check does not count.
func (o *oracle) excused(c *config.Check) (spans []oracleSpan, within []oracleSpan) {
	for _, m := range o.cfg.Maintenance {
		if !slices.Contains(m.Checks, c.Name) {
			continue
		}
		if m.Once != nil {
			spans = append(spans, oracleSpan{from: m.Once.From.UnixMilli(), to: m.Once.To.UnixMilli()})
		} else {
			spans = append(spans, o.hours(m.Weekly, m.Zone)...)
		}
	}
	if o.sla.ServiceHours != nil {
		within = o.hours(o.sla.ServiceHours, o.sla.Timezone)
	}
	return spans, within
}

type oracleTotals map[string]int64

func (t oracleTotals) json() map[string]any {
	return map[string]any{
		"window": seconds(t["up"] + t["down"] + t["unknown"] + t["excused"]),
		"up":     seconds(t["up"]), "down": seconds(t["down"]), "unknown": seconds(t["unknown"]), "excused": seconds(t["excused"]),
	}
}

// number is an exact fraction as JSON has it: floored to so many decimals.
func number(x *big.Rat, places int64) json.Number {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(places), nil)
	scaled := new(big.Int).Mul(x.Num(), scale)
	floor := new(big.Int).Div(scaled, x.Denom()) // rounds towards minus infinity for a positive divisor
	text := new(big.Rat).SetFrac(floor, scale).FloatString(int(places))
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return json.Number(text)
}

func seconds(ms int64) json.Number { return number(big.NewRat(ms, 1000), 3) }

// share is part of whole in percent, or nil.
func share(part, whole int64) *big.Rat {
	if whole == 0 {
		return nil
	}
	return new(big.Rat).Mul(big.NewRat(part, whole), big.NewRat(100, 1))
}

func shown(x *big.Rat) any {
	if x == nil {
		return nil
	}
	return number(x, 3)
}

// report is what the JSON must hold, but for identifiers and hashes.
func (o *oracle) report() map[string]any {
	from, to := o.window()
	results := o.distinct()
	minOutage := o.sla.MinOutage.Milliseconds()
	edges := []int64{from, to}
	var list []*config.Check
	whole := map[string][]oracleSpan{}
	excused := map[string]func(int64) bool{}
	for _, name := range o.sla.Checks {
		c := o.cfg.Check(name)
		list = append(list, c)
		spans := o.whole(c, results)
		for i, s := range spans {
			if s.state == "down" && s.to-s.from < minOutage {
				spans[i].state = "up"
			}
			edges = append(edges, s.from, s.to)
		}
		whole[name] = spans
		planned, within := o.excused(c)
		for _, s := range append(slices.Clone(planned), within...) {
			edges = append(edges, s.from, s.to)
		}
		excused[name] = func(t int64) bool {
			return covers(planned, t) || o.sla.ServiceHours != nil && !covers(within, t)
		}
		edges = append(edges, o.instants(c, results)...)
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	edges = slices.DeleteFunc(edges, func(t int64) bool { return t < from || t > to })

	stateOf := func(name string, t int64) string {
		if excused[name](t) {
			return "excused"
		}
		for _, s := range whole[name] {
			if s.from <= t && t < s.to {
				return s.state
			}
		}
		return "unknown"
	}
	total := oracleTotals{}
	each := map[string]oracleTotals{}
	regional := map[string]oracleTotals{}
	for _, c := range list {
		each[c.Name] = oracleTotals{}
		for _, r := range c.Regions {
			regional[r] = oracleTotals{}
		}
	}
	for i := 0; i+1 < len(edges); i++ {
		t, long := edges[i], edges[i+1]-edges[i]
		states := map[string]int{}
		for _, c := range list {
			s := stateOf(c.Name, t)
			states[s]++
			each[c.Name][s] += long
			if o.sla.Combine == "average" {
				total[s] += long
			}
			for _, r := range c.Regions {
				if s == "excused" {
					continue
				}
				switch said, _ := o.says(c, results, r, t); said {
				case "up", "degraded":
					regional[r]["up"] += long
				case "down":
					regional[r]["down"] += long
				}
			}
		}
		if o.sla.Combine == "average" {
			continue
		}
		switch {
		case states["excused"] == len(list):
			total["excused"] += long
		case states["down"] > 0:
			total["down"] += long
		case states["unknown"] > 0:
			total["unknown"] += long
		default:
			total["up"] += long
		}
	}

	type dated struct {
		from int64
		json map[string]any
	}
	var outages []dated
	var recovery, recovered int64
	for _, c := range list {
		for _, s := range whole[c.Name] {
			if s.state != "down" {
				continue
			}
			var counted int64
			for i := 0; i+1 < len(edges); i++ {
				if s.from <= edges[i] && edges[i] < s.to && !excused[c.Name](edges[i]) {
					counted += edges[i+1] - edges[i]
				}
			}
			if counted == 0 {
				continue
			}
			_, where, why := o.verdict(c, results, s.from)
			outages = append(outages, dated{s.from, map[string]any{
				"check": c.Name, "from": rfc3339(s.from), "to": rfc3339(s.to), "seconds": seconds(counted),
				"reason": commonest(why), "regions": anys(where),
				"discover_seconds": nil, "respond_seconds": nil, "fix_seconds": nil,
			}})
			if _, end := o.fullMonth(); s.to <= to || to == end {
				recovery += s.to - s.from
				recovered++
			}
		}
	}
	sort.SliceStable(outages, func(i, j int) bool { return outages[i].from < outages[j].from })

	up, down, unknown := total["up"], total["down"], total["unknown"]
	target := big.NewRat(o.sla.Target.Micros, 1_000_000)
	availability, worst, best := share(up, up+down), share(up, up+down+unknown), share(up+unknown, up+down+unknown)
	verdict := "indeterminate"
	if worst != nil && worst.Cmp(target) >= 0 {
		verdict = "met"
	} else if best != nil && best.Cmp(target) < 0 {
		verdict = "breached"
	}
	allowed := new(big.Rat).Mul(new(big.Rat).Sub(big.NewRat(100, 1), target), big.NewRat(up+down+unknown, 100*1000))
	left := new(big.Rat).Sub(allowed, big.NewRat(down, 1000))
	credit, lowest := 0.0, (*big.Rat)(nil)
	for _, c := range o.sla.Credits {
		below := big.NewRat(c.Below.Micros, 1_000_000)
		if availability != nil && availability.Cmp(below) < 0 && (lowest == nil || below.Cmp(lowest) < 0) {
			credit, lowest = c.Percent, below
		}
	}
	doc := map[string]any{
		"sla": o.sla.Name, "title": o.sla.Title, "month": o.month.String(), "timezone": o.sla.Timezone.String(),
		"from": rfc3339(from), "to": rfc3339(to), "target": number(target, 6), "verdict": verdict,
		"availability": shown(availability), "worst": shown(worst), "best": shown(best),
		"coverage": shown(share(up+down, up+down+unknown)), "seconds": total.json(),
		"allowed_down_seconds": number(allowed, 3), "budget_left_seconds": number(left, 3),
		"credit_percent": number(new(big.Rat).SetFloat64(credit), 6),
		"mttd_seconds":   nil, "mtta_seconds": nil, "mttr_seconds": nil, "mtbf_seconds": nil, "revision": json.Number("1"),
	}
	if n := int64(len(outages)); n > 0 {
		doc["mtbf_seconds"] = number(big.NewRat(up, 1000*n), 3)
	}
	if recovered > 0 {
		doc["mttr_seconds"] = number(big.NewRat(recovery, 1000*recovered), 3)
	}
	told, perCheck, perRegion := []any{}, []any{}, []any{}
	for _, out := range outages {
		told = append(told, out.json)
	}
	for _, c := range list {
		t := each[c.Name]
		perCheck = append(perCheck, map[string]any{"check": c.Name, "availability": shown(share(t["up"], t["up"]+t["down"])), "seconds": t.json()})
	}
	for _, r := range o.cfg.Regions {
		t, ok := regional[r.Name]
		if !ok {
			continue
		}
		took := o.took(results, r.Name, from, to)
		perRegion = append(perRegion, map[string]any{
			"region": r.Name, "availability": shown(share(t["up"], t["up"]+t["down"])),
			"p50_ms": rank(took, 50), "p95_ms": rank(took, 95), "p99_ms": rank(took, 99),
		})
	}
	doc["outages"], doc["checks"], doc["regions"] = told, perCheck, perRegion
	return doc
}

// used is, of the check, the span of At (both ends included) of the results
// that a report comes from.
func (o *oracle) used(c *config.Check) (a, b int64) {
	from, to := o.window()
	a, b = from, to-1
	for _, s := range o.whole(c, o.distinct()) {
		if s.state == "down" && s.from < from && from <= s.to {
			a = s.from
		}
		if s.state == "down" && s.from < to && to <= s.to {
			b = s.to
		}
	}
	return a - (2*c.Every + c.Timeout).Milliseconds(), b
}

// hash is the SHA-256 of what a report comes from.
func (o *oracle) hash() string {
	var text strings.Builder
	sick := map[string]bool{}
	for _, name := range slices.Sorted(slices.Values(o.sla.Checks)) {
		c := o.cfg.Check(name)
		a, b := o.used(c)
		const day = 86_400_000
		a, b = a-a%day, b-b%day+day-1 // whole days of UTC
		list := o.distinct()
		slices.SortFunc(list, func(x, y checks.Result) int {
			return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Prober, y.Prober), x.Slot.Compare(y.Slot))
		})
		for from := a; from < b; from += day {
			for _, region := range slices.Sorted(slices.Values(c.Regions)) {
				lines := ""
				for _, r := range list {
					if at := r.At.UnixMilli(); r.Check == name && r.Region == region && from <= at && at < from+day {
						lines += lineOf(r)
					}
				}
				if lines != "" {
					fmt.Fprintf(&text, "%s %s %s %x\n", name, region, time.UnixMilli(from).UTC().Format("2006-01-02"), sha256.Sum256([]byte(lines)))
				}
			}
		}
		for _, q := range o.quarantines {
			if q.From.UnixMilli() <= b && q.To.UnixMilli() > a {
				q.From, q.To = q.From.UTC().Truncate(time.Millisecond), q.To.UTC().Truncate(time.Millisecond)
				var line strings.Builder
				if err := checks.WriteRecord(&line, checks.Record{Quarantine: &q}); err != nil {
					panic(err)
				}
				sick[line.String()] = true
			}
		}
	}
	for _, line := range slices.Sorted(maps.Keys(sick)) {
		text.WriteString(line)
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text.String())))
}

// fullMonth is the window of a month that is over.
func (o *oracle) fullMonth() (from, to int64) {
	over := *o
	over.now = over.now.AddDate(10, 0, 0)
	return over.window()
}

func commonest(words []string) string {
	count := map[string]int{}
	for _, w := range words {
		count[w]++
	}
	best, most := "", 0
	for w, n := range count {
		if n > most || n == most && w < best {
			best, most = w, n
		}
	}
	return best
}

// took is how long the region's results of the window took that were up.
func (o *oracle) took(results []checks.Result, region string, from, to int64) []float64 {
	var took []float64
	for _, r := range results {
		at := r.At.UnixMilli()
		c := o.cfg.Check(r.Check)
		if r.Region != region || at < from || at >= to || r.Status != checks.Up && r.Status != checks.Degraded ||
			!slices.Contains(o.sla.Checks, r.Check) || !slices.Contains(c.Regions, region) {
			continue
		}
		if slices.ContainsFunc(o.quarantines, func(q checks.Quarantine) bool { return q.Covers(&r) }) {
			continue
		}
		took = append(took, r.TookMS)
	}
	slices.Sort(took)
	return took
}

// rank is the smallest value that at least p % of all do not exceed.
func rank(sorted []float64, p int) any {
	for i, v := range sorted {
		if 100*(i+1) >= p*len(sorted) {
			text, _ := json.Marshal(v)
			return json.Number(text)
		}
	}
	return nil
}

func rfc3339(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }

func anys(list []string) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, s)
	}
	return out
}
