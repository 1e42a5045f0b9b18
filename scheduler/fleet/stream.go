package fleet

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"nines/regions"
)

// writeTimeout bounds one write to a stream, so that a prober that reads no
// more does not hold a connection for ever. It leaves a slow line the time for
// an assignment of thousands of checks.
const writeTimeout = time.Minute

// stream is one open connection of a prober, and what waits to be written.
type stream struct {
	token digest        // that it was opened with
	wake  chan struct{} // has one element when something waits
	done  chan struct{} // closed when the stream is to end

	mu         sync.Mutex // protects following
	why        string     // it is to end; empty: it is not
	assignment []byte     // nil: nothing new
	runs       []regions.Run
	asked      map[string]bool // the checks in runs
}

func newStream(token digest) *stream {
	return &stream{token: token, wake: make(chan struct{}, 1), done: make(chan struct{}), asked: map[string]bool{}}
}

// assign queues an assignment; it replaces one that still waits.
func (s *stream) assign(data []byte) {
	s.mu.Lock()
	s.assignment = data
	s.mu.Unlock()
	s.nudge()
}

// ask queues a run. A check that waits to be run already is not asked twice,
// which bounds the queue.
func (s *stream) ask(run regions.Run) {
	s.mu.Lock()
	if !s.asked[run.Check] {
		s.asked[run.Check] = true
		s.runs = append(s.runs, run)
	}
	s.mu.Unlock()
	s.nudge()
}

// end closes the stream, once.
func (s *stream) end(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == "" {
		s.why = why
		close(s.done)
	}
}

func (s *stream) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns what waits to be written.
func (s *stream) take() (assignment []byte, runs []regions.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	assignment, runs = s.assignment, s.runs
	s.assignment, s.runs = nil, nil
	clear(s.asked)
	return assignment, runs
}

// open makes a stream the one of its prober; an older one ends. It reports
// whether the prober is still a member.
func (f *Fleet) open(m caller, r *http.Request) (*stream, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.probers[m.Prober]
	if p == nil || !slices.Contains(p.tokens, m.token) || f.closed {
		return nil, false
	}
	f.cut(p, "a newer stream of the same prober replaced it")
	s := newStream(m.token)
	p.stream, p.since = s, f.now()
	p.version, p.address = r.UserAgent(), r.RemoteAddr
	f.alive(p)
	s.assign(p.assignment)
	return s, true
}

// gone notes that a stream has ended.
func (f *Fleet) gone(m caller, s *stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.probers[m.Prober]; p != nil && p.stream == s {
		p.stream, p.since, p.heard = nil, f.now(), f.now()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	why := s.why
	if why == "" {
		why = "it went away"
	}
	f.log.Info("prober disconnected", "prober", m.Prober, "region", m.Region, "why", why)
}

// serveStream answers GET /probe/v1/stream: messages, one a line, until the
// prober goes away or the stream is to end.
func (f *Fleet) serveStream(w http.ResponseWriter, r *http.Request, m caller) error {
	rc := http.NewResponseController(w)
	// The server's own limits are for answers that end.
	if err := rc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	s, ok := f.open(m, r)
	if !ok {
		return errStopping
	}
	defer f.gone(m, s)
	f.log.Info("prober connected", "prober", m.Prober, "region", m.Region, "address", r.RemoteAddr, "version", r.UserAgent())

	header := w.Header()
	header.Set("Content-Type", "application/x-ndjson")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would wait for a buffer to fill
	beat := time.NewTicker(regions.BeatEvery)
	defer beat.Stop()
	for idle := true; ; {
		if err := f.writeWaiting(w, rc, s, idle); err != nil {
			return nil // the prober sees as much; gone logs it
		}
		select {
		case <-s.wake:
			idle = false
		case <-beat.C:
			idle = true
		case <-s.done:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// line is a regions.Message whose assignment is encoded already.
type line struct {
	Now        time.Time       `json:"now"`
	Assignment json.RawMessage `json:"assignment,omitempty"`
	Run        *regions.Run    `json:"run,omitempty"`
}

// writeWaiting writes and flushes what waits on a stream; if nothing does and
// the stream was idle, a heartbeat.
func (f *Fleet) writeWaiting(w http.ResponseWriter, rc *http.ResponseController, s *stream, idle bool) error {
	assignment, runs := s.take()
	var lines []line
	if assignment != nil {
		lines = append(lines, line{Assignment: assignment})
	}
	for i := range runs {
		lines = append(lines, line{Run: &runs[i]})
	}
	if lines == nil && idle {
		lines = []line{{}}
	}
	if lines == nil {
		return nil
	}
	if err := rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	for _, l := range lines {
		l.Now = f.now().UTC()
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return rc.Flush()
}
