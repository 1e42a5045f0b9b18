package report

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nines/checks"
)

// appendLine writes what checks.WriteRecord writes: the hash is over what an
// export holds.
func TestAppendLine(t *testing.T) {
	word := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z_.<>&"\\ -]{0,12}`), rapid.SampledFrom([]string{"\u2028", "\xff", "żółw", "</script>"}))
	number := rapid.OneOf(rapid.Float64Range(0, 1e9), rapid.Float64Range(-1e25, 1e25), rapid.Float64Range(-1e-5, 1e-5),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, 1e20, 1e21, 1e-6, 1e-7, 123.4, math.MaxFloat64}))
	value := rapid.OneOf(rapid.Map(word, func(s string) any { return s }), rapid.Map(number, func(f float64) any { return f }),
		rapid.SampledFrom([]any{true, false, nil, 2, []any{"a", 1.5}, map[string]any{"b": 1.0, "a": "<"}}))
	rapid.Check(t, func(t *rapid.T) {
		r := checks.Result{
			Check: word.Draw(t, "check"), Region: word.Draw(t, "region"), Prober: word.Draw(t, "prober"),
			Slot:   time.UnixMilli(rapid.Int64Range(946684800000, 4102444799999).Draw(t, "slot")),
			At:     time.UnixMilli(rapid.Int64Range(946684800000, 4102444799999).Draw(t, "at")),
			TookMS: number.Draw(t, "took"), Status: checks.Status(word.Draw(t, "status")), Reason: checks.Reason(word.Draw(t, "reason")), Detail: word.Draw(t, "detail"),
			Phases: rapid.MapOfN(word, number, 0, 10).Draw(t, "phases"), Facts: rapid.MapOfN(word, value, 0, 10).Draw(t, "facts"),
		}
		r.Normalize()
		var want bytes.Buffer
		if err := checks.WriteRecord(&want, checks.Record{Result: &r}); err != nil {
			t.Skip("it cannot be written at all")
		}
		got, err := appendLine(nil, &r)
		if err != nil || string(got) != want.String() {
			t.Fatalf("%v\n got %s\nwant %s", err, got, want.String())
		}
	})
}

func TestAppendLineThatCannotBe(t *testing.T) {
	r := checks.Result{Check: "shop", Facts: checks.Facts{"f": math.Inf(1)}}
	if _, err := appendLine(nil, &r); err == nil || !strings.HasPrefix(err.Error(), "encoding a result of shop: ") {
		t.Errorf("got %v", err)
	}
	r = checks.Result{Check: "shop"}
	if line, err := appendLine(nil, &r); err != nil || !strings.Contains(string(line), `"phases_ms":{},"facts":{}`) {
		t.Errorf("nil maps: %s, %v", line, err)
	}
}

func TestTally(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Int64Range(0, 40)).Draw(t, "values")
		var tally tally
		for _, v := range values {
			tally.add(v)
			if rapid.IntRange(0, 5).Draw(t, "count") == 0 {
				tally.count()
			}
		}
		slices.Sort(values)
		for _, p := range []int64{1, 50, 95, 99, 100} {
			got, ok := tally.percentile(p)
			if ok != (len(values) > 0) {
				t.Fatalf("p%d of %d values: %v", p, len(values), ok)
			}
			if !ok {
				continue
			}
			rank := int(math.Ceil(float64(p) / 100 * float64(len(values))))
			if want := values[max(rank, 1)-1]; got != want {
				t.Fatalf("p%d of %v is %d, want %d", p, values, got, want)
			}
		}
	})
}

func TestTallyOfMany(t *testing.T) {
	var tally tally
	for i := range int64(3 * tallyRecent) {
		tally.add(i % 1000)
	}
	if p50, _ := tally.percentile(50); p50 != 499 || len(tally.counts) != 1000 {
		t.Errorf("p50 is %d of %d values", p50, len(tally.counts))
	}
}

func TestDecimal(t *testing.T) {
	tests := []struct {
		d    Decimal
		text string
		json string
	}{
		{Decimal{}, "", "null"},
		{seconds(480_000), "480", "480"},
		{seconds(4_100), "4.1", "4.1"},
		{seconds(12), "0.012", "0.012"},
		{seconds(-339_000), "-339", "-339"},
		{seconds(-250), "-0.25", "-0.25"},
		{seconds(-1), "-0.001", "-0.001"},
		{seconds(0), "0", "0"},
		{micros(99_950_000), "99.95", "99.95"},
		{micros(100_000_000), "100", "100"},
		{micros(99_999_999), "99.999999", "99.999999"},
		{millis(123_400), "123.4", "123.4"},
		{seconds(math.MaxInt64), "9223372036854775.807", "9223372036854775.807"},
	}
	for _, tt := range tests {
		encoded, err := json.Marshal(tt.d)
		if err != nil || tt.d.String() != tt.text || string(encoded) != tt.json || tt.d.Null() != (tt.text == "") {
			t.Errorf("%+v is %q and %s (%v), want %q and %s", tt.d, tt.d, encoded, err, tt.text, tt.json)
		}
	}
	if f := micros(99_950_000).Float(); f != 99.95 {
		t.Errorf("99.95 is %v", f)
	}
}

func TestLong(t *testing.T) {
	for _, tt := range []struct {
		ms   int64
		want string
	}{
		{0, "0 s"}, {12, "0.012 s"}, {480_000, "8 min"}, {2_682_000_000, "31 d 1 h"}, {-339_000, "−5 min 39 s"}, {90_061_001, "1 d 1 h 1 min 1.001 s"},
	} {
		if got := strings.ReplaceAll((sheet{}).Long(seconds(tt.ms)), "\u00a0", " "); got != tt.want {
			t.Errorf("%d ms is %q, want %q", tt.ms, got, tt.want)
		}
	}
}
