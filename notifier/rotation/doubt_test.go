package rotation

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"nines/internal/civil"
)

func TestDoubts(t *testing.T) {
	for _, test := range []struct {
		zone, clock, from, to string
		want                  []string
	}{
		{"America/New_York", "02:30", "2026-01-01", "2027-01-01", []string{"2026-03-08 02:30 skipped"}},
		{"America/New_York", "01:30", "2026-01-01", "2027-01-01", []string{"2026-11-01 01:30 twice"}},
		{"America/New_York", "09:00", "2026-01-01", "2027-01-01", nil},
		{"America/Santiago", "00:00", "2026-01-01", "2027-01-01", []string{"2026-09-06 00:00 skipped"}},
		{"America/Havana", "00:00", "2026-01-01", "2027-01-01", []string{"2026-03-08 00:00 skipped", "2026-11-01 00:00 twice"}},
		{"Australia/Lord_Howe", "01:45", "2026-01-01", "2027-01-01", []string{"2026-04-05 01:45 twice"}},
		{"Pacific/Apia", "09:00", "2011-12-25", "2012-01-02", []string{"2011-12-30 09:00 skipped"}},
		{"UTC", "02:30", "2026-01-01", "2027-01-01", nil},
	} {
		t.Run(test.zone+" "+test.clock, func(t *testing.T) {
			r := daily(t, test.zone, test.clock)
			var got []string
			for _, d := range r.Doubts(day(t, test.from, r.Zone), day(t, test.to, r.Zone)) {
				kind := "twice"
				if d.Skipped {
					kind = "skipped"
				}
				got = append(got, d.Day.String()+" "+d.Clock.String()+" "+kind)
			}
			if len(got) != len(test.want) {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Errorf("got %q, want %q", got[i], test.want[i])
				}
			}
		})
	}
}

func daily(t interface{ Fatal(...any) }, zone, clock string) *Rotation {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := civil.ParseClock(clock)
	if err != nil {
		t.Fatal(err)
	}
	return &Rotation{Zone: loc, Every: Cadence{1, Days}, Handoff: Handoff{At: at}, Start: civil.Date{Year: 2001, Month: 1, Day: 1}, People: []string{"alice"}}
}

func day(t *testing.T, text string, zone *time.Location) time.Time {
	t.Helper()
	d, err := civil.ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return civil.StartOfDay(d, zone)
}

// A minute-by-minute walk over the days around each handoff sees its reading
// once, but for those in doubt, and those never or twice.
func TestDoubtsLikeAWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"America/New_York", "Europe/Warsaw", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Antarctica/Troll"}).Draw(t, "zone")
		clock := civil.Clock(15 * rapid.IntRange(0, 24*4-1).Draw(t, "clock"))
		r := daily(t, zone, clock.String())
		start := time.Date(2026, 1, rapid.IntRange(1, 360).Draw(t, "day"), 0, 0, 0, 0, r.Zone)
		doubts := map[civil.Date]bool{} // whether skipped
		for _, d := range r.Doubts(start, start.AddDate(0, 0, 5)) {
			doubts[d.Day] = d.Skipped
		}
		for d := range 4 {
			wanted := civil.DateOf(start).AddDays(d)
			seen := 0
			for at := start.AddDate(0, 0, -1); at.Before(start.AddDate(0, 0, 6)); at = at.Add(time.Minute) {
				if shows(at.In(r.Zone), wanted, clock) {
					seen++
				}
			}
			skipped, doubtful := doubts[wanted]
			if want := map[bool]int{true: 0, false: 2}[skipped]; doubtful && seen != want || !doubtful && seen != 1 {
				t.Fatalf("%s %s in %s is shown %d times; in doubt: %v, skipped: %v", wanted, clock, zone, seen, doubtful, skipped)
			}
		}
	})
}
