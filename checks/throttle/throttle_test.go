package throttle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// In these bubbles time moves only when everything waits: what is measured is
// what the link asks for, to the nanosecond.

func pipe(t *testing.T, l *Link) (slow, far net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	slow = l.Conn(near)
	t.Cleanup(func() { slow.Close(); far.Close() })
	return slow, far
}

func within(t *testing.T, what string, got, want time.Duration, percent float64) {
	t.Helper()
	if math.Abs(float64(got-want)) > float64(want)*percent/100 {
		t.Errorf("%s took %v, want %v ± %v%%", what, got, want, percent)
	}
}

func TestRates(t *testing.T) {
	for _, kbps := range []float64{50, 400, 1600, 9000, 20_000, 200_000} {
		bytes := int(kbps * 1000 / 8 * 2 * segmentSize / (segmentSize + tcpHeaders)) // two seconds' worth
		wanted := 2 * time.Second
		synctest.Test(t, func(t *testing.T) {
			l := New(kbps*1000, 0, 0)
			slow, far := pipe(t, l)
			go func() {
				far.Write(make([]byte, bytes))
				far.Close()
			}()
			start := time.Now()
			n, err := io.Copy(io.Discard, slow)
			if payload, _ := l.Payload(); err != nil || n != int64(bytes) || payload != n {
				t.Errorf("read %d, counted %d: %v", n, payload, err)
			}
			within(t, "down", time.Since(start), wanted, 1)
			within(t, "what was held back", l.Held(), wanted, 1)
			within(t, "the wire's bytes", time.Duration(l.Received()), time.Duration(kbps*1000/8*2), 1)
		})
		synctest.Test(t, func(t *testing.T) {
			l := New(0, kbps*1000, 0)
			slow, far := pipe(t, l)
			go func() {
				slow.Write(make([]byte, bytes))
				slow.Close()
			}()
			start := time.Now()
			n, _ := io.Copy(io.Discard, far)
			if _, payload := l.Payload(); n != int64(bytes) || payload != n {
				t.Errorf("sent %d, counted %d", n, payload)
			}
			within(t, "the wire's bytes", time.Duration(l.Sent()), time.Duration(kbps*1000/8*2), 1)
			within(t, "up", time.Since(start), wanted, 1)
		})
	}
}

// A long way takes nothing of the rate: all that it holds at once has room.
func TestRatesOverLongWays(t *testing.T) {
	for _, tt := range []struct {
		kbps, reached float64
		rtt           time.Duration
	}{
		{9000, 9000, 2 * time.Second}, {50_000, 50_000, 400 * time.Millisecond}, {200_000, 200_000, 150 * time.Millisecond},
		{200_000, 200_000, 400 * time.Millisecond},
		{1_000_000, 16 << 20 * 8 / 2 / 1000, 2 * time.Second}, // a window of 16 MiB each round trip
	} {
		synctest.Test(t, func(t *testing.T) {
			bytes := int(tt.kbps * 1000 / 8 * 4)
			slow, far := pipe(t, New(tt.kbps*1000, 0, tt.rtt))
			go func() {
				far.Write(make([]byte, bytes))
				far.Close()
			}()
			start := time.Now()
			if n, err := io.Copy(io.Discard, slow); err != nil || n != int64(bytes) {
				t.Errorf("read %d of %d: %v", n, bytes, err)
			}
			wire := float64(bytes) / segmentSize * (segmentSize + tcpHeaders)
			if tt.reached != tt.kbps {
				wire = float64(bytes) // a window counts what is in it
			}
			want := tt.rtt + time.Duration(wire*8/tt.reached*1e6)
			within(t, fmt.Sprint(tt.kbps, " kbit/s, ", tt.rtt), time.Since(start), want, 3)
		})
	}
}

// Two connections share the rate.
func TestLinkIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(800_000, 0, 0) // 100 KB a second
		var both sync.WaitGroup
		start := time.Now()
		for range 2 {
			slow, far := pipe(t, l)
			go func() {
				far.Write(make([]byte, 100_000*segmentSize/(segmentSize+tcpHeaders)))
				far.Close()
			}()
			both.Go(func() { io.Copy(io.Discard, slow) })
		}
		both.Wait()
		within(t, "both", time.Since(start), 2*time.Second, 1)
	})
}

