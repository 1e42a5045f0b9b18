package statuspage

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// documents is every state that the site can be in, by name.
func documents() map[string]*fake {
	unknown := example()
	unknown.page.Newest, unknown.page.Open = at.Add(-47*time.Minute), nil
	for _, c := range unknown.page.checks() {
		c.State = Unknown
		for i := range c.Regions {
			c.Regions[i].State = Unknown
		}
	}
	fresh := example()
	fresh.page.Newest, fresh.page.Open, fresh.page.Past, fresh.page.SLAs, fresh.page.Planned = time.Time{}, nil, nil, nil, nil
	for _, c := range fresh.page.checks() {
		c.State, c.Since, c.Days, c.Regions = Unknown, time.Time{}, nil, nil
		fresh.checks[c.Name] = &CheckPage{}
	}
	return map[string]*fake{
		"example":     example(),
		"all unknown": unknown,
		"just set up": fresh,
		"no checks":   {page: &Page{Now: at, Days: 90}},
		"one region":  oneRegion(),
		"200 checks":  many(200),
		"hostile":     hostile(),
	}
}

func oneRegion() *fake {
	f := many(1)
	f.page.Regions = f.page.Regions[:1]
	f.page.Groups[0].Title = ""
	f.page.Days = 1
	return f
}

// hostileTexts are titles that somebody may well write.
var hostileTexts = []string{
	`<script>alert("x")</script>`,
	`" onmouseover="alert(1)`,
	`'quotes' & <b>bold</b> &amp; {{.}}`,
	`متجر الكتب (1)`,
	strings.Repeat("Averylongnamewithoutanyspace", 9),
	"Emoji 🚀 and\x00control\x1b[31m",
	`]]></title></svg><!-- `,
}

// hostile is the example with such titles everywhere.
func hostile() *fake {
	f := example()
	n := 0
	next := func() string { n++; return hostileTexts[n%len(hostileTexts)] }
	for i := range f.page.Groups {
		f.page.Groups[i].Title = next() + strconv.Itoa(i)
	}
	for _, c := range f.page.checks() {
		c.Title = next()
	}
	for i := range f.page.Regions {
		f.page.Regions[i].Title = next()
	}
	for i := range f.page.Planned {
		f.page.Planned[i].Title = next()
	}
	for i := range f.page.SLAs {
		f.page.SLAs[i].Title = next()
	}
	for _, list := range [][]Incident{f.page.Open, f.page.Past} {
		for i := range list {
			list[i].Title = next()
			f.incidents[list[i].ID] = &list[i]
		}
	}
	return f
}

// Every page that can be reached by links is whole, and every link on it leads
// somewhere.
func TestPagesAreWhole(t *testing.T) {
	for name, f := range documents() {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, f, func(c *Config) {
				if name == "hostile" {
					c.Title = hostileTexts[0]
				}
			})
			anchors := map[string]map[string]bool{} // ids by page
			type link struct{ on, to string }
			var links []link
			queue, seen := []string{"/", "/nowhere"}, map[string]bool{"/": true, "/nowhere": true}
			for len(queue) > 0 && len(anchors) < 12 {
				path := queue[0]
				queue = queue[1:]
				w := s.get(path)
				if w.Code != 200 && path != "/nowhere" {
					t.Errorf("%s: status %d", path, w.Code)
				}
				if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
					continue
				}
				p := readPage(t, path, w.Body.String())
				anchors[path] = p.ids
				for _, to := range p.links {
					links = append(links, link{path, to})
					if to, _, _ := strings.Cut(to, "#"); to != "" && !seen[to] {
						seen[to] = true
						queue = append(queue, to)
					}
				}
			}
			for _, l := range links {
				path, anchor, ok := strings.Cut(l.to, "#")
				if path == "" {
					path = l.on
				}
				if ids, read := anchors[path]; ok && read && !ids[anchor] {
					t.Errorf("%s links to %s, where that is not", l.on, l.to)
				}
			}
			if want := min(12, 2+f.page.tally().total()); len(anchors) < want {
				t.Errorf("only %d pages were reached, want %d", len(anchors), want)
			}
		})
	}
}

// read is what a test knows of a page.
type read struct {
	ids   map[string]bool
	links []string
}

var void = []string{"meta", "link", "img", "br", "input", "hr"}

