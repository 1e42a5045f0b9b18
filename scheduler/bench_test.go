package scheduler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"nines/checks"
	"nines/regions"
)

// BenchmarkIngest is a prober's batch from decoded results to a durable commit
// that has been judged. The batches are of 1,000 checks in one region.
func BenchmarkIngest(b *testing.B) {
	for _, size := range []int{1, 100, 1000, 5000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var extra strings.Builder
			for n := range 1000 {
				fmt.Fprintf(&extra, "  - {name: svc-%d, kind: http, url: \"https://svc-%d.example.com/\"}\n", n, n)
			}
			h := build(b, "  - {name: ns, kind", extra.String()+"  - {name: ns, kind")
			rnd := rand.New(rand.NewPCG(1, 2))
			ctx := context.Background()
			batches := make([]regions.Batch, 20)
			for i := range batches {
				batches[i].Spool = fmt.Sprintf("spool-%d", i)
				for n := range size {
					r := result(fmt.Sprintf("svc-%d", n%1000), "eu", noon.Add(-time.Duration(n)*time.Millisecond), checks.Up)
					r.Phases = checks.Phases{"dns": us(rnd, 1), "connect": us(rnd, 20), "tls": us(rnd, 41), "first_byte": us(rnd, 50), "transfer": us(rnd, 11)}
					r.Facts = checks.Facts{"http_status": 200.0, "http_version": "HTTP/2.0", "remote_ip": "203.0.113.7", "body_bytes": 48123.0, "tls_version": "TLS 1.3"}
					batches[i].Entries = append(batches[i].Entries, regions.Entry{Result: r})
				}
			}
			seq, count := int64(0), 0
			before := processorTime(b)
			b.ResetTimer()
			for b.Loop() {
				batch := batches[count%len(batches)]
				for n := range batch.Entries {
					seq++
					batch.Entries[n].Seq = seq
				}
				if _, err := h.Ingest(ctx, "eu-1", "eu", batch); err != nil {
					b.Fatal(err)
				}
				count++
			}
			b.StopTimer()
			b.ReportMetric(float64(count*size)/b.Elapsed().Seconds(), "results/s")
			// On a machine that others use too, the processor's time says more.
			b.ReportMetric(float64(count*size)/(processorTime(b)-before).Seconds(), "results/cpu-s")
		})
	}
}

// processorTime is how much of it this process has had.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// us returns about so many milliseconds, in whole microseconds.
func us(rnd *rand.Rand, ms float64) float64 {
	return float64(int(ms*1000*(1+rnd.Float64()/10))) / 1000
}
