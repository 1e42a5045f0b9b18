package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"nines/checks"
	"nines/internal/secret"
	"nines/notifier"
	"nines/notifier/email"
	"nines/notifier/slack"
	"nines/notifier/twilio"
	"nines/prober"
	"nines/scheduler"
	"nines/scheduler/config"
	"nines/scheduler/store"
)

// system is one scheduler and the probers that run in its process.
type system struct {
	path     string // of the configuration
	local    bool   // run a prober for every region that has no remote one
	log      *slog.Logger
	listener net.Listener
	store    *store.Store
	server   *scheduler.Scheduler
	cfg      *config.Config // as it was read, without local probers
	tokens   map[string]secret.String

	running map[string]runningProber // by name; only run's goroutine has to do with it
}

// runningProber is a prober of this process.
type runningProber struct {
	env   string // what it was started with, to see a change
	stop  context.CancelFunc
	ended chan struct{}
}

// openSystem opens everything that the configuration names. The listener may
// be nil; then the configuration's address is listened on.
func openSystem(path string, cfg *config.Config, local bool, listener net.Listener, log *slog.Logger) (_ *system, err error) {
	s := &system{path: path, local: local, log: log, listener: listener, cfg: cfg,
		tokens: map[string]secret.String{}, running: map[string]runningProber{}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.listener == nil {
		if s.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("listening on %s: %w", cfg.Listen, err)
		}
	}
	if s.store, err = store.Open(cfg.Store); err != nil {
		return nil, err
	}
	full, err := s.withLocalProbers(cfg)
	if err != nil {
		return nil, err
	}
	channels, err := openChannels(full)
	if err != nil {
		return nil, err
	}
	s.server, err = scheduler.New(scheduler.Config{
		Config: full, Store: s.store, Channels: channels, Listener: s.listener, Artifacts: probersFolder(cfg), Log: log,
	})
	return s, err
}

func (s *system) close() {
	if s.listener != nil {
		s.listener.Close()
	}
	if s.store != nil {
		s.store.Close()
	}
}

// baseURL is where this machine reaches the server.
func (s *system) baseURL() string {
	addr := s.listener.Addr().(*net.TCPAddr)
	ip := addr.IP
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return "http://" + net.JoinHostPort(ip.String(), fmt.Sprint(addr.Port))
}

// localRegions returns the regions that no remote prober serves.
func localRegions(cfg *config.Config) []config.Region {
	remote := map[string]bool{}
	for _, p := range cfg.Probers {
		remote[p.Region] = true
	}
	var regions []config.Region
	for _, r := range cfg.Regions {
		if !remote[r.Name] {
			regions = append(regions, r)
		}
	}
	return regions
}

// withLocalProbers returns the configuration with a prober for every region
// that has none, of the region's name and with a token that only this process
// knows.
func (s *system) withLocalProbers(cfg *config.Config) (*config.Config, error) {
	if !s.local {
		return cfg, nil
	}
	taken := map[string]bool{}
	for _, p := range cfg.Probers {
		taken[p.Name] = true
	}
	full := *cfg
	full.Probers = append([]config.Prober(nil), cfg.Probers...)
	for _, r := range localRegions(cfg) {
		name := r.Name
		if taken[name] {
			return nil, inputf("the prober %q has the name of a region without remote probers; rename one of the two", name)
		}
		if s.tokens[name].IsZero() {
			s.tokens[name] = newSecret()
		}
		full.Probers = append(full.Probers, config.Prober{Name: name, Region: r.Name, Token: s.tokens[name]})
	}
	return &full, nil
}

// openChannels makes the vendors that the configuration has sections for.
func openChannels(cfg *config.Config) (map[string]notifier.Channel, error) {
	channels := map[string]notifier.Channel{}
	if c := cfg.Slack; c != nil {
		ch, err := slack.New(slack.Config{Token: c.Token, Channel: c.Channel, SigningSecret: c.SigningSecret, APIURL: c.APIURL})
		if err != nil {
			return nil, err
		}
		channels["slack"] = ch
	}
	if c := cfg.Twilio; c != nil {
		vendor := twilio.Config{AccountSID: c.AccountSID, AuthToken: c.AuthToken, From: c.From, APIURL: c.APIURL, PublicURL: cfg.PublicURL}
		ch, err := twilio.New(vendor)
		if err != nil {
			return nil, err
		}
		channels["sms"], channels["voice"] = ch, ch
	}
	if c := cfg.Email; c != nil {
		ch, err := email.New(email.Config{Server: c.Server, Username: c.Username, Password: c.Password, From: c.From, TLS: c.TLS})
		if err != nil {
			return nil, err
		}
		channels["email"] = ch
	}
	return channels, nil
}

