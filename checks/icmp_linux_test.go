package checks

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"nines/internal/peer"
)

// apart runs f on a thread of its own, which ends with it: what f changes of
// the thread, such as its network or its rights, concerns nobody else.
func apart(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock
		f()
	}()
	<-done
}

// inNetwork runs f in a network of its own, where lo is up and pinging is open
// to the groups named. A run stays on its goroutine, and so in that network.
func inNetwork(t *testing.T, groups string, f func()) {
	t.Helper()
	ip := peer.Program(t, "ip")
	var missing error
	apart(t, func() {
		if missing = syscall.Unshare(syscall.CLONE_NEWNET); missing != nil {
			return
		}
		if out, err := exec.Command(ip, "link", "set", "lo", "up").CombinedOutput(); err != nil {
			missing = fmt.Errorf("%w: %s", err, out)
			return
		}
		if missing = setting("ping_group_range", groups); missing == nil {
			f()
		}
	})
	if missing != nil {
		peer.Missing(t, "a network of its own: %v", missing)
	}
}

// setting changes the network that the thread is in.
func setting(name, value string) error {
	return os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o644)
}

const (
	nobody    = "1 0"
	everybody = "0 2147483647"
)

func TestICMPOnLoopback(t *testing.T) {
	for groups, way := range map[string]bool{nobody: true, everybody: false} {
		inNetwork(t, groups, func() {
			env := loopback()
			env.Allow = append(env.Allow, netip.MustParsePrefix("::1/128"))
			for _, host := range []string{"127.0.0.1", "::1"} {
				socket, err := env.pinger(t.Context(), netip.MustParseAddr(host))
				if err != nil {
					t.Fatal(err)
				}
				socket.Close()
				if socket.raw != way {
					t.Errorf("%s with groups %s: raw %v", host, groups, socket.raw)
				}
				c := icmpTo(host)
				c.Size, c.Count = 1000, 5
				r := run(t, c, 10*time.Second, env)
				wants(t, r, Up, "")
				sumsUp(t, r)
				if r.Facts["sent"] != 5 || r.Facts["received"] != 5 || r.Facts["rtt_avg"] == nil || r.Facts["remote_ip"] != host {
					t.Errorf("facts %v", r.Facts)
				}
			}
			env.SourceIP = netip.MustParseAddr("127.0.0.7")
			wants(t, run(t, icmpTo("127.0.0.1"), 10*time.Second, env), Up, "")
			env.SourceIP = netip.MustParseAddr("192.0.2.7") // not ours
			wants(t, run(t, icmpTo("127.0.0.1"), 10*time.Second, env), Unknown, ProberNetwork)
			env.SourceIP = netip.Addr{}
			wants(t, run(t, icmpTo("10.0.0.1"), 10*time.Second, env), Unknown, ProberBlocked)
			wants(t, run(t, icmpTo("1.1.1.1"), 10*time.Second, env), Unknown, ProberNetwork) // no route
		})
	}
}

func TestICMPWithoutPrivilege(t *testing.T) {
	inNetwork(t, nobody, func() {
		const netRaw = 13
		header := struct{ version, pid uint32 }{0x20080522, 0}
		var rights [2]struct{ effective, permitted, inheritable uint32 }
		if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&rights)), 0); errno != 0 {
			t.Fatal(errno)
		}
		rights[0].effective &^= 1 << netRaw
		if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&rights)), 0); errno != 0 {
			t.Fatal(errno)
		}
		r := run(t, icmpTo("127.0.0.1"), 10*time.Second, loopback())
		wants(t, r, Unknown, ProberPrivilege)
		if !strings.Contains(r.Detail, "ping_group_range") {
			t.Error(r.Detail)
		}
	})
}

// An answering machine that loses every second request, answers some twice and
// some wrongly.
func TestICMPLoss(t *testing.T) {
	for _, groups := range []string{nobody, everybody} {
		inNetwork(t, groups, func() {
			if err := setting("icmp_echo_ignore_all", "1"); err != nil {
				t.Fatal(err)
			}
			machine := must(icmp.ListenPacket("ip4:icmp", "127.0.0.1"))(t)
			defer machine.Close()
			go answering(machine)
			c := icmpTo("127.0.0.1")
			c.Count = 10
			r := run(t, c, 10*time.Second, loopback())
			wants(t, r, Degraded, ConnectLoss)
			if r.Facts["sent"] != 10 || r.Facts["received"] != 5 {
				t.Errorf("facts %v", r.Facts)
			}
			c.Expect.MaxLoss = Ratio{50, true}
			wants(t, run(t, c, 10*time.Second, loopback()), Up, "")
			c.Expect.MaxLoss = Ratio{49, true}
			wants(t, run(t, c, 10*time.Second, loopback()), Down, ConnectLoss)
			wants(t, run(t, icmpTo("127.0.0.2"), 500*time.Millisecond, loopback()), Down, ConnectTimeout) // nobody answers there
			c.Count, c.Interval = 100, time.Second                                                        // more than there is time for
			r = run(t, c, 500*time.Millisecond, loopback())
			wants(t, r, Up, "")
			if r.Facts["sent"] != 1 {
				t.Errorf("facts %v", r.Facts)
			}
		})
	}
}

func answering(machine *icmp.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := machine.ReadFrom(buf)
		if err != nil {
			return
		}
		m, err := icmp.ParseMessage(1, buf[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEcho {
			continue
		}
		m.Type = ipv4.ICMPTypeEchoReply
		echo := m.Body.(*icmp.Echo)
		right, _ := m.Marshal(nil)
		echo.Data[0] ^= 1
		wrong, _ := m.Marshal(nil)
		machine.WriteTo(wrong, from)
		if echo.Seq%2 == 0 && from.(*net.IPAddr).IP.Equal(net.IPv4(127, 0, 0, 1)) {
			machine.WriteTo(right, from)
			machine.WriteTo(right, from)
		}
	}
}

// A router on the way that says that there is no way.
func TestICMPUnreachable(t *testing.T) {
	for _, groups := range []string{nobody, everybody} {
		inNetwork(t, groups, func() {
			router := fmt.Sprintf("nines-router-%d", os.Getpid())
			defer exec.Command("ip", "netns", "del", router).Run()
			for _, line := range []string{
				"netns add " + router,
				"link add here type veth peer name there netns " + router,
				"addr add 192.0.2.1/24 dev here", "link set here up", "route add default via 192.0.2.2",
				"-n " + router + " addr add 192.0.2.2/24 dev there", "-n " + router + " link set there up", "-n " + router + " link set lo up",
				"-n " + router + " route add unreachable 203.0.113.0/24", "-n " + router + " route add prohibit 198.51.100.0/24",
			} {
				if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
					t.Errorf("ip %s: %v: %s", line, err, out)
					return
				}
			}
			if out, err := exec.Command("ip", "netns", "exec", router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/icmp_ratemask").CombinedOutput(); err != nil {
				t.Errorf("forwarding, and saying of every packet what came of it: %v: %s", err, out)
				return
			}
			env := &Env{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24")}}
			wants(t, run(t, icmpTo("192.0.2.2"), 10*time.Second, env), Up, "")
			wants(t, run(t, icmpTo("203.0.113.9"), 2*time.Second, env), Down, ConnectUnreachable)
			wants(t, run(t, icmpTo("198.51.100.9"), 2*time.Second, env), Down, ConnectUnreachable)
		})
	}
}
