package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"nines/internal/secret"
)

// Client talks to a scheduler's API.
type Client struct {
	BaseURL string // such as https://status.example.com
	Token   secret.String
	HTTP    *http.Client // nil: one with a time limit
}

// Status returns how things are now.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.do(ctx, http.MethodGet, "status", nil, &s)
}

// Incident returns an incident with its log and notices.
func (c *Client) Incident(ctx context.Context, id int64) (i Incident, err error) {
	return i, c.do(ctx, http.MethodGet, fmt.Sprintf("incidents/%d", id), nil, &i)
}

// Acknowledge puts an incident into somebody's hands.
func (c *Client) Acknowledge(ctx context.Context, id int64, who string) (ch Change, err error) {
	return ch, c.do(ctx, http.MethodPost, fmt.Sprintf("incidents/%d/ack", id), By{who}, &ch)
}

// Resolve ends an incident by hand.
func (c *Client) Resolve(ctx context.Context, id int64, who string) (ch Change, err error) {
	return ch, c.do(ctx, http.MethodPost, fmt.Sprintf("incidents/%d/resolve", id), By{who}, &ch)
}

// Snooze puts an incident to sleep.
func (c *Client) Snooze(ctx context.Context, id int64, who string, d time.Duration) (ch Change, err error) {
	return ch, c.do(ctx, http.MethodPost, fmt.Sprintf("incidents/%d/snooze", id), Snooze{who, d.String()}, &ch)
}

// Silences returns those that have not ended.
func (c *Client) Silences(ctx context.Context) (list []Silence, err error) {
	return list, c.do(ctx, http.MethodGet, "silences", nil, &list)
}

// Silence keeps a check from paging anybody for a while.
func (c *Client) Silence(ctx context.Context, in NewSilence) (s Silence, err error) {
	return s, c.do(ctx, http.MethodPost, "silences", in, &s)
}

// EndSilence ends a silence.
func (c *Client) EndSilence(ctx context.Context, id int64) error {
	return c.do(ctx, http.MethodDelete, fmt.Sprintf("silences/%d", id), nil, nil)
}

// TestPage sends a test page.
func (c *Client) TestPage(ctx context.Context, in TestPage) (list []Notice, err error) {
	return list, c.do(ctx, http.MethodPost, "pages/test", in, &list)
}

// Notice returns how far a notice has come.
func (c *Client) Notice(ctx context.Context, id int64) (n Notice, err error) {
	return n, c.do(ctx, http.MethodGet, fmt.Sprintf("notices/%d", id), nil, &n)
}

// do sends a request and reads its answer. What the scheduler objects to is a
// *Problem.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.BaseURL, "/")+Prefix+path, body)
	if err != nil {
		return fmt.Errorf("asking the scheduler: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := cmp.Or(c.HTTP, &http.Client{Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		return fmt.Errorf("asking the scheduler: %w", err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("reading the scheduler's answer: %w", err)
	}
	if answer.StatusCode >= 300 {
		return problemIn(answer, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("reading the scheduler's answer: %w", err)
	}
	return nil
}

// problemIn returns the problem of an answer, or one that says that this is not
// a scheduler's.
func problemIn(answer *http.Response, data []byte) error {
	var p Problem
	if err := json.Unmarshal(data, &p); err != nil || p.Status == 0 {
		return errors.New("the scheduler answered " + answer.Status + " and did not say why; is this its address?")
	}
	return &p
}
