package checks

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxServed is how many of the certificates that a server shows are looked at
// to build chains. Real chains have five at most; a server that shows hundreds
// wants our processor. Beneath it, crypto/x509 checks at most 100 signatures a
// verification, and crypto/tls reads 256 KiB of certificates and keys of 8192
// bits at most.
const maxServed = 20

// vouched is a certificate as served and the chains that led from it to a
// trusted root. Checking signatures costs more than all the rest of a run, and
// they do not change; names and dates are looked at each time.
type vouched struct {
	served []*x509.Certificate
	chains [][]*x509.Certificate
}

// chains returns the chains from the leaf to a root that are valid now.
func (t *Trust) chains(served []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	served = served[:min(len(served), maxServed)]
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
	t.load()
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

// earliestEnd returns when the first of some certificates stops being valid.
func earliestEnd(chain []*x509.Certificate) time.Time {
	ends := chain[0].NotAfter
	for _, cert := range chain[1:] {
		if cert.NotAfter.Before(ends) {
			ends = cert.NotAfter
		}
	}
	return ends
}

// lasting returns the chain that stays valid for longest, and until when. A
// client needs one chain; a chain needs all of its certificates.
func lasting(chains [][]*x509.Certificate) (longest []*x509.Certificate, last time.Time) {
	for _, chain := range chains {
		if ends := earliestEnd(chain); longest == nil || ends.After(last) {
			longest, last = chain, ends
		}
	}
	return longest, last
}

// judgeChain says why no chain led from the leaf to a root.
func judgeChain(served []*x509.Certificate, err error, now time.Time) finding {
	leaf := served[0]
	if ours, ok := errors.AsType[*localError](err); ok {
		return against(ours.reason, "%v", err)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired && invalid.Cert != nil {
		if f := judgeDates(invalid.Cert, now); f.status != "" {
			return f
		}
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	path := pathOf(served)
	switch weak := weaklySigned(path); {
	case unknown && isSelfSigned(leaf):
		return against(TLSSelfSigned, "the certificate for %s is signed by itself", nameOf(leaf))
	case weak != nil:
		return against(TLSWeak, "the certificate for %s is signed with %v, which clients no longer accept", nameOf(weak), weak.SignatureAlgorithm)
	case unknown && len(served) > maxServed:
		return against(TLSUntrusted, "the server shows %d certificates; none of the first %d leads from the one for %s to a trusted authority", len(served), maxServed, nameOf(leaf))
	case unknown && !issuerAmong(leaf, served[1:]):
		return against(TLSIncomplete, "the certificate for %s is issued by %s, whose certificate the server does not send and which is no trusted authority%s",
			nameOf(leaf), clip(leaf.Issuer.String(), 200), whereIssuerIs(leaf))
	case unknown:
		top := path[len(path)-1]
		return against(TLSUntrusted, "the certificate for %s leads to %s, which is no trusted authority", nameOf(leaf), clip(top.Issuer.String(), 200))
	}
	return against(TLSUntrusted, "the certificate for %s: %s", nameOf(leaf), clip(err.Error(), 300))
}

// issuerAmong reports whether certs has one that may have issued cert.
func issuerAmong(cert *x509.Certificate, certs []*x509.Certificate) bool {
	return slices.ContainsFunc(certs, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, cert.RawIssuer) })
}

// whereIssuerIs says where the certificate itself says that its issuer's is
// (caIssuers, RFC 5280, section 4.2.2.1). It is not fetched: most clients do
// not either, and the server has to send it.
func whereIssuerIs(cert *x509.Certificate) string {
	if len(cert.IssuingCertificateURL) == 0 {
		return ""
	}
	return fmt.Sprintf("; it is at %s", clip(cert.IssuingCertificateURL[0], 200))
}

// pathOf follows the chain as served, by its names, from the leaf to where it
// ends.
func pathOf(served []*x509.Certificate) []*x509.Certificate {
	path := served[:1:1]
	for range min(len(served), maxServed) {
		top := path[len(path)-1]
		next := slices.IndexFunc(served, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, top.RawIssuer) })
		if next < 0 || bytes.Equal(top.RawIssuer, top.RawSubject) {
			break
		}
		path = append(path, served[next])
	}
	return path
}

// subjectsOf names the certificates of a chain for facts.
func subjectsOf(chain []*x509.Certificate) []string {
	names := make([]string, 0, min(len(chain), maxServed))
	for _, cert := range chain[:min(len(chain), maxServed)] {
		name := cert.Subject.String()
		if strings.TrimSpace(name) == "" {
			name = nameOf(cert)
		}
		names = append(names, clip(name, 120))
	}
	return names
}
