package rotation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Listed is a shift with the name of its rotation, as lists of several
// rotations need it.
type Listed struct {
	Rotation string
	Shift
}

// List returns the shifts of r between from and to, as Shifts does.
func (r *Rotation) List(from, to time.Time) []Listed { return r.listed(r.Shifts(from, to)) }

// ListBegun returns the shifts of r that overlap from and to, as Begun does.
func (r *Rotation) ListBegun(from, to time.Time) []Listed { return r.listed(r.Begun(from, to)) }

func (r *Rotation) listed(shifts []Shift) []Listed {
	list := make([]Listed, len(shifts))
	for i, s := range shifts {
		list[i] = Listed{r.Name, s}
	}
	return list
}

// WriteJSON writes shifts as one JSON array of objects with the keys rotation,
// person, from and to; times are in UTC (RFC 3339). One line holds one shift.
func WriteJSON(w io.Writer, list []Listed) error {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, l := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(struct {
			Rotation string    `json:"rotation"`
			Person   string    `json:"person"`
			From     time.Time `json:"from"`
			To       time.Time `json:"to"`
		}{l.Rotation, l.Person, l.From.UTC(), l.To.UTC()}); err != nil {
			return fmt.Errorf("writing a shift of %s: %w", l.Rotation, err)
		}
		b.Truncate(b.Len() - 1) // the encoder's newline
	}
	if len(list) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString("]\n")
	_, err := w.Write(b.Bytes())
	return err
}

// WriteTable writes shifts for people to read: times in the zone that the shifts
// carry, which is their rotation's, and how long each really lasts.
func WriteTable(w io.Writer, list []Listed) error {
	if len(list) == 0 {
		_, err := io.WriteString(w, "Nobody is on call.\n")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ROTATION\tPERSON\tFROM\tTO\tLASTS")
	for _, l := range list {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", oneLine(l.Rotation), oneLine(l.Person),
			moment(l.From), moment(l.To), length(l.To.Sub(l.From)))
	}
	return tw.Flush()
}

// moment returns a time as Mon 2026-11-23 09:00 CET.
func moment(t time.Time) string {
	if t.Truncate(time.Minute).Equal(t) {
		return t.Format("Mon 2006-01-02 15:04 MST")
	}
	return t.Format("Mon 2006-01-02 15:04:05 MST")
}

// length returns a duration in days of 24 hours, hours, minutes and seconds,
// without those that are zero: 6d23h.
func length(d time.Duration) string {
	if d < time.Second {
		return d.String()
	}
	var b strings.Builder
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := d / unit.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			d -= n * unit.size
		}
	}
	return b.String()
}

// oneLine returns s with a space for everything that would move the cursor or
// end a line, and with what is not UTF-8 replaced.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
