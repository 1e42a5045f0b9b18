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
	c := &slowConn{Conn: conn, link: l, line: newLine()}
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
	last    time.Time // when the last write ended
}

// receive moves what comes onto the line, at the link's rate. The end comes a
// round trip later too, as the packet would that says so.
func (c *slowConn) receive() {
	var got segments
	buf := make([]byte, c.link.down.atOnce())
	for c.line.awaitRoom() {
		before := time.Now()
		n, err := c.Conn.Read(buf)
		if time.Since(before) >= nap {
			c.link.down.idle() // the link has waited for the other side
			got.begin()
		}
		if n > 0 {
			carried, begun := got.carry(n)
			c.link.admit(c.line, part{data: bytes.Clone(buf[:n])}, carried, c.link.lost(begun))
		}
		if err != nil {
			now := time.Now()
			c.line.mu.Lock()
			if due := now.Add(c.link.roundTrip); due.After(c.line.last) {
				c.line.last = due
			}
			c.line.mu.Unlock()
			c.line.finish(err)
			return
		}
	}
}

// admit books a part on the way down, puts it onto the line and waits until it
// has passed the rate.
func (l *Link) admit(to *line, p part, sent carried, lost int) {
	wait := l.down.take(sent)
	now := time.Now()
	if lost > 0 {
		wait = l.down.take(again(lost))
	}
	p.due = now.Add(max(0, wait) + l.roundTrip)
	if lost > 0 {
		p.due = p.due.Add(l.recovery())
	}
	// Of what comes in a row only the first is waited for by a round trip.
	began := now
	if first := to.put(p); !first {
		began = now.Add(l.roundTrip)
	}
	l.held.add(began, p.due)
	pause(wait, nil, to.closed)
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
	if time.Since(c.last) >= nap {
		c.link.up.idle()
	}
	c.sent.begin()
	written := 0
	for {
		part := p[written:min(len(p), written+c.link.up.atOnce())]
		carried, begun := c.sent.carry(len(part))
		if err := c.link.send(carried, c.link.lost(begun), &c.writes, c.line.closed); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(part)
		if written += n; err != nil || written == len(p) {
			c.last = time.Now()
			return written, err
		}
	}
}

// send books what goes up and waits until it has.
func (l *Link) send(sent carried, lost int, until *deadline, closed chan struct{}) error {
	wait := l.up.take(sent)
	if lost > 0 {
		wait = l.up.take(again(lost)) + l.recovery()
	}
	if now := time.Now(); wait > 0 {
		l.held.add(now, now.Add(wait))
	}
	return pause(wait, until, closed)
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
