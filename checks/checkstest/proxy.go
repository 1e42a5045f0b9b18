package checkstest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ProxyFault is what a proxy does wrong.
type ProxyFault int

// The faults of a proxy. Those that stall last until the client has gone or the
// proxy is closed.
const (
	ProxyHealthy ProxyFault = iota
	ProxySilent             // accepts, and never says anything
	ProxyStall              // takes the request for a tunnel, and never answers it
	ProxyReset              // takes the request for a tunnel and resets
	ProxyGarbage            // answers with something else
	ProxyEager              // sends something through the tunnel before it is asked
)

// Proxy is a proxy on loopback: HTTP, HTTP over TLS, or SOCKS version 5.
type Proxy struct {
	listener *listener
	config   *tls.Config // nil without TLS
	socks    bool

	mu             sync.Mutex
	user, password string
	names          map[string]string // host:port that is asked for, to where it is
	answer         int               // a status of HTTP or a reply of SOCKS; zero: what is right
	fault          ProxyFault
	asked          []string
	headers        []http.Header
}

// NewProxy starts an HTTP proxy on a free port of 127.0.0.1.
func NewProxy() (*Proxy, error) { return newProxy(nil, false) }

// NewProxyTLS starts an HTTP proxy that is spoken to over TLS.
func NewProxyTLS(cert tls.Certificate) (*Proxy, error) {
	return newProxy(&tls.Config{Certificates: []tls.Certificate{cert}}, false)
}

// NewSOCKS starts a proxy for SOCKS version 5.
func NewSOCKS() (*Proxy, error) { return newProxy(nil, true) }

func newProxy(config *tls.Config, socks bool) (*Proxy, error) {
	p := &Proxy{config: config, socks: socks, names: map[string]string{}}
	var err error
	if p.listener, err = listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	p.listener.start(p.serve)
	return p, nil
}

// Addr returns host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL returns the proxy's address, with that user in it if not empty.
func (p *Proxy) URL(user string) string {
	scheme := "http"
	switch {
	case p.socks:
		scheme = "socks5"
	case p.config != nil:
		scheme = "https"
	}
	if user != "" {
		user += "@"
	}
	return scheme + "://" + user + p.Addr()
}

// Close ends the proxy and every connection to it.
func (p *Proxy) Close() error { return p.listener.Close() }

// Name says where a host:port leads that the proxy is asked for.
func (p *Proxy) Name(hostPort, addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names[hostPort] = addr
}

// Demand makes the proxy ask for a user and a password.
func (p *Proxy) Demand(user, password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.user, p.password = user, password
}

// Set says what the proxy answers instead of connecting, a status of HTTP or a
// reply of SOCKS, or zero, and what goes wrong.
func (p *Proxy) Set(answer int, fault ProxyFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer, p.fault = answer, fault
}

// Asked returns what the proxy was asked for, such as CONNECT example.com:443,
// and with which headers.
func (p *Proxy) Asked() ([]string, []http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked), slices.Clone(p.headers)
}

func (p *Proxy) note(asked string, header http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.headers = append(p.asked, asked), append(p.headers, header)
}

func (p *Proxy) serve(conn net.Conn) {
	p.mu.Lock()
	fault := p.fault
	p.mu.Unlock()
	if fault == ProxySilent {
		io.Copy(io.Discard, conn)
		return
	}
	if p.config != nil {
		conn = tls.Server(conn, p.config)
	}
	if p.socks {
		p.serveSOCKS(conn, fault)
		return
	}
	reader := bufio.NewReader(conn)
	for p.serveHTTP(conn, reader, fault) {
	}
}

// goesWrong does what the fault says about a request for a tunnel, and reports
// whether there is one.
func goesWrong(conn net.Conn, fault ProxyFault) bool {
	switch fault {
	case ProxyStall:
		io.Copy(io.Discard, conn)
	case ProxyReset:
		reset(conn)
	case ProxyGarbage:
		io.WriteString(conn, "SSH-2.0-OpenSSH_9.6\r\n\r\n")
	}
	return fault == ProxyStall || fault == ProxyReset || fault == ProxyGarbage
}

