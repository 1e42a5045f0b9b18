package checks

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// systemServer stands for the name servers that this machine uses itself.
const systemServer = "system"

// DNS is a check of kind dns: one question to a name server, and what its
// answer must be.
type DNS struct {
	Domain    string `json:"domain" required:"true" doc:"The name that is asked about." example:"example.com"`
	Type      string `json:"type" doc:"The type of record that is asked for, such as A, AAAA, CNAME, MX, NS, SOA or TXT; default A."`
	Server    string `json:"server" doc:"The name server, as host or host:port, or system for those that the prober's machine uses; the port defaults to 53, or 853 with tls; default system." example:"192.0.2.53"`
	Transport string `json:"transport" enum:"udp,tcp,tls" doc:"How the question is sent: udp (then tcp if the answer is truncated), tcp, or tls; default udp."`
	Recursion bool   `json:"recursion" doc:"Whether the server is asked to find the answer elsewhere if it must; default true."`
	Trust
	Signed
	Expect DNSExpect `json:"expect" doc:"What the answer must be."`

	prepared sync.Once // makes wire, answer, contains and err
	wire     []byte    // the question, its id zero
	answer   []string  // Expect.Answer in canonical form, sorted
	contains []string  // Expect.AnswerContains in canonical form
	err      error
}

// DNSExpect is what an answer must be.
type DNSExpect struct {
	Rcode          string        `json:"rcode" doc:"The code of the answer, such as NOERROR or NXDOMAIN; default NOERROR."`
	Answer         []string      `json:"answer" doc:"The exact set of records, in any order, each as a zone file has it after the type." example:"[192.0.2.10, 192.0.2.11]"`
	AnswerContains []string      `json:"answer_contains" doc:"Records that must be in the answer, beside any others." example:"[10 mail.example.com]"`
	MinAnswers     int           `json:"min_answers" doc:"The fewest records of the type asked for that the answer may have, when its code is NOERROR; default 1."`
	Within         time.Duration `json:"within" doc:"The longest that the whole run may take; a slower one is degraded; default: any time." example:"200ms"`

	SignedExpect
}

func newDNS() *DNS {
	return &DNS{Type: "A", Server: systemServer, Transport: transportUDP, Recursion: true,
		Expect: DNSExpect{Rcode: "NOERROR", MinAnswers: 1}}
}

const (
	transportUDP = "udp"
	transportTCP = "tcp"
	transportTLS = "tls"
)

// Target returns the name server's host, or the domain when it is the
// system's.
func (d *DNS) Target() string {
	if d.Server == systemServer {
		return d.Domain
	}
	if host, _, err := hostAndPort(d.Server, 53); err == nil {
		return host
	}
	return d.Server
}

// askable reports whether a single answer can be had to a question of type t.
func askable(t uint16) bool {
	switch t {
	case dns.TypeNone, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeReserved:
		return false
	}
	return true
}

// Faults says what is wrong with the options.
func (d *DNS) Faults() []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	if _, err := domainName(d.Domain); err != nil {
		add("domain", "%v", err)
	}
	kind, known := dns.StringToType[strings.ToUpper(d.Type)]
	if !known || !askable(kind) {
		add("type", "%q is not a type of record that can be asked for; write one such as A, AAAA, MX or TXT", clip(d.Type, 40))
	}
	if d.Server != systemServer {
		if _, _, err := hostAndPort(d.Server, 53); err != nil {
			add("server", "%v; write one such as 192.0.2.53, or system", err)
		}
	}
	if d.Transport != transportUDP && d.Transport != transportTCP && d.Transport != transportTLS {
		add("transport", "%q is none of udp, tcp, tls", clip(d.Transport, 40))
	}
	if d.Transport == transportTLS && d.Server == systemServer {
		add("server", "must be named for transport tls, so that its certificate can be judged")
	}
	if _, known := dns.StringToRcode[strings.ToUpper(d.Expect.Rcode)]; !known {
		add("expect.rcode", "%q is not a code of an answer; write one such as NOERROR or NXDOMAIN", clip(d.Expect.Rcode, 40))
	}
	for _, list := range []struct {
		path  string
		texts []string
	}{{"expect.answer", d.Expect.Answer}, {"expect.answer_contains", d.Expect.AnswerContains}} {
		for i, text := range list.texts {
			if _, err := canonical(kind, text); known && err != nil {
				add(fmt.Sprintf("%s[%d]", list.path, i), "%v", err)
			}
		}
	}
	if d.Expect.MinAnswers < 0 {
		add("expect.min_answers", "is negative; write a number from 0")
	}
	faults = append(faults, durationFaults("expect.within", d.Expect.Within)...)
	faults = append(faults, d.signedFaults(kind)...)
	return append(faults, d.Trust.faults()...)
}

// domainName returns the name as it stands in a question.
func domainName(s string) (string, error) {
	ascii, err := asciiHost(s)
	if _, ok := dns.IsDomainName(ascii); err != nil || !ok || s == "" {
		return "", fmt.Errorf("%q is not a domain name; write one such as example.com", clip(s, 200))
	}
	return dns.Fqdn(ascii), nil
}

