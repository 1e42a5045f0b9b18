package notifier_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"nines/notifier"
)

// memory is an Outbox without a disk: leases end, fences grow, and states only
// go where a store lets them.
type memory struct {
	mu       sync.Mutex
	rows     map[int64]*row
	subjects map[int64]notifier.Subject
	settled  []notifier.Settlement
	broken   int // Settle fails so many times
	last     int64
	wake     chan struct{}
}

type row struct {
	notifier.Notice
	fence   int64
	until   time.Time
	unclear bool
	overdue bool // leased from accepted
}

func newMemory() *memory {
	return &memory{rows: map[int64]*row{}, subjects: map[int64]notifier.Subject{}, wake: make(chan struct{}, 1)}
}

// queue puts notices into the outbox and tells the dispatcher.
func (m *memory) queue(notices ...notifier.Notice) (ids []int64) {
	m.mu.Lock()
	for _, n := range notices {
		ids = append(ids, m.insert(n))
	}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return ids
}

func (m *memory) insert(n notifier.Notice) int64 {
	m.last++
	n.ID = m.last
	m.rows[n.ID] = &row{Notice: n}
	return n.ID
}

func (m *memory) Lease(ctx context.Context, now time.Time, most int, lease time.Duration) ([]notifier.LeasedNotice, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var leased []notifier.LeasedNotice
	for _, id := range slices.Sorted(maps.Keys(m.rows)) {
		r := m.rows[id]
		queued := r.State == notifier.Queued && !r.NotBefore.After(now)
		expired := r.State == notifier.Leased && !r.until.After(now)
		overdue := r.State == notifier.Accepted && !r.DeliverBy.IsZero() && !r.DeliverBy.After(now)
		if len(leased) == most || !queued && !expired && !overdue {
			continue
		}
		if expired && !r.overdue {
			r.unclear = true
		}
		if !expired {
			r.overdue = overdue
		}
		if !overdue {
			r.Attempts++
		}
		r.State, r.until = notifier.Leased, now.Add(lease)
		r.fence++
		leased = append(leased, notifier.LeasedNotice{Notice: r.Notice, Fence: r.fence, Unclear: r.unclear, Overdue: r.overdue})
	}
	return leased, nil
}

func (m *memory) Settle(ctx context.Context, s notifier.Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.broken > 0 {
		m.broken--
		return errors.New("the disk is full")
	}
	r := m.rows[s.ID]
	if r == nil || r.State != notifier.Leased || r.fence != s.Fence {
		return notifier.ErrLeaseLost
	}
	r.State, r.Detail, r.DeliverBy, r.unclear = s.State, s.Detail, s.DeliverBy, s.Unclear
	if s.Receipt != "" {
		r.Receipt = s.Receipt
	}
	if s.State == notifier.Queued {
		r.NotBefore = s.NotBefore
	}
	if s.Thread != nil {
		subject := m.subjects[r.Incident]
		subject.Thread = s.Thread
		m.subjects[r.Incident] = subject
	}
	for _, n := range s.Follow {
		m.insert(n)
	}
	m.settled = append(m.settled, s)
	return nil
}

func (m *memory) Subject(_ context.Context, incident int64) (notifier.Subject, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	subject, ok := m.subjects[incident]
	if !ok {
		return subject, errors.New("there is no such incident")
	}
	return subject, nil
}

// put changes an incident.
func (m *memory) put(s notifier.Subject) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.Thread == nil {
		s.Thread = m.subjects[s.Incident].Thread
	}
	m.subjects[s.Incident] = s
}

// reported is what a delivery report does: it ends the waiting, or makes the
// notice overdue at once.
func (m *memory) reported(receipt string, state notifier.State, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rows {
		if r.Receipt != receipt || r.State != notifier.Accepted {
			continue
		}
		switch state {
		case notifier.Delivered:
			r.State, r.DeliverBy = notifier.Delivered, time.Time{}
		case notifier.Failed:
			r.DeliverBy = now
		}
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *memory) notice(id int64) notifier.Notice {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rows[id].Notice
}

func (m *memory) notices() []notifier.Notice {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []notifier.Notice
	for _, id := range slices.Sorted(maps.Keys(m.rows)) {
		all = append(all, m.rows[id].Notice)
	}
	return all
}

func (m *memory) settlements() []notifier.Settlement {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.settled)
}
