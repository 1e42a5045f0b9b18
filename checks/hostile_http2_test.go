package checks

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is an HTTP/2 server's side of one connection, which writes what it is
// told and never what it should.
type frames struct {
	*h2.Framer
	conn *tls.Conn
}

// http2Server answers the first request of every connection with serve, after
// the settings have been exchanged, and then ends the connection.
func http2Server(serve func(f frames, stream uint32)) func(*testing.T) Options {
	return func(t *testing.T) Options {
		addr := rawTLSServer(t, func(conn *tls.Conn) {
			preface := make([]byte, len(h2.ClientPreface))
			if _, err := io.ReadFull(conn, preface); err != nil {
				return
			}
			f := frames{h2.NewFramer(conn, conn), conn}
			f.AllowIllegalWrites = true
			f.WriteSettings()
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				if frame.Header().Type == h2.FrameHeaders {
					serve(f, frame.Header().StreamID)
					return
				}
			}
		}, "h2")
		return trusting(t, httpAt("https://"+addr))
	}
}

// fields encodes a header, names and values in turn.
func fields(pairs ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return b.Bytes()
}

// header writes an answer's header in one frame.
func (f frames) header(stream uint32, end bool, block []byte) error {
	return f.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true, EndStream: end})
}

// flood writes with each until the client goes or has had enough. Frames are
// put together before they are sent, as an attacker would.
func (f frames) flood(each func(*h2.Framer) error) {
	var b bytes.Buffer
	packing := h2.NewFramer(&b, nil)
	packing.AllowIllegalWrites = true
	for {
		for b.Reset(); b.Len() < 32<<10; {
			if each(packing) != nil {
				return
			}
		}
		if _, err := f.conn.Write(b.Bytes()); err != nil {
			return
		}
	}
}

// flooding is a target that answers with each without an end, and reads what
// comes back when it is to.
func flooding(reads bool, each func(to *h2.Framer, stream uint32) error) func(*testing.T) Options {
	return http2Server(func(f frames, stream uint32) {
		if reads {
			go io.Copy(io.Discard, f.conn)
		}
		f.flood(func(to *h2.Framer) error { return each(to, stream) })
	})
}

