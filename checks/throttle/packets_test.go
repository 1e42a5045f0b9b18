package throttle

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

func sockets(t *testing.T) (near, far net.PacketConn) {
	t.Helper()
	var both [2]net.PacketConn
	for i := range both {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		both[i] = conn
	}
	return both[0], both[1]
}

// Datagrams keep their borders, their order and their sender, and come a round
// trip later at the rate.
func TestPackets(t *testing.T) {
	near, far := sockets(t)
	const rtt, size, count = 80 * time.Millisecond, 1000, 40
	l := New(1_000_000, 1_000_000, rtt)
	slow := l.PacketConn(near)
	defer slow.Close()
	start := time.Now()
	if _, err := slow.WriteTo([]byte("go"), far.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2000)
	n, back, err := far.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "go" {
		t.Fatal(string(buf[:n]), err)
	}
	for i := range count {
		packet := make([]byte, size)
		packet[0] = byte(i)
		far.WriteTo(packet, back)
	}
	slow.SetReadDeadline(time.Now().Add(20 * time.Second))
	for i := range count {
		n, from, err := slow.ReadFrom(buf)
		if err != nil || n != size || buf[0] != byte(i) || from.String() != far.LocalAddr().String() {
			t.Fatalf("datagram %d: %d bytes, %d, from %v: %v", i, n, buf[0], from, err)
		}
	}
	wanted := rtt + count*(size+udpHeaders)*8*time.Microsecond
	if took := time.Since(start); took < wanted-20*time.Millisecond || took > wanted+3*time.Second { // busy machines are late
		t.Errorf("took %v, want %v", took, wanted)
	}
	if down, up := l.Payload(); down != count*size || up != 2 || l.Received() != count*(size+udpHeaders) {
		t.Errorf("counted %d down, %d up, %d on the wire", down, up, l.Received())
	}
}

func TestPacketDeadlines(t *testing.T) {
	near, far := sockets(t)
	slow := New(8000, 8000, time.Hour).PacketConn(near)
	far.WriteTo([]byte("x"), near.LocalAddr())
	slow.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, _, err := slow.ReadFrom(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	slow.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := slow.WriteTo(make([]byte, 1000), far.LocalAddr()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	slow.SetDeadline(time.Time{})
	time.AfterFunc(20*time.Millisecond, func() { slow.Close() })
	if _, _, err := slow.ReadFrom(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// All that is lost is lost, and says nothing.
func TestPacketLoss(t *testing.T) {
	near, far := sockets(t)
	slow := New(0, 0, 0).Lossy(1).PacketConn(near)
	defer slow.Close()
	if n, err := slow.WriteTo([]byte("x"), far.LocalAddr()); n != 1 || err != nil {
		t.Error(n, err)
	}
	far.WriteTo([]byte("y"), near.LocalAddr())
	slow.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, _, err := slow.ReadFrom(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