// Each request turn costs one round trip, however many writes and reads it is
// made of.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rtt = 100 * time.Millisecond
		slow, far := pipe(t, New(0, 0, rtt))
		go func() { // answers every three bytes with four
			buf := make([]byte, 3)
			for {
				if _, err := io.ReadFull(far, buf); err != nil {
					return
				}
				time.Sleep(30 * time.Millisecond) // thinking is not part of the round trip
				far.Write([]byte("ab"))
				far.Write([]byte("cd"))
			}
		}()
		start := time.Now()
		buf := make([]byte, 4)
		for range 3 {
			slow.Write([]byte("x"))
			slow.Write([]byte("yz"))
			if _, err := io.ReadFull(slow, buf); err != nil {
				t.Fatal(err)
			}
		}
		within(t, "three turns", time.Since(start), 3*(rtt+30*time.Millisecond), 0)
	})
}

func TestRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(0, 0, 300*time.Millisecond)
		start := time.Now()
		if err := l.RoundTrip(t.Context()); err != nil {
			t.Error(err)
		}
		within(t, "a round trip", time.Since(start), 300*time.Millisecond, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := l.RoundTrip(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// Waiting saves nothing up, and being late costs nothing.
func TestIdleAndLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, far := pipe(t, New(800_000, 0, 0))
		go func() {
			for range 5 {
				time.Sleep(10 * time.Second)
				far.Write(make([]byte, 10_000-7*tcpHeaders)) // 100 ms
			}
			far.Close()
		}()
		start := time.Now()
		io.Copy(io.Discard, slow)
		within(t, "five bursts", time.Since(start), 50*time.Second+100*time.Millisecond, 0.1)
	})
	synctest.Test(t, func(t *testing.T) {
		c := clock{rate: 100_000}
		came := time.Now()
		c.take(came, carried{1000, 1000}) // 10 ms
		time.Sleep(time.Second)
		if _, passed := c.take(came, carried{2000, 2000}); passed.Sub(came) != 30*time.Millisecond {
			t.Errorf("what came with the first has passed after %v", passed.Sub(came))
		}
		if _, passed := c.take(time.Now(), carried{2000, 2000}); time.Until(passed) != 20*time.Millisecond {
			t.Errorf("after a second of nothing, 20 ms of data take %v", time.Until(passed))
		}
		p := pace{due: time.Now(), sent: time.Now().Add(40 * time.Millisecond)}
		for gap, late := range map[time.Duration]time.Duration{time.Millisecond: 40 * time.Millisecond, time.Second: 0} {
			now := p.sent.Add(gap)
			if got := now.Sub(p.came(now)); got != late {
				t.Errorf("a sender that goes on after %v is made good %v, want %v", gap, got, late)
			}
		}
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, far := pipe(t, New(8000, 8000, 0)) // 1 KB a second
		go io.Copy(io.Discard, far)
		start := time.Now()
		slow.SetWriteDeadline(start.Add(time.Second))
		n, err := slow.Write(make([]byte, 5000))
		if !errors.Is(err, os.ErrDeadlineExceeded) || n < 850 || n > 1100 {
			t.Errorf("wrote %d: %v", n, err)
		}
		within(t, "write", time.Since(start), time.Second, 0)

		// A deadline set while somebody sleeps wakes them; lifting it again
		// lets the next go on.
		time.AfterFunc(time.Second, func() { slow.SetDeadline(time.Unix(1, 0)) })
		start = time.Now()
		if _, err := slow.Write(make([]byte, 5000)); !errors.Is(err, os.ErrDeadlineExceeded) {
			// the old deadline is over already
			t.Error(err)
		}
		slow.SetDeadline(time.Time{})
		if _, err := slow.Write(make([]byte, 5000)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		within(t, "waking", time.Since(start), time.Second, 0)
		slow.SetDeadline(time.Now().Add(time.Hour))
		if _, err := slow.Write(make([]byte, 10)); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		slow, far := pipe(t, New(8000, 0, 0))
		go far.Write(make([]byte, 5000))
		start := time.Now()
		slow.SetReadDeadline(start.Add(time.Second))
		n, err := io.Copy(io.Discard, slow)
		if !errors.Is(err, os.ErrDeadlineExceeded) || n < 850 || n > 1200 {
			t.Errorf("read %d: %v", n, err)
		}
	})
}

func TestCloseWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, far := pipe(t, New(0, 0, time.Hour))
		go far.Write([]byte("x"))
		time.AfterFunc(time.Second, func() { slow.Close() })
		start := time.Now()
		if _, err := slow.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		within(t, "close", time.Since(start), time.Second, 0)
		slow.Close()
	})
}

// What both sides say at once still takes one round trip and no more, and the
// end comes as late as what was before it.
func TestOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rtt = 100 * time.Millisecond
		slow, far := pipe(t, New(0, 0, rtt))
		go io.Copy(io.Discard, far)
		go func() {
			for range 10 {
				far.Write([]byte("x"))
				time.Sleep(time.Millisecond)
			}
			far.Close()
		}()
		start := time.Now()
		buf := make([]byte, 1)
		for i := range 10 {
			if _, err := io.ReadFull(slow, buf); err != nil {
				t.Fatal(i, err)
			}
			if i < 9 {
				slow.Write([]byte("answers while more comes"))
			}
		}
		within(t, "ten bytes", time.Since(start), rtt+9*time.Millisecond, 0)
		if n, err := slow.Read(buf); n != 0 || err != io.EOF {
			t.Error(n, err)
		}
		within(t, "the end", time.Since(start), rtt+10*time.Millisecond, 0)
	})
}

// A segment of its own for each answer, full ones for a stream.
func TestSegments(t *testing.T) {
	var s segments
	for _, tt := range []struct {
		n, wire int
		begin   bool
	}{{100, 166, true}, {1348, 1348, false}, {1, 67, false}, {1447, 1447, false}, {2 * 1448, 2 * 1514, false}, {10, 76, true}, {10, 76, true}, {2000, 2000 + 66, false}} {
		if tt.begin {
			s.begin()
		}
		if got, _ := s.carry(tt.n); got != (carried{int64(tt.n), int64(tt.wire)}) {
			t.Errorf("%d bytes are %d on the wire, want %d", tt.n, got.wire, tt.wire)
		}
	}
}

// What is held back counts once, and not while the far side thinks.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(800_000, 0, 200*time.Millisecond)
		slow, far := pipe(t, l)
		l.RoundTrip(t.Context())
		time.Sleep(time.Second)
		go func() {
			far.Write(make([]byte, 50_000-35*tcpHeaders)) // half a second
			time.Sleep(10 * time.Second)
			far.Close()
		}()
		io.Copy(io.Discard, slow)
		within(t, "held", l.Held(), 200*time.Millisecond+700*time.Millisecond, 1)
	})
}

// Lost segments come late and cost their bytes twice; lost datagrams do not
// come.
func TestLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 3_000_000
		slow, far := pipe(t, New(8_000_000, 0, 100*time.Millisecond).Lossy(0.05))
		go func() {
			far.Write(make([]byte, size))
			far.Close()
		}()
		start := time.Now()
		if n, err := io.Copy(io.Discard, slow); n != size || err != nil {
			t.Error(n, err)
		}
		whole := 3*time.Second*(segmentSize+tcpHeaders)/segmentSize + 100*time.Millisecond
		if took := time.Since(start); took < whole*102/100 || took > whole*120/100 {
			t.Errorf("took %v; %v without loss", took, whole)
		}
	})
	got := 0
	for range 10_000 {
		got += New(0, 0, 0).Lossy(0.1).lost(1)
	}
	if got < 800 || got > 1200 { // more than six deviations
		t.Errorf("lost %d of 10000, want about 1000", got)
	}
}

// The same over real sockets and real time.
func TestRealSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const bytes = 400_000
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 10))
		conn.Write(make([]byte, bytes))
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	slow := New(8_000_000, 8_000_000, 50*time.Millisecond).Conn(conn)
	defer slow.Close()
	start := time.Now()
	slow.Write([]byte("go"))
	n, err := io.Copy(io.Discard, slow)
	wanted := 50*time.Millisecond + 400*time.Millisecond*(segmentSize+tcpHeaders)/segmentSize
	if took := time.Since(start); n != bytes || err != nil || took < wanted*97/100 || took > wanted+3*time.Second { // busy machines are late, never early
		t.Errorf("%d bytes in %v (%v), want %v", n, took, err, wanted)
	}
}
