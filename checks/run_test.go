package checks

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nines/checks/checkstest"
)

// scripted are options whose tries are functions, in order.
type scripted struct {
	tries []func(context.Context) Outcome
	made  atomic.Int32
}

func (s *scripted) Faults() []Fault { return nil }
func (s *scripted) Target() string  { return "nowhere" }
func (s *scripted) Probe(ctx context.Context, _ *Env) Outcome {
	return s.tries[s.made.Add(1)-1](ctx)
}

func says(status Status, reason Reason) func(context.Context) Outcome {
	return func(context.Context) Outcome { return Outcome{Status: status, Reason: reason} }
}

// hangs until ctx ends, as a well-behaved kind does with a silent target.
func hangs(reason Reason) func(context.Context) Outcome {
	return func(ctx context.Context) Outcome {
		<-ctx.Done()
		return Outcome{Status: Down, Reason: reason}
	}
}

func TestRunTries(t *testing.T) {
	type script = []func(context.Context) Outcome
	for _, tt := range []struct {
		name   string
		tries  script
		status Status
		reason Reason
		made   int32
		facts  Facts
	}{
		{"up", script{says(Up, "")}, Up, "", 1, Facts{}},
		{"degraded is not tried again", script{says(Degraded, SlowTotal)}, Degraded, SlowTotal, 1, Facts{}},
		{"unknown is not tried again", script{says(Unknown, ProberBlocked)}, Unknown, ProberBlocked, 1, Facts{}},
		{"down twice", script{says(Down, ConnectReset), says(Down, ConnectRefused)}, Down, ConnectRefused, 2, Facts{"tries": 2, "first_reason": "connect.reset"}},
		{"down once", script{says(Down, ConnectReset), says(Up, "")}, Up, "", 2, Facts{"tries": 2, "first_reason": "connect.reset"}},
		{"timed out", script{hangs(HTTPTimeout)}, Down, HTTPTimeout, 1, Facts{}},
		{"no time for the second", script{says(Down, HTTPStatus), hangs(ConnectTimeout)}, Down, HTTPStatus, 2, Facts{"tries": 2, "second_reason": "connect.timeout"}},
		{"two timeouts", script{says(Down, DNSTimeout), hangs(ConnectTimeout)}, Down, ConnectTimeout, 2, Facts{"tries": 2, "first_reason": "dns.timeout"}},
		{"our own fault in the second", script{says(Down, ConnectReset), says(Unknown, ProberOverloaded)}, Unknown, ProberOverloaded, 2, Facts{"tries": 2, "first_reason": "connect.reset"}},
		{"panic", script{func(context.Context) Outcome { panic("oops") }}, Unknown, ProberInternal, 1, Facts{}},
		{"panic in the second", script{says(Down, ConnectReset), func(context.Context) Outcome { panic("oops") }}, Unknown, ProberInternal, 2, Facts{"tries": 2, "first_reason": "connect.reset"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &scripted{tries: tt.tries}
			r := run(t, s, 500*time.Millisecond, &Env{})
			wants(t, r, tt.status, tt.reason)
			if s.made.Load() != tt.made {
				t.Errorf("%d tries", s.made.Load())
			}
			if len(r.Facts) != len(tt.facts) {
				t.Errorf("facts %v", r.Facts)
			}
			for name, want := range tt.facts {
				if r.Facts[name] != want {
					t.Errorf("%s is %v, want %v", name, r.Facts[name], want)
				}
			}
		})
	}
}

