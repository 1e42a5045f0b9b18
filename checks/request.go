package checks

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"

	"nines/internal/secret"
)

// Limits of one HTTP exchange.
const (
	maxRedirects   = 20
	maxBody        = 16 << 20
	defaultMaxBody = 1 << 20
	maxHeader      = 256 << 10 // of one answer, interim answers included
	maxInterim     = 5         // 1xx answers before the real one
	maxCookieBytes = 64 << 10  // of what redirects set, sent with the hops after them
	maxLocation    = 8 << 10   // bytes of a redirect's address (RFC 9110, section 4.1, asks for 8,000)
	maxReuseBody   = 64 << 10  // of a redirect, read so that its connection can be used again
)

// userAgent is what requests say they are, unless their headers say otherwise.
const userAgent = "nines"

// HTTPRequest is an HTTP request as a check describes it. Kinds that make one
// embed it.
type HTTPRequest struct {
	URL       string                   `json:"url" required:"true" doc:"The address, http or https." example:"https://shop.example.com/"`
	Method    string                   `json:"method" doc:"The request's method; default GET." example:"POST"`
	Headers   map[string]secret.String `json:"headers" doc:"Headers of the request; their values are kept secret. Host sets the host that is asked for." example:"{Accept-Language: pl}"`
	Body      string                   `json:"body" file:"true" doc:"The request's body; default none." example:"'{\"ping\": true}'"`
	Basic     Basic                    `json:"basic" doc:"User name and password for HTTP basic authentication; default none." example:"{username: nines, password: \"${SHOP_PASSWORD}\"}"`
	Bearer    secret.String            `json:"bearer" doc:"A token sent as Authorization: Bearer; default none." example:"${SHOP_TOKEN}"`
	Redirects int                      `json:"redirects" doc:"How many redirects to follow, 0 to 20; with 0 the redirect itself is the answer; default 10."`
	IP        string                   `json:"ip" enum:"any,4,6" doc:"The IP version to use: any, 4 or 6; default any."`
	MaxBody   int                      `json:"max_body" doc:"The largest body, unpacked, in bytes, up to 16777216; a larger one is down; default 1048576 (16777216 for bandwidth)."`
	Trust

	prepared sync.Once // makes first and err
	first    hop
	err      error
}

// Basic is a user name and password.
type Basic struct {
	Username string        `json:"username" doc:"The user's name."`
	Password secret.String `json:"password" doc:"The user's password."`
}

func (b *Basic) set() bool { return b.Username != "" || !b.Password.IsZero() }

func newHTTPRequest(bodyLimit int) HTTPRequest {
	return HTTPRequest{Method: http.MethodGet, Redirects: 10, IP: familyAny, MaxBody: bodyLimit}
}

// hop is one request of a run: the first, or what a redirect made of it.
type hop struct {
	method string
	url    *url.URL
	place  place
	host   string // for the Host header, when it is not the URL's
	header http.Header
	body   string
	server string // the name that the certificate must have
	config *tls.Config
}

// place is where a request goes. Redirects within one place share their
// connection and credentials.
type place struct {
	scheme string
	host   string // in ASCII, without brackets
	port   uint16
}

// placeOf reads where a URL leads.
func placeOf(u *url.URL) (place, error) {
	if u.Scheme != "http" && u.Scheme != "https" {
		return place{}, fmt.Errorf("%q is not an address of the web; write one such as https://shop.example.com/", clip(u.Redacted(), 200))
	}
	host, err := asciiHost(u.Hostname())
	if err != nil || !validHost(host) {
		return place{}, fmt.Errorf("%q is not a host; write one such as shop.example.com", clip(u.Hostname(), 200))
	}
	p := place{u.Scheme, strings.ToLower(host), 80}
	if u.Scheme == "https" {
		p.port = 443
	}
	if text := u.Port(); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return place{}, fmt.Errorf("the port %q is not one from 1 to 65535", clip(text, 20))
		}
		p.port = uint16(port)
	}
	return p, nil
}

