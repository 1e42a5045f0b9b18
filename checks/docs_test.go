package checks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nines/checks"
	"nines/scheduler/config"
)

const docs = "../docs/checks/"

// Every example of every kind's page is a configuration that is valid.
func TestExamplesOfTheDocsAreValid(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, kind := range checks.KindNames() {
		text, err := os.ReadFile(docs + kind + ".md")
		if err != nil {
			t.Fatal(err)
		}
		found := blocks.FindAllSubmatch(text, -1)
		if len(found) < 2 {
			t.Errorf("%s.md has %d examples", kind, len(found))
		}
		for i, block := range found {
			t.Run(fmt.Sprintf("%s/%d", kind, i), func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "nines.yaml")
				whole := "regions: [{name: here}]\nchecks:\n" + string(block[1])
				if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := config.Load(file, func(string) (string, bool) { return "", false }); err != nil {
					t.Errorf("%v\n%s", err, block[1])
				}
			})
		}
	}
}

// Every option stands in its kind's page: in the tables and in an example.
// Those that bandwidth takes over from http are told there.
func TestOptionsAreInTheDocs(t *testing.T) {
	for _, name := range checks.KindNames() {
		data, err := os.ReadFile(docs + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		kind, _ := checks.KindOf(name)
		for _, option := range optionNames(reflect.TypeOf(kind.New()).Elem()) {
			if name == "bandwidth" && slices.Contains(optionNames(reflect.TypeFor[checks.HTTP]()), option) {
				continue
			}
			if !strings.Contains(text, "`"+option+"`") && option != "expect" {
				t.Errorf("%s.md does not name %s", name, option)
			}
			if example := regexp.MustCompile(`(?m)[{ ,]` + option + `(_file)?:`); !example.MatchString(text) {
				t.Errorf("%s.md has no example of %s", name, option)
			}
		}
	}
}

// optionNames returns the keys of an options struct, nested ones included.
func optionNames(typ reflect.Type) []string {
	var names []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		if key := f.Tag.Get("json"); key != "" && key != "-" {
			names = append(names, key)
		} else if !f.Anonymous {
			continue
		}
		if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == "nines/checks" {
			names = append(names, optionNames(f.Type)...)
		}
	}
	return names
}

// The table of profiles is the one in the code.
func TestProfilesAreInTheDocs(t *testing.T) {
	text, err := os.ReadFile(docs + "bandwidth.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range checks.ProfileNames() {
		var p checks.Profile
		if err := p.UnmarshalText([]byte(name)); err != nil {
			t.Fatal(err)
		}
		if row := fmt.Sprintf("| `%s` | %v | %v | %v ms |", name, p.DownKbps, p.UpKbps, p.RTTMS); !strings.Contains(string(text), row) {
			t.Errorf("bandwidth.md lacks %s", row)
		}
	}
}
