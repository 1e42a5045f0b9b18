package checks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
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

// exampleShop is what the examples of transactions are written for.
func exampleShop(t *testing.T, password string) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "5e55", HttpOnly: true})
		fmt.Fprint(w, `<form method="post"><input type="hidden" name="csrf" value="c5rf+/="></form>`)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("sid"); err != nil || c.Value != "5e55" || r.FormValue("csrf") != "c5rf+/=" ||
			r.FormValue("username") != "nines" || r.FormValue("password") != password {
			http.Error(w, "wrong name or password", http.StatusUnauthorized)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"user": "nines", "api": map[string]any{"token": "t0ken", "basket": "/baskets/7"}})
	})
	mux.HandleFunc("POST /baskets/7", func(w http.ResponseWriter, r *http.Request) {
		var order struct{ Item, Token string }
		if err := json.NewDecoder(r.Body).Decode(&order); err != nil || order.Token != "t0ken" || r.Header.Get("Authorization") != "Bearer t0ken" {
			http.Error(w, "who are you?", http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]any{"items": []string{order.Item}, "total": 4.5})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// loaded returns the check of a configuration that has steps.
func loaded(t *testing.T, path string, env map[string]string) checks.Spec {
	t.Helper()
	cfg, err := config.Load(path, func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cfg.Checks {
		if h, ok := c.Options.(*checks.HTTP); ok && len(h.Steps) > 0 {
			return c.Spec
		}
	}
	t.Fatal("there is no check with steps")
	return checks.Spec{}
}

func buys(t *testing.T, spec checks.Spec) checks.Result {
	t.Helper()
	return spec.Run(context.Background(), &checks.Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, time.Now())
}

// The example in docs/checks/http.md does what it says, through the
// configuration and over the wire.
func TestTransactionOfTheDocs(t *testing.T) {
	server := exampleShop(t, "s3cr3t & more")
	text, err := os.ReadFile(docs + "http.md")
	if err != nil {
		t.Fatal(err)
	}
	var example string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(block[1], "steps:") {
			example = block[1]
		}
	}
	path := filepath.Join(t.TempDir(), "nines.yaml")
	whole := "regions: [{name: here}]\nchecks:\n" + strings.ReplaceAll(example, "https://shop.example.com", server.URL)
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	wire, err := loaded(t, path, nil).Wire()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := checks.ParseWire(wire)
	if err != nil {
		t.Fatal(err)
	}
	if r := buys(t, spec); r.Status != checks.Up || len(r.Facts["steps"].([]string)) != 3 {
		t.Errorf("%s %s: %s; %v", r.Status, r.Reason, r.Detail, r.Facts)
	}
}

func TestTransactionOfTheExamples(t *testing.T) {
	const path = "../examples/transaction.yaml"
	server := exampleShop(t, "pa55")
	env := map[string]string{"SHOP_URL": server.URL, "SHOP_PASSWORD": "pa55"}
	if r := buys(t, loaded(t, path, env)); r.Status != checks.Up {
		t.Errorf("%s %s: %s", r.Status, r.Reason, r.Detail)
	}
	delete(env, "SHOP_PASSWORD")
	if r := buys(t, loaded(t, path, env)); r.Status != checks.Down || r.Facts["step"] != "login" || !strings.HasPrefix(r.Detail, "step 2 (login): the status is 401") {
		t.Errorf("%s %s: %s", r.Status, r.Reason, r.Detail)
	}
}
