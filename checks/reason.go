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
	DNSMismatch    Reason = "dns.mismatch"
	DNSTruncated   Reason = "dns.truncated"
	DNSTooLarge    Reason = "dns.too_large"
	DNSLoop        Reason = "dns.loop"
	DNSLame        Reason = "dns.lame"
	DNSDelegation  Reason = "dns.delegation"
	DNSSerial      Reason = "dns.serial"
	DNSDiffers     Reason = "dns.differs"
	DNSBogus       Reason = "dns.bogus"
	DNSInsecure    Reason = "dns.insecure"
	DNSUndecided   Reason = "dns.indeterminate"
	DNSExpiresSoon Reason = "dns.expires_soon"

	ConnectTimeout     Reason = "connect.timeout"
	ConnectRefused     Reason = "connect.refused"
	ConnectReset       Reason = "connect.reset"
	ConnectUnreachable Reason = "connect.unreachable"
	ConnectProxy       Reason = "connect.proxy"
	ConnectPartial     Reason = "connect.partial"
	ConnectLoss        Reason = "connect.loss"

	TLSTimeout     Reason = "tls.timeout"
	TLSHandshake   Reason = "tls.handshake"
	TLSExpired     Reason = "tls.expired"
	TLSNotYetValid Reason = "tls.not_yet_valid"
	TLSExpiresSoon Reason = "tls.expires_soon"
	TLSWrongName   Reason = "tls.wrong_name"
	TLSUntrusted   Reason = "tls.untrusted"
	TLSSelfSigned  Reason = "tls.self_signed"
	TLSIncomplete  Reason = "tls.incomplete"
	TLSWeak        Reason = "tls.weak"
	TLSRevoked     Reason = "tls.revoked"
	TLSDiffers     Reason = "tls.differs"
	TLSStartTLS    Reason = "tls.starttls"
	TLSStaple      Reason = "tls.staple"
	TLSCRL         Reason = "tls.crl"

	HTTPTimeout   Reason = "http.timeout"
	HTTPStatus    Reason = "http.status"
	HTTPRedirect  Reason = "http.redirect"
	HTTPProtocol  Reason = "http.protocol"
	HTTPTruncated Reason = "http.truncated"
	HTTPReset     Reason = "http.reset"
	HTTPTooLarge  Reason = "http.too_large"
	HTTPVersion   Reason = "http.version"
	HTTPToken     Reason = "http.token"

	ContentMismatch Reason = "content.mismatch"
	ContentAnswer   Reason = "content.answer"
	ContentStale    Reason = "content.stale"
	ContentTimeout  Reason = "content.timeout"

	SlowTotal     Reason = "slow.total"
	SlowFirstByte Reason = "slow.first_byte"
	SlowRate      Reason = "slow.rate"
	SlowLoad      Reason = "slow.load"
	SlowPaint     Reason = "slow.paint"
	SlowShift     Reason = "slow.shift"
	SlowWeight    Reason = "slow.weight"
	SlowConsole   Reason = "slow.console"

	ProberBlocked    Reason = "prober.blocked"
	ProberBandwidth  Reason = "prober.bandwidth"
	ProberBrowser    Reason = "prober.browser"
	ProberPrivilege  Reason = "prober.privilege"
	ProberProxy      Reason = "prober.proxy"
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
	DNSMismatch:    "the answer is to another question than was asked",
	DNSTruncated:   "the answer stays truncated even over TCP",
	DNSTooLarge:    "the answer is larger than was allowed for",
	DNSLoop:        "aliases lead in a circle, or through too many names",
	DNSLame:        "a name server of the zone does not answer for it",
	DNSDelegation:  "the parent zone names other name servers than the zone itself",
	DNSSerial:      "the zone's name servers have different versions of it",
	DNSDiffers:     "the zone's name servers give different answers",
	DNSBogus:       "the signatures do not prove the answer",
	DNSInsecure:    "the zone is not signed",
	DNSUndecided:   "it could not be found out whether the zone is signed",
	DNSExpiresSoon: "a signature expires sooner than allowed",

	ConnectTimeout:     "no connection within the time",
	ConnectRefused:     "nothing listens on the port",
	ConnectReset:       "the connection was reset before it could be used",
	ConnectUnreachable: "the network says that there is no way to the host",
	ConnectProxy:       "the proxy could not connect to the target",
	ConnectPartial:     "some of the addresses that the name has do not work",
	ConnectLoss:        "more packets were lost than allowed",

	TLSTimeout:     "the TLS handshake did not end in time",
	TLSHandshake:   "the TLS handshake failed",
	TLSExpired:     "the certificate has expired",
	TLSNotYetValid: "the certificate is not valid yet",
	TLSExpiresSoon: "the certificate expires sooner than allowed",
	TLSWrongName:   "the certificate is for another name",
	TLSUntrusted:   "the certificate's issuer is not trusted",
	TLSSelfSigned:  "the certificate is self-signed",
	TLSIncomplete:  "the server leaves out a certificate that leads to a trusted authority",
	TLSWeak:        "the protocol, the key or a signature is weaker than allowed",
	TLSRevoked:     "the certificate has been revoked",
	TLSDiffers:     "the addresses that the name has show different certificates",
	TLSStartTLS:    "the server did not go over to TLS when asked to",
	TLSStaple:      "the OCSP staple is stale, invalid, or missing though demanded",
	TLSCRL:         "the list of revoked certificates could not be had",

	HTTPTimeout:   "the answer did not come, or did not end, in time",
	HTTPStatus:    "the answer has another status code than expected",
	HTTPRedirect:  "a redirect loops, leads too far or to somewhere not allowed",
	HTTPProtocol:  "the answer is not HTTP",
	HTTPTruncated: "the answer ended before its announced length",
	HTTPReset:     "the connection was cut while the answer was awaited",
	HTTPTooLarge:  "the answer's header or body is larger than allowed",
	HTTPVersion:   "the server does not speak the version of HTTP that was demanded",
	HTTPToken:     "no access token was given out",

	ContentMismatch: "the content is not what was expected",
	ContentAnswer:   "the records in the answer are not those expected",
	ContentStale:    "the content is older than allowed",
	ContentTimeout:  "nothing was answered in time",

	SlowTotal:     "the whole run took longer than allowed",
	SlowFirstByte: "the first byte came later than allowed",
	SlowRate:      "the transfer was slower than allowed",
	SlowLoad:      "the page was loaded later than allowed",
	SlowPaint:     "the largest paint of the page came later than allowed",
	SlowShift:     "the page's layout shifted more than allowed while it loaded",
	SlowWeight:    "the page asks for more than allowed",
	SlowConsole:   "the page's scripts report errors",

	ProberBlocked:    "the prober may not reach that address",
	ProberBandwidth:  "the prober's own network is slower than the profile asked for",
	ProberBrowser:    "the prober has no browser to load pages with",
	ProberPrivilege:  "the prober's machine does not let it send such packets",
	ProberProxy:      "the proxy that the check goes through could not be used",
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
