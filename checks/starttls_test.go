package checks

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nines/checks/checkstest"
	"nines/checks/starttls"
	"nines/internal/peer"
)

func TestTLSAfterStartTLS(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	for _, protocol := range starttls.Protocols() {
		t.Run(protocol, func(t *testing.T) {
			server := opened(checkstest.NewStartTLS(protocol, cert))(t)
			c := tlsAt(server.Addr(), ca.PEM())
			c.StartTLS = protocol
			r := run(t, c, 10*time.Second, loopback())
			wants(t, r, Up, "")
			sumsUp(t, r)
			if r.Facts["starttls_ms"] == nil || r.Facts["cert_expires"] == nil {
				t.Errorf("facts %v", r.Facts)
			}
			server.SetFault(checkstest.StartTLSRefuse)
			wants(t, run(t, c, 10*time.Second, loopback()), Down, TLSStartTLS)
			server.SetFault(checkstest.StartTLSStall)
			wants(t, run(t, c, 300*time.Millisecond, loopback()), Down, TLSTimeout)
			server.SetFault(checkstest.StartTLSInject)
			wants(t, run(t, c, 10*time.Second, loopback()), Down, TLSStartTLS)
			plain := tlsAt(server.Addr(), ca.PEM()) // TLS from the first byte on, to a server that does not speak it
			server.SetFault(checkstest.StartTLSOther)
			wants(t, run(t, plain, 10*time.Second, loopback()), Down, TLSHandshake)
		})
	}
	for protocol, want := range map[string]uint16{"": 443, "smtp": 25, "imap": 143, "pop3": 110, "ftp": 21, "ldap": 389, "postgres": 5432, "mysql": 3306} {
		if got := defaultPort(protocol); got != want {
			t.Errorf("%q: port %d", protocol, got)
		}
	}
}

// A real PostgreSQL, with TLS and then without.
func TestPostgres(t *testing.T) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		peer.Missing(t, "PostgreSQL is not installed")
	}
	bin := filepath.Dir(found[len(found)-1])
	dir := must(os.MkdirTemp("/tmp", "nines-postgres"))(t)
	t.Cleanup(func() { os.RemoveAll(dir) })
	as := new(syscall.SysProcAttr)
	if os.Getuid() == 0 { // as which it does not run
		owner, err := user.Lookup("postgres")
		if err != nil {
			peer.Missing(t, "there is no user postgres")
		}
		uid, gid := must(strconv.Atoi(owner.Uid))(t), must(strconv.Atoi(owner.Gid))(t)
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, as
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := command("initdb", "-D", data, "-U", "nines", "--auth=trust", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	ca, cert := issue(t, checkstest.Leaf{})
	writePair(t, data, cert, as.Credential)
	for _, tt := range []struct {
		ssl    string
		status Status
		reason Reason
	}{{"on", Up, ""}, {"off", Down, TLSStartTLS}} {
		address := freePort(t)
		_, port, _ := net.SplitHostPort(address)
		server := command("postgres", "-D", data, "-p", port, "-k", dir, "-h", "127.0.0.1", "-c", "ssl="+tt.ssl,
			"-c", "ssl_cert_file="+filepath.Join(data, "cert.pem"), "-c", "ssl_key_file="+filepath.Join(data, "key.pem"))
		var log bytes.Buffer
		server.Stderr = &log
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		stop := func() { server.Process.Signal(syscall.SIGINT); server.Wait() }
		if !listens(address) {
			stop()
			t.Fatalf("PostgreSQL does not listen:\n%s", &log)
		}
		c := tlsAt(address, ca.PEM())
		c.StartTLS = "postgres"
		r := run(t, c, 10*time.Second, loopback())
		wants(t, r, tt.status, tt.reason)
		stop()
	}
}

// writePair puts a certificate and its key into cert.pem and key.pem of dir.
func writePair(t testing.TB, dir string, cert tls.Certificate, owner *syscall.Credential) (certPEM, keyPEM string) {
	t.Helper()
	var chain bytes.Buffer
	for _, der := range cert.Certificate {
		pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(cert.PrivateKey))(t)})
	if dir == "" {
		return chain.String(), string(key)
	}
	for name, data := range map[string][]byte{"cert.pem": chain.Bytes(), "key.pem": key} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if owner != nil {
			if err := os.Chown(file, int(owner.Uid), int(owner.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return chain.String(), string(key)
}

// listens waits until something does at an address, for half a minute.
func listens(address string) bool {
	for range 300 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return true
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

// Our servers understand openssl's client too: that they are of the protocols,
// and not of our own making.
func TestOpenSSLTalksToOurServers(t *testing.T) {
	openssl := peer.Program(t, "openssl")
	_, cert := issue(t, checkstest.Leaf{})
	for _, protocol := range starttls.Protocols() {
		server := opened(checkstest.NewStartTLS(protocol, cert))(t)
		cmd := exec.Command(openssl, "s_client", "-starttls", protocol, "-connect", server.Addr(), "-brief")
		cmd.Stdin = strings.NewReader("")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "CONNECTION ESTABLISHED") {
			t.Errorf("%s: %v\n%s", protocol, err, out)
		}
	}
}
