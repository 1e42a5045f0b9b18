package checks

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"sync"

	"github.com/miekg/dns"
)

// maxCookies is how many servers' cookies one check remembers.
const maxCookies = 64

// cookieJar keeps the cookies of the servers that one check asks (RFC 7873).
// Its zero value is ready for use.
type cookieJar struct {
	mu   sync.Mutex
	kept map[netip.Addr][]byte // the client's eight bytes, then the server's if it gave any
}

// of returns the cookie to send to a server.
func (j *cookieJar) of(server netip.Addr) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	if cookie, known := j.kept[server]; known {
		return cookie
	}
	if j.kept == nil || len(j.kept) >= maxCookies {
		j.kept = map[netip.Addr][]byte{}
	}
	cookie := make([]byte, clientCookie)
	rand.Read(cookie)
	j.kept[server] = cookie
	return cookie
}

// learn keeps the cookie that a server's answer gives.
func (j *cookieJar) learn(server netip.Addr, msg *dns.Msg) {
	opt := msg.IsEdns0()
	if opt == nil {
		return
	}
	for _, option := range opt.Option {
		cookie, ok := option.(*dns.EDNS0_COOKIE)
		if !ok {
			continue
		}
		// A server's part has 8 to 32 bytes (RFC 7873, section 4).
		whole, err := hex.DecodeString(cookie.Cookie)
		if err == nil && len(whole) >= clientCookie+8 && len(whole) <= clientCookie+32 {
			j.mu.Lock()
			if j.kept != nil {
				j.kept[server] = whole
			}
			j.mu.Unlock()
		}
	}
}

// forget starts anew with a server: it may have stopped using cookies.
func (j *cookieJar) forget(server netip.Addr) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.kept, server)
}
