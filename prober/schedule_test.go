package prober

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nines/checks"
	"nines/regions"
)

// ledger is a sink that notes what becomes of every slot. Runs take no time
// unless takes says otherwise.
type ledger struct {
	s     *schedule
	takes func(*task) time.Duration
	begin func(*task)

	mu    sync.Mutex
	fates map[key][]checks.Reason // empty reason: it was run
	late  time.Duration           // the most that a run was late by our own clock
	total int
}

func (l *ledger) start(t *task) {
	if l.begin != nil {
		l.begin(t)
	}
	now, _ := l.s.clock.now()
	l.note(t.spec.Name, t.slot, "")
	l.mu.Lock()
	l.late = max(l.late, now.Sub(t.slot))
	l.mu.Unlock()
	var took time.Duration
	if l.takes != nil {
		took = l.takes(t)
	}
	end := func() {
		l.s.ended(t, took)
		if !t.asked {
			l.s.closed(t.job, t.slot)
		}
	}
	if took == 0 {
		end()
		return
	}
	time.AfterFunc(took, end)
}

func (l *ledger) skip(list []skipped) {
	for _, k := range list {
		for slot := range k.slots.Between(k.from, k.to) {
			l.note(k.check, slot, k.reason)
		}
		l.s.closed(k.job, k.from)
	}
}

func (l *ledger) sweep() {}

func (l *ledger) note(check string, slot time.Time, reason checks.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := key{check, slot.UnixMilli()}
	l.fates[k] = append(l.fates[k], reason)
	l.total++
}

// of returns the slots of a check with their fates, in order.
func (l *ledger) of(check string) (slots []time.Time, fates []checks.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.fates {
		if k.check == check {
			slots = append(slots, time.UnixMilli(k.slot).UTC())
		}
	}
	slices.SortFunc(slots, time.Time.Compare)
	for _, slot := range slots {
		fates = append(fates, l.fates[key{check, slot.UnixMilli()}][0])
	}
	return slots, fates
}

// latest returns the most that a run was late since it was last asked.
func (l *ledger) latest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	late := l.late
	l.late = 0
	return late
}

// count returns how many slots of a check had the fate.
func (l *ledger) count(check string, reason checks.Reason) (n int) {
	_, fates := l.of(check)
	for _, f := range fates {
		if f == reason {
			n++
		}
	}
	return n
}

// verify fails the test unless every slot from the first seen to the last has
// exactly one fate.
func (l *ledger) verify(t *testing.T, check string, every time.Duration) (first, last time.Time) {
	t.Helper()
	slots, _ := l.of(check)
	if len(slots) == 0 {
		t.Fatalf("no slot of %s was handed out", check)
	}
	for i, slot := range slots {
		if n := len(l.fates[key{check, slot.UnixMilli()}]); n != 1 {
			t.Errorf("slot %s of %s was handed out %d times", slot, check, n)
		}
		if i > 0 && slot.Sub(slots[i-1]) != every {
			t.Errorf("%s: after slot %s comes %s", check, slots[i-1], slot)
		}
	}
	return slots[0], slots[len(slots)-1]
}

// bench is a schedule that runs in a bubble, with a wall clock that can be set.
type bench struct {
	*schedule
	ledger *ledger
	mu     sync.Mutex
	shift  time.Duration // of the wall clock
	breaks bool          // the next look at it panics
	stop   func()
}

// newBench starts a schedule; its slots go to the ledger, or where wire says.
func newBench(t *testing.T, wire ...func(*bench) sink) *bench {
	b := &bench{ledger: &ledger{fates: map[key][]checks.Reason{}}}
	clock := newClock(func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.breaks {
			b.breaks = false
			panic("a bug")
		}
		return time.Now().Add(b.shift)
	})
	b.schedule = newSchedule(clock, b.ledger, slog.New(slog.NewTextHandler(logTo{t}, nil)))
	b.ledger.s = b.schedule
	for _, w := range wire {
		b.schedule.sink = w(b)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.drive(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("drive: %v", err)
		}
	}
	return b
}

func (b *bench) set(by time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shift += by
}

// wall returns the wall clock's time.
func (b *bench) wall() time.Time { return b.clock.wall() }

