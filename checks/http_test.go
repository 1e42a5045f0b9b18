package checks

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

func TestHTTPUp(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	server.Set(checkstest.Behaviour{Body: "<h1>Welcome</h1>", Header: http.Header{"X-Shop": {"open"}}, Delay: 20 * time.Millisecond})
	h := httpAt(server.URL() + "/front?x=1#part")
	h.Headers = map[string]secret.String{"Accept-Language": secret.New("pl"), "Host": secret.New("shop.example.com")}
	h.Expect = HTTPExpect{
		Status: []StatusRange{{200, 299}}, Headers: map[string]HeaderExpect{"x-shop": HeaderEquals("open")},
		BodyContains: []string{"Welcome"}, BodyLacks: []string{"error"}, BodyMatches: []Pattern{pattern(t, `<h\d>`)},
		Within: 9 * time.Second,
	}
	r := run(t, h, 10*time.Second, loopback())
	wants(t, r, Up, "")
	for name, want := range map[string]any{"http_status": 200, "http_version": "1.1", "body_bytes": 16, "remote_ip": "127.0.0.1"} {
		if r.Facts[name] != want {
			t.Errorf("%s is %v, want %v", name, r.Facts[name], want)
		}
	}
	got := server.Requests()[0]
	if got.Method != "GET" || got.Path != "/front" || got.Host != "shop.example.com" ||
		got.Header.Get("Accept-Language") != "pl" || got.Header.Get("User-Agent") != "nines" {
		t.Errorf("the server got %+v", got)
	}
	sumsUp(t, r)
	if _, has := r.Phases["dns"]; has || r.Phases["first_byte"] < 20 || r.Phases["transfer"] < 0 {
		t.Errorf("phases %v", r.Phases)
	}
}

// sumsUp checks that the phases add up to the time that the run took.
func sumsUp(t testing.TB, r Result) {
	t.Helper()
	sum := 0.0
	for _, ms := range r.Phases {
		sum += ms
	}
	if math.Abs(sum-r.TookMS) > 0.01 {
		t.Errorf("phases %v sum to %v, not to %v", r.Phases, sum, r.TookMS)
	}
}

func pattern(t testing.TB, text string) Pattern {
	t.Helper()
	var p Pattern
	if err := p.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHTTPExpectations(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	for _, tt := range []struct {
		name   string
		with   checkstest.Behaviour
		expect HTTPExpect
		status Status
		reason Reason
	}{
		{"500", checkstest.Behaviour{Status: 500}, HTTPExpect{}, Down, HTTPStatus},
		{"404 expected", checkstest.Behaviour{Status: 404}, HTTPExpect{Status: []StatusRange{{200, 299}, {404, 404}}}, Up, ""},
		{"200 not expected", checkstest.Behaviour{}, HTTPExpect{Status: []StatusRange{{404, 404}}}, Down, HTTPStatus},
		{"204", checkstest.Behaviour{Status: 204}, HTTPExpect{}, Up, ""},
		{"lacks text", checkstest.Behaviour{Body: "Sorry"}, HTTPExpect{BodyContains: []string{"Welcome"}}, Down, ContentMismatch},
		{"has text", checkstest.Behaviour{Body: "Sorry"}, HTTPExpect{BodyLacks: []string{"Sorry"}}, Down, ContentMismatch},
		{"no match", checkstest.Behaviour{Body: "order-"}, HTTPExpect{BodyMatches: []Pattern{pattern(t, `order-\d+`)}}, Down, ContentMismatch},
		{"no header", checkstest.Behaviour{}, HTTPExpect{Headers: map[string]HeaderExpect{"X-Shop": HeaderEquals("open")}}, Down, ContentMismatch},
		{"other header", checkstest.Behaviour{Header: http.Header{"X-Shop": {"shut"}}}, HTTPExpect{Headers: map[string]HeaderExpect{"X-Shop": HeaderEquals("open")}}, Down, ContentMismatch},
		{"one of two headers", checkstest.Behaviour{Header: http.Header{"X-Shop": {"shut", "open"}}}, HTTPExpect{Headers: map[string]HeaderExpect{"X-Shop": HeaderEquals("open")}}, Up, ""},
		{"slow", checkstest.Behaviour{Delay: 60 * time.Millisecond}, HTTPExpect{Within: 50 * time.Millisecond}, Degraded, SlowTotal},
		{"slow and wrong", checkstest.Behaviour{Delay: 60 * time.Millisecond, Status: 500}, HTTPExpect{Within: 50 * time.Millisecond}, Down, HTTPStatus},
		{"no TLS to expire", checkstest.Behaviour{}, HTTPExpect{ValidFor: span(time.Hour)}, Up, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.Set(tt.with)
			h := httpAt(server.URL())
			h.Expect = tt.expect
			wants(t, run(t, h, 10*time.Second, loopback()), tt.status, tt.reason)
		})
	}
}