func TestHostileHTTP2(t *testing.T) {
	answer := fields(":status", "200")
	hold(t, []hostile{
		{name: "SETTINGS without an end", limit: "1,000 frames that carry nothing", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, _ uint32) error {
				return to.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1000})
			})},
		{name: "SETTINGS without an end, acknowledgements not read", limit: "1,000 frames that carry nothing", reason: HTTPProtocol,
			aim: flooding(false, func(to *h2.Framer, _ uint32) error {
				return to.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1000})
			})},
		{name: "PING without an end", limit: "1,000 frames that carry nothing", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, _ uint32) error { return to.WritePing(false, [8]byte{}) })},
		{name: "PING without an end, answers not read", limit: "1,000 frames that carry nothing", reason: HTTPProtocol,
			aim: flooding(false, func(to *h2.Framer, _ uint32) error { return to.WritePing(false, [8]byte{}) })},
		{name: "RST_STREAM without an end", limit: "the stream's end", reason: HTTPReset,
			aim: flooding(true, func(to *h2.Framer, stream uint32) error {
				return to.WriteRSTStream(stream, h2.ErrCodeEnhanceYourCalm)
			})},
		{name: "RST_STREAM of streams that never were", limit: "1,000 frames that carry nothing", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, stream uint32) error {
				return to.WriteRSTStream(stream+1000, h2.ErrCodeCancel)
			})},
		{name: "PRIORITY without an end", limit: "1,000 frames that carry nothing", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, stream uint32) error {
				return to.WritePriority(stream, h2.PriorityParam{StreamDep: 3})
			})},
		{name: "frames of no known type", limit: "1,000 frames that carry nothing", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, stream uint32) error { return to.WriteRawFrame(0xbb, 0, stream, make([]byte, 100)) })},
		{name: "WINDOW_UPDATE without an end", limit: "1,000 frames that carry nothing", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, stream uint32) error { return to.WriteWindowUpdate(stream, 1) })},
		{name: "WINDOW_UPDATE beyond the largest window", limit: "the window's largest size", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, stream uint32) error { return to.WriteWindowUpdate(stream, 1<<31-1) })},
		{name: "WINDOW_UPDATE of the connection beyond the largest", limit: "the window's largest size", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, _ uint32) error { return to.WriteWindowUpdate(0, 1<<31-1) })},
		{name: "a window that turns negative", limit: "the window's largest size", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, _ uint32) error {
				return to.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1 << 31})
			})},

		{name: "CONTINUATION without an end", limit: "256 KiB of header", reason: HTTPTooLarge, or: HTTPProtocol,
			aim: http2Server(func(f frames, stream uint32) {
				f.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: answer})
				f.flood(func(to *h2.Framer) error {
					return to.WriteContinuation(stream, false, fields("x-bomb", strings.Repeat("b", 1000)))
				})
			})},
		{name: "empty CONTINUATION without an end", limit: "1,000 frames that carry nothing", reason: HTTPProtocol,
			aim: http2Server(func(f frames, stream uint32) {
				f.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: answer})
				f.flood(func(to *h2.Framer) error { return to.WriteContinuation(stream, false, nil) })
			})},
		{name: "a header that never ends", limit: "timeout", waits: true, reason: HTTPTimeout,
			aim: http2Server(func(f frames, stream uint32) {
				f.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: answer})
				hangOn(f.conn)
			})},
		{name: "one field referred to without an end", limit: "256 KiB of header", reason: HTTPTooLarge, or: HTTPProtocol,
			aim: http2Server(func(f frames, stream uint32) {
				// One entry of 4,000 bytes enters the table; each further byte
				// of the block stands for all of it.
				block := append(answer, fields("x-bomb", strings.Repeat("b", 4000))...)
				f.header(stream, true, append(block, bytes.Repeat([]byte{0x80 | 62}, 15<<10)...))
				hangOn(f.conn)
			})},
		{name: "a table of 4 GiB", limit: "the table's size that we announce", reason: HTTPProtocol,
			aim: http2Server(func(f frames, stream uint32) {
				block := []byte{0x3f, 0xe1, 0xff, 0xff, 0xff, 0x0f}
				f.header(stream, true, append(block, answer...))
				hangOn(f.conn)
			})},
		{name: "rubbish for a header", limit: "HPACK", reason: HTTPProtocol,
			aim: http2Server(func(f frames, stream uint32) {
				f.header(stream, true, bytes.Repeat([]byte{0xff}, 100))
				hangOn(f.conn)
			})},
		{name: "no status", limit: "net/http", reason: HTTPReset,
			aim: http2Server(func(f frames, stream uint32) {
				f.header(stream, true, fields("x-status", "200"))
				hangOn(f.conn)
			})},
		{name: "interim answers without an end", limit: "256 KiB of header", reason: HTTPTooLarge, or: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, stream uint32) error {
				return to.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: fields(":status", "103"), EndHeaders: true})
			})},
		{name: "headers without an end", limit: "one header and one trailer", reason: HTTPProtocol,
			aim: flooding(true, func(to *h2.Framer, stream uint32) error {
				return to.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: fields(":status", "200"), EndHeaders: true})
			})},

		{name: "DATA before a header", limit: "a header comes first", reason: HTTPReset,
			aim: http2Server(func(f frames, stream uint32) {
				f.WriteData(stream, true, []byte("no header"))
				hangOn(f.conn)
			})},
		{name: "DATA without an end", limit: "max_body", reason: HTTPTooLarge, aim: http2Server(endlessData(4096))},
		{name: "DATA of one byte without an end", limit: "max_body", reason: HTTPTooLarge, aim: func(t *testing.T) Options {
			h := http2Server(endlessData(1))(t).(*HTTP)
			h.MaxBody = 20_000 // each byte costs a frame, and time under the race detector
			return h
		}},
		{name: "empty DATA without an end", limit: "1,000 frames that carry nothing", reason: HTTPProtocol, aim: http2Server(endlessData(0))},
		{name: "DATA that is all padding", limit: "twice max_body and 512 KiB on the wire", reason: HTTPTooLarge,
			aim: http2Server(func(f frames, stream uint32) {
				f.header(stream, false, answer)
				go io.Copy(io.Discard, f.conn)
				f.flood(func(to *h2.Framer) error { return to.WriteDataPadded(stream, false, nil, make([]byte, 255)) })
			})},
		{name: "DATA beyond the window", limit: "the window that we announce", reason: HTTPTooLarge, aim: http2Server(blindData)},
		{name: "a frame of 16 MiB", limit: "16 KiB a frame", reason: HTTPProtocol,
			aim: http2Server(func(f frames, stream uint32) {
				f.header(stream, false, answer)
				io.WriteString(f.conn, "\xff\xff\xff\x00\x00"+string(binary.BigEndian.AppendUint32(nil, stream)))
				writeForever(f.conn, strings.Repeat("x", 16<<10))
			})},
		{name: "more than its length", limit: "the length announced", reason: HTTPProtocol,
			aim: http2Server(func(f frames, stream uint32) {
				f.header(stream, false, fields(":status", "200", "content-length", "4"))
				f.WriteData(stream, true, []byte("Welcome"))
				hangOn(f.conn)
			})},
		{name: "less than its length", limit: "the length announced", reason: HTTPTruncated,
			aim: http2Server(func(f frames, stream uint32) {
				f.header(stream, false, fields(":status", "200", "content-length", "400"))
				f.WriteData(stream, true, []byte("Welcome"))
				hangOn(f.conn)
			})},
		{name: "half an answer, then closed", limit: "the stream's end", reason: HTTPTruncated,
			aim: http2Server(func(f frames, stream uint32) {
				f.header(stream, false, answer)
				f.WriteData(stream, false, []byte("half"))
				go io.Copy(io.Discard, f.conn) // what is left unread would make the end a reset
				time.Sleep(20 * time.Millisecond)
			})},
		{name: "a trailer bomb", limit: "256 KiB of header", reason: HTTPTooLarge, or: HTTPProtocol,
			aim: http2Server(func(f frames, stream uint32) {
				f.header(stream, false, fields(":status", "200", "trailer", "x-bomb"))
				f.WriteData(stream, false, []byte("body"))
				f.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: fields("x-bomb", "b"), EndStream: true})
				f.flood(func(to *h2.Framer) error {
					return to.WriteContinuation(stream, false, fields("x-bomb", strings.Repeat("b", 1000)))
				})
			})},
		{name: "a push that was forbidden", limit: "pushes are refused", reason: HTTPProtocol,
			aim: http2Server(func(f frames, stream uint32) {
				f.WritePushPromise(h2.PushPromiseParam{StreamID: stream, PromiseID: 2, EndHeaders: true,
					BlockFragment: fields(":method", "GET", ":scheme", "https", ":path", "/", ":authority", "localhost")})
				hangOn(f.conn)
			})},
		{name: "GOAWAY at once", limit: "the stream's end", reason: HTTPReset,
			aim: http2Server(func(f frames, stream uint32) {
				f.WriteGoAway(0, h2.ErrCodeNo, nil)
				hangOn(f.conn)
			})},
		{name: "GOAWAY with an error", limit: "timeout: the answer may still come", waits: true, reason: HTTPTimeout,
			aim: http2Server(func(f frames, stream uint32) {
				f.WriteGoAway(stream, h2.ErrCodeEnhanceYourCalm, []byte("too_many_pings"))
				hangOn(f.conn)
			})},
		{name: "GOAWAY with 10 KiB of reason", limit: "16 KiB a frame, 1 KiB of detail", reason: HTTPReset,
			aim: http2Server(func(f frames, stream uint32) {
				f.WriteGoAway(0, h2.ErrCodeProtocol, bytes.Repeat([]byte("blah "), 2000))
				hangOn(f.conn)
			})},
		{name: "HTTP/1 where HTTP/2 was agreed", limit: "HTTP/2's frames", reason: HTTPProtocol, or: HTTPVersion, aim: plainAfterALPN},
		{name: "no room for a request", limit: "timeout", waits: true, reason: HTTPTimeout, aim: noRoom},
	})
}

