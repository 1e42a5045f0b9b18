package config

import (
	"fmt"
	"math"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/notifier/rotation"
)

// Each kind of text that a configuration holds is a type that reads itself and
// says what would be right.

// name is [a-z0-9-]{1,63}.
type name string

func (s *name) UnmarshalText(text []byte) error {
	if !checks.ValidName(string(text)) {
		return fmt.Errorf("%q cannot be a name; write 1 to 63 of a-z, 0-9 and -", clip(string(text)))
	}
	*s = name(text)
	return nil
}

// line is text for people that is not empty.
type line string

func (s *line) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == "" {
		return fmt.Errorf("is empty; write something, or leave the key out")
	}
	*s = line(text)
	return nil
}

// phone is a number in the form of E.164.
type phone string

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func (s *phone) UnmarshalText(text []byte) error {
	if !e164.Match(text) {
		return fmt.Errorf("%q is not a phone number in international form; write it as \"+48500100200\", without spaces", clip(string(text)))
	}
	*s = phone(text)
	return nil
}

// mailbox is an e-mail address without a name.
type mailbox string

func (s *mailbox) UnmarshalText(text []byte) error {
	if a, err := mail.ParseAddress(string(text)); err != nil || a.Address != string(text) {
		return fmt.Errorf("%q is not an e-mail address; write it as sla@example.com", clip(string(text)))
	}
	*s = mailbox(text)
	return nil
}

// sender is an e-mail address with or without a name.
type sender string

func (s *sender) UnmarshalText(text []byte) error {
	if _, err := mail.ParseAddress(string(text)); err != nil {
		return fmt.Errorf("%q is not an e-mail address; write it as nines@example.com or Nines <nines@example.com>", clip(string(text)))
	}
	*s = sender(text)
	return nil
}

// hostPort is a host and a port.
type hostPort string

func (s *hostPort) UnmarshalText(text []byte) error {
	_, port, err := net.SplitHostPort(string(text))
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(string(text), " /") {
		return fmt.Errorf("%q is not host:port; write it as 127.0.0.1:8080 or [::1]:8080", clip(string(text)))
	}
	*s = hostPort(text)
	return nil
}

// webURL is an http or https URL.
type webURL string

func (s *webURL) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(string(text), " \t\r\n") {
		return fmt.Errorf("%q is not a URL; write it as https://example.com/path", clip(string(text)))
	}
	if port := u.Port(); port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%q has the port %s; ports end at 65535", clip(string(text)), clip(port))
		}
	}
	*s = webURL(text)
	return nil
}

// baseURL is a webURL that paths are added to; it ends without a slash.
type baseURL string

func (s *baseURL) UnmarshalText(text []byte) error {
	var u webURL
	if err := u.UnmarshalText(text); err != nil {
		return err
	}
	if strings.ContainsAny(string(u), "?#") {
		return fmt.Errorf("%q has a query or a fragment; leave it out, because paths are added to it", clip(string(text)))
	}
	*s = baseURL(strings.TrimRight(string(u), "/"))
	return nil
}

// ipRange is a range of addresses.
type ipRange netip.Prefix

func (r *ipRange) UnmarshalText(text []byte) error {
	s := string(text)
	if addr, err := netip.ParseAddr(s); err == nil {
		return fmt.Errorf("%q is one address; write the range %s/%d", s, addr, addr.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is not a range of addresses; write it as 10.0.0.0/8 or fd00::/8", clip(s))
	}
	if p != p.Masked() {
		return fmt.Errorf("%q has bits after its first %d; write %s", s, p.Bits(), p.Masked())
	}
	*r = ipRange(p)
	return nil
}

// ipAddress is one address.
type ipAddress netip.Addr

func (a *ipAddress) UnmarshalText(text []byte) error {
	addr, err := netip.ParseAddr(string(text))
	if err != nil {
		return fmt.Errorf("%q is not an IP address; write it as 192.0.2.1 or 2001:db8::1", clip(string(text)))
	}
	*a = ipAddress(addr)
	return nil
}

// zone is a time zone by its IANA name.
type zone struct{ *time.Location }

func (z *zone) UnmarshalText(text []byte) error {
	// "" and Local mean what they please to.
	loc, err := time.LoadLocation(string(text))
	if err != nil || len(text) == 0 || string(text) == "Local" {
		return fmt.Errorf("%q is not a time zone; write its IANA name, such as Europe/Warsaw or UTC", clip(string(text)))
	}
	z.Location = loc
	return nil
}

// clock is a time of day.
type clock civil.Clock

func (c *clock) UnmarshalText(text []byte) error {
	at, err := civil.ParseClock(clip(string(text)))
	*c = clock(at)
	return err
}

// weekday is a day of the week.
type weekday time.Weekday

func (w *weekday) UnmarshalText(text []byte) error {
	day, err := civil.ParseWeekday(clip(string(text)))
	*w = weekday(day)
	return err
}

// weekdays is a day of the week or a range of them.
type weekdays civil.Days

func (w *weekdays) UnmarshalText(text []byte) error {
	days, err := civil.ParseDays([]string{clip(string(text))})
	*w = weekdays(days)
	return err
}

// date is a day of the calendar.
type date civil.Date

func (d *date) UnmarshalText(text []byte) error {
	day, err := civil.ParseDate(clip(string(text)))
	if err == nil && (day.Year < 1970 || day.Year > 2200) {
		err = fmt.Errorf("%q is out of range; write a day from 1970 to 2200", clip(string(text)))
	}
	*d = date(day)
	return err
}

// instant is a time with its offset from UTC.
type instant time.Time

func (i *instant) UnmarshalText(text []byte) error {
	t, err := parseInstant(string(text))
	*i = instant(t)
	return err
}

func parseInstant(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time with its offset; write it as 2026-10-10T22:00:00Z or 2026-10-11T00:00:00+02:00", clip(text))
	}
	if t.Year() < 1970 || t.Year() > 2200 {
		return time.Time{}, fmt.Errorf("%q is out of range; write a time from 1970 to 2200", clip(text))
	}
	return t, nil
}

