package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/token"
	"go/types"
	"iter"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"nines/checks"
	"nines/internal/civil"
	"nines/scheduler/config"
	"nines/scheduler/report"
)

// example is a month of docs/availability.md: what stands in its tables.
type example struct {
	regions [][]string // region, second, milliseconds
	events  [][]string // check, region, from, to, results
	values  [][]string // value, is, because
	yaml    string     // the configuration
}

// examples reads the worked months of docs/availability.md by their headings.
func examples(t testing.TB) map[string]*example {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "availability.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*example{}
	var ex *example
	var table *[][]string
	fenced := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "```") {
			fenced = strings.HasPrefix(line, "```yaml")
			continue
		}
		if fenced && ex != nil {
			ex.yaml += line
			continue
		}
		line = strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			ex = &example{}
			found[heading] = ex
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !strings.HasPrefix(line, "|") || ex == nil:
			table = nil
		case strings.HasPrefix(line, "|---"):
		case slices.Equal(cells, []string{"region", "second", "milliseconds"}):
			table = &ex.regions
		case slices.Equal(cells, []string{"check", "region", "from", "to", "results"}):
			table = &ex.events
		case slices.Equal(cells, []string{"value", "is", "because"}):
			table = &ex.values
		case table != nil:
			*table = append(*table, cells)
		}
	}
	return found
}

// world is what a report is built from.
type world struct {
	cfg         *config.Config
	sla         *config.SLA
	month       civil.Month
	results     map[string][]checks.Result // by check, in order
	quarantines []checks.Quarantine
	milestones  map[string][]report.Milestone
}

func (w *world) Results(_ context.Context, check string, from, to time.Time) iter.Seq2[checks.Result, error] {
	return func(yield func(checks.Result, error) bool) {
		list := w.results[check]
		first, _ := slices.BinarySearchFunc(list, from, func(r checks.Result, t time.Time) int { return r.At.Compare(t) })
		for _, r := range list[first:] {
			if !r.At.Before(to) || !yield(r, nil) {
				return
			}
		}
	}
}

func (w *world) Quarantines(context.Context, time.Time, time.Time) ([]checks.Quarantine, error) {
	return w.quarantines, nil
}

func (w *world) Milestones(_ context.Context, check string, _, _ time.Time) ([]report.Milestone, error) {
	return w.milestones[check], nil
}

