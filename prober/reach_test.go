package prober

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/secret"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/fleet"
)

// A token that the scheduler refuses is read again, and what was found
// meanwhile arrives with the new one.
func TestTokenReadAgain(t *testing.T) {
	t.Parallel()
	s := newScheduler(t)
	url := target(t, fine)
	list := []config.Check{httpCheck(t, "shop", url, time.Second, time.Second)}
	s.Update([]fleet.Member{member}, list)
	var onDisk atomic.Pointer[secret.String]
	first, second := member.Token, secret.New("the token that replaces it")
	onDisk.Store(&first)
	p := runProber(t, s.server.URL, func(c *Config) {
		c.Renew = func() (secret.String, error) { return *onDisk.Load(), nil }
	})
	s.recorder.await(t, "a result", func(r []checks.Result) bool { return len(r) > 0 })

	replaced := member
	replaced.Token = second
	s.Update([]fleet.Member{replaced}, list)
	before := len(s.recorder.all())
	time.Sleep(1500 * time.Millisecond)
	if n := len(s.recorder.all()); n > before+1 {
		t.Errorf("%d results arrived with a token that was revoked", n-before)
	}
	onDisk.Store(&second)
	s.recorder.await(t, "results by the new token", func(r []checks.Result) bool { return len(r) >= before+4 })
	p.stop()
	checkSlots(t, s.recorder.all(), "shop", time.Second)
}

// A prober reaches its scheduler through a proxy and trusts whom it is told to.
func TestThroughAProxyAndPrivateRoots(t *testing.T) {
	t.Parallel()
	s := newScheduler(t)
	s.Update([]fleet.Member{member}, []config.Check{httpCheck(t, "shop", target(t, fine), time.Second, time.Second)})
	secured := httptest.NewTLSServer(s.Handler())
	t.Cleanup(secured.Close)
	var tunnels atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		tunnels.Add(1)
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			there.Close()
			return
		}
		go func() { io.Copy(there, buffered); there.Close() }()
		go func() { io.Copy(here, there); here.Close() }()
	}))
	t.Cleanup(proxy.Close)
	through, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secured.Certificate().Raw}))
	runProber(t, secured.URL, func(c *Config) { c.Proxy, c.Roots = through, roots })
	s.recorder.await(t, "two results", func(r []checks.Result) bool { return len(r) >= 2 })
	if tunnels.Load() == 0 {
		t.Error("nothing went through the proxy")
	}

	// Without the roots it is nobody's word.
	stranger, err := New(Config{Scheduler: secured.URL, Token: member.Token, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.spool.close()
	req, err := stranger.shipper.request(t.Context(), http.MethodGet, regions.StreamPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := stranger.shipper.client.Do(req); err == nil {
		resp.Body.Close()
		t.Error("a certificate that nobody vouches for was taken")
	}
}

// A check of another prober is run when it is asked for, and has no slots.
func TestRunForAnother(t *testing.T) {
	t.Parallel()
	s := newScheduler(t)
	s.Update([]fleet.Member{member}, nil)
	p := runProber(t, s.server.URL, nil)
	other := httpCheck(t, "shop", target(t, fine), time.Second, time.Second)
	spec, err := other.Spec.Wire()
	if err != nil {
		t.Fatal(err)
	}
	for !p.Stats().Connected {
		time.Sleep(10 * time.Millisecond)
	}
	asked := time.Now().UTC().Truncate(time.Millisecond)
	task := p.schedule.ask(regions.Run{Check: "shop", Slot: asked, Spec: spec})
	if task == nil {
		t.Fatal("the request was passed over")
	}
	p.start(task)
	if again := p.schedule.ask(regions.Run{Check: "shop", Slot: asked.Add(time.Millisecond), Spec: spec}); again != nil {
		t.Error("it was run twice within a second")
	}
	if wrong := p.schedule.ask(regions.Run{Check: "cart", Slot: asked, Spec: spec}); wrong != nil {
		t.Error("the check of another name was run")
	}
	results := s.recorder.await(t, "its result", func(r []checks.Result) bool { return len(r) > 0 })
	if r := results[0]; r.Check != "shop" || r.Status != checks.Up || !r.Slot.Equal(asked) {
		t.Errorf("got %+v", r)
	}
	time.Sleep(1500 * time.Millisecond)
	if n := len(s.recorder.all()); n != 1 {
		t.Errorf("%d results, want the one that was asked for", n)
	}
}
