package checks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Texts that stand for servers which are found out.
const (
	systemServer = "system"        // those that this machine uses itself
	zoneServers  = "authoritative" // those that the zone and its parent name
)

// maxServers is how many servers one check may list.
const maxServers = 16

// maxAsked is how many of them are asked beside each other.
const maxAsked = 8

// Servers are the name servers of a check: one text or a list of them.
type Servers []string

// UnmarshalText reads one server.
func (s *Servers) UnmarshalText(text []byte) error {
	*s = Servers{string(text)}
	return nil
}

// UnmarshalJSON reads one server or a list.
func (s *Servers) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*s = Servers{""}
		return json.Unmarshal(data, &(*s)[0])
	}
	var list []string
	err := json.Unmarshal(data, &list)
	*s = list
	return err
}

// MarshalJSON writes one server as text and several as a list.
func (s Servers) MarshalJSON() ([]byte, error) {
	if len(s) == 1 {
		return json.Marshal(s[0])
	}
	return json.Marshal([]string(s))
}

func (s Servers) authoritative() bool { return len(s) == 1 && s[0] == zoneServers }

// nameServer is one that is asked.
type nameServer struct {
	at   netip.AddrPort
	name string   // that its certificate must have
	url  *url.URL // with transport https
}

// place reads where a server's text leads.
func (d *DNS) place(server string) (host string, port uint16, at *url.URL, err error) {
	switch d.Transport {
	case transportHTTPS:
		// RFC 8484 lets addresses be templates whose only variable is dns.
		at, err = url.Parse(strings.TrimSuffix(server, "{?dns}"))
		if err != nil {
			return "", 0, nil, fmt.Errorf("%q is not a URL", clip(server, 200))
		}
		p, err := placeOf(at)
		switch {
		case err != nil:
			return "", 0, nil, err
		case p.scheme != "https" || at.User != nil:
			return "", 0, nil, fmt.Errorf("%q is not an https URL without a user", clip(at.Redacted(), 200))
		}
		return p.host, p.port, at, nil
	case transportTLS:
		host, port, err = hostAndPort(server, 853)
	default:
		host, port, err = hostAndPort(server, 53)
	}
	return host, port, nil, err
}

// servers returns the addresses to ask, in order: all of the system's, or the
// first of the one that is named.
func (d *DNS) servers(ctx context.Context, env *Env, server string, watch *stopwatch) ([]nameServer, finding) {
	if server == systemServer {
		// Chosen by the owner of the machine, so not the guard's business.
		addrs, err := env.systemServers(53, d.IP)
		if err != nil {
			return nil, against(ProberNetwork, "reading this machine's name servers: %v", err)
		}
		servers := make([]nameServer, len(addrs))
		for i, at := range addrs {
			servers[i].at = at
		}
		return servers, finding{}
	}
	host, port, at, err := d.place(server)
	if err != nil {
		return nil, against(ProberInternal, "%v", err)
	}
	addrs, asked, err := env.locate(ctx, d.IP, host)
	if asked {
		watch.mark(phaseDNS)
	}
	if err != nil {
		return nil, classify(stageDNS, err)
	}
	name := host
	if d.ServerName != "" {
		name = d.ServerName
	}
	return []nameServer{{netip.AddrPortFrom(addrs[0], port), name, at}}, finding{}
}

// systemServers returns the name servers of this machine that are of a family.
func (e *Env) systemServers(port uint16, family string) ([]netip.AddrPort, error) {
	if e.nameServer != "" {
		server, err := netip.ParseAddrPort(e.nameServer)
		return []netip.AddrPort{server}, err
	}
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	var servers []netip.AddrPort
	for _, server := range config.Servers {
		if addr, err := netip.ParseAddr(server); err == nil && inFamily(addr.Unmap(), family) {
			servers = append(servers, netip.AddrPortFrom(addr, port))
		}
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("/etc/resolv.conf names none")
	}
	return servers, nil
}

// shareOf returns a context with one nth of the time that ctx has left.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, limited := ctx.Deadline()
	if n <= 1 || !limited {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// probeSeveral asks every server at once, each by itself. The whole is as good
// as the worst of them, or as the best where any will do; those that say
// nothing about the target, such as one over IPv6 from a machine without it,
// count only when all are like that.
func (d *DNS) probeSeveral(ctx context.Context, env *Env) Outcome {
	found := make([]Outcome, len(d.Server))
	turn := make(chan struct{}, maxAsked)
	var probes sync.WaitGroup
	for i, server := range d.Server {
		probes.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			found[i] = d.probeOne(ctx, env, server)
		})
	}
	probes.Wait()
	return d.allOf(found)
}

// allOf puts together what several servers were found to be.
func (d *DNS) allOf(found []Outcome) Outcome {
	rank := map[Status]int{Unknown: 0, Up: 1, Degraded: 2, Down: 3}
	if d.Need == needAny {
		rank = map[Status]int{Unknown: 0, Down: 1, Degraded: 2, Up: 3}
	}
	told, lines := 0, make([]string, len(found))
	for i := range found {
		if rank[found[i].Status] > rank[found[told].Status] {
			told = i
		}
		lines[i] = serverLine(d.Server[i], &found[i])
	}
	whole := found[told]
	if whole.Detail != "" {
		whole.Detail = d.Server[told] + ": " + whole.Detail
	}
	if whole.Facts == nil {
		whole.Facts = Facts{}
	}
	whole.Facts["servers"] = lines
	return whole
}

// serverLine says in one line what was found of a server.
func serverLine(server string, o *Outcome) string {
	parts := []string{clip(server, 200) + ":", string(o.Status)}
	if o.Reason != "" {
		parts = append(parts, string(o.Reason))
	}
	if answers, ok := o.Facts["answers"].([]string); ok {
		parts = append(parts, "["+clip(strings.Join(answers, ", "), 300)+"]")
	}
	return strings.Join(append(parts, strconv.FormatFloat(MillisOf(o.Took), 'f', 1, 64)+" ms"), " ")
}

// serverFaults says what is wrong with the servers that are named.
func (d *DNS) serverFaults() []Fault {
	var faults []Fault
	add := func(i int, format string, args ...any) {
		path := "server"
		if len(d.Server) > 1 {
			path = fmt.Sprintf("server[%d]", i)
		}
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	if len(d.Server) == 0 || len(d.Server) > maxServers {
		return []Fault{{"server", fmt.Sprintf("names %d servers; name 1 to %d, or leave it out for the system's", len(d.Server), maxServers)}}
	}
	for i, server := range d.Server {
		_, _, _, err := d.place(server)
		secure := d.Transport == transportTLS || d.Transport == transportHTTPS
		switch {
		case slices.Contains(d.Server[:i], server):
			add(i, "%q is there twice; name each server once", clip(server, 200))
		case server == zoneServers && len(d.Server) > 1:
			add(i, "authoritative stands for all of the zone's servers; write it alone")
		case server == zoneServers && d.Transport != transportUDP:
			add(i, "authoritative asks over udp and tcp; leave transport out")
		case server == zoneServers:
		case server == systemServer && secure:
			add(i, "must be named for transport %s, so that its certificate can be judged", d.Transport)
		case server == systemServer:
		case err != nil && d.Transport == transportHTTPS:
			add(i, "%v; write one such as https://dns.example.com/dns-query", err)
		case err != nil:
			add(i, "%v; write one such as 192.0.2.53, or system", err)
		}
	}
	return faults
}
