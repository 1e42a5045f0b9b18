package sla_test

import (
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nines/internal/civil"
	"nines/scheduler/sla"
)

func span(from, to int64, s sla.State) sla.Span {
	return sla.Span{Interval: sla.Interval{From: from, To: to}, State: s}
}

func TestAccount(t *testing.T) {
	window := sla.Interval{From: 100, To: 200}
	tests := []struct {
		name    string
		terms   sla.Terms
		checks  []sla.Check
		want    sla.Totals
		outages []sla.Outage
	}{
		{
			name:   "nothing is known",
			checks: []sla.Check{{}},
			want:   sla.Totals{Window: 100, Unknown: 100},
		},
		{
			name:   "gaps are unknown",
			checks: []sla.Check{{Spans: []sla.Span{span(110, 120, sla.Up), span(130, 140, sla.Down), span(140, 150, sla.Up)}}},
			want:   sla.Totals{Window: 100, Up: 20, Down: 10, Unknown: 70},
			outages: []sla.Outage{
				{Span: 1, Interval: sla.Interval{From: 130, To: 140}, Counted: 10},
			},
		},
		{
			name:   "an outage is listed whole and counted inside",
			checks: []sla.Check{{Spans: []sla.Span{span(50, 110, sla.Down), span(110, 190, sla.Up), span(190, 300, sla.Down)}}},
			want:   sla.Totals{Window: 100, Up: 80, Down: 20},
			outages: []sla.Outage{
				{Span: 0, Interval: sla.Interval{From: 50, To: 110}, Counted: 10},
				{Span: 2, Interval: sla.Interval{From: 190, To: 300}, Counted: 10},
			},
		},
		{
			name:   "one that ends where the window starts is none",
			checks: []sla.Check{{Spans: []sla.Span{span(50, 100, sla.Down), span(100, 200, sla.Up), span(200, 250, sla.Down)}}},
			want:   sla.Totals{Window: 100, Up: 100},
		},
		{
			name:   "min_outage looks at the whole span",
			terms:  sla.Terms{MinOutage: 30},
			checks: []sla.Check{{Spans: []sla.Span{span(71, 110, sla.Down), span(110, 120, sla.Up), span(120, 149, sla.Down), span(149, 150, sla.Unknown), span(150, 180, sla.Down), span(180, 200, sla.Up)}}},
			want:   sla.Totals{Window: 100, Up: 59, Down: 40, Unknown: 1},
			outages: []sla.Outage{
				{Span: 0, Interval: sla.Interval{From: 71, To: 110}, Counted: 10},
				{Span: 4, Interval: sla.Interval{From: 150, To: 180}, Counted: 30},
			},
		},
		{
			name:   "min_outage comes before excusing",
			terms:  sla.Terms{MinOutage: 30},
			checks: []sla.Check{{Spans: []sla.Span{span(100, 130, sla.Down), span(130, 200, sla.Up)}, Excused: []sla.Interval{{From: 105, To: 125}}}},
			want:   sla.Totals{Window: 100, Up: 70, Down: 10, Excused: 20},
			outages: []sla.Outage{
				{Interval: sla.Interval{From: 100, To: 130}, Counted: 10},
			},
		},
		{
			name:   "excused wins over all, however often",
			checks: []sla.Check{{Spans: []sla.Span{span(120, 140, sla.Down), span(140, 160, sla.Up)}, Excused: []sla.Interval{{150, 170}, {90, 110}, {115, 145}, {120, 130}, {190, 400}, {180, 175}}}},
			want:   sla.Totals{Window: 100, Up: 5, Unknown: 25, Excused: 70},
		},
		{
			name: "any-down: down, else unknown, else up",
			checks: []sla.Check{
				{Spans: []sla.Span{span(100, 150, sla.Up), span(150, 200, sla.Down)}},
				{Spans: []sla.Span{span(100, 120, sla.Down), span(130, 200, sla.Up)}},
			},
			want: sla.Totals{Window: 100, Up: 20, Down: 70, Unknown: 10},
			outages: []sla.Outage{
				{Check: 1, Interval: sla.Interval{From: 100, To: 120}, Counted: 20},
				{Check: 0, Span: 1, Interval: sla.Interval{From: 150, To: 200}, Counted: 50},
			},
		},
		{
			name: "any-down: who is excused has no say; excused when all are",
			checks: []sla.Check{
				{Spans: []sla.Span{span(100, 200, sla.Down)}, Excused: []sla.Interval{{100, 150}}},
				{Spans: []sla.Span{span(100, 200, sla.Up)}, Excused: []sla.Interval{{140, 160}}},
			},
			want: sla.Totals{Window: 100, Up: 40, Down: 50, Excused: 10},
			outages: []sla.Outage{
				{Interval: sla.Interval{From: 100, To: 200}, Counted: 50},
			},
		},
		{
			name:  "average adds up",
			terms: sla.Terms{Average: true},
			checks: []sla.Check{
				{Spans: []sla.Span{span(100, 200, sla.Down)}, Excused: []sla.Interval{{100, 150}}},
				{Spans: []sla.Span{span(100, 199, sla.Up)}},
			},
			want: sla.Totals{Window: 200, Up: 99, Down: 50, Unknown: 1, Excused: 50},
			outages: []sla.Outage{
				{Interval: sla.Interval{From: 100, To: 200}, Counted: 50},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.terms.Window = window
			got := sla.Account(tt.terms, tt.checks)
			if got.Totals != tt.want {
				t.Errorf("got  %v\nwant %v", got.Totals, tt.want)
			}
			if diff := cmp.Diff(tt.outages, got.Outages); diff != "" {
				t.Errorf("outages, -want +got:\n%s", diff)
			}
		})
	}
}

