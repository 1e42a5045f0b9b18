package throttle

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"nines/internal/peer"
)

// transfer is one measurement, run by this program in a network namespace.
type transfer struct {
	Addr      string
	Kbps      float64 // through a link of ours; zero: as it is
	RTT       time.Duration
	Bytes     int           // of payload
	Up        bool          // sent, not fetched
	FarDelay  time.Duration // what the far end waits before it answers
	FirstByte time.Duration // from the request
	Took      time.Duration // from the request
}

// role tells this program, started again by itself, what to be.
const role = "NINES_THROTTLE_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "server":
		fatal(serve(os.Getenv("NINES_THROTTLE_LISTEN")))
	case "client":
		var t transfer
		fatal(json.NewDecoder(os.Stdin).Decode(&t))
		fatal(t.run())
		fatal(json.NewEncoder(os.Stdout).Encode(t))
	default:
		os.Exit(m.Run())
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers "down BYTES DELAY" by that many bytes after the delay, and "up
// BYTES DELAY" by one byte once they have come.
func serve(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			r := bufio.NewReader(conn)
			line, _ := r.ReadString('\n')
			var way string
			var size int
			var delay time.Duration
			fmt.Sscan(line, &way, &size, &delay)
			if way == "up" {
				io.CopyN(io.Discard, r, int64(size))
				size = 1
			}
			time.Sleep(delay)
			chunk := make([]byte, 64<<10)
			for size > 0 {
				n, err := conn.Write(chunk[:min(size, len(chunk))])
				if size -= n; err != nil {
					return
				}
			}
			io.Copy(io.Discard, r) // until the client has all
		}()
	}
}

func (t *transfer) run() error {
	conn, err := net.Dial("tcp", t.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if t.Kbps > 0 {
		conn = New(t.Kbps*1000, t.Kbps*1000, t.RTT).Conn(conn)
	}
	start := time.Now()
	way, answer := "down", t.Bytes
	if t.Up {
		way, answer = "up", 1
	}
	fmt.Fprintf(conn, "%s %d %d\n", way, t.Bytes, t.FarDelay)
	if t.Up {
		if _, err := conn.Write(make([]byte, t.Bytes)); err != nil {
			return err
		}
	}
	buf := make([]byte, 64<<10)
	if _, err := io.ReadFull(conn, buf[:1]); err != nil {
		return err
	}
	t.FirstByte = time.Since(start)
	if _, err := io.CopyN(io.Discard, conn, int64(answer-1)); err != nil {
		return err
	}
	t.Took = time.Since(start)
	return nil
}

// spaces are two network namespaces with two wires between them: one that the
// kernel shapes, and one that is as fast as it goes.
type spaces struct {
	t         *testing.T
	near, far string
	shaped    string // the far end's address over the shaped wire
	plain     string
}

func newSpaces(t *testing.T) *spaces {
	t.Helper()
	peer.Program(t, "ip")
	peer.Program(t, "tc")
	if os.Geteuid() != 0 {
		peer.Missing(t, "network namespaces need root")
	}
	id := strconv.Itoa(os.Getpid())
	s := &spaces{t: t, near: "nines-near-" + id, far: "nines-far-" + id, shaped: "198.18.1.2:9", plain: "198.18.2.2:9"}
	if out, err := exec.Command("ip", "netns", "add", s.near).CombinedOutput(); err != nil {
		peer.Missing(t, "network namespaces cannot be made here: %s", out)
	}
	t.Cleanup(func() {
		exec.Command("ip", "netns", "del", s.near).Run()
		exec.Command("ip", "netns", "del", s.far).Run()
	})
	s.do("ip netns add %s", s.far)
	for i, wire := range []string{"shaped", "plain"} {
		s.do("ip -n %s link add %s type veth peer name %s netns %s", s.near, wire, wire, s.far)
		for j, space := range []string{s.near, s.far} {
			s.do("ip -n %s addr add 198.18.%d.%d/24 dev %s", space, i+1, j+1, wire)
			s.do("ip -n %s link set %s up", space, wire)
			// A slow wire's queue looks like loss to a sender that believes in
			// the first round trips; it would then send again what is still
			// on its way, and the shaper be charged for both.
			s.do("ip -n %s route replace 198.18.%d.0/24 dev %s initcwnd 4 rto_min 5s", space, i+1, wire)
		}
	}
	server := exec.Command("ip", "netns", "exec", s.far, os.Args[0])
	server.Env = append(os.Environ(), role+"=server", "NINES_THROTTLE_LISTEN=0.0.0.0:9")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatal("the far end does not listen: ", err)
	}
	return s
}

func (s *spaces) do(format string, args ...any) {
	s.t.Helper()
	words := strings.Fields(fmt.Sprintf(format, args...))
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		peer.Missing(s.t, "%s: %s", words, out)
	}
}

