package slack_test

import (
	"context"
	"fmt"
	"time"

	"nines/notifier"
	"nines/notifier/notifytest"
	"nines/notifier/slack"
)

// An incident's first notice posts its message; APIURL may lead to any server
// that speaks Slack's Web API, such as the sandbox.
func ExampleClient_Send() {
	sandbox, err := notifytest.New(notifytest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sandbox.Close()
	client, err := slack.New(slack.Config{
		Token: sandbox.Config().SlackToken, Channel: sandbox.Config().SlackChannel, APIURL: sandbox.URL() + "/api/",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := client.Send(context.Background(), notifier.Message{
		Notice:  notifier.Notice{Incident: 41, Kind: notifier.PageNotice, Channel: notifier.Slack, Nonce: "41-1-k7q2"},
		Subject: notifier.Subject{Incident: 41, Check: "shop", Reason: "connect.timeout", Down: 3, Regions: 3, Since: time.Date(2026, 11, 23, 14, 2, 0, 0, time.UTC)},
	})
	fmt.Println(receipt.Delivered, receipt.Thread.Channel, err)
	fmt.Println(sandbox.Posts()[0].Text)
	// Output:
	// true C0SANDBOX <nil>
	// DOWN shop: connect.timeout from 3/3 regions since 14:02Z
}
