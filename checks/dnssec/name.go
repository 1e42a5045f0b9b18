package dnssec

import (
	"bytes"

	"github.com/miekg/dns"
)

// canonical returns a name as names are compared: absolute and in lower case.
// Names from messages have one spelling of every byte, which is package dns's.
func canonical(name string) string { return dns.CanonicalName(name) }

// suffix returns the last n labels of an absolute name.
func suffix(name string, n int) string {
	if n == 0 {
		return "."
	}
	starts := dns.Split(name)
	return name[starts[len(starts)-n]:]
}

// parent returns the name without its first label; the root is its own.
func parent(name string) string { return suffix(name, max(dns.CountLabel(name)-1, 0)) }

// under reports whether child lies below name, itself not included.
func under(name, child string) bool {
	return dns.CountLabel(child) > dns.CountLabel(name) && dns.IsSubDomain(name, child)
}

// wildcard returns the name that stands for all that is not below name.
func wildcard(name string) string {
	if name == "." {
		return "*."
	}
	return "*." + name
}

// compare orders two names as a signed zone does: by their labels from the
// last to the first, each as bytes (RFC 4034 section 6.1).
func compare(a, b string) int {
	x, y := labels(a), labels(b)
	for i := range min(len(x), len(y)) {
		if c := bytes.Compare(x[len(x)-1-i], y[len(y)-1-i]); c != 0 {
			return c
		}
	}
	return len(x) - len(y)
}

// labels returns the labels of a canonical name as the bytes that they are.
func labels(name string) [][]byte {
	var wire [256]byte
	end, err := dns.PackDomainName(name, wire[:], 0, nil, false)
	if err != nil {
		return nil
	}
	var found [][]byte
	for at := 0; at < end && wire[at] != 0; at += int(wire[at]) + 1 {
		found = append(found, bytes.Clone(wire[at+1:at+1+int(wire[at])]))
	}
	return found
}
