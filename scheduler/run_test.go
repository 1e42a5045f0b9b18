package scheduler

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/notifier"
	"nines/notifier/notifytest"
	"nines/notifier/slack"
	"nines/notifier/twilio"
	"nines/scheduler/config"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// town is a running scheduler with vendors that are a sandbox.
type town struct {
	*house
	sandbox *notifytest.Sandbox
	url     string
	stop    func() error
}

// run starts a scheduler as a whole: its server, its jobs, its dispatcher.
func run(t *testing.T, edits ...string) *town {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	sandbox, err := notifytest.New(notifytest.Config{
		Hooks: address, PublicURL: address, DeliverAfter: 20 * time.Millisecond,
		People: []notifier.Person{{Name: "alice", Phone: "+48500100200", Slack: "U012ALICE"}, {Name: "bob", Phone: "+12025550123", Slack: "U012BOB"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sandbox.Close() })
	vendors := sandbox.Config()
	edits = append(edits,
		"https://status.example.com", address,
		"xoxb-test", vendors.SlackToken.Reveal(), "C0INCIDENTS", vendors.SlackChannel,
		"signing-secret-of-the-tests}", vendors.SigningSecret.Reveal()+", api_url: "+sandbox.URL()+"/api/}",
		"AC00000000000000000000000000000001", vendors.AccountSID,
		"twilio-token-of-the-tests", vendors.AuthToken.Reveal(),
		`from: "+12025550100"}`, `from: "`+vendors.From+`", api_url: "`+sandbox.URL()+`"}`,
	)
	c := load(t, strings.NewReplacer(edits...).Replace(baseYAML))
	s, err := store.Open(t.TempDir() + "/nines.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	running, err := New(Config{Config: c, Store: s, Channels: channelsOf(t, c), Listener: listener})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	stopped := false
	stop := func() error {
		stopped = true
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			return context.DeadlineExceeded
		}
	}
	t.Cleanup(func() {
		if !stopped {
			stop()
		}
	})
	return &town{house: &house{Scheduler: running, t: t}, sandbox: sandbox, url: address, stop: stop}
}

func channelsOf(t *testing.T, c *config.Config) map[string]notifier.Channel {
	t.Helper()
	channel, err := slack.New(slack.Config{Token: c.Slack.Token, Channel: c.Slack.Channel, SigningSecret: c.Slack.SigningSecret, APIURL: c.Slack.APIURL})
	if err != nil {
		t.Fatal(err)
	}
	phone, err := twilio.New(twilio.Config{AccountSID: c.Twilio.AccountSID, AuthToken: c.Twilio.AuthToken, From: c.Twilio.From, APIURL: c.Twilio.APIURL, PublicURL: c.PublicURL})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]notifier.Channel{notifier.Slack: channel, notifier.SMS: phone, notifier.Voice: phone}
}

// fail has every region see the shop down now.
func (w *town) fail() {
	w.t.Helper()
	w.clock = time.Now().UTC()
	w.see("shop", checks.Down, everywhere...)
}

// eventually waits until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 15 s", what)
		}
	}
}

// texts returns the SMS that came to a phone.
func (w *town) texts(phone string) (bodies []string) {
	for _, text := range w.sandbox.Texts() {
		if text.To == phone {
			bodies = append(bodies, text.Body)
		}
	}
	return bodies
}

const (
	alicePhone = "+48500100200"
	bobPhone   = "+12025550123"
)

