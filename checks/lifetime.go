package checks

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Lifetime is how long a certificate must still be valid: a duration, or a
// share of its whole life, since some live for six days and others for a year.
// It is written 14d, 1/3 or 33%. The zero Lifetime demands nothing.
type Lifetime struct {
	span        time.Duration
	part, whole int // a share, when whole is not zero; 100 is written as percent
}

// longestSpan is the longest duration that a Lifetime may be.
const longestSpan = 100 * 365 * 24 * time.Hour

var (
	spanForm   = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|[smhdw]))+$`)
	spanParts  = regexp.MustCompile(`([0-9.]+)(ms|[smhdw])`)
	percentage = regexp.MustCompile(`^([0-9]{1,3})%$`)
	fraction   = regexp.MustCompile(`^([0-9]{1,3})/([0-9]{1,3})$`)
)

// spanUnits are the units of durations. A day is 24 hours.
var spanUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// UnmarshalText reads a duration such as 14d or 36h, or a share such as 1/3 or
// 33%, which is more than nothing and less than all.
func (l *Lifetime) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "" {
		*l = Lifetime{}
		return nil
	}
	if share := fraction.FindStringSubmatch(s); share != nil {
		return l.share(s, share[1], share[2])
	}
	if share := percentage.FindStringSubmatch(s); share != nil {
		return l.share(s, share[1], "100")
	}
	if !spanForm.MatchString(s) {
		return fmt.Errorf("%q is neither a duration nor a share; write a duration such as 14d, or a share of the certificate's life such as 1/3 or 33%%", clip(s, 40))
	}
	var span time.Duration
	for _, part := range spanParts.FindAllStringSubmatch(s, -1) {
		unit := spanUnits[part[2]]
		whole, decimals, _ := strings.Cut(part[1], ".")
		n, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || n > int64(longestSpan/unit) || span > longestSpan {
			return fmt.Errorf("%q is longer than a hundred years; write a shorter duration", clip(s, 40))
		}
		part, _ := strconv.ParseFloat("0."+decimals, 64) // digits alone
		span += time.Duration(n)*unit + time.Duration(math.Round(part*float64(unit)))
	}
	if span > longestSpan {
		return fmt.Errorf("%q is longer than a hundred years; write a shorter duration", clip(s, 40))
	}
	*l = Lifetime{span: span}
	return nil
}

// share takes digits, at most three each.
func (l *Lifetime) share(s, part, whole string) error {
	p, _ := strconv.Atoi(part)
	w, _ := strconv.Atoi(whole)
	if p == 0 || p >= w {
		return fmt.Errorf("%q is not a share of a life; write more than nothing and less than all of it, such as 1/3 or 33%%", clip(s, 40))
	}
	*l = Lifetime{part: p, whole: w}
	return nil
}

// MarshalText writes l as it may be read; the zero Lifetime is empty.
func (l Lifetime) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func (l Lifetime) String() string {
	switch {
	case l.whole == 100:
		return fmt.Sprintf("%d%%", l.part)
	case l.whole != 0:
		return fmt.Sprintf("%d/%d", l.part, l.whole)
	case l.span == 0:
		return ""
	}
	for _, unit := range []string{"d", "h", "m", "s"} {
		if l.span%spanUnits[unit] == 0 {
			return fmt.Sprintf("%d%s", l.span/spanUnits[unit], unit)
		}
	}
	exact := fmt.Sprintf("%d.%06d", l.span/time.Millisecond, l.span%time.Millisecond)
	return strings.TrimRight(strings.TrimRight(exact, "0"), ".") + "ms"
}

func (l Lifetime) isZero() bool { return l == Lifetime{} }

// of returns what l means for a certificate that lives for life.
func (l Lifetime) of(life time.Duration) time.Duration {
	if l.whole == 0 {
		return l.span
	}
	return time.Duration(float64(life) * float64(l.part) / float64(l.whole))
}

// Ratio is a part of a whole from 0 to 1, written 0.2 or 20%. The zero Ratio is
// nothing.
type Ratio struct {
	percent float64
	set     bool
}

var decimalNumber = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,4})?(%?)$`)

// UnmarshalText reads 0.2 or 20%.
func (r *Ratio) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "" {
		*r = Ratio{}
		return nil
	}
	digits, isPercent := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if !isPercent {
		n *= 100
	}
	if err != nil || !decimalNumber.MatchString(s) || n > 100 {
		return fmt.Errorf("%q is not a part of a whole; write a number from 0 to 1 such as 0.2, or a percentage such as 20%%", clip(s, 40))
	}
	*r = Ratio{n, true}
	return nil
}

// MarshalText writes r in percent; a Ratio that was never set is empty.
func (r Ratio) MarshalText() ([]byte, error) {
	if !r.set {
		return nil, nil
	}
	return []byte(r.String()), nil
}

func (r Ratio) String() string {
	return strconv.FormatFloat(r.percent, 'f', -1, 64) + "%"
}
