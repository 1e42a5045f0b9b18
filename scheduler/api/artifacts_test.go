package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"nines/internal/secret"
	"nines/scheduler/api"
	"nines/scheduler/config"
)

// What a prober kept is handed out by its exact name and to the operator
// alone; no path leads out of its folder.
func TestArtifacts(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "eu", "artifacts", "shop")
	if err := os.MkdirAll(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(kept, "20261123T140500.000Z.png"), filepath.Join(kept, "20261123T140500.000Z.har"), filepath.Join(kept, "notes.png"), filepath.Join(dir, "eu", "spool.db")} {
		if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := api.New(api.Config{
		Token: func() secret.String { return secret.New("the-token-of-the-tests") }, Config: func() *config.Config { return &config.Config{} },
		Artifacts: dir, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(a)
	defer server.Close()
	const base = "/api/v1/artifacts/eu/shop/20261123T140500.000Z"
	for path, media := range map[string]string{base + ".png": "image/png", base + ".har": "application/json"} {
		answer, body := ask(t, server, "GET", path, "")
		if answer.StatusCode != http.StatusOK || body != "kept" || answer.Header.Get("Content-Type") != media || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s %q %v", path, answer.Status, body, answer.Header)
		}
	}
	for _, path := range []string{
		base + ".exe", "/api/v1/artifacts/eu/shop/notes.png", "/api/v1/artifacts/us/shop/20261123T140500.000Z.png",
		"/api/v1/artifacts/eu/..%2f..%2f/spool.db", "/api/v1/artifacts/eu/shop/..%2f..%2fspool.db", "/api/v1/artifacts/..%2feu/shop/20261123T140500.000Z.png",
	} {
		if answer, body := ask(t, server, "GET", path, ""); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s %q", path, answer.Status, body)
		}
	}
	if answer, err := http.Get(server.URL + base + ".png"); err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %v, %v", answer, err)
	}
}
