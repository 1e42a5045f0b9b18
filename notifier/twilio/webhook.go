package twilio

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/twilio/twilio-go/client"

	"nines/internal/secret"
	"nines/notifier"
)

// ErrBadSignature says that a request is not Twilio's.
var ErrBadSignature = errors.New("the request does not have Twilio's signature")

// ErrNotUnderstood says that a request is Twilio's and nothing that we know.
var ErrNotUnderstood = errors.New("not understood")

// EventKind is what an Event is about.
type EventKind string

const (
	StatusEvent EventKind = "status" // how far a message or a call has come
	SMSEvent    EventKind = "sms"    // somebody wrote to our number
	VoiceEvent  EventKind = "voice"  // somebody pressed a key, or nothing, in a call
)

// Event is what Twilio tells of by a webhook.
type Event struct {
	Kind EventKind
	SID  string // of the message or call: the receipt of a status

	// Of a status. Reports come late, twice and in any order: see
	// notifier.Advances.
	State  notifier.State
	Detail string

	From    string // of an SMS: the sender; of a voice event: the person called
	Body    string // of an SMS, as it was written
	Command Command

	Digits string // of a voice event
}

// Verb is what somebody asks for by SMS or key.
type Verb string

const (
	Ack     Verb = "ack"
	Resolve Verb = "resolve"
	Who     Verb = "who"
	// Carrier is a word such as STOP or HELP, which Twilio acts on and answers
	// itself: it is never a command, and must not be answered.
	Carrier Verb = "carrier"
	Unknown Verb = "" // a text that is none of these
)

// Command is what an SMS or a key asks for.
type Command struct {
	Verb     Verb
	Incident int64 // 0: none was named
}

// carrierWords are the keywords of https://help.twilio.com/articles/223134027.
var carrierWords = map[string]bool{
	"STOP": true, "STOPALL": true, "UNSUBSCRIBE": true, "CANCEL": true, "END": true, "QUIT": true,
	"OPTOUT": true, "REVOKE": true,
	"START": true, "YES": true, "UNSTOP": true,
	"HELP": true, "INFO": true,
}

var commandPattern = regexp.MustCompile(`^(?i:(ack|acknowledge|resolve|who))[\s:#.,]*([0-9]{1,18})?[\s.!]*$`)

// ParseCommand reads an SMS such as "ACK 41", "ack", "Resolve #41." or "WHO".
func ParseCommand(body string) Command {
	body = strings.TrimSpace(body)
	if carrierWords[strings.ToUpper(body)] {
		return Command{Verb: Carrier}
	}
	match := commandPattern.FindStringSubmatch(body)
	if match == nil {
		return Command{}
	}
	var c Command
	switch strings.ToLower(match[1]) {
	case "ack", "acknowledge":
		c.Verb = Ack
	case "resolve":
		c.Verb = Resolve
	case "who":
		c.Verb = Who
	}
	c.Incident, _ = strconv.ParseInt(match[2], 10, 64) // no number: none was named
	return c
}

// maxBody bounds what is read of a webhook.
const maxBody = 64 << 10

// ParseWebhook reads a request to one of the hooks' paths. PublicURL is how
// Twilio names us, which its signature covers, whatever proxy is between. A bad
// signature is ErrBadSignature; what is signed and unknown is ErrNotUnderstood.
func ParseWebhook(authToken secret.String, publicURL string, r *http.Request) (Event, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return Event{}, fmt.Errorf("reading Twilio's request: %w", err)
	}
	validator := client.NewRequestValidator(authToken.Reveal())
	signed := strings.TrimSuffix(publicURL, "/") + r.URL.RequestURI()
	if len(body) > maxBody || authToken.IsZero() || r.Method != http.MethodPost ||
		!validator.ValidateBody(signed, body, r.Header.Get("X-Twilio-Signature")) {
		return Event{}, ErrBadSignature
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotUnderstood, err)
	}
	switch path.Base(r.URL.Path) {
	case path.Base(StatusPath):
		return statusEvent(form)
	case path.Base(SMSPath):
		return smsEvent(form)
	case path.Base(VoicePath):
		return voiceEvent(form, r.URL.Query())
	}
	return Event{}, fmt.Errorf("%w: there is no hook %s", ErrNotUnderstood, r.URL.Path)
}

func statusEvent(form url.Values) (Event, error) {
	e := Event{Kind: StatusEvent}
	if sid := form.Get("CallSid"); sid != "" {
		e.SID = sid
		e.State, e.Detail = callState(form.Get("CallStatus"), form.Get("AnsweredBy"))
		return e, nil
	}
	e.SID = form.Get("MessageSid")
	if e.SID == "" {
		return e, fmt.Errorf("%w: a status of nothing", ErrNotUnderstood)
	}
	code, _ := strconv.Atoi(form.Get("ErrorCode")) // absent: none
	e.State, e.Detail = messageState(form.Get("MessageStatus"), code)
	return e, nil
}

func smsEvent(form url.Values) (Event, error) {
	e := Event{Kind: SMSEvent, SID: form.Get("MessageSid"), From: form.Get("From"), Body: form.Get("Body")}
	if e.SID == "" || e.From == "" {
		return e, fmt.Errorf("%w: an SMS from nobody", ErrNotUnderstood)
	}
	e.Command = ParseCommand(e.Body)
	if form.Get("OptOutType") != "" { // Twilio's own word for it
		e.Command = Command{Verb: Carrier}
	}
	return e, nil
}

func voiceEvent(form, query url.Values) (Event, error) {
	e := Event{Kind: VoiceEvent, SID: form.Get("CallSid"), From: form.Get("To"), Digits: form.Get("Digits")}
	incident, err := strconv.ParseInt(query.Get("incident"), 10, 64)
	if e.SID == "" || err != nil || incident <= 0 {
		return e, fmt.Errorf("%w: a key in no call about an incident", ErrNotUnderstood)
	}
	e.Command.Incident = incident
	if e.Digits == "1" {
		e.Command.Verb = Ack
	}
	return e, nil
}
