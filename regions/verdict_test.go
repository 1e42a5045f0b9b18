package regions_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nines/checks"
	"nines/regions"
)

// epoch is where the tests' times count from.
var epoch = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

func at(ms int64) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

func quorum(t testing.TB, s string) regions.Quorum {
	t.Helper()
	q, err := regions.ParseQuorum(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// rule runs every 10 s with a timeout of 5 s: a result speaks for 25 s.
func rule(q regions.Quorum, names ...string) regions.Rule {
	return regions.Rule{Regions: names, Every: 10 * time.Second, Timeout: 5 * time.Second, Quorum: q}
}

func result(region, prober string, ms int64, status checks.Status, reason checks.Reason) *checks.Result {
	return &checks.Result{Check: "shop", Region: region, Prober: prober, Slot: at(ms), At: at(ms), Status: status, Reason: reason}
}

// The table of the contract's item 2: what so many votes come to.
func TestQuorums(t *testing.T) {
	tests := []struct {
		quorum   string
		votes    string // U up, G degraded, D down, ? unknown, . nothing
		want     regions.Verdict
		degraded bool
	}{
		{"majority", ".", regions.Unknown, false},
		{"majority", "U", regions.Up, false},
		{"majority", "G", regions.Degraded, false},
		{"majority", "D", regions.Down, false},
		{"majority", "U.", regions.Unknown, false},
		{"majority", "D?", regions.Unknown, false},
		{"majority", "UD", regions.Degraded, false},
		{"majority", "DD", regions.Down, false},
		{"majority", "D..", regions.Unknown, false},
		{"majority", "DD.", regions.Down, false},
		{"majority", "DU?", regions.Degraded, false},
		{"majority", "DDU", regions.Down, false},
		{"majority", "DDUU", regions.Degraded, false},
		{"majority", "DDDUU", regions.Down, false},
		{"majority", "GUU", regions.Up, false},
		{"majority", "GU.", regions.Up, false}, // half is no majority
		{"majority", "GGU", regions.Degraded, false},
		{"majority", "GGD", regions.Degraded, false},
		{"any", "DUUUU", regions.Down, false},
		{"any", "UUUUU", regions.Up, false},
		{"any", "D....", regions.Unknown, false},
		{"any", "D", regions.Down, false},
		{"all", "DDU", regions.Degraded, false},
		{"all", "DD?", regions.Down, false},
		{"all", "DDD", regions.Down, false},
		{"2", "DUUU", regions.Degraded, false},
		{"2", "DDUU", regions.Down, false},
		{"3", "DD..", regions.Down, false}, // min(k, n)
		{"3", "DDU.", regions.Degraded, false},
		{"3", "DDDU", regions.Down, false},
		{"7", "D", regions.Down, false},
		{"1", "DU", regions.Down, false},
	}
	for _, tt := range tests {
		t.Run(tt.quorum+"/"+tt.votes, func(t *testing.T) {
			var names []string
			for i := range tt.votes {
				names = append(names, fmt.Sprintf("r%d", i))
			}
			b := regions.NewBoard(rule(quorum(t, tt.quorum), names...))
			for i, vote := range tt.votes {
				status := map[rune]checks.Status{'U': checks.Up, 'G': checks.Degraded, 'D': checks.Down, '?': checks.Unknown}[vote]
				if status != "" {
					b.Add(result(names[i], "p", 0, status, ""))
				}
			}
			j := b.Judge(at(0))
			if j.Verdict != tt.want {
				t.Errorf("%s of %s is %s, want %s", tt.quorum, tt.votes, j.Verdict, tt.want)
			}
			down, up := strings.Count(tt.votes, "D"), strings.Count(tt.votes, "U")+strings.Count(tt.votes, "G")
			if j.Down != down || j.Voting != down+up || j.Degraded != strings.Count(tt.votes, "G") || len(j.Votes) != len(names) {
				t.Errorf("counted as %+v", j)
			}
		})
	}
}

func TestBoardStaleness(t *testing.T) {
	b := regions.NewBoard(rule(quorum(t, "any"), "eu"))
	if got := b.NextChange(at(0)); !got.IsZero() {
		t.Errorf("an empty board changes at %v", got)
	}
	b.Add(result("eu", "p", 0, checks.Down, checks.ConnectTimeout))
	for _, tt := range []struct {
		ms   int64
		want regions.Verdict
	}{{-1, regions.Unknown}, {0, regions.Down}, {24_999, regions.Down}, {25_000, regions.Unknown}} {
		if got := b.Judge(at(tt.ms)).Verdict; got != tt.want {
			t.Errorf("at %d ms: %s, want %s", tt.ms, got, tt.want)
		}
	}
	if got := b.NextChange(at(10)); !got.Equal(at(25_000)) {
		t.Errorf("goes stale at %v", got)
	}
	if got := b.NextChange(at(25_000)); !got.IsZero() {
		t.Errorf("changes again at %v", got)
	}
}

// Of one region's results the latest speaks; of equal at the greater prober,
// then the greater slot; of two versions of one the first by its line.
func TestBoardOrder(t *testing.T) {
	with := func(r *checks.Result, slot int64, took float64) *checks.Result {
		r.Slot, r.TookMS = at(slot), took
		return r
	}
	tests := []struct {
		name    string
		results []*checks.Result // the last one speaks, whatever the order of arrival
	}{
		{"later at", []*checks.Result{result("eu", "z", 0, checks.Down, "a"), result("eu", "a", 1, checks.Up, "b")}},
		{"greater prober", []*checks.Result{with(result("eu", "a", 0, checks.Down, "a"), 9, 1), with(result("eu", "b", 0, checks.Up, "b"), 1, 1)}},
		{"greater slot", []*checks.Result{with(result("eu", "a", 5, checks.Up, "a"), 4, 1), with(result("eu", "a", 5, checks.Down, "b"), 5, 1)}},
		{"took sorts as text", []*checks.Result{with(result("eu", "a", 0, checks.Up, "a"), 0, 9), with(result("eu", "a", 0, checks.Down, "b"), 0, 10)}},
		{"status", []*checks.Result{result("eu", "a", 0, checks.Up, "a"), result("eu", "a", 0, checks.Down, "b")}},
		{"reason", []*checks.Result{result("eu", "a", 0, checks.Down, "b"), result("eu", "a", 0, checks.Down, "a")}},
		{"unknown is later", []*checks.Result{result("eu", "a", 0, checks.Down, "b"), result("eu", "b", 1, checks.Unknown, checks.ProberNetwork)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.results[len(tt.results)-1]
			for range 2 {
				b := regions.NewBoard(rule(quorum(t, "any"), "eu"))
				for _, r := range tt.results {
					b.Add(r)
				}
				v := b.Judge(at(10)).Votes[0]
				status := want.Status
				if status == checks.Unknown {
					status = ""
				}
				if v.Status != status || v.Reason != want.Reason {
					t.Errorf("%+v speaks, want %+v", v, want)
				}
				slices.Reverse(tt.results)
			}
		})
	}
}

// A prober whose clock is an hour ahead must not silence the one beside it.
func TestBoardWithAClockAhead(t *testing.T) {
	b := regions.NewBoard(rule(quorum(t, "any"), "eu"))
	b.Add(result("eu", "ahead", 3_600_000, checks.Down, checks.ConnectReset))
	for ms := int64(0); ms < 100_000; ms += 10_000 {
		if !b.Add(result("eu", "right", ms, checks.Up, "")) {
			t.Fatalf("the result at %d ms has no place", ms)
		}
		if got := b.Judge(at(ms)).Verdict; got != regions.Up {
			t.Fatalf("at %d ms: %s", ms, got)
		}
	}
	if b.Add(result("eu", "right", 0, checks.Down, "")) || b.Add(result("us", "right", 90_000, checks.Down, "")) {
		t.Error("a result that says nothing any more, or of nowhere, has a place")
	}
	if got := b.NextChange(at(90_000)); !got.Equal(at(115_000)) {
		t.Errorf("the next change is at %v", got)
	}
	if got := b.NextChange(at(115_000)); !got.Equal(at(3_600_000)) {
		t.Errorf("the change after is at %v", got)
	}
}

func TestWhere(t *testing.T) {
	b := regions.NewBoard(rule(quorum(t, "any"), "d", "c", "b", "a", "e"))
	b.Add(result("a", "p", 0, checks.Down, checks.TLSExpired))
	b.Add(result("b", "p", 0, checks.Down, checks.ConnectTimeout))
	b.Add(result("c", "p", 0, checks.Down, checks.TLSExpired))
	b.Add(result("d", "p", 0, checks.Down, checks.ConnectTimeout))
	b.Add(result("e", "p", 0, checks.Up, ""))
	down, reason := b.Judge(at(0)).Where()
	if want := []string{"d", "c", "b", "a"}; !slices.Equal(down, want) || reason != checks.ConnectTimeout {
		t.Errorf("down %v for %s", down, reason)
	}
}

func TestTimeline(t *testing.T) {
	r := rule(quorum(t, "majority"), "eu", "us", "ap")
	results := []*checks.Result{
		result("eu", "p", -5_000, checks.Up, ""), // from before: speaks until 20 s
		result("us", "p", 1_000, checks.Up, ""),
		result("mars", "p", 1_500, checks.Down, "x"), // not configured
		result("ap", "p", 2_000, checks.Degraded, checks.SlowTotal),
		result("us", "p", 11_000, checks.Down, checks.ConnectReset),
		result("eu", "p", 12_000, checks.Down, checks.ConnectTimeout),
		result("ap", "p", 12_000, checks.Down, checks.ConnectTimeout),
		result("us", "q", 20_000, checks.Up, ""), // quarantined: us is silent
		result("eu", "p", 30_000, checks.Up, ""),
		result("us", "p", 30_000, checks.Up, ""),
	}
	quarantines := []checks.Quarantine{{Prober: "q", From: at(20_000), To: at(20_001)}}
	want := []regions.Span{
		{From: at(0), To: at(1_000), Verdict: regions.Unknown},
		{From: at(1_000), To: at(11_000), Verdict: regions.Up}, // one of three degraded
		{From: at(11_000), To: at(12_000), Verdict: regions.Degraded, Down: []string{"us"}, Reason: checks.ConnectReset},
		{From: at(12_000), To: at(30_000), Verdict: regions.Down, Down: []string{"eu", "us", "ap"}, Reason: checks.ConnectTimeout},
		{From: at(30_000), To: at(37_000), Verdict: regions.Degraded, Down: []string{"ap"}, Reason: checks.ConnectTimeout},
		{From: at(37_000), To: at(55_000), Verdict: regions.Up}, // ap went stale
		{From: at(55_000), To: at(60_000), Verdict: regions.Unknown},
	}
	for range 3 {
		got := regions.Timeline(r, slices.Values(results), quarantines, at(0), at(60_000))
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		slices.Reverse(results)
		results = append(results, results[:3]...) // the same again changes nothing
	}
	folded := regions.Fold(want)
	if len(folded) != 5 || folded[1].Verdict != regions.Up || !folded[1].To.Equal(at(12_000)) || !folded[3].To.Equal(at(55_000)) {
		t.Errorf("folded to %+v", folded)
	}
}

// drawn is a small world of results.
type drawn struct {
	rule        regions.Rule
	results     []*checks.Result
	quarantines []checks.Quarantine
	end         int64 // ms
}

func draw(t *rapid.T) drawn {
	names := []string{"a", "b", "c", "d", "e"}[:rapid.IntRange(1, 5).Draw(t, "regions")]
	var q regions.Quorum
	text := rapid.SampledFrom([]string{"majority", "any", "all", "1", "2", "3", "9"}).Draw(t, "quorum")
	if err := q.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	d := drawn{
		rule: regions.Rule{Regions: names, Quorum: q, Every: 10 * time.Millisecond, Timeout: time.Duration(rapid.IntRange(1, 10).Draw(t, "timeout")) * time.Millisecond},
		end:  int64(rapid.IntRange(1, 150).Draw(t, "end")),
	}
	status := rapid.SampledFrom([]checks.Status{checks.Up, checks.Up, checks.Degraded, checks.Down, checks.Down, checks.Unknown})
	for range rapid.IntRange(0, 40).Draw(t, "results") {
		ms := int64(rapid.IntRange(-40, 150).Draw(t, "at"))
		d.results = append(d.results, &checks.Result{
			Check: "shop", Region: rapid.SampledFrom(append(names, "nowhere")).Draw(t, "region"), Prober: rapid.SampledFrom([]string{"p", "q"}).Draw(t, "prober"),
			At: at(ms), Slot: at(ms - int64(rapid.IntRange(0, 2).Draw(t, "late"))), TookMS: float64(rapid.IntRange(1, 12).Draw(t, "took")),
			Status: status.Draw(t, "status"), Reason: rapid.SampledFrom([]checks.Reason{"x", "y"}).Draw(t, "reason"),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "quarantines") {
		from := int64(rapid.IntRange(-40, 150).Draw(t, "from"))
		d.quarantines = append(d.quarantines, checks.Quarantine{Prober: "q", From: at(from), To: at(from + int64(rapid.IntRange(1, 60).Draw(t, "long")))})
	}
	return d
}

// naive is the contract's items 1 and 2, word by word, at one instant.
func (d drawn) naive(t time.Time) (regions.Verdict, []string) {
	n, down, degraded := 0, 0, 0
	var where []string
	for _, region := range d.rule.Regions {
		var latest *checks.Result
		for _, r := range d.results {
			if r.Region != region || r.At.After(t) {
				continue
			}
			if latest == nil || order(r, latest) > 0 {
				latest = r
			}
		}
		if latest == nil || t.Sub(latest.At) >= 2*d.rule.Every+d.rule.Timeout || latest.Status == checks.Unknown {
			continue
		}
		if slices.ContainsFunc(d.quarantines, func(q checks.Quarantine) bool { return q.Covers(latest) }) {
			continue
		}
		n++
		switch latest.Status {
		case checks.Down:
			down++
			where = append(where, region)
		case checks.Degraded:
			degraded++
		}
	}
	met := false
	switch q := d.rule.Quorum.String(); q {
	case "majority":
		met = 2*down > n
	case "any":
		met = down >= 1
	case "all":
		met = down == n
	default:
		k := int(q[0] - '0')
		met = down >= min(k, n)
	}
	switch {
	case n == 0 || n < min(2, len(d.rule.Regions)):
		return regions.Unknown, where
	case met:
		return regions.Down, where
	case down > 0 || 2*degraded > n:
		return regions.Degraded, where
	}
	return regions.Up, where
}

func order(a, b *checks.Result) int {
	if c := cmp.Or(a.At.Compare(b.At), strings.Compare(a.Prober, b.Prober), a.Slot.Compare(b.Slot)); c != 0 {
		return c
	}
	return -strings.Compare(line(a), line(b))
}

func line(r *checks.Result) string {
	var b strings.Builder
	if err := checks.WriteRecord(&b, checks.Record{Result: r}); err != nil {
		panic(err)
	}
	return b.String()
}

// Timeline, Board and the words of the contract agree at every millisecond.
func TestAgreement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		spans := regions.Timeline(d.rule, slices.Values(d.results), d.quarantines, at(0), at(d.end))
		board := regions.NewBoard(d.rule)
		arrivals := rapid.Permutation(d.results).Draw(t, "arrivals")
		for _, r := range arrivals {
			sick := *r
			for _, q := range d.quarantines {
				if q.Covers(r) {
					sick.Status = checks.Unknown
				}
			}
			board.Add(&sick)
		}
		i := 0
		for ms := int64(0); ms < d.end; ms++ {
			for !at(ms).Before(spans[i].To) {
				i++
			}
			want, where := d.naive(at(ms))
			if spans[i].Verdict != want {
				t.Fatalf("at %d ms the timeline says %s, the contract %s", ms, spans[i].Verdict, want)
			}
			if spans[i].From.Equal(at(ms)) && !slices.Equal(spans[i].Down, where) {
				t.Fatalf("at %d ms the timeline has %v down, the contract %v", ms, spans[i].Down, where)
			}
			if got := board.Judge(at(ms)).Verdict; got != want {
				t.Fatalf("at %d ms the board says %s, the contract %s", ms, got, want)
			}
		}
		if !spans[0].From.Equal(at(0)) || !spans[len(spans)-1].To.Equal(at(d.end)) {
			t.Fatalf("the spans do not fill the time: %v", spans)
		}
		for i := 1; i < len(spans); i++ {
			if !spans[i].From.Equal(spans[i-1].To) || spans[i].Verdict == spans[i-1].Verdict || !spans[i].From.Before(spans[i].To) {
				t.Fatalf("spans %d and %d do not fit: %v", i-1, i, spans)
			}
		}
	})
}

// Between two changes that the board foretells, its verdict stays.
func TestNextChangeMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		board := regions.NewBoard(d.rule)
		for _, r := range d.results {
			board.Add(r)
		}
		next := board.NextChange(at(-40))
		before := board.Judge(at(-40))
		for ms := int64(-39); ms < 250; ms++ {
			j := board.Judge(at(ms))
			if next.Equal(at(ms)) {
				next = board.NextChange(at(ms))
			} else if diff := gocmp.Diff(before, j); diff != "" {
				t.Fatalf("at %d ms the judgement changed, the next change was to be at %v:\n%s", ms, next, diff)
			}
			before = j
		}
		if !next.IsZero() {
			t.Fatalf("another change at %v", next)
		}
	})
}

