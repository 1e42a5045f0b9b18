package checks

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// ICMP is a check of kind icmp: echo requests, as ping sends them.
type ICMP struct {
	Host     string        `json:"host" required:"true" doc:"The host or address to ping." example:"gateway.example.com"`
	IP       string        `json:"ip" enum:"any,4,6,each" doc:"The IP version to use: any, 4 or 6; or each to ping every address that the host has; default any."`
	Count    int           `json:"count" doc:"How many requests to send, 1 to 100; default 3."`
	Interval time.Duration `json:"interval" doc:"The time between two requests, 10ms to 10s; default 200ms." example:"200ms"`
	Size     int           `json:"size" doc:"The bytes of data in a request, 24 to 8192; default 56, as ping has it."`
	Expect   ICMPExpect    `json:"expect" doc:"What the answers must be."`
}

// ICMPExpect is what the answers must be.
type ICMPExpect struct {
	MaxLoss      Ratio         `json:"max_loss" doc:"The greatest part of the requests that may stay without an answer, as 0.2 or 20%, or the check is down; without it the check is degraded by any loss, and down when all are lost." example:"20%"`
	AllAddresses bool          `json:"all_addresses" doc:"With ip each, whether one address that does not work makes the check down, not degraded; default false."`
	Within       time.Duration `json:"within" doc:"The longest that a round trip may take on average; a slower one is degraded; default: any time." example:"100ms"`
}

// Limits of a series of echo requests.
const (
	maxEchoes   = 100
	minInterval = 10 * time.Millisecond
	maxInterval = 10 * time.Second
	minEchoSize = nonceSize + 8
	maxEchoSize = 8 << 10
	nonceSize   = 16
)

// lastWait is how long answers are waited for after the last request once
// anything has come back: twice the slowest, and this at least.
const lastWait = time.Second

func newICMP() *ICMP {
	return &ICMP{IP: familyAny, Count: 3, Interval: 200 * time.Millisecond, Size: 56}
}

// Target returns the host that is pinged.
func (c *ICMP) Target() string { return c.Host }