func TestHTTPRequests(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	last := func() checkstest.Request {
		all := server.Requests()
		return all[len(all)-1]
	}
	h := httpAt(server.URL())
	h.Method, h.Body, h.Basic = "POST", `{"ping": true}`, Basic{"alice", secret.New("s3cret")}
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
	if got := last(); got.Method != "POST" || got.Body != h.Body || got.Header.Get("Authorization") != "Basic YWxpY2U6czNjcmV0" {
		t.Errorf("the server got %+v", got)
	}

	h = httpAt(server.URL())
	h.Bearer, h.Method = secret.New("t0ken"), "HEAD"
	server.Set(checkstest.Behaviour{Body: "not sent"})
	r := run(t, h, 10*time.Second, loopback())
	wants(t, r, Up, "")
	if got := last(); got.Method != "HEAD" || got.Header.Get("Authorization") != "Bearer t0ken" || r.Facts["body_bytes"] != 0 {
		t.Errorf("the server got %+v; facts %v", got, r.Facts)
	}

	h = httpAt(server.URL())
	h.Method, h.Body = "PUT", strings.Repeat("a large upload ", 40_000)
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
	if got := last(); got.Body != h.Body {
		t.Errorf("the server got %d bytes", len(got.Body))
	}
}

// An answer that comes before the upload is taken is an answer.
func TestHTTPEarlyAnswer(t *testing.T) {
	l := opened(net.Listen("tcp", "127.0.0.1:0"))(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
			time.AfterFunc(300*time.Millisecond, func() { conn.Close() })
		}
	}()
	h := httpAt("http://" + l.Addr().String())
	h.Method, h.Body = "POST", strings.Repeat("x", 8<<20)
	h.Expect.Status = []StatusRange{{413, 413}}
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
}

func TestHTTPFaults(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	for _, tt := range []struct {
		fault  checkstest.HTTPFault
		reason Reason
		waits  bool // until the timeout
		tries  int
	}{
		{checkstest.StallOnConnect, HTTPTimeout, true, 1},
		{checkstest.StallBeforeReply, HTTPTimeout, true, 1},
		{checkstest.StallInHeader, HTTPTimeout, true, 1},
		{checkstest.StallInBody, HTTPTimeout, true, 1},
		{checkstest.Drip, HTTPTimeout, true, 1},
		{checkstest.ResetOnConnect, HTTPReset, false, 2},
		{checkstest.ResetBeforeReply, HTTPReset, false, 2},
		{checkstest.ResetInHeader, HTTPReset, false, 2},
		{checkstest.ResetInBody, HTTPReset, false, 2},
		{checkstest.CloseBeforeReply, HTTPReset, false, 2},
		{checkstest.CloseInHeader, HTTPReset, false, 2},
		{checkstest.Truncate, HTTPTruncated, false, 2},
		{checkstest.EndlessBody, HTTPTooLarge, false, 2},
		{checkstest.EndlessHeader, HTTPTooLarge, false, 2},
		{checkstest.HugeHeader, HTTPTooLarge, false, 2},
		{checkstest.RedirectLoop, HTTPRedirect, false, 2},
		{checkstest.NotHTTP, HTTPProtocol, false, 2},
		{checkstest.Interim, HTTPProtocol, false, 2},
	} {
		t.Run(fmt.Sprintf("%d %s", tt.fault, tt.reason), func(t *testing.T) {
			server.Set(checkstest.Behaviour{Fault: tt.fault, Every: 20 * time.Millisecond})
			before := server.Connections()
			timeout := 10 * time.Second
			if tt.waits {
				timeout = 400 * time.Millisecond
			}
			r := run(t, httpAt(server.URL()), timeout, loopback())
			if tt.fault == checkstest.ResetOnConnect && r.Reason == ConnectReset {
				return // the reset was quicker than we were
			}
			wants(t, r, Down, tt.reason)
			if tt.waits && r.TookMS < 390 {
				t.Errorf("took %v ms", r.TookMS)
			}
			if got := server.Connections() - before; got != tt.tries {
				t.Errorf("%d connections, want %d", got, tt.tries)
			}
			first := Reason(fmt.Sprint(r.Facts["first_reason"]))
			if tt.tries == 2 && (r.Facts["tries"] != 2 || first != tt.reason && first != ConnectReset) {
				t.Errorf("facts %v", r.Facts)
			}
			sumsUp(t, r)
		})
	}
	server.Set(checkstest.Behaviour{})
	wants(t, run(t, httpAt(server.URL()), 10*time.Second, loopback()), Up, "")
}

