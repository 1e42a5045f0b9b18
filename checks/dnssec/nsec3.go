package dnssec

import (
	"crypto/sha1"
	"encoding/base32"
	"encoding/hex"
	"strings"

	"github.com/miekg/dns"
)

// hashLength is the length of an NSEC3 hash (SHA-1) in base32.
const hashLength = 32

type hashKey struct {
	name, salt string
	iterations uint16
}

// hashed returns the NSEC3 hash of a name (RFC 5155 section 5), computed once
// in a run.
func (p *proof) hashed(name string) (string, *fault) {
	params := p.nsec3s[0]
	key := hashKey{name, params.Salt, params.Iterations}
	if hash, known := p.hashes[key]; known {
		return hash, nil
	}
	if len(p.hashes) >= maxHashes {
		return "", bogus(p.zone.name, "the proof takes more than %d hashes", maxHashes)
	}
	salt, err := hex.DecodeString(strings.TrimPrefix(params.Salt, "-"))
	var wire [256]byte
	end, packErr := dns.PackDomainName(name, wire[:], 0, nil, false)
	if err != nil || packErr != nil {
		return "", bogus(p.zone.name, "%s cannot be hashed", name)
	}
	sum := sha1.Sum(append(wire[:end:end], salt...))
	for range params.Iterations {
		sum = sha1.Sum(append(sum[:len(sum):len(sum)], salt...))
	}
	p.hashes[key] = base32.HexEncoding.EncodeToString(sum[:])
	return p.hashes[key], nil
}

// prepare leaves the NSEC3 records that may be used: of the one hash there is,
// with no flag but Opt-Out, directly below the zone, all with the same
// parameters (RFC 5155 section 8.2).
func (p *proof) prepare() *fault {
	var usable []*dns.NSEC3
	for _, n := range p.nsec3s {
		owner := canonical(n.Hdr.Name)
		label := ownHash(n)
		if n.Hash != dns.SHA1 || n.Flags&^1 != 0 || parent(owner) != p.zone.name || len(label) != hashLength || len(n.NextDomain) != hashLength {
			continue
		}
		if len(usable) > 0 && (n.Iterations != usable[0].Iterations || !strings.EqualFold(n.Salt, usable[0].Salt)) {
			return bogus(p.zone.name, "the NSEC3 records of %s have different parameters", p.zone.name)
		}
		usable = append(usable, n)
	}
	p.nsec3s = usable
	return nil
}

// tooMany is the verdict over a zone that hashes too often, nil for others.
func (p *proof) tooMany() *fault {
	if n := p.nsec3s[0].Iterations; n > maxIterations {
		return insecure(p.zone.name, "the NSEC3 records of %s have %d iterations; beyond %d a proof does not count", p.zone.name, n, maxIterations)
	}
	return nil
}

func ownHash(n *dns.NSEC3) string {
	label, _, _ := strings.Cut(n.Hdr.Name, ".")
	return strings.ToUpper(label)
}

// at3 returns the NSEC3 record of a name.
func (p *proof) at3(name string) (*dns.NSEC3, *fault) {
	hash, f := p.hashed(name)
	if f != nil {
		return nil, f
	}
	for _, n := range p.nsec3s {
		if ownHash(n) == hash {
			return n, nil
		}
	}
	return nil, nil
}

// over3 returns an NSEC3 record that spans a name's hash.
func (p *proof) over3(name string) (*dns.NSEC3, *fault) {
	hash, f := p.hashed(name)
	if f != nil {
		return nil, f
	}
	for _, n := range p.nsec3s {
		owner, next := ownHash(n), strings.ToUpper(n.NextDomain)
		switch {
		case owner < next && owner < hash && hash < next,
			owner > next && (hash > owner || hash < next), // the last one
			owner == next && hash != owner:                // the only one
			return n, nil
		}
	}
	return nil, nil
}

// deny3 looks for a proof by NSEC3 records (RFC 5155 section 8); nil, nil if
// there is none.
func (p *proof) deny3(name string, kind uint16) (*denial, *fault) {
	if f := p.prepare(); f != nil || len(p.nsec3s) == 0 {
		return nil, f
	}
	if f := p.tooMany(); f != nil {
		return &denial{insecure: f}, nil
	}
	at, f := p.at3(name)
	if f != nil {
		return nil, f
	}
	if at != nil {
		if !lacks(at.TypeBitMap, kind, name) {
			return nil, nil
		}
		return &denial{delegation: cut(at.TypeBitMap), compact: isCompact(at.TypeBitMap)}, nil
	}
	closest, f := p.closest(name)
	if closest == "" || f != nil {
		return nil, f
	}
	next, f := p.over3(suffix(name, dns.CountLabel(closest)+1))
	if next == nil || f != nil {
		return nil, f
	}
	var optOut *fault
	if next.Flags&1 != 0 {
		optOut = insecure(p.zone.name, "%s leaves it open whether %s is an unsigned zone (NSEC3 opt-out)", p.zone.name, name)
		if kind == dns.TypeDS {
			return &denial{insecure: optOut}, nil
		}
	}
	star := wildcard(closest)
	if at, f = p.at3(star); f != nil {
		return nil, f
	}
	if at != nil {
		if !lacks(at.TypeBitMap, kind, star) || cut(at.TypeBitMap) {
			return nil, nil
		}
		return &denial{insecure: optOut}, nil
	}
	over, f := p.over3(star)
	if f != nil || over == nil && optOut == nil {
		return nil, f
	}
	return &denial{nxdomain: true, insecure: optOut}, nil
}

// closest returns the longest name above name that is proved to exist, or an
// empty text (RFC 5155 section 8.3).
func (p *proof) closest(name string) (string, *fault) {
	for n := dns.CountLabel(name) - 1; n >= dns.CountLabel(p.zone.name); n-- {
		above := suffix(name, n)
		at, f := p.at3(above)
		if f != nil {
			return "", f
		}
		if at != nil {
			if silentBelow(at.TypeBitMap) {
				return "", nil
			}
			return above, nil
		}
	}
	return "", nil
}

// noCloser3 is noCloser by NSEC3 records (RFC 5155 section 8.8).
func (p *proof) noCloser3(name string, labels int) *fault {
	if f := p.prepare(); f != nil {
		return f
	}
	if len(p.nsec3s) > 0 {
		if f := p.tooMany(); f != nil {
			return f
		}
		next, f := p.over3(suffix(name, labels+1))
		switch {
		case f != nil:
			return f
		case next != nil && next.Flags&1 != 0:
			return insecure(p.zone.name, "%s leaves it open whether %s is in an unsigned zone (NSEC3 opt-out)", p.zone.name, name)
		case next != nil:
			return nil
		}
	}
	return bogus(p.zone.name, "the answer comes from a wildcard, and nothing proves that %s itself does not exist", name)
}
