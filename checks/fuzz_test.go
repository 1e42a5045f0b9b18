package checks

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// script is a server that answers every connection with the bytes that it was
// given last, and closes it.
type script struct {
	addr string

	mu   sync.Mutex
	text []byte
}

func newScript(f *testing.F) *script {
	s := &script{}
	s.addr = rawServer(f, func(conn net.Conn) {
		conn.Read(make([]byte, 4096))
		s.mu.Lock()
		text := s.text
		s.mu.Unlock()
		conn.Write(text)
		conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(time.Second))
		hangOn(conn)
	})
	return s
}

func (s *script) says(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = text
}

// sound holds a result against what every result promises.
func sound(t *testing.T, r Result) {
	t.Helper()
	r.Region, r.Prober = "here", "here"
	if err := r.Validate(); err != nil {
		t.Errorf("not a valid result: %v", err)
	}
	if (r.Reason == "") != (r.Status == Up) || r.Reason != "" && !r.Reason.Known() {
		t.Errorf("%s with reason %q", r.Status, r.Reason)
	}
	if r.Status == Down && r.Reason.Layer() == "prober" || r.Reason == ProberInternal {
		t.Errorf("%s %s: %s", r.Status, r.Reason, r.Detail)
	}
	var line bytes.Buffer
	if err := WriteRecord(&line, Record{Result: &r}); err != nil || line.Len() > MaxRecord {
		t.Errorf("a line of %d bytes (%v)", line.Len(), err)
	}
	for back, err := range ReadRecords(&line) {
		if err != nil || back.Result.Reason != r.Reason || back.Result.Detail != r.Detail {
			t.Errorf("read back as %+v (%v)", back.Result, err)
		}
	}
}

func FuzzHTTPAnswer(f *testing.F) {
	for _, text := range []string{
		statusOK + "Content-Length: 7\r\n\r\nWelcome",
		statusOK + "Transfer-Encoding: chunked\r\n\r\n7;a=b\r\nWelcome\r\n0\r\nX-Trailer: a\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + statusOK + "Connection: close\r\n\r\nWelcome",
		"HTTP/1.0 200\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: /again\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n",
		statusOK + "Content-Encoding: gzip\r\n\r\n" + zipped("Welcome"),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
		"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"220 mail ESMTP\r\n",
	} {
		f.Add([]byte(text), true)
	}
	server := newScript(f)
	f.Fuzz(func(t *testing.T, text []byte, keep bool) {
		server.says(text)
		h := httpAt("http://" + server.addr + "/")
		h.MaxBody, h.Redirects = 1000, 3
		if keep {
			h.Expect.BodyContains = []string{"Welcome"}
		}
		spec := Spec{Name: "fuzz", Every: time.Minute, Timeout: 5 * time.Second, Options: h}
		r := spec.Run(t.Context(), loopback(), time.Now())
		sound(t, r)
		if size, ok := r.Facts["body_bytes"].(int); ok && size > h.MaxBody+1 {
			t.Errorf("%d bytes were read", size)
		}
		if r.Status == Up && keep && !bytes.Contains(text, []byte("HTTP/1.")) {
			t.Errorf("%q is up", text)
		}
	})
}

