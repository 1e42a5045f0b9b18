package notifytest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"nines/internal/secret"
	"nines/notifier"
	"nines/notifier/notifytest"
)

var people = []notifier.Person{
	{Name: "alice", Phone: "+48500100200", Slack: "U012ALICE"},
	{Name: "bob", Phone: "+12025550123", Slack: "U012BOB"},
}

// hooks is a system under test that notes what reaches it.
type hooks struct {
	*httptest.Server
	mu     sync.Mutex
	got    []string // path and body
	status int
}

func newHooks(t *testing.T) *hooks {
	t.Helper()
	h := &hooks{status: http.StatusOK}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got = append(h.got, r.URL.Path+" "+string(body))
		w.WriteHeader(h.status)
		if r.URL.Path == "/hooks/twilio/sms" {
			fmt.Fprint(w, `<Response><Message>Thanks &amp; bye</Message></Response>`)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hooks) seen() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.got...)
}

func start(t *testing.T, cfg notifytest.Config) *notifytest.Sandbox {
	t.Helper()
	s, err := notifytest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// slack calls a method of Slack's, and twilio posts to Twilio's.
func slack(t *testing.T, s *notifytest.Sandbox, method string, form url.Values) string {
	t.Helper()
	form.Set("token", s.Config().SlackToken.Reveal())
	answer, err := http.PostForm(s.URL()+"/api/"+method, form)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return string(body)
}

func text(t *testing.T, s *notifytest.Sandbox, form url.Values) (int, string) {
	t.Helper()
	c := s.Config()
	r, err := http.NewRequest(http.MethodPost, s.URL()+"/2010-04-01/Accounts/"+c.AccountSID+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(c.AccountSID, c.AuthToken.Reveal())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body)
}

func get(t *testing.T, target string) (*http.Response, string) {
	t.Helper()
	answer, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return answer, string(body)
}

func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited for ", what)
		}
	}
}

