package statuspage

import (
	"fmt"
	"strings"
	"time"

	"nines/internal/civil"
)

// catalogue is every word that the pages say, in one language, by key. A text
// with verbs is for fmt.Sprintf. A key that counts something has two texts, its
// name with .one and with .other at its end.
type catalogue map[string]string

// say returns the text of a key; a key that is not there is shown as it is, so
// that it is seen.
func (c catalogue) say(key string, args ...any) string {
	text, ok := c[key]
	switch {
	case !ok:
		return key
	case len(args) == 0:
		return text
	}
	return fmt.Sprintf(text, args...)
}

// count returns the text of a key for n things.
func (c catalogue) count(key string, n int) string {
	if n == 1 {
		return c.say(key + ".one")
	}
	return c.say(key+".other", n)
}

// english is the catalogue, and the model for others.
var english = catalogue{
	"lang": "en",
	"dir":  "ltr",

	"site.title":  "Status",
	"nav.label":   "Pages",
	"nav.skip":    "Skip to content",
	"nav.status":  "Status",
	"nav.history": "History",
	"nav.feed":    "Feed",
	"nav.back":    "Status of all systems",
	"footer.zone": "All times and days are UTC.",

	"title.page":        "%s · %s", // what the page is about, the site
	"level.nothing":     "Nothing is watched yet",
	"level.operational": "All systems operational",
	"level.maintenance": "Maintenance in progress",
	"level.unclear":     "Some systems cannot be seen right now",
	"level.unknown":     "The status is not known right now",
	"level.degraded":    "Some systems are degraded",
	"level.partial":     "Partial outage",
	"level.major":       "Major outage",

	"summary.nothing":               "As soon as the first check has run, it is shown here.",
	"summary.all.up.one":            "The one system works as it should.",
	"summary.all.up.other":          "All %d systems work as they should.",
	"summary.all.degraded.one":      "The one system is degraded.",
	"summary.all.degraded.other":    "All %d systems are degraded.",
	"summary.all.down.one":          "The one system is down.",
	"summary.all.down.other":        "All %d systems are down.",
	"summary.all.unknown.one":       "The one system cannot be seen.",
	"summary.all.unknown.other":     "None of the %d systems can be seen.",
	"summary.all.maintenance.one":   "The one system is under maintenance.",
	"summary.all.maintenance.other": "All %d systems are under maintenance.",
	"summary.down.one":              "1 system is down",
	"summary.down.other":            "%d systems are down",
	"summary.degraded.one":          "1 is degraded",
	"summary.degraded.other":        "%d are degraded",
	"summary.unknown.one":           "1 cannot be seen",
	"summary.unknown.other":         "%d cannot be seen",
	"summary.maintenance.one":       "1 is under maintenance",
	"summary.maintenance.other":     "%d are under maintenance",
	"summary.up.one":                "1 works as it should",
	"summary.up.other":              "%d work as they should",
	"summary.join":                  ", ",
	"summary.end":                   ".",

	"asof.newest":  "Last checked",
	"asof.reloads": "This page reloads every minute.",
	"asof.stop":    "Stop",
	"asof.still":   "This page does not reload.",
	"asof.start":   "Reload every minute",
	"stale.since":  "This is how things were %s ago: nothing newer has come in since",
	"stale.never":  "Nothing has been checked yet.",

	"state.up":          "Operational",
	"state.degraded":    "Degraded",
	"state.down":        "Down",
	"state.unknown":     "Unknown",
	"state.maintenance": "Maintenance",
	"state.none":        "Not checked from here",

	"since.up":          "Operational since",
	"since.degraded":    "Degraded since",
	"since.down":        "Down since",
	"since.unknown":     "Unknown since",
	"since.maintenance": "Under maintenance since",

	"home.open":    "Current incidents",
	"home.running": "Maintenance in progress",
	"home.planned": "Planned maintenance",
	"home.systems": "Systems",
	"home.others":  "Other systems",
	"home.regions": "Seen from each region",
	"home.slas":    "Service level this month",
	"home.past":    "Past incidents",
	"home.history": "All incidents and maintenance",

	"matrix.check": "System",

	"sla.target":       "Target",
	"sla.availability": "So far",
	"sla.left":         "Downtime left",
	"sla.over":         "Downtime overspent by",
	"sla.of":           "of %s in the month",
	"sla.unclear":      "Not certain;",

	"legend.label":     "What the colours mean",
	"look.up":          "Up",
	"look.degraded":    "Degraded",
	"look.partial":     "Down for less than an hour",
	"look.down":        "Down for longer",
	"look.maintenance": "Maintenance",
	"look.unknown":     "Unknown",
	"look.none":        "No data",

	"days.ago.one":    "Today",
	"days.ago.other":  "%d days ago",
	"days.today":      "Today",
	"days.last.one":   "Today",
	"days.last.other": "Last %d days",
	"days.uptime":     "%s available",
	"days.nothing":    "No data yet",

	"bars.label":      "Day by day: %s.",
	"bars.clean":      "never down",
	"bars.bad.one":    "down on one day",
	"bars.bad.other":  "down on %d days",
	"bars.latest":     ", last on %s (%s)",
	"bar.nothing":     "%s: no data",
	"bar.day":         "%s: %s",
	"bar.available":   "%s available",
	"bar.down":        ", down %s",
	"bar.unknown":     ", unknown %s",
	"bar.excused":     ", maintenance %s",
	"bar.onlyunknown": "unknown",
	"bar.onlyexcused": "maintenance",

	"check.availability": "Availability",
	"check.down":         "%s down",
	"check.days":         "Every day as a table",
	"check.latency":      "Response time, last 24 hours",
	"check.points":       "The figures as a table",
	"check.nolatency":    "No response times in the last 24 hours.",
	"check.regions":      "Seen from each region",
	"chart.label":        "Response time over the last 24 hours: median between %s and %s, 95th percentile up to %s.",
	"chart.p50":          "Median",
	"chart.p95":          "95th percentile",
	"chart.now":          "now",
	"check.profiles":     "Load time by network, last 24 hours",
	"profiles.label":     "Median %s, 95th percentile %s",
	"table.network":      "Network",
	"table.check":        "Check",
	"table.loadtime":     "Load time",

	"table.day":          "Day",
	"table.availability": "Available",
	"table.down":         "Down",
	"table.unknown":      "Unknown",
	"table.excused":      "Maintenance",
	"table.from":         "From",
	"table.p50":          "Median",
	"table.p95":          "95th percentile",
	"table.runs":         "Checks",
	"table.region":       "Region",
	"table.state":        "State",

	"past.none.one":       "None today.",
	"past.none.other":     "None in the last %d days.",
	"history.title":       "History",
	"history.intro.one":   "Incidents and maintenance of today.",
	"history.intro.other": "Incidents and maintenance of the last %d days.",
	"history.subscribe":   "Subscribe to the feed",
	"history.none.one":    "No incidents and no maintenance today.",
	"history.none.other":  "No incidents and no maintenance in the last %d days.",
	"history.maintenance": "Maintenance",

	"incident.since":        "Since",
	"incident.lasted":       "lasted %s",
	"incident.name":         "%s: %s",
	"incident.facts":        "At a glance",
	"incident.system":       "System",
	"incident.from":         "Began",
	"incident.opened":       "Noticed",
	"incident.acknowledged": "Taken in hand",
	"incident.resolved":     "Resolved",
	"incident.length":       "Lasted",
	"incident.updates":      "What happened",

	"stage.investigating": "Investigating",
	"stage.identified":    "In hand",
	"stage.monitoring":    "Monitoring",
	"stage.resolved":      "Resolved",

	"problem.dns":     "name resolution problems",
	"problem.connect": "connection problems",
	"problem.tls":     "certificate problems",
	"problem.http":    "server errors",
	"problem.content": "wrong content",
	"problem.slow":    "slow responses",
	"problem.other":   "problems",

	"story.investigating":         "Our checks have found %s and we are looking into it.",
	"story.investigating.regions": "Our checks have found %s from %d of %d regions and we are looking into it.",
	"story.identified":            "The problem is being worked on.",
	"story.spread":                "The problem is now seen from elsewhere.",
	"story.spread.regions":        "The problem is now seen from %d of %d regions.",
	"story.monitoring":            "The problem should be solved; we are waiting for our checks to confirm it.",
	"story.resolved":              "The problem is over.",
	"story.resolved.after":        "The problem is over. It lasted %s.",

	"window.scheduled":   "Maintenance is planned from %s to %s.",
	"window.in_progress": "Maintenance is in progress, until %s.",
	"window.completed":   "Maintenance is over.",
	"window.name":        "Maintenance: %s",

	"feed.title":    "%s: incidents and maintenance",
	"feed.subtitle": "Incidents and maintenance of %s",

	"api.unknown": "Nothing is known of it right now.",

	"badge.uptime": "%s uptime",
	"badge.none":   "no data",
	"badge.label":  "status",
	"badge.absent": "not found",

	"missing.title": "There is nothing here",
	"missing.text":  "The page that you asked for does not exist, or does not exist any more.",
	"failed.title":  "The status cannot be shown right now",
	"failed.text":   "Something on our side went wrong. Please try again in a minute.",
	"message.home":  "Go to the status page",

	"percent":      "%d.%03d%%",
	"percent.full": "100%",
	"percent.none": "no data",
	"percent.text": "%s%%",
	"none":         "–",
	"unit.ms":      "%s ms",
	"unit.s":       "%s s",
	"long.days":    "%d d",
	"long.hours":   "%d h",
	"long.minutes": "%d min",
	"long.seconds": "%d s",
	"long.instant": "under 1 s",
}

