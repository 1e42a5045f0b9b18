package checks

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// hop is one request of a run: the first, or what a redirect made of it.
type hop struct {
	method  string
	url     *url.URL
	place   place
	host    string // for the Host header, when it is not the URL's
	header  http.Header
	body    string
	server  string // the name that the certificate must have
	config  *tls.Config
	version Protocol // that is demanded
	token   string   // of OAuth 2.0, as the Authorization header has it
	foreign bool     // a redirect has led to another origin
}

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
		if next.body != "" && !h.place.upgradesTo(next.place) {
			return nil, fmt.Errorf("status %d asks to send the body on to another origin, %s, which nines does not", answered.StatusCode, shownURL(u))
		}
		next.leaves(h)
	case next.body == "" && h.body != "":
		next.header = h.header.Clone()
		next.header.Del("Content-Type")
	}
	return &next, nil
}

// leaves drops what is for the origin of h alone.
func (next *hop) leaves(h *hop) {
	next.host, next.server, next.config, next.token, next.foreign = "", next.place.host, nil, "", true
	next.header = http.Header{}
	for _, name := range keptElsewhere {
		if values := h.header.Values(name); len(values) > 0 {
			next.header[name] = values
		}
	}
	if contentType := h.header.Values("Content-Type"); next.body != "" && len(contentType) > 0 {
		next.header["Content-Type"] = contentType
	}
}

// staysWith returns why a redirect from h to next is not allowed to a check
// that stays with its host, or nil.
func (next *hop) staysWith(h *hop) error {
	if next.place == h.place || h.place.upgradesTo(next.place) {
		return nil
	}
	if next.place.host != h.place.host {
		return fmt.Errorf("the redirect leads to another host, %s; same_host does not allow that", shownURL(next.url))
	}
	return fmt.Errorf("the redirect leads to another scheme or port, %s; same_host allows only http on port 80 to https on port 443", shownURL(next.url))
}

// withToken returns h with an access token.
func (h *hop) withToken(authorization string) *hop {
	next := *h
	next.token = authorization
	next.header = h.header.Clone()
	next.header.Set("Authorization", authorization)
	return &next
}

// protocols are what a handshake offers.
func (h *hop) protocols() []string {
	switch h.version {
	case HTTP11:
		return []string{"http/1.1"}
	case HTTP2:
		return []string{"h2"}
	case HTTP3:
		return []string{"h3"}
	}
	return []string{"h2", "http/1.1"}
}

// line tells of a finished hop: what was answered, by whom, how long it took
// and where that time went.
func (h *hop) line(status int, phases Phases) string {
	var b strings.Builder
	if status == 0 {
		b.WriteString("no answer")
	} else {
		fmt.Fprintf(&b, "%d", status)
	}
	total := 0.0
	for _, ms := range phases {
		total += ms
	}
	fmt.Fprintf(&b, " %s %.1f ms", shownURL(h.url), total)
	separator := ": "
	for _, name := range [...]string{phaseDNS, phaseConnect, phaseTLS, phaseFirstByte, phaseTransfer} {
		if ms, happened := phases[name]; happened {
			fmt.Fprintf(&b, "%s%s %.1f", separator, name, ms)
			separator = ", "
		}
	}
	return b.String()
}
