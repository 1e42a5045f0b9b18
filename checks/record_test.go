package checks

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const fullLine = `{"check":"shop","region":"eu-west","prober":"fra-1","slot":"2026-10-01T00:00:00Z","at":"2026-10-01T00:00:00.012Z",` +
	`"took_ms":123.4,"status":"up","reason":"","detail":"","phases_ms":{"connect":20.1,"dns":1.2},"facts":{"http_status":200}}`

const quarantineLine = `{"quarantine":{"prober":"fra-1","from":"2026-10-01T00:00:00Z","to":"2026-10-01T01:00:00Z","why":"clock"}}`

func TestRecordsRoundTrip(t *testing.T) {
	var out bytes.Buffer
	for rec, err := range ReadRecords(strings.NewReader(fullLine + "\n\n  \n" + quarantineLine)) {
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteRecord(&out, rec); err != nil {
			t.Fatal(err)
		}
	}
	if want := fullLine + "\n" + quarantineLine + "\n"; out.String() != want {
		t.Error(cmp.Diff(want, out.String()))
	}
}

func TestRecordsNormalize(t *testing.T) {
	line := `{"check":"a","region":"b","prober":"c","slot":"2026-10-01T02:00:00.0009+02:00","at":"2026-10-01T02:00:00.0129+02:00","took_ms":1.23456,"status":"up"}`
	for rec, err := range ReadRecords(strings.NewReader(line)) {
		if err != nil {
			t.Fatal(err)
		}
		r := rec.Result
		if r.Slot.Format(time.RFC3339Nano) != "2026-10-01T00:00:00Z" || r.At.Format(time.RFC3339Nano) != "2026-10-01T00:00:00.012Z" || r.TookMS != 1.235 || r.Phases == nil || r.Facts == nil {
			t.Errorf("got %+v", r)
		}
	}
}

func TestRecordsThatAreNone(t *testing.T) {
	bad := func(from, to string) string { return strings.Replace(fullLine, from, to, 1) }
	for _, tt := range []struct{ name, line, says string }{
		{"not json", `{"check":`, "not a result"},
		{"wrong type", `{"check":"a","took_ms":"fast"}`, "not a result"},
		{"another object", `{"a":1}`, `1:1: check: ""`},
		{"two on a line", fullLine + fullLine, "not a result"},
		{"name", bad(`"shop"`, `"Shop"`), `check: "Shop" is not a check's name`},
		{"region", bad(`"eu-west"`, `""`), "region"},
		{"prober", bad(`"fra-1"`, `"fra_1"`), "prober"},
		{"slot", bad(`"2026-10-01T00:00:00Z"`, `"1026-10-01T00:00:00Z"`), "slot: must be a time"},
		{"status", bad(`"up"`, `"fine"`), `status: "fine" is none of`},
		{"took", bad("123.4", "-1"), "took_ms"},
		{"quarantine", strings.Replace(quarantineLine, "T01", "T00", 1), "quarantine: needs"},
		{"too long", `{"check":"` + strings.Repeat("a", MaxRecord) + `"}`, "1:1: longer than 65536 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []error
			good := 0
			for rec, err := range ReadRecords(strings.NewReader(tt.line + "\n" + fullLine)) {
				if err != nil {
					got = append(got, err)
				} else if rec.Result != nil {
					good++
				}
			}
			var at *LineError
			if len(got) != 1 || !errors.As(got[0], &at) || at.Line != 1 || !strings.Contains(got[0].Error(), tt.says) {
				t.Errorf("got %v, want %q", got, tt.says)
			}
			if good != 1 {
				t.Error("the good line after it was not read")
			}
		})
	}
	for _, err := range ReadRecords(iotest.ErrReader(io.ErrClosedPipe)) {
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v", err)
		}
	}
}

func TestQuarantineCovers(t *testing.T) {
	from := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	q := Quarantine{Prober: "fra-1", From: from, To: from.Add(time.Hour)}
	for _, tt := range []struct {
		prober string
		at     time.Time
		want   bool
	}{
		{"fra-1", from, true},
		{"fra-1", from.Add(time.Hour - 1), true},
		{"fra-1", from.Add(time.Hour), false},
		{"fra-1", from.Add(-1), false},
		{"fra-2", from, false},
	} {
		if got := q.Covers(&Result{Prober: tt.prober, At: tt.at}); got != tt.want {
			t.Errorf("%s at %v: %v", tt.prober, tt.at, got)
		}
	}
}

// Whatever is read is valid, and is written and read again as the same.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(fullLine))
	f.Add([]byte(quarantineLine))
	f.Add([]byte(fullLine + "\n{\n" + quarantineLine + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for rec, err := range ReadRecords(bytes.NewReader(data)) {
			if err != nil {
				var at *LineError
				if !errors.As(err, &at) || at.Line < 1 || at.Column < 1 {
					t.Fatalf("error %v has no place", err)
				}
				continue
			}
			first, err := json.Marshal(rec)
			if err != nil {
				t.Fatalf("read but cannot be written: %v", err)
			}
			if len(first) > MaxRecord/2 {
				continue // escapes can make it too long to be read again
			}
			for again, err := range ReadRecords(bytes.NewReader(first)) {
				if err != nil {
					t.Fatalf("written but cannot be read: %v\n%s", err, first)
				}
				if second, _ := json.Marshal(again); !bytes.Equal(first, second) {
					t.Fatalf("not the same when read again:\n%s\n%s", first, second)
				}
			}
		}
	})
}
