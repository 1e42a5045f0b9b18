package slack

import (
	"context"

	"github.com/slack-go/slack"
)

// Announce posts text in Slack's mrkdwn to the channel: something that is not
// about an incident, such as a monthly report.
func (c *Client) Announce(ctx context.Context, text string) error {
	_, _, err := c.api.PostMessageContext(ctx, c.cfg.Channel, slack.MsgOptionText(text, false), slack.MsgOptionDisableLinkUnfurl())
	if err != nil {
		return classify(err)
	}
	return nil
}
