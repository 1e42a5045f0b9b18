package throttle

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// PacketConn returns conn slowed down to the link, for QUIC and the like. What
// comes faster than the rate waits in the system's receive buffer and is
// dropped when that is full, as at a real bottleneck. It reads conn from now on
// until it is closed.
func (l *Link) PacketConn(conn net.PacketConn) net.PacketConn {
	c := &slowPackets{PacketConn: conn, link: l, line: newLine(l)}
	go c.receive()
	return c
}

// largestDatagram is the most that UDP carries.
const largestDatagram = 64 << 10

type slowPackets struct {
	net.PacketConn
	link   *Link
	line   *line
	writes deadline
	once   sync.Once

	writing sync.Mutex // protects following
	pace    pace
}

func (c *slowPackets) receive() {
	buf := make([]byte, largestDatagram)
	for c.line.awaitRoom() {
		n, from, err := c.PacketConn.ReadFrom(buf)
		now := time.Now()
		switch {
		case err != nil:
			c.line.finish(err, now)
			return
		case c.link.lost(1) == 0:
			c.link.admit(c.line, part{data: bytes.Clone(buf[:n]), from: from}, now, datagram(n), 0)
		}
	}
}

// ReadFrom returns a datagram when it would have come.
func (c *slowPackets) ReadFrom(p []byte) (int, net.Addr, error) { return c.line.take(p, true) }

// WriteTo sends a datagram when the link has carried it, unless it is lost.
func (c *slowPackets) WriteTo(p []byte, to net.Addr) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	due, err := c.link.send(c.pace.came(time.Now()), datagram(len(p)), 0, &c.writes, c.line.closed)
	if err != nil {
		return 0, err
	}
	defer func() { c.pace = pace{due, time.Now()} }()
	if c.link.lost(1) > 0 {
		return len(p), nil
	}
	return c.PacketConn.WriteTo(p, to)
}

// Datagram waits until n bytes of one datagram have gone up or come down the
// link, for callers that pay the round trip by RoundTrip.
func (l *Link) Datagram(n int, up bool) {
	c := l.down
	if up {
		c = l.up
	}
	if !up {
		l.received(datagram(n))
	}
	begins, passed := c.take(time.Now(), datagram(n))
	l.held.add(begins, passed)
	pause(time.Until(passed), nil, nil)
}

func (c *slowPackets) Close() error {
	c.once.Do(func() { close(c.line.closed) })
	return c.PacketConn.Close()
}

func (c *slowPackets) SetDeadline(t time.Time) error {
	c.line.reads.set(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline bounds waiting for what is on its way; the socket beneath is
// read all the time.
func (c *slowPackets) SetReadDeadline(t time.Time) error {
	c.line.reads.set(t)
	return nil
}

// SetReadBuffer leaves the buffer as it is: QUIC asks for one that a slow link
// cannot fill.
func (c *slowPackets) SetReadBuffer(int) error { return nil }

// SetWriteBuffer leaves the buffer as it is.
func (c *slowPackets) SetWriteBuffer(int) error { return nil }

func (c *slowPackets) SetWriteDeadline(t time.Time) error {
	c.writes.set(t)
	return c.PacketConn.SetWriteDeadline(t)
}
