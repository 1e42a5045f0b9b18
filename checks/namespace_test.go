package checks

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/internal/peer"
)

// inNamespace is set for the process that runs in a network of its own.
const inNamespace = "NINES_TEST_NAMESPACE"

// TestGuardSendsNothing shows that a blocked address gets no packet: a process
// in a network of its own, where every address there is leads to itself, runs
// every kind of check against what is not public, and the kernel's count of
// packets stays where it was. With the address allowed the same checks do send.
func TestGuardSendsNothing(t *testing.T) {
	ip := peer.Program(t, "ip")
	if os.Geteuid() != 0 {
		peer.Missing(t, "only root may make a network namespace")
	}
	inside := exec.Command(os.Args[0], "-test.run=^TestInNamespace$", "-test.v", "-test.timeout=120s")
	inside.Env = append(os.Environ(), inNamespace+"="+ip)
	inside.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	said, err := inside.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		peer.Missing(t, "this machine lets nobody make a network namespace: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	t.Logf("%s", said)
}

// TestInNamespace is not a test but the process inside of the namespace.
func TestInNamespace(t *testing.T) {
	ip := os.Getenv(inNamespace)
	if ip == "" {
		t.Skip("is run by TestGuardSendsNothing in a network namespace")
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"route", "add", "local", "0.0.0.0/0", "dev", "lo"},
		{"-6", "route", "add", "local", "::/0", "dev", "lo"},
	} {
		if said, err := exec.Command(ip, args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, said)
		}
	}
	everything := must(net.Listen("tcp", ":80"))(t) // of every address, of both families
	go http.Serve(everything, http.HandlerFunc(page))
	defer everything.Close()

	t.Run("addresses", namespaceAddresses)
	t.Run("redirects", namespaceRedirects)
	t.Run("names", namespaceNames)
}

// packets is how many packets the namespace's only interface has sent.
func packets(t testing.TB) int {
	t.Helper()
	counts := string(must(os.ReadFile("/proc/self/net/dev"))(t))
	for _, line := range strings.Split(counts, "\n") {
		if fields := strings.Fields(line); len(fields) > 10 && fields[0] == "lo:" {
			return must(strconv.Atoi(fields[10]))(t)
		}
	}
	t.Fatalf("no interface lo in %q", counts)
	return 0
}

// settledPackets waits until nothing is on its way any more.
func settledPackets(t testing.TB) int {
	t.Helper()
	for now, before := packets(t), -1; ; now = packets(t) {
		if now == before {
			return now
		}
		before = now
		time.Sleep(20 * time.Millisecond)
	}
}

// aimed returns options of every kind, aimed at one address. A new kind has to
// say here how it is aimed.
func aimed(t testing.TB, addr string) map[string]Options {
	t.Helper()
	host := addr
	if strings.Contains(addr, ":") {
		host = "[" + addr + "]"
	}
	all := map[string]Options{}
	for name, kind := range kinds {
		options := kind.New()
		set := map[string]any{}
		switch described, err := json.Marshal(options); {
		case err != nil:
			t.Fatal(err)
		case strings.Contains(string(described), `"domain"`):
			set["domain"], set["server"] = "example.test", host+":80"
		case strings.Contains(string(described), `"url"`):
			set["url"] = "http://" + strings.ReplaceAll(host, "%", "%25") + "/"
		case strings.Contains(string(described), `"address"`):
			set["address"] = host + ":80"
		case strings.Contains(string(described), `"host"`):
			set["host"] = addr
		default:
			t.Errorf("say here how checks of kind %s are aimed", name)
			continue
		}
		if name == "bandwidth" {
			set["profile"] = "fios"
		}
		if err := json.Unmarshal(must(json.Marshal(set))(t), options); err != nil {
			t.Fatal(err)
		}
		if faults := options.Faults(); len(faults) > 0 {
			t.Errorf("%s aimed at %s: %v", name, addr, faults)
			continue
		}
		all[name] = options
	}
	return all
}

