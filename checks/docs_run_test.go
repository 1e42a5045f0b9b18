package checks_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
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
	"nines/checks/checkstest"
	"nines/internal/peer"
	"nines/scheduler/config"
)

// documented is what the pages of checks describe, on loopback: every name of
// example.com leads there.
type documented struct {
	ca         *checkstest.CA
	web, quic  string // host:port of the web server over TCP, and over QUIC
	nameServer string
	moved      *strings.Replacer // of what the examples write
}

// Every example of a kind that connects somewhere finds its target up when
// that is as the example expects it.
func TestExamplesOfTheDocsRun(t *testing.T) {
	d := newDocumented(t)
	for _, kind := range []string{"http", "tls", "tcp", "icmp"} {
		for _, spec := range exampleChecks(t, kind) {
			if h, ok := spec.Options.(*checks.HTTP); ok && len(h.Steps) > 0 {
				continue // see TestTransactionOfTheDocs
			}
			t.Run(kind+"/"+spec.Name, func(t *testing.T) {
				env := &checks.Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
				env.SetNameServer(d.nameServer)
				r := d.move(t, spec).Run(t.Context(), env, time.Now())
				if r.Reason == checks.ProberPrivilege {
					peer.Missing(t, "%s", r.Detail)
				}
				if r.Status != checks.Up && r.Reason.Layer() != "slow" { // on a machine that has other things to do
					t.Errorf("%s %s: %s; %v", r.Status, r.Reason, r.Detail, r.Facts)
				}
			})
		}
	}
}

// exampleChecks returns the checks of a page's examples.
func exampleChecks(t *testing.T, kind string) (specs []checks.Spec) {
	t.Helper()
	text, err := os.ReadFile(docs + kind + ".md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		file := filepath.Join(t.TempDir(), "nines.yaml")
		if err := os.WriteFile(file, []byte("regions: [{name: here}]\nchecks:\n"+block[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(file, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatalf("%v\n%s", err, block[1])
		}
		for _, c := range cfg.Checks {
			specs = append(specs, c.Spec)
		}
	}
	return specs
}

// move returns the check with its target on loopback, and the authority there
// as one to trust.
func (d *documented) move(t *testing.T, spec checks.Spec) checks.Spec {
	t.Helper()
	wire, err := spec.Wire()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := json.Marshal(d.ca.PEM())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(d.moved.Replace(string(wire)), `"ca":""`, `"ca":`+string(ca), 1)
	if spec.Name == "shop-h3" {
		text = strings.ReplaceAll(text, port(d.web), port(d.quic))
	}
	moved, err := checks.ParseWire([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return moved
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':'):] }

func newDocumented(t *testing.T) *documented {
	t.Helper()
	names := []string{"shop", "api", "login", "backend", "mx", "directory", "redis", "gateway", "mqtt"}
	var records []string
	for i, name := range names {
		names[i] = name + ".example.com"
		records = append(records, names[i]+". 60 IN A 127.0.0.1")
	}
	ca := start(checkstest.NewCA())(t)
	cert := start(ca.Issue(checkstest.Leaf{Names: names}))(t)
	zone := open(checkstest.NewDNS(records...))(t)

	web := httptest.NewUnstartedServer(documentedSite())
	web.EnableHTTP2 = true
	web.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	web.StartTLS()
	t.Cleanup(web.Close)
	quic := open(checkstest.NewHTTP3(cert, documentedSite()))(t)
	d := &documented{ca: ca, web: web.Listener.Addr().String(), quic: quic.Addr(), nameServer: zone.Addr()}

	proxy := open(checkstest.NewProxy())(t)
	proxy.Demand("nines", "s3cr3t")
	proxy.Name("shop.example.com"+port(d.web), d.web)
	mail := open(checkstest.NewStartTLS("smtp", cert))(t)
	ldap := open(checkstest.NewStartTLS("ldap", cert))(t)
	redis := open(checkstest.NewTCP("hear PING\r\n;say +PONG\r\n;wait"))(t)
	ssh := open(checkstest.NewTCP("say SSH-2.0-OpenSSH_9.9\r\n;wait"))(t)
	mqtt := broker(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	d.moved = strings.NewReplacer(
		"https://shop.example.com", "https://shop.example.com"+port(d.web),
		"https://api.example.com/", "https://api.example.com"+port(d.web)+"/",
		"https://login.example.com", "https://login.example.com"+port(d.web),
		"https://192.0.2.7:8443", "https://127.0.0.1"+port(d.web),
		"proxy.example.com:3128", proxy.Addr(),
		`"shop.example.com:443"`, `"shop.example.com`+port(d.web)+`"`, `"shop.example.com"`, `"shop.example.com`+port(d.web)+`"`,
		`"mx.example.com"`, `"mx.example.com`+port(mail.Addr())+`"`,
		"192.0.2.25:636", d.web, `"192.0.2.25"`, `"`+ldap.Addr()+`"`,
		"redis.example.com:6379", "redis.example.com"+port(redis.Addr()), "gateway.example.com:22", "gateway.example.com"+port(ssh.Addr()),
		"mqtt.example.com:8883", "mqtt.example.com"+port(mqtt),
		`"192.0.2.1"`, `"127.0.0.1"`,
	)
	return d
}

// start and open are for what a test cannot go on without.
func start[T any](thing T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return thing
	}
}

func open[T io.Closer](thing T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		start(thing, err)(t)
		t.Cleanup(func() { thing.Close() })
		return thing
	}
}

// broker answers the beginning of MQTT over TLS.
func broker(t *testing.T, secured *tls.Config) string {
	const hello, welcome = "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", "\x20\x02\x00\x00"
	l := open(tls.Listen("tcp", "127.0.0.1:0", secured))(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				said := make([]byte, len(hello))
				if _, err := io.ReadFull(conn, said); err == nil && string(said) == hello {
					io.WriteString(conn, welcome)
				}
				io.Copy(io.Discard, conn) // until the other end is done
			}()
		}
	}()
	return l.Addr().String()
}

