package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/notifier"
	"nines/regions"
	"nines/scheduler/config"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// noon is when tests begin: a Thursday.
var noon = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

// baseYAML is a configuration of three regions with a prober each.
const baseYAML = `
listen: 127.0.0.1:0
public_url: https://status.example.com
store: nines.db
api_token: operator-token-of-the-tests
regions: [{name: eu, title: Frankfurt}, {name: us, title: Virginia}, {name: ap, title: Mumbai}]
probers:
  - {name: eu-1, region: eu, token: token-of-eu-1}
  - {name: us-1, region: us, token: token-of-us-1}
  - {name: ap-1, region: ap, token: token-of-ap-1}
defaults: {every: 60s, timeout: 10s}
checks:
  - {name: shop, title: Shop, group: Storefront, kind: http, url: "https://shop.example.com/", runbook: "https://wiki.example.com/shop"}
  - {name: ns, kind: dns, domain: example.com, type: A, server: 192.0.2.53, public: false}
people:
  - {name: alice, phone: "+48500100200", slack: U012ALICE, timezone: Europe/Warsaw}
  - {name: bob, phone: "+12025550123", slack: U012BOB}
  - {name: carol, phone: "+12025550199"}
rotations:
  - {name: primary, timezone: Europe/Warsaw, every: weekly, handoff: mon 09:00, start: 2026-01-05, people: [alice]}
policies:
  - name: default
    steps:
      - {notify: ["rotation:primary"], by: [slack, sms, voice], wait: 5m}
      - {notify: ["person:bob"], by: [sms], wait: 10m}
    repeat: 1
slas:
  - {name: gold, title: Gold plan, checks: [shop], target: 99.9, timezone: UTC}
slack: {token: xoxb-test, channel: C0INCIDENTS, signing_secret: signing-secret-of-the-tests}
twilio: {account_sid: AC00000000000000000000000000000001, auth_token: twilio-token-of-the-tests, from: "+12025550100"}
`

// house is a scheduler under test whose clock the test moves.
type house struct {
	*Scheduler
	t     testing.TB
	path  string
	clock time.Time
	asked []string // CHECK without REGION
	seq   int64
}

// load reads a configuration.
func load(t testing.TB, yaml string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nines.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, os.LookupEnv)
	if err != nil {
		t.Fatalf("the test's configuration: %v", err)
	}
	return c
}

// build opens a scheduler with a store of its own. The edits replace text of
// baseYAML, in pairs.
func build(t testing.TB, edits ...string) *house {
	t.Helper()
	yaml := strings.NewReplacer(edits...).Replace(baseYAML)
	h := &house{t: t, path: filepath.Join(t.TempDir(), "nines.db"), clock: noon}
	h.open(load(t, yaml), nil)
	return h
}

// open starts the house's scheduler on its store.
func (h *house) open(c *config.Config, channels map[string]notifier.Channel) {
	h.t.Helper()
	s, err := store.Open(h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { s.Close() })
	log := slog.DiscardHandler
	if testing.Verbose() {
		log = slog.NewTextHandler(h.t.Output(), nil)
	}
	h.Scheduler, err = New(Config{Config: c, Store: s, Channels: channels, Now: func() time.Time { return h.clock }, Log: slog.New(log)})
	if err != nil {
		h.t.Fatal(err)
	}
	h.confirm = func(check, except string, _ time.Time) {
		h.asked = append(h.asked, check+" without "+except)
	}
}

// reopen is a restart.
func (h *house) reopen() {
	h.t.Helper()
	c := h.config.Load()
	if err := h.store.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.open(c, nil)
}

// pass moves the clock on and has the job of each second run, or for longer
// times that of every fifth.
func (h *house) pass(d time.Duration) {
	h.t.Helper()
	step := time.Second
	if d > 10*time.Second {
		step = 5 * time.Second
	}
	for end := h.clock.Add(d); h.clock.Before(end); {
		h.clock = h.clock.Add(min(step, end.Sub(h.clock)))
		if err := h.tick(context.Background()); err != nil {
			h.t.Fatal(err)
		}
	}
}

// result is what the region's prober saw at a time.
func result(check, region string, at time.Time, status checks.Status) checks.Result {
	r := checks.Result{Check: check, Region: region, Prober: region + "-1", Slot: at, At: at, TookMS: 120, Status: status}
	if status == checks.Down {
		r.Reason, r.Detail = checks.ConnectTimeout, "no answer from 192.0.2.7"
	}
	r.Normalize()
	return r
}

// batch makes results one batch of the prober's only spool.
func (h *house) batch(results ...checks.Result) regions.Batch {
	b := regions.Batch{Spool: "spool-1"}
	for _, r := range results {
		h.seq++
		b.Entries = append(b.Entries, regions.Entry{Seq: h.seq, Result: r})
	}
	return b
}

// ingest takes results of one region in, all at once.
func (h *house) ingest(results ...checks.Result) regions.Ack {
	h.t.Helper()
	ack, err := h.Ingest(context.Background(), results[0].Prober, results[0].Region, h.batch(results...))
	if err != nil {
		h.t.Fatal(err)
	}
	return ack
}

// see has the regions see a check now, a result each.
func (h *house) see(check string, status checks.Status, where ...string) {
	h.t.Helper()
	for _, region := range where {
		h.ingest(result(check, region, h.clock, status))
	}
}

var everywhere = []string{"eu", "us", "ap"}

// incidents returns all incidents, oldest first.
func (h *house) incidents() []incident.Incident {
	h.t.Helper()
	list, err := h.store.LastIncidents(context.Background(), 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

// notices returns an incident's notices in words, such as "page sms alice".
func (h *house) notices(id int64) []string {
	h.t.Helper()
	list, err := h.store.Notices(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	var words []string
	for _, n := range list {
		words = append(words, strings.TrimSpace(fmt.Sprintf("%s %s %s", n.Kind, n.Channel, n.Person)))
	}
	return words
}

func (h *house) verdict(check string) regions.Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watches[check].judgment.Verdict
}