// validHost reports whether host is an address or could be a name.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if host == "" || len(host) > 253 || strings.Contains(host, "..") || host[0] == '.' || endsInNumber(host) {
		return false
	}
	for i := range len(host) {
		c := host[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return true
}

// endsInNumber reports whether the last label of host is a number. No such name
// exists; it is an IPv4 address in a notation that some resolvers still take
// for one, such as 127.1 or 0x7f000001 (WHATWG, "URL", section 3.5).
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if hex, isHex := strings.CutPrefix(last, "0x"); isHex {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// Target returns the host that the request goes to.
func (r *HTTPRequest) Target() string {
	if u, err := url.Parse(r.URL); err == nil {
		return u.Hostname()
	}
	return r.URL
}

// faults says what is wrong with r, apart from its Trust.
func (r *HTTPRequest) faults() []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	if u, err := url.Parse(r.URL); err != nil {
		add("url", "%q is not a URL; write one such as https://shop.example.com/", clip(r.URL, 200))
	} else if _, err := placeOf(u); err != nil {
		add("url", "%v", err)
	} else if u.User != nil {
		add("url", "has a user in it, and would be printed; write it under basic")
	}
	if !validMethod(r.Method) {
		add("method", "%q is not a method; write one such as GET, HEAD or POST, in capitals", clip(r.Method, 40))
	}
	faults = append(faults, headerFaults("headers", revealed(r.Headers))...)
	switch {
	case r.Basic.set() && !r.Bearer.IsZero():
		add("bearer", "is given beside basic, and only one of them can be sent; keep one")
	case (r.Basic.set() || !r.Bearer.IsZero()) && headerNamed(r.Headers, "Authorization"):
		add("headers.Authorization", "is given beside basic or bearer, which set it; keep one")
	case strings.Contains(r.Basic.Username, ":"):
		add("basic.username", "has a colon in it, which basic authentication cannot carry")
	case !httpguts.ValidHeaderFieldValue(r.Bearer.Reveal()):
		add("bearer", "has characters in it that no header can carry, such as a line's end")
	}
	if r.Redirects < 0 || r.Redirects > maxRedirects {
		add("redirects", "is %d; write a number from 0 to %d", r.Redirects, maxRedirects)
	}
	if r.MaxBody < 1 || r.MaxBody > maxBody {
		add("max_body", "is %d; write a number of bytes from 1 to %d", r.MaxBody, maxBody)
	}
	faults = append(faults, familyFaults(r.IP)...)
	return append(faults, r.Trust.faults()...)
}

func familyFaults(family string) []Fault {
	if family != familyAny && family != family4 && family != family6 {
		return []Fault{{"ip", fmt.Sprintf("%q is none of any, 4, 6", clip(family, 40))}}
	}
	return nil
}

func validMethod(method string) bool {
	for i := range len(method) {
		if c := method[i]; c < 'A' || c > 'Z' {
			return false
		}
	}
	return method != "" && len(method) <= 20 && method != http.MethodConnect
}

// ownHeaders are those that the exchange itself decides about.
var ownHeaders = []string{"Connection", "Content-Length", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func headerFaults(path string, headers map[string]string) []Fault {
	var faults []Fault
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		at := path + "." + clip(name, 80)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			faults = append(faults, Fault{at, "is not a header's name; write one such as Accept-Language"})
		case !httpguts.ValidHeaderFieldValue(headers[name]):
			faults = append(faults, Fault{at, "has characters in it that no header can carry, such as a line's end"})
		case path == "headers" && strings.EqualFold(name, "Host") && !httpguts.ValidHostHeader(headers[name]):
			faults = append(faults, Fault{at, "is not a host; write one such as shop.example.com"})
		case path == "headers" && slices.Contains(ownHeaders, textproto.CanonicalMIMEHeaderKey(name)):
			faults = append(faults, Fault{at, "is set by nines itself; leave it out"})
		}
	}
	return faults
}

