package slack_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nines/internal/secret"
	"nines/notifier"
	"nines/notifier/notifytest"
	"nines/notifier/slack"
)

var now = time.Date(2026, 11, 23, 14, 2, 30, 0, time.UTC)

const signingSecret = "8f742231b10e8888abcd99yyyzzz85a5"

func newClient(t testing.TB, sandbox *notifytest.Sandbox) *slack.Client {
	t.Helper()
	cfg := slack.Config{Token: secret.New("xoxb-1"), Channel: "C0INCIDENTS", SigningSecret: secret.New(signingSecret)}
	if sandbox != nil {
		made := sandbox.Config()
		cfg = slack.Config{Token: made.SlackToken, Channel: made.SlackChannel, SigningSecret: made.SigningSecret, APIURL: sandbox.URL() + "/api"}
	}
	c, err := slack.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newSandbox(t *testing.T) *notifytest.Sandbox {
	t.Helper()
	s, err := notifytest.New(notifytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func page() notifier.Message {
	n := notifier.Notice{Incident: 41, Kind: notifier.PageNotice, Channel: "slack", Why: "policy web, step 1", Created: time.Now()}
	n.Nonce = notifier.NonceOf(n)
	return notifier.Message{
		Notice:  n,
		Mention: []notifier.Person{{Name: "alice", Slack: "U012ALICE"}, {Name: "bob"}},
		Subject: notifier.Subject{Incident: 41, Check: "shop", Title: "Shop", Reason: "connect.timeout", Down: 2, Regions: 3, Where: []string{"eu", "us"}, Since: now, Runbook: "https://wiki.example.com/shop"},
		Link:    "https://status.example.com/i/41?k=abc",
	}
}

func TestNew(t *testing.T) {
	if _, err := slack.New(slack.Config{Channel: "C0"}); err == nil {
		t.Error("a client without a token")
	}
	if _, err := slack.New(slack.Config{Token: secret.New("x")}); err == nil {
		t.Error("a client without a channel")
	}
}

func TestCheck(t *testing.T) {
	sandbox := newSandbox(t)
	if err := newClient(t, sandbox).Check(t.Context()); err != nil {
		t.Error(err)
	}
	bad, err := slack.New(slack.Config{Token: secret.New("wrong"), Channel: "C0", APIURL: sandbox.URL() + "/api/"})
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "invalid_auth") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a bad token: %v", err)
	}
}

// What a check or a person is called can neither call anybody nor pass as a
// link or as another line of ours.
func TestNothingIsMentionedThatWeDidNotMention(t *testing.T) {
	sandbox := newSandbox(t)
	client := newClient(t, sandbox)
	m := page()
	evil := "<!channel> <@U0BOSS> <https://evil.example|click> & more"
	m.Subject.Check, m.Subject.Title, m.Subject.Reason, m.Subject.AckedBy = evil, evil, evil, evil
	m.Subject.Where, m.Subject.Also, m.Subject.Paged = []string{evil}, []string{evil}, []string{evil}
	m.Subject.Runbook = "https://wiki.example.com/a|b>c<!here>"
	m.Notice.Why = evil
	m.Mention = append(m.Mention, notifier.Person{Name: evil}, notifier.Person{Name: "x", Slack: "U1> <!here"})
	for range 2 { // the message, and then a reply in its thread
		receipt, err := client.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if receipt.Thread != nil {
			m.Subject.Thread = receipt.Thread
		}
	}
	m.Subject.ResolvedBy, m.Subject.Resolved = evil, now
	if _, err := client.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for _, post := range sandbox.Posts() {
		for _, text := range []string{post.Said(), post.Text} {
			for _, bad := range []string{"<!channel", "<!here", "<@U0BOSS", "<https://evil"} {
				if strings.Contains(text, bad) {
					t.Errorf("%q contains %q", text, bad)
				}
			}
		}
	}
	if posts := sandbox.Posts(); len(posts) != 3 {
		t.Errorf("%d messages", len(posts))
	}
}

func TestLongNamesAreTaken(t *testing.T) {
	sandbox := newSandbox(t) // which refuses blocks that Slack would refuse
	m := page()
	long := strings.Repeat("ź<", 5000)
	m.Subject.Check, m.Subject.Title, m.Subject.Reason = long, long, long
	m.Subject.Where, m.Subject.Also, m.Subject.Paged = []string{long}, []string{long}, []string{long}
	if _, err := newClient(t, sandbox).Send(t.Context(), m); err != nil {
		t.Error(err)
	}
}

func TestButtons(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *notifier.Subject)
		want   []string
	}{
		{"open", func(*notifier.Subject) {}, []string{"nines_ack Acknowledge 41 primary", "nines_resolve Resolve 41 ", "nines_snooze Snooze 1 h 41 "}},
		{"acknowledged", func(s *notifier.Subject) { s.AckedBy, s.AckedAt = "bob", now }, []string{"nines_resolve Resolve 41 ", "nines_snooze Snooze 1 h 41 "}},
		{"over", func(s *notifier.Subject) { s.Resolved = now }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sandbox := newSandbox(t)
			m := page()
			test.change(&m.Subject)
			if _, err := newClient(t, sandbox).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, b := range sandbox.Posts()[0].Buttons() {
				got = append(got, strings.Join([]string{b.ActionID, b.Label, b.Value, b.Style}, " "))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTestPageHasNoThreadToKeep(t *testing.T) {
	sandbox := newSandbox(t)
	n := notifier.Test(notifier.Person{Name: "alice", Slack: "U012ALICE"}, []string{"slack"}, time.Now())[0]
	r, err := newClient(t, sandbox).Send(t.Context(), notifier.Message{Notice: n, Mention: []notifier.Person{{Name: "alice", Slack: "U012ALICE"}}})
	if err != nil || r.Thread != nil || !r.Delivered {
		t.Errorf("%+v, %v", r, err)
	}
	if said := sandbox.Posts()[0].Said(); !strings.Contains(said, "<@U012ALICE>. Nothing is down.") {
		t.Errorf("it says %q", said)
	}
}

func TestErrors(t *testing.T) {
	answer := func(status int, header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if header != "" {
				w.Header().Set("Retry-After", header)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	no := func(word string) http.HandlerFunc {
		return answer(200, "", fmt.Sprintf(`{"ok":false,"error":%q}`, word))
	}
	tests := []struct {
		name   string
		server http.HandlerFunc
		want   *notifier.SendError // nil: unclear
	}{
		{"429", answer(429, "30", ""), &notifier.SendError{RetryAfter: 30 * time.Second}},
		{"429 without Retry-After", answer(429, "", ""), &notifier.SendError{}},
		{"429 with a Retry-After that is no number", answer(429, "soon", ""), nil},
		{"503", answer(503, "", "down"), &notifier.SendError{}},
		{"500", answer(500, "", "<html>"), nil},
		{"502", answer(502, "", ""), nil},
		{"404", answer(404, "", ""), &notifier.SendError{Permanent: true}},
		{"ratelimited", no("ratelimited"), &notifier.SendError{}},
		{"invalid_auth", no("invalid_auth"), &notifier.SendError{Permanent: true}},
		{"channel_not_found", no("channel_not_found"), &notifier.SendError{Permanent: true}},
		{"is_archived", no("is_archived"), &notifier.SendError{Permanent: true}},
		{"internal_error", no("internal_error"), nil},
		{"fatal_error", no("fatal_error"), nil},
		{"not JSON", answer(200, "", "<html>"), nil},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil},
		{"slow", func(_ http.ResponseWriter, r *http.Request) { r.ParseForm(); <-r.Context().Done() }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(test.server)
			defer server.Close()
			c, err := slack.New(slack.Config{Token: secret.New("xoxb-hidden"), Channel: "C0", APIURL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err = c.Send(ctx, page())
			var got *notifier.SendError
			errors.As(err, &got)
			if err == nil || (got == nil) != (test.want == nil) {
				t.Fatalf("%#v; want %+v", err, test.want)
			}
			if got != nil && (got.Permanent != test.want.Permanent || got.RetryAfter != test.want.RetryAfter || got.Detail == "") {
				t.Errorf("%+v; want %+v", got, test.want)
			}
			if strings.Contains(err.Error(), "xoxb-hidden") {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
}

// sign signs a body as Slack does.
func sign(key, body string, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("v0:" + stamp + ":" + body))
	return http.Header{"X-Slack-Request-Timestamp": {stamp}, "X-Slack-Signature": {"v0=" + hex.EncodeToString(mac.Sum(nil))}}
}

// The example of https://docs.slack.dev/authentication/verifying-requests-from-slack.
func TestSignatureOfSlacksExample(t *testing.T) {
	body := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	header := http.Header{
		"X-Slack-Request-Timestamp": {"1531420618"},
		"X-Slack-Signature":         {"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"},
	}
	a, err := newClient(t, nil).ParseInteraction(header, []byte(body), time.Unix(1531420618, 0))
	if errors.Is(err, slack.ErrBadSignature) || !errors.Is(err, slack.ErrNotUnderstood) || a.User != "U2CERLKJA" || a.ID != "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestBadSignatures(t *testing.T) {
	body := "command=%2Fnines&text=ack+41&user_id=U1"
	good := sign(signingSecret, body, now)
	tests := []struct {
		name   string
		header http.Header
		body   string
		at     time.Time
	}{
		{"another secret", sign("guess", body, now), body, now},
		{"another body", good, body + "&x=y", now},
		{"another time", http.Header{"X-Slack-Request-Timestamp": {strconv.FormatInt(now.Unix()+1, 10)}, "X-Slack-Signature": good["X-Slack-Signature"]}, body, now},
		{"too old", good, body, now.Add(5*time.Minute + time.Second)},
		{"from the future", good, body, now.Add(-5*time.Minute - time.Second)},
		{"none", http.Header{}, body, now},
		{"no hex", http.Header{"X-Slack-Request-Timestamp": good["X-Slack-Request-Timestamp"], "X-Slack-Signature": {"v0=zz"}}, body, now},
		{"an empty one", http.Header{"X-Slack-Request-Timestamp": good["X-Slack-Request-Timestamp"], "X-Slack-Signature": {"v0="}}, body, now},
	}
	client := newClient(t, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if a, err := client.ParseInteraction(test.header, []byte(test.body), test.at); !errors.Is(err, slack.ErrBadSignature) || a != (slack.Action{}) {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	if _, err := client.ParseInteraction(good, []byte(body), now.Add(4*time.Minute)); err != nil {
		t.Errorf("a good one: %v", err)
	}
	unset, err := slack.New(slack.Config{Token: secret.New("x"), Channel: "C0"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unset.ParseInteraction(sign("", body, now), []byte(body), now); !errors.Is(err, slack.ErrBadSignature) {
		t.Errorf("without a signing secret: %v", err)
	}
}

func TestSlash(t *testing.T) {
	tests := []struct {
		text string
		want slack.Action // of its verb, incident and time
		bad  bool
	}{
		{"ack 41", slack.Action{Verb: slack.Ack, Incident: 41}, false},
		{"  ACK   #41 ", slack.Action{Verb: slack.Ack, Incident: 41}, false},
		{"ack", slack.Action{Verb: slack.Ack}, false},
		{"resolve 41", slack.Action{Verb: slack.Resolve, Incident: 41}, false},
		{"snooze 41 30m", slack.Action{Verb: slack.Snooze, Incident: 41, For: 30 * time.Minute}, false},
		{"snooze 41", slack.Action{Verb: slack.Snooze, Incident: 41, For: time.Hour}, false},
		{"snooze 2h", slack.Action{Verb: slack.Snooze, For: 2 * time.Hour}, false},
		{"snooze 41 -5m", slack.Action{}, true},
		{"snooze 41 9999h", slack.Action{}, true},
		{"snooze 41 tomorrow", slack.Action{}, true},
		{"ack 41 42", slack.Action{}, true},
		{"ack -1", slack.Action{}, true},
		{"", slack.Action{}, true},
		{"delete 41", slack.Action{}, true},
	}
	client := newClient(t, nil)
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			body := url.Values{"command": {"/nines"}, "text": {test.text}, "user_id": {"U1"}, "user_name": {"al"}, "channel_id": {"C1"}}.Encode()
			header := sign(signingSecret, body, now)
			a, err := client.ParseInteraction(header, []byte(body), now)
			if test.bad != errors.Is(err, slack.ErrNotUnderstood) {
				t.Fatalf("%+v, %v", a, err)
			}
			if test.bad {
				return
			}
			test.want.ID, test.want.User, test.want.UserName, test.want.Channel, test.want.Slash = header.Get("X-Slack-Signature"), "U1", "al", "C1", true
			if diff := cmp.Diff(test.want, a); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestButtonsThatAreNotOurs(t *testing.T) {
	client := newClient(t, nil)
	for _, payload := range []string{
		``, `[]`, `{}`, `{"type":"view_submission"}`,
		`{"type":"block_actions","actions":[]}`,
		`{"type":"block_actions","actions":[{"type":"button","action_id":"other","value":"41"}]}`,
		`{"type":"block_actions","actions":[{"type":"button","action_id":"nines_ack","value":"x"}]}`,
		`{"type":"block_actions","actions":[{"type":"button","action_id":"nines_ack","value":"-41"}]}`,
	} {
		body := url.Values{"payload": {payload}}.Encode()
		if a, err := client.ParseInteraction(sign(signingSecret, body, now), []byte(body), now); !errors.Is(err, slack.ErrNotUnderstood) {
			t.Errorf("%s: %+v, %v", payload, a, err)
		}
	}
}

func FuzzParseInteraction(f *testing.F) {
	f.Add("payload=" + url.QueryEscape(`{"type":"block_actions","trigger_id":"1","actions":[{"type":"button","action_id":"nines_ack","value":"41"}]}`))
	f.Add("command=%2Fnines&text=snooze+41+30m")
	client := newClient(f, nil)
	f.Fuzz(func(t *testing.T, body string) {
		a, err := client.ParseInteraction(sign(signingSecret, body, now), []byte(body), now)
		if err == nil && (a.ID == "" || a.Incident < 0 || a.Verb == "" || a.Verb == slack.Snooze && a.For <= 0) {
			t.Errorf("%q is %+v", body, a)
		}
	})
}

// What is not about an incident is posted once, and a refusal is told as one.
func TestAnnounce(t *testing.T) {
	sandbox := newSandbox(t)
	client := newClient(t, sandbox)
	const text = "*<https://status.example.com/reports/gold?k=a|Gold kept 99.95 %>*\nŻadnej przerwy."
	if err := client.Announce(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	posts := sandbox.Posts()
	if len(posts) != 1 || posts[0].Text != text || posts[0].ThreadTS != "" || posts[0].Channel != sandbox.Config().SlackChannel {
		t.Errorf("posted: %+v", posts)
	}
	bad, err := slack.New(slack.Config{Token: secret.New("wrong"), Channel: "C0", APIURL: sandbox.URL() + "/api/"})
	if err != nil {
		t.Fatal(err)
	}
	var refused *notifier.SendError
	if err := bad.Announce(t.Context(), text); !errors.As(err, &refused) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a bad token: %v", err)
	}
}
