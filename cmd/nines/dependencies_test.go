package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The C library that SQLite was translated against must be the one it was
// tested with; a newer one that another module asks for can corrupt it.
func TestSQLiteHasItsOwnLibc(t *testing.T) {
	list := func(format, module string) string {
		out, err := exec.Command("go", "list", "-m", "-f", format, module).Output()
		if err != nil {
			t.Skipf("go list %s: %v", module, err)
		}
		return strings.TrimSpace(string(out))
	}
	gomod, err := os.ReadFile(list("{{.GoMod}}", "modernc.org/sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`modernc\.org/libc (v\S+)`).FindSubmatch(gomod)
	if wanted == nil {
		t.Fatal("sqlite's go.mod names no libc")
	}
	if got := list("{{.Version}}", "modernc.org/libc"); got != string(wanted[1]) {
		t.Errorf("libc is %s, sqlite wants %s", got, wanted[1])
	}
}
