// Package notifytest is a sandbox in the place of Slack and Twilio: a real HTTP
// server that speaks the parts of Slack's Web API and of Twilio's 2010-04-01
// API that nines uses, checks credentials, reports deliveries by signed
// webhooks and fails on demand. `nines demo` shows it at /sandbox, where its
// buttons and reply boxes really post to the system under test; tests break it.
//
// It knows nothing of how nines talks to the vendors: what it does is taken
// from their documentation, and its signatures are made by code of its own, so
// that both sides are checked. It imports notifier for Person and internal
// packages.
package notifytest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"nines/internal/secret"
	"nines/notifier"
)

// Config is what the sandbox accepts and where its webhooks go. Everything may
// be left out; what was chosen instead is in Sandbox.Config.
type Config struct {
	Listen string // host:port; a free port of 127.0.0.1
	// Hooks is where the system under test listens, without a slash at its end.
	// It can be set later by SetHooks; until then webhooks go nowhere.
	Hooks string
	// PublicURL is what that system calls itself, as its public_url; signatures
	// are made for it. The same as Hooks.
	PublicURL string

	SlackToken    secret.String
	SlackChannel  string // its id
	SigningSecret secret.String

	AccountSID string
	AuthToken  secret.String
	From       string // the account's number

	People []notifier.Person // whose phones are shown from the start, and whose Slack ids have names

	// DeliverAfter is how long an SMS is on its way, and how long a phone rings.
	DeliverAfter time.Duration
	TalkFor      time.Duration // until a call ends by itself; 20s
	// OnMessage is told of everything that arrives. It is called by several
	// goroutines. Nil: nobody is.
	OnMessage func(Message)
	Log       *slog.Logger     // nil: discarded
	Now       func() time.Time // nil: time.Now
}

// Message is something that arrived: a Slack message, an edit of one, an SMS or
// a call.
type Message struct {
	Channel string // slack, sms or voice
	To      string // the Slack channel's id, or a phone number
	Person  string // whose number it is, if it is somebody's
	Text    string
	Edited  bool // a Slack message that was there before
	Thread  bool // an answer in a Slack thread
}

// Sandbox is a running sandbox.
type Sandbox struct {
	cfg      Config
	listener net.Listener
	server   *http.Server
	ctx      context.Context // ends at Close; deliveries under way end with it
	stop     context.CancelFunc
	work     sync.WaitGroup

	mu      sync.Mutex // protects following
	hooks   string
	public  string
	posts   []*Post
	texts   []*Text
	calls   []*Call
	stopped map[string]bool // numbers that have replied STOP
	faults  []*Fault
	lastTS  int64  // microseconds of the last Slack message
	note    string // what the last button of the page came to
}

// kept is how many messages of a kind are kept.
const kept = 1000

// New starts a sandbox.
func New(cfg Config) (*Sandbox, error) {
	cfg.Listen = cmp.Or(cfg.Listen, "127.0.0.1:0")
	cfg.SlackToken = cmp.Or(cfg.SlackToken, secret.New("xoxb-sandbox"))
	cfg.SlackChannel = cmp.Or(cfg.SlackChannel, "C0SANDBOX")
	cfg.SigningSecret = cmp.Or(cfg.SigningSecret, secret.New("sandbox-signing-secret"))
	cfg.AccountSID = cmp.Or(cfg.AccountSID, "AC"+strings.Repeat("0", 32))
	cfg.AuthToken = cmp.Or(cfg.AuthToken, secret.New("sandbox-auth-token"))
	cfg.From = cmp.Or(cfg.From, "+12025550100")
	cfg.TalkFor = cmp.Or(cfg.TalkFor, 20*time.Second)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for the sandbox: %w", err)
	}
	s := &Sandbox{cfg: cfg, listener: listener, stopped: map[string]bool{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.SetHooks(cfg.Hooks, cfg.PublicURL)
	s.server = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // a stalled answer is held this long
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	s.work.Go(func() {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			cfg.Log.Error("serving the sandbox", "err", err)
		}
	})
	return s, nil
}

// Config returns the configuration, complete.
func (s *Sandbox) Config() Config { return s.cfg }

// URL returns where the sandbox listens, without a slash at its end: Twilio's
// api_url. Slack's is URL()+"/api/".
func (s *Sandbox) URL() string { return "http://" + s.listener.Addr().String() }

// SetHooks sets where webhooks go, and what that system calls itself; an empty
// public URL is the same.
func (s *Sandbox) SetHooks(hooks, public string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = strings.TrimSuffix(hooks, "/")
	s.public = cmp.Or(strings.TrimSuffix(public, "/"), s.hooks)
}

// Close ends the server and every delivery that is under way.
func (s *Sandbox) Close() error {
	s.stop()
	err := s.server.Close()
	s.work.Wait()
	return err
}

// arrived tells OnMessage.
func (s *Sandbox) arrived(m Message) {
	if s.cfg.OnMessage != nil {
		s.cfg.OnMessage(m)
	}
}

// person returns the name of whoever has the number, or "".
func (s *Sandbox) person(phone string) string {
	for _, p := range s.cfg.People {
		if p.Phone == phone {
			return p.Name
		}
	}
	return ""
}

// sleep waits, and reports whether the sandbox still runs then.
func (s *Sandbox) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return s.ctx.Err() == nil
	case <-s.ctx.Done():
		return false
	}
}

// sid returns a new id as Twilio makes them.
func sid(prefix string) string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return prefix + hex.EncodeToString(b[:])
}

// latest returns the last n of the items.
func latest[T any](items []T, n int) []T {
	if len(items) > n {
		return slices.Delete(items, 0, len(items)-n)
	}
	return items
}
