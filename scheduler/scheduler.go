// Package scheduler is the server: it takes results in, judges them, moves
// incidents, pages, and answers everybody who asks (operators, vendors' hooks,
// Prometheus, calendars, the public). Its rooms do the parts; here one result's
// way from a prober's batch to a queued notice is one transaction.
//
// Left to others: what runs where (fleet), how the public pages look
// (statuspage), the operator API (api), how notices leave (notifier), a month's
// arithmetic (report, sla), SQL (store). It is the only package of the server
// that imports gocron.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"nines/checks"
	"nines/internal/secret"
	"nines/notifier"
	"nines/scheduler/api"
	"nines/scheduler/config"
	"nines/scheduler/fleet"
	"nines/scheduler/report"
	"nines/scheduler/statuspage"
	"nines/scheduler/store"
)

// Config is what a Scheduler needs.
type Config struct {
	Config *config.Config
	// Store is open; it stays the caller's to close, after Run.
	Store    *store.Store
	Channels map[string]notifier.Channel // by name: slack, sms, voice, email
	// Listener is where the HTTP server listens; nil: Config.Listen.
	Listener net.Listener
	// Artifacts is the folder of the folders of probers that run in this
	// process, of whose failing runs the API hands out what was kept; empty:
	// there are none.
	Artifacts string
	Log       *slog.Logger     // nil: discarded
	Now       func() time.Time // nil: time.Now
}

// Scheduler is the running server.
type Scheduler struct {
	// immutable
	store      *store.Store
	listener   net.Listener
	log        *slog.Logger
	now        func() time.Time
	fleet      *fleet.Fleet
	dispatcher *notifier.Dispatcher
	notices    chan struct{} // wakes the dispatcher
	metrics    *metrics
	health     *health
	ledger     *ledger
	keys       keys
	api        *api.API
	running    recent[*report.Report]
	latencies  recent[*statuspage.CheckPage]
	spent      recent[[]api.Budget]
	// confirm asks a check's other regions to run it at once; it is fleet's.
	confirm func(check, except string, slot time.Time)

	config   atomic.Pointer[config.Config]
	channels atomic.Pointer[map[string]notifier.Channel]
	pages    atomic.Pointer[statuspage.Handler]
	mux      atomic.Pointer[http.ServeMux]

	mu          sync.Mutex        // protects following, and is held through every turn
	watches     map[string]*watch // by check
	silences    []store.Silence   // not ended
	quarantines []checks.Quarantine
	beside      map[string]http.Handler // by path
}

