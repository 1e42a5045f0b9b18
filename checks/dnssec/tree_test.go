package dnssec

import (
	"context"
	"testing"

	"github.com/miekg/dns"
)

// tree is the zones of a test, asked as a resolver that knows them all.
type tree struct {
	t     testing.TB
	zones []*signed
	// change alters an answer on its way; nil leaves it.
	change func(name string, kind uint16, msg *dns.Msg)
	asked  int
}

func (h *tree) zoneOf(name string, kind uint16) *signed {
	var found *signed
	for _, z := range h.zones {
		if dns.IsSubDomain(z.name, name) && !(kind == dns.TypeDS && z.name == name && name != ".") &&
			(found == nil || len(z.name) > len(found.name)) {
			found = z
		}
	}
	return found
}

// Ask is the Validator's.
func (h *tree) Ask(_ context.Context, name string, kind uint16) (*dns.Msg, error) {
	h.asked++
	msg := h.answer(name, kind)
	if h.change != nil {
		h.change(name, kind, msg)
	}
	return msg, nil
}

// answer returns what a resolver with the bits DO and CD set would, as it
// comes from the wire.
func (h *tree) answer(name string, kind uint16) *dns.Msg {
	msg := new(dns.Msg).SetQuestion(name, kind)
	msg.Response = true
	for seen := map[string]bool{}; name != "" && !seen[name]; {
		seen[name] = true
		name = h.lookup(canonical(name), kind, msg)
	}
	wire, err := msg.Pack()
	if err != nil {
		h.t.Fatal(err)
	}
	read := new(dns.Msg)
	if err := read.Unpack(wire); err != nil {
		h.t.Fatal(err)
	}
	return read
}

func (h *tree) lookup(name string, kind uint16, msg *dns.Msg) (next string) {
	z := h.zoneOf(name, kind)
	if z == nil {
		msg.Rcode = dns.RcodeRefused
		return ""
	}
	for n := dns.CountLabel(z.name) + 1; n < dns.CountLabel(name); n++ {
		if dname := z.data[suffix(name, n)][dns.TypeDNAME]; dname != nil {
			target := name[:len(name)-len(suffix(name, n))] + dname[0].(*dns.DNAME).Target
			msg.Answer = append(msg.Answer, z.withSig(h.t, dname, dname[0].Header().Name)...)
			msg.Answer = append(msg.Answer, &dns.CNAME{Hdr: z.header(name, dns.TypeCNAME), Target: target})
			return target
		}
	}
	owner := name
	if !z.exists(name) {
		closest := z.closest(name)
		owner = wildcard(closest)
		if !z.exists(owner) {
			msg.Rcode = dns.RcodeNameError
			z.deny(h.t, msg, name, closest, true)
			return ""
		}
		z.denyCloser(h.t, msg, name, closest)
	}
	types := z.data[owner]
	if kind == dns.TypeANY && len(types) > 0 {
		for _, records := range types {
			msg.Answer = append(msg.Answer, z.withSig(h.t, records, name)...)
		}
		return ""
	}
	if types[kind] != nil {
		msg.Answer = append(msg.Answer, z.withSig(h.t, types[kind], name)...)
		return ""
	}
	if types[dns.TypeCNAME] != nil {
		msg.Answer = append(msg.Answer, z.withSig(h.t, types[dns.TypeCNAME], name)...)
		return types[dns.TypeCNAME][0].(*dns.CNAME).Target
	}
	z.deny(h.t, msg, owner, z.closest(owner), false)
	return ""
}