// Faults says what is wrong with the options.
func (c *ICMP) Faults() []Fault {
	var faults []Fault
	add := func(path, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	if host, err := asciiHost(c.Host); err != nil || !validHost(host) {
		add("host", "%q is not a host; write one such as gateway.example.com or 192.0.2.1", clip(c.Host, 200))
	}
	faults = append(faults, oneOf("ip", c.IP, familyAny, family4, family6, familyEach)...)
	if c.Count < 1 || c.Count > maxEchoes {
		add("count", "is %d; write a number from 1 to %d", c.Count, maxEchoes)
	}
	if c.Interval < minInterval || c.Interval > maxInterval {
		add("interval", "is %s; write a duration from %s to %s", c.Interval, minInterval, maxInterval)
	}
	if c.Size < minEchoSize || c.Size > maxEchoSize {
		add("size", "is %d; write a number of bytes from %d to %d", c.Size, minEchoSize, maxEchoSize)
	}
	if c.Expect.AllAddresses && c.IP != familyEach {
		add("expect.all_addresses", "is of use with ip: each alone, which tries every address; write that too, or leave this out")
	}
	return append(faults, durationFaults("expect.within", c.Expect.Within)...)
}

// Probe sends a series of requests, or one to each address, and judges the
// answers.
func (c *ICMP) Probe(ctx context.Context, env *Env) Outcome {
	host, err := asciiHost(c.Host)
	watch := startWatch()
	if err != nil {
		return watch.outcome(against(ProberInternal, "%v", err), nil)
	}
	if c.IP == familyEach {
		return env.probeEach(ctx, host, c.Expect.AllAddresses, func(ctx context.Context, addr netip.Addr) Outcome {
			return c.ping(ctx, env, startWatch(), addr)
		}, nil)
	}
	addrs, asked, err := env.locate(ctx, c.IP, host)
	if asked {
		watch.mark(phaseDNS)
	}
	if err != nil {
		return watch.outcome(classify(stageDNS, err), nil)
	}
	var out Outcome
	for _, addr := range addrs { // the first that this machine has a way to
		if out = c.ping(ctx, env, watch, addr); out.Reason != ProberNetwork {
			break
		}
	}
	return out
}

// ping sends one address a series. The phase connect is the average round trip,
// or the whole time when nothing came back.
func (c *ICMP) ping(ctx context.Context, env *Env, watch stopwatch, addr netip.Addr) Outcome {
	facts := Facts{"remote_ip": addr.String()}
	before := watch.took()
	s, err := c.series(ctx, env, addr)
	out := watch.outcome(c.judge(s, err), facts)
	out.Took = before + time.Since(watch.last)
	if s != nil {
		facts["sent"], facts["received"] = s.sent, len(s.trips)
		if len(s.trips) > 0 {
			least, average, most := s.roundTrips()
			facts["rtt_min"], facts["rtt_avg"], facts["rtt_max"] = MillisOf(least), MillisOf(average), MillisOf(most)
			out.Took = before + average
		}
	}
	out.Phases = Phases{phaseConnect: MillisOf(out.Took - before)}
	if ms, asked := watch.phases[phaseDNS]; asked {
		out.Phases[phaseDNS] = ms
	}
	return out
}

// judge says what a series means; err is why it could not go on.
func (c *ICMP) judge(s *series, err error) finding {
	if s == nil || s.sent == 0 || err != nil && len(s.trips) == 0 {
		if err == nil {
			err = context.DeadlineExceeded
		}
		return classify(stageConnect, err)
	}
	lost := s.sent - len(s.trips)
	switch {
	case len(s.trips) == 0 && s.refusal != nil:
		return against(ConnectUnreachable, "%s", brief(s.refusal))
	case len(s.trips) == 0:
		return against(ConnectTimeout, "none of %d echo requests was answered", s.sent)
	case lost > 0:
		percent := 100 * float64(lost) / float64(s.sent)
		f := against(ConnectLoss, "%d of %d echo requests were not answered (%.1f%%); expected at most %v", lost, s.sent, percent, c.Expect.MaxLoss)
		if !c.Expect.MaxLoss.set {
			return f.soften()
		}
		if percent > c.Expect.MaxLoss.percent {
			return f
		}
	}
	if _, average, _ := s.roundTrips(); c.Expect.Within > 0 && average > c.Expect.Within {
		return against(SlowTotal, "a round trip took %s on average; expected within %s", average.Round(10*time.Microsecond), c.Expect.Within)
	}
	return finding{}
}

// series is what came of some echo requests to one address.
type series struct {
	pinger
	nonce   [nonceSize]byte
	size    int
	sent    int
	at      [maxEchoes]time.Time // when each was sent
	trips   map[int]time.Duration
	refusal error // the last that the network said against it
	refused int
}

// pinger is a socket for echo requests to one address.
type pinger struct {
	net.Conn
	packets net.PacketConn // the same
	to      netip.Addr
	raw     bool // sees what others get too; else the kernel tells answers apart by the id
	id      int  // ours on a raw socket
}

// roundTrips are the least, the average and the greatest time.
func (s *series) roundTrips() (least, average, most time.Duration) {
	var sum time.Duration
	for _, trip := range s.trips {
		if least == 0 || trip < least {
			least = trip
		}
		most = max(most, trip)
		sum += trip
	}
	return least, sum / time.Duration(len(s.trips)), most
}

// series sends the requests and hears the answers, until all have come, ctx
// ends, or late ones are no longer worth waiting for.
func (c *ICMP) series(ctx context.Context, env *Env, addr netip.Addr) (*series, error) {
	socket, err := env.pinger(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	s := &series{pinger: socket, size: c.Size, trips: make(map[int]time.Duration, c.Count)}
	rand.Read(s.nonce[:])
	end, bounded := ctx.Deadline()
	if !bounded {
		end = time.Now().Add(time.Minute)
	}
	next := time.Now()
	buf := make([]byte, maxEchoSize+1024)
	for ctx.Err() == nil && len(s.trips)+s.refused < c.Count {
		now := time.Now()
		switch {
		case s.sent < c.Count && !now.Before(next):
			if err := s.request(env); err != nil {
				return s, err
			}
			next = next.Add(c.Interval)
			continue
		case s.sent == c.Count && !now.Before(s.patience()) || !now.Before(end):
			return s, nil
		}
		until := s.patience()
		if s.sent < c.Count {
			until = next
		}
		s.hear(buf, earliest(until, end, now.Add(100*time.Millisecond))) // so as to see ctx end
	}
	return s, nil
}

func earliest(first time.Time, others ...time.Time) time.Time {
	for _, other := range others {
		if other.Before(first) {
			first = other
		}
	}
	return first
}

// patience is until when answers are waited for after the last request.
func (s *series) patience() time.Time {
	last := s.at[max(s.sent-1, 0)]
	switch {
	case len(s.trips) > 0:
	case s.refusal != nil: // routers say so once a second at most
		return last.Add(lastWait)
	default:
		return last.Add(time.Hour) // the run's end is sooner
	}
	_, _, most := s.roundTrips()
	return last.Add(max(lastWait, 2*most))
}

// request sends the next echo request. What the network says against it is
// taken note of; an error is of this machine.
func (s *series) request(env *Env) error {
	kind := icmp.Type(ipv4.ICMPTypeEcho)
	if s.to.Is6() {
		kind = ipv6.ICMPTypeEchoRequest
	}
	message := icmp.Message{Type: kind, Body: &icmp.Echo{ID: s.id, Seq: s.sent, Data: s.data(s.sent)}}
	packet, err := message.Marshal(nil)
	if err != nil {
		return &localError{ProberInternal, err}
	}
	s.at[s.sent] = time.Now()
	s.sent++
	if _, err = s.Write(packet); err == nil {
		return nil
	}
	if err = env.blame(err, netip.AddrPortFrom(s.to, 1)); isLocal(err) {
		s.sent-- // it never left
		return err
	}
	s.refusal = err
	s.refused++
	return nil
}

// data is what a request carries: what nobody else can know, and its number.
func (s *series) data(number int) []byte {
	data := make([]byte, s.size)
	copy(data, s.nonce[:])
	binary.BigEndian.PutUint64(data[nonceSize:], uint64(number))
	return data
}

// hear reads one packet, or until the time is up.
func (s *series) hear(buf []byte, until time.Time) {
	s.SetReadDeadline(until)
	n, from, err := s.packets.ReadFrom(buf)
	switch errno, _ := errors.AsType[syscall.Errno](err); {
	case err == nil:
		if number, ok := s.answers(buf[:n], from); ok {
			s.trips[number] = time.Since(s.at[number])
		}
	case errno == syscall.EHOSTUNREACH, errno == syscall.ENETUNREACH, errno == syscall.ECONNREFUSED, errno == syscall.EACCES, errno == syscall.EPROTO, errno == syscall.EHOSTDOWN:
		s.refusal = err
		s.refused++
	case !isTimeout(err):
		time.Sleep(time.Until(until)) // nothing known: do not spin
	}
}

// answers reports which of our requests a packet answers, if it is the first to
// do so. It must come from where the request went and carry what that did.
func (s *series) answers(packet []byte, from net.Addr) (number int, ok bool) {
	protocol, kind := 1, icmp.Type(ipv4.ICMPTypeEchoReply)
	if s.to.Is6() {
		protocol, kind = 58, ipv6.ICMPTypeEchoReply
	}
	message, err := icmp.ParseMessage(protocol, packet)
	if err != nil || message.Type != kind || message.Code != 0 || addrOf(from) != s.to.WithZone("") {
		return 0, false
	}
	echo, isEcho := message.Body.(*icmp.Echo)
	if !isEcho || s.raw && echo.ID != s.id || echo.Seq >= s.sent || !bytes.Equal(echo.Data, s.data(echo.Seq)) {
		return 0, false
	}
	_, again := s.trips[echo.Seq]
	return echo.Seq, !again
}

func addrOf(from net.Addr) netip.Addr {
	var ip net.IP
	switch from := from.(type) {
	case *net.UDPAddr:
		ip = from.IP
	case *net.IPAddr:
		ip = from.IP
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// noPrivilege says what the machine would have to allow.
func noPrivilege(err error) error {
	return &localError{ProberPrivilege, fmt.Errorf("this machine lets nines send no echo requests (%w): widen net.ipv4.ping_group_range to its group, or grant CAP_NET_RAW", err)}
}
