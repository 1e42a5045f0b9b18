package checks

import (
	"context"
	"net/http"
	"net/netip"
	"time"
)

// HTTP is a check of kind http: one request, and what its answer must be, or
// several in turn.
type HTTP struct {
	HTTPRequest
	Expect HTTPExpect `json:"expect" doc:"What the answer must be. Beside steps it has within and fail_after alone, for all of them together."`
	Steps  []Step     `json:"steps" doc:"Several requests in turn instead of one url, with cookies and connections kept between them."`
}

func newHTTP() *HTTP { return &HTTP{HTTPRequest: newHTTPRequest(defaultMaxBody)} }

// Faults says what is wrong with the options.
func (h *HTTP) Faults() []Fault {
	if len(h.Steps) > 0 {
		return h.transactionFaults()
	}
	faults := append(h.HTTPRequest.faults(), h.Expect.faults()...)
	if h.Expect.MinBytes > h.MaxBody {
		faults = append(faults, Fault{"expect.min_bytes", "is more than max_body, so that no body fits"})
	}
	return append(faults, h.HTTPRequest.eachFaults(h.Expect.AllAddresses)...)
}

// Target returns the host that the first request goes to.
func (h *HTTP) Target() string {
	if len(h.Steps) > 0 {
		return h.Steps[0].Target()
	}
	return h.HTTPRequest.Target()
}

// Probe makes the request, or those of the steps, once and judges the answer;
// with ip: each, once to every address.
func (h *HTTP) Probe(ctx context.Context, env *Env) Outcome {
	if len(h.Steps) > 0 {
		return h.transact(ctx, env)
	}
	if h.IP == familyEach && h.prepare() == nil {
		return env.probeEach(ctx, h.first.place.host, h.Expect.AllAddresses, func(ctx context.Context, addr netip.Addr) Outcome {
			return h.probe(ctx, env, addr)
		}, nil)
	}
	return h.probe(ctx, env, netip.Addr{})
}

// probe makes the request once, to one address if that is valid.
func (h *HTTP) probe(ctx context.Context, env *Env, addr netip.Addr) Outcome {
	a, f := h.fetchBy(ctx, env, fetching{use: h.Expect.readsBody(), pinned: addr})
	if f.status == "" {
		f = h.Expect.judge(a)
	}
	if f.detail != "" {
		var secrets redactor // a target may send back what it got
		secrets.addSecrets(&h.HTTPRequest)
		f.detail = secrets.hide(f.detail)
	}
	return a.watch.outcome(f, a.facts())
}

// answer is what came back, as far as it came.
type answer struct {
	watch       stopwatch
	now         time.Time // by the prober's clock, for certificates
	status      int       // zero when none came
	version     string    // 1.0, 1.1, 2 or 3
	header      http.Header
	body        []byte // when an expectation reads it
	bodyBytes   int    // unpacked
	encoding    string // that it was unpacked from; empty: none
	remote      netip.Addr
	proxied     netip.Addr // of the proxy that the connection is to; then remote is not known
	redirects   int
	hops        []string      // a line for each, when there are redirects
	token       time.Duration // that getting access tokens took; not part of the run
	tlsVersion  string        // empty without TLS
	certificate identity
	connecting  time.Duration // the shortest time that connecting took
	firstByte   time.Duration // from the start to the first byte of this answer
	transfer    time.Duration // from there to its end
	carried     int64         // bytes that a slow link carried in that time

	limit    int               // of the body in bytes; zero means the default
	until    time.Time         // when the run ends, its judging included; zero means never
	digest   string            // the SHA-256 of the body in hex, when an expectation asks for it
	document *document         // the body as JSON, once it was asked for
	captured map[string]string // what steps before this one took from their answers
}

func (a *answer) facts() Facts {
	facts := make(Facts, 8)
	if a.status != 0 {
		facts["http_status"], facts["http_version"], facts["body_bytes"] = a.status, a.version, a.bodyBytes
	}
	if a.remote.IsValid() {
		facts["remote_ip"] = a.remote.String()
	}
	if a.proxied.IsValid() {
		facts["proxy_ip"] = a.proxied.String()
	}
	if a.encoding != "" {
		facts["content_encoding"] = a.encoding
	}
	if a.redirects > 0 {
		facts["redirects"], facts["hops"] = a.redirects, a.hops
	}
	if a.token > 0 {
		facts["token_ms"] = MillisOf(a.token)
	}
	if a.digest != "" {
		facts["body_sha256"] = a.digest
	}
	if a.tlsVersion != "" {
		facts["tls_version"] = a.tlsVersion
	}
	if a.certificate.leaf != nil {
		facts["cert_expires"] = a.certificate.expires.UTC().Format(time.RFC3339)
	}
	return facts
}
