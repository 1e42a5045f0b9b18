package checks

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"time"

	"nines/checks/throttle"
)

// throttledBuffer is how much is read at once from a slow link, plainBuffer
// from any other.
const (
	throttledBuffer = 64 << 10
	plainBuffer     = 4 << 10
)

// exchange is one run of a request: its hops and the connection that they
// use at the time.
type exchange struct {
	*HTTPRequest
	env    *Env
	slow   *throttle.Link // nil: as fast as the network goes
	answer *answer
	jar    http.CookieJar // from the first redirect on
	hoard  int            // bytes of cookies put into it

	place  place
	conn   net.Conn         // nil when none is open
	stop   func() bool      // ends the watch over conn
	h1     *bufio.Reader    // of conn, for HTTP/1.1
	limit  *limited         // beneath h1
	h2     *http.ClientConn // of conn, for HTTP/2
	upload chan error       // of a body that is sent beside reading; nil when none is
}

// fetch sends the request, follows redirects and reads the last answer. What
// was found out is in the answer even when there is a finding. With a slow link
// it keeps to HTTP/1.1, whose turns can be told.
func (r *HTTPRequest) fetch(ctx context.Context, env *Env, slow *throttle.Link, keepBody bool) (*answer, finding) {
	a := &answer{watch: startWatch(), now: env.now()}
	if err := r.prepare(); err != nil {
		return a, against(ProberInternal, "%v", err)
	}
	x := &exchange{HTTPRequest: r, env: env, slow: slow, answer: a}
	defer x.close()
	for h := &r.first; ; {
		answered, f := x.send(ctx, h)
		if f.status != "" {
			return a, f
		}
		if r.Redirects == 0 {
			return a, x.read(answered, keepBody)
		}
		next, err := h.redirected(answered)
		switch {
		case err != nil:
			return a, against(HTTPRedirect, "%v", err)
		case next == nil:
			return a, x.read(answered, keepBody)
		case a.redirects == r.Redirects:
			return a, against(HTTPRedirect, "followed %d redirects, and the last leads on to %s", a.redirects, clip(next.url.Redacted(), 200))
		}
		a.redirects++
		x.keepCookies(h, answered)
		x.finish(answered)
		h = next
	}
}

// send makes one request and returns its answer when the header has come. A
// connection that was kept after a redirect may be closed by then; a new one
// is used if so.
func (x *exchange) send(ctx context.Context, h *hop) (*http.Response, finding) {
	reused := x.conn != nil && x.place == h.place
	if !reused {
		x.close()
		if f := x.open(ctx, h); f.status != "" {
			return nil, f
		}
	}
	answered, err := x.roundTrip(ctx, h)
	if err != nil && reused && ctx.Err() == nil && !isTimeout(err) {
		x.close()
		if f := x.open(ctx, h); f.status != "" {
			return nil, f
		}
		answered, err = x.roundTrip(ctx, h)
	}
	if err != nil {
		x.answer.watch.mark(phaseFirstByte)
		return nil, classify(stageHeader, err)
	}
	x.answer.status = answered.StatusCode
	x.answer.version = strings.TrimPrefix(answered.Proto, "HTTP/")
	if answered.ProtoMajor == 2 {
		x.answer.version = "2"
	}
	x.answer.header = answered.Header
	return answered, finding{}
}

// open connects to where h goes, shakes hands and judges the certificate.
func (x *exchange) open(ctx context.Context, h *hop) finding {
	watch := &x.answer.watch
	addrs, asked, err := x.env.locate(ctx, x.IP, h.place.host)
	if asked && err == nil && x.slow != nil {
		err = x.slow.RoundTrip(ctx)
	}
	if asked {
		watch.mark(phaseDNS)
	}
	if err != nil {
		return classify(stageDNS, err)
	}
	before := watch.took()
	conn, err := x.env.connect(ctx, addrs, h.place.port)
	if err == nil {
		x.conn, x.place = conn, h.place
		x.answer.remote = remoteIP(conn)
		if x.slow != nil {
			err = x.slow.RoundTrip(ctx)
			x.conn = x.slow.Conn(conn)
		}
	}
	watch.mark(phaseConnect)
	if err != nil {
		return classify(stageConnect, err)
	}
	if took := watch.took() - before; x.answer.connecting == 0 || took < x.answer.connecting {
		x.answer.connecting = took
	}
	x.stop = cutAtEnd(ctx, x.conn)
	if h.place.scheme == "https" {
		f := x.secure(ctx, h)
		watch.mark(phaseTLS)
		if f.status != "" {
			return f
		}
	}
	if x.h2 == nil {
		size := plainBuffer
		if x.slow != nil {
			size = throttledBuffer
		}
		x.limit = &limited{r: x.conn, left: maxHeader}
		x.h1 = bufio.NewReaderSize(x.limit, size)
	}
	return finding{}
}

