package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nines/internal/peer"
)

// chromium returns a real one, and skips tests that are to be quick.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	if path := Find(); path != "" {
		return path
	}
	peer.Missing(t, "chromium is not installed")
	return ""
}

// site is a server, and what was asked of it.
type site struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

func newSite(t *testing.T, handler http.HandlerFunc, secure bool) *site {
	t.Helper()
	s := &site{}
	noting := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r)
		s.mu.Unlock()
		handler(w, r)
	})
	if secure {
		s.Server = httptest.NewUnstartedServer(noting)
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Server = httptest.NewServer(noting)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *site) asked(path string) *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen {
		if r.URL.Path == path {
			return r
		}
	}
	return nil
}

// dialer connects to loopback but for the ports that are forbidden.
type dialer struct {
	mu        sync.Mutex
	asked     []string
	forbidden map[string]bool
}

var errForbidden = errors.New("forbidden")

func (d *dialer) dial(ctx context.Context, host, port string) (net.Conn, error) {
	d.mu.Lock()
	d.asked = append(d.asked, host+":"+port)
	d.mu.Unlock()
	if d.forbidden[port] || host != "127.0.0.1" && host != "localhost" {
		return nil, fmt.Errorf("%s:%s: %w", host, port, errForbidden)
	}
	var plain net.Dialer
	return plain.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
}

func load(t *testing.T, c Config) (*Page, error) {
	t.Helper()
	c.Program = chromium(t)
	if c.Dial == nil {
		c.Dial = (&dialer{}).dial
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = 100
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 10 << 20
	}
	c.MaxBody = 1 << 20
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	p, err := Load(ctx, c)
	nothingLeft(t)
	return p, err
}

// nothingLeft checks that no process and no folder of ours remains.
func nothingLeft(t *testing.T) {
	t.Helper()
	mine := fmt.Sprintf("%s%d-", folderPrefix, os.Getpid())
	if dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), mine+"*")); len(dirs) > 0 {
		t.Errorf("folders remain: %v", dirs)
	}
	if left := processes(mine); len(left) > 0 {
		t.Errorf("processes remain: %v", left)
	}
}

// processes are those that have a word in their command line. One that has
// ended and waits to be reaped has none.
func processes(word string) (found []string) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(word)) {
			found = append(found, filepath.Base(filepath.Dir(file)))
		}
	}
	return found
}

const document = `<!doctype html><title>Shop</title><meta name=viewport content="width=device-width">
<style>#late{height:0}</style><link rel=stylesheet href=/style.css><h1 style="font-size:60px">Welcome to the shop</h1>
<img src=/picture.svg width=200 height=200><p id=late></p><p>below</p>
<script>
console.error("something is wrong");
setTimeout(() => { document.getElementById("late").style.height = "200px" }, 900);
setTimeout(() => { throw new Error("worse") }, 10);
</script>`

