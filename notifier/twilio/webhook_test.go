package twilio_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nines/internal/secret"
	"nines/notifier"
	"nines/notifier/twilio"
)

const (
	public    = "https://status.example.com"
	authToken = "12345"
)

// sign signs a form as https://www.twilio.com/docs/usage/security says.
func sign(token, target string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(target))
	var keys []string
	for key := range form {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		mac.Write([]byte(key + form.Get(key)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func request(path, signature string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://10.0.0.1:8080"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", signature)
	return r
}

// The example of https://www.twilio.com/docs/usage/security.
func TestSignatureOfTwiliosExample(t *testing.T) {
	form := url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}}
	r := request("/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", form)
	if _, err := twilio.ParseWebhook(secret.New(authToken), "https://mycompany.com", r); errors.Is(err, twilio.ErrBadSignature) {
		t.Error(err)
	}
}

func TestWebhooks(t *testing.T) {
	tests := []struct {
		name string
		path string
		form url.Values
		want twilio.Event
	}{
		{"sent", twilio.StatusPath, url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"sent"}},
			twilio.Event{Kind: twilio.StatusEvent, SID: "SM1", State: notifier.Accepted, Detail: "sent"}},
		{"delivered", twilio.StatusPath, url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}},
			twilio.Event{Kind: twilio.StatusEvent, SID: "SM1", State: notifier.Delivered, Detail: "delivered"}},
		{"undelivered", twilio.StatusPath, url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"undelivered"}, "ErrorCode": {"30007"}},
			twilio.Event{Kind: twilio.StatusEvent, SID: "SM1", State: notifier.Failed, Detail: "undelivered: the carrier filtered the message as spam (30007)"}},
		{"a status of tomorrow", twilio.StatusPath, url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"beamed"}},
			twilio.Event{Kind: twilio.StatusEvent, SID: "SM1", State: notifier.Accepted, Detail: "beamed"}},
		{"a call answered", twilio.StatusPath, url.Values{"CallSid": {"CA1"}, "CallStatus": {"in-progress"}},
			twilio.Event{Kind: twilio.StatusEvent, SID: "CA1", State: notifier.Delivered, Detail: "in-progress"}},
		{"a call to a busy phone", twilio.StatusPath, url.Values{"CallSid": {"CA1"}, "CallStatus": {"busy"}},
			twilio.Event{Kind: twilio.StatusEvent, SID: "CA1", State: notifier.Failed, Detail: "busy"}},
		{"a call that voicemail took", twilio.StatusPath, url.Values{"CallSid": {"CA1"}, "CallStatus": {"in-progress"}, "AnsweredBy": {"machine_start"}},
			twilio.Event{Kind: twilio.StatusEvent, SID: "CA1", State: notifier.Failed, Detail: "answered by a machine"}},
		{"a reply", twilio.SMSPath, url.Values{"MessageSid": {"SM2"}, "From": {"+48500100200"}, "Body": {"Ack 41"}},
			twilio.Event{Kind: twilio.SMSEvent, SID: "SM2", From: "+48500100200", Body: "Ack 41", Command: twilio.Command{Verb: twilio.Ack, Incident: 41}}},
		{"a reply that Twilio acts on", twilio.SMSPath, url.Values{"MessageSid": {"SM2"}, "From": {"+1"}, "Body": {"ack"}, "OptOutType": {"STOP"}},
			twilio.Event{Kind: twilio.SMSEvent, SID: "SM2", From: "+1", Body: "ack", Command: twilio.Command{Verb: twilio.Carrier}}},
		{"key 1", twilio.VoicePath + "?incident=41", url.Values{"CallSid": {"CA1"}, "To": {"+48500100200"}, "Digits": {"1"}},
			twilio.Event{Kind: twilio.VoiceEvent, SID: "CA1", From: "+48500100200", Digits: "1", Command: twilio.Command{Verb: twilio.Ack, Incident: 41}}},
		{"key 2", twilio.VoicePath + "?incident=41", url.Values{"CallSid": {"CA1"}, "To": {"+48500100200"}, "Digits": {"2"}},
			twilio.Event{Kind: twilio.VoiceEvent, SID: "CA1", From: "+48500100200", Digits: "2", Command: twilio.Command{Incident: 41}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := twilio.ParseWebhook(secret.New(authToken), public, request(test.path, sign(authToken, public+test.path, test.form), test.form))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadWebhooks(t *testing.T) {
	form := url.Values{"MessageSid": {"SM2"}, "From": {"+48500100200"}, "Body": {"ACK 41"}}
	good := sign(authToken, public+twilio.SMSPath, form)
	other := url.Values{"MessageSid": {"SM2"}, "From": {"+48500100200"}, "Body": {"ACK 42"}}
	tests := []struct {
		name  string
		token string
		r     *http.Request
		want  error
	}{
		{"another body", authToken, request(twilio.SMSPath, good, other), twilio.ErrBadSignature},
		{"another path", authToken, request(twilio.StatusPath, good, form), twilio.ErrBadSignature},
		{"another query", authToken, request(twilio.SMSPath+"?incident=42", good, form), twilio.ErrBadSignature},
		{"another token", authToken, request(twilio.SMSPath, sign("guess", public+twilio.SMSPath, form), form), twilio.ErrBadSignature},
		{"no signature", authToken, request(twilio.SMSPath, "", form), twilio.ErrBadSignature},
		{"no token", "", request(twilio.SMSPath, sign("", public+twilio.SMSPath, form), form), twilio.ErrBadSignature},
		{"a GET", authToken, httptest.NewRequest(http.MethodGet, public+twilio.SMSPath, nil), twilio.ErrBadSignature},
		{"too much", authToken, request(twilio.SMSPath, good, url.Values{"Body": {strings.Repeat("x", 70000)}}), twilio.ErrBadSignature},
		{"nothing said", authToken, request(twilio.SMSPath, sign(authToken, public+twilio.SMSPath, nil), nil), twilio.ErrNotUnderstood},
		{"no such hook", authToken, request("/hooks/twilio/fax", sign(authToken, public+"/hooks/twilio/fax", form), form), twilio.ErrNotUnderstood},
		{"a key about nothing", authToken, request(twilio.VoicePath, sign(authToken, public+twilio.VoicePath, form), form), twilio.ErrNotUnderstood},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if e, err := twilio.ParseWebhook(secret.New(test.token), public, test.r); !errors.Is(err, test.want) || e.Command.Verb != "" {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
}

func TestParseCommand(t *testing.T) {
	ack := func(n int64) twilio.Command { return twilio.Command{Verb: twilio.Ack, Incident: n} }
	tests := map[string]twilio.Command{
		"ACK 41": ack(41), "ack 41": ack(41), " Ack  41 ": ack(41), "ack41": ack(41), "ACK #41.": ack(41), "Ack: 41!": ack(41), "acknowledge 41": ack(41),
		"ACK": ack(0), "ack.": ack(0), "ACK\n": ack(0),
		"RESOLVE 41": {Verb: twilio.Resolve, Incident: 41},
		"WHO":        {Verb: twilio.Who}, "who": {Verb: twilio.Who},
		"STOP": {Verb: twilio.Carrier}, "stop": {Verb: twilio.Carrier}, " Start ": {Verb: twilio.Carrier}, "HELP": {Verb: twilio.Carrier}, "yes": {Verb: twilio.Carrier},
		"cancel": {Verb: twilio.Carrier}, "Unsubscribe": {Verb: twilio.Carrier},
		"stop it":   {},
		"":          {},
		"ACK 41 42": {}, "do not ack 41": {}, "ack -41": {}, "ACK 4 1": {}, "acked 41": {}, "ack forty": {},
		"ack 99999999999999999999": {}, "on my way": {}, "АСК 41": {}, // the last in Cyrillic letters
	}
	for body, want := range tests {
		if got := twilio.ParseCommand(body); got != want {
			t.Errorf("%q is %+v; want %+v", body, got, want)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{"ACK 41", "ack", "STOP", "resolve #9", "ack 999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if c := twilio.ParseCommand(body); c.Incident < 0 || c.Incident > 0 && (c.Verb == twilio.Carrier || c.Verb == twilio.Unknown) {
			t.Errorf("%q is %+v", body, c)
		}
	})
}
