package twilio

import (
	"errors"
	"fmt"
	"net/http"

	"nines/notifier"
)

// words are Twilio's error codes, https://www.twilio.com/docs/api/errors, as an
// incident's log says them.
var words = map[int]string{
	20003: "Twilio does not accept the account SID and auth token",
	20404: "Twilio does not know the account",
	21211: "the phone number is not valid",
	21212: "the number to send from is not valid",
	21214: "the phone number cannot be reached",
	21215: "calls to that country are not enabled in the Twilio account",
	21217: "the phone number is not valid",
	21219: "the phone number is not verified for the Twilio trial account",
	21408: "SMS to that country are not enabled in the Twilio account",
	21606: "the number to send from cannot send SMS",
	21608: "the phone number is not verified for the Twilio trial account",
	21610: "the person has replied STOP; they must reply START",
	21612: "SMS cannot be sent to that number from ours",
	21614: "the phone number is not a mobile number",
	21617: "the text is too long",
	30001: "Twilio's queue was full",
	30002: "the Twilio account is suspended",
	30003: "the phone is switched off or out of reach",
	30004: "the person or the carrier blocks our messages",
	30005: "the phone number does not exist",
	30006: "the phone is a landline, or its carrier cannot be reached",
	30007: "the carrier filtered the message as spam",
	30008: "the carrier did not say why",
	30034: "the number to send from is not registered for A2P messaging",
	30036: "the message waited longer at Twilio than it was valid for",
}

// passing are codes that come with a 4xx and may be otherwise in a moment.
var passing = map[int]bool{
	14107: true, // send rate limit
	20429: true, // too many requests
	21611: true, // too many messages queued for the number to send from
	30001: true, // queue overflow
}

// explain puts a message's end into words.
func explain(status string, code int) string {
	switch {
	case code == 0:
		return status
	case words[code] == "":
		return fmt.Sprintf("%s: Twilio error %d", status, code)
	}
	return fmt.Sprintf("%s: %s (%d)", status, words[code], code)
}

// classify turns an error of a call into the notifier's. An answer says whether
// the message was taken, but for a 5xx other than 503: a server that fails may
// have taken it first. Without an answer it is unclear too.
func classify(err error) error {
	var answer *answerError
	if !errors.As(err, &answer) {
		return fmt.Errorf("asking Twilio: %w", err)
	}
	detail := answer.Error()
	if said := words[answer.code]; said != "" {
		detail = fmt.Sprintf("%s (%d)", said, answer.code)
	}
	switch {
	case answer.status == http.StatusTooManyRequests || answer.status == http.StatusServiceUnavailable || passing[answer.code]:
		return &notifier.SendError{RetryAfter: answer.retryAfter, Detail: detail}
	case answer.status >= 500:
		return answer
	case answer.status == http.StatusRequestTimeout:
		return answer
	}
	return &notifier.SendError{Permanent: true, Detail: detail}
}
