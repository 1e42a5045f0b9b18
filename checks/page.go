package checks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"nines/checks/browser"
	"nines/checks/throttle"
)

// PageExpect is what a page loaded in a browser must be like. Whatever is not
// met makes the result degraded.
type PageExpect struct {
	LoadWithin      time.Duration `json:"load_within" doc:"The longest until the page's load event; for page: true; default: any time." example:"10s"`
	LCPWithin       time.Duration `json:"lcp_within" doc:"The longest until the largest thing on the first screen is painted; for page: true; default: any time." example:"4s"`
	MaxCLS          float64       `json:"max_cls" doc:"How far the layout may shift while it loads (CLS); for page: true; default: any." example:"0.1"`
	MaxRequests     int           `json:"max_requests" doc:"How many requests the page may make; for page: true; default: any, up to 1000." example:"80"`
	MaxTransfer     Size          `json:"max_transfer" doc:"How much the page may transfer, TLS included; for page: true; default: any, up to 64MiB." example:"2MB"`
	NoConsoleErrors bool          `json:"no_console_errors" doc:"Whether errors in the browser's console count; for page: true; default false." example:"true"`
}

func (e *PageExpect) set() bool { return *e != PageExpect{} }

// Limits of one load; a page beyond them is http.too_large.
const (
	maxPageRequests = 1000
	maxPageBytes    = 64 << 20
)

// browsers are the places for Chromium on this machine: each takes a few
// hundred MB and a core.
var browsers = make(chan struct{}, 2)

// pageFaults says what is wrong with the options for loading a page.
func (b *Bandwidth) pageFaults() []Fault {
	e := &b.Expect
	faults := durationFaults("expect.load_within", e.LoadWithin)
	faults = append(faults, durationFaults("expect.lcp_within", e.LCPWithin)...)
	add := func(path, message string) { faults = append(faults, Fault{path, message}) }
	if !(e.MaxCLS >= 0) {
		add("expect.max_cls", "is negative; write a number such as 0.1")
	}
	if e.MaxRequests < 0 || e.MaxRequests > maxPageRequests {
		add("expect.max_requests", fmt.Sprintf("is %d; write a number up to %d", e.MaxRequests, maxPageRequests))
	}
	if e.MaxTransfer < 0 || e.MaxTransfer > maxPageBytes {
		add("expect.max_transfer", "is out of range; write a size up to 64MiB")
	}
	if !b.Page {
		if e.PageExpect.set() {
			add("page", "is not true, so that load_within, lcp_within, max_cls, max_requests, max_transfer and no_console_errors cannot be told; write page: true")
		}
		return faults
	}
	for _, unused := range []struct {
		given bool
		path  string
		why   string
	}{
		{b.Method != "" && b.Method != http.MethodGet, "method", "is not for page: true, since a browser opens pages by GET; leave it out"},
		{b.Body != "", "body", "is not for page: true, since a browser opens pages by GET; leave it out"},
		{len(b.Form) > 0, "form", "is not for page: true, since a browser opens pages by GET; leave it out"},
		{b.OAuth2.set(), "oauth2", "is not for page: true; write bearer, or leave it out"},
		{!b.Proxy.IsZero(), "proxy", "is not for page: true, whose requests go through one of the prober's own; leave it out"},
		{b.Version != HTTPAny && b.Version != "", "http_version", "is not for page: true, where the browser chooses; leave it out"},
		{b.SameHost, "same_host", "is not for page: true; leave it out"},
		{b.ClientCert != "", "client_cert", "is not for page: true; leave it out"},
		{b.Upload > 0, "upload", "is not for page: true; make it a check of its own"},
		{b.CA != "", "ca", "is not for page: true; give the authority to the prober's system, or write insecure: true"},
		{b.ServerName != "", "server_name", "is not for page: true; leave it out"},
		{headerNamed(b.Headers, "Host"), "headers.Host", "is not for page: true; leave it out"},
		{!e.ValidFor.isZero(), "expect.valid_for", "is not for page: true; make a check of kind tls"},
		{e.MinKbps > 0, "expect.min_kbps", "is not for page: true, whose transfers have pauses; write load_within"},
	} {
		if unused.given {
			add(unused.path, unused.why)
		}
	}
	return faults
}

// NeedsBrowser reports whether the check can only be run where Chromium is.
func (b *Bandwidth) NeedsBrowser() bool { return b.Page }

// HasBrowser reports whether this machine has Chromium.
func HasBrowser() bool { return browser.Find() != "" }

