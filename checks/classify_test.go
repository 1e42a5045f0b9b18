package checks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// syscallError is an error as package net makes it of what the kernel said.
func syscallError(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Err: os.NewSyscallError(op, errno)}
}

func TestClassify(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, dialCancelled := (&net.Dialer{}).DialContext(cancelled, "tcp", "127.0.0.1:1")
	for _, tt := range []struct {
		at     stage
		err    error
		status Status
		reason Reason
	}{
		{stageConnect, nil, "", ""},
		{stageConnect, refused(t), Down, ConnectRefused},
		{stageConnect, syscallError("connect", syscall.ECONNRESET), Down, ConnectReset},
		{stageConnect, syscallError("connect", syscall.EHOSTUNREACH), Down, ConnectUnreachable},
		{stageConnect, syscallError("connect", syscall.ENETUNREACH), Down, ConnectUnreachable}, // a router's word
		{stageConnect, syscallError("connect", syscall.ETIMEDOUT), Down, ConnectTimeout},
		{stageConnect, context.DeadlineExceeded, Down, ConnectTimeout},
		{stageConnect, fmt.Errorf("connecting: %w", context.Canceled), Unknown, ProberStopped},
		{stageConnect, &blockedError{netip.MustParseAddr("10.0.0.1"), "private use"}, Unknown, ProberBlocked},
		{stageConnect, &localError{ProberOverloaded, errors.New("too many open files")}, Unknown, ProberOverloaded},

		{stageTLS, readTimeout(t), Down, TLSTimeout},
		{stageTLS, io.EOF, Down, TLSHandshake},
		{stageTLS, syscallError("read", syscall.ECONNRESET), Down, TLSHandshake},
		{stageTLS, tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, Down, TLSHandshake},
		{stageTLS, &net.OpError{Op: "remote error", Err: tls.AlertError(40)}, Down, TLSHandshake},

		{stageHeader, readTimeout(t), Down, HTTPTimeout},
		{stageHeader, errNothing, Down, HTTPReset},
		{stageHeader, errHeaderShort, Down, HTTPReset},
		{stageHeader, syscallError("read", syscall.ECONNRESET), Down, HTTPReset},
		{stageHeader, syscallError("write", syscall.EPIPE), Down, HTTPReset},
		{stageHeader, fmt.Errorf("the header is %w", errTooLarge), Down, HTTPTooLarge},
		{stageHeader, errors.New("malformed HTTP response"), Down, HTTPProtocol},
		{stageHeader, io.ErrUnexpectedEOF, Down, HTTPReset},
		{stageHeader, errors.New("http2: server sent GOAWAY and closed the connection"), Down, HTTPReset},
		{stageBody, io.ErrUnexpectedEOF, Down, HTTPTruncated},
		{stageBody, context.DeadlineExceeded, Down, HTTPTimeout},
		{stageBody, errors.New("stream error: stream ID 1; INTERNAL_ERROR; received from peer"), Down, HTTPReset},

		{stageDNS, readTimeout(t), Down, DNSTimeout},
		{stageDNS, refused(t), Down, DNSUnreachable},
		{stageDNS, io.EOF, Down, DNSUnreachable},
		{stageDNS, fmt.Errorf("%w: short", errNotDNS), Down, DNSMalformed},
		{stageDNS, &resolveError{DNSServfail, "a.example", errors.New("server misbehaving")}, Down, DNSServfail},
		{stageDNS, &resolveError{ProberNetwork, "a.example", errors.New("refused")}, Unknown, ProberNetwork},
	} {
		f := classify(tt.at, tt.err)
		if f.status != tt.status || f.reason != tt.reason {
			t.Errorf("%v while %v: %s %s, want %s %s", tt.err, tt.at, f.status, f.reason, tt.status, tt.reason)
		}
		if tt.err != nil && f.detail == "" {
			t.Errorf("%v while %v: no detail", tt.err, tt.at)
		}
	}
	if dialCancelled == nil {
		t.Error("a cancelled dial connected")
	}
}

func refused(t *testing.T) error {
	t.Helper()
	conn, err := net.Dial("tcp", freePort(t))
	if err == nil {
		conn.Close()
		t.Fatal("something listens")
	}
	return err
}

func readTimeout(t *testing.T) error {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	near.SetDeadline(time.Unix(1, 0))
	_, err := near.Read(make([]byte, 1))
	return err
}

// Whose fault it is that an address was not reached.
func TestBlame(t *testing.T) {
	here, env := netip.MustParseAddrPort("127.0.0.1:9"), loopback()
	for errno, want := range map[syscall.Errno]Reason{
		syscall.EMFILE:        ProberOverloaded,
		syscall.ENFILE:        ProberOverloaded,
		syscall.ENOBUFS:       ProberOverloaded,
		syscall.EADDRNOTAVAIL: ProberNetwork,
		syscall.EPERM:         ProberNetwork,
		syscall.ENETDOWN:      ProberNetwork,
		syscall.ENETUNREACH:   ConnectUnreachable, // for there is a route to here
		syscall.EHOSTUNREACH:  ConnectUnreachable,
		syscall.ECONNREFUSED:  ConnectRefused,
	} {
		if f := classify(stageConnect, env.blame(syscallError("connect", errno), here)); f.reason != want {
			t.Errorf("%v: %s, want %s", errno, f.reason, want)
		}
	}
	// An address family that the source cannot speak is a route that is missing.
	env.SourceIP = netip.MustParseAddr("127.0.0.1")
	if f := classify(stageConnect, env.blame(syscallError("connect", syscall.ENETUNREACH), netip.MustParseAddrPort("[2001:db8::1]:9"))); f.reason != ProberNetwork {
		t.Errorf("no route: %s", f.reason)
	}
	if err := errors.New("another"); env.blame(err, here) != err {
		t.Error("an error that is no errno was changed")
	}
}
