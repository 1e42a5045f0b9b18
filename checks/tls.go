package checks

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"nines/checks/starttls"
)

// TLS is a check of kind tls: a handshake, and what the certificate must be.
type TLS struct {
	Address    string `json:"address" required:"true" doc:"Host and port to connect to; the port defaults to 443, or to that of the protocol of starttls." example:"shop.example.com:443"`
	IP         string `json:"ip" enum:"any,4,6,each" doc:"The IP version to use: any, 4 or 6; or each for a handshake with every address that the host has; default any."`
	StartTLS   string `json:"starttls" enum:"smtp,imap,pop3,ftp,ldap,postgres,mysql" doc:"The protocol by which to ask the server to go over to TLS, for those that begin in plain text; default: none, TLS from the first byte on." example:"smtp"`
	Revocation string `json:"revocation" enum:"auto,crl,off" doc:"How to find out whether the certificate was revoked: auto looks at the OCSP staple if the server sends one, crl also fetches the list that the certificate names, off does neither; default auto."`
	Trust
	Expect TLSExpect `json:"expect" doc:"What the handshake and the certificate must be."`
}

// TLSExpect is what a handshake must show.
type TLSExpect struct {
	ValidFor        Lifetime      `json:"valid_for" doc:"How long the certificate must still be valid, as a duration or as a share of its life, or the check is down; without it the check is degraded from 14 days before the end on and down from 3, or from a third and a sixth of a short life." example:"14d"`
	MinVersion      string        `json:"min_version" enum:"1.0,1.1,1.2,1.3" doc:"The oldest version of TLS that may be agreed on, or the check is down; without it the check is degraded below 1.2." example:"'1.2'"`
	Strong          bool          `json:"strong" doc:"Whether weak protocols, ciphers, keys and signatures are down, not degraded; default false."`
	AllAddresses    bool          `json:"all_addresses" doc:"With ip each, whether one address that does not work makes the check down, not degraded; default false."`
	SameCertificate bool          `json:"same_certificate" doc:"With ip each, whether all addresses must show the same certificate, or the check is degraded; default true."`
	Within          time.Duration `json:"within" doc:"The longest that the whole run may take; a slower one is degraded; default: any time." example:"1s"`
}

// The ways to find out about revocation; empty means auto.
const (
	revocationAuto = "auto"
	revocationCRL  = "crl"
	revocationOff  = "off"
)

func newTLS() *TLS {
	return &TLS{IP: familyAny, Expect: TLSExpect{SameCertificate: true}}
}

// defaultPort is the port of an address that has none.
func defaultPort(protocol string) uint16 {
	if port, ok := starttls.Port(protocol); ok {
		return port
	}
	return 443
}

// Target returns the host that the handshake is made with.
func (t *TLS) Target() string {
	if host, _, err := hostAndPort(t.Address, 443); err == nil {
		return host
	}
	return t.Address
}

// Faults says what is wrong with the options.
func (t *TLS) Faults() []Fault {
	var faults []Fault
	if _, _, err := hostAndPort(t.Address, 443); err != nil {
		faults = append(faults, Fault{"address", fmt.Sprintf("%v; write one such as shop.example.com:443", err)})
	}
	faults = append(faults, oneOf("ip", t.IP, familyAny, family4, family6, familyEach)...)
	faults = append(faults, startTLSFaults(t.StartTLS)...)
	if t.Revocation != "" {
		faults = append(faults, oneOf("revocation", t.Revocation, revocationAuto, revocationCRL, revocationOff)...)
	}
	faults = append(faults, t.Trust.faults()...)
	if t.Expect.MinVersion != "" {
		faults = append(faults, oneOf("expect.min_version", t.Expect.MinVersion, "1.0", "1.1", "1.2", "1.3")...)
	}
	if t.Expect.AllAddresses && t.IP != familyEach {
		faults = append(faults, Fault{"expect.all_addresses", "is of use with ip: each alone, which tries every address; write that too, or leave this out"})
	}
	return append(faults, durationFaults("expect.within", t.Expect.Within)...)
}

func startTLSFaults(protocol string) []Fault {
	if protocol == "" {
		return nil
	}
	return oneOf("starttls", protocol, starttls.Protocols()...)
}

