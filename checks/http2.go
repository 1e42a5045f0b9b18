package checks

import (
	"context"
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
			if conn, ok := ctx.Value(handedOver{}).(net.Conn); ok {
				return conn, nil
			}
			return nil, errors.New("no connection was handed over")
		},
		Protocols:              protocols,
		DisableCompression:     true, // bodies are unpacked within max_body
		MaxResponseHeaderBytes: maxHeader,
	}
})

// http2Over makes an HTTP/2 client of a connection, on which a body of so many
// bytes may come.
func http2Over(ctx context.Context, conn net.Conn, to place, largestBody int) (*http.ClientConn, *frameGuard, error) {
	guarded := guardFrames(conn, largestBody)
	client, err := http2().NewClientConn(context.WithValue(ctx, handedOver{}, net.Conn(guarded)), "http", to.hostPort())
	return client, guarded, err
}

// explain says what an error of the client library on this connection means
// when the library's own words do not.
func (g *frameGuard) explain(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case looksLikeHTTP1(g.begin[:g.begun]):
		return errOtherVersion
	// The library gives up like this when a header goes on after it is over the
	// limit, as well as for headers that are malformed.
	case g.continued && strings.Contains(err.Error(), "PROTOCOL_ERROR"),
		strings.Contains(err.Error(), "header list larger"), strings.Contains(err.Error(), "header list too large"):
		return fmt.Errorf("the answer's header is %w: more than %d bytes", errTooLarge, maxHeader)
	// Of a connection that ended before its first request it does not say why.
	case g.broke != nil && strings.Contains(err.Error(), "client conn could not be established"):
		return g.broke
	}
	return err
}

var errOtherVersion = errors.New("the server answered in HTTP/1")
