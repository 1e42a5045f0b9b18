package checks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Types of HTTP/2's frames and their numbers (RFC 9113, section 6), as far as
// the guard below looks at them.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameSettings     = 0x4
	frameWindowUpdate = 0x8
	frameContinuation = 0x9

	settingsAck   = 0x1 // the flag
	settingWindow = 0x4 // SETTINGS_INITIAL_WINDOW_SIZE

	firstWindow   = 1<<16 - 1 // before any SETTINGS
	largestWindow = 1<<31 - 1
)

// Limits of what an HTTP/2 server may send.
const (
	maxIdleFrames = 1000     // with one answer, that carry neither header nor body
	greeting      = 64 << 10 // bytes before the first request
)

var errWindowOverflow = errors.New("a window was opened beyond 2^31-1 bytes")

// guardFrames returns conn as an HTTP/2 client may have it: what the server
// sends is counted, and reading ends with an error when it is too much.
//
//   - Bytes: twice the largest body and twice the largest header for each
//     request, which leaves room for the framing of any sane answer.
//   - Frames that carry nothing: PING, SETTINGS and the like are answered one by
//     one, which costs us more than the server.
//   - Windows: net/http of Go 1.26 locks up for good, beyond the reach of any
//     deadline, when the window of a stream is opened too far.
func guardFrames(conn net.Conn, largestBody int) *frameGuard {
	g := &frameGuard{Conn: conn, windows: map[uint32]int64{}, initial: firstWindow, left: greeting}
	g.answer = 2*int64(largestBody) + 2*maxHeader
	g.incoming.frame, g.incoming.entry = g.received, g.says
	g.outgoing.frame = g.sent
	return g
}

// frameGuard is the connection that guardFrames returns.
type frameGuard struct {
	net.Conn
	answer int64 // bytes that one may have

	mu       sync.Mutex // guards what follows, since reading and writing go on beside each other
	left     int64      // bytes that may still come
	incoming frameScanner
	outgoing frameScanner
	windows  map[uint32]int64 // what may be sent, by stream that we opened
	initial  int64            // of a stream that is opened now
	idle     int
	preface  int // bytes of it that have been written
	err      error
	// To tell apart what the client library calls by one name:
	begin     [8]byte // of all that came
	begun     int
	continued bool  // a header did not fit into one frame
	broke     error // what reading ended with
}

// prefaceLen is how many bytes a client sends before its first frame.
const prefaceLen = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

// Read gives the client what came, unless it is too much.
func (g *frameGuard) Read(p []byte) (int, error) {
	g.mu.Lock()
	most := min(int64(len(p)), g.left)
	g.mu.Unlock()
	if most <= 0 && len(p) > 0 {
		return 0, errTooLarge
	}
	n, err := g.Conn.Read(p[:most])
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left -= int64(n)
	g.begun += copy(g.begin[g.begun:], p[:n])
	g.incoming.scan(p[:n])
	if g.err != nil {
		return 0, g.err
	}
	if err != nil && g.broke == nil {
		g.broke = err
	}
	return n, err
}

// Write sends what the client has to say.
func (g *frameGuard) Write(p []byte) (int, error) {
	g.mu.Lock()
	skip := min(prefaceLen-g.preface, len(p))
	g.preface += skip
	g.outgoing.scan(p[skip:])
	g.mu.Unlock()
	return g.Conn.Write(p)
}

// sent notes a frame of ours.
func (g *frameGuard) sent(h frameHeader) {
	switch h.kind {
	case frameHeaders:
		if _, open := g.windows[h.stream]; !open {
			g.windows[h.stream] = g.initial
			g.left, g.idle = g.left+g.answer, 0
		}
	case frameData:
		g.windows[h.stream] -= int64(h.length)
	}
}

// received notes a frame of the server's.
func (g *frameGuard) received(h frameHeader) {
	g.continued = g.continued || h.kind == frameContinuation
	carries := h.kind == frameHeaders || h.kind == frameData && h.length > 0
	if g.idle++; carries {
		g.idle--
	}
	if g.idle > maxIdleFrames {
		g.err = fmt.Errorf("more than %d frames carry neither header nor body", maxIdleFrames)
	}
}

// says notes a setting or the update of a window.
func (g *frameGuard) says(h frameHeader, entry []byte) {
	switch {
	case h.kind == frameWindowUpdate && len(entry) == 4:
		window, open := g.windows[h.stream]
		if !open {
			return // of the connection, or of no stream: both end well
		}
		if window += int64(binary.BigEndian.Uint32(entry) & largestWindow); window > largestWindow {
			g.err = errWindowOverflow
		}
		g.windows[h.stream] = window
	case h.kind == frameSettings && h.flags&settingsAck == 0 && len(entry) == 6 && binary.BigEndian.Uint16(entry) == settingWindow:
		size := int64(binary.BigEndian.Uint32(entry[2:]))
		for stream := range g.windows {
			g.windows[stream] += size - g.initial
		}
		g.initial = size
	}
}

// frameHeader is what precedes the payload of a frame (RFC 9113, section 4.1).
type frameHeader struct {
	length      int
	kind, flags byte
	stream      uint32
}

// frameScanner finds the frames in a stream of bytes that comes in pieces.
type frameScanner struct {
	frame func(frameHeader)         // is told of each
	entry func(frameHeader, []byte) // is told of each setting and window's update; may be nil

	header [9]byte
	have   int // bytes of header
	now    frameHeader
	left   int     // bytes of the payload to come
	text   [6]byte // of a setting, or of a window's update in the first four
	filled int     // bytes of text
}

func (s *frameScanner) scan(p []byte) {
	for len(p) > 0 {
		if s.left > 0 {
			p = s.payload(p)
			continue
		}
		took := copy(s.header[s.have:], p)
		s.have, p = s.have+took, p[took:]
		if s.have < len(s.header) {
			return
		}
		s.have, s.filled = 0, 0
		s.now = frameHeader{
			length: int(binary.BigEndian.Uint32(s.header[:4]) >> 8),
			kind:   s.header[3], flags: s.header[4],
			stream: binary.BigEndian.Uint32(s.header[5:]) & largestWindow,
		}
		s.left = s.now.length
		s.frame(s.now)
	}
}

// payload takes what of p belongs to the frame, and returns the rest.
func (s *frameScanner) payload(p []byte) []byte {
	took := min(s.left, len(p))
	size := 0
	switch s.now.kind {
	case frameSettings:
		size = 6
	case frameWindowUpdate:
		size = 4
	}
	if s.entry == nil || size == 0 {
		s.left -= took
		return p[took:]
	}
	took = copy(s.text[s.filled:size], p[:took])
	s.left, s.filled = s.left-took, s.filled+took
	if s.filled == size {
		s.entry(s.now, s.text[:size])
		s.filled = 0
	}
	return p[took:]
}