// blockedAddresses is one address, or more, of every range that is blocked.
func blockedAddresses() []netip.Addr {
	var addrs []netip.Addr
	for _, s := range nonPublic {
		addrs = append(addrs, s.prefix.Addr().Next())
		if s.prefix.IsSingleIP() {
			addrs[len(addrs)-1] = s.prefix.Addr()
		}
	}
	for _, text := range []string{
		"169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "127.0.0.1", "127.255.255.254", "0.0.0.0",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1",
		"2002:7f00:1::1", "2002:a9fe:a9fe::1", "2001:0:7f00:1::80ff:fffe", "fe80::1%lo",
	} {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs
}

func runIn(options Options, env *Env, timeout time.Duration) Result {
	return Spec{Name: "test", Every: time.Minute, Timeout: timeout, Options: options}.Run(context.Background(), env, time.Now())
}

func namespaceAddresses(t *testing.T) {
	for _, addr := range blockedAddresses() {
		for name, options := range aimed(t, addr.String()) {
			before := packets(t)
			r := runIn(options, &Env{}, 2*time.Second)
			if r.Status != Unknown || r.Reason != ProberBlocked {
				t.Errorf("%s against %v: %s %s (%s)", name, addr, r.Status, r.Reason, r.Detail)
			}
			if sent := packets(t) - before; sent != 0 {
				t.Errorf("%s against %v: %d packets were sent", name, addr, sent)
			}
		}
	}
	// Where packets would be seen, and what is allowed is reached.
	for _, text := range []string{"10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.1.1", "240.0.0.1", "fd00::1", "2002:7f00:1::1", "64:ff9b::7f00:1", "2001::1", "::1"} {
		addr := netip.MustParseAddr(text)
		env := &Env{Allow: []netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())}}
		for name, options := range aimed(t, text) {
			before := settledPackets(t)
			r := runIn(options, env, 300*time.Millisecond)
			if sent := settledPackets(t) - before; sent == 0 || r.Reason == ProberBlocked {
				t.Errorf("%s against %v, which is allowed: %d packets, %s %s (%s)", name, addr, sent, r.Status, r.Reason, r.Detail)
			}
			if name == "http" && r.Status != Up {
				t.Errorf("%s against %v, which is allowed: %s %s (%s)", name, addr, r.Status, r.Reason, r.Detail)
			}
		}
	}
}

// namespaceRedirects has a server at an allowed address redirect to one that
// is not: no packet may come for any address but the server's own. Since the
// count is of all packets, it must be as high as without the redirect.
func namespaceRedirects(t *testing.T) {
	location := ""
	moved := must(net.Listen("tcp", "10.9.9.9:81"))(t)
	go http.Serve(moved, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusFound)
	}))
	defer moved.Close()
	listened := listenPackets(t)
	env := &Env{Allow: []netip.Prefix{netip.MustParsePrefix("10.9.9.9/32")}}
	for _, addr := range blockedAddresses() {
		if addr.Zone() != "" {
			continue
		}
		host := addr.String()
		if addr.Is6() {
			host = "[" + host + "]"
		}
		for _, location = range []string{"http://" + host + "/", "https://" + host + "/", "//" + host + "/"} {
			r := runIn(httpAt("http://10.9.9.9:81/"), env, 2*time.Second)
			if r.Status != Unknown || r.Reason != ProberBlocked {
				t.Errorf("redirected to %s: %s %s (%s)", location, r.Status, r.Reason, r.Detail)
			}
		}
	}
	location = "http://10.8.8.8/"
	also := &Env{Allow: append(env.Allow, netip.MustParsePrefix("10.8.8.8/32"))}
	if r := runIn(httpAt("http://10.9.9.9:81/"), also, 2*time.Second); r.Status != Up {
		t.Errorf("redirected to where is allowed: %s %s (%s)", r.Status, r.Reason, r.Detail)
	}
	got := listened()
	for addr := range got {
		if text := addr.String(); text != "10.9.9.9" && text != "10.8.8.8" {
			t.Errorf("%d packets went to %v", got[addr], addr)
		}
	}
	if got[netip.MustParseAddr("10.8.8.8")] == 0 || got[netip.MustParseAddr("10.9.9.9")] == 0 {
		t.Errorf("the packets that were to be seen were not: %v", slices.Collect(maps.Keys(got)))
	}
}

