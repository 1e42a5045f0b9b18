package checks

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Protocol is the version of HTTP that a check demands. The zero Protocol is
// any: HTTP/2 where the server offers it over TLS, else HTTP/1.1.
type Protocol string

// The versions that can be demanded.
const (
	HTTPAny Protocol = "any"
	HTTP11  Protocol = "1.1"
	HTTP2   Protocol = "2"
	HTTP3   Protocol = "3"
)

// UnmarshalText reads any, 1.1, 2 or 3.
func (p *Protocol) UnmarshalText(text []byte) error {
	switch read := Protocol(text); read {
	case HTTPAny, HTTP11, HTTP2, HTTP3:
		*p = read
		return nil
	}
	return fmt.Errorf("%q is no version of HTTP that can be demanded; write any, 1.1, 2 or 3", clip(string(text), 40))
}

// UnmarshalJSON reads a number too.
func (p *Protocol) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '"' {
		return p.UnmarshalText(data)
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	return p.UnmarshalText([]byte(text))
}

// MarshalText writes the version as it was read.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.orAny()), nil }

func (p Protocol) orAny() Protocol {
	if p == "" {
		return HTTPAny
	}
	return p
}

// demanded reports whether the server must speak p and nothing else.
func (p Protocol) demanded() bool { return p.orAny() != HTTPAny }

// faults says what is wrong with p for a URL of that scheme.
func (p Protocol) faults(scheme string) []Fault {
	var read Protocol
	switch err := read.UnmarshalText([]byte(p.orAny())); {
	case err != nil:
		return []Fault{{"http_version", err.Error()}}
	case p == HTTP3 && scheme == "http":
		return []Fault{{"http_version", "is 3, which there is only over https; write an https URL, or another version"}}
	}
	return nil
}

// refused is the finding against a server that answers, but not in p.
func (p Protocol) refused(format string, args ...any) finding {
	return against(HTTPVersion, "the server does not speak HTTP/%s: %s", string(p), fmt.Sprintf(format, args...))
}

// noProtocol is the alert of a server that knows none of the protocols that it
// was offered (RFC 7301, section 3.2), and what crypto/tls says upon it.
const (
	noProtocol     = 120
	noProtocolText = "no application protocol"
)

// judgeHandshake makes a failed handshake one over the version when that is
// what it failed for.
func (p Protocol) judgeHandshake(err error) finding {
	if p.demanded() && strings.Contains(err.Error(), noProtocolText) {
		return p.refused("it knows none of the protocols that the handshake offered")
	}
	return classify(stageTLS, err)
}

// judgeProtocol says whether what the handshake agreed on is what is demanded.
func (p Protocol) judgeProtocol(agreed string) finding {
	if p == HTTP2 && agreed != "h2" {
		if agreed == "" {
			agreed = "nothing"
		}
		return p.refused("asked for h2, it agreed to %s", clip(agreed, 40))
	}
	return finding{}
}

// judgeAnswer says whether an answer is in the version that is demanded.
func (p Protocol) judgeAnswer(proto string) finding {
	if p == HTTP11 && proto != "HTTP/1.1" {
		return p.refused("it answered in %s", clip(proto, 40))
	}
	return finding{}
}

// looksLikeHTTP1 reports whether bytes begin as an answer of HTTP/1 does.
func looksLikeHTTP1(begin []byte) bool { return strings.HasPrefix(string(begin), "HTTP/1.") }
