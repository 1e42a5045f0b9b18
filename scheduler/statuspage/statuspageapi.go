package statuspage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"nines/internal/civil"
)

// The shapes of Atlassian Statuspage's public API, version 2, as any of its
// sites describes them at /api (https://metastatuspage.com/api), so that its
// clients work here. Lists are never null. Times are UTC with milliseconds.

type apiPage struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	URL       string `json:"url"`
	TimeZone  string `json:"time_zone"`
	UpdatedAt string `json:"updated_at"`
}

type apiStatus struct {
	Indicator   string `json:"indicator"` // none, minor, major, critical or maintenance
	Description string `json:"description"`
}

type apiComponent struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Status     string   `json:"status"`
	CreatedAt  string   `json:"created_at"`
	UpdatedAt  string   `json:"updated_at"`
	Position   int      `json:"position"` // from 1
	Text       *string  `json:"description"`
	Showcase   bool     `json:"showcase"`
	StartDate  *string  `json:"start_date"`
	GroupID    *string  `json:"group_id"`
	PageID     string   `json:"page_id"`
	Group      bool     `json:"group"`
	OnlyIfDown bool     `json:"only_show_if_degraded"`
	Components []string `json:"components,omitempty"` // of a group
}

type apiIncident struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Status     string         `json:"status"`
	CreatedAt  string         `json:"created_at"`
	UpdatedAt  string         `json:"updated_at"`
	Monitoring *string        `json:"monitoring_at"`
	Resolved   *string        `json:"resolved_at"`
	Impact     string         `json:"impact"`
	Shortlink  string         `json:"shortlink"`
	StartedAt  string         `json:"started_at"`
	PageID     string         `json:"page_id"`
	Updates    []apiUpdate    `json:"incident_updates"` // newest first
	Components []apiComponent `json:"components"`
	Reminders  *string        `json:"reminder_intervals"`
	// Of a maintenance only.
	From  string `json:"scheduled_for,omitempty"`
	Until string `json:"scheduled_until,omitempty"`
}

type apiUpdate struct {
	ID          string        `json:"id"`
	Status      string        `json:"status"`
	Body        string        `json:"body"`
	IncidentID  string        `json:"incident_id"`
	CreatedAt   string        `json:"created_at"`
	UpdatedAt   string        `json:"updated_at"`
	DisplayAt   string        `json:"display_at"`
	Affected    []apiAffected `json:"affected_components"`
	Deliver     bool          `json:"deliver_notifications"`
	CustomTweet *string       `json:"custom_tweet"`
	TweetID     *string       `json:"tweet_id"`
}

type apiAffected struct {
	Code string `json:"code"`
	Name string `json:"name"`
	Old  string `json:"old_status"`
	New  string `json:"new_status"`
}

// componentStatus is a state in Statuspage's words, which has none for what is
// not known. To call that operational would be a lie, and an outage a false
// alarm.
var componentStatus = map[State]string{
	Up: "operational", Degraded: "degraded_performance", Unknown: "degraded_performance",
	Down: "major_outage", Maintenance: "under_maintenance",
}

// apiStatusOf is how Statuspage says a level; its clients know these sentences.
var apiStatusOf = map[level]apiStatus{
	levelNothing:     {"none", "All Systems Operational"},
	levelOperational: {"none", "All Systems Operational"},
	levelMaintenance: {"maintenance", "Service Under Maintenance"},
	levelUnclear:     {"minor", "Partially Degraded Service"},
	levelUnknown:     {"minor", "Partially Degraded Service"},
	levelDegraded:    {"minor", "Partially Degraded Service"},
	levelPartial:     {"major", "Partial System Outage"},
	levelMajor:       {"critical", "Major Service Outage"},
}

// api is the facts of a page on their way into these shapes.
type api struct {
	handler    *Handler
	page       *Page
	id         string
	components []apiComponent
	byName     map[string]apiComponent
	groups     int
}