func TestHTTPConnectFaults(t *testing.T) {
	wants(t, run(t, httpAt("http://"+freePort(t)), 10*time.Second, loopback()), Down, ConnectRefused)

	r := run(t, httpAt("http://"+fullBacklog(t)), 300*time.Millisecond, loopback())
	wants(t, r, Down, ConnectTimeout)
	if r.TookMS < 290 || r.Phases["connect"] < 290 {
		t.Errorf("took %v, phases %v", r.TookMS, r.Phases)
	}
}

func TestHTTPNameFaults(t *testing.T) {
	target := opened(checkstest.NewHTTP())(t)
	_, port, _ := net.SplitHostPort(target.Addr())
	server := opened(checkstest.NewDNS("shop.test. 60 IN A 127.0.0.1", "mail.test. 60 IN MX 10 shop.test."))(t)
	env := loopback()
	env.nameServer = server.Addr()

	r := run(t, httpAt("http://shop.test:"+port), 10*time.Second, env)
	wants(t, r, Up, "")
	sumsUp(t, r)
	if _, has := r.Phases["dns"]; !has {
		t.Errorf("phases %v", r.Phases)
	}
	wants(t, run(t, httpAt("http://nowhere.test:"+port), 10*time.Second, env), Down, DNSNXDomain)
	wants(t, run(t, httpAt("http://mail.test:"+port), 10*time.Second, env), Down, DNSNoAnswer)
	h := httpAt("http://shop.test:" + port)
	h.IP = "6"
	wants(t, run(t, h, 10*time.Second, env), Down, DNSNoAnswer)
	server.Set(checkstest.DNSServfail, 0)
	wants(t, run(t, httpAt("http://shop.test:"+port), 10*time.Second, env), Down, DNSServfail)
	server.Set(checkstest.DNSSilent, 0)
	wants(t, run(t, httpAt("http://shop.test:"+port), 300*time.Millisecond, env), Down, DNSTimeout)
}

