package prober

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/secret"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/fleet"
)

// recorder is an Ingester that keeps what comes and takes every number of a
// spool once, as the store does.
type recorder struct {
	mu      sync.Mutex
	taken   map[string]map[int64]bool // by spool
	results []checks.Result           // in the order of their arrival
	again   int                       // deliveries of what was taken before
	failing error
	reject  func(*checks.Result) string
	arrived chan struct{} // has one element when something came
}

func newRecorder() *recorder {
	return &recorder{taken: map[string]map[int64]bool{}, arrived: make(chan struct{}, 1)}
}

func (r *recorder) Ingest(_ context.Context, prober, region string, b regions.Batch) (regions.Ack, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing != nil {
		return regions.Ack{}, r.failing
	}
	var ack regions.Ack
	spool := r.taken[prober+"/"+b.Spool]
	if spool == nil {
		spool = map[int64]bool{}
		r.taken[prober+"/"+b.Spool] = spool
	}
	for _, e := range b.Entries {
		ack.Seqs = append(ack.Seqs, e.Seq)
		if err := e.Result.Validate(); err != nil {
			panic(err)
		}
		if r.reject != nil {
			if why := r.reject(&e.Result); why != "" {
				if ack.Rejected == nil {
					ack.Rejected = map[int64]string{}
				}
				ack.Rejected[e.Seq] = why
				continue
			}
		}
		if spool[e.Seq] {
			r.again++
			continue
		}
		spool[e.Seq] = true
		r.results = append(r.results, e.Result)
	}
	select {
	case r.arrived <- struct{}{}:
	default:
	}
	return ack, nil
}

// all returns what has arrived so far.
func (r *recorder) all() []checks.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.results)
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = err
}

// await waits until what has arrived satisfies ok.
func (r *recorder) await(t testing.TB, what string, ok func([]checks.Result) bool) []checks.Result {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		if all := r.all(); ok(all) {
			return all
		}
		select {
		case <-r.arrived:
		case <-deadline:
			t.Fatalf("%s did not arrive within 30 s; there are %d results", what, len(r.all()))
		}
	}
}

// scheduler is a fleet on a socket that can go away and come back.
type scheduler struct {
	*fleet.Fleet
	recorder *recorder
	server   *httptest.Server
	gone     atomic.Bool
}

func newScheduler(t testing.TB) *scheduler {
	s := &scheduler{recorder: newRecorder()}
	s.Fleet = fleet.New(fleet.Config{Ingester: s.recorder, Log: slog.New(slog.NewTextHandler(logTo{t}, nil))})
	handler := s.Handler()
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.gone.Load() {
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, r)
	}))
	// A server with limits for usual answers: the stream must outlive them.
	s.server.Config.ReadTimeout = 2 * time.Second
	s.server.Config.WriteTimeout = 2 * time.Second
	s.server.Start()
	t.Cleanup(func() {
		s.Close()
		s.server.Close()
	})
	return s
}

// leave makes the scheduler unreachable, come brings it back.
func (s *scheduler) leave() {
	s.gone.Store(true)
	s.server.CloseClientConnections()
}

func (s *scheduler) come() { s.gone.Store(false) }

// logTo writes a log as a test's.
type logTo struct{ t testing.TB }

func (l logTo) Write(b []byte) (int, error) {
	l.t.Helper()
	l.t.Logf("%s", strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

const testToken = "a token of some length"

// member is the only prober of the tests that need but one.
var member = fleet.Member{Prober: "here-1", Region: "here", Token: secret.New(testToken)}

// httpCheck returns a check of a URL.
func httpCheck(t testing.TB, name, url string, every, timeout time.Duration) config.Check {
	t.Helper()
	kind, _ := checks.KindOf("http")
	options := kind.New()
	if err := json.Unmarshal(fmt.Appendf(nil, `{"url":%q}`, url), options); err != nil {
		t.Fatal(err)
	}
	return config.Check{
		Spec:    checks.Spec{Name: name, Kind: "http", Every: every, Timeout: timeout, Options: options},
		Regions: []string{"here"},
	}
}

// target is a server to probe.
func target(t testing.TB, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func fine(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("fine")) }

// running is a prober that runs until the test ends or stop is called.
type running struct {
	*Prober
	stop func()
}

func runProber(t testing.TB, url string, change func(*Config)) running {
	t.Helper()
	c := Config{
		Scheduler: url, Name: member.Prober, Token: member.Token, DataDir: t.TempDir(),
		Env: checks.Env{Allow: loopback}, Version: "test", Log: slog.New(slog.NewTextHandler(logTo{t}, nil)),
	}
	if change != nil {
		change(&c)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("Run did not end")
		}
	})
	t.Cleanup(stop)
	return running{p, stop}
}

// slotsOf returns the slots of a check's planned results, sorted.
func slotsOf(results []checks.Result, check string, every time.Duration) []time.Time {
	slots := regions.SlotsOf(check, every, 0, 1)
	var list []time.Time
	for _, r := range results {
		if r.Check == check && slots.Next(r.Slot.Add(-1)).Equal(r.Slot) {
			list = append(list, r.Slot)
		}
	}
	slices.SortFunc(list, time.Time.Compare)
	return list
}

// checkSlots fails the test if a slot is missing or there twice.
func checkSlots(t *testing.T, results []checks.Result, check string, every time.Duration) (first, last time.Time) {
	t.Helper()
	list := slotsOf(results, check, every)
	if len(list) == 0 {
		t.Fatalf("%s has no results", check)
	}
	for i := 1; i < len(list); i++ {
		if d := list[i].Sub(list[i-1]); d != every {
			t.Errorf("%s: after slot %s comes %s", check, list[i-1], list[i])
		}
	}
	return list[0], list[len(list)-1]
}

func TestResultsArrive(t *testing.T) {
	s := newScheduler(t)
	url := target(t, fine)
	s.Update([]fleet.Member{member}, []config.Check{httpCheck(t, "shop", url, time.Second, time.Second)})
	p := runProber(t, s.server.URL, nil)
	s.recorder.await(t, "five results", func(r []checks.Result) bool { return len(r) >= 5 })
	p.stop()
	results := s.recorder.all()
	checkSlots(t, results, "shop", time.Second)
	for _, r := range results {
		if r.Status != checks.Up || r.Region != "here" || r.Prober != "here-1" {
			t.Errorf("result %+v", r)
		}
		if late := r.At.Sub(r.Slot); late < 0 || late > 100*time.Millisecond {
			t.Errorf("slot %s ran %s late", r.Slot, late)
		}
	}
	stats := p.Stats()
	if stats.Slots != int64(len(results)) || stats.Delivered != stats.Slots || stats.Rejected != 0 || stats.Region != "here" {
		t.Errorf("stats %+v", stats)
	}
}

// unpack reads a batch as a scheduler gets it.
func unpack(r *http.Request) (b regions.Batch, err error) {
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return b, err
	}
	return b, json.NewDecoder(z).Decode(&b)
}

func seqsOf(b regions.Batch) (list []int64) {
	for _, e := range b.Entries {
		list = append(list, e.Seq)
	}
	return list
}
