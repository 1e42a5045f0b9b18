package checks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

// readsFrom is a connection that only reads.
type readsFrom struct {
	net.Conn
	io.Reader
}

func (r readsFrom) Read(p []byte) (int, error) { return r.Reader.Read(p) }

// frame is one of HTTP/2 with a payload of n bytes.
func frame(kind byte, n int) []byte {
	header := binary.BigEndian.AppendUint32(nil, uint32(n)<<8|uint32(kind))
	return append(append(header, 0, 0, 0, 0, 1), make([]byte, n)...)
}

func TestFramedExplains(t *testing.T) {
	gaveUp := errors.New("http2: connection error: PROTOCOL_ERROR")
	other := errors.New("http2: connection error: COMPRESSION_ERROR")
	settings, headers, more := frame(4, 6), frame(1, 100), frame(9, 16384)
	for _, tt := range []struct {
		name string
		came [][]byte
		err  error
		want error
	}{
		{"goes on", [][]byte{settings, headers, more, more}, gaveUp, errTooLarge},
		{"goes on, read further", [][]byte{settings, headers, more, more[:5]}, gaveUp, errTooLarge},
		{"goes on, but broken", [][]byte{headers, more}, other, other},
		{"whole", [][]byte{settings, headers}, gaveUp, gaveUp},
		{"what looks like one within data", [][]byte{settings, append(frame(0, 0)[:9:9], 9, 9, 9)}, gaveUp, gaveUp},
		{"HTTP/1", [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, gaveUp, errOtherVersion},
		{"nothing", nil, io.EOF, io.EOF},
		{"no error", [][]byte{headers, more}, nil, nil},
	} {
		for _, reader := range []io.Reader{bytes.NewReader(bytes.Join(tt.came, nil)), iotest.OneByteReader(bytes.NewReader(bytes.Join(tt.came, nil)))} {
			f := guardFrames(readsFrom{Reader: reader}, maxBody)
			io.Copy(io.Discard, f)
			if got := f.explain(tt.err); !errors.Is(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
	}
}
