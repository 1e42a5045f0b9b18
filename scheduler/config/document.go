package config

import (
	"time"

	"nines/checks"
	"nines/internal/secret"
	"nines/regions"
)

// document is the whole configuration as YAML has it. Its fields and those of
// the sections below are the one source of the decoder, the JSON Schema and
// docs/configuration.md.
type document struct {
	At *node `json:"-"`

	Listen    hostPort         `json:"listen" default:"127.0.0.1:8080" doc:"Where the scheduler's HTTP server listens."`
	PublicURL baseURL          `json:"public_url" example:"https://status.example.com" doc:"How the world reaches that server: links in pages, feeds and e-mails start with it, and vendors' hooks are signed for it. Default: http:// and listen."`
	Store     line             `json:"store" default:"nines.db" doc:"The SQLite file that holds results, incidents and reports, relative to the folder of this file."`
	APIToken  *secret.String   `json:"api_token" doc:"The bearer token of the operator API, its commands and the calendar feeds. Without one they answer nobody."`
	Retention retentionSection `json:"retention" doc:"How long things are kept."`
	Allow     []ipRange        `json:"allow" example:"[127.0.0.0/8]" doc:"Private ranges that in-process probers may reach. Default: none."`
	ReportKey *secret.String   `json:"report_key" example:"${NINES_REPORT_KEY}" doc:"An Ed25519 private key, as openssl genpkey -algorithm ed25519 writes it; closed reports are signed with it. Default: they are not signed."`
	DeadMan   webURL           `json:"dead_man_url" example:"https://hc.example.com/ping/abc" doc:"Fetched regularly while ingest, verdicts and paging are healthy, so that somebody outside notices when they are not."`

	Regions []regionSection `json:"regions" doc:"The places that checks run from. Default: one called local."`
	Probers []proberSection `json:"probers" doc:"Remote probers. A region that has none is probed by the process of nines run itself."`

	Defaults defaultsSection `json:"defaults" doc:"What checks are when they do not say."`
	Checks   []checkSection  `json:"checks" doc:"What is watched."`

	SLAs        []slaSection         `json:"slas" doc:"What was promised, and so what the monthly reports are about."`
	Maintenance []maintenanceSection `json:"maintenance" doc:"Planned interruptions. Their time counts neither for nor against an SLA, and pages nobody."`

	People    []personSection   `json:"people" doc:"Who can be told."`
	Rotations []rotationSection `json:"rotations" doc:"Who takes turns in being on call."`
	Policies  []policySection   `json:"policies" doc:"Who is told of an outage, in which order, until somebody acknowledges."`

	Slack  *slackSection  `json:"slack" doc:"How to reach Slack."`
	Twilio *twilioSection `json:"twilio" doc:"How to reach Twilio, for sms and voice."`
	Email  *emailSection  `json:"email" doc:"The server that mail leaves by."`

	StatusPage statusPageSection `json:"status_page" doc:"How the public page looks."`
}

type retentionSection struct {
	At      *node         `json:"-"`
	Results time.Duration `json:"results" default:"35d" doc:"How long raw results are kept, at least 1d. Outages and reports are kept for good."`
}

type regionSection struct {
	At       *node     `json:"-"`
	Name     name      `json:"name" required:"true" example:"eu-west" doc:"Unique among regions."`
	Title    line      `json:"title" example:"Frankfurt" doc:"For people. Default: the name."`
	SourceIP ipAddress `json:"source_ip" example:"192.0.2.2" doc:"The address that the region's in-process probes leave from; not for regions with remote probers, which have --source-ip. Default: any."`
}

type proberSection struct {
	At     *node          `json:"-"`
	Name   name           `json:"name" required:"true" example:"fra-1" doc:"Unique among probers."`
	Region name           `json:"region" required:"true" example:"eu-west" doc:"The region that it stands in."`
	Token  secret.String  `json:"token" required:"true" example:"${FRA1_TOKEN}" doc:"The token that it identifies itself with; its own."`
	Next   *secret.String `json:"next_token" example:"${FRA1_NEXT_TOKEN}" doc:"A second token that is as good, for as long as one replaces the other. Default: none."`
}

type defaultsSection struct {
	At       *node          `json:"-"`
	Every    time.Duration  `json:"every" default:"60s" doc:"As in a check."`
	Timeout  time.Duration  `json:"timeout" default:"10s" doc:"As in a check. A check whose every is shorter has that instead."`
	Quorum   regions.Quorum `json:"quorum" default:"majority" doc:"As in a check."`
	Severity string         `json:"severity" default:"page" enum:"page,ticket,none" doc:"As in a check."`
}

