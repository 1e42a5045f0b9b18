package notifier_test

import (
	"fmt"
	"time"

	"nines/notifier"
)

// A step pages whoever is on call: the Slack channel at once, and each person
// by the first of the phone channels, with the others to follow.
func ExampleFire() {
	policy := notifier.Policy{
		Name:  "default",
		Steps: []notifier.Step{{Notify: []string{"rotation:primary"}, By: []string{"slack", "sms", "voice"}, Wait: 5 * time.Minute}},
	}
	roster := roster{
		people: []notifier.Person{{Name: "alice", Phone: "+48500100200", Slack: "U012ALICE"}},
		onCall: map[string]string{"primary": "alice"},
	}
	fired := notifier.Fire(&policy, roster, 0, 0, time.Date(2026, 11, 23, 14, 2, 0, 0, time.UTC))
	for _, n := range fired.For(41) {
		fmt.Println(n.Channel, n.Person, n.Mention, n.Then)
	}
	fmt.Println(fired.Text)
	// Output:
	// slack  [alice] []
	// sms alice [] [voice]
	// step 1 told alice by sms then voice for rotation:primary and the Slack channel
}

func ExampleSMSText() {
	since := time.Date(2026, 11, 23, 14, 2, 0, 0, time.UTC)
	fmt.Println(notifier.SMSText(notifier.Message{
		Notice:  notifier.Notice{Incident: 41, Kind: notifier.PageNotice, Nonce: "41-1-k7q2", Created: since},
		Subject: notifier.Subject{Check: "shop", Reason: "connect.timeout", Down: 3, Regions: 3, Since: since},
		Link:    "https://status.example.com/i/41",
	}))
	// Output:
	// DOWN shop: connect.timeout from 3/3 regions since 14:02Z. Reply ACK 41. https://status.example.com/i/41 #41-1-k7q2
}
