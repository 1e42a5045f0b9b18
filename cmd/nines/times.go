package main

import (
	"time"

	"nines/internal/civil"
)

// parseTime reads a time of the command line: RFC 3339, or a date, which
// stands for its first instant in UTC. The flag's name is for the error.
func parseTime(flag, text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if d, err := civil.ParseDate(text); err == nil {
		return civil.StartOfDay(d, time.UTC), nil
	}
	return time.Time{}, inputf("--%s %q: not a time; write it as RFC 3339 has it, 2026-11-23T08:00:00Z, or as a date, 2026-11-23", flag, text)
}

// parseSpan reads --from and --to.
func parseSpan(from, to string) (civil.Span, error) {
	var span civil.Span
	var err error
	if span.From, err = parseTime("from", from); err != nil {
		return span, err
	}
	if span.To, err = parseTime("to", to); err != nil {
		return span, err
	}
	if !span.From.Before(span.To) {
		return span, inputf("--to %s: must be after --from %s", to, from)
	}
	return span, nil
}
