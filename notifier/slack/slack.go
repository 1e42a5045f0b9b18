// Package slack tells of incidents in a Slack channel: one message an incident,
// edited as the incident changes, whose thread is its log, with buttons to
// acknowledge, resolve and snooze. It also reads what Slack sends back when
// somebody presses one of them or gives a slash command.
//
// Left to others: when something is said and to whom (notifier), and what a
// button does (scheduler). It imports notifier and internal packages, and is
// the only package that imports slack-go.
//
// The Slack app needs the scopes chat:write and, to find a message after an
// unclear answer, channels:history (groups:history for a private channel).
package slack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"nines/internal/secret"
	"nines/notifier"
)

// Config is how to reach a Slack workspace.
type Config struct {
	Token         secret.String // of the bot
	Channel       string        // the id of the channel
	SigningSecret secret.String // of the app; empty: no interaction is believed
	APIURL        string        // empty: https://slack.com/api/
	HTTPClient    *http.Client  // nil: one of its own
}

// Client is a notifier.Channel.
type Client struct {
	cfg Config
	api *slack.Client
}

var _ notifier.Channel = (*Client)(nil)

// New returns a client, without connecting to anything.
func New(cfg Config) (*Client, error) {
	if cfg.Token.IsZero() || cfg.Channel == "" {
		return nil, errors.New("slack needs a token and a channel")
	}
	url := strings.TrimSuffix(cmp.Or(cfg.APIURL, slack.APIURL), "/") + "/" // slack-go appends method names
	cfg.HTTPClient = cmp.Or(cfg.HTTPClient, &http.Client{Timeout: time.Minute})
	return &Client{
		cfg: cfg,
		// No OptionRetry: the outbox tries again.
		api: slack.New(cfg.Token.Reveal(), slack.OptionAPIURL(url), slack.OptionHTTPClient(cfg.HTTPClient)),
	}, nil
}

// pressable reports whether pressed buttons can be told from forged ones.
func (c *Client) pressable() bool { return !c.cfg.SigningSecret.IsZero() }

// Check asks Slack whether the token is good.
func (c *Client) Check(ctx context.Context) error {
	if _, err := c.api.AuthTestContext(ctx); err != nil {
		return fmt.Errorf("asking Slack about the token: %w", err)
	}
	return nil
}

// metadataType marks our messages in Slack's history.
const metadataType = "nines_notice"

// Send posts an incident's message, or edits the one there is and adds to its
// thread.
func (c *Client) Send(ctx context.Context, m notifier.Message) (notifier.Receipt, error) {
	thread := m.Subject.Thread
	if thread == nil {
		return c.post(ctx, m)
	}
	_, _, _, err := c.api.UpdateMessageContext(ctx, thread.Channel, thread.Timestamp,
		slack.MsgOptionText(fallback(m), false), slack.MsgOptionBlocks(blocks(m, c.pressable())...))
	switch code := errorCode(err); {
	case gone[code]:
		return c.post(ctx, m)
	case err != nil && !immutable[code]:
		return notifier.Receipt{}, classify(err)
	}
	channel, ts, err := c.api.PostMessageContext(ctx, thread.Channel, append(options(m),
		slack.MsgOptionText(reply(m), false), slack.MsgOptionTS(thread.Timestamp))...)
	if gone[errorCode(err)] {
		return c.post(ctx, m)
	}
	if err != nil {
		return notifier.Receipt{}, classify(err)
	}
	return notifier.Receipt{ID: channel + ":" + ts, Delivered: true}, nil
}

// post starts the incident's message.
func (c *Client) post(ctx context.Context, m notifier.Message) (notifier.Receipt, error) {
	channel, ts, err := c.api.PostMessageContext(ctx, c.cfg.Channel, append(options(m),
		slack.MsgOptionText(fallback(m), false), slack.MsgOptionBlocks(blocks(m, c.pressable())...))...)
	if err != nil {
		return notifier.Receipt{}, classify(err)
	}
	return posted(m, channel, ts), nil
}

// posted is the receipt of a message in the channel. Slack says nothing further
// of it. A test has no thread to be kept.
func posted(m notifier.Message, channel, ts string) notifier.Receipt {
	r := notifier.Receipt{ID: channel + ":" + ts, Delivered: true}
	if m.Notice.Incident != 0 {
		r.Thread = &notifier.Thread{Channel: channel, Timestamp: ts}
	}
	return r
}

// options are those of every new message.
func options(m notifier.Message) []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
		slack.MsgOptionMetadata(slack.SlackMetadata{
			EventType:    metadataType,
			EventPayload: map[string]any{"nonce": m.Notice.Nonce, "incident": strconv.FormatInt(m.Notice.Incident, 10)},
		}),
	}
}

// Find looks through the channel's messages since the notice was made, or
// through the incident's thread, for one with the notice's nonce.
func (c *Client) Find(ctx context.Context, m notifier.Message) (notifier.Receipt, bool, error) {
	oldest := strconv.FormatInt(m.Notice.Created.Add(-time.Minute).Unix(), 10)
	cursor := ""
	for range 5 { // pages of 200: more has not been said in the time of a retry
		messages, next, err := c.said(ctx, m.Subject.Thread, oldest, cursor)
		if gone[errorCode(err)] && m.Subject.Thread != nil {
			return notifier.Receipt{}, false, nil // with its thread
		}
		if err != nil {
			return notifier.Receipt{}, false, classify(err)
		}
		for _, said := range messages {
			if !carries(said, m.Notice.Nonce) {
				continue
			}
			if m.Subject.Thread != nil {
				return notifier.Receipt{ID: m.Subject.Thread.Channel + ":" + said.Timestamp, Delivered: true}, true, nil
			}
			return posted(m, c.cfg.Channel, said.Timestamp), true, nil
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	return notifier.Receipt{}, false, nil
}

// said returns a page of the thread's messages, or of the channel's.
func (c *Client) said(ctx context.Context, thread *notifier.Thread, oldest, cursor string) ([]slack.Message, string, error) {
	if thread != nil {
		messages, _, next, err := c.api.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
			ChannelID: thread.Channel, Timestamp: thread.Timestamp,
			Oldest: oldest, Cursor: cursor, Limit: 200, IncludeAllMetadata: true,
		})
		return messages, next, err
	}
	history, err := c.api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
		ChannelID: c.cfg.Channel, Oldest: oldest, Cursor: cursor, Limit: 200, IncludeAllMetadata: true,
	})
	if err != nil {
		return nil, "", err
	}
	return history.Messages, history.ResponseMetaData.NextCursor, nil
}

// carries reports whether the message is the one with the nonce.
func carries(m slack.Message, nonce string) bool {
	return m.Metadata.EventType == metadataType && m.Metadata.EventPayload["nonce"] == nonce
}

// Status says that a message is there: Slack cannot say who has seen it.
func (c *Client) Status(context.Context, string) (notifier.State, string, error) {
	return notifier.Delivered, "", nil
}
