package browser

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"
)

// relay is the proxy that one Chromium has for all that it asks for.
type relay struct {
	listener net.Listener
	server   *http.Server
	forward  *httputil.ReverseProxy // of requests for http addresses
	dial     func(context.Context, string, string) (net.Conn, error)
	user     string
	password string
	ctx      context.Context // of all connections
	cancel   context.CancelFunc
	most     int64
	bytes    atomic.Int64 // come down, all told
	tunnels  sync.WaitGroup

	mu       sync.Mutex // protects following
	failures map[string]error
	reached  map[string]bool
	refused  int
	tooMuch  func() // called once more than most bytes have come
}

// refusedHeader marks an answer that is the relay's own.
const refusedHeader = "X-Nines-Relay"

func newRelay(dial func(context.Context, string, string) (net.Conn, error), most int64) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{
		listener: l, dial: dial, user: "nines", password: rand.Text(), most: most,
		failures: map[string]error{}, reached: map[string]bool{}, tooMuch: func() {},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	quiet := log.New(io.Discard, "", 0)
	r.forward = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL, p.Out.Host = p.In.URL, p.In.Host
			p.Out.Header.Del("Proxy-Authorization")
		},
		Transport: &http.Transport{
			DialContext:        func(_ context.Context, _, addr string) (net.Conn, error) { return r.connect(addr) },
			DisableCompression: true,
			IdleConnTimeout:    time.Minute,
		},
		FlushInterval: -1,
		ErrorLog:      quiet,
		ErrorHandler: func(w http.ResponseWriter, in *http.Request, err error) {
			r.fail(address(in.URL.Hostname(), in.URL.Port(), "80"), err)
			refuse(w, http.StatusBadGateway)
		},
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 256 << 10, ErrorLog: quiet}
	go r.server.Serve(l)
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

// close ends every connection, and returns when all have ended.
func (r *relay) close() {
	r.cancel()
	r.server.Close()
	r.forward.Transport.(*http.Transport).CloseIdleConnections()
	r.tunnels.Wait()
}

func refuse(w http.ResponseWriter, code int) {
	w.Header().Set(refusedHeader, "refused")
	w.WriteHeader(code)
}

// ServeHTTP takes a tunnel (CONNECT) or a request for an http address.
func (r *relay) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	wanted := "Basic " + base64.StdEncoding.EncodeToString([]byte(r.user+":"+r.password))
	if subtle.ConstantTimeCompare([]byte(in.Header.Get("Proxy-Authorization")), []byte(wanted)) != 1 {
		w.Header().Set("Proxy-Authenticate", `Basic realm="nines"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	switch host, _, _ := net.SplitHostPort(in.Host); {
	case host == errandHost:
		refuse(w, http.StatusBadGateway)
	case in.Method == http.MethodConnect:
		r.tunnel(w, in)
	case in.URL.Scheme == "http" && in.URL.Host != "":
		r.forward.ServeHTTP(w, in)
	default:
		refuse(w, http.StatusBadRequest)
	}
}

// address returns host:port.
func address(host, port, otherwise string) string {
	if port == "" {
		port = otherwise
	}
	return net.JoinHostPort(host, port)
}

// connect dials, and notes what came of it.
func (r *relay) connect(addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	conn, err := r.dial(r.ctx, host, port)
	if err != nil { // a dial that ends with the load was not refused
		r.fail(addr, err)
		if r.ctx.Err() == nil {
			r.mu.Lock()
			r.refused++
			r.mu.Unlock()
		}
		return nil, err
	}
	r.mu.Lock()
	r.reached[addr] = true
	r.mu.Unlock()
	counted := &countedConn{Conn: conn, relay: r}
	counted.stop = context.AfterFunc(r.ctx, func() { conn.Close() })
	return counted, nil
}

// fail keeps the first thing that went wrong towards an address.
func (r *relay) fail(addr string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.failures[addr]; !known && !errors.Is(err, context.Canceled) {
		r.failures[addr] = err
	}
}

// failure returns what went wrong towards an address, if anything did.
func (r *relay) failure(addr string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures[addr]
}

func (r *relay) counts() (bytes int64, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.Load(), r.refused
}

// onTooMuch has f called once more has come than is allowed.
func (r *relay) onTooMuch(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tooMuch = f
}

func (r *relay) tunnel(w http.ResponseWriter, in *http.Request) {
	r.tunnels.Add(1)
	defer r.tunnels.Done()
	far, err := r.connect(in.Host)
	if err != nil {
		refuse(w, http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	stop := context.AfterFunc(r.ctx, func() { near.Close() })
	defer stop()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(far, buffered)
		far.Close()
	})
	both.Go(func() {
		io.Copy(near, far)
		near.Close()
	})
	both.Wait()
}

// countedConn counts what comes down, and ends when that is too much.
type countedConn struct {
	net.Conn
	relay *relay
	stop  func() bool
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if total := c.relay.bytes.Add(int64(n)); total > c.relay.most {
		c.relay.mu.Lock()
		tooMuch := c.relay.tooMuch
		c.relay.mu.Unlock()
		tooMuch()
		return 0, ErrTooMuch
	}
	return n, err
}

func (c *countedConn) Close() error {
	c.stop()
	return c.Conn.Close()
}
