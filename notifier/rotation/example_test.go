package rotation_test

import (
	"fmt"
	"os"
	"time"

	"nines/internal/civil"
	"nines/notifier/rotation"
)

func Example() {
	warsaw, err := time.LoadLocation("Europe/Warsaw")
	if err != nil {
		fmt.Println(err)
		return
	}
	primary := &rotation.Rotation{
		Name:    "primary",
		Zone:    warsaw,
		Every:   rotation.Cadence{N: 1, Unit: rotation.Weeks},
		Handoff: rotation.Handoff{Weekday: time.Monday, At: 9 * 60},
		Start:   civil.Date{Year: 2026, Month: time.January, Day: 5},
		People:  []string{"alice", "bob"},
	}
	person, _ := primary.OnCall(time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC))
	fmt.Println(person)
	rotation.WriteTable(os.Stdout, primary.List(
		time.Date(2026, 3, 23, 8, 0, 0, 0, time.UTC), time.Date(2026, 4, 6, 7, 0, 0, 0, time.UTC)))
	// Output:
	// bob
	// ROTATION  PERSON  FROM                       TO                         LASTS
	// primary   bob     Mon 2026-03-23 09:00 CET   Mon 2026-03-30 09:00 CEST  6d23h
	// primary   alice   Mon 2026-03-30 09:00 CEST  Mon 2026-04-06 09:00 CEST  7d
}
