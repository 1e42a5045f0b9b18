package store

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nines/checks"
)

// start is when tests begin.
var start = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// typical returns the n-th result of an HTTP check as a prober sends it.
func typical(rnd *rand.Rand, check, region string, n int, every time.Duration) checks.Result {
	slot := start.Add(time.Duration(n) * every)
	us := func(base, jitter float64) float64 {
		return math.Round((base+math.Abs(rnd.NormFloat64())*jitter)*1000) / 1000
	}
	phases := checks.Phases{"dns": us(1.2, 0.4), "connect": us(20, 0.8), "tls": us(41, 1.5), "first_byte": us(50, 6), "transfer": us(11, 2)}
	sum := 0.0
	for _, ms := range phases {
		sum += ms
	}
	return checks.Result{
		Check: check, Region: region, Prober: region + "-1", Slot: slot, At: slot.Add(time.Duration(rnd.IntN(8)) * time.Millisecond),
		TookMS: math.Round((sum+0.05+rnd.Float64()*0.1)*1000) / 1000, Status: checks.Up,
		Phases: phases,
		Facts: checks.Facts{"http_status": 200.0, "http_version": "HTTP/2.0", "tls_version": "TLS 1.3", "ip": "203.0.113.7",
			"bytes": 48123.0, "tls_not_after": "2027-01-04T11:00:00Z"},
	}
}

func encodeAll(results []checks.Result) ([]byte, names) {
	ids, names := map[string]int64{}, names{}
	rows := make([]row, len(results))
	for i := range results {
		for _, name := range []string{results[i].Check, results[i].Region, results[i].Prober} {
			if ids[name] == 0 {
				ids[name] = int64(len(ids) + 1)
				names[ids[name]] = name
			}
		}
		rows[i] = rowOf(&results[i], ids)
	}
	return encodeBlock(rows), names
}

func TestBlockRoundTrip(t *testing.T) {
	anyFact := rapid.OneOf(
		rapid.Map(rapid.Float64Range(-1e15, 1e15), func(f float64) any { return f }),
		rapid.Map(rapid.Int32(), func(i int32) any { return float64(i) }),
		rapid.Map(rapid.Int32(), func(i int32) any { return float64(i) / 1000 }),
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.SliceOfN(rapid.StringMatching("[a-z]{0,5}"), 0, 3), func(list []string) any {
			out := []any{}
			for _, s := range list {
				out = append(out, s)
			}
			return out
		}),
		rapid.Just[any](nil),
	)
	name := rapid.SampledFrom([]string{"shop", "ns", "eu-west", "us-east", "a", "b"})
	when := rapid.Map(rapid.Int64Range(946684800000, 4102444799999), func(ms int64) time.Time { return time.UnixMilli(ms).UTC() })
	took := rapid.Map(rapid.Int64Range(0, 1e12), func(us int64) float64 { return float64(us) / 1000 })
	result := rapid.Custom(func(t *rapid.T) checks.Result {
		r := checks.Result{
			Check: name.Draw(t, "check"), Region: name.Draw(t, "region"), Prober: name.Draw(t, "prober"),
			Slot: when.Draw(t, "slot"), At: when.Draw(t, "at"), TookMS: took.Draw(t, "took"),
			Status: rapid.SampledFrom(statuses[:]).Draw(t, "status"),
			Reason: checks.Reason(rapid.StringN(0, 20, 64).Draw(t, "reason")),
			Detail: rapid.String().Draw(t, "detail"),
			Phases: rapid.MapOfN(name, took, 0, 3).Draw(t, "phases"),
			Facts:  rapid.MapOfN(name, anyFact, 0, 3).Draw(t, "facts"),
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		results := rapid.SliceOfN(result, 0, 20).Draw(t, "results")
		block, names := encodeAll(results)
		rows, err := decodeBlock(block)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]checks.Result, len(rows))
		for i := range rows {
			got[i] = rows[i].result(names)
		}
		if diff := cmp.Diff(results, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzDecodeBlock: whatever bytes a broken disk holds, decoding ends with rows
// or an error and in bounded memory.
func FuzzDecodeBlock(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	block, _ := encodeAll([]checks.Result{typical(rnd, "shop", "eu", 0, time.Minute), typical(rnd, "shop", "eu", 1, time.Minute)})
	f.Add(block)
	f.Add([]byte{})
	f.Add([]byte{blockVersion, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := decodeBlock(data)
		if err != nil {
			return
		}
		// What decodes can be kept.
		if _, err := decodeBlock(encodeBlock(rows)); err != nil {
			t.Fatalf("encoded again: %v", err)
		}
	})
}

// TestBytesPerResult holds the budget of stored results: an hour of a check
// and region, all phases and facts included, in the block itself.
func TestBytesPerResult(t *testing.T) {
	for _, every := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute} {
		t.Run(every.String(), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			n := int(time.Hour / every)
			var results []checks.Result
			for i := range n {
				results = append(results, typical(rnd, "shop", "eu", i, every))
			}
			block, _ := encodeAll(results)
			per := float64(len(block)) / float64(n)
			t.Logf("%.1f bytes a result", per)
			if per > 20 {
				t.Errorf("%.1f bytes a result, more than 20", per)
			}
		})
	}
}

