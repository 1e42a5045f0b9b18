package scheduler

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"nines/checks"
	"nines/regions"
	"nines/scheduler/incident"
)

// TestAtOnce: everything that happens in a running scheduler happens at once;
// the race detector looks on, and at the end nothing is lost or there twice.
func TestAtOnce(t *testing.T) {
	h := build(t)
	h.clock = time.Now()
	h.pass(time.Second)
	h.confirm = func(string, string, time.Time) {}
	ctx := context.Background()
	const rounds = 40
	begin := h.clock.Add(-rounds * time.Second)
	var work sync.WaitGroup
	start := func(f func(n int) error) {
		work.Go(func() {
			for n := range rounds {
				if err := f(n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, region := range everywhere {
		start(func(n int) error {
			status := checks.Up
			if n%10 > 5 {
				status = checks.Down
			}
			b := regions.Batch{Spool: "a", Entries: []regions.Entry{{Seq: int64(n), Result: result("shop", region, begin.Add(time.Duration(n)*time.Second), status)}}}
			for range 2 { // each is sent twice
				if _, err := h.Ingest(ctx, region+"-1", region, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	start(func(int) error { return h.tick(ctx) })
	start(func(int) error {
		for _, i := range h.incidents() {
			if _, _, err := h.Acknowledge(ctx, i.ID, incident.By{Who: "alice", Via: "sms"}); err != nil {
				return err
			}
		}
		return nil
	})
	start(func(n int) error {
		for _, path := range []string{"/", "/metrics", "/readyz", "/checks/shop", "/api/v1/status"} {
			r := httptest.NewRequest("GET", path, nil)
			asOperator(r)
			w := httptest.NewRecorder()
			if h.Handler().ServeHTTP(w, r); w.Code != 200 {
				return fmt.Errorf("%s: %d", path, w.Code)
			}
		}
		return nil
	})
	other := load(t, strings.Replace(baseYAML, "timeout: 10s", "timeout: 9s", 1))
	same := h.config.Load()
	start(func(n int) error {
		if n%10 != 0 {
			return nil
		}
		if n%20 == 0 {
			return h.Reload(other, nil)
		}
		return h.Reload(same, nil)
	})
	start(func(n int) error {
		if n%10 != 0 {
			return nil
		}
		return h.store.Compact(ctx)
	})
	work.Wait()
	if n := h.stored("shop"); n != 3*rounds {
		t.Errorf("%d results are stored, want %d", n, 3*rounds)
	}
}
