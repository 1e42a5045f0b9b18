package checks

import (
	"fmt"
	"net/http"
)

// Faults says what is wrong with the options.
func (d *DNS) Faults() []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	if _, err := domainName(d.Domain); err != nil {
		add("domain", "%v", err)
	}
	kind, known := recordType(d.Type)
	if !known {
		add("type", "%q is not a type of record that can be asked for; write one such as A, AAAA, MX or TXT", clip(d.Type, 40))
		kind = 0
	}
	if _, known := recordClass(d.Class); !known {
		add("class", "%q is not a class of records that can be asked for; write IN, CH or HS", clip(d.Class, 40))
	}
	switch d.Transport {
	case transportUDP, transportTCP, transportTLS, transportHTTPS:
		faults = append(faults, d.serverFaults()...)
	default:
		add("transport", "%q is none of udp, tcp, tls, https", clip(d.Transport, 40))
	}
	if d.Need != needAll && d.Need != needAny {
		add("need", "%q is none of all, any", clip(d.Need, 40))
	}
	if d.Method != http.MethodGet && d.Method != http.MethodPost {
		add("method", "%q is none of GET, POST", clip(d.Method, 40))
	}
	if d.EDNS.Cookie && d.Transport == transportHTTPS {
		add("edns.cookie", "is for udp, tcp and tls; leave it out, since nobody can forge an answer within https")
	}
	faults = append(faults, familyFaults(d.IP)...)
	faults = append(faults, d.EDNS.faults()...)
	faults = append(faults, d.Authoritative.faults()...)
	faults = append(faults, d.Expect.faults(kind)...)
	faults = append(faults, d.signedFaults(kind)...)
	return append(faults, d.Trust.faults()...)
}
