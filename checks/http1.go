package checks

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// http1 is a connection that speaks HTTP/1.1, one request at a time.
type http1 struct {
	conn   net.Conn
	reader *bufio.Reader
	limit  limited    // beneath reader
	upload chan error // of a body that is sent beside reading; nil when none is
	// relayed says that a proxy passes the requests on: they name the whole URL,
	// and the proxy's authorization, which may be empty.
	relayed       bool
	authorization string
}

func newHTTP1(conn net.Conn, buffer int) *http1 {
	c := &http1{conn: conn, limit: limited{r: conn, left: maxHeader}}
	c.reader = bufio.NewReaderSize(&c.limit, buffer)
	return c
}

// send sends req and returns when the answer begins.
func (c *http1) send(req *http.Request) error {
	c.limit.left = maxHeader
	if err := c.write(req); err != nil {
		return err
	}
	if _, err := c.reader.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			err = errNothing
		}
		return err
	}
	return nil
}

// write sends req. One that does not surely fit into the system's buffers is
// sent beside reading the answer, which may come before all of it is taken.
func (c *http1) write(req *http.Request) error {
	var whole bytes.Buffer
	if err := c.compose(&whole, req); err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	if whole.Len() > 8<<10 {
		c.upload = make(chan error, 1)
		go func(conn net.Conn, done chan error) {
			_, err := conn.Write(whole.Bytes())
			done <- err
		}(c.conn, c.upload)
		return nil
	}
	// A server that answers without reading may have closed already: then the
	// answer is there to be read although writing failed.
	if _, err := c.conn.Write(whole.Bytes()); err != nil && !isReset(err) {
		return err
	}
	return nil
}

func (c *http1) compose(w *bytes.Buffer, req *http.Request) error {
	if !c.relayed {
		return req.Write(w)
	}
	if c.authorization != "" {
		// A copy: the header goes to the proxy, and never along to another server.
		copied := *req
		copied.Header = req.Header.Clone()
		copied.Header.Set("Proxy-Authorization", c.authorization)
		req = &copied
	}
	return req.WriteProxy(w)
}

// receive reads the header of the answer to req, whose body may have up to
// most bytes.
func (c *http1) receive(req *http.Request, most int64) (*http.Response, error) {
	for range maxInterim + 1 {
		answered, err := http.ReadResponse(c.reader, req)
		if err != nil && c.limit.err != nil {
			err = c.limit.err // and not that the line which it cut short is malformed
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errHeaderShort
		case errors.Is(err, errTooLarge):
			return nil, fmt.Errorf("the answer's header is %w: more than %d bytes", errTooLarge, maxHeader)
		case err != nil:
			return nil, err
		case answered.ProtoMajor != 1:
			return nil, fmt.Errorf("version %s was not asked for", clip(answered.Proto, 40))
		case answered.StatusCode >= 200 || answered.StatusCode == http.StatusSwitchingProtocols:
			// Twice the largest body leaves room for the framing of any sane one.
			c.limit.left = 2*most + maxHeader
			return answered, nil
		}
	}
	return nil, fmt.Errorf("more than %d interim answers", maxInterim)
}

// limited reads until left is used up, which is then an error.
type limited struct {
	r    io.Reader
	left int64
	err  error // the first that reading ended with
}

func (l *limited) Read(p []byte) (n int, err error) {
	if l.left <= 0 {
		err = errTooLarge
	} else {
		n, err = l.r.Read(p[:min(int64(len(p)), l.left)])
		l.left -= int64(n)
	}
	if l.err == nil {
		l.err = err
	}
	return n, err
}
