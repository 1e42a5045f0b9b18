// Package starttls asks servers that begin in plain text to go over to TLS:
// mail servers, FTP, LDAP, PostgreSQL and MySQL. Upgrade talks until the next
// byte on the connection belongs to the handshake, which is the caller's.
//
// Servers are hostile: lines, their number and all that is read have limits,
// and what comes after the go-ahead in plain text is refused, because somebody
// on the way may have put it there to be read as if it had been protected.
// Deadlines are the caller's, set on the connection.
//
// It imports nothing of this module.
package starttls

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"unicode"
)

// protocol is one way to ask.
type protocol struct {
	name string
	port uint16 // where such servers listen
	ask  func(*talk) error
}

// protocols are listed as documentation names them.
var protocols = []protocol{
	{"smtp", 25, askSMTP},
	{"imap", 143, askIMAP},
	{"pop3", 110, askPOP3},
	{"ftp", 21, askFTP},
	{"ldap", 389, askLDAP},
	{"postgres", 5432, askPostgres},
	{"mysql", 3306, askMySQL},
}

// Protocols returns the names of all protocols.
func Protocols() []string {
	names := make([]string, len(protocols))
	for i, p := range protocols {
		names[i] = p.name
	}
	return names
}

// Port returns the port on which servers of a protocol listen, and whether
// there is a protocol of that name.
func Port(name string) (uint16, bool) {
	i := slices.IndexFunc(protocols, func(p protocol) bool { return p.name == name })
	if i < 0 {
		return 0, false
	}
	return protocols[i].port, true
}

// RefusedError says that the server understood and would not, or that it does
// not offer TLS at all.
type RefusedError struct {
	// Said is what it answered, printable and at most 200 bytes; empty when it
	// said nothing about it.
	Said string
}

func (e *RefusedError) Error() string {
	if e.Said == "" {
		return "the server does not offer TLS"
	}
	return fmt.Sprintf("the server refuses to go over to TLS: %q", e.Said)
}

// Errors of servers that do not keep to their protocol.
var (
	ErrTooMuch  = errors.New("the server says more than the protocol allows before TLS")
	ErrInjected = errors.New("plain text follows the go-ahead for TLS; somebody may have put it there")
	ErrClosed   = errors.New("the server closed the connection before TLS")
)

// ProtocolError says that an answer is not one of the protocol.
type ProtocolError struct {
	Protocol string
	Said     string // printable, at most 200 bytes
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("the server does not speak %s: %q", e.Protocol, e.Said)
}

// Upgrade has the server at the other end of conn go over to TLS by the
// protocol of that name. When it returns nil the handshake can begin; else conn
// is of no use any more.
func Upgrade(conn net.Conn, name string) error {
	i := slices.IndexFunc(protocols, func(p protocol) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("no protocol is called %q", name)
	}
	t := &talk{conn: conn, protocol: name}
	if err := protocols[i].ask(t); err != nil {
		return err
	}
	if len(t.unread) > 0 {
		return ErrInjected
	}
	return nil
}

// printable is text of a server for people: at most 200 bytes of it, on one
// line, nothing that moves a cursor.
func printable(said []byte) string {
	const most = 200
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(said[:min(len(said), most)]), "?"))
	if text = strings.TrimSpace(text); len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
