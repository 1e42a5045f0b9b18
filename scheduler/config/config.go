// Package config reads nines' YAML into checked values. Every fault is found
// in one pass and carries its file, line and column, where in the document it
// stands, and what would be right; nothing is connected to and no file but the
// configuration and those it names is read.
//
// It imports checks, regions and notifier for the types that their rooms
// define, and is imported by the scheduler and the commands.
package config

import (
	"crypto/ed25519"
	"net/netip"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/internal/secret"
	"nines/notifier"
	"nines/notifier/rotation"
	"nines/regions"
)

// Config is one configuration, complete and valid.
type Config struct {
	Listen    string             // host:port of the scheduler's HTTP server
	PublicURL string             // without a slash at its end; empty means http://Listen
	Store     string             // a SQLite file's absolute path, or postgres://…
	APIToken  secret.String      // empty: the operator API answers nobody
	ReportKey ed25519.PrivateKey // nil: reports are not signed
	Retention time.Duration      // of raw results
	Allow     []netip.Prefix
	DeadMan   string // URL; empty: none

	Regions     []Region // in the order of the file
	Probers     []Prober // remote ones
	Checks      []Check  // in the order of the file
	SLAs        []SLA
	Maintenance []Maintenance

	People    []notifier.Person
	Rotations []*rotation.Rotation
	Policies  []notifier.Policy // one is always called default when there is anybody to page

	Slack  *Slack  // nil: not configured
	Twilio *Twilio // nil: not configured
	Email  *Email  // nil: not configured

	StatusPage StatusPage
	Warnings   []Fault // what is valid and still looks wrong
}

// Region is a place that checks run from.
type Region struct {
	Name     string
	Title    string     // for people; the name when not set
	SourceIP netip.Addr // invalid: any
}

// Prober is a remote prober.
type Prober struct {
	Name   string
	Region string
	Token  secret.String
	Next   secret.String // as good as Token, while one replaces the other; empty: none
}

// Check is one check with everything around its run.
type Check struct {
	checks.Spec
	Title    string // the name when not set
	Group    string
	Public   bool
	Regions  []string // never empty; in the order of the check, or of the file when not set
	Weights  []int    // of Regions, in their order; nil: one each
	Quorum   regions.Quorum
	Severity string // page, ticket or none
	Policy   string // a policy's name, or empty when there is nobody to page
	Runbook  string
	Labels   map[string]string
}

// Rule returns how results of the check are judged.
func (c *Check) Rule() regions.Rule {
	return regions.Rule{Regions: c.Regions, Every: c.Every, Timeout: c.Timeout, Quorum: c.Quorum, Weights: c.Weights}
}

// SLA is one promise to a customer.
type SLA struct {
	Name      string
	Title     string
	Checks    []string // resolved to names, in the order of the file, each once
	Target    Percent
	Timezone  *time.Location
	Combine   string        // any-down or average
	MinOutage time.Duration // shorter outages are not counted
	// ServiceHours is nil when the promise holds always.
	ServiceHours *civil.Hours
	Since        civil.Date // the first day of the promise; zero: it always held
	Credits      []Credit
	CreditCap    *float64 // the most that is owed, in percent; nil: as Credits say
	Burn         []Burn
	Email        []string
	Slack        bool // whether the channel is told of a closed month
}

// Burn is a rule about how fast an error budget is used.
type Burn struct {
	Over, And time.Duration // both windows must have the rate
	Rate      float64       // 1: the month's budget in a month
	Severity  string        // page, ticket or none
	Policy    string        // empty when there is nobody to page
}

// Percent is an exact decimal number of percent: Text as written, such as
// 99.95, and the same in millionths of a percent.
type Percent struct {
	Text   string
	Micros int64 // 99.95 is 99_950_000
}

// Credit is what is owed when availability is below a percentage.
type Credit struct {
	Below   Percent
	Percent float64
}

// Maintenance is a planned interruption, once, every week or by another rule.
type Maintenance struct {
	Title  string
	Checks []string       // resolved to names
	Once   *civil.Span    // either this
	Weekly *civil.Hours   // or this, with the days that it starts on
	Rule   *Recurrence    // or this
	Zone   *time.Location // of Weekly and Rule
}

// Spans returns when the maintenance is, cut to [from, to).
func (m *Maintenance) Spans(from, to time.Time) []civil.Span {
	if m.Weekly != nil {
		return m.Weekly.Spans(from, to, m.Zone)
	}
	if m.Rule != nil {
		return m.Rule.spans(from, to, m.Zone)
	}
	s := *m.Once
	if s.From.Before(from) {
		s.From = from
	}
	if s.To.After(to) {
		s.To = to
	}
	if !s.From.Before(s.To) {
		return nil
	}
	return []civil.Span{s}
}

// Slack is how to reach Slack.
type Slack struct {
	Token         secret.String
	Channel       string
	SigningSecret secret.String
	APIURL        string // ends in a slash
}

// Twilio is how to reach Twilio.
type Twilio struct {
	AccountSID string
	AuthToken  secret.String
	From       string // E.164
	APIURL     string // without a slash at its end
}

// Email is the SMTP server that mail leaves by.
type Email struct {
	Server   string // host:port
	Username string
	Password secret.String
	From     string
	TLS      string // starttls, tls or none
}

// StatusPage is how the public page looks.
type StatusPage struct {
	Title  string
	Logo   string // an absolute path, or empty
	Groups []string
	Days   int // of daily bars
	// Language is the pages' own, such as pl; empty: the reader's.
	Language string
}

// Check returns the check of that name, or nil.
func (c *Config) Check(name string) *Check {
	for i := range c.Checks {
		if c.Checks[i].Name == name {
			return &c.Checks[i]
		}
	}
	return nil
}

// SLA returns the SLA of that name, or nil.
func (c *Config) SLA(name string) *SLA {
	for i := range c.SLAs {
		if c.SLAs[i].Name == name {
			return &c.SLAs[i]
		}
	}
	return nil
}

// Policy returns the policy of that name, or nil.
func (c *Config) Policy(name string) *notifier.Policy {
	for i := range c.Policies {
		if c.Policies[i].Name == name {
			return &c.Policies[i]
		}
	}
	return nil
}

// Person returns the person of that name, or nil.
func (c *Config) Person(name string) *notifier.Person {
	for i := range c.People {
		if c.People[i].Name == name {
			return &c.People[i]
		}
	}
	return nil
}

// Rotation returns the rotation of that name, or nil.
func (c *Config) Rotation(name string) *rotation.Rotation {
	for _, r := range c.Rotations {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// MaintenanceOf returns when the check is under maintenance within [from, to):
// spans in no particular order that may overlap.
func (c *Config) MaintenanceOf(check string, from, to time.Time) []civil.Span {
	var spans []civil.Span
	for i := range c.Maintenance {
		m := &c.Maintenance[i]
		for _, name := range m.Checks {
			if name == check {
				spans = append(spans, m.Spans(from, to)...)
			}
		}
	}
	return spans
}
