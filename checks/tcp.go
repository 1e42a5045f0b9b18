package checks

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"nines/internal/secret"
)

// TCP is a check of kind tcp: a connection, and what is said over it.
type TCP struct {
	Address  string        `json:"address" required:"true" doc:"Host and port to connect to." example:"redis.example.com:6379"`
	IP       string        `json:"ip" enum:"any,4,6,each" doc:"The IP version to use: any, 4 or 6; or each to connect to every address that the host has; default any."`
	Send     secret.String `json:"send" doc:"Text to send once connected, as it is: line ends are written in the text; kept secret; default none." example:"\"PING\\r\\n\""`
	SendHex  string        `json:"send_hex" doc:"Bytes to send once connected, in hexadecimal, blanks allowed, instead of send; default none." example:"\"00 0a ff\""`
	TLS      bool          `json:"tls" doc:"Whether to shake hands for TLS first, and judge the certificate; default false."`
	StartTLS string        `json:"starttls" enum:"smtp,imap,pop3,ftp,ldap,postgres,mysql" doc:"The protocol by which to ask the server to go over to TLS first; default none." example:"smtp"`
	Trust
	Expect TCPExpect `json:"expect" doc:"What the answer must be."`
}

// TCPExpect is what the answer must be. Without contains and matches none is
// awaited.
type TCPExpect struct {
	Contains     []string      `json:"contains" doc:"Texts that must all be in the first 65536 bytes of the answer." example:"[\"+PONG\"]"`
	Matches      []Pattern     `json:"matches" doc:"Regular expressions (RE2) that must all match somewhere in the first 65536 bytes of the answer." example:"['^220[ -]']"`
	ValidFor     Lifetime      `json:"valid_for" doc:"With TLS, how long the certificate must still be valid, as a duration or as a share of its life; default: any time." example:"14d"`
	AllAddresses bool          `json:"all_addresses" doc:"With ip each, whether one address that does not work makes the check down, not degraded; default false."`
	Within       time.Duration `json:"within" doc:"The longest that the whole run may take; a slower one is degraded; default: any time." example:"1s"`
}

// Limits of a conversation, in bytes.
const (
	maxSend   = 64 << 10
	maxAnswer = 64 << 10
)

func newTCP() *TCP { return &TCP{IP: familyAny} }

// Target returns the host that is connected to.
func (c *TCP) Target() string {
	if host, _, err := c.place(); err == nil {
		return host
	}
	return c.Address
}

func (c *TCP) place() (string, uint16, error) {
	if _, _, err := net.SplitHostPort(c.Address); err != nil && c.StartTLS == "" {
		return "", 0, fmt.Errorf("%q is not a host and port", clip(c.Address, 200))
	}
	return hostAndPort(c.Address, defaultPort(c.StartTLS))
}

func (c *TCP) usesTLS() bool { return c.TLS || c.StartTLS != "" }

// Faults says what is wrong with the options.
func (c *TCP) Faults() []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	if _, _, err := c.place(); err != nil {
		add("address", "%v; write one such as redis.example.com:6379", err)
	}
	faults = append(faults, oneOf("ip", c.IP, familyAny, family4, family6, familyEach)...)
	faults = append(faults, startTLSFaults(c.StartTLS)...)
	switch data, err := parseHex(c.SendHex); {
	case err != nil:
		add("send_hex", "%q is not hexadecimal; write two digits a byte, such as 00 0a ff", clip(c.SendHex, 80))
	case c.SendHex != "" && !c.Send.IsZero():
		add("send_hex", "is given beside send, and only one of them can be sent; keep one")
	case len(data) > maxSend || len(c.Send.Reveal()) > maxSend:
		add("send", "has more than %d bytes", maxSend)
	}
	faults = append(faults, textFaults("expect.contains", c.Expect.Contains)...)
	for i, p := range c.Expect.Matches {
		if p.re == nil {
			add(fmt.Sprintf("expect.matches[%d]", i), "is empty, and every answer matches that; write a regular expression")
		}
	}
	if !c.Expect.ValidFor.isZero() && !c.usesTLS() {
		add("expect.valid_for", "needs a certificate; write tls: true or a protocol for starttls too, or leave this out")
	}
	if c.Expect.AllAddresses && c.IP != familyEach {
		add("expect.all_addresses", "is of use with ip: each alone, which tries every address; write that too, or leave this out")
	}
	faults = append(faults, c.Trust.faults()...)
	return append(faults, durationFaults("expect.within", c.Expect.Within)...)
}

// parseHex reads bytes in hexadecimal with blanks between them.
func parseHex(s string) ([]byte, error) { return hex.DecodeString(strings.Join(strings.Fields(s), "")) }