func TestHTTPRedirects(t *testing.T) {
	first, other := opened(checkstest.NewHTTP())(t), opened(checkstest.NewHTTP())(t)
	to := func(status int, location string) checkstest.Behaviour {
		return checkstest.Behaviour{Status: status, Header: http.Header{"Location": {location}, "Set-Cookie": {"seen=1; Path=/"}}, Body: "moved"}
	}
	first.SetPath("/same", to(302, "/end"))
	first.SetPath("/other", to(301, other.URL()+"/end"))
	first.SetPath("/keep", to(308, "/end"))
	first.SetPath("/away", to(307, other.URL()+"/end"))
	first.SetPath("/file", to(302, "file:///etc/passwd"))
	first.SetPath("/user", to(302, strings.Replace(first.URL(), "//", "//eve:pw@", 1)+"/end"))
	first.SetPath("/metadata", to(302, "http://169.254.169.254/latest/"))
	first.SetPath("/private", to(302, "http://[::1]:1/"))
	first.SetPath("/nowhere", to(302, ""))
	first.SetPath("/garbled", to(302, "http://[::1"))
	first.SetPath("/a", to(302, "/b"))
	first.SetPath("/b", to(302, "/c"))
	first.SetPath("/c", to(302, "/end"))

	last := func(s *checkstest.HTTP) checkstest.Request {
		all := s.Requests()
		return all[len(all)-1]
	}
	login := func(path, method string) *HTTP {
		h := httpAt(first.URL() + path)
		h.Method, h.Bearer = method, secret.New("t0ken")
		h.Headers = map[string]secret.String{"X-Api-Key": secret.New("k3y"), "Cookie": secret.New("id=7"), "Accept-Language": secret.New("pl")}
		if method == "POST" {
			h.Body = "payload"
		}
		return h
	}

	// Within one origin everything goes along, and the connection is kept.
	before := first.Connections()
	r := run(t, login("/same", "GET"), 10*time.Second, loopback())
	wants(t, r, Up, "")
	if got := last(first); got.Path != "/end" || got.Header.Get("Authorization") != "Bearer t0ken" || got.Header.Get("Cookie") != "id=7; seen=1" {
		t.Errorf("the target got %+v", got)
	}
	if r.Facts["redirects"] != 1 || first.Connections() != before+1 {
		t.Errorf("facts %v, %d connections", r.Facts, first.Connections()-before)
	}
	sumsUp(t, r)

	// Another origin gets no credentials.
	wants(t, run(t, login("/other", "POST"), 10*time.Second, loopback()), Up, "")
	got := last(other)
	if got.Method != "GET" || got.Body != "" || got.Header.Get("Accept-Language") != "pl" {
		t.Errorf("the target got %+v", got)
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie"} {
		if got.Header.Get(name) != "" && got.Header.Get(name) != "seen=1" {
			t.Errorf("another origin got %s: %s", name, got.Header.Get(name))
		}
	}

	// 307 and 308 keep method and body.
	wants(t, run(t, login("/keep", "POST"), 10*time.Second, loopback()), Up, "")
	if got := last(first); got.Method != "POST" || got.Body != "payload" {
		t.Errorf("the target got %+v", got)
	}
	// But not to another origin, which gets no body.
	before = other.Connections()
	r = run(t, login("/away", "POST"), 10*time.Second, loopback())
	wants(t, r, Down, HTTPRedirect)
	if other.Connections() != before || !strings.Contains(r.Detail, "body") {
		t.Errorf("%d connections to another origin; %s", other.Connections()-before, r.Detail)
	}
	wants(t, run(t, login("/away", "DELETE"), 10*time.Second, loopback()), Up, "")
	if got := last(other); got.Method != "DELETE" || got.Header.Get("Authorization") != "" {
		t.Errorf("the target got %+v", got)
	}

	// A redirect cannot choose credentials.
	wants(t, run(t, httpAt(first.URL()+"/user"), 10*time.Second, loopback()), Up, "")
	if got := last(first); got.Header.Get("Authorization") != "" {
		t.Errorf("the target got %+v", got)
	}

	wants(t, run(t, httpAt(first.URL()+"/file"), 10*time.Second, loopback()), Down, HTTPRedirect)
	wants(t, run(t, httpAt(first.URL()+"/garbled"), 10*time.Second, loopback()), Down, HTTPRedirect)
	wants(t, run(t, httpAt(first.URL()+"/metadata"), 10*time.Second, loopback()), Unknown, ProberBlocked)
	wants(t, run(t, httpAt(first.URL()+"/private"), 10*time.Second, loopback()), Unknown, ProberBlocked)
	wants(t, run(t, httpAt(first.URL()+"/nowhere"), 10*time.Second, loopback()), Down, HTTPStatus)

	for _, tt := range []struct {
		most   int
		status Status
		reason Reason
	}{{0, Down, HTTPStatus}, {1, Down, HTTPRedirect}, {2, Down, HTTPRedirect}, {3, Up, ""}} {
		h := httpAt(first.URL() + "/a")
		h.Redirects = tt.most
		wants(t, run(t, h, 10*time.Second, loopback()), tt.status, tt.reason)
	}
	h := httpAt(first.URL() + "/garbled")
	h.Redirects, h.Expect.Status = 0, []StatusRange{{302, 302}}
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
}

