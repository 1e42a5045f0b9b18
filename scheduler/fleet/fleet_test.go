package fleet

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/secret"
	"nines/regions"
	"nines/scheduler/config"
)

// ingester notes what it is given.
type ingester struct {
	mu      sync.Mutex
	err     error
	batches []regions.Batch
	from    []string
}

func (i *ingester) Ingest(_ context.Context, prober, region string, b regions.Batch) (ack regions.Ack, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return ack, i.err
	}
	i.batches = append(i.batches, b)
	i.from = append(i.from, prober+"@"+region)
	for _, e := range b.Entries {
		ack.Seqs = append(ack.Seqs, e.Seq)
	}
	return ack, nil
}

type logTo struct{ t testing.TB }

func (l logTo) Write(b []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// logs writes a test's log; it falls silent when the test ends, since streams
// may end after it.
func logs(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(&untilEnd{w: logTo{t}, t: t}, nil))
}

type untilEnd struct {
	w io.Writer
	t testing.TB
}

func (u *untilEnd) Write(b []byte) (int, error) {
	if u.t.Context().Err() != nil {
		return len(b), nil
	}
	return u.w.Write(b)
}

func members(names ...string) (list []Member) {
	for _, name := range names {
		region, _, _ := strings.Cut(name, "-")
		list = append(list, Member{Prober: name, Region: region, Token: secret.New("token of " + name)})
	}
	return list
}

func check(t testing.TB, name string, in ...string) config.Check {
	t.Helper()
	kind, _ := checks.KindOf("http")
	options := kind.New()
	if err := json.Unmarshal([]byte(`{"url":"https://shop.example.com/"}`), options); err != nil {
		t.Fatal(err)
	}
	return config.Check{
		Spec:    checks.Spec{Name: name, Kind: "http", Every: 30 * time.Second, Timeout: 10 * time.Second, Options: options},
		Regions: in,
	}
}

func manyChecks(t testing.TB, n int, in ...string) (list []config.Check) {
	for i := range n {
		list = append(list, check(t, fmt.Sprintf("check-%d", i), in...))
	}
	return list
}

// serve puts a fleet on a socket, behind a server with tight limits.
func serve(t testing.TB) (*Fleet, *ingester, *httptest.Server) {
	i := &ingester{}
	f := New(Config{Ingester: i, Log: logs(t)})
	server := httptest.NewUnstartedServer(f.Handler())
	server.Config.ReadTimeout = time.Second
	server.Config.WriteTimeout = time.Second
	server.Start()
	t.Cleanup(func() {
		f.Close()
		server.Close()
	})
	return f, i, server
}

// reader is a prober's end of a stream.
type reader struct {
	resp  *http.Response
	lines *bufio.Reader
	close func()
}

