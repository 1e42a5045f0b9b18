package twilio_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nines/internal/secret"
	"nines/notifier"
	"nines/notifier/notifytest"
	"nines/notifier/twilio"
)

var alice = notifier.Person{Name: "alice", Phone: "+48500100200"}

func page(channel string) notifier.Message {
	n := notifier.Notice{Incident: 41, Kind: notifier.PageNotice, Person: "alice", Channel: channel, Created: time.Now()}
	n.Nonce = notifier.NonceOf(n)
	return notifier.Message{
		Notice: n, Person: alice, Link: "https://status.example.com/i/41?k=abc",
		Subject: notifier.Subject{Incident: 41, Check: "shop", Title: `A & B <"shop">`, Reason: "connect.timeout", Down: 2, Regions: 3, Since: time.Now()},
	}
}

func newSandbox(t *testing.T, cfg notifytest.Config) *notifytest.Sandbox {
	t.Helper()
	s, err := notifytest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newClient(t *testing.T, sandbox *notifytest.Sandbox, apiURL string) *twilio.Client {
	t.Helper()
	made := sandbox.Config()
	c, err := twilio.New(twilio.Config{
		AccountSID: made.AccountSID, AuthToken: made.AuthToken, From: made.From, APIURL: apiURL, PublicURL: "https://status.example.com/",
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNew(t *testing.T) {
	good := twilio.Config{AccountSID: "AC1", AuthToken: secret.New("t"), From: "+1"}
	for name, change := range map[string]func(c *twilio.Config){
		"no account":                func(c *twilio.Config) { c.AccountSID = "" },
		"no token":                  func(c *twilio.Config) { c.AuthToken = secret.String{} },
		"no number":                 func(c *twilio.Config) { c.From = "" },
		"an account that is a path": func(c *twilio.Config) { c.AccountSID = "AC1/../x" },
	} {
		cfg := good
		change(&cfg)
		if _, err := twilio.New(cfg); err == nil {
			t.Error("a client with", name)
		}
	}
	if _, err := twilio.New(good); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		status, code int
		retryAfter   string
		want         *notifier.SendError // nil: unclear
		says         string
	}{
		{400, 21211, "", &notifier.SendError{Permanent: true}, "not valid"},
		{400, 21614, "", &notifier.SendError{Permanent: true}, "not a mobile number"},
		{400, 21610, "", &notifier.SendError{Permanent: true}, "STOP"},
		{400, 21408, "", &notifier.SendError{Permanent: true}, "country"},
		{400, 21608, "", &notifier.SendError{Permanent: true}, "trial"},
		{400, 99999, "", &notifier.SendError{Permanent: true}, "99999"},
		{401, 20003, "", &notifier.SendError{Permanent: true}, "auth token"},
		{404, 20404, "", &notifier.SendError{Permanent: true}, "account"},
		{429, 20429, "", &notifier.SendError{}, "429"},
		{429, 20429, "7", &notifier.SendError{RetryAfter: 7 * time.Second}, "429"},
		{400, 21611, "", &notifier.SendError{}, "21611"},
		{503, 20503, "3", &notifier.SendError{RetryAfter: 3 * time.Second}, "503"},
		{500, 20500, "", nil, "500"},
		{502, 0, "", nil, "502"},
		{504, 0, "", nil, "504"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, " ", test.code), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.retryAfter != "" {
					w.Header().Set("Retry-After", test.retryAfter)
				}
				w.WriteHeader(test.status)
				if test.code != 0 {
					fmt.Fprintf(w, `{"code":%d,"message":"m","status":%d}`, test.code, test.status)
				} else {
					fmt.Fprint(w, "<html>")
				}
			}))
			defer server.Close()
			c, err := twilio.New(twilio.Config{AccountSID: "AC1", AuthToken: secret.New("hidden"), From: "+12025550100", APIURL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			for _, channel := range []string{"sms", "voice"} {
				_, err = c.Send(t.Context(), page(channel))
				var got *notifier.SendError
				errors.As(err, &got)
				if err == nil || (got == nil) != (test.want == nil) {
					t.Fatalf("%#v; want %+v", err, test.want)
				}
				if got != nil && (got.Permanent != test.want.Permanent || got.RetryAfter != test.want.RetryAfter) {
					t.Errorf("%+v; want %+v", got, test.want)
				}
				if !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hidden") {
					t.Errorf("it says %q; want %q", err, test.says)
				}
			}
		})
	}
}

func TestWithoutAnAnswerItIsUnclear(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"cut":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"slow":     func(_ http.ResponseWriter, r *http.Request) { r.ParseForm(); <-r.Context().Done() },
		"not JSON": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); fmt.Fprint(w, "<html>") },
		"no sid":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); fmt.Fprint(w, "{}") },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			defer server.Close()
			c, err := twilio.New(twilio.Config{AccountSID: "AC1", AuthToken: secret.New("hidden"), From: "+12025550100", APIURL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err = c.Send(ctx, page("sms"))
			if refused := (*notifier.SendError)(nil); err == nil || errors.As(err, &refused) {
				t.Errorf("%#v", err)
			}
		})
	}
}

