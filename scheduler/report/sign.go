package report

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

// Signature is a file beside a report in JSON that says whose it is.
type Signature struct {
	Algorithm string `json:"algorithm"` // ed25519 (RFC 8032)
	PublicKey []byte `json:"public_key"`
	Signature []byte `json:"signature"` // of the report's bytes, as they are
}

// Sign returns the signature of a report's bytes, as a file.
func Sign(body []byte, key ed25519.PrivateKey) []byte {
	file, err := json.MarshalIndent(Signature{"ed25519", key.Public().(ed25519.PublicKey), ed25519.Sign(key, body)}, "", "  ")
	if err != nil {
		panic(err) // bytes and text are always JSON
	}
	return append(file, '\n')
}

// ErrForged says that a signature is not that of the report by the key.
var ErrForged = errors.New("the signature is not of this report by that key")

// VerifySignature checks the file that Sign made of body, and returns whose it
// is. Key is who must have signed; nil: whoever the file says.
func VerifySignature(body, file []byte, key ed25519.PublicKey) (ed25519.PublicKey, error) {
	var s Signature
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("reading the signature: %w", err)
	}
	if s.Algorithm != "ed25519" || len(s.PublicKey) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the signature is of the algorithm %q; only ed25519 is known", s.Algorithm)
	}
	by := ed25519.PublicKey(s.PublicKey)
	if key != nil && !key.Equal(by) || !ed25519.Verify(by, body, s.Signature) {
		return nil, ErrForged
	}
	return by, nil
}

// ParsePublicKey reads a public key: PEM, as openssl pkey -pubout writes it, or
// its 32 bytes in base64.
func ParsePublicKey(text []byte) (ed25519.PublicKey, error) {
	if block, _ := pem.Decode(text); block != nil {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading the public key: %w", err)
		}
		if key, ok := key.(ed25519.PublicKey); ok {
			return key, nil
		}
		return nil, fmt.Errorf("the public key is a %T; it must be an Ed25519 one", key)
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, errors.New("it is no public key; write PEM, or 32 bytes in base64")
	}
	return key, nil
}
