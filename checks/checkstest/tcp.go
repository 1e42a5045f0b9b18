package checkstest

import (
	"io"
	"net"
	"strings"
	"time"
)

// TCP is a server on loopback that follows a script.
type TCP struct {
	listener *listener
	script   []string
}

// NewTCP starts a server on a free port of 127.0.0.1. Its script is made of
// steps with semicolons between them, followed for each connection:
//
//	say TEXT     sends the text
//	hear TEXT    reads as many bytes, and gives up if they are others
//	pause        waits for 20 ms
//	flood TEXT   sends the text again and again
//	wait         reads until the other side closes
//	close        closes
//	reset        resets
func NewTCP(script string) (*TCP, error) {
	s := &TCP{script: strings.Split(script, ";")}
	var err error
	if s.listener, err = listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.listener.start(s.serve)
	return s, nil
}

// Addr returns host:port.
func (s *TCP) Addr() string { return s.listener.Addr().String() }

// Close ends the server and every connection to it.
func (s *TCP) Close() error { return s.listener.Close() }

func (s *TCP) serve(conn net.Conn) {
	for _, step := range s.script {
		verb, text, _ := strings.Cut(step, " ")
		switch verb {
		case "say":
			io.WriteString(conn, text)
		case "hear":
			heard := make([]byte, len(text))
			if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != text {
				return
			}
		case "pause":
			time.Sleep(20 * time.Millisecond)
		case "flood":
			for text = strings.Repeat(text, 1024); ; {
				if _, err := io.WriteString(conn, text); err != nil {
					return
				}
			}
		case "wait":
			io.Copy(io.Discard, conn)
		case "reset":
			reset(conn)
			return
		case "close":
			return
		}
	}
}