// FuzzPackedBody reads bodies that say that they are packed. One that was
// packed by the usual library comes out as it went in.
func FuzzPackedBody(f *testing.F) {
	for _, b := range bombs {
		f.Add(b.coding, []byte(packedZeros(f, b.pack, 5000)))
		f.Add(b.coding+", "+b.coding, []byte(packedZeros(f, b.pack, 100)))
	}
	f.Add("gzip", []byte(zipped("Welcome")+zipped("again")))
	f.Add("identity", []byte("Welcome"))
	f.Add("x-gzip, , compress", []byte{0x1f, 0x8b})
	server := newScript(f)
	f.Fuzz(func(t *testing.T, coding string, body []byte) {
		if strings.ContainsAny(coding, "\r\n") || len(body) > 1<<16 {
			return
		}
		get := func(coding string, body []byte) Result {
			server.says(append(fmt.Appendf(nil, "%sContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n", statusOK, coding, len(body)), body...))
			h := httpAt("http://" + server.addr + "/")
			h.MaxBody = 10_000
			h.Expect.BodyLacks = []string{"\x00nowhere\x00"}
			return Spec{Name: "fuzz", Every: time.Minute, Timeout: 5 * time.Second, Options: h}.Run(t.Context(), loopback(), time.Now())
		}
		r := get(coding, body)
		sound(t, r)
		if size, ok := r.Facts["body_bytes"].(int); ok && size > 10_001 {
			t.Errorf("%d bytes were unpacked", size)
		}
		if len(body) < 10_000 && !bytes.Contains(body, []byte("\x00nowhere\x00")) {
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			w.Write(body)
			w.Close()
			if r := get("gzip", packed.Bytes()); r.Status != Up || r.Facts["body_bytes"] != len(body) {
				t.Errorf("%d bytes came back as %v: %s %s", len(body), r.Facts["body_bytes"], r.Reason, r.Detail)
			}
		}
	})
}

// FuzzLocation follows one redirect, on paper: wherever it leads, that is a
// place of the web, and if the guard admits it, it is public.
func FuzzLocation(f *testing.F) {
	for _, location := range []string{
		"/", "//other.example.com", "https://user:pw@shop.example.com:8443/x?y#z", "http://１２７.０.０.１/", "http://[::ffff:7f00:1%25lo]/",
		"http://0x7f.1/", "javascript:alert(1)", "file:///etc/passwd", "http:127.0.0.1", "http://①②⑦.⓪.⓪.①", "?q", "#f", "http://a:0/", "\\\\127.0.0.1\\x",
		"http://xn--/", "http://[fe80::1]/", "HTTP://LOCALHOST.", "http://127.0.0.1%00.example.com/", "https://example.com:443@127.0.0.1/",
	} {
		f.Add(location, 302)
	}
	base := must(url.Parse("https://shop.example.com/front"))(f)
	start := hop{method: "POST", url: base, place: must(placeOf(base))(f), header: http.Header{"Authorization": {"Bearer t0ken"}, "Accept-Language": {"pl"}}, body: "payload"}
	f.Fuzz(func(t *testing.T, location string, status int) {
		next, err := start.redirected(&http.Response{StatusCode: status, Header: http.Header{"Location": {location}}})
		if err != nil || next == nil {
			return
		}
		p := next.place
		if p.scheme != "http" && p.scheme != "https" || p.port == 0 || !validHost(p.host) || next.url.Scheme != p.scheme {
			t.Errorf("%q leads to %+v", location, p)
		}
		if next.url.User != nil {
			t.Errorf("%q chooses credentials", location)
		}
		if p != start.place && next.header.Get("Authorization") != "" {
			t.Errorf("%q gets our token", location)
		}
		for i := range len(p.host) {
			if c := p.host[i]; c >= 0x80 || c <= ' ' || strings.IndexByte("/@?#\\", c) >= 0 {
				t.Errorf("%q leads to host %q", location, p.host)
			}
		}
		addr, err := netip.ParseAddr(p.host)
		if err != nil && endsInNumber(p.host) {
			t.Errorf("%q leads to %q, which some would take for an address", location, p.host)
		}
		if err == nil && (&Env{}).admit(addr) == nil && !reachable(addr.WithZone("").Unmap(), blocksOf(ianaNotReachable)) {
			t.Errorf("%q leads to %v", location, addr)
		}
		// What goes over the wire names the same host.
		var wire bytes.Buffer
		request := &http.Request{Method: "GET", URL: next.url, Host: next.host, Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1}
		if err := request.Write(&wire); err == nil && bytes.Count(wire.Bytes(), []byte("\r\n\r\n")) != 1 {
			t.Errorf("%q makes the request %q", location, wire.Bytes())
		}
	})
}