func revealed(headers map[string]secret.String) map[string]string {
	plain := make(map[string]string, len(headers))
	for name, value := range headers {
		plain[name] = value.Reveal()
	}
	return plain
}

func headerNamed(headers map[string]secret.String, wanted string) bool {
	for name := range headers {
		if strings.EqualFold(name, wanted) {
			return true
		}
	}
	return false
}

// prepare makes what all runs share.
func (r *HTTPRequest) prepare() error {
	r.prepared.Do(func() {
		u, err := url.Parse(r.URL)
		if err != nil {
			r.err = err
			return
		}
		p, err := placeOf(u)
		if err != nil {
			r.err = err
			return
		}
		r.first = hop{method: r.Method, url: u, place: p, header: r.header(), body: r.Body}
		r.first.host = r.first.header.Get("Host")
		r.first.header.Del("Host")
		r.first.server = p.host
		if r.ServerName != "" {
			r.first.server = r.ServerName
		}
		r.first.config = r.config(r.first.server, "h2", "http/1.1")
	})
	return r.err
}

// header returns the headers of the first request, Host among them.
func (r *HTTPRequest) header() http.Header {
	header := http.Header{"User-Agent": {userAgent}, "Accept-Encoding": {"gzip"}}
	for name, value := range r.Headers {
		header.Set(name, value.Reveal())
	}
	switch {
	case r.Basic.set():
		login := r.Basic.Username + ":" + r.Basic.Password.Reveal()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(login)))
	case !r.Bearer.IsZero():
		header.Set("Authorization", "Bearer "+r.Bearer.Reveal())
	}
	return header
}

// handedOver is the key under which a context carries the connection that an
// HTTP/2 client is made of.
type handedOver struct{}

// http2 makes HTTP/2 clients of connections that are handed to it, shaken hands
// and judged. It keeps nothing between runs.
var http2 = sync.OnceValue(func() *http.Transport {
	protocols := new(http.Protocols)
	// To the transport all is unencrypted: TLS is in the connection that it gets.
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if conn, ok := ctx.Value(handedOver{}).(net.Conn); ok {
				return conn, nil
			}
			return nil, errors.New("no connection was handed over")
		},
		Protocols:              protocols,
		DisableCompression:     true, // bodies are unpacked within max_body
		MaxResponseHeaderBytes: maxHeader,
	}
})

// keptElsewhere are the headers that also go to a redirect's other origin. All
// others may be credentials.
var keptElsewhere = []string{"Accept", "Accept-Encoding", "Accept-Language", "User-Agent"}

// redirected returns the request that an answer's redirect asks for. Where no
// redirect is, it returns nil.
func (h *hop) redirected(answered *http.Response) (*hop, error) {
	location := answered.Header.Get("Location")
	switch answered.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	switch {
	case location == "":
		return nil, nil
	case len(location) > maxLocation:
		return nil, fmt.Errorf("the redirect leads to an address of %d bytes; %d are the most that nines follows", len(location), maxLocation)
	}
	u, err := h.url.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("the redirect to %q is no URL", clip(location, 200))
	}
	next := *h
	if next.place, err = placeOf(u); err != nil {
		return nil, fmt.Errorf("the redirect leads nowhere: %w", err)
	}
	u.User = nil // whoever redirects does not choose our credentials
	next.url = u
	keepsBody := answered.StatusCode >= http.StatusTemporaryRedirect
	if !keepsBody && h.method != http.MethodGet && h.method != http.MethodHead {
		next.method, next.body = http.MethodGet, ""
	}
	switch {
	case next.place != h.place:
		next.host, next.server, next.config = "", next.place.host, nil
		next.header = http.Header{}
		for _, name := range keptElsewhere {
			if values := h.header.Values(name); len(values) > 0 {
				next.header[name] = values
			}
		}
		if contentType := h.header.Values("Content-Type"); next.body != "" && len(contentType) > 0 {
			next.header["Content-Type"] = contentType
		}
	case next.body == "" && h.body != "":
		next.header = h.header.Clone()
		next.header.Del("Content-Type")
	}
	return &next, nil
}