var decimal = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,6})?$`)

// UnmarshalText reads a decimal number of percent from 0 to 100, with at most
// six decimals.
func (p *Percent) UnmarshalText(text []byte) error {
	s := string(text)
	whole, fraction, _ := strings.Cut(s, ".")
	micros, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", max(0, 6-len(fraction))), 10, 64)
	if !decimal.MatchString(s) || err != nil || micros > 100_000_000 {
		return fmt.Errorf("%q is not a percentage; write a number from 0 to 100 with at most six decimals, such as 99.95", clip(s))
	}
	*p = Percent{s, micros}
	return nil
}

// cadence is how long a turn of a rotation is.
type cadence rotation.Cadence

var cadences = regexp.MustCompile(`^([1-9][0-9]{0,3})([hdw])$`)

func (c *cadence) UnmarshalText(text []byte) error {
	switch string(text) {
	case "daily":
		*c = cadence{1, rotation.Days}
		return nil
	case "weekly":
		*c = cadence{1, rotation.Weeks}
		return nil
	case "monthly":
		*c = cadence{1, rotation.Months}
		return nil
	}
	parts := cadences.FindSubmatch(text)
	if parts == nil {
		return fmt.Errorf("%q is not how long a turn is; write daily, weekly, monthly, or a number with h, d or w, such as 12h", clip(string(text)))
	}
	n, _ := strconv.Atoi(string(parts[1])) // at most four digits
	*c = cadence{n, map[string]rotation.Unit{"h": rotation.Hours, "d": rotation.Days, "w": rotation.Weeks}[string(parts[2])]}
	return nil
}

// units are the units of durations. A day is 24 hours.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute,
	"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

var (
	durationForm = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|[smhdw]))+$`)
	durationPart = regexp.MustCompile(`([0-9.]+)(ms|[smhdw])`)
	unitless     = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
)

// longest is the longest duration that a configuration may hold.
const longest = 100 * 365 * 24 * time.Hour

// parseDuration reads durations such as 30s, 1h30m and 14d.
func parseDuration(text string) (time.Duration, error) {
	switch {
	case unitless.MatchString(text):
		return 0, fmt.Errorf("%q has no unit; write %ss, or ms, m, h, d or w instead of s", clip(text), clip(text))
	case strings.HasPrefix(text, "-"):
		return 0, fmt.Errorf("%q is negative; write a duration from 0s, such as 30s", clip(text))
	case !durationForm.MatchString(text):
		return 0, fmt.Errorf("%q is not a duration; write a number with ms, s, m, h, d or w, such as 30s, 1h30m or 14d", clip(text))
	}
	var total time.Duration
	for _, part := range durationPart.FindAllStringSubmatch(text, -1) {
		unit := units[part[2]]
		whole, fraction, _ := strings.Cut(part[1], ".")
		n, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || n > int64(longest/unit) || total > longest {
			return 0, fmt.Errorf("%q is longer than a hundred years; write a shorter duration", clip(text))
		}
		f, _ := strconv.ParseFloat("0."+fraction, 64) // digits alone
		total += time.Duration(n)*unit + time.Duration(math.Round(f*float64(unit)))
	}
	if total > longest {
		return 0, fmt.Errorf("%q is longer than a hundred years; write a shorter duration", clip(text))
	}
	return total, nil
}

// formatDuration writes d as parseDuration reads it, in its largest whole unit.
func formatDuration(d time.Duration) string {
	for _, unit := range []string{"d", "h", "m", "s"} {
		if d != 0 && d%units[unit] == 0 {
			return fmt.Sprintf("%d%s", d/units[unit], unit)
		}
	}
	if d == 0 {
		return "0s"
	}
	exact := fmt.Sprintf("%d.%06d", d/time.Millisecond, d%time.Millisecond)
	return strings.TrimRight(strings.TrimRight(exact, "0"), ".") + "ms"
}
