package dnssec

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// signatureSizes is the algorithms that count, with the length of their
// signatures in bytes; zero is that of the key. RSA/SHA-1 (5 and 7) is not
// among them: RFC 9905 section 2 has it treated as unsupported, so that a zone
// with nothing better is insecure. GOST (12) is retired, and Ed448 (16) is in
// neither library that this is built on.
var signatureSizes = map[uint8]int{
	dns.RSASHA256:       0,
	dns.RSASHA512:       0,
	dns.ECDSAP256SHA256: 64,
	dns.ECDSAP384SHA384: 96,
	dns.ED25519:         64,
}

// digestSizes is the digests of DS records that count, with their length in
// bytes (RFC 9904: SHA-1 for validation still, never for new records).
var digestSizes = map[uint8]int{dns.SHA1: sha1.Size, dns.SHA256: sha256.Size, dns.SHA384: sha512.Size384}

func supported(algorithm uint8) bool {
	_, known := signatureSizes[algorithm]
	return known
}

func algorithmName(algorithm uint8) string {
	return cmp.Or(dns.AlgorithmToString[algorithm], fmt.Sprintf("ALGORITHM%d", algorithm))
}

func algorithmNames() string {
	var names []string
	for _, algorithm := range slices.Sorted(maps.Keys(signatureSizes)) {
		names = append(names, algorithmName(algorithm))
	}
	return strings.Join(names, ", ")
}

// usableKey reports whether signatures of a zone may be checked with the key:
// it is a zone key (RFC 4034 section 2.1.1), of protocol 3 (2.1.2), not revoked
// (RFC 5011 section 2.1), and its algorithm counts. Whether it is marked as an
// entry point (SEP) plays no part (RFC 4034 section 2.1.1).
func usableKey(key *dns.DNSKEY) bool {
	return key.Flags&dns.ZONE != 0 && key.Flags&dns.REVOKE == 0 && key.Protocol == 3 && supported(key.Algorithm)
}

// wellFormed reports whether a signature has the length that its algorithm
// demands: package dns would take an ECDSA signature with zeros before each
// half as well.
func wellFormed(sig *dns.RRSIG) bool {
	raw, err := base64.StdEncoding.DecodeString(sig.Signature)
	size := signatureSizes[sig.Algorithm]
	return err == nil && len(raw) > 0 && (size == 0 || len(raw) == size)
}

// usableDS returns the records of a delegation that count: those of known
// algorithm and digest, without those of SHA-1 if there are better ones (RFC
// 4509 section 3).
func usableDS(records []*dns.DS) []*dns.DS {
	usable := slices.DeleteFunc(slices.Clone(records), func(ds *dns.DS) bool {
		size, known := digestSizes[ds.DigestType]
		return !known || !supported(ds.Algorithm) || len(ds.Digest) != 2*size
	})
	isSHA1 := func(ds *dns.DS) bool { return ds.DigestType == dns.SHA1 }
	if better := slices.DeleteFunc(slices.Clone(usable), isSHA1); len(better) > 0 {
		return better
	}
	return usable
}