// ledger is one whose totals are as given.
func ledger(up, down, unknown, excused, target int64, credits ...sla.Credit) sla.Ledger {
	return sla.Ledger{
		Terms:  sla.Terms{Target: target, Credits: credits},
		Totals: sla.Totals{Window: up + down + unknown + excused, Up: up, Down: down, Unknown: unknown, Excused: excused},
	}
}

func TestFigures(t *testing.T) {
	tests := []struct {
		name                                string
		ledger                              sla.Ledger
		availability, worst, best, coverage string // in thousandths, - is null
		verdict                             sla.Verdict
		allowed, left                       int64
	}{
		{"the contract's own", ledger(2_681_400_000, 480_000, 120_000, 0, 99_950_000), "99982", "99977", "99982", "99995", sla.Met, 1_341_000, 861_000},
		{"all up", ledger(1000, 0, 0, 0, 100_000_000), "100000", "100000", "100000", "100000", sla.Met, 0, 0},
		{"never rounded up", ledger(999_999_999, 1, 0, 0, 100_000_000), "99999", "99999", "99999", "100000", sla.Breached, 0, -1},
		{"exactly the target", ledger(9995, 5, 0, 0, 99_950_000), "99950", "99950", "99950", "100000", sla.Met, 5, 0},
		{"a millisecond short", ledger(99_949_999, 50_001, 0, 0, 99_950_000), "99949", "99949", "99949", "100000", sla.Breached, 50_000, -1},
		{"a target of more digits than are shown", ledger(9_999_994, 6, 0, 0, 99_999_500), "99999", "99999", "99999", "100000", sla.Met, 50, 44},
		{"and missed", ledger(9_999_949, 51, 0, 0, 99_999_500), "99999", "99999", "99999", "100000", sla.Breached, 50, -1},
		{"it depends on the unknown", ledger(9990, 5, 5, 100, 99_950_000), "99949", "99900", "99950", "99950", sla.Indeterminate, 5, 0},
		{"nothing is known", ledger(0, 0, 10, 0, 99_950_000), "-", "0", "100000", "0", sla.Indeterminate, 0, 0},
		{"nothing counts", ledger(0, 0, 0, 10, 99_950_000), "-", "-", "-", "-", sla.Indeterminate, 0, 0},
		{"all down", ledger(0, 10, 0, 0, 0), "0", "0", "0", "100000", sla.Met, 10, 0},
		{"a thousand checks for a century", ledger(3_155_760_000_000*1000-1, 1, 0, 0, 99_999_999), "99999", "99999", "99999", "100000", sla.Met, 31_557_600, 31_557_599},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			show := func(r sla.Ratio) string {
				n, ok := r.Thousandths()
				if !ok {
					return "-"
				}
				return fmt.Sprint(n)
			}
			l := tt.ledger
			got := []string{show(l.Availability()), show(l.Worst()), show(l.Best()), show(l.Coverage()), string(l.Verdict()), fmt.Sprint(l.Allowed()), fmt.Sprint(l.Left())}
			want := []string{tt.availability, tt.worst, tt.best, tt.coverage, string(tt.verdict), fmt.Sprint(tt.allowed), fmt.Sprint(tt.left)}
			if !slices.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

func TestCredit(t *testing.T) {
	credits := []sla.Credit{{Below: 99_950_000, Percent: 10}, {Below: 95_000_000, Percent: 50}, {Below: 99_000_000, Percent: 25}}
	tests := []struct {
		up, down int64
		want     float64
	}{
		{10_000, 0, 0}, {99_950, 50, 0}, {99_949, 51, 10}, {99_000, 1000, 10}, {98_999, 1001, 25}, {95, 5, 25}, {94, 6, 50}, {0, 1, 50}, {0, 0, 0},
		{99_949_999_999, 50_000_001, 10}, // shown as 99.949, and so it is
		{99_950_000_001, 49_999_999, 0},
	}
	for _, tt := range tests {
		got, ok := ledger(tt.up, tt.down, 0, 0, 0, credits...).Credit()
		if got.Percent != tt.want || ok != (tt.want != 0) {
			t.Errorf("up %d, down %d: credit %v, want %v", tt.up, tt.down, got, tt.want)
		}
	}
}

func TestBetweenFailures(t *testing.T) {
	l := ledger(1000, 10, 0, 0, 0)
	if _, ok := l.BetweenFailures(); ok {
		t.Error("there is a time between no failures")
	}
	l.Outages = make([]sla.Outage, 3)
	if got, _ := l.BetweenFailures(); got != 333 {
		t.Errorf("got %d", got)
	}
}

// Whole numbers and comparisons are what exact fractions say.
func TestRatioIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Int64Range(1, 1<<60).Draw(t, "whole")
		part := rapid.Int64Range(0, whole).Draw(t, "part")
		target := rapid.Int64Range(0, 100_000_000).Draw(t, "target")
		r := sla.Ratio{Part: part, Whole: whole}
		exact := new(big.Rat).SetFrac64(part, whole)
		wanted := new(big.Rat).SetFrac64(target, 100_000_000)
		if got, want := r.AtLeast(target), exact.Cmp(wanted) >= 0; got != want || r.Below(target) == want {
			t.Fatalf("%d/%d at least %d: %v", part, whole, target, got)
		}
		got, _ := r.Thousandths()
		low := new(big.Rat).SetFrac64(got, 100_000)
		high := new(big.Rat).SetFrac64(got+1, 100_000)
		if low.Cmp(exact) > 0 || exact.Cmp(high) >= 0 {
			t.Fatalf("%d/%d is shown as %d", part, whole, got)
		}
	})
}

