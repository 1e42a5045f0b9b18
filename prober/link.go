package prober

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// How long to wait before the scheduler is tried again.
const (
	firstPause = 250 * time.Millisecond
	longPause  = 10 * time.Second
	// tokenPause is for a token that is refused: nothing but a change over
	// there can help.
	tokenPause = 5 * time.Second
	// maxRetryAfter bounds what the scheduler may ask for.
	maxRetryAfter = time.Minute
)

// link is how one kind of request to the scheduler fares: when to try again,
// and what to say of it, once per change.
type link struct {
	log  *slog.Logger
	what string

	mu     sync.Mutex // protects following
	state  string     // as it was last logged
	failed bool
	wait   time.Duration
	until  time.Time
}

// works notes that it works.
func (l *link) works() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed, l.until = false, time.Time{}
	l.say("works", slog.LevelInfo, nil)
}

// settled notes that it has worked long enough to begin anew with short waits.
func (l *link) settled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wait = 0
}

// fails notes that it does not work, and sets when to try again.
func (l *link) fails(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed && time.Now().Before(l.until) {
		return // of the same attempt as another request's failure
	}
	l.failed = true
	l.wait = min(max(2*l.wait, firstPause), longPause)
	pause := l.wait
	var r *refused
	switch {
	case errors.As(err, &r) && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden):
		pause = tokenPause
		l.say("token refused", slog.LevelError, err)
	case errors.As(err, &r):
		pause = max(pause, min(r.after, maxRetryAfter))
		l.say("refused "+strconv.Itoa(r.status), slog.LevelWarn, err)
	default:
		l.say("broken", slog.LevelWarn, err)
	}
	l.until = time.Now().Add(pause/2 + rand.N(pause/2+1))
}

// say logs a change of state. l.mu is held.
func (l *link) say(state string, level slog.Level, err error) {
	if l.state == state {
		return
	}
	l.state = state
	args := []any{"state", state}
	if err != nil {
		args = append(args, "err", err)
	}
	l.log.Log(context.Background(), level, l.what, args...)
}

// hurry ends a pause.
func (l *link) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
}

// hold returns how long to wait before the next attempt, and whether the last
// one failed.
func (l *link) hold() (wait time.Duration, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, time.Until(l.until)), l.failed
}

// pause waits as long as hold says.
func (l *link) pause(ctx context.Context) {
	wait, _ := l.hold()
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

// refused is an answer other than 200.
type refused struct {
	status int
	detail string
	after  time.Duration // that it asks us to wait
}

func (r *refused) Error() string {
	return fmt.Sprintf("the scheduler answers %d: %s", r.status, r.detail)
}

// refusalOf reads an answer that is an error.
func refusalOf(resp *http.Response) error {
	r := &refused{status: resp.StatusCode}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		r.after = min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	var problem struct{ Detail string }
	if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
		r.detail = fmt.Sprintf("%.300s", problem.Detail)
	} else {
		r.detail = fmt.Sprintf("%.200q", body)
	}
	return r
}
