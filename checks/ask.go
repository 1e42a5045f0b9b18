package checks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// ednsSize is the largest answer over UDP that is asked for: what crosses
// nearly every network unfragmented (DNS Flag Day 2020).
const ednsSize = 1232

// errNotDNS marks an answer that cannot be read.
var errNotDNS = errors.New("not a DNS message")

// reply is what a name server answered.
type reply struct {
	msg       *dns.Msg
	server    netip.AddrPort
	transport string
}

// ask sends the question to one server, and again over TCP when its answer is
// truncated. The server's address has been admitted.
func (d *DNS) ask(ctx context.Context, env *Env, server netip.AddrPort, watch *stopwatch) (*reply, finding) {
	got := &reply{server: server, transport: d.Transport}
	var err error
	if d.Transport == transportUDP {
		got.msg, err = d.askUDP(ctx, env, server)
		watch.mark(phaseDNS)
		if err != nil {
			return got, classify(stageDNS, err)
		}
		if !got.msg.Truncated {
			return got, finding{}
		}
		got.transport = transportTCP
	}
	var f finding
	got.msg, f = d.askStream(ctx, env, server, watch)
	return got, f
}

func (d *DNS) askUDP(ctx context.Context, env *Env, server netip.AddrPort) (*dns.Msg, error) {
	conn, err := env.datagrams(ctx, server.Addr(), server.Port())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer cutAtEnd(ctx, conn)()
	question := d.question(0)
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	var buf [4 << 10]byte // more than was asked for
	for {
		n, err := conn.Read(buf[:])
		if err != nil {
			return nil, err
		}
		if msg, err := matching(buf[:n], question); msg != nil || err != nil {
			return msg, err
		}
	}
}

// askStream asks over TCP, or TLS when that is the check's transport.
func (d *DNS) askStream(ctx context.Context, env *Env, server netip.AddrPort, watch *stopwatch) (*dns.Msg, finding) {
	conn, err := env.connectOne(ctx, server.Addr(), server.Port())
	watch.mark(phaseConnect)
	if err != nil {
		return nil, classify(stageDNS, err)
	}
	defer conn.Close()
	defer cutAtEnd(ctx, conn)()
	if d.Transport == transportTLS {
		var f finding
		conn, f = d.secure(env, conn)
		watch.mark(phaseTLS)
		if f.status != "" {
			return nil, f
		}
	}
	msg, err := d.exchange(conn)
	watch.mark(phaseDNS)
	return msg, classify(stageDNS, err)
}

// secure shakes hands and judges the server's certificate.
func (d *DNS) secure(env *Env, conn net.Conn) (net.Conn, finding) {
	name := d.ServerName
	if name == "" {
		name = d.Target()
	}
	secured, err := handshake(conn, d.config(name))
	if err != nil {
		return conn, classify(stageTLS, err)
	}
	state := secured.ConnectionState()
	_, f := d.Trust.judge(&state, name, env.now())
	return secured, f
}

// maxStray is how many messages on a stream may be other than the answer.
const maxStray = 100

// exchange asks on a stream, where two bytes of length precede each message.
func (d *DNS) exchange(conn net.Conn) (*dns.Msg, error) {
	framed := d.question(2)
	question := framed[2:]
	binary.BigEndian.PutUint16(framed, uint16(len(question)))
	if _, err := conn.Write(framed); err != nil {
		return nil, err
	}
	var answer []byte
	for range maxStray {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return nil, err
		}
		size := int(binary.BigEndian.Uint16(length[:]))
		answer = slices.Grow(answer[:0], size)[:size]
		if _, err := io.ReadFull(conn, answer); err != nil {
			return nil, err
		}
		if msg, err := matching(answer, question); msg != nil || err != nil {
			return msg, err
		}
	}
	return nil, fmt.Errorf("%w: %d messages, and none is the answer", errNotDNS, maxStray)
}

// question returns the question under a new id, with space before it.
func (d *DNS) question(space int) []byte {
	wire := make([]byte, space+len(d.wire))
	copy(wire[space:], d.wire)
	binary.BigEndian.PutUint16(wire[space:], uint16(rand.Uint32()))
	return wire
}

// matching reads an answer to the question. Anything else that arrives is
// passed over as nil, nil: it may have been sent to mislead.
func matching(answer, question []byte) (*dns.Msg, error) {
	isResponse := len(answer) > 2 && answer[2]&0x80 != 0
	if !isResponse || answer[0] != question[0] || answer[1] != question[1] {
		return nil, nil
	}
	msg := new(dns.Msg)
	err := msg.Unpack(answer)
	if !sameQuestion(msg, question) {
		if err != nil && len(msg.Question) == 0 {
			return nil, fmt.Errorf("%w: %v", errNotDNS, err)
		}
		return nil, nil
	}
	if err != nil && !msg.Truncated {
		return nil, fmt.Errorf("%w: %v", errNotDNS, err)
	}
	return msg, nil
}

// sameQuestion reports whether msg repeats the question.
func sameQuestion(msg *dns.Msg, question []byte) bool {
	if len(msg.Question) != 1 {
		return false
	}
	name, end, err := dns.UnpackDomainName(question, 12)
	if err != nil || end+4 > len(question) {
		return false
	}
	q := msg.Question[0]
	return strings.EqualFold(q.Name, name) &&
		q.Qtype == binary.BigEndian.Uint16(question[end:]) && q.Qclass == binary.BigEndian.Uint16(question[end+2:])
}