// secure shakes hands on x.conn and judges the certificate.
func (x *exchange) secure(ctx context.Context, h *hop) finding {
	config := h.config
	switch {
	case x.slow != nil:
		config = x.config(h.server, "http/1.1")
	case config == nil:
		config = x.config(h.server, "h2", "http/1.1")
	}
	secured, err := handshake(x.conn, config)
	if err != nil {
		return classify(stageTLS, err)
	}
	x.conn = secured
	state := secured.ConnectionState()
	var f finding
	x.answer.tlsVersion = tls.VersionName(state.Version)
	x.answer.certificate, f = x.judge(&state, h.server, x.answer.now)
	if f.status != "" || state.NegotiatedProtocol != "h2" {
		return f
	}
	ctx = context.WithValue(ctx, handedOver{}, guardFrames(secured, x.MaxBody))
	if x.h2, err = http2().NewClientConn(ctx, "http", net.JoinHostPort(h.place.host, fmt.Sprint(h.place.port))); err != nil {
		return classify(stageHeader, err)
	}
	return finding{}
}

// cutAtEnd makes every read and write on conn fail once ctx ends. The returned
// function stops that.
func cutAtEnd(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

// close ends the connection, if there is one.
func (x *exchange) close() {
	if x.conn == nil {
		return
	}
	if x.stop != nil {
		x.stop()
	}
	// A last word for TLS would be polite but could block.
	if secured, ok := x.conn.(*tls.Conn); ok {
		secured.NetConn().Close()
	} else {
		x.conn.Close()
	}
	if x.h2 != nil {
		x.h2.Close()
	}
	if x.upload != nil {
		<-x.upload
	}
	x.conn, x.stop, x.h1, x.h2, x.upload = nil, nil, nil, nil, nil
}

// roundTrip sends h and returns the answer when its header has come.
func (x *exchange) roundTrip(ctx context.Context, h *hop) (*http.Response, error) {
	req := x.request(ctx, h)
	if x.h2 != nil {
		answered, err := x.h2.RoundTrip(req)
		if err == nil {
			x.begins()
		}
		return answered, err
	}
	x.limit.left = maxHeader
	if err := x.write(req); err != nil {
		return nil, err
	}
	if _, err := x.h1.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			err = errNothing
		}
		return nil, err
	}
	x.begins()
	for range maxInterim + 1 {
		answered, err := http.ReadResponse(x.h1, req)
		if err != nil && x.limit.err != nil {
			err = x.limit.err // and not that the line which it cut short is malformed
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errHeaderShort
		case errors.Is(err, errTooLarge):
			return nil, fmt.Errorf("the answer's header is %w: more than %d bytes", errTooLarge, maxHeader)
		case err != nil:
			return nil, err
		case answered.ProtoMajor != 1:
			return nil, fmt.Errorf("version %s was not asked for", clip(answered.Proto, 40))
		case answered.StatusCode >= 200 || answered.StatusCode == http.StatusSwitchingProtocols:
			// Twice the largest body leaves room for the framing of any sane one.
			x.limit.left = 2*int64(x.MaxBody) + maxHeader
			return answered, nil
		}
	}
	return nil, fmt.Errorf("more than %d interim answers", maxInterim)
}

// begins notes that an answer has begun.
func (x *exchange) begins() {
	x.answer.watch.mark(phaseFirstByte)
	x.answer.firstByte = x.answer.watch.took()
	if x.slow != nil {
		x.answer.carried = -x.slow.Received()
	}
}

