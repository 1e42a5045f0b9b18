package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"nines/notifier"
	"nines/notifier/slack"
	"nines/notifier/twilio"
	"nines/scheduler/config"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// hookMost is how long a vendor waits for an answer: Slack for three seconds.
const hookMost = 2500 * time.Millisecond

// maxHook bounds the body of a hook.
const maxHook = 64 << 10

// interactor reads what Slack sends; slack.Client is one.
type interactor interface {
	ParseInteraction(header http.Header, body []byte, now time.Time) (slack.Action, error)
}

// serveSlack answers a pressed button or a slash command.
func (s *Scheduler) serveSlack(w http.ResponseWriter, r *http.Request) {
	client, ok := (*s.channels.Load())[notifier.Slack].(interactor)
	if !ok {
		http.Error(w, "Slack is not configured", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	action, err := client.ParseInteraction(r.Header, body, s.now())
	switch {
	case errors.Is(err, slack.ErrBadSignature):
		s.log.Warn("a hook was refused", "path", r.URL.Path, "err", err)
		http.Error(w, "the signature is wrong", http.StatusUnauthorized)
		return
	case err != nil:
		slackAnswer(w, action, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), hookMost)
	defer cancel()
	text, err := s.heardOnce(ctx, "slack "+action.ID, func() (string, error) { return s.slackAct(ctx, action) })
	if err != nil {
		s.log.Error("acting on a hook", "path", r.URL.Path, "err", err)
		text = "Something went wrong; try again."
	}
	slackAnswer(w, action, text)
}

// slackAct does what somebody asked for in Slack and says how it went.
func (s *Scheduler) slackAct(ctx context.Context, a slack.Action) (string, error) {
	by := incident.By{Who: slackName(s.config.Load(), a), Via: "slack"}
	id := a.Incident
	if id == 0 {
		var err error
		if id, err = s.openOf(ctx, by.Who); err != nil {
			return "", err
		}
		if id == 0 {
			return "Nothing is open that nobody has in hand.", nil
		}
	}
	var (
		i       incident.Incident
		changed bool
		err     error
	)
	switch a.Verb {
	case slack.Ack:
		i, changed, err = s.Acknowledge(ctx, id, by)
	case slack.Resolve:
		i, changed, err = s.Resolve(ctx, id, by)
	case slack.Snooze:
		i, changed, err = s.Snooze(ctx, id, by, s.now().Add(a.For))
	}
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Sprintf("There is no incident %d.", id), nil
	}
	if err != nil {
		return "", err
	}
	return held(i, changed), nil
}

// slackName returns the person of a Slack member, or a name that says whose it is.
func slackName(c *config.Config, a slack.Action) string {
	for _, p := range c.People {
		if p.Slack != "" && p.Slack == a.User {
			return p.Name
		}
	}
	if a.UserName != "" {
		return a.UserName + " (Slack)"
	}
	return a.User + " (Slack)"
}

// slackAnswer answers a slash command with a text for its user alone. A button
// is answered by the message that it stands in, which is edited.
func slackAnswer(w http.ResponseWriter, a slack.Action, text string) {
	if !a.Slash || text == "" {
		w.WriteHeader(http.StatusOK)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"response_type": "ephemeral", "text": text}) // whoever went away has no use for the error
}

// serveTwilio answers delivery reports, replies and pressed keys.
func (s *Scheduler) serveTwilio(w http.ResponseWriter, r *http.Request) {
	c := s.config.Load()
	if c.Twilio == nil {
		http.Error(w, "Twilio is not configured", http.StatusNotFound)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxHook)
	event, err := twilio.ParseWebhook(c.Twilio.AuthToken, publicURL(c), r)
	switch {
	case errors.Is(err, twilio.ErrBadSignature):
		s.log.Warn("a hook was refused", "path", r.URL.Path, "err", err)
		http.Error(w, "the signature is wrong", http.StatusForbidden)
		return
	case err != nil:
		s.log.Warn("a hook was not understood", "path", r.URL.Path, "err", err)
		twilioAnswer(w, twilio.Reply(""))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), hookMost)
	defer cancel()
	answer, err := s.twilioAct(ctx, event)
	if err != nil {
		// Twilio asks again after a 5xx where that is of use.
		s.log.Error("acting on a hook", "path", r.URL.Path, "err", err)
		http.Error(w, "something went wrong; try again", http.StatusInternalServerError)
		return
	}
	twilioAnswer(w, answer)
}

