package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// Verb is what somebody wants done with an incident.
type Verb string

const (
	Ack     Verb = "ack"
	Resolve Verb = "resolve"
	Snooze  Verb = "snooze"
)

// Action is what somebody did in Slack.
type Action struct {
	// ID is the same for a request that is sent again. Within five minutes
	// anybody who has seen one can do that: keep the ids that long.
	ID        string
	Verb      Verb
	Incident  int64         // 0: a slash command that names none
	For       time.Duration // of a snooze
	User      string        // Slack's id of the member
	UserName  string
	Channel   string
	MessageTS string // of the message with the button; empty for a slash command
	Slash     bool   // a slash command, whose answer's body is shown to the user
}

var (
	// ErrBadSignature says that a request is not Slack's, or too old.
	ErrBadSignature = errors.New("the request does not have Slack's signature")
	// ErrNotUnderstood says that a request is Slack's and asks for nothing that
	// is known. Its text can be shown to the user.
	ErrNotUnderstood = errors.New("not understood")
)

// maxAge is how old a request may be, or how far ahead of our clock.
const maxAge = 5 * time.Minute

// ParseInteraction reads a pressed button or a slash command. Body is the
// request's body as it came. Everything else that Slack sends, such as a
// button without an incident, is ErrNotUnderstood.
func (c *Client) ParseInteraction(header http.Header, body []byte, now time.Time) (Action, error) {
	if err := c.verify(header, body, now); err != nil {
		return Action{}, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return Action{}, fmt.Errorf("%w: %w", ErrNotUnderstood, err)
	}
	var a Action
	if form.Has("command") {
		a, err = slash(form)
	} else {
		a, err = press(form.Get("payload"))
	}
	if a.ID == "" { // no trigger: the signature covers the body and the time
		a.ID = header.Get("X-Slack-Signature")
	}
	return a, err
}

// verify checks https://docs.slack.dev/authentication/verifying-requests-from-slack.
// slack-go's own verifier has a clock of its own.
func (c *Client) verify(header http.Header, body []byte, now time.Time) error {
	stamp := header.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || c.cfg.SigningSecret.IsZero() || now.Sub(time.Unix(seconds, 0)).Abs() > maxAge {
		return ErrBadSignature
	}
	got, err := hex.DecodeString(strings.TrimPrefix(header.Get("X-Slack-Signature"), "v0="))
	if err != nil {
		return ErrBadSignature
	}
	mac := hmac.New(sha256.New, []byte(c.cfg.SigningSecret.Reveal()))
	fmt.Fprintf(mac, "v0:%s:", stamp)
	mac.Write(body)
	if !hmac.Equal(got, mac.Sum(nil)) {
		return ErrBadSignature
	}
	return nil
}

// press reads a pressed button.
func press(payload string) (Action, error) {
	var p slack.InteractionCallback
	if err := json.Unmarshal([]byte(payload), &p); err != nil {
		return Action{}, fmt.Errorf("%w: %w", ErrNotUnderstood, err)
	}
	a := Action{
		ID: p.TriggerID, User: p.User.ID, UserName: p.User.Name,
		Channel: p.Container.ChannelID, MessageTS: p.Container.MessageTs,
	}
	if a.Channel == "" {
		a.Channel, a.MessageTS = p.Channel.ID, p.Message.Timestamp
	}
	if p.Type != slack.InteractionTypeBlockActions || len(p.ActionCallback.BlockActions) != 1 {
		return a, fmt.Errorf("%w: %q is not a pressed button", ErrNotUnderstood, p.Type)
	}
	button := p.ActionCallback.BlockActions[0]
	switch button.ActionID {
	case ackAction:
		a.Verb = Ack
	case resolveAction:
		a.Verb = Resolve
	case snoozeAction:
		a.Verb, a.For = Snooze, SnoozeFor
	default:
		return a, fmt.Errorf("%w: there is no button %q", ErrNotUnderstood, button.ActionID)
	}
	var err error
	if a.Incident, err = strconv.ParseInt(button.Value, 10, 64); err != nil || a.Incident <= 0 {
		return a, fmt.Errorf("%w: %q is not an incident", ErrNotUnderstood, button.Value)
	}
	return a, nil
}

// usage is what a slash command can be.
const usage = `try "ack 41", "resolve 41" or "snooze 41 30m"`

// slash reads a slash command such as "/nines snooze 41 30m".
func slash(form url.Values) (Action, error) {
	a := Action{
		ID: form.Get("trigger_id"), User: form.Get("user_id"), UserName: form.Get("user_name"),
		Channel: form.Get("channel_id"), Slash: true,
	}
	words := strings.Fields(strings.ToLower(form.Get("text")))
	if len(words) == 0 {
		return a, fmt.Errorf("%w: %s", ErrNotUnderstood, usage)
	}
	a.Verb = Verb(words[0])
	if a.Verb != Ack && a.Verb != Resolve && a.Verb != Snooze {
		return a, fmt.Errorf("%w: there is no %q; %s", ErrNotUnderstood, words[0], usage)
	}
	rest := words[1:]
	if len(rest) > 0 {
		if n, err := strconv.ParseInt(strings.TrimPrefix(rest[0], "#"), 10, 64); err == nil && n > 0 {
			a.Incident, rest = n, rest[1:]
		}
	}
	if a.Verb == Snooze {
		a.For = SnoozeFor
		if len(rest) > 0 {
			d, err := time.ParseDuration(rest[0])
			if err != nil || d <= 0 || d > 7*24*time.Hour {
				return a, fmt.Errorf("%w: %q is not a time such as 30m, at most 168h", ErrNotUnderstood, rest[0])
			}
			a.For, rest = d, rest[1:]
		}
	}
	if len(rest) > 0 {
		return a, fmt.Errorf("%w: what is %q? %s", ErrNotUnderstood, strings.Join(rest, " "), usage)
	}
	return a, nil
}
