package report

import (
	"fmt"
	"strconv"
	"strings"

	"nines/scheduler/sla"
)

// Decimal is an exact decimal number, or null, which is its zero value.
type Decimal struct {
	units  int64 // of the last place
	places int   // after the point
	known  bool
}

// seconds is a length given in milliseconds.
func seconds(ms int64) Decimal { return Decimal{ms, 3, true} }

// millis is a length given in microseconds, in milliseconds.
func millis(us int64) Decimal { return Decimal{us, 3, true} }

// percent is a share in percent, rounded down to three decimals.
func percent(r sla.Ratio) Decimal {
	units, ok := r.Thousandths()
	return Decimal{units, 3, ok}
}

// micros is a percentage given in millionths of a percent.
func micros(n int64) Decimal { return Decimal{n, 6, true} }

// Null reports whether there is no number.
func (d Decimal) Null() bool { return !d.known }

// Float returns the nearest float64; zero for null.
func (d Decimal) Float() float64 {
	f, _ := strconv.ParseFloat(d.String(), 64)
	return f
}

// String returns the number without needless zeros, such as 480, 99.95 or
// -0.25; null is empty.
func (d Decimal) String() string {
	if !d.known {
		return ""
	}
	whole, fraction := d.split()
	if fraction = strings.TrimRight(fraction, "0"); fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// split returns the digits before and after the point, the sign with the first.
func (d Decimal) split() (whole, fraction string) {
	digits := strconv.FormatInt(d.units, 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	if pad := d.places + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	point := len(digits) - d.places
	return sign + digits[:point], digits[point:]
}

// MarshalJSON writes a JSON number, or null.
func (d Decimal) MarshalJSON() ([]byte, error) {
	if !d.known {
		return []byte("null"), nil
	}
	return []byte(d.String()), nil
}

// UnmarshalJSON reads what MarshalJSON writes, with three decimals at most; a
// number of more is rounded down.
func (d *Decimal) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*d = Decimal{}
		return nil
	}
	whole, fraction, _ := strings.Cut(string(text), ".")
	digits := (fraction + "000")[:3]
	units, err := strconv.ParseInt(whole+digits, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not a decimal number", text)
	}
	*d = Decimal{units, 3, true}
	return nil
}
