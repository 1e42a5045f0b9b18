package dnssec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nines/checks/dnssec"
	"nines/internal/peer"
)

// lab is zones signed by BIND's tools, served by a real name server.
type lab struct {
	t     testing.TB
	dir   string
	zones []string
	root  string // the key that is trusted, as a zone file has it
}

// labZone is one zone of the lab. Zones come before those above them.
type labZone struct {
	name      string
	algorithm string   // empty leaves it unsigned
	sign      []string // further flags of dnssec-signzone
	records   string
	spoil     func(text string) string // changes the signed zone; nil leaves it
	ds        func(text string) string // changes what the zone above has; nil leaves it
}

var labZones = []labZone{
	{name: "example.test", algorithm: "ECDSAP256SHA256", records: `
www A 192.0.2.1
www A 192.0.2.2
www TXT "one" "two"
MiXeD MX 10 MAIL.Example.test.
*.wild A 192.0.2.3
a.deep.empty A 192.0.2.4
alias CNAME www.hashed.test.
lost CNAME www.expired.test.
free CNAME www.plain.test.
gone CNAME nowhere.hashed.test.
old DNAME example.test.
_443._tcp.www TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000
`},
	{name: "hashed.test", algorithm: "RSASHA256", sign: []string{"-3", "ABCD", "-H", "5"}, records: `
www A 192.0.2.1
*.wild A 192.0.2.3
a.deep.empty A 192.0.2.4
`},
	{name: "below.open.test", algorithm: "ED25519", records: "www A 192.0.2.1\n"},
	{name: "free.open.test", records: "www A 192.0.2.1\n"},
	{name: "open.test", algorithm: "ECDSAP384SHA384", sign: []string{"-3", "-", "-A"}, records: `
www A 192.0.2.1
*.wild A 192.0.2.3
free NS ns.free
`},
	{name: "many.test", algorithm: "ECDSAP256SHA256", sign: []string{"-3", "-", "-H", "150"}, records: "www A 192.0.2.1\n"},
	{name: "rsa512.test", algorithm: "RSASHA512", records: "www A 192.0.2.1\n"},
	{name: "ed448.test", algorithm: "ED448", records: "www A 192.0.2.1\n"},
	{name: "plain.test", records: "www A 192.0.2.1\n"},
	{name: "expired.test", algorithm: "ECDSAP256SHA256", sign: []string{"-s", "now-14d", "-e", "now-2d"}, records: "www A 192.0.2.1\n"},
	{name: "future.test", algorithm: "ECDSAP256SHA256", sign: []string{"-s", "now+2d", "-e", "now+14d"}, records: "www A 192.0.2.1\n"},
	{name: "wrongds.test", algorithm: "ECDSAP256SHA256", records: "www A 192.0.2.1\n",
		ds: func(text string) string {
			return regexp.MustCompile(`[0-9A-F]{8}\s*$`).ReplaceAllString(strings.TrimSpace(text), "00000000\n")
		}},
	{name: "otheralg.test", algorithm: "ECDSAP256SHA256", records: "www A 192.0.2.1\n",
		ds: func(text string) string { return strings.Replace(text, " 13 2 ", " 250 2 ", 1) }},
	{name: "forged.test", algorithm: "ECDSAP256SHA256", records: "www A 192.0.2.1\nftp A 192.0.2.5\n",
		spoil: func(text string) string { return strings.Replace(text, "192.0.2.1", "192.0.2.66", 1) }},
	{name: "bare.test", algorithm: "ECDSAP256SHA256", records: "www A 192.0.2.1\n", spoil: without("RRSIG")},
	{name: "silent.test", algorithm: "ECDSAP256SHA256", records: "www A 192.0.2.1\n*.wild A 192.0.2.3\n", spoil: without("NSEC")},
	{name: "test"},
	{name: "."},
}

