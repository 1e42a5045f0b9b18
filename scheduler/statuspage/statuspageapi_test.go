package statuspage

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// These are the shapes as a client of Statuspage has them: what it cannot do
// without, and the words that it knows.
type clientComponent struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Position  int       `json:"position"`
	Group     bool      `json:"group"`
	GroupID   *string   `json:"group_id"`
	PageID    string    `json:"page_id"`
	Members   []string  `json:"components"`
}

type clientIncident struct {
	ID             string            `json:"id"`
	Name           string            `json:"name"`
	Status         string            `json:"status"`
	Impact         string            `json:"impact"`
	CreatedAt      time.Time         `json:"created_at"`
	UpdatedAt      time.Time         `json:"updated_at"`
	ResolvedAt     *time.Time        `json:"resolved_at"`
	Shortlink      string            `json:"shortlink"`
	Updates        []clientUpdate    `json:"incident_updates"`
	Components     []clientComponent `json:"components"`
	ScheduledFor   *time.Time        `json:"scheduled_for"`
	ScheduledUntil *time.Time        `json:"scheduled_until"`
}

type clientUpdate struct {
	ID         string    `json:"id"`
	Status     string    `json:"status"`
	Body       string    `json:"body"`
	IncidentID string    `json:"incident_id"`
	CreatedAt  time.Time `json:"created_at"`
	DisplayAt  time.Time `json:"display_at"`
	Affected   []struct {
		Code      string `json:"code"`
		OldStatus string `json:"old_status"`
		NewStatus string `json:"new_status"`
	} `json:"affected_components"`
}

type clientSummary struct {
	Page struct {
		ID        string    `json:"id"`
		Name      string    `json:"name"`
		URL       string    `json:"url"`
		TimeZone  string    `json:"time_zone"`
		UpdatedAt time.Time `json:"updated_at"`
	} `json:"page"`
	Status struct {
		Indicator   string `json:"indicator"`
		Description string `json:"description"`
	} `json:"status"`
	Components   *[]clientComponent `json:"components"`
	Incidents    *[]clientIncident  `json:"incidents"`
	Maintenances *[]clientIncident  `json:"scheduled_maintenances"`
}

func readAPI(t *testing.T, s site, path string) clientSummary {
	t.Helper()
	var got clientSummary
	if err := json.Unmarshal(s.get("/api/v2/"+path).Body.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if got.Page.ID == "" || got.Page.Name != "Example Status" || got.Page.URL != publicURL || got.Page.TimeZone == "" || got.Page.UpdatedAt.IsZero() {
		t.Errorf("%s: the page is %+v", path, got.Page)
	}
	return got
}

func TestStatuspageShapes(t *testing.T) {
	for name, f := range documents() {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, f)
			got := readAPI(t, s, "summary.json")
			if got.Components == nil || got.Incidents == nil || got.Maintenances == nil {
				t.Fatal("a list is null or missing")
			}
			if !slices.Contains([]string{"none", "minor", "major", "critical", "maintenance"}, got.Status.Indicator) || got.Status.Description == "" {
				t.Errorf("the status is %+v", got.Status)
			}
			ids := map[string]clientComponent{}
			for _, c := range *got.Components {
				if _, twice := ids[c.ID]; twice {
					t.Errorf("the component %s is there twice", c.ID)
				}
				ids[c.ID] = c
				if !slices.Contains([]string{"operational", "degraded_performance", "partial_outage", "major_outage", "under_maintenance"}, c.Status) {
					t.Errorf("%s is %q", c.ID, c.Status)
				}
				if c.Position < 1 || c.CreatedAt.IsZero() || c.UpdatedAt.Before(c.CreatedAt) || c.PageID != got.Page.ID {
					t.Errorf("the component is %+v", c)
				}
			}
			for _, c := range *got.Components {
				for _, member := range c.Members {
					if m := ids[member]; m.GroupID == nil || *m.GroupID != c.ID {
						t.Errorf("%s has the member %s, which has the group %v", c.ID, member, m.GroupID)
					}
				}
				if c.GroupID != nil && !ids[*c.GroupID].Group {
					t.Errorf("%s is in %s, which is no group", c.ID, *c.GroupID)
				}
			}
			for _, i := range *got.Incidents {
				checkIncident(t, i, []string{"investigating", "identified", "monitoring"}, []string{"minor", "major", "critical"})
			}
			for _, i := range *got.Maintenances {
				checkIncident(t, i, []string{"scheduled", "in_progress"}, []string{"maintenance"})
				if i.ScheduledFor == nil || i.ScheduledUntil == nil || !i.ScheduledFor.Before(*i.ScheduledUntil) {
					t.Errorf("the maintenance %s is from %v to %v", i.ID, i.ScheduledFor, i.ScheduledUntil)
				}
			}
		})
	}
}

func checkIncident(t *testing.T, i clientIncident, statuses, impacts []string) {
	t.Helper()
	if !slices.Contains(statuses, i.Status) || !slices.Contains(impacts, i.Impact) {
		t.Errorf("%s is %s, of impact %s", i.Name, i.Status, i.Impact)
	}
	if i.CreatedAt.IsZero() || i.UpdatedAt.Before(i.CreatedAt) || i.Shortlink == "" || len(i.Components) == 0 || len(i.Updates) == 0 {
		t.Errorf("%s lacks something: %+v", i.Name, i)
		return
	}
	if i.Updates[0].Status != i.Status {
		t.Errorf("%s is %s, and its newest update %s", i.Name, i.Status, i.Updates[0].Status)
	}
	for n, u := range i.Updates {
		if u.IncidentID != i.ID || u.Body == "" || u.ID == "" || len(u.Affected) == 0 {
			t.Errorf("%s has the update %+v", i.Name, u)
		}
		if n > 0 && u.CreatedAt.After(i.Updates[n-1].CreatedAt) {
			t.Errorf("%s has its updates in the wrong order", i.Name)
		}
	}
}

func TestStatuspageLists(t *testing.T) {
	s := newSite(t, example())
	ids := func(path string, of func(clientSummary) *[]clientIncident) []string {
		t.Helper()
		list := of(readAPI(t, s, path))
		if list == nil {
			t.Fatalf("%s has no list", path)
		}
		var out []string
		for _, i := range *list {
			out = append(out, i.ID)
		}
		return out
	}
	incidents := func(c clientSummary) *[]clientIncident { return c.Incidents }
	maintenances := func(c clientSummary) *[]clientIncident { return c.Maintenances }
	for _, c := range []struct {
		path string
		of   func(clientSummary) *[]clientIncident
		want []string
	}{
		{"incidents.json", incidents, []string{"41", "38", "37", "22"}},
		{"incidents/unresolved.json", incidents, []string{"41"}},
		{"scheduled-maintenances.json", maintenances, []string{"w-0", "w-1", "w-2"}},
		{"scheduled-maintenances/upcoming.json", maintenances, []string{"w-2"}},
		{"scheduled-maintenances/active.json", maintenances, []string{"w-1"}},
	} {
		if got := ids(c.path, c.of); !slices.Equal(got, c.want) {
			t.Errorf("%s has %v, want %v", c.path, got, c.want)
		}
	}
	status := readAPI(t, s, "status.json")
	if status.Status.Indicator != "major" || status.Status.Description != "Partial System Outage" || status.Components != nil {
		t.Errorf("status.json is %+v", status)
	}
	if got := readAPI(t, s, "components.json"); got.Components == nil || len(*got.Components) != 8 {
		t.Errorf("components.json is %+v", got)
	}
}