// statuspageAPI is every path below /api/v2/ and what makes its document.
func (h *Handler) statuspageAPI() map[string]func(context.Context, *Page) (*document, error) {
	parts := map[string]func(*api, map[string]any){
		"summary.json": func(a *api, out map[string]any) {
			out["status"] = a.status()
			out["components"] = a.components
			out["incidents"] = a.incidents(a.page.Open)
			out["scheduled_maintenances"] = a.maintenances(inProgress, scheduled)
		},
		"status.json":     func(a *api, out map[string]any) { out["status"] = a.status() },
		"components.json": func(a *api, out map[string]any) { out["components"] = a.components },
		"incidents.json": func(a *api, out map[string]any) {
			all := append(a.incidents(a.page.Open), a.incidents(a.page.Past)...)
			out["incidents"] = all[:min(len(all), feedLength)]
		},
		"incidents/unresolved.json":            func(a *api, out map[string]any) { out["incidents"] = a.incidents(a.page.Open) },
		"scheduled-maintenances.json":          maintenancesThat(scheduled, inProgress, completed),
		"scheduled-maintenances/upcoming.json": maintenancesThat(scheduled),
		"scheduled-maintenances/active.json":   maintenancesThat(inProgress),
	}
	makers := map[string]func(context.Context, *Page) (*document, error){}
	for path, fill := range parts {
		makers[path] = func(_ context.Context, p *Page) (*document, error) {
			a := h.api(p)
			out := map[string]any{"page": a.head()}
			fill(a, out)
			content, err := json.Marshal(out)
			if err != nil {
				return nil, fmt.Errorf("encoding %s: %w", path, err)
			}
			return newDocument(jsonKind, http.StatusOK, append(content, '\n')), nil
		}
	}
	return makers
}

func maintenancesThat(are ...string) func(*api, map[string]any) {
	return func(a *api, out map[string]any) { out["scheduled_maintenances"] = a.maintenances(are...) }
}

func (h *Handler) api(p *Page) *api {
	a := &api{handler: h, page: p, id: shortID(h.publicURL), byName: map[string]apiComponent{}, components: []apiComponent{}}
	for i := range p.Groups {
		a.add(&p.Groups[i])
	}
	return a
}

// head says what site this is. It was updated when its newest result came in,
// to the minute, so that it stays the same for that long.
func (a *api) head() apiPage {
	updated := civil.Later(a.page.Newest.Truncate(time.Minute), latest(a.handler.entries(a.page), a.page.Now))
	return apiPage{a.id, a.handler.title, a.handler.publicURL, "Etc/UTC", stampMilli(updated)}
}

func (a *api) status() apiStatus { return apiStatusOf[a.page.tally().level()] }

// add makes components of a group's checks and, if it has a name, of the group.
func (a *api) add(g *Group) {
	var group apiComponent
	if g.Title != "" && len(g.Checks) > 0 {
		group = apiComponent{ID: shortID("group\x00" + g.Title), Name: g.Title, PageID: a.id, Group: true, Position: a.groups + 1}
		a.groups++
	}
	members := make([]apiComponent, 0, len(g.Checks))
	var worst State
	for i := range g.Checks {
		c := a.component(&g.Checks[i], i+1)
		if group.ID != "" {
			c.GroupID = &group.ID
			group.Components = append(group.Components, c.ID)
			group.CreatedAt = minText(group.CreatedAt, c.CreatedAt)
			group.UpdatedAt = max(group.UpdatedAt, c.UpdatedAt)
		}
		worst = worse(worst, g.Checks[i].State.known())
		members = append(members, c)
		a.byName[c.ID] = c
	}
	if group.ID != "" {
		group.Status = componentStatus[worst]
		if worst == Down && !all(g.Checks, Down) {
			group.Status = "partial_outage"
		}
		a.components = append(a.components, group)
	}
	a.components = append(a.components, members...)
}

func (a *api) component(c *Check, position int) apiComponent {
	created := a.page.Now
	if !c.Since.IsZero() {
		created = c.Since
	}
	for _, d := range c.Days {
		if d.Known() > 0 {
			created = civil.Earlier(created, dateTime(d.Date))
			break
		}
	}
	updated := created
	if !c.Since.IsZero() {
		updated = c.Since
	}
	out := apiComponent{
		ID: c.Name, Name: c.Title, Status: componentStatus[c.State.known()], PageID: a.id, Position: position,
		CreatedAt: stampMilli(created.Truncate(time.Minute)), UpdatedAt: stampMilli(updated.Truncate(time.Minute)), Showcase: true,
	}
	start := created.UTC().Format(time.DateOnly)
	out.StartDate = &start
	if c.State.known() == Unknown {
		text := a.handler.words.say("api.unknown")
		out.Text = &text
	}
	return out
}

// severity orders states from the best to the worst.
var severity = map[State]int{Up: 1, Maintenance: 2, Unknown: 3, Degraded: 4, Down: 5}

func worse(a, b State) State {
	if severity[b] > severity[a] {
		return b
	}
	return a
}