func shop(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/moved":
		http.Redirect(w, r, "/", http.StatusFound)
	case "/style.css":
		w.Header().Set("Content-Type", "text/css")
		io.WriteString(w, "h1{color:green}")
	case "/picture.svg":
		// Chromium leaves out shifts within half a second after the viewport's
		// size was set, which a phone's is at the start.
		time.Sleep(1200 * time.Millisecond)
		w.Header().Set("Content-Type", "image/svg+xml")
		io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="red"/></svg>`)
	default:
		w.Header().Set("Content-Type", "text/html")
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "verysecret"})
		io.WriteString(w, document)
	}
}

func TestLoad(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls ", secure), func(t *testing.T) {
			s := newSite(t, shop, secure)
			d := &dialer{}
			c := Config{
				URL: s.URL + "/moved", Dial: d.dial, Insecure: secure, Header: http.Header{"X-Api": {"topsecret"}},
				Device: Device{UserAgent: "Mozilla/5.0 Chrome/1 Mobile", Width: 412, Height: 823, DPR: 1.75, Mobile: true, Touch: true},
				Failed: func(*Page) bool { return true },
			}
			p, err := load(t, c)
			if err != nil {
				t.Fatal(err)
			}
			for _, addr := range d.asked {
				if !strings.Contains(s.URL, addr) {
					t.Errorf("Chromium runs an errand to %s", addr)
				}
			}
			if p.Status != 200 || p.Redirects != 1 || p.Requests != 5 || p.ConsoleErrors != 2 || p.Refused != 0 || !bytes.Contains(p.Body, []byte("Welcome")) {
				t.Errorf("status %d, %d redirects, %d requests, %d errors, %d refused, body of %d; dialled %v", p.Status, p.Redirects, p.Requests, p.ConsoleErrors, p.Refused, len(p.Body), d.asked)
			}
			if !(0 < p.FirstByte && p.FirstByte <= p.DOMContentLoaded && p.DOMContentLoaded <= p.Load && 0 < p.LCP) || p.CLS <= 0.01 || p.CLS > 1 || p.Bytes < 500 {
				t.Errorf("first byte %v, parsed %v, loaded %v, painted %v, moved %v, %d bytes", p.FirstByte, p.DOMContentLoaded, p.Load, p.LCP, p.CLS, p.Bytes)
			}
			if protocol := map[bool]string{true: "h2", false: "http/1.1"}[secure]; p.Protocol != protocol || (p.TLS != "") != secure {
				t.Errorf("protocol %q, TLS %q", p.Protocol, p.TLS)
			}
			if got := s.asked("/style.css"); got == nil || got.UserAgent() != c.Device.UserAgent || got.Header.Get("X-Api") != "topsecret" || got.Header.Get("Proxy-Authorization") != "" {
				t.Errorf("the style was asked for by %+v", got)
			}
			if img, err := png.Decode(bytes.NewReader(p.Screenshot)); err != nil || img.Bounds().Dx() != 721 {
				t.Errorf("the picture: %v", err)
			}
			var har struct {
				Log struct {
					Entries []struct{ Request struct{ URL string } }
				}
			}
			if err := json.Unmarshal(p.Archive, &har); err != nil || len(har.Log.Entries) != 5 {
				t.Errorf("%d entries in the archive: %v", len(har.Log.Entries), err)
			}
			for _, secret := range []string{"verysecret", "topsecret"} {
				if bytes.Contains(p.Archive, []byte(secret)) {
					t.Errorf("%q is in the archive", secret)
				}
			}
		})
	}
}

// Whatever a page asks for goes through Dial, loopback and redirects included,
// and what Dial refuses is not reached; no datagram leaves at all.
func TestGuard(t *testing.T) {
	private := newSite(t, shop, false)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	u, _ := url.Parse(private.URL)
	public := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, private.URL+"/style.css", http.StatusFound)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<!doctype html><link rel=preconnect href=%[1]s><link rel=dns-prefetch href=//internal.example.test>
<img src=%[1]s/picture.svg><img src=/away><iframe src=%[1]s/></iframe><img src=http://[::1]:%[2]s/six.png><img src=http://169.254.169.254/latest>
<script>
fetch("%[1]s/fetched", {mode: "no-cors"}).catch(() => 0);
try { new WebSocket("ws://127.0.0.1:%[2]s/socket") } catch (e) {}
try { new WebTransport("https://127.0.0.1:%[3]d/") } catch (e) {}
(async () => { const c = new RTCPeerConnection({iceServers: [{urls: "stun:127.0.0.1:%[3]d"}]}); c.createDataChannel("x"); await c.setLocalDescription(await c.createOffer()) })().catch(() => 0);
</script>`, private.URL, u.Port(), udp.LocalAddr().(*net.UDPAddr).Port)
		}
	}, false)
	d := &dialer{forbidden: map[string]bool{u.Port(): true, "80": true}}
	p, err := load(t, Config{URL: public.URL, Dial: d.dial, Failed: func(*Page) bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	private.mu.Lock()
	if len(private.seen) > 0 {
		t.Errorf("the private server was asked for %v", private.seen[0].URL)
	}
	private.mu.Unlock()
	if p.Refused < 4 || p.Screenshot != nil {
		t.Errorf("%d refused, of %v", p.Refused, d.asked)
	}
	for _, wanted := range []string{"169.254.169.254:80", "::1:" + u.Port(), "127.0.0.1:" + u.Port()} {
		if !strings.Contains(fmt.Sprint(d.asked), wanted) {
			t.Errorf("%s was not asked of Dial: %v", wanted, d.asked)
		}
	}
	udp.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, from, err := udp.ReadFrom(make([]byte, 2000)); err == nil {
		t.Errorf("a datagram of %d bytes came from %v", n, from)
	}
}

// Only the browser that the relay was made for can use it.
func TestRelayAsksForItsPassword(t *testing.T) {
	r, err := newRelay((&dialer{}).dial, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	s := newSite(t, shop, false)
	through := func(user *url.Userinfo) *http.Response {
		client := &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
			return &url.URL{Scheme: "http", User: user, Host: r.addr()}, nil
		}}}
		defer client.CloseIdleConnections()
		answer, err := client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer
	}
	if got := through(nil); got.StatusCode != http.StatusProxyAuthRequired {
		t.Error(got.Status)
	}
	if got := through(url.UserPassword(r.user, "guess")); got.StatusCode != http.StatusProxyAuthRequired {
		t.Error(got.Status)
	}
	if got := through(url.UserPassword(r.user, r.password)); got.StatusCode != http.StatusOK {
		t.Error(got.Status)
	}
	if len(s.seen) != 1 {
		t.Errorf("the server was asked %d times", len(s.seen))
	}
}

