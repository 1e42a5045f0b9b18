package notifytest

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// client posts webhooks. Vendors do not follow redirects with a form.
var client = &http.Client{
	Timeout:       10 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// errNoHooks says that the sandbox does not know where webhooks go.
var errNoHooks = errors.New("no system under test is set")

// hook posts a form to a public URL of the system under test, by the way that
// leads there. It returns the answer.
func (s *Sandbox) hook(ctx context.Context, target, body string, header map[string]string) (status int, answer string, err error) {
	s.mu.Lock()
	hooks, public := s.hooks, s.public
	s.mu.Unlock()
	if rest, ok := strings.CutPrefix(target, public); ok && hooks != "" {
		target = hooks + rest
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("making a webhook: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for key, value := range header {
		r.Header.Set(key, value)
	}
	got, err := client.Do(r)
	if err != nil {
		return 0, "", fmt.Errorf("posting a webhook: %w", err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, maxBody))
	if err != nil {
		return got.StatusCode, "", fmt.Errorf("reading the answer to a webhook: %w", err)
	}
	return got.StatusCode, string(text), nil
}

// publicURL returns a path's URL as the system under test names itself.
func (s *Sandbox) publicURL(path string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hooks == "" {
		return "", errNoHooks
	}
	return s.public + path, nil
}

// twilioHook posts a webhook of Twilio's, signed as
// https://www.twilio.com/docs/usage/security says.
func (s *Sandbox) twilioHook(ctx context.Context, target string, form url.Values) (status int, answer string, err error) {
	mac := hmac.New(sha1.New, []byte(s.cfg.AuthToken.Reveal()))
	io.WriteString(mac, target)
	var keys []string
	for key := range form {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		io.WriteString(mac, key+form.Get(key))
	}
	signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return s.hook(ctx, target, form.Encode(), map[string]string{"X-Twilio-Signature": signature})
}

// slackHook posts a webhook of Slack's, signed as
// https://docs.slack.dev/authentication/verifying-requests-from-slack says.
func (s *Sandbox) slackHook(ctx context.Context, form url.Values) (status int, answer string, err error) {
	target, err := s.publicURL("/hooks/slack")
	if err != nil {
		return 0, "", err
	}
	body, stamp := form.Encode(), strconv.FormatInt(s.cfg.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(s.cfg.SigningSecret.Reveal()))
	io.WriteString(mac, "v0:"+stamp+":"+body)
	return s.hook(ctx, target, body, map[string]string{
		"X-Slack-Request-Timestamp": stamp,
		"X-Slack-Signature":         "v0=" + hex.EncodeToString(mac.Sum(nil)),
	})
}

// Press presses a button of a message as a member of the workspace, and returns
// what the system under test answered.
func (s *Sandbox) Press(ctx context.Context, ts, actionID, user string) (status int, answer string, err error) {
	i := slices.IndexFunc(s.Posts(), func(p Post) bool { return p.TS == ts })
	if i < 0 {
		return 0, "", fmt.Errorf("there is no message %s", ts)
	}
	post := s.Posts()[i]
	buttons := post.Buttons()
	j := slices.IndexFunc(buttons, func(b Button) bool { return b.ActionID == actionID })
	if j < 0 {
		return 0, "", fmt.Errorf("message %s has no button %s", ts, actionID)
	}
	button := buttons[j]
	stamp := fmt.Sprintf("%d.%06d", s.cfg.Now().Unix(), s.cfg.Now().UnixMicro()%1e6)
	payload, err := json.Marshal(map[string]any{
		"type": "block_actions", "trigger_id": sid("") + "." + stamp, "api_app_id": "A0NINES",
		"team":      map[string]any{"id": "T0SANDBOX", "domain": "sandbox"},
		"user":      map[string]any{"id": user, "username": s.member(user), "name": s.member(user), "team_id": "T0SANDBOX"},
		"container": map[string]any{"type": "message", "message_ts": ts, "channel_id": post.Channel, "is_ephemeral": false},
		"channel":   map[string]any{"id": post.Channel, "name": "incidents"},
		"message":   post.wire(false),
		"actions": []map[string]any{{
			"type": "button", "action_id": button.ActionID, "block_id": button.BlockID, "value": button.Value,
			"action_ts": stamp, "text": Label{"plain_text", button.Label},
		}},
	})
	if err != nil {
		return 0, "", fmt.Errorf("making an interaction: %w", err)
	}
	return s.slackHook(ctx, url.Values{"payload": {string(payload)}})
}

// Slash gives a slash command, such as "/nines" with "ack 41".
func (s *Sandbox) Slash(ctx context.Context, command, text, user string) (status int, answer string, err error) {
	return s.slackHook(ctx, url.Values{
		"command": {command}, "text": {text}, "user_id": {user}, "user_name": {s.member(user)},
		"channel_id": {s.cfg.SlackChannel}, "channel_name": {"incidents"}, "team_id": {"T0SANDBOX"}, "trigger_id": {sid("")},
	})
}

// member returns the name of a member of the workspace.
func (s *Sandbox) member(id string) string {
	for _, p := range s.cfg.People {
		if p.Slack == id && id != "" {
			return p.Name
		}
	}
	return id
}

// optOut is what Twilio itself does with some words; see
// https://help.twilio.com/articles/223134027.
var optOut = map[string]string{
	"STOP": "STOP", "STOPALL": "STOP", "UNSUBSCRIBE": "STOP", "CANCEL": "STOP", "END": "STOP", "QUIT": "STOP",
	"START": "START", "YES": "START", "UNSTOP": "START",
	"HELP": "HELP", "INFO": "HELP",
}

var optOutAnswer = map[string]string{
	"STOP":  "You have successfully been unsubscribed. You will not receive any more messages from this number. Reply START to resubscribe.",
	"START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help. Reply STOP to unsubscribe.",
	"HELP":  "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}

// Reply writes an SMS from a phone to the account's number, and returns what
// the system under test answered. A Message in that comes to the phone.
func (s *Sandbox) Reply(ctx context.Context, phone, body string) (status int, answer string, err error) {
	t := &Text{
		SID: sid("SM"), To: s.cfg.From, From: phone, Body: body,
		Status: "received", Direction: "inbound", At: s.cfg.Now(), optOutType: optOut[strings.ToUpper(strings.TrimSpace(body))],
	}
	s.keep(t)
	if t.optOutType != "" {
		s.mu.Lock()
		s.stopped[phone] = t.optOutType == "STOP" || s.stopped[phone] && t.optOutType != "START"
		s.mu.Unlock()
		s.answer(phone, optOutAnswer[t.optOutType])
	}
	target, err := s.publicURL("/hooks/twilio/sms")
	if err != nil {
		return 0, "", err
	}
	status, answer, err = s.twilioHook(ctx, target, url.Values{
		"MessageSid": {t.SID}, "SmsSid": {t.SID}, "SmsMessageSid": {t.SID}, "AccountSid": {s.cfg.AccountSID}, "ApiVersion": {"2010-04-01"},
		"From": {phone}, "To": {s.cfg.From}, "Body": {body}, "NumMedia": {"0"}, "NumSegments": {strconv.Itoa(t.Segments)}, "SmsStatus": {"received"},
	})
	if err != nil || status != http.StatusOK {
		return status, answer, err
	}
	script, err := readTwiML(answer)
	if err != nil {
		return status, answer, err
	}
	for _, m := range script.messages {
		s.answer(phone, m)
	}
	return status, answer, nil
}

// answer brings a text to a phone without anybody having asked the API.
func (s *Sandbox) answer(phone, body string) {
	s.keep(&Text{
		SID: sid("SM"), To: phone, From: s.cfg.From, Body: body,
		Status: "delivered", Direction: "outbound-reply", At: s.cfg.Now(),
	})
	s.arrived(Message{Channel: "sms", To: phone, Person: s.person(phone), Text: body})
}

// PressKey presses a key in a call, and returns what the system under test
// answered. An empty key hangs up.
func (s *Sandbox) PressKey(ctx context.Context, callSID, key string) (status int, answer string, err error) {
	c, ok := s.callOf(callSID)
	if !ok {
		return 0, "", fmt.Errorf("there is no call %s", callSID)
	}
	s.mu.Lock()
	action, to, from := c.Action, c.To, c.From
	if c.Status != "in-progress" {
		status := c.Status
		s.mu.Unlock()
		return 0, "", fmt.Errorf("the call is %s", status)
	}
	c.Pressed += key
	if key == "" || action == "" {
		c.end()
		s.mu.Unlock()
		return 0, "", nil
	}
	s.mu.Unlock()
	status, answer, err = s.twilioHook(ctx, action, url.Values{
		"CallSid": {callSID}, "AccountSid": {s.cfg.AccountSID}, "ApiVersion": {"2010-04-01"}, "Direction": {"outbound-api"},
		"To": {to}, "From": {from}, "CallStatus": {"in-progress"}, "Digits": {key}, "msg": {"Gather End"},
	})
	if err != nil || status != http.StatusOK {
		return status, answer, err
	}
	script, err := readTwiML(answer)
	s.mu.Lock()
	c.Said = append(c.Said, script.said...)
	c.end()
	s.mu.Unlock()
	return status, answer, err
}
