package twilio

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// transport is twilio-go's HTTP client for one call: its own has neither a
// context nor another base URL, and loses the header Retry-After.
type transport struct {
	ctx context.Context
	cfg *Config
}

var _ client.BaseClient = (*transport)(nil)

func (t *transport) AccountSid() string       { return t.cfg.AccountSID }
func (t *transport) SetTimeout(time.Duration) {} // the context's
func (t *transport) SetOauth(client.OAuth)    {}
func (t *transport) OAuth() client.OAuth      { return nil }

// SendRequest sends what twilio-go put together to the configured server.
func (t *transport) SendRequest(method, rawURL string, data url.Values, headers map[string]any, body ...byte) (*http.Response, error) {
	made, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	target := t.cfg.APIURL + made.Path
	var form io.Reader
	if method == http.MethodPost {
		form = strings.NewReader(data.Encode())
	} else if len(data) > 0 {
		target += "?" + data.Encode()
	}
	r, err := http.NewRequestWithContext(t.ctx, method, target, form)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	for key, value := range headers {
		r.Header.Set(key, fmt.Sprint(value))
	}
	r.Header.Set("User-Agent", "nines")
	r.SetBasicAuth(t.cfg.AccountSID, t.cfg.AuthToken.Reveal())
	answer, err := t.cfg.HTTPClient.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		answer.Body = &capped{io.LimitReader(answer.Body, maxAnswer), answer.Body}
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, refusal(answer)
}

// capped reads no more than the limit and closes the whole.
type capped struct {
	io.Reader
	io.Closer
}

// answerError is an answer other than 2xx.
type answerError struct {
	status     int
	code       int // Twilio's, or 0
	message    string
	retryAfter time.Duration
}

func (e *answerError) Error() string {
	if e.code == 0 {
		return fmt.Sprintf("Twilio answered %d", e.status)
	}
	return fmt.Sprintf("Twilio answered %d: %d %s", e.status, e.code, e.message)
}

func refusal(answer *http.Response) error {
	e := &answerError{status: answer.StatusCode}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.retryAfter = time.Duration(seconds) * time.Second
	}
	var body struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	// What is not Twilio's JSON is a proxy's answer; the status says enough.
	if json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&body) == nil {
		e.code, e.message = body.Code, body.Message
	}
	return e
}