// give assigns checks by name and interval.
func (b *bench) give(t testing.TB, checks ...plan) {
	t.Helper()
	a := regions.Assignment{Prober: "here-1", Region: "here"}
	for _, c := range checks {
		a.Checks = append(a.Checks, c.share(t))
	}
	list := b.drafts(&a)
	if len(list) != len(checks) {
		t.Fatalf("%d of %d checks are of use", len(list), len(checks))
	}
	b.assign(a.Region, a.Prober, list)
}

// plan is a check to be assigned.
type plan struct {
	name  string
	every time.Duration
	url   string
}

func (c plan) share(t testing.TB) regions.Share {
	t.Helper()
	if c.url == "" {
		c.url = "https://shop.example.com/"
	}
	spec, err := httpCheck(t, c.name, c.url, c.every, min(c.every, 10*time.Second)).Spec.Wire()
	if err != nil {
		t.Fatal(err)
	}
	return regions.Share{Spec: spec, Index: 0, Of: 1}
}

func TestEverySlotOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		everies := []time.Duration{time.Second, 1500 * time.Millisecond, 7 * time.Second, 30 * time.Second, 1234 * time.Millisecond}
		var plans []plan
		for i := range 200 {
			plans = append(plans, plan{name: fmt.Sprintf("check-%d", i), every: everies[i%len(everies)]})
		}
		b.give(t, plans...)
		begin := b.wall()
		time.Sleep(4 * time.Minute)
		b.stop()
		end := b.wall()
		for _, p := range plans {
			first, last := b.ledger.verify(t, p.name, p.every)
			if first.Sub(begin) > p.every+runwayOfNew || end.Sub(last) > p.every+tickEvery {
				t.Errorf("%s: slots from %s to %s do not cover the time from %s to %s", p.name, first, last, begin, end)
			}
			if b.ledger.count(p.name, "") != len(slotsIn(first, last, p.every)) {
				t.Errorf("%s: a slot was not run", p.name)
			}
		}
		if late := b.ledger.latest(); late > tickEvery+time.Millisecond {
			t.Errorf("a run was %s late", late)
		}
	})
}

func slotsIn(first, last time.Time, every time.Duration) []struct{} {
	return make([]struct{}, last.Sub(first)/every+1)
}

// Slots on the grid begin on time, not up to a tick later.
func TestTicksAreOnTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(37 * time.Millisecond)
		b := newBench(t)
		b.give(t, plan{name: "shop", every: time.Second})
		time.Sleep(30 * time.Second)
		if late := b.ledger.latest(); late > time.Millisecond {
			t.Errorf("a run was %s late before the clock was set", late)
		}
		b.set(43 * time.Millisecond)
		time.Sleep(30 * time.Second) // time enough to notice
		b.ledger.latest()
		time.Sleep(time.Minute)
		if late := b.ledger.latest(); late > time.Millisecond {
			t.Errorf("a run was %s late after the clock was set", late)
		}
		b.stop()
		b.ledger.verify(t, "shop", time.Second)
	})
}

func TestAssignmentChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		kept := plan{name: "kept", every: time.Second}
		moved := plan{name: "moved", every: 2 * time.Second}
		slower := plan{name: "slower", every: time.Second}
		b.give(t, kept, moved, slower)
		for i := range 200 {
			time.Sleep(time.Duration(37*(i%40)) * time.Millisecond)
			moved.url = fmt.Sprintf("https://shop.example.com/%d", i)
			if i == 100 {
				slower.every = 2 * time.Second
			}
			more := []plan{kept, moved, slower}
			if i%2 == 0 {
				more = append(more, plan{name: "coming-and-going", every: time.Second})
			}
			b.give(t, more...)
		}
		time.Sleep(10 * time.Second)
		b.stop()
		b.ledger.verify(t, "kept", kept.every)
		b.ledger.verify(t, "moved", moved.every)
		for _, name := range []string{"slower", "coming-and-going"} {
			slots, _ := b.ledger.of(name)
			for _, slot := range slots {
				if n := len(b.ledger.fates[key{name, slot.UnixMilli()}]); n != 1 {
					t.Errorf("slot %s of %s was handed out %d times", slot, name, n)
				}
			}
		}
		if slots, _ := b.ledger.of("slower"); len(slots) < 100 {
			t.Errorf("only %d slots of the check whose interval changed", len(slots))
		}
	})
}

func TestClockSetForwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.give(t, plan{name: "shop", every: time.Second}, plan{name: "hourly", every: time.Hour})
		time.Sleep(10 * time.Second)
		b.set(10 * time.Minute)
		time.Sleep(20 * time.Second)
		b.stop()
		b.ledger.verify(t, "shop", time.Second)
		if n := b.ledger.count("shop", checks.ProberClock); n < 600 || n > 605 {
			t.Errorf("%d slots are unknown because of the clock, want the 600 that were passed over and up to 4 while it was doubted", n)
		}
		if n := b.ledger.count("shop", checks.ProberOverloaded); n != 0 {
			t.Errorf("%d slots are called overloaded", n)
		}
	})
}

func TestClockSetBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.give(t, plan{name: "shop", every: time.Second})
		time.Sleep(10 * time.Second)
		b.set(-time.Minute)
		time.Sleep(10 * time.Second)
		b.give(t, plan{name: "shop", every: 2 * time.Second}) // and back: other slots, then the same again
		time.Sleep(20 * time.Second)
		b.give(t, plan{name: "shop", every: time.Second}, plan{name: "new", every: time.Second})
		before := b.ledger.count("shop", "")
		time.Sleep(90 * time.Second)
		b.stop()
		b.ledger.verify(t, "shop", time.Second)
		b.ledger.verify(t, "new", time.Second)
		if after := b.ledger.count("shop", ""); after < before+50 {
			t.Errorf("%d slots ran after the clock was set back, want at least 50", after-before)
		}
	})
}

// A machine that starts with its clock an hour ahead and is then corrected
// loses no slot and repeats none, because the scheduler knew the time.
func TestClockWrongAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		truth := time.Now
		b.clock.suspicious = func() {
			go func() {
				sent := b.clock.stamp()
				time.Sleep(30 * time.Millisecond)
				b.clock.measure(sent, truth())
			}()
		}
		b.set(time.Hour)
		b.clock.measure(b.clock.stamp(), truth())
		if off, ok := b.clock.offset(); !ok || off != time.Hour {
			t.Fatalf("offset %s, %t", off, ok)
		}
		b.give(t, plan{name: "shop", every: time.Second})
		time.Sleep(10 * time.Second)
		b.set(-time.Hour)
		time.Sleep(10 * time.Second)
		b.stop()
		first, last := b.ledger.verify(t, "shop", time.Second)
		if since := time.Since(last); since > 1200*time.Millisecond || first.After(last.Add(-18*time.Second)) {
			t.Errorf("slots from %s to %s at %s", first, last, time.Now())
		}
		if n := b.ledger.count("shop", checks.ProberClock); n < 9 || n > 11 {
			t.Errorf("%d slots are unknown because of the clock, want the 10 while it was wrong", n)
		}
	})
}

func TestStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var stuck atomic.Bool
		b.ledger.begin = func(*task) {
			if stuck.CompareAndSwap(true, false) {
				time.Sleep(20 * time.Second) // the tick's goroutine, as if the machine had stopped
			}
		}
		b.give(t, plan{name: "shop", every: time.Second}, plan{name: "rare", every: time.Minute})
		time.Sleep(65 * time.Second)
		stuck.Store(true)
		time.Sleep(2 * time.Minute)
		b.stop()
		b.ledger.verify(t, "shop", time.Second)
		b.ledger.verify(t, "rare", time.Minute)
		if n := b.ledger.count("shop", checks.ProberOverloaded); n < 18 || n > 20 {
			t.Errorf("%d slots are unknown, want about 19", n)
		}
	})
}

func TestRunThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.ledger.takes = func(t *task) time.Duration {
			if t.spec.Name == "slow" {
				return 2500 * time.Millisecond
			}
			return 0
		}
		b.give(t, plan{name: "slow", every: time.Second}, plan{name: "fast", every: time.Second})
		time.Sleep(30 * time.Second)
		b.stop()
		b.ledger.verify(t, "slow", time.Second)
		b.ledger.verify(t, "fast", time.Second)
		if ran, skipped := b.ledger.count("slow", ""), b.ledger.count("slow", checks.ProberOverloaded); ran < 9 || ran > 11 || skipped < 18 {
			t.Errorf("%d slots ran and %d did not, want a third and two thirds of 30", ran, skipped)
		}
		if n := b.ledger.count("fast", checks.ProberOverloaded); n != 0 {
			t.Errorf("%d slots of the other check did not run", n)
		}
	})
}

func TestStartPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		panics := 3
		b.ledger.begin = func(t *task) {
			if t.spec.Name == "bad" && panics > 0 {
				panics--
				panic("a bug")
			}
		}
		b.give(t, plan{name: "bad", every: time.Second}, plan{name: "good", every: time.Second})
		time.Sleep(30 * time.Second)
		b.stop()
		b.ledger.verify(t, "bad", time.Second)
		b.ledger.verify(t, "good", time.Second)
		if n := b.ledger.count("bad", checks.ProberInternal); n != 3 {
			t.Errorf("%d slots are unknown through our own fault, want 3", n)
		}
		if n := b.ledger.count("good", ""); n < 29 {
			t.Errorf("%d slots of the other check ran, want at least 29", n)
		}
	})
}

// Even what the schedule itself gets wrong must not end the process.
func TestTickPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.give(t, plan{name: "shop", every: time.Second})
		time.Sleep(5 * time.Second)
		b.mu.Lock()
		b.breaks = true
		b.mu.Unlock()
		time.Sleep(10 * time.Second)
		b.stop()
		b.ledger.verify(t, "shop", time.Second)
	})
}

func TestAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.give(t, plan{name: "shop", every: 10 * time.Second})
		time.Sleep(1230 * time.Millisecond)
		ask := func(check string, ago time.Duration) *task {
			return b.ask(regions.Run{Check: check, Slot: b.wall().Add(-ago)})
		}
		run := ask("shop", 20*time.Millisecond)
		if run == nil || !run.asked || run.region != "here" || run.prober != "here-1" || b.wall().Sub(run.slot) != 20*time.Millisecond {
			t.Fatalf("run %+v", run)
		}
		time.Sleep(3 * time.Second)
		if ask("shop", 0) != nil {
			t.Error("asked again while it runs")
		}
		b.ended(run, time.Second)
		if ask("shop", time.Minute) != nil {
			t.Error("a request of a minute ago is run")
		}
		if ask("other", 0) != nil {
			t.Error("a check that is not ours is run")
		}
		if b.ask(regions.Run{Check: "shop", Slot: regions.SlotsOf("shop", 10*time.Second, 0, 1).Next(b.wall())}) != nil {
			t.Error("a planned slot is run for the asking")
		}
		if run = ask("shop", 0); run == nil {
			t.Fatal("not asked again after it ended")
		}
		b.ended(run, time.Millisecond)
		time.Sleep(500 * time.Millisecond)
		if ask("shop", 0) != nil {
			t.Error("asked twice within a second")
		}
		time.Sleep(600 * time.Millisecond)
		if ask("shop", 0) == nil {
			t.Error("not asked again after a second")
		}
		b.stop()
	})
}

// Marks plus what is on disk say exactly which slots a killed prober missed.
func TestMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.ledger.takes = func(*task) time.Duration { return 400 * time.Millisecond }
		b.give(t, plan{name: "shop", every: time.Second})
		slots := regions.SlotsOf("shop", time.Second, 0, 1)
		running := slots.Next(b.wall().Add(5 * time.Second))
		time.Sleep(running.Add(200 * time.Millisecond).Sub(b.wall()))
		encoded, floors := b.marks()
		if floors["shop"] != running.UnixMilli() {
			t.Errorf("while a slot runs the floor is %s, want %s", time.UnixMilli(floors["shop"]).UTC(), running)
		}
		time.Sleep(400 * time.Millisecond)
		if _, floors := b.marks(); floors["shop"] != running.Add(time.Second).UnixMilli() {
			t.Errorf("after it the floor is %s, want the next slot", time.UnixMilli(floors["shop"]).UTC())
		}
		b.stop() // killed: only what was encoded is known, and one result besides

		time.Sleep(20 * time.Second)
		again := newBench(t)
		had := running.Add(time.Second)
		again.restore(decodeMarks(encoded), map[key]struct{}{{"shop", had.UnixMilli()}: {}})
		again.give(t, plan{name: "shop", every: time.Second})
		list, closed := again.offline()
		var missed []time.Time
		for _, k := range list {
			if k.reason != checks.ProberOffline {
				t.Errorf("reason %s", k.reason)
			}
			for slot := range k.slots.Between(k.from, k.to) {
				if !again.has(k.check, slot) {
					missed = append(missed, slot)
				}
			}
		}
		time.Sleep(5 * time.Second)
		first, _ := again.ledger.verify(t, "shop", time.Second)
		want := []time.Time{running}
		for slot := running.Add(2 * time.Second); slot.Before(first); slot = slot.Add(time.Second) {
			want = append(want, slot)
		}
		if !slices.Equal(missed, want) {
			t.Errorf("missed %v, want %v", missed, want)
		}
		if _, floors := again.marks(); floors["shop"] != running.UnixMilli() {
			t.Error("the gap is not in the marks before it is recorded")
		}
		closed()
		if _, floors := again.marks(); floors["shop"] < first.UnixMilli() {
			t.Error("the gap is in the marks after it was recorded")
		}
		again.stop()
	})
}

