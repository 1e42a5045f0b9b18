package checks

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/peer"
	"nines/internal/secret"
)

// started runs a program until the test's end, and returns when it accepts
// connections on addr.
func started(t *testing.T, addr, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(peer.Program(t, program), args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 200 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%s does not listen on %s", program, addr)
}

// proxyPeer is a real proxy with a password.
type proxyPeer struct {
	program string
	start   func(t *testing.T, addr string)
	url     string // with %s for the login and the address
}

var proxyPeers = []proxyPeer{
	{"tinyproxy", func(t *testing.T, addr string) {
		host, port, _ := net.SplitHostPort(addr)
		conf := filepath.Join(t.TempDir(), "tinyproxy.conf")
		text := fmt.Sprintf("Port %s\nListen %s\nTimeout 20\nLogLevel Critical\nMaxClients 10\nBasicAuth nines pr0xy\n", port, host)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		started(t, addr, "tinyproxy", "-d", "-c", conf)
	}, "http://%s%s"},
	{"microsocks", func(t *testing.T, addr string) {
		host, port, _ := net.SplitHostPort(addr)
		started(t, addr, "microsocks", "-i", host, "-p", port, "-u", "nines", "-P", "pr0xy")
	}, "socks5://%s%s"},
}

func TestProxyPeers(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	plain, secured := opened(checkstest.NewHTTP())(t), opened(checkstest.NewHTTPS(cert))(t)
	for _, p := range proxyPeers {
		t.Run(p.program, func(t *testing.T) {
			addr := freePort(t)
			p.start(t, addr)
			check := func(login, url string) *HTTP {
				h := httpAt(url)
				h.CA, h.Proxy = ca.PEM(), secret.New(fmt.Sprintf(p.url, login, addr))
				return h
			}
			for _, url := range []string{plain.URL(), secured.URL(), strings.Replace(secured.URL(), "127.0.0.1", "localhost", 1)} {
				wants(t, run(t, check("nines:pr0xy@", url), 10*time.Second, loopback()), Up, "")
			}
			wants(t, run(t, check("nines:wrong@", secured.URL()), 10*time.Second, loopback()), Unknown, ProberProxy)
			wants(t, run(t, check("", plain.URL()), 10*time.Second, loopback()), Unknown, ProberProxy)
			r := run(t, check("nines:pr0xy@", "https://"+freePort(t)), 10*time.Second, loopback())
			wants(t, r, Down, ConnectProxy)
		})
	}
}

const nginxConf = `daemon off; pid %[1]s/pid; error_log stderr; worker_processes 1;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  gzip on; gzip_min_length 1; gzip_types text/plain; default_type text/plain;
  ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
  server { listen %[2]s; location / { return 200 "Welcome to plain"; } }
  server { listen %[3]s http2; location / { return 200 "Welcome to h2c"; } }
  server { listen %[4]s ssl; location / { return 200 "Welcome to TLS"; } }
  server { listen %[5]s ssl http2; location / { return 200 "Welcome to h2"; } }
}`

func TestHTTPVersionPeer(t *testing.T) {
	peer.Program(t, "nginx")
	ca, cert := issue(t, checkstest.Leaf{})
	dir := t.TempDir()
	writePair(t, dir, cert, nil)
	addrs := []any{dir, freePort(t), freePort(t), freePort(t), freePort(t)}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, addrs...), 0o600); err != nil {
		t.Fatal(err)
	}
	started(t, addrs[4].(string), "nginx", "-p", dir, "-c", conf, "-e", "stderr")
	for _, tt := range []struct {
		scheme  string
		server  int
		version Protocol
		reason  Reason
		spoken  string
	}{
		{"http", 1, HTTPAny, "", "1.1"}, {"http", 1, HTTP11, "", "1.1"}, {"http", 1, HTTP2, HTTPVersion, ""},
		{"http", 2, HTTP2, "", "2"},
		{"https", 3, HTTPAny, "", "1.1"}, {"https", 3, HTTP11, "", "1.1"}, {"https", 3, HTTP2, HTTPVersion, ""}, {"https", 3, HTTP3, HTTPVersion, ""},
		{"https", 4, HTTPAny, "", "2"}, {"https", 4, HTTP11, "", "1.1"}, {"https", 4, HTTP2, "", "2"},
	} {
		h := httpAt(tt.scheme + "://" + addrs[tt.server].(string))
		h.CA, h.Version, h.Expect.BodyContains = ca.PEM(), tt.version, []string{"Welcome"}
		r := run(t, h, 10*time.Second, loopback())
		if r.Reason != tt.reason || tt.reason == "" && (r.Facts["http_version"] != tt.spoken || r.Facts["content_encoding"] != "gzip") {
			t.Errorf("server %d asked for %s: %s %s (%s), facts %v", tt.server, tt.version, r.Status, r.Reason, r.Detail, r.Facts)
		}
	}
}
