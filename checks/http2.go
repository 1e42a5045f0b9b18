package checks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
)

// handedOver is the key under which a context carries the connection that an
// HTTP/2 client is made of.
type handedOver struct{}

// http2 makes HTTP/2 clients of connections that are handed to it, shaken hands
// and judged where there is TLS. It keeps nothing between runs.
var http2 = sync.OnceValue(func() *http.Transport {
	protocols := new(http.Protocols)
	// To the transport it is all unencrypted: TLS, if any, is in the connection
	// that it gets.
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if conn, ok := ctx.Value(handedOver{}).(*framed); ok {
				return conn, nil
			}
			return nil, errors.New("no connection was handed over")
		},
		Protocols:              protocols,
		DisableCompression:     true, // bodies are unpacked within max_body
		MaxResponseHeaderBytes: maxHeader,
	}
})

// http2Over makes an HTTP/2 client of a connection.
func http2Over(ctx context.Context, conn net.Conn, to place) (*http.ClientConn, *framed, error) {
	watched := &framed{Conn: conn}
	client, err := http2().NewClientConn(context.WithValue(ctx, handedOver{}, watched), "http", to.hostPort())
	return client, watched, err
}

// framed is a connection that carries frames of HTTP/2 (RFC 9113, section 4.1)
// and remembers what came last, to tell apart what the client library calls by
// one name.
type framed struct {
	net.Conn

	mu        sync.Mutex
	begin     [8]byte // of all that came
	begun     int
	header    [9]byte // of the frame that is being read
	have      int     // bytes of header
	left      int     // bytes of the frame's payload to come
	continued bool    // a header did not fit into one frame
}

// continuation is the type of a frame that goes on with a header.
const continuation = 0x9

func (f *framed) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun += copy(f.begin[f.begun:], p[:n])
	for rest := p[:n]; len(rest) > 0; {
		if f.left > 0 {
			skip := min(f.left, len(rest))
			f.left, rest = f.left-skip, rest[skip:]
			continue
		}
		took := copy(f.header[f.have:], rest)
		f.have, rest = f.have+took, rest[took:]
		if f.have == len(f.header) {
			f.have, f.left = 0, int(binary.BigEndian.Uint32(f.header[:4])>>8)
			f.continued = f.continued || f.header[3] == continuation
		}
	}
	return n, err
}

// explain says what an error of the client library on this connection means
// when the library's own words do not.
func (f *framed) explain(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case looksLikeHTTP1(f.begin[:f.begun]):
		return errOtherVersion
	// The library gives up like this when a header goes on after it is over the
	// limit, as well as for headers that are malformed.
	case f.continued && strings.Contains(err.Error(), "PROTOCOL_ERROR"),
		strings.Contains(err.Error(), "header list larger"):
		return fmt.Errorf("the answer's header is %w: more than %d bytes", errTooLarge, maxHeader)
	}
	return err
}

var errOtherVersion = errors.New("the server answered in HTTP/1")
