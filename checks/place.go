package checks

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

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
	port := uint16(80)
	if u.Scheme == "https" {
		port = 443
	}
	return placeWith(u, port)
}

// placeWith reads where a URL leads whose scheme has that port by default.
func placeWith(u *url.URL, port uint16) (place, error) {
	host, err := asciiHost(u.Hostname())
	if err != nil || !validHost(host) {
		return place{}, fmt.Errorf("%q is not a host; write one such as shop.example.com", clip(u.Hostname(), 200))
	}
	if text := u.Port(); text != "" {
		own, err := strconv.ParseUint(text, 10, 16)
		if err != nil || own == 0 {
			return place{}, fmt.Errorf("the port %q is not one from 1 to 65535", clip(text, 20))
		}
		port = uint16(own)
	}
	return place{u.Scheme, strings.ToLower(host), port}, nil
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

// hostPort returns host:port, an IPv6 address in brackets.
func (p place) hostPort() string { return net.JoinHostPort(p.host, strconv.Itoa(int(p.port))) }

// upgradesTo reports whether next is the same site over TLS: the one change of
// origin after which it is still the same server that is talked to.
func (p place) upgradesTo(next place) bool {
	return p == place{"http", next.host, 80} && next == place{"https", p.host, 443}
}

// shownURL returns u as results may have it: without user, query and fragment,
// which may hold credentials.
func shownURL(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return clip(bare.String(), 200)
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