// New opens what the scheduler needs and rebuilds its boards from the store.
func New(c Config) (*Scheduler, error) {
	s := &Scheduler{
		store: c.Store, listener: c.Listener, log: c.Log, now: c.Now,
		notices: make(chan struct{}, 1), watches: map[string]*watch{},
		beside: map[string]http.Handler{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	ctx := context.Background()
	var err error
	if s.keys, err = readKeys(ctx, s.store); err != nil {
		return nil, err
	}
	s.health = newHealth(s.now())
	s.metrics = newMetrics(s)
	s.ledger = newLedger(s.store, s.now)
	s.fleet = fleet.New(fleet.Config{Ingester: s, Log: s.log, Now: s.now})
	s.confirm = s.fleet.Confirm
	s.dispatcher, err = notifier.New(notifier.Config{
		Outbox: outbox{s.store, s}, Channels: s.relays(),
		People: func(name string) (notifier.Person, bool) { return config.Roster{Config: s.config.Load()}.Person(name) },
		Link:   s.link, Now: s.now, Log: s.log, Wake: s.notices, Observe: s.metrics.sent,
	})
	if err != nil {
		return nil, err
	}
	s.api, err = api.New(api.Config{
		Token:  func() secret.String { return s.config.Load().APIToken },
		Config: s.config.Load, Store: s.store, Incidents: s, Operator: s, Quarantiner: s, Watcher: watcher{s}, Reporter: watcher{s}, Artifacts: c.Artifacts, Now: s.now, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	if err := s.adopt(ctx, c.Config, c.Channels); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload replaces the configuration and the channels. Nothing that is known is
// lost: checks that stay keep their boards' results, open incidents stay open
// and those of checks that are gone end. On an error the old ones stay.
func (s *Scheduler) Reload(c *config.Config, channels map[string]notifier.Channel) error {
	return s.adopt(context.Background(), c, channels)
}

// adopt makes c the configuration.
func (s *Scheduler) adopt(ctx context.Context, c *config.Config, channels map[string]notifier.Channel) error {
	pages, err := statuspage.New(statuspage.Config{
		Source: public{s}, Title: c.StatusPage.Title, Logo: c.StatusPage.Logo, Language: c.StatusPage.Language,
		PublicURL: publicURL(c), Now: s.now, Log: s.log,
	})
	if err != nil {
		return fmt.Errorf("opening the status page: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.silences, err = s.store.Silences(ctx, now); err != nil {
		return err
	}
	if s.quarantines, err = s.store.Quarantines(ctx, now.Add(-longestStale(c)), farFuture); err != nil {
		return err
	}
	watches, err := s.rebuild(ctx, c, now)
	if err != nil {
		return err
	}
	first, err := s.store.FirstDays(ctx)
	if err != nil {
		return err
	}
	if err := s.retire(ctx, c, now); err != nil {
		return err
	}
	s.ledger.adopt(c, first)
	s.config.Store(c)
	s.channels.Store(&channels)
	s.watches = watches
	s.pages.Store(pages)
	s.mux.Store(s.routes(pages))
	s.fleet.Update(members(c), c.Checks)
	return nil
}

// farFuture is later than any result.
var farFuture = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// publicURL is where the scheduler is reached from outside.
func publicURL(c *config.Config) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	return "http://" + c.Listen
}

func members(c *config.Config) []fleet.Member {
	var list []fleet.Member
	for _, p := range c.Probers {
		list = append(list, fleet.Member{Prober: p.Name, Region: p.Region, Token: p.Token, Next: p.Next})
	}
	return list
}

// longestStale is for how long any result can matter to a board.
func longestStale(c *config.Config) time.Duration {
	longest := time.Minute
	for i := range c.Checks {
		longest = max(longest, c.Checks[i].Rule().Stale())
	}
	return longest
}

// Run serves and works until ctx ends. Then it takes no more work, finishes
// what is in flight, bounded, and returns.
func (s *Scheduler) Run(ctx context.Context) error {
	listener := s.listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", s.config.Load().Listen); err != nil {
			return fmt.Errorf("listening: %w", err)
		}
	}
	server := newServer(s.Handler(), s.log)
	server.RegisterOnShutdown(s.fleet.Close)

	var ending sync.WaitGroup
	serving := make(chan error, 1)
	ending.Go(func() { serving <- server.Serve(listener) })
	dispatching, stopDispatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDispatching()
	ending.Go(func() { s.dispatcher.Run(dispatching) })
	stopJobs, err := s.startJobs(ctx)
	if err != nil {
		server.Close()
		stopDispatching()
		ending.Wait()
		return err
	}

	select {
	case err = <-serving:
		err = fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	// First no more results and questions, then no more jobs, and last what
	// they have queued goes out.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownMost)
	defer cancel()
	if shut := server.Shutdown(bounded); shut != nil {
		s.log.Warn("connections were cut", "err", shut)
		server.Close()
	}
	err = errors.Join(err, stopJobs())
	stopDispatching()
	ending.Wait()
	return err
}

// shutdownMost bounds how long requests may go on after the end.
const shutdownMost = 10 * time.Second

// Handler answers every path of the contract's section 7.
func (s *Scheduler) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.mux.Load().ServeHTTP(w, r) })
}

// newServer returns a server with limits. Streams to probers and long exports
// lift the write timeout themselves.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// wake tells the dispatcher that there is something to send.
func (s *Scheduler) wake() {
	select {
	case s.notices <- struct{}{}:
	default: // it knows
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