func all(checks []Check, state State) bool {
	for i := range checks {
		if checks[i].State.known() != state {
			return false
		}
	}
	return true
}

func (a *api) incidents(list []Incident) []apiIncident {
	out := make([]apiIncident, 0, len(list))
	for i := range list {
		out = append(out, a.incident(&list[i]))
	}
	return out
}

func (a *api) incident(i *Incident) apiIncident {
	id := strconv.FormatInt(i.ID, 10)
	words := a.handler.words
	out := apiIncident{
		ID: id, Name: words.name(i), Status: string(i.stage()), PageID: a.id,
		CreatedAt: stampMilli(i.Opened), UpdatedAt: stampMilli(i.changed()), StartedAt: stampMilli(i.From),
		Impact: a.impact(), Shortlink: a.handler.publicURL + "/incidents/" + id,
		Components: a.named(i.Check),
	}
	if !i.Resolved.IsZero() {
		out.Resolved = ptr(stampMilli(i.Resolved))
	}
	updates := i.updates()
	out.Updates = make([]apiUpdate, 0, len(updates))
	before := componentStatus[Up]
	for n, u := range updates {
		if u.Stage == Monitoring && out.Monitoring == nil {
			out.Monitoring = ptr(stampMilli(u.At))
		}
		after := componentStatus[Down]
		if u.Kind == Resolved {
			after = componentStatus[Up]
		}
		at := stampMilli(u.At)
		out.Updates = append(out.Updates, apiUpdate{
			ID: fmt.Sprintf("%s-%d", id, n+1), IncidentID: id, Status: string(u.Stage), Body: words.story(u.Update, i),
			CreatedAt: at, UpdatedAt: at, DisplayAt: at, Deliver: true,
			Affected: []apiAffected{{i.Check, i.Title, before, after}},
		})
		before = after
	}
	for l, r := 0, len(out.Updates)-1; l < r; l, r = l+1, r-1 {
		out.Updates[l], out.Updates[r] = out.Updates[r], out.Updates[l]
	}
	return out
}

// impact is that of a check that is down: a whole component, of several.
func (a *api) impact() string {
	if len(a.byName) == 1 {
		return "critical"
	}
	return "major"
}

func (a *api) maintenances(are ...string) []apiIncident {
	windows := windowRows(a.page.during(are...), a.page.titles())
	out := make([]apiIncident, 0, len(windows))
	for i := range windows {
		out = append(out, a.maintenance(&windows[i].Window))
	}
	return out
}

func (a *api) maintenance(w *Window) apiIncident {
	status := w.status(a.page.Now)
	e := a.handler.windowEntry(windowRow{Window: *w}, a.page.Now)
	at := stampMilli(e.Updated)
	out := apiIncident{
		ID: w.ID, Name: w.Title, Status: status, PageID: a.id,
		CreatedAt: stampMilli(e.Published), UpdatedAt: at, StartedAt: stampMilli(w.From),
		Impact: "maintenance", Shortlink: e.URL, Components: a.named(w.Checks...),
		From: stampMilli(w.From), Until: stampMilli(w.To),
		Updates: []apiUpdate{{
			ID: w.ID + "-" + status, IncidentID: w.ID, Status: status, Body: a.handler.words.windowText(w, status),
			CreatedAt: at, UpdatedAt: at, DisplayAt: at, Deliver: true, Affected: []apiAffected{},
		}},
	}
	if status == completed {
		out.Resolved = ptr(stampMilli(w.To))
	}
	before, after := componentStatus[Up], componentStatus[Up]
	switch status {
	case inProgress:
		after = componentStatus[Maintenance]
	case completed:
		before = componentStatus[Maintenance]
	}
	for _, c := range out.Components {
		out.Updates[0].Affected = append(out.Updates[0].Affected, apiAffected{c.ID, c.Name, before, after})
	}
	return out
}

// named returns the components of those checks that are on the page.
func (a *api) named(checks ...string) []apiComponent {
	out := []apiComponent{}
	for _, name := range checks {
		if c, ok := a.byName[name]; ok {
			out = append(out, c)
		}
	}
	return out
}

func ptr(s string) *string { return &s }

// minText returns the lesser of two, of which the empty one is none.
func minText(a, b string) string {
	if a == "" {
		return b
	}
	return min(a, b)
}

func stampMilli(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// shortID makes a name of twelve letters, as Statuspage's are, that stays the
// same for as long as the text does.
func shortID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
