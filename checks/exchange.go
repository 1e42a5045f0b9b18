package checks

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
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

// fetching is how a request is sent, apart from what it asks for. The zero
// value is for an answer whose body nobody looks at.
type fetching struct {
	slow   *throttle.Link // nil: as fast as the network goes
	use    bodyUse        // what is done with the body of the last answer
	jar    http.CookieJar // keeps the cookies of every answer; nil: one of the run's own, for redirects
	pinned netip.Addr     // the only address of the URL's host to use, admitted; invalid: any that it has

	redirects int  // how many to follow
	sameHost  bool // as HTTPRequest.SameHost has it
}

// exchange is one run of a request: its hops and the connection that they
// use at the time.
type exchange struct {
	*HTTPRequest
	fetching
	env    *Env
	answer *answer
	before Phases // what the hops before this one took
	hoard  int    // bytes of cookies that were kept

	place place
	conn  net.Conn    // nil when none is open
	stop  func() bool // ends the watch over conn
	// How conn is spoken over; one of them once it is open.
	h1 *http1
	h2 *http.ClientConn
	h3 *http3Conn

	frames *frameGuard // beneath h2
}

// fetch sends the request, follows redirects and reads the last answer. What
// was found out is in the answer even when there is a finding. With a slow link
// it keeps to HTTP/1.1, whose turns can be told.
func (r *HTTPRequest) fetch(ctx context.Context, env *Env, slow *throttle.Link, use bodyUse) (*answer, finding) {
	return r.fetchBy(ctx, env, fetching{slow: slow, use: use})
}

// fetchBy is fetch with more said about how; what the request itself says of
// redirects counts.
func (r *HTTPRequest) fetchBy(ctx context.Context, env *Env, how fetching) (*answer, finding) {
	a := &answer{watch: startWatch(), now: env.now()}
	if err := r.prepare(); err != nil {
		return a, against(ProberInternal, "%v", err)
	}
	how.redirects, how.sameHost = r.Redirects, r.SameHost
	x := &exchange{HTTPRequest: r, fetching: how, env: env, answer: a}
	defer x.close()
	h := &r.first
	if r.OAuth2.set() {
		var f finding
		if h, f = x.authorize(ctx, h); f.status != "" {
			return a, f
		}
	}
	_, _, f := x.follow(ctx, h)
	return a, f
}

// follow sends h and what its redirects lead to, and reads the last answer,
// which it returns with the request that it is to.
func (x *exchange) follow(ctx context.Context, h *hop) (last *hop, answered *http.Response, f finding) {
	a, renewed := x.answer, false
	a.until, _ = ctx.Deadline()
	a.limit = x.MaxBody
	x.before = nil
	status := 0
	defer func() {
		if a.redirects > 0 {
			x.endHop(h, status)
		}
	}()
	for {
		status = 0
		answered, f = x.send(ctx, h)
		if f.status != "" {
			return h, nil, f
		}
		status = answered.StatusCode
		if status == http.StatusUnauthorized && h.token != "" && !renewed {
			renewed = true // the token may have been taken back before its time
			x.finish(answered)
			if h, f = x.authorize(ctx, h); f.status != "" {
				return h, nil, f
			}
			continue
		}
		next, f := x.next(h, answered)
		if f.status != "" {
			return h, nil, f
		}
		if next != nil || x.jar != nil {
			x.keepCookies(h, answered)
		}
		if next == nil {
			return h, answered, x.read(answered)
		}
		a.redirects++
		x.finish(answered)
		x.endHop(h, status)
		h = next
	}
}

// next returns where an answer leads on to; nil when it is the last.
func (x *exchange) next(h *hop, answered *http.Response) (*hop, finding) {
	if x.redirects == 0 {
		return nil, finding{}
	}
	next, err := h.redirected(answered)
	switch {
	case err != nil:
		return nil, against(HTTPRedirect, "%v", err)
	case next == nil:
		return nil, finding{}
	case x.answer.redirects == x.redirects:
		return nil, against(HTTPRedirect, "followed %d redirects, and the last leads on to %s", x.answer.redirects, shownURL(next.url))
	}
	if x.sameHost {
		if err := next.staysWith(h); err != nil {
			return nil, against(HTTPRedirect, "%v", err)
		}
	}
	return next, finding{}
}

// endHop notes what became of h.
func (x *exchange) endHop(h *hop, status int) {
	phases := x.answer.watch.phases
	took := Phases{}
	for name, ms := range phases {
		if since := ms - x.before[name]; since > 0 {
			took[name] = since
		}
	}
	x.answer.hops = append(x.answer.hops, h.line(status, took))
	x.before = maps.Clone(phases)
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
		if errors.Is(err, errOtherVersion) {
			return nil, h.version.refused("%v", err)
		}
		return nil, classify(stageHeader, err)
	}
	if x.h1 != nil && x.h1.relayed && answered.StatusCode == http.StatusProxyAuthRequired {
		return nil, x.proxy.refuses(answered.StatusCode)
	}
	x.answer.heard(answered)
	return answered, h.version.judgeAnswer(answered.Proto)
}

// heard notes what the header of an answer says.
func (a *answer) heard(answered *http.Response) {
	a.status = answered.StatusCode
	a.version = strings.TrimPrefix(answered.Proto, "HTTP/")
	if answered.ProtoMajor >= 2 {
		a.version = strings.TrimSuffix(a.version, ".0")
	}
	a.header = answered.Header
}

// roundTrip sends h and returns the answer when its header has come.
func (x *exchange) roundTrip(ctx context.Context, h *hop) (*http.Response, error) {
	req := x.request(ctx, h)
	switch {
	case x.h3 != nil:
		answered, err := x.h3.roundTrip(req)
		if err == nil {
			x.begins()
		}
		return answered, err
	case x.h2 != nil:
		answered, err := x.h2.RoundTrip(req)
		if err == nil {
			x.begins()
		}
		return answered, x.frames.explain(err)
	}
	if err := x.h1.send(req); err != nil {
		return nil, err
	}
	x.begins()
	return x.h1.receive(req, int64(x.MaxBody))
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

// keepCookies remembers the cookies of an answer for the hops after it.
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

// finish reads the rest of an answer that is not the last so that its
// connection can be used again, or closes it if there is too much or it is the
// last on it anyway.
func (x *exchange) finish(answered *http.Response) {
	n, err := io.Copy(io.Discard, io.LimitReader(answered.Body, maxReuseBody))
	x.answer.watch.mark(phaseTransfer)
	switch {
	case err != nil, n == maxReuseBody, x.h1 != nil && (answered.Close || x.h1.upload != nil):
		x.close()
	case x.h1 == nil:
		answered.Body.Close()
	}
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
	if x.h3 != nil {
		x.h3.close()
	}
	// A last word for TLS would be polite but could block.
	bare := x.conn
	for secured, ok := bare.(*tls.Conn); ok; secured, ok = bare.(*tls.Conn) {
		bare = secured.NetConn()
	}
	bare.Close()
	if x.h2 != nil {
		x.h2.Close()
	}
	if x.h1 != nil && x.h1.upload != nil {
		<-x.h1.upload
	}
	x.conn, x.stop, x.h1, x.h2, x.h3, x.frames = nil, nil, nil, nil, nil, nil
}