// A server that closes the connection which it let stand after a redirect is
// asked again on a new one.
func TestHTTPRedirectConnectionGone(t *testing.T) {
	l := opened(net.Listen("tcp", "127.0.0.1:0"))(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			n, _ := conn.Read(buf)
			if bytes.HasPrefix(buf[:n], []byte("GET /start")) {
				io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n")
			} else {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			conn.Close()
		}
	}()
	r := run(t, httpAt("http://"+l.Addr().String()+"/start"), 10*time.Second, loopback())
	wants(t, r, Up, "")
	if r.Facts["tries"] != nil {
		t.Errorf("facts %v", r.Facts)
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func TestHTTPBodies(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	gzipHeader := http.Header{"Content-Encoding": {"gzip"}}
	chunked := http.Header{"Transfer-Encoding": {"chunked"}}
	for _, tt := range []struct {
		name   string
		with   checkstest.Behaviour
		limit  int
		reason Reason
		bytes  int
	}{
		{"plain", checkstest.Behaviour{Body: "Welcome"}, 100, "", 7},
		{"exactly the limit", checkstest.Behaviour{Body: "Welcome"}, 7, "", 7},
		{"over the limit", checkstest.Behaviour{Body: "Welcome"}, 6, HTTPTooLarge, 0},
		{"gzip", checkstest.Behaviour{Header: gzipHeader, Body: zipped("Welcome " + strings.Repeat("x", 5000))}, 10_000, "", 5008},
		{"gzip bomb", checkstest.Behaviour{Header: gzipHeader, Body: zipped("Welcome " + strings.Repeat("x", 5_000_000))}, 100_000, HTTPTooLarge, 100_001},
		{"not gzip", checkstest.Behaviour{Header: gzipHeader, Body: "Welcome in plain text"}, 1000, HTTPProtocol, 0},
		{"gzip cut short", checkstest.Behaviour{Header: gzipHeader, Body: zipped("Welcome, Welcome")[:20]}, 1000, HTTPTruncated, 0},
		{"chunked", checkstest.Behaviour{Header: chunked, Body: "7\r\nWelcome\r\n0\r\n\r\n"}, 100, "", 7},
		{"chunked, over the limit", checkstest.Behaviour{Header: chunked, Body: "7\r\nWelcome\r\n7\r\nWelcome\r\n0\r\n\r\n"}, 10, HTTPTooLarge, 11},
		{"chunks garbled", checkstest.Behaviour{Header: chunked, Body: "zz\r\nWelcome\r\n"}, 100, HTTPProtocol, 0},
		{"two lengths", checkstest.Behaviour{Header: http.Header{"Content-Length": {"7", "9"}}, Body: "Welcome"}, 100, HTTPProtocol, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.Set(tt.with)
			for _, keep := range []bool{true, false} {
				h := httpAt(server.URL())
				h.MaxBody = tt.limit
				if keep {
					h.Expect.BodyContains = []string{"Welcome"}
				}
				r := run(t, h, 10*time.Second, loopback())
				if r.Reason != tt.reason {
					t.Errorf("keep %v: %s %q (%s), want %q", keep, r.Status, r.Reason, r.Detail, tt.reason)
				}
				if tt.reason == "" && r.Facts["body_bytes"] != tt.bytes {
					t.Errorf("keep %v: %v bytes, want %d", keep, r.Facts["body_bytes"], tt.bytes)
				}
			}
		})
	}
}

func TestHTTPSCertificates(t *testing.T) {
	ca := must(checkstest.NewCA())(t)
	day := 24 * time.Hour
	for _, tt := range []struct {
		name     string
		leaf     checkstest.Leaf
		validFor time.Duration
		options  func(*HTTP)
		status   Status
		reason   Reason
	}{
		{name: "valid", status: Up},
		{name: "valid long enough", leaf: checkstest.ExpiringIn(20 * day), validFor: 14 * day, status: Up},
		{name: "not long enough", leaf: checkstest.ExpiringIn(10 * day), validFor: 14 * day, status: Down, reason: TLSExpiresSoon},
		{name: "expired", leaf: checkstest.ExpiringIn(-time.Hour), status: Down, reason: TLSExpired},
		{name: "not yet valid", leaf: checkstest.NotYetValid(), status: Down, reason: TLSNotYetValid},
		{name: "wrong name", leaf: checkstest.Leaf{Names: []string{"other.example.com"}}, status: Down, reason: TLSWrongName},
		{name: "self-signed", leaf: checkstest.Leaf{SelfSigned: true}, status: Down, reason: TLSSelfSigned},
		{name: "no intermediate", leaf: checkstest.Leaf{Bare: true}, status: Down, reason: TLSIncomplete},
		{name: "untrusted", options: func(h *HTTP) { h.CA = "" }, status: Down, reason: TLSUntrusted},
		{name: "untrusted, insecure", options: func(h *HTTP) { h.CA, h.Insecure = "", true }, status: Up},
		{name: "expired, insecure", leaf: checkstest.ExpiringIn(-time.Hour), options: func(h *HTTP) { h.Insecure = true }, status: Up},
		{name: "other name asked for", leaf: checkstest.Leaf{Names: []string{"other.example.com"}}, options: func(h *HTTP) { h.ServerName = "other.example.com" }, status: Up},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := opened(checkstest.NewHTTPS(must(ca.Issue(tt.leaf))(t)))(t)
			h := httpAt(server.URL())
			h.CA, h.Expect.ValidFor, h.Bearer = ca.PEM(), span(tt.validFor), secret.New("t0ken")
			if tt.options != nil {
				tt.options(h)
			}
			r := run(t, h, 10*time.Second, loopback())
			wants(t, r, tt.status, tt.reason)
			if r.Facts["cert_expires"] == nil || r.Facts["tls_version"] != "TLS 1.3" {
				t.Errorf("facts %v", r.Facts)
			}
			if tt.reason != "" && tt.reason != TLSExpiresSoon && len(server.Requests()) > 0 {
				t.Error("a server that is not trusted got the request")
			}
			sumsUp(t, r)
		})
	}
}