// run serves until ctx ends: then the probers finish and ship what they have,
// and the scheduler after them.
func (s *system) run(ctx context.Context) error {
	defer s.close()
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	served := make(chan error, 1)
	go func() { served <- s.server.Run(serving) }()

	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	if err := s.startProbers(ctx, s.cfg); err != nil {
		stopServing()
		return errors.Join(err, <-served)
	}
	for {
		select {
		case err := <-served:
			s.stopProbers(nil)
			return err
		case <-hup:
			s.reload(ctx)
		case <-ctx.Done():
			s.log.Info("stopping")
			s.stopProbers(nil)
			stopServing()
			return <-served
		}
	}
}

// reload reads the configuration again and keeps the old one if it is bad.
func (s *system) reload(ctx context.Context) {
	cfg, err := config.Load(s.path, os.LookupEnv)
	if err == nil {
		err = s.apply(ctx, cfg)
	}
	if err != nil {
		s.log.Error("configuration not taken; the old one stays", "err", err)
		return
	}
	s.log.Info("configuration taken", "checks", len(cfg.Checks), "regions", len(cfg.Regions))
}

func (s *system) apply(ctx context.Context, cfg *config.Config) error {
	if cfg.Listen != s.cfg.Listen || cfg.Store != s.cfg.Store {
		return errors.New("listen and store cannot change while running; restart for that")
	}
	full, err := s.withLocalProbers(cfg)
	if err != nil {
		return err
	}
	channels, err := openChannels(full)
	if err != nil {
		return err
	}
	if err := s.server.Reload(full, channels); err != nil {
		return err
	}
	s.cfg = cfg
	return s.startProbers(ctx, cfg)
}

// startProbers starts the local probers that cfg wants and stops those that it
// does not.
func (s *system) startProbers(ctx context.Context, cfg *config.Config) error {
	if !s.local {
		return nil
	}
	wanted := map[string]checks.Env{}
	for _, r := range localRegions(cfg) {
		wanted[r.Name] = checks.Env{Allow: cfg.Allow, SourceIP: r.SourceIP}
	}
	s.stopProbers(wanted)
	for name, env := range wanted {
		if err := s.startProber(ctx, name, env); err != nil {
			return err
		}
	}
	return nil
}

// probersFolder is where local probers have their folders: beside the store.
func probersFolder(cfg *config.Config) string {
	return strings.TrimSuffix(cfg.Store, filepath.Ext(cfg.Store)) + "-probers"
}

func (s *system) startProber(ctx context.Context, name string, env checks.Env) error {
	if _, ok := s.running[name]; ok {
		return nil
	}
	p, err := prober.New(prober.Config{
		Scheduler: s.baseURL(),
		Name:      name,
		Token:     s.tokens[name],
		DataDir:   filepath.Join(probersFolder(s.cfg), name),
		Env:       env,
		Log:       s.log.With("prober", name),
		Version:   version,
	})
	if err != nil {
		return fmt.Errorf("starting the prober %s: %w", name, err)
	}
	ctx, stop := context.WithCancel(ctx)
	running := runningProber{env: fmt.Sprint(env), stop: stop, ended: make(chan struct{})}
	s.running[name] = running
	go func() {
		defer close(running.ended)
		if err := p.Run(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("prober ended", "prober", name, "err", err)
		}
	}()
	return nil
}

// stopProbers stops every local prober that is not wanted as it is, and waits
// until they have ended.
func (s *system) stopProbers(wanted map[string]checks.Env) {
	var ending []chan struct{}
	for name, p := range s.running {
		if env, ok := wanted[name]; ok && fmt.Sprint(env) == p.env {
			continue
		}
		p.stop()
		ending = append(ending, p.ended)
		delete(s.running, name)
	}
	for _, ended := range ending {
		<-ended
	}
}
