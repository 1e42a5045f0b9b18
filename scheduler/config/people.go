package config

import (
	"time"

	"nines/notifier"
)

// Roster is a configuration as notifier.Roster: who the people are, and who is
// on call.
type Roster struct{ *Config }

// Person implements notifier.Roster.
func (r Roster) Person(name string) (notifier.Person, bool) {
	if p := r.Config.Person(name); p != nil {
		return *p, true
	}
	return notifier.Person{}, false
}

// OnCall implements notifier.Roster.
func (r Roster) OnCall(name string, t time.Time) (string, bool) {
	if rota := r.Rotation(name); rota != nil {
		return rota.OnCall(t)
	}
	return "", false
}
