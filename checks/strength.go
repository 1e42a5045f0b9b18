package checks

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// The smallest keys that are not weak, in bits: those of 112-bit strength
// (NIST SP 800-57 part 1, table 2), which the CA/Browser Forum's Baseline
// Requirements, section 6.1.5, demand too.
const (
	minRSA = 2048
	minEC  = 224
)

// protocolVersions are the versions of TLS as configurations write them.
var protocolVersions = map[string]uint16{
	"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

// defaultMinVersion is the oldest version that is not weak (RFC 8996).
const defaultMinVersion = tls.VersionTLS12

// offerAll has a handshake accept what no other client would, so that a weak
// server can be told from one that does not work. The newest version and the
// strongest cipher that both sides know are still preferred.
func offerAll(config *tls.Config) *tls.Config {
	config.MinVersion, config.CipherSuites = tls.VersionTLS10, allSuites()
	return config
}

var allSuites = sync.OnceValue(func() (ids []uint16) {
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		ids = append(ids, suite.ID)
	}
	return ids
})

var weakSuites = sync.OnceValue(func() map[uint16]bool {
	weak := map[uint16]bool{}
	for _, suite := range tls.InsecureCipherSuites() {
		weak[suite.ID] = true
	}
	return weak
})

// olderThan is the expectation that a version is at least wanted, as 1.2.
func olderThan(wanted string, got uint16) finding {
	if least, ok := protocolVersions[wanted]; ok && got < least {
		return against(TLSWeak, "the server agreed on %s; expected %s or newer", tls.VersionName(got), tls.VersionName(least))
	}
	return finding{}
}

// weaknesses lists what is weak in a handshake and in the certificates that the
// server relies on. A signature on a root proves nothing and is not looked at.
func (id identity) weaknesses(state *tls.ConnectionState) []string {
	var weak []string
	if state.Version < defaultMinVersion {
		weak = append(weak, "the protocol is "+tls.VersionName(state.Version))
	}
	if weakSuites()[state.CipherSuite] {
		weak = append(weak, "the cipher is "+tls.CipherSuiteName(state.CipherSuite))
	}
	chain := id.built
	if chain == nil {
		chain = state.PeerCertificates[:min(len(state.PeerCertificates), maxServed)]
	}
	for _, cert := range chain {
		if bits, kind := keySize(cert); kind == "RSA" && bits < minRSA || kind == "ECDSA" && bits < minEC {
			weak = append(weak, fmt.Sprintf("the key of %s is %s", nameOf(cert), keyOf(cert)))
		}
	}
	if cert := weaklySigned(chain); cert != nil {
		weak = append(weak, fmt.Sprintf("the certificate for %s is signed with %v", nameOf(cert), cert.SignatureAlgorithm))
	}
	return weak
}

func (id identity) isWeak(state *tls.ConnectionState) finding {
	if id.leaf == nil {
		return finding{}
	}
	weak := id.weaknesses(state)
	if len(weak) == 0 {
		return finding{}
	}
	return against(TLSWeak, "%s", clip(strings.Join(weak, "; "), 500))
}

// weaklySigned returns the first certificate, roots aside, whose signature can
// be forged: MD2 and MD5 since 2008, SHA-1 since 2017.
func weaklySigned(chain []*x509.Certificate) *x509.Certificate {
	for _, cert := range chain[:min(len(chain), maxServed)] {
		if bytes.Equal(cert.RawIssuer, cert.RawSubject) && cert != chain[0] {
			continue
		}
		switch cert.SignatureAlgorithm {
		case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
			return cert
		}
	}
	return nil
}

// keySize returns the size of a certificate's key in bits and its kind.
func keySize(cert *x509.Certificate) (bits int, kind string) {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen(), "RSA"
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize, "ECDSA"
	case ed25519.PublicKey:
		return 256, "Ed25519"
	}
	return 0, cert.PublicKeyAlgorithm.String()
}

// keyOf writes what a certificate's key is: RSA 2048, ECDSA P-256, Ed25519.
func keyOf(cert *x509.Certificate) string {
	bits, kind := keySize(cert)
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", bits)
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	}
	return kind
}
