package slack

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/slack-go/slack"

	"nines/notifier"
)

// Error codes of https://docs.slack.dev/reference/methods/chat.postMessage and
// chat.update.
var (
	// gone: the message or its thread is no longer there.
	gone = map[string]bool{"message_not_found": true, "thread_not_found": true}
	// immutable: the message cannot be edited, but its thread goes on.
	immutable = map[string]bool{"edit_window_closed": true, "cant_update_message": true}
	// passing: the message was not taken and may be later.
	passing = map[string]bool{
		"ratelimited": true, "rate_limited": true, "message_limit_exceeded": true,
		"service_unavailable": true, "team_added_to_org": true, "org_login_required": true,
	}
	// unclear: Slack says that it may have done a part before it failed.
	unclear = map[string]bool{"internal_error": true, "fatal_error": true, "request_timeout": true}
)

// errorCode returns the word that Slack answered with, or "".
func errorCode(err error) string {
	var answer slack.SlackErrorResponse
	if errors.As(err, &answer) {
		return answer.Err
	}
	return ""
}

// classify turns slack-go's errors into the notifier's: a *SendError where
// Slack's answer says that the message was not taken, else the error itself.
func classify(err error) error {
	var (
		limited *slack.RateLimitedError
		status  slack.StatusCodeError
	)
	switch code := errorCode(err); {
	case errors.As(err, &limited):
		return &notifier.SendError{RetryAfter: limited.RetryAfter, Detail: "Slack's rate limit"}
	case errors.As(err, &status):
		detail := fmt.Sprintf("Slack answered %s", status.Status)
		switch {
		case status.Code == http.StatusTooManyRequests || status.Code == http.StatusServiceUnavailable:
			return &notifier.SendError{Detail: detail}
		case status.Code >= 500:
			return fmt.Errorf("asking Slack: it answered %s", status.Status) // a gateway's answer says nothing of the server behind it
		}
		return &notifier.SendError{Permanent: true, Detail: detail}
	case unclear[code]:
		return fmt.Errorf("asking Slack: it answered %q", code)
	case passing[code]:
		return &notifier.SendError{Detail: "Slack answered " + code}
	case code != "":
		return &notifier.SendError{Permanent: true, Detail: "Slack answered " + code + hint[code]}
	}
	return fmt.Errorf("asking Slack: %w", err)
}

// hint says what to do about the errors that a new installation meets.
var hint = map[string]string{
	"not_in_channel":    ": invite the app to the channel",
	"channel_not_found": ": slack.channel must be the channel's id, such as C0INCIDENTS",
	"invalid_auth":      ": slack.token is not valid",
	"token_revoked":     ": slack.token was revoked",
	"missing_scope":     ": the app needs chat:write and channels:history",
}
