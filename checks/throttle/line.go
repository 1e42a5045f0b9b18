package throttle

import (
	"net"
	"os"
	"sync"
	"time"
)

// How many bytes of a connection may be on their way at once: what the rate and
// the round trip take, of which a tenth more than the round trip and 50 ms for
// waking late; between the largest receive buffer that Linux gives a connection
// by itself (tcp_rmem) and what a prober has room for.
const (
	leastWindow = 6 << 20
	mostWindow  = 16 << 20
)

// window is how many bytes of a connection may be on their way at once.
func (l *Link) window() int {
	span := l.roundTrip + l.roundTrip/10 + 50*time.Millisecond
	return int(min(max(l.down.rate*span.Seconds(), leastWindow), mostWindow))
}

// line is what is on its way to the reader: in order, each part until it is
// due.
type line struct {
	reads  deadline
	link   *Link // which counts what is handed over
	closed chan struct{}
	came   chan struct{} // has room for one: a part came, or the end
	left   chan struct{} // has room for one: a part was taken

	mu    sync.Mutex // protects following
	parts []part
	bytes int
	last  time.Time // when the last of them is due
	end   error     // what comes after them; nil: more
}

type part struct {
	data []byte
	wire int64    // what it is on the wire
	from net.Addr // of a datagram
	due  time.Time
}

func newLine(l *Link) *line {
	return &line{link: l, closed: make(chan struct{}), came: make(chan struct{}, 1), left: make(chan struct{}, 1)}
}

// put sends a part on its way. It reports whether the line was empty.
func (l *line) put(p part) (first bool) {
	l.mu.Lock()
	first = len(l.parts) == 0
	if p.due.Before(l.last) {
		p.due = l.last // nothing overtakes
	}
	l.last = p.due
	l.parts = append(l.parts, p)
	l.bytes += len(p.data)
	l.mu.Unlock()
	signal(l.came)
	return first
}

// finish says what comes after all that is on its way, and when at the
// earliest.
func (l *line) finish(err error, due time.Time) {
	l.mu.Lock()
	l.end = err
	if due.After(l.last) {
		l.last = due
	}
	l.mu.Unlock()
	signal(l.came)
}

// awaitRoom returns when something fits, or false once the line is closed.
func (l *line) awaitRoom() bool {
	window := l.link.window()
	for {
		l.mu.Lock()
		full := l.bytes >= window
		l.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-l.left:
		case <-l.closed:
			return false
		}
	}
}

// take copies what is due into p. Of a part that does not fit, a stream keeps
// the rest and a datagram loses it.
func (l *line) take(p []byte, whole bool) (n int, from net.Addr, err error) {
	for {
		select {
		case <-l.closed:
			return 0, nil, net.ErrClosed
		case <-l.reads.passed():
			return 0, nil, os.ErrDeadlineExceeded
		default:
		}
		wait, taken := time.Duration(-1), false
		l.mu.Lock()
		switch {
		case len(l.parts) == 0 && l.end != nil:
			// The end is as late as what came before it, and no later.
			err = l.end
			if wait = time.Until(l.last); wait <= 0 {
				l.mu.Unlock()
				return 0, nil, err
			}
		case len(l.parts) > 0:
			if wait = time.Until(l.parts[0].due); wait <= 0 {
				n, from, taken = l.pop(p, whole)
			}
		}
		l.mu.Unlock()
		if taken {
			signal(l.left)
			return n, from, nil
		}
		l.await(wait)
	}
}

// pop takes what fits of the first part. l.mu is held.
func (l *line) pop(p []byte, whole bool) (n int, from net.Addr, taken bool) {
	first := &l.parts[0]
	n, from = copy(p, first.data), first.from
	if n < len(first.data) && !whole {
		wire := first.wire * int64(n) / int64(len(first.data))
		l.link.received(carried{int64(n), wire})
		first.data, first.wire = first.data[n:], first.wire-wire
		l.bytes -= n
		return n, from, true
	}
	l.link.received(carried{int64(len(first.data)), first.wire})
	l.bytes -= len(first.data)
	l.parts[0] = part{}
	l.parts = l.parts[1:]
	return n, from, true
}

// await returns after d, of which a negative one means any time, or when
// something has changed.
func (l *line) await(d time.Duration) {
	var due <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-l.came:
	case <-l.reads.passed():
	case <-l.closed:
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
