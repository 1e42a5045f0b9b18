package starttls

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// askPostgres follows "SSL Session Encryption" of PostgreSQL's
// frontend/backend protocol: an SSLRequest is answered by one byte, S for yes
// and N for no. Servers before 7.0 answer with an error message, E.
func askPostgres(t *talk) error {
	const sslRequest = 80877103
	request := binary.BigEndian.AppendUint32(nil, 8)
	request = binary.BigEndian.AppendUint32(request, sslRequest)
	if err := t.send(string(request)); err != nil {
		return err
	}
	answer, err := t.bytes(1)
	if err != nil {
		return err
	}
	switch answer[0] {
	case 'S':
		return nil
	case 'N':
		return t.refused([]byte("N"))
	case 'E':
		return t.refused(slices.Concat(answer, t.unread))
	}
	return t.nonsense(slices.Concat(answer, t.unread))
}

// Capabilities of MySQL and the errors in its place of a greeting ("Connection
// Phase" of the client/server protocol).
const (
	mysqlProtocol41       = 0x0200
	mysqlSSL              = 0x0800
	mysqlSecureConnection = 0x8000
	mysqlUTF8             = 33
	mysqlVersion          = 10
	mysqlError            = 0xff
)

// askMySQL reads the server's greeting, which says whether it has TLS, and
// sends the short form of a login that asks for it (SSLRequest). The server
// does not answer: the handshake follows.
func askMySQL(t *talk) error {
	header, err := t.bytes(4) // three bytes of length, least first, and a number
	if err != nil {
		return err
	}
	length, number := int(header[0])|int(header[1])<<8|int(header[2])<<16, header[3]
	if length == 0 || length > maxLine || number != 0 {
		return t.nonsense(slices.Concat(header, t.unread))
	}
	greeting, err := t.bytes(length)
	if err != nil {
		return err
	}
	switch {
	case greeting[0] == mysqlError: // then a code of two bytes, and text
		return t.refused(greeting[min(3, len(greeting)):])
	case greeting[0] != mysqlVersion:
		return t.nonsense(greeting)
	}
	capabilities, ok := mysqlCapabilities(greeting[1:])
	if !ok {
		return t.nonsense(greeting)
	}
	if capabilities&mysqlSSL == 0 {
		return t.refused(nil)
	}
	request := []byte{32, 0, 0, 1} // 32 bytes follow; the second packet
	request = binary.LittleEndian.AppendUint32(request, mysqlProtocol41|mysqlSSL|mysqlSecureConnection)
	request = binary.LittleEndian.AppendUint32(request, 1<<24-1) // the largest packet that we would read
	request = append(request, mysqlUTF8)
	request = append(request, make([]byte, 23)...) // reserved
	return t.send(string(request))
}

// mysqlCapabilities reads the lower half of the capabilities: after the
// server's version as text that ends in a zero byte come a thread's number in
// four bytes, eight of a nonce and a zero byte.
func mysqlCapabilities(greeting []byte) (uint16, bool) {
	for i, c := range greeting {
		if c == 0 {
			rest := greeting[i+1:]
			if len(rest) < 15 {
				return 0, false
			}
			return binary.LittleEndian.Uint16(rest[13:]), true
		}
	}
	return 0, false
}

// The tags of LDAP messages that are read here (RFC 4511, section 4 and
// appendix B), in BER.
const (
	berInteger      = 0x02
	berOctets       = 0x04
	berEnumerated   = 0x0a
	berSequence     = 0x30
	ldapExtended    = 0x77 // [APPLICATION 23]
	ldapExtResponse = 0x78 // [APPLICATION 24]
	ldapRequestName = 0x80
	startTLSName    = "1.3.6.1.4.1.1466.20037"
	ldapMessageID   = 1
)

// askLDAP follows RFC 4511, section 4.14: an extended request by the name of
// StartTLS, answered by result code 0.
func askLDAP(t *talk) error {
	name := element(ldapRequestName, []byte(startTLSName))
	request := element(berSequence, append(element(berInteger, []byte{ldapMessageID}), element(ldapExtended, name)...))
	if err := t.send(string(request)); err != nil {
		return err
	}
	message, err := t.message()
	if err != nil {
		return err
	}
	id, rest, ok := next(message, berInteger)
	response, _, isResponse := next(rest, ldapExtResponse)
	if !ok || !isResponse || len(id) != 1 || id[0] != ldapMessageID {
		return t.nonsense(message)
	}
	code, rest, ok := next(response, berEnumerated)
	if !ok || len(code) != 1 {
		return t.nonsense(message)
	}
	if code[0] == 0 {
		return nil
	}
	_, rest, _ = next(rest, berOctets) // the matched name
	if said, _, ok := next(rest, berOctets); ok && len(said) > 0 {
		return t.refused(said)
	}
	return t.refused(fmt.Appendf(nil, "LDAP result code %d", code[0]))
}

// message reads one LDAP message and returns what is in it.
func (t *talk) message() ([]byte, error) {
	head, err := t.bytes(2)
	if err != nil {
		return nil, err
	}
	if head[0] != berSequence {
		return nil, t.nonsense(slices.Concat(head, t.unread))
	}
	length := int(head[1])
	if more := int(head[1] & 0x7f); head[1] >= 0x80 {
		if more == 0 || more > 4 { // LDAP has no indefinite lengths
			return nil, t.nonsense(head)
		}
		digits, err := t.bytes(more)
		if err != nil {
			return nil, err
		}
		if length = berLength(digits); length > maxLine {
			return nil, ErrTooMuch
		}
	}
	return t.bytes(length)
}

// element writes a BER element of at most 127 bytes.
func element(tag byte, content []byte) []byte {
	return append([]byte{tag, byte(len(content))}, content...)
}

// next reads a BER element of that tag: what is in it, and what follows. Some
// directories write lengths in more bytes than needed.
func next(data []byte, tag byte) (content, rest []byte, ok bool) {
	if len(data) < 2 || data[0] != tag {
		return nil, nil, false
	}
	length, data := int(data[1]), data[2:]
	if length >= 0x80 {
		more := length & 0x7f
		if more == 0 || more > 4 || len(data) < more {
			return nil, nil, false
		}
		length, data = berLength(data[:more]), data[more:]
	}
	if length > len(data) {
		return nil, nil, false
	}
	return data[:length], data[length:], true
}

// berLength reads at most four bytes, the greatest first.
func berLength(digits []byte) int {
	var length uint32
	for _, d := range digits {
		length = length<<8 | uint32(d)
	}
	return int(length)
}
