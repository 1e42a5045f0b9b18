package checkstest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/ocsp"
)

// tlsFeature is the extension that demands a staple (RFC 7633).
var tlsFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

// Staple says what an OCSP answer is to be.
type Staple struct {
	Status   int       // ocsp.Good, Revoked or Unknown
	From, To time.Time // zero means from an hour ago, for a week
	// Delegated has it signed by a responder of the authority's making;
	// Impostor by one that the authority issued for another purpose; Stranger
	// by somebody else.
	Delegated, Impostor, Stranger bool
}

// Staple makes an OCSP answer about a certificate that the authority issued.
func (ca *CA) Staple(cert *x509.Certificate, s Staple) ([]byte, error) {
	if s.From.IsZero() {
		s.From = time.Now().Add(-time.Hour)
	}
	if s.To.IsZero() {
		s.To = s.From.AddDate(0, 0, 7)
	}
	template := ocsp.Response{Status: s.Status, SerialNumber: cert.SerialNumber, ThisUpdate: s.From, NextUpdate: s.To}
	if s.Status == ocsp.Revoked {
		template.RevokedAt, template.RevocationReason = s.From, ocsp.KeyCompromise
	}
	responder, signer := ca.intermediate, crypto.Signer(ca.key)
	if s.Delegated || s.Impostor || s.Stranger {
		key, err := newKey()
		if err != nil {
			return nil, err
		}
		purpose := x509.ExtKeyUsageOCSPSigning
		if s.Impostor {
			purpose = x509.ExtKeyUsageServerAuth
		}
		asked := &x509.Certificate{
			SerialNumber: serial(), Subject: pkix.Name{CommonName: "Test Responder"}, NotBefore: s.From, NotAfter: s.From.AddDate(1, 0, 0),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{purpose},
		}
		parent, by := ca.intermediate, crypto.Signer(ca.key)
		if s.Stranger {
			parent, by = asked, key
		}
		if responder, err = sign(asked, parent, &key.PublicKey, by); err != nil {
			return nil, err
		}
		template.Certificate, signer = responder, key
	}
	answer, err := ocsp.CreateResponse(ca.intermediate, responder, template, signer)
	if err != nil {
		return nil, fmt.Errorf("signing an OCSP answer: %w", err)
	}
	return answer, nil
}

// List says what a list of revoked certificates is to be.
type List struct {
	Revoked  []*big.Int // serial numbers
	From, To time.Time  // zero means from an hour ago, for a week
	// Extensions are added as they are.
	Extensions []pkix.Extension
}

// List makes a list of certificates that the authority revoked, in DER.
func (ca *CA) List(l List) ([]byte, error) {
	if l.From.IsZero() {
		l.From = time.Now().Add(-time.Hour)
	}
	if l.To.IsZero() {
		l.To = l.From.AddDate(0, 0, 7)
	}
	template := &x509.RevocationList{Number: serial(), ThisUpdate: l.From, NextUpdate: l.To, ExtraExtensions: l.Extensions}
	for _, number := range l.Revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: number, RevocationTime: l.From, ReasonCode: ocsp.Superseded})
	}
	list, err := x509.CreateRevocationList(rand.Reader, template, ca.intermediate, ca.key)
	if err != nil {
		return nil, fmt.Errorf("signing a list of revoked certificates: %w", err)
	}
	return list, nil
}