func twilioAnswer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", twilio.ReplyType)
	w.Write(body) // whoever went away has no use for the error
}

// twilioAct does what an event asks for and returns the answer to it.
func (s *Scheduler) twilioAct(ctx context.Context, e twilio.Event) ([]byte, error) {
	switch e.Kind {
	case twilio.StatusEvent:
		known, err := s.store.Reported(ctx, e.SID, e.State, e.Detail, s.now())
		if known && e.State == notifier.Failed {
			s.wake()
		}
		return twilio.Reply(""), err
	case twilio.VoiceEvent:
		text, err := s.phoneAct(ctx, e, "voice")
		return twilio.Say(text), err
	}
	// Twilio's signatures have no date, and an answer without a number is about
	// whatever is open when it comes.
	text, err := s.heardOnce(ctx, "twilio "+e.SID, func() (string, error) { return s.phoneAct(ctx, e, "sms") })
	return twilio.Reply(text), err
}

// heardOnce does what a signed request asks for, unless that request has been
// acted on before: whoever has seen one can send it again. A request that
// comes twice at once may be acted on twice, which is harmless.
func (s *Scheduler) heardOnce(ctx context.Context, id string, act func() (string, error)) (string, error) {
	heard, err := s.store.Heard(ctx, id)
	if err != nil || heard {
		return "", err
	}
	text, err := act()
	if err != nil {
		return "", err
	}
	return text, s.store.Hear(context.WithoutCancel(ctx), id, s.now())
}

// phoneAct does what somebody asked for by phone and says how it went. An
// unknown number is told nothing.
func (s *Scheduler) phoneAct(ctx context.Context, e twilio.Event, via string) (string, error) {
	person := ""
	for _, p := range s.config.Load().People {
		if p.Phone != "" && p.Phone == e.From {
			person = p.Name
		}
	}
	if person == "" {
		s.log.Warn("somebody unknown wrote or called", "via", via)
		return "", nil
	}
	if e.Command.Verb == twilio.Carrier {
		return "", nil
	}
	by := incident.By{Who: person, Via: via}
	id := e.Command.Incident
	if id == 0 {
		var err error
		if id, err = s.openOf(ctx, person); err != nil {
			return "", err
		}
	}
	var (
		i       incident.Incident
		changed bool
		err     error
	)
	switch {
	case e.Command.Verb == twilio.Who:
		return s.whoText(), nil
	case e.Command.Verb == twilio.Unknown && via == "voice":
		return "That key does nothing. The incident is not acknowledged.", nil
	case e.Command.Verb == twilio.Unknown:
		return "Not understood. Answer ACK, RESOLVE or WHO, with the incident's number.", nil
	case id == 0:
		return "Nothing is open that nobody has in hand.", nil
	case e.Command.Verb == twilio.Resolve:
		i, changed, err = s.Resolve(ctx, id, by)
	default:
		i, changed, err = s.Acknowledge(ctx, id, by)
	}
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Sprintf("There is no incident %d.", id), nil
	}
	if err != nil {
		return "", err
	}
	return held(i, changed), nil
}

// whoText says who is on call now.
func (s *Scheduler) whoText() string {
	text := ""
	for _, rota := range s.config.Load().Rotations {
		person, ok := rota.OnCall(s.now())
		if !ok {
			person = "nobody"
		}
		if text != "" {
			text += ", "
		}
		text += rota.Name + ": " + person
	}
	if text == "" {
		return "There are no rotations."
	}
	return text
}