// namespaceNames has names lead to where nothing may go, alone and beside an
// address that is allowed, first and last.
func namespaceNames(t *testing.T) {
	zone := opened(checkstest.NewDNS(
		"private.test. 60 IN A 10.1.1.1",
		"metadata.test. 60 IN A 169.254.169.254",
		"six.test. 60 IN AAAA fd00::7",
		"mapped.test. 60 IN AAAA ::ffff:10.1.1.1",
		"mixed.test. 60 IN A 10.7.7.7", "mixed.test. 60 IN A 10.1.1.1", "mixed.test. 60 IN A 10.7.7.8",
		"families.test. 60 IN A 10.7.7.7", "families.test. 60 IN AAAA fd00::7",
		"alias.test. 60 IN CNAME private.test.",
		"allowed.test. 60 IN A 10.7.7.7", "allowed.test. 60 IN A 10.7.7.8",
	))(t)
	env := &Env{Allow: []netip.Prefix{netip.MustParsePrefix("10.7.7.0/24")}, nameServer: zone.Addr()}
	listened := listenPackets(t)
	for _, name := range []string{"private.test", "metadata.test", "six.test", "mapped.test", "mixed.test", "families.test", "alias.test"} {
		for kind, options := range aimed(t, name) {
			r := runIn(options, env, 2*time.Second)
			if r.Status != Unknown || r.Reason != ProberBlocked {
				t.Errorf("%s against %s: %s %s (%s)", kind, name, r.Status, r.Reason, r.Detail)
			}
		}
	}
	for addr, n := range listened() {
		if !addr.IsLoopback() { // the name server's
			t.Errorf("%d packets went to %v", n, addr)
		}
	}
	listened = listenPackets(t)
	if r := runIn(httpAt("http://allowed.test/"), env, 2*time.Second); r.Status != Up {
		t.Errorf("%s %s (%s)", r.Status, r.Reason, r.Detail)
	}
	if got := listened(); got[netip.MustParseAddr("10.7.7.7")]+got[netip.MustParseAddr("10.7.7.8")] == 0 {
		t.Error("the packets that were to be seen were not")
	}
}

// listenPackets counts the packets on every interface by where they go, until
// the returned function is called.
func listenPackets(t testing.TB) func() map[netip.Addr]int {
	t.Helper()
	const every = 0x0300 // ETH_P_ALL in network order
	fd := must(syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, every))(t)
	const force = 33 // SO_RCVBUFFORCE: nothing is to be dropped while this process has other things to do
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, force, 64<<20); err != nil {
		t.Fatal(err)
	}
	timeout := syscall.NsecToTimeval((100 * time.Millisecond).Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Addr]int{}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, _, err := syscall.Recvfrom(fd, buf, 0)
			if to, ok := destination(buf[:max(n, 0)]); ok {
				seen[to]++
				continue
			}
			select {
			case <-stop:
				if err != nil { // nothing came for a while
					return
				}
			default:
			}
		}
	}()
	return func() map[netip.Addr]int {
		close(stop)
		<-done
		syscall.Close(fd)
		return seen
	}
}

// destination reads where an IP packet goes.
func destination(packet []byte) (netip.Addr, bool) {
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(packet[16:20])), true
	case len(packet) >= 40 && packet[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(packet[24:40])), true
	}
	return netip.Addr{}, false
}
