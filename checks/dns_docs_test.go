package checks_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/scheduler/config"
)

// The example of a zone beneath a root of one's own does what its page says,
// against real servers: they stand where the example has them, on a port that
// anybody may use.
func TestLabExampleOfTheDocsRuns(t *testing.T) {
	text, err := os.ReadFile(docs + "dns.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(- name: lab\n.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("dns.md has no example named lab")
	}
	port := checks.PeerPort(t)
	example := strings.NewReplacer("roots: [127.0.0.100], port: 53", `roots: ["127.0.0.100:`+port+`"], port: `+port).Replace(string(block[1]))
	if !strings.Contains(example, port) {
		t.Fatalf("the example begins elsewhere:\n%s", block[1])
	}
	checks.StartZone(t, "127.0.0.100:"+port, ".", "$TTL 60", ". SOA root.example. hostmaster.example. 1 1 1 1 1", ". NS root.example.", "root.example. A 127.0.0.100",
		"lab.example. NS ns1.lab.example.", "lab.example. NS ns2.lab.example.", "ns1.lab.example. A 127.0.0.101", "ns2.lab.example. A 127.0.0.102")
	zone := func(serial string, more ...string) []string {
		return append([]string{"$TTL 60", "$ORIGIN lab.example.", "@ SOA ns1 hostmaster " + serial + " 1 1 1 1", "@ NS ns1", "@ NS ns2",
			"ns1 A 127.0.0.101", "ns2 A 127.0.0.102"}, more...)
	}
	checks.StartZone(t, "127.0.0.101:"+port, "lab.example", zone("2", "www A 192.0.2.10")...)
	checks.StartZone(t, "127.0.0.102:"+port, "lab.example", zone("2", "www A 192.0.2.10")...)

	file := filepath.Join(t.TempDir(), "nines.yaml")
	if err := os.WriteFile(file, []byte("regions: [{name: here}]\nchecks:\n"+example), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	env := &checks.Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, check := range c.Checks {
		if check.Name != "lab" {
			continue
		}
		r := check.Run(context.Background(), env, time.Now())
		if r.Status != checks.Up || r.Facts["zone"] != "lab.example." {
			t.Errorf("%s %s (%s) %v", r.Status, r.Reason, r.Detail, r.Facts)
		}
		return
	}
	t.Error("the example is not loaded")
}
