package statuspage

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// wellFormed reads XML to its end.
func wellFormed(t *testing.T, name string, content []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(content))
	d.Strict = true
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s is not well-formed: %v\n%s", name, err, content)
			return
		}
	}
}

func TestXMLIsWellFormed(t *testing.T) {
	for name, f := range documents() {
		s := newSite(t, f, func(c *Config) { c.Title = hostileTexts[len(name)%len(hostileTexts)] })
		asked := []string{"/history.atom", "/history.rss", "/badge/nothing.svg"}
		for _, c := range f.page.checks() {
			asked = append(asked, "/badge/"+c.Name+".svg", "/badge/"+c.Name+"/uptime.svg")
		}
		for _, path := range asked[:min(len(asked), 20)] {
			wellFormed(t, name+" "+path, s.get(path).Body.Bytes())
		}
		for state := range favicons {
			wellFormed(t, string(state), s.get(s.asset(iconName(state))).Body.Bytes())
		}
	}
}

func TestAtom(t *testing.T) {
	f := example()
	s := newSite(t, f)
	type feed struct {
		ID      string    `xml:"id"`
		Updated time.Time `xml:"updated"`
		Entries []struct {
			ID        string    `xml:"id"`
			Title     string    `xml:"title"`
			Published time.Time `xml:"published"`
			Updated   time.Time `xml:"updated"`
		} `xml:"entry"`
	}
	read := func() feed {
		t.Helper()
		var got feed
		if err := xml.Unmarshal(s.get("/history.atom").Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := read()
	if len(before.Entries) != 7 {
		t.Fatalf("%d entries, want 4 incidents and 3 maintenances", len(before.Entries))
	}
	ids := map[string]time.Time{}
	for i, e := range before.Entries {
		if _, twice := ids[e.ID]; twice {
			t.Errorf("the id %s is there twice", e.ID)
		}
		ids[e.ID] = e.Published
		if e.Updated.Before(e.Published) || e.Updated.After(before.Updated) || e.Updated.After(at) {
			t.Errorf("%s was published %v and updated %v; the feed %v", e.Title, e.Published, e.Updated, before.Updated)
		}
		if i > 0 && e.Updated.After(before.Entries[i-1].Updated) {
			t.Errorf("%s is not in its place", e.Title)
		}
	}

	// Half a day later the incident is over; nothing has another name or date.
	over := f.page.Open[0]
	over.Resolved = at.Add(time.Hour)
	over.Updates = append(over.Updates, Update{At: over.Resolved, Kind: Resolved})
	f.page.Open, f.page.Past = nil, append([]Incident{over}, f.page.Past...)
	f.page.Now = at.Add(12 * time.Hour)
	s.Changed()
	after := read()
	if len(after.Entries) != len(before.Entries) {
		t.Errorf("%d entries, then %d", len(before.Entries), len(after.Entries))
	}
	for _, e := range after.Entries {
		if published, known := ids[e.ID]; !known || !published.Equal(e.Published) {
			t.Errorf("%s of %v was not there before, or from %v", e.ID, e.Published, published)
		}
	}
	if !after.Updated.Equal(over.Resolved) {
		t.Errorf("the feed is of %v, not of the end of the incident", after.Updated)
	}
}

// An empty feed is the same for as long as nothing happens.
func TestEmptyFeed(t *testing.T) {
	f := &fake{page: &Page{Now: at, Days: 90}}
	s := newSite(t, f)
	tag := s.get("/history.atom").Header().Get("ETag")
	f.page.Now = at.Add(time.Minute)
	s.Changed()
	if again := s.get("/history.atom").Header().Get("ETag"); again != tag {
		t.Error("the empty feed changes by itself")
	}
}

func TestBadges(t *testing.T) {
	f := example()
	f.page.Groups[0].Checks[0].Title = strings.Repeat("x", 100)
	s := newSite(t, f)
	for path, want := range map[string]string{
		"/badge/shop.json":            "Down c62a22",
		"/badge/checkout.json":        "Degraded a85f00",
		"/badge/api.json":             "Operational 1a7f4e",
		"/badge/ns.json":              "Maintenance 2860c5",
		"/badge/cert.json":            "Unknown 616874",
		"/badge/nothing.json":         "not found 616874",
		"/badge/shop/uptime.json":     "99.888% uptime a85f00",
		"/badge/checkout/uptime.json": "99.996% uptime 1a7f4e",
	} {
		var got struct {
			SchemaVersion         int
			Label, Message, Color string
		}
		if err := json.Unmarshal(s.get(path).Body.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if got.SchemaVersion != 1 || got.Message+" "+got.Color != want || got.Label == "" || len([]rune(got.Label)) > 40 {
			t.Errorf("%s is %+v, want %s", path, got, want)
		}
	}
	svg := s.get("/badge/shop.svg").Body.String()
	if !strings.Contains(svg, "x…</text>") || !strings.Contains(svg, ">Down</text>") {
		t.Errorf("the badge is %s", svg)
	}
}
