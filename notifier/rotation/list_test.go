package rotation

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWriteJSON(t *testing.T) {
	r := rota(t, "Europe/Warsaw", "weekly", "mon 09:00", "2026-01-05", "ab")
	r.People = []string{"alice", `b<&>"ob`}
	var b bytes.Buffer
	if err := WriteJSON(&b, r.List(instant(t, "2026-11-23T08:00:00Z"), instant(t, "2026-12-07T08:00:00.5Z"))); err != nil {
		t.Fatal(err)
	}
	want := `[
{"rotation":"primary","person":"alice","from":"2026-11-23T08:00:00Z","to":"2026-11-30T08:00:00Z"},
{"rotation":"primary","person":"b<&>\"ob","from":"2026-11-30T08:00:00Z","to":"2026-12-07T08:00:00Z"},
{"rotation":"primary","person":"alice","from":"2026-12-07T08:00:00Z","to":"2026-12-07T08:00:00.5Z"}
]
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var read []map[string]string
	if err := json.Unmarshal(b.Bytes(), &read); err != nil || len(read) != 3 {
		t.Errorf("%d objects were read, %v", len(read), err)
	}
	b.Reset()
	if err := WriteJSON(&b, nil); err != nil || b.String() != "[]\n" {
		t.Errorf("no shift is written %q, %v", b.String(), err)
	}
}

func TestWriteTable(t *testing.T) {
	weekly := rota(t, "Europe/Warsaw", "weekly", "mon 09:00", "2026-01-05", "ab")
	weekly.People = []string{"alice", "Zoë\t\x1b[31m"}
	daily := rota(t, "Asia/Tokyo", "12h", "09:00", "2026-01-05", "c")
	daily.Name = "tokyo"
	daily.Only = hours(t, "mon", "09:00", "17:30")
	list := weekly.List(instant(t, "2026-03-23T12:00:01Z"), instant(t, "2026-04-06T07:00:00Z"))
	list = append(list, daily.List(instant(t, "2026-03-23"), instant(t, "2026-03-24"))...)
	var b bytes.Buffer
	if err := WriteTable(&b, list); err != nil {
		t.Fatal(err)
	}
	want := `
ROTATION  PERSON     FROM                         TO                         LASTS
primary   Zoë  [31m  Mon 2026-03-23 13:00:01 CET  Mon 2026-03-30 09:00 CEST  6d18h59m59s
primary   alice      Mon 2026-03-30 09:00 CEST    Mon 2026-04-06 09:00 CEST  7d
tokyo     c          Mon 2026-03-23 09:00 JST     Mon 2026-03-23 17:30 JST   8h30m
`
	if diff := cmp.Diff(want, "\n"+b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.Reset()
	if err := WriteTable(&b, nil); err != nil || b.String() != "Nobody is on call.\n" {
		t.Errorf("no shift is written %q, %v", b.String(), err)
	}
}

func TestLength(t *testing.T) {
	for d, want := range map[time.Duration]string{
		7 * 24 * time.Hour:                          "7d",
		7*24*time.Hour - 1:                          "6d23h59m59s",
		23 * time.Hour:                              "23h",
		24*time.Hour + time.Hour:                    "1d1h",
		11*time.Hour + 30*time.Minute + time.Second: "11h30m1s",
		time.Millisecond:                            "1ms",
	} {
		if got := length(d); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
}

// event is what the test's own reader finds in a calendar.
type event map[string]string

// readICS reads a calendar as RFC 5545 has it and complains of whatever it
// forbids.
func readICS(t testing.TB, calendar string) (properties map[string]string, events []event) {
	t.Helper()
	if !strings.HasSuffix(calendar, "\r\n") {
		t.Fatalf("the last line has no end")
	}
	for _, line := range strings.Split(strings.TrimSuffix(calendar, "\r\n"), "\r\n") {
		if len(line) > 75 || line == "" || strings.ContainsAny(line, "\r\n\x00\x1b") || strings.ToValidUTF8(line, "") != line {
			t.Errorf("%d octets are no line: %q", len(line), line)
		}
	}
	unfolded := strings.ReplaceAll(calendar, "\r\n ", "")
	lines := strings.Split(strings.TrimSuffix(unfolded, "\r\n"), "\r\n")
	if lines[0] != "BEGIN:VCALENDAR" || lines[len(lines)-1] != "END:VCALENDAR" {
		t.Fatalf("no calendar: %q to %q", lines[0], lines[len(lines)-1])
	}
	properties = map[string]string{}
	into := properties
	for _, line := range lines[1 : len(lines)-1] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("no property: %q", line)
		}
		switch {
		case line == "BEGIN:VEVENT":
			into = event{}
			continue
		case line == "END:VEVENT":
			events = append(events, into)
			into = properties
			continue
		}
		if _, twice := into[name]; twice {
			t.Errorf("%s comes twice", name)
		}
		into[name] = unescape(t, value)
	}
	return properties, events
}

// unescape reads a TEXT value (RFC 5545, 3.3.11).
func unescape(t testing.TB, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ',', ';':
			t.Errorf("%q is not escaped in %q", c, s)
		case '\\':
			i++
			if i == len(s) || !strings.ContainsRune(`\;,nN`, rune(s[i])) {
				t.Fatalf("a stray backslash in %q", s)
			}
			if s[i] == 'n' || s[i] == 'N' {
				b.WriteByte('\n')
				continue
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func TestWriteICS(t *testing.T) {
	r := rota(t, "Europe/Warsaw", "weekly", "mon 09:00", "2026-01-05", "ab")
	hard := `Łucja, "the\nice"; O'Brien\ ` + strings.Repeat("żółw 🐢 ", 30)
	r.People = []string{"alice", hard}
	var b bytes.Buffer
	stamp := instant(t, "2026-11-01T12:34:56Z")
	if err := WriteICS(&b, "On call; primary", r.List(instant(t, "2026-11-23T08:00:00Z"), instant(t, "2026-12-07T08:00:00Z")), stamp); err != nil {
		t.Fatal(err)
	}
	properties, events := readICS(t, b.String())
	if diff := cmp.Diff(map[string]string{
		"VERSION": "2.0", "PRODID": "-//nines//on call//EN", "METHOD": "PUBLISH",
		"NAME": "On call; primary", "X-WR-CALNAME": "On call; primary",
		"REFRESH-INTERVAL;VALUE=DURATION": "PT1H", "X-PUBLISHED-TTL": "PT1H",
	}, properties); diff != "" {
		t.Errorf("the calendar (-want +got):\n%s", diff)
	}
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	if diff := cmp.Diff(event{
		"UID": events[0]["UID"], "DTSTAMP": "20261101T123456Z", "DTSTART": "20261123T080000Z", "DTEND": "20261130T080000Z",
		"SUMMARY": "alice on call (primary)", "TRANSP": "TRANSPARENT",
	}, events[0]); diff != "" {
		t.Errorf("the first event (-want +got):\n%s", diff)
	}
	if got, want := events[1]["SUMMARY"], hard+" on call (primary)"; got != want {
		t.Errorf("the second's summary is %q, want %q", got, want)
	}

	var again bytes.Buffer
	WriteICS(&again, "On call; primary", r.List(instant(t, "2026-11-23T08:00:00Z"), instant(t, "2026-12-07T08:00:00Z")), stamp)
	if again.String() != b.String() {
		t.Error("the same shifts make another calendar")
	}
}

// A UID goes with rotation, person and start, and with nothing else.
func TestUID(t *testing.T) {
	from := instant(t, "2026-11-23T08:00:00Z")
	base := Listed{"primary", Shift{"alice", from, from.Add(time.Hour)}}
	id := func(l Listed) string {
		t.Helper()
		var b bytes.Buffer
		if err := WriteICS(&b, "x", []Listed{l}, from); err != nil {
			t.Fatal(err)
		}
		_, events := readICS(t, b.String())
		return events[0]["UID"]
	}
	for name, same := range map[string]Listed{
		"another end":  {"primary", Shift{"alice", from, from.Add(2 * time.Hour)}},
		"another zone": {"primary", Shift{"alice", from.In(zone(t, "Asia/Tokyo")), from.Add(time.Hour)}},
	} {
		if id(same) != id(base) {
			t.Errorf("%s made another UID", name)
		}
	}
	for name, other := range map[string]Listed{
		"another rotation": {"secondary", base.Shift},
		"another person":   {"primary", Shift{"bob", from, base.To}},
		"another start":    {"primary", Shift{"alice", from.Add(time.Minute), base.To}},
		"a moved quote":    {`primary" "alice`, Shift{"", from, base.To}},
	} {
		if id(other) == id(base) {
			t.Errorf("%s left the UID as it was", name)
		}
	}
}

// As the days go by, a feed's events keep their UIDs.
func TestUIDsLast(t *testing.T) {
	r := rota(t, "Europe/Warsaw", "weekly", "mon 09:00", "2026-01-05", "ab")
	uids := map[string]string{}
	for day := range 60 {
		now := instant(t, "2026-03-01").AddDate(0, 0, day)
		var b bytes.Buffer
		if err := WriteICS(&b, "x", r.ListBegun(now, now.AddDate(0, 3, 0)), now); err != nil {
			t.Fatal(err)
		}
		_, events := readICS(t, b.String())
		for _, e := range events {
			if old, seen := uids[e["DTSTART"]]; seen && old != e["UID"] {
				t.Errorf("the shift of %s had the UID %s and has %s", e["DTSTART"], old, e["UID"])
			}
			uids[e["DTSTART"]] = e["UID"]
		}
	}
	if len(uids) > 60/7+3*31/7+3 {
		t.Errorf("%d shifts began in five months of weeks", len(uids))
	}
}

func TestNothingToWrite(t *testing.T) {
	at := instant(t, "2026-11-23T08:00:00Z")
	var b bytes.Buffer
	if err := WriteICS(&b, "x", []Listed{{"primary", Shift{"alice", at, at.Add(time.Millisecond)}}}, at); err != nil {
		t.Fatal(err)
	}
	if _, events := readICS(t, b.String()); len(events) != 0 {
		t.Errorf("a millisecond is an event: %v", events)
	}
}

// full is a writer that has no room.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWritersSayWhatWentWrong(t *testing.T) {
	at := instant(t, "2026-11-23T08:00:00Z")
	list := []Listed{{"primary", Shift{"alice", at, at.Add(time.Hour)}}}
	for name, err := range map[string]error{
		"WriteJSON":          WriteJSON(full{}, list),
		"WriteTable":         WriteTable(full{}, list),
		"WriteTable of none": WriteTable(full{}, nil),
		"WriteICS":           WriteICS(full{}, "x", list, at),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzWriteICS(f *testing.F) {
	f.Add("primary", "alice")
	f.Add("a,b;c\\d", "Łucja\r\nEND:VCALENDAR\xff")
	f.Add(strings.Repeat("🐢", 40), strings.Repeat(" <>", 60))
	f.Fuzz(func(t *testing.T, rotation, person string) {
		at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
		var b bytes.Buffer
		if err := WriteICS(&b, rotation, []Listed{{rotation, Shift{person, at, at.Add(time.Hour)}}}, at); err != nil {
			t.Fatal(err)
		}
		properties, events := readICS(t, b.String())
		if len(events) != 1 {
			t.Fatalf("%d events", len(events))
		}
		if got, want := events[0]["SUMMARY"], oneLine(person)+" on call ("+oneLine(rotation)+")"; got != want {
			t.Errorf("the summary is %q, want %q", got, want)
		}
		if got := properties["NAME"]; got != oneLine(rotation) {
			t.Errorf("the name is %q, want %q", got, oneLine(rotation))
		}
	})
}