// TestFromResultToPhone goes the whole way: results, an SMS and a Slack
// message, an answer, a recovery, and an orderly end.
func TestFromResultToPhone(t *testing.T) {
	w := run(t)
	ctx := context.Background()
	start := time.Now()
	w.fail()
	eventually(t, "the SMS", func() bool { return len(w.texts(alicePhone)) == 1 })
	eventually(t, "the Slack message", func() bool { return len(w.sandbox.Posts()) >= 1 })
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("paging took %s", took)
	}
	sms := w.texts(alicePhone)[0]
	if !strings.Contains(sms, "DOWN shop: connect.timeout from") || !strings.Contains(sms, "ACK 1") || !strings.Contains(sms, w.url+"/i/1?k=alice.") {
		t.Errorf("the SMS: %s", sms)
	}
	eventually(t, "the delivery report", func() bool {
		n, err := w.store.Notices(ctx, 1)
		return err == nil && len(n) > 1 && n[1].State == notifier.Delivered
	})
	status, answer, err := w.sandbox.Reply(ctx, alicePhone, "ack")
	if err != nil || status != 200 || !strings.Contains(answer, "is yours, alice") {
		t.Errorf("the answer to ack: %d %s, %v", status, answer, err)
	}
	if i := w.incidents()[0]; i.AckedBy != "alice" || i.AckedVia != "sms" {
		t.Errorf("acknowledged by %q via %q", i.AckedBy, i.AckedVia)
	}
	eventually(t, "the edited Slack message", func() bool { return strings.Contains(w.sandbox.Posts()[0].Said(), "alice") })
	time.Sleep(2 * time.Millisecond)
	w.clock = time.Now().UTC()
	w.see("shop", checks.Up, everywhere...)
	eventually(t, "the recovery", func() bool {
		all := w.texts(alicePhone)
		return strings.HasPrefix(all[len(all)-1], "UP shop")
	})
	if len(w.texts(bobPhone)) != 0 {
		t.Error("somebody was paged whose turn it never was")
	}
	if err := w.stop(); err != nil {
		t.Errorf("the end: %v", err)
	}
	if _, err := http.Get(w.url + "/healthz"); err == nil {
		t.Error("after the end the server answers")
	}
}

