package checks

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/peer"
)

// trustingTLS returns a check of kind tls that trusts the hostile targets' authority.
func trustingTLS(t testing.TB, addr string) *TLS {
	t.Helper()
	options := newTLS()
	options.Address, options.CA = addr, hostileAuthority(t).ca.PEM()
	return options
}

// uponHello is a target that reads the client's hello and goes on with serve,
// asked by a check of kind tls or http.
func uponHello(kind string, serve func(net.Conn)) func(*testing.T) Options {
	return func(t *testing.T) Options {
		addr := rawServer(t, func(conn net.Conn) {
			hello := make([]byte, 16<<10)
			if _, err := conn.Read(hello); err == nil {
				serve(conn)
			}
		})
		if kind == "tls" {
			return trustingTLS(t, addr)
		}
		return trusting(t, httpAt("https://"+addr))
	}
}

// writes is a serve that writes text and then waits.
func writes(text string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		hangOn(conn)
	}
}

// record is a record of TLS 1.2 (RFC 8446, section 5.1).
func record(kind byte, payload string) string {
	return string([]byte{kind, 3, 3, byte(len(payload) >> 8), byte(len(payload))}) + payload
}

const (
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

func TestHostileTLS(t *testing.T) {
	var rows []hostile
	for _, kind := range []string{"tls", "http"} {
		for _, row := range []hostile{
			{name: "silence after the hello", limit: "timeout", waits: true, reason: TLSTimeout, aim: uponHello(kind, hangOn)},
			{name: "garbage", limit: "the first byte of a record", reason: TLSHandshake, aim: uponHello(kind, writes(strings.Repeat("\xde\xad", 500)))},
			{name: "a mail server", limit: "the first byte of a record", reason: TLSHandshake, aim: uponHello(kind, writes("220 mail.example.com ESMTP\r\n"))},
			{name: "a record of 64 KiB", limit: "16 KiB a record", reason: TLSHandshake, aim: uponHello(kind, writes("\x16\x03\x03\xff\xff"+strings.Repeat("x", 1<<16)))},
			{name: "a handshake message of 2^24 bytes", limit: "64 KiB a message", reason: TLSHandshake, aim: uponHello(kind, func(conn net.Conn) {
				io.WriteString(conn, record(recordHandshake, "\x02\xff\xff\xff"+strings.Repeat("x", 1000)))
				writeForever(conn, record(recordHandshake, strings.Repeat("x", 16<<10)))
			})},
			{name: "a message in fragments of one byte", limit: "64 KiB a message, timeout", reason: TLSHandshake, aim: uponHello(kind, func(conn net.Conn) {
				io.WriteString(conn, record(recordHandshake, "\x02\x01\x00\x00"))
				writeForever(conn, strings.Repeat(record(recordHandshake, "x"), 500))
			})},
			{name: "empty records without an end", limit: "16 empty records", reason: TLSHandshake, aim: uponHello(kind, func(conn net.Conn) {
				writeForever(conn, strings.Repeat(record(recordHandshake, ""), 500))
			})},
			{name: "alerts without an end", limit: "16 warnings", reason: TLSHandshake, aim: uponHello(kind, func(conn net.Conn) {
				writeForever(conn, strings.Repeat(record(recordAlert, "\x01\x5a"), 500)) // a warning: user_canceled
			})},
			{name: "change of cipher without an end", limit: "16 of them", reason: TLSHandshake, aim: uponHello(kind, func(conn net.Conn) {
				writeForever(conn, strings.Repeat("\x14\x03\x03\x00\x01\x01", 500))
			})},
			{name: "a fatal alert", limit: "the alert", reason: TLSHandshake, aim: uponHello(kind, writes(record(recordAlert, "\x02\x28")))},
			{name: "data before the handshake", limit: "the handshake", reason: TLSHandshake, aim: uponHello(kind, writes(record(recordData, "Welcome")))},
			{name: "a hello asked for again and again", limit: "one retry", reason: TLSHandshake, aim: uponHello(kind, func(conn net.Conn) {
				writeForever(conn, record(recordHandshake, "\x00\x00\x00\x00")) // hello_request
			})},
			{name: "the handshake at a byte a second", limit: "timeout", waits: true, reason: TLSTimeout, aim: uponHello(kind, func(conn net.Conn) {
				for _, b := range []byte(record(recordHandshake, "\x02\x00\x40\x00"+strings.Repeat("x", 1<<14-4))) {
					if _, err := conn.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(hostileTimeout / 5)
				}
			})},
			{name: "a chain of 2,000 certificates", limit: "256 KiB of certificates", reason: TLSHandshake, aim: chained(kind, 2000)},
			{name: "a chain of 100 certificates", limit: "what leads to the root is enough", status: Up, aim: chained(kind, 100)},
			{name: "300 issuers of one name", limit: "crypto/x509's 100 signatures", reason: TLSUntrusted, aim: manyIssuers(kind)},
		} {
			row.name = kind + ": " + row.name
			if row.status == Up && kind == "http" {
				row.status, row.reason = Down, HTTPTimeout // it shakes hands and falls silent
				row.waits = true
			}
			rows = append(rows, row)
		}
	}
	hold(t, rows)
}

// chained is a target with n certificates that lead nowhere behind its own and
// the one that vouches for it.
func chained(kind string, n int) func(*testing.T) Options {
	return func(t *testing.T) Options {
		extra := must(must(checkstest.NewCA())(t).Issue(checkstest.Leaf{Names: []string{"filler.test"}}))(t)
		return showing(t, kind, hostileAuthority(t).cert, slices.Repeat(extra.Certificate[:1], n))
	}
}

// manyIssuers is a target whose certificate could be issued by any of 300
// others, going by their name, and is by none.
func manyIssuers(kind string) func(*testing.T) Options {
	return func(t *testing.T) Options {
		var issuers [][]byte
		for range 300 {
			issuers = append(issuers, must(must(checkstest.NewCA())(t).Issue(checkstest.Leaf{}))(t).Certificate[1])
		}
		return showing(t, kind, must(hostileAuthority(t).ca.Issue(checkstest.Leaf{Bare: true}))(t), issuers)
	}
}

// showing is a target that shows more certificates than its own.
func showing(t *testing.T, kind string, cert tls.Certificate, more [][]byte) Options {
	cert.Certificate = slices.Concat(cert.Certificate, more)
	addr := opened(checkstest.NewTLS(cert))(t).Addr()
	if kind == "tls" {
		return trustingTLS(t, addr)
	}
	return trusting(t, httpAt("https://"+addr))
}

// A server that asks to negotiate again is not obeyed: crypto/tls refuses by
// default, and TLS 1.3 has no such thing. openssl's server does it on R.
func TestHostileRenegotiation(t *testing.T) {
	openssl := peer.Program(t, "openssl")
	dir := t.TempDir()
	cert := hostileAuthority(t).cert
	var chain []byte
	for _, der := range cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(cert.PrivateKey))(t)})
	for name, text := range map[string][]byte{"cert.pem": chain, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addr := freePort(t)
	server := exec.Command(openssl, "s_server", "-accept", addr, "-tls1_2", "-cert", filepath.Join(dir, "cert.pem"),
		"-cert_chain", filepath.Join(dir, "cert.pem"), "-key", filepath.Join(dir, "key.pem"))
	stdin := must(server.StdinPipe())(t)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	for range 100 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	go func() {
		for range 50 { // "R" renegotiates with whoever is connected
			time.Sleep(20 * time.Millisecond)
			fmt.Fprintln(stdin, "R")
		}
	}()
	r := run(t, trusting(t, httpAt("https://"+addr)), 3*time.Second, loopback())
	if r.Status != Down || r.Reason != HTTPProtocol && r.Reason != HTTPReset && r.Reason != HTTPTimeout && r.Reason != TLSHandshake {
		t.Errorf("got %s %s (%s)", r.Status, r.Reason, r.Detail)
	}
}