// A message of an earlier notice to the same person is not taken for this one.
func TestFindGoesByTheNonce(t *testing.T) {
	sandbox := newSandbox(t, notifytest.Config{})
	c := newClient(t, sandbox, sandbox.URL())
	first, second := page("sms"), page("sms")
	second.Notice.Step = 1
	second.Notice.Nonce = notifier.NonceOf(second.Notice)
	sent, err := c.Send(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if r, found, err := c.Find(t.Context(), first); err != nil || !found || r.ID != sent.ID || r.Delivered {
		t.Errorf("%+v, %v, %v; sent %+v", r, found, err, sent)
	}
	if r, found, err := c.Find(t.Context(), second); err != nil || found {
		t.Errorf("%+v, %v, %v", r, found, err)
	}
	other := first
	other.Person.Phone = "+12025550123"
	if r, found, err := c.Find(t.Context(), other); err != nil || found {
		t.Errorf("another's: %+v, %v, %v", r, found, err)
	}
}

func TestStatus(t *testing.T) {
	sms := func(f ...notifytest.Fault) []notifytest.Fault { return f }
	tests := []struct {
		name    string
		channel string
		faults  []notifytest.Fault
		want    notifier.State
		says    string
	}{
		{"delivered", "sms", nil, notifier.Delivered, "delivered"},
		{"on its way", "sms", sms(notifytest.Fault{In: notifytest.CreateMessage, Kind: notifytest.Silent}), notifier.Accepted, "sent"},
		{"switched off", "sms", sms(notifytest.Fault{In: notifytest.CreateMessage, Kind: notifytest.Undelivered, Code: "30003"}), notifier.Failed, "switched off"},
		{"landline", "sms", sms(notifytest.Fault{In: notifytest.CreateMessage, Kind: notifytest.Undelivered, Code: "30006"}), notifier.Failed, "landline"},
		{"an unknown code", "sms", sms(notifytest.Fault{In: notifytest.CreateMessage, Kind: notifytest.Undelivered, Code: "39999"}), notifier.Failed, "39999"},
		{"answered", "voice", nil, notifier.Delivered, "completed"},
		{"ringing", "voice", sms(notifytest.Fault{In: notifytest.CreateCall, Kind: notifytest.Silent}), notifier.Accepted, "ringing"},
		{"not answered", "voice", sms(notifytest.Fault{In: notifytest.CreateCall, Kind: notifytest.Undelivered}), notifier.Failed, "no-answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sandbox := newSandbox(t, notifytest.Config{TalkFor: time.Millisecond})
			c := newClient(t, sandbox, sandbox.URL())
			for _, f := range test.faults {
				sandbox.Break(f)
			}
			r, err := c.Send(t.Context(), page(test.channel))
			if err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				state, detail, err := c.Status(t.Context(), r.ID)
				if err == nil && state == test.want && strings.Contains(detail, test.says) {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%s, %q, %v", state, detail, err)
				}
			}
		})
	}
	sandbox := newSandbox(t, notifytest.Config{})
	c := newClient(t, sandbox, sandbox.URL())
	for _, receipt := range []string{"SM" + strings.Repeat("0", 32), "", "../x", "CA1/../../Messages"} {
		if _, _, err := c.Status(t.Context(), receipt); err == nil {
			t.Errorf("the status of %q", receipt)
		}
	}
}

func TestVoicemailIsNotAnAnswer(t *testing.T) {
	sandbox := newSandbox(t, notifytest.Config{TalkFor: time.Millisecond})
	made := sandbox.Config()
	c, err := twilio.New(twilio.Config{
		AccountSID: made.AccountSID, AuthToken: made.AuthToken, From: made.From, APIURL: sandbox.URL(), DetectMachines: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		kind notifytest.Kind
		want notifier.State
	}{{notifytest.Voicemail, notifier.Failed}, {notifytest.Lost, notifier.Delivered}} {
		sandbox.Break(notifytest.Fault{In: notifytest.CreateCall, Kind: test.kind, Times: 1})
		r, err := c.Send(t.Context(), page("voice"))
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			state, detail, err := c.Status(t.Context(), r.ID)
			if err == nil && state == test.want {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %s, %q, %v", test.kind, state, detail, err)
			}
		}
	}
}

// What a text says cannot become markup.
func TestTwiMLIsEscaped(t *testing.T) {
	evil := `</Say></Response><Dial>+1900</Dial> & "it"` + "\x00"
	for _, document := range [][]byte{twilio.Reply(evil), twilio.Say(evil), twilio.Reply("")} {
		d := xml.NewDecoder(strings.NewReader(string(document)))
		for {
			token, err := d.Token()
			if err != nil {
				if err.Error() != "EOF" {
					t.Errorf("%s: %v", document, err)
				}
				break
			}
			if start, ok := token.(xml.StartElement); ok && start.Name.Local == "Dial" {
				t.Errorf("%s dials", document)
			}
		}
	}
	sandbox := newSandbox(t, notifytest.Config{})
	c := newClient(t, sandbox, sandbox.URL())
	if _, err := c.Send(t.Context(), page("voice")); err != nil {
		t.Fatal(err)
	}
	call := sandbox.Calls()[0]
	if !strings.Contains(call.Said[0], `A & B <"shop"> is down`) || call.Action != "https://status.example.com/hooks/twilio/voice?incident=41" {
		t.Errorf("%+v", call)
	}
}
