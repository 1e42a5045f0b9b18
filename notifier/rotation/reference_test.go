package rotation

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nines/internal/civil"
)

// A second implementation of the whole, as slow and as plain as can be: it
// steps through time minute by minute with nothing but the zone's offsets, and
// paints who is on call onto a board with one place a minute.

// sweep knows the first instant at which a zone's clocks show each minute of
// some days, or have passed it.
type sweep struct {
	day   civil.Date // the first that it knows
	first []time.Time
}

func newSweep(loc *time.Location, day civil.Date, days int) *sweep {
	s := &sweep{day: day, first: make([]time.Time, 0, days*24*60+24*60)}
	midnight := time.Date(day.Year, day.Month, day.Day, 0, 0, 0, 0, time.UTC)
	offset := 0
	for t := midnight.Add(-36 * time.Hour); len(s.first) < days*24*60; t = t.Add(time.Minute) {
		if t.Minute()%15 == 0 { // no clock of these years is set at another minute
			_, offset = t.In(loc).Zone()
		}
		shown := t.Add(time.Duration(offset) * time.Second)
		for !midnight.Add(time.Duration(len(s.first)) * time.Minute).After(shown) {
			s.first = append(s.first, t)
		}
	}
	return s
}

// at returns the instant of so many minutes after midnight of a day.
func (s *sweep) at(day civil.Date, minutes int) time.Time {
	return s.first[day.DaysSince(s.day)*24*60+minutes]
}

// board is one place a minute from its start on.
type board struct {
	start time.Time
	who   []string
}

func (b *board) paint(from, to time.Time, do func(place int)) {
	place := func(t time.Time) int { // the first that is not before t
		minutes := (t.Sub(b.start) + time.Minute - 1) / time.Minute
		return min(max(0, int(minutes)), len(b.who))
	}
	for p := place(from); p < place(to); p++ {
		do(p)
	}
}

// wallHandoffs returns the days and minutes of a rotation's handoffs, until one
// that is past the last day.
func wallHandoffs(r *Rotation, last civil.Date) (days []civil.Date, minutes []int) {
	add := func(d civil.Date, m int) bool {
		days, minutes = append(days, d), append(minutes, m)
		return d.Before(last)
	}
	at := int(r.Handoff.At)
	switch r.Every.Unit {
	case Hours:
		for d, m := r.Start, at; add(d, m); {
			for m += 60 * r.Every.N; m >= 24*60; m -= 24 * 60 {
				d = d.AddDays(1)
			}
		}
	case Days:
		for d := r.Start; add(d, at); d = d.AddDays(r.Every.N) {
		}
	case Weeks:
		d := r.Start
		for d.Weekday() != r.Handoff.Weekday {
			d = d.AddDays(1)
		}
		for ; add(d, at); d = d.AddDays(7 * r.Every.N) {
		}
	case Months:
		// Every day in turn: is it the handoff day of its month?
		wait := 0
		for d := r.Start; ; d = d.AddDays(1) {
			lastOfMonth := d.AddDays(1).Day == 1
			if d.Day != r.Handoff.Day && !(lastOfMonth && d.Day < r.Handoff.Day) {
				continue
			}
			if wait--; wait > 0 {
				continue
			}
			wait = r.Every.N
			if !add(d, at) {
				break
			}
		}
	}
	return days, minutes
}

// painted returns who is on call in each minute of the days from the rotation's
// start on.
func painted(r *Rotation, days int) *board {
	s := newSweep(r.Zone, r.Start.AddDays(-3), days+100)
	b := &board{start: s.at(r.Start.AddDays(-1), 0), who: make([]string, (days+2)*24*60)}
	end := r.Start.AddDays(days + 3)

	open := make([]bool, len(b.who))
	for d := r.Start.AddDays(-3); d.Before(end); d = d.AddDays(1) {
		if r.Only == nil {
			b.paint(s.at(d, 0), s.at(d, 24*60), func(p int) { open[p] = true })
			continue
		}
		if !r.Only.Days[d.Weekday()] {
			continue
		}
		until := d
		if r.Only.To <= r.Only.From {
			until = d.AddDays(1)
		}
		b.paint(s.at(d, int(r.Only.From)), s.at(until, int(r.Only.To)), func(p int) { open[p] = true })
	}

	day, minute := wallHandoffs(r, end)
	turn := 0
	for k := range len(day) - 1 {
		used := r.Only == nil
		b.paint(s.at(day[k], minute[k]), s.at(day[k+1], minute[k+1]), func(p int) {
			if open[p] {
				b.who[p] = r.People[turn%len(r.People)]
				used = true
			}
		})
		if used {
			turn++
		}
	}
	for _, o := range r.Overrides {
		b.paint(o.From, o.To, func(p int) { b.who[p] = o.Person })
	}
	return b
}

