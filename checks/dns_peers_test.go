package checks

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nines/checks/checkstest"
	"nines/internal/peer"
)

// dnsPeer is a real name server on loopback.
type dnsPeer struct {
	addr   string // host:port, UDP and TCP
	folder string // its files
	cmd    *exec.Cmd
	log    bytes.Buffer
}

// startPeer runs a name server until the test ends and waits until it answers
// for a zone.
func startPeer(t testing.TB, addr, folder, zone, program string, args ...string) *dnsPeer {
	t.Helper()
	p := &dnsPeer{addr: addr, folder: folder, cmd: exec.Command(peer.Program(t, program), args...)}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = &p.log, &p.log, folder
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { p.cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			p.cmd.Process.Kill()
			<-ended
		}
	})
	client := dns.Client{Timeout: 200 * time.Millisecond}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		answer, _, err := client.Exchange(new(dns.Msg).SetQuestion(zone, dns.TypeSOA), addr)
		if err == nil && (answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeRefused) {
			return p
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", program, p.log.String())
		default:
		}
	}
	p.cmd.Process.Kill()
	<-ended
	t.Fatalf("%s does not answer for %s:\n%s", program, zone, p.log.String())
	return nil
}

// writeFiles puts files into a folder of their own that any user can read.
func writeFiles(t testing.TB, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func zoneFile(records ...string) string { return strings.Join(records, "\n") + "\n" }

// startNamed runs BIND as an authority for zones by name, each the text of a
// zone file. settings are added to its options, more to the whole.
func startNamed(t testing.TB, addr string, zones map[string]string, settings, more string) *dnsPeer {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	files, probe := map[string]string{}, ""
	config := fmt.Sprintf(`options {
	directory "."; pid-file none; session-keyfile none; managed-keys-directory ".";
	listen-on port %s { %s; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; minimal-responses no; notify no;
	%s
};
controls { };
%s
`, port, host, settings, more)
	for name, text := range zones {
		file := "zone." + strings.ReplaceAll(name, ".", "_")
		files[file], probe = text, name
		config += fmt.Sprintf("zone %q { type primary; file %q; };\n", name, file)
	}
	files["named.conf"] = config
	folder := writeFiles(t, files)
	return startPeer(t, addr, folder, dns.Fqdn(probe), "named", "-g", "-n", "1", "-c", filepath.Join(folder, "named.conf"))
}

// startNSD runs NSD as an authority for one zone; settings are added to that.
func startNSD(t testing.TB, addr, zone, text, settings string) *dnsPeer {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	folder := writeFiles(t, map[string]string{"zone": text})
	config := fmt.Sprintf(`server:
	ip-address: %s@%s
	server-count: 1
	rrl-ratelimit: 0
	username: ""
	chroot: ""
	zonesdir: %[3]q
	pidfile: ""
	zonelistfile: %[3]q
	xfrdfile: ""
	xfrdir: %[4]q
remote-control:
	control-enable: no
zone:
	name: %[5]q
	zonefile: "zone"
%[6]s
`, host, port, folder, folder, zone, settings)
	config = strings.Replace(config, fmt.Sprintf("zonelistfile: %q", folder), fmt.Sprintf("zonelistfile: %q", filepath.Join(folder, "list")), 1)
	if err := os.WriteFile(filepath.Join(folder, "nsd.conf"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return startPeer(t, addr, folder, dns.Fqdn(zone), "nsd", "-d", "-c", filepath.Join(folder, "nsd.conf"))
}

// startUnbound runs Unbound as a resolver that asks for each zone by name at
// the address given. settings are added to its server section.
func startUnbound(t testing.TB, addr string, stubs map[string]string, settings string) *dnsPeer {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	config := fmt.Sprintf(`server:
	interface: %s
	port: %s
	access-control: 127.0.0.0/8 allow
	do-not-query-localhost: no
	username: ""
	chroot: ""
	directory: "."
	pidfile: ""
	use-syslog: no
	logfile: ""
	num-threads: 1
	module-config: "iterator"
	local-zone: "test." nodefault
	%s
remote-control:
	control-enable: no
`, host, port, settings)
	probe := ""
	for name, at := range stubs {
		host, port, _ := net.SplitHostPort(at)
		config += fmt.Sprintf("stub-zone:\n\tname: %q\n\tstub-addr: %s@%s\n", name, host, port)
		if len(name) > len(probe) {
			probe = name
		}
	}
	folder := writeFiles(t, map[string]string{"unbound.conf": config})
	return startPeer(t, addr, folder, dns.Fqdn(probe), "unbound", "-d", "-c", filepath.Join(folder, "unbound.conf"))
}

// peerPort returns a port that is free at several addresses of loopback.
func peerPort(t testing.TB) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(freePort(t))
	return port
}

// peerZone is example.test. at a serial, as a zone file has it.
func peerZone(serial uint32, more ...string) string {
	return zoneFile(append([]string{"$TTL 300", "$ORIGIN example.test.",
		fmt.Sprintf("@ IN SOA ns1 hostmaster %d 1 1 3600 60", serial),
		"@ NS ns1", "@ NS ns2", "ns1 A 127.0.0.1", "ns2 A 127.0.54.12", "www A 192.0.2.10", "www A 192.0.2.11",
		"alias CNAME www", "away CNAME www.elsewhere.test.", "one CNAME two", "two CNAME one",
		"@ MX 10 Mail", "mail A 192.0.2.25", "mail AAAA 2001:db8::25", `@ TXT "v=spf1 mx" " -all"`, `@ CAA 0 issue "ca.example.test"`,
		"_sip._tcp SRV 10 20 5060 www", "strange TYPE65280 \\# 4 0a000001"}, more...)...)
}

// peerWorld runs a root with test. at 127.0.54.1, and example.test. at named on
// 127.0.0.1 (it listens on no address that the interface does not have) and at NSD on 127.0.54.12, all on one port.
func peerWorld(t testing.TB, delegation []string, nsdZone, nsdSettings, namedSettings string) (port string, primary *dnsPeer) {
	t.Helper()
	port = peerPort(t)
	nsdSettings = strings.ReplaceAll(nsdSettings, "PORT", port)
	root := zoneFile("$TTL 300", ". IN SOA root.test. hostmaster.test. 1 1 1 1 1", ". NS root.test.", "test. NS ns.test.", "ns.test. A 127.0.54.2", "root.test. A 127.0.54.1")
	test := append([]string{"$TTL 300", "test. IN SOA ns.test. hostmaster.test. 1 1 1 1 1", "test. NS ns.test.", "ns.test. A 127.0.54.2", "root.test. A 127.0.54.1"}, delegation...)
	startNSD(t, "127.0.54.1:"+port, ".", root, "")
	startNSD(t, "127.0.54.2:"+port, "test", zoneFile(test...), "")
	primary = startNamed(t, "127.0.0.1:"+port, map[string]string{"example.test": peerZone(2026100102)}, namedSettings, "")
	startNSD(t, "127.0.54.12:"+port, "example.test", nsdZone, nsdSettings)
	return port, primary
}

var healthyDelegation = []string{"example.test. NS ns1.example.test.", "example.test. NS ns2.example.test.", "ns1.example.test. A 127.0.0.1", "ns2.example.test. A 127.0.54.12"}

// A secondary that cannot transfer the zone is found, and that it has caught
// up once it can.
func TestPeersStaleSecondary(t *testing.T) {
	port, primary := peerWorld(t, healthyDelegation, peerZone(2026100101), "\trequest-xfr: AXFR 127.0.0.1@PORT NOKEY\n", "allow-transfer { none; };")
	d := dnsAt("authoritative", "www.example.test", "A")
	d.Authoritative.Roots, d.Authoritative.SerialLag = []string{"127.0.54.1:" + port}, 0
	fmt.Sscan(port, &d.Authoritative.Port)
	d.Expect.Answer = []string{"192.0.2.10", "192.0.2.11"}
	r := run(t, d, 10*time.Second, loopback())
	wants(t, r, Degraded, DNSSerial)
	if r.Facts["serial_skew"] != int64(1) || r.Facts["serial"] != int64(2026100102) {
		t.Errorf("facts %v", r.Facts)
	}

	config := filepath.Join(primary.folder, "named.conf")
	text := must(os.ReadFile(config))(t)
	if err := os.WriteFile(config, bytes.Replace(text, []byte("allow-transfer { none; };"), []byte("allow-transfer { any; };"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	primary.cmd.Process.Signal(syscall.SIGHUP)
	for deadline := time.Now().Add(30 * time.Second); r.Status != Up && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		r = run(t, d, 10*time.Second, loopback())
	}
	wants(t, r, Up, "")
}

// StartZone is startNSD for the test that runs an example of the docs.
func StartZone(t testing.TB, addr, zone string, records ...string) {
	startNSD(t, addr, zone, zoneFile(records...), "")
}

// PeerPort is peerPort for the same.
var PeerPort = peerPort

// second asks a question by another program and reads its answer.
func second(t *testing.T, program string, args ...string) (status, flags string, answer []dns.RR) {
	t.Helper()
	out, err := exec.Command(peer.Program(t, program), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	_, rest, _ := strings.Cut(string(out), "->>HEADER<<-")
	_, rest, _ = strings.Cut(rest, "status: ")
	status = strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ';' })[0]
	_, rest, _ = strings.Cut(rest, "lags: ")
	flags, _, _ = strings.Cut(rest, ";")
	_, section, _ := strings.Cut(rest, "ANSWER SECTION:\n")
	section, _, _ = strings.Cut(section, "\n\n")
	for line := range strings.Lines(section) {
		if rr, err := dns.NewRR(line); err == nil && rr != nil {
			answer = append(answer, rr)
		}
	}
	return status, flags, answer
}

// pemFiles writes a certificate and its key where a server can read them.
func pemFiles(t testing.TB, cert tls.Certificate) (chain, key string) {
	t.Helper()
	var certs []byte
	for _, der := range cert.Certificate {
		certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der := must(x509.MarshalPKCS8PrivateKey(cert.PrivateKey))(t)
	folder := writeFiles(t, map[string]string{"cert.pem": string(certs), "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	return filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
}

// What kdig and dig read of BIND's and Unbound's answers, over every
// transport, nines reads too.
func TestPeersAgree(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	chain, key := pemFiles(t, cert)
	ports := [6]string{}
	for i := range ports {
		ports[i] = peerPort(t)
	}
	named := startNamed(t, "127.0.0.1:"+ports[0], map[string]string{"example.test": peerZone(7)},
		fmt.Sprintf("listen-on port %s tls own { 127.0.0.1; }; listen-on port %s tls own http default { 127.0.0.1; };", ports[1], ports[2]),
		fmt.Sprintf("tls own { cert-file %q; key-file %q; };", chain, key))
	unbound := startUnbound(t, "127.0.0.1:"+ports[3], map[string]string{"example.test": named.addr, ".": named.addr},
		fmt.Sprintf("interface: 127.0.0.1@%s\n\tinterface: 127.0.0.1@%s\n\ttls-port: %[1]s\n\thttps-port: %s\n\ttls-service-pem: %q\n\ttls-service-key: %q", ports[4], ports[5], chain, key))
	questions := []struct{ name, kind, class string }{
		{"www.example.test", "A", "IN"}, {"www.example.test", "AAAA", "IN"}, {"alias.example.test", "A", "IN"}, {"alias.example.test", "CNAME", "IN"},
		{"example.test", "MX", "IN"}, {"example.test", "TXT", "IN"}, {"example.test", "SOA", "IN"}, {"example.test", "NS", "IN"}, {"example.test", "CAA", "IN"},
		{"_sip._tcp.example.test", "SRV", "IN"}, {"strange.example.test", "TYPE65280", "IN"}, {"nowhere.example.test", "A", "IN"},
		{"version.bind", "TXT", "CH"}, {"away.example.test", "A", "IN"}, {"one.example.test", "A", "IN"},
	}
	for server, addr := range map[string]map[string]string{
		"named":   {"udp": named.addr, "tcp": named.addr, "tls": "127.0.0.1:" + ports[1], "https": "127.0.0.1:" + ports[2]},
		"unbound": {"udp": unbound.addr, "tcp": unbound.addr, "tls": "127.0.0.1:" + ports[4], "https": "127.0.0.1:" + ports[5]},
	} {
		for _, transport := range []string{"udp", "tcp", "tls", "https"} {
			for _, q := range questions {
				for _, program := range []string{"kdig", "dig"} {
					name := fmt.Sprintf("%s/%s/%s %s/%s", server, transport, q.name, q.kind, program)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						agrees(t, program, transport, addr[transport], q.name, q.kind, q.class, ca.PEM())
					})
				}
			}
		}
	}
}

// BIND's own cookies are taken, sent back and wanted.
func TestPeersCookies(t *testing.T) {
	named := startNamed(t, "127.0.0.1:"+peerPort(t), map[string]string{"example.test": peerZone(7)}, "require-server-cookie yes;", "")
	d := dnsAt(named.addr, "www.example.test", "A")
	d.EDNS.Cookie = true
	for range 2 { // the first learns what the second sends
		r := run(t, d, 10*time.Second, loopback())
		wants(t, r, Up, "")
		if r.Facts["cookie"] != true || r.Facts["transport"] != "udp" {
			t.Errorf("facts %v", r.Facts)
		}
	}
	if sent := d.cookies.of(netip.MustParseAddr("127.0.0.1")); len(sent) != 24 { // RFC 9018: 8 bytes and 16
		t.Errorf("%d bytes of cookie are sent", len(sent))
	}
}

func agrees(t *testing.T, program, transport, addr, domain, kind, class, ca string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	args := []string{"@" + host, "-p", port, "-t", kind, "-c", class, "-q", domain}
	if program == "kdig" {
		args = []string{"@" + host, "-p", port, "-t", kind, "-c", class, domain}
	}
	if transport != "udp" {
		args = append(args, "+"+transport)
	}
	status, flags, records := second(t, program, args...)

	at := addr
	if transport == "https" {
		at = "https://" + addr + "/dns-query"
	}
	d := dnsOver(transport, at, domain, kind)
	d.Class, d.CA, d.Expect.MinAnswers = class, ca, 0
	d.Expect.Rcode = status
	r := run(t, d, 10*time.Second, loopback())
	if r.Status != Up && r.Reason != DNSLoop {
		t.Errorf("%s %s (%s)", r.Status, r.Reason, r.Detail)
		return
	}
	if aa := slices.Contains(strings.Fields(flags), "aa"); r.Facts["rcode"] != status || r.Facts["aa"] != aa {
		t.Errorf("%v aa %v; %s says %s %s", r.Facts["rcode"], r.Facts["aa"], program, status, flags)
	}
	wanted := new(dns.Msg).SetQuestion(dns.Fqdn(domain), d.question.kind)
	wanted.Answer = records
	c := followAliases(wanted, d.question.kind)
	got, want := slices.Clone(r.Facts["answers"].([]string)), shown(c.records)
	slices.Sort(got)
	slices.Sort(want)
	if kind == "A" && domain == "www.example.test" && len(want) != 2 {
		t.Errorf("%s says %q", program, want)
	}
	if !slices.Equal(got, want) || c.loop != (r.Reason == DNSLoop) {
		t.Errorf("%q; %s says %q", got, program, want)
	}
}

// A delegation to a server that does not know the zone is found.
func TestPeersBrokenDelegation(t *testing.T) {
	port, _ := peerWorld(t, []string{"example.test. NS ns1.example.test.", "example.test. NS ns3.example.test.", "ns1.example.test. A 127.0.0.1", "ns3.example.test. A 127.0.54.2"}, peerZone(2026100102), "", "")
	d := dnsAt("authoritative", "www.example.test", "A")
	d.Authoritative.Roots = []string{"127.0.54.1:" + port}
	fmt.Sscan(port, &d.Authoritative.Port)
	r := run(t, d, 10*time.Second, loopback())
	wants(t, r, Down, DNSLame)
	findings := strings.Join(r.Facts["findings"].([]string), "\n")
	for _, want := range []string{"down dns.lame: ns3.example.test 127.0.54.2", "degraded dns.delegation: the parent of example.test. names [ns1.example.test., ns3.example.test.]"} {
		if !strings.Contains(findings, want) {
			t.Errorf("findings lack %q:\n%s", want, findings)
		}
	}
	if t.Failed() {
		t.Log(r.Detail, r.Facts)
	}
}

// The processor time here is the check's alone, since the server is another
// process.
func BenchmarkDNSAgainstNSD(b *testing.B) {
	server := startNSD(b, "127.0.54.20:"+peerPort(b), "example.test", peerZone(1), "")
	b.Run("check", func(b *testing.B) {
		d := dnsAt(server.addr, "mail.example.test", "A")
		d.Expect.Answer = []string{"192.0.2.25"}
		benchRuns(b, Spec{Name: "bench", Kind: "dns", Every: time.Minute, Timeout: 10 * time.Second, Options: d})
	})
	b.Run("miekg-dns", func(b *testing.B) {
		reportCPU(b)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				msg := new(dns.Msg).SetQuestion("mail.example.test.", dns.TypeA)
				if _, err := dns.Exchange(msg, server.addr); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
