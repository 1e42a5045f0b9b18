package notifier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nines/notifier"
	"nines/notifier/notifytest"
	"nines/notifier/slack"
	"nines/notifier/twilio"
)

// house41 is the whole way from a step that fires to a phone: dispatcher,
// vendors' packages, real sockets, sandbox, and the hooks back.
type house41 struct {
	t       *testing.T
	box     *memory
	sandbox *notifytest.Sandbox
	slack   *slack.Client
	hooks   *httptest.Server
	stop    func()

	mu      sync.Mutex
	actions []slack.Action
	events  []twilio.Event
	bad     int // hooks that were refused
}

// deliverWithin stands for the 45 s that a page has.
const deliverWithin = 4 * time.Second

func newHouse(t *testing.T, cfg notifytest.Config) *house41 {
	t.Helper()
	h := &house41{t: t, box: newMemory()}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks/twilio/{what}", h.twilioHook)
	mux.HandleFunc("POST /hooks/slack", h.slackHook)
	h.hooks = httptest.NewServer(mux)
	t.Cleanup(h.hooks.Close)
	cfg.DeliverAfter = 50 * time.Millisecond // so that reports come after the answer, as they do
	cfg.People, cfg.Hooks, cfg.PublicURL = house.people, h.hooks.URL, "https://status.example.com"
	var err error
	if h.sandbox, err = notifytest.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.sandbox.Close() })
	made := h.sandbox.Config()
	h.slack, err = slack.New(slack.Config{
		Token: made.SlackToken, Channel: made.SlackChannel, SigningSecret: made.SigningSecret, APIURL: h.sandbox.URL() + "/api/",
	})
	if err != nil {
		t.Fatal(err)
	}
	phone, err := twilio.New(twilio.Config{
		AccountSID: made.AccountSID, AuthToken: made.AuthToken, From: made.From, APIURL: h.sandbox.URL(), PublicURL: "https://status.example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	h.box.put(notifier.Subject{
		Incident: 41, Check: "shop", Title: "Shop front page", Reason: "connect.timeout", Down: 3, Regions: 3,
		Where: []string{"eu-west", "us-east", "ap-south"}, Since: time.Now(), Opened: time.Now(),
	})
	d, err := notifier.New(notifier.Config{
		Outbox: h.box, Channels: map[string]notifier.Channel{"slack": h.slack, "sms": phone, "voice": phone},
		People: house.Person, Wake: h.box.wake,
		Link: func(incident int64, person string) string {
			return fmt.Sprintf("https://status.example.com/i/%d?k=key-of-%s", incident, person)
		},
		Log:           slog.New(slog.NewTextHandler(io.Discard, nil)),
		Poll:          20 * time.Millisecond,
		SendTimeout:   700 * time.Millisecond,
		DeliverWithin: deliverWithin,
		Backoff:       50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	h.stop = func() { cancel(); <-done }
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *house41) twilioHook(w http.ResponseWriter, r *http.Request) {
	e, err := twilio.ParseWebhook(h.sandbox.Config().AuthToken, "https://status.example.com", r)
	h.mu.Lock()
	if err != nil {
		h.bad++
		h.mu.Unlock()
		w.WriteHeader(http.StatusForbidden)
		return
	}
	h.events = append(h.events, e)
	h.mu.Unlock()
	switch e.Kind {
	case twilio.StatusEvent:
		h.box.reported(e.SID, e.State, time.Now())
		w.WriteHeader(http.StatusNoContent)
	case twilio.SMSEvent:
		w.Header().Set("Content-Type", twilio.ReplyType)
		if e.Command.Verb == twilio.Carrier {
			w.Write(twilio.Reply(""))
		} else {
			w.Write(twilio.Reply("It is yours <&>."))
		}
	case twilio.VoiceEvent:
		w.Header().Set("Content-Type", twilio.ReplyType)
		w.Write(twilio.Say("Acknowledged."))
	}
}

func (h *house41) slackHook(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a, err := h.slack.ParseInteraction(r.Header, body, time.Now())
	h.mu.Lock()
	defer h.mu.Unlock()
	if errors.Is(err, slack.ErrBadSignature) {
		h.bad++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.actions = append(h.actions, a)
}

// fire queues the notices of a step that pages alice and bob.
func (h *house41) fire(by ...string) {
	policy := notifier.Policy{Name: "web", Steps: []notifier.Step{{Notify: []string{"rotation:primary"}, By: by, Wait: time.Minute}}}
	h.box.queue(notifier.Fire(&policy, house, 0, 0, time.Now()).For(41)...)
}

// await waits until something is so.
func (h *house41) await(what string, so func() bool) {
	h.t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("waited for %s; notices %v", what, h.box.notices())
		}
	}
}

