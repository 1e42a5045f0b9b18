package scheduler

import (
	"encoding/json"
	"slices"
	"testing"

	"nines/scheduler/config"
	"nines/scheduler/statuspage"
)

// The configuration knows the languages that the pages are written in.
func TestLanguagesOfTheConfiguration(t *testing.T) {
	data, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			StatusPage struct {
				Properties struct {
					Language struct{ AnyOf []struct{ Enum []string } }
				}
			} `json:"status_page"`
		}
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	want := append([]string{"auto"}, statuspage.Languages()...)
	known := schema.Properties.StatusPage.Properties.Language.AnyOf
	if len(known) == 0 || !slices.Equal(known[0].Enum, want) {
		t.Errorf("status_page.language may be %q, and the pages are written in %q", known, want)
	}
}