func TestRunCancelled(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	zone := opened(checkstest.NewDNS())(t)
	ca, cert := issue(t, checkstest.Leaf{})
	secured := opened(checkstest.NewTLS(cert))(t)
	zone.Set(checkstest.DNSSilent, 0)
	secured.SetFault(checkstest.TLSStall)
	slow := &Bandwidth{HTTPRequest: newHTTPRequest(maxBody), Profile: Profile{DownKbps: 10, UpKbps: 10, RTTMS: 5000}}
	slow.URL = server.URL()
	tcp := dnsAt(zone.Addr(), "example.test", "A")
	tcp.Transport = "tcp"
	half := httpAt(server.URL() + "/half")
	server.Set(checkstest.Behaviour{Fault: checkstest.StallBeforeReply})
	server.SetPath("/half", checkstest.Behaviour{Fault: checkstest.StallInBody})
	for name, options := range map[string]Options{
		"connect":   httpAt("http://" + fullBacklog(t)),
		"http":      httpAt(server.URL()),
		"body":      half,
		"tls":       tlsAt(secured.Addr(), ca.PEM()),
		"dns":       dnsAt(zone.Addr(), "example.test", "A"),
		"dns tcp":   tcp,
		"bandwidth": slow,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			spec := Spec{Name: "test", Every: time.Minute, Timeout: 30 * time.Second, Options: options}
			start := time.Now()
			r := spec.Run(ctx, loopback(), start)
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("ended %v after the start", took)
			}
			wants(t, r, Unknown, ProberStopped)
		})
	}
}

// A run that has found its target up is not undone by a cancel after it.
func TestRunUpDespiteCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &scripted{tries: []func(context.Context) Outcome{func(context.Context) Outcome { cancel(); return Outcome{Status: Up} }}}
	r := Spec{Name: "test", Timeout: time.Second, Options: s}.Run(ctx, &Env{}, time.Now())
	wants(t, r, Up, "")
}

func TestRunFillsTheResult(t *testing.T) {
	now := time.Date(2026, 10, 1, 0, 0, 0, 12_345_678, time.FixedZone("", 3600))
	env := &Env{Now: func() time.Time { return now }}
	s := &scripted{tries: []func(context.Context) Outcome{func(context.Context) Outcome {
		return Outcome{Status: Degraded, Reason: SlowTotal, Detail: "\xff" + strings.Repeat("x", 5000),
			Phases: Phases{"dns": 1.23456789}, Facts: Facts{"a": "\xfe", "b": []string{"\xfd"}}, Took: 1234567 * time.Nanosecond}
	}}}
	slot := now.Add(-time.Second)
	r := Spec{Name: "shop", Timeout: time.Second, Options: s}.Run(t.Context(), env, slot)
	if r.Check != "shop" || !r.At.Equal(now.Truncate(time.Millisecond)) || !r.Slot.Equal(slot.Truncate(time.Millisecond)) || r.At.Location() != time.UTC {
		t.Errorf("got %+v", r)
	}
	if r.TookMS != 1.235 || r.Phases["dns"] != 1.235 || len(r.Detail) > 1030 || !strings.HasPrefix(r.Detail, "\uFFFDx") {
		t.Errorf("got %+v", r)
	}
	if r.Facts["a"] != "\uFFFD" || r.Facts["b"].([]string)[0] != "\uFFFD" {
		t.Errorf("facts %q", r.Facts)
	}
}

// Runs leave nothing running behind.
func TestRunsLeaveNoGoroutines(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	server := opened(checkstest.NewHTTP())(t)
	secured := opened(checkstest.NewHTTPS(cert))(t)
	server.SetPath("/large", checkstest.Behaviour{Body: strings.Repeat("x", 3<<20)})
	server.SetPath("/stall", checkstest.Behaviour{Fault: checkstest.StallBeforeReply})
	server.SetPath("/moved", checkstest.Behaviour{Status: 302, Header: http.Header{"Location": {secured.URL()}}})
	upload := httpAt(server.URL() + "/stall")
	upload.Method, upload.Body = "POST", strings.Repeat("x", 1<<20)
	moved := httpAt(server.URL() + "/moved")
	moved.CA = ca.PEM()
	all := []Options{httpAt(server.URL()), httpAt(server.URL() + "/large"), httpAt(server.URL() + "/stall"), upload, moved}
	once := func() {
		for _, options := range all {
			run(t, options, 200*time.Millisecond, loopback())
		}
	}
	once()
	before := settled()
	for range 5 {
		once()
	}
	if after := settled(); after > before+3 {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// settled is how many goroutines there are once those that are ending have.
func settled() int {
	least := runtime.NumGoroutine()
	for range 20 {
		time.Sleep(20 * time.Millisecond)
		least = min(least, runtime.NumGoroutine())
	}
	return least
}
