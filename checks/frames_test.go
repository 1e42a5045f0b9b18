package checks

import (
	"bytes"
	"errors"
	"io"
	"testing"

	h2 "golang.org/x/net/http2"
)

// What an ordinary server sends passes, however much it is over many requests;
// what is too much for one request does not.
func TestGuardFrames(t *testing.T) {
	const largest = 1000
	window := func(f *h2.Framer) { f.WriteWindowUpdate(1, 1<<31-1-firstWindow) }
	for _, tt := range []struct {
		name     string
		requests int
		sends    func(f *h2.Framer)
		err      error
	}{
		{"ordinary", 1, func(f *h2.Framer) {
			f.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1 << 20})
			f.WriteSettingsAck()
			f.WriteWindowUpdate(0, 1<<31-1-firstWindow)
			f.WriteData(1, true, make([]byte, largest))
		}, nil},
		{"nearly twice the largest body and header", 1, func(f *h2.Framer) { pour(f, greeting+2*largest+2*maxHeader-100) }, nil},
		{"more than that", 1, func(f *h2.Framer) { pour(f, greeting+2*largest+2*maxHeader+100) }, errTooLarge},
		{"that much for two requests", 2, func(f *h2.Framer) { pour(f, greeting+2*(2*largest+2*maxHeader)-100) }, nil},
		{"before any request", 0, func(f *h2.Framer) { pour(f, greeting+100) }, errTooLarge},
		{"the largest window", 1, window, nil},
		{"beyond the largest window", 1, func(f *h2.Framer) { window(f); f.WriteWindowUpdate(1, 1) }, errWindowOverflow},
		{"what was sent, granted again", 1, func(f *h2.Framer) { window(f); f.WriteWindowUpdate(1, sentBody) }, errWindowOverflow},
		{"a larger first window, and beyond", 1, func(f *h2.Framer) {
			f.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1<<31 - 1})
			f.WriteWindowUpdate(1, 1)
		}, errWindowOverflow},
		{"a window of another stream", 1, func(f *h2.Framer) { f.WriteWindowUpdate(3, 1<<31-1); f.WriteWindowUpdate(3, 1<<31-1) }, nil},
	} {
		var wire bytes.Buffer
		tt.sends(h2.NewFramer(&wire, nil))
		g := guardFrames(&pieces{reader: &wire}, largest)
		var request bytes.Buffer
		io.WriteString(&request, h2.ClientPreface)
		ours := h2.NewFramer(&request, nil)
		for i := range tt.requests {
			ours.WriteHeaders(h2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: []byte{0x82}, EndHeaders: true})
		}
		g.Write(request.Bytes())
		if _, err := io.Copy(io.Discard, g); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
	}
}

// What is sent makes room in the window for as much.
func TestGuardFramesGrantAgain(t *testing.T) {
	var wire, request bytes.Buffer
	theirs, ours := h2.NewFramer(&wire, nil), h2.NewFramer(&request, nil)
	theirs.WriteWindowUpdate(1, 1<<31-1-firstWindow)
	theirs.WriteWindowUpdate(1, sentBody)
	io.WriteString(&request, h2.ClientPreface)
	ours.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}, EndHeaders: true})
	ours.WriteData(1, true, make([]byte, sentBody))
	g := guardFrames(&pieces{reader: &wire}, 1000)
	for text := request.Bytes(); len(text) > 0; {
		n, _ := g.Write(text[:min(7, len(text))]) // in pieces, as they may come
		text = text[n:]
	}
	if _, err := io.Copy(io.Discard, g); err != nil {
		t.Error(err)
	}
}

const sentBody = 5000

// pour writes n bytes of frames.
func pour(f *h2.Framer, n int) {
	const head = 9
	for ; n > 0; n -= min(n, head+16<<10) {
		if most := min(n-head, 16<<10); most >= 0 {
			f.WriteData(1, false, make([]byte, most))
		}
	}
}
