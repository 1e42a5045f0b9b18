package starttls

import (
	"bytes"
	"fmt"
	"net"
	"strings"
)

// reply is an answer of SMTP or FTP: a code of three digits and text, over
// several lines when a hyphen follows the code (RFC 5321, section 4.2.1; RFC
// 959, section 4.2, whose inner lines need not repeat the code).
func (t *talk) reply() (code string, lines [][]byte, err error) {
	for {
		line, err := t.line()
		if err != nil {
			return "", nil, err
		}
		isReply := len(line) >= 3 && digits(line[:3]) && (len(line) == 3 || line[3] == ' ' || line[3] == '-')
		switch {
		case code == "" && !isReply:
			return "", nil, t.nonsense(line)
		case code == "":
			code = string(line[:3])
		case !isReply && t.protocol != "ftp", isReply && string(line[:3]) != code && t.protocol != "ftp":
			return "", nil, t.nonsense(line)
		}
		lines = append(lines, bytes.Clone(line))
		if isReply && string(line[:3]) == code && (len(line) == 3 || line[3] == ' ') {
			return code, lines, nil
		}
	}
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// expect reads a reply that must have a code; another one is a refusal.
func (t *talk) expect(wanted string) ([][]byte, error) {
	code, lines, err := t.reply()
	if err != nil {
		return nil, err
	}
	if code != wanted {
		return nil, t.refused(lines[0])
	}
	return lines, nil
}

// askSMTP follows RFC 3207: the greeting, EHLO, whose answer must offer
// STARTTLS, and the command.
func askSMTP(t *talk) error {
	if _, err := t.expect("220"); err != nil {
		return err
	}
	if err := t.send("EHLO " + ownName(t.conn) + "\r\n"); err != nil {
		return err
	}
	offers, err := t.expect("250")
	if err != nil {
		return err
	}
	offered := false
	for _, line := range offers[1:] {
		keyword, _, _ := bytes.Cut(line[min(4, len(line)):], []byte{' '})
		offered = offered || strings.EqualFold(string(keyword), "STARTTLS")
	}
	if !offered {
		return t.refused(nil)
	}
	if err := t.send("STARTTLS\r\n"); err != nil {
		return err
	}
	_, err = t.expect("220")
	return err
}

// ownName is what a client without a name calls itself (RFC 5321, section
// 4.1.3).
func ownName(conn net.Conn) string {
	local, ok := conn.LocalAddr().(*net.TCPAddr)
	switch {
	case !ok:
		return "[127.0.0.1]"
	case local.IP.To4() == nil:
		return fmt.Sprintf("[IPv6:%s]", local.IP)
	}
	return fmt.Sprintf("[%s]", local.IP)
}

// askFTP follows RFC 4217, section 4: AUTH TLS is answered by 234.
func askFTP(t *talk) error {
	code, lines, err := t.reply()
	for err == nil && code == "120" { // ready in a while: the greeting follows
		code, lines, err = t.reply()
	}
	if err != nil {
		return err
	}
	if code != "220" {
		return t.refused(lines[0])
	}
	if err := t.send("AUTH TLS\r\n"); err != nil {
		return err
	}
	_, err = t.expect("234")
	return err
}

// askPOP3 follows RFC 2595, section 4: STLS is answered by +OK.
func askPOP3(t *talk) error {
	if err := t.ok(); err != nil {
		return err
	}
	if err := t.send("STLS\r\n"); err != nil {
		return err
	}
	return t.ok()
}

func (t *talk) ok() error {
	line, err := t.line()
	switch {
	case err != nil:
		return err
	case bytes.HasPrefix(line, []byte("+OK")):
		return nil
	case bytes.HasPrefix(line, []byte("-ERR")):
		return t.refused(line)
	}
	return t.nonsense(line)
}

// askIMAP follows RFC 9051, sections 6.2.1 and 7.1: after a greeting of OK, the
// command STARTTLS is answered by OK under its tag; lines before that which
// begin with an asterisk say other things.
func askIMAP(t *talk) error {
	const tag = "a1"
	line, err := t.line()
	if err != nil {
		return err
	}
	switch word := imapWord(line, "*"); word {
	case "OK":
	case "BYE", "PREAUTH": // who is logged in already may not start TLS
		return t.refused(line)
	default:
		return t.nonsense(line)
	}
	if err := t.send(tag + " STARTTLS\r\n"); err != nil {
		return err
	}
	for {
		line, err := t.line()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte("* ")) {
			continue
		}
		switch imapWord(line, tag) {
		case "OK":
			return nil
		case "NO", "BAD":
			return t.refused(line)
		}
		return t.nonsense(line)
	}
}

// imapWord returns the word after the tag, in capitals; empty if the line has
// another tag.
func imapWord(line []byte, tag string) string {
	first, rest, _ := strings.Cut(string(line), " ")
	if first != tag {
		return ""
	}
	word, _, _ := strings.Cut(rest, " ")
	return strings.ToUpper(word)
}
