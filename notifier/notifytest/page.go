package notifytest

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"nines/notifier"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var styleCSS []byte

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// policy lets the page load its own style sheet and post to itself: there is
// no script, and what a message says can load nothing.
const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// view is what the page shows.
type view struct {
	Live    bool // reloads by itself
	Note    string
	Faults  []string
	Channel string
	Members []notifier.Person
	As      notifier.Person // who presses the buttons
	Posts   []postView
	Phones  []phoneView
}

type postView struct {
	TS      string
	At      string
	Edited  bool
	Parts   []part
	Buttons []Button
	Replies []postView
}

// part is a block of a message.
type part struct {
	Kind  string // section, fields or context
	Items []template.HTML
}

type phoneView struct {
	Number, Person string
	Lines          []line
	Ack            string // what acknowledges the last page; empty: nothing to
	Open           bool   // its reply box is open
}

// line is an SMS or a call.
type line struct {
	Mine   bool // written by the person
	At     string
	HTML   template.HTML
	Status string
	Bad    bool
	Call   string // the SID of a call that can be answered
	Keys   bool   // a key can be pressed
	Voice  bool
}

// page shows everything that has arrived. While a reply is being written it
// does not reload.
func (s *Sandbox) page(w http.ResponseWriter, r *http.Request) {
	reply := r.URL.Query().Get("reply")
	v := view{Live: reply == "", Channel: s.cfg.SlackChannel, Phones: s.phones(reply), Posts: s.postViews()}
	for _, p := range s.cfg.People {
		if p.Slack != "" {
			v.Members = append(v.Members, p)
			if p.Slack == r.URL.Query().Get("as") {
				v.As = p
			}
		}
	}
	if v.As.Slack == "" && len(v.Members) > 0 {
		v.As = v.Members[0]
	}
	s.mu.Lock()
	v.Note = s.note
	for _, f := range s.faults {
		v.Faults = append(v.Faults, fmt.Sprintf("%s: %s", f.In, f.Kind))
	}
	s.mu.Unlock()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		s.cfg.Log.Error("showing the sandbox", "err", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.Write(b.Bytes())
}

func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(styleCSS)
}

// postViews are the channel's messages, latest first, each with its thread.
func (s *Sandbox) postViews() []postView {
	posts := s.Posts()
	threads := map[string][]postView{}
	for _, p := range posts {
		if p.ThreadTS != "" {
			threads[p.ThreadTS] = append(threads[p.ThreadTS], s.postView(p))
		}
	}
	var all []postView
	for _, p := range slices.Backward(posts) {
		if p.ThreadTS == "" {
			v := s.postView(p)
			v.Replies = threads[p.TS]
			all = append(all, v)
		}
	}
	return all
}

