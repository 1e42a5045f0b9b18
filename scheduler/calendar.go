package scheduler

import (
	"bytes"
	"crypto/hmac"
	"net/http"
	"strings"
	"time"

	"nines/notifier/rotation"
)

// How far a calendar feed reaches back and ahead.
const (
	calendarPast   = 31 * 24 * time.Hour
	calendarFuture = 183 * 24 * time.Hour
)

// serveCalendar answers /oncall.ics, with every rotation, and
// /oncall/{rotation}.ics.
func (s *Scheduler) serveCalendar(w http.ResponseWriter, r *http.Request) {
	name, isFeed := "", true
	if file := r.PathValue("file"); file != "" {
		name, isFeed = strings.CutSuffix(file, ".ics")
	}
	token := s.calendarToken(name)
	if !s.bearer(r) && (token == "" || !hmac.Equal([]byte(r.FormValue("token")), []byte(token))) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="nines"`)
		http.Error(w, "the feed needs its token in the address, or api_token as a Bearer token", http.StatusUnauthorized)
		return
	}
	c := s.config.Load()
	rotations, title := c.Rotations, "On call"
	if name != "" || !isFeed {
		one := c.Rotation(name)
		if one == nil || !isFeed {
			http.Error(w, "there is no such rotation", http.StatusNotFound)
			return
		}
		rotations, title = []*rotation.Rotation{one}, "On call: "+name
	}
	now := s.now()
	var list []rotation.Listed
	for _, rota := range rotations {
		list = append(list, rota.ListBegun(now.Add(-calendarPast), now.Add(calendarFuture))...)
	}
	var body bytes.Buffer
	if err := rotation.WriteICS(&body, title, list, now); err != nil {
		s.log.Error("writing a calendar", "err", err)
		http.Error(w, "the calendar could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=300")
	w.Write(body.Bytes()) // whoever went away has no use for the error
}
