// Package deploy_test holds the files of this folder against the programs that
// read them, where these are installed.
package deploy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nines/internal/peer"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// run runs a program and returns everything that it printed.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// units copies the units to a folder of their own, with a program that exists
// here in place of nines and a name for the template.
func units(t *testing.T) (dir string, names []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, pattern := range []string{"*.service", "*.timer"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	dir = t.TempDir()
	for _, file := range files {
		name := strings.Replace(file, "@.", "@fra-1.", 1)
		text := strings.ReplaceAll(read(t, file), "/usr/local/bin/nines", self)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return dir, names
}

func TestUnits(t *testing.T) {
	analyze := peer.Program(t, "systemd-analyze")
	dir, names := units(t)
	want := []string{"nines-backup.service", "nines-backup.timer", "nines-prober@fra-1.service", "nines.service"}
	if !slices.Equal(names, want) {
		t.Fatalf("the units are %q, want %q", names, want)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			out, err := run(t, analyze, "verify", filepath.Join(dir, name))
			if err != nil {
				t.Errorf("verify: %v\n%s", err, out)
			}
			// What it does not know it only warns of. It may also have something
			// to say about this machine's own units.
			for line := range strings.Lines(out) {
				if strings.Contains(line, "nines") {
					t.Errorf("verify: %s", line)
				}
			}
			if filepath.Ext(name) != ".service" {
				return
			}
			// In tenths, of 10 for a service that may do everything.
			if out, err := run(t, analyze, "security", "--offline=true", "--threshold=15", filepath.Join(dir, name)); err != nil {
				t.Errorf("is exposed: %v\n%s", err, out)
			}
		})
	}
}

// What the units rely on, whoever reads them.
func TestServices(t *testing.T) {
	for file, lines := range map[string][]string{
		"nines.service": {"DynamicUser=yes", "StateDirectory=nines", "KillSignal=SIGTERM", "Restart=always", "StartLimitIntervalSec=0",
			"ExecReload=/bin/kill -HUP $MAINPID", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="},
		"nines-prober@.service": {"DynamicUser=yes", "StateDirectory=nines-prober-%i", "KillSignal=SIGTERM", "Restart=always",
			"StartLimitIntervalSec=0", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="},
	} {
		text := read(t, file)
		for _, line := range lines {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("%s lacks %s", file, line)
			}
		}
	}
	// A prober that gets SIGHUP dies of it.
	if strings.Contains(read(t, "nines-prober@.service"), "\nExecReload=") {
		t.Error("nines-prober@.service reloads, and there is nothing to reload")
	}
}

// Every command line in this folder is one that nines takes.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("builds nines")
	}
	nines := filepath.Join(t.TempDir(), "nines")
	if out, err := run(t, "go", "build", "-o", nines, "../cmd/nines"); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	var lines []string
	files, err := filepath.Glob("*.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, m := range regexp.MustCompile(`(?m)^Exec.*/usr/local/bin/nines (.*?)'?$`).FindAllStringSubmatch(read(t, file), -1) {
			lines = append(lines, m[1])
		}
	}
	cmd := regexp.MustCompile(`(?m)^CMD \[(.*)\]$`).FindStringSubmatch(read(t, "Dockerfile"))
	if cmd == nil {
		t.Fatal("the Dockerfile has no CMD")
	}
	lines = append(lines, strings.NewReplacer(`"`, "", ",", "").Replace(cmd[1]))
	if len(lines) != 5 {
		t.Errorf("there are %d command lines: %q", len(lines), lines)
	}
	for _, line := range lines {
		line = regexp.MustCompile(`"[^"]*"`).ReplaceAllString(line, "copy.db") // the shell's part
		line = strings.ReplaceAll(line, "$NINES_PROBER_FLAGS", "--source-ip 192.0.2.7 --allow 10.0.0.0/8")
		args := append(strings.Fields(line), "--help")
		out, err := run(t, nines, args...)
		if err != nil || !strings.Contains(out, "nines "+args[0]) {
			t.Errorf("nines %s: %v\n%s", line, err, out)
		}
	}
}

func TestDockerfile(t *testing.T) {
	text := read(t, "Dockerfile")
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod"))
	if version == nil {
		t.Fatal("go.mod names no Go version")
	}
	build, final, ok := strings.Cut(text, "\nFROM scratch\n")
	if !ok {
		t.Fatal("the image is not made from scratch")
	}
	if !strings.Contains(build, "FROM golang:"+version[1]+" AS build\n") {
		t.Errorf("go.mod wants Go %s, the image is built with another", version[1])
	}
	if !strings.Contains(build, "CGO_ENABLED=0 make build") {
		t.Error("the binary is not built without cgo")
	}
	for _, want := range []string{"\nUSER 65532:65532\n", "ca-certificates.crt", "\nSTOPSIGNAL SIGTERM\n", "ENTRYPOINT [\"/nines\"]"} {
		if !strings.Contains(final, want) {
			t.Errorf("the image lacks %q", want)
		}
	}
	if strings.Contains(final, "\nRUN ") {
		t.Error("there is nothing in the image that could RUN")
	}
}

// The README speaks of every file here.
func TestReadme(t *testing.T) {
	readme := read(t, "README.md")
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == "README.md", strings.HasSuffix(name, "_test.go"), strings.HasSuffix(name, ".dockerignore"):
		case !strings.Contains(readme, "`"+name+"`"):
			t.Errorf("README.md does not speak of %s", name)
		}
	}
}
