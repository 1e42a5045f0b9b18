package dnssec

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// rootAnchors are the root zone's keys of 2017 and 2024, as IANA publishes
// them at https://data.iana.org/root-anchors/root-anchors.xml (RFC 9718).
var rootAnchors = [...]string{
	". 0 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
	". 0 IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
}

// RootAnchors returns the trust anchors of the public DNS's root.
func RootAnchors() []*dns.DS {
	anchors := make([]*dns.DS, len(rootAnchors))
	for i, text := range rootAnchors {
		anchors[i], _ = ParseAnchor(text) // a test parses them
	}
	return anchors
}

// ParseAnchor reads a trust anchor as a zone file has it: a DS or a DNSKEY
// record, with or without TTL and class. A key is turned into its SHA-256 DS.
func ParseAnchor(text string) (*dns.DS, error) {
	if strings.ContainsAny(text, "\r\n$") {
		return nil, fmt.Errorf("is not one record")
	}
	rr, err := dns.NewRR(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("is not a record: %w", err)
	}
	if rr != nil && rr.Header().Class != dns.ClassINET {
		return nil, fmt.Errorf("is not of class IN")
	}
	switch rr := rr.(type) {
	case *dns.DS:
		return checkedDS(rr)
	case *dns.DNSKEY:
		if !usableKey(rr) {
			return nil, fmt.Errorf("is not a zone key that can be used: its flags are %d, its protocol %d, its algorithm %s; write one with the flags 256 or 257, protocol 3 and one of the algorithms %s",
				rr.Flags, rr.Protocol, algorithmName(rr.Algorithm), algorithmNames())
		}
		ds := rr.ToDS(dns.SHA256)
		if ds == nil {
			return nil, fmt.Errorf("has a public key that cannot be read")
		}
		ds.Hdr.Name = canonical(ds.Hdr.Name)
		return ds, nil
	}
	return nil, fmt.Errorf("is neither a DS nor a DNSKEY record")
}

func checkedDS(ds *dns.DS) (*dns.DS, error) {
	if !supported(ds.Algorithm) {
		return nil, fmt.Errorf("has the algorithm %s, which cannot be checked; it must be one of %s", algorithmName(ds.Algorithm), algorithmNames())
	}
	size, known := digestSizes[ds.DigestType]
	if !known {
		return nil, fmt.Errorf("has the digest type %d; it must be 2 (SHA-256), 4 (SHA-384) or 1 (SHA-1)", ds.DigestType)
	}
	if raw, err := hex.DecodeString(ds.Digest); err != nil || len(raw) != size {
		return nil, fmt.Errorf("has a digest of %d digits; type %d has %d, from 0 to F", len(ds.Digest), ds.DigestType, 2*size)
	}
	ds.Hdr.Name = canonical(ds.Hdr.Name)
	return ds, nil
}
