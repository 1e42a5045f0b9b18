package checks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Trust is how a check judges the certificate of a server. Options embed it.
type Trust struct {
	CA         string `json:"ca" file:"true" doc:"PEM certificates of authorities to trust beside the system's, for servers with a private CA; default none."`
	ServerName string `json:"server_name" doc:"The name to ask for (SNI) and to find in the certificate; default: the host that is connected to." example:"shop.example.com"`
	Insecure   bool   `json:"insecure" doc:"Accept any certificate; what it says is still reported; default false."`

	once    sync.Once      // makes private
	private *x509.CertPool // of CA; nil without one
	cached  atomic.Pointer[vouched]
}

// vouched is a certificate as served and the chains that led from it to a
// trusted root. Checking signatures costs more than all the rest of a run, and
// they do not change; names and dates are looked at each time.
type vouched struct {
	served []*x509.Certificate
	chains [][]*x509.Certificate
}

// faults says what is wrong with t.
func (t *Trust) faults() []Fault {
	var faults []Fault
	if t.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
		faults = append(faults, Fault{"ca", "holds no certificate; write PEM text with BEGIN CERTIFICATE, or name its file as ca_file"})
	}
	if t.ServerName != "" && !validHost(t.ServerName) {
		faults = append(faults, Fault{"server_name", fmt.Sprintf("%q is not a host name; write one such as shop.example.com", clip(t.ServerName, 80))})
	}
	return faults
}

// config returns what a handshake with host needs. Certificates are judged
// after it, so that even a bad one can be reported on.
func (t *Trust) config(host string, protocols ...string) *tls.Config {
	return &tls.Config{
		ServerName:         host,
		InsecureSkipVerify: true,
		NextProtos:         protocols,
		// Every server that offers a post-quantum exchange accepts X25519 too,
		// at a third of the processor time.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	}
}

// handshake makes conn a TLS connection, for as long as conn lives.
func handshake(conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(context.Background()); err != nil { // conn's deadline ends it
		return nil, err
	}
	return secured, nil
}

// identity is what a server's certificate says, as far as it could be judged.
type identity struct {
	leaf *x509.Certificate
	// expires is when the leaf does, or what vouches for it if that is sooner.
	expires time.Time
}

// judge says what is wrong with the certificates that a server showed.
func (t *Trust) judge(state *tls.ConnectionState, name string, now time.Time) (identity, finding) {
	served := state.PeerCertificates
	if len(served) == 0 {
		return identity{}, against(TLSHandshake, "the server showed no certificate")
	}
	leaf := served[0]
	id := identity{leaf, leaf.NotAfter}
	if t.Insecure {
		return id, finding{}
	}
	if f := judgeDates(leaf, now); f.status != "" {
		return id, f
	}
	chains, err := t.chains(served, now)
	if err != nil {
		return id, judgeChain(leaf, err, now)
	}
	id.expires = lasting(chains)
	if err := leaf.VerifyHostname(name); err != nil {
		return id, against(TLSWrongName, "the certificate is for %s, not for %s", clip(strings.Join(namesOf(leaf), ", "), 200), name)
	}
	return id, finding{}
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

// judgeChain says why no chain led from leaf to a root.
func judgeChain(leaf *x509.Certificate, err error, now time.Time) finding {
	if ours, ok := errors.AsType[*localError](err); ok {
		return against(ours.reason, "%v", err)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired && invalid.Cert != nil {
		if f := judgeDates(invalid.Cert, now); f.status != "" {
			return f
		}
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case unknown && isSelfSigned(leaf):
		return against(TLSSelfSigned, "the certificate for %s is signed by itself", nameOf(leaf))
	case unknown:
		return against(TLSUntrusted, "the certificate for %s is issued by %s, which leads to no trusted authority; an intermediate certificate may be missing",
			nameOf(leaf), clip(leaf.Issuer.String(), 200))
	}
	return against(TLSUntrusted, "the certificate for %s: %v", nameOf(leaf), err)
}

func isSelfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, cert.RawSubject) &&
		cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// chains returns the chains from the leaf to a root that are valid now.
func (t *Trust) chains(served []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	if c := t.cached.Load(); c != nil && slices.EqualFunc(c.served, served, (*x509.Certificate).Equal) {
		if valid := validAt(c.chains, now); len(valid) > 0 {
			return valid, nil
		}
	}
	options := x509.VerifyOptions{CurrentTime: now, Intermediates: x509.NewCertPool()}
	for _, cert := range served[1:] {
		options.Intermediates.AddCert(cert)
	}
	chains, err := t.verify(served[0], options)
	if err != nil {
		return nil, err
	}
	t.cached.Store(&vouched{served, chains})
	return chains, nil
}

// verify tries the check's own authorities and then the system's.
func (t *Trust) verify(leaf *x509.Certificate, options x509.VerifyOptions) ([][]*x509.Certificate, error) {
	t.once.Do(func() {
		if t.CA != "" {
			t.private = x509.NewCertPool()
			t.private.AppendCertsFromPEM([]byte(t.CA))
		}
	})
	if t.private != nil {
		options.Roots = t.private
		chains, err := leaf.Verify(options)
		if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown {
			return chains, err
		}
		options.Roots = nil // the system's
	}
	chains, err := leaf.Verify(options)
	if err != nil && t.CA == "" && !hasSystemRoots() {
		return nil, &localError{ProberInternal, errors.New("this machine has no root certificates; install ca-certificates")}
	}
	return chains, err
}

func hasSystemRoots() bool {
	pool, err := x509.SystemCertPool()
	return err == nil && !pool.Equal(x509.NewCertPool())
}

// validAt returns the chains whose every certificate is valid at now.
func validAt(chains [][]*x509.Certificate, now time.Time) [][]*x509.Certificate {
	invalid := func(chain []*x509.Certificate) bool {
		return slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return now.Before(c.NotBefore) || now.After(c.NotAfter) })
	}
	if !slices.ContainsFunc(chains, invalid) {
		return chains
	}
	return slices.DeleteFunc(slices.Clone(chains), invalid)
}

// lasting returns when the last of the chains stops being valid. A client needs
// one chain; a chain needs all of its certificates.
func lasting(chains [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, chain := range chains {
		ends := chain[0].NotAfter
		for _, cert := range chain[1:] {
			if cert.NotAfter.Before(ends) {
				ends = cert.NotAfter
			}
		}
		if ends.After(last) {
			last = ends
		}
	}
	return last
}

// validFor is the expectation that a certificate stays valid for a while.
func (id identity) validFor(wanted time.Duration, now time.Time) finding {
	if wanted <= 0 || id.leaf == nil || id.expires.Sub(now) >= wanted {
		return finding{}
	}
	return against(TLSExpiresSoon, "the certificate expires on %s, in %s; expected to last %s",
		id.expires.UTC().Format(time.RFC3339), days(id.expires.Sub(now)), days(wanted))
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
