// Package throttle makes connections as slow as a network that one does not
// have: a rate down, a rate up, a round trip and, if asked for, loss. It works
// beneath TLS and QUIC, so that handshakes and headers pay as they would, and
// needs no privilege: it holds back what has come and what is to go.
//
// All connections of a Link share its rates, which are those of the wire, as a
// kernel's shaper counts them: each segment of up to 1448 bytes has 66 bytes of
// headers besides (Ethernet 14, IPv4 20, TCP 32 with timestamps, RFC 7323).
//
// The round trip is a delay line on the way down: whatever comes is handed
// over that much later. An exchange therefore pays it once, whoever speaks
// first and however much the two overlap; connecting pays it by RoundTrip,
// which callers call where an exchange happens beside the link's connections.
//
// What it leaves out: TCP's slow start over the longer round trip, which costs
// a real network a few more round trips where rate and round trip are both
// large, and the room that acknowledgements take up. Loss is an approximation,
// see Lossy.
//
// It imports nothing of this module.
package throttle

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// queue is how long what has come may wait for its turn at the rate before
	// no more is read: the bottleneck's buffer. It is also how late the machine
	// may wake us without losing any of the rate.
	queue = 250 * time.Millisecond
	// slice is how much of a transfer is let through at once.
	slice = 5 * time.Millisecond
	// nap is the shortest sleep; shorter debts are carried on.
	nap = time.Millisecond
)

// Link is a slow network. It may be used by several connections at once.
type Link struct {
	roundTrip time.Duration
	loss      float64
	down, up  *clock
	held      spans // in which something was held back

	payload, wire atomic.Int64 // handed over
}

// New returns a link with rates in bits per second, of which zero means
// unlimited, and a round trip that is added to that of the real network.
func New(down, up float64, roundTrip time.Duration) *Link {
	return &Link{roundTrip: roundTrip, down: &clock{rate: down / 8}, up: &clock{rate: up / 8}}
}

// Lossy makes the link lose a share of its packets, from 0 to 1, and returns
// it. It is to be called before the link is used. A datagram that is lost does
// not come. A segment of a TCP connection comes late and is paid for twice: by
// a round trip and a quarter, after which a sender notices (RFC 8985) and has
// sent again, and by 25 ms at least; what is behind it waits. That a real
// sender also slows down is left out.
func (l *Link) Lossy(share float64) *Link {
	l.loss = share
	return l
}

// RoundTrip waits for one round trip, or until ctx ends. Call it where an
// exchange happens beside the link's connections: a lookup, or connecting.
func (l *Link) RoundTrip(ctx context.Context) error {
	now := time.Now()
	l.held.add(now, now.Add(l.roundTrip))
	timer := time.NewTimer(l.roundTrip)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Received returns how many bytes have been handed over so far, as the wire
// counts them: headers included.
func (l *Link) Received() int64 { return l.wire.Load() }

func (l *Link) received(c carried) {
	l.payload.Add(c.payload)
	l.wire.Add(c.wire)
}

// Sent returns how many bytes have gone up the link so far, as the wire counts
// them.
func (l *Link) Sent() int64 { return l.up.carried().wire }

// Payload returns how many bytes have been handed over and gone up, without
// the headers of their segments.
func (l *Link) Payload() (down, up int64) { return l.payload.Load(), l.up.carried().payload }

// Held returns for how long something was held back so far, by a rate or by
// the round trip: time in which the link was waited for and not the far side.
func (l *Link) Held() time.Duration { return l.held.until(time.Now()) }

// lost reports how many of n packets are lost.
func (l *Link) lost(n int) (lost int) {
	if l.loss <= 0 {
		return 0
	}
	for range n {
		if rand.Float64() < l.loss {
			lost++
		}
	}
	return lost
}

// recovery is how much later a lost segment comes.
func (l *Link) recovery() time.Duration { return max(l.roundTrip*5/4, 25*time.Millisecond) }

// clock is one direction: the virtual time at which all that was let through
// so far has passed at the rate.
type clock struct {
	rate float64 // bytes a second; zero is unlimited

	mu     sync.Mutex
	passed time.Time // when the link is free again
	total  carried
}

// carried is what has gone one way.
type carried struct{ payload, wire int64 }

// take books what came at a time, and returns when the link begins to carry it
// and when it has done so. Being called late costs nothing, since the times
// follow from when things came.
func (c *clock) take(came time.Time, sent carried) (begins, passed time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total.payload += sent.payload
	c.total.wire += sent.wire
	if c.rate <= 0 {
		return came, came
	}
	begins = c.passed
	if begins.Before(came) {
		begins = came
	}
	c.passed = begins.Add(time.Duration(float64(sent.wire) / c.rate * float64(time.Second)))
	return begins, c.passed
}

// atOnce is how many bytes may be let through together.
func (c *clock) atOnce() int {
	if c.rate <= 0 {
		return 64 << 10
	}
	return min(64<<10, max(64, int(c.rate*slice.Seconds())))
}

func (c *clock) carried() carried {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// spans adds up stretches of time, counting what they share once. They must
// come in the order of their beginnings.
type spans struct {
	mu    sync.Mutex
	total time.Duration
	end   time.Time // of the latest
}

func (s *spans) add(from, to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from.Before(s.end) {
		from = s.end
	}
	if to.After(from) {
		s.total += to.Sub(from)
		s.end = to
	}
}

// until returns what lies before now.
func (s *spans) until(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total - max(0, s.end.Sub(now))
}
