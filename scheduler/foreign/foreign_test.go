package foreign_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nines/checks"
	"nines/scheduler/config"
	"nines/scheduler/foreign"
)

var update = flag.Bool("update", false, "write the golden files again")

// readers is every way to read a file, by the golden file of its example.
var readers = map[string]func(t testing.TB) (*foreign.Imported, error){
	"gatus": func(t testing.TB) (*foreign.Imported, error) { return foreign.Gatus(file(t, "gatus.yaml")) },
	"blackbox": func(t testing.TB) (*foreign.Imported, error) {
		return foreign.Blackbox(file(t, "blackbox.yml"), foreign.File{})
	},
	"prometheus": func(t testing.TB) (*foreign.Imported, error) {
		return foreign.Blackbox(file(t, "blackbox.yml"), file(t, "prometheus.yml"))
	},
	"uptime-kuma": func(t testing.TB) (*foreign.Imported, error) { return foreign.UptimeKuma(file(t, "kuma.json")) },
}

func file(t testing.TB, name string) foreign.File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return foreign.File{Name: name, Data: data}
}

// What is written is as the golden files have it, and a configuration that
// nines takes.
func TestImports(t *testing.T) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			got, err := read(t)
			if err != nil {
				t.Fatal(err)
			}
			var whole strings.Builder
			whole.Write(got.YAML)
			whole.WriteString("---\n")
			for _, note := range got.Notes {
				whole.WriteString(note.String() + "\n")
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(whole.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), whole.String()); diff != "" {
				t.Errorf("-golden +got:\n%s", diff)
			}
			cfg := load(t, got.YAML)
			if len(cfg.Checks) != got.Checks {
				t.Errorf("%d checks are said to be there, and %d are", got.Checks, len(cfg.Checks))
			}
		})
	}
}

func load(t *testing.T, yaml []byte) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nines.yaml")
	if err := os.WriteFile(path, yaml, 0o600); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"TWILIO_SID": "AC0123456789abcdef0123456789abcdef", "TWILIO_TOKEN": "t", "API_KEY": "k", "OAUTH": "o"}
	cfg, err := config.Load(path, func(name string) (string, bool) { v, ok := variables[name]; return v, ok })
	if err != nil {
		t.Fatalf("%v\n%s", err, yaml)
	}
	return cfg
}

// A dollar of the file is the same dollar for nines, and a variable the same
// variable.
func TestDollars(t *testing.T) {
	got, err := readers["blackbox"](t)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range load(t, got.YAML).Checks {
		if c.Name != "login" {
			continue
		}
		request := c.Options.(*checks.HTTP)
		if p := request.Basic.Password.Reveal(); p != "pa$$word" {
			t.Errorf("the password became %q", p)
		}
		if h := request.Headers["X-Dollar"].Reveal(); h != "a$${b}" {
			t.Errorf("the header became %q", h)
		}
	}
	if got, err = readers["gatus"](t); err != nil {
		t.Fatal(err)
	}
	for _, c := range load(t, got.YAML).Checks {
		if c.Name != "shop-eu-front-page" {
			continue
		}
		headers := c.Options.(*checks.HTTP).Headers
		if headers["X-Key"].Reveal() != "k" || headers["X-Price"].Reveal() != "$5" {
			t.Errorf("the headers became %q and %q", headers["X-Key"].Reveal(), headers["X-Price"].Reveal())
		}
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name, text string
		read       func(foreign.File) (*foreign.Imported, error)
		want       string
	}{
		{"no mapping", "- a\n", foreign.Gatus, "f:1:1: is not a mapping of keys to values"},
		{"empty", "\n", foreign.Gatus, "f:1:1: the file is empty"},
		{"not YAML", "a: [\n", foreign.UptimeKuma, "f:2:1: did not find expected node content"},
		{"no backup", "{}", foreign.UptimeKuma, "f:1:1: monitorList: is not there; export a backup under Settings, Backup"},
		{"no modules", "a: 1", func(f foreign.File) (*foreign.Imported, error) { return foreign.Blackbox(f, foreign.File{}) },
			"f:1:1: modules: is not there; name the file that blackbox_exporter gets as --config.file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.read(foreign.File{Name: "f", Data: []byte(test.text)})
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// Whatever a file holds, reading it ends, and what is written can be read.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"gatus.yaml", "blackbox.yml", "kuma.json"} {
		f.Add(file(f, name).Data)
	}
	f.Add([]byte("endpoints: [{name: a, url: 'http://x', conditions: ['[BODY].a.b == any(1, \"x\")', 'len([BODY]) > 3']}]"))
	f.Add([]byte("a: &a {b: *a}\nendpoints: [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := foreign.File{Name: "f", Data: data}
		for _, read := range []func(foreign.File) (*foreign.Imported, error){
			foreign.Gatus, foreign.UptimeKuma,
			func(in foreign.File) (*foreign.Imported, error) { return foreign.Blackbox(in, in) },
		} {
			got, err := read(in)
			if err != nil {
				continue
			}
			if _, err := foreign.Gatus(foreign.File{Name: "again", Data: got.YAML}); err != nil {
				t.Errorf("what was written cannot be read: %v\n%s", err, got.YAML)
			}
		}
	})
}
