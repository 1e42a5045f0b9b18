package statuspage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"nines/internal/civil"
)

// fake is a Source of data that a test has made; calls counts what was asked.
type fake struct {
	page      *Page
	checks    map[string]*CheckPage
	incidents map[int64]*Incident
	err       error
	calls     atomic.Int64
}

func (f *fake) Page(context.Context) (*Page, error) {
	f.calls.Add(1)
	return f.page, f.err
}

func (f *fake) CheckPage(_ context.Context, name string) (*CheckPage, error) {
	f.calls.Add(1)
	if c, ok := f.checks[name]; ok {
		return c, f.err
	}
	return nil, ErrNotFound
}

func (f *fake) Incident(_ context.Context, id int64) (*Incident, error) {
	f.calls.Add(1)
	if i, ok := f.incidents[id]; ok {
		return i, f.err
	}
	return nil, ErrNotFound
}

// at is the moment at which the example is looked at.
var at = time.Date(2026, 11, 23, 14, 2, 41, 0, time.UTC)

// example is a site with something of everything.
func example() *fake {
	p := &Page{
		Now: at, Newest: at.Add(-9 * time.Second), StaleAfter: 3 * time.Minute, Days: 90,
		Regions: []Region{{"eu-west", "Frankfurt"}, {"us-east", "Virginia"}, {"ap-south", "Mumbai"}},
		Groups: []Group{
			{"Storefront", []Check{
				exampleCheck("shop", "Shop front page", Down, at.Add(-6*time.Minute), map[int]Times{0: {Down: 6 * time.Minute}, 21: {Down: 12*time.Minute + 30*time.Second}, 60: {Down: 2*time.Hour + 5*time.Minute}}, 90),
				exampleCheck("checkout", "Checkout", Degraded, at.Add(-31*time.Minute), map[int]Times{0: {Degraded: 31 * time.Minute}, 21: {Down: 4 * time.Minute}}, 90),
				exampleCheck("mobile", "Shop on a slow phone", Up, at.Add(-21*24*time.Hour), map[int]Times{33: {Unknown: 20 * time.Hour}, 34: {Unknown: 24 * time.Hour}}, 40),
			}},
			{"Platform", []Check{
				exampleCheck("api", "Public API", Up, at.Add(-12*24*time.Hour), map[int]Times{12: {Excused: time.Hour}}, 90),
				exampleCheck("ns", "Name servers", Maintenance, at.Add(-17*time.Minute), map[int]Times{0: {Excused: 17 * time.Minute}, 45: {Excused: 20 * time.Hour}}, 90),
			}},
			{"", []Check{
				exampleCheck("cert", "Certificate of shop.example.com", Unknown, at.Add(-4*time.Minute), nil, 90),
			}},
		},
		Planned: []Window{
			{"w-0", "Database upgrade", []string{"api"}, at.Add(-12*24*time.Hour - 2*time.Hour).Truncate(time.Hour), at.Add(-12*24*time.Hour - time.Hour).Truncate(time.Hour)},
			{"w-1", "Name servers move house", []string{"ns"}, time.Date(2026, 11, 23, 13, 45, 0, 0, time.UTC), time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)},
			{"w-2", "New payment provider", []string{"shop", "checkout"}, time.Date(2026, 11, 28, 22, 0, 0, 0, time.UTC), time.Date(2026, 11, 29, 1, 30, 0, 0, time.UTC)},
		},
		SLAs: []SLA{
			{"gold", "Gold support plan", civil.Month{Year: 2026, Month: 11}, "99.95", percentOf(99_942), 21*time.Minute + 36*time.Second, 3*time.Minute + 6*time.Second, Up},
			{"silver", "Silver support plan", civil.Month{Year: 2026, Month: 11}, "99.99", percentOf(99_942), 4*time.Minute + 19*time.Second, -14 * time.Minute, Down},
			{"bronze", "Bronze", civil.Month{Year: 2026, Month: 11}, "99.5", nil, 3*time.Hour + 36*time.Minute, 3*time.Hour + 36*time.Minute, Unknown},
		},
	}
	open := Incident{
		ID: 41, Check: "shop", Title: "Shop front page", Layer: "connect",
		From: at.Add(-6 * time.Minute), Opened: at.Add(-6*time.Minute + 4*time.Second), Acknowledged: at.Add(-4 * time.Minute),
		Updates: []Update{
			{At: at.Add(-6*time.Minute + 4*time.Second), Kind: Investigating, Down: 2, Regions: 3},
			{At: at.Add(-5 * time.Minute), Kind: Spread, Down: 3, Regions: 3},
			{At: at.Add(-4 * time.Minute), Kind: Identified},
		},
	}
	p.Open = []Incident{open}
	p.Past = []Incident{
		ended(38, "checkout", "Checkout", "http", at.Add(-21*24*time.Hour), 4*time.Minute),
		ended(37, "shop", "Shop front page", "tls", at.Add(-21*24*time.Hour-time.Minute), 12*time.Minute+30*time.Second),
		ended(22, "shop", "Shop front page", "dns", at.Add(-60*24*time.Hour), 2*time.Hour+5*time.Minute),
	}
	f := &fake{page: p, checks: map[string]*CheckPage{}, incidents: map[int64]*Incident{41: &open}}
	for i := range p.Past {
		f.incidents[p.Past[i].ID] = &p.Past[i]
	}
	for _, c := range p.checks() {
		f.checks[c.Name] = &CheckPage{Latency: exampleLatency(c.Name)}
		for _, r := range c.Regions {
			f.checks[c.Name].ByRegion = append(f.checks[c.Name].ByRegion, RegionLatency{r.Region, 960, 131 * time.Millisecond, 402 * time.Millisecond})
		}
	}
	f.checks["cert"] = &CheckPage{}
	f.checks["mobile"].ByProfile = []ProfileLatency{
		{"mobile", "slow-4g", 280, 4120 * time.Millisecond, 5890 * time.Millisecond},
		{"checkout", "1600/750 kbit/s, 150 ms", 281, 2210 * time.Millisecond, 2950 * time.Millisecond},
		{"not-public", "edge", 280, 31 * time.Second, 40 * time.Second},
	}
	return f
}