// done waits until no notice is under way.
func (h *house41) done() {
	h.t.Helper()
	h.await("the end of all notices", func() bool {
		return !slices.ContainsFunc(h.box.notices(), func(n notifier.Notice) bool {
			return n.State == notifier.Queued || n.State == notifier.Leased || n.State == notifier.Accepted
		})
	})
}

func (h *house41) carrying(nonce string) (n int) {
	for _, text := range h.sandbox.Texts() {
		if strings.Contains(text.Body, "#"+nonce) {
			n++
		}
	}
	for _, post := range h.sandbox.Posts() {
		if strings.Contains(string(post.Metadata), nonce) {
			n++
		}
	}
	return n
}

// Every fault that the sandbox knows, for each vendor: what was queued arrives
// at least once, at most twice, and once where the vendor can be asked.
func TestEveryFaultOverRealSockets(t *testing.T) {
	type test struct {
		name   string
		faults []notifytest.Fault
		copies int      // of the SMS or the Slack message
		states []string // in the end
	}
	sms := func(kind notifytest.Kind, change func(*notifytest.Fault)) []notifytest.Fault {
		f := notifytest.Fault{In: notifytest.CreateMessage, Kind: kind, Times: 1}
		if change != nil {
			change(&f)
		}
		return []notifytest.Fault{f}
	}
	post := func(kind notifytest.Kind, change func(*notifytest.Fault)) []notifytest.Fault {
		f := notifytest.Fault{In: notifytest.PostMessage, Kind: kind, Times: 1}
		if change != nil {
			change(&f)
		}
		return []notifytest.Fault{f}
	}
	always := func(f *notifytest.Fault) { f.Times = 0 }
	code := func(c string) func(*notifytest.Fault) { return func(f *notifytest.Fault) { f.Code = c } }
	arrived := []string{"sms delivered"}
	moved := []string{"sms failed", "voice delivered"}
	said := []string{"slack delivered"}
	tests := map[string][]test{
		"sms": {
			{"nothing wrong", nil, 1, arrived},
			{"429 with Retry-After", sms(notifytest.RateLimit, func(f *notifytest.Fault) { f.RetryAfter = time.Second }), 1, arrived},
			{"429 with a long Retry-After", sms(notifytest.RateLimit, func(f *notifytest.Fault) { f.RetryAfter = time.Minute }), 0, moved},
			{"429 without Retry-After", sms(notifytest.RateLimit, nil), 1, arrived},
			{"500", sms(notifytest.ServerError, nil), 1, arrived},
			{"503", sms(notifytest.Unavailable, nil), 1, arrived},
			{"500 for good", sms(notifytest.ServerError, always), 0, moved},
			{"no answer", sms(notifytest.Stall, nil), 1, arrived},
			{"no answer, taken", sms(notifytest.StallTaken, nil), 1, arrived},
			{"cut", sms(notifytest.Cut, nil), 1, arrived},
			{"cut, taken", sms(notifytest.CutTaken, nil), 1, arrived},
			{"half an answer, taken", sms(notifytest.Garbage, nil), 1, arrived},
			{"cut, taken, and the list fails too", append(sms(notifytest.CutTaken, nil), notifytest.Fault{In: notifytest.ListMessages, Kind: notifytest.Cut, Times: 2}), 1, arrived},
			{"cut, taken, and the list is refused", append(sms(notifytest.CutTaken, nil), notifytest.Fault{In: notifytest.ListMessages, Kind: notifytest.Refuse, Code: "20003", Times: 1}), 2, arrived},
			{"STOP", sms(notifytest.Refuse, code("21610")), 0, moved},
			{"undelivered", sms(notifytest.Undelivered, code("30003")), 1, moved},
			{"no report, and never delivered", sms(notifytest.Silent, nil), 1, moved},
			{"the report is lost", sms(notifytest.Lost, nil), 1, arrived},
			{"reports come twice", sms(notifytest.Twice, nil), 1, arrived},
			{"reports in the wrong order", sms(notifytest.Disorder, nil), 1, arrived},
		},
		"voice": {
			{"nothing wrong", nil, 0, []string{"voice delivered"}},
			{"not answered", []notifytest.Fault{{In: notifytest.CreateCall, Kind: notifytest.Undelivered, Times: 1}}, 0, []string{"voice failed"}},
			{"cut, taken", []notifytest.Fault{{In: notifytest.CreateCall, Kind: notifytest.CutTaken, Times: 1}}, 0, []string{"voice delivered"}},
		},
		"slack": {
			{"nothing wrong", nil, 1, said},
			{"429 with Retry-After", post(notifytest.RateLimit, func(f *notifytest.Fault) { f.RetryAfter = time.Second }), 1, said},
			{"429 without Retry-After", post(notifytest.RateLimit, nil), 1, said},
			{"500", post(notifytest.ServerError, nil), 1, said},
			{"503", post(notifytest.Unavailable, nil), 1, said},
			{"no answer", post(notifytest.Stall, nil), 1, said},
			{"no answer, taken", post(notifytest.StallTaken, nil), 1, said},
			{"cut", post(notifytest.Cut, nil), 1, said},
			{"cut, taken", post(notifytest.CutTaken, nil), 1, said},
			{"half an answer, taken", post(notifytest.Garbage, nil), 1, said},
			{"cut, taken, and history fails too", append(post(notifytest.CutTaken, nil), notifytest.Fault{In: notifytest.History, Kind: notifytest.ServerError, Times: 2}), 1, said},
			{"cut, taken, and history is refused", append(post(notifytest.CutTaken, nil), notifytest.Fault{In: notifytest.History, Kind: notifytest.Refuse, Code: "missing_scope", Times: 1}), 2, said},
			{"a bad token", post(notifytest.Refuse, code("invalid_auth")), 0, []string{"slack failed"}},
			{"an error that may pass", post(notifytest.Refuse, code("service_unavailable")), 1, said},
			{"an error that says nothing", post(notifytest.Refuse, code("fatal_error")), 1, said},
		},
	}
	for channel, tests := range tests {
		for _, test := range tests {
			t.Run(channel+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, notifytest.Config{TalkFor: 50 * time.Millisecond})
				for _, f := range test.faults {
					h.sandbox.Break(f)
				}
				by := []string{channel}
				if channel == "sms" {
					by = append(by, "voice")
				}
				h.fire(by...)
				h.done()
				same(t, "notices", test.states, states(h.box.notices()))
				first := h.box.notices()[0]
				if got := h.carrying(first.Nonce); got != test.copies {
					t.Errorf("it was taken %d times; want %d. %q", got, test.copies, first.Detail)
				}
				if calls := h.sandbox.Calls(); slices.Contains([]string{"voice delivered"}, test.states[len(test.states)-1]) && (len(calls) < 1 || len(calls) > 2) {
					t.Errorf("%d calls", len(calls))
				}
				if h.bad > 0 {
					t.Errorf("%d webhooks were refused", h.bad)
				}
			})
		}
	}
}