func connect(t testing.TB, url, prober string) *reader {
	t.Helper()
	r, err := dial(t.Context(), http.DefaultClient, url, prober)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

func dial(ctx context.Context, client *http.Client, url, prober string) (*reader, error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+regions.StreamPath, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer token of "+prober)
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		cancel()
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return &reader{resp, bufio.NewReader(resp.Body), func() { cancel(); resp.Body.Close() }}, nil
}

// next returns the next message.
func (r *reader) next() (m regions.Message, err error) {
	line, err := r.lines.ReadBytes('\n')
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(line, &m)
}

// assignment returns the checks of the next assignment by name, passing over
// heartbeats.
func (r *reader) assignment(t testing.TB) map[string]regions.Share {
	t.Helper()
	for {
		m, err := r.next()
		if err != nil {
			t.Fatalf("no assignment: %v", err)
		}
		if m.Assignment != nil {
			return shares(t, m.Assignment)
		}
	}
}

func shares(t testing.TB, a *regions.Assignment) map[string]regions.Share {
	t.Helper()
	byName := map[string]regions.Share{}
	for _, share := range a.Checks {
		spec, err := checks.ParseWire(share.Spec)
		if err != nil {
			t.Fatal(err)
		}
		byName[spec.Name] = share
	}
	return byName
}

func post(t testing.TB, url, prober string, change func(*http.Request), body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url+regions.ResultsPath, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token of "+prober)
	req.Header.Set("Content-Encoding", "gzip")
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, answer
}

func zip(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

const oneResult = `{"check":"shop","region":"eu","prober":"eu-1","slot":"2026-10-01T00:00:00Z","at":"2026-10-01T00:00:00.012Z",
	"took_ms":123.4,"status":"up","reason":"","detail":"","phases_ms":{"dns":1.2},"facts":{"http_status":200}}`

func TestTokens(t *testing.T) {
	f, _, server := serve(t)
	f.Update(append(members("eu-1"), Member{Prober: "us-1", Region: "us"}), nil)
	tests := []struct {
		name, header string
		status       int
	}{
		{"none", "", 401},
		{"the prober's", "Bearer token of eu-1", 200},
		{"in lower case", "bearer token of eu-1", 200},
		{"another", "Bearer token of eu-2", 401},
		{"another scheme", "Basic token of eu-1", 401},
		{"an empty one is nobody's", "Bearer ", 401},
		{"without a scheme", "token of eu-1", 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := zip([]byte(`{"spool":"a","entries":[]}`))
			resp, answer := post(t, server.URL, "", func(r *http.Request) { r.Header.Set("Authorization", test.header) }, body)
			if resp.StatusCode != test.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, test.status, answer)
			}
			if test.status == 401 {
				var problem struct {
					Title  string
					Status int
				}
				if err := json.Unmarshal(answer, &problem); err != nil || problem.Status != 401 || resp.Header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("the answer is %s, %v", answer, resp.Header)
				}
				if !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("WWW-Authenticate %q", resp.Header.Get("WWW-Authenticate"))
				}
			}
		})
	}
}

func TestStream(t *testing.T) {
	f, _, server := serve(t)
	f.Update(members("eu-1"), []config.Check{check(t, "shop", "us", "eu")})
	r := connect(t, server.URL, "eu-1")
	for name, want := range map[string]string{"Content-Type": "application/x-ndjson", "X-Accel-Buffering": "no", "Cache-Control": "no-store"} {
		if got := r.resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	m, err := r.next()
	if err != nil || m.Assignment == nil || time.Since(m.Now).Abs() > time.Minute {
		t.Fatalf("the first message is %+v, %v", m, err)
	}
	share := shares(t, m.Assignment)["shop"]
	if m.Assignment.Prober != "eu-1" || m.Assignment.Region != "eu" || share.Index != 1 || share.Of != 2 || !share.Since.IsZero() {
		t.Errorf("assignment %+v", m.Assignment)
	}
	time.Sleep(1500 * time.Millisecond) // longer than the server's limits for other answers
	f.Update(members("eu-1"), []config.Check{check(t, "shop", "eu"), check(t, "cart", "eu")})
	if got := r.assignment(t); len(got) != 2 || got["shop"].Of != 1 {
		t.Errorf("after the update: %+v", got)
	}
	f.Update(members("eu-1"), []config.Check{check(t, "shop", "eu"), check(t, "cart", "eu")}) // nothing new
	asked := time.Now()
	f.Confirm("shop", "us", asked)
	m, err = r.next()
	if err != nil || m.Run == nil || m.Run.Check != "shop" || !m.Run.Slot.Equal(asked.Truncate(time.Millisecond)) {
		t.Errorf("after Confirm came %+v, %v", m, err)
	}
}

func TestStreamEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(*Fleet, *httptest.Server)
		then string // what a new attempt meets; empty: a stream
	}{
		{"a newer one", func(_ *Fleet, s *httptest.Server) {
			dial(context.Background(), http.DefaultClient, s.URL, "eu-1")
		}, ""},
		{"no member any more", func(f *Fleet, _ *httptest.Server) { f.Update(nil, nil) }, "status 401"},
		{"another token", func(f *Fleet, _ *httptest.Server) {
			f.Update([]Member{{Prober: "eu-1", Region: "eu", Token: secret.New("new")}}, nil)
		}, "status 401"},
		{"the scheduler stops", func(f *Fleet, _ *httptest.Server) { f.Close() }, "status 503"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, _, server := serve(t)
			f.Update(members("eu-1"), nil)
			r := connect(t, server.URL, "eu-1")
			r.assignment(t)
			test.end(f, server)
			if m, err := r.next(); !errors.Is(err, io.EOF) {
				t.Errorf("the stream goes on: %+v, %v", m, err)
			}
			again, err := dial(t.Context(), http.DefaultClient, server.URL, "eu-1")
			if got := fmt.Sprint(err); err != nil && got != test.then || err == nil && test.then != "" {
				t.Errorf("a new attempt meets %v, want %q", err, test.then)
			}
			if err == nil {
				again.close()
			}
		})
	}
}