// checkSection is what checks of every kind have; the kind's options stand
// beside it in the same mapping.
type checkSection struct {
	At       *node             `json:"-"`
	Name     name              `json:"name" required:"true" example:"shop" doc:"Unique among checks."`
	Title    line              `json:"title" example:"Shop front page" doc:"For people. Default: the name."`
	Group    line              `json:"group" example:"Storefront" doc:"The heading that the status page shows it under. Default: none."`
	Public   bool              `json:"public" default:"true" doc:"Whether the status page shows it."`
	Kind     string            `json:"kind" required:"true" enum:"kinds" example:"http" doc:"What is done; it decides which further keys there are, below."`
	Every    *time.Duration    `json:"every" example:"30s" doc:"The time between two runs in one region, at least 1s. Default: as in defaults."`
	Timeout  *time.Duration    `json:"timeout" example:"10s" doc:"How long one run may take, its second try included; at most every. Default: as in defaults."`
	Regions  []name            `json:"regions" example:"[eu-west, us-east]" doc:"Where it runs from. Default: all regions."`
	Weights  map[string]int    `json:"weights" example:"{eu-west: 2}" doc:"How many votes a region has in the quorum, 1 to 100; those not named have one. Default: one each."`
	Quorum   *regions.Quorum   `json:"quorum" example:"majority" doc:"How many of the regions that have something to say must find it down: majority, any, all, or a number. Default: as in defaults."`
	Severity *string           `json:"severity" example:"page" enum:"page,ticket,none" doc:"What an outage does: page tells people at once, ticket posts one message to Slack's channel, none tells nobody. Default: as in defaults."`
	Policy   name              `json:"policy" example:"web" doc:"The escalation policy. Default: the one called default."`
	Runbook  webURL            `json:"runbook" example:"https://wiki.example.com/shop" doc:"Where it says what to do; shown to whoever is paged."`
	Labels   map[string]string `json:"labels" example:"{team: web}" doc:"For selecting checks in SLAs and maintenance."`

	options checks.Options // nil when the kind is not known
}

type slaSection struct {
	At           *node         `json:"-"`
	Name         name          `json:"name" required:"true" example:"gold" doc:"Unique among SLAs."`
	Title        line          `json:"title" example:"Gold support plan" doc:"For people. Default: the name."`
	Checks       selection     `json:"checks" required:"true" example:"[shop, ns]" doc:"What is promised about: names of checks, {group: Storefront} or {label: team=web}, mixed as needed."`
	Target       Percent       `json:"target" required:"true" example:"99.95" doc:"The availability promised, in percent: above 0, at most 100, with at most six decimals."`
	Timezone     zone          `json:"timezone" default:"UTC" doc:"Whose calendar month it is, and whose clock the service hours are."`
	Combine      string        `json:"combine" default:"any-down" enum:"any-down,average" doc:"How several checks make one figure: any-down, it is down while any check is; average, each check's seconds are added up."`
	MinOutage    time.Duration `json:"min_outage" default:"0s" doc:"Shorter outages are not counted."`
	ServiceHours serviceHours  `json:"service_hours" example:"{days: [mon-fri], from: \"08:00\", to: \"18:00\"}" doc:"When the promise holds: always, or hours of some days. Default: always."`
	Since        date          `json:"since" example:"2026-10-15" doc:"The first day of the promise, in its time zone: its first month begins there. Default: it always held."`
	Credits      []credit      `json:"credits" doc:"What is owed when the promise is broken."`
	CreditCap    *float64      `json:"credit_cap" example:"30" doc:"The most that is owed for a month, 0 to 100 percent of the fee. Default: as the credits say."`
	Burn         []burn        `json:"burn" doc:"When to tell that the error budget is being used too fast, before it is gone. Default: never."`
	Email        []mailbox     `json:"email" example:"[sla@customer.example]" doc:"Who gets the report when a month closes; needs the section email."`
	Slack        bool          `json:"slack" default:"true" doc:"Whether Slack's channel is told when a month closes; needs the section slack."`
}

