package config

import (
	"time"

	"nines/internal/secret"
)

type personSection struct {
	At       *node   `json:"-"`
	Name     name    `json:"name" required:"true" example:"alice" doc:"Unique among people."`
	Phone    phone   `json:"phone" example:"\"+48500100200\"" doc:"In international form (E.164); for sms and voice."`
	Slack    string  `json:"slack" example:"U012ALICE" doc:"The member ID in Slack."`
	Email    mailbox `json:"email" example:"alice@example.com" doc:"The e-mail address."`
	Timezone zone    `json:"timezone" default:"UTC" doc:"Whose clock the person is told times in."`
}

type rotationSection struct {
	At        *node             `json:"-"`
	Name      name              `json:"name" required:"true" example:"primary" doc:"Unique among rotations."`
	Timezone  zone              `json:"timezone" default:"UTC" doc:"Whose clock handoffs, hours and overrides are on."`
	Every     cadence           `json:"every" required:"true" example:"weekly" doc:"How long a turn is: daily, weekly, monthly, or a number with h, d or w, such as 12h."`
	Handoff   string            `json:"handoff" required:"true" example:"mon 09:00" doc:"When turns change hands: day and time for weeks (mon 09:00), time for days and hours (09:00), day of the month and time for months (15 09:00); a month without that day has its last one."`
	Start     date              `json:"start" required:"true" example:"2026-01-05" doc:"The first shift starts with the first handoff from this day on, and belongs to the first of people."`
	People    []name            `json:"people" required:"true" example:"[alice, bob]" doc:"Who takes turns, in order."`
	Only      *hours            `json:"only" example:"{days: [mon-fri], from: \"08:00\", to: \"20:00\"}" doc:"The hours in which anybody is on call. A shift without any of them uses up nobody's turn. Default: always."`
	Overrides []overrideSection `json:"overrides" doc:"Who is on call instead, for a time."`
}

type overrideSection struct {
	At     *node  `json:"-"`
	Person name   `json:"person" required:"true" example:"bob" doc:"Who is on call."`
	From   string `json:"from" required:"true" example:"2026-11-24T09:00" doc:"From when: on the rotation's clock, or with an offset (2026-11-24T09:00:00+01:00)."`
	To     string `json:"to" required:"true" example:"2026-11-25T09:00" doc:"Until when, in either form."`
}

type policySection struct {
	At       *node         `json:"-"`
	Name     name          `json:"name" required:"true" example:"default" doc:"Unique among policies. Checks that name none have the one called default."`
	Steps    []stepSection `json:"steps" required:"true" doc:"What happens, in order, until somebody acknowledges."`
	Repeat   int           `json:"repeat" default:"0" doc:"How many times the steps are gone through again after the first."`
	Fallback string        `json:"fallback" example:"person:alice" doc:"Who gets a step that finds nobody on call, as person:NAME. Default: nobody, and the next step follows."`
}

type stepSection struct {
	At     *node         `json:"-"`
	Notify []string      `json:"notify" required:"true" example:"[rotation:primary]" doc:"Who is told: rotation:NAME, whoever is on call then, or person:NAME."`
	By     []string      `json:"by" required:"true" enum:"slack,sms,voice,email" example:"[slack, sms]" doc:"By what: slack, sms, voice, email. Slack is posted at once; of the others the first is used, and the next when it does not deliver. Each needs its section: slack, twilio (sms and voice) or email."`
	Wait   time.Duration `json:"wait" default:"5m" doc:"How long somebody has to acknowledge before the next step."`
}

type slackSection struct {
	At            *node         `json:"-"`
	Token         secret.String `json:"token" required:"true" example:"${SLACK_TOKEN}" doc:"The bot token (xoxb-…) of your Slack app."`
	Channel       line          `json:"channel" required:"true" example:"C0INCIDENTS" doc:"The ID of the channel that incidents are posted to."`
	SigningSecret secret.String `json:"signing_secret" example:"${SLACK_SIGNING_SECRET}" doc:"What Slack signs its requests with, so that buttons can be believed. Default: messages have no buttons."`
	APIURL        baseURL       `json:"api_url" default:"https://slack.com/api" doc:"Slack's Web API, or what stands in for it."`
}

type twilioSection struct {
	At         *node         `json:"-"`
	AccountSID line          `json:"account_sid" required:"true" example:"${TWILIO_SID}" doc:"The account's SID (AC…)."`
	AuthToken  secret.String `json:"auth_token" required:"true" example:"${TWILIO_TOKEN}" doc:"The account's auth token; it also signs Twilio's requests."`
	From       phone         `json:"from" required:"true" example:"\"+12025550100\"" doc:"The number that messages and calls come from."`
	APIURL     baseURL       `json:"api_url" default:"https://api.twilio.com" doc:"Twilio's REST API, or what stands in for it."`
}

type emailSection struct {
	At       *node         `json:"-"`
	Server   hostPort      `json:"server" required:"true" example:"smtp.example.com:587" doc:"The SMTP server."`
	Username string        `json:"username" example:"nines" doc:"For signing in. Default: not signing in."`
	Password secret.String `json:"password" example:"${SMTP_PASSWORD}" doc:"For signing in."`
	From     sender        `json:"from" required:"true" example:"Nines <nines@example.com>" doc:"The sender."`
	TLS      string        `json:"tls" default:"starttls" enum:"starttls,tls,none" doc:"How the connection is secured: starttls, tls from the start (port 465), or none."`
}