// FuzzCertificate shakes hands with a server whose certificates have been
// changed, by edits of three bytes each: where, in two, and what is there then.
// Only the one that was issued is right, by every name that it has.
func FuzzCertificate(f *testing.F) {
	a := hostileAuthority(f)
	for _, name := range []string{"localhost", "127.0.0.1", "other.example.com"} {
		f.Add([]byte{}, []byte{}, false, name)
		f.Add([]byte{0, 200, 0xff}, []byte{1, 0, 0}, false, name)
		f.Add([]byte{}, []byte{}, true, name)
	}
	edited := func(der, edits []byte) []byte {
		der = bytes.Clone(der)
		for ; len(edits) >= 3; edits = edits[3:] {
			der[(int(edits[0])<<8|int(edits[1]))%len(der)] = edits[2]
		}
		return der
	}
	var mu sync.Mutex
	var shown tls.Certificate
	addr := rawServer(f, func(conn net.Conn) {
		mu.Lock()
		cert := shown
		mu.Unlock()
		if secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}); secured.Handshake() == nil {
			hangOn(secured)
		}
	})
	f.Fuzz(func(t *testing.T, edits, more []byte, swapped bool, name string) {
		if !validHost(name) {
			return
		}
		first, second := edited(a.cert.Certificate[0], edits), edited(a.cert.Certificate[1], more)
		if swapped {
			first, second = second, first
		}
		mu.Lock()
		shown = tls.Certificate{Certificate: [][]byte{first, second}, PrivateKey: a.cert.PrivateKey, Leaf: a.cert.Leaf}
		mu.Unlock()
		options := trustingTLS(t, addr)
		options.ServerName = name
		r := Spec{Name: "fuzz", Every: time.Minute, Timeout: 5 * time.Second, Options: options}.Run(t.Context(), loopback(), time.Now())
		sound(t, r)
		named := strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") || name == "127.0.0.1" || name == "::1"
		right := named && bytes.Equal(first, a.cert.Certificate[0])
		if works := r.Status == Up || r.Status == Degraded; works && !right {
			t.Errorf("a certificate that nobody issued for %q is right: %x", name, first)
		}
	})
}

// FuzzFrames has the guard of HTTP/2 look at anything, in any pieces: it lets
// through exactly what came, until it ends the connection, and never keeps
// count otherwise for the pieces.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff\x00\x00\x04\x08\x00\x00\x00\x00\x01\x7f\xff\xff\xff"), uint8(3))
	f.Add(bytes.Repeat([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x00pingping"), 1002), uint8(50))
	f.Fuzz(func(t *testing.T, text []byte, piece uint8) {
		read := func(size int) (string, error) {
			g := guardFrames(&pieces{reader: bytes.NewReader(text)}, 1000)
			g.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x01\x05\x00\x00\x00\x01"))
			var got bytes.Buffer
			buf := make([]byte, size)
			for {
				n, err := g.Read(buf)
				got.Write(buf[:n])
				if err != nil {
					return got.String(), err
				}
			}
		}
		small, smallErr := read(int(piece) + 1)
		large, largeErr := read(1 << 16)
		if !strings.HasPrefix(string(text), small) || !strings.HasPrefix(small, large) && !strings.HasPrefix(large, small) {
			t.Error("what came through is not what came")
		}
		if (smallErr == io.EOF) != (largeErr == io.EOF) {
			t.Errorf("in pieces %v, at once %v", smallErr, largeErr)
		}
	})
}

// pieces is a connection from which a reader can be read.
type pieces struct {
	net.Conn
	reader io.Reader
}

func (p *pieces) Read(b []byte) (int, error)  { return p.reader.Read(b) }
func (p *pieces) Write(b []byte) (int, error) { return len(b), nil }
