package checks

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Authoritative says how a zone's own servers are found, asked and compared.
type Authoritative struct {
	From              []string      `json:"from" doc:"Resolvers that are asked for the parent's name servers and for addresses, as address or address:port; default: the system's." example:"[192.0.2.1]"`
	Roots             []string      `json:"roots" doc:"Name servers of the root to start at, as address or address:port; then no resolver is asked at all; default: none." example:"[192.0.2.100]"`
	Port              int           `json:"port" doc:"The port of the parents' and the zone's name servers; default 53."`
	MaxServers        int           `json:"max_servers" doc:"The most addresses of the zone's name servers that are asked, 1 to 32; default 16."`
	CompareTransports bool          `json:"compare_transports" doc:"Whether each server is asked over TCP too, and its answers compared; default true."`
	SerialSkew        uint32        `json:"serial_skew" doc:"How many serials a server may be behind the newest; default 0."`
	SerialLag         time.Duration `json:"serial_lag" doc:"How long a server may be behind, from when this prober first saw the newest serial; default 5m."`
	Lame              string        `json:"lame" enum:"ignore,degraded,down" doc:"What a name server that does not answer for the zone makes of the check; default down."`
	Unreachable       string        `json:"unreachable" enum:"ignore,degraded,down" doc:"What a name server that is silent, out of reach or whose answers cannot be used makes of the check; default degraded."`
	Delegation        string        `json:"delegation" enum:"ignore,degraded,down" doc:"What a difference between the parent's NS records and the zone's own makes of the check; default degraded."`
	Serial            string        `json:"serial" enum:"ignore,degraded,down" doc:"What a server that is behind for too long makes of the check; default degraded."`
	Differs           string        `json:"differs" enum:"ignore,degraded,down" doc:"What different answers, of servers with one serial or of one server's transports, make of the check; default down."`
}

// What a finding about a zone's servers makes of the check.
const (
	severityIgnore   = "ignore"
	severityDegraded = string(Degraded)
	severityDown     = string(Down)
)

// maxStations is the highest that max_servers may be.
const maxStations = 32

func newAuthoritative() Authoritative {
	return Authoritative{
		Port: 53, MaxServers: 16, CompareTransports: true, SerialLag: 5 * time.Minute,
		Lame: severityDown, Unreachable: severityDegraded, Delegation: severityDegraded,
		Serial: severityDegraded, Differs: severityDown,
	}
}

func (a *Authoritative) faults() []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{"authoritative." + path, fmt.Sprintf(format, args...)})
	}
	for _, list := range []struct {
		path  string
		texts []string
	}{{"from", a.From}, {"roots", a.Roots}} {
		for i, text := range list.texts {
			if _, err := addressAndPort(text, 53); err != nil {
				add(fmt.Sprintf("%s[%d]", list.path, i), "%v; write an address such as 192.0.2.1", err)
			}
		}
	}
	if len(a.From) > 0 && len(a.Roots) > 0 {
		add("from", "is given beside roots, with which no resolver is asked; keep one")
	}
	if a.Port < 1 || a.Port > 65535 {
		add("port", "is %d; write a port from 1 to 65535", a.Port)
	}
	if a.MaxServers < 1 || a.MaxServers > maxStations {
		add("max_servers", "is %d; write a number from 1 to %d", a.MaxServers, maxStations)
	}
	for _, severity := range []struct{ path, is string }{
		{"lame", a.Lame}, {"unreachable", a.Unreachable}, {"delegation", a.Delegation}, {"serial", a.Serial}, {"differs", a.Differs},
	} {
		if severity.is != severityIgnore && severity.is != severityDegraded && severity.is != severityDown {
			add(severity.path, "%q is none of ignore, degraded, down", clip(severity.is, 40))
		}
	}
	return append(faults, durationFaults("authoritative.serial_lag", a.SerialLag)...)
}

// addressAndPort reads an address with or without a port.
func addressAndPort(s string, port uint16) (netip.AddrPort, error) {
	host, port, err := hostAndPort(s, port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address", clip(s, 80))
	}
	return netip.AddrPortFrom(addr.Unmap(), port), nil
}

// addressesAndPorts reads addresses whose faults have been told.
func addressesAndPorts(texts []string) []netip.AddrPort {
	var read []netip.AddrPort
	for _, text := range texts {
		if at, err := addressAndPort(text, 53); err == nil {
			read = append(read, at)
		}
	}
	return read
}

// serialWatch remembers since when the newest serial of a zone is known. Its
// zero value knows none.
type serialWatch struct {
	mu     sync.Mutex
	known  bool
	serial uint32
	since  time.Time
}

// seen returns when the newest serial was first seen, which is now unless it
// was seen before.
func (s *serialWatch) seen(newest uint32, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known || s.serial != newest {
		s.known, s.serial, s.since = true, newest, now
	}
	return s.since
}

// probeZone walks from the parent to the zone of the domain, asks every server
// of it at every address and judges what they say.
func (d *DNS) probeZone(ctx context.Context, env *Env) Outcome {
	watch := startWatch()
	facts := make(Facts, 16)
	f := d.zone(ctx, env, &watch, facts)
	watch.mark(phaseDNS)
	if f.status == "" {
		f = d.Expect.slow(watch.took())
	}
	return watch.outcome(f, facts)
}

func (d *DNS) zone(ctx context.Context, env *Env, watch *stopwatch, facts Facts) finding {
	if err := d.prepare(); err != nil {
		return against(ProberInternal, "%v", err)
	}
	name, err := domainName(d.Domain)
	if err != nil {
		return against(ProberInternal, "%v", err)
	}
	if d.question.kind == dns.TypeDS {
		name = parentOf(name) // which is where a zone's DS record stands
	}
	w := &zoneWalk{d: d, env: env, target: strings.ToLower(name)}
	cut, f := w.find(ctx)
	watch.mark(phaseDNS)
	if f.status != "" {
		facts["questions"] = w.questions()
		return f
	}
	s := &zoneSurvey{zoneWalk: w, cut: cut}
	f = s.run(ctx)
	facts["questions"] = w.questions()
	if f.status != "" {
		return f
	}
	return s.judge(env.now(), facts)
}
