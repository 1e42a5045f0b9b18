package checks

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/oauth2"

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
	URL       string                   `json:"url" required:"unless:steps" doc:"The address, http or https." example:"https://shop.example.com/"`
	Method    string                   `json:"method" doc:"The request's method; default GET, or POST with a form." example:"PUT"`
	Headers   map[string]secret.String `json:"headers" doc:"Headers of the request; their values are kept secret. Host sets the host that is asked for." example:"{Accept-Language: pl}"`
	Body      string                   `json:"body" file:"true" doc:"The request's body; default none." example:"'{\"ping\": true}'"`
	Form      map[string]secret.String `json:"form" doc:"Fields of a form that is the request's body; their values are kept secret; default none." example:"{user: nines, password: \"${SHOP_PASSWORD}\"}"`
	Basic     Basic                    `json:"basic" doc:"User name and password for HTTP basic authentication; default none." example:"{username: nines, password: \"${SHOP_PASSWORD}\"}"`
	Bearer    secret.String            `json:"bearer" doc:"A token sent as Authorization: Bearer; default none." example:"${SHOP_TOKEN}"`
	OAuth2    OAuth2                   `json:"oauth2" doc:"How to get an access token by OAuth 2.0 client credentials; default none."`
	Redirects int                      `json:"redirects" doc:"How many redirects to follow, 0 to 20; with 0 the redirect itself is the answer; default 10."`
	SameHost  bool                     `json:"same_host" doc:"Redirects may lead to the URL's own host only, or from its http to its https; default false."`
	Proxy     secret.String            `json:"proxy" doc:"A proxy to go through, http, https or socks5; kept secret for its password; default none." example:"http://nines:${PROXY_PASSWORD}@proxy.example.com:3128"`
	Version   Protocol                 `json:"http_version" doc:"The version of HTTP that the server must speak: any, 1.1, 2 or 3."`
	IP        string                   `json:"ip" enum:"any,4,6,each" doc:"The IP version to use: any, 4 or 6; or each, which probes every address that the name has; default any."`
	MaxBody   int                      `json:"max_body" doc:"The largest body, unpacked, in bytes, up to 16777216; a larger one is down; default 1048576 (16777216 for bandwidth)."`
	Trust

	prepared sync.Once // makes what follows
	first    hop
	proxy    *proxy             // nil: none
	tokens   chan *oauth2.Token // holds the access token, or nil, between runs
	err      error
}

func newHTTPRequest(bodyLimit int) HTTPRequest {
	return HTTPRequest{OAuth2: OAuth2{AuthStyle: authInHeader}, Redirects: 10, Version: HTTPAny, IP: familyAny, MaxBody: bodyLimit}
}

// Target returns the host that the request goes to.
func (r *HTTPRequest) Target() string {
	if u, err := url.Parse(r.URL); err == nil {
		return u.Hostname()
	}
	return r.URL
}

// faults says what is wrong with r.
func (r *HTTPRequest) faults() []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	scheme := ""
	if u, err := url.Parse(r.URL); err != nil {
		add("url", "%q is not a URL; write one such as https://shop.example.com/", clip(r.URL, 200))
	} else if _, err := placeOf(u); err != nil {
		add("url", "%v", err)
	} else if u.User != nil {
		add("url", "has a user in it, and would be printed; write it under basic")
	} else {
		scheme = u.Scheme
	}
	if r.Method != "" && !validMethod(r.Method) {
		add("method", "%q is not a method; write one such as GET, HEAD or POST, in capitals", clip(r.Method, 40))
	}
	if len(r.Form) > 0 && r.Body != "" {
		add("form", "is given beside body, and a request has one of them; keep one")
	}
	faults = append(faults, headerFaults("headers", revealed(r.Headers))...)
	faults = append(faults, r.loginFaults()...)
	if r.Redirects < 0 || r.Redirects > maxRedirects {
		add("redirects", "is %d; write a number from 0 to %d", r.Redirects, maxRedirects)
	}
	if r.MaxBody < 1 || r.MaxBody > maxBody {
		add("max_body", "is %d; write a number of bytes from 1 to %d", r.MaxBody, maxBody)
	}
	faults = append(faults, r.proxyFaults(scheme)...)
	faults = append(faults, r.Version.faults(scheme)...)
	if !slices.Contains([]string{familyAny, family4, family6, familyEach}, r.IP) {
		add("ip", "%q is none of any, 4, 6, each", clip(r.IP, 40))
	}
	return append(faults, r.Trust.faults()...)
}

// eachFaults says what is wrong with an expectation of every address.
func (r *HTTPRequest) eachFaults(allAddresses bool) []Fault {
	if allAddresses && r.IP != familyEach {
		return []Fault{{"expect.all_addresses", "is for ip: each, which probes every address; write that, or leave it out"}}
	}
	return nil
}

// slowFaults says what cannot be had over a slow link.
func (r *HTTPRequest) slowFaults(allAddresses bool) []Fault {
	var faults []Fault
	if r.Version == HTTP2 {
		faults = append(faults, Fault{"http_version", fmt.Sprintf("is %s, but over a slow network nines keeps to 1.1, whose turns can be told, or to 3; leave it out", r.Version)})
	}
	if r.IP == familyEach {
		faults = append(faults, Fault{"ip", "is each, but a slow network carries one request; write any, 4 or 6, and a check of kind http for each"})
		return faults
	}
	return append(faults, r.eachFaults(allAddresses)...)
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
		if !r.Proxy.IsZero() {
			if r.proxy, r.err = proxyOf(r.Proxy.Reveal()); r.err != nil {
				return
			}
		}
		r.tokens = make(chan *oauth2.Token, 1)
		r.tokens <- nil
		if r.URL == "" {
			return // there are steps, each with its own
		}
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
		r.first = hop{method: r.method(), url: u, place: p, header: r.header(), body: r.body(), version: r.Version}
		r.first.host = r.first.header.Get("Host")
		r.first.header.Del("Host")
		r.first.server = p.host
		if r.ServerName != "" {
			r.first.server = r.ServerName
		}
		r.first.config = r.config(r.first.server, r.first.protocols()...)
	})
	return r.err
}

func (r *HTTPRequest) method() string {
	switch {
	case r.Method != "":
		return r.Method
	case len(r.Form) > 0:
		return http.MethodPost
	}
	return http.MethodGet
}

func (r *HTTPRequest) body() string {
	if len(r.Form) == 0 {
		return r.Body
	}
	fields := url.Values{}
	for name, value := range r.Form {
		fields.Set(name, value.Reveal())
	}
	return fields.Encode()
}

// header returns the headers of the first request, Host among them.
func (r *HTTPRequest) header() http.Header {
	header := http.Header{"User-Agent": {userAgent}, "Accept-Encoding": {acceptEncoding}}
	if len(r.Form) > 0 {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range r.Headers {
		header.Set(name, value.Reveal())
	}
	r.authorizes(header)
	return header
}
