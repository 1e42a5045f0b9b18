package prober

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nines/checks"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/fleet"
)

// wire is a network of pipes, for a server and a prober in one bubble.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}
func (w *wire) Close() error   { close(w.closed); return nil }
func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }

func (w *wire) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	w.conns <- there
	return here, nil
}

// bubbled runs a prober and its scheduler's handler in a bubble until end is
// called. Its log is kept.
func bubbled(t *testing.T, dir string, handler http.Handler) (p *Prober, logged func() []string, end func()) {
	t.Helper()
	w := &wire{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: handler}
	go server.Serve(w)
	transport := &http.Transport{DialContext: w.dial}
	var lines journal
	p, err := New(Config{
		Scheduler: "http://scheduler", Token: member.Token, DataDir: dir, Transport: transport,
		Log: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.measure = shaper(1) // real sockets would stop the bubble's time
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return p, lines.all, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		transport.CloseIdleConnections()
		server.Close()
	}
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(b))
	return len(b), nil
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func count(lines []string, part string) (n int) {
	for _, l := range lines {
		if strings.Contains(l, part) {
			n++
		}
	}
	return n
}

// A stream that falls silent is opened again; one with heartbeats is not.
func TestSilentStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var opened []time.Time
		mux := http.NewServeMux()
		mux.HandleFunc("POST "+regions.ResultsPath, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, `{"now":%q}`, time.Now().Format(time.RFC3339Nano))
		})
		mux.HandleFunc("GET "+regions.StreamPath, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			opened = append(opened, time.Now())
			mu.Unlock()
			for i := 0; i < 30; i++ {
				json.NewEncoder(w).Encode(regions.Message{Now: time.Now()})
				w.(http.Flusher).Flush()
				time.Sleep(regions.BeatEvery)
			}
			<-r.Context().Done()
		})
		_, _, end := bubbled(t, t.TempDir(), mux)
		time.Sleep(400 * time.Second)
		end()
		if len(opened) != 2 {
			t.Fatalf("opened at %v", opened)
		}
		lastBeat := opened[0].Add(29 * regions.BeatEvery)
		if after := opened[1].Sub(lastBeat); after < streamSilence || after > streamSilence+time.Second {
			t.Errorf("opened again %s after the last heartbeat, want %s", after, streamSilence)
		}
		time.Sleep(time.Hour) // the handlers end
	})
}

// A refused token is tried every few seconds and logged once.
func TestRefusedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		refused, tries := true, map[string]int{}
		p, logged, end := bubbled(t, t.TempDir(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			tries[r.Method]++
			if refused {
				http.Error(w, `{"detail":"who are you?"}`, http.StatusUnauthorized)
				return
			}
			io.Copy(io.Discard, r.Body)
			fmt.Fprintln(w, `{}`)
		}))
		time.Sleep(10 * time.Minute)
		mu.Lock()
		for method, n := range tries {
			if n < 100 || n > 300 {
				t.Errorf("%d %s requests in 10 minutes, want one every few seconds", n, method)
			}
		}
		refused = false
		mu.Unlock()
		if n := count(logged(), "who are you?"); n != 2 {
			t.Errorf("it is logged %d times, want once for the stream and once for results:\n%s", n, logged())
		}
		time.Sleep(10 * time.Second)
		if n := count(logged(), "results to the scheduler\" state=works"); n != 1 {
			t.Errorf("that it works is logged %d times", n)
		}
		end()
		_ = p
	})
}

// While the scheduler is away a prober tries ever less often, and not in step
// with others.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := link{log: slog.New(slog.DiscardHandler)}
		var total time.Duration
		for range 100 {
			l.fails(io.EOF)
			wait, failed := l.hold()
			if !failed || wait > longPause {
				t.Fatalf("wait %s, failed %t", wait, failed)
			}
			total += wait
			l.fails(io.EOF) // another request of the same attempt
			if again, _ := l.hold(); again != wait {
				t.Fatalf("a second failure of one attempt makes it wait %s instead of %s", again, wait)
			}
			time.Sleep(wait)
		}
		if total < 100*longPause/2 || total > 100*longPause {
			t.Errorf("100 failures wait %s together", total)
		}
		l.fails(&refused{status: 503, after: 40 * time.Second})
		wait, _ := l.hold()
		if wait < 20*time.Second {
			t.Errorf("Retry-After of 40 s makes it wait %s", wait)
		}
		time.Sleep(wait)
		l.works()
		l.settled()
		l.fails(io.EOF)
		if wait, _ := l.hold(); wait > firstPause {
			t.Errorf("after it worked, the first failure waits %s", wait)
		}
	})
}

// An hour and more with fleet and prober, in a moment.
func TestHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		f := fleet.New(fleet.Config{Ingester: r})
		// No target can be reached from a bubble: an address that may not be
		// probed ends every run at once.
		c := httpCheck(t, "shop", "http://192.168.1.1/", time.Minute, 10*time.Second)
		f.Update([]fleet.Member{member}, []config.Check{c})
		dir := t.TempDir()
		_, _, end := bubbled(t, dir, f.Handler())
		time.Sleep(30 * time.Minute)
		end()
		time.Sleep(20 * time.Minute) // the prober is not running
		p, _, end := bubbled(t, dir, f.Handler())
		time.Sleep(30 * time.Minute)
		end()
		f.Close()
		results := r.all()
		first, last := checkSlots(t, results, "shop", time.Minute)
		if span := last.Sub(first); span < 78*time.Minute {
			t.Errorf("slots from %s to %s", first, last)
		}
		reasons := map[checks.Reason]int{}
		for _, r := range results {
			reasons[r.Reason]++
		}
		if n := reasons[checks.ProberOffline]; n < 19 || n > 21 {
			t.Errorf("%d slots are unknown because the prober was not running, want 20: %v", n, reasons)
		}
		if r.again != 0 || p.Stats().Spooled != 0 {
			t.Errorf("%d results came twice, %d are left", r.again, p.Stats().Spooled)
		}
	})
}

func TestLongLines(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, `{"now":"2026-11-23T12:00:00Z","assignment":{"prober":"`)
			for range maxLine>>20 + 1 {
				w.Write(make([]byte, 1<<20))
			}
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	p, err := New(Config{Scheduler: server.URL, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.spool.close()
	if err := p.readStream(t.Context(), func() {}); err == nil || !strings.Contains(err.Error(), "line of more than") {
		t.Errorf("reading an endless line: %v", err)
	}
}