// TestBytesOnDisk holds the same budget for a whole store: indexes and
// half-filled pages included, and what an empty store takes left out.
func TestBytesOnDisk(t *testing.T) {
	for _, every := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute} {
		t.Run(every.String(), func(t *testing.T) {
			s := opened(t)
			ctx := context.Background()
			empty := copiedSize(t, s)
			rnd := rand.New(rand.NewPCG(1, 2))
			total := 0
			var batch []checks.Result
			for n := range int(24 * time.Hour / every) {
				for series := range 10 {
					batch = append(batch, typical(rnd, fmt.Sprintf("check-%d", series/5), fmt.Sprintf("region-%d", series%5), n, every))
				}
				if n%60 == 59 {
					appendAll(t, s, batch...)
					total, batch = total+len(batch), batch[:0]
				}
			}
			if err := s.Compact(ctx); err != nil {
				t.Fatal(err)
			}
			per := float64(copiedSize(t, s)-empty) / float64(total)
			t.Logf("%.1f bytes a result", per)
			if per > 20 {
				t.Errorf("%.1f bytes a result, more than 20", per)
			}
		})
	}
}

// copiedSize is what the store takes without pages that are free.
func copiedSize(t *testing.T, s *Store) int64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := s.Backup(context.Background(), path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func BenchmarkBlock(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var results []checks.Result
	for i := range 1000 {
		results = append(results, typical(rnd, fmt.Sprintf("check-%d", i%100), "eu", i, time.Second))
	}
	block, _ := encodeAll(results)
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			encodeAll(results)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(results)), "ns/result")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := decodeBlock(block); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(results)), "ns/result")
	})
}

// BenchmarkImport is a file's results, in the order of an export, into a store.
func BenchmarkImport(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var list []checks.Record
	for check := range 20 {
		for n := range 2880 {
			r := typical(rnd, fmt.Sprintf("check-%d", check), "eu", n, 30*time.Second)
			list = append(list, checks.Record{Result: &r})
		}
	}
	for b.Loop() {
		s := opened(b)
		if added, _, err := s.Import(context.Background(), records(list)); err != nil || added != len(list) {
			b.Fatal(added, err)
		}
	}
	b.ReportMetric(float64(b.N*len(list))/b.Elapsed().Seconds(), "results/s")
}

// BenchmarkResults reads a check's results of a month back.
func BenchmarkResults(b *testing.B) {
	s := opened(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	var batch []checks.Result
	for n := range 30 * 1440 {
		for _, region := range []string{"eu", "us", "ap"} {
			batch = append(batch, typical(rnd, "shop", region, n, time.Minute))
		}
		if len(batch) > 9000 {
			appendAll(b, s, batch...)
			batch = batch[:0]
		}
	}
	appendAll(b, s, batch...)
	if err := s.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func(context.Context, string, time.Time, time.Time) iter.Seq2[checks.Result, error]{"whole": s.Results, "outlines": s.Outlines} {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				for _, err := range read(context.Background(), "shop", ever.from, ever.to) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "results/s")
		})
	}
}