// Slots before Since were another prober's.
func TestMarksSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := b.wall()
		b.restore(marks{
			Floors: map[string]int64{"shop": now.Add(-time.Minute).UnixMilli(), "theirs": now.Add(-time.Minute).UnixMilli()},
			Gaps:   map[string][]gap{"shop": {{now.Add(-3 * time.Minute).UnixMilli(), now.Add(-2 * time.Minute).UnixMilli()}}},
		}, nil)
		share := plan{name: "shop", every: time.Second}.share(t)
		share.Since = now.Add(-10 * time.Second)
		list := b.drafts(&regions.Assignment{Checks: []regions.Share{share}})
		b.assign("here", "here-1", list)
		skips, _ := b.offline()
		if len(skips) != 1 || !skips[0].from.Equal(share.Since) {
			t.Errorf("skips %+v", skips)
		}
		data, _ := b.marks()
		var m marks
		if err := json.Unmarshal(data, &m); err != nil || len(m.Floors) != 1 {
			t.Errorf("marks %s", data)
		}
		b.stop()
	})
}

func TestCutoff(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	span := func(every, age time.Duration) skipped {
		return skipped{slots: regions.Slots{Every: every}, from: now.Add(-age), to: now}
	}
	many := func(n int, k skipped) (list []skipped) {
		for range n {
			list = append(list, k)
		}
		return list
	}
	tests := []struct {
		name      string
		list      []skipped
		kept, off int64
	}{
		{"one slot of last year", []skipped{{slots: regions.Slots{Every: time.Second}, from: now.AddDate(-1, 0, 0), to: now.AddDate(-1, 0, 0).Add(1)}}, 1, 0},
		{"an hour", []skipped{span(time.Second, time.Hour)}, 3600, 0},
		{"a week is a day's worth", []skipped{span(time.Minute, 7*24*time.Hour)}, 1440, 6 * 1440},
		{"a day of many checks", many(1000, span(10*time.Second, 24*time.Hour)), 100_000, 8_540_000},
		{"a century", []skipped{span(time.Second, 100*365*24*time.Hour)}, 86400, (100*365 - 1) * 86400},
		{"nothing", nil, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			from, left := cutoff(test.list, now)
			var kept int64
			for _, k := range test.list {
				n := k.count(from)
				kept += n
				if test.name == "an hour" {
					slots := 0
					for range k.slots.Between(k.from, k.to) {
						slots++
					}
					if int64(slots) != n {
						t.Errorf("%d slots are counted as %d", slots, n)
					}
				}
			}
			if kept > missedCount || kept != test.kept || left != test.off {
				t.Errorf("%d are kept and %d left out, want %d and %d", kept, left, test.kept, test.off)
			}
		})
	}
}

func BenchmarkTick(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var shift time.Duration
			begin := time.Now()
			c := newClock(func() time.Time { return begin.Add(shift) })
			l := &quiet{}
			s := newSchedule(c, l, slog.New(slog.DiscardHandler))
			l.s = s
			bench := &bench{schedule: s}
			var plans []plan
			for i := range n {
				plans = append(plans, plan{name: fmt.Sprintf("check-%d", i), every: 10 * time.Second})
			}
			bench.give(b, plans...)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				// 100 ms pass between two ticks, without a look at the real clock.
				shift += tickEvery
				r := reading{now: begin.Add(shift).UTC(), mono: shift}
				s.mu.Lock()
				tasks, _ := s.handOut(r)
				s.mu.Unlock()
				for _, t := range tasks {
					l.start(t)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(max(1, l.slots)), "ns/slot")
		})
	}
}

type quiet struct {
	s     *schedule
	slots int
}

func (q *quiet) start(t *task) {
	q.slots++
	q.s.ended(t, 0)
	q.s.closed(t.job, t.slot)
}
func (q *quiet) skip([]skipped) {}
func (q *quiet) sweep()         {}
