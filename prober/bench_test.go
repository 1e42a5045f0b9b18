package prober

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"nines/checks"
	"nines/regions"
)

// BenchmarkProber runs 1,000 slots a second from schedule to acknowledgement,
// for ten seconds, and reports the processor time of one. The runs themselves
// end at once, because their target may not be reached, so what is measured is
// everything around them; the scheduler's side does as little as it can.
func BenchmarkProber(b *testing.B) {
	const n, every, span = 10_000, 10 * time.Second, 10 * time.Second
	for b.Loop() {
		a := regions.Assignment{Prober: "here-1", Region: "here"}
		for i := range n {
			a.Checks = append(a.Checks, plan{fmt.Sprintf("check-%d", i), every, "http://192.168.1.1/"}.share(b))
		}
		server := httptest.NewServer(acknowledger(a))
		p, err := New(Config{Scheduler: server.URL, Token: member.Token, DataDir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		for p.Stats().Slots < 1000 {
			time.Sleep(10 * time.Millisecond)
		}
		runtime.GC()
		begun, cpu := p.Stats(), cpuTime()
		time.Sleep(span)
		end, spent := p.Stats(), cpuTime()-cpu
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		server.Close()
		slots := end.Slots - begun.Slots
		b.ReportMetric(float64(spent.Microseconds())/float64(slots), "cpu-µs/slot")
		b.ReportMetric(float64(slots)/span.Seconds(), "slots/s")
		b.ReportMetric(100*float64(end.Late-begun.Late)/float64(slots), "%-later-than-10ms")
		b.ReportMetric(float64(end.Missed[checks.ProberOverloaded]), "overloaded")
		b.ReportMetric(float64(mem.Sys-mem.HeapReleased)/(1<<20), "MiB")
	}
}

var seqIn = regexp.MustCompile(`"seq":(\d+)`)

// acknowledger gives out one assignment and acknowledges whatever comes.
func acknowledger(a regions.Assignment) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+regions.StreamPath, func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(regions.Message{Now: time.Now(), Assignment: &a})
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("POST "+regions.ResultsPath, func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var body bytes.Buffer
		io.Copy(&body, z)
		answer := []byte(`{"seqs":[`)
		for i, m := range seqIn.FindAllSubmatch(body.Bytes(), -1) {
			if i > 0 {
				answer = append(answer, ',')
			}
			n, _ := strconv.ParseInt(string(m[1]), 10, 64)
			answer = strconv.AppendInt(answer, n, 10)
		}
		w.Write(append(answer, "]}"...))
	})
	return mux
}
