package notifier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nines/notifier"
)

// vendor is a small vendor in memory: what it has taken stays in its list.
type vendor struct {
	mu      sync.Mutex
	start   time.Time
	taken   []string                 // nonces
	calls   []string                 // what was asked of it, and when
	answers []func(v *vendor) answer // one a Send; then yes
	status  notifier.State           // of what was taken
	instant bool                     // says nothing of delivery later
	blind   error                    // Find's answer
}

// answer is how a vendor answers a Send.
type answer struct {
	takes bool
	err   error
	slow  time.Duration
	panic bool
}

func (v *vendor) note(what string) {
	v.calls = append(v.calls, fmt.Sprintf("%s at %s", what, time.Since(v.start).Round(time.Millisecond)))
}

func (v *vendor) Send(ctx context.Context, m notifier.Message) (notifier.Receipt, error) {
	v.mu.Lock()
	v.note("send")
	a := answer{takes: true}
	if len(v.answers) > 0 {
		a, v.answers = v.answers[0](v), v.answers[1:]
	}
	if a.takes {
		v.taken = append(v.taken, m.Notice.Nonce)
	}
	receipt := notifier.Receipt{ID: fmt.Sprintf("R%d", len(v.taken)), Delivered: v.instant}
	v.mu.Unlock()
	if a.slow > 0 {
		select {
		case <-time.After(a.slow):
		case <-ctx.Done():
			return notifier.Receipt{}, ctx.Err()
		}
	}
	if a.panic {
		panic("a bug")
	}
	return receipt, a.err
}

func (v *vendor) Find(_ context.Context, m notifier.Message) (notifier.Receipt, bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.note("find")
	i := slices.Index(v.taken, m.Notice.Nonce)
	return notifier.Receipt{ID: fmt.Sprintf("R%d", i+1), Delivered: v.instant}, i >= 0, v.blind
}

func (v *vendor) Status(context.Context, string) (notifier.State, string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.note("status")
	return v.status, "as the vendor says", nil
}

func (v *vendor) asked() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.calls)
}

func (v *vendor) becomes(status notifier.State) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status = status
}

func refuse(err notifier.SendError) func(*vendor) answer {
	return func(*vendor) answer { return answer{err: &err} }
}

func lose(takes bool) func(*vendor) answer {
	return func(*vendor) answer { return answer{takes: takes, err: errors.New("connection reset")} }
}

// bench is an outbox with incident 41 and a vendor for each channel.
type bench struct {
	box     *memory
	vendors map[string]*vendor
	cfg     notifier.Config
}

func newBench() *bench {
	b := &bench{box: newMemory(), vendors: map[string]*vendor{}}
	b.cfg = notifier.Config{
		Outbox: b.box, Channels: map[string]notifier.Channel{}, People: house.Person, Wake: b.box.wake,
		Link: func(incident int64, person string) string {
			return fmt.Sprintf("https://s.example/i/%d?k=%s", incident, person)
		},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, name := range []string{"slack", "sms", "voice", "email"} {
		v := &vendor{start: time.Now(), status: notifier.Accepted, instant: !notifier.Reports(name)}
		b.vendors[name], b.cfg.Channels[name] = v, v
	}
	b.box.put(notifier.Subject{Incident: 41, Check: "shop", Reason: "connect.timeout", Down: 3, Regions: 3, Since: time.Now()})
	return b
}

// run runs a dispatcher, until the function that it returns is called.
func (b *bench) run(t *testing.T) (stop func()) {
	t.Helper()
	d, err := notifier.New(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// page queues a page to alice by the channels.
func (b *bench) page(channels ...string) int64 {
	n := notifier.Notice{
		Incident: 41, Kind: notifier.PageNotice, Person: "alice", Channel: channels[0], Then: channels[1:],
		State: notifier.Queued, NotBefore: time.Now(), Created: time.Now(),
	}
	if n.Channel == notifier.Slack {
		n.Person = ""
	}
	n.Nonce = notifier.NonceOf(n)
	return b.box.queue(n)[0]
}

func states(notices []notifier.Notice) []string {
	var all []string
	for _, n := range notices {
		all = append(all, fmt.Sprintf("%s %s", n.Channel, n.State))
	}
	return all
}

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}
