package statuspage

import (
	"fmt"
	"strings"
	"time"

	"nines/internal/civil"
)

// catalogue is every word that the pages say, in one language, by key. A text
// with verbs is for fmt.Sprintf. A key that counts something has a text for each
// form that the language has, with .one, .few or .other at its end; that of .one
// says its number itself.
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
	form := c.form(n)
	if form == "one" {
		return c.say(key + ".one")
	}
	if _, ok := c[key+"."+form]; !ok {
		form = "other"
	}
	return c.say(key+"."+form, n)
}

// form is which of its forms a language has for n things (Unicode CLDR,
// "Language Plural Rules", cardinal, of whole numbers).
func (c catalogue) form(n int) string {
	switch c["plural"] {
	case "one-few-other": // Polish
		tens := n % 100
		if ones := n % 10; ones >= 2 && ones <= 4 && (tens < 12 || tens > 14) {
			return "few"
		}
	}
	if n == 1 {
		return "one"
	}
	return "other"
}

// moment writes an instant, in UTC.
func (c catalogue) moment(t time.Time) string {
	t = t.UTC()
	return c.say("date.moment", t.Day(), c.month("months.short", t.Month()), t.Year(), t.Format("15:04"))
}

// clock writes a time of day, in UTC.
func (c catalogue) clock(t time.Time) string { return c.say("date.clock", t.UTC().Format("15:04")) }

func (c catalogue) day(d civil.Date) string {
	return c.say("date.day", d.Day, c.month("months.short", d.Month), d.Year)
}

func (c catalogue) monthOf(m civil.Month) string {
	return c.say("date.month", c.month("months", m.Month), m.Year)
}

// month returns one of twelve names.
func (c catalogue) month(key string, m time.Month) string {
	names := strings.Fields(c[key])
	if i := int(m) - 1; 0 <= i && i < len(names) {
		return names[i]
	}
	return fmt.Sprint(int(m))
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
		return c.say("unit.s", c.decimal(d.Seconds()))
	case d < 10*time.Millisecond && d%time.Millisecond != 0:
		return c.say("unit.ms", c.decimal(float64(d)/float64(time.Millisecond)))
	}
	return c.say("unit.ms", fmt.Sprint((d + time.Millisecond/2).Milliseconds()))
}

// decimal writes a number with one decimal.
func (c catalogue) decimal(f float64) string {
	return strings.Replace(fmt.Sprintf("%.1f", f), ".", c["decimal"], 1)
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
