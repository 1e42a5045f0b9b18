package checks

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nines/internal/peer"
)

// Against a zone that named signs by itself with large keys, whose DNSKEY
// answer does not fit into a datagram: the check validates it over each
// transport, and sees when the signatures end.
func TestDNSSECOfNamed(t *testing.T) {
	dir, addr := t.TempDir(), freePort(t)
	_, port, _ := net.SplitHostPort(addr)
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	zone := write("zone", "$TTL 300\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n")
	config := write("named.conf", fmt.Sprintf(`options { directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify no; };
controls { };
dnssec-policy large { keys { ksk key-directory lifetime unlimited algorithm rsasha256 4096; zsk key-directory lifetime unlimited algorithm rsasha256 4096; }; };
zone "example.test" { type primary; file %q; dnssec-policy large; inline-signing yes; };
`, dir, port, zone))
	var output bytes.Buffer
	cmd := exec.Command(peer.Program(t, "named"), "-f", "-c", config)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	key := namedKey(t, addr, "example.test.")
	for _, transport := range []string{"udp", "tcp"} {
		d := dnsAt(addr, "www.example.test", "A")
		d.Transport, d.Recursion = transport, false
		d.Signed.DNSSEC, d.TrustAnchors = dnssecValidate, []string{key.String()}
		d.Expect.ValidFor = 5 * 24 * time.Hour
		r := run(t, d, 10*time.Second, loopback())
		wants(t, r, Up, "")
		if chain, _ := r.Facts["dnssec_chain"].([]string); len(chain) != 2 || r.Facts["transport"] != transport {
			t.Errorf("facts %v", r.Facts)
		}
		d = dnsAt(addr, "www.example.test", "A")
		d.Transport, d.Recursion = transport, false
		d.Signed.DNSSEC, d.TrustAnchors = dnssecValidate, []string{key.String()}
		d.Expect.ValidFor = 30 * 24 * time.Hour
		wants(t, run(t, d, 10*time.Second, loopback()), Down, DNSExpiresSoon)
	}
}

// namedKey waits until the zone is signed and returns the key to trust.
func namedKey(t *testing.T, addr, zone string) *dns.DNSKEY {
	t.Helper()
	client := &dns.Client{Net: "tcp", Timeout: 5 * time.Second}
	ask := func(name string, kind uint16) []dns.RR {
		msg, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, kind).SetEdns0(ednsSize, true), addr)
		if err != nil {
			return nil
		}
		return msg.Answer
	}
	for range 400 { // keys of 4096 bits take their time
		if len(ask("www."+zone, dns.TypeA)) == 2 {
			for _, rr := range ask(zone, dns.TypeDNSKEY) {
				if key, ok := rr.(*dns.DNSKEY); ok && key.Flags&dns.SEP != 0 {
					return key
				}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("named does not sign the zone")
	return nil
}
