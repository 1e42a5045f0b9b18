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
			f := &framed{Conn: readsFrom{Reader: reader}}
			io.Copy(io.Discard, f)
			if got := f.explain(tt.err); !errors.Is(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
	}
}

// However the bytes arrive, they are read as the same frames.
func FuzzFramed(f *testing.F) {
	f.Add(append(frame(4, 6), frame(9, 3)...), uint8(4))
	f.Add([]byte("HTTP/1.1 200 OK"), uint8(1))
	f.Fuzz(func(t *testing.T, came []byte, size uint8) {
		whole := &framed{Conn: readsFrom{Reader: bytes.NewReader(came)}}
		io.Copy(io.Discard, whole)
		parts := &framed{Conn: readsFrom{Reader: bytes.NewReader(came)}}
		buf := make([]byte, int(size)+1)
		for {
			if _, err := parts.Read(buf); err != nil {
				break
			}
		}
		whole.Conn, parts.Conn = nil, nil
		if whole.continued != parts.continued || whole.left != parts.left || whole.have != parts.have || whole.begin != parts.begin {
			t.Errorf("%+v and %+v", whole.header, parts.header)
		}
	})
}