// world is a small window of few checks.
type world struct {
	terms  sla.Terms
	checks []sla.Check
}

func draw(t *rapid.T) world {
	w := world{terms: sla.Terms{
		Window:    sla.Interval{From: 0, To: int64(rapid.IntRange(1, 60).Draw(t, "window"))},
		MinOutage: int64(rapid.SampledFrom([]int{0, 0, 1, 5, 20}).Draw(t, "min_outage")),
		Average:   rapid.Bool().Draw(t, "average"),
		Target:    rapid.Int64Range(0, 100_000_000).Draw(t, "target"),
	}}
	for range rapid.IntRange(1, 4).Draw(t, "checks") {
		var c sla.Check
		at := int64(rapid.IntRange(-30, 10).Draw(t, "start"))
		for range rapid.IntRange(0, 8).Draw(t, "spans") {
			at += int64(rapid.SampledFrom([]int{0, 0, 0, 3}).Draw(t, "gap"))
			long := int64(rapid.IntRange(1, 20).Draw(t, "long"))
			c.Spans = append(c.Spans, span(at, at+long, rapid.SampledFrom([]sla.State{sla.Up, sla.Down, sla.Unknown}).Draw(t, "state")))
			at += long
		}
		// As a timeline has them: what touches is different.
		for i := 1; i < len(c.Spans); i++ {
			if c.Spans[i].State == c.Spans[i-1].State && c.Spans[i].From == c.Spans[i-1].To {
				c.Spans[i-1].To = c.Spans[i].To
				c.Spans = slices.Delete(c.Spans, i, i+1)
				i--
			}
		}
		for range rapid.IntRange(0, 3).Draw(t, "excused") {
			from := int64(rapid.IntRange(-10, 60).Draw(t, "from"))
			c.Excused = append(c.Excused, sla.Interval{From: from, To: from + int64(rapid.IntRange(-2, 30).Draw(t, "length"))})
		}
		w.checks = append(w.checks, c)
	}
	return w
}