func (s *Sandbox) postView(p Post) postView {
	v := postView{TS: p.TS, At: clock(p.At), Edited: p.Edits > 0, Buttons: p.Buttons()}
	for _, b := range p.Blocks {
		switch {
		case b.Type == "context":
			foot := part{Kind: "context"}
			for _, text := range b.context() {
				foot.Items = append(foot.Items, s.mrkdwn(text))
			}
			v.Parts = append(v.Parts, foot)
		case b.Type == "section" && b.Text != nil:
			v.Parts = append(v.Parts, part{"section", []template.HTML{s.mrkdwn(b.Text.Text)}})
		case b.Type == "section":
			grid := part{Kind: "fields"}
			for _, f := range b.Fields {
				grid.Items = append(grid.Items, s.mrkdwn(f.Text))
			}
			v.Parts = append(v.Parts, grid)
		}
	}
	if len(p.Blocks) == 0 {
		v.Parts = []part{{"section", []template.HTML{s.mrkdwn(p.Text)}}}
	}
	return v
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

var askedFor = regexp.MustCompile(`Reply (ACK [0-9]+)\.`)

// phones are everybody's, and those of any other number that was written to.
func (s *Sandbox) phones(reply string) []phoneView {
	var all []phoneView
	at := func(number string) *phoneView {
		i := slices.IndexFunc(all, func(p phoneView) bool { return p.Number == number })
		if i < 0 {
			all = append(all, phoneView{Number: number, Person: s.person(number), Open: number == reply})
			i = len(all) - 1
		}
		return &all[i]
	}
	for _, p := range s.cfg.People {
		if p.Phone != "" {
			at(p.Phone)
		}
	}
	type timed struct {
		at    time.Time
		phone string
		line  line
	}
	var lines []timed
	for _, t := range s.Texts() {
		l := line{
			Mine: t.Direction == "inbound", At: clock(t.At), HTML: linked(t.Body),
			Bad: t.Status == "undelivered" || t.Status == "failed",
		}
		if !l.Mine {
			l.Status = t.Status
			if t.ErrorCode != 0 {
				l.Status += fmt.Sprintf(" (%d)", t.ErrorCode)
			}
			if t.Segments > 1 {
				l.Status += fmt.Sprintf(", %d segments", t.Segments)
			}
		}
		phone := t.To
		if l.Mine {
			phone = t.From
		} else {
			at(phone).Ack = ""
			if match := askedFor.FindStringSubmatch(t.Body); match != nil {
				at(phone).Ack = match[1]
			}
		}
		lines = append(lines, timed{t.At, phone, l})
	}
	for _, c := range s.Calls() {
		l := line{At: clock(c.At), Status: c.Status, Voice: true, HTML: said(c), Bad: c.Status == "no-answer"}
		if c.Status == "in-progress" {
			l.Call, l.Keys = c.SID, c.Action != ""
		}
		lines = append(lines, timed{c.At, c.To, l})
	}
	// Latest first: a phone is scrolled to its end.
	slices.SortStableFunc(lines, func(a, b timed) int { return b.at.Compare(a.at) })
	for _, l := range lines {
		phone := at(l.phone)
		phone.Lines = append(phone.Lines, l.line)
	}
	return all
}

// said is what was heard in a call.
func said(c Call) template.HTML {
	var all []string
	for _, s := range c.Said {
		if !slices.Contains(all, s) { // it is said twice
			all = append(all, s)
		}
	}
	text := strings.Join(all, " ")
	if c.Pressed != "" {
		text += " [pressed " + c.Pressed + "]"
	}
	return template.HTML(template.HTMLEscapeString(text))
}

// pressForm presses a button of a Slack message.
func (s *Sandbox) pressForm(w http.ResponseWriter, r *http.Request) {
	user := r.PostFormValue("user")
	status, _, err := s.Press(r.Context(), r.PostFormValue("ts"), r.PostFormValue("action"), user)
	s.back(w, r, s.member(user)+" pressed "+r.PostFormValue("label"), status, err, url.Values{"as": {user}})
}

// replyForm writes an SMS from a phone.
func (s *Sandbox) replyForm(w http.ResponseWriter, r *http.Request) {
	phone, body := r.PostFormValue("phone"), strings.TrimSpace(r.PostFormValue("body"))
	if body == "" || !e164.MatchString(phone) {
		http.Error(w, "a reply has a phone number and a text", http.StatusBadRequest)
		return
	}
	status, _, err := s.Reply(r.Context(), phone, body)
	s.back(w, r, fmt.Sprintf("%s wrote “%s”", phone, body), status, err, nil)
}

// keyForm presses a key in a call, or hangs up.
func (s *Sandbox) keyForm(w http.ResponseWriter, r *http.Request) {
	key := r.PostFormValue("key")
	doing := "pressed " + key
	if key == "" {
		doing = "hung up"
	}
	status, _, err := s.PressKey(r.Context(), r.PostFormValue("call"), key)
	s.back(w, r, doing, status, err, nil)
}

// back returns to the page, which says what a button came to.
func (s *Sandbox) back(w http.ResponseWriter, r *http.Request, doing string, status int, err error, query url.Values) {
	note := doing
	switch {
	case err != nil:
		note += ": " + err.Error()
	case status != 0 && status != http.StatusOK:
		note += fmt.Sprintf(": answered %d %s", status, http.StatusText(status))
	}
	s.mu.Lock()
	s.note = clock(s.cfg.Now()) + " " + note
	s.mu.Unlock()
	target := "/sandbox"
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}
