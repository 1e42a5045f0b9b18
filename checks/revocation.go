package checks

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// maxStaple is the largest OCSP answer that is read, in bytes.
const maxStaple = 64 << 10

// unboundedStaple is how long an answer without an end counts. The Baseline
// Requirements, section 4.9.10, let authorities answer for ten days at most.
const unboundedStaple = 10 * 24 * time.Hour

// clockSlack is how far an authority's clock may be ahead of ours.
const clockSlack = 5 * time.Minute

// The words for what a staple says.
const (
	ocspGood      = "good"
	ocspRevoked   = "revoked"
	ocspUnknown   = "unknown" // the authority does not know the certificate
	ocspStale     = "stale"
	ocspInvalid   = "invalid"
	ocspNone      = "none"
	ocspUnchecked = "unchecked" // nothing vouches for it: the certificate was not verified
)

// stapled is what the OCSP answer says that a server sent with its certificate
// (RFC 6066, section 8). A nil one says that none was looked for.
type stapled struct {
	word   string
	detail string
}

// checkedStaple is an answer whose signature has been checked, and the chain
// by which it was.
type checkedStaple struct {
	raw          []byte
	leaf, issuer *x509.Certificate
	answer       *ocsp.Response
}

// readStaple reads an answer about the first certificate of a chain that leads
// to a trusted root. Signatures are checked once an answer, dates each time.
func (t *Trust) readStaple(raw []byte, chain []*x509.Certificate, now time.Time) *stapled {
	if len(raw) == 0 {
		return &stapled{word: ocspNone}
	}
	if len(chain) < 2 {
		return &stapled{word: ocspUnchecked}
	}
	c := t.staple.Load()
	if c == nil || !bytes.Equal(c.raw, raw) || !c.leaf.Equal(chain[0]) || !c.issuer.Equal(chain[1]) {
		answer, err := parseStaple(raw, chain[0], chain[1], now)
		if err != nil {
			return &stapled{ocspInvalid, clip(err.Error(), 200)}
		}
		c = &checkedStaple{bytes.Clone(raw), chain[0], chain[1], answer}
		t.staple.Store(c)
	}
	return judgeStaple(c.answer, now)
}

// parseStaple reads an answer and checks that whoever signed it may: the
// issuer itself, or one whom the issuer made a responder (RFC 6960, section
// 4.2.2.2).
func parseStaple(raw []byte, leaf, issuer *x509.Certificate, now time.Time) (*ocsp.Response, error) {
	if len(raw) > maxStaple {
		return nil, fmt.Errorf("it has %d bytes", len(raw))
	}
	answer, err := ocsp.ParseResponseForCert(raw, leaf, nil)
	if err != nil {
		return nil, err
	}
	responder := answer.Certificate // has signed the answer, says the parser
	switch {
	case responder == nil:
		return answer, answer.CheckSignatureFrom(issuer)
	case bytes.Equal(responder.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo):
		return answer, nil
	}
	if err := issuer.CheckSignature(responder.SignatureAlgorithm, responder.RawTBSCertificate, responder.Signature); err != nil {
		return nil, errors.New("it is signed by somebody whom the issuer does not vouch for")
	}
	if !slices.Contains(responder.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return nil, errors.New("it is signed by somebody whom the issuer did not make a responder")
	}
	if now.Before(responder.NotBefore) || now.After(responder.NotAfter) {
		return nil, errors.New("its responder's certificate is not valid now")
	}
	return answer, nil
}

// judgeStaple says what a genuine answer means now.
func judgeStaple(answer *ocsp.Response, now time.Time) *stapled {
	ends := answer.NextUpdate
	if ends.IsZero() {
		ends = answer.ThisUpdate.Add(unboundedStaple)
	}
	switch {
	case answer.Status == ocsp.Revoked: // which does not change with time
		return &stapled{ocspRevoked, fmt.Sprintf("on %s, %s", answer.RevokedAt.UTC().Format(time.RFC3339), revocationReason(answer.RevocationReason))}
	case answer.ThisUpdate.After(now.Add(clockSlack)):
		return &stapled{ocspStale, "it is valid from " + answer.ThisUpdate.UTC().Format(time.RFC3339)}
	case now.After(ends):
		return &stapled{ocspStale, "it was valid until " + ends.UTC().Format(time.RFC3339)}
	case answer.Status == ocsp.Good:
		return &stapled{word: ocspGood}
	}
	return &stapled{ocspUnknown, "the authority does not know the certificate"}
}

// revocationReasons are the CRLReasons of RFC 5280, section 5.3.1.
var revocationReasons = []string{
	"for no stated reason", "because its key was compromised", "because the authority's key was compromised",
	"because what it says of its owner changed", "because another one superseded it", "because it is no longer needed",
	"on hold", "", "", "because a privilege was withdrawn", "because an attribute authority was compromised",
}

func revocationReason(code int) string {
	if code < 0 || code >= len(revocationReasons) || revocationReasons[code] == "" {
		return fmt.Sprintf("for reason %d", code)
	}
	return revocationReasons[code]
}

// revoked is the finding that the certificate was taken back.
func (s *stapled) revoked(leaf *x509.Certificate) finding {
	if s == nil || s.word != ocspRevoked {
		return finding{}
	}
	return against(TLSRevoked, "the certificate for %s was revoked %s", nameOf(leaf), s.detail)
}

// unsound is the finding that a server's staple is of no use: clients that
// look at it refuse the server or wait for another answer.
func (s *stapled) unsound(leaf *x509.Certificate) finding {
	if s == nil {
		return finding{}
	}
	switch s.word {
	case ocspStale, ocspInvalid, ocspUnknown:
		return against(TLSStaple, "the OCSP staple is %s: %s", s.word, s.detail).soften()
	case ocspNone:
		if mustStaple(leaf) {
			return against(TLSStaple, "the certificate for %s demands an OCSP staple, and the server sends none", nameOf(leaf)).soften()
		}
	}
	return finding{}
}

// tlsFeature is the extension in which a certificate says what its server must
// send; statusRequest is the feature that a staple is (RFC 7633).
var tlsFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

const statusRequest = 5

func mustStaple(cert *x509.Certificate) bool {
	for _, extension := range cert.Extensions {
		var features []int
		if extension.Id.Equal(tlsFeature) {
			rest, err := asn1.Unmarshal(extension.Value, &features)
			return err == nil && len(rest) == 0 && slices.Contains(features, statusRequest)
		}
	}
	return false
}
