package twilio_test

import (
	"fmt"

	"nines/notifier/twilio"
)

func ExampleParseCommand() {
	for _, text := range []string{"Ack 41", "ACK", "STOP", "on my way"} {
		c := twilio.ParseCommand(text)
		fmt.Printf("%q %d\n", c.Verb, c.Incident)
	}
	// Output:
	// "ack" 41
	// "ack" 0
	// "carrier" 0
	// "" 0
}