// The way of one incident: paged, acknowledged by SMS and button, recovered.
func TestIncidentFromPageToRecovery(t *testing.T) {
	t.Parallel()
	h := newHouse(t, notifytest.Config{TalkFor: 50 * time.Millisecond})
	h.fire("slack", "sms", "voice")
	h.done()
	same(t, "notices", []string{"slack delivered", "sms delivered"}, states(h.box.notices()))

	page := h.sandbox.Texts()[0]
	wantPage := fmt.Sprintf("Z. Reply ACK 41. https://status.example.com/i/41?k=key-of-alice #%s", h.box.notice(2).Nonce)
	if page.To != alice.Phone || !strings.HasPrefix(page.Body, "DOWN shop: connect.timeout from 3/3 regions since ") || !strings.HasSuffix(page.Body, wantPage) {
		t.Errorf("the SMS to %s: %s", page.To, page.Body)
	}
	post := h.sandbox.Posts()[0]
	for _, want := range []string{"*DOWN*", "Shop front page", "connect.timeout", "3/3 eu-west, us-east, ap-south", "<@U012ALICE>", "Incident 41"} {
		if !strings.Contains(post.Said(), want) {
			t.Errorf("the Slack message lacks %q: %s", want, post.Said())
		}
	}

	// She replies, presses, and asks for what nobody knows.
	if status, answer, err := h.sandbox.Reply(t.Context(), alice.Phone, "Ack 41"); status != 200 || err != nil {
		t.Error(status, answer, err)
	}
	texts := h.sandbox.Texts()
	if last := texts[len(texts)-1]; last.Body != "It is yours <&>." || last.To != alice.Phone {
		t.Errorf("the answer to her reply is %+v", last)
	}
	if status, _, err := h.sandbox.Press(t.Context(), post.TS, "nines_ack", alice.Slack); status != 200 || err != nil {
		t.Error(status, err)
	}
	h.mu.Lock()
	event, action := h.events[len(h.events)-1], h.actions[0]
	h.mu.Unlock()
	if event.Kind != twilio.SMSEvent || event.From != alice.Phone || event.Command != (twilio.Command{Verb: twilio.Ack, Incident: 41}) {
		t.Errorf("her reply was read as %+v", event)
	}
	if action.Verb != slack.Ack || action.Incident != 41 || action.User != alice.Slack || action.MessageTS != post.TS || action.ID == "" {
		t.Errorf("her button was read as %+v", action)
	}

	// The incident changes: its message is edited, its thread grows.
	subject, _ := h.box.Subject(t.Context(), 41)
	if subject.Thread == nil || subject.Thread.Timestamp != post.TS {
		t.Fatalf("the incident's thread is %+v", subject.Thread)
	}
	subject.AckedBy, subject.AckedAt = "alice", time.Now()
	h.box.put(subject)
	paged := []notifier.Paged{{Channel: "slack"}, {Person: "alice", Channel: "sms"}}
	h.box.queue(notifier.Tell(41, notifier.UpdateNotice, paged, "was paged", "alice", time.Now())...)
	h.done()
	subject.Resolved = time.Now()
	h.box.put(subject)
	h.box.queue(notifier.Tell(41, notifier.RecoveryNotice, paged, "was paged", "", time.Now())...)
	h.done()

	posts := h.sandbox.Posts()
	if len(posts) != 3 || posts[0].Edits != 2 || posts[1].ThreadTS != post.TS || posts[2].ThreadTS != post.TS {
		t.Fatalf("the channel has %+v", posts)
	}
	if !strings.Contains(posts[0].Said(), "*UP*") || len(posts[0].Buttons()) > 0 {
		t.Errorf("the message at the end: %s, buttons %v", posts[0].Said(), posts[0].Buttons())
	}
	if !strings.HasPrefix(posts[1].Text, "ACKED shop: by alice at") || !strings.HasPrefix(posts[2].Text, "UP shop: back since") {
		t.Errorf("the thread is %q, %q", posts[1].Text, posts[2].Text)
	}
	texts = h.sandbox.Texts()
	if last := texts[len(texts)-1]; !strings.HasPrefix(last.Body, "UP shop: back since") {
		t.Errorf("she was told %q", last.Body)
	}
}

