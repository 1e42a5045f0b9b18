package prober

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"nines/regions"
)

const (
	// liveAge is how long a result counts as new. Older ones wait on disk and
	// are sent behind the new ones.
	liveAge = 30 * time.Second
	// liveBytes bounds the new results that are held in memory besides; the
	// oldest beyond it wait on disk as well.
	liveBytes = 8 << 20
	// memoryBytes bounds results that could not be put on disk; beyond it the
	// oldest are lost.
	memoryBytes = 16 << 20
)

// outbox knows which results are still to be sent. New ones are held in
// memory, so that sending them takes no look at the disk; what is older is
// read back from the spool, from the cursor on.
type outbox struct {
	log  *slog.Logger
	kick chan struct{} // has one element when something changed

	mu      sync.Mutex        // protects following
	live    queue             // also on disk
	index   map[int64]*record // those of live, by number
	memory  queue             // not on disk
	done    map[int64]*record // delivered and still on disk, without their bodies
	cursor  int64             // the spool has been read up to here
	backlog bool              // there may be something behind the cursor
	rewound int               // how often the cursor was set back
	waiting int               // records in live and memory that wait
	urgent  int               // of those, the urgent ones
	oldest  time.Time         // not after any waiting one was added
	lost    int64             // from memory, all told
	losing  bool
}

// queue is records in the order in which they were added.
type queue struct {
	records []*record
	bytes   int
}

func newOutbox(log *slog.Logger) *outbox {
	return &outbox{
		log: log, kick: make(chan struct{}, 1),
		index: map[int64]*record{}, done: map[int64]*record{}, backlog: true,
	}
}

// add takes records over from the spool.
func (o *outbox) add(records []*record) {
	if len(records) == 0 {
		return
	}
	now := time.Now()
	o.mu.Lock()
	for _, r := range records {
		r.added = now
		switch {
		case r.memory:
			o.memory.push(r)
			o.wait(r, now)
		case r.old:
			o.rewind(r.seq)
		default:
			o.live.push(r)
			o.index[r.seq] = r
			o.wait(r, now)
		}
	}
	o.tidy(now)
	o.mu.Unlock()
	o.nudge()
}

func (q *queue) push(r *record) {
	q.records = append(q.records, r)
	q.bytes += len(r.body)
}

// wait counts r among those that wait. o.mu is held, as in all that follow
// without an upper-case neighbour.
func (o *outbox) wait(r *record, now time.Time) {
	r.state = waiting
	if o.waiting == 0 || now.Before(o.oldest) {
		o.oldest = now
	}
	o.waiting++
	if r.urgent {
		o.urgent++
	}
}

// leave makes r something else than waiting.
func (o *outbox) leave(r *record, to state) {
	if r.state == waiting {
		o.waiting--
		if r.urgent {
			o.urgent--
		}
	}
	r.state = to
}

// rewind makes the back-fill look at the number again.
func (o *outbox) rewind(seq int64) {
	o.cursor = min(o.cursor, seq-1)
	o.backlog = true
	o.rewound++
}

// reread makes the back-fill look at the whole spool again.
func (o *outbox) reread() {
	o.mu.Lock()
	o.rewind(1)
	o.mu.Unlock()
	o.nudge()
}

// tidy lets go of what is settled, too old or too much.
func (o *outbox) tidy(now time.Time) {
	o.live.shed(func(r *record) bool {
		if r.state == flying || r.state == waiting && now.Sub(r.added) < liveAge && o.live.bytes <= liveBytes {
			return false
		}
		if r.state == waiting {
			o.leave(r, settled)
			o.rewind(r.seq)
		}
		delete(o.index, r.seq)
		return true
	})
	o.memory.shed(func(r *record) bool {
		if r.state != settled && o.memory.bytes <= memoryBytes {
			return false
		}
		if r.state != settled {
			o.leave(r, settled)
			o.lose(r)
		}
		return true
	})
	if len(o.memory.records) == 0 {
		o.losing = false
	}
}

// lose notes a result that is gone for good.
func (o *outbox) lose(r *record) {
	o.lost++
	if !o.losing {
		o.losing = true
		o.log.Error("memory for results is full; the oldest are lost", "check", r.check, "slot", time.UnixMilli(r.slot).UTC())
	}
}

// shed removes records from the front for as long as gone says so.
func (q *queue) shed(gone func(*record) bool) {
	n := 0
	for n < len(q.records) && gone(q.records[n]) {
		q.bytes -= len(q.records[n].body)
		q.records[n] = nil
		n++
	}
	q.records = q.records[n:]
}

