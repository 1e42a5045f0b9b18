package checks

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// expiryWarning is how long before its end a certificate makes a check
// degraded when nothing else is said; for short-lived ones it is a third of
// their lifetime, which is when the usual clients have renewed them.
const expiryWarning = 14 * 24 * time.Hour

// TLS is a check of kind tls: a handshake, and what the certificate must be.
type TLS struct {
	Address string `json:"address" required:"true" doc:"Host and port to connect to; the port defaults to 443." example:"shop.example.com:443"`
	IP      string `json:"ip" enum:"any,4,6" doc:"The IP version to use: any, 4 or 6; default any."`
	Trust
	Expect TLSExpect `json:"expect" doc:"What the certificate must be."`
}

// TLSExpect is what a handshake must show.
type TLSExpect struct {
	ValidFor time.Duration `json:"valid_for" doc:"How long the certificate must still be valid, or the check is down; without it the check is degraded from 14 days before the end on, or in the last third of a shorter life." example:"14d"`
	Within   time.Duration `json:"within" doc:"The longest that the whole run may take; a slower one is degraded; default: any time." example:"1s"`
}

func newTLS() *TLS { return &TLS{IP: familyAny} }

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
	faults = append(faults, familyFaults(t.IP)...)
	faults = append(faults, t.Trust.faults()...)
	faults = append(faults, durationFaults("expect.valid_for", t.Expect.ValidFor)...)
	return append(faults, durationFaults("expect.within", t.Expect.Within)...)
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

// Probe shakes hands once and judges what the server showed.
func (t *TLS) Probe(ctx context.Context, env *Env) Outcome {
	watch := startWatch()
	facts := make(Facts, 10)
	f := t.probe(ctx, env, &watch, facts)
	if f.status == "" {
		f = slowerThan(t.Expect.Within, watch.took())
	}
	return watch.outcome(f, facts)
}

func (t *TLS) probe(ctx context.Context, env *Env, watch *stopwatch, facts Facts) finding {
	host, port, err := hostAndPort(t.Address, 443)
	if err != nil {
		return against(ProberInternal, "%v", err)
	}
	addrs, asked, err := env.locate(ctx, t.IP, host)
	if asked {
		watch.mark(phaseDNS)
	}
	if err != nil {
		return classify(stageDNS, err)
	}
	conn, err := env.connect(ctx, addrs, port)
	watch.mark(phaseConnect)
	if err != nil {
		return classify(stageConnect, err)
	}
	defer conn.Close()
	defer cutAtEnd(ctx, conn)()
	facts["remote_ip"] = remoteIP(conn).String()
	name := host
	if t.ServerName != "" {
		name = t.ServerName
	}
	secured, err := handshake(conn, t.config(name))
	watch.mark(phaseTLS)
	if err != nil {
		return classify(stageTLS, err)
	}
	state := secured.ConnectionState()
	now := env.now()
	id, f := t.judge(&state, name, now)
	id.describe(&state, now, facts)
	if f.status == "" {
		f = id.validFor(t.Expect.ValidFor, now)
	}
	if f.status == "" && t.Expect.ValidFor == 0 {
		f = id.endsSoon(now)
	}
	return f
}

// endsSoon is the soft limit for those who set none.
func (id identity) endsSoon(now time.Time) finding {
	if id.leaf == nil {
		return finding{}
	}
	limit := min(expiryWarning, id.leaf.NotAfter.Sub(id.leaf.NotBefore)/3)
	f := id.validFor(limit, now)
	if f.status != "" {
		f.status = Degraded
	}
	return f
}

// Limits of what a certificate may say in a result.
const (
	maxNames   = 50
	maxNameLen = 255
)

// describe puts what the handshake showed into facts.
func (id identity) describe(state *tls.ConnectionState, now time.Time, facts Facts) {
	facts["tls_version"] = tls.VersionName(state.Version)
	facts["tls_cipher"] = tls.CipherSuiteName(state.CipherSuite)
	facts["chain_length"] = len(state.PeerCertificates)
	if id.leaf == nil {
		return
	}
	facts["cert_expires"] = id.expires.UTC().Format(time.RFC3339)
	facts["cert_days_left"] = math.Floor(id.expires.Sub(now).Hours()/24*10) / 10
	facts["cert_subject"] = clip(id.leaf.Subject.String(), maxNameLen)
	facts["cert_issuer"] = clip(id.leaf.Issuer.String(), maxNameLen)
	names := namesOf(id.leaf)
	for i, name := range names {
		names[i] = clip(name, maxNameLen)
	}
	facts["cert_sans"] = names[:min(len(names), maxNames)]
}
