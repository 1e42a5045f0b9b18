package checks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// EDNS is what goes out beside the question.
type EDNS struct {
	Size   int          `json:"size" doc:"The largest answer over UDP that is asked for, in bytes, 512 to 65535; 0 leaves EDNS out, which means 512; default 1232, which crosses nearly every network unfragmented."`
	DO     bool         `json:"do" doc:"Whether the records' signatures are asked for (DNSSEC OK, RFC 3225); default false."`
	Subnet netip.Prefix `json:"subnet" doc:"The client's network to ask for (client subnet, RFC 7871), for servers whose answers depend on it; default none." example:"198.51.100.0/24"`
	Cookie bool         `json:"cookie" doc:"Whether cookies (RFC 7873) are exchanged, so that forged answers over udp are known; default false."`
}

// ednsSize is the largest answer over UDP that is asked for by default: what
// crosses nearly every network unfragmented (DNS Flag Day 2020).
const ednsSize = 1232

// Figures of the wire.
const (
	headerSize   = 12
	plainSize    = 512 // the largest answer over UDP without EDNS
	maxMessage   = 65535
	clientCookie = 8 // bytes, RFC 7873, section 4
	optionCookie = 10
)

func (e *EDNS) faults() []Fault {
	var faults []Fault
	if e.Size != 0 && (e.Size < plainSize || e.Size > maxMessage) {
		faults = append(faults, Fault{"edns.size", fmt.Sprintf("is %d; write a number of bytes from %d to %d, or 0 for no EDNS", e.Size, plainSize, maxMessage)})
	}
	if e.Size == 0 && (e.DO || e.Cookie || e.Subnet.IsValid()) {
		faults = append(faults, Fault{"edns.size", "is 0, which leaves EDNS out, and do, subnet and cookie with it; write 1232"})
	}
	if e.Subnet.IsValid() && e.Subnet != e.Subnet.Masked() {
		faults = append(faults, Fault{"edns.subnet", fmt.Sprintf("has bits after its first %d; write %v", e.Subnet.Bits(), e.Subnet.Masked())})
	}
	return faults
}

// option is the client subnet as it goes over the wire.
func (e *EDNS) option() *dns.EDNS0_SUBNET {
	family := uint16(1)
	if e.Subnet.Addr().Is6() {
		family = 2
	}
	return &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(e.Subnet.Bits()), Address: e.Subnet.Addr().AsSlice()}
}

// question is what is asked, ready for the wire.
type question struct {
	kind, class uint16
	wire        []byte // its id zero, its cookie left out; OPT, if any, is last
	end         int    // of the question section in wire
	limit       int    // bytes of the largest answer over UDP
	edns        EDNS
}

// newQuestion makes a question that asks for no recursion.
func newQuestion(domain, kind, class string, edns EDNS) (question, error) {
	q := question{limit: plainSize, edns: edns}
	name, err := domainName(domain)
	if err != nil {
		return q, err
	}
	var knownType, knownClass bool
	q.kind, knownType = recordType(kind)
	q.class, knownClass = recordClass(class)
	if !knownType || !knownClass {
		return q, fmt.Errorf("%s %s is not a type of record", clip(class, 40), clip(kind, 40))
	}
	return q, q.pack(name)
}

func (q *question) pack(name string) error {
	msg := new(dns.Msg).SetQuestion(name, q.kind)
	msg.Id, msg.RecursionDesired = 0, false
	msg.Question[0].Qclass = q.class
	if q.edns.Size > 0 {
		q.limit = q.edns.Size
		msg.SetEdns0(uint16(q.edns.Size), q.edns.DO)
		if q.edns.Subnet.IsValid() {
			opt := msg.IsEdns0()
			opt.Option = append(opt.Option, q.edns.option())
		}
	}
	var err error
	if q.wire, err = msg.Pack(); err != nil {
		return err
	}
	_, end, err := dns.UnpackDomainName(q.wire, headerSize)
	q.end = end + 4
	return err
}

// flags sets whether recursion is desired and whether the answer's AD bit is
// wanted (RFC 6840, section 5.7).
func (q *question) flags(recursion, ad bool) {
	q.wire[2] &^= 0x01
	q.wire[3] &^= 0x20
	if recursion {
		q.wire[2] |= 0x01
	}
	if ad {
		q.wire[3] |= 0x20
	}
}

// checkingDisabled sets whether the answer is wanted even if the server itself
// finds its signatures bogus (CD; RFC 4035, section 3.2.2).
func (q *question) checkingDisabled(cd bool) {
	q.wire[3] &^= 0x10
	if cd {
		q.wire[3] |= 0x10
	}
}

// sentQuestion is one question as it was sent, and with it what an answer must repeat.
type sentQuestion struct {
	*question
	wire   []byte
	cookie []byte // the client's and what was learnt of the server's; nil for none
}

