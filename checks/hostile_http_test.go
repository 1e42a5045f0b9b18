package checks

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"nines/checks/checkstest"
)

// uponRequest serves each request with serve and then ends the connection.
func uponRequest(t testing.TB, serve func(conn net.Conn, asked *http.Request)) string {
	t.Helper()
	return "http://" + rawServer(t, func(conn net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			serve(conn, req)
		}
	})
}

// sends is a target that answers with text and then waits.
func sends(text string) func(*testing.T) Options {
	return func(t *testing.T) Options {
		return httpAt(uponRequest(t, func(conn net.Conn, _ *http.Request) {
			io.WriteString(conn, text)
			hangOn(conn)
		}))
	}
}

// sendsForever is a target that answers with text and then with more for ever.
func sendsForever(text, more string) func(*testing.T) Options {
	return func(t *testing.T) Options {
		return httpAt(uponRequest(t, func(conn net.Conn, _ *http.Request) {
			io.WriteString(conn, text)
			writeForever(conn, more)
		}))
	}
}

// sendsSlowly is a target that answers with text and then with one byte of more a
// second, or somewhat oftener, so that no wait for one byte is ever long.
func sendsSlowly(text, more string) func(*testing.T) Options {
	return func(t *testing.T) Options {
		return httpAt(uponRequest(t, func(conn net.Conn, _ *http.Request) {
			io.WriteString(conn, text)
			for i := 0; ; i++ {
				if _, err := conn.Write([]byte{more[i%len(more)]}); err != nil {
					return
				}
				time.Sleep(hostileTimeout / 5)
			}
		}))
	}
}

