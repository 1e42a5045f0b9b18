package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nines/internal/peer"
)

// front is nginx with nginx.conf before a server of the test.
type front struct {
	binary, conf, dir string
	http, https       string // where it listens
	client            *http.Client
}

// newFront writes nginx.conf for this machine: free ports, a certificate, the
// test's server behind it. replace changes it further.
func newFront(t *testing.T, backend string, replace ...string) *front {
	t.Helper()
	f := &front{binary: nginx(t), dir: t.TempDir(), http: freeAddress(t), https: freeAddress(t)}
	site := strings.NewReplacer(append(replace,
		"listen 80;", "listen "+f.http+";",
		"listen 443 ssl http2;", "listen "+f.https+" ssl http2;",
		"    listen [::]:80;\n", "",
		"    listen [::]:443 ssl http2;\n", "",
		"server 127.0.0.1:8080;", "server "+backend+";",
		"/etc/nginx/tls/", f.dir+"/",
		"/var/log/nginx/", f.dir+"/",
	)...).Replace(read(t, "nginx.conf"))
	f.conf = filepath.Join(f.dir, "nginx.conf")
	var temp string
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, f.dir, kind)
	}
	main := "daemon off;\nmaster_process off;\npid " + f.dir + "/pid;\nerror_log stderr;\nevents {}\nhttp {\n" + temp + site + "}\n"
	if err := os.WriteFile(f.conf, []byte(main), 0o644); err != nil {
		t.Fatal(err)
	}
	roots := writeCertificate(t, f.dir, "status.example.com")
	f.client = &http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				to := f.https
				if strings.HasSuffix(address, ":80") {
					to = f.http
				}
				return new(net.Dialer).DialContext(ctx, network, to)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}

// nginx returns where nginx is, or skips the test. Debian's stands where only
// root looks for programs.
func nginx(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("nginx"); err == nil {
		return path
	}
	return peer.Program(t, "/usr/sbin/nginx")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func writeCertificate(t *testing.T, dir, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for ext, block := range map[string]*pem.Block{
		".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name+ext), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return pool
}

// start runs nginx until the test ends.
func (f *front) start(t *testing.T) {
	t.Helper()
	var said bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, f.binary, "-c", f.conf, "-p", f.dir)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		if t.Failed() {
			t.Logf("nginx said:\n%s", said.String())
		}
	})
	for range 200 {
		if c, err := net.Dial("tcp", f.https); err == nil {
			c.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("nginx does not listen")
}

func (f *front) do(t *testing.T, method, url string, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// status asks and returns the answer's status.
func (f *front) status(t *testing.T, method, path string, body int) int {
	t.Helper()
	resp := f.do(t, method, "https://status.example.com"+path, bytes.NewReader(make([]byte, body)))
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestNginxReadsIt(t *testing.T) {
	f := newFront(t, "127.0.0.1:8080")
	if out, err := run(t, f.binary, "-t", "-c", f.conf, "-p", f.dir); err != nil || strings.Contains(out, "[warn]") {
		t.Errorf("nginx -t: %v\n%s", err, out)
	}
}

func TestNginx(t *testing.T) {
	ended := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /probe/v1/stream", func(w http.ResponseWriter, r *http.Request) {
		for beat := range 3 {
			fmt.Fprintf(w, "{\"now\":%d}\n", beat)
			http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
		}
		<-ended
	})
	mux.HandleFunc("GET /headers", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Host, r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-For"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	backend := httptest.NewServer(mux)
	t.Cleanup(backend.Close)
	t.Cleanup(func() { close(ended) })
	f := newFront(t, backend.Listener.Addr().String())
	f.start(t)

	t.Run("heartbeats are passed on at once", func(t *testing.T) {
		resp := f.do(t, "GET", "https://status.example.com/probe/v1/stream", nil)
		stream := bufio.NewReader(resp.Body)
		for beat := range 3 {
			line, err := stream.ReadString('\n')
			if want := fmt.Sprintf("{\"now\":%d}\n", beat); err != nil || line != want {
				t.Errorf("read %q, %v; want %q", line, err, want)
			}
		}
	})
	t.Run("what nines must know of the request", func(t *testing.T) {
		resp := f.do(t, "GET", "https://status.example.com/headers", nil)
		body, err := io.ReadAll(resp.Body)
		if got, want := string(body), "status.example.com https 127.0.0.1"; err != nil || got != want {
			t.Errorf("nines sees %q, want %q; %v", got, want, err)
		}
		if resp.Header.Get("Strict-Transport-Security") == "" {
			t.Error("the answer lacks Strict-Transport-Security")
		}
	})
	t.Run("to TLS", func(t *testing.T) {
		resp := f.do(t, "GET", "http://status.example.com/history?x=1", nil)
		if got := resp.Header.Get("Location"); resp.StatusCode != 301 || got != "https://status.example.com/history?x=1" {
			t.Errorf("%d to %q", resp.StatusCode, got)
		}
	})
	for _, tc := range []struct {
		name, method, path string
		body, want         int
	}{
		{"a full batch of results", "POST", "/probe/v1/results", 4 << 20, 200},
		{"more than a batch", "POST", "/probe/v1/results", 6 << 20, 413},
		{"a webhook", "POST", "/hooks/slack", 60 << 10, 200},
		{"a flood of a webhook", "POST", "/hooks/slack", 1 << 20, 413},
		{"metrics for this machine", "GET", "/metrics", 0, 200},
		{"readiness for this machine", "GET", "/readyz", 0, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := f.status(t, tc.method, tc.path, tc.body); got != tc.want {
				t.Errorf("%s %s with %d bytes: %d, want %d", tc.method, tc.path, tc.body, got, tc.want)
			}
		})
	}
	t.Run("a token in a query is not logged", func(t *testing.T) {
		if got := f.status(t, "GET", "/oncall.ics?token=hunter2", 0); got != 200 {
			t.Fatalf("status %d", got)
		}
		log := ""
		for range 100 {
			if log = read(t, filepath.Join(f.dir, "nines.log")); strings.Contains(log, "/oncall.ics") {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if !strings.Contains(log, "/oncall.ics") || strings.Contains(log, "hunter2") {
			t.Errorf("the log has\n%s", log)
		}
	})
}

// Seen from anywhere else, what is not for the public is not there.
func TestNginxKeepsPrivate(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(backend.Close)
	f := newFront(t, backend.Listener.Addr().String(), "allow 127.0.0.1;", "allow 192.0.2.1;")
	f.start(t)
	for path, want := range map[string]int{"/metrics": 403, "/healthz": 403, "/readyz": 403, "/": 200, "/history": 200} {
		if got := f.status(t, "GET", path, 0); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}
