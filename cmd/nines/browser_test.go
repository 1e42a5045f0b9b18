package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nines/scheduler/config"
)

// validate warns of pages that this machine is to load and cannot, and of no
// others.
func TestBrowserWarnings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nines.yaml")
	text := `
regions: [{name: here}, {name: there}]
probers: [{name: there-1, region: there, token: token-of-there-1}]
checks:
  - {name: page, kind: bandwidth, timeout: 30s, every: 1m, url: "https://example.com/", profile: slow-4g, page: true}
  - {name: page-there, kind: bandwidth, regions: [there], timeout: 30s, every: 1m, url: "https://example.com/", profile: slow-4g, page: true}
  - {name: plain, kind: bandwidth, timeout: 30s, every: 1m, url: "https://example.com/", profile: slow-4g}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	if got := browserWarnings(cfg, false); len(got) != 1 || !strings.HasPrefix(got[0], "checks[page].page: ") {
		t.Errorf("%q", got)
	}
	if got := browserWarnings(cfg, true); len(got) != 0 {
		t.Errorf("%q", got)
	}
}
