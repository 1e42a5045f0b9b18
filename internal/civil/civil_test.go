package civil

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
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

// zoneNames returns every name of the tz database.
func zoneNames(t testing.TB) []string {
	t.Helper()
	list, err := os.ReadFile("testdata/zones.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(list))
}

func date(t testing.TB, s string) Date {
	t.Helper()
	d, err := ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func clock(t testing.TB, s string) Clock {
	t.Helper()
	c, err := ParseClock(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestAt(t *testing.T) {
	for _, tc := range []struct{ name, zone, day, clock, want string }{
		{"an ordinary day", "Europe/Warsaw", "2026-01-05", "09:00", "2026-01-05T08:00:00Z"},
		{"the day's end", "Europe/Warsaw", "2026-01-05", "24:00", "2026-01-05T23:00:00Z"},
		{"just before a gap", "America/New_York", "2026-03-08", "01:59", "2026-03-08T06:59:00Z"},
		{"the first of a gap", "America/New_York", "2026-03-08", "02:00", "2026-03-08T07:00:00Z"},
		{"in a gap", "America/New_York", "2026-03-08", "02:30", "2026-03-08T07:00:00Z"},
		{"after a gap", "America/New_York", "2026-03-08", "03:00", "2026-03-08T07:00:00Z"},
		{"before what comes twice", "America/New_York", "2026-11-01", "00:59", "2026-11-01T04:59:00Z"},
		{"what comes twice", "America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30:00Z"},
		{"after what came twice", "America/New_York", "2026-11-01", "02:00", "2026-11-01T07:00:00Z"},
		{"a midnight that is skipped", "America/Santiago", "2026-09-06", "00:00", "2026-09-06T04:00:00Z"},
		{"the same by its other name", "America/Santiago", "2026-09-05", "24:00", "2026-09-06T04:00:00Z"},
		{"an evening that comes twice", "America/Santiago", "2026-04-04", "23:30", "2026-04-05T02:30:00Z"},
		{"the midnight after it", "America/Santiago", "2026-04-04", "24:00", "2026-04-05T04:00:00Z"},
		{"half an hour skipped", "Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30:00Z"},
		{"half an hour twice", "Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-04T14:45:00Z"},
		{"a day that never was", "Pacific/Apia", "2011-12-30", "12:00", "2011-12-30T10:00:00Z"},
		{"the day before it", "Pacific/Apia", "2011-12-29", "23:59", "2011-12-30T09:59:00Z"},
		{"the day after it", "Pacific/Apia", "2011-12-31", "00:00", "2011-12-30T10:00:00Z"},
		{"a day that came twice", "America/Juneau", "1867-10-18", "12:00", "1867-10-17T20:57:41Z"},
		{"back over midnight, the first pass", "America/St_Johns", "2010-11-07", "00:00", "2010-11-07T02:30:00Z"},
		{"a change for good", "Asia/Pyongyang", "2018-05-04", "23:45", "2018-05-04T15:00:00Z"},
		{"winter time that is a negative summer time", "Europe/Dublin", "2026-10-25", "01:30", "2026-10-25T00:30:00Z"},
		{"the last day of a leap year", "America/New_York", "2028-12-31", "09:00", "2028-12-31T14:00:00Z"},
		{"the day after it", "America/New_York", "2029-01-01", "00:00", "2029-01-01T05:00:00Z"},
		{"the same in the south", "Australia/Sydney", "2028-12-31", "09:00", "2028-12-30T22:00:00Z"},
		{"no zone to speak of", "UTC", "2028-12-31", "24:00", "2029-01-01T00:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := At(date(t, tc.day), clock(t, tc.clock), zone(t, tc.zone))
			if want := instant(t, tc.want); !got.Equal(want) {
				t.Errorf("%s %s in %s is %s, want %s", tc.day, tc.clock, tc.zone, got.UTC().Format(time.RFC3339), tc.want)
			}
		})
	}
}

// A zone that is nothing but a rule is where time.ZoneBounds answers the last
// day of a leap year with an end that has passed.
func TestAtWithARuleAlone(t *testing.T) {
	loc := ruleZone(t, "EST5EDT,M3.2.0,M11.1.0")
	// All of 2027 to 2029, so that a change of Go's or ours shows.
	for d := (Date{2027, 1, 1}); d.Year < 2030; d = d.AddDays(1) {
		at := make(chan time.Time, 1)
		go func() { at <- At(d, 9*60, loc) }()
		select {
		case got := <-at:
			if s := got.Format("2006-01-02 15:04"); s != d.String()+" 09:00" {
				t.Fatalf("%s 09:00 is %s", d, s)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("At of %s does not return", d)
		}
	}
	got := Changes(instant(t, "2027-12-01T00:00:00Z"), instant(t, "2029-12-01T00:00:00Z"), loc)
	want := []time.Time{instant(t, "2028-03-12T07:00:00Z"), instant(t, "2028-11-05T06:00:00Z"),
		instant(t, "2029-03-11T07:00:00Z"), instant(t, "2029-11-04T06:00:00Z")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes of 2028 and 2029 (-want +got):\n%s", diff)
	}
}

// A zone whose last written change is no change of its rule: where it took the
// rule up. The gap there is a gap although the rule knows of none.
func TestAtWhereARuleIsTakenUp(t *testing.T) {
	loc := ruleZone(t, "EST5EDT,M3.2.0,M11.1.0", taken{instant(t, "2026-06-15T06:00:00Z"), 5 * time.Hour})
	// Before, the clock is at UTC−5; from then on it is at UTC−4.
	if got, want := At(Date{2026, 6, 15}, 90, loc), instant(t, "2026-06-15T06:00:00Z"); !got.Equal(want) {
		t.Errorf("01:30 is %s, want the end of the gap, %s", got.UTC(), want)
	}
}

// taken is when a zone takes up its rule, and its offset west of UTC before.
type taken struct {
	at   time.Time
	west time.Duration
}

// ruleZone makes a zone of a POSIX rule (RFC 9636).
func ruleZone(t *testing.T, rule string, up ...taken) *time.Location {
	t.Helper()
	var b bytes.Buffer
	header := func(changes, kinds uint32) {
		b.WriteString("TZif2")
		b.Write(make([]byte, 15))
		for _, n := range []uint32{0, 0, 0, changes, kinds, 8} { // isut, isstd, leap, time, type, char
			binary.Write(&b, binary.BigEndian, n)
		}
	}
	kind := func(offset int32, dst, name byte) {
		binary.Write(&b, binary.BigEndian, offset)
		b.Write([]byte{dst, name})
	}
	const names = "EST\x00EDT\x00"
	header(0, 1)
	kind(-5*3600, 0, 0)
	b.WriteString(names)
	if len(up) == 0 {
		up = []taken{{time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), 5 * time.Hour}}
	}
	header(1, 2)
	binary.Write(&b, binary.BigEndian, up[0].at.Unix())
	b.WriteByte(1)
	kind(-int32(up[0].west/time.Second), 0, 0)
	kind(-4*3600, 1, 4)
	b.WriteString(names + "\n" + rule + "\n")
	loc, err := time.LoadLocationFromTZData(rule, b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// reading returns what the clocks of loc show at t, as if it were UTC.
func reading(t time.Time, loc *time.Location) time.Time {
	_, offset := t.In(loc).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// Around every change of every zone from 2024 to 2037, At is the first minute
// at which the clocks show the time or a later one.
func TestAtInEveryZone(t *testing.T) {
	from, to := instant(t, "2024-01-01T00:00:00Z"), instant(t, "2038-01-01T00:00:00Z")
	names := zoneNames(t)
	if testing.Short() {
		names = []string{"America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Antarctica/Troll"}
	}
	seen := map[string]bool{}
	for _, name := range names {
		loc := zone(t, name)
		for _, change := range Changes(from, to, loc) {
			_, before := change.Add(-1).In(loc).Zone()
			_, after := change.In(loc).Zone()
			key := change.String() + time.Duration(before).String() + time.Duration(after).String()
			if !seen[key] {
				seen[key] = true
				checkAround(t, change, loc)
			}
		}
	}
	if !testing.Short() && len(seen) < 300 {
		t.Errorf("only %d changes were found", len(seen))
	}
}

// checkAround compares At with a walk over the minutes, for every quarter of
// an hour of the three days around a change.
func checkAround(t *testing.T, change time.Time, loc *time.Location) {
	t.Helper()
	day := DateOf(change.In(loc)).AddDays(-1)
	minute := change.Add(-72 * time.Hour)
	for q := range 3 * 24 * 4 {
		wall := time.Date(day.Year, day.Month, day.Day, 0, 15*q, 0, 0, time.UTC)
		for reading(minute, loc).Before(wall) {
			minute = minute.Add(time.Minute)
		}
		d, c := day.AddDays(q/96), Clock(q%96*15)
		if got := At(d, c, loc); !got.Equal(minute) {
			t.Errorf("%s %s in %s is %s, want %s", d, c, loc, got, minute.In(loc))
		}
	}
}

// What At promises, over all of history and every zone.
func checkAt(t interface{ Fatalf(string, ...any) }, d Date, c Clock, loc *time.Location) {
	wall := time.Date(d.Year, d.Month, d.Day, 0, int(c), 0, 0, time.UTC)
	at := At(d, c, loc)
	if reading(at, loc).Before(wall) {
		t.Fatalf("%s %s in %s: %s is before it", d, c, loc, at)
	}
	if !reading(at.Add(-1), loc).Before(wall) {
		t.Fatalf("%s %s in %s: already before %s", d, c, loc, at)
	}
	// A reading that comes twice was reached before the clocks went back.
	for _, change := range Changes(at.Add(-30*time.Hour), at, loc) {
		if !reading(change.Add(-1), loc).Before(wall) {
			t.Fatalf("%s %s in %s: %s is not the first, it was reached before %s", d, c, loc, at, change.In(loc))
		}
	}
}

func TestAtIsFirst(t *testing.T) {
	names := zoneNames(t)
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		d := Date{1850, 1, 1}.AddDays(rapid.IntRange(0, 300*365).Draw(t, "day"))
		checkAt(t, d, Clock(rapid.IntRange(0, 1440).Draw(t, "clock")), loc)
	})
}

func FuzzAt(f *testing.F) {
	names := zoneNames(f)
	f.Add(0, 0, 0)
	f.Add(100, 2011, 750)
	f.Fuzz(func(t *testing.T, zone, day, minute int) {
		loc, err := time.LoadLocation(names[((zone%len(names))+len(names))%len(names)])
		if err != nil {
			t.Fatal(err)
		}
		checkAt(t, Date{2000, 1, 1}.AddDays(day%200_000), Clock((minute%1441+1441)%1441), loc)
	})
}

func TestChanges(t *testing.T) {
	warsaw := zone(t, "Europe/Warsaw")
	spring, autumn := instant(t, "2026-03-29T01:00:00Z"), instant(t, "2026-10-25T01:00:00Z")
	if got := Changes(spring.Add(-1), autumn.Add(1), warsaw); !cmp.Equal(got, []time.Time{spring, autumn}) {
		t.Errorf("got %v", got)
	}
	if got := Changes(spring, autumn, warsaw); got != nil {
		t.Errorf("the ends are not between themselves, got %v", got)
	}
	if got := Changes(instant(t, "1800-01-01T00:00:00Z"), instant(t, "2300-01-01T00:00:00Z"), time.UTC); got != nil {
		t.Errorf("UTC changes at %v", got)
	}
	// Ending a name's life (Europe/Kyiv's abbreviations, say) is no change.
	all := Changes(instant(t, "2000-01-01T00:00:00Z"), instant(t, "2030-01-01T00:00:00Z"), zone(t, "America/New_York"))
	if len(all) != 60 {
		t.Errorf("New York changes its clocks twice a year; in 30 years %d times", len(all))
	}
}

func TestDate(t *testing.T) {
	for _, tc := range []struct {
		day  string
		n    int
		want string
	}{
		{"2024-02-28", 1, "2024-02-29"},
		{"2026-02-28", 1, "2026-03-01"},
		{"2026-01-01", -1, "2025-12-31"},
		{"1600-01-01", 146097, "2000-01-01"},
	} {
		d := date(t, tc.day)
		got := d.AddDays(tc.n)
		if got.String() != tc.want {
			t.Errorf("%s and %d days is %s, want %s", d, tc.n, got, tc.want)
		}
		if n := got.DaysSince(d); n != tc.n {
			t.Errorf("%s is %d days after %s, want %d", got, n, d, tc.n)
		}
		if got.Before(d) != (tc.n < 0) || d.Before(d) {
			t.Errorf("%s before %s: %t", got, d, got.Before(d))
		}
	}
	if wd := date(t, "2026-01-05").Weekday(); wd != time.Monday {
		t.Errorf("2026-01-05 was a Monday, got %s", wd)
	}
}

func TestParse(t *testing.T) {
	for _, s := range []string{"", "2026-1-05", "2026-02-30", "05.01.2026", "2026-01-05T00:00:00Z"} {
		if d, err := ParseDate(s); err == nil {
			t.Errorf("%q was read as the day %s", s, d)
		}
	}
	for _, s := range []string{"", "9:00", "09:0", "24:01", "23:60", "-1:00", "+9:00", "09.00", "09:00:00", "0900"} {
		if c, err := ParseClock(s); err == nil {
			t.Errorf("%q was read as the time %s", s, c)
		}
	}
	for _, s := range []string{"00:00", "09:05", "23:59", "24:00"} {
		if c, err := ParseClock(s); err != nil || c.String() != s {
			t.Errorf("%q was read as %s, %v", s, c, err)
		}
	}
	for _, s := range []string{"", "2026", "2026-13", "2026-1", "2026-01-01"} {
		if m, err := ParseMonth(s); err == nil {
			t.Errorf("%q was read as the month %s", s, m)
		}
	}
}

func TestMonth(t *testing.T) {
	m, err := ParseMonth("2026-12")
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Next().String(); got != "2027-01" {
		t.Errorf("after %s comes %s", m, got)
	}
	for _, tc := range []struct{ zone, month, from, to string }{
		{"Europe/Warsaw", "2026-10", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"},
		{"UTC", "2028-02", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		// Asunción's clocks went forward over the first midnight of October 2023.
		{"America/Asuncion", "2023-10", "2023-10-01T04:00:00Z", "2023-11-01T03:00:00Z"},
		// Samoa's December 2011 had 30 days.
		{"Pacific/Apia", "2011-12", "2011-12-01T10:00:00Z", "2011-12-31T10:00:00Z"},
		// Jordan's clocks went back from 01:00 to 00:00 on a last Friday.
		{"Asia/Amman", "2021-10", "2021-09-30T21:00:00Z", "2021-10-31T22:00:00Z"},
	} {
		m, err := ParseMonth(tc.month)
		if err != nil {
			t.Fatal(err)
		}
		from, to := m.Bounds(zone(t, tc.zone))
		if !from.Equal(instant(t, tc.from)) || !to.Equal(instant(t, tc.to)) {
			t.Errorf("%s in %s is %s to %s, want %s to %s", m, tc.zone,
				from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339), tc.from, tc.to)
		}
	}
}

// Months follow each other without a gap, and an instant is in one of them.
func TestMonthsTile(t *testing.T) {
	for _, name := range zoneNames(t) {
		loc := zone(t, name)
		_, end := Month{2023, time.December}.Bounds(loc)
		for m := (Month{2024, time.January}); m.Year < 2038; m = m.Next() {
			from, to := m.Bounds(loc)
			if !from.Equal(end) || !from.Before(to) {
				t.Errorf("%s in %s is %s to %s, and the month before ends %s", m, name, from, to, end)
			}
			if got := MonthOf(from.Add(12 * time.Hour).In(loc)); got != m {
				t.Errorf("noon after %s is in %s, not %s", from, got, m)
			}
			end = to
		}
	}
}
