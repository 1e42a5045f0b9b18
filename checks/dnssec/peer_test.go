package dnssec_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nines/checks/dnssec"
)

// labQuestions is what the validators are held against each other on.
var labQuestions = []struct {
	name  string
	kind  uint16
	state dnssec.State
}{
	{".", dns.TypeSOA, dnssec.Secure},
	{".", dns.TypeDNSKEY, dnssec.Secure},
	{"test.", dns.TypeDS, dnssec.Secure},
	{"www.example.test.", dns.TypeA, dnssec.Secure},
	{"www.example.test.", dns.TypeTXT, dnssec.Secure},
	{"www.example.test.", dns.TypeAAAA, dnssec.Secure},
	{"_443._tcp.www.example.test.", dns.TypeTLSA, dnssec.Secure},
	{"mixed.example.test.", dns.TypeMX, dnssec.Secure},
	{"example.test.", dns.TypeDNSKEY, dnssec.Secure},
	{"example.test.", dns.TypeDS, dnssec.Secure},
	{"example.test.", dns.TypeNS, dnssec.Secure},
	{"example.test.", dns.TypeNSEC, dnssec.Secure},
	{"nowhere.example.test.", dns.TypeA, dnssec.Secure},
	{"far.nowhere.example.test.", dns.TypeA, dnssec.Secure},
	{"any.wild.example.test.", dns.TypeA, dnssec.Secure},
	{"any.thing.wild.example.test.", dns.TypeA, dnssec.Secure},
	{"any.wild.example.test.", dns.TypeAAAA, dnssec.Secure},
	{"empty.example.test.", dns.TypeA, dnssec.Secure},
	{"alias.example.test.", dns.TypeA, dnssec.Secure},
	{"alias.example.test.", dns.TypeCNAME, dnssec.Secure},
	{"gone.example.test.", dns.TypeA, dnssec.Secure},
	{"www.old.example.test.", dns.TypeA, dnssec.Secure},
	{"lost.example.test.", dns.TypeA, dnssec.Bogus},
	{"free.example.test.", dns.TypeA, dnssec.Insecure},
	{"www.hashed.test.", dns.TypeA, dnssec.Secure},
	{"www.hashed.test.", dns.TypeAAAA, dnssec.Secure},
	{"nowhere.hashed.test.", dns.TypeA, dnssec.Secure},
	{"far.nowhere.hashed.test.", dns.TypeA, dnssec.Secure},
	{"any.wild.hashed.test.", dns.TypeA, dnssec.Secure},
	{"any.wild.hashed.test.", dns.TypeAAAA, dnssec.Secure},
	{"deep.empty.hashed.test.", dns.TypeA, dnssec.Secure},
	{"www.open.test.", dns.TypeA, dnssec.Secure},
	{"www.open.test.", dns.TypeAAAA, dnssec.Secure},
	{"below.open.test.", dns.TypeDS, dnssec.Secure},
	{"www.below.open.test.", dns.TypeA, dnssec.Secure},
	{"nowhere.open.test.", dns.TypeA, dnssec.Insecure},
	{"any.wild.open.test.", dns.TypeA, dnssec.Insecure},
	{"www.free.open.test.", dns.TypeA, dnssec.Insecure},
	{"free.open.test.", dns.TypeDS, dnssec.Insecure},
	{"www.many.test.", dns.TypeA, dnssec.Secure},
	{"nowhere.many.test.", dns.TypeA, dnssec.Insecure},
	{"www.rsa512.test.", dns.TypeA, dnssec.Secure},
	{"www.ed448.test.", dns.TypeA, dnssec.Insecure},
	{"www.plain.test.", dns.TypeA, dnssec.Insecure},
	{"nowhere.plain.test.", dns.TypeA, dnssec.Insecure},
	{"plain.test.", dns.TypeDS, dnssec.Secure},
	{"www.expired.test.", dns.TypeA, dnssec.Bogus},
	{"nowhere.expired.test.", dns.TypeA, dnssec.Bogus},
	{"www.future.test.", dns.TypeA, dnssec.Bogus},
	{"www.wrongds.test.", dns.TypeA, dnssec.Bogus},
	{"www.otheralg.test.", dns.TypeA, dnssec.Insecure},
	{"www.forged.test.", dns.TypeA, dnssec.Bogus},
	{"ftp.forged.test.", dns.TypeA, dnssec.Secure},
	{"www.bare.test.", dns.TypeA, dnssec.Bogus},
	{"www.silent.test.", dns.TypeA, dnssec.Secure},
	{"nowhere.silent.test.", dns.TypeA, dnssec.Bogus},
	{"www.silent.test.", dns.TypeAAAA, dnssec.Bogus},
	{"nowhere.test.", dns.TypeA, dnssec.Secure},
	{"a.b.nowhere.", dns.TypeA, dnssec.Secure},
}

