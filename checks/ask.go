package checks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// What can be wrong with an answer before anybody looks at its records.
var (
	errNotDNS    = errors.New("not a DNS message")
	errMismatch  = errors.New("the answer is to another question, or its id or cookie is not the one sent")
	errOversized = errors.New("the answer is larger than was allowed for")
)

// resendAfter is how long an answer over UDP is awaited at least before the
// question is sent again, which happens twice in a run at most.
const resendAfter = time.Second

// datagramRoom holds buffers for one datagram of any size.
var datagramRoom = sync.Pool{New: func() any { return new([maxMessage + 1]byte) }}

// reply is what a name server answered.
type reply struct {
	msg       *dns.Msg // nil when nothing right came
	server    nameServer
	transport string // the last that was used
	size      int    // of the message in bytes
	resent    int    // how often the question was sent again
	// certificate is the server's, with transports tls and https.
	certificate identity
}

// ask sends a question to one server, and again over TCP when its answer is
// truncated. The server's address has been admitted.
func (d *DNS) ask(ctx context.Context, env *Env, q *question, transport string, server nameServer, watch *stopwatch) (*reply, finding) {
	got := &reply{server: server, transport: transport}
	if transport == transportUDP {
		err := d.askUDP(ctx, env, q, got)
		if err == nil && got.msg.Rcode == dns.RcodeBadCookie && q.edns.Cookie {
			err = d.askUDP(ctx, env, q, got) // with the cookie that came with it
		}
		watch.mark(phaseDNS)
		if err != nil {
			return got, classify(stageDNS, err)
		}
		badCookie := got.msg.Rcode == dns.RcodeBadCookie && q.edns.Cookie
		if !got.msg.Truncated && !badCookie {
			return got, finding{}
		}
		got.transport = transportTCP
	}
	var f finding
	if transport == transportHTTPS {
		f = d.askHTTPS(ctx, env, q, got, watch)
	} else {
		f = d.askStream(ctx, env, q, got, watch)
	}
	if f.status == "" && got.msg.Truncated {
		f = against(DNSTruncated, "the answer of %d bytes says even over %s that it is not the whole", got.size, got.transport)
	}
	return got, f
}

// cookie returns what to send to a server as a cookie; nil is none.
func (d *DNS) cookie(q *question, server nameServer) []byte {
	if !q.edns.Cookie {
		return nil
	}
	return d.cookies.of(server.at.Addr())
}

// accept takes a message that has matched.
func (d *DNS) accept(q *question, got *reply, msg *dns.Msg, size int) {
	got.msg, got.size = msg, size
	if q.edns.Cookie {
		d.cookies.learn(got.server.at.Addr(), msg)
	}
}

func (d *DNS) askUDP(ctx context.Context, env *Env, q *question, got *reply) error {
	conn, err := env.datagrams(ctx, got.server.at.Addr(), got.server.at.Port())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer cutAtEnd(ctx, conn)()
	wire, sent := q.send(0, d.cookie(q, got.server))
	room := datagramRoom.Get().(*[maxMessage + 1]byte)
	defer datagramRoom.Put(room)
	var strays int
	for try := 2; ; try-- {
		if try < 2 {
			got.resent++
		}
		patience(ctx, conn, try)
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err = conn.Write(wire); err == nil {
			err = d.listen(conn, &sent, got, room[:], &strays)
		}
		if try == 0 || !isTimeout(err) || ctx.Err() != nil {
			break
		}
	}
	if isTimeout(err) && sent.cookie != nil {
		d.cookies.forget(got.server.at.Addr())
	}
	if isTimeout(err) && strays > 0 {
		return fmt.Errorf("%w: %d such came, and no right one in time", errMismatch, strays)
	}
	return err
}

// patience sets how long this sending of the question waits for its answer:
// a share of what time is left, or all of it when that is short.
func patience(ctx context.Context, conn net.Conn, more int) {
	deadline, limited := ctx.Deadline()
	if !limited {
		return
	}
	if more > 0 {
		now := time.Now()
		if next := now.Add(max(resendAfter, deadline.Sub(now)/time.Duration(more+1))); next.Before(deadline) {
			deadline = next
		}
	}
	conn.SetReadDeadline(deadline)
}

// listen waits for the answer; datagrams that are not it are passed over.
func (d *DNS) listen(conn net.Conn, sent *sentQuestion, got *reply, room []byte, strays *int) error {
	for {
		n, err := conn.Read(room)
		if err != nil {
			return err
		}
		msg, err := sent.match(room[:n])
		switch {
		case err != nil:
			return err
		case msg == nil:
			*strays++
		case n > sent.limit:
			return fmt.Errorf("%w: %d bytes over udp, where %d were asked for", errOversized, n, sent.limit)
		default:
			d.accept(sent.question, got, msg, n)
			return nil
		}
	}
}

// askStream asks over TCP, or TLS when that is the transport.
func (d *DNS) askStream(ctx context.Context, env *Env, q *question, got *reply, watch *stopwatch) finding {
	conn, err := env.connectOne(ctx, got.server.at.Addr(), got.server.at.Port())
	watch.mark(phaseConnect)
	if err != nil {
		return classify(stageDNS, err)
	}
	defer conn.Close()
	defer cutAtEnd(ctx, conn)()
	if got.transport == transportTLS {
		var f finding
		conn, f = d.secure(env, conn, got)
		watch.mark(phaseTLS)
		if f.status != "" {
			return f
		}
	}
	err = d.exchange(conn, q, got)
	watch.mark(phaseDNS)
	return classify(stageDNS, err)
}

// secure shakes hands and judges the server's certificate.
func (d *DNS) secure(env *Env, conn net.Conn, got *reply, protocols ...string) (net.Conn, finding) {
	name := got.server.name
	secured, err := handshake(conn, d.config(name, protocols...))
	if err != nil {
		return conn, classify(stageTLS, err)
	}
	state := secured.ConnectionState()
	var f finding
	got.certificate, f = d.Trust.judge(&state, name, env.now())
	return secured, f
}

// exchange asks on a stream, where two bytes of length precede each message.
// Nobody off the path can put a message into a stream: one that is not the
// answer is the server's fault at once.
func (d *DNS) exchange(conn net.Conn, q *question, got *reply) error {
	framed, sent := q.send(2, d.cookie(q, got.server))
	binary.BigEndian.PutUint16(framed, uint16(len(sent.wire)))
	if _, err := conn.Write(framed); err != nil {
		return err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	msg, err := sent.match(answer)
	if err != nil {
		return err
	}
	if msg == nil {
		if sent.cookie != nil {
			d.cookies.forget(got.server.at.Addr())
		}
		return errMismatch
	}
	d.accept(q, got, msg, len(answer))
	return nil
}
