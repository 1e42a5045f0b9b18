// Package prober is the agent that runs checks at one place: it asks the
// scheduler what to run, runs every slot when it is due, keeps each result on
// disk until the scheduler has it, and goes on doing so while the scheduler is
// away.
//
// Its parts, a file each: the schedule hands out slots, the pool runs them, the
// spool keeps what they found, the outbox knows what is still to be sent, the
// shipper sends it, the stream hears what to do, and the clock knows how far
// this machine's time can be trusted.
//
// Every slot ends as one result: what the check found, or unknown with the
// reason why it was not run. Marks in the spool say up to where that has been
// done, so that a prober that was killed accounts for the time it was gone.
//
// Left to others: what a check does (checks), which slots it has (regions) and
// what results mean (scheduler). It imports checks and its throttle, regions
// and internal packages.
package prober

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"nines/checks"
	"nines/checks/throttle"
	"nines/internal/secret"
)

// Config is what a Prober needs.
type Config struct {
	Scheduler string        // URL of the scheduler, with a path if it has one
	Name      string        // who the scheduler must say we are; empty: whoever it says
	Token     secret.String // tells the scheduler who we are
	// Renew returns the token anew once the scheduler has refused it; nil: there
	// is no other.
	Renew func() (secret.String, error)
	// DataDir is a folder of this prober alone, for the spool, the last
	// assignment (secrets of checks included) and the artifacts of failing
	// runs; it is created if need be.
	DataDir string
	Env     checks.Env // what runs may use of this machine
	// Transport carries requests to the scheduler; nil: one of our own, which
	// goes by Proxy and Roots.
	Transport http.RoundTripper
	// Proxy is what requests to the scheduler go through, http, https or socks5;
	// nil: what the environment says (HTTPS_PROXY and so on).
	Proxy *url.URL
	// Roots vouch for the scheduler's certificate; nil: the system's.
	Roots *x509.CertPool
	// SpoolCap is how many bytes of results are kept while the scheduler is
	// away; zero: 256 MiB.
	SpoolCap int64
	Log      *slog.Logger // nil: discarded
	Version  string       // told to the scheduler
}

// Prober runs checks at one place. See New.
type Prober struct {
	config Config
	base   string
	log    *slog.Logger
	counts counts

	houseEvery time.Duration // houseEvery, but in tests
	// measure is throttle.Measure, but in tests whose time is not real.
	measure func(ctx context.Context, kbps float64, rtt, long time.Duration) (throttle.Measured, error)

	clock    *clock
	spool    *spool
	outbox   *outbox
	schedule *schedule
	pool     *pool
	shipper  *shipper

	calibration calibration
	artifacts   *artifacts

	recording sync.WaitGroup // results of slots that were not run
	misses    sometimes      // logs them

	adopting sync.Mutex // protects following
	adopted  string     // the assignment in force, encoded; empty: none yet
	heard    bool       // the scheduler itself has sent one
}

// inFlightLimit bounds how long runs may take to end once the prober stops.
const inFlightLimit = 15 * time.Second

// New opens a prober's data. It fails if the configuration is of no use or
// another process uses the folder; whatever else is wrong there is set aside.
func New(c Config) (*Prober, error) {
	base, err := baseURL(c.Scheduler)
	if err != nil {
		return nil, err
	}
	if c.Name != "" && !checks.ValidName(c.Name) {
		return nil, fmt.Errorf("%q cannot be a prober's name; use 1 to 63 of a-z, 0-9 and -", c.Name)
	}
	if c.DataDir == "" {
		return nil, fmt.Errorf("a prober needs a folder for its data")
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the data folder: %w", err)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SpoolCap <= 0 {
		c.SpoolCap = 256 << 20
	}
	p := &Prober{config: c, base: base, log: c.Log, houseEvery: houseEvery, measure: throttle.Measure}
	if p.config.Env.Path == nil {
		p.config.Env.Path = &checks.Path{}
	}
	p.artifacts = &artifacts{dir: filepath.Join(c.DataDir, "artifacts"), log: c.Log}
	p.config.Env.Keep = p.artifacts.keep
	p.outbox = newOutbox(c.Log)
	p.spool, err = openSpool(spoolConfig{path: filepath.Join(c.DataDir, "spool.db"), limit: c.SpoolCap, out: p.outbox, log: c.Log})
	if err != nil {
		return nil, err
	}
	p.clock = newClock(c.Env.Now)
	p.shipper = newShipper(p)
	p.clock.suspicious = p.shipper.beat
	p.pool = newPool(p.clock.mono, p.perform, p.refuse)
	p.schedule = newSchedule(p.clock, p, c.Log)
	p.schedule.restore(p.spool.found.marks, p.spool.found.recorded)
	return p, nil
}

// baseURL checks the scheduler's URL and returns it without a slash at its end.
func baseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q is not a scheduler's URL; write it as https://status.example.com", s)
	}
	return strings.TrimRight(s, "/"), nil
}

// Run probes until ctx ends. Then it takes no more slots, lets runs in flight
// end, tries once to send what there is, and closes the spool. It returns an
// error only if it could not work at all.
func (p *Prober) Run(ctx context.Context) error {
	p.log.Info("prober starting", "scheduler", p.base, "spooled", p.spool.rows.Load())
	p.warnOfPlainText()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var loops sync.WaitGroup
	loops.Go(func() { p.listen(ctx) })
	loops.Go(func() { p.recall(ctx) })
	loops.Go(func() { p.calibrate(ctx) })
	var tail sync.WaitGroup // what goes on while runs in flight end
	tail.Go(func() { p.shipper.run(working) })
	tail.Go(func() { p.keepHouse(working) })

	err := p.schedule.drive(ctx)
	cancel()
	loops.Wait()
	if !p.pool.drain(inFlightLimit) {
		p.log.Error("runs do not end and are left behind")
	}
	p.recording.Wait()
	stop()
	tail.Wait()
	p.shipper.last()
	p.clean()
	p.log.Info("prober stopped", "spooled", p.spool.rows.Load())
	if closing := p.spool.close(); err == nil {
		err = closing
	}
	return err
}

// warnOfPlainText says so when the token, and the secrets of checks, travel
// unencrypted over a network.
func (p *Prober) warnOfPlainText() {
	u, err := url.Parse(p.base)
	if err != nil || u.Scheme == "https" || u.Hostname() == "localhost" {
		return
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		p.log.Warn("token and checks travel unencrypted; put TLS in front of the scheduler", "scheduler", p.base)
	}
}

// houseEvery is how often what is delivered leaves the disk.
const houseEvery = 5 * time.Second

// keepHouse cleans the spool now and then.
func (p *Prober) keepHouse(ctx context.Context) {
	tick := time.NewTicker(p.houseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.clean()
		}
	}
}

// clean saves the marks and removes delivered results that lie behind them.
// One that lies ahead stays: should we be killed, it is what says that its
// slot needs no other result.
func (p *Prober) clean() {
	marks, floors := p.schedule.marks()
	forget := p.outbox.forgettable(floors)
	if err := p.spool.trim(forget, marks); err == nil {
		p.outbox.forget(forget)
	}
}
