// Package twilio sends SMS and makes calls by Twilio, and reads what Twilio
// sends back: delivery reports, replies and pressed keys.
//
// Left to others: when something is said and to whom, and an SMS's text
// (notifier); what a reply does (scheduler). It imports notifier and internal
// packages, and is the only package that imports twilio-go, of which it uses
// client and rest/api/v2010 alone.
package twilio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"nines/internal/secret"
	"nines/notifier"
)

// Where a public URL's hooks are. The scheduler serves them.
const (
	StatusPath = "/hooks/twilio/status" // delivery reports of messages and calls
	SMSPath    = "/hooks/twilio/sms"    // replies; set it as the number's webhook for messages
	VoicePath  = "/hooks/twilio/voice"  // a key pressed during a call
)

// Config is how to reach a Twilio account.
type Config struct {
	AccountSID string
	AuthToken  secret.String
	From       string // our number, E.164
	APIURL     string // without a slash at its end; empty: https://api.twilio.com
	// PublicURL is where Twilio reaches our hooks, without a slash at its end.
	// Empty: no delivery is reported and no key can be pressed.
	PublicURL  string
	HTTPClient *http.Client // nil: one of its own
	// DetectMachines has Twilio tell people from voicemail, at a price a call;
	// without it a call that voicemail took counts as delivered.
	DetectMachines bool
}

// Client is the notifier.Channel of both SMS and voice.
type Client struct{ cfg Config }

var _ notifier.Channel = (*Client)(nil)

// New returns a client, without connecting to anything.
func New(cfg Config) (*Client, error) {
	if cfg.AccountSID == "" || cfg.AuthToken.IsZero() || cfg.From == "" {
		return nil, errors.New("twilio needs an account SID, an auth token and a number to send from")
	}
	if !alphanumeric.MatchString(cfg.AccountSID) {
		return nil, fmt.Errorf("%q is not an account SID", cfg.AccountSID) // it becomes part of paths
	}
	cfg.APIURL = strings.TrimSuffix(cmp.Or(cfg.APIURL, "https://api.twilio.com"), "/")
	cfg.PublicURL = strings.TrimSuffix(cfg.PublicURL, "/")
	cfg.HTTPClient = cmp.Or(cfg.HTTPClient, &http.Client{Timeout: time.Minute})
	return &Client{cfg}, nil
}

var alphanumeric = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// api returns Twilio's API for one call.
func (c *Client) api(ctx context.Context) *openapi.ApiService {
	return openapi.NewApiServiceWithClient(&transport{ctx: ctx, cfg: &c.cfg})
}

// validFor is how long, in seconds, a page may wait at Twilio for a carrier:
// later, the next channel has been used. Whatever else is said may come late.
func validFor(kind notifier.NoticeKind) int {
	if kind == notifier.PageNotice || kind == notifier.TestNotice {
		return 45
	}
	return 4 * 3600
}

// Send sends an SMS, or makes a call when the notice is for voice.
func (c *Client) Send(ctx context.Context, m notifier.Message) (notifier.Receipt, error) {
	if m.Person.Phone == "" {
		return notifier.Receipt{}, &notifier.SendError{Permanent: true, Detail: m.Person.Name + " has no phone number"}
	}
	if m.Notice.Channel == notifier.Voice {
		return c.dial(ctx, m)
	}
	p := &openapi.CreateMessageParams{}
	p.SetTo(m.Person.Phone).SetFrom(c.cfg.From).SetBody(notifier.SMSText(m)).SetValidityPeriod(validFor(m.Notice.Kind))
	if c.cfg.PublicURL != "" {
		p.SetStatusCallback(c.cfg.PublicURL + StatusPath)
	}
	sent, err := c.api(ctx).CreateMessage(p)
	if err != nil {
		return notifier.Receipt{}, classify(err)
	}
	if deref(sent.Sid) == "" {
		return notifier.Receipt{}, errors.New("the answer to a message has no sid")
	}
	return notifier.Receipt{ID: *sent.Sid}, nil
}

// Find looks for an SMS to the person that has the notice's nonce in its text.
// A call has no text: whether one was made cannot be told from Twilio's list,
// so that it is made again.
func (c *Client) Find(ctx context.Context, m notifier.Message) (notifier.Receipt, bool, error) {
	if m.Notice.Channel == notifier.Voice {
		return notifier.Receipt{}, false, nil
	}
	p := &openapi.ListMessageParams{}
	p.SetTo(m.Person.Phone).SetFrom(c.cfg.From).SetPageSize(100) // latest first
	page, err := c.api(ctx).PageMessage(p, "", "")
	if err != nil {
		return notifier.Receipt{}, false, classify(err)
	}
	for _, said := range page.Messages {
		if strings.Contains(deref(said.Body), "#"+m.Notice.Nonce) && deref(said.Sid) != "" {
			return notifier.Receipt{ID: *said.Sid}, true, nil
		}
	}
	return notifier.Receipt{}, false, nil
}

// Status asks how far a message or a call has come.
func (c *Client) Status(ctx context.Context, receipt string) (notifier.State, string, error) {
	if !alphanumeric.MatchString(receipt) {
		return "", "", &notifier.SendError{Permanent: true, Detail: fmt.Sprintf("%q is not a receipt of Twilio's", receipt)}
	}
	if strings.HasPrefix(receipt, "CA") {
		call, err := c.api(ctx).FetchCall(receipt, &openapi.FetchCallParams{})
		if err != nil {
			return "", "", classify(err)
		}
		state, detail := callState(deref(call.Status), deref(call.AnsweredBy))
		return state, detail, nil
	}
	said, err := c.api(ctx).FetchMessage(receipt, &openapi.FetchMessageParams{})
	if err != nil {
		return "", "", classify(err)
	}
	code := 0
	if said.ErrorCode != nil {
		code = *said.ErrorCode
	}
	state, detail := messageState(deref(said.Status), code)
	return state, detail, nil
}

// messageState maps https://www.twilio.com/docs/messaging/api/message-resource#message-status-values.
func messageState(status string, code int) (notifier.State, string) {
	switch status {
	case "delivered", "read", "partially_delivered":
		return notifier.Delivered, status
	case "undelivered", "failed", "canceled":
		return notifier.Failed, explain(status, code)
	}
	return notifier.Accepted, status
}

// callState maps https://www.twilio.com/docs/voice/api/call-resource#call-status-values.
// A call that a person answered is delivered, whatever they press.
func callState(status, answeredBy string) (notifier.State, string) {
	if strings.HasPrefix(answeredBy, "machine") || answeredBy == "fax" {
		return notifier.Failed, "answered by a machine"
	}
	switch status {
	case "completed", "in-progress":
		return notifier.Delivered, status
	case "busy", "failed", "no-answer", "canceled":
		return notifier.Failed, status
	}
	return notifier.Accepted, status
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
