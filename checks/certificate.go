package checks

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// earliestNow is a time before which no clock of this release can be: a
// machine that reads an earlier one, such as 1970 after its battery ran out,
// cannot tell whether a certificate is valid.
var earliestNow = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// identity is what a server's certificate says, as far as it could be judged.
type identity struct {
	leaf *x509.Certificate
	// expires is when the leaf does, or what vouches for it if that is sooner,
	// on the chain that lasts longest.
	expires time.Time
	// earliest is when the first of the certificates served or relied on does.
	earliest time.Time
	built    []*x509.Certificate // the chain that lasts longest; nil if not looked for
	staple   *stapled
}

// judge says what is wrong with the certificates that a server showed.
func (t *Trust) judge(state *tls.ConnectionState, name string, now time.Time) (identity, finding) {
	served := state.PeerCertificates
	if len(served) == 0 {
		return identity{}, against(TLSHandshake, "the server showed no certificate")
	}
	leaf := served[0]
	id := identity{leaf: leaf, expires: leaf.NotAfter, earliest: earliestEnd(served)}
	if t.Insecure {
		return id, finding{}
	}
	if f := judgeClock(now); f.status != "" {
		return id, f
	}
	if f := judgeDates(leaf, now); f.status != "" {
		return id, f
	}
	chains, err := t.chains(served, now)
	if err != nil {
		return id, judgeChain(served, err, now)
	}
	id.built, id.expires = lasting(chains)
	if id.expires.Before(id.earliest) {
		id.earliest = id.expires
	}
	if err := leaf.VerifyHostname(name); err != nil {
		return id, against(TLSWrongName, "the certificate is for %s, not for %s", clip(strings.Join(namesOf(leaf), ", "), 200), name)
	}
	id.staple = t.readStaple(state.OCSPResponse, id.built, now)
	return id, id.staple.revoked(leaf)
}

// judgeClock doubts a clock that cannot be right. One that is ahead looks like
// the future from here; the scheduler's clock tells (package prober).
func judgeClock(now time.Time) finding {
	if !now.Before(earliestNow) {
		return finding{}
	}
	return against(ProberClock, "this machine's clock says %s, which is past: certificates cannot be judged by it", now.UTC().Format(time.RFC3339))
}

func judgeDates(cert *x509.Certificate, now time.Time) finding {
	switch {
	case now.After(cert.NotAfter):
		return against(TLSExpired, "the certificate for %s expired on %s", nameOf(cert), cert.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return against(TLSNotYetValid, "the certificate for %s is valid from %s", nameOf(cert), cert.NotBefore.UTC().Format(time.RFC3339))
	}
	return finding{}
}

func isSelfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, cert.RawSubject) &&
		cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// The limits of a check of kind tls that sets none: degraded from the first on,
// down from the second. Clients that renew by themselves do so at a third of a
// life, and when half of that has passed in vain they are not going to.
const (
	warnSpan  = 14 * 24 * time.Hour
	warnShare = 3
	downSpan  = 3 * 24 * time.Hour
	downShare = 6
)

func (id identity) life() time.Duration { return id.leaf.NotAfter.Sub(id.leaf.NotBefore) }

// validFor is the expectation that a certificate stays valid for a while.
func (id identity) validFor(wanted Lifetime, now time.Time) finding {
	if wanted.isZero() || id.leaf == nil {
		return finding{}
	}
	return id.lasts(wanted.of(id.life()), now)
}

func (id identity) lasts(wanted time.Duration, now time.Time) finding {
	if f := judgeClock(now); f.status != "" {
		return f
	}
	left := id.expires.Sub(now)
	if left >= wanted {
		return finding{}
	}
	if left < 0 {
		return against(TLSExpiresSoon, "the certificate expired on %s; expected to last %s", id.expires.UTC().Format(time.RFC3339), days(wanted))
	}
	return against(TLSExpiresSoon, "the certificate expires on %s, in %s; expected to last %s",
		id.expires.UTC().Format(time.RFC3339), days(left), days(wanted))
}

// endsSoon are the limits for those who set none.
func (id identity) endsSoon(now time.Time) finding {
	if id.leaf == nil {
		return finding{}
	}
	if f := id.lasts(min(downSpan, id.life()/downShare), now); f.status != "" {
		return f
	}
	return id.lasts(min(warnSpan, id.life()/warnShare), now).soften()
}

// soften makes a finding that would be down degraded.
func (f finding) soften() finding {
	if f.status == Down {
		f.status = Degraded
	}
	return f
}

// days writes a long duration for people.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}

// namesOf returns the names and addresses that a certificate is for.
func namesOf(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			names = append(names, addr.Unmap().String())
		}
	}
	return names
}

// nameOf returns the name by which people know a certificate.
func nameOf(cert *x509.Certificate) string {
	name := cert.Subject.CommonName
	if names := namesOf(cert); len(names) > 0 {
		name = names[0]
	}
	if name == "" {
		name = cert.Subject.String()
	}
	return clip(name, 100)
}