// take returns up to n waiting records of at most size bytes together, but at
// least one: first those that are in memory only, else those that somebody
// waits for, else the oldest. All have the same spool.
func (o *outbox) take(n, size int) []*record {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tidy(time.Now())
	var taken []*record
	pick := func(q *queue, wanted func(*record) bool) {
		for _, r := range q.records {
			if r.state != waiting || !wanted(r) {
				continue
			}
			if len(taken) == n || len(taken) > 0 && size < len(r.body) {
				return
			}
			size -= len(r.body)
			o.leave(r, flying)
			taken = append(taken, r)
		}
	}
	all := func(*record) bool { return true }
	if pick(&o.memory, all); len(taken) > 0 {
		return taken
	}
	if o.urgent > 0 {
		pick(&o.live, func(r *record) bool { return r.urgent })
	}
	pick(&o.live, all)
	return taken
}

// settle notes which of the records were delivered, or refused for good, and
// lets the others wait again. It returns how many are settled.
func (o *outbox) settle(records []*record, ack regions.Ack) int {
	named := make(map[int64]bool, len(ack.Seqs))
	for _, seq := range ack.Seqs {
		named[seq] = true
	}
	for seq := range ack.Rejected {
		named[seq] = true
	}
	now := time.Now()
	n := 0
	o.mu.Lock()
	for _, r := range records {
		if !named[r.seq] {
			o.release(r, now)
			continue
		}
		n++
		o.leave(r, settled)
		if !r.memory {
			delete(o.index, r.seq)
			o.done[r.seq] = &record{seq: r.seq, check: r.check, slot: r.slot}
		}
	}
	o.tidy(now)
	o.mu.Unlock()
	return n
}

// back lets records wait again that could not be delivered.
func (o *outbox) back(records []*record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range records {
		o.release(r, time.Now())
	}
}

// release lets a record wait again, unless it came from the backlog or was
// dropped in between.
func (o *outbox) release(r *record, now time.Time) {
	if r.state == flying && !r.added.IsZero() {
		o.wait(r, now)
	}
}

// due reports how long the waiting records may go on to wait: a moment, if
// nobody waits for them; ok is false when there are none.
func (o *outbox) due(patience time.Duration, many int) (wait time.Duration, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.waiting == 0:
		return 0, false
	case o.urgent > 0 || o.waiting >= many:
		return 0, true
	}
	return max(0, patience-time.Since(o.oldest)), true
}

// unsent returns what of the records read back from the spool is neither new
// nor delivered.
func (o *outbox) unsent(records []*record) []*record {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []*record
	for _, r := range records {
		if o.index[r.seq] == nil && o.done[r.seq] == nil {
			r.state = flying
			list = append(list, r)
		}
	}
	return list
}

// place is where the back-fill stands.
type place struct {
	cursor  int64
	rewound int
}

// position returns where the back-fill is to read on, and whether there may be
// anything.
func (o *outbox) position() (at place, backlog bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return place{o.cursor, o.rewound}, o.backlog
}

// advance moves the cursor, unless it was set back in between. At the end of
// the spool there is no backlog any more.
func (o *outbox) advance(from place, to int64, end bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rewound == from.rewound {
		o.cursor, o.backlog = to, !end
	}
}

// discard notes that records will not be sent: they are damaged.
func (o *outbox) discard(records []*record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range records {
		o.done[r.seq] = r
	}
}

// forgettable returns delivered records that lie behind their check's floor,
// by number. A check without a floor is no longer ours.
func (o *outbox) forgettable(floors map[string]int64) []*record {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []*record
	for _, r := range o.done {
		if floor, ok := floors[r.check]; !ok || r.slot < floor {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *record) int { return cmp.Compare(a.seq, b.seq) })
	return list
}

// forget notes that delivered records are no longer on disk.
func (o *outbox) forget(records []*record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range records {
		delete(o.done, r.seq)
	}
}

// delivered reports whether the record with that number needs no sending.
func (o *outbox) delivered(seq int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done[seq] != nil
}

// drop notes that records are gone from the disk; they are not sent any more.
func (o *outbox) drop(seqs []int64) {
	if len(seqs) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, seq := range seqs {
		delete(o.done, seq)
		if r := o.index[seq]; r != nil {
			o.leave(r, settled)
			delete(o.index, seq)
		}
	}
}

// inMemory returns how many results are in memory only, and how many found no
// room there.
func (o *outbox) inMemory() (n int, lost int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.memory.records), o.lost
}

func (o *outbox) nudge() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// crowded reports whether many new records wait.
func (o *outbox) crowded(many int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting >= many
}
