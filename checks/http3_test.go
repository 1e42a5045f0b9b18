package checks

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

// overQUIC returns a check that demands HTTP/3.
func overQUIC(ca *checkstest.CA, url string) *HTTP {
	h := httpAt(url)
	h.CA, h.Version = ca.PEM(), HTTP3
	return h
}

func TestHTTP3(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "Welcome %s %s %s %s", r.Proto, r.Host, r.Header.Get("Authorization"), body)
	})
	mux.HandleFunc("/start", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1", Path: "/"})
		http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/packed", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, zipped("Welcome HTTP/3.0 127.0.0.1 Bearer t0ken payload"))
	})
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusSeeOther)
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
	mux.HandleFunc("/short", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "less")
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 2<<20)) })
	mux.HandleFunc("/header", func(w http.ResponseWriter, r *http.Request) {
		for i := range 40 {
			w.Header().Set(fmt.Sprintf("X-Huge-%d", i), strings.Repeat("h", 8<<10))
		}
	})
	server := opened(checkstest.NewHTTP3(cert, mux))(t)
	for _, tt := range []struct {
		path   string
		status Status
		reason Reason
	}{
		{"/", Up, ""},
		{"/start", Up, ""},
		{"/packed", Up, ""},
		{"/plain", Down, HTTPVersion},
		{"/stall", Down, HTTPTimeout},
		{"/half", Down, HTTPTimeout},
		{"/abort", Down, HTTPReset},
		{"/cut", Down, HTTPReset},
		{"/short", Down, HTTPTruncated},
		{"/large", Down, HTTPTooLarge},
		{"/header", Down, HTTPTooLarge},
	} {
		t.Run(tt.path, func(t *testing.T) {
			h := overQUIC(ca, server.URL()+tt.path)
			h.Method, h.Body, h.Bearer = "POST", "payload", secret.New("t0ken")
			if tt.status == Up {
				h.Expect.BodyContains = []string{"Welcome HTTP/3.0 127.0.0.1", "Bearer t0ken payload"}
			}
			timeout := 10 * time.Second
			if tt.reason == HTTPTimeout {
				timeout = 500 * time.Millisecond
			}
			r := run(t, h, timeout, loopback())
			wants(t, r, tt.status, tt.reason)
			if tt.status == Up && (r.Facts["http_version"] != "3" || r.Facts["remote_ip"] != "127.0.0.1" || r.Facts["tls_version"] != "TLS 1.3") {
				t.Errorf("facts %v", r.Facts)
			}
			if _, has := r.Phases["connect"]; has || r.Phases["tls"] <= 0 {
				t.Errorf("phases %v", r.Phases)
			}
			sumsUp(t, r)
		})
	}
}

func TestHTTP3Certificates(t *testing.T) {
	ca := must(checkstest.NewCA())(t)
	for _, tt := range []struct {
		name   string
		leaf   checkstest.Leaf
		set    func(*HTTP)
		reason Reason
	}{
		{"expired", checkstest.ExpiringIn(-time.Hour), nil, TLSExpired},
		{"other name", checkstest.Leaf{Names: []string{"other.example.com"}}, nil, TLSWrongName},
		{"other name asked for", checkstest.Leaf{Names: []string{"other.example.com"}}, func(h *HTTP) { h.ServerName = "other.example.com" }, ""},
		{"self-signed", checkstest.Leaf{SelfSigned: true}, nil, TLSSelfSigned},
		{"insecure", checkstest.Leaf{SelfSigned: true}, func(h *HTTP) { h.Insecure = true }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			server := opened(checkstest.NewHTTP3(must(ca.Issue(tt.leaf))(t), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })))(t)
			h := overQUIC(ca, server.URL())
			if tt.set != nil {
				tt.set(h)
			}
			r := run(t, h, 10*time.Second, loopback())
			if r.Reason != tt.reason || r.Facts["cert_expires"] == nil {
				t.Errorf("%s %s (%s); facts %v", r.Status, r.Reason, r.Detail, r.Facts)
			}
			if tt.reason != "" && asked > 0 {
				t.Error("a server that is not trusted got the request")
			}
		})
	}
}