// readPage checks a page as a careful reader of HTML would: tags that match,
// ids that are unique and exist where they are referred to, one h1, headings
// without gaps, names for images, regions and tables.
func readPage(t *testing.T, path, text string) read {
	t.Helper()
	fault := func(format string, args ...any) { t.Errorf(path+": "+format, args...) }
	p := read{ids: map[string]bool{}}
	var open, referred []string
	var level, h1, unnamed int
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		token := z.Token()
		attr := map[string]string{}
		for _, a := range token.Attr {
			attr[a.Key] = a.Val
		}
		switch kind {
		case html.EndTagToken:
			if n := len(open); n == 0 || open[n-1] != token.Data {
				fault("</%s> closes nothing; open are %v", token.Data, open)
				return p
			}
			open = open[:len(open)-1]
			continue
		case html.StartTagToken:
			if !slices.Contains(void, token.Data) {
				open = append(open, token.Data)
			}
		case html.SelfClosingTagToken:
		default:
			continue
		}
		if id, ok := attr["id"]; ok {
			if p.ids[id] {
				fault("the id %s is there twice", id)
			}
			p.ids[id] = true
		}
		referred = append(referred, strings.Fields(attr["aria-labelledby"])...)
		for _, name := range []string{"href", "src"} {
			if to := attr[name]; strings.HasPrefix(to, "/") || strings.HasPrefix(to, "#") && token.Data == "a" {
				p.links = append(p.links, to)
			} else if to != "" && token.Data != "use" {
				fault("<%s> refers to %q", token.Data, to)
			}
		}
		named := attr["aria-label"] != "" || attr["aria-labelledby"] != ""
		switch token.Data {
		case "script", "style", "b":
			fault("there is a <%s>", token.Data)
		case "h1", "h2", "h3":
			now := int(token.Data[1] - '0')
			if now > level+1 {
				fault("an h%d follows an h%d", now, level)
			}
			if level = now; now == 1 {
				h1++
			}
		case "img":
			if _, ok := attr["alt"]; !ok {
				fault("an image has no alt")
			}
		case "svg":
			if attr["aria-hidden"] != "true" && !(attr["role"] == "img" && named) {
				fault("a drawing is neither named nor hidden")
			}
		case "section", "nav":
			if !named {
				unnamed++
			}
		case "th":
			if attr["scope"] == "" {
				fault("a th has no scope")
			}
		}
		if attr["role"] == "region" && !named {
			unnamed++
		}
	}
	if len(open) > 0 {
		fault("left open: %v", open)
	}
	if h1 != 1 {
		fault("there are %d h1", h1)
	}
	if unnamed > 0 {
		fault("%d regions have no name", unnamed)
	}
	for _, id := range referred {
		if !p.ids[id] {
			fault("something is labelled by %q, which is not there", id)
		}
	}
	if !strings.Contains(text, `<html lang="en"`) || !strings.Contains(text, `<main id="main"`) {
		fault("it has no language or no main")
	}
	return p
}

func TestHostileTitlesAreShown(t *testing.T) {
	s := newSite(t, hostile())
	doc, err := html.Parse(s.get("/").Body)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode {
			text.WriteString(n.Data)
		}
	}
	for _, title := range hostileTexts {
		title = strings.ReplaceAll(title, "\x00", "\ufffd")
		if !strings.Contains(text.String(), title) {
			t.Errorf("the page does not show %q", title)
		}
	}
}

func TestSentences(t *testing.T) {
	cases := map[string][]string{
		"example": {
			"Partial outage", "1 system is down, 1 is degraded, 1 cannot be seen, 1 is under maintenance, 2 work as they should.",
			"Last checked", ">14:02 UTC<", "Shop front page</bdi>: connection problems", "99.888% available", "100% available",
			"down on 3 days, last on 23 Nov 2026 (99.287%)", "2 Nov 2026: 99.131% available, down 12 min 30 s",
			`<h2 id="group-2">Other systems</h2>`, "Frankfurt", "Downtime overspent by", "14 min", "Not certain; of 3 h 36 min in the month",
		},
		"all unknown": {"The status is not known right now", "None of the 6 systems can be seen.", "This is how things were 47 min ago"},
		"just set up": {"The status is not known right now", "Nothing has been checked yet.", "No data yet", "None in the last 90 days."},
		"no checks":   {"Nothing is watched yet", "As soon as the first check has run, it is shown here."},
		"one region":  {"All systems operational", "The one system works as it should.", `<h2 id="group-0">Systems</h2>`, "None today."},
		"200 checks":  {"All systems operational", "All 200 systems work as they should."},
	}
	sites := documents()
	sites["one region"].page.Past = nil
	for name, wants := range cases {
		body := newSite(t, sites[name]).get("/").Body.String()
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s: the page lacks %q", name, want)
			}
		}
		if stale := strings.Contains(body, `class="note stale"`); stale != (name == "all unknown" || name == "just set up") {
			t.Errorf("%s: stale is %v", name, stale)
		}
		if matrix := strings.Contains(body, `class="matrix"`); matrix == (name == "one region" || name == "no checks") {
			t.Errorf("%s: the regions' table is there: %v", name, matrix)
		}
	}
}

