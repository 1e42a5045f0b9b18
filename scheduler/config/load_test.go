package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files and docs/configuration.md again")

// environment is what the files under testdata may refer to.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"HOST":      "status.example.com",
		"TOKEN":     "t0ken",
		"EMPTY":     "",
		"EVERY":     "90s",
		"BAD_BOOL":  "maybe",
		"STRUCTURE": "a: b, c: [d] # \"e\" '",
	}[name]
	return value, ok
}

// golden compares got with the file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// inputs returns the configurations in a folder, files and folders alike.
func inputs(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".golden" {
			paths = append(paths, filepath.Join(folder, e.Name()))
		}
	}
	if len(paths) == 0 {
		t.Fatalf("nothing in %s", folder)
	}
	return paths
}

// Every fault of every file is found in one pass and shown where it is.
func TestFaults(t *testing.T) {
	for _, path := range inputs(t, "testdata/faulty") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			file := path
			if info, err := os.Stat(path); err == nil && info.IsDir() && len(glob(t, path)) == 1 {
				file = glob(t, path)[0]
			}
			cfg, err := Load(file, environment)
			if err == nil {
				t.Fatalf("loaded: %+v", cfg)
			}
			checkForm(t, err)
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

func glob(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkForm checks what holds for every error of Load.
func checkForm(t interface {
	Helper()
	Errorf(string, ...any)
}, err error) {
	t.Helper()
	faults, ok := err.(Faults)
	if !ok || len(faults) == 0 {
		t.Errorf("the error is %T, not Faults: %v", err, err)
	}
	for i, f := range faults {
		if f.File == "" || f.Line < 1 || f.Column < 1 || f.Path == "" || f.Message == "" {
			t.Errorf("fault %d lacks something: %+v", i, f)
		}
		if strings.ContainsAny(f.String(), "\n\r\x1b") {
			t.Errorf("fault %d is not one clean line: %q", i, f.String())
		}
		if i > 0 && f.File == faults[i-1].File &&
			(f.Line < faults[i-1].Line || f.Line == faults[i-1].Line && f.Column < faults[i-1].Column) {
			t.Errorf("fault %d is out of order: %s", i, f)
		}
	}
}

// What is valid and still looks wrong does not stop anybody.
func TestWarnings(t *testing.T) {
	for _, path := range inputs(t, "testdata/warnings") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, err := Load(path, environment)
			if err != nil {
				t.Fatal(err)
			}
			checkForm(t, Faults(cfg.Warnings))
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", Faults(cfg.Warnings).Error()+"\n")
		})
	}
}

// The examples are valid as they stand, with nothing in the environment and
// without a warning.
func TestExamples(t *testing.T) {
	for _, path := range glob(t, "../../examples") {
		cfg, err := Load(path, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if len(cfg.Warnings) > 0 {
			t.Errorf("%s: %v", path, Faults(cfg.Warnings))
		}
	}
}

func load(t *testing.T, path string) *Config {
	t.Helper()
	cfg, err := Load(path, environment)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// write makes a file and returns its path.
func write(t testing.TB, folder, name, content string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDirectory(t *testing.T) {
	cfg := load(t, "testdata/valid/directory")
	var names []string
	for _, c := range cfg.Checks {
		names = append(names, c.Name+" "+strings.Join(c.Regions, ","))
	}
	if diff := cmp.Diff([]string{"shop us-east", "api eu-west,us-east"}, names); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"shop", "api"}, cfg.SLA("gold").Checks); diff != "" {
		t.Errorf("checks of the SLA (-want +got):\n%s", diff)
	}
	store, err := filepath.Abs("testdata/valid/directory/data/nines.db")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Store != store {
		t.Errorf("the store is %s, want %s", cfg.Store, store)
	}
}

// A path is from the folder of the file that it stands in.
func TestPathsOfDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", "regions: [{name: here}]")
	cfg := load(t, dir)
	if want := filepath.Join(dir, "nines.db"); cfg.Store != want {
		t.Errorf("the store is %s, want %s", cfg.Store, want)
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	large := write(t, dir, "large.yaml", strings.Repeat("# a comment\n", 1<<20/12+1))
	whole := write(t, dir, "whole.yaml", "regions: [{name: here}]\n"+strings.Repeat("#", 1<<20-24))
	none := filepath.Join(dir, "none")
	if err := os.Mkdir(none, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		large:                                ":1:1: file: is larger than 1 MiB; split it",
		none:                                 ":1:1: file: is a directory without any *.yaml;",
		filepath.Join(dir, "nowhere.yaml"):   ":1:1: file: cannot be read: no such file or directory;",
		filepath.Join(large, "nowhere"):      ":1:1: file: cannot be read: not a directory;",
		"/dev/zero":                          ":1:1: file: is larger than 1 MiB;",
		"/dev/null":                          ":1:1: file: is empty;",
		"\x1b[31m" + filepath.Join(dir, "x"): ":1:1: file: cannot be read:",
	} {
		_, err := Load(path, environment)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", path, err, want)
			continue
		}
		checkForm(t, err)
	}
	if _, err := Load(whole, environment); err != nil {
		t.Errorf("a file of exactly 1 MiB: %v", err)
	}
}

// Secrets are in no fault, whatever is wrong with them.
func TestFaultsKeepSecrets(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "nines.yaml", `
api_token: hunter2
store: postgres://nines:hunter2@db/nines
regions: [{name: here}]
probers:
  - {name: a, region: here, token: [hunter2]}
  - {name: b, region: here, token: hunter2}
  - {name: c, region: here, token: ${SECRET}}
  - {name: d, region: here, token_file: hunter2}
slack: {token: {hunter2: hunter2}, channel: C0, signing_secret: hunter2}
`)
	_, err := Load(path, func(name string) (string, bool) { return "hunter2", name == "SECRET" })
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("want faults without the secret, got: %v", err)
	}
}

// What the options of a kind find wrong is shown where it stands, or at the
// nearest thing around it.
func TestOptionFaults(t *testing.T) {
	path := write(t, t.TempDir(), "nines.yaml", `regions: [{name: here}]
checks:
  - name: shop
    kind: http
    url: ftp://shop.example.com/
    expect:
      status: [200, 99]
      body_matches: ["(", ok]
      within: never
  - {name: ns, kind: dns, domain: example.com, type: NONSENSE, transport: pigeon}
  - {name: cert, kind: tls}
  - name: mobile
    kind: bandwidth
    url: https://shop.example.com/
    profile: {down_kbps: 400, up_kbps: -1, rtt: 400}
  - {name: slow, kind: bandwidth, url: "https://shop.example.com/", profile: 5g}
`)
	_, err := Load(path, environment)
	faults, _ := err.(Faults)
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d:%d %s", f.Line, f.Column, f.Path))
	}
	want := []string{
		"5:10 checks[0].url",
		"7:21 checks[0].expect.status[1]",
		"8:22 checks[0].expect.body_matches[0]",
		"9:15 checks[0].expect.within",
		"10:54 checks[1].type",
		"10:75 checks[1].transport",
		"11:5 checks[2].address",
		"15:40 checks[3].profile.up_kbps",
		"15:44 checks[3].profile.rtt",
		"16:78 checks[4].profile",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, err)
	}
}
