package fleet

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nines/regions"
)

func TestChoose(t *testing.T) {
	var names []string
	for i := range 5 {
		names = append(names, fmt.Sprintf("eu-%d", i+1))
	}
	count := map[string]int{}
	for i := range 5000 {
		check := fmt.Sprintf("check-%d", i)
		all := choose(check, names)
		count[all]++
		fewer := choose(check, names[1:])
		if all != names[0] && all != fewer {
			t.Errorf("%s moves from %s to %s because %s left", check, all, fewer, names[0])
		}
		slices.Reverse(names)
		if again := choose(check, names); again != all {
			t.Errorf("%s goes to %s or %s, by the order", check, all, again)
		}
		slices.Reverse(names)
	}
	for _, name := range names {
		if n := count[name]; n < 850 || n > 1150 {
			t.Errorf("%s has %d of 5000 checks", name, n)
		}
	}
	if choose("shop", nil) != "" {
		t.Error("a region without probers has one")
	}
}

// wire is a network of pipes, for servers and clients in one bubble.
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

// bubble serves a fleet on a wire. end is to be called before the bubble ends.
func bubble(t *testing.T, f *Fleet) (client *http.Client, end func()) {
	w := &wire{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: f.Handler(), WriteTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second}
	go server.Serve(w)
	transport := &http.Transport{DialContext: w.dial}
	return &http.Client{Transport: transport}, func() {
		f.Close()
		transport.CloseIdleConnections()
		server.Close()
	}
}

func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Config{Ingester: &ingester{}})
		f.Update(members("eu-1"), nil)
		client, end := bubble(t, f)
		r, err := dial(t.Context(), client, "http://fleet", "eu-1")
		if err != nil {
			t.Fatal(err)
		}
		r.assignment(t)
		begun := time.Now()
		for i := range 2 {
			m, err := r.next()
			if err != nil || m.Assignment != nil || m.Run != nil {
				t.Fatalf("heartbeat %+v, %v", m, err)
			}
			if want := begun.Add(time.Duration(i+1) * regions.BeatEvery); !m.Now.Equal(want) {
				t.Errorf("heartbeat %d at %s, want %s", i, m.Now, want)
			}
		}
		r.close()
		end()
	})
}

// follower reads a prober's stream, posts as a prober does, and keeps the last
// assignment.
type follower struct {
	close func()

	mu     sync.Mutex // protects following
	checks map[string]regions.Share
	silent bool // it posts no more
	ended  bool
}

func (fw *follower) mute() {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	fw.silent = true
}

func (fw *follower) open() bool {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	return !fw.ended
}

func (fw *follower) posts() bool {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	return !fw.silent && !fw.ended
}

func follow(t *testing.T, client *http.Client, prober string) *follower {
	t.Helper()
	r, err := dial(t.Context(), client, "http://fleet", prober)
	if err != nil {
		t.Fatal(err)
	}
	fw := &follower{close: r.close}
	go func() {
		for {
			m, err := r.next()
			fw.mu.Lock()
			if m.Assignment != nil {
				fw.checks = shares(t, m.Assignment)
			}
			fw.ended = err != nil
			fw.mu.Unlock()
			if err != nil {
				r.close()
				return
			}
		}
	}()
	go func() {
		for fw.open() {
			time.Sleep(regions.BeatEvery)
			if !fw.posts() {
				continue
			}
			req, _ := http.NewRequest(http.MethodPost, "http://fleet"+regions.ResultsPath, strings.NewReader(`{"spool":"a","entries":[]}`))
			req.Header.Set("Authorization", "Bearer token of "+prober)
			if resp, err := client.Do(req); err == nil {
				resp.Body.Close()
			}
		}
	}()
	synctest.Wait()
	return fw
}

