package checks

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nines/checks/checkstest"
)

// turncoat is a name server that gives every name another address each time it
// is asked for one: the first of its list, the second, and the last from then
// on. All of them live for no time at all.
type turncoat struct {
	addr string

	mu    sync.Mutex
	asked int // for addresses of IPv4
}

func newTurncoat(t testing.TB, addrs ...string) *turncoat {
	t.Helper()
	s := &turncoat{}
	s.addr = rawNameServer(t, func(send func([]byte), question []byte) {
		send(rightAnswer(question, func(reply *dns.Msg) {
			if reply.Question[0].Qtype != dns.TypeA {
				reply.Answer = nil
				return
			}
			s.mu.Lock()
			addr := addrs[min(s.asked, len(addrs)-1)]
			s.asked++
			s.mu.Unlock()
			a := reply.Answer[0].(*dns.A)
			a.A, a.Hdr.Ttl = net.ParseIP(addr), 0
		}))
	}, nil)
	return s
}

func (s *turncoat) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// rebound is the world of these tests: 127.0.0.2 is allowed, and a server on the
// same port of 127.0.0.1 must never hear of it.
type rebound struct {
	forbidden *checkstest.HTTP
	listener  net.Listener // on 127.0.0.2, the same port
	port      string
}

func rebind(t testing.TB) rebound {
	t.Helper()
	for range 20 {
		forbidden := must(checkstest.NewHTTP())(t)
		_, port, _ := net.SplitHostPort(forbidden.Addr())
		l, err := net.Listen("tcp", "127.0.0.2:"+port)
		if err != nil {
			forbidden.Close()
			continue
		}
		t.Cleanup(func() { forbidden.Close(); l.Close() })
		return rebound{forbidden, l, port}
	}
	t.Skip("no port is free on both addresses")
	return rebound{}
}

// A name that leads elsewhere the next time it is looked up gains nothing: what
// was admitted is what is dialled, and what is looked up again is admitted
// again.
func TestRebinding(t *testing.T) {
	const good, bad = "127.0.0.2", "127.0.0.1"
	once := func(t *testing.T, w http.ResponseWriter) {
		t.Helper()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	}
	for _, tt := range []struct {
		name      string
		addrs     []string // that the name has, one lookup after the other
		serve     func(t *testing.T, r rebound) http.HandlerFunc
		status    Status
		reason    Reason
		questions int
	}{
		{"the first request", []string{good, bad}, func(*testing.T, rebound) http.HandlerFunc { return page }, Up, "", 1},
		{"a redirect on one connection", []string{good, bad}, func(*testing.T, rebound) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					http.Redirect(w, r, "/end", http.StatusFound)
				}
			}
		}, Up, "", 1},
		{"a redirect on a new connection", []string{good, bad}, func(*testing.T, rebound) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Connection", "close")
				http.Redirect(w, r, "/end", http.StatusFound)
			}
		}, Unknown, ProberBlocked, 2},
		{"a redirect to another name", []string{good, bad}, func(_ *testing.T, r rebound) http.HandlerFunc {
			return func(w http.ResponseWriter, req *http.Request) {
				http.Redirect(w, req, "http://other.test:"+r.port+"/", http.StatusFound)
			}
		}, Unknown, ProberBlocked, 2},
		{"a kept connection that is gone", []string{good, bad}, func(t *testing.T, _ rebound) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					http.Redirect(w, r, "/end", http.StatusFound)
					return
				}
				once(t, w)
			}
		}, Unknown, ProberBlocked, 2},
		{"the second try", []string{good, bad}, func(t *testing.T, _ rebound) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { once(t, w) }
		}, Unknown, ProberBlocked, 2},
		{"the third lookup", []string{good, good, bad}, func(t *testing.T, r rebound) http.HandlerFunc {
			return func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Connection", "close")
				http.Redirect(w, req, fmt.Sprintf("http://%d.test:%s/", time.Now().UnixNano(), r.port), http.StatusFound)
			}
		}, Unknown, ProberBlocked, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := rebind(t)
			server := &http.Server{Handler: tt.serve(t, r), ErrorLog: quiet}
			go server.Serve(r.listener)
			defer server.Close()
			names := newTurncoat(t, tt.addrs...)
			env := allowing("127.0.0.2/32")
			env.nameServer = names.addr
			wants(t, run(t, httpAt("http://shop.test:"+r.port+"/"), 10*time.Second, env), tt.status, tt.reason)
			if got := names.questions(); got != tt.questions {
				t.Errorf("%d lookups, want %d", got, tt.questions)
			}
			if r.forbidden.Connections() != 0 {
				t.Error("the forbidden server was connected to")
			}
		})
	}
}

// From TLS to HTTP/2 the connection stays, and so does the address.
func TestRebindingHTTP2(t *testing.T) {
	r := rebind(t)
	ca := hostileAuthority(t).ca
	server := httptest.NewUnstartedServer(http.HandlerFunc(page))
	server.Listener.Close()
	server.Listener, server.EnableHTTP2 = r.listener, true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{must(ca.Issue(checkstest.Leaf{Names: []string{"shop.test"}}))(t)}}
	server.StartTLS()
	defer server.Close()
	names := newTurncoat(t, "127.0.0.2", "127.0.0.1")
	env := allowing("127.0.0.2/32")
	env.nameServer = names.addr
	got := run(t, trusting(t, httpAt("https://shop.test:"+r.port+"/")), 10*time.Second, env)
	wants(t, got, Up, "")
	if got.Facts["http_version"] != "2" || names.questions() != 1 || r.forbidden.Connections() != 0 {
		t.Errorf("%d lookups, facts %v", names.questions(), got.Facts)
	}
}
