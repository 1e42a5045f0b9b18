package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the house's plan: which of our own packages each room may
// import. A pattern ending in /... stands for the rooms beneath it as well.
// Packages under internal are leaves that everybody may import. Only product
// code counts: a test may bring in whatever it needs.
var mayImport = map[string][]string{
	"cmd/nines":            {"..."},
	"checks":               {"checks/browser", "checks/dnssec", "checks/starttls", "checks/throttle"},
	"checks/browser":       {},
	"checks/throttle":      {},
	"checks/checkstest":    {},
	"checks/starttls":      {},
	"checks/dnssec":        {},
	"regions":              {"checks"},
	"prober":               {"regions", "checks", "checks/throttle"},
	"notifier":             {"notifier/rotation"},
	"notifier/rotation":    {},
	"notifier/slack":       {"notifier"},
	"notifier/twilio":      {"notifier"},
	"notifier/email":       {"notifier"},
	"notifier/notifytest":  {"notifier"},
	"scheduler":            {"scheduler/...", "notifier/...", "regions", "checks"},
	"scheduler/api":        {"scheduler/...", "notifier/...", "regions", "checks"},
	"scheduler/config":     {"notifier", "notifier/rotation", "regions", "checks"},
	"scheduler/fleet":      {"scheduler/config", "regions", "checks"},
	"scheduler/foreign":    {},
	"scheduler/incident":   {"notifier", "regions", "checks"},
	"scheduler/oncall":     {"scheduler/config", "notifier", "notifier/rotation"},
	"scheduler/report":     {"scheduler/config", "scheduler/sla", "regions", "checks"},
	"scheduler/simulate":   {"scheduler/config", "scheduler/report", "notifier", "regions", "checks"},
	"scheduler/sla":        {},
	"scheduler/statuspage": {"regions", "checks"},
	"scheduler/store":      {"scheduler/incident", "notifier", "regions", "checks"},
	"internal/civil":       {},
	"internal/peer":        {},
	"internal/secret":      {},
}

// onlyIn is which packages may import a third-party module of weight.
var onlyIn = map[string][]string{
	"github.com/miekg/dns":           {"checks", "checks/checkstest", "checks/dnssec"},
	"github.com/quic-go/quic-go":     {"checks", "checks/checkstest"},
	"github.com/klauspost/compress":  {"checks"},
	"github.com/andybalholm/brotli":  {"checks"},
	"golang.org/x/oauth2":            {"checks"},
	"github.com/expr-lang/expr":      {"checks"},
	"github.com/ohler55/ojg":         {"checks"},
	"github.com/chromedp/chromedp":   {"checks/browser"},
	"github.com/chromedp/cdproto":    {"checks/browser"},
	"github.com/slack-go/slack":      {"notifier/slack"},
	"github.com/twilio/twilio-go":    {"notifier/twilio"},
	"modernc.org/sqlite":             {"scheduler/store", "prober"},
	"github.com/go-co-op/gocron/v2":  {"scheduler", "prober"},
	"go.yaml.in/yaml/v4":             {"scheduler/config", "scheduler/foreign"},
	"github.com/wneessen/go-mail":    {"notifier/email"},
	"github.com/spf13/cobra":         {"cmd/nines"},
	"codeberg.org/go-pdf/fpdf":       {"scheduler/report"},
	"github.com/go-fonts/dejavu":     {"scheduler/report"},
	"golang.org/x/image":             {"scheduler/report"},
	"github.com/teambition/rrule-go": {"scheduler/config"},
}

func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "testdata" || name == "node_modules" || len(name) > 2 && name[0] == '.' && name != ".." {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		room := filepath.ToSlash(rel)
		seen[room] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			checkImport(t, path, room, imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range seen {
		if _, planned := mayImport[room]; !planned {
			t.Errorf("%s is not in the plan; say in mayImport what it may import", room)
		}
	}
	for room := range mayImport {
		if !seen[room] {
			t.Errorf("%s is in the plan and not in the house", room)
		}
	}
}

func checkImport(t *testing.T, path, room, imported string) {
	t.Helper()
	if own, ok := strings.CutPrefix(imported, "nines/"); ok {
		if strings.HasPrefix(own, "internal/") {
			return
		}
		allowed := slices.ContainsFunc(mayImport[room], func(pattern string) bool {
			prefix, tree := strings.CutSuffix(pattern, "...")
			if !tree {
				return own == pattern
			}
			return strings.HasPrefix(own+"/", prefix)
		})
		if !allowed {
			t.Errorf("%s: %s may not import %s", path, room, own)
		}
		return
	}
	for module, rooms := range onlyIn {
		if (imported == module || strings.HasPrefix(imported, module+"/")) && !slices.Contains(rooms, room) {
			t.Errorf("%s: only %s may import %s", path, strings.Join(rooms, " and "), module)
		}
	}
}
