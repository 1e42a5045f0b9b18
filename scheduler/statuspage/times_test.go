package statuspage

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"nines/internal/civil"

	"github.com/google/go-cmp/cmp"
)

// Bars stand where their days are, whatever days are missing.
func TestBarsStandAtTheirDays(t *testing.T) {
	day := func(ago int, times Times) Day { return Day{Date: civil.DateOf(at).AddDays(-ago), Times: times} }
	p := &Page{Now: at, Days: 5}
	days := []Day{day(6, Times{Down: time.Hour}), day(3, Times{Up: time.Hour}), day(1, Times{Down: time.Minute})}
	var got []string
	for _, m := range regexp.MustCompile(`class="(\w+)" x="(\d+)"(?: y="\d+")? width="3" height="(?:8|20|32)"`).FindAllStringSubmatch(string(english.bars(days, p)), -1) {
		got = append(got, m[1]+" "+m[2])
	}
	if diff := cmp.Diff([]string{"none 0", "up 4", "none 8", "partial 12", "none 16"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := sum(p.last(days, 5)); got != (Times{Up: time.Hour, Down: time.Minute}) {
		t.Errorf("the last five days are %+v", got)
	}
}

func TestAvailabilityIsFloored(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		times Times
		want  string
	}{
		{Times{Up: day}, "100%"},
		{Times{Up: 90 * day, Down: time.Millisecond}, "99.999%"},
		{Times{Up: day - 864*time.Millisecond, Down: 864 * time.Millisecond}, "99.999%"},
		{Times{Up: day - 865*time.Millisecond, Down: 865 * time.Millisecond}, "99.998%"},
		{Times{Up: 2, Down: 1}, "no data"}, // below a millisecond
		{Times{Up: 2 * time.Second, Down: time.Second}, "66.666%"},
		{Times{Down: time.Second}, "0.000%"},
		{Times{Unknown: day, Excused: day}, "no data"},
		{Times{Up: time.Second, Down: 24 * time.Second}, "4.000%"},
		{Times{Up: time.Second, Down: 999 * time.Second, Unknown: day}, "0.100%"},
	} {
		if got := english.percent(c.times.Availability()); got != c.want {
			t.Errorf("%+v is %s, want %s", c.times, got, c.want)
		}
	}
}

func TestLooks(t *testing.T) {
	h := time.Hour
	for _, c := range []struct {
		times Times
		want  look
	}{
		{Times{}, looksNone},
		{Times{Up: 24 * h}, looksUp},
		{Times{Up: 24 * h, Degraded: 10 * time.Minute}, looksUp},
		{Times{Up: 24 * h, Degraded: 15 * time.Minute}, looksDegraded},
		{Times{Up: 24 * h, Down: time.Millisecond}, looksPartial},
		{Times{Up: 23 * h, Down: h}, looksDown},
		{Times{Excused: 20 * h, Down: time.Second}, looksPartial},
		{Times{Up: 11 * h, Unknown: 13 * h}, looksUnknown},
		{Times{Up: 11 * h, Excused: 13 * h}, looksMaintenance},
		{Times{Unknown: h}, looksUnknown},
		{Times{Unknown: h, Excused: h}, looksUnknown},
		{Times{Excused: h}, looksMaintenance},
	} {
		if got := c.times.looks(); got != c.want {
			t.Errorf("%+v looks %s, want %s", c.times, got, c.want)
		}
	}
}

func TestLengths(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                     "under 1 s",
		999 * time.Millisecond:                "under 1 s",
		time.Second:                           "1 s",
		90*time.Second + 900*time.Millisecond: "1 min 30 s",
		time.Hour:                             "1 h",
		time.Hour + 59*time.Second:            "1 h",
		50 * time.Hour:                        "2 d 2 h",
	} {
		if got := english.long(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestResponseTimes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                        "0 ms",
		400 * time.Microsecond:   "0.4 ms",
		2 * time.Millisecond:     "2 ms",
		12400 * time.Microsecond: "12 ms",
		9999 * time.Millisecond:  "9999 ms",
		12340 * time.Millisecond: "12.3 s",
	} {
		if got := english.ms(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// A chart has a line for what is unbroken, and dots for what stands alone.
func TestChart(t *testing.T) {
	bucket := 15 * time.Minute
	point := func(ago int, ms time.Duration) Point {
		return Point{at.Add(-time.Duration(ago) * bucket), 3, ms * time.Millisecond, 2 * ms * time.Millisecond}
	}
	c := english.chart(Latency{bucket, []Point{point(200, 900), point(90, 10), point(50, 20), point(49, 30), {At: at.Add(-48 * bucket)}, point(47, 40)}}, at)
	drawn := map[string]int{}
	for _, m := range regexp.MustCompile(`class="(line|band|line dots)" d="([^"]*)"`).FindAllStringSubmatch(string(c.SVG), -1) {
		drawn[m[1]] = strings.Count(m[2], "M")
	}
	if diff := cmp.Diff(map[string]int{"line": 1, "band": 1, "line dots": 4}, drawn); diff != "" {
		t.Errorf("-want +got:\n%s\n%s", diff, c.SVG)
	}
	if diff := cmp.Diff([]string{"80 ms", "40 ms", "0 ms"}, c.Ys); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if c := english.chart(Latency{Bucket: bucket}, at); c.SVG != "" {
		t.Errorf("nothing is drawn as %s", c.SVG)
	}
}

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		tally tally
		want  level
	}{
		{tally{}, levelNothing},
		{tally{Up: 3}, levelOperational},
		{tally{Up: 3, Maintenance: 1}, levelMaintenance},
		{tally{Up: 3, Maintenance: 1, Unknown: 1}, levelUnclear},
		{tally{Unknown: 2}, levelUnknown},
		{tally{Up: 1, Unknown: 2, Degraded: 1}, levelDegraded},
		{tally{Up: 2, Down: 1, Degraded: 1}, levelPartial},
		{tally{Up: 2, Down: 2}, levelMajor},
		{tally{Down: 1, Unknown: 9}, levelMajor},
		{tally{Down: 1, Up: 9}, levelPartial},
	} {
		if got := c.tally.level(); got != c.want {
			t.Errorf("%v is %s, want %s", c.tally, got, c.want)
		}
	}
}

func TestStages(t *testing.T) {
	i := Incident{Opened: at, Updates: []Update{{Kind: Investigating}, {Kind: Identified}, {Kind: Spread, Down: 3, Regions: 3}, {Kind: Monitoring}}}
	var got []UpdateKind
	for _, u := range i.updates() {
		got = append(got, u.Stage)
	}
	if diff := cmp.Diff([]UpdateKind{Investigating, Identified, Identified, Monitoring}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if i.stage() != Monitoring {
		t.Errorf("it is %s", i.stage())
	}
	i.Resolved = at
	if i.stage() != Resolved {
		t.Errorf("when it is over it is %s", i.stage())
	}
	bare := Incident{Opened: at, Acknowledged: at.Add(time.Minute)}
	if bare.stage() != Identified || len(bare.updates()) != 2 {
		t.Errorf("without updates it is %s, after %d", bare.stage(), len(bare.updates()))
	}
}
