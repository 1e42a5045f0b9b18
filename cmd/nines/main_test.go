package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What cannot be used is exit code 2 and a single line that says what would be
// right, whoever finds it: cobra's flags, our arguments, a file.
func TestUnusableInput(t *testing.T) {
	t.Setenv("NINES_API_TOKEN", "")
	good := filepath.Join(t.TempDir(), "nines.yaml")
	if err := os.WriteFile(good, []byte("checks: [{name: shop, kind: http, url: https://shop.example.com/}]\nslas: [{name: gold, checks: [shop], target: 99, timezone: UTC}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ args, says string }{
		"unknown command":         {"chekc", `unknown command "chekc"; did you mean check?`},
		"unknown subcommand":      {"results frob", `unknown command "frob"`},
		"unknown shell":           {"completion nosuch", `unknown command "nosuch"`},
		"unknown flag":            {"check --nope", "unknown flag: --nope"},
		"flag left out":           {"validate", `required flag(s) "config" not set; see "nines validate --help"`},
		"flags that exclude":      {"oncall -c " + good + " --at 2026-01-01 --from 2026-01-01 --to 2026-01-02", "[at from]"},
		"argument left out":       {"ack", "accepts 1 arg(s), received 0"},
		"not a number":            {"ack x", `"x" is not an incident's number`},
		"no token":                {"ack 1", "no token"},
		"no such file":            {"validate -c " + good + ".not", "cannot be read"},
		"no such check":           {"check -c " + good + " blog", `no check is called "blog"; there are: shop`},
		"no such SLA":             {"replay -c " + good + " --results " + os.DevNull + " --sla silver", `no SLA is called "silver"; there are: gold`},
		"no such format":          {"report -c " + good + " --format docx", `--format "docx": must be json, csv, html or pdf`},
		"no store":                {"report -c " + good, "there is no store at"},
		"a month to come":         {"replay -c " + good + " --results " + os.DevNull + " --month 2099-01", "has not begun yet"},
		"not a port":              {"demo --port 99999", "must be from 0 to 65535"},
		"not a range":             {"prober --scheduler http://127.0.0.1:1 --name a --token-file x --data x --allow 10/8", "not a range"},
		"not a scheduler":         {"prober --scheduler ftp://a --name a --token-file x --data x", "not an address"},
		"not a log level":         {"run -c " + good + " --log-level loud", "must be debug, info, warn or error"},
		"silence of nothing":      {"silence", "name a check"},
		"a page to somebody else": {"page test --to zoe -c " + good, `nobody is called "zoe"`},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), strings.Fields(test.args), strings.NewReader(""), &out, &errs); code != exitUsage {
				t.Errorf("exit code %d, not %d", code, exitUsage)
			}
			if out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), test.says) {
				t.Errorf("printed %q and %q, which should say: %s", &out, &errs, test.says)
			}
		})
	}
}