// probePage loads the page in Chromium over the slow network and judges it.
func (b *Bandwidth) probePage(ctx context.Context, env *Env) Outcome {
	unable := func(f finding) Outcome {
		return Outcome{Status: f.status, Reason: f.reason, Detail: f.detail, Facts: b.asked()}
	}
	program := browser.Find()
	if program == "" {
		return unable(against(ProberBrowser, "no chromium is installed here, and %s names none", browser.Variable))
	}
	// Two loads at once are enough for a machine; who waits for longer than
	// half of the time would only measure the machine.
	waiting, cancel := context.WithTimeout(ctx, halfOf(ctx))
	defer cancel()
	select {
	case browsers <- struct{}{}:
		defer func() { <-browsers }()
	case <-waiting.Done():
		return unable(against(ProberOverloaded, "other page checks took the place of this one"))
	}
	b.once.Do(b.prepare)
	if b.err != nil {
		return unable(against(ProberInternal, "%v", b.err))
	}
	link := b.Profile.link()
	l := &pageLoad{Bandwidth: b, env: env, link: link, started: time.Now()}
	agent := b.Device.UserAgent
	if headerNamed(b.Headers, "User-Agent") {
		agent = b.header().Get("User-Agent")
	}
	p, err := browser.Load(ctx, browser.Config{
		Program: program, URL: b.URL, Dial: l.dial, Header: b.ownHeaders(), Insecure: b.Insecure,
		Device: browser.Device{
			UserAgent: agent, Width: b.Device.Width, Height: b.Device.Height, DPR: b.Device.pixels(),
			Mobile: b.Device.Mobile, Touch: b.Device.Touch,
		},
		MaxRequests: maxPageRequests, MaxBytes: maxPageBytes, MaxBody: b.MaxBody,
		Failed: func(p *browser.Page) bool { return l.judge(p).status != "" },
	})
	f := l.finding(ctx, p, err)
	if f.status == "" {
		f = l.judge(p)
	}
	out := l.outcome(p, f)
	out.Spent = errors.Is(err, context.DeadlineExceeded)
	return out
}

func halfOf(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline) / 2
	}
	return time.Minute
}

// ownHeaders are those of the options: for the page's own origin alone.
func (b *Bandwidth) ownHeaders() http.Header {
	header := http.Header{}
	for name, values := range b.header() {
		own := headerNamed(b.Headers, name) || name == "Authorization"
		if own && name != "User-Agent" {
			header[name] = values
		}
	}
	return header
}

// pageLoad is one load and the network that it goes over.
type pageLoad struct {
	*Bandwidth
	env     *Env
	link    *throttle.Link
	started time.Time
}

// dial connects for the browser: what this prober may reach, over the slow
// network, with the round trips of the lookup and of connecting.
func (l *pageLoad) dial(ctx context.Context, host, port string) (net.Conn, error) {
	slowly := *l.env
	slowly.link = l.link
	failed := func(at stage, err error) error { return &foundError{classify(at, err)} }
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, failed(stageConnect, fmt.Errorf("the port %q is none", clip(port, 20)))
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1}).String() // as browsers do (RFC 6761)
	}
	addrs, asked, err := slowly.locate(ctx, l.IP, host)
	if err == nil && asked {
		err = l.link.RoundTrip(ctx)
	}
	if err != nil {
		return nil, failed(stageDNS, err)
	}
	conn, err := slowly.connect(ctx, addrs, uint16(number))
	if err == nil {
		err = l.link.RoundTrip(ctx)
	}
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, failed(stageConnect, err)
	}
	return l.link.Conn(conn), nil
}

// finding is what kept the page from loading, if anything did.
func (l *pageLoad) finding(ctx context.Context, p *browser.Page, err error) finding {
	found, dialled := errors.AsType[*foundError](err)
	refused, byChromium := errors.AsType[*browser.NetError](err)
	switch {
	case err == nil:
		return finding{}
	case dialled:
		return found.finding
	case errors.Is(err, browser.ErrTooMuch):
		return against(HTTPTooLarge, "the page asks for more than %d requests or %d bytes", maxPageRequests, maxPageBytes)
	case errors.Is(err, browser.ErrStart) && ctx.Err() != nil:
		return against(ProberOverloaded, "no time was left once the browser had started")
	case errors.Is(err, browser.ErrStart):
		return against(ProberBrowser, "%s", clip(err.Error(), 500))
	case errors.Is(err, context.DeadlineExceeded) && p.Status == 0:
		return classify(stageHeader, err)
	case errors.Is(err, context.DeadlineExceeded):
		return against(HTTPTimeout, "the page had not loaded in time; %d requests were made", p.Requests)
	case byChromium:
		return against(netReason(refused.Code), "the browser says %s", clip(refused.Code, 100))
	}
	return classify(stageHeader, err)
}