func TestHTTPSHandshakeFaults(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	server := opened(checkstest.NewTLS(cert))(t)
	for _, tt := range []struct {
		fault  checkstest.TLSFault
		reason Reason
	}{
		{checkstest.TLSStall, TLSTimeout},
		{checkstest.TLSReset, TLSHandshake},
		{checkstest.TLSClose, TLSHandshake},
		{checkstest.TLSPlain, TLSHandshake},
		{checkstest.TLSOld, TLSHandshake},
	} {
		server.SetFault(tt.fault)
		h := httpAt("https://" + server.Addr())
		h.CA = ca.PEM()
		timeout := 10 * time.Second
		if tt.reason == TLSTimeout {
			timeout = 300 * time.Millisecond
		}
		r := run(t, h, timeout, loopback())
		wants(t, r, Down, tt.reason)
		sumsUp(t, r)
	}
	plain := opened(checkstest.NewHTTP())(t)
	wants(t, run(t, httpAt("https://"+plain.Addr()), 10*time.Second, loopback()), Down, TLSHandshake)
}

func TestHTTP2(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "Welcome %s %s %s", r.Proto, r.Header.Get("Authorization"), body)
	})
	mux.HandleFunc("/start", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/stall", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/half", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 2<<20)) })
	mux.HandleFunc("/header", func(w http.ResponseWriter, r *http.Request) {
		for i := range 40 {
			w.Header().Set(fmt.Sprintf("X-Huge-%d", i), strings.Repeat("h", 8<<10))
		}
	})
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	defer server.Close()

	for _, tt := range []struct {
		path   string
		status Status
		reason Reason
	}{
		{"/", Up, ""},
		{"/start", Up, ""},
		{"/stall", Down, HTTPTimeout},
		{"/half", Down, HTTPTimeout},
		{"/abort", Down, HTTPReset},
		{"/cut", Down, HTTPReset},
		{"/large", Down, HTTPTooLarge},
		{"/header", Down, HTTPTooLarge},
	} {
		t.Run(tt.path, func(t *testing.T) {
			h := httpAt(server.URL + tt.path)
			h.CA, h.Method, h.Body, h.Bearer = ca.PEM(), "POST", "payload", secret.New("t0ken")
			if tt.status == Up {
				h.Expect.BodyContains = []string{"Welcome HTTP/2.0 Bearer t0ken payload"}
			}
			timeout := 10 * time.Second
			if tt.reason == HTTPTimeout {
				timeout = 500 * time.Millisecond
			}
			r := run(t, h, timeout, loopback())
			wants(t, r, tt.status, tt.reason)
			if tt.status == Up && r.Facts["http_version"] != "2" {
				t.Errorf("facts %v", r.Facts)
			}
			sumsUp(t, r)
		})
	}
}