// exceptions is where the others are known to see a question otherwise.
var exceptions = map[string]struct{ delv, unbound dnssec.State }{
	// BIND takes an opt-out span for a proof; RFC 5155 section 9.2 does not.
	"nowhere.open.test./A": {dnssec.Secure, dnssec.Insecure},
	"free.open.test./DS":   {dnssec.Secure, dnssec.Insecure},
	// OpenSSL has Ed448, Go has not.
	"www.ed448.test./A": {dnssec.Secure, dnssec.Secure},
	// The versions of Debian 12 draw the line at 150 iterations, newer ones of
	// BIND at 50.
	"nowhere.many.test./A": {dnssec.Secure, dnssec.Secure},
}

// Zones signed by BIND's tools and served by NSD: delv, Unbound and we find the
// same, from the authority and through the resolver.
func TestAgreementWithDelvAndUnbound(t *testing.T) {
	l := newLab(t)
	authority := l.nsd()
	cache := l.unbound(authority)
	for _, tt := range labQuestions {
		t.Run(tt.name+"/"+dns.TypeToString[tt.kind], func(t *testing.T) {
			for source, port := range map[string]int{"nsd": authority, "unbound": cache} {
				got, err := l.ours(port, tt.name, tt.kind)
				if err != nil {
					t.Fatal(err)
				}
				if got.State != tt.state {
					t.Errorf("from %s: %s in %s (%s), want %s", source, got.State, got.Zone, got.Why, tt.state)
				}
			}
			delv, unbound := tt.state, tt.state
			if other, known := exceptions[tt.name+"/"+dns.TypeToString[tt.kind]]; known {
				delv, unbound = other.delv, other.unbound
			}
			if state, text := l.delv(authority, tt.name, tt.kind); state != delv {
				t.Errorf("delv finds %s, we want %s\n%s", state, delv, text)
			}
			if state := resolver(t, cache, tt.name, tt.kind); state != unbound {
				t.Errorf("unbound finds %s, we want %s", state, unbound)
			}
		})
	}
}

// Zones that named signs by itself, with NSEC and with NSEC3, trusted by their
// own keys as a check of an authority has them.
func TestAgreementOnNamed(t *testing.T) {
	l := &lab{t: t, dir: t.TempDir()}
	port := freePort(t)
	text := "$TTL 300\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n*.wild A 192.0.2.2\nalias CNAME www\n"
	config := fmt.Sprintf("options { directory %q; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify no; };\ncontrols { };\n"+
		"dnssec-policy hashed { keys { csk key-directory lifetime unlimited algorithm ecdsap256sha256; }; nsec3param iterations 0 optout no salt-length 0; };\n", l.dir, port)
	for zone, policy := range map[string]string{".": "default", "example.test": "default", "hashed.test": "hashed"} {
		config += fmt.Sprintf("zone %q { type primary; file %q; dnssec-policy %s; inline-signing yes; };\n", zone, l.write(strings.Trim(zone, ".")+"_zone", text), policy)
	}
	l.serve(port, "named", "-f", "-c", l.write("named.conf", config))
	for _, zone := range []string{"example.test.", "hashed.test."} {
		l.root = signedKey(t, port, zone)
		for _, tt := range []struct {
			name string
			kind uint16
		}{
			{"", dns.TypeSOA}, {"www.", dns.TypeA}, {"www.", dns.TypeAAAA}, {"alias.", dns.TypeA},
			{"any.wild.", dns.TypeA}, {"any.wild.", dns.TypeAAAA}, {"nowhere.", dns.TypeA}, {"wild.", dns.TypeA},
		} {
			got, err := l.ours(port, tt.name+zone, tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			if got.State != dnssec.Secure || got.Zone != zone {
				t.Errorf("%s %s: %s in %s (%s)", tt.name+zone, dns.TypeToString[tt.kind], got.State, got.Zone, got.Why)
			}
			// BIND's policies sign for 14 days and renew 5 days before the end.
			if left := time.Until(got.Expires); left < 5*24*time.Hour || left > 15*24*time.Hour {
				t.Errorf("%s %s: expires in %s", tt.name+zone, dns.TypeToString[tt.kind], left)
			}
			if state, text := l.delv(port, tt.name+zone, tt.kind); state != dnssec.Secure {
				t.Errorf("delv finds %s\n%s", state, text)
			}
		}
	}
}

// signedKey waits until named has signed a zone and returns its key.
func signedKey(t *testing.T, port int, zone string) string {
	t.Helper()
	for range 200 {
		soa, err := exchange(port, zone, dns.TypeSOA, true)
		keys, err2 := exchange(port, zone, dns.TypeDNSKEY, true)
		denial, err3 := exchange(port, "nowhere."+zone, dns.TypeA, true)
		if err == nil && err2 == nil && err3 == nil && len(soa.Answer) > 1 && len(denial.Ns) >= 4 {
			for _, rr := range keys.Answer {
				if key, ok := rr.(*dns.DNSKEY); ok && key.Flags&dns.SEP != 0 && len(keys.Answer) > 1 {
					return key.String()
				}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("named does not sign %s", zone)
	return ""
}
