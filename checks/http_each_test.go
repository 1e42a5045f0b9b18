package checks

import (
	"net"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
)

// balanced starts n servers behind one name, and returns the environment that
// knows it, the name with its port, and the servers.
func balanced(t *testing.T, n int) (*Env, string, []*checkstest.HTTP) {
	names := opened(checkstest.NewDNS())(t)
	env := loopback()
	env.nameServer = names.Addr()
	first := opened(checkstest.NewHTTP())(t)
	_, port, _ := net.SplitHostPort(first.Addr())
	servers := []*checkstest.HTTP{first}
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
	for _, host := range hosts[1:n] {
		servers = append(servers, opened(checkstest.NewHTTPAt(net.JoinHostPort(host, port)))(t))
	}
	for _, host := range hosts[:n] {
		if err := names.Add("shop.test. 60 IN A " + host); err != nil {
			t.Fatal(err)
		}
	}
	return env, "shop.test:" + port, servers
}

func TestHTTPEach(t *testing.T) {
	env, name, servers := balanced(t, 3)
	check := func() *HTTP {
		h := httpAt("http://" + name + "/healthz")
		h.IP = "each"
		return h
	}
	r := run(t, check(), 10*time.Second, env)
	wants(t, r, Up, "")
	sumsUp(t, r)
	for _, server := range servers {
		if got := server.Requests(); len(got) != 1 || got[0].Host != name || got[0].Path != "/healthz" {
			t.Errorf("%s got %+v", server.Addr(), got)
		}
	}
	if lines, _ := r.Facts["addresses"].([]string); len(lines) != 3 {
		t.Errorf("facts %v", r.Facts)
	}

	// One bad backend is named, whatever the others do.
	servers[1].Set(checkstest.Behaviour{Status: 503})
	r = run(t, check(), 10*time.Second, env)
	wants(t, r, Degraded, ConnectPartial)
	if !strings.Contains(r.Detail, "127.0.0.2 (http.status)") || strings.Contains(r.Detail, "127.0.0.1 (") {
		t.Error(r.Detail)
	}
	all := check()
	all.Expect.AllAddresses = true
	wants(t, run(t, all, 10*time.Second, env), Down, ConnectPartial)

	// One that does not answer takes all the time, and no more.
	servers[1].Set(checkstest.Behaviour{Fault: checkstest.StallBeforeReply})
	r = run(t, check(), 400*time.Millisecond, env)
	wants(t, r, Degraded, ConnectPartial)
	sumsUp(t, r)
	if !strings.Contains(r.Detail, "127.0.0.2 (http.timeout)") {
		t.Error(r.Detail)
	}
	for _, server := range servers {
		server.Set(checkstest.Behaviour{Status: 500})
	}
	wants(t, run(t, check(), 10*time.Second, env), Down, HTTPStatus)

	// An address that may not be reached blocks all, as ever.
	strict := &Env{nameServer: env.nameServer, Allow: loopback().Allow[:0]}
	wants(t, run(t, check(), 10*time.Second, strict), Unknown, ProberBlocked)
}

// Redirects within the host stay with the address; those to others do not.
func TestHTTPEachRedirects(t *testing.T) {
	env, name, servers := balanced(t, 2)
	elsewhere := opened(checkstest.NewHTTP())(t)
	for _, server := range servers {
		server.SetPath("/own", checkstest.Behaviour{Status: 302, Header: map[string][]string{"Location": {"/end"}}})
		server.SetPath("/away", checkstest.Behaviour{Status: 302, Header: map[string][]string{"Location": {elsewhere.URL()}}})
	}
	for _, tt := range []struct{ path, last string }{{"/own", "/end"}, {"/away", "/away"}} {
		h := httpAt("http://" + name + tt.path)
		h.IP = "each"
		wants(t, run(t, h, 10*time.Second, env), Up, "")
		for _, server := range servers {
			if got := server.Requests(); got[len(got)-1].Path != tt.last {
				t.Errorf("%s: %s got %+v", tt.path, server.Addr(), got)
			}
		}
	}
	if got := len(elsewhere.Requests()); got != 2 {
		t.Errorf("%d requests elsewhere", got)
	}
}

// All addresses share one token.
func TestHTTPEachToken(t *testing.T) {
	env, name, servers := balanced(t, 3)
	tokens := opened(checkstest.NewTokens())(t)
	h := withTokens("http://"+name, tokens)
	h.IP = "each"
	for _, server := range servers {
		tokenTaker(server, "token-1")
	}
	wants(t, run(t, h, 10*time.Second, env), Up, "")
	for _, server := range servers {
		tokenTaker(server, "token-2")
	}
	wants(t, run(t, h, 10*time.Second, env), Up, "")
	if got := len(tokens.Requests()); got != 2 {
		t.Errorf("asked for %d tokens", got)
	}
}

func TestHTTPEachFaults(t *testing.T) {
	h := httpAt("https://example.com/")
	h.Expect.AllAddresses = true
	oneFault(t, "all addresses of any", h.Faults(), "expect.all_addresses")
	h.IP = "each"
	oneFault(t, "all addresses of each", h.Faults(), "")
	b := slowly("https://example.com/", pt(t, "4g"))
	b.IP, b.Expect.AllAddresses = "each", true
	oneFault(t, "bandwidth", b.Faults(), "ip")
}