func TestHTTPFaultsOfOptions(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*HTTP)
		path string // of the fault; empty: none
	}{
		{"plain", func(h *HTTP) {}, ""},
		{"no url", func(h *HTTP) { h.URL = "" }, "url"},
		{"relative", func(h *HTTP) { h.URL = "/index.html" }, "url"},
		{"scheme", func(h *HTTP) { h.URL = "ftp://example.com/" }, "url"},
		{"no host", func(h *HTTP) { h.URL = "https:///x" }, "url"},
		{"bad host", func(h *HTTP) { h.URL = "https://exa mple.com/" }, "url"},
		{"port", func(h *HTTP) { h.URL = "https://example.com:0/" }, "url"},
		{"user in url", func(h *HTTP) { h.URL = "https://u:p@example.com/" }, "url"},
		{"idn", func(h *HTTP) { h.URL = "https://żółw.example/" }, ""},
		{"ipv6", func(h *HTTP) { h.URL = "https://[2001:db8::1]:8443/" }, ""},
		{"method", func(h *HTTP) { h.Method = "get" }, "method"},
		{"connect", func(h *HTTP) { h.Method = "CONNECT" }, "method"},
		{"header name", func(h *HTTP) { h.Headers = map[string]secret.String{"X Y": secret.New("1")} }, "headers.X Y"},
		{"header value", func(h *HTTP) { h.Headers = map[string]secret.String{"X": secret.New("a\r\nB: c")} }, "headers.X"},
		{"host header", func(h *HTTP) { h.Headers = map[string]secret.String{"host": secret.New("a b")} }, "headers.host"},
		{"own header", func(h *HTTP) { h.Headers = map[string]secret.String{"content-length": secret.New("1")} }, "headers.content-length"},
		{"two logins", func(h *HTTP) { h.Basic.Username, h.Bearer = "a", secret.New("b") }, "bearer"},
		{"login twice", func(h *HTTP) {
			h.Bearer, h.Headers = secret.New("b"), map[string]secret.String{"authorization": secret.New("x")}
		}, "headers.Authorization"},
		{"bearer", func(h *HTTP) { h.Bearer = secret.New("a\nb") }, "bearer"},
		{"redirects", func(h *HTTP) { h.Redirects = 21 }, "redirects"},
		{"max_body", func(h *HTTP) { h.MaxBody = 17 << 20 }, "max_body"},
		{"no max_body", func(h *HTTP) { h.MaxBody = 0 }, "max_body"},
		{"ip", func(h *HTTP) { h.IP = "5" }, "ip"},
		{"ca", func(h *HTTP) { h.CA = "nonsense" }, "ca"},
		{"server_name", func(h *HTTP) { h.ServerName = "a b" }, "server_name"},
		{"status", func(h *HTTP) { h.Expect.Status = []StatusRange{{200, 299}, {}} }, "expect.status[1]"},
		{"contains nothing", func(h *HTTP) { h.Expect.BodyContains = []string{""} }, "expect.body_contains[0]"},
		{"within", func(h *HTTP) { h.Expect.Within = -time.Second }, "expect.within"},
	} {
		h := httpAt("https://example.com/")
		tt.set(h)
		faults := h.Faults()
		switch {
		case tt.path == "" && len(faults) > 0:
			t.Errorf("%s: %v", tt.name, faults)
		case tt.path != "" && (len(faults) != 1 || faults[0].Path != tt.path || faults[0].Message == ""):
			t.Errorf("%s: %v, want one at %s", tt.name, faults, tt.path)
		}
	}
	if got := httpAt("https://shop.example.com:8443/x").Target(); got != "shop.example.com" {
		t.Errorf("target %q", got)
	}
}

// No secret of the request turns up in the result.
func TestHTTPSecretsStaySecret(t *testing.T) {
	h := httpAt("http://" + freePort(t))
	h.Bearer = secret.New("t0ken")
	h.Headers = map[string]secret.String{"X-Api-Key": secret.New("k3y")}
	r := run(t, h, 10*time.Second, loopback())
	if text := fmt.Sprintf("%+v %+v", r, h.Faults()); strings.Contains(text, "t0ken") || strings.Contains(text, "k3y") {
		t.Errorf("the result has a secret in it: %s", text)
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 loopback")
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})}
	go server.Serve(l)
	defer server.Close()
	env := &Env{Allow: []netip.Prefix{netip.MustParsePrefix("::1/128")}}
	h := httpAt("http://" + l.Addr().String())
	wants(t, run(t, h, 10*time.Second, env), Up, "")
	h = httpAt("http://" + l.Addr().String())
	h.IP = "4"
	wants(t, run(t, h, 10*time.Second, env), Down, DNSNoAnswer)
}
