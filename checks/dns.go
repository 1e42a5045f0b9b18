package checks

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// DNS is a check of kind dns: one question to a name server, to several, or to
// all of a zone's own, and what the answer must be.
type DNS struct {
	Domain        string        `json:"domain" required:"true" doc:"The name that is asked about." example:"example.com"`
	Type          string        `json:"type" doc:"The type of record that is asked for, such as A, AAAA, CNAME, MX, NS, SOA or TXT, or TYPE65280 for one without a name; default A."`
	Class         string        `json:"class" doc:"The class of record that is asked for: IN, CH, HS, ANY, or CLASS followed by a number; default IN."`
	Server        Servers       `json:"server" doc:"The name server, as host or host:port, or as a URL with transport https; system for those that the prober's machine uses; a list for several; or authoritative for all of the zone's own, found from its parent. The port defaults to 53, or 853 with tls; default system." example:"192.0.2.53"`
	Need          string        `json:"need" enum:"all,any" doc:"Of several servers, how many must be right: all or any; default all."`
	Transport     string        `json:"transport" enum:"udp,tcp,tls,https" doc:"How the question is sent: udp (then tcp if the answer is truncated), tcp, tls (DoT, RFC 7858) or https (DoH, RFC 8484); default udp."`
	Method        string        `json:"method" enum:"GET,POST" doc:"How transport https sends the question: GET, which caches on the way may answer, or POST; default POST."`
	IP            string        `json:"ip" enum:"any,4,6" doc:"The IP version of the server's address: any, 4 or 6; default any."`
	Recursion     bool          `json:"recursion" doc:"Whether the server is asked to find the answer elsewhere if it must; default true. A zone's own servers are never asked to."`
	EDNS          EDNS          `json:"edns" doc:"What is told about the question beside it (EDNS, RFC 6891)."`
	Authoritative Authoritative `json:"authoritative" doc:"How the zone's own servers are found and compared with server: authoritative."`
	Trust
	Signed
	Expect DNSExpect `json:"expect" doc:"What the answer must be."`

	prepared sync.Once // makes what follows, down to err
	question question
	wants    wantedRecords
	err      error

	cookies cookieJar   // of edns.cookie
	newest  serialWatch // of server: authoritative
}

func newDNS() *DNS {
	return &DNS{
		Type: "A", Class: "IN", Server: Servers{systemServer}, Need: needAll,
		Transport: transportUDP, Method: http.MethodPost, IP: familyAny, Recursion: true,
		EDNS: EDNS{Size: ednsSize}, Authoritative: newAuthoritative(),
		Expect: DNSExpect{Rcode: "NOERROR", MinAnswers: 1},
	}
}

const (
	transportUDP   = "udp"
	transportTCP   = "tcp"
	transportTLS   = "tls"
	transportHTTPS = "https"

	needAll = "all"
	needAny = "any"
)

// Target returns the first name server's host, or the domain when that is the
// system's or the zone's own.
func (d *DNS) Target() string {
	if len(d.Server) == 0 || d.Server[0] == systemServer || d.Server[0] == zoneServers {
		return d.Domain
	}
	if host, _, _, err := d.place(d.Server[0]); err == nil {
		return host
	}
	return d.Server[0]
}

func (d *DNS) prepare() error {
	d.prepared.Do(func() {
		d.question, d.err = newQuestion(d.Domain, d.Type, d.Class, d.edns())
		if d.err != nil {
			return
		}
		d.question.flags(d.Recursion, d.Expect.AD != nil)
		if d.Server.authoritative() {
			d.question.flags(false, d.Expect.AD != nil)
		}
		d.question.checkingDisabled(d.validates())
		d.wants, d.err = d.Expect.records(d.question.kind)
	})
	return d.err
}

// Probe asks once and judges the answer.
func (d *DNS) Probe(ctx context.Context, env *Env) Outcome {
	switch {
	case d.Server.authoritative():
		return d.probeZone(ctx, env)
	case len(d.Server) > 1:
		return d.probeSeveral(ctx, env)
	}
	return d.probeOne(ctx, env, d.Server[0])
}