// Layouts for time.Format. The months' names are English; another language
// brings its own way to write a moment.
const (
	momentLayout = "2 Jan 2006, 15:04 UTC"
	clockLayout  = "15:04 UTC"
	dayLayout    = "2 Jan 2006"
	monthLayout  = "January 2006"
)

func moment(t time.Time) string { return t.UTC().Format(momentLayout) }
func day(d civil.Date) string   { return dateTime(d).Format(dayLayout) }
func monthOf(m civil.Month) string {
	return time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, time.UTC).Format(monthLayout)
}

func dateTime(d civil.Date) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

// percent writes three decimals, which are never rounded up: 100% is said of
// nothing less.
func (c catalogue) percent(p *Percent) string {
	switch {
	case p == nil:
		return c.say("percent.none")
	case *p >= 100_000:
		return c.say("percent.full")
	}
	return c.say("percent", *p/1000, *p%1000)
}

// long writes a length of time in its two largest units, the rest cut off.
func (c catalogue) long(d time.Duration) string {
	units := []struct {
		key  string
		size time.Duration
	}{{"long.days", 24 * time.Hour}, {"long.hours", time.Hour}, {"long.minutes", time.Minute}, {"long.seconds", time.Second}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		parts := []string{c.say(u.key, int64(d/u.size))}
		if i+1 < len(units) {
			if n := d % u.size / units[i+1].size; n > 0 {
				parts = append(parts, c.say(units[i+1].key, int64(n)))
			}
		}
		return strings.Join(parts, " ")
	}
	return c.say("long.instant")
}