func (x *exchange) request(ctx context.Context, h *hop) *http.Request {
	req := &http.Request{
		Method: h.method, URL: h.url, Host: h.host, Header: h.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if h.body != "" {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(h.body)), int64(len(h.body))
	}
	if x.jar != nil {
		if cookies := x.jar.Cookies(h.url); len(cookies) > 0 {
			req.Header = h.header.Clone()
			for _, cookie := range cookies {
				req.AddCookie(cookie)
			}
		}
	}
	return req.WithContext(ctx)
}

// write sends req. One that does not surely fit into the system's buffers is
// sent beside reading the answer, which may come before all of it is taken.
func (x *exchange) write(req *http.Request) error {
	var whole bytes.Buffer
	if err := req.Write(&whole); err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	if whole.Len() > 8<<10 {
		x.upload = make(chan error, 1)
		go func(conn net.Conn, done chan error) {
			_, err := conn.Write(whole.Bytes())
			done <- err
		}(x.conn, x.upload)
		return nil
	}
	// A server that answers without reading may have closed already: then the
	// answer is there to be read although writing failed.
	if _, err := x.conn.Write(whole.Bytes()); err != nil && !isReset(err) {
		return err
	}
	return nil
}

// read reads the body of the last answer.
func (x *exchange) read(answered *http.Response, keep bool) finding {
	err := x.readBody(answered, keep)
	x.answer.watch.mark(phaseTransfer)
	x.answer.transfer = x.answer.watch.took() - x.answer.firstByte
	if x.slow != nil {
		x.answer.carried += x.slow.Received()
	}
	return classify(stageBody, err)
}

func (x *exchange) readBody(answered *http.Response, keep bool) error {
	limit := int64(x.MaxBody)
	tooLarge := fmt.Errorf("the body is %w: more than max_body, %d bytes", errTooLarge, limit)
	if answered.ContentLength > limit && answered.Request.Method != http.MethodHead {
		return tooLarge
	}
	body := io.Reader(answered.Body)
	if strings.EqualFold(answered.Header.Get("Content-Encoding"), "gzip") && answered.Request.Header.Get("Accept-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		switch {
		case err == io.EOF: // an empty body is not packed
			return nil
		case err != nil:
			return gzipFault(err)
		}
		body = unpacked
	}
	body = io.LimitReader(body, limit+1)
	var err error
	var n int64
	if keep {
		x.answer.body, n, err = gather(body, answered.ContentLength, limit)
	} else {
		n, err = io.Copy(io.Discard, body)
	}
	x.answer.bodyBytes = int(n)
	switch {
	case err == nil && n > limit, errors.Is(err, errTooLarge):
		return tooLarge
	case err != nil:
		return gzipFault(err)
	}
	return nil
}

// gzipFault makes it plain when it is the packing that is wrong.
func gzipFault(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return fmt.Errorf("its body is not the gzip that it says: %w", err)
	}
	return err
}

// keepCookies remembers the cookies of a redirect for the hops after it.
func (x *exchange) keepCookies(h *hop, answered *http.Response) {
	cookies := answered.Cookies()
	if len(cookies) == 0 {
		return
	}
	if x.jar == nil {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return
		}
		x.jar = jar
	}
	for _, cookie := range cookies {
		if size := len(cookie.Raw); x.hoard+size <= maxCookieBytes {
			x.hoard += size
			x.jar.SetCookies(h.url, []*http.Cookie{cookie})
		}
	}
}

// finish reads the rest of a redirect so that its connection can be used
// again, or closes it if there is too much or it is the last on it anyway.
func (x *exchange) finish(answered *http.Response) {
	n, err := io.Copy(io.Discard, io.LimitReader(answered.Body, maxReuseBody))
	x.answer.watch.mark(phaseTransfer)
	switch {
	case err != nil, n == maxReuseBody, x.h2 == nil && answered.Close, x.upload != nil:
		x.close()
	case x.h2 != nil:
		answered.Body.Close()
	}
}

// limited reads until left is used up, which is then an error.
type limited struct {
	r    io.Reader
	left int64
	err  error // the first that reading ended with
}

func (l *limited) Read(p []byte) (n int, err error) {
	if l.left <= 0 {
		err = errTooLarge
	} else {
		n, err = l.r.Read(p[:min(int64(len(p)), l.left)])
		l.left -= int64(n)
	}
	if l.err == nil {
		l.err = err
	}
	return n, err
}
