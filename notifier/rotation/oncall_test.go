package rotation

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"nines/internal/civil"
)

// The toolchain's zones are those that the product links in. They end in rules
// where most systems' are written out until 2037.
func TestMain(m *testing.M) {
	if goroot, err := exec.Command("go", "env", "GOROOT").Output(); err == nil {
		os.Setenv("ZONEINFO", filepath.Join(strings.TrimSpace(string(goroot)), "lib", "time", "zoneinfo.zip"))
	}
	os.Exit(m.Run())
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func date(t testing.TB, s string) civil.Date {
	t.Helper()
	d, err := civil.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func clock(t testing.TB, s string) civil.Clock {
	t.Helper()
	c, err := civil.ParseClock(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// instant reads a time as the command line does: RFC 3339, or a date in UTC.
func instant(t testing.TB, s string) time.Time {
	t.Helper()
	if !strings.Contains(s, "T") {
		s += "T00:00:00Z"
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// cadences are the ones of the tests, by the words of the documentation.
var cadences = map[string]Cadence{
	"daily": {1, Days}, "weekly": {1, Weeks}, "monthly": {1, Months},
	"1h": {1, Hours}, "6h": {6, Hours}, "7h": {7, Hours}, "12h": {12, Hours}, "36h": {36, Hours},
	"3d": {3, Days}, "2w": {2, Weeks}, "3mo": {3, Months},
}

// handoff reads "mon 09:00", "31 09:00" or "09:00".
func handoff(t testing.TB, s string) Handoff {
	t.Helper()
	day, at, ok := strings.Cut(s, " ")
	if !ok {
		return Handoff{At: clock(t, day)}
	}
	h := Handoff{At: clock(t, at)}
	if wd, err := civil.ParseWeekday(day); err == nil {
		h.Weekday = wd
		return h
	}
	for _, digit := range day {
		h.Day = 10*h.Day + int(digit-'0')
	}
	return h
}

// rota makes a rotation of people called by one letter each.
func rota(t testing.TB, zoneName, every, at, start, people string) *Rotation {
	t.Helper()
	cadence, ok := cadences[every]
	if !ok {
		t.Fatalf("no cadence is called %q", every)
	}
	return &Rotation{
		Name: "primary", Zone: zone(t, zoneName), Every: cadence, Handoff: handoff(t, at),
		Start: date(t, start), People: strings.Split(people, ""),
	}
}

func hours(t testing.TB, days, from, to string) *civil.Hours {
	t.Helper()
	set, err := civil.ParseDays(strings.Split(days, ","))
	if err != nil {
		t.Fatal(err)
	}
	return &civil.Hours{Days: set, From: clock(t, from), To: clock(t, to)}
}

// lines returns shifts as "a 2026-01-05T08:00:00Z 2026-01-12T08:00:00Z".
func lines(shifts []Shift) []string {
	var out []string
	for _, s := range shifts {
		out = append(out, s.Person+" "+s.From.UTC().Format(time.RFC3339Nano)+" "+s.To.UTC().Format(time.RFC3339Nano))
	}
	return out
}

func TestShifts(t *testing.T) {
	weekly := func(t *testing.T) *Rotation {
		return rota(t, "Europe/Warsaw", "weekly", "mon 09:00", "2026-01-05", "ab")
	}
	for _, tc := range []struct {
		name     string
		rotation func(t *testing.T) *Rotation
		from, to string
		want     []string
	}{
		{"the contract's week", weekly, "2026-11-23T08:00:00Z", "2026-11-30T08:00:00Z", []string{
			"a 2026-11-23T08:00:00Z 2026-11-30T08:00:00Z"}},
		{"cut at both ends", weekly, "2026-01-07", "2026-01-14T12:00:00Z", []string{
			"a 2026-01-07T00:00:00Z 2026-01-12T08:00:00Z",
			"b 2026-01-12T08:00:00Z 2026-01-14T12:00:00Z"}},
		{"nobody before the first handoff", weekly, "2025-12-01", "2026-01-06", []string{
			"a 2026-01-05T08:00:00Z 2026-01-06T00:00:00Z"}},
		{"nothing at all before it", weekly, "2025-12-01", "2026-01-05", nil},
		{"an empty span", weekly, "2026-02-01", "2026-02-01", nil},
		{"an inverted span", weekly, "2026-02-02", "2026-02-01", nil},
		{"weekly over a spring change", weekly, "2026-03-23T08:00:00Z", "2026-04-06T07:00:00Z", []string{
			"b 2026-03-23T08:00:00Z 2026-03-30T07:00:00Z",
			"a 2026-03-30T07:00:00Z 2026-04-06T07:00:00Z"}},
		{"a start that is not the handoff's day waits for it", func(t *testing.T) *Rotation {
			return rota(t, "UTC", "weekly", "mon 09:00", "2026-01-07", "ab")
		}, "2026-01-01", "2026-01-20", []string{
			"a 2026-01-12T09:00:00Z 2026-01-19T09:00:00Z",
			"b 2026-01-19T09:00:00Z 2026-01-20T00:00:00Z"}},
		{"one person is one shift", func(t *testing.T) *Rotation {
			return rota(t, "UTC", "weekly", "mon 09:00", "2026-01-05", "a")
		}, "2026-01-01", "2026-03-01", []string{"a 2026-01-05T09:00:00Z 2026-03-01T00:00:00Z"}},
		{"who comes twice in a row has one shift", func(t *testing.T) *Rotation {
			return rota(t, "UTC", "daily", "09:00", "2026-01-05", "aab")
		}, "2026-01-05", "2026-01-09", []string{
			"a 2026-01-05T09:00:00Z 2026-01-07T09:00:00Z",
			"b 2026-01-07T09:00:00Z 2026-01-08T09:00:00Z",
			"a 2026-01-08T09:00:00Z 2026-01-09T00:00:00Z"}},
		{"every two weeks", func(t *testing.T) *Rotation {
			return rota(t, "UTC", "2w", "fri 17:00", "2026-01-05", "ab")
		}, "2026-01-01", "2026-02-07", []string{
			"a 2026-01-09T17:00:00Z 2026-01-23T17:00:00Z",
			"b 2026-01-23T17:00:00Z 2026-02-06T17:00:00Z",
			"a 2026-02-06T17:00:00Z 2026-02-07T00:00:00Z"}},
		{"daily at a time that is skipped", func(t *testing.T) *Rotation {
			return rota(t, "America/New_York", "daily", "02:30", "2026-03-06", "abc")
		}, "2026-03-07T07:30:00Z", "2026-03-10T06:30:00Z", []string{
			"b 2026-03-07T07:30:00Z 2026-03-08T07:00:00Z",
			"c 2026-03-08T07:00:00Z 2026-03-09T06:30:00Z",
			"a 2026-03-09T06:30:00Z 2026-03-10T06:30:00Z"}},
		{"daily at a time that comes twice", func(t *testing.T) *Rotation {
			return rota(t, "America/New_York", "daily", "01:30", "2026-10-30", "ab")
		}, "2026-10-31T05:30:00Z", "2026-11-03T06:30:00Z", []string{
			"b 2026-10-31T05:30:00Z 2026-11-01T05:30:00Z",
			"a 2026-11-01T05:30:00Z 2026-11-02T06:30:00Z",
			"b 2026-11-02T06:30:00Z 2026-11-03T06:30:00Z"}},
		{"half a day lasts eleven hours in spring", func(t *testing.T) *Rotation {
			return rota(t, "Europe/Warsaw", "12h", "09:00", "2026-03-27", "ab")
		}, "2026-03-28T08:00:00Z", "2026-03-29T19:00:00Z", []string{
			"a 2026-03-28T08:00:00Z 2026-03-28T20:00:00Z",
			"b 2026-03-28T20:00:00Z 2026-03-29T07:00:00Z",
			"a 2026-03-29T07:00:00Z 2026-03-29T19:00:00Z"}},
		{"and thirteen in autumn", func(t *testing.T) *Rotation {
			return rota(t, "Europe/Warsaw", "12h", "09:00", "2026-10-23", "ab")
		}, "2026-10-24T19:00:00Z", "2026-10-25T20:00:00Z", []string{
			"b 2026-10-24T19:00:00Z 2026-10-25T08:00:00Z",
			"a 2026-10-25T08:00:00Z 2026-10-25T20:00:00Z"}},
		{"seven hours go on from day to day", func(t *testing.T) *Rotation {
			return rota(t, "America/New_York", "7h", "00:00", "2026-03-07", "ab")
		}, "2026-03-07T05:00:00Z", "2026-03-09T04:00:00Z", []string{
			"a 2026-03-07T05:00:00Z 2026-03-07T12:00:00Z", // 00:00 to 07:00
			"b 2026-03-07T12:00:00Z 2026-03-07T19:00:00Z", // to 14:00
			"a 2026-03-07T19:00:00Z 2026-03-08T02:00:00Z", // to 21:00
			"b 2026-03-08T02:00:00Z 2026-03-08T08:00:00Z", // to 04:00 with an hour skipped
			"a 2026-03-08T08:00:00Z 2026-03-08T15:00:00Z", // to 11:00
			"b 2026-03-08T15:00:00Z 2026-03-08T22:00:00Z", // to 18:00
			"a 2026-03-08T22:00:00Z 2026-03-09T04:00:00Z"}},
		{"an hour that is skipped was somebody's all the same", func(t *testing.T) *Rotation {
			return rota(t, "America/New_York", "1h", "00:00", "2026-03-08", "abc")
		}, "2026-03-08T05:00:00Z", "2026-03-08T09:00:00Z", []string{
			"a 2026-03-08T05:00:00Z 2026-03-08T06:00:00Z",
			"b 2026-03-08T06:00:00Z 2026-03-08T07:00:00Z",
			"a 2026-03-08T07:00:00Z 2026-03-08T08:00:00Z", // 03:00; c had 02:00
			"b 2026-03-08T08:00:00Z 2026-03-08T09:00:00Z"}},
		{"monthly on the 31st does not drift", func(t *testing.T) *Rotation {
			return rota(t, "UTC", "monthly", "31 09:00", "2027-12-31", "ab")
		}, "2028-01-01", "2028-05-01", []string{
			"a 2028-01-01T00:00:00Z 2028-01-31T09:00:00Z",
			"b 2028-01-31T09:00:00Z 2028-02-29T09:00:00Z",
			"a 2028-02-29T09:00:00Z 2028-03-31T09:00:00Z",
			"b 2028-03-31T09:00:00Z 2028-04-30T09:00:00Z",
			"a 2028-04-30T09:00:00Z 2028-05-01T00:00:00Z"}},
		{"monthly from a day after this month's handoff", func(t *testing.T) *Rotation {
			return rota(t, "UTC", "monthly", "1 09:00", "2026-01-15", "ab")
		}, "2026-01-01", "2026-03-02", []string{
			"a 2026-02-01T09:00:00Z 2026-03-01T09:00:00Z",
			"b 2026-03-01T09:00:00Z 2026-03-02T00:00:00Z"}},
		{"monthly from the last day of a short month", func(t *testing.T) *Rotation {
			return rota(t, "UTC", "monthly", "30 09:00", "2026-02-28", "ab")
		}, "2026-02-01", "2026-04-01", []string{
			"a 2026-02-28T09:00:00Z 2026-03-30T09:00:00Z",
			"b 2026-03-30T09:00:00Z 2026-04-01T00:00:00Z"}},
		{"every three months", func(t *testing.T) *Rotation {
			return rota(t, "UTC", "3mo", "31 00:00", "2026-11-01", "ab")
		}, "2026-11-01", "2027-06-01", []string{
			"a 2026-11-30T00:00:00Z 2027-02-28T00:00:00Z",
			"b 2027-02-28T00:00:00Z 2027-05-31T00:00:00Z",
			"a 2027-05-31T00:00:00Z 2027-06-01T00:00:00Z"}},
		{"a handoff at the day's end", func(t *testing.T) *Rotation {
			return rota(t, "Europe/Warsaw", "weekly", "sun 24:00", "2026-01-04", "ab")
		}, "2026-01-01", "2026-01-18", []string{
			"a 2026-01-04T23:00:00Z 2026-01-11T23:00:00Z",
			"b 2026-01-11T23:00:00Z 2026-01-18T00:00:00Z"}},
		{"a day that never was", func(t *testing.T) *Rotation {
			return rota(t, "Pacific/Apia", "daily", "09:00", "2011-12-28", "abcd")
		}, "2011-12-28", "2012-01-01", []string{
			"a 2011-12-28T19:00:00Z 2011-12-29T19:00:00Z",
			"b 2011-12-29T19:00:00Z 2011-12-30T10:00:00Z", // to the 30th, 09:00
			"c 2011-12-30T10:00:00Z 2011-12-30T19:00:00Z", // to the 31st, 09:00
			"d 2011-12-30T19:00:00Z 2011-12-31T19:00:00Z",
			"a 2011-12-31T19:00:00Z 2012-01-01T00:00:00Z"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := lines(tc.rotation(t).Shifts(instant(t, tc.from), instant(t, tc.to)))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnly(t *testing.T) {
	for _, tc := range []struct {
		name     string
		rotation func(t *testing.T) *Rotation
		only     func(t *testing.T) *civil.Hours
		from, to string
		want     []string
	}{
		{"daily on weekdays: the weekend is nobody's turn",
			func(t *testing.T) *Rotation { return rota(t, "UTC", "daily", "00:00", "2026-01-05", "abc") },
			func(t *testing.T) *civil.Hours { return hours(t, "mon-fri", "08:00", "18:00") },
			"2026-01-08", "2026-01-14", []string{
				"a 2026-01-08T08:00:00Z 2026-01-08T18:00:00Z",
				"b 2026-01-09T08:00:00Z 2026-01-09T18:00:00Z",
				"c 2026-01-12T08:00:00Z 2026-01-12T18:00:00Z",
				"a 2026-01-13T08:00:00Z 2026-01-13T18:00:00Z"}},
		{"a handoff inside the window",
			func(t *testing.T) *Rotation { return rota(t, "UTC", "daily", "12:00", "2026-01-08", "abc") },
			func(t *testing.T) *civil.Hours { return hours(t, "mon-fri", "08:00", "18:00") },
			"2026-01-08", "2026-01-14", []string{
				"a 2026-01-08T12:00:00Z 2026-01-08T18:00:00Z",
				"a 2026-01-09T08:00:00Z 2026-01-09T12:00:00Z",
				"b 2026-01-09T12:00:00Z 2026-01-09T18:00:00Z", // Friday noon to Saturday noon
				// Saturday noon to Sunday noon is nobody's.
				"c 2026-01-12T08:00:00Z 2026-01-12T12:00:00Z", // Sunday noon to Monday noon
				"a 2026-01-12T12:00:00Z 2026-01-12T18:00:00Z",
				"a 2026-01-13T08:00:00Z 2026-01-13T12:00:00Z",
				"b 2026-01-13T12:00:00Z 2026-01-13T18:00:00Z"}},
		{"weekly office hours",
			func(t *testing.T) *Rotation {
				return rota(t, "Europe/Warsaw", "weekly", "mon 09:00", "2026-01-05", "ab")
			},
			func(t *testing.T) *civil.Hours { return hours(t, "mon,fri", "08:00", "20:00") },
			"2026-01-05", "2026-01-13", []string{
				"a 2026-01-05T08:00:00Z 2026-01-05T19:00:00Z",
				"a 2026-01-09T07:00:00Z 2026-01-09T19:00:00Z",
				"a 2026-01-12T07:00:00Z 2026-01-12T08:00:00Z",
				"b 2026-01-12T08:00:00Z 2026-01-12T19:00:00Z"}},
		{"nights belong to the day on which they start",
			func(t *testing.T) *Rotation { return rota(t, "UTC", "daily", "12:00", "2026-01-09", "ab") },
			func(t *testing.T) *civil.Hours { return hours(t, "fri,sun", "20:00", "06:00") },
			"2026-01-09", "2026-01-17", []string{
				"a 2026-01-09T20:00:00Z 2026-01-10T06:00:00Z",
				"b 2026-01-11T20:00:00Z 2026-01-12T06:00:00Z",
				"a 2026-01-16T20:00:00Z 2026-01-17T00:00:00Z"}},
		{"twelve hours on weekdays by day: every other shift has no turn",
			func(t *testing.T) *Rotation { return rota(t, "UTC", "12h", "08:00", "2026-01-05", "ab") },
			func(t *testing.T) *civil.Hours { return hours(t, "mon-fri", "08:00", "20:00") },
			"2026-01-05", "2026-01-08", []string{
				"a 2026-01-05T08:00:00Z 2026-01-05T20:00:00Z",
				"b 2026-01-06T08:00:00Z 2026-01-06T20:00:00Z",
				"a 2026-01-07T08:00:00Z 2026-01-07T20:00:00Z"}},
		{"a window that a gap swallows takes the turn with it",
			func(t *testing.T) *Rotation {
				return rota(t, "America/New_York", "daily", "00:00", "2026-03-01", "ab")
			},
			func(t *testing.T) *civil.Hours { return hours(t, "sun", "02:00", "03:00") },
			"2026-03-01", "2026-03-23", []string{
				"a 2026-03-01T07:00:00Z 2026-03-01T08:00:00Z",
				// 8 March has no 02:00 to 03:00.
				"b 2026-03-15T06:00:00Z 2026-03-15T07:00:00Z",
				"a 2026-03-22T06:00:00Z 2026-03-22T07:00:00Z"}},
		{"whole days touch: one person's are one shift",
			func(t *testing.T) *Rotation { return rota(t, "UTC", "weekly", "mon 00:00", "2026-01-05", "ab") },
			func(t *testing.T) *civil.Hours { return hours(t, "mon-fri", "00:00", "24:00") },
			"2026-01-05", "2026-01-14", []string{
				"a 2026-01-05T00:00:00Z 2026-01-10T00:00:00Z",
				"b 2026-01-12T00:00:00Z 2026-01-14T00:00:00Z"}},
		{"no day at all",
			func(t *testing.T) *Rotation { return rota(t, "UTC", "daily", "00:00", "2026-01-05", "ab") },
			func(t *testing.T) *civil.Hours { return &civil.Hours{From: 0, To: 600} },
			"2026-01-01", "2026-03-01", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := tc.rotation(t)
			r.Only = tc.only(t)
			got := lines(r.Shifts(instant(t, tc.from), instant(t, tc.to)))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOverrides(t *testing.T) {
	for _, tc := range []struct {
		name      string
		only      bool
		overrides []string // "person from to"
		from, to  string
		want      []string
	}{
		{"in the middle of a shift", false, []string{"c 2026-01-07 2026-01-08"},
			"2026-01-05", "2026-01-12", []string{
				"a 2026-01-05T09:00:00Z 2026-01-07T00:00:00Z",
				"c 2026-01-07T00:00:00Z 2026-01-08T00:00:00Z",
				"a 2026-01-08T00:00:00Z 2026-01-12T00:00:00Z"}},
		{"over a handoff, without using up a turn", false, []string{"c 2026-01-11 2026-01-13"},
			"2026-01-10", "2026-01-20", []string{
				"a 2026-01-10T00:00:00Z 2026-01-11T00:00:00Z",
				"c 2026-01-11T00:00:00Z 2026-01-13T00:00:00Z",
				"b 2026-01-13T00:00:00Z 2026-01-19T09:00:00Z",
				"a 2026-01-19T09:00:00Z 2026-01-20T00:00:00Z"}},
		{"by whoever is on call anyway", false, []string{"a 2026-01-06 2026-01-07"},
			"2026-01-05", "2026-01-12", []string{"a 2026-01-05T09:00:00Z 2026-01-12T00:00:00Z"}},
		{"by the next, who merges with the next shift", false, []string{"b 2026-01-11 2026-01-12T09:00:00Z"},
			"2026-01-10", "2026-01-14", []string{
				"a 2026-01-10T00:00:00Z 2026-01-11T00:00:00Z",
				"b 2026-01-11T00:00:00Z 2026-01-14T00:00:00Z"}},
		{"before the rotation has begun", false, []string{"c 2026-01-01 2026-01-02"},
			"2026-01-01", "2026-01-06", []string{
				"c 2026-01-01T00:00:00Z 2026-01-02T00:00:00Z",
				"a 2026-01-05T09:00:00Z 2026-01-06T00:00:00Z"}},
		{"where only leaves a gap", true, []string{"c 2026-01-05T19:00:00Z 2026-01-06T10:00:00Z"},
			"2026-01-05", "2026-01-07", []string{
				"a 2026-01-05T09:00:00Z 2026-01-05T18:00:00Z",
				"c 2026-01-05T19:00:00Z 2026-01-06T10:00:00Z",
				"a 2026-01-06T10:00:00Z 2026-01-06T18:00:00Z"}},
		{"the later in the list wins", false, []string{"c 2026-01-06 2026-01-10", "d 2026-01-07 2026-01-08"},
			"2026-01-06", "2026-01-10", []string{
				"c 2026-01-06T00:00:00Z 2026-01-07T00:00:00Z",
				"d 2026-01-07T00:00:00Z 2026-01-08T00:00:00Z",
				"c 2026-01-08T00:00:00Z 2026-01-10T00:00:00Z"}},
		{"also when it covers the earlier", false, []string{"d 2026-01-07 2026-01-08", "c 2026-01-06 2026-01-10"},
			"2026-01-06", "2026-01-10", []string{"c 2026-01-06T00:00:00Z 2026-01-10T00:00:00Z"}},
		{"an inverted one is none", false, []string{"c 2026-01-08 2026-01-07", "c 2026-01-08 2026-01-08"},
			"2026-01-06", "2026-01-10", []string{"a 2026-01-06T00:00:00Z 2026-01-10T00:00:00Z"}},
		{"cut at the question's ends", false, []string{"c 2026-01-01 2026-02-01"},
			"2026-01-06", "2026-01-10", []string{"c 2026-01-06T00:00:00Z 2026-01-10T00:00:00Z"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rota(t, "UTC", "weekly", "mon 09:00", "2026-01-05", "ab")
			if tc.only {
				r.Only = hours(t, "mon-fri", "08:00", "18:00")
			}
			for _, o := range tc.overrides {
				f := strings.Fields(o)
				r.Overrides = append(r.Overrides, Override{f[0], instant(t, f[1]), instant(t, f[2])})
			}
			got := lines(r.Shifts(instant(t, tc.from), instant(t, tc.to)))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnCall(t *testing.T) {
	r := rota(t, "Europe/Warsaw", "weekly", "mon 09:00", "2026-01-05", "ab")
	r.Only = hours(t, "mon-fri", "08:00", "20:00")
	for _, tc := range []struct{ at, want string }{
		{"2026-01-05T07:59:59.999999999Z", ""},
		{"2026-01-05T08:00:00Z", "a"},
		{"2026-01-05T18:59:59.999999999Z", "a"},
		{"2026-01-05T19:00:00Z", ""},
		{"2026-01-10T12:00:00Z", ""},
		{"2026-01-12T07:59:59Z", "a"},
		{"2026-01-12T08:00:00Z", "b"},
		{"2020-01-01T12:00:00Z", ""},
	} {
		person, ok := r.OnCall(instant(t, tc.at))
		if person != tc.want || ok != (tc.want != "") {
			t.Errorf("at %s: %q, %t; want %q", tc.at, person, ok, tc.want)
		}
	}
}

func TestBegun(t *testing.T) {
	r := rota(t, "UTC", "weekly", "mon 09:00", "2026-01-05", "ab")
	for _, tc := range []struct {
		name     string
		people   string
		override *Override
		from, to string
		want     []string
	}{
		{"the shift under way is whole", "ab", nil, "2026-03-04", "2026-03-10", []string{
			"a 2026-03-02T09:00:00Z 2026-03-09T09:00:00Z",
			"b 2026-03-09T09:00:00Z 2026-03-10T00:00:00Z"}},
		{"however long it has been", "a", nil, "2036-03-04", "2036-03-10", []string{
			"a 2026-01-05T09:00:00Z 2036-03-10T00:00:00Z"}},
		{"also where an override began it", "a", &Override{"a", instant(t, "2020-01-01"), instant(t, "2026-02-01")},
			"2026-03-04", "2026-03-10", []string{"a 2020-01-01T00:00:00Z 2026-03-10T00:00:00Z"}},
		{"one that ends when the span begins is not in it", "ab", nil, "2026-03-09T09:00:00Z", "2026-03-10", []string{
			"b 2026-03-09T09:00:00Z 2026-03-10T00:00:00Z"}},
		{"before the rotation", "ab", nil, "2025-03-04", "2025-03-10", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := *r
			r.People = strings.Split(tc.people, "")
			if tc.override != nil {
				r.Overrides = []Override{*tc.override}
			}
			got := lines(r.Begun(instant(t, tc.from), instant(t, tc.to)))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// BenchmarkOnCall asks ten years after the start, which is dear where Only
// makes turns to be counted.
func BenchmarkOnCall(b *testing.B) {
	for _, every := range []string{"weekly", "daily", "1h", "7h"} {
		for _, only := range []bool{false, true} {
			name := every
			r := rota(b, "Europe/Warsaw", every, map[bool]string{true: "mon 09:00", false: "09:00"}[every == "weekly"], "2016-01-04", "abc")
			if only {
				r.Only, name = hours(b, "mon-fri", "08:00", "20:00"), every+"/only"
			}
			at := instant(b, "2026-06-17T12:00:00Z")
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					r.OnCall(at)
				}
			})
		}
	}
}