// naive asks every millisecond of the window on its own.
func (w world) naive() (total sla.Totals, checks []sla.Totals) {
	checks = make([]sla.Totals, len(w.checks))
	count := func(t *sla.Totals, s sla.State) {
		t.Window++
		*map[sla.State]*int64{sla.Up: &t.Up, sla.Down: &t.Down, sla.Unknown: &t.Unknown, sla.Excused: &t.Excused}[s]++
	}
	for at := w.terms.Window.From; at < w.terms.Window.To; at++ {
		said := map[sla.State]bool{}
		for i, c := range w.checks {
			state := sla.Unknown
			for _, s := range c.Spans {
				if s.From <= at && at < s.To {
					state = s.State
					if state == sla.Down && s.To-s.From < w.terms.MinOutage {
						state = sla.Up
					}
				}
			}
			for _, e := range c.Excused {
				if e.From <= at && at < e.To {
					state = sla.Excused
				}
			}
			count(&checks[i], state)
			if w.terms.Average {
				count(&total, state)
			}
			said[state] = true
		}
		if w.terms.Average {
			continue
		}
		switch {
		case said[sla.Down]:
			count(&total, sla.Down)
		case said[sla.Unknown]:
			count(&total, sla.Unknown)
		case said[sla.Up]:
			count(&total, sla.Up)
		default:
			count(&total, sla.Excused)
		}
	}
	return total, checks
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		l := sla.Account(w.terms, w.checks)
		total, each := w.naive()
		if l.Totals != total || !slices.Equal(l.Checks, each) {
			t.Fatalf("got  %v %v\nwant %v %v", l.Totals, l.Checks, total, each)
		}
		window := w.terms.Window.Len()
		if w.terms.Average {
			window *= int64(len(w.checks))
		}
		if l.Up+l.Down+l.Unknown+l.Excused != window || l.Window != window {
			t.Fatalf("%v do not sum to %d", l.Totals, window)
		}
		var counted int64
		for _, o := range l.Outages {
			counted += o.Counted
			if o.Counted <= 0 || o.Len() < w.terms.MinOutage {
				t.Fatalf("outage %+v", o)
			}
		}
		var down int64
		for _, c := range l.Checks {
			down += c.Down
		}
		if counted != down {
			t.Fatalf("outages count %d of %d down", counted, down)
		}
		worst, okWorst := l.Worst().Thousandths()
		best, _ := l.Best().Thousandths()
		if mid, ok := l.Availability().Thousandths(); ok && (worst > mid || mid > best) || okWorst && worst > best {
			t.Fatalf("worst %d, best %d of %v", worst, best, l.Totals)
		}
		if l.Left() > l.Allowed() || l.Allowed() < 0 {
			t.Fatalf("allowed %d, left %d", l.Allowed(), l.Left())
		}
	})
}

// Two halves of a window add up to the whole.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		whole := sla.Account(w.terms, w.checks)
		cut := rapid.Int64Range(w.terms.Window.From, w.terms.Window.To).Draw(t, "cut")
		first, second := w.terms, w.terms
		first.Window.To, second.Window.From = cut, cut
		a, b := sla.Account(first, w.checks), sla.Account(second, w.checks)
		sum := sla.Totals{a.Window + b.Window, a.Up + b.Up, a.Down + b.Down, a.Unknown + b.Unknown, a.Excused + b.Excused}
		if sum != whole.Totals {
			t.Fatalf("%v and %v are not %v", a.Totals, b.Totals, whole.Totals)
		}
	})
}