// burn is a rule about how fast the error budget is used. A rate of 1 uses up
// the month's budget in a month.
type burn struct {
	At       *node         `json:"-"`
	Over     time.Duration `json:"over" required:"true" example:"1h" doc:"The long window: the rate must have been reached over it, 5m to 30d."`
	And      time.Duration `json:"and" example:"5m" doc:"The short window: and over this one too, so that it ends soon after the trouble does. Default: a twelfth of over."`
	Rate     float64       `json:"rate" required:"true" example:"14.4" doc:"How many times as fast as the target allows."`
	Severity string        `json:"severity" default:"page" enum:"page,ticket,none" doc:"As in a check: what happens when the rule holds."`
	Policy   name          `json:"policy" example:"web" doc:"The escalation policy. Default: the one called default."`
}

type credit struct {
	At      *node   `json:"-"`
	Below   Percent `json:"below" required:"true" example:"99.95" doc:"Availability below this earns the credit; the lowest such line counts."`
	Percent float64 `json:"percent" required:"true" example:"10" doc:"The credit, 0 to 100 percent of the fee."`
}

// selection is a list of names and selectors; one selector may stand for a
// list of one.
type selection []selected

// selected is a check's name, or the checks of a group or with a label.
type selected struct {
	At    *node  `json:"-"`
	Group string `json:"group" example:"Storefront" doc:"All checks of the group."`
	Label string `json:"label" example:"team=web" doc:"All checks that have the label with that value."`

	name string
	text bool // a name was written
}

func (s *selected) UnmarshalText(text []byte) error {
	s.name, s.text = string(text), true
	return nil
}

// hours is a window on some days.
type hours struct {
	At   *node      `json:"-"`
	Days []weekdays `json:"days" example:"[mon-fri]" doc:"The days on which it starts, such as mon, or mon-fri. Default: every day."`
	From clock      `json:"from" required:"true" example:"\"08:00\"" doc:"When it starts."`
	To   clock      `json:"to" required:"true" example:"\"18:00\"" doc:"When it ends; at or before from it is on the next day."`
}

// serviceHours is always, or hours.
type serviceHours struct {
	hours
}

func (s *serviceHours) UnmarshalText(text []byte) error {
	if string(text) != "always" {
		return notAmong(string(text), []string{"always", `{days: [mon-fri], from: "08:00", to: "18:00"}`})
	}
	return nil
}

type maintenanceSection struct {
	At     *node     `json:"-"`
	Title  line      `json:"title" default:"Maintenance" doc:"For people; shown on the status page."`
	Checks selection `json:"checks" required:"true" example:"[shop]" doc:"What is interrupted, selected as in an SLA."`
	From   *instant  `json:"from" example:"2026-10-10T22:00:00Z" doc:"When it starts, for one that happens once."`
	To     *instant  `json:"to" example:"2026-10-10T23:00:00Z" doc:"When it ends, for one that happens once."`
	Weekly *weekly   `json:"weekly" doc:"When it is, for one that happens every week; instead of from and to."`

	RRule    string         `json:"rrule" example:"FREQ=MONTHLY;BYDAY=2TU" doc:"When it is, for one that recurs otherwise: a rule of RFC 5545, from DAILY to YEARLY, whose first time is from. With duration, and instead of to."`
	Duration *time.Duration `json:"duration" example:"2h" doc:"How long each time of rrule lasts, at most 31d."`
	Timezone *zone          `json:"timezone" example:"Europe/Warsaw" doc:"Whose clock rrule goes by. Default: UTC."`
}

type weekly struct {
	At       *node   `json:"-"`
	Day      weekday `json:"day" required:"true" example:"sun" doc:"The day on which it starts."`
	From     clock   `json:"from" required:"true" example:"\"03:00\"" doc:"When it starts."`
	To       clock   `json:"to" required:"true" example:"\"04:00\"" doc:"When it ends; at or before from it is on the next day."`
	Timezone zone    `json:"timezone" default:"UTC" doc:"Whose clock that is."`
}

type statusPageSection struct {
	At       *node  `json:"-"`
	Title    line   `json:"title" default:"Status" doc:"The page's title."`
	Logo     string `json:"logo" example:"logo.svg" doc:"An image file, relative to the folder of this file. Default: none."`
	Groups   []line `json:"groups" example:"[Storefront]" doc:"The order of the checks' groups; those not named follow."`
	Days     int    `json:"days" default:"90" doc:"How many daily bars are shown, 1 to 366."`
	Language string `json:"language" default:"auto" enum:"auto,en,de,es,fr,it,pl" doc:"The language of the pages: auto, that of the reader as far as it is one of these, or always the same."`
}