// endlessData answers with frames of size bytes without an end.
func endlessData(size int) func(frames, uint32) {
	return func(f frames, stream uint32) {
		f.header(stream, false, fields(":status", "200"))
		go io.Copy(io.Discard, f.conn)
		f.flood(func(to *h2.Framer) error { return to.WriteData(stream, false, make([]byte, size)) })
	}
}

// blindData answers with more than any window at once, and reads nothing.
func blindData(f frames, stream uint32) {
	f.header(stream, false, fields(":status", "200"))
	f.flood(func(to *h2.Framer) error { return to.WriteData(stream, false, make([]byte, 16<<10)) })
}

// plainAfterALPN agrees on HTTP/2 and then speaks HTTP/1.
func plainAfterALPN(t *testing.T) Options {
	addr := rawTLSServer(t, func(conn *tls.Conn) {
		io.WriteString(conn, statusOK+"Content-Length: 0\r\n\r\n")
		hangOn(conn)
	}, "h2")
	return trusting(t, httpAt("https://"+addr))
}

// noRoom allows for no stream at all.
func noRoom(t *testing.T) Options {
	addr := rawTLSServer(t, func(conn *tls.Conn) {
		f := h2.NewFramer(conn, conn)
		f.WriteSettings(h2.Setting{ID: h2.SettingMaxConcurrentStreams, Val: 0})
		hangOn(conn)
	}, "h2")
	return trusting(t, httpAt("https://"+addr))
}

// What the frames above build is what a client takes, when nothing is wrong.
func TestHTTP2FramesByHand(t *testing.T) {
	options := http2Server(func(f frames, stream uint32) {
		f.header(stream, false, fields(":status", "200", "content-length", "7"))
		f.WriteData(stream, true, []byte("Welcome"))
		hangOn(f.conn)
	})(t).(*HTTP)
	options.Expect.BodyContains = []string{"Welcome"}
	r := run(t, options, 10*time.Second, loopback())
	wants(t, r, Up, "")
	if got := fmt.Sprint(r.Facts["http_version"]); got != "2" {
		t.Errorf("version %s", got)
	}
}
