package statuspage

import (
	"embed"
	"fmt"
	"html"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"nines/internal/civil"
)

//go:embed templates/*.html
var templateFiles embed.FS

// view is one page of the site as the layout sees it.
type view struct {
	Site        string
	Logo        string // a path within the site, or empty
	Title       string // in the browser's tab
	Description string // for search engines and previews; may be empty
	State       State  // for the tab's icon
	Nav         string // which link of the navigation is this page: status, history or none
	Reload      bool   // reload every minute
	Private     bool   // not for search engines, and without the site's navigation
	Data        any
}

// Icon is the asset that the tab shows.
func (v view) Icon() string { return iconName(v.State) }

func iconName(s State) string { return "icon-" + string(s.known()) + ".svg" }

// glance is what every page about the present has.
type glance struct {
	Page  *Page
	Stale bool
	Age   time.Duration // of the newest result
}

func glanceAt(p *Page) glance {
	age, stale := p.staleFor()
	return glance{Page: p, Stale: stale && len(p.Groups) > 0, Age: age}
}

// homeData is what / shows.
type homeData struct {
	glance
	Level           level
	State           State
	Summary         string
	Tally           bool // whether there is any check
	Reload          bool
	Running, Coming []windowRow
	Matrix          []matrixRow
	Recent          []Incident
}

// recentIncidents is how many of the past / shows; the rest is in the history.
const recentIncidents = 5

func (h *Handler) homeData(p *Page, reload bool) homeData {
	n := p.tally()
	level := n.level()
	titles := p.titles()
	return homeData{
		glance:  glanceAt(p),
		Level:   level,
		State:   level.state(),
		Summary: h.words.summary(n),
		Tally:   n.total() > 0,
		Reload:  reload,
		Running: windowRows(p.during(inProgress), titles),
		Coming:  windowRows(p.during(scheduled), titles),
		Matrix:  p.matrix(),
		Recent:  p.Past[:min(len(p.Past), recentIncidents)],
	}
}

// summary says how many checks are in which state.
func (c catalogue) summary(n tally) string {
	if n.total() == 0 {
		return c.say("summary.nothing")
	}
	var parts []string
	for _, s := range []State{Down, Degraded, Unknown, Maintenance, Up} {
		if n[s] == n.total() {
			return c.count("summary.all."+string(s), n[s])
		}
		if n[s] > 0 {
			parts = append(parts, c.count("summary."+string(s), n[s]))
		}
	}
	return strings.Join(parts, c.say("summary.join")) + c.say("summary.end")
}

// titles returns the checks' titles by their names.
func (p *Page) titles() map[string]string {
	titles := map[string]string{}
	for _, c := range p.checks() {
		titles[c.Name] = c.Title
	}
	return titles
}

// windowRow is a maintenance with the titles of its checks.
type windowRow struct {
	Window
	Titles []string
}

func windowRows(windows []Window, titles map[string]string) []windowRow {
	rows := make([]windowRow, len(windows))
	for i, w := range windows {
		rows[i].Window = w
		for _, name := range w.Checks {
			rows[i].Titles = append(rows[i].Titles, titles[name])
		}
	}
	return rows
}

// matrixRow is one check as the regions of the page see it, in their order; a
// cell is empty where the region does not run the check.
type matrixRow struct {
	Title string
	Cells []State
}

