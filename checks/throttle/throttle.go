// Package throttle makes connections as slow as a network that one does not
// have: a rate down, a rate up and a round trip. It works on whole connections
// beneath TLS, so that handshakes and headers pay as they would.
//
// All connections of a Link share its rates. The round trip is paid where a
// real one would be: once for connecting, and again each time that the caller
// writes after it has read, since what comes next answers what was written.
// It is paid in full before the write.
//
// What it leaves out: loss, and TCP's slow start over the longer round trip,
// which costs a real network a few more round trips where rate and round trip
// are both large. Protocols that write while they read, such as HTTP/2, would
// pay for turns that are none; keep to one request at a time.
//
// It imports nothing of this module.
package throttle

import (
	"context"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// credit is how far a direction may lag behind its rate and still catch up:
	// what sleeping too long costs is made good, but no more than this.
	credit = 10 * time.Millisecond
	// slice is how much of a transfer is let through at once.
	slice = 5 * time.Millisecond
	// nap is the shortest sleep; shorter debts are carried on.
	nap = time.Millisecond
)

// Link is a slow network. It may be used by several connections at once.
type Link struct {
	roundTrip time.Duration
	down, up  *clock
}

// New returns a link with rates in bits per second, of which zero means
// unlimited, and a round trip that is added to that of the real network.
func New(down, up float64, roundTrip time.Duration) *Link {
	return &Link{roundTrip: roundTrip, down: &clock{rate: down / 8}, up: &clock{rate: up / 8}}
}

// RoundTrip waits for one round trip, or until ctx ends. Call it where an
// exchange happens beside the link's connections: a lookup, or connecting.
func (l *Link) RoundTrip(ctx context.Context) error {
	timer := time.NewTimer(l.roundTrip)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Received returns how many bytes have come down the link so far.
func (l *Link) Received() int64 { return l.down.total() }

// Sent returns how many bytes have gone up the link so far.
func (l *Link) Sent() int64 { return l.up.total() }

// clock is one direction: the virtual time at which all that was let through
// so far has passed at the rate.
type clock struct {
	rate float64 // bytes a second; zero is unlimited

	mu     sync.Mutex
	passed time.Time // when the link is free again
	bytes  int64
}

// take books n bytes and returns how long to wait until they have passed.
func (c *clock) take(n int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += int64(n)
	if c.rate <= 0 {
		return 0
	}
	now := time.Now()
	if earliest := now.Add(-credit); c.passed.Before(earliest) {
		c.passed = earliest
	}
	c.passed = c.passed.Add(time.Duration(float64(n) / c.rate * float64(time.Second)))
	return c.passed.Sub(now)
}

// idle takes the credit away: time in which nothing was sent saves nothing.
func (c *clock) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.passed.Before(now) {
		c.passed = now
	}
}

// atOnce is how many bytes may be let through together.
func (c *clock) atOnce() int {
	if c.rate <= 0 {
		return 1 << 20
	}
	return max(64, int(c.rate*slice.Seconds()))
}

func (c *clock) total() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// Conn returns conn slowed down to the link. Connecting must be paid for
// before, with RoundTrip.
func (l *Link) Conn(conn net.Conn) net.Conn {
	return &slowConn{Conn: conn, link: l, closed: make(chan struct{}), listening: true}
}

type slowConn struct {
	net.Conn
	link          *Link
	reads, writes deadline

	once   sync.Once
	closed chan struct{}

	mu        sync.Mutex
	listening bool // the last thing done was reading: a write begins a turn
}

// Read returns at most a slice of what has come, when it would have come.
func (c *slowConn) Read(p []byte) (int, error) {
	if most := c.link.down.atOnce(); len(p) > most {
		p = p[:most]
	}
	before := time.Now()
	n, err := c.Conn.Read(p)
	if time.Since(before) >= nap {
		c.link.down.idle() // the link has waited for the other side
	}
	c.mu.Lock()
	c.listening = true
	c.mu.Unlock()
	// What has been read is handed over even when the deadline passes
	// meanwhile; the next Read will say so.
	c.sleep(c.link.down.take(n), &c.reads)
	return n, err
}

// Write sends p, a slice at a time, each when the link has carried it.
func (c *slowConn) Write(p []byte) (int, error) {
	if err := c.turn(); err != nil {
		return 0, err
	}
	written := 0
	for {
		part := p[written:min(len(p), written+c.link.up.atOnce())]
		if err := c.sleep(c.link.up.take(len(part)), &c.writes); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(part)
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

// turn pays the round trip when the caller begins to speak again.
func (c *slowConn) turn() error {
	c.mu.Lock()
	begins := c.listening
	c.listening = false
	c.mu.Unlock()
	if !begins {
		return nil
	}
	if err := c.sleep(c.link.roundTrip, &c.writes); err != nil {
		return err
	}
	c.link.up.idle()
	c.link.down.idle()
	return nil
}

// sleep waits for d, until the deadline or until the connection is closed.
func (c *slowConn) sleep(d time.Duration, until *deadline) error {
	if d < nap {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-until.passed():
		return os.ErrDeadlineExceeded
	case <-c.closed:
		return net.ErrClosed
	}
}

func (c *slowConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *slowConn) SetDeadline(t time.Time) error {
	c.reads.set(t)
	c.writes.set(t)
	return c.Conn.SetDeadline(t)
}

func (c *slowConn) SetReadDeadline(t time.Time) error {
	c.reads.set(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *slowConn) SetWriteDeadline(t time.Time) error {
	c.writes.set(t)
	return c.Conn.SetWriteDeadline(t)
}

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