// draw makes a rotation whose first weeks have a change of the clocks where its
// zone has any.
func draw(t *rapid.T, names []string) *Rotation {
	loc, err := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	near := time.Unix(rapid.Int64Range(1_704_067_200, 2_145_916_800).Draw(t, "near"), 0) // 2024 to 2037
	if changes := civil.Changes(near, near.AddDate(1, 0, 0), loc); len(changes) > 0 {
		near = rapid.SampledFrom(changes).Draw(t, "change")
	}
	r := &Rotation{
		Name: "drawn", Zone: loc,
		Start: civil.DateOf(near.In(loc)).AddDays(-rapid.IntRange(0, 8).Draw(t, "days before")),
		Handoff: Handoff{
			Weekday: time.Weekday(rapid.IntRange(0, 6).Draw(t, "weekday")),
			Day:     rapid.IntRange(1, 31).Draw(t, "day"),
			At:      drawClock(t, "handoff"),
		},
		People: strings.Split("abcde"[:rapid.IntRange(1, 5).Draw(t, "people")], ""),
	}
	r.Every.Unit = rapid.SampledFrom([]Unit{Hours, Days, Weeks, Months}).Draw(t, "unit")
	most := map[Unit]int{Hours: 50, Days: 9, Weeks: 2, Months: 2}[r.Every.Unit]
	r.Every.N = rapid.IntRange(1, most).Draw(t, "n")
	if rapid.Bool().Draw(t, "only?") {
		r.Only = &civil.Hours{From: drawClock(t, "only from"), To: drawClock(t, "only to")}
		for i := range r.Only.Days {
			r.Only.Days[i] = rapid.Bool().Draw(t, "only on")
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "overrides") {
		from := near.Truncate(time.Minute).Add(time.Duration(rapid.IntRange(-9*24*60, 12*24*60).Draw(t, "override")) * time.Minute)
		to := from.Add(time.Duration(rapid.IntRange(-60, 4*24*60).Draw(t, "minutes")) * time.Minute)
		r.Overrides = append(r.Overrides, Override{rapid.SampledFrom([]string{"a", "b", "x"}).Draw(t, "by"), from, to})
	}
	return r
}

// drawClock draws a time of day, mostly in the small hours when clocks change.
func drawClock(t *rapid.T, name string) civil.Clock {
	if rapid.Bool().Draw(t, name+" at night") {
		return civil.Clock(15 * rapid.IntRange(0, 16).Draw(t, name))
	}
	return civil.Clock(rapid.IntRange(0, 1440).Draw(t, name))
}

func describe(r *Rotation) string {
	s := fmt.Sprintf("%s every %+v handoff %+v start %s people %v overrides %v", r.Zone, r.Every, r.Handoff, r.Start, r.People, r.Overrides)
	if r.Only != nil {
		s += fmt.Sprintf(" only %+v", *r.Only)
	}
	return s
}

func zoneNames(t testing.TB) []string {
	t.Helper()
	list, err := os.ReadFile("../../internal/civil/testdata/zones.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(list))
}

// likeTheReference holds Shifts and OnCall against the painted board.
func likeTheReference(names []string) func(t *rapid.T) {
	return func(t *rapid.T) {
		r := draw(t, names)
		days := 14
		if r.Every.Unit == Months {
			days = 95
		}
		want := painted(r, days)
		end := want.start.Add(time.Duration(len(want.who)) * time.Minute)
		shifts := r.Shifts(want.start, end)
		checkShape(t, shifts)

		got := &board{start: want.start, who: make([]string, len(want.who))}
		for _, s := range shifts {
			got.paint(s.From, s.To, func(p int) { got.who[p] = s.Person })
		}
		for place, person := range want.who {
			if at := want.start.Add(time.Duration(place) * time.Minute); got.who[place] != person {
				t.Fatalf("at %s (%s) Shifts has %q and should have %q: %s", at.UTC(), at.In(r.Zone), got.who[place], person, describe(r))
			}
		}
		for range 20 {
			place := rapid.IntRange(0, len(want.who)-1).Draw(t, "place")
			at := want.start.Add(time.Duration(place)*time.Minute + time.Duration(rapid.Int64Range(0, int64(time.Minute)-1).Draw(t, "ns")))
			if person, ok := r.OnCall(at); person != want.who[place] || ok != (person != "") {
				t.Fatalf("at %s OnCall has %q, %t and should have %q: %s", at.UTC(), person, ok, want.who[place], describe(r))
			}
		}
	}
}

// checkShape holds shifts against what is true of every list of them.
func checkShape(t interface{ Fatalf(string, ...any) }, shifts []Shift) {
	for i, s := range shifts {
		if !s.From.Before(s.To) || s.Person == "" {
			t.Fatalf("%v is no shift", s)
		}
		if i == 0 {
			continue
		}
		switch before := shifts[i-1]; {
		case s.From.Before(before.To):
			t.Fatalf("%v and %v overlap", before, s)
		case s.From.Equal(before.To) && s.Person == before.Person:
			t.Fatalf("%v and %v are one", before, s)
		}
	}
}

func TestLikeTheReference(t *testing.T) {
	rapid.Check(t, likeTheReference(zoneNames(t)))
}

func FuzzLikeTheReference(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(likeTheReference(zoneNames(f))))
}

// Wherever it is cut, a list of shifts has the same people at the same times,
// and OnCall agrees with it years after the start.
func TestCutAnywhere(t *testing.T) {
	names := zoneNames(t)
	rapid.Check(t, func(t *rapid.T) {
		r := draw(t, names)
		begin := r.handoff(0)
		from := begin.Add(time.Duration(rapid.Int64Range(-10*24*3600, 4*365*24*3600).Draw(t, "from")) * time.Second)
		to := from.Add(time.Duration(rapid.Int64Range(0, 60*24*3600).Draw(t, "seconds")) * time.Second)
		mid := from.Add(time.Duration(rapid.Int64Range(0, int64(to.Sub(from))).Draw(t, "cut")))
		whole := r.Shifts(from, to)
		checkShape(t, whole)
		parts := merge(append(r.Shifts(from, mid), r.Shifts(mid, to)...))
		if a, b := fmt.Sprint(lines(whole)), fmt.Sprint(lines(parts)); a != b {
			t.Fatalf("whole %s\ncut at %s %s\n%s", a, mid.UTC(), b, describe(r))
		}
		want := ""
		for _, s := range whole {
			if !mid.Before(s.From) && mid.Before(s.To) {
				want = s.Person
			}
		}
		if got, _ := r.OnCall(mid); mid.Before(to) && got != want {
			t.Fatalf("at %s OnCall has %q and Shifts %q: %s", mid.UTC(), got, want, describe(r))
		}
		begun := r.Begun(from, to)
		if len(begun) != len(whole) {
			t.Fatalf("Begun has %d shifts and Shifts %d: %s", len(begun), len(whole), describe(r))
		}
		for i, s := range begun {
			if s.From.Before(from) && i == 0 {
				if p, ok := r.OnCall(s.From.Add(-1)); ok && p == s.Person {
					t.Fatalf("%v began before its start: %s", s, describe(r))
				}
				s.From = from
			}
			if w := whole[i]; s.Person != w.Person || !s.From.Equal(w.From) || !s.To.Equal(w.To) {
				t.Fatalf("Begun has %v and Shifts %v: %s", s, w, describe(r))
			}
		}
	})
}

// Turns that are multiplied are those that are counted one by one.
func TestTaken(t *testing.T) {
	names := zoneNames(t)
	rapid.Check(t, func(t *rapid.T) {
		r := draw(t, names)
		if r.Only == nil {
			r.Only = &civil.Hours{Days: civil.Days{1: true, 5: true}, From: 600, To: 700}
		}
		most := map[Unit]int{Hours: 3000, Days: 800, Weeks: 150, Months: 40}[r.Every.Unit]
		k := rapid.IntRange(0, most/r.Every.N).Draw(t, "k")
		want := 0
		for j := range k {
			if len(r.windows(r.handoff(j), r.handoff(j+1))) > 0 {
				want++
			}
		}
		if got := r.taken(k); got != want {
			t.Fatalf("%d of the first %d shifts are turns, not %d: %s", want, k, got, describe(r))
		}
	})
}

// The same where it is hard: windows that a change of the clocks swallows, so
// that a week differs from its neighbours.
func TestTakenWhereWindowsVanish(t *testing.T) {
	for _, tc := range []struct{ zone, start, every, days, from, to string }{
		{"America/New_York", "2026-01-04", "daily", "sun", "02:00", "03:00"},
		{"America/New_York", "2026-01-04", "1h", "sun", "02:15", "02:45"},
		{"America/New_York", "2026-01-04", "7h", "sun", "02:00", "03:00"},
		{"America/New_York", "2026-01-04", "weekly", "sun", "02:00", "03:00"},
		{"America/New_York", "2026-01-04", "3d", "sun,wed", "02:00", "03:00"},
		{"America/Santiago", "2026-01-04", "12h", "sat", "24:00", "01:00"},
		{"Australia/Lord_Howe", "2026-01-04", "6h", "sun", "02:00", "02:30"},
		{"Pacific/Apia", "2011-06-01", "daily", "fri", "08:00", "18:00"},
		{"Pacific/Apia", "2011-06-01", "36h", "fri", "08:00", "18:00"},
	} {
		r := rota(t, tc.zone, tc.every, map[bool]string{true: "mon 00:00", false: "00:00"}[tc.every == "weekly"], tc.start, "ab")
		r.Only = hours(t, tc.days, tc.from, tc.to)
		want := 0
		for k := range r.index(r.handoff(0).AddDate(2, 6, 0)) {
			if k%101 == 7 {
				if got := r.taken(k); got != want {
					t.Errorf("%v: %d of the first %d shifts are turns, not %d", tc, want, k, got)
					break
				}
			}
			if len(r.windows(r.handoff(k), r.handoff(k+1))) > 0 {
				want++
			}
		}
	}
}