// documentedSite is all of the web that docs/checks/http.md writes of.
func documentedSite() http.Handler {
	mux := http.NewServeMux()
	answer := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	unless := func(wrong func(*http.Request) bool, next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if wrong(r) {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			next(w, r)
		}
	}
	bearer := func(token string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Header.Get("Authorization") != "Bearer "+token }
	}
	mux.HandleFunc("GET /{$}", answer(http.StatusOK, "text/html", "Welcome"))
	mux.HandleFunc("GET shop.example.com/healthz", answer(http.StatusOK, "text/plain", "fine"))
	mux.HandleFunc("GET backend.example.com/healthz", unless(func(r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		return user != "nines" || password != "s3cr3t"
	}, answer(http.StatusOK, "text/plain", "fine")))
	mux.HandleFunc("POST /login", unless(func(r *http.Request) bool {
		return r.PostFormValue("user") != "nines" || r.PostFormValue("password") != "s3cr3t"
	}, answer(http.StatusOK, "text/html", "Welcome back")))
	mux.HandleFunc("POST /v1/orders", unless(bearer("s3cr3t"), answer(http.StatusCreated, "application/json", `{"order": 7}`)))
	mux.HandleFunc("GET /v1/orders", unless(bearer("t0ken"), answer(http.StatusOK, "application/json", `[]`)))
	mux.HandleFunc("POST /oauth2/token", unless(func(r *http.Request) bool {
		id, password, _ := r.BasicAuth()
		return id != "nines" || password != "s3cr3t" || r.PostFormValue("scope") != "orders.read" || r.PostFormValue("audience") != "https://api.example.com"
	}, answer(http.StatusOK, "application/json", `{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}`)))
	mux.HandleFunc("GET /app.tar.gz", answer(http.StatusOK, "application/gzip", "test"))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Server", "nginx/1.28")
		header.Set("X-Region", "eu-west")
		header.Set("Last-Modified", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		node := func(role string) map[string]any { return map[string]any{"role": role, "state": "running", "lag_ms": 3} }
		json.NewEncoder(w).Encode(map[string]any{
			"status": "ok", "build": "v12", "total": 3, "updated": time.Now().UTC().Format(time.RFC3339),
			"items": []any{map[string]any{"price": 9.5}}, "nodes": []any{node("db"), node("web"), node("web")},
		})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, fmt.Sprintf("nothing is documented of %s %s%s", r.Method, r.Host, r.URL), http.StatusNotFound)
	})
	return mux
}
