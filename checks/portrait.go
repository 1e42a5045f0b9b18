package checks

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"maps"
	"math"
	"slices"
	"time"
)

// Limits of what a certificate may say in a result.
const (
	maxNames   = 50
	maxNameLen = 255
)

// portrait is what can be said of certificates as served and as relied on,
// which is the same from run to run.
type portrait struct {
	served, built []*x509.Certificate
	facts         Facts
}

// describe puts what the handshake showed into facts.
func (t *Trust) describe(id identity, state *tls.ConnectionState, now time.Time, facts Facts) {
	facts["tls_version"] = tls.VersionName(state.Version)
	facts["tls_cipher"] = tls.CipherSuiteName(state.CipherSuite)
	facts["chain_length"] = len(state.PeerCertificates)
	if id.leaf == nil {
		return
	}
	served := state.PeerCertificates[:min(len(state.PeerCertificates), maxServed)]
	p := t.drawn.Load()
	if p == nil || !sameChain(p.served, served) || !sameChain(p.built, id.built) {
		p = &portrait{served, id.built, draw(id.leaf, served, id.built)}
		t.drawn.Store(p)
	}
	maps.Copy(facts, p.facts)
	for _, name := range []string{"cert_sans", "chain_served", "chain_built"} { // a result may change its own
		if list, ok := facts[name].([]string); ok {
			facts[name] = slices.Clone(list)
		}
	}
	facts["cert_expires"] = id.expires.UTC().Format(time.RFC3339)
	facts["cert_days_left"] = math.Floor(id.expires.Sub(now).Hours()/24*10) / 10
	facts["chain_expires"] = id.earliest.UTC().Format(time.RFC3339)
	if id.staple != nil {
		facts["ocsp"] = id.staple.word
	}
}

func sameChain(a, b []*x509.Certificate) bool {
	return slices.EqualFunc(a, b, (*x509.Certificate).Equal)
}

// draw makes the facts of a portrait.
func draw(leaf *x509.Certificate, served, built []*x509.Certificate) Facts {
	print := sha256.Sum256(leaf.Raw)
	names := namesOf(leaf)
	names = names[:min(len(names), maxNames)]
	for i, name := range names {
		names[i] = clip(name, maxNameLen)
	}
	facts := Facts{
		"cert_not_before":    leaf.NotBefore.UTC().Format(time.RFC3339),
		"cert_lifetime_days": math.Round(leaf.NotAfter.Sub(leaf.NotBefore).Hours()/24*10) / 10,
		"cert_subject":       clip(leaf.Subject.String(), maxNameLen),
		"cert_issuer":        clip(leaf.Issuer.String(), maxNameLen),
		"cert_serial":        clip(leaf.SerialNumber.Text(16), 64),
		"cert_sha256":        hex.EncodeToString(print[:]),
		"cert_key":           keyOf(leaf),
		"cert_signature":     leaf.SignatureAlgorithm.String(),
		"cert_sans":          names,
		"chain_served":       subjectsOf(served),
		"must_staple":        mustStaple(leaf),
	}
	if built != nil {
		facts["chain_built"] = subjectsOf(built)
	}
	return facts
}