// matrix is empty when there is only one region, which says nothing that the
// list of checks does not.
func (p *Page) matrix() []matrixRow {
	if len(p.Regions) < 2 {
		return nil
	}
	var rows []matrixRow
	for _, c := range p.checks() {
		row := matrixRow{c.Title, make([]State, len(p.Regions))}
		for _, r := range c.Regions {
			if i := slices.IndexFunc(p.Regions, func(region Region) bool { return region.Name == r.Region }); i >= 0 {
				row.Cells[i] = r.State.known()
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// checkData is what /checks/{name} shows.
type checkData struct {
	glance
	Check      Check
	Group      string
	Open, Past []Incident
	Figures    []figure
	Latency    Latency
	Chart      chart
	Profiles   []profileRow
	Regions    []regionRow
	Windows    []windowRow // running and planned
}

// figure is the availability over some days.
type figure struct {
	Days int
	Times
}

// regionRow is one region's view of one check.
type regionRow struct {
	Title string
	State State
	RegionLatency
}

func (h *Handler) checkData(p *Page, group int, check *Check, more *CheckPage) checkData {
	d := checkData{
		glance:   glanceAt(p),
		Check:    *check,
		Group:    p.Groups[group].Title,
		Latency:  more.Latency,
		Chart:    h.words.chart(more.Latency, p.Now),
		Profiles: h.words.profileRows(p, check.Name, more.ByProfile),
		Open:     about(p.Open, check.Name),
		Past:     about(p.Past, check.Name),
	}
	d.Check.State = d.Check.State.known()
	for _, n := range []int{1, 7, 30, p.Days} {
		if n < p.Days || n == p.Days && n > 0 {
			d.Figures = append(d.Figures, figure{n, sum(p.last(check.Days, n))})
		}
	}
	for _, region := range p.Regions {
		r := slices.IndexFunc(check.Regions, func(r RegionState) bool { return r.Region == region.Name })
		if r < 0 {
			continue
		}
		row := regionRow{Title: region.Title, State: check.Regions[r].State.known()}
		if l := slices.IndexFunc(more.ByRegion, func(l RegionLatency) bool { return l.Region == region.Name }); l >= 0 {
			row.RegionLatency = more.ByRegion[l]
		}
		d.Regions = append(d.Regions, row)
	}
	for _, w := range p.during(inProgress, scheduled) {
		if slices.Contains(w.Checks, check.Name) {
			w.Checks = []string{check.Name}
			d.Windows = append(d.Windows, windowRow{w, []string{check.Title}})
		}
	}
	return d
}

// about returns the incidents of one check.
func about(incidents []Incident, check string) []Incident {
	return slices.DeleteFunc(slices.Clone(incidents), func(i Incident) bool { return i.Check != check })
}

// NewestDays returns the days with the last first, for a table.
func (d checkData) NewestDays() []Day { return backward(d.Check.Days) }

// NewestPoints returns the buckets that have figures with the last first.
func (d checkData) NewestPoints() []Point {
	return backward(slices.DeleteFunc(slices.Clone(d.Latency.Points), func(p Point) bool { return p.N == 0 }))
}

func backward[T any](list []T) []T {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}

// historyData is what /history shows.
type historyData struct {
	glance
	Months []historyMonth // newest first, without empty ones
}

// historyMonth is what began in a month, newest first.
type historyMonth struct {
	Month     civil.Month
	Incidents []Incident
	Windows   []windowRow // over or running
}

func (h *Handler) historyData(p *Page) historyData {
	months := map[civil.Month]*historyMonth{}
	in := func(t time.Time) *historyMonth {
		m := civil.MonthOf(t.UTC())
		if months[m] == nil {
			months[m] = &historyMonth{Month: m}
		}
		return months[m]
	}
	for _, i := range p.Past {
		m := in(i.From)
		m.Incidents = append(m.Incidents, i)
	}
	for _, w := range backward(windowRows(p.during(inProgress, completed), p.titles())) {
		m := in(w.From)
		m.Windows = append(m.Windows, w)
	}
	d := historyData{glance: glanceAt(p)}
	for _, m := range slices.SortedFunc(maps.Values(months), func(a, b *historyMonth) int {
		return strings.Compare(b.Month.String(), a.Month.String())
	}) {
		d.Months = append(d.Months, *m)
	}
	return d
}

// messageData is a page that only says something.
type messageData struct {
	Title string
	Body  template.HTML
}

// pages parses the templates into one set a page, by the page's name.
func (h *Handler) pages() (map[string]*template.Template, error) {
	base, err := template.New("").Funcs(h.funcs()).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the layout: %w", err)
	}
	sets := map[string]*template.Template{}
	for _, name := range []string{"home", "check", "history", "incident", "message"} {
		set, err := base.Clone()
		if err == nil {
			set, err = set.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parsing the template %s: %w", name, err)
		}
		sets[name] = set
	}
	return sets, nil
}

// funcs is what templates can say. Those that return HTML escape their texts.
func (h *Handler) funcs() template.FuncMap {
	c := h.words
	return template.FuncMap{
		"say": c.say, "count": c.count,
		"link": h.link, "asset": h.asset,
		"symbols": func() template.HTML { return symbols },
		"icon":    func(s any) template.HTML { return icon(State(fmt.Sprint(s))) },
		"swatch":  func(of any) template.HTML { return swatch(fmt.Sprint(of)) },
		"pill":    c.pill, "cell": c.cell, "stage": c.stage, "bars": c.bars, "uptime": c.uptime,
		"legend": func() []look {
			return []look{looksUp, looksDegraded, looksPartial, looksDown, looksMaintenance, looksUnknown, looksNone}
		},
		"moment": func(t time.Time) template.HTML { return timeTag(t, c.moment(t)) },
		"clock":  func(t time.Time) template.HTML { return timeTag(t, c.clock(t)) },
		"until":  c.until, "day": c.day, "month": c.monthOf,
		"percent": c.percent, "long": c.long, "ms": c.ms, "meter": meter,
		"minus": func(d time.Duration) time.Duration { return -d },
		"dash": func(d time.Duration) string {
			if d == 0 {
				return c.say("none")
			}
			return c.long(d)
		},
		"problem": c.problem,
		"story":   func(u Update, i Incident) string { return c.story(u, &i) },
		"newest":  func(i Incident) Update { return i.newest().Update },
		"updates": func(i Incident) []told { return i.updates() },
		"lasted":  func(i Incident) time.Duration { return i.lasted() },
		"ungrouped": func(p *Page) string {
			if len(p.Groups) > 1 {
				return "home.others"
			}
			return "home.systems"
		},
	}
}

// timeTag writes an instant for people and for programs.
func timeTag(t time.Time, text string) template.HTML {
	return template.HTML(`<time datetime="` + t.UTC().Format("2006-01-02T15:04:05Z") + `">` + html.EscapeString(text) + `</time>`)
}

// until writes a maintenance's end, without the date if it began on the same.
func (c catalogue) until(w Window) template.HTML {
	if civil.DateOf(w.From.UTC()) == civil.DateOf(w.To.UTC()) {
		return timeTag(w.To, c.clock(w.To))
	}
	return timeTag(w.To, c.moment(w.To))
}

// pill says a state with its icon.
func (c catalogue) pill(s State) template.HTML {
	s = s.known()
	return template.HTML(`<span class="pill `+string(s)+`">`) + icon(s) + template.HTML(html.EscapeString(c.say("state."+string(s)))+`</span>`)
}

// cell says a state by its icon alone, and in words to those who cannot see it.
func (c catalogue) cell(s State) template.HTML {
	if s == "" {
		return template.HTML(`<span class="absent" aria-hidden="true">` + html.EscapeString(c.say("none")) + `</span><span class="spoken">` + html.EscapeString(c.say("state.none")) + `</span>`)
	}
	text := html.EscapeString(c.say("state." + string(s)))
	return template.HTML(`<span title="`+text+`">`) + icon(s) + template.HTML(`<span class="spoken">`+text+`</span></span>`)
}

// stage says where an incident stands.
func (c catalogue) stage(i Incident) template.HTML {
	stage := string(i.stage())
	return template.HTML(`<span class="stage ` + stage + `">` + html.EscapeString(c.say("stage."+stage)) + `</span>`)
}

// meter draws how much of the downtime that an SLA allows is left; the words
// beside it say the same.
func meter(s SLA) template.HTML {
	left := 0
	if s.Allowed > 0 {
		left = int(100 * max(0, min(1, float64(s.Left)/float64(s.Allowed))))
	}
	return template.HTML(fmt.Sprintf(`<svg class="meter %s" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">`+
		`<rect class="track" width="100" height="6"/><rect class="left" width="%d" height="6"/></svg>`, s.State.known(), left))
}