// redirectsTo is a target whose every answer leads to location, in which %d
// stands for how many there were before.
func redirectsTo(location string) func(*testing.T) Options {
	return func(t *testing.T) Options {
		var mu sync.Mutex
		n := 0
		return httpAt(uponRequest(t, func(conn net.Conn, _ *http.Request) {
			mu.Lock()
			n++
			next := strings.ReplaceAll(location, "%d", fmt.Sprint(n))
			mu.Unlock()
			fmt.Fprintf(conn, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: %s\r\n\r\n", next)
		}))
	}
}

const statusOK = "HTTP/1.1 200 OK\r\n"

func TestHostileHTTP(t *testing.T) {
	hold(t, []hostile{
		{name: "endless body", limit: "max_body", aim: sendsForever(statusOK+"\r\n", strings.Repeat("endless ", 512)), reason: HTTPTooLarge},
		{name: "endless body, kept", limit: "max_body", aim: keepingBody(sendsForever(statusOK+"\r\n", strings.Repeat("endless ", 512))), reason: HTTPTooLarge},
		{name: "endless chunks", limit: "max_body", aim: sendsForever(statusOK+"Transfer-Encoding: chunked\r\n\r\n", "400\r\n"+strings.Repeat("x", 1024)+"\r\n"), reason: HTTPTooLarge},
		{name: "endless chunks of one byte", limit: "twice max_body on the wire", aim: sendsForever(statusOK+"Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nx\r\n", 500)), reason: HTTPTooLarge},
		{name: "huge body announced", limit: "max_body", aim: sends(statusOK + "Content-Length: 9000000000000000000\r\n\r\n"), reason: HTTPTooLarge},
		{name: "a byte a second", limit: "timeout", aim: sendsSlowly(statusOK+"\r\n", "x"), waits: true, reason: HTTPTimeout},
		{name: "header at a byte a second", limit: "timeout", aim: sendsSlowly("", statusOK+"X-Slow: loris\r\n"), waits: true, reason: HTTPTimeout},
		{name: "chunks at a byte a second", limit: "timeout", aim: sendsSlowly(statusOK+"Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), waits: true, reason: HTTPTimeout},

		{name: "header without an end", limit: "256 KiB of header", aim: sendsForever(statusOK, strings.Repeat("X-Endless: header\r\n", 200)), reason: HTTPTooLarge},
		{name: "header bomb", limit: "256 KiB of header", aim: sends(statusOK + strings.Repeat("X-Huge: "+strings.Repeat("h", 1014)+"\r\n", 4096) + "\r\n"), reason: HTTPTooLarge},
		{name: "one header line of a megabyte", limit: "256 KiB of header", aim: sends(statusOK + "X-Huge: " + strings.Repeat("h", 1<<20) + "\r\n\r\n"), reason: HTTPTooLarge},
		{name: "many headers", limit: "256 KiB of header", aim: sends(statusOK + strings.Repeat("a:\r\n", 60_000) + "Content-Length: 0\r\n\r\n"), status: Up},
		{name: "a line folded without an end", limit: "256 KiB of header", aim: sendsForever(statusOK+"X-Folded: a\r\n", strings.Repeat(" folded\r\n", 500)), reason: HTTPTooLarge},
		{name: "status line without an end", limit: "256 KiB of header", aim: sendsForever("HTTP/1.1 200 ", strings.Repeat("OK", 2000)), reason: HTTPTooLarge},
		{name: "empty lines without an end", limit: "the first line must be a status", aim: sendsForever("", "\r\n"), reason: HTTPProtocol},
		{name: "interim answers without an end", limit: "5 interim answers", aim: sendsForever("", "HTTP/1.1 100 Continue\r\n\r\n"), reason: HTTPProtocol},
		{name: "interim answers with large headers", limit: "256 KiB of header", aim: sendsForever("", "HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("l", 100<<10)+"\r\n\r\n"), reason: HTTPTooLarge},

		{name: "chunk extension without an end", limit: "net/http's 4 KiB a line", aim: sendsForever(statusOK+"Transfer-Encoding: chunked\r\n\r\n1;", "extension=x;"), reason: HTTPProtocol},
		{name: "trailers without an end", limit: "net/http's buffer for a trailer", aim: sendsForever(statusOK+"Transfer-Encoding: chunked\r\nTrailer: X-Bomb\r\n\r\n0\r\n", "X-Bomb: "+strings.Repeat("b", 1000)+"\r\n"), reason: HTTPProtocol},
		{name: "chunk larger than a number", limit: "16 digits", aim: sends(statusOK + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n"), reason: HTTPProtocol},
		{name: "chunk of 2^63", limit: "max_body", aim: sendsForever(statusOK+"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", strings.Repeat("x", 4096)), reason: HTTPTooLarge},
		{name: "negative chunk", limit: "net/http", aim: sends(statusOK + "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n"), reason: HTTPProtocol},
		{name: "negative length", limit: "net/http", aim: sends(statusOK + "Content-Length: -7\r\n\r\nWelcome"), reason: HTTPProtocol},
		{name: "two lengths that differ", limit: "net/http", aim: sends(statusOK + "Content-Length: 7\r\nContent-Length: 8\r\n\r\nWelcome!"), reason: HTTPProtocol},
		{name: "length beyond a number", limit: "net/http", aim: sends(statusOK + "Content-Length: 99999999999999999999\r\n\r\nx"), reason: HTTPProtocol},
		{name: "both length and chunks", limit: "chunks win (RFC 9112, section 6.3)", aim: sends(statusOK + "Content-Length: 900\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), status: Up},
		{name: "a coding of no name", limit: "net/http", aim: sends(statusOK + "Transfer-Encoding: mangled\r\n\r\nx"), reason: HTTPProtocol},
		{name: "NUL in a header", limit: "net/http", aim: sends(statusOK + "X-Nul: a\x00b\r\nContent-Length: 0\r\n\r\n"), reason: HTTPProtocol},
		{name: "another version", limit: "1.0 and 1.1", aim: sends("HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n"), reason: HTTPProtocol},
		{name: "another protocol without an end", limit: "256 KiB of header", aim: sendsForever("", strings.Repeat("garbage ", 500)), reason: HTTPTooLarge},
		{name: "HTTP/2 in the clear", limit: "HTTP/1.1", aim: sends("\x00\x00\x00\x04\x00\x00\x00\x00\x00\r\n"), reason: HTTPProtocol},
		{name: "upgrade that nobody asked for", limit: "the status", aim: sends("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), reason: HTTPStatus},

		{name: "half an answer, then closed", limit: "the length announced", aim: sendsAndEnds(statusOK+"Content-Length: 100\r\n\r\nhalf", false), reason: HTTPTruncated},
		{name: "half a chunked answer, then closed", limit: "the last chunk", aim: sendsAndEnds(statusOK+"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false), reason: HTTPTruncated},
		{name: "half an answer, then silence", limit: "timeout", aim: sends(statusOK + "Content-Length: 100\r\n\r\nhalf"), waits: true, reason: HTTPTimeout},

		{name: "redirect loop", limit: "redirects", aim: redirectsTo("/again"), reason: HTTPRedirect},
		{name: "redirects of growing length", limit: "8 KiB an address", aim: redirectsTo("/%d" + strings.Repeat("/growing", 20_000)), reason: HTTPRedirect},
		{name: "redirect with an endless body", limit: "64 KiB of a redirect's body", aim: sendsForever("HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n", strings.Repeat("endless ", 512)), reason: HTTPRedirect},
		{name: "cookies with every redirect", limit: "256 KiB of header, redirects", aim: hoarding, reason: HTTPRedirect},
	})
}

// keepingBody has the body of the answer kept, for an expectation.
func keepingBody(aim func(*testing.T) Options) func(*testing.T) Options {
	return func(t *testing.T) Options {
		h := aim(t).(*HTTP)
		h.Expect.BodyContains = []string{"nowhere to be found"}
		return h
	}
}

// sendsAndEnds is a target that answers with text and closes the connection, or resets
// it.
func sendsAndEnds(text string, reset bool) func(*testing.T) Options {
	return func(t *testing.T) Options {
		return httpAt(uponRequest(t, func(conn net.Conn, _ *http.Request) {
			io.WriteString(conn, text)
			endConn(conn, reset)
		}))
	}
}

// endConn ends a connection as a server does that has finished or that has died.
func endConn(conn net.Conn, reset bool) {
	if inner, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = inner.NetConn()
	}
	if reset {
		time.Sleep(20 * time.Millisecond) // so that what was sent arrives before
		conn.(*net.TCPConn).SetLinger(0)
	}
	conn.Close()
}

// hoarding is a target that sets cookies of 200 KiB with every redirect, each
// under another name, to be sent back with the next.
func hoarding(t *testing.T) Options {
	var mu sync.Mutex
	n := 0
	return httpAt(uponRequest(t, func(conn net.Conn, _ *http.Request) {
		mu.Lock()
		n++
		answer := fmt.Sprintf("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: /%d\r\n", n)
		for i := range 50 {
			answer += fmt.Sprintf("Set-Cookie: c%d-%d=%s; Path=/\r\n", n, i, strings.Repeat("c", 4000))
		}
		mu.Unlock()
		io.WriteString(conn, answer+"\r\n")
	}))
}

// bombs are bodies that unpack to 64 MiB, by the coding that they are packed
// with. A coding that checks do not undo is not a bomb to them.
var bombs = []struct {
	coding string
	pack   func(io.Writer) io.WriteCloser
}{
	{"gzip", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }},
	{"deflate", func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }},
	{"br", func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }},
	{"zstd", func(w io.Writer) io.WriteCloser {
		e, err := zstd.NewWriter(w, zstd.WithWindowSize(8<<20)) // the largest that the web may use (RFC 9659)
		if err != nil {
			panic(err)
		}
		return e
	}},
}

// undone reports whether checks undo a coding: they do if the text is found
// that is in it, so often that it cannot stand there as it is.
func undone(t *testing.T, coding string, pack func(io.Writer) io.WriteCloser) bool {
	t.Helper()
	var b bytes.Buffer
	w := pack(&b)
	text := strings.Repeat("Welcome ", 500)
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h := sends(statusOK + "Content-Encoding: " + coding + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", b.Len()) + b.String())(t).(*HTTP)
	h.Expect.BodyContains = []string{text}
	return run(t, h, 10*time.Second, loopback()).Status == Up
}

func TestHostilePacking(t *testing.T) {
	var rows []hostile
	for _, b := range bombs {
		if !undone(t, b.coding, b.pack) {
			t.Logf("%s is not undone", b.coding)
			continue
		}
		header := statusOK + "Content-Encoding: " + b.coding + "\r\n"
		bomb := packedZeros(t, b.pack, 64<<20)
		small := packedZeros(t, b.pack, 1000)
		whole := header + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(bomb)) + bomb
		if len(bomb) >= defaultMaxBody {
			t.Fatalf("the %s bomb is %d bytes, and would be stopped by its length alone", b.coding, len(bomb))
		}
		rows = append(rows,
			hostile{name: b.coding + " bomb", limit: "max_body, unpacked", aim: sends(whole), reason: HTTPTooLarge},
			hostile{name: b.coding + " bomb, kept", limit: "max_body, unpacked", aim: keepingBody(sends(whole)), reason: HTTPTooLarge},
			hostile{name: b.coding + " without an end", limit: "max_body, unpacked", aim: packsForever(header+"\r\n", b.pack), reason: HTTPTooLarge},
			hostile{name: b.coding + " in " + b.coding, limit: "max_body, unpacked", aim: nested(header, b.pack, bomb), status: Up, or: HTTPTooLarge},
			hostile{name: b.coding + " cut in half", limit: "the packing's own end", aim: sendsAndEnds(header+"\r\n"+small[:len(small)/2], false), reason: HTTPTruncated},
			hostile{name: b.coding + " of rubbish", limit: "the packing's form", aim: sendsAndEnds(header+"\r\n"+strings.Repeat("rubbish ", 100), false), reason: HTTPProtocol},
		)
	}
	hold(t, rows)
}

// packsForever is a target whose packed body has no end.
func packsForever(header string, pack func(io.Writer) io.WriteCloser) func(*testing.T) Options {
	return func(t *testing.T) Options {
		return httpAt(uponRequest(t, func(conn net.Conn, _ *http.Request) {
			io.WriteString(conn, header)
			w, zeros := pack(conn), make([]byte, 64<<10)
			for {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		}))
	}
}

// nested is a target whose bomb is packed twice, and says so.
func nested(header string, pack func(io.Writer) io.WriteCloser, bomb string) func(*testing.T) Options {
	return func(t *testing.T) Options {
		var b bytes.Buffer
		w := pack(&b)
		io.WriteString(w, bomb)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		coding := strings.TrimSuffix(header[strings.LastIndexByte(header, ' ')+1:], "\r\n")
		return sends(fmt.Sprintf("%sContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", header, coding, b.Len(), b.String()))(t)
	}
}

// packedZeros packs size bytes that are all the same.
func packedZeros(t testing.TB, pack func(io.Writer) io.WriteCloser, size int) string {
	t.Helper()
	var b bytes.Buffer
	w := pack(&b)
	zeros := make([]byte, 64<<10)
	for left := size; left > 0; left -= len(zeros) {
		if _, err := w.Write(zeros[:min(left, len(zeros))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Where a redirect may lead, however it is written. Nothing but an answer of
// the forbidden server would be up.
func TestHostileRedirects(t *testing.T) {
	forbidden := opened(checkstest.NewHTTP())(t) // on 127.0.0.1, while only 127.0.0.2 is allowed
	_, port, _ := net.SplitHostPort(forbidden.Addr())
	names := hostileNames(t)
	for _, tt := range []struct {
		to     string // PORT is where the forbidden server listens
		reason Reason
	}{
		{"file:///etc/passwd", HTTPRedirect},
		{"FILE:///etc/passwd", HTTPRedirect},
		{"javascript:alert(1)", HTTPRedirect},
		{"gopher://127.0.0.1:PORT/_GET", HTTPRedirect},
		{"ftp://127.0.0.1:PORT/", HTTPRedirect},
		{"data:text/html,hello", HTTPRedirect},
		{"unix:///run/docker.sock", HTTPRedirect},
		{"http+unix://%2frun%2fdocker.sock/", HTTPRedirect},
		{"ws://127.0.0.1:PORT/", HTTPRedirect},
		{"http:127.0.0.1:PORT", HTTPRedirect},
		{"http:///127.0.0.1:PORT/", HTTPRedirect},
		{"http://", HTTPRedirect},
		{"http://:PORT/", HTTPRedirect},
		{"http://127.0.0.1:0/", HTTPRedirect},
		{"http://127.0.0.1:65536/", HTTPRedirect},
		{"http://127.0.0.1:-1/", HTTPRedirect},
		{"http://127.0.0.1:+PORT/", HTTPRedirect},
		{"http://127.0.0.1:99999999999999999999/", HTTPRedirect},
		{"http://127.0.0.1 :PORT/", HTTPRedirect},
		{"http://127.0.0.1\t:PORT/", HTTPRedirect},
		{`http://127.0.0.1\@example.com:PORT/`, HTTPRedirect},
		{"http://[::1", HTTPRedirect},
		{"http://127%2e0%2e0%2e1:PORT/", HTTPRedirect},

		{"http://127.0.0.1:PORT/", ProberBlocked},
		{"//127.0.0.1:PORT/", ProberBlocked},
		{"HTTP://127.0.0.1:PORT/", ProberBlocked},
		{"https://127.0.0.1:PORT/", ProberBlocked},
		{"http://169.254.169.254/latest/meta-data/", ProberBlocked},
		{"//169.254.169.254/", ProberBlocked},
		{"http://[::ffff:169.254.169.254]/", ProberBlocked},
		{"http://[::ffff:7f00:1]:PORT/", ProberBlocked},
		{"http://[::127.0.0.1]:PORT/", ProberBlocked},
		{"http://[::]:PORT/", ProberBlocked},
		{"http://[::1]:PORT/", ProberBlocked},
		{"http://[::1%25lo]:PORT/", ProberBlocked},
		{"http://[fe80::1%25eth0]:PORT/", ProberBlocked},
		{"http://[::ffff:127.0.0.1%25lo]:PORT/", ProberBlocked},
		{"http://[fd00:ec2::254]/", ProberBlocked},
		{"http://[64:ff9b::7f00:1]:PORT/", ProberBlocked},
		{"http://[2002:7f00:1::]:PORT/", ProberBlocked},
		{"http://[2001:0:7f00:1::80ff:fffe]:PORT/", ProberBlocked},
		{"http://0.0.0.0:PORT/", ProberBlocked},
		{"http://100.100.100.200/latest/meta-data/", ProberBlocked},
		{"http://192.0.0.192/opc/", ProberBlocked},
		{"http://public.example@127.0.0.1:PORT/", ProberBlocked},
		{"http://127.0.0.1:PORT@127.0.0.1:PORT/", ProberBlocked},
		{"http://public.example%2f@127.0.0.1:PORT/", ProberBlocked},
		{"http://127.0.0.1:PORT#@public.example/", ProberBlocked},
		{"http://127.0.0.1:PORT?@public.example/", ProberBlocked},
		{"http://localhost:PORT/", ProberBlocked},
		{"http://localhost.:PORT/", ProberBlocked},
		{"http://LOCALHOST:PORT/", ProberBlocked},
		{"http://home.test:PORT/", ProberBlocked},
		{"http://home.test.:PORT/", ProberBlocked},
		{"http://private.test:PORT/", ProberBlocked},
		{"http://metadata.test/", ProberBlocked},
		{"http://mapped.test:PORT/", ProberBlocked},
		{"http://half.test:PORT/", ProberBlocked},
		// Digits of other scripts are digits to IDNA.
		{"http://１２７.０.０.１:PORT/", ProberBlocked},
		{"http://①②⑦.⓪.⓪.①:PORT/", ProberBlocked},
		{"http://１２７。０。０。１:PORT/", ProberBlocked},
		{"http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/", ProberBlocked},
		// Other ways to write an IPv4 address are names to nobody: the last
		// label of a name is never a number.
		{"http://0x7f.1:PORT/", HTTPRedirect},
		{"http://0x7f000001:PORT/", HTTPRedirect},
		{"http://2130706433:PORT/", HTTPRedirect},
		{"http://017700000001:PORT/", HTTPRedirect},
		{"http://127.1:PORT/", HTTPRedirect},
		{"http://127.0.1:PORT/", HTTPRedirect},
		{"http://0177.0.0.1:PORT/", HTTPRedirect},
		{"http://127.0.0.01:PORT/", HTTPRedirect},
		{"http://127.0.0.1.:PORT/", HTTPRedirect},
		{"http://127.0.0.0x1:PORT/", HTTPRedirect},
		{"http://256.256.256.256/", HTTPRedirect},
		{"http://0:PORT/", HTTPRedirect},
		{"http://①②⑦.①:PORT/", HTTPRedirect},
	} {
		t.Run(tt.to, func(t *testing.T) {
			l := must(net.Listen("tcp", "127.0.0.2:0"))(t)
			server := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Location"] = []string{strings.ReplaceAll(tt.to, "PORT", port)}
				w.WriteHeader(http.StatusFound)
			})}
			go server.Serve(l)
			defer server.Close()
			env := allowing("127.0.0.2/32")
			env.nameServer = names
			r := run(t, httpAt("http://"+l.Addr().String()), 10*time.Second, env)
			wants(t, r, against(tt.reason, "").status, tt.reason)
			if forbidden.Connections() != 0 {
				t.Error("the forbidden server was reached")
			}
			// And as the check's own address it is refused when it is read, or
			// blocked when it runs.
			if u, err := url.Parse(strings.ReplaceAll(tt.to, "PORT", port)); err == nil && u.IsAbs() {
				own := httpAt(u.String())
				if len(own.Faults()) == 0 {
					r := run(t, own, 10*time.Second, env)
					wants(t, r, Unknown, ProberBlocked)
				}
			}
			if forbidden.Connections() != 0 {
				t.Error("the forbidden server was reached")
			}
		})
	}
}

// What is small as text and large as values costs no more than other bodies.
func TestHostileJSON(t *testing.T) {
	asked := func(body string) func(*testing.T) Options {
		return func(t *testing.T) Options {
			h := sends(statusOK + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body)(t).(*HTTP)
			h.Expect.JSON = map[string]JSONExpect{"$..status": equalsJSON(t, `"ok"`)}
			h.Expect.Expr = []Expression{expression(t, "json.status == 'ok'")}
			return h
		}
	}
	const most = 1_000_000 // below max_body
	fill := func(begin, item, end string) string {
		return begin + strings.Repeat(item+",", (most-len(begin)-len(end)-len(item))/(len(item)+1)) + item + end
	}
	hold(t, []hostile{
		{name: "lists in a list", limit: "the number of values", aim: asked(fill("[", "[]", "]")), reason: ContentMismatch},
		{name: "objects in a list", limit: "the number of values", aim: asked(fill("[", "{}", "]")), reason: ContentMismatch},
		{name: "digits in a list", limit: "the number of values", aim: asked(fill("[", "1", "]")), reason: ContentMismatch},
		{name: "objects of one key", limit: "the number of values", aim: asked(fill("[", `{"":0}`, "]")), reason: ContentMismatch},
		{name: "nested lists", limit: "the number of values", aim: asked(strings.Repeat("[", most)), reason: ContentMismatch},
	})
}
