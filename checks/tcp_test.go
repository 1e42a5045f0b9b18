package checks

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/secret"
)

func tcpAt(address string) *TCP {
	c := newTCP()
	c.Address = address
	return c
}

func TestTCP(t *testing.T) {
	for _, tt := range []struct {
		name    string
		script  string // what the server does: see checkstest.TCP
		set     func(*TCP)
		timeout time.Duration
		status  Status
		reason  Reason
		says    string
	}{
		{name: "connects", script: "wait", status: Up},
		{name: "closes at once, and nothing was wanted", script: "close", status: Up},
		{name: "banner", script: "say 220 ready\r\n;wait", set: func(c *TCP) { c.Expect.Contains = []string{"220 "} }, status: Up},
		{name: "banner, matched", script: "say 220 ready\r\n;wait", set: func(c *TCP) { c.Expect.Matches = []Pattern{pattern(t, "^220[ -]")} }, status: Up},
		{name: "banner in parts", script: "say 22;pause;say 0 rea;pause;say dy;wait", set: func(c *TCP) { c.Expect.Contains = []string{"220 ready"} }, status: Up},
		{name: "another banner", script: "say 554 no\r\n;wait", set: func(c *TCP) { c.Expect.Contains = []string{"220 "} }, timeout: 300 * time.Millisecond, status: Down, reason: ContentMismatch, says: "within the time"},
		{name: "another banner, closed", script: "say 554 no\r\n;close", set: func(c *TCP) { c.Expect.Contains = []string{"220 "} }, status: Down, reason: ContentMismatch, says: "until the connection was closed"},
		{name: "not matched, closed", script: "say 554 no\r\n;close", set: func(c *TCP) { c.Expect.Matches = []Pattern{pattern(t, "^220")} }, status: Down, reason: ContentMismatch, says: "does not match ^220"},
		{name: "met, then closed", script: "say 220 ready;close", set: func(c *TCP) { c.Expect.Contains = []string{"220 "} }, status: Up},
		{name: "silent", script: "wait", set: func(c *TCP) { c.Expect.Contains = []string{"x"} }, timeout: 300 * time.Millisecond, status: Down, reason: ContentTimeout},
		{name: "closed without an answer", script: "close", set: func(c *TCP) { c.Expect.Contains = []string{"x"} }, status: Down, reason: ConnectReset, says: "closed without an answer"},
		{name: "reset instead of an answer", script: "hear PING\r\n;reset", set: func(c *TCP) { c.Send, c.Expect.Contains = secret.New("PING\r\n"), []string{"x"} }, status: Down, reason: ConnectReset},
		{name: "question and answer", script: "hear PING\r\n;say +PONG\r\n;wait", set: func(c *TCP) { c.Send, c.Expect.Contains = secret.New("PING\r\n"), []string{"+PONG"} }, status: Up},
		{name: "question in hexadecimal", script: "hear \x00\n;say \x01;wait", set: func(c *TCP) { c.SendHex, c.Expect.Contains = "00 0A", []string{"\x01"} }, status: Up},
		{name: "endless", script: "flood x", set: func(c *TCP) { c.Expect.Contains = []string{"y"} }, status: Down, reason: ContentMismatch, says: "65536 bytes at first"},
		{name: "slow", script: "pause;say 220;wait", set: func(c *TCP) { c.Expect.Contains, c.Expect.Within = []string{"220"}, time.Millisecond }, status: Degraded, reason: SlowTotal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := opened(checkstest.NewTCP(tt.script))(t)
			c := tcpAt(server.Addr())
			if tt.set != nil {
				tt.set(c)
			}
			if tt.timeout == 0 {
				tt.timeout = 10 * time.Second
			}
			r := run(t, c, tt.timeout, loopback())
			wants(t, r, tt.status, tt.reason)
			if !strings.Contains(r.Detail, tt.says) {
				t.Error(r.Detail)
			}
			sumsUp(t, r)
		})
	}
	wants(t, run(t, tcpAt(freePort(t)), 10*time.Second, loopback()), Down, ConnectRefused)
	wants(t, run(t, tcpAt(fullBacklog(t)), 300*time.Millisecond, loopback()), Down, ConnectTimeout)
	wants(t, run(t, tcpAt("10.0.0.1:80"), 10*time.Second, loopback()), Unknown, ProberBlocked)
}

