package checkstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// CA is a throw-away authority with an intermediate: what it issues is valid
// for whoever trusts its PEM.
type CA struct {
	root, intermediate *x509.Certificate
	key                *ecdsa.PrivateKey // the intermediate's
}

// NewCA makes an authority with fresh keys, valid from ten years ago on for
// twenty.
func NewCA() (*CA, error) {
	now := time.Now()
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber:          serial(),
			Subject:               pkix.Name{CommonName: name, Organization: []string{"nines test authority"}},
			NotBefore:             now.AddDate(-10, 0, 0),
			NotAfter:              now.AddDate(10, 0, 0),
			IsCA:                  true,
			BasicConstraintsValid: true,
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		}
	}
	rootKey, err := newKey()
	if err != nil {
		return nil, err
	}
	rootTemplate := template("Test Root")
	root, err := sign(rootTemplate, rootTemplate, &rootKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	intermediate, err := sign(template("Test Intermediate"), root, &key.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	return &CA{root, intermediate, key}, nil
}

// PEM returns the root's certificate for whoever is to trust it.
func (ca *CA) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.root.Raw}))
}

// Leaf says what a certificate is to be.
type Leaf struct {
	Names []string // DNS names and addresses; none means localhost, 127.0.0.1 and ::1
	// From and To are when it is valid; zero means from 30 days ago, for 90
	// days.
	From, To time.Time
	// SelfSigned has it signed by its own key and not by the authority.
	SelfSigned bool
	// Bare leaves the intermediate out of what is served.
	Bare bool
	// Key is the private key; nil means a fresh one on P-256.
	Key crypto.Signer
	// IssuerURL and ListURL say where the issuer's certificate and its list of
	// revoked certificates are; empty means that the certificate does not.
	IssuerURL, ListURL string
	// ForClients makes it one to show to servers.
	ForClients bool
	// MustStaple demands an OCSP staple of whoever serves it.
	MustStaple bool
}

// ExpiringIn describes a certificate of the usual 90 days that ends at now + d,
// which may be past.
func ExpiringIn(d time.Duration, names ...string) Leaf {
	to := time.Now().Add(d)
	return Leaf{Names: names, From: to.AddDate(0, 0, -90), To: to}
}

// NotYetValid describes a certificate that becomes valid tomorrow.
func NotYetValid(names ...string) Leaf {
	from := time.Now().AddDate(0, 0, 1)
	return Leaf{Names: names, From: from, To: from.AddDate(0, 0, 90)}
}

// Issue makes a certificate with a fresh key, with its chain for serving.
func (ca *CA) Issue(leaf Leaf) (tls.Certificate, error) {
	if len(leaf.Names) == 0 {
		leaf.Names = []string{"localhost", "127.0.0.1", "::1"}
	}
	if leaf.From.IsZero() {
		leaf.From = time.Now().AddDate(0, 0, -30)
	}
	if leaf.To.IsZero() {
		leaf.To = leaf.From.AddDate(0, 0, 90)
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: leaf.Names[0]},
		NotBefore:    leaf.From,
		NotAfter:     leaf.To,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range leaf.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if leaf.ForClients {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if leaf.IssuerURL != "" {
		template.IssuingCertificateURL = []string{leaf.IssuerURL}
	}
	if leaf.ListURL != "" {
		template.CRLDistributionPoints = []string{leaf.ListURL}
	}
	if leaf.MustStaple {
		template.ExtraExtensions = []pkix.Extension{{Id: tlsFeature, Value: []byte{0x30, 3, 2, 1, 5}}}
	}
	key := leaf.Key
	if key == nil {
		fresh, err := newKey()
		if err != nil {
			return tls.Certificate{}, err
		}
		key = fresh
	}
	parent, signer := ca.intermediate, crypto.Signer(ca.key)
	if leaf.SelfSigned {
		parent, signer = template, key
	}
	cert, err := sign(template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	chain := [][]byte{cert.Raw}
	if !leaf.SelfSigned && !leaf.Bare {
		chain = append(chain, ca.intermediate.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: cert}, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return big.NewInt(time.Now().UnixNano())
	}
	return n
}

func sign(template, parent *x509.Certificate, key crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate for %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}
