package checks

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nines/checks/checkstest"
)

// several is an Env in which every name has these addresses.
func several(t testing.TB, addrs ...string) *Env {
	t.Helper()
	var zone []string
	for _, addr := range addrs {
		kind := "A"
		if strings.Contains(addr, ":") {
			kind = "AAAA"
		}
		zone = append(zone, "several.test. 60 IN "+kind+" "+addr)
	}
	server := opened(checkstest.NewDNS(zone...))(t)
	env := loopback()
	env.Allow = append(env.Allow, netip.MustParsePrefix("::1/128"))
	env.nameServer = server.Addr()
	return env
}

func TestEach(t *testing.T) {
	up := Outcome{Status: Up, Took: time.Millisecond}
	slow := Outcome{Status: Degraded, Reason: SlowTotal, Took: 2 * time.Millisecond}
	down := Outcome{Status: Down, Reason: ConnectRefused, Detail: "refused", Took: 3 * time.Millisecond}
	other := Outcome{Status: Down, Reason: HTTPStatus, Detail: "500", Took: 4 * time.Millisecond}
	silent := Outcome{Status: Unknown, Reason: ProberNetwork, Took: 5 * time.Millisecond}
	differ := func([]single) finding { return against(TLSDiffers, "differ").soften() }
	for _, tt := range []struct {
		name    string
		found   []Outcome
		all     bool
		compare func([]single) finding
		status  Status
		reason  Reason
		says    string
	}{
		{name: "all up", found: []Outcome{up, up, up}, status: Up},
		{name: "one slow", found: []Outcome{up, slow, up}, status: Degraded, reason: SlowTotal},
		{name: "one down", found: []Outcome{up, down, up}, status: Degraded, reason: ConnectPartial, says: "1 of 3 addresses do not work: 127.0.0.2 (connect.refused); refused"},
		{name: "one down, all must work", found: []Outcome{up, down, up}, all: true, status: Down, reason: ConnectPartial},
		{name: "all down", found: []Outcome{down, other, down}, status: Down, reason: HTTPStatus, says: "500"},
		{name: "two down, one silent", found: []Outcome{down, other, silent}, status: Down, reason: HTTPStatus},
		{name: "one down, one silent, one up", found: []Outcome{down, silent, up}, status: Degraded, reason: ConnectPartial},
		{name: "one silent", found: []Outcome{up, silent, up}, status: Up},
		{name: "all silent", found: []Outcome{silent, silent, silent}, status: Unknown, reason: ProberNetwork},
		{name: "up and different", found: []Outcome{up, up, up}, compare: differ, status: Degraded, reason: TLSDiffers, says: "differ"},
		{name: "slow and different", found: []Outcome{up, slow, up}, compare: differ, status: Degraded, reason: TLSDiffers},
		{name: "partly down and different", found: []Outcome{up, down, up}, compare: differ, status: Degraded, reason: ConnectPartial},
		{name: "down and different", found: []Outcome{down, down, down}, compare: differ, status: Down, reason: ConnectRefused},
		{name: "nothing to compare", found: []Outcome{up, up, up}, compare: func([]single) finding { return finding{} }, status: Up},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := several(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
			out := env.probeEach(t.Context(), "several.test", tt.all, func(_ context.Context, addr netip.Addr) Outcome {
				return tt.found[addr.As4()[3]-1]
			}, tt.compare)
			if out.Status != tt.status || out.Reason != tt.reason || !strings.Contains(out.Detail, tt.says) {
				t.Errorf("got %s %q (%s)", out.Status, out.Reason, out.Detail)
			}
			if lines, ok := out.Facts["addresses"].([]string); !ok || len(lines) != 3 {
				t.Errorf("addresses %v", out.Facts["addresses"])
			}
			if _, ok := out.Phases[phaseDNS]; !ok {
				t.Error("no time for looking up the name")
			}
		})
	}
}

func TestEachEnds(t *testing.T) {
	env := several(t, "127.0.0.1", "127.0.0.2", "::1")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	out := env.probeEach(ctx, "several.test", false, func(ctx context.Context, addr netip.Addr) Outcome {
		switch {
		case addr.Is6():
			panic("oops")
		case addr.As4()[3] == 1:
			<-ctx.Done()
			return Outcome{Status: Down, Reason: ConnectTimeout}
		}
		return Outcome{Status: Up}
	}, nil)
	if out.Status != Degraded || out.Reason != ConnectPartial {
		t.Errorf("got %s %q (%s)", out.Status, out.Reason, out.Detail)
	}
	if lines := strings.Join(out.Facts["addresses"].([]string), "; "); !strings.Contains(lines, "::1: unknown prober.internal") {
		t.Error(lines)
	}
	for host, want := range map[string]Reason{"127.0.0.1": "", "missing.test": DNSNXDomain, "10.0.0.1": ProberBlocked} {
		out := env.probeEach(t.Context(), host, false, func(context.Context, netip.Addr) Outcome { return Outcome{Status: Up} }, nil)
		if out.Reason != want {
			t.Errorf("%s: %s %q (%s)", host, out.Status, out.Reason, out.Detail)
		}
	}
	blocked := several(t, "127.0.0.1", "10.0.0.1") // one blocked address blocks the run
	out = blocked.probeEach(t.Context(), "several.test", false, func(context.Context, netip.Addr) Outcome {
		t.Error("an address was probed though another is blocked")
		return Outcome{Status: Up}
	}, nil)
	if out.Status != Unknown || out.Reason != ProberBlocked {
		t.Errorf("got %s %q (%s)", out.Status, out.Reason, out.Detail)
	}
}
