package api

import (
	"time"

	"nines/checks"
	"nines/notifier"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// Status is how things are now.
type Status struct {
	Now       time.Time  `json:"now"`
	Trouble   string     `json:"trouble,omitempty"` // why ingest, verdicts or paging do not work
	Checks    []Check    `json:"checks"`            // in the order of the configuration
	Probers   []Prober   `json:"probers"`           // likewise
	Incidents []Incident `json:"incidents"`         // those not resolved, oldest first, without log and notices
	Silences  []Silence  `json:"silences"`          // those not ended
	Budgets   []Budget   `json:"budgets"`           // of the running month, in the order of the configuration
}

// Budget is an SLA's error budget: how long it may be down in the month.
type Budget struct {
	SLA            string     `json:"sla"`
	Title          string     `json:"title"`
	Month          string     `json:"month"`
	Target         string     `json:"target"` // percent
	AllowedSeconds float64    `json:"allowed_seconds"`
	UsedSeconds    float64    `json:"used_seconds"`
	LeftSeconds    float64    `json:"left_seconds"` // negative when it is overspent
	Burn           []BurnRate `json:"burn"`
	Exhausted      bool       `json:"exhausted"`             // nothing is left
	ExhaustedAt    time.Time  `json:"exhausted_at,omitzero"` // at the rate of the last three days; zero: not this month
}

// BurnRate is how fast a budget is used: at 1 it lasts exactly as long as the
// month.
type BurnRate struct {
	Over string  `json:"over"` // 1h, 3d
	Rate float64 `json:"rate"`
}

// Check is one check as it stands.
type Check struct {
	Check    string    `json:"check"`
	Title    string    `json:"title"`
	Group    string    `json:"group,omitempty"`
	Verdict  string    `json:"verdict"` // up, degraded, down, unknown
	Since    time.Time `json:"since,omitzero"`
	Incident int64     `json:"incident,omitempty"` // the one that is not over
	Muted    string    `json:"muted,omitempty"`    // why nobody would be paged
	Votes    []Vote    `json:"votes"`
}

// Vote is what one region says.
type Vote struct {
	Region string    `json:"region"`
	Status string    `json:"status"` // up, degraded, down, or empty when silent
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Prober is one prober.
type Prober struct {
	Prober    string    `json:"prober"`
	Region    string    `json:"region"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`
	LastSeen  time.Time `json:"last_seen,omitzero"`
	OffsetMS  float64   `json:"offset_ms"` // its clock minus ours
	Version   string    `json:"version,omitempty"`
	Address   string    `json:"address,omitempty"`
	Checks    int       `json:"checks"`
}

// Incident is one incident.
type Incident struct {
	ID         int64     `json:"id"`
	Check      string    `json:"check"`
	State      string    `json:"state"` // triggered, acknowledged, resolved
	Severity   string    `json:"severity"`
	Policy     string    `json:"policy,omitempty"`
	Reason     string    `json:"reason"`
	Down       []string  `json:"down"`    // regions
	Regions    int       `json:"regions"` // of the check
	OutageFrom time.Time `json:"outage_from"`
	Opened     time.Time `json:"opened"`
	Flaps      int       `json:"flaps,omitempty"` // incidents of the check in the hour before

	// Of the first who acknowledged.
	AcknowledgedAt  time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy  string    `json:"acknowledged_by,omitempty"`
	AcknowledgedVia string    `json:"acknowledged_via,omitempty"`
	Owner           string    `json:"owner,omitempty"` // has it in hand now
	ResolvedAt      time.Time `json:"resolved_at,omitzero"`
	ResolvedBy      string    `json:"resolved_by,omitempty"` // empty: it recovered
	RecoveredAt     time.Time `json:"recovered_at,omitzero"`
	SnoozedUntil    time.Time `json:"snoozed_until,omitzero"`
	Muted           string    `json:"muted,omitempty"`   // why nobody is paged
	Within          int64     `json:"within,omitempty"`  // the incident whose page lists this one
	NextAt          time.Time `json:"next_at,omitzero"`  // when the next step is due
	Log             []Event   `json:"log,omitempty"`     // of one incident, oldest first
	Notices         []Notice  `json:"notices,omitempty"` // likewise
}

// Event is one line of an incident's log.
type Event struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	Who  string    `json:"who,omitempty"`
	Via  string    `json:"via,omitempty"`
	Text string    `json:"text"`
}

// Notice is one thing said to one person by one channel.
type Notice struct {
	ID       int64     `json:"id"`
	Kind     string    `json:"kind"` // page, update, recovery, test
	Person   string    `json:"person,omitempty"`
	Channel  string    `json:"channel"`
	State    string    `json:"state"` // queued, leased, accepted, delivered, failed, cancelled
	Why      string    `json:"why"`
	Attempts int       `json:"attempts"`
	Receipt  string    `json:"receipt,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Created  time.Time `json:"created"`
}

// Change is an incident after somebody did something about it.
type Change struct {
	Incident
	Changed bool `json:"changed"` // false: it had been done before
}

// By is who does something.
type By struct {
	Who string `json:"who"` // a name; default operator
}

// Snooze is until when an incident is to sleep.
type Snooze struct {
	Who string `json:"who"`
	For string `json:"for"` // such as 30m; default 1h, at most 168h
}

// Silence keeps a check from paging anybody for a while.
type Silence struct {
	ID      int64     `json:"id"`
	Check   string    `json:"check"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Why     string    `json:"why,omitempty"`
	Who     string    `json:"who,omitempty"`
	Created time.Time `json:"created"`
}

// NewSilence asks for a silence from now on.
type NewSilence struct {
	Check string `json:"check"`
	For   string `json:"for"` // such as 1h or 2d, at most 30d
	Why   string `json:"why"`
	Who   string `json:"who"` // default operator
}

// TestPage asks for a test page.
type TestPage struct {
	Person string   `json:"person"`
	By     []string `json:"by"` // channels; default all that are configured
}

// OnCall is a shift.
type OnCall struct {
	Rotation string    `json:"rotation"`
	Person   string    `json:"person"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
}

func ofIncident(i incident.Incident) Incident {
	down := i.Down
	if down == nil {
		down = []string{}
	}
	return Incident{
		ID: i.ID, Check: i.Check, State: string(i.State), Severity: i.Severity, Policy: i.Policy,
		Reason: string(i.Reason), Down: down, Regions: i.Regions, OutageFrom: i.OutageFrom, Opened: i.Opened, Flaps: i.Flaps,
		AcknowledgedAt: i.AckedAt, AcknowledgedBy: i.AckedBy, AcknowledgedVia: i.AckedVia, Owner: i.Owner,
		ResolvedAt: i.ResolvedAt, ResolvedBy: i.ResolvedBy, RecoveredAt: i.Recovered, SnoozedUntil: i.Snoozed,
		Muted: i.Muted, Within: i.Within, NextAt: i.NextAt,
	}
}

func ofEvent(e incident.Event) Event {
	return Event{At: e.At, Kind: string(e.Kind), Who: e.Who, Via: e.Via, Text: e.Text}
}

func ofNotice(n notifier.Notice) Notice {
	return Notice{
		ID: n.ID, Kind: string(n.Kind), Person: n.Person, Channel: n.Channel, State: string(n.State), Why: n.Why,
		Attempts: n.Attempts, Receipt: n.Receipt, Detail: n.Detail, Created: n.Created,
	}
}

func ofSilence(s store.Silence) Silence {
	return Silence{ID: s.ID, Check: s.Check, From: s.From, To: s.To, Why: s.Why, Who: s.Who, Created: s.Created}
}

// each returns what f makes of every item, never nil.
func each[T, U any](items []T, f func(T) U) []U {
	list := make([]U, len(items))
	for i, item := range items {
		list[i] = f(item)
	}
	return list
}

// Quarantine is a span in which a prober was found sick.
type Quarantine = checks.Quarantine

// Links are the addresses of what needs no token but a secret in the address.
type Links struct {
	Calendars []CalendarLink `json:"calendars"`
	Reports   []ReportLink   `json:"reports"`  // of this month and the last
	Overview  string         `json:"overview"` // of the reports of all SLAs
}

// CalendarLink is a calendar feed.
type CalendarLink struct {
	Rotation string `json:"rotation,omitempty"` // empty: all
	URL      string `json:"url"`
}

// ReportLink is where a customer reads an SLA's report of a month.
type ReportLink struct {
	SLA   string `json:"sla"`
	Month string `json:"month"`
	URL   string `json:"url"`
}

// Revision is one revision of a closed month's report.
type Revision struct {
	Revision      int       `json:"revision"`
	Made          time.Time `json:"made"`
	ResultsSHA256 string    `json:"results_sha256"`
	ConfigSHA256  string    `json:"config_sha256,omitempty"` // of the configuration that judged it
	Moved         []Move    `json:"moved"`                   // from the revision before
}

// Move is a figure that results which came late have changed.
type Move struct {
	Figure string `json:"figure"` // where it stands in the report
	Before string `json:"before"` // empty: it was not there
	After  string `json:"after"`  // empty: it is not there any more
}
