package scheduler

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// maxForm bounds the body of a form.
const maxForm = 16 << 10

// serveLink answers /i/{id}: a page with a button. A GET changes nothing,
// since phones and chat programs fetch links before anybody has read them; the
// key in the address is what a forged form of another site would lack.
func (s *Scheduler) serveLink(w http.ResponseWriter, r *http.Request) {
	id, person, ok := s.linked(w, r)
	if !ok {
		return
	}
	i, err := s.store.Incident(r.Context(), id)
	if err != nil {
		s.linkFailed(w, r, err)
		return
	}
	s.pages.Load().RenderMessage(w, http.StatusOK, fmt.Sprintf("Incident %d: %s", i.ID, i.Check), linkBody(i, person))
}

// serveAcknowledge answers the button.
func (s *Scheduler) serveAcknowledge(w http.ResponseWriter, r *http.Request) {
	id, person, ok := s.linked(w, r)
	if !ok {
		return
	}
	who := person
	if who == "" {
		who = "somebody with the link"
	}
	i, _, err := s.Acknowledge(r.Context(), id, incident.By{Who: who, Via: "link"})
	if err != nil {
		s.linkFailed(w, r, err)
		return
	}
	s.pages.Load().RenderMessage(w, http.StatusOK, fmt.Sprintf("Incident %d: %s", i.ID, i.Check), linkBody(i, person))
}

// linked reads the incident and the person of a link. It answers a link whose
// key is wrong as one to nothing.
func (s *Scheduler) linked(w http.ResponseWriter, r *http.Request) (id int64, person string, ok bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err == nil {
		person, ok = s.linkPerson(id, r.FormValue("k"))
	}
	if !ok {
		s.pages.Load().RenderMessage(w, http.StatusNotFound, "There is nothing here",
			`<p>The link is not complete, or not one of ours. Copy it whole from the message that it came in.</p>`)
	}
	return id, person, ok
}

func (s *Scheduler) linkFailed(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, store.ErrNotFound) {
		s.pages.Load().RenderMessage(w, http.StatusNotFound, "There is nothing here", `<p>The incident does not exist.</p>`)
		return
	}
	if r.Context().Err() == nil {
		s.log.Error("answering a link", "path", r.URL.Path, "err", err)
	}
	s.pages.Load().RenderMessage(w, http.StatusInternalServerError, "Something went wrong",
		`<p>Try again, or acknowledge by answering the SMS.</p>`)
}

// linkBody is what the page says: everything in it is escaped.
func linkBody(i incident.Incident, person string) template.HTML {
	var b strings.Builder
	fact := func(name, value string) {
		fmt.Fprintf(&b, "<div><dt>%s</dt><dd>%s</dd></div>", name, template.HTMLEscapeString(value))
	}
	b.WriteString(`<dl class="facts">`)
	fact("State", string(i.State))
	fact("Reason", strings.TrimSpace(string(i.Reason)+" "+i.Reason.Meaning()))
	fact("Regions down", fmt.Sprintf("%d of %d: %s", len(i.Down), i.Regions, strings.Join(i.Down, ", ")))
	fact("Since", clock(i.OutageFrom))
	if !i.AckedAt.IsZero() {
		fact("First acknowledged", fmt.Sprintf("by %s at %s", i.AckedBy, clock(i.AckedAt)))
	}
	if i.Owner != "" && i.Owner != i.AckedBy {
		fact("In the hands of", i.Owner)
	}
	if !i.ResolvedAt.IsZero() {
		fact("Over", clock(i.ResolvedAt))
	}
	b.WriteString(`</dl>`)
	switch {
	case i.State == incident.Triggered:
		label := "Acknowledge"
		if person != "" {
			label += " as " + person
		}
		fmt.Fprintf(&b, `<form method="post"><button class="button" type="submit">%s</button></form>`, template.HTMLEscapeString(label))
	case i.State == incident.Acknowledged:
		fmt.Fprintf(&b, `<p>%s has it in hand. Nobody else is being paged.</p>`, template.HTMLEscapeString(i.Owner))
	default:
		b.WriteString(`<p>It is over.</p>`)
	}
	return template.HTML(b.String())
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// held says who has an incident in hand, in answer to somebody who wanted to
// take it.
func held(i incident.Incident, changed bool) string {
	switch {
	case i.State == incident.Resolved:
		return fmt.Sprintf("Incident %d (%s) is over since %s.", i.ID, i.Check, clock(i.ResolvedAt))
	case changed:
		return fmt.Sprintf("Incident %d (%s) is yours, %s.", i.ID, i.Check, i.Owner)
	}
	return fmt.Sprintf("Incident %d (%s) was acknowledged by %s at %s already.", i.ID, i.Check, i.AckedBy, clock(i.AckedAt))
}

// openOf returns the incident that a message without a number is about: the
// newest that nobody has in hand, of those that the person was told of, or 0.
func (s *Scheduler) openOf(ctx context.Context, person string) (int64, error) {
	open, err := s.store.OpenIncidents(ctx)
	if err != nil {
		return 0, err
	}
	var newest, told int64
	for _, i := range open {
		if i.State != incident.Triggered || i.Within != 0 {
			continue
		}
		newest = i.ID
		for _, t := range i.Told {
			if t.Person == person {
				told = i.ID
			}
		}
	}
	if told != 0 {
		return told, nil
	}
	return newest, nil
}
