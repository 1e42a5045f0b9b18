package throttle

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// delayed relays connections to addr, every byte half a round trip later each
// way. It shares no code with what it is to judge.
func delayed(t *testing.T, addr string, rtt time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	late := func(to, from net.Conn) {
		type sent struct {
			at   time.Time
			data []byte
		}
		flying := make(chan sent, 10_000)
		go func() {
			for s := range flying {
				time.Sleep(time.Until(s.at.Add(rtt / 2)))
				to.Write(s.data)
			}
			to.Close()
		}()
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			flying <- sent{time.Now(), buf[:n]}
			if err != nil {
				close(flying)
				return
			}
		}
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				client.Close()
				return
			}
			go late(server, client)
			go late(client, server)
		}
	}()
	return l.Addr().String()
}

// A handshake and three requests take as long through the link as through a
// delay line that was written apart from it.
func TestAgainstDelayLine(t *testing.T) {
	const rtt = 80 * time.Millisecond
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	}))
	defer server.Close()
	addr := server.Listener.Addr().String()
	relay := delayed(t, addr, rtt)
	exchange := func(conn net.Conn) time.Duration {
		defer conn.Close()
		start := time.Now()
		secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		r := bufio.NewReader(secured)
		for range 3 {
			fmt.Fprintf(secured, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, answer.Body)
		}
		return time.Since(start)
	}
	dial := func(addr string) net.Conn {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	// The best of some, taken in turns: a busy machine is late by chance.
	ours, theirs := time.Hour, time.Hour
	for range 5 {
		ours = min(ours, exchange(New(0, 0, rtt).Conn(dial(addr))))
		theirs = min(theirs, exchange(dial(relay)))
	}
	t.Logf("4 round trips of %v: %v through the link, %v through the delay line", rtt, ours, theirs)
	if ratio := float64(ours) / float64(theirs); ratio < 0.95 || ratio > 1.05 || ours < 4*rtt {
		t.Errorf("%v through the link, %v through the delay line", ours, theirs)
	}
}
