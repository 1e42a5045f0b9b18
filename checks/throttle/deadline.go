package throttle

import (
	"sync"
	"time"
)

// deadline is a time that sleepers can wait for. Its zero value never passes.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	series int           // counts the times that were set, so that an old timer is not heeded
	over   chan struct{} // closed when the time has passed
	isOver bool
}

// passed returns a channel that is closed once the deadline has passed.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over == nil {
		d.over = make(chan struct{})
	}
	return d.over
}

// set moves the deadline, also for those who wait; the zero time means none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.over == nil || d.isOver {
		d.over, d.isOver = make(chan struct{}), false
	}
	d.series++
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.pass()
		return
	}
	series := d.series
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.series == series {
			d.pass()
		}
	})
}

// pass wakes the sleepers. The caller holds mu.
func (d *deadline) pass() {
	close(d.over)
	d.isOver = true
}