// serveHTTP serves one request and reports whether another may come.
func (p *Proxy) serveHTTP(conn net.Conn, reader *bufio.Reader, fault ProxyFault) bool {
	req, err := http.ReadRequest(reader)
	if err != nil {
		return false
	}
	p.note(req.Method+" "+req.RequestURI, req.Header)
	if goesWrong(conn, fault) {
		return false
	}
	p.mu.Lock()
	answer := p.answer
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.user+":"+p.password))
	if p.user != "" && req.Header.Get("Proxy-Authorization") != login {
		answer = http.StatusProxyAuthRequired
	}
	p.mu.Unlock()
	target, err := p.dial(req.Host, 80)
	if err != nil && answer == 0 {
		answer = http.StatusBadGateway
	}
	if answer != 0 {
		if target != nil {
			target.Close()
		}
		fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", answer, http.StatusText(answer))
		return true
	}
	defer target.Close()
	if req.Method == http.MethodConnect {
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		if fault == ProxyEager {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		}
		p.join(conn, reader, target)
		return false
	}
	req.Header.Del("Proxy-Authorization")
	req.RequestURI = ""
	if req.Write(target) != nil {
		return false
	}
	answered, err := http.ReadResponse(bufio.NewReader(target), req)
	if err != nil {
		return false
	}
	defer answered.Body.Close()
	return answered.Write(conn) == nil
}

// dial connects to what was asked for; hosts without a port have that one.
func (p *Proxy) dial(hostPort string, port int) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(hostPort); err != nil {
		hostPort = net.JoinHostPort(strings.Trim(hostPort, "[]"), strconv.Itoa(port))
	}
	p.mu.Lock()
	if addr, named := p.names[hostPort]; named {
		hostPort = addr
	}
	p.mu.Unlock()
	return net.DialTimeout("tcp", hostPort, 5*time.Second)
}

// join carries bytes both ways until either side ends or the proxy is closed.
func (p *Proxy) join(conn net.Conn, from io.Reader, target net.Conn) {
	var ways sync.WaitGroup
	ways.Go(func() {
		io.Copy(target, from)
		target.Close()
	})
	ways.Go(func() {
		io.Copy(conn, target)
		conn.Close()
	})
	ways.Wait()
}

// The parts of SOCKS (RFC 1928 and RFC 1929).
const (
	socksVersion  = 5
	socksNoLogin  = 0
	socksLogin    = 2
	socksNoMethod = 0xff
)

func (p *Proxy) serveSOCKS(conn net.Conn, fault ProxyFault) {
	if !p.greetSOCKS(conn) {
		return
	}
	asked, err := readSOCKS(conn)
	if err != nil {
		return
	}
	p.note("CONNECT "+asked, nil)
	if goesWrong(conn, fault) {
		return
	}
	p.mu.Lock()
	reply := p.answer
	p.mu.Unlock()
	target, err := p.dial(asked, 0)
	if err != nil && reply == 0 {
		reply = 5
	}
	conn.Write([]byte{socksVersion, byte(reply), 0, 1, 127, 0, 0, 1, 0, 0})
	if reply == 0 {
		p.join(conn, conn, target)
	} else if target != nil {
		target.Close()
	}
}

// greetSOCKS agrees on how to log in, and does.
func (p *Proxy) greetSOCKS(conn net.Conn) bool {
	var begin [2]byte
	if _, err := io.ReadFull(conn, begin[:]); err != nil || begin[0] != socksVersion {
		return false
	}
	methods := make([]byte, begin[1])
	if _, err := io.ReadFull(conn, methods); err != nil {
		return false
	}
	p.mu.Lock()
	user, password := p.user, p.password
	p.mu.Unlock()
	method := byte(socksNoLogin)
	if user != "" {
		method = socksLogin
	}
	if !slices.Contains(methods, method) {
		conn.Write([]byte{socksVersion, socksNoMethod})
		return false
	}
	conn.Write([]byte{socksVersion, method})
	if method == socksNoLogin {
		return true
	}
	var version [1]byte
	if _, err := io.ReadFull(conn, version[:]); err != nil {
		return false
	}
	gotUser, err1 := readCounted(conn)
	gotPassword, err2 := readCounted(conn)
	if err1 != nil || err2 != nil || gotUser != user || gotPassword != password {
		conn.Write([]byte{1, 1})
		return false
	}
	conn.Write([]byte{1, 0})
	return true
}

// readSOCKS reads what is asked for, as host:port.
func readSOCKS(conn net.Conn) (string, error) {
	var begin [4]byte
	if _, err := io.ReadFull(conn, begin[:]); err != nil {
		return "", err
	}
	var host string
	switch begin[3] {
	case 1, 4:
		addr := make([]byte, map[byte]int{1: net.IPv4len, 4: net.IPv6len}[begin[3]])
		if _, err := io.ReadFull(conn, addr); err != nil {
			return "", err
		}
		host = net.IP(addr).String()
	case 3:
		var err error
		if host, err = readCounted(conn); err != nil {
			return "", err
		}
	default:
		return "", errors.New("an address of an unknown type")
	}
	var port [2]byte
	if _, err := io.ReadFull(conn, port[:]); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port[:])))), nil
}

// readCounted reads text behind its length.
func readCounted(r io.Reader) (string, error) {
	var length [1]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return "", err
	}
	text := make([]byte, length[0])
	_, err := io.ReadFull(r, text)
	return string(text), err
}
