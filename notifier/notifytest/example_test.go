package notifytest_test

import (
	"context"
	"fmt"

	"nines/notifier"
	"nines/notifier/notifytest"
	"nines/notifier/twilio"
)

// A sandbox that loses an answer after it has taken the message: the message is
// there, and the sender does not know it.
func Example() {
	sandbox, err := notifytest.New(notifytest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sandbox.Close()
	sandbox.Break(notifytest.Fault{In: notifytest.CreateMessage, Kind: notifytest.CutTaken, Times: 1})

	c := sandbox.Config()
	client, err := twilio.New(twilio.Config{AccountSID: c.AccountSID, AuthToken: c.AuthToken, From: c.From, APIURL: sandbox.URL()})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := notifier.Message{
		Notice: notifier.Notice{Kind: notifier.TestNotice, Channel: notifier.SMS, Person: "alice", Nonce: "0-1-k7q2"},
		Person: notifier.Person{Name: "alice", Phone: "+48500100200"},
	}
	_, err = client.Send(context.Background(), m)
	_, found, _ := client.Find(context.Background(), m)
	fmt.Println(err != nil, found, len(sandbox.Texts()))
	// Output:
	// true true 1
}
