package throttle

// What a kernel's shaper counts of a packet besides its payload, in bytes.
const (
	// tcpHeaders are Ethernet's 14, IPv4's 20 and TCP's 20 with 12 of
	// timestamps, which Linux and all phones use (RFC 7323).
	tcpHeaders = 14 + 20 + 20 + 12
	// segmentSize is what of a TCP connection fits into Ethernet's 1500 bytes.
	segmentSize = 1500 - 20 - 20 - 12
	// udpHeaders are Ethernet's 14, IPv4's 20 and UDP's 8.
	udpHeaders = 14 + 20 + 8
)

// segments divides one direction of a connection as TCP would: what follows at
// once fills up the segment that was begun.
type segments struct{ room int }

// begin makes the next byte start a segment of its own.
func (s *segments) begin() { s.room = 0 }

// carry returns what n more bytes are on the wire, and how many segments they
// begin.
func (s *segments) carry(n int) (carried, int) {
	begun := 0
	if n > s.room {
		begun = (n - s.room + segmentSize - 1) / segmentSize
	}
	s.room += begun*segmentSize - n
	return carried{int64(n), int64(n + begun*tcpHeaders)}, begun
}

func datagram(n int) carried { return carried{int64(n), int64(n + udpHeaders)} }

// again is what a segment that was lost costs when it is sent again.
func again(segments int) carried {
	return carried{0, int64(segments) * (segmentSize + tcpHeaders)}
}
