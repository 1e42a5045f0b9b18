// Package peer is for tests against real programs: it finds them, or has the
// test skipped with the reason. Where CI is set nothing is skipped: there the
// programs must be, since .ci/run installs them.
//
// It imports nothing of this module and is imported by tests alone.
package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program returns the path of a program by its name, looking in PATH and where
// Debian keeps what only the administrator runs.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if path = filepath.Join("/usr/sbin", name); executable(path) {
		return path
	}
	Missing(t, "%s is not installed", name)
	return ""
}

// Missing ends a test that lacks something of the machine: a failure where CI
// is set, else a skip with the reason.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format+"; under CI it must be", args...)
	}
	t.Skipf(format, args...)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
