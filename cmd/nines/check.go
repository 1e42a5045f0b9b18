package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"nines/checks"
	"nines/scheduler/config"
)

// localRegion is the region and prober of results that a command made itself.
const localRegion = "local"

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check -c PATH [NAME…]",
		Short: "Run checks once from here and print what they find",
		Long: `check runs the named checks, or all of them, once from this machine and prints
status, phases, facts and reason. Nothing is stored and nobody is paged.

Private addresses are reached only where the configuration's "allow" has them.
The exit code is 0 when everything is up or degraded, else 1.`,
		Example: `  nines check -c nines.yaml
  nines check -c nines.yaml shop cert
  nines check -c nines.yaml --json | jq 'select(.status != "up")'`,
	}
	path := configFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one result a line as JSON")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		cfg, err := loadConfig(cmd, *path)
		if err != nil {
			return err
		}
		chosen, err := chooseChecks(cfg, names)
		if err != nil {
			return err
		}
		done := progress(cmd, "running %s", plural(len(chosen), "check"))
		results := runOnce(cmd, cfg, chosen)
		done()
		bad := 0
		for i := range results {
			if s := results[i].Status; s != checks.Up && s != checks.Degraded {
				bad++
			}
			if err := printResult(cmd.OutOrStdout(), &results[i], *asJSON); err != nil {
				return err
			}
		}
		if bad > 0 {
			return badError{fmt.Sprintf("%d of %s not up", bad, plural(len(results), "check"))}
		}
		return nil
	}
	return cmd
}

// chooseChecks returns the named checks, or all when none is named.
func chooseChecks(cfg *config.Config, names []string) ([]*config.Check, error) {
	var chosen []*config.Check
	if len(names) == 0 {
		for i := range cfg.Checks {
			chosen = append(chosen, &cfg.Checks[i])
		}
	}
	for _, name := range names {
		c := cfg.Check(name)
		if c == nil {
			return nil, inputf("no check is called %q; there are: %s", name, strings.Join(checkNames(cfg), ", "))
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

func checkNames(cfg *config.Config) []string {
	var names []string
	for i := range cfg.Checks {
		names = append(names, cfg.Checks[i].Name)
	}
	return names
}

// runOnce runs the checks side by side and returns their results in order.
func runOnce(cmd *cobra.Command, cfg *config.Config, chosen []*config.Check) []checks.Result {
	env := &checks.Env{Allow: cfg.Allow}
	slot := time.Now()
	results := make([]checks.Result, len(chosen))
	atOnce := make(chan struct{}, 32)
	var running sync.WaitGroup
	for i, c := range chosen {
		running.Go(func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			results[i] = c.Spec.Run(cmd.Context(), env, slot)
			results[i].Region, results[i].Prober = localRegion, localRegion
		})
	}
	running.Wait()
	return results
}

func printResult(w io.Writer, r *checks.Result, asJSON bool) error {
	if asJSON {
		return checks.WriteRecord(w, checks.Record{Result: r})
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-9s %s  %s ms", r.Status, r.Check, millis(r.TookMS))
	if r.Reason != "" {
		fmt.Fprintf(&b, "  %s", r.Reason)
	}
	b.WriteByte('\n')
	if r.Detail != "" {
		fmt.Fprintf(&b, "          %s\n", printable(r.Detail))
	}
	if line := phaseLine(r.Phases); line != "" {
		fmt.Fprintf(&b, "          phases: %s\n", line)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Facts)) {
		fmt.Fprintf(&b, "          %s: %s\n", name, printable(fmt.Sprint(r.Facts[name])))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// phaseOrder is the order in which phases happen.
var phaseOrder = [...]string{"dns", "connect", "tls", "first_byte", "transfer"}

func phaseLine(phases checks.Phases) string {
	var parts []string
	for _, name := range phaseOrder {
		if ms, ok := phases[name]; ok {
			parts = append(parts, fmt.Sprintf("%s %s ms", strings.ReplaceAll(name, "_", " "), millis(ms)))
		}
	}
	return strings.Join(parts, ", ")
}

func millis(ms float64) string { return fmt.Sprintf("%.1f", ms) }

// printable keeps what a target said from moving the terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return '·'
		}
		return r
	}, s)
}