// An unclear answer to a later notice finds its reply in the thread, and a
// message that somebody deleted is posted anew.
func TestSlackThreadAfterFaults(t *testing.T) {
	t.Parallel()
	h := newHouse(t, notifytest.Config{})
	h.fire("slack")
	h.done()
	slackOnly := []notifier.Paged{{Channel: "slack"}}
	h.sandbox.Break(notifytest.Fault{In: notifytest.PostMessage, Kind: notifytest.CutTaken, Times: 1})
	h.box.queue(notifier.Tell(41, notifier.UpdateNotice, slackOnly, "", "", time.Now())...)
	h.done()
	h.sandbox.Break(notifytest.Fault{In: notifytest.UpdateMessage, Kind: notifytest.ServerError, Times: 1})
	h.box.queue(notifier.Tell(41, notifier.UpdateNotice, slackOnly, "", "", time.Now())...)
	h.done()
	posts := h.sandbox.Posts()
	if len(posts) != 3 || posts[0].ThreadTS != "" || posts[1].ThreadTS != posts[0].TS || posts[2].ThreadTS != posts[0].TS {
		t.Fatalf("the channel has %+v", posts)
	}
	h.sandbox.Forget(posts[0].TS)
	h.box.queue(notifier.Tell(41, notifier.UpdateNotice, slackOnly, "", "", time.Now())...)
	h.done()
	posts = h.sandbox.Posts()
	subject, _ := h.box.Subject(t.Context(), 41)
	if len(posts) != 1 || posts[0].ThreadTS != "" || subject.Thread.Timestamp != posts[0].TS {
		t.Errorf("after it was deleted: %+v, thread %+v", posts, subject.Thread)
	}
	for _, n := range h.box.notices() {
		if n.State != notifier.Delivered {
			t.Errorf("%+v", n)
		}
	}
}

func TestCallIsAnsweredWithAKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t, notifytest.Config{TalkFor: 10 * time.Second})
	h.fire("voice")
	h.await("somebody to pick up", func() bool {
		calls := h.sandbox.Calls()
		return len(calls) == 1 && calls[0].Status == "in-progress"
	})
	call := h.sandbox.Calls()[0]
	if !strings.Contains(call.Said[0], "Shop front page is down: connect timeout, from 3 of 3 regions") || !strings.HasSuffix(call.Said[0], "Press 1 to acknowledge.") {
		t.Errorf("the call says %q", call.Said)
	}
	if status, answer, err := h.sandbox.PressKey(t.Context(), call.SID, "1"); status != 200 || err != nil {
		t.Fatal(status, answer, err)
	}
	h.done()
	h.await("the call to end", func() bool { return h.sandbox.Calls()[0].Status == "completed" })
	if said := h.sandbox.Calls()[0].Said; said[len(said)-1] != "Acknowledged." {
		t.Errorf("the call ended with %q", said)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.events, func(e twilio.Event) bool { return e.Kind == twilio.VoiceEvent })
	if i < 0 {
		t.Fatalf("no key among %+v", h.events)
	}
	if e := h.events[i]; e.Command != (twilio.Command{Verb: twilio.Ack, Incident: 41}) || e.From != alice.Phone || e.Digits != "1" {
		t.Errorf("the key was read as %+v", e)
	}
}

func TestSTOPStopsSMS(t *testing.T) {
	t.Parallel()
	h := newHouse(t, notifytest.Config{TalkFor: 50 * time.Millisecond})
	if _, _, err := h.sandbox.Reply(t.Context(), alice.Phone, "Stop"); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	if e := h.events[0]; e.Command.Verb != twilio.Carrier {
		t.Errorf("STOP was read as %+v", e)
	}
	h.mu.Unlock()
	h.fire("sms", "voice")
	h.done()
	same(t, "notices", []string{"sms failed", "voice delivered"}, states(h.box.notices()))
	if got := h.box.notices()[0].Detail; !strings.Contains(got, "STOP") || !strings.Contains(got, "21610") {
		t.Errorf("the ledger says %q", got)
	}
}
