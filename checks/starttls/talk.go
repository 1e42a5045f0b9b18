package starttls

import (
	"bytes"
	"errors"
	"io"
	"net"
)

// Limits of what a server may say before TLS, in bytes and lines. RFC 5321
// allows 512 bytes a line; some servers greet with more.
const (
	maxLine  = 2 << 10
	maxLines = 100
	maxSaid  = 32 << 10
)

// talk is a conversation in plain text.
type talk struct {
	conn     net.Conn
	protocol string
	unread   []byte // has come and was not asked for yet
	said     int    // bytes that came in all
	lines    int
}

// fill reads more.
func (t *talk) fill() error {
	if t.said >= maxSaid {
		return ErrTooMuch
	}
	buf := make([]byte, 2<<10)
	n, err := t.conn.Read(buf[:min(len(buf), maxSaid-t.said)])
	t.unread, t.said = append(t.unread, buf[:n]...), t.said+n
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.EOF):
		return ErrClosed
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}

// line returns the next line without its end, LF or CR LF.
func (t *talk) line() ([]byte, error) {
	if t.lines++; t.lines > maxLines {
		return nil, ErrTooMuch
	}
	for {
		if end := bytes.IndexByte(t.unread, '\n'); end >= 0 && end <= maxLine {
			line := bytes.TrimSuffix(t.unread[:end], []byte{'\r'})
			t.unread = t.unread[end+1:]
			return line, nil
		}
		if len(t.unread) > maxLine {
			return nil, ErrTooMuch
		}
		if err := t.fill(); err != nil {
			return nil, err
		}
	}
}

// bytes returns the next n bytes.
func (t *talk) bytes(n int) ([]byte, error) {
	if n > maxSaid {
		return nil, ErrTooMuch
	}
	for len(t.unread) < n {
		if err := t.fill(); err != nil {
			return nil, err
		}
	}
	next := t.unread[:n]
	t.unread = t.unread[n:]
	return next, nil
}

// send asks something; whatever came before it and was not read yet cannot be
// its answer, and is refused.
func (t *talk) send(text string) error {
	if len(t.unread) > 0 {
		return ErrInjected
	}
	_, err := io.WriteString(t.conn, text)
	return err
}

func (t *talk) refused(said []byte) error { return &RefusedError{printable(said)} }

func (t *talk) nonsense(said []byte) error { return &ProtocolError{t.protocol, printable(said)} }