// without leaves out the records of one type, each on one line.
func without(kind string) func(string) string {
	return func(text string) string {
		var kept []string
		for _, line := range strings.Split(text, "\n") {
			if fields := strings.Fields(line); len(fields) < 4 || fields[3] != kind {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "\n")
	}
}

// newLab makes and signs the lab's zones.
func newLab(t testing.TB) *lab {
	l := &lab{t: t, dir: t.TempDir()}
	peer.Program(t, "dnssec-signzone")
	delegations := map[string]string{} // by zone above
	for _, z := range labZones {
		if z.name == "test" || z.name == "." {
			z.algorithm, z.records = "ECDSAP256SHA256", delegations[z.name]
		}
		l.zones = append(l.zones, z.name)
		ds := l.zone(z)
		if z.name == "." {
			continue
		}
		_, above, nested := strings.Cut(z.name, ".")
		if !nested {
			above = "."
		}
		if z.ds != nil {
			ds = z.ds(ds)
		}
		delegations[above] += fmt.Sprintf("%s. NS ns.%s.\nns.%s. A 127.0.0.1\n%s\n", z.name, z.name, z.name, ds)
	}
	return l
}

func (l *lab) file(zone string) string {
	if zone == "." {
		zone = "root"
	}
	return filepath.Join(l.dir, zone+".zone")
}

// zone writes one zone and signs it; it returns the DS for the zone above.
func (l *lab) zone(z labZone) string {
	origin := strings.TrimPrefix(z.name+".", ".")
	if origin == "" {
		origin = "."
	}
	extra := z.records
	if z.name == "open.test" {
		dsOf, err := os.ReadFile(filepath.Join(l.dir, "dsset-below.open.test."))
		if err != nil {
			l.t.Fatal(err)
		}
		extra += "below NS ns.below\nns.below A 127.0.0.1\nns.free A 127.0.0.1\n" + string(dsOf)
	}
	text := fmt.Sprintf("$ORIGIN %s\n$TTL 300\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n%s", origin, extra)
	if err := os.WriteFile(l.file(z.name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	if z.algorithm == "" {
		return ""
	}
	bits := []string{}
	if strings.HasPrefix(z.algorithm, "RSA") {
		bits = []string{"-b", "2048"}
	}
	l.run("dnssec-keygen", append(bits, "-K", l.dir, "-a", z.algorithm, origin)...)
	ksk := strings.TrimSpace(l.run("dnssec-keygen", append(bits, "-K", l.dir, "-a", z.algorithm, "-f", "KSK", origin)...))
	signed := l.file(z.name) + ".signed"
	args := []string{"-S", "-O", "full", "-P", "-K", l.dir, "-d", l.dir, "-o", origin, "-f", signed}
	if !strings.Contains(strings.Join(z.sign, " "), "now") {
		args = append(args, "-s", "now-7d", "-e", "now+7d")
	}
	l.run("dnssec-signzone", append(append(args, z.sign...), l.file(z.name))...)
	data, err := os.ReadFile(signed)
	if err != nil {
		l.t.Fatal(err)
	}
	out := string(data)
	if z.spoil != nil {
		if out = z.spoil(out); out == string(data) {
			l.t.Fatalf("%s is not spoilt", z.name)
		}
	}
	if err := os.WriteFile(l.file(z.name), []byte(out), 0o600); err != nil {
		l.t.Fatal(err)
	}
	if z.name == "." {
		key, err := os.ReadFile(filepath.Join(l.dir, ksk+".key"))
		if err != nil {
			l.t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(key)), "\n")
		l.root = lines[len(lines)-1]
		return ""
	}
	ds, err := os.ReadFile(filepath.Join(l.dir, "dsset-"+origin))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(ds)
}

// run runs a program to its end and returns what it says.
func (l *lab) run(name string, args ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, peer.Program(l.t, name), args...)
	cmd.Dir = l.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		l.t.Fatalf("%s %v: %v\n%s%s", name, args, err, &stdout, &stderr)
	}
	return stdout.String()
}

