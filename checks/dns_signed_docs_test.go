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
	"nines/checks/checkstest"
	"nines/scheduler/config"
)

// The documented example of a signed zone runs: from YAML, by way of the wire
// to a prober, against a signed zone on loopback.
func TestSignedExampleOfTheDocsRuns(t *testing.T) {
	server, err := checkstest.NewSigned()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	text, err := os.ReadFile(docs + "dns.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Signed zones")
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(section)
	if example == nil {
		t.Fatal("there is no example")
	}
	yaml := strings.NewReplacer("www.example.com", "www.test", "ns1.example.com", server.Addr(), "192.0.2.53", server.Addr(), "[192.0.2.10]", "[192.0.2.1, 192.0.2.2]").Replace(example[1])
	yaml = regexp.MustCompile(`- example\.com\. DS .*`).ReplaceAllString(yaml, "- "+server.Key().ToDS(2).String())
	file := filepath.Join(t.TempDir(), "nines.yaml")
	if err := os.WriteFile(file, []byte("regions: [{name: here}]\nchecks:\n"+yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(file, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	env := &checks.Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	want := map[string][2]string{
		// The loopback server is no authority for the root.
		"signed":               {"down", "dns.bogus"},
		"signed-at-the-source": {"up", ""},
	}
	for _, check := range loaded.Checks {
		wire, err := check.Wire()
		if err != nil {
			t.Fatal(err)
		}
		spec, err := checks.ParseWire(wire)
		if err != nil {
			t.Fatal(err)
		}
		r := spec.Run(context.Background(), env, time.Now())
		if expected := want[check.Name]; string(r.Status) != expected[0] || string(r.Reason) != expected[1] {
			t.Errorf("%s: %s %s (%s), want %v", check.Name, r.Status, r.Reason, r.Detail, expected)
		}
		delete(want, check.Name)
	}
	if len(want) > 0 {
		t.Errorf("%v did not run", want)
	}
}