func (w *world) report(t fataler) *report.Report {
	r, err := report.Build(context.Background(), w.cfg, w.sla, w.month, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// event is a row of an example's second table.
type event struct {
	check, region string
	from, to      time.Time
	words         []string
}

func (e event) covers(check, region string, slot time.Time) bool {
	return (e.check == check || e.check == "*") && (e.region == region || e.region == "*") && !slot.Before(e.from) && slot.Before(e.to)
}

func instant(t fataler, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// fill makes the results that an example tells of, from an hour before the
// month to an hour after it.
func (w *world) fill(t testing.TB, ex *example) {
	t.Helper()
	var events []event
	for _, row := range ex.events {
		e := event{row[0], row[1], instant(t, row[2]), instant(t, row[3]), strings.Fields(row[4])}
		if e.words[0] == "quarantine" {
			w.quarantines = append(w.quarantines, checks.Quarantine{Prober: e.region + "-1", From: e.from, To: e.to, Why: "it says other than everybody else"})
			continue
		}
		events = append(events, e)
	}
	w.results = map[string][]checks.Result{}
	from, to := w.month.Bounds(w.sla.Timezone)
	for _, c := range w.cfg.Checks {
		for slot := from.Add(-time.Hour).UTC(); slot.Before(to.Add(time.Hour)); slot = slot.Add(time.Minute) {
			for _, row := range ex.regions {
				second, _ := strconv.Atoi(row[1])
				took, _ := strconv.Atoi(row[2])
				at := slot.Add(time.Duration(second) * time.Second)
				r := checks.Result{
					Check: c.Name, Region: row[0], Prober: row[0] + "-1", Slot: at, At: at, TookMS: float64(took + at.Minute()),
					Status: checks.Up, Phases: checks.Phases{"connect": 20.5}, Facts: checks.Facts{"http_status": 200.0},
				}
				if i := slices.IndexFunc(events, func(e event) bool { return e.covers(c.Name, row[0], slot) }); i >= 0 {
					words := events[i].words
					if words[0] == "nothing" {
						continue
					}
					r.Status, r.Reason, r.Facts = checks.Status(words[0]), checks.Reason(words[1]), checks.Facts{}
				}
				w.results[c.Name] = append(w.results[c.Name], r)
			}
		}
	}
}

func httpCheck(t fataler, name, title, q string, places ...string) config.Check {
	return config.Check{
		Spec:  checks.Spec{Name: name, Kind: "http", Every: time.Minute, Timeout: 10 * time.Second},
		Title: title, Regions: places, Quorum: quorum(t, q),
	}
}

func percentOf(text string, micros int64) config.Percent {
	return config.Percent{Text: text, Micros: micros}
}

// warsaw is October 2026 as the page has it.
func warsaw(t testing.TB) *world {
	t.Helper()
	places := []string{"eu-west", "us-east", "ap-south"}
	cfg := &config.Config{
		Regions: []config.Region{{Name: "eu-west", Title: "Frankfurt"}, {Name: "us-east", Title: "Virginia"}, {Name: "ap-south", Title: "Mumbai"}},
		Checks:  []config.Check{httpCheck(t, "shop", "Shop front page", "majority", places...), httpCheck(t, "ns", "Name servers", "majority", places...)},
		SLAs: []config.SLA{{
			Name: "gold", Title: "Gold support plan", Checks: []string{"shop", "ns"}, Target: percentOf("99.95", 99_950_000),
			Timezone: zone(t, "Europe/Warsaw"), Combine: "any-down",
			Credits: []config.Credit{{Below: percentOf("99.95", 99_950_000), Percent: 10}, {Below: percentOf("99.0", 99_000_000), Percent: 25}},
		}},
		Maintenance: []config.Maintenance{{
			Title: "Database upgrade", Checks: []string{"shop"},
			Once: &civil.Span{From: instant(t, "2026-10-10T22:00:00Z"), To: instant(t, "2026-10-10T23:00:00Z")},
		}},
	}
	w := &world{cfg: cfg, sla: &cfg.SLAs[0], month: civil.Month{Year: 2026, Month: 10}}
	w.fill(t, examples(t)["October 2026 in Warsaw"])
	w.milestones = map[string][]report.Milestone{"shop": {{
		From: instant(t, "2026-10-06T12:10:20Z"), Opened: instant(t, "2026-10-06T12:10:24.1Z"), Acknowledged: instant(t, "2026-10-06T12:11:59.1Z"),
	}}}
	return w
}

// newYork is March 2026 as the page has it.
func newYork(t testing.TB) *world {
	t.Helper()
	loc := zone(t, "America/New_York")
	cfg := &config.Config{
		Regions: []config.Region{{Name: "us-east", Title: "Virginia"}, {Name: "us-west", Title: "Oregon"}},
		Checks:  []config.Check{httpCheck(t, "api", "API", "majority", "us-east", "us-west"), httpCheck(t, "login", "Sign-in", "any", "us-east", "us-west")},
		SLAs: []config.SLA{{
			Name: "night", Title: "Night desk", Checks: []string{"api", "login"}, Target: percentOf("99.9", 99_900_000),
			Timezone: loc, Combine: "average", MinOutage: 2 * time.Minute,
			ServiceHours: &civil.Hours{Days: civil.EveryDay(), From: 22 * 60, To: 6 * 60},
			Credits:      []config.Credit{{Below: percentOf("99.9", 99_900_000), Percent: 5}},
		}},
		Maintenance: []config.Maintenance{{
			Title: "Key rotation", Checks: []string{"login"}, Zone: loc,
			Weekly: &civil.Hours{Days: civil.Days{time.Sunday: true}, From: 2*60 + 30, To: 3*60 + 30},
		}},
	}
	w := &world{cfg: cfg, sla: &cfg.SLAs[0], month: civil.Month{Year: 2026, Month: 3}}
	w.fill(t, examples(t)["March 2026 in New York"])
	return w
}

// Every value of the page is what the report says, and the page leaves no
// figure of the whole out.
func TestWorkedMonths(t *testing.T) {
	told := examples(t)
	for heading, w := range map[string]*world{"October 2026 in Warsaw": warsaw(t), "March 2026 in New York": newYork(t)} {
		t.Run(heading, func(t *testing.T) {
			var out bytes.Buffer
			if err := report.WriteJSON(&out, []*report.Report{w.report(t)}); err != nil {
				t.Fatal(err)
			}
			w.cfg = load(t, told[heading].yaml)
			w.sla = &w.cfg.SLAs[0]
			var loaded bytes.Buffer
			if err := report.WriteJSON(&loaded, []*report.Report{w.report(t)}); err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(out.String(), loaded.String()); diff != "" {
				t.Errorf("the page's YAML makes another report:\n%s", diff)
			}
			doc := decode(t, out.Bytes())
			said := map[string]bool{}
			for _, row := range told[heading].values {
				path := strings.Trim(row[0], "`")
				top, _, _ := strings.Cut(path, ".")
				said[top], said[path] = true, true
				if got := at(doc, path); got != row[1] {
					t.Errorf("%s is %s, the page says %s", path, got, row[1])
				}
				checkSums(t, path, row[1], row[2])
			}
			for name, value := range doc {
				if value != nil && !said[name] && name != "sla" && name != "title" && name != "month" && name != "timezone" {
					t.Errorf("the page does not tell %s, which is %v", name, value)
				}
			}
			for _, list := range []string{"outages", "checks", "regions"} {
				for i := range doc[list].([]any) {
					if !said[fmt.Sprintf("%s.%d.%s", list, i, map[string]string{"outages": "seconds", "checks": "availability", "regions": "availability"}[list])] {
						t.Errorf("the page does not tell of %s %d", list, i)
					}
				}
			}
			if len(said) < 30 {
				t.Errorf("only %d values were read from the page", len(said))
			}
		})
	}
}

// load reads a configuration as the commands do.
func load(t *testing.T, yaml string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nines.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

var (
	quotient = regexp.MustCompile(`(\d+) / (\d+)(?: = (\d+\.\d+)… %)?`)
	sum      = regexp.MustCompile(`^[\d ().+−·/]*\d[\d ().+−·/]*$`)
)

// checkSums computes what the page gives as a reason, where it is arithmetic.
func checkSums(t *testing.T, path, value, because string) {
	t.Helper()
	if q := quotient.FindStringSubmatch(because); q != nil && !sum.MatchString(because) {
		x, _ := new(big.Rat).SetString(q[1] + "/" + q[2])
		x.Mul(x, big.NewRat(100, 1))
		if got := number(x, 3); string(got) != value {
			t.Errorf("%s: %s is %s %%, not %s", path, q[0], got, value)
		}
		if got := number(x, 5); q[3] != "" && string(got) != strings.TrimRight(q[3], "0") {
			t.Errorf("%s: %s is %s", path, q[0], got)
		}
	}
	if sum.MatchString(because) {
		expression := regexp.MustCompile(`\d+(\.\d+)?`).ReplaceAllStringFunc(because, func(n string) string {
			if strings.Contains(n, ".") {
				return n
			}
			return n + ".0"
		})
		expression = strings.NewReplacer("−", "-", "·", "*").Replace(expression)
		result, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expression)
		if err != nil {
			t.Errorf("%s: %s: %v", path, because, err)
			return
		}
		x, ok := new(big.Rat).SetString(result.Value.ExactString())
		if !ok || string(number(x, 3)) != value {
			t.Errorf("%s: %s is %v, not %s", path, because, x, value)
		}
	}
}

// at returns what stands at a path such as checks.0.seconds.up.
func at(doc any, path string) string {
	for _, step := range strings.Split(path, ".") {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return "missing"
			}
			doc = v[i]
		}
	}
	switch v := doc.(type) {
	case json.Number:
		return v.String()
	case []any:
		var words []string
		for _, word := range v {
			words = append(words, fmt.Sprint(word))
		}
		return strings.Join(words, " ")
	}
	return fmt.Sprint(doc)
}