func percentOf(p Percent) *Percent { return &p }

func ended(id int64, check, title, layer string, from time.Time, long time.Duration) Incident {
	return Incident{ID: id, Check: check, Title: title, Layer: layer, From: from, Opened: from.Add(5 * time.Second), Acknowledged: from.Add(2 * time.Minute), Resolved: from.Add(long)}
}

// exampleCheck is up on the last `known` days but for what days say, by how
// many days ago.
func exampleCheck(name, title string, state State, since time.Time, days map[int]Times, known int) Check {
	c := Check{Name: name, Title: title, State: state, Since: since}
	today := civil.DateOf(at)
	for ago := known - 1; ago >= 0; ago-- {
		d := Day{Date: today.AddDays(-ago), Times: days[ago]}
		length := 24 * time.Hour
		if ago == 0 {
			length = at.Sub(civil.StartOfDay(today, time.UTC))
		}
		d.Up = length - d.Down - d.Unknown - d.Excused
		c.Days = append(c.Days, d)
	}
	regional := map[State][]State{Down: {Down, Down, Up}, Degraded: {Up, Degraded, Up}, Unknown: {Unknown, Up, Unknown}}[state]
	if regional == nil {
		regional = []State{Up, Up, Up}
	}
	for i, r := range []string{"eu-west", "us-east", "ap-south"} {
		if name == "mobile" && r == "ap-south" {
			continue
		}
		c.Regions = append(c.Regions, RegionState{r, regional[i]})
	}
	return c
}

func exampleLatency(seed string) Latency {
	random := rand.New(rand.NewPCG(uint64(len(seed)), uint64(seed[0])))
	l := Latency{Bucket: 15 * time.Minute}
	end := at
	base := 90 + 60*random.Float64()
	for at := at.Add(-24 * time.Hour).Truncate(l.Bucket); at.Before(end); at = at.Add(l.Bucket) {
		hour := float64(at.Hour()) + float64(at.Minute())/60
		if hour > 3 && hour < 4.5 {
			continue
		}
		day := 1 + 0.35*max(0, 1-(hour-13)*(hour-13)/50)
		p50 := base * day * (0.95 + 0.1*random.Float64())
		p95 := p50 * (1.6 + 0.9*random.Float64())
		l.Points = append(l.Points, Point{at, 30 + random.IntN(15), time.Duration(p50 * float64(time.Millisecond)), time.Duration(p95 * float64(time.Millisecond))})
	}
	return l
}

// many is a site of n checks in groups of ten, all up.
func many(n int) *fake {
	f := example()
	f.page.Groups, f.page.Open = nil, nil
	for i := range n {
		if i%10 == 0 {
			f.page.Groups = append(f.page.Groups, Group{Title: fmt.Sprintf("Group %d", i/10+1)})
		}
		g := &f.page.Groups[i/10]
		name := fmt.Sprintf("check-%d", i+1)
		f.checks[name] = &CheckPage{Latency: exampleLatency(name)}
		g.Checks = append(g.Checks, exampleCheck(name, fmt.Sprintf("System number %d", i+1), Up, at.Add(-time.Duration(i)*time.Hour), nil, 90))
	}
	return f
}