func (d *DNS) prepare() error {
	d.prepared.Do(func() {
		var name string
		if name, d.err = domainName(d.Domain); d.err != nil {
			return
		}
		kind := dns.StringToType[strings.ToUpper(d.Type)]
		question := new(dns.Msg).SetQuestion(name, kind).SetEdns0(ednsSize, false)
		question.Id, question.RecursionDesired = 0, d.Recursion
		d.Signed.mark(question)
		if d.wire, d.err = question.Pack(); d.err != nil {
			return
		}
		for _, text := range d.Expect.Answer {
			record, err := canonical(kind, text)
			if d.answer = append(d.answer, record); err != nil {
				d.err = err
			}
		}
		slices.Sort(d.answer)
		d.answer = slices.Compact(d.answer)
		for _, text := range d.Expect.AnswerContains {
			record, err := canonical(kind, text)
			if d.contains = append(d.contains, record); err != nil {
				d.err = err
			}
		}
	})
	return d.err
}

// Probe asks once and judges the answer.
func (d *DNS) Probe(ctx context.Context, env *Env) Outcome {
	watch := startWatch()
	facts := make(Facts, 6)
	f := d.probe(ctx, env, &watch, facts)
	if f.status == "" {
		f = slowerThan(d.Expect.Within, watch.took())
	}
	return watch.outcome(f, facts)
}

func (d *DNS) probe(ctx context.Context, env *Env, watch *stopwatch, facts Facts) finding {
	if err := d.prepare(); err != nil {
		return against(ProberInternal, "%v", err)
	}
	servers, f := d.servers(ctx, env, watch)
	if f.status != "" {
		return f
	}
	var got *reply
	for i, server := range servers {
		// Those that are silent leave their share of the time to the rest.
		share, cancel := shareOf(ctx, len(servers)-i)
		got, f = d.ask(share, env, server, watch)
		cancel()
		if f.reason != DNSTimeout && f.reason != DNSUnreachable || ctx.Err() != nil {
			break
		}
	}
	if got != nil {
		facts["server"], facts["transport"] = got.server.String(), got.transport
	}
	if f.reason == DNSUnreachable && d.Server == systemServer {
		f = against(ProberNetwork, "this machine's own name server cannot be reached: %s", f.detail)
	}
	if f.status != "" {
		return f
	}
	records := answers(got.msg, dns.StringToType[strings.ToUpper(d.Type)])
	facts["rcode"] = rcodeName(got.msg.Rcode)
	facts["aa"] = got.msg.Authoritative
	facts["answers"] = shown(records)
	if len(records) > 0 {
		facts["ttl_min"] = lowestTTL(records)
	}
	return d.judgeSigned(ctx, env, got, watch, facts, d.judge(got.msg.Rcode, records))
}

// servers returns the addresses to ask, in order: all of the system's, or the
// first of the one that is named.
func (d *DNS) servers(ctx context.Context, env *Env, watch *stopwatch) ([]netip.AddrPort, finding) {
	port := uint16(53)
	if d.Transport == transportTLS {
		port = 853
	}
	if d.Server == systemServer {
		// Chosen by the owner of the machine, so not the guard's business.
		servers, err := env.systemServers(port)
		if err != nil {
			return nil, against(ProberNetwork, "reading this machine's name servers: %v", err)
		}
		return servers, finding{}
	}
	host, port, err := hostAndPort(d.Server, port)
	if err != nil {
		return nil, against(ProberInternal, "%v", err)
	}
	addrs, asked, err := env.locate(ctx, familyAny, host)
	if asked {
		watch.mark(phaseDNS)
	}
	if err != nil {
		return nil, classify(stageDNS, err)
	}
	return []netip.AddrPort{netip.AddrPortFrom(addrs[0], port)}, finding{}
}

func (e *Env) systemServers(port uint16) ([]netip.AddrPort, error) {
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
		if addr, err := netip.ParseAddr(server); err == nil {
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
	if n == 1 || !limited {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// judge holds an answer against what is expected.
func (d *DNS) judge(rcode int, records []dns.RR) finding {
	wanted := dns.StringToRcode[strings.ToUpper(d.Expect.Rcode)]
	if rcode != wanted {
		reason := DNSRcode
		switch {
		case wanted != dns.RcodeSuccess:
		case rcode == dns.RcodeNameError:
			reason = DNSNXDomain
		case rcode == dns.RcodeServerFailure:
			reason = DNSServfail
		case rcode == dns.RcodeRefused:
			reason = DNSRefused
		}
		return against(reason, "the answer's code is %s; expected %s", rcodeName(rcode), rcodeName(wanted))
	}
	if rcode == dns.RcodeSuccess && len(records) < d.Expect.MinAnswers {
		reason := ContentAnswer
		if len(records) == 0 {
			reason = DNSNoAnswer
		}
		return against(reason, "the answer has %d records of type %s; expected at least %d", len(records), strings.ToUpper(d.Type), d.Expect.MinAnswers)
	}
	got := make([]string, len(records))
	for i, rr := range records {
		got[i] = normal(rr)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	if len(d.answer) > 0 && !slices.Equal(got, d.answer) {
		return against(ContentAnswer, "the records are [%s]; expected exactly [%s]", clip(strings.Join(got, ", "), 300), clip(strings.Join(d.answer, ", "), 300))
	}
	for _, wanted := range d.contains {
		if _, found := slices.BinarySearch(got, wanted); !found {
			return against(ContentAnswer, "the records are [%s]; expected %s among them", clip(strings.Join(got, ", "), 300), clip(wanted, 300))
		}
	}
	return finding{}
}

func rcodeName(rcode int) string {
	if name, known := dns.RcodeToString[rcode]; known {
		return name
	}
	return fmt.Sprintf("RCODE%d", rcode)
}

func lowestTTL(records []dns.RR) int {
	lowest := records[0].Header().Ttl
	for _, rr := range records[1:] {
		lowest = min(lowest, rr.Header().Ttl)
	}
	return int(lowest)
}
