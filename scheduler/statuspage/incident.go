package statuspage

import (
	"slices"
	"time"

	"nines/internal/civil"
)

// lasted is how long an incident took from its beginning to its end; zero
// while it is open.
func (i *Incident) lasted() time.Duration {
	if i.Resolved.IsZero() {
		return 0
	}
	return max(0, i.Resolved.Sub(i.From))
}

// told is an update and where the incident stood then.
type told struct {
	Update
	Stage UpdateKind // investigating, identified, monitoring or resolved
}

// updates returns the incident's story, oldest first.
func (i *Incident) updates() []told {
	updates := i.Updates
	if len(updates) == 0 {
		updates = append(updates, Update{At: i.Opened, Kind: Investigating})
		if !i.Acknowledged.IsZero() {
			updates = append(updates, Update{At: i.Acknowledged, Kind: Identified})
		}
		if !i.Resolved.IsZero() {
			updates = append(updates, Update{At: i.Resolved, Kind: Resolved})
		}
	}
	story, stage := make([]told, len(updates)), Investigating
	for n, u := range updates {
		// Other regions being down changes nothing about who has it in hand.
		if u.Kind != Spread {
			stage = u.Kind.status()
		}
		story[n] = told{u, stage}
	}
	return story
}

// newest returns the last of the updates.
func (i *Incident) newest() told {
	updates := i.updates()
	return updates[len(updates)-1]
}

// stage is where the incident stands, in Statuspage's words.
func (i *Incident) stage() UpdateKind {
	if !i.Resolved.IsZero() {
		return Resolved
	}
	return i.newest().Stage
}

// status is the one by which Statuspage knows an update of this kind:
// investigating, identified, monitoring or resolved. A kind that is none of
// the set is investigating.
func (k UpdateKind) status() UpdateKind {
	switch k {
	case Identified, Monitoring, Resolved:
		return k
	}
	return Investigating
}

// changed is when the incident last changed.
func (i *Incident) changed() time.Time { return civil.Later(i.newest().At, i.Resolved) }

// When a maintenance is, in Statuspage's words.
const (
	scheduled  = "scheduled"
	inProgress = "in_progress"
	completed  = "completed"
)

// status says whether the maintenance is to come, running or over at now.
func (w *Window) status(now time.Time) string {
	switch {
	case now.Before(w.From):
		return scheduled
	case now.Before(w.To):
		return inProgress
	}
	return completed
}

// during returns the maintenances that have one of the statuses at Now.
func (p *Page) during(statuses ...string) []Window {
	var windows []Window
	for _, w := range p.Planned {
		if slices.Contains(statuses, w.status(p.Now)) {
			windows = append(windows, w)
		}
	}
	return windows
}

// staleFor returns how old the newest result is, if that is too old.
func (p *Page) staleFor() (time.Duration, bool) {
	limit := p.StaleAfter
	if limit <= 0 {
		limit = 5 * time.Minute
	}
	age := p.Now.Sub(p.Newest)
	return age, age > limit
}