// oneOf is the fault of a value that is none of those allowed.
func oneOf(path, value string, allowed ...string) []Fault {
	if slices.Contains(allowed, value) {
		return nil
	}
	return []Fault{{path, fmt.Sprintf("%q is none of %s", clip(value, 40), strings.Join(allowed, ", "))}}
}

// hostAndPort reads host, host:port, an address, or [address]:port.
func hostAndPort(s string, port uint16) (string, uint16, error) {
	host, text, err := net.SplitHostPort(s)
	if err != nil { // no port, or an IPv6 address as it is
		host, text = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), strconv.Itoa(int(port))
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return "", 0, fmt.Errorf("%q has no port from 1 to 65535", clip(s, 200))
	}
	host, err = asciiHost(host)
	if err != nil || !validHost(host) {
		return "", 0, fmt.Errorf("%q is not a host and port", clip(s, 200))
	}
	return host, uint16(number), nil
}

// Probe shakes hands once, or once with each address, and judges what the
// server showed.
func (t *TLS) Probe(ctx context.Context, env *Env) Outcome {
	host, port, err := hostAndPort(t.Address, defaultPort(t.StartTLS))
	if err != nil {
		watch := startWatch()
		return watch.outcome(against(ProberInternal, "%v", err), nil)
	}
	if t.IP != familyEach {
		return t.probeAt(ctx, env, host, port, nil)
	}
	compare := sameCertificate
	if !t.Expect.SameCertificate {
		compare = nil
	}
	return env.probeEach(ctx, host, t.Expect.AllAddresses, func(ctx context.Context, addr netip.Addr) Outcome {
		return t.probeAt(ctx, env, host, port, []netip.Addr{addr})
	}, compare)
}

// probeAt shakes hands with the first of addrs that answers; none means those
// that the host has.
func (t *TLS) probeAt(ctx context.Context, env *Env, host string, port uint16, addrs []netip.Addr) Outcome {
	watch := startWatch()
	facts := make(Facts, 24)
	f := t.probe(ctx, env, &watch, facts, host, port, addrs)
	if f.status == "" {
		f = slowerThan(t.Expect.Within, watch.took())
	}
	return watch.outcome(f, facts)
}

func (t *TLS) probe(ctx context.Context, env *Env, watch *stopwatch, facts Facts, host string, port uint16, addrs []netip.Addr) finding {
	conn, f := env.reach(ctx, watch, t.IP, host, port, addrs)
	if f.status != "" {
		return f
	}
	defer conn.Close()
	defer cutAtEnd(ctx, conn)()
	facts["remote_ip"] = remoteIP(conn).String()
	name := t.serverName(host)
	secured, f := t.secure(conn, t.StartTLS, offerAll(t.config(name)), facts)
	watch.mark(phaseTLS)
	if f.status == "" && facts["client_certificate"] != nil {
		f = awaitVerdict(ctx, secured) // which is no part of the run's time
	}
	if f.status != "" {
		return f
	}
	state, now := secured.ConnectionState(), env.now()
	id, f := t.judge(&state, name, now)
	t.describe(id, &state, now, facts)
	if t.Revocation == revocationOff {
		id.staple = nil
		if f.reason == TLSRevoked {
			f = finding{}
		}
	}
	if f.status != "" {
		return f
	}
	return t.Expect.judge(id, &state, now, t.revocation(ctx, env, id, now, facts))
}

// reach connects to the first of addrs that answers; none means those that the
// host has.
func (e *Env) reach(ctx context.Context, watch *stopwatch, family, host string, port uint16, addrs []netip.Addr) (net.Conn, finding) {
	if addrs == nil {
		found, asked, err := e.locate(ctx, family, host)
		if asked {
			watch.mark(phaseDNS)
		}
		if err != nil {
			return nil, classify(stageDNS, err)
		}
		addrs = found
	}
	conn, err := e.connect(ctx, addrs, port)
	watch.mark(phaseConnect)
	return conn, classify(stageConnect, err)
}

