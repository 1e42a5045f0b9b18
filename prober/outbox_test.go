package prober

import (
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"nines/regions"
)

// numbered returns records as the spool gives them to the outbox.
func numbered(from, n int, change func(*record)) (list []*record) {
	for i := range n {
		r := made("shop", from+i)
		r.seq = int64(from + i)
		if change != nil {
			change(r)
		}
		list = append(list, r)
	}
	return list
}

func quietOutbox() *outbox { return newOutbox(slog.New(slog.DiscardHandler)) }

func TestOutboxOrder(t *testing.T) {
	o := quietOutbox()
	o.add(numbered(1, 10, nil))
	o.add(numbered(11, 1, func(r *record) { r.urgent = true }))
	if wait, ok := o.due(time.Second, 100); !ok || wait != 0 {
		t.Errorf("an urgent record waits %s, %t", wait, ok)
	}
	first := o.take(3, 1<<20)
	if got := seqs(first); !slices.Equal(got, []int64{11, 1, 2}) {
		t.Errorf("taken %v, want the urgent one and then the oldest", got)
	}
	second := o.take(100, 1<<20)
	if got := seqs(second); !slices.Equal(got, []int64{3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("then %v, want the others: what is under way is not taken twice", got)
	}
	o.back(first)
	if n := o.settle(second, regions.Ack{Seqs: []int64{3, 4, 99}, Rejected: map[int64]string{5: "no"}}); n != 3 {
		t.Errorf("%d are settled, want 3", n)
	}
	if got := seqs(o.take(100, 1<<20)); !slices.Equal(got, []int64{11, 1, 2, 6, 7, 8, 9, 10}) {
		t.Errorf("to be sent again are %v", got)
	}
	if got := seqs(o.forgettable(nil)); !slices.Equal(got, []int64{3, 4, 5}) {
		t.Errorf("to be deleted are %v", got)
	}
	if _, ok := o.due(time.Second, 100); ok {
		t.Error("something is due while everything is under way")
	}
	if small := numbered(20, 3, nil); true {
		o.add(small)
		if got := o.take(100, 1); len(got) != 1 {
			t.Errorf("%d records are taken where there is room for none, want one", len(got))
		}
	}
}

// Records wait on disk instead when they are no longer new, or too many.
func TestOutboxAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quietOutbox()
		o.add(numbered(1, 5, nil))
		o.advance(place{0, 0}, 5, true) // the back-fill has seen the spool's end
		if _, backlog := o.position(); backlog {
			t.Fatal("there is a backlog where everything is new")
		}
		flying := o.take(2, 1<<20)
		time.Sleep(liveAge + time.Second)
		o.add(numbered(6, 1, nil))
		if got := seqs(o.take(100, 1<<20)); !slices.Equal(got, []int64{3, 4, 5, 6}) {
			t.Errorf("taken %v: behind one that is under way nothing ages", got)
		}
		o.back(flying)
		time.Sleep(time.Second)
		o.add(numbered(7, 1, nil))
		at, backlog := o.position()
		if !backlog || at.cursor != 0 {
			t.Errorf("the back-fill is at %+v, %t, want before the first", at, backlog)
		}
		if got := seqs(o.unsent(numbered(1, 7, nil))); !slices.Equal(got, []int64{1, 2}) {
			t.Errorf("the back-fill sends %v, want what is neither new nor under way", got)
		}

		o = quietOutbox()
		o.add(numbered(1, 100, func(r *record) { r.body = make([]byte, liveBytes/50) }))
		if got := o.take(1000, 1<<30); len(got) > 50 || got[len(got)-1].seq != 100 {
			t.Errorf("%d records are held in memory, want the last 50", len(got))
		}
	})
}

func TestOutboxMemory(t *testing.T) {
	o := quietOutbox()
	o.add(numbered(1, 5, nil))
	o.add(numbered(1, 40, func(r *record) { r.memory, r.body = true, make([]byte, memoryBytes/20) }))
	got := o.take(1000, 1<<30)
	for _, r := range got {
		if !r.memory {
			t.Fatal("records of two spools are in one batch")
		}
	}
	if len(got) != 20 || got[0].seq != 21 || o.lost != 20 {
		t.Errorf("%d records from %d on are in memory, %d are lost; want the last 20", len(got), got[0].seq, o.lost)
	}
	if got := seqs(o.take(1000, 1<<30)); len(got) != 5 {
		t.Errorf("then %v", got)
	}
}

// What is delivered and says more than the marks do stays on disk.
func TestForgettable(t *testing.T) {
	o := quietOutbox()
	list := numbered(1, 4, nil)
	list = append(list, numbered(5, 1, func(r *record) { r.check = "gone" })...)
	o.add(list)
	o.settle(o.take(100, 1<<20), regions.Ack{Seqs: seqs(list)})
	floors := map[string]int64{"shop": list[2].slot}
	if got := seqs(o.forgettable(floors)); !slices.Equal(got, []int64{1, 2, 5}) {
		t.Errorf("to be deleted are %v, want those before the floor and of checks that are gone", got)
	}
}

// A backlog that grows while it is read is not overlooked.
func TestOutboxRewind(t *testing.T) {
	o := quietOutbox()
	at, _ := o.position()
	o.add(numbered(8, 1, func(r *record) { r.old = true }))
	o.advance(at, 7, true)
	if _, backlog := o.position(); !backlog {
		t.Error("the end that was reached before hides what came since")
	}
}

func BenchmarkOutbox(b *testing.B) {
	o := quietOutbox()
	b.ReportAllocs()
	seq := int64(0)
	list := numbered(1, 1000, nil)
	for b.Loop() {
		for _, r := range list {
			seq++
			r.seq, r.state = seq, waiting
		}
		o.add(list)
		taken := o.take(1000, 1<<30)
		o.settle(taken, regions.Ack{Seqs: seqs(taken)})
		o.forget(o.forgettable(nil))
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N*1000), "ns/record")
}
