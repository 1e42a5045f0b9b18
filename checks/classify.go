package checks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// stage is where a run stood when it failed: the same error means one thing
// while connecting and another while reading an answer.
type stage int

const (
	stageConnect stage = iota
	stageTLS
	stageHeader // the request is on its way, the answer's header is awaited
	stageBody
	stageDNS    // a DNS question is on its way, its answer is awaited
	stageAnswer // something was sent over a connection, and the answer is awaited
)

// timeouts is the reason of a run that ends while in a stage.
var timeouts = [...]Reason{
	stageConnect: ConnectTimeout,
	stageTLS:     TLSTimeout,
	stageHeader:  HTTPTimeout,
	stageBody:    HTTPTimeout,
	stageDNS:     DNSTimeout,
	stageAnswer:  ContentTimeout,
}

// finding is one thing that a run says against its target, or against this
// machine. The zero finding says nothing.
type finding struct {
	status Status
	reason Reason
	detail string
}

// against makes a finding whose status follows from the reason: our own
// faults are unknown, what is slow is degraded, all else is down.
func against(reason Reason, format string, args ...any) finding {
	f := finding{Down, reason, fmt.Sprintf(format, args...)}
	switch reason.Layer() {
	case "prober":
		f.status = Unknown
	case "slow":
		f.status = Degraded
	}
	return f
}

// resolveError is a lookup that found no address.
type resolveError struct {
	reason Reason
	host   string
	err    error
}

func (e *resolveError) Error() string { return fmt.Sprintf("looking up %s: %v", e.host, e.err) }
func (e *resolveError) Unwrap() error { return e.err }

// Sentinels of our own reading.
var (
	errTooLarge    = errors.New("larger than allowed")
	errNothing     = errors.New("the connection was closed without an answer")
	errHeaderShort = errors.New("the connection was closed within the header of the answer")
	errGaveUp      = errors.New("the request was given up")
)

// classify says what an error in a stage means.
func classify(at stage, err error) finding {
	if err == nil {
		return finding{}
	}
	if _, ok := errors.AsType[*blockedError](err); ok {
		return against(ProberBlocked, "%v", err)
	}
	if local, ok := errors.AsType[*localError](err); ok {
		return against(local.reason, "%v", err)
	}
	if lookup, ok := errors.AsType[*resolveError](err); ok {
		return against(lookup.reason, "%s: %s", lookup.host, lookup.reason.Meaning())
	}
	switch {
	case errors.Is(err, context.Canceled):
		return against(ProberStopped, "the run was cancelled before it ended")
	case isTimeout(err):
		return against(timeouts[at], "no time left while %s", at)
	case strings.Contains(err.Error(), "remote error: tls: certificate required"): // by TLS 1.3 only after the handshake
		return against(TLSHandshake, "the server demands a client certificate (client_cert)")
	}
	switch at {
	case stageConnect:
		return classifyConnect(err)
	case stageTLS:
		return classifyTLS(err)
	case stageDNS:
		return classifyDNS(err)
	case stageAnswer: // a connection over which nothing can be said
		return against(ConnectReset, "the connection was cut while %s: %s", at, brief(err))
	}
	return classifyHTTP(at, err)
}

func (s stage) String() string {
	return [...]string{
		stageConnect: "connecting",
		stageTLS:     "shaking hands for TLS",
		stageHeader:  "waiting for the answer",
		stageBody:    "reading the answer",
		stageDNS:     "waiting for the name server",
		stageAnswer:  "waiting for the answer",
	}[s]
}

// isTimeout reports whether the run's time, or the kernel's patience, ran out.
func isTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	timed, ok := errors.AsType[net.Error](err)
	return ok && timed.Timeout()
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

func classifyConnect(err error) finding {
	reason := ConnectUnreachable
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = ConnectRefused
	case isReset(err):
		reason = ConnectReset
	}
	return against(reason, "%s", brief(err))
}

// classifyTLS covers the handshake itself; certificates are judged by
// certificate.go, after it.
func classifyTLS(err error) finding {
	if _, notTLS := errors.AsType[tls.RecordHeaderError](err); notTLS {
		return against(TLSHandshake, "the server does not speak TLS on this port")
	}
	switch {
	case isReset(err), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return against(TLSHandshake, "the server cut the connection during the handshake")
	}
	text := brief(err)
	if strings.Contains(err.Error(), "remote error: tls: protocol version not supported") {
		text = "the server and nines have no version of TLS in common: " + text
	}
	return against(TLSHandshake, "%s", text)
}

func classifyDNS(err error) finding {
	switch {
	case errors.Is(err, errNotDNS):
		return against(DNSMalformed, "%s", brief(err))
	case errors.Is(err, errMismatch):
		return against(DNSMismatch, "%v", err)
	case errors.Is(err, errOversized):
		return against(DNSTooLarge, "%v", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return against(DNSUnreachable, "the name server closed the connection without an answer")
	}
	return against(DNSUnreachable, "%s", brief(err))
}

func classifyHTTP(at stage, err error) finding {
	text := err.Error()
	switch {
	case errors.Is(err, errTooLarge):
		return against(HTTPTooLarge, "%v", err)
	case errors.Is(err, errNothing), errors.Is(err, errHeaderShort):
		return against(HTTPReset, "%v", err)
	case isReset(err), errors.Is(err, net.ErrClosed):
		return against(HTTPReset, "the connection was reset while %s", at)
	case errors.Is(err, errPacking):
		return against(HTTPProtocol, "%v", err)
	case errors.Is(err, errGaveUp), strings.Contains(text, "stream error:"), strings.Contains(text, "GOAWAY"):
		return against(HTTPReset, "the server gave up while %s: %s", at, text)
	case at == stageBody && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		return against(HTTPTruncated, "the connection was closed before the end of the body")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return against(HTTPReset, "%v", errNothing)
	}
	return against(HTTPProtocol, "the answer is not HTTP: %s", brief(err))
}

// brief returns err's text without our own address and the names of calls.
func brief(err error) string {
	text := err.Error()
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		text = call.Err.Error()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Addr != nil {
		return fmt.Sprintf("%v: %s", op.Addr, text)
	}
	return text
}
