package dnssec

import (
	"crypto/sha256"
	"sync"

	"github.com/miekg/dns"
)

// cacheSize is how many signatures a Cache remembers; a chain of three zones
// has six or so.
const cacheSize = 64

// Cache remembers which signatures were right: over exactly these records, by
// exactly this key. It spares the arithmetic, nothing else: whether the key is
// trusted, the names, labels and dates are looked at each time. The zero value
// is ready, and may be used by many at once.
type Cache struct {
	mu   sync.Mutex // protects seen
	seen map[[sha256.Size]byte]bool
}

// knows reports whether the signature is remembered as right.
func (c *Cache) knows(sig *dns.RRSIG, key *dns.DNSKEY, set *rrset) bool {
	if c == nil {
		return false
	}
	mark, ok := markOf(sig, key, set)
	c.mu.Lock()
	defer c.mu.Unlock()
	return ok && c.seen[mark]
}

// remember notes a signature that is right. Once the cache is full it begins
// anew: it holds what one check sees again and again.
func (c *Cache) remember(sig *dns.RRSIG, key *dns.DNSKEY, set *rrset) {
	if c == nil {
		return
	}
	mark, ok := markOf(sig, key, set)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || len(c.seen) >= cacheSize && !c.seen[mark] {
		c.seen = make(map[[sha256.Size]byte]bool, cacheSize)
	}
	c.seen[mark] = true
}

// markOf returns what a signature's being right depends on, as one hash: the
// key, the signature with all its fields, and the records but for their times
// to live, which the signature has itself.
func markOf(sig *dns.RRSIG, key *dns.DNSKEY, set *rrset) (mark [sha256.Size]byte, ok bool) {
	hash := sha256.New()
	buf := make([]byte, 0, 2048)
	add := func(rr dns.RR) bool {
		if size := dns.Len(rr) + 1; cap(buf) < size {
			buf = make([]byte, 0, size)
		}
		buf = buf[:cap(buf)]
		end, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			return false
		}
		data := rdataAt(buf[:end])
		if data < 0 {
			return false
		}
		clear(buf[data-6 : data-2]) // the time to live
		hash.Write(buf[:end])
		return true
	}
	if !add(key) || !add(sig) {
		return mark, false
	}
	for _, rr := range set.records {
		if !add(rr) {
			return mark, false
		}
	}
	hash.Sum(mark[:0])
	return mark, true
}

// rdataAt returns where a packed record's data begins, or -1.
func rdataAt(packed []byte) int {
	_, end, err := dns.UnpackDomainName(packed, 0)
	if err != nil || end+10 > len(packed) {
		return -1
	}
	return end + 10
}
