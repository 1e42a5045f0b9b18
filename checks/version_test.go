package checks

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
)

func TestProtocolReads(t *testing.T) {
	for _, tt := range []struct {
		json string
		want Protocol
	}{{`"any"`, HTTPAny}, {`"1.1"`, HTTP11}, {`1.1`, HTTP11}, {`2`, HTTP2}, {`"3"`, HTTP3}, {`4`, ""}, {`"1.0"`, ""}, {`""`, ""}, {`null`, ""}} {
		var p Protocol
		err := json.Unmarshal([]byte(tt.json), &p)
		if p != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s is %q, %v", tt.json, p, err)
		}
	}
	if text, _ := Protocol("").MarshalText(); string(text) != "any" {
		t.Errorf("none is written %s", text)
	}
}

// serveVersions starts a server that speaks these protocols.
func serveVersions(t *testing.T, tlsConfig *tls.Config, protocols func(*http.Protocols)) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "Welcome over %s%s", r.Proto, body)
	}))
	server.Config.Protocols, server.Config.ErrorLog = new(http.Protocols), log.New(io.Discard, "", 0)
	protocols(server.Config.Protocols)
	if tlsConfig != nil {
		server.TLS = tlsConfig
		server.EnableHTTP2 = server.Config.Protocols.HTTP2()
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

func TestHTTPVersionDemanded(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	config := func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	only1 := func(p *http.Protocols) { p.SetHTTP1(true) }
	both := func(p *http.Protocols) { p.SetHTTP1(true); p.SetHTTP2(true) }
	only2 := func(p *http.Protocols) { p.SetHTTP2(true) }
	clear2 := func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }
	servers := map[string]*httptest.Server{
		"https 1.1": serveVersions(t, config(), only1),
		"https":     serveVersions(t, config(), both),
		"https 2":   serveVersions(t, config(), only2),
		"http":      serveVersions(t, nil, only1),
		"h2c":       serveVersions(t, nil, clear2),
	}
	for _, tt := range []struct {
		server string
		asked  Protocol
		reason Reason
		spoken string
	}{
		{"https 1.1", HTTPAny, "", "1.1"}, {"https 1.1", HTTP11, "", "1.1"}, {"https 1.1", HTTP2, HTTPVersion, ""},
		{"https", HTTPAny, "", "2"}, {"https", HTTP11, "", "1.1"}, {"https", HTTP2, "", "2"},
		{"https 2", HTTPAny, "", "2"}, {"https 2", HTTP2, "", "2"},
		{"https 2", HTTP11, HTTPReset, ""}, // Go's server shakes hands and then closes
		{"http", HTTPAny, "", "1.1"}, {"http", HTTP11, "", "1.1"}, {"http", HTTP2, HTTPVersion, ""},
		{"h2c", HTTP2, "", "2"},
	} {
		t.Run(fmt.Sprintf("%s asked for %s", tt.server, tt.asked), func(t *testing.T) {
			h := httpAt(servers[tt.server].URL + "/")
			h.CA, h.Version, h.Method, h.Body = ca.PEM(), tt.asked, "POST", strings.Repeat("x", 50_000)
			h.Expect.BodyContains = []string{"Welcome over HTTP/" + tt.spoken, "xxx"}
			r := run(t, h, 10*time.Second, loopback())
			status := Up
			if tt.reason != "" {
				status = Down
			}
			wants(t, r, status, tt.reason)
			if status == Up && r.Facts["http_version"] != tt.spoken {
				t.Errorf("facts %v", r.Facts)
			}
			sumsUp(t, r)
		})
	}
}

// A server of HTTP/1.0 does not speak 1.1.
func TestHTTPVersionOld(t *testing.T) {
	l := opened(net.Listen("tcp", "127.0.0.1:0"))(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, "HTTP/1.0 200 OK\r\n\r\nWelcome")
			conn.Close()
		}
	}()
	h := httpAt("http://" + l.Addr().String())
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
	h = httpAt("http://" + l.Addr().String())
	h.Version = HTTP11
	wants(t, run(t, h, 10*time.Second, loopback()), Down, HTTPVersion)
}

// A server that closes on the preface of HTTP/2, or resets, has not answered.
func TestHTTPVersionNoAnswer(t *testing.T) {
	server := opened(checkstest.NewTLS(tls.Certificate{}))(t)
	server.SetFault(checkstest.TLSClose)
	h := httpAt("http://" + server.Addr())
	h.Version = HTTP2
	wants(t, run(t, h, 10*time.Second, loopback()), Down, HTTPReset)
	server.SetFault(checkstest.TLSStall)
	wants(t, run(t, h, 300*time.Millisecond, loopback()), Down, HTTPTimeout)
}

// h2c goes through a proxy in a tunnel.
func TestHTTP2ThroughProxy(t *testing.T) {
	server := serveVersions(t, nil, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	p := opened(checkstest.NewProxy())(t)
	h := through(p, "", server.URL)
	h.Version = HTTP2
	r := run(t, h, 10*time.Second, loopback())
	wants(t, r, Up, "")
	if asked, _ := p.Asked(); len(asked) != 1 || !strings.HasPrefix(asked[0], "CONNECT ") || r.Facts["http_version"] != "2" {
		t.Errorf("the proxy was asked for %q; facts %v", asked, r.Facts)
	}
}

func TestHTTPVersionFaults(t *testing.T) {
	for _, tt := range []struct {
		url     string
		version Protocol
		path    string
	}{
		{"https://example.com/", HTTP3, ""}, {"http://example.com/", HTTP2, ""}, {"https://example.com/", "", ""},
		{"http://example.com/", HTTP3, "http_version"}, {"https://example.com/", "1.0", "http_version"},
	} {
		h := httpAt(tt.url)
		h.Version = tt.version
		oneFault(t, tt.url+" "+string(tt.version), h.Faults(), tt.path)
	}
	for version, path := range map[Protocol]string{HTTP2: "http_version", HTTP3: "", HTTP11: ""} {
		b := slowly("https://example.com/", pt(t, "4g"))
		b.Version = version
		oneFault(t, "bandwidth "+string(version), b.Faults(), path)
	}
}