// ms writes a response time, to two digits at least where there are any.
func (c catalogue) ms(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return c.say("unit.s", fmt.Sprintf("%.1f", d.Seconds()))
	case d < 10*time.Millisecond && d%time.Millisecond != 0:
		return c.say("unit.ms", fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)))
	}
	return c.say("unit.ms", fmt.Sprint((d + time.Millisecond/2).Milliseconds()))
}

// problem says what layer of a check is in trouble, in a closed set of words:
// whatever else a Source may say comes out as "problems".
func (c catalogue) problem(layer string) string {
	if text, ok := c["problem."+layer]; ok {
		return text
	}
	return c["problem.other"]
}

// name is how an incident is called.
func (c catalogue) name(i *Incident) string {
	return c.say("incident.name", i.Title, c.problem(i.Layer))
}

// story tells one update of an incident in a sentence.
func (c catalogue) story(u Update, i *Incident) string {
	regions := u.Regions > 0 && u.Down > 0
	switch u.Kind {
	case Identified:
		return c.say("story.identified")
	case Monitoring:
		return c.say("story.monitoring")
	case Resolved:
		if long := i.lasted(); long > 0 {
			return c.say("story.resolved.after", c.long(long))
		}
		return c.say("story.resolved")
	case Spread:
		if regions {
			return c.say("story.spread.regions", u.Down, u.Regions)
		}
		return c.say("story.spread")
	}
	if regions {
		return c.say("story.investigating.regions", c.problem(i.Layer), u.Down, u.Regions)
	}
	return c.say("story.investigating", c.problem(i.Layer))
}