// shape has the kernel let both directions of the shaped wire through at a
// rate. The bucket holds a packet and as much as goes while a timer is late by up
// to 5 ms: a smaller one loses what it could not hold.
func (s *spaces) shape(kbps float64) {
	s.t.Helper()
	burst := 1600 + int(kbps*1000/8/200)
	for _, space := range []string{s.near, s.far} {
		s.do("ip netns exec %s tc qdisc replace dev shaped root tbf rate %dbit burst %d limit 10000000", space, int(kbps*1000), burst)
	}
}

func (s *spaces) measure(ask transfer) transfer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	client := exec.CommandContext(ctx, "ip", "netns", "exec", s.near, os.Args[0])
	client.Env = append(os.Environ(), role+"=client")
	written, _ := json.Marshal(ask) // a struct of numbers
	client.Stdin = strings.NewReader(string(written))
	client.Stderr = os.Stderr
	out, err := client.Output()
	if err == nil {
		err = json.Unmarshal(out, &ask)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return ask
}

// compare measures one transfer through a link of ours and through the
// kernel's shaper, each by itself or, at rates that leave the machine idle, at
// the same time.
func (s *spaces) compare(kbps float64, rtt, long time.Duration, up bool) (ours, kernel transfer) {
	s.t.Helper()
	s.shape(kbps)
	size := int(kbps * 1000 / 8 * long.Seconds() * segmentSize / (segmentSize + tcpHeaders))
	through := transfer{Addr: s.plain, Kbps: kbps, RTT: rtt, Bytes: size, Up: up}
	shaped := transfer{Addr: s.shaped, Bytes: size, FarDelay: rtt, Up: up}
	if kbps > 10_000 {
		return s.measure(through), s.measure(shaped)
	}
	done := make(chan transfer)
	go func() { done <- s.measure(shaped) }()
	return s.measure(through), <-done
}

// rate is what arrived of the wire's bytes after the first, in kbit/s.
func (t transfer) rate() float64 {
	wire := float64(t.Bytes) * (segmentSize + tcpHeaders) / segmentSize
	span := t.Took - t.FirstByte
	if t.Up {
		span = t.Took - t.FarDelay - t.RTT
	}
	return wire * 8 / 1000 / span.Seconds()
}

// The link takes as long as the kernel's own shaper, within 3 %. The whole table
// is made by `make bench-throttle`.
func TestAgainstKernel(t *testing.T) {
	if testing.Short() {
		t.Skip("transfers take seconds")
	}
	s := newSpaces(t)
	for _, tt := range []struct {
		kbps float64
		up   bool
	}{{1600, false}, {1600, true}, {50_000, false}} {
		// The best of three pairs: a machine that others use is late by chance.
		best := 1.0
		for range 3 {
			ours, kernel := s.compare(tt.kbps, 150*time.Millisecond, 3*time.Second, tt.up)
			ratio := ours.Took.Seconds()/kernel.Took.Seconds() - 1
			best = min(best, max(ratio, -ratio))
			if best < 0.03 {
				break
			}
		}
		if best >= 0.03 {
			t.Errorf("%v kbit/s, up %v: off the kernel's shaper by %.1f %%", tt.kbps, tt.up, best*100)
		}
	}
}

// TestTable prints asked against achieved against the kernel for docs.
func TestTable(t *testing.T) {
	if os.Getenv("NINES_THROTTLE_TABLE") == "" {
		t.Skip("made by make bench-throttle")
	}
	s := newSpaces(t)
	fmt.Println("| direction | asked rate | asked round trip | achieved rate | achieved round trip | kernel's rate | whole transfer | the same by the kernel | difference |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	row := func(kbps float64, rtt time.Duration, up bool) {
		long := 4 * time.Second
		if kbps < 100 {
			long = 16 * time.Second
		}
		ours, kernel := s.compare(kbps, rtt, long, up)
		way, trip := "down", fmt.Sprintf("%.1f ms", float64(ours.FirstByte)/1e6)
		if up {
			way, trip = "up", "–"
		}
		fmt.Printf("| %s | %.0f kbit/s | %d ms | %.1f kbit/s | %s | %.1f kbit/s | %.3f s | %.3f s | %+.2f %% |\n", way, kbps, rtt.Milliseconds(),
			ours.rate(), trip, kernel.rate(), ours.Took.Seconds(), kernel.Took.Seconds(), (ours.Took.Seconds()/kernel.Took.Seconds()-1)*100)
	}
	rates := []float64{50, 400, 1600, 9000, 50_000, 200_000}
	for _, kbps := range rates {
		for _, rtt := range []time.Duration{0, 40 * time.Millisecond, 150 * time.Millisecond, 400 * time.Millisecond} {
			row(kbps, rtt, false)
		}
	}
	for _, kbps := range rates {
		row(kbps, 40*time.Millisecond, true)
	}
}