func TestShutdown(t *testing.T) {
	f, _, server := serve(t)
	server.Config.RegisterOnShutdown(f.Close)
	f.Update(members("eu-1"), nil)
	connect(t, server.URL, "eu-1").assignment(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := server.Config.Shutdown(ctx); err != nil {
		t.Errorf("with a stream open: %v", err)
	}
}

func TestResults(t *testing.T) {
	bomb := zip(make([]byte, maxUnpacked+1))
	batch := func(entries string) []byte {
		return zip([]byte(`{"spool":"0123abcd","now":"2026-10-01T00:00:01Z","entries":[` + entries + `]}`))
	}
	entry := func(seq int) string { return fmt.Sprintf(`{"seq":%d,"result":%s}`, seq, oneResult) }
	var many []string
	for i := range regions.MaxEntries + 1 {
		many = append(many, fmt.Sprintf(`{"seq":%d,"result":{}}`, i+1))
	}
	tests := []struct {
		name     string
		body     []byte
		change   func(*http.Request)
		failing  error
		status   int
		seqs     []int64
		rejected []int64
	}{
		{name: "results", body: batch(entry(7) + "," + entry(8)), status: 200, seqs: []int64{7, 8}},
		{name: "none", body: batch(""), status: 200, seqs: []int64{}},
		{name: "one that is none", body: batch(entry(7) + `,{"seq":8,"result":{"check":5}},` + entry(9)), status: 200, seqs: []int64{7, 9, 8}, rejected: []int64{8}},
		{name: "not packed", body: []byte(`{"spool":"a","entries":[]}`), change: func(r *http.Request) { r.Header.Del("Content-Encoding") }, status: 200, seqs: []int64{}},
		{name: "ingest fails", body: batch(entry(7)), failing: errors.New("disk full"), status: 503},
		{name: "a bomb", body: bomb, status: 413},
		{name: "too long", body: bytes.Repeat([]byte("x"), maxBody+1), change: func(r *http.Request) { r.Header.Del("Content-Encoding") }, status: 413},
		{name: "too many", body: batch(strings.Join(many, ",")), status: 413},
		{name: "not gzip", body: []byte("hello"), status: 400},
		{name: "cut short", body: batch(entry(7))[:60], status: 400},
		{name: "not JSON", body: zip([]byte("hello")), status: 400},
		{name: "no spool", body: zip([]byte(`{"entries":[]}`)), status: 400},
		{name: "a spool with a strange name", body: zip([]byte(`{"spool":"../x","entries":[]}`)), status: 400},
		{name: "another encoding", body: []byte("x"), change: func(r *http.Request) { r.Header.Set("Content-Encoding", "br") }, status: 415},
		{name: "another path", body: nil, change: func(r *http.Request) { r.URL.Path = "/probe/v1/other" }, status: 404},
		{name: "another method", body: nil, change: func(r *http.Request) { r.Method = "PUT" }, status: 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, i, server := serve(t)
			f.Update(members("eu-1"), nil)
			i.err = test.failing
			resp, answer := post(t, server.URL, "eu-1", test.change, test.body)
			if resp.StatusCode != test.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, test.status, answer)
			}
			if test.status != 200 {
				if kind := resp.Header.Get("Content-Type"); kind != "application/problem+json" {
					t.Errorf("Content-Type %q", kind)
				}
				if (resp.Header.Get("Retry-After") != "") != (test.status == 503) {
					t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
				}
				return
			}
			var ack regions.Ack
			if err := json.Unmarshal(answer, &ack); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(ack.Seqs, test.seqs) || len(ack.Rejected) != len(test.rejected) || time.Since(ack.Now).Abs() > time.Minute {
				t.Errorf("ack %s", answer)
			}
			for _, seq := range test.rejected {
				if ack.Rejected[seq] == "" {
					t.Errorf("number %d is not rejected: %s", seq, answer)
				}
			}
			if len(test.seqs) > 0 && (len(i.batches) != 1 || i.from[0] != "eu-1@eu" || i.batches[0].Spool != "0123abcd") {
				t.Errorf("ingested %+v from %v", i.batches, i.from)
			}
			if len(test.seqs) == 0 && len(i.batches) != 0 {
				t.Error("a batch without results is ingested")
			}
		})
	}
}