// send returns the question under a new id, with space before it. cookie is
// added to it; nil is none.
func (q *question) send(space int, cookie []byte) (framed []byte, sent sentQuestion) {
	size := space + len(q.wire)
	if cookie != nil {
		size += 4 + len(cookie)
	}
	framed = make([]byte, size)
	copy(framed[space:], q.wire)
	sent = sentQuestion{q, framed[space:], cookie}
	binary.BigEndian.PutUint16(sent.wire, uint16(rand.Uint32()))
	if cookie != nil {
		option := sent.wire[len(q.wire):]
		binary.BigEndian.PutUint16(option, optionCookie)
		binary.BigEndian.PutUint16(option[2:], uint16(len(cookie)))
		copy(option[4:], cookie)
		// The length of OPT's data stands after its root name, type, class and TTL.
		length := sent.wire[q.end+9:]
		binary.BigEndian.PutUint16(length, binary.BigEndian.Uint16(length)+uint16(len(option)))
	}
	return framed, sent
}

// match reads an answer to the question. Anything else that arrives is nil,
// nil: it may have been sent to mislead.
func (a *sentQuestion) match(answer []byte) (*dns.Msg, error) {
	isResponse := len(answer) > 2 && answer[2]&0x80 != 0
	if !isResponse || answer[0] != a.wire[0] || answer[1] != a.wire[1] {
		return nil, nil
	}
	msg := new(dns.Msg)
	err := msg.Unpack(answer)
	if !a.repeated(msg, answer) {
		if err != nil && len(msg.Question) == 0 {
			return nil, fmt.Errorf("%w: %v", errNotDNS, err)
		}
		return nil, nil
	}
	switch {
	case err != nil && !msg.Truncated:
		return nil, fmt.Errorf("%w: %v", errNotDNS, err)
	case !a.fits(msg.IsEdns0()):
		return nil, nil
	}
	return msg, nil
}

// repeated reports whether msg, read from answer, repeats the question.
func (a *sentQuestion) repeated(msg *dns.Msg, answer []byte) bool {
	if len(msg.Question) != 1 {
		return false
	}
	if len(answer) >= a.end && bytes.Equal(answer[headerSize:a.end], a.wire[headerSize:a.end]) {
		return true
	}
	name, _, err := dns.UnpackDomainName(a.wire, headerSize)
	q := msg.Question[0]
	return err == nil && strings.EqualFold(q.Name, name) && q.Qtype == a.kind && q.Qclass == a.class
}

// fits reports whether an answer's EDNS options go with those that were sent:
// the client's cookie must come back as it was, and be there where the
// server has shown before that it knows cookies (RFC 7873, section 5.3); a
// client subnet must be the one that was asked for (RFC 7871, section 7.3).
func (a *sentQuestion) fits(opt *dns.OPT) bool {
	cookieSeen := false
	if opt != nil {
		for _, option := range opt.Option {
			switch option := option.(type) {
			case *dns.EDNS0_COOKIE:
				if a.cookie == nil {
					continue
				}
				cookieSeen = true
				if !strings.HasPrefix(option.Cookie, fmt.Sprintf("%x", a.cookie[:clientCookie])) {
					return false
				}
			case *dns.EDNS0_SUBNET:
				if a.edns.Subnet.IsValid() && !sameSubnet(option, a.edns.option()) {
					return false
				}
			}
		}
	}
	return cookieSeen || len(a.cookie) <= clientCookie
}

func sameSubnet(got, sent *dns.EDNS0_SUBNET) bool {
	return got.Family == sent.Family && got.SourceNetmask == sent.SourceNetmask && got.Address.Equal(sent.Address)
}

// recordType returns the type of record of that name, and whether a single
// answer can be had to a question of it.
func recordType(name string) (uint16, bool) {
	kind, known := numberedName(dns.StringToType, "TYPE", name)
	switch kind {
	case dns.TypeNone, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeReserved:
		return kind, false
	}
	return kind, known
}

// recordClass returns the class of that name.
func recordClass(name string) (uint16, bool) {
	class, known := numberedName(dns.StringToClass, "CLASS", name)
	return class, known && class != 0 && class != dns.ClassNONE
}

// numberedName looks up a name in any case; those without one are written as a
// prefix and their number (RFC 3597, section 5).
func numberedName(names map[string]uint16, prefix, name string) (uint16, bool) {
	name = strings.ToUpper(name)
	if value, known := names[name]; known {
		return value, true
	}
	digits, ok := strings.CutPrefix(name, prefix)
	value, err := strconv.ParseUint(digits, 10, 16)
	return uint16(value), ok && err == nil
}

// domainName returns the name as it stands in a question.
func domainName(s string) (string, error) {
	ascii, err := asciiHost(s)
	if _, ok := dns.IsDomainName(ascii); err != nil || !ok || s == "" {
		return "", fmt.Errorf("%q is not a domain name; write one such as example.com", clip(s, 200))
	}
	return dns.Fqdn(ascii), nil
}
