package checks

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// acceptEncoding is what requests offer unless their headers say otherwise.
const acceptEncoding = "gzip, br, zstd"

const (
	// maxEncodings is how many times a body may be packed.
	maxEncodings = 3
	// maxZstdWindow is the largest window that a body may need for unpacking, as
	// RFC 9659 has it: 8 MB.
	maxZstdWindow = 8 << 20
)

// unpackers opens what is packed, by the name that Content-Encoding has for it
// (RFC 9110, section 8.4.1; br is RFC 7932, zstd RFC 8878). limit is how many
// bytes will be read from it at most.
var unpackers = map[string]func(r *bufio.Reader, limit int64) (io.Reader, error){
	"gzip":    func(r *bufio.Reader, _ int64) (io.Reader, error) { return gzip.NewReader(r) },
	"deflate": func(r *bufio.Reader, _ int64) (io.Reader, error) { return inflate(r) },
	"br":      func(r *bufio.Reader, limit int64) (io.Reader, error) { return unbrotli(r, limit) },
	"zstd":    func(r *bufio.Reader, _ int64) (io.Reader, error) { return unzstd(r) },
}

// encodings returns what a body must be unpacked from, the outermost first. As
// browsers do, it leaves alone what it does not know, and all beneath.
func encodings(header []string) ([]string, error) {
	var names []string
	for _, name := range strings.Split(strings.Join(header, ","), ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "", "identity":
		case "x-gzip":
			names = append(names, "gzip")
		default:
			names = append(names, name)
		}
	}
	slices.Reverse(names)
	if unknown := slices.IndexFunc(names, func(name string) bool { return unpackers[name] == nil }); unknown >= 0 {
		names = names[:unknown]
	}
	if len(names) > maxEncodings {
		return nil, fmt.Errorf("its body is packed %d times over; %d are the most that nines unpacks", len(names), maxEncodings)
	}
	return names, nil
}

// unpacked reads a body that was packed in that way.
type unpacked struct {
	names  []string // outermost first
	source *remembers
	inner  io.Reader
	close  []func()
}

// remembers keeps the error that reading ended with, so that it can be told
// from one of unpacking.
type remembers struct {
	io.Reader
	err error
}

func (r *remembers) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// unpack opens body, of which at most limit bytes will be read.
func unpack(body io.Reader, names []string, limit int64) (*unpacked, error) {
	u := &unpacked{names: names, source: &remembers{Reader: body}}
	u.inner = u.source
	for _, name := range names {
		buffered := bufio.NewReader(u.inner)
		if _, err := buffered.Peek(1); err == io.EOF { // an empty body is not packed
			u.inner = bytes.NewReader(nil)
			return u, nil
		}
		inner, err := unpackers[name](buffered, limit)
		if err != nil {
			u.Close()
			return nil, u.fault(err)
		}
		u.inner = inner
		if held, ok := inner.(*zstd.Decoder); ok {
			u.close = append(u.close, held.Close)
		}
	}
	return u, nil
}

// Read returns what is in the body; its errors are those of fault.
func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.inner.Read(p)
	if err != nil && err != io.EOF {
		err = u.fault(err)
	}
	return n, err
}

// Close gives back what unpacking holds.
func (u *unpacked) Close() {
	for _, end := range u.close {
		end()
	}
}

// fault makes it plain whether it is the transfer that went wrong or the
// packing.
func (u *unpacked) fault(err error) error {
	switch {
	case u.source.err != nil:
		return u.source.err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, errTooLarge):
		return err
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrWindowSizeTooSmall), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return errWindow
	}
	return fmt.Errorf("%w: it is not the %s that Content-Encoding says: %w", errPacking, strings.Join(u.names, " within "), err)
}

var (
	// errPacking is a body that cannot be unpacked.
	errPacking = errors.New("the body cannot be unpacked")
	// errWindow is a body that would take too much memory to unpack.
	errWindow = fmt.Errorf("what the body's zstd needs for unpacking is %w: a window of more than %d bytes", errTooLarge, maxZstdWindow)
)

// inflate opens deflate, with the frame that it should have (RFC 1950) or
// without, as some servers send it.
func inflate(r *bufio.Reader) (io.Reader, error) {
	begin, err := r.Peek(2)
	if len(begin) < 2 {
		return nil, err
	}
	if begin[0]&0x0f == 8 && (int(begin[0])<<8|int(begin[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

func unzstd(r io.Reader) (io.Reader, error) {
	return zstd.NewReader(r,
		zstd.WithDecoderConcurrency(1), // in the reader's own goroutine
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxZstdWindow),
		zstd.WithDecoderMaxWindow(maxZstdWindow))
}

// unbrotli opens brotli whose window is cut down to what limit needs. The
// window is what a decoder allocates, up to 16 MiB, whatever then comes; one
// that holds all that will be read does not have to be larger. Its size stands
// in the first four bits (RFC 7932, section 9.1): an odd number of which half
// and 17 is the logarithm, for windows from 256 KiB up.
func unbrotli(r *bufio.Reader, limit int64) (io.Reader, error) {
	begin, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	// Distances reach 16 bytes less far than the window is large.
	needed := max(18, bits.Len64(uint64(limit+16)))
	if first := begin[0]; first&1 == 1 && first>>1&7 > 0 && int(first>>1&7)+17 > needed {
		begin[0] = first&^0xf | byte(needed-17)<<1 | 1
	}
	return brotli.NewReader(r), nil
}
