package checks

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"

	"github.com/miekg/dns"
)

// dnsMessage is the type of content that questions and answers have over HTTPS
// (RFC 8484, section 6).
const dnsMessage = "application/dns-message"

// askHTTPS asks over HTTP/2 or HTTP/1.1 within TLS (DoH, RFC 8484). The id is
// zero, as section 4.1 wants it.
func (d *DNS) askHTTPS(ctx context.Context, env *Env, q *question, got *reply, watch *stopwatch) finding {
	conn, err := env.connectOne(ctx, got.server.at.Addr(), got.server.at.Port())
	watch.mark(phaseConnect)
	if err != nil {
		return classify(stageDNS, err)
	}
	defer conn.Close()
	defer cutAtEnd(ctx, conn)()
	secured, f := d.secure(env, conn, got, "h2", "http/1.1")
	watch.mark(phaseTLS)
	if f.status != "" {
		return f
	}
	_, sent := q.send(0, nil)
	sent.wire[0], sent.wire[1] = 0, 0
	req, err := d.request(ctx, got.server, sent.wire)
	if err != nil {
		return against(ProberInternal, "%v", err)
	}
	f = d.over(secured, req, &sent, got)
	watch.mark(phaseDNS)
	return f
}

// request makes the HTTP request that carries a question.
func (d *DNS) request(ctx context.Context, server nameServer, wire []byte) (*http.Request, error) {
	at := *server.url
	var body io.Reader
	if d.Method == http.MethodGet {
		query := at.Query()
		query.Set("dns", base64.RawURLEncoding.EncodeToString(wire))
		at.RawQuery = query.Encode()
	} else {
		body = bytes.NewReader(wire)
	}
	req, err := http.NewRequestWithContext(ctx, d.Method, at.String(), body)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Accept", dnsMessage)
	req.Header.Set("User-Agent", userAgent)
	if body != nil {
		req.Header.Set("Content-Type", dnsMessage)
	}
	return req, nil
}

// over sends a request on a connection that is shaken hands and judged, and
// reads the answer.
func (d *DNS) over(conn net.Conn, req *http.Request, sent *sentQuestion, got *reply) finding {
	transport := transportOver(conn)
	defer transport.CloseIdleConnections()
	answered, err := transport.RoundTrip(req)
	if err != nil {
		return classify(stageDNS, err)
	}
	defer answered.Body.Close()
	if answered.StatusCode != http.StatusOK {
		return against(HTTPStatus, "the status is %s; expected 200", statusText(answered.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(answered.Body, maxMessage+1))
	if err != nil {
		return classify(stageDNS, err)
	}
	msg, err := readContent(answered.Header.Get("Content-Type"), body, sent)
	if err != nil {
		return classify(stageDNS, err)
	}
	got.msg, got.size = msg, len(body)
	return finding{}
}

// readContent reads the content of an answer over HTTPS.
func readContent(contentType string, body []byte, sent *sentQuestion) (*dns.Msg, error) {
	if kind, _, err := mime.ParseMediaType(contentType); err != nil || kind != dnsMessage {
		return nil, fmt.Errorf("%w: its content type is %q; expected %s", errNotDNS, clip(contentType, 100), dnsMessage)
	}
	if len(body) > maxMessage {
		return nil, fmt.Errorf("%w: more than %d bytes", errOversized, maxMessage)
	}
	if len(body) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", errNotDNS, len(body))
	}
	msg, err := sent.match(body)
	if msg == nil && err == nil {
		err = errMismatch
	}
	return msg, err
}

// transportOver returns an HTTP client of one connection, which speaks HTTP/2
// when the handshake agreed on that.
func transportOver(conn net.Conn) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	secured, isTLS := conn.(*tls.Conn)
	protocols.SetHTTP2(isTLS && secured.ConnectionState().NegotiatedProtocol == "h2")
	handed := make(chan net.Conn, 1)
	handed <- conn
	return &http.Transport{
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			select {
			case conn := <-handed:
				return conn, nil
			default:
				return nil, errors.New("the server closed the connection without an answer")
			}
		},
		Protocols:              protocols,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
}