// netReasons are Chromium's words for what our own client tells by itself, by
// what they contain; the first that fits is meant.
//
// Source: chromium/src, net/base/net_error_list.h.
var netReasons = []struct {
	part   string
	reason Reason
}{
	{"CERT_DATE_INVALID", TLSExpired},
	{"CERT_COMMON_NAME_INVALID", TLSWrongName},
	{"CERT_AUTHORITY_INVALID", TLSUntrusted},
	{"CERT_REVOKED", TLSRevoked},
	{"CERT_WEAK", TLSWeak},
	{"CERT_", TLSUntrusted},
	{"SSL_", TLSHandshake},
	{"TOO_MANY_REDIRECTS", HTTPRedirect},
	{"UNSAFE_REDIRECT", HTTPRedirect},
	{"CONNECTION_RESET", HTTPReset},
	{"CONNECTION_CLOSED", HTTPReset},
	{"CONNECTION_ABORTED", HTTPReset},
	{"EMPTY_RESPONSE", HTTPReset},
	{"CONTENT_LENGTH_MISMATCH", HTTPTruncated},
	{"INCOMPLETE_CHUNKED", HTTPTruncated},
	{"TIMED_OUT", HTTPTimeout},
}

func netReason(code string) Reason {
	for _, known := range netReasons {
		if strings.Contains(code, known.part) {
			return known.reason
		}
	}
	return HTTPProtocol
}

// judge returns the first expectation that a page does not meet: down before
// degraded.
func (l *pageLoad) judge(p *browser.Page) finding {
	e := &l.Expect
	a := &answer{
		watch: stopwatch{l.started, l.started.Add(p.Load), nil}, now: l.env.now(),
		status: p.Status, version: versionOf(p), header: p.Header, body: p.Body, bodyBytes: len(p.Body), firstByte: p.FirstByte, redirects: p.Redirects,
	}
	if e.SHA256 != "" {
		sum := sha256.Sum256(p.Body)
		a.digest = hex.EncodeToString(sum[:])
	}
	millis := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	f := e.judge(a, 0)
	switch {
	case f.status != "":
		return f
	case e.LoadWithin > 0 && p.Load > e.LoadWithin:
		return against(SlowLoad, "the page was loaded after %s; expected within %s", millis(p.Load), e.LoadWithin)
	case e.LCPWithin > 0 && p.LCP > e.LCPWithin:
		return against(SlowPaint, "the largest paint came after %s; expected within %s", millis(p.LCP), e.LCPWithin)
	case e.MaxCLS > 0 && p.CLS > e.MaxCLS:
		return against(SlowShift, "the layout shifted by %.3f; expected at most %v", p.CLS, e.MaxCLS)
	case e.MaxRequests > 0 && p.Requests > e.MaxRequests:
		return against(SlowWeight, "the page made %d requests; expected at most %d", p.Requests, e.MaxRequests)
	case e.MaxTransfer > 0 && p.Bytes > int64(e.MaxTransfer):
		return against(SlowWeight, "the page transferred %d bytes; expected at most %d", p.Bytes, int64(e.MaxTransfer))
	case e.NoConsoleErrors && p.ConsoleErrors > 0:
		return against(SlowConsole, "the browser's console has %d errors; expected none", p.ConsoleErrors)
	}
	return finding{}
}

// versionOf is the version of HTTP that a page came by, as an answer's is told.
func versionOf(p *browser.Page) string {
	return strings.TrimPrefix(strings.Replace(p.Protocol, "h2", "2", 1), "http/")
}

// outcome tells how the load went. What it took is the page's own time: that
// of starting the browser is ours.
func (l *pageLoad) outcome(p *browser.Page, f finding) Outcome {
	facts := l.asked()
	facts["requests"], facts["bytes"], facts["console_errors"] = p.Requests, p.Bytes, p.ConsoleErrors
	if p.Refused > 0 {
		facts["requests_refused"] = p.Refused
	}
	if p.Status != 0 {
		facts["http_status"], facts["body_bytes"] = p.Status, len(p.Body)
		facts["http_version"] = versionOf(p)
		facts["cls"] = math.Round(p.CLS*10_000) / 10_000
	}
	if p.TLS != "" {
		facts["tls_version"] = p.TLS
	}
	if p.Redirects > 0 {
		facts["redirects"] = p.Redirects
	}
	for name, d := range map[string]time.Duration{
		"first_byte_ms": p.FirstByte, "dom_content_loaded_ms": p.DOMContentLoaded, "load_ms": p.Load, "lcp_ms": p.LCP,
	} {
		if d > 0 {
			facts[name] = MillisOf(d)
		}
	}
	out := Outcome{Status: f.status, Reason: f.reason, Detail: f.detail, Facts: facts, Took: p.Load}
	if p.Active > 0 {
		facts["throttled_share"] = math.Round(min(1, l.link.Held().Seconds()/p.Active.Seconds())*1000) / 1000
	}
	if p.Load > 0 && p.FirstByte > 0 {
		out.Phases = Phases{phaseFirstByte: MillisOf(p.FirstByte), phaseTransfer: MillisOf(max(0, p.Load-p.FirstByte))}
	}
	if out.Status == "" {
		out.Status = Up
	}
	for ext, data := range map[string][]byte{"png": p.Screenshot, "har": p.Archive} {
		if len(data) > 0 {
			out.Artifacts = append(out.Artifacts, Artifact{ext, data})
		}
	}
	return out
}