func TestStatus(t *testing.T) {
	f, _, server := serve(t)
	f.Update(members("eu-1", "us-1"), manyChecks(t, 3, "eu", "us"))
	r := connect(t, server.URL, "eu-1")
	r.assignment(t)
	ahead := time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)
	post(t, server.URL, "eu-1", nil, zip([]byte(`{"spool":"a","now":"`+ahead+`","entries":[],"shaper":[{"asked_kbps":1600,"kbps":1599.5,"asked_rtt_ms":40,"rtt_ms":40.3}]}`)))
	post(t, server.URL, "eu-1", nil, zip([]byte(`{"spool":"a","now":"`+ahead+`","entries":[]}`))) // says nothing new
	list := f.Status()
	if len(list) != 2 || list[0].Prober != "eu-1" || list[1].Prober != "us-1" {
		t.Fatalf("status %+v", list)
	}
	here := list[0]
	if !here.Connected || here.Region != "eu" || here.Checks != 3 || time.Since(here.LastSeen) > time.Minute || (here.Offset-time.Hour).Abs() > time.Minute {
		t.Errorf("status %+v", here)
	}
	if want := []regions.Shaped{{AskedKbps: 1600, Kbps: 1599.5, AskedRTTMS: 40, RTTMS: 40.3}}; !slices.Equal(here.Shaper, want) {
		t.Errorf("the shaper: %+v", here.Shaper)
	}
	if there := list[1]; there.Connected || !there.LastSeen.IsZero() || there.Checks != 3 {
		t.Errorf("status %+v", there)
	}
	r.close()
	for range 100 {
		if !f.Status()[0].Connected {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("a prober that went away is still connected")
}

// Everything at once, for the race detector.
func TestConcurrency(t *testing.T) {
	f, _, server := serve(t)
	list := manyChecks(t, 20, "eu", "us")
	f.Update(members("eu-1", "eu-2", "us-1"), list)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var busy sync.WaitGroup
	for _, name := range []string{"eu-1", "eu-1", "eu-2", "us-1"} {
		busy.Go(func() {
			for ctx.Err() == nil {
				if r, err := dial(ctx, http.DefaultClient, server.URL, name); err == nil {
					r.next()
					r.next()
					r.close()
				}
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+regions.ResultsPath, strings.NewReader(`{"spool":"a","entries":[]}`))
				req.Header.Set("Authorization", "Bearer token of "+name)
				if resp, err := http.DefaultClient.Do(req); err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	for i := 0; ctx.Err() == nil; i++ {
		f.Confirm("check-1", "eu", time.Now())
		f.Status()
		if i%10 == 0 {
			f.Update(members("eu-1", "eu-2", "us-1")[:2+i/10%2], list[:10+i%7])
		}
		time.Sleep(time.Millisecond)
	}
	busy.Wait()
}
