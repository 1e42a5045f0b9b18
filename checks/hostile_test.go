package checks

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	"nines/checks/checkstest"
)

// hostile is a target that wants the prober's time, memory or network, and the
// limit that stops it.
type hostile struct {
	name  string
	limit string // what ends the run, for people
	// aim starts the target and returns the check of it.
	aim func(t *testing.T) Options
	// waits is set where nothing but the run's timeout can end it.
	waits  bool
	status Status // empty: down, or unknown for prober.*
	reason Reason
	// or is the reason where the library that reads gives up in other words than
	// we do, which depends on how the answer came in pieces.
	or Reason
}

const (
	// hostileTimeout is the timeout of runs that need all of it.
	hostileTimeout = 700 * time.Millisecond
	// hostileMemory is how much more memory than an ordinary run one against a
	// hostile target may take, in KiB.
	hostileMemory = 8 << 10
	// raceFactor is what the race detector makes of each byte, and more.
	raceFactor = 4
)

// attacked is one run in a process of its own, as its parent asks for it and
// as the process answers.
type attacked struct {
	Ordinary, Hostile json.RawMessage // as Spec.Wire writes them
	NameServer        string

	Result     Result
	Took       time.Duration
	GrewKiB    int // beyond the ordinary run, at the highest; -1 where that cannot be measured
	Goroutines int // left over, beyond those that the ordinary run left
}

// attackedFile names the file that holds an attacked, for the test below.
const attackedFile = "NINES_TEST_ATTACKED"

// TestAttacked is not a test but the process in which a run against a hostile
// target is measured by itself.
func TestAttacked(t *testing.T) {
	path := os.Getenv(attackedFile)
	if path == "" {
		t.Skip("is run by TestHostile in a process of its own")
	}
	var a attacked
	if err := json.Unmarshal(must(os.ReadFile(path))(t), &a); err != nil {
		t.Fatal(err)
	}
	ordinary, target := must(ParseWire(a.Ordinary))(t), must(ParseWire(a.Hostile))(t)
	env := loopback()
	env.nameServer = a.NameServer
	for range 3 { // so that what is made once is there
		if r := ordinary.Run(t.Context(), env, time.Now()); r.Status != Up {
			t.Fatalf("the ordinary run is %s %s (%s)", r.Status, r.Reason, r.Detail)
		}
	}
	before := peak(func() { ordinary.Run(t.Context(), env, time.Now()) })
	goroutines := least(0)
	after := peak(func() {
		start := time.Now()
		a.Result = target.Run(context.Background(), env, start)
		a.Took = time.Since(start)
	})
	if a.GrewKiB = after - before; before < 0 || after < 0 {
		a.GrewKiB = -1
	}
	a.Goroutines = least(goroutines) - goroutines
	if err := os.WriteFile(path, must(json.Marshal(a))(t), 0o600); err != nil {
		t.Fatal(err)
	}
}

// least is how many goroutines there are once those that are ending have, which
// is waited for until there are no more than expected.
func least(expected int) int {
	now := runtime.NumGoroutine()
	for range 50 {
		if now <= expected {
			break
		}
		time.Sleep(10 * time.Millisecond)
		before := now
		now = min(now, runtime.NumGoroutine())
		if expected == 0 && now == before {
			break
		}
	}
	return now
}

// peak runs do and returns the most memory that the process had meanwhile, in
// KiB as the kernel counts it, or -1 where the kernel does not.
func peak(do func()) int {
	debug.FreeOSMemory()
	if os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) != nil {
		do()
		return -1
	}
	do()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1
	}
	highest := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if highest == nil {
		return -1
	}
	kib, err := strconv.Atoi(string(highest[1]))
	if err != nil {
		return -1
	}
	return kib
}

// attack has the run made in a process of its own.
func attack(t *testing.T, ordinary, target Spec, nameServer string) attacked {
	t.Helper()
	a := attacked{Ordinary: must(ordinary.Wire())(t), Hostile: must(target.Wire())(t), NameServer: nameServer}
	path := filepath.Join(t.TempDir(), "attacked.json")
	if err := os.WriteFile(path, must(json.Marshal(a))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	process := exec.Command(os.Args[0], "-test.run=^TestAttacked$", "-test.timeout=60s")
	process.Env = append(os.Environ(), attackedFile+"="+path)
	if said, err := process.CombinedOutput(); err != nil {
		t.Fatalf("the process under attack: %v\n%s", err, said)
	}
	if err := json.Unmarshal(must(os.ReadFile(path))(t), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// hold runs each row in a process of its own and holds it against what every
// run promises: its reason, its end, its memory, and nothing left behind.
func hold(t *testing.T, rows []hostile) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			options := row.aim(t)
			kind := kindOf(t, options)
			timeout := 10 * time.Second
			if row.waits {
				timeout = hostileTimeout
			}
			for _, f := range options.Faults() {
				t.Fatalf("%s: %s", f.Path, f.Message)
			}
			target := Spec{Name: "hostile", Kind: kind, Every: time.Minute, Timeout: timeout, Options: options}
			a := attack(t, Spec{Name: "ordinary", Kind: kind, Every: time.Minute, Timeout: 10 * time.Second, Options: ordinary(t, options)}, target, hostileNames(t))
			status := row.status
			if status == "" {
				status = against(row.reason, "").status
			}
			if row.or == "" || a.Result.Reason != row.or {
				wants(t, a.Result, status, row.reason)
			}
			// Half a second is for a machine that has other things to do.
			if most := timeout + timeout/10 + 500*time.Millisecond; a.Took > most || row.waits && a.Took < timeout*9/10 {
				t.Errorf("the run took %v with a timeout of %v", a.Took, timeout)
			}
			most := hostileMemory
			if raceDetector {
				most *= raceFactor
			}
			if a.GrewKiB > most {
				t.Errorf("the run took %d KiB more than an ordinary one; limit: %s", a.GrewKiB, row.limit)
			}
			if a.Goroutines > 0 {
				t.Errorf("the run left %d goroutines", a.Goroutines)
			}
			t.Logf("%s %s after %v, %+d KiB (%s): %s", a.Result.Status, a.Result.Reason, a.Took.Round(time.Millisecond), a.GrewKiB, row.limit, a.Result.Detail)
		})
	}
}

