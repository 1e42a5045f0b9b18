package fleet

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"nines/internal/peer"
	"nines/scheduler/config"
)

// nginxConf is a front as deploy/README.md has it, without TLS.
const nginxConf = `daemon off; pid %[1]s/pid; error_log stderr; worker_processes 1;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; location / { proxy_pass %[3]s; } }
}`

// behind returns the URL of a proxy in front of the server.
func behind(t *testing.T, proxy string, server *httptest.Server) string {
	t.Helper()
	if proxy == "go" {
		u, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		front := httptest.NewServer(httputil.NewSingleHostReverseProxy(u))
		t.Cleanup(front.Close)
		return front.URL
	}
	nginx := peer.Program(t, "nginx")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, address, server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-p", dir, "-c", conf, "-e", "stderr")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	for range 100 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "http://" + address
}

// Every line comes through a reverse proxy when it is written, not when a
// buffer is full.
func TestThroughProxy(t *testing.T) {
	for _, proxy := range []string{"go", "nginx"} {
		t.Run(proxy, func(t *testing.T) {
			f, i, server := serve(t)
			f.Update(members("eu-1"), []config.Check{check(t, "shop", "eu")})
			front := behind(t, proxy, server)
			r := connect(t, front, "eu-1")
			if got := r.assignment(t); len(got) != 1 {
				t.Errorf("assignment %v", got)
			}
			for range 3 {
				time.Sleep(400 * time.Millisecond)
				begun := time.Now()
				f.Confirm("shop", "us", begun)
				if m, err := r.next(); err != nil || m.Run == nil || time.Since(begun) > 300*time.Millisecond {
					t.Errorf("after %s came %+v, %v", time.Since(begun), m, err)
				}
			}
			resp, answer := post(t, front, "eu-1", nil, zip([]byte(`{"spool":"a","entries":[{"seq":1,"result":`+oneResult+`}]}`)))
			if resp.StatusCode != http.StatusOK || len(i.batches) != 1 {
				t.Errorf("%d %s", resp.StatusCode, answer)
			}
			f.Update(nil, nil)
			if _, err := r.next(); err == nil {
				t.Error("the stream's end does not come through")
			}
		})
	}
}