func TestFailures(t *testing.T) {
	secure := newSite(t, shop, true)
	hang := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false)
	many := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<script>for (let i = 0; i < 50; i++) fetch('/x' + i)</script>")
	}, false)
	heavy := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write(make([]byte, 3<<20))
	}, false)
	t.Run("certificate", func(t *testing.T) {
		_, err := load(t, Config{URL: secure.URL})
		if refused, ok := errors.AsType[*NetError](err); !ok || !strings.Contains(refused.Code, "CERT_AUTHORITY_INVALID") {
			t.Error(err)
		}
	})
	for _, scheme := range []string{"http", "https"} {
		t.Run("refused "+scheme, func(t *testing.T) {
			_, err := load(t, Config{URL: scheme + "://192.0.2.1/"})
			if !errors.Is(err, errForbidden) {
				t.Error(err)
			}
		})
	}
	t.Run("requests", func(t *testing.T) {
		if _, err := load(t, Config{URL: many.URL, MaxRequests: 10}); !errors.Is(err, ErrTooMuch) {
			t.Error(err)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		if _, err := load(t, Config{URL: heavy.URL, MaxBytes: 1 << 20}); !errors.Is(err, ErrTooMuch) {
			t.Error(err)
		}
	})
	t.Run("time", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		p, err := Load(ctx, Config{Program: chromium(t), URL: hang.URL, Dial: (&dialer{}).dial, MaxRequests: 10, MaxBytes: 1 << 20, MaxBody: 1000})
		if !errors.Is(err, context.DeadlineExceeded) || p.Status != 0 || time.Since(start) > 7*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		nothingLeft(t)
	})
	t.Run("no program", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := Load(ctx, Config{Program: "/nonexistent", Dial: (&dialer{}).dial}); !errors.Is(err, ErrStart) {
			t.Error(err)
		}
		nothingLeft(t)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		time.AfterFunc(3*time.Second, cancel)
		Load(ctx, Config{Program: chromium(t), URL: hang.URL, Dial: (&dialer{}).dial, MaxRequests: 10, MaxBytes: 1 << 20, MaxBody: 1000})
		nothingLeft(t)
	})
}

// Should this whole program be killed, the kernel ends Chromium, and the next
// load removes the folder.
func TestKilled(t *testing.T) {
	hang := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "NINES_BROWSER_TEST_LOAD="+hang.URL)
	chromium(t)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	mine := fmt.Sprintf("%s%d-", folderPrefix, child.Process.Pid)
	await := func(what string, ok func() bool) {
		t.Helper()
		for range 300 {
			if ok() {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Errorf("%s not within 30 s: %v", what, processes(mine))
	}
	await("the page is asked for", func() bool { return hang.asked("/") != nil })
	if len(processes(mine)) == 0 {
		t.Error("Chromium's processes are not found, so that nothing is tested")
	}
	child.Process.Kill()
	child.Wait()
	await("Chromium ends", func() bool { return len(processes(mine)) == 0 })
	sweep()
	if dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), mine+"*")); len(dirs) > 0 {
		t.Errorf("folders remain: %v", dirs)
	}
}

func TestMain(m *testing.M) {
	if target := os.Getenv("NINES_BROWSER_TEST_LOAD"); target != "" {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		Load(ctx, Config{Program: Find(), URL: target, Dial: (&dialer{}).dial, MaxRequests: 10, MaxBytes: 1 << 20, MaxBody: 1000})
		os.Exit(0)
	}
	os.Exit(m.Run())
}