// kindOf returns the name of the kind that options belong to.
func kindOf(t testing.TB, options Options) string {
	t.Helper()
	for name, kind := range kinds {
		if fmt.Sprintf("%T", kind.New()) == fmt.Sprintf("%T", options) {
			return name
		}
	}
	t.Fatalf("%T is of no kind", options)
	return ""
}

// ordinary returns a check of the same sort as options whose target behaves.
func ordinary(t testing.TB, options Options) Options {
	t.Helper()
	switch options := options.(type) {
	case *HTTP:
		if options.CA == "" {
			return httpAt(opened(checkstest.NewHTTP())(t).URL())
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(page))
		server.EnableHTTP2 = true
		server.TLS = &tls.Config{Certificates: []tls.Certificate{hostileAuthority(t).cert}}
		server.StartTLS()
		t.Cleanup(server.Close)
		return trusting(t, httpAt(server.URL))
	case *TLS:
		o := newTLS()
		o.Address, o.CA = opened(checkstest.NewTLS(hostileAuthority(t).cert))(t).Addr(), hostileAuthority(t).ca.PEM()
		return o
	case *DNS:
		return dnsAt(opened(checkstest.NewDNS("example.test. 60 IN A 192.0.2.10"))(t).Addr(), "example.test", "A")
	}
	t.Fatalf("%T has no ordinary run", options)
	return nil
}

// allowing is an Env that may reach one range.
func allowing(prefix string) *Env { return &Env{Allow: []netip.Prefix{netip.MustParsePrefix(prefix)}} }

// hostileNames is a name server whose names lead to loopback, allowed or not.
func hostileNames(t testing.TB) string {
	t.Helper()
	return opened(checkstest.NewDNS(
		"home.test. 60 IN A 127.0.0.1",
		"private.test. 60 IN A 10.0.0.1",
		"metadata.test. 60 IN A 169.254.169.254",
		"mapped.test. 60 IN AAAA ::ffff:10.0.0.1",
		"half.test. 60 IN A 127.0.0.1",
		"half.test. 60 IN AAAA fd00::1",
	))(t).Addr()
}

// issued is the authority of all hostile targets, and its certificate for
// localhost.
type issued struct {
	ca   *checkstest.CA
	cert tls.Certificate
}

var hostileAuthorityOnce = sync.OnceValues(func() (issued, error) {
	ca, err := checkstest.NewCA()
	if err != nil {
		return issued{}, err
	}
	cert, err := ca.Issue(checkstest.Leaf{})
	return issued{ca, cert}, err
})

func hostileAuthority(t testing.TB) issued {
	t.Helper()
	return must(hostileAuthorityOnce())(t)
}

func trusting(t testing.TB, h *HTTP) *HTTP {
	t.Helper()
	h.CA = hostileAuthority(t).ca.PEM()
	return h
}

// rawServer serves each connection of a listener on loopback with serve, which is
// left to write what no server library would, and returns host:port.
func rawServer(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[conn] = true
			mu.Unlock()
			serving.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return l.Addr().String()
}

// rawTLSServer is rawServer with the handshake done, for the protocols named.
func rawTLSServer(t testing.TB, serve func(*tls.Conn), protocols ...string) string {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{hostileAuthority(t).cert}, NextProtos: protocols}
	return rawServer(t, func(conn net.Conn) {
		secured := tls.Server(conn, config)
		if secured.Handshake() == nil {
			serve(secured)
		}
	})
}

// hangOn reads until the client goes.
func hangOn(conn net.Conn) { io.Copy(io.Discard, conn) }

// writeForever writes text until the client goes.
func writeForever(conn net.Conn, text string) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

// quiet keeps net/http's servers from writing about clients that went.
var quiet = log.New(io.Discard, "", 0)