// A region's own spans are its votes.
func TestRegionSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		slices.SortStableFunc(d.results, func(a, b *checks.Result) int { return a.At.Compare(b.At) })
		s := regions.NewSweep(d.rule, d.quarantines, at(0))
		for _, r := range d.results {
			if r.At.Before(at(d.end)) {
				s.Add(r)
			}
		}
		s.End(at(d.end))
		for i, spans := range s.Regions() {
			one := d
			one.rule.Regions, one.rule.Quorum = d.rule.Regions[i:i+1], quorum1
			k := 0
			for ms := int64(0); ms < d.end; ms++ {
				for !at(ms).Before(spans[k].To) {
					k++
				}
				verdict, _ := one.naive(at(ms))
				want := map[regions.Verdict]checks.Status{regions.Up: checks.Up, regions.Degraded: checks.Up, regions.Down: checks.Down}[verdict]
				if spans[k].Status != want {
					t.Fatalf("at %d ms region %d is %q, want %q", ms, i, spans[k].Status, want)
				}
			}
		}
	})
}

var quorum1 = regions.AtLeast(1)

func BenchmarkTimeline(b *testing.B) {
	names := []string{"a", "b", "c", "d", "e"}
	r := regions.Rule{Regions: names, Every: time.Minute, Timeout: 10 * time.Second}
	var results []*checks.Result
	for slot := range int64(31 * 24 * 60) {
		for i, name := range names {
			results = append(results, result(name, name, slot*60_000+int64(i)*12_000, checks.Up, ""))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		regions.Timeline(r, slices.Values(results), nil, at(0), at(31*24*3_600_000))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(results)), "ns/result")
}