// secure has the server go over to TLS, if it has to be asked, and shakes
// hands. The caller closes conn.
func (t *Trust) secure(conn net.Conn, protocol string, config *tls.Config, facts Facts) (*tls.Conn, finding) {
	if protocol != "" {
		begun := time.Now()
		err := starttls.Upgrade(conn, protocol)
		facts["starttls_ms"] = MillisOf(time.Since(begun))
		if err != nil {
			return nil, classifyStartTLS(err)
		}
	}
	asked := false
	if len(t.own) == 0 {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return new(tls.Certificate), nil // none
		}
	}
	secured, err := handshake(conn, config)
	f := classify(stageTLS, err)
	if asked {
		facts["client_certificate"] = "asked for"
		if f.reason == TLSHandshake {
			f.detail = "the server asks for a client certificate (client_cert), and refuses us without: " + f.detail
		}
	}
	return secured, f
}

// verdictWait is how long a server that asked for a certificate and got none
// has for refusing: by TLS 1.3 it does that after the handshake.
const verdictWait = 500 * time.Millisecond

// awaitVerdict waits for the alert by which a server refuses a client that
// shows no certificate. Nothing else may be read from secured afterwards.
func awaitVerdict(ctx context.Context, secured *tls.Conn) finding {
	ctx, cancel := context.WithTimeout(ctx, verdictWait)
	defer cancel()
	defer cutAtEnd(ctx, secured)()
	var first [1]byte
	if _, err := secured.Read(first[:]); err != nil && !isTimeout(err) {
		return classify(stageTLS, err)
	}
	return finding{}
}

// classifyStartTLS says what went wrong before the handshake.
func classifyStartTLS(err error) finding {
	if f := classify(stageTLS, err); f.reason != TLSHandshake {
		return f
	}
	return against(TLSStartTLS, "%s", clip(brief(err), 400))
}

// judge returns the first expectation that is not met. Those that mean down
// come before those that mean degraded.
func (e *TLSExpect) judge(id identity, state *tls.ConnectionState, now time.Time, revocation finding) finding {
	expiry := id.endsSoon(now)
	switch {
	case !e.ValidFor.isZero():
		expiry = id.validFor(e.ValidFor, now)
	case id.built == nil: // any certificate is accepted
		expiry = expiry.soften()
	}
	weak := id.isWeak(state)
	if !e.Strong {
		weak = weak.soften()
	}
	found := []finding{revocation, expiry, olderThan(e.MinVersion, state.Version), weak, id.staple.unsound(id.leaf)}
	if expiry.status == Unknown { // by this clock nothing can be said
		return expiry
	}
	slices.SortStableFunc(found, func(a, b finding) int { return badness(b.status) - badness(a.status) })
	return found[0]
}

func badness(s Status) int {
	switch s {
	case Down:
		return 2
	case Degraded:
		return 1
	}
	return 0
}

// revocation is what the authority's list says of the certificate, where that
// is to be looked at.
func (t *TLS) revocation(ctx context.Context, env *Env, id identity, now time.Time, facts Facts) finding {
	if t.Revocation != revocationCRL || len(id.built) < 2 {
		return finding{}
	}
	begun := time.Now()
	says := t.lists.lookUp(ctx, env, id.built, now)
	facts["crl_ms"] = MillisOf(time.Since(begun))
	switch {
	case says.err == errNoList:
		facts["crl"] = listNone
		return finding{}
	case says.err != nil:
		facts["crl"] = listUnavailable
	case says.revoked != "":
		facts["crl"] = listRevoked
		return against(TLSRevoked, "the certificate for %s was revoked %s", nameOf(id.leaf), says.revoked)
	default:
		facts["crl"] = listGood
		return finding{}
	}
	return against(TLSCRL, "%s", clip(says.err.Error(), 400)).soften()
}

// sameCertificate finds addresses that show different certificates: the usual
// one backend that was left out when the others got the new one.
func sameCertificate(found []single) finding {
	ends := map[string]string{} // by fingerprint
	var lines []string
	for _, one := range found {
		print, _ := one.Facts["cert_sha256"].(string)
		expires, _ := one.Facts["cert_expires"].(string)
		if print == "" {
			continue
		}
		ends[print] = expires
		lines = append(lines, fmt.Sprintf("%v until %s (%.8s)", one.addr, expires, print))
	}
	if len(ends) < 2 {
		return finding{}
	}
	return against(TLSDiffers, "the addresses show %d different certificates: %s", len(ends), strings.Join(lines, ", ")).soften()
}