// Probe connects once, or once to each address, and judges what is answered.
func (c *TCP) Probe(ctx context.Context, env *Env) Outcome {
	host, port, err := c.place()
	if err != nil {
		watch := startWatch()
		return watch.outcome(against(ProberInternal, "%v", err), nil)
	}
	if c.IP != familyEach {
		return c.probeAt(ctx, env, host, port, nil)
	}
	return env.probeEach(ctx, host, c.Expect.AllAddresses, func(ctx context.Context, addr netip.Addr) Outcome {
		return c.probeAt(ctx, env, host, port, []netip.Addr{addr})
	}, nil)
}

func (c *TCP) probeAt(ctx context.Context, env *Env, host string, port uint16, addrs []netip.Addr) Outcome {
	watch := startWatch()
	facts := make(Facts, 8)
	f := c.probe(ctx, env, &watch, facts, host, port, addrs)
	if f.status == "" {
		f = slowerThan(c.Expect.Within, watch.took())
	}
	return watch.outcome(f, facts)
}

func (c *TCP) probe(ctx context.Context, env *Env, watch *stopwatch, facts Facts, host string, port uint16, addrs []netip.Addr) finding {
	conn, f := env.reach(ctx, watch, c.IP, host, port, addrs)
	if f.status != "" {
		return f
	}
	defer conn.Close()
	defer cutAtEnd(ctx, conn)()
	facts["remote_ip"] = remoteIP(conn).String()
	talk := conn
	if c.usesTLS() {
		name := c.serverName(host)
		secured, f := c.secure(conn, c.StartTLS, c.config(name), facts)
		watch.mark(phaseTLS)
		if f.status != "" {
			return f
		}
		state, now := secured.ConnectionState(), env.now()
		id, f := c.judge(&state, name, now)
		c.describe(id, &state, now, facts)
		if f.status == "" {
			f = id.validFor(c.Expect.ValidFor, now)
		}
		if f.status != "" {
			return f
		}
		talk = secured
	}
	return c.converse(talk, watch, facts)
}

// converse sends what there is to send and reads until the answer is as
// expected. The phase first_byte begins with sending.
func (c *TCP) converse(conn net.Conn, watch *stopwatch, facts Facts) finding {
	if err := c.say(conn); err != nil {
		watch.mark(phaseFirstByte)
		return classify(stageAnswer, err)
	}
	if len(c.Expect.Contains)+len(c.Expect.Matches) == 0 {
		return finding{}
	}
	answer, lacking, err := c.hear(conn, watch)
	facts["answer_bytes"] = len(answer)
	if lacking != "" {
		return judgeAnswer(answer, lacking, err)
	}
	return finding{}
}

// hear reads until the answer is as expected, or else until it ends: lacking
// says then what is missing, and err how it ended, nil for too long an answer.
func (c *TCP) hear(conn net.Conn, watch *stopwatch) (answer []byte, lacking string, err error) {
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf[:min(len(buf), maxAnswer-len(answer))])
		if len(answer) == 0 {
			watch.mark(phaseFirstByte)
		}
		answer = append(answer, buf[:n]...)
		if lacking = c.lacking(answer); lacking == "" && n > 0 || err != nil || len(answer) == maxAnswer {
			if len(answer) > 0 {
				watch.mark(phaseTransfer)
			}
			return answer, lacking, err
		}
	}
}

func (c *TCP) say(conn net.Conn) error {
	said := []byte(c.Send.Reveal())
	if c.SendHex != "" {
		var err error
		if said, err = parseHex(c.SendHex); err != nil {
			return &localError{ProberInternal, err}
		}
	}
	if len(said) == 0 {
		return nil
	}
	_, err := conn.Write(said)
	return err
}

// lacking says which expectation an answer does not meet yet; empty for none.
func (c *TCP) lacking(answer []byte) string {
	for _, text := range c.Expect.Contains {
		if !bytes.Contains(answer, []byte(text)) {
			return fmt.Sprintf("lacks %q", clip(text, 200))
		}
	}
	for _, p := range c.Expect.Matches {
		if !p.match(answer) {
			return "does not match " + clip(p.String(), 200)
		}
	}
	return ""
}

// judgeAnswer says what it means that reading ended before the answer was as
// expected. Who answered something else has answered; who answered nothing has
// not.
func judgeAnswer(answer []byte, lacking string, err error) finding {
	if len(answer) > 0 {
		how := "within the time"
		switch {
		case err == nil:
			how = "at first"
		case !isTimeout(err):
			how = "until the connection was closed"
		}
		return against(ContentMismatch, "the answer, %d bytes %s, %s: %q", len(answer), how, lacking, clip(string(answer), 200))
	}
	if errors.Is(err, io.EOF) {
		return against(ConnectReset, "the connection was closed without an answer")
	}
	return classify(stageAnswer, err)
}
