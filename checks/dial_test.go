package checks

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
)

func TestResolve(t *testing.T) {
	server := opened(checkstest.NewDNS(
		"both.test. 60 IN A 127.0.0.1",
		"both.test. 60 IN AAAA ::1",
		"four.test. 60 IN A 127.0.0.1",
		"mail.test. 60 IN MX 10 four.test.",
		"alias.test. 60 IN CNAME four.test.",
	))(t)
	env := &Env{nameServer: server.Addr()}
	for _, tt := range []struct {
		host, family string
		fault        checkstest.DNSFault
		want         string // addresses, or a reason
	}{
		{host: "four.test", family: "any", want: "127.0.0.1"},
		{host: "FOUR.test.", family: "any", want: "127.0.0.1"},
		{host: "alias.test", family: "4", want: "127.0.0.1"},
		{host: "both.test", family: "4", want: "127.0.0.1"},
		{host: "both.test", family: "6", want: "::1"},
		{host: "both.test", family: "any", want: "127.0.0.1 ::1"},
		{host: "127.0.0.9", family: "any", want: "127.0.0.9"},
		{host: "::1", family: "6", want: "::1"},
		{host: "::1", family: "4", want: "dns.no_answer"},
		{host: "four.test", family: "6", want: "dns.no_answer"},
		{host: "localhost", family: "4", want: "127.0.0.1"},
		{host: "mail.test", family: "any", want: "dns.no_answer"},
		{host: "nowhere.test", family: "any", want: "dns.nxdomain"},
		{host: "four.test", family: "any", fault: checkstest.DNSServfail, want: "dns.servfail"},
		{host: "four.test", family: "any", fault: checkstest.DNSRefused, want: "dns.refused"},
		{host: "four.test", family: "any", fault: checkstest.DNSSilent, want: "dns.timeout"},
		{host: "four.test", family: "any", fault: checkstest.DNSWrongID, want: "dns.timeout"},
		{host: "four.test", family: "any", fault: checkstest.DNSTruncate, want: "127.0.0.1"},
	} {
		server.Set(tt.fault, 0)
		patience := 10 * time.Second
		if tt.want == string(DNSTimeout) {
			patience = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		addrs, err := env.resolve(ctx, tt.family, tt.host)
		cancel()
		got := ""
		if err != nil {
			got = string(classify(stageDNS, err).reason)
		} else {
			texts := make([]string, len(addrs))
			for i, a := range addrs {
				texts[i] = a.String()
			}
			slices.Sort(texts)
			got = strings.Join(texts, " ")
		}
		if got != tt.want {
			t.Errorf("%s (%s, fault %d): %s, want %s (%v)", tt.host, tt.family, tt.fault, got, tt.want, err)
		}
	}
}

// A machine whose own name server cannot be reached blames nobody else.
func TestResolveWithoutNameServer(t *testing.T) {
	env := &Env{nameServer: freePort(t)}
	_, err := env.resolve(t.Context(), "any", "shop.example.com")
	if f := classify(stageDNS, err); f.status != Unknown || f.reason != ProberNetwork {
		t.Errorf("got %+v from %v", f, err)
	}
}

// One private address among a name's public ones blocks all, before anything
// is sent to any.
func TestEveryAddressIsChecked(t *testing.T) {
	target := opened(checkstest.NewHTTP())(t)
	_, port, _ := net.SplitHostPort(target.Addr())
	server := opened(checkstest.NewDNS("mixed.test. 60 IN A 127.0.0.1", "mixed.test. 60 IN A 10.0.0.1"))(t)
	env := loopback()
	env.nameServer = server.Addr()
	r := run(t, httpAt("http://mixed.test:"+port+"/"), 10*time.Second, env)
	wants(t, r, Unknown, ProberBlocked)
	if target.Connections() != 0 {
		t.Error("the allowed address was connected to")
	}
	if !strings.Contains(r.Detail, "10.0.0.1") || !strings.Contains(r.Detail, "private") {
		t.Errorf("detail %q does not say what is blocked", r.Detail)
	}
}

func TestNothingPrivateIsReached(t *testing.T) {
	target := opened(checkstest.NewHTTP())(t)
	zone := opened(checkstest.NewDNS("example.test. 60 IN A 192.0.2.1"))(t)
	for name, options := range map[string]Options{
		"http":      httpAt(target.URL()),
		"localhost": httpAt(strings.Replace(target.URL(), "127.0.0.1", "localhost", 1)),
		"mapped":    httpAt(strings.Replace(target.URL(), "127.0.0.1", "[::ffff:127.0.0.1]", 1)),
		"tls":       &TLS{Address: target.Addr(), IP: "any"},
		"bandwidth": &Bandwidth{HTTPRequest: HTTPRequest{URL: target.URL(), Method: "GET", IP: "any", MaxBody: 1000}, Profile: profiles["fios"]},
		"dns":       dnsAt(zone.Addr(), "example.test", "A"),
		"dns tcp":   dnsOver("tcp", zone.Addr(), "example.test", "A"),
		"metadata":  httpAt("http://169.254.169.254/latest/meta-data/"),
	} {
		r := run(t, options, 10*time.Second, &Env{})
		if r.Status != Unknown || r.Reason != ProberBlocked {
			t.Errorf("%s: %s %s (%s)", name, r.Status, r.Reason, r.Detail)
		}
	}
	if target.Connections() != 0 || zone.Asked() != 0 {
		t.Error("something was sent")
	}
}

func TestSourceIP(t *testing.T) {
	target := opened(net.Listen("tcp", "127.0.0.1:0"))(t)
	from := make(chan string, 1)
	go func() {
		conn, err := target.Accept()
		if err != nil {
			return
		}
		from <- conn.RemoteAddr().(*net.TCPAddr).IP.String()
		conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		conn.Close()
	}()
	env := loopback()
	env.SourceIP = netip.MustParseAddr("127.0.0.2")
	wants(t, run(t, httpAt("http://"+target.Addr().String()), 10*time.Second, env), Up, "")
	if got := <-from; got != "127.0.0.2" {
		t.Errorf("came from %s", got)
	}

	env.SourceIP = netip.MustParseAddr("::1")
	wants(t, run(t, httpAt("http://"+target.Addr().String()), 10*time.Second, env), Unknown, ProberNetwork)

	env.SourceIP = netip.MustParseAddr("203.0.113.200") // not an address of this machine
	wants(t, run(t, httpAt("http://"+target.Addr().String()), 10*time.Second, env), Unknown, ProberNetwork)
}

// The next address is tried when one is silent or refuses.
func TestFallback(t *testing.T) {
	silent := fullBacklog(t)
	_, text, _ := net.SplitHostPort(silent)
	opened(net.Listen("tcp", "127.0.0.3:"+text))(t)
	port := netip.MustParseAddrPort(silent).Port()
	addrs := func(texts ...string) (addrs []netip.Addr) {
		for _, s := range texts {
			addrs = append(addrs, netip.MustParseAddr(s))
		}
		return addrs
	}
	env := loopback()
	for _, tt := range []struct {
		name     string
		addrs    []netip.Addr
		min, max time.Duration
		err      bool
	}{
		{"silent first", addrs("127.0.0.1", "127.0.0.3"), fallbackDelay, 3 * fallbackDelay, false},
		{"refusing first", addrs("127.0.0.4", "127.0.0.3"), 0, fallbackDelay, false},
		{"all refuse", addrs("127.0.0.4", "127.0.0.5", "127.0.0.6"), 0, fallbackDelay, true},
	} {
		start := time.Now()
		conn, err := env.connect(t.Context(), tt.addrs, port)
		if took := time.Since(start); took < tt.min || took > tt.max+time.Second {
			t.Errorf("%s: took %v", tt.name, took)
		}
		if (err != nil) != tt.err {
			t.Errorf("%s: %v", tt.name, err)
		}
		if conn != nil {
			if got := remoteIP(conn).String(); got != "127.0.0.3" {
				t.Errorf("%s: connected to %s", tt.name, got)
			}
			conn.Close()
		}
		if tt.err && classify(stageConnect, err).reason != ConnectRefused {
			t.Errorf("%s: %v", tt.name, err)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := env.connect(ctx, addrs("127.0.0.1", "127.0.0.1"), port); classify(stageConnect, err).reason != ConnectTimeout {
		t.Errorf("silent everywhere: %v", err)
	}
}

func TestAlternate(t *testing.T) {
	parse := func(texts ...string) (addrs []netip.Addr) {
		for _, s := range texts {
			addrs = append(addrs, netip.MustParseAddr(s))
		}
		return addrs
	}
	got := alternate(parse("2a00::1", "2a00::2", "2a00::3", "1.0.0.1", "1.0.0.2"))
	if want := parse("2a00::1", "1.0.0.1", "2a00::2", "1.0.0.2", "2a00::3"); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