// TestHooks: what vendors send is believed by its signature alone.
func TestHooks(t *testing.T) {
	w := run(t)
	ctx := context.Background()
	w.fail()
	eventually(t, "the Slack message", func() bool { return len(w.sandbox.Posts()) >= 1 })
	untouched := func(what string) {
		t.Helper()
		if i := w.incidents()[0]; i.State != incident.Triggered {
			t.Errorf("%s changed the incident to %s", what, i.State)
		}
	}
	post := func(path string, form url.Values, header map[string]string) int {
		t.Helper()
		r, err := http.NewRequest("POST", w.url+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, value := range header {
			r.Header.Set(name, value)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	sms := url.Values{"MessageSid": {"SM1"}, "From": {alicePhone}, "Body": {"ACK 1"}}
	if got := post("/hooks/twilio/sms", sms, nil); got != 403 {
		t.Errorf("an SMS without a signature: %d", got)
	}
	if got := post("/hooks/twilio/sms", sms, map[string]string{"X-Twilio-Signature": "AAAA"}); got != 403 {
		t.Errorf("an SMS with a wrong signature: %d", got)
	}
	pressed := url.Values{"command": {"/nines"}, "text": {"ack 1"}, "user_id": {"U012ALICE"}}
	if got := post("/hooks/slack", pressed, nil); got != 401 {
		t.Errorf("a command without a signature: %d", got)
	}
	if got := post("/hooks/slack", pressed, map[string]string{"X-Slack-Request-Timestamp": fmt.Sprint(time.Now().Unix()), "X-Slack-Signature": "v0=" + strings.Repeat("0", 64)}); got != 401 {
		t.Errorf("a command with a wrong signature: %d", got)
	}
	untouched("a wrong signature")
	status, answer, err := w.sandbox.Reply(ctx, "+15005550006", "ACK 1")
	if err != nil || status != 200 || strings.Contains(answer, "Message") {
		t.Errorf("an unknown number is told: %d %s, %v", status, answer, err)
	}
	untouched("an unknown number")
	if _, answer, _ := w.sandbox.Reply(ctx, bobPhone, "what is this?"); !strings.Contains(answer, "Not understood") {
		t.Errorf("to nonsense: %s", answer)
	}
	if _, answer, _ := w.sandbox.Reply(ctx, bobPhone, "WHO"); !strings.Contains(answer, "primary: alice") {
		t.Errorf("to WHO: %s", answer)
	}
	if _, answer, _ := w.sandbox.Reply(ctx, bobPhone, "ACK 99"); !strings.Contains(answer, "There is no incident 99") {
		t.Errorf("to another number: %s", answer)
	}
	untouched("what is not understood")

	ts := w.sandbox.Posts()[0].TS
	if status, _, err := w.sandbox.Press(ctx, ts, "nines_ack", "U012BOB"); err != nil || status != 200 {
		t.Errorf("the button: %d, %v", status, err)
	}
	if i := w.incidents()[0]; i.AckedBy != "bob" || i.AckedVia != "slack" {
		t.Errorf("acknowledged by %q via %q", i.AckedBy, i.AckedVia)
	}
	if _, answer, _ := w.sandbox.Reply(ctx, alicePhone, "ack 1"); !strings.Contains(answer, "acknowledged by bob") {
		t.Errorf("a second time: %s", answer)
	}
	if _, answer, _ := w.sandbox.Slash(ctx, "/nines", "resolve 1", "U012ALICE"); !strings.Contains(answer, "is over") {
		t.Errorf("the command: %s", answer)
	}
	if i := w.incidents()[0]; i.State != incident.Resolved || i.ResolvedBy != "alice" || i.AckedBy != "bob" {
		t.Errorf("resolved by %q, acknowledged by %q", i.ResolvedBy, i.AckedBy)
	}
}

// TestNextChannel: an SMS that is not delivered is followed by a call at once,
// and a key in it acknowledges.
func TestNextChannel(t *testing.T) {
	w := run(t)
	w.sandbox.Break(notifytest.Fault{In: notifytest.CreateMessage, Kind: notifytest.Undelivered, Code: "30003"})
	w.fail()
	eventually(t, "the call", func() bool {
		all := w.sandbox.Calls()
		return len(all) == 1 && all[0].Status == "in-progress"
	})
	call := w.sandbox.Calls()[0]
	if call.To != alicePhone || !strings.Contains(strings.Join(call.Said, " "), "Shop is down") {
		t.Errorf("the call: %+v", call)
	}
	_, answer, err := w.sandbox.PressKey(context.Background(), call.SID, "1")
	if err != nil || !strings.Contains(answer, "is yours, alice") {
		t.Errorf("the key: %s, %v", answer, err)
	}
	if i := w.incidents()[0]; i.AckedBy != "alice" || i.AckedVia != "voice" {
		t.Errorf("acknowledged by %q via %q", i.AckedBy, i.AckedVia)
	}
}

// TestNobodyReached: when nobody of a step can be told, the next goes ahead.
func TestNobodyReached(t *testing.T) {
	w := run(t)
	w.sandbox.Break(notifytest.Fault{In: notifytest.CreateMessage, Kind: notifytest.Refuse, Code: "21610", Times: 1})
	w.sandbox.Break(notifytest.Fault{In: notifytest.CreateCall, Kind: notifytest.Refuse, Code: "21211", Times: 1})
	w.fail()
	eventually(t, "the next step's SMS", func() bool { return len(w.texts(bobPhone)) == 1 })
}

// TestProbersOverHTTP: a prober's batch comes in by its token.
func TestProbersOverHTTP(t *testing.T) {
	w := run(t)
	body := fmt.Sprintf(`{"spool":"a","now":%q,"entries":[{"seq":1,"result":{"check":"shop","slot":%[1]q,"at":%[1]q,"took_ms":1,"status":"up"}}]}`,
		time.Now().UTC().Format(time.RFC3339Nano))
	for token, want := range map[string]int{"token-of-eu-1": 200, "somebody's": 401} {
		r, err := http.NewRequest("POST", w.url+"/probe/v1/results", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d, want %d", token, answer.StatusCode, want)
		}
	}
	if n := w.stored("shop"); n != 1 {
		t.Errorf("%d results are stored", n)
	}
}
