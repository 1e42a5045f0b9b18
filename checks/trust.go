package checks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"nines/internal/secret"
)

// Trust is how a check judges the certificate of a server, and what it shows a
// server that wants to see one too. Options embed it.
type Trust struct {
	CA         string        `json:"ca" file:"true" doc:"PEM certificates of authorities to trust beside the system's, for servers with a private CA; default none."`
	ServerName string        `json:"server_name" doc:"The name to ask for (SNI) and to find in the certificate; default: the host that is connected to." example:"shop.example.com"`
	Insecure   bool          `json:"insecure" doc:"Accept any certificate; what it says is still reported; default false."`
	ClientCert string        `json:"client_cert" file:"true" doc:"PEM certificate, its chain after it, to show to a server that asks for one; needs client_key; default none."`
	ClientKey  secret.String `json:"client_key" doc:"PEM private key of client_cert; default none."`

	once    sync.Once         // makes private and own
	private *x509.CertPool    // of CA; nil without one
	own     []tls.Certificate // of ClientCert and ClientKey
	cached  atomic.Pointer[vouched]
	staple  atomic.Pointer[checkedStaple]
	drawn   atomic.Pointer[portrait]
	lists   revocationLists
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
	switch {
	case t.ClientCert == "" && t.ClientKey.IsZero():
	case t.ClientCert == "":
		faults = append(faults, Fault{"client_key", "is given without client_cert, whose key it is; write both or neither"})
	case t.ClientKey.IsZero():
		faults = append(faults, Fault{"client_cert", "is given without client_key; write both or neither"})
	default:
		if _, err := tls.X509KeyPair([]byte(t.ClientCert), []byte(t.ClientKey.Reveal())); err != nil {
			faults = append(faults, Fault{"client_cert", fmt.Sprintf("and client_key are no pair (%v); write a PEM certificate and its own private key, or name their files as client_cert_file and client_key_file", err)})
		}
	}
	return faults
}

// load makes what all runs share.
func (t *Trust) load() {
	t.once.Do(func() {
		if t.CA != "" {
			t.private = x509.NewCertPool()
			t.private.AppendCertsFromPEM([]byte(t.CA))
		}
		if t.ClientCert != "" {
			if pair, err := tls.X509KeyPair([]byte(t.ClientCert), []byte(t.ClientKey.Reveal())); err == nil {
				t.own = []tls.Certificate{pair}
			}
		}
	})
}

// config returns what a handshake with host needs. Certificates are judged
// after it, so that even a bad one can be reported on.
func (t *Trust) config(host string, protocols ...string) *tls.Config {
	t.load()
	return &tls.Config{
		ServerName:         host,
		InsecureSkipVerify: true,
		NextProtos:         protocols,
		Certificates:       t.own,
		// Every server that offers a post-quantum exchange accepts X25519 too,
		// at a third of the processor time.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	}
}

// serverName is the name that a certificate must have: the one that the check
// gives, else the host.
func (t *Trust) serverName(host string) string {
	if t.ServerName != "" {
		return t.ServerName
	}
	return host
}

// handshake makes conn a TLS connection, for as long as conn lives.
func handshake(conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(context.Background()); err != nil { // conn's deadline ends it
		return nil, err
	}
	return secured, nil
}
