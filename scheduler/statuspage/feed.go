package statuspage

import (
	"context"
	"encoding/xml"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"time"

	"nines/internal/civil"
)

// feedLength is how many entries a feed has at most.
const feedLength = 50

// entry is one item of a feed: an incident or a maintenance.
type entry struct {
	ID, URL   string
	Title     string
	Published time.Time
	Updated   time.Time
	HTML      string
}

// entries returns what feeds tell, newest first.
func (h *Handler) entries(p *Page) []entry {
	var list []entry
	for _, incidents := range [][]Incident{p.Open, p.Past} {
		for _, i := range incidents {
			list = append(list, h.incidentEntry(&i))
		}
	}
	for _, w := range windowRows(p.Planned, p.titles()) {
		list = append(list, h.windowEntry(w, p.Now))
	}
	slices.SortStableFunc(list, func(a, b entry) int { return b.Updated.Compare(a.Updated) })
	return list[:min(len(list), feedLength)]
}

func (h *Handler) incidentEntry(i *Incident) entry {
	at := fmt.Sprintf("%s/incidents/%d", h.publicURL, i.ID)
	var b strings.Builder
	for _, u := range slices.Backward(i.updates()) {
		fmt.Fprintf(&b, "<p><small>%s</small><br><strong>%s</strong>: %s</p>", html.EscapeString(h.words.moment(u.At)),
			html.EscapeString(h.words.say("stage."+string(u.Stage))), html.EscapeString(h.words.story(u.Update, i)))
	}
	return entry{at, at, h.words.name(i), i.Opened, i.changed(), b.String()}
}

// announced is how long before it begins a maintenance is dated, since nobody
// knows when it was written down: no Source tells of one earlier.
const announced = 30 * 24 * time.Hour

// windowEntry tells of a maintenance; it is news when it is announced, begins
// and ends.
func (h *Handler) windowEntry(w windowRow, now time.Time) entry {
	e := entry{
		ID:        h.publicURL + "/maintenance/" + w.ID,
		URL:       h.publicURL + "/history#maintenance-" + w.ID,
		Title:     h.words.say("window.name", w.Title),
		Published: civil.Earlier(now, w.From.Add(-announced)),
	}
	status := w.status(now)
	switch status {
	case scheduled:
		e.Updated = e.Published
		e.URL = h.publicURL + "/#maintenance-" + w.ID
	case inProgress:
		e.Updated = w.From
	case completed:
		e.Updated = w.To
	}
	e.HTML = fmt.Sprintf("<p>%s</p><p>%s</p>", html.EscapeString(h.words.windowText(&w.Window, status)), html.EscapeString(strings.Join(w.Titles, ", ")))
	return e
}

// windowText says when a maintenance is.
func (c catalogue) windowText(w *Window, status string) string {
	switch status {
	case scheduled:
		return c.say("window.scheduled", c.moment(w.From), c.moment(w.To))
	case inProgress:
		return c.say("window.in_progress", c.moment(w.To))
	}
	return c.say("window.completed")
}

// latest is when the newest of the entries, which are in order, was news. A
// feed without any is as new as the day, so that it does not change with every
// rendering.
func latest(entries []entry, now time.Time) time.Time {
	if len(entries) == 0 {
		return now.UTC().Truncate(24 * time.Hour)
	}
	return entries[0].Updated
}

// Atom is RFC 4287.
type atomFeed struct {
	XMLName  xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	Title    string      `xml:"title"`
	Subtitle string      `xml:"subtitle"`
	ID       string      `xml:"id"`
	Updated  string      `xml:"updated"`
	Links    []atomLink  `xml:"link"`
	Author   string      `xml:"author>name"`
	Entries  []atomEntry `xml:"entry"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	Title     string   `xml:"title"`
	ID        string   `xml:"id"`
	Link      atomLink `xml:"link"`
	Published string   `xml:"published"`
	Updated   string   `xml:"updated"`
	Content   atomText `xml:"content"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

func (h *Handler) atom(_ context.Context, p *Page) (*document, error) {
	entries := h.entries(p)
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
	feed := atomFeed{
		Title:    h.words.say("feed.title", h.title),
		Subtitle: h.words.say("feed.subtitle", h.title),
		ID:       h.publicURL + "/",
		Updated:  stamp(latest(entries, p.Now)),
		Author:   h.title,
		Links: []atomLink{
			{Rel: "self", Type: "application/atom+xml", Href: h.publicURL + "/history.atom"},
			{Rel: "alternate", Type: "text/html", Href: h.publicURL + "/"},
		},
	}
	for _, e := range entries {
		feed.Entries = append(feed.Entries, atomEntry{
			Title: e.Title, ID: e.ID, Link: atomLink{Rel: "alternate", Type: "text/html", Href: e.URL},
			Published: stamp(e.Published), Updated: stamp(e.Updated), Content: atomText{"html", e.HTML},
		})
	}
	return xmlDocument(atomKind, feed)
}

// RSS is version 2.0, https://www.rssboard.org/rss-specification.
type rssFeed struct {
	XMLName xml.Name   `xml:"rss"`
	Version string     `xml:"version,attr"`
	Atom    string     `xml:"xmlns:atom,attr"`
	Channel rssChannel `xml:"channel"`
}

type rssChannel struct {
	Title       string    `xml:"title"`
	Link        string    `xml:"link"`
	Description string    `xml:"description"`
	Self        atomLink  `xml:"atom:link"`
	Language    string    `xml:"language"`
	BuildDate   string    `xml:"lastBuildDate"`
	TTL         int       `xml:"ttl"` // minutes
	Items       []rssItem `xml:"item"`
}

type rssItem struct {
	Title       string  `xml:"title"`
	Link        string  `xml:"link"`
	Description string  `xml:"description"`
	Date        string  `xml:"pubDate"`
	GUID        rssGUID `xml:"guid"`
}

type rssGUID struct {
	IsPermaLink bool   `xml:"isPermaLink,attr"`
	Text        string `xml:",chardata"`
}

func (h *Handler) rss(_ context.Context, p *Page) (*document, error) {
	entries := h.entries(p)
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC1123Z) }
	feed := rssFeed{Version: "2.0", Atom: "http://www.w3.org/2005/Atom", Channel: rssChannel{
		Title:       h.words.say("feed.title", h.title),
		Link:        h.publicURL + "/",
		Description: h.words.say("feed.subtitle", h.title),
		Self:        atomLink{Rel: "self", Type: "application/rss+xml", Href: h.publicURL + "/history.rss"},
		Language:    h.words.say("lang"),
		BuildDate:   stamp(latest(entries, p.Now)),
		TTL:         5,
	}}
	for _, e := range entries {
		feed.Channel.Items = append(feed.Channel.Items, rssItem{
			Title: e.Title, Link: e.URL, Description: e.HTML, Date: stamp(e.Published), GUID: rssGUID{e.ID == e.URL, e.ID},
		})
	}
	return xmlDocument(rssKind, feed)
}

func xmlDocument(k kind, v any) (*document, error) {
	content, err := xml.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encoding a feed: %w", err)
	}
	return newDocument(k, http.StatusOK, append([]byte(xml.Header), content...)), nil
}
