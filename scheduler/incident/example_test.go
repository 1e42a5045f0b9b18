package incident_test

import (
	"fmt"
	"time"

	"nines/scheduler/incident"
)

// An outage opens an incident, which is due at once; whoever acknowledges first
// is remembered, and nobody is paged from then on.
func Example() {
	at := time.Date(2026, 10, 1, 14, 2, 0, 0, time.UTC)
	i, log := incident.Open(incident.Opening{
		Check: "shop", OutageFrom: at, Severity: incident.Page, Policy: "default",
		Reason: "connect.timeout", Down: []string{"eu-west", "us-east"}, Regions: 3,
	}, at.Add(4*time.Second))
	fmt.Println(log[0].Text)
	fmt.Println("due:", i.Due(at.Add(4*time.Second)))

	i, _, changed := incident.Acknowledge(i, incident.By{Who: "alice", Via: "sms"}, at.Add(90*time.Second))
	fmt.Println(changed, i.State, i.AckedBy)
	i, _, changed = incident.Acknowledge(i, incident.By{Who: "bob", Via: "slack"}, at.Add(95*time.Second))
	fmt.Println(changed, i.State, i.AckedBy)

	i, log, _ = incident.Recover(i, at.Add(8*time.Minute))
	fmt.Println(i.State, log[0].Text)
	// Output:
	// shop is down: connect.timeout from 2/3 regions (eu-west, us-east)
	// due: true
	// true acknowledged alice
	// false acknowledged alice
	// resolved shop is up again after 8m0s
}
