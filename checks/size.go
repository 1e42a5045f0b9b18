package checks

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written plainly or with a unit: 500kB, 1MB (of
// 1000) or 64KiB, 2MiB (of 1024).
type Size int64

// sizeUnits are longest first, so that the B of kB is not taken for bytes.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"kB", 1000}, {"KB", 1000}, {"MB", 1_000_000}, {"B", 1}, {"", 1}}

// UnmarshalText reads a number with or without its unit.
func (s *Size) UnmarshalText(text []byte) error {
	written := strings.TrimSpace(string(text))
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(written, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			break
		}
		*s = Size(n * unit.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size; write a number of bytes, or one with a unit such as 500kB, 1MB or 2MiB", clip(string(text), 40))
}

// MarshalText writes the number of bytes.
func (s Size) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(s), 10), nil }

// UnmarshalJSON reads a number too.
func (s *Size) UnmarshalJSON(data []byte) error {
	return s.UnmarshalText([]byte(strings.Trim(string(data), `"`)))
}

// Share is a part of a whole from 0 to 1, written in percent: 1%.
type Share float64

// UnmarshalText reads a number of percent with its sign.
func (s *Share) UnmarshalText(text []byte) error {
	digits, ok := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	percent, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(percent >= 0 && percent <= 100) {
		return fmt.Errorf("%q is not a share; write it in percent, such as 1%%", clip(string(text), 40))
	}
	*s = Share(percent / 100)
	return nil
}

// MarshalText writes the share in percent.
func (s Share) MarshalText() ([]byte, error) {
	return append(strconv.AppendFloat(nil, float64(s)*100, 'g', 12, 64), '%'), nil
}
