package rotation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
)

// WriteICS writes shifts as a calendar (RFC 5545) of the given name, one event
// in UTC a shift. A shift keeps its UID as long as its rotation, its person and
// its start stay the same, whatever becomes of its end: feeds list what Begun
// returns, so that a shift that is under way keeps its start. stamp is when the
// calendar was made. Times are cut to whole seconds, which is all that the
// format can carry.
func WriteICS(w io.Writer, name string, list []Listed, stamp time.Time) error {
	cal := ics.NewCalendar()
	cal.SetProductId("-//nines//on call//EN")
	cal.SetMethod(ics.MethodPublish)
	cal.SetName(oneLine(name))
	// How often to look again: the RFC 7986 name and the one that Outlook reads.
	const refresh = "PT1H"
	cal.SetRefreshInterval(refresh)
	cal.SetXPublishedTTL(refresh)
	for _, l := range list {
		from, to := l.From.Truncate(time.Second), l.To.Truncate(time.Second)
		if !from.Before(to) {
			continue // an event must not end when it starts
		}
		event := cal.AddEvent(uid(l))
		event.SetDtStampTime(stamp)
		event.SetStartAt(from)
		event.SetEndAt(to)
		event.SetSummary(oneLine(l.Person) + " on call (" + oneLine(l.Rotation) + ")")
		// Being on call is no appointment: it must not make people look busy.
		event.SetTimeTransparency(ics.TransparencyTransparent)
	}
	// In memory first: the library leaves some of a writer's errors unsaid.
	var b strings.Builder
	if err := cal.SerializeTo(&b, ics.WithNewLineWindows); err != nil {
		return fmt.Errorf("writing a calendar: %w", err)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// uid names a shift by its rotation, person and start. It is a hash because a
// UID goes wherever the calendar goes, and has to fit in a line.
func uid(l Listed) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %s", l.Rotation, l.Person, l.From.UTC().Format(time.RFC3339Nano))
	return hex.EncodeToString(h.Sum(nil)[:16]) + "@nines"
}