// What was up and turns out to have been down never makes a figure better.
func TestDownIsNeverBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		before := sla.Account(w.terms, w.checks)
		c := rapid.IntRange(0, len(w.checks)-1).Draw(t, "check")
		var ups []int
		for i, s := range w.checks[c].Spans {
			if s.State == sla.Up {
				ups = append(ups, i)
			}
		}
		if len(ups) == 0 {
			t.Skip("nothing is up")
		}
		w.checks[c].Spans[rapid.SampledFrom(ups).Draw(t, "span")].State = sla.Down
		after := sla.Account(w.terms, w.checks)
		for _, pair := range [][2]sla.Ratio{{before.Availability(), after.Availability()}, {before.Worst(), after.Worst()}, {before.Best(), after.Best()}} {
			was, ok := pair[0].Thousandths()
			is, _ := pair[1].Thousandths()
			if ok && is > was {
				t.Fatalf("from %d to %d: %v, then %v", was, is, before.Totals, after.Totals)
			}
		}
		if after.Down < before.Down || after.Left() > before.Left() {
			t.Fatalf("%v, then %v", before.Totals, after.Totals)
		}
	})
}

func TestIntervals(t *testing.T) {
	list := []sla.Interval{{5, 7}, {1, 2}, {2, 4}, {6, 9}, {8, 3}, {20, 20}}
	union := sla.Union(list)
	if want := []sla.Interval{{1, 4}, {5, 9}}; !slices.Equal(union, want) {
		t.Errorf("union %v, want %v", union, want)
	}
	if list[0] != (sla.Interval{From: 5, To: 7}) {
		t.Error("the list was modified")
	}
	w := sla.Interval{From: 3, To: 12}
	if got, want := sla.Complement(w, union), []sla.Interval{{4, 5}, {9, 12}}; !slices.Equal(got, want) {
		t.Errorf("complement %v, want %v", got, want)
	}
	if got := sla.Outside(w, union); got != 4 {
		t.Errorf("%d lie outside", got)
	}
	if got := sla.Complement(w, nil); !slices.Equal(got, []sla.Interval{w}) {
		t.Errorf("the complement of nothing is %v", got)
	}
}

// Nights over the hour that Warsaw lives twice, and over the one it lacks.
func TestOutsideHours(t *testing.T) {
	warsaw, err := time.LoadLocation("Europe/Warsaw")
	if err != nil {
		t.Fatal(err)
	}
	night := &civil.Hours{Days: civil.EveryDay(), From: 22 * 60, To: 6 * 60}
	tests := []struct {
		date    string
		outside time.Duration // 06:00 to 22:00, whatever the night's length
		within  time.Duration
	}{
		{"2026-10-24T12:00:00+02:00", 16 * time.Hour, 9 * time.Hour},
		{"2026-03-28T12:00:00+01:00", 16 * time.Hour, 7 * time.Hour},
		{"2026-06-01T12:00:00+02:00", 16 * time.Hour, 8 * time.Hour},
	}
	for _, tt := range tests {
		noon, err := time.Parse(time.RFC3339, tt.date)
		if err != nil {
			t.Fatal(err)
		}
		w := sla.Interval{From: noon.UnixMilli(), To: noon.Add(tt.outside + tt.within).UnixMilli()}
		var outside int64
		for _, i := range sla.OutsideHours(w, night, warsaw) {
			outside += i.Len()
		}
		if outside != tt.outside.Milliseconds() {
			t.Errorf("from %s: %v outside, want %v", tt.date, time.Duration(outside)*time.Millisecond, tt.outside)
		}
	}
	if got := sla.OutsideHours(sla.Interval{From: 0, To: 9}, nil, time.UTC); got != nil {
		t.Errorf("outside of always is %v", got)
	}
}

func ExampleAccount() {
	l := sla.Account(sla.Terms{
		Window:  sla.Interval{From: 0, To: 2_682_000_000}, // October 2026 in Warsaw: 745 hours
		Target:  99_950_000,
		Credits: []sla.Credit{{Below: 99_950_000, Percent: 10}},
	}, []sla.Check{{Spans: []sla.Span{
		{Interval: sla.Interval{From: 0, To: 600_000}, State: sla.Up},
		{Interval: sla.Interval{From: 600_000, To: 1_080_000}, State: sla.Down},
		{Interval: sla.Interval{From: 1_200_000, To: 2_682_000_000}, State: sla.Up}, // unknown before
	}}})
	thousandths, _ := l.Availability().Thousandths()
	fmt.Println(l.Totals)
	fmt.Println(thousandths, l.Verdict(), l.Allowed(), l.Left())
	// Output:
	// window 2682000000 = up 2681400000 + down 480000 + unknown 120000 + excused 0 ms
	// 99982 met 1341000 861000
}