// A key that the catalogue lacks would be shown as it is.
func TestCatalogueIsComplete(t *testing.T) {
	c := english
	var keys []string
	for _, s := range []State{Up, Degraded, Down, Unknown, Maintenance} {
		keys = append(keys, "state."+string(s), "since."+string(s), "look."+string(s),
			"summary."+string(s)+".one", "summary."+string(s)+".other", "summary.all."+string(s)+".one", "summary.all."+string(s)+".other")
	}
	for _, l := range []level{levelNothing, levelOperational, levelMaintenance, levelUnclear, levelUnknown, levelDegraded, levelPartial, levelMajor} {
		keys = append(keys, "level."+string(l))
		if _, ok := apiStatusOf[l]; !ok {
			t.Errorf("Statuspage has no word for the level %s", l)
		}
	}
	for _, k := range []UpdateKind{Investigating, Identified, Spread, Monitoring, Resolved} {
		keys = append(keys, "stage."+string(k.status()), "story."+string(k))
	}
	files, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`\b(say|count)\(? ?"([a-z0-9.]+[a-z0-9])"`)
	for _, file := range append(files, sources...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			if m[1] == "count" {
				keys = append(keys, m[2]+".one", m[2]+".other")
			} else {
				keys = append(keys, m[2])
			}
		}
	}
	if len(keys) < 150 {
		t.Errorf("only %d keys were found; the test looks in the wrong place", len(keys))
	}
	for _, key := range keys {
		if _, ok := c[key]; !ok {
			t.Errorf("the catalogue lacks %s", key)
		}
	}
}

// The contrast that WCAG 2.2 asks for: 4.5 for text (1.4.3), 3 for shapes that
// mean something (1.4.11).
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, _ := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "*, ::before")
	themes := map[string]map[string]string{"light": colors(light), "dark": colors(dark)}
	texts := [][2]string{{"ink", "ground"}, {"ink", "surface"}, {"quiet", "ground"}, {"quiet", "surface"}, {"link", "ground"}, {"link", "surface"}, {"ground", "ink"}}
	shapes := [][2]string{{"focus", "ground"}, {"focus", "surface"}, {"link", "surface"}}
	for _, s := range []string{"up", "degraded", "partial", "down", "unknown", "maintenance"} {
		texts = append(texts, [2]string{s + "-ink", s + "-tint"}, [2]string{s + "-ink", "surface"}, [2]string{s + "-ink", "ground"}, [2]string{"ink", s + "-tint"})
		shapes = append(shapes, [2]string{s, "surface"}, [2]string{s, s + "-tint"}, [2]string{s, "ground"}, [2]string{"on", s})
	}
	for theme, c := range themes {
		check := func(pair [2]string, least float64) {
			a, b := c[pair[0]], c[pair[1]]
			if a == "" || b == "" {
				t.Fatalf("%s: no colour %v", theme, pair)
			}
			if got := contrast(a, b); got < least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", theme, pair[0], pair[1], got, least)
			}
		}
		for _, pair := range texts {
			check(pair, 4.5)
		}
		for _, pair := range shapes {
			check(pair, 3)
		}
	}
	for state, color := range badgeColors {
		if got := contrast("#ffffff", "#"+color); got < 4.5 {
			t.Errorf("white on the badge of %s has a contrast of %.2f", state, got)
		}
	}
}

func colors(css string) map[string]string {
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		out[m[1]] = m[2]
	}
	return out
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(color string) float64 {
	var rgb [3]uint8
	fmt.Sscanf(color, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2])
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb[i]) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestSizes(t *testing.T) {
	s := newSite(t, many(200))
	w := s.get("/", "Accept-Encoding", "gzip")
	if w.Code != http.StatusOK || w.Body.Len() > 100_000 {
		t.Errorf("200 checks take %d bytes on the wire", w.Body.Len())
	}
	css := s.get(s.asset("style.css"), "Accept-Encoding", "gzip")
	if css.Code != http.StatusOK || css.Body.Len() > 8_000 {
		t.Errorf("the stylesheet takes %d bytes on the wire", css.Body.Len())
	}
}