func TestRebalance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Config{Ingester: &ingester{}, Log: logs(t)})
		list := manyChecks(t, 100, "eu", "us")
		f.Update(members("eu-1", "eu-2", "us-1"), list)
		client, end := bubble(t, f)
		started := time.Now()
		given := func() (eu1, eu2 int) {
			synctest.Wait()
			s := f.Status()
			return s[0].Checks, s[1].Checks
		}
		if eu1, eu2 := given(); eu1 == 0 || eu2 == 0 || eu1+eu2 != 100 {
			t.Errorf("with nobody there, %d and %d checks are given out", eu1, eu2)
		}
		time.Sleep(time.Minute)
		one := follow(t, client, "eu-1")
		if eu1, eu2 := given(); eu1 != 100 || eu2 != 0 || len(one.checks) != 100 {
			t.Errorf("the first one there has %d of 100 checks, the absent one %d", eu1, eu2)
		}
		time.Sleep(time.Minute)
		two := follow(t, client, "eu-2")
		eu1, eu2 := given()
		if eu1+eu2 != 100 || eu2 < 30 || eu2 > 70 || len(one.checks) != eu1 || len(two.checks) != eu2 {
			t.Errorf("the two have %d and %d checks of 100", eu1, eu2)
		}
		for name, share := range two.checks {
			if since := time.Since(share.Since); since > time.Second || share.Index != 0 || share.Of != 2 {
				t.Errorf("%s is given as %+v", name, share)
			}
			if _, both := one.checks[name]; both {
				t.Errorf("%s is run by both", name)
			}
		}
		kept := 0
		for _, share := range one.checks {
			if !share.Since.Equal(started) && !share.Since.Equal(started.Add(time.Minute)) {
				t.Errorf("a check of the first is its own since %s", share.Since)
			}
			if share.Since.Equal(started) {
				kept++
			}
		}
		if kept == 0 {
			t.Error("every check moved when nobody was there but its owner")
		}

		// A short absence moves nothing.
		two.close()
		time.Sleep(20 * time.Second)
		two = follow(t, client, "eu-2")
		if again1, again2 := given(); again1 != eu1 || again2 != eu2 {
			t.Errorf("after 20 s away the two have %d and %d checks", again1, again2)
		}
		for name, share := range two.checks {
			if time.Since(share.Since) < 20*time.Second {
				t.Errorf("%s is the second's since %s", name, share.Since)
			}
		}
		// A longer one does.
		two.close()
		time.Sleep(29 * time.Second)
		if _, eu2 := given(); eu2 == 0 {
			t.Error("29 s away and its checks are gone")
		}
		time.Sleep(2 * time.Second)
		if eu1, eu2 := given(); eu1 != 100 || eu2 != 0 || len(one.checks) != 100 {
			t.Errorf("31 s away and the two have %d and %d checks", eu1, eu2)
		}
		// A prober whose connection is open and says nothing is as good as away.
		two = follow(t, client, "eu-2")
		two.mute()
		time.Sleep(25 * time.Second)
		if _, eu2 := given(); eu2 == 0 || !two.open() {
			t.Error("25 s of silence and its checks are gone")
		}
		time.Sleep(10 * time.Second)
		if eu1, eu2 := given(); eu1 != 100 || eu2 != 0 || two.open() {
			t.Errorf("35 s of silence and the two have %d and %d checks", eu1, eu2)
		}
		if !one.open() {
			t.Error("the one that posts was cut off")
		}
		one.close()
		end()
		time.Sleep(time.Minute) // the followers end
	})
}

func TestConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Config{Ingester: &ingester{}})
		f.Update(members("eu-1", "us-1", "us-2", "ap-1"), manyChecks(t, 10, "eu", "us", "ap"))
		client, end := bubble(t, f)
		var mu sync.Mutex
		runs := map[string][]string{}
		var readers []*reader
		for _, name := range []string{"eu-1", "us-1", "us-2"} {
			r, err := dial(t.Context(), client, "http://fleet", name)
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
			go func() {
				for {
					m, err := r.next()
					if err != nil {
						return
					}
					mu.Lock()
					if m.Run != nil {
						runs[name] = append(runs[name], m.Run.Check)
					}
					mu.Unlock()
				}
			}()
		}
		synctest.Wait()
		for i := range 10 {
			f.Confirm(fmt.Sprintf("check-%d", i), "eu", time.Now())
		}
		f.Confirm("no-such-check", "eu", time.Now())
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(runs["eu-1"]) != 0 {
			t.Errorf("the region that asks is asked: %v", runs)
		}
		asked := append(runs["us-1"], runs["us-2"]...)
		slices.Sort(asked)
		if len(asked) != 10 || len(slices.Compact(asked)) != 10 || len(runs["us-1"]) == 0 || len(runs["us-2"]) == 0 {
			t.Errorf("the other region's two probers are asked %v", runs)
		}
		for _, r := range readers {
			r.close()
		}
		end()
	})
}

// A prober that reads nothing has each check's request at most once in its
// queue.
func TestAskQueue(t *testing.T) {
	s := newStream(digest{})
	for i := range 1000 {
		s.ask(regions.Run{Check: fmt.Sprintf("check-%d", i%7)})
	}
	if _, runs := s.take(); len(runs) != 7 {
		t.Errorf("%d requests wait, want 7", len(runs))
	}
}

func BenchmarkRebalance(b *testing.B) {
	f := New(Config{Ingester: &ingester{}})
	f.Update(members("eu-1", "eu-2", "us-1", "ap-1"), manyChecks(b, 10_000, "eu", "us", "ap"))
	b.ReportAllocs()
	for b.Loop() {
		f.mu.Lock()
		f.rebalance()
		f.mu.Unlock()
	}
}
