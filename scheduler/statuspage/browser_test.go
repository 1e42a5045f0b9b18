package statuspage

import (
	"context"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"nines/internal/peer"
)

// A real browser has nothing to complain of, such as something that the policy
// forbids, and shows the page.
func TestBrowserIsContent(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	chromium := peer.Program(t, "chromium")
	server := httptest.NewServer(newSite(t, hostile()).mux)
	defer server.Close()
	for _, path := range []string{"/", "/checks/shop"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
			"--enable-logging=stderr", "--dump-dom", server.URL+path)
		var log strings.Builder
		cmd.Stderr = &log
		cmd.WaitDelay = 5 * time.Second
		dom, err := cmd.Output()
		cancel()
		if err != nil {
			peer.Missing(t, "chromium does not run here: %v", err)
		}
		if !strings.Contains(string(dom), `<main id="main"`) {
			t.Errorf("%s: the browser has not read the page to its main part", path)
		}
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "CONSOLE") {
				t.Errorf("%s: %s", path, line)
			}
		}
	}
}