// serve starts a server until the test ends, and waits until it answers.
func (l *lab) serve(port int, name string, args ...string) {
	l.t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(peer.Program(l.t, name), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.dir, &output, &output
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	l.t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	for range 200 {
		if msg, err := exchange(port, ".", dns.TypeSOA, true); err == nil && msg.Rcode == dns.RcodeSuccess && len(msg.Answer) > 0 {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			l.t.Fatalf("%s ended: %v\n%s", name, err, &output)
		case <-time.After(50 * time.Millisecond):
		}
	}
	l.t.Fatalf("%s does not answer\n%s", name, &output)
}

func (l *lab) write(name, text string) string {
	l.t.Helper()
	file := filepath.Join(l.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return file
}

// nsd serves the zones as they are, however spoilt.
func (l *lab) nsd() int {
	port := freePort(l.t)
	config := fmt.Sprintf("server:\n ip-address: 127.0.0.1\n port: %d\n username: \"\"\n zonesdir: %q\n pidfile: \"\"\n database: \"\"\n xfrdfile: \"\"\n zonelistfile: %q\n server-count: 1\nremote-control:\n control-enable: no\n",
		port, l.dir, filepath.Join(l.dir, "zone.list"))
	for _, z := range l.zones {
		config += fmt.Sprintf("zone:\n name: %q\n zonefile: %q\n", z, l.file(z))
	}
	l.serve(port, "nsd", "-d", "-c", l.write("nsd.conf", config))
	return port
}

// unbound is a validating resolver that trusts the lab's root.
func (l *lab) unbound(authority int) int {
	port := freePort(l.t)
	config := fmt.Sprintf("server:\n interface: 127.0.0.1\n port: %d\n username: \"\"\n chroot: \"\"\n directory: %q\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n do-not-query-localhost: no\n module-config: \"validator iterator\"\n trust-anchor: %q\n do-ip6: no\n local-zone: \"test.\" nodefault\n num-threads: 1\nremote-control:\n control-enable: no\n",
		port, l.dir, l.root)
	for _, z := range l.zones {
		config += fmt.Sprintf("stub-zone:\n name: %q\n stub-addr: 127.0.0.1@%d\n", z, authority)
	}
	l.serve(port, "unbound", "-d", "-p", "-c", l.write("unbound.conf", config))
	return port
}

// freePort returns a port of 127.0.0.1 that is free for UDP and TCP.
func freePort(t testing.TB) int {
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		tcp.Close()
		if err == nil {
			udp.Close()
			return tcp.Addr().(*net.TCPAddr).Port
		}
	}
	t.Fatal("no port is free for UDP and TCP")
	return 0
}

// exchange asks a server of the lab over TCP.
func exchange(port int, name string, kind uint16, checkingDisabled bool) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(name, kind).SetEdns0(1232, true)
	question.CheckingDisabled = checkingDisabled
	client := &dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	msg, _, err := client.Exchange(question, fmt.Sprintf("127.0.0.1:%d", port))
	return msg, err
}

// ours validates what a server says of a question.
func (l *lab) ours(port int, name string, kind uint16) (dnssec.Verdict, error) {
	anchor, err := dnssec.ParseAnchor(l.root)
	if err != nil {
		return dnssec.Verdict{}, err
	}
	v := &dnssec.Validator{Anchors: []*dns.DS{anchor}, Ask: func(_ context.Context, name string, kind uint16) (*dns.Msg, error) {
		return exchange(port, name, kind, true)
	}}
	msg, err := exchange(port, name, kind, true)
	if err != nil {
		return dnssec.Verdict{}, err
	}
	return v.Validate(context.Background(), dns.Question{Name: name, Qtype: kind, Qclass: dns.ClassINET}, msg, time.Now()), nil
}

// delv returns the state that BIND's validator finds.
func (l *lab) delv(port int, name string, kind uint16) (dnssec.State, string) {
	fields := strings.Fields(l.root)
	at := 0
	for i, field := range fields {
		if field == "DNSKEY" {
			at = i
		}
	}
	anchors := l.write("anchors.conf", fmt.Sprintf("trust-anchors { %s static-key %s %s %s %q; };\n",
		fields[0], fields[at+1], fields[at+2], fields[at+3], strings.Join(fields[at+4:], "")))
	cmd := exec.Command(peer.Program(l.t, "delv"), "@127.0.0.1", "-p", fmt.Sprint(port), "-a", anchors, "+root="+fields[0], "-4", name, dns.TypeToString[kind])
	output, err := cmd.CombinedOutput()
	text := string(output)
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		l.t.Fatal(err)
	}
	// It calls a proved absence a failure as well: "ncache nxdomain".
	switch {
	case strings.Contains(text, "resolution failed") && !strings.Contains(text, "resolution failed: ncache"):
		return dnssec.Bogus, text
	case strings.Contains(text, "unsigned answer"):
		return dnssec.Insecure, text
	case strings.Contains(text, "fully validated"):
		return dnssec.Secure, text
	}
	return dnssec.Indeterminate, text
}

// resolver returns the state that a validating resolver shows.
func resolver(t *testing.T, port int, name string, kind uint16) dnssec.State {
	t.Helper()
	msg, err := exchange(port, name, kind, false)
	switch {
	case err != nil:
		t.Fatal(err)
	case msg.Rcode == dns.RcodeServerFailure:
		return dnssec.Bogus
	case msg.AuthenticatedData:
		return dnssec.Secure
	}
	return dnssec.Insecure
}