// What a server without HTTP/3 is called depends on what else it does.
func TestHTTP3NotThere(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	wants(t, run(t, overQUIC(ca, "https://"+freePort(t)), 10*time.Second, loopback()), Down, ConnectRefused)

	tcp := opened(checkstest.NewHTTPS(cert))(t)
	wants(t, run(t, overQUIC(ca, tcp.URL()), 10*time.Second, loopback()), Down, HTTPVersion)

	silent := opened(net.ListenPacket("udp", "127.0.0.1:0"))(t)
	r := run(t, overQUIC(ca, "https://"+silent.LocalAddr().String()), 400*time.Millisecond, loopback())
	wants(t, r, Down, ConnectTimeout)
	sumsUp(t, r)
	both := opened(net.ListenPacket("udp", tcp.Addr()))(t)
	r = run(t, overQUIC(ca, "https://"+both.LocalAddr().String()), 400*time.Millisecond, loopback())
	wants(t, r, Down, HTTPVersion)
	sumsUp(t, r)

	other := opened(quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"doq"}}, nil))(t)
	wants(t, run(t, overQUIC(ca, "https://"+other.Addr().String()), 10*time.Second, loopback()), Down, HTTPVersion)

	wants(t, run(t, overQUIC(ca, "https://10.0.0.1/"), 10*time.Second, loopback()), Unknown, ProberBlocked)
	away := loopback()
	away.SourceIP = addrPort("[::1]:0").Addr()
	wants(t, run(t, overQUIC(ca, tcp.URL()), 10*time.Second, away), Unknown, ProberNetwork)
}

// One of two addresses is silent; the other answers.
func TestHTTP3Races(t *testing.T) {
	ca := must(checkstest.NewCA())(t)
	cert := must(ca.Issue(checkstest.Leaf{Names: []string{"shop.test"}}))(t)
	silent := opened(net.ListenPacket("udp", "127.0.0.1:0"))(t)
	_, port, _ := net.SplitHostPort(silent.LocalAddr().String())
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h3"}}
	opened(checkstest.NewHTTP3At("127.0.0.2:"+port, config, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))(t)
	names := opened(checkstest.NewDNS("shop.test. 60 IN A 127.0.0.1", "shop.test. 60 IN A 127.0.0.2"))(t)
	env := loopback()
	env.nameServer = names.Addr()
	r := run(t, overQUIC(ca, "https://shop.test:"+port), 10*time.Second, env)
	wants(t, r, Up, "")
	if _, has := r.Phases["dns"]; !has || r.Facts["remote_ip"] != "127.0.0.2" {
		t.Errorf("phases %v, facts %v", r.Phases, r.Facts)
	}
	sumsUp(t, r)
}

// Nothing runs on after a run, however it ends, and nothing is printed.
func TestHTTP3LeavesNothing(t *testing.T) {
	var printed bytes.Buffer
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	ca, cert := issue(t, checkstest.Leaf{})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "Welcome") })
	mux.HandleFunc("/stall", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 2<<20)) })
	server := opened(checkstest.NewHTTP3(cert, mux))(t)
	silent := opened(net.ListenPacket("udp", "127.0.0.1:0"))(t)
	urls := []string{server.URL() + "/", server.URL() + "/large", server.URL() + "/stall", "https://" + silent.LocalAddr().String(), "https://" + freePort(t)}
	once := func() {
		for _, url := range urls {
			h := overQUIC(ca, url)
			h.Method, h.Body = "POST", strings.Repeat("x", 100_000)
			run(t, h, 200*time.Millisecond, loopback())
		}
	}
	once()
	before := runtime.NumGoroutine()
	for range 3 {
		once()
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before+2 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before+2 {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
	if printed.Len() > 0 {
		t.Errorf("printed %s", printed.String())
	}
}
