package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// story is what happens in the demo: the shop's front page fails a while after
// the start, for a while, and then again and again.
type story struct {
	failsAfter, failsFor, worksFor time.Duration
}

// shop is the demo's website. Its front page can be broken.
type shop struct {
	listener net.Listener
	server   *http.Server
	broken   atomic.Bool
}

// openShop starts the website on a free port of this machine.
func openShop() (*shop, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the demo's shop: %w", err)
	}
	s := &shop{listener: listener}
	s.server = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	go s.server.Serve(listener)
	return s, nil
}

func (s *shop) close() { s.server.Close() }

func (s *shop) url(path string) string { return "http://" + s.listener.Addr().String() + path }

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		if s.broken.Load() {
			http.Error(w, "the database is gone", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "<!doctype html><title>Shop</title><h1>Welcome</h1>")
	})
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(400 * time.Millisecond):
		case <-r.Context().Done():
		}
		fmt.Fprintln(w, "3 products")
	})
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Sign in") })
	page := strings.Repeat("<p>Forty words about a product that nobody needs.</p>\n", 2000)
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page)
	})
	return mux
}

// tell breaks and mends the shop until ctx ends, and says so.
func (s *shop) tell(ctx context.Context, st story, say func(format string, args ...any)) {
	wait := st.failsAfter
	for {
		if !sleep(ctx, wait) {
			return
		}
		s.broken.Store(true)
		say("the shop's front page begins to fail, for %v", st.failsFor)
		if !sleep(ctx, st.failsFor) {
			return
		}
		s.broken.Store(false)
		wait = st.worksFor
		say("the shop's front page works again; it fails next in %v", wait)
	}
}

// sleep waits for d and reports whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
