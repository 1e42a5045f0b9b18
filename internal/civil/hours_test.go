package civil

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseDays(t *testing.T) {
	for _, tc := range []struct {
		list []string
		want Days
	}{
		{nil, Days{}},
		{[]string{"mon"}, Days{1: true}},
		{[]string{"mon-fri"}, Days{1: true, 2: true, 3: true, 4: true, 5: true}},
		{[]string{"fri-mon"}, Days{0: true, 1: true, 5: true, 6: true}},
		{[]string{"Tue", "tue - wed", "sun"}, Days{0: true, 2: true, 3: true}},
		{[]string{"sat-sat"}, Days{6: true}},
		{[]string{"sun-sat"}, EveryDay()},
		{[]string{"mon-sun"}, EveryDay()},
	} {
		got, err := ParseDays(tc.list)
		if err != nil || got != tc.want {
			t.Errorf("%q is %v, %v; want %v", tc.list, got, err, tc.want)
		}
	}
	for _, bad := range []string{"", "monday", "mon-", "-fri", "mon-fri-sun", "1"} {
		if got, err := ParseDays([]string{bad}); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

func days(t *testing.T, list ...string) Days {
	t.Helper()
	d, err := ParseDays(list)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSpans(t *testing.T) {
	for _, tc := range []struct {
		name, zone   string
		days         string
		from, to     string // of the window
		since, until string // of the question
		want         [][2]string
	}{
		{name: "office hours", zone: "Europe/Warsaw", days: "mon-fri", from: "08:00", to: "18:00",
			since: "2026-01-09T00:00:00Z", until: "2026-01-13T00:00:00Z",
			want: [][2]string{{"2026-01-09T07:00:00Z", "2026-01-09T17:00:00Z"}, {"2026-01-12T07:00:00Z", "2026-01-12T17:00:00Z"}}},
		{name: "cut at both ends", zone: "Europe/Warsaw", days: "mon-fri", from: "08:00", to: "18:00",
			since: "2026-01-09T12:00:00Z", until: "2026-01-12T08:00:00Z",
			want: [][2]string{{"2026-01-09T12:00:00Z", "2026-01-09T17:00:00Z"}, {"2026-01-12T07:00:00Z", "2026-01-12T08:00:00Z"}}},
		{name: "the night belongs to the day on which it starts", zone: "UTC", days: "fri", from: "20:00", to: "08:00",
			since: "2026-01-05T00:00:00Z", until: "2026-01-12T00:00:00Z",
			want: [][2]string{{"2026-01-09T20:00:00Z", "2026-01-10T08:00:00Z"}}},
		{name: "a night that began before the question", zone: "UTC", days: "fri", from: "20:00", to: "08:00",
			since: "2026-01-10T06:00:00Z", until: "2026-01-11T00:00:00Z",
			want: [][2]string{{"2026-01-10T06:00:00Z", "2026-01-10T08:00:00Z"}}},
		{name: "whole days touch and merge", zone: "Europe/Warsaw", days: "sat-sun", from: "00:00", to: "24:00",
			since: "2026-03-23T00:00:00Z", until: "2026-03-31T00:00:00Z",
			want: [][2]string{{"2026-03-27T23:00:00Z", "2026-03-29T22:00:00Z"}}},
		{name: "equal times are a whole day", zone: "UTC", days: "sat", from: "09:00", to: "09:00",
			since: "2026-01-09T00:00:00Z", until: "2026-01-13T00:00:00Z",
			want: [][2]string{{"2026-01-10T09:00:00Z", "2026-01-11T09:00:00Z"}}},
		{name: "a window that a gap swallows is none", zone: "America/New_York", days: "sun", from: "02:00", to: "03:00",
			since: "2026-03-01T00:00:00Z", until: "2026-03-16T00:00:00Z",
			want: [][2]string{{"2026-03-01T07:00:00Z", "2026-03-01T08:00:00Z"}, {"2026-03-15T06:00:00Z", "2026-03-15T07:00:00Z"}}},
		{name: "a window that a gap shortens", zone: "America/New_York", days: "sun", from: "02:30", to: "05:00",
			since: "2026-03-08T00:00:00Z", until: "2026-03-09T00:00:00Z",
			want: [][2]string{{"2026-03-08T07:00:00Z", "2026-03-08T09:00:00Z"}}},
		{name: "a window with the repeated hour in it", zone: "America/New_York", days: "sun", from: "00:00", to: "03:00",
			since: "2026-11-01T00:00:00Z", until: "2026-11-02T00:00:00Z",
			want: [][2]string{{"2026-11-01T04:00:00Z", "2026-11-01T08:00:00Z"}}},
		{name: "a window that ends at a repeated time ends at its first", zone: "America/New_York", days: "sun", from: "00:00", to: "01:30",
			since: "2026-11-01T00:00:00Z", until: "2026-11-02T00:00:00Z",
			want: [][2]string{{"2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z"}}},
		{name: "a night pushed over a skipped day", zone: "Pacific/Apia", days: "thu", from: "20:00", to: "08:00",
			since: "2011-12-30T09:00:00Z", until: "2012-01-01T00:00:00Z",
			want: [][2]string{{"2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z"}}},
		// The clocks went from 00:01 back to 23:01: the 7th began twice.
		{name: "a question that ends in an evening's second pass", zone: "America/St_Johns", days: "sun", from: "00:00", to: "08:00",
			since: "2010-11-07T00:00:00Z", until: "2010-11-07T03:00:00Z",
			want: [][2]string{{"2010-11-07T02:30:00Z", "2010-11-07T03:00:00Z"}}},
		{name: "no day at all", zone: "UTC", days: "", from: "08:00", to: "18:00",
			since: "2026-01-01T00:00:00Z", until: "2027-01-01T00:00:00Z"},
		{name: "an empty question", zone: "UTC", days: "sun-sat", from: "00:00", to: "24:00",
			since: "2026-01-01T00:00:00Z", until: "2026-01-01T00:00:00Z"},
		{name: "an inverted question", zone: "UTC", days: "sun-sat", from: "00:00", to: "24:00",
			since: "2026-01-02T00:00:00Z", until: "2026-01-01T00:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := Hours{From: clock(t, tc.from), To: clock(t, tc.to)}
			if tc.days != "" {
				h.Days = days(t, tc.days)
			}
			var got [][2]string
			for _, s := range h.Spans(instant(t, tc.since), instant(t, tc.until), zone(t, tc.zone)) {
				got = append(got, [2]string{s.From.UTC().Format(time.RFC3339), s.To.UTC().Format(time.RFC3339)})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Spans are in order, apart, within the question, and cutting the question in
// two changes nothing.
func TestSpansAddUp(t *testing.T) {
	names := zoneNames(t)
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		h := Hours{
			From: Clock(rapid.IntRange(0, 1440).Draw(t, "from")),
			To:   Clock(rapid.IntRange(0, 1440).Draw(t, "to")),
		}
		for i := range h.Days {
			h.Days[i] = rapid.Bool().Draw(t, "day")
		}
		moment := func(name string) time.Time {
			return time.Unix(rapid.Int64Range(0, 2_500_000_000).Draw(t, name), 0)
		}
		from := moment("since")
		to := from.Add(time.Duration(rapid.IntRange(1, 30*24*3600).Draw(t, "seconds")) * time.Second)
		mid := from.Add(time.Duration(rapid.Int64Range(0, int64(to.Sub(from))).Draw(t, "cut")))

		spans := h.Spans(from, to, loc)
		var whole time.Duration
		for i, s := range spans {
			if !s.From.Before(s.To) || s.From.Before(from) || s.To.After(to) {
				t.Fatalf("%v is not within %s to %s", s, from, to)
			}
			if i > 0 && !spans[i-1].To.Before(s.From) {
				t.Fatalf("%v touches %v", spans[i-1], s)
			}
			whole += s.Duration()
		}
		var parts time.Duration
		for _, s := range append(h.Spans(from, mid, loc), h.Spans(mid, to, loc)...) {
			parts += s.Duration()
		}
		if whole != parts {
			t.Fatalf("%s to %s has %s of hours, but cut at %s %s", from, to, whole, mid, parts)
		}
	})
}

func TestSpanDuration(t *testing.T) {
	at := instant(t, "2026-01-01T00:00:00Z")
	if d := (Span{at, at.Add(time.Hour)}).Duration(); d != time.Hour {
		t.Errorf("an hour lasts %s", d)
	}
	if d := (Span{at.Add(time.Hour), at}).Duration(); d != 0 {
		t.Errorf("an inverted span lasts %s", d)
	}
}