// probeOne asks the server of that text, or the system's in turn.
func (d *DNS) probeOne(ctx context.Context, env *Env, server string) Outcome {
	watch := startWatch()
	facts := make(Facts, 8)
	f := d.probe(ctx, env, server, &watch, facts)
	if f.status == "" {
		f = d.Expect.slow(watch.took())
	}
	return watch.outcome(f, facts)
}

func (d *DNS) probe(ctx context.Context, env *Env, server string, watch *stopwatch, facts Facts) finding {
	if err := d.prepare(); err != nil {
		return against(ProberInternal, "%v", err)
	}
	servers, f := d.servers(ctx, env, server, watch)
	if f.status != "" {
		return f
	}
	var got *reply
	for i, at := range servers {
		// Those that are silent leave their share of the time to the rest.
		share, cancel := shareOf(ctx, len(servers)-i)
		got, f = d.ask(share, env, &d.question, d.Transport, at, watch)
		cancel()
		if f.reason != DNSTimeout && f.reason != DNSUnreachable && f.reason != DNSMismatch || ctx.Err() != nil {
			break
		}
	}
	got.tell(facts)
	if f.reason == DNSUnreachable && server == systemServer {
		f = against(ProberNetwork, "this machine's own name server cannot be reached: %s", f.detail)
	}
	if f.status != "" {
		return f
	}
	return d.judgeSigned(ctx, env, got, watch, facts, d.examine(got, facts))
}

// examine tells what an answer holds and judges it.
func (d *DNS) examine(got *reply, facts Facts) finding {
	chain := followAliases(got.msg, d.question.kind)
	chain.tell(facts)
	tellMessage(got.msg, facts)
	return d.judge(got, &chain)
}

// tell writes down which server answered, and how.
func (r *reply) tell(facts Facts) {
	if r == nil {
		return
	}
	facts["server"], facts["transport"] = r.server.at.String(), r.transport
	if r.size > 0 {
		facts["size"] = r.size
	}
	if r.resent > 0 {
		facts["resent"] = r.resent
	}
	if r.certificate.leaf != nil {
		facts["cert_expires"] = r.certificate.expires.UTC().Format(time.RFC3339)
	}
}

// tellMessage writes down what a message says of itself.
func tellMessage(msg *dns.Msg, facts Facts) {
	facts["rcode"] = rcodeName(msg.Rcode)
	facts["aa"] = msg.Authoritative
	if msg.AuthenticatedData {
		facts["ad"] = true
	}
	if soa := soaOf(msg); soa != nil {
		facts["serial"] = int64(soa.Serial)
	}
	opt := msg.IsEdns0()
	if opt == nil {
		return
	}
	for _, option := range opt.Option {
		switch option := option.(type) {
		case *dns.EDNS0_EDE: // RFC 8914: why there is an error
			facts["extended_error"] = clip(extendedError(option), 200)
		case *dns.EDNS0_SUBNET:
			facts["subnet_scope"] = int(option.SourceScope)
		case *dns.EDNS0_COOKIE:
			facts["cookie"] = len(option.Cookie) > 2*clientCookie
		}
	}
}

func extendedError(option *dns.EDNS0_EDE) string {
	name, known := dns.ExtendedErrorCodeToString[option.InfoCode]
	if !known {
		name = fmt.Sprintf("code %d", option.InfoCode)
	}
	if option.ExtraText != "" {
		name += ": " + option.ExtraText
	}
	return name
}

// soaOf returns the first SOA record of a message's answer, or else of its
// authority, where a negative answer has it.
func soaOf(msg *dns.Msg) *dns.SOA {
	for _, section := range [...][]dns.RR{msg.Answer, msg.Ns} {
		if i := slices.IndexFunc(section, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }); i >= 0 {
			soa, _ := section[i].(*dns.SOA)
			return soa
		}
	}
	return nil
}

func rcodeName(rcode int) string {
	if name, known := dns.RcodeToString[rcode]; known {
		return name
	}
	return fmt.Sprintf("RCODE%d", rcode)
}
