package prober

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nines/checks"
)

// crowd is a schedule and a pool whose runs take as long as takes says.
type crowd struct {
	*bench
	pool *pool
	most sync.Map // by host: the most runs in flight
}

func newCrowd(t *testing.T, takes func(*task) time.Duration) *crowd {
	c := &crowd{}
	var mu sync.Mutex
	flying := map[string]int{}
	refuse := func(tasks []*task, why refusal) {
		for _, t := range tasks {
			c.refused(t)
			reason := checks.ProberOverloaded
			if why == stopping {
				reason = checks.ProberStopped
			}
			c.ledger.skip([]skipped{t.skipped(reason, "")})
		}
	}
	run := func(ctx context.Context, t *task) {
		mu.Lock()
		flying[t.host]++
		if most, _ := c.most.Load(t.host); most == nil || most.(int) < flying[t.host] {
			c.most.Store(t.host, flying[t.host])
		}
		mu.Unlock()
		begun := time.Now()
		select {
		case <-time.After(takes(t)):
		case <-ctx.Done():
		}
		mu.Lock()
		flying[t.host]--
		mu.Unlock()
		c.ended(t, time.Since(begun))
		c.pool.leave(t)
		c.ledger.note(t.spec.Name, t.slot, "")
		c.closed(t.job, t.slot)
	}
	c.bench = newBench(t, func(b *bench) sink {
		c.pool = newPool(b.clock.mono, run, refuse)
		return pooled{b.ledger, c.pool}
	})
	return c
}

// pooled lets the pool run what the ledger would only note.
type pooled struct {
	ledger *ledger
	pool   *pool
}

func (p pooled) start(t *task)       { p.pool.submit(t) }
func (p pooled) skip(list []skipped) { p.ledger.skip(list) }
func (p pooled) sweep()              { p.pool.sweep() }

func hung(t *task) time.Duration {
	if t.spec.Name[:4] == "hung" {
		return t.spec.Timeout
	}
	return 20 * time.Millisecond
}

// crowdOf returns checks of which some hang, all of one host.
func crowdOf(hang, fine int, host string) (plans []plan) {
	for i := range hang {
		plans = append(plans, plan{fmt.Sprintf("hung-%s-%d", host, i), 10 * time.Second, "http://" + host + ".example.com/"})
	}
	for i := range fine {
		plans = append(plans, plan{fmt.Sprintf("fine-%s-%d", host, i), 10 * time.Second, "http://" + host + ".example.com/"})
	}
	return plans
}

func TestHungTargetsLeaveOthersAlone(t *testing.T) {
	tests := []struct {
		name       string
		hang, fine int
		settling   time.Duration // until the host's own other checks are unharmed
		kept       float64
	}{
		{"20 of 100", 20, 80, 0, 1},
		{"as many as a host may have", 600, 200, 30 * time.Second, 0.99},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, hung)
				plans := append(crowdOf(test.hang, test.fine, "busy"), crowdOf(0, 50, "other")...)
				c.give(t, plans...)
				time.Sleep(test.settling + 3*time.Minute)
				c.stop()
				c.pool.drain(time.Minute)
				for _, p := range plans {
					c.ledger.verify(t, p.name, p.every)
				}
				var all, ran float64
				for i := range test.fine {
					slots, fates := c.ledger.of(fmt.Sprintf("fine-busy-%d", i))
					for k, slot := range slots {
						if slot.After(slots[0].Add(test.settling)) {
							all++
							if fates[k] == "" {
								ran++
							}
						}
					}
				}
				if ran/all < test.kept {
					t.Errorf("the host's other checks kept %.2f %% of their slots, want %.0f %%", 100*ran/all, 100*test.kept)
				}
				for i := range 50 {
					if n := c.ledger.count(fmt.Sprintf("fine-other-%d", i), checks.ProberOverloaded); n > 0 {
						t.Errorf("another host's check lost %d slots", n)
					}
				}
				if most, _ := c.most.Load("busy.example.com"); most.(int) > hostRuns {
					t.Errorf("%d runs in flight towards one host", most)
				}
			})
		})
	}
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, func(t *task) time.Duration { return t.spec.Timeout })
		c.give(t, crowdOf(hostRuns+200, 0, "busy")...)
		time.Sleep(9 * time.Second)
		c.stop()
		if running, waiting := c.pool.size(); running != hostRuns || waiting == 0 {
			t.Fatalf("%d run and %d wait", running, waiting)
		}
		begun := time.Now()
		if !c.pool.drain(3 * time.Second) {
			t.Error("runs were left behind")
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("draining took %s, want the limit", took)
		}
		if running, waiting := c.pool.size(); running != 0 || waiting != 0 {
			t.Errorf("%d run and %d wait at the end", running, waiting)
		}
		_, floors := c.marks()
		for _, p := range crowdOf(hostRuns+200, 0, "busy") {
			if c.jobs[p.name].next.UnixMilli() != floors[p.name] {
				t.Errorf("%s: a slot has no result", p.name)
			}
		}
	})
}

// A run that heeds nothing does not keep the prober from stopping.
func TestDrainGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		p := newPool(func() time.Duration { return 0 }, func(context.Context, *task) { <-stuck }, nil)
		p.submit(&task{host: "busy"})
		if p.drain(time.Second) {
			t.Error("no run was left behind")
		}
		close(stuck)
	})
}

// Runs that are asked for go first, within bounds.
func TestAskedHaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(func() time.Duration { return 0 }, func(ctx context.Context, _ *task) { <-ctx.Done() }, nil)
		for range hostRuns {
			p.submit(&task{host: "busy"})
		}
		taken := 0
		for range maxRuns {
			if p.submit(&task{host: "busy", asked: true}) {
				taken++
			}
		}
		if taken != hostRuns {
			t.Errorf("a busy host takes %d runs for the asking, want %d", taken, hostRuns)
		}
		for i := range 2 * maxRuns {
			p.submit(&task{host: fmt.Sprint(i % 100), asked: true})
		}
		if running, waiting := p.size(); running != maxRuns || waiting != 0 {
			t.Errorf("%d run, %d wait", running, waiting)
		}
		p.cancel()
		p.tasks.Wait()
	})
}
