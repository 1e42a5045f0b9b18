package checks

import (
	"maps"
	"slices"
	"strings"
)

// Reason is one word of a closed set that says why a run did not find its
// target up. Its first part is the layer: dns, connect, tls, http, content,
// slow, or prober when the fault is ours.
type Reason string

// The reasons. Every one is in the table below with what it means.
const (
	DNSTimeout     Reason = "dns.timeout"
	DNSNXDomain    Reason = "dns.nxdomain"
	DNSNoAnswer    Reason = "dns.no_answer"
	DNSServfail    Reason = "dns.servfail"
	DNSRefused     Reason = "dns.refused"
	DNSRcode       Reason = "dns.rcode"
	DNSMalformed   Reason = "dns.malformed"
	DNSUnreachable Reason = "dns.unreachable"

	ConnectTimeout     Reason = "connect.timeout"
	ConnectRefused     Reason = "connect.refused"
	ConnectReset       Reason = "connect.reset"
	ConnectUnreachable Reason = "connect.unreachable"

	TLSTimeout     Reason = "tls.timeout"
	TLSHandshake   Reason = "tls.handshake"
	TLSExpired     Reason = "tls.expired"
	TLSNotYetValid Reason = "tls.not_yet_valid"
	TLSExpiresSoon Reason = "tls.expires_soon"
	TLSWrongName   Reason = "tls.wrong_name"
	TLSUntrusted   Reason = "tls.untrusted"
	TLSSelfSigned  Reason = "tls.self_signed"

	HTTPTimeout   Reason = "http.timeout"
	HTTPStatus    Reason = "http.status"
	HTTPRedirect  Reason = "http.redirect"
	HTTPProtocol  Reason = "http.protocol"
	HTTPTruncated Reason = "http.truncated"
	HTTPReset     Reason = "http.reset"
	HTTPTooLarge  Reason = "http.too_large"

	ContentMismatch Reason = "content.mismatch"
	ContentAnswer   Reason = "content.answer"

	SlowTotal     Reason = "slow.total"
	SlowFirstByte Reason = "slow.first_byte"
	SlowRate      Reason = "slow.rate"

	ProberBlocked    Reason = "prober.blocked"
	ProberBandwidth  Reason = "prober.bandwidth"
	ProberNetwork    Reason = "prober.network"
	ProberOverloaded Reason = "prober.overloaded"
	ProberOffline    Reason = "prober.offline"
	ProberClock      Reason = "prober.clock"
	ProberSilent     Reason = "prober.silent"
	ProberInternal   Reason = "prober.internal"
	ProberStopped    Reason = "prober.stopped"
	ProberQuarantine Reason = "prober.quarantine"
)

// meanings holds one sentence a reason, for docs, the status page and people.
var meanings = map[Reason]string{
	DNSTimeout:     "no name server answered in time",
	DNSNXDomain:    "the name does not exist",
	DNSNoAnswer:    "the name exists but has no record of the type asked for",
	DNSServfail:    "the name server could not answer (SERVFAIL)",
	DNSRefused:     "the name server refused to answer (REFUSED)",
	DNSRcode:       "the name server answered with another code than expected",
	DNSMalformed:   "the name server's answer could not be read",
	DNSUnreachable: "the name server could not be reached",

	ConnectTimeout:     "no connection within the time",
	ConnectRefused:     "nothing listens on the port",
	ConnectReset:       "the connection was reset before it could be used",
	ConnectUnreachable: "the network says that there is no way to the host",

	TLSTimeout:     "the TLS handshake did not end in time",
	TLSHandshake:   "the TLS handshake failed",
	TLSExpired:     "the certificate has expired",
	TLSNotYetValid: "the certificate is not valid yet",
	TLSExpiresSoon: "the certificate expires sooner than allowed",
	TLSWrongName:   "the certificate is for another name",
	TLSUntrusted:   "the certificate's issuer is not trusted",
	TLSSelfSigned:  "the certificate is self-signed",

	HTTPTimeout:   "the answer did not come, or did not end, in time",
	HTTPStatus:    "the answer has another status code than expected",
	HTTPRedirect:  "a redirect loops, leads too far or to somewhere not allowed",
	HTTPProtocol:  "the answer is not HTTP",
	HTTPTruncated: "the answer ended before its announced length",
	HTTPReset:     "the connection was cut while the answer was awaited",
	HTTPTooLarge:  "the answer's header or body is larger than allowed",

	ContentMismatch: "the content is not what was expected",
	ContentAnswer:   "the records in the answer are not those expected",

	SlowTotal:     "the whole run took longer than allowed",
	SlowFirstByte: "the first byte came later than allowed",
	SlowRate:      "the transfer was slower than allowed",

	ProberBlocked:    "the prober may not reach that address",
	ProberBandwidth:  "the prober's own network is slower than the profile asked for",
	ProberNetwork:    "the prober had no network",
	ProberOverloaded: "the prober had more to do than it could",
	ProberOffline:    "the prober was not running",
	ProberClock:      "the prober's clock was off",
	ProberSilent:     "nothing was heard from the prober",
	ProberInternal:   "the prober itself failed",
	ProberStopped:    "the prober was stopped during the run",
	ProberQuarantine: "the prober was found sick at the time",
}

// Reasons returns every reason in alphabetical order.
func Reasons() []Reason { return slices.Sorted(maps.Keys(meanings)) }

// Known reports whether r is one of the closed set.
func (r Reason) Known() bool { return meanings[r] != "" }

// Meaning returns one sentence of what r says, or "" for a word not in the set.
func (r Reason) Meaning() string { return meanings[r] }

// Layer returns the first part of the word: dns, connect, tls, http, content,
// slow or prober.
func (r Reason) Layer() string {
	layer, _, _ := strings.Cut(string(r), ".")
	return layer
}
