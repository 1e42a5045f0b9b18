package checks

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// rawNameServer answers each question that comes by UDP with udp, and each
// connection by TCP on the same port with tcp; nil is silence.
func rawNameServer(t testing.TB, udp func(send func([]byte), question []byte), tcp func(conn net.Conn, question []byte)) string {
	t.Helper()
	addr := rawServer(t, func(conn net.Conn) {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		if tcp == nil {
			hangOn(conn)
			return
		}
		tcp(conn, question)
	})
	socket, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Skipf("the port is taken for UDP: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := socket.ReadFrom(buf)
			if err != nil {
				return
			}
			if udp != nil {
				udp(func(answer []byte) { socket.WriteTo(answer, from) }, append([]byte{}, buf[:n]...))
			}
		}
	}()
	t.Cleanup(func() { socket.Close(); <-done })
	return addr
}

// rightAnswer is the right answer to a question, changed by change.
func rightAnswer(question []byte, change func(*dns.Msg)) []byte {
	asked := new(dns.Msg)
	if asked.Unpack(question) != nil {
		return nil
	}
	reply := new(dns.Msg).SetReply(asked)
	reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: asked.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 66)}}
	if change != nil {
		change(reply)
	}
	wire, err := reply.Pack()
	if err != nil {
		return nil
	}
	return wire
}

// byUDP and byTCP are targets of a check of kind dns.
func byUDP(udp func(send func([]byte), question []byte)) func(*testing.T) Options {
	return func(t *testing.T) Options { return dnsAt(rawNameServer(t, udp, nil), "example.test", "A") }
}

func byTCP(tcp func(conn net.Conn, question []byte)) func(*testing.T) Options {
	return func(t *testing.T) Options {
		d := dnsAt(rawNameServer(t, nil, tcp), "example.test", "A")
		d.Transport = transportTCP
		return d
	}
}

// framedMessage is a message as a stream carries it.
func framedMessage(wire []byte) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(wire)))) + string(wire)
}

// storm sends what made gives until the time of a run is over.
func storm(send func([]byte), made func(i int) []byte) {
	for i, start := 0, time.Now(); time.Since(start) < hostileTimeout; i++ {
		send(made(i))
	}
}