const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`

// Nothing that is said becomes part of the page, and the page can load nothing.
func TestPageIsSafe(t *testing.T) {
	s := start(t, notifytest.Config{People: append(people, notifier.Person{Name: evil, Phone: "+48500100299", Slack: evil})})
	blocks := fmt.Sprintf(`[{"type":"section","text":{"type":"mrkdwn","text":%q}},{"type":"section","fields":[{"type":"mrkdwn","text":%[1]q}]},`+
		`{"type":"context","elements":[{"type":"mrkdwn","text":%[1]q}]},{"type":"actions","elements":[{"type":"button","action_id":%[1]q,"value":%[1]q,"style":%[1]q,"text":{"type":"plain_text","text":%[1]q}}]}]`,
		evil+" <javascript:alert(1)|x> <https://e.example/\"><script>|y> <@"+evil+"> &lt;script&gt; *"+evil+"*")
	if answer := slack(t, s, "chat.postMessage", url.Values{"channel": {s.Config().SlackChannel}, "text": {"x"}, "blocks": {blocks}}); !strings.Contains(answer, `"ok":true`) {
		t.Fatal(answer)
	}
	if status, answer := text(t, s, url.Values{"To": {people[0].Phone}, "From": {s.Config().From}, "Body": {evil + " https://e.example/?a=\"><script> javascript:alert(1)"}}); status != 201 {
		t.Fatal(status, answer)
	}
	s.Reply(t.Context(), "+12125550000", evil)
	await(t, "the SMS", func() bool { return s.Texts()[0].Status == "delivered" })
	answer, body := get(t, s.URL()+"/sandbox?reply="+url.QueryEscape(evil)+"&as="+url.QueryEscape(evil))
	known := strings.Fields("html head meta title link body header h1 p main section div h2 span nav a b time article form input button strong br label small")
	for d := html.NewTokenizer(strings.NewReader(body)); ; {
		kind := d.Next()
		if kind == html.ErrorToken {
			break
		}
		token := d.Token()
		if (kind == html.StartTagToken || kind == html.SelfClosingTagToken) && !slices.Contains(known, token.Data) {
			t.Errorf("the page has a %s", token)
		}
		for _, a := range token.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(a.Val, "javascript:") && a.Key == "href" {
				t.Errorf("the page has %s", token)
			}
		}
	}
	csp := answer.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
		t.Errorf("its policy is %q", csp)
	}
	if css, body := get(t, s.URL()+"/sandbox/style.css"); css.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(body, "@media") {
		t.Errorf("the style sheet is %s", css.Header.Get("Content-Type"))
	}
}

// The page's own forms do what they say: a browser without JavaScript is all
// one needs.
func TestPagesFormsReachTheSystem(t *testing.T) {
	h := newHooks(t)
	s := start(t, notifytest.Config{People: people, Hooks: h.URL})
	slack(t, s, "chat.postMessage", url.Values{"channel": {s.Config().SlackChannel}, "text": {"x"},
		"blocks": {`[{"type":"actions","elements":[{"type":"button","action_id":"nines_ack","value":"41","text":{"type":"plain_text","text":"Acknowledge"}}]}]`}})
	text(t, s, url.Values{"To": {people[1].Phone}, "From": {s.Config().From}, "Body": {"DOWN shop. Reply ACK 41. https://s.example/i/41?k=1"}})
	_, body := get(t, s.URL()+"/sandbox?as=U012BOB")
	if !strings.Contains(body, `http-equiv="refresh"`) {
		t.Error("the page does not reload")
	}
	submit := func(action, button string) string {
		form := regexp.MustCompile(`(?s)<form method="post" action="` + action + `">(.*?)</form>`)
		for _, match := range form.FindAllStringSubmatch(body, -1) {
			if !strings.Contains(match[1], button) {
				continue
			}
			values := url.Values{}
			for _, field := range regexp.MustCompile(`<input[^>]* name="([^"]*)"(?:[^>]*) value="([^"]*)"`).FindAllStringSubmatch(match[1], -1) {
				values.Set(field[1], strings.ReplaceAll(field[2], "&#43;", "+"))
			}
			answer, err := http.PostForm(s.URL()+action, values)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			shown, _ := io.ReadAll(answer.Body)
			return string(shown)
		}
		t.Fatalf("there is no %s in %s", button, body)
		return ""
	}
	reply := s.URL() + "/sandbox?reply=" + url.QueryEscape(people[1].Phone)
	if _, body := get(t, reply); strings.Contains(body, "refresh") || !strings.Contains(body, `name="body" value="ACK 41"`) {
		t.Errorf("while a reply is written, the page is %s", body)
	}
	if shown := submit("/sandbox/press", "Acknowledge"); !strings.Contains(shown, "bob pressed Acknowledge") {
		t.Errorf("afterwards the page says %s", shown)
	}
	submit("/sandbox/reply", "ACK 41")
	seen := strings.Join(h.seen(), "\n")
	for _, want := range []string{"/hooks/slack payload=", "U012BOB", "nines_ack", "/hooks/twilio/sms ", "Body=ACK+41", "From=%2B12025550123"} {
		if !strings.Contains(seen, want) {
			t.Errorf("the system did not see %q: %s", want, seen)
		}
	}
	if _, body := get(t, reply); strings.Contains(body, `value="ACK 41"`) || !strings.Contains(body, "Thanks &amp; bye") {
		t.Errorf("after the answer to the reply, the page is %s", body)
	}
	h.mu.Lock()
	h.status = http.StatusForbidden
	h.mu.Unlock()
	if shown := submit("/sandbox/press", "Acknowledge"); !strings.Contains(shown, "403 Forbidden") {
		t.Errorf("a refusal is not shown: %s", shown)
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	h := newHooks(t)
	s := start(t, notifytest.Config{People: people, Hooks: h.URL})
	for _, path := range []string{"/sandbox/press", "/sandbox/reply", "/sandbox/key"} {
		r, err := http.NewRequest(http.MethodPost, s.URL()+path, strings.NewReader("phone=%2B48500100200&body=ACK+41"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
	if seen := h.seen(); len(seen) > 0 {
		t.Errorf("the system saw %v", seen)
	}
}

func TestCredentials(t *testing.T) {
	s := start(t, notifytest.Config{SlackToken: secret.New("right"), AuthToken: secret.New("right")})
	answer, err := http.PostForm(s.URL()+"/api/auth.test", url.Values{"token": {"wrong"}})
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if answer.StatusCode != 200 || !strings.Contains(string(body), "invalid_auth") {
		t.Errorf("Slack: %s %s", answer.Status, body)
	}
	answer, err = http.PostForm(s.URL()+"/2010-04-01/Accounts/"+s.Config().AccountSID+"/Messages.json", url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	body, _ = io.ReadAll(answer.Body)
	answer.Body.Close()
	if answer.StatusCode != 401 || !strings.Contains(string(body), "20003") {
		t.Errorf("Twilio: %s %s", answer.Status, body)
	}
}

func TestTwilioRefuses(t *testing.T) {
	s := start(t, notifytest.Config{})
	from := s.Config().From
	for _, test := range []struct {
		name string
		form url.Values
		code string
	}{
		{"a number that is none", url.Values{"To": {"500100200"}, "From": {from}, "Body": {"x"}}, "21211"},
		{"another's number", url.Values{"To": {"+48500100200"}, "From": {"+48500100201"}, "Body": {"x"}}, "21606"},
		{"nothing", url.Values{"To": {"+48500100200"}, "From": {from}}, "21602"},
		{"too much", url.Values{"To": {"+48500100200"}, "From": {from}, "Body": {strings.Repeat("x", 1601)}}, "21617"},
		{"a callback that is no URL", url.Values{"To": {"+48500100200"}, "From": {from}, "Body": {"x"}, "StatusCallback": {"/hook"}}, "21609"},
	} {
		if status, answer := text(t, s, test.form); status != 400 || !strings.Contains(answer, test.code) {
			t.Errorf("%s: %d %s", test.name, status, answer)
		}
	}
}

func TestOnMessage(t *testing.T) {
	messages := make(chan notifytest.Message, 10)
	s := start(t, notifytest.Config{People: people, OnMessage: func(m notifytest.Message) { messages <- m }})
	slack(t, s, "chat.postMessage", url.Values{"channel": {s.Config().SlackChannel}, "text": {"hello"}})
	if got, want := <-messages, (notifytest.Message{Channel: "slack", To: s.Config().SlackChannel, Text: "hello"}); got != want {
		t.Errorf("%+v", got)
	}
	text(t, s, url.Values{"To": {people[0].Phone}, "From": {s.Config().From}, "Body": {"page"}})
	if got, want := <-messages, (notifytest.Message{Channel: "sms", To: people[0].Phone, Person: "alice", Text: "page"}); got != want {
		t.Errorf("%+v", got)
	}
}

// Close ends what is under way, whatever it waits for.
func TestClose(t *testing.T) {
	s, err := notifytest.New(notifytest.Config{DeliverAfter: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	text(t, s, url.Values{"To": {people[0].Phone}, "From": {s.Config().From}, "Body": {"page"}})
	s.Break(notifytest.Fault{In: notifytest.CreateMessage, Kind: notifytest.Stall})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stalled := make(chan struct{})
	go func() {
		defer close(stalled)
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/2010-04-01/Accounts/x/Messages.json", nil)
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
		}
	}()
	time.Sleep(20 * time.Millisecond)
	begun := time.Now()
	if err := s.Close(); err != nil || time.Since(begun) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	<-stalled
}