func TestTCPOverTLS(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	server := opened(checkstest.NewTLS(cert))(t)
	c := tcpAt(server.Addr())
	c.CA, c.TLS, c.Expect.ValidFor = ca.PEM(), true, span(24*time.Hour)
	r := run(t, c, 10*time.Second, loopback())
	wants(t, r, Up, "")
	if r.Facts["cert_expires"] == nil || r.Phases["tls"] == 0 {
		t.Errorf("facts %v, phases %v", r.Facts, r.Phases)
	}
	c.Expect.ValidFor = span(365 * 24 * time.Hour)
	wants(t, run(t, c, 10*time.Second, loopback()), Down, TLSExpiresSoon)
	other := tcpAt(server.Addr())
	other.TLS, other.CA = true, must(checkstest.NewCA())(t).PEM()
	wants(t, run(t, other, 10*time.Second, loopback()), Down, TLSUntrusted)
	other = tcpAt(server.Addr()) // nothing is said over TLS
	other.TLS, other.CA, other.Expect.Contains = true, ca.PEM(), []string{"x"}
	wants(t, run(t, other, 300*time.Millisecond, loopback()), Down, ContentTimeout)
	server.Tune(demanding(ca, 0, tls.RequireAndVerifyClientCert))
	wants(t, run(t, other, 10*time.Second, loopback()), Down, TLSHandshake)

	mail := opened(checkstest.NewStartTLS("smtp", cert))(t)
	c = tcpAt(mail.Addr())
	c.CA, c.StartTLS = ca.PEM(), "smtp"
	wants(t, run(t, c, 10*time.Second, loopback()), Up, "")
	mail.SetFault(checkstest.StartTLSLack)
	wants(t, run(t, c, 10*time.Second, loopback()), Down, TLSStartTLS)
}

func TestTCPToEveryAddress(t *testing.T) {
	server := opened(checkstest.NewTCP("say 220;wait"))(t)
	_, port, _ := net.SplitHostPort(server.Addr())
	c := tcpAt("several.test:" + port)
	c.IP, c.Expect.Contains = "each", []string{"220"}
	env := several(t, "127.0.0.1", "127.0.0.2")
	wants(t, run(t, c, 10*time.Second, env), Degraded, ConnectPartial)
	c.Expect.AllAddresses = true
	wants(t, run(t, c, 10*time.Second, env), Down, ConnectPartial)
	wants(t, run(t, c, 10*time.Second, several(t, "127.0.0.1")), Up, "")
}

func TestTCPFaultsOfOptions(t *testing.T) {
	good := func() *TCP { return tcpAt("redis.example.com:6379") }
	for _, tt := range []struct {
		name, path string
		set        func(*TCP)
	}{
		{"good", "", func(*TCP) {}},
		{"STARTTLS has a port", "", func(c *TCP) { c.Address, c.StartTLS = "mail.example.com", "smtp" }},
		{"no port", "address", func(c *TCP) { c.Address = "redis.example.com" }},
		{"no host", "address", func(c *TCP) { c.Address = ":6379" }},
		{"family", "ip", func(c *TCP) { c.IP = "5" }},
		{"protocol", "starttls", func(c *TCP) { c.StartTLS = "xmpp" }},
		{"both", "send_hex", func(c *TCP) { c.Send, c.SendHex = secret.New("a"), "00" }},
		{"not hexadecimal", "send_hex", func(c *TCP) { c.SendHex = "0x00" }},
		{"half a byte", "send_hex", func(c *TCP) { c.SendHex = "000" }},
		{"too much", "send", func(c *TCP) { c.Send = secret.New(strings.Repeat("a", maxSend+1)) }},
		{"empty text", "expect.contains[0]", func(c *TCP) { c.Expect.Contains = []string{""} }},
		{"empty pattern", "expect.matches[0]", func(c *TCP) { c.Expect.Matches = []Pattern{{}} }},
		{"no certificate", "expect.valid_for", func(c *TCP) { c.Expect.ValidFor = span(time.Hour) }},
		{"all of one", "expect.all_addresses", func(c *TCP) { c.Expect.AllAddresses = true }},
		{"negative", "expect.within", func(c *TCP) { c.Expect.Within = -1 }},
	} {
		c := good()
		tt.set(c)
		faults := c.Faults()
		if tt.path == "" && len(faults) != 0 || tt.path != "" && (len(faults) != 1 || faults[0].Path != tt.path) {
			t.Errorf("%s: %v", tt.name, faults)
		}
	}
	if c := good(); c.Target() != "redis.example.com" {
		t.Errorf("target %q", c.Target())
	}
}
