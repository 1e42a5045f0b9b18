// Package secret holds strings that must not be printed: tokens, passwords,
// signing keys. A String prints as "[redacted]" whatever the verb, logger or
// encoder; only Reveal gives its value.
//
// It imports nothing of this module and may be imported by all of it.
package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a secret looks like wherever it is printed.
const Redacted = "[redacted]"

// String is a secret value. Its zero value is the empty secret, which prints
// as the empty string so that "not set" can be told from "set".
type String struct {
	// A pointer, because fmt does not ask the methods of a field that is not
	// exported: what it prints of one is an address. Nil is the empty secret.
	value *string
}

// New wraps a value that must not be printed.
func New(value string) String {
	if value == "" {
		return String{}
	}
	return String{&value}
}

// Reveal returns the value itself. Call it where the secret leaves for whoever
// must know it, and nowhere else.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether no secret is set.
func (s String) IsZero() bool { return s.value == nil }

// Equal reports whether two secrets are the same, in a time that does not tell
// how much of them is.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns "[redacted]", or "" for the empty secret.
func (s String) String() string {
	if s.value == nil {
		return ""
	}
	return Redacted
}

// Format implements fmt.Formatter, so that no verb (%#v and %x included)
// reaches the value.
func (s String) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler with the redacted form.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value as it stands.
func (s *String) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}

// UnmarshalJSON takes the value of a JSON string.
func (s *String) UnmarshalJSON(data []byte) error {
	var value string
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	*s = New(value)
	return nil
}