func TestHostileDNS(t *testing.T) {
	truncated := func(reply *dns.Msg) { reply.Truncated, reply.Answer = true, nil }
	hold(t, []hostile{
		{name: "answers under every other id", limit: "the id must be the question's; timeout", waits: true, reason: DNSTimeout, or: DNSMismatch,
			aim: byUDP(func(send func([]byte), question []byte) {
				id := binary.BigEndian.Uint16(question)
				storm(send, func(i int) []byte {
					answer := rightAnswer(question, nil)
					binary.BigEndian.PutUint16(answer, id+1+uint16(i%65535))
					return answer
				})
			})},
		{name: "answers to another question", limit: "the question must be ours; timeout", waits: true, reason: DNSTimeout, or: DNSMismatch,
			aim: byUDP(func(send func([]byte), question []byte) {
				storm(send, func(int) []byte {
					return rightAnswer(question, func(reply *dns.Msg) { reply.Question[0].Name = "elsewhere.test." })
				})
			})},
		{name: "questions instead of answers", limit: "answers are marked; timeout", waits: true, reason: DNSTimeout, or: DNSMismatch,
			aim: byUDP(func(send func([]byte), question []byte) { storm(send, func(int) []byte { return question }) })},
		{name: "datagrams of 60 KiB", limit: "4 KiB are read of one", reason: DNSMalformed, or: DNSTooLarge,
			aim: byUDP(func(send func([]byte), question []byte) {
				send(append(rightAnswer(question, func(reply *dns.Msg) {
					for range 200 {
						reply.Answer = append(reply.Answer, reply.Answer[0])
					}
					reply.Compress = false
				}), make([]byte, 50<<10)...))
			})},
		{name: "a pointer that leads to itself", limit: "a name's length", reason: DNSMalformed,
			aim: byUDP(func(send func([]byte), question []byte) {
				answer := rightAnswer(question, func(reply *dns.Msg) { reply.Answer, reply.Extra = nil, nil })
				binary.BigEndian.PutUint16(answer[6:], 1) // one answer, whose name is a loop
				at := len(answer)
				send(append(answer, 0xc0|byte(at>>8), byte(at), 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1))
			})},
		{name: "a count of 65,535 records", limit: "the message's own length", status: Up,
			aim: byUDP(func(send func([]byte), question []byte) {
				answer := rightAnswer(question, nil)
				binary.BigEndian.PutUint16(answer[6:], 0xffff)
				send(answer)
			})},
		{name: "an answer of two bytes, then silence", limit: "timeout", waits: true, reason: DNSTimeout, or: DNSMismatch,
			aim: byUDP(func(send func([]byte), question []byte) { send(question[:2]) })},
		{name: "truncated by UDP, and by TCP again", limit: "one step from UDP to TCP", reason: DNSTruncated, or: DNSNoAnswer,
			aim: func(t *testing.T) Options {
				return dnsAt(rawNameServer(t,
					func(send func([]byte), question []byte) { send(rightAnswer(question, truncated)) },
					func(conn net.Conn, question []byte) {
						io.WriteString(conn, framedMessage(rightAnswer(question, truncated)))
						hangOn(conn)
					}), "example.test", "A")
			}},
		{name: "truncated by UDP, silent by TCP", limit: "timeout", waits: true, reason: DNSTimeout,
			aim: func(t *testing.T) Options {
				return dnsAt(rawNameServer(t, func(send func([]byte), question []byte) { send(rightAnswer(question, truncated)) }, nil), "example.test", "A")
			}},
		{name: "messages for somebody else, without an end", limit: "100 messages", reason: DNSMalformed, or: DNSMismatch,
			aim: byTCP(func(conn net.Conn, question []byte) {
				other := rightAnswer(question, func(reply *dns.Msg) { reply.Id++ })
				writeForever(conn, strings.Repeat(framedMessage(other), 200))
			})},
		{name: "empty messages without an end", limit: "100 messages", reason: DNSMalformed, or: DNSMismatch,
			aim: byTCP(func(conn net.Conn, _ []byte) { writeForever(conn, strings.Repeat("\x00\x00", 10_000)) })},
		{name: "messages of 64 KiB without an end", limit: "100 messages", reason: DNSMalformed, or: DNSMismatch,
			aim: byTCP(func(conn net.Conn, _ []byte) { writeForever(conn, "\xff\xff"+strings.Repeat("x", 65535)) })},
		{name: "64 KiB of compressed names", limit: "the message's own length", status: Up,
			aim: byTCP(func(conn net.Conn, question []byte) {
				wire := rightAnswer(question, func(reply *dns.Msg) { reply.Answer, reply.Extra = nil, nil })
				n := (65535 - len(wire)) / 16
				binary.BigEndian.PutUint16(wire[6:], uint16(n))
				for range n { // each stands for the name in the question
					wire = append(wire, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1)
				}
				io.WriteString(conn, framedMessage(wire))
				hangOn(conn)
			})},
		{name: "an answer at a byte a second", limit: "timeout", waits: true, reason: DNSTimeout,
			aim: byTCP(func(conn net.Conn, question []byte) {
				for _, b := range []byte(framedMessage(rightAnswer(question, nil))) {
					if _, err := conn.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(hostileTimeout / 5)
				}
			})},
		{name: "an answer cut in half", limit: "the length announced", reason: DNSUnreachable,
			aim: byTCP(func(conn net.Conn, question []byte) {
				whole := framedMessage(rightAnswer(question, nil))
				io.WriteString(conn, whole[:len(whole)/2])
			})},
	})
}
