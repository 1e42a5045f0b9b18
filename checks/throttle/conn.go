package throttle

import (
	"bytes"
	"net"
	"os"
	"sync"
	"time"
)

// Conn returns conn slowed down to the link. Connecting must be paid for
// before, with RoundTrip. It reads conn from now on until it is closed.
func (l *Link) Conn(conn net.Conn) net.Conn {
	c := &slowConn{Conn: conn, link: l, line: newLine(l)}
	go c.receive()
	return c
}

type slowConn struct {
	net.Conn
	link   *Link
	line   *line
	writes deadline
	once   sync.Once

	writing sync.Mutex // protects following
	sent    segments
	pace    pace
}

// receive moves what comes onto the line, at the link's rate. The end comes a
// round trip later too, as the packet would that says so.
func (c *slowConn) receive() {
	var got segments
	buf := make([]byte, c.link.down.atOnce())
	for c.line.awaitRoom() {
		before := time.Now()
		n, err := c.Conn.Read(buf)
		now := time.Now()
		if now.Sub(before) >= nap {
			got.begin() // the link has waited for the other side
		}
		if n > 0 {
			carried, begun := got.carry(n)
			c.link.admit(c.line, part{data: bytes.Clone(buf[:n])}, now, carried, c.link.lost(begun))
		}
		if err != nil {
			c.line.finish(err, now.Add(c.link.roundTrip))
			return
		}
	}
}

// admit puts a part that came at a time onto the line, and waits until the
// bottleneck's buffer has room for another.
func (l *Link) admit(to *line, p part, came time.Time, sent carried, lost int) {
	begins, passed := l.down.take(came, sent)
	if lost > 0 {
		_, passed = l.down.take(came, again(lost))
	}
	p.wire = sent.wire
	p.due = passed.Add(l.roundTrip)
	if lost > 0 {
		p.due = p.due.Add(l.recovery())
	}
	// Of what comes in a row only the first is waited for by a round trip.
	if first := to.put(p); !first {
		begins = begins.Add(l.roundTrip)
	}
	l.held.add(begins, p.due)
	pause(time.Until(passed)-queue, nil, to.closed)
}

// pace is when a sender last sent. Who goes on at once after sleeping longer
// than it should have loses nothing by that.
type pace struct {
	due, sent time.Time // when the last part was to go, and when it went
}

// goesOn is how soon a sender's next part follows when there is more to send.
const goesOn = 5 * time.Millisecond

// came returns from when on the next part can be said to have waited.
func (p *pace) came(now time.Time) time.Time {
	if now.Sub(p.sent) < goesOn && p.due.Before(p.sent) {
		return now.Add(-min(queue, p.sent.Sub(p.due)))
	}
	return now
}

// Read returns what has come, when it would have come.
func (c *slowConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, _, err := c.line.take(p, false)
	return n, err
}

// Write sends p, a slice at a time, each when the link has carried it.
func (c *slowConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	came := c.pace.came(time.Now())
	c.sent.begin()
	written := 0
	for {
		part := p[written:min(len(p), written+c.link.up.atOnce())]
		carried, begun := c.sent.carry(len(part))
		due, err := c.link.send(came, carried, c.link.lost(begun), &c.writes, c.line.closed)
		if err != nil {
			return written, err
		}
		n, err := c.Conn.Write(part)
		c.pace = pace{due, time.Now()}
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

// send books what is to go up since a time and waits until it has; it returns
// when that was to be.
func (l *Link) send(came time.Time, sent carried, lost int, until *deadline, closed chan struct{}) (due time.Time, err error) {
	begins, due := l.up.take(came, sent)
	if lost > 0 {
		_, due = l.up.take(came, again(lost))
		due = due.Add(l.recovery())
	}
	l.held.add(begins, due)
	return due, pause(time.Until(due), until, closed)
}

// pause waits for d, until the deadline, of which nil is none, or until the
// connection is closed. It leaves out what is too short to sleep for.
func pause(d time.Duration, until *deadline, closed chan struct{}) error {
	if d < nap {
		return nil
	}
	var over <-chan struct{}
	if until != nil {
		over = until.passed()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-over:
		return os.ErrDeadlineExceeded
	case <-closed:
		return net.ErrClosed
	}
}

func (c *slowConn) Close() error {
	c.once.Do(func() { close(c.line.closed) })
	return c.Conn.Close()
}

func (c *slowConn) SetDeadline(t time.Time) error {
	c.line.reads.set(t)
	c.writes.set(t)
	return c.Conn.SetWriteDeadline(t)
}

// SetReadDeadline bounds waiting for what is on its way; the connection
// beneath is read all the time.
func (c *slowConn) SetReadDeadline(t time.Time) error {
	c.line.reads.set(t)
	return nil
}

func (c *slowConn) SetWriteDeadline(t time.Time) error {
	c.writes.set(t)
	return c.Conn.SetWriteDeadline(t)
}
