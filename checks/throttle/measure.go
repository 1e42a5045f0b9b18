package throttle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Measured is what a link of this machine did with what it was asked for.
type Measured struct {
	AskedKbps float64 // of the wire
	Kbps      float64
	AskedRTT  time.Duration
	RTT       time.Duration
}

// Measure runs a transfer of about the given length over a link and a
// connection on loopback, where nothing else is slow.
func Measure(ctx context.Context, kbps float64, rtt, long time.Duration) (Measured, error) {
	m := Measured{AskedKbps: kbps, AskedRTT: rtt}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return m, fmt.Errorf("measuring the shaper: %w", err)
	}
	defer l.Close()
	size := int(kbps * 1000 / 8 * long.Seconds())
	served := make(chan struct{})
	go func() {
		defer close(served)
		answerAll(l, size)
	}()
	defer func() { l.Close(); <-served }()
	var dialer net.Dialer
	plain, err := dialer.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return m, fmt.Errorf("measuring the shaper: %w", err)
	}
	link := New(kbps*1000, kbps*1000, rtt)
	conn := link.Conn(plain)
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	start := time.Now()
	if err := exchange(conn, 1); err != nil {
		return m, fmt.Errorf("measuring the shaper: %w", err)
	}
	m.RTT = time.Since(start)
	before := link.Received()
	start = time.Now()
	if err := exchange(conn, size); err != nil {
		return m, fmt.Errorf("measuring the shaper: %w", err)
	}
	took := time.Since(start) - m.RTT
	if took <= 0 {
		return m, errors.New("measuring the shaper: the machine stood still")
	}
	m.Kbps = float64(link.Received()-before) * 8 / 1000 / took.Seconds()
	return m, nil
}

// answerAll answers one connection: a byte by a byte, and the next by size.
func answerAll(l net.Listener, size int) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	buf := make([]byte, 64<<10)
	for _, answer := range []int{1, size} {
		if _, err := io.ReadFull(conn, buf[:1]); err != nil {
			return
		}
		for left := answer; left > 0; {
			n, err := conn.Write(buf[:min(left, len(buf))])
			if left -= n; err != nil {
				return
			}
		}
	}
	io.ReadFull(conn, buf[:1]) // until the other side has it all
}

func exchange(conn net.Conn, answer int) error {
	if _, err := conn.Write([]byte{1}); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, conn, int64(answer))
	return err
}
