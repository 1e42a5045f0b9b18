package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nines/internal/civil"
	"nines/scheduler/oncall"
)

// lintAhead is how far ahead lint looks when it is not told: over the next
// clock change of every zone, and over the holidays.
const lintAhead = 183 * 24 * time.Hour

func newOncallLint() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint -c PATH",
		Short: "Find times at which nobody would be told, and what else is wrong with paging",
		Long: `lint looks at the next half year, or at the span of --from and --to, and finds
  gap          times at which an outage would tell nobody
  unreachable  people whom a step may choose and has no address of
  unused       policies, steps and rotations that never come to anything
  doubt        handoffs at a time that the clocks skip, or show twice
  message      checks whose SMS has no room for all that it should say

The exit code is 0 when it finds nothing, else 1.`,
		Example: `  nines oncall lint -c nines.yaml
  nines oncall lint -c nines.yaml --from 2026-12-20 --to 2027-01-07 --format json`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	flags := cmd.Flags()
	from := flags.String("from", "", "the start of a span, RFC 3339 or a date (default now)")
	to := flags.String("to", "", "its end (default half a year later)")
	format := flags.String("format", "table", "table or json")
	cmd.MarkFlagsRequiredTogether("from", "to")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *format != "table" && *format != "json" {
			return inputf("--format %q: must be table or json", *format)
		}
		now := time.Now().UTC().Truncate(time.Second)
		span := civil.Span{From: now, To: now.Add(lintAhead)}
		if *from != "" {
			var err error
			if span, err = parseSpan(*from, *to); err != nil {
				return err
			}
		}
		if span.Duration() > longestSpan {
			return inputf("--to %s: more than ten years after --from; ask for a shorter span", *to)
		}
		cfg, err := loadConfig(cmd, *path)
		if err != nil {
			return err
		}
		findings := oncall.Lint(cfg, span.From, span.To)
		if err := printFindings(cmd, findings, *format); err != nil {
			return err
		}
		if len(findings) > 0 {
			return badError{}
		}
		return nil
	}
	return cmd
}

func printFindings(cmd *cobra.Command, findings []oncall.Finding, format string) error {
	if format == "json" {
		return writeJSON(cmd, append([]oncall.Finding{}, findings...))
	}
	if len(findings) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "nothing is wrong with paging")
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, f := range findings {
		when := ""
		if f.Kind == oncall.Gap {
			when = fmt.Sprintf("%s to %s: ", f.From.Format(time.RFC3339), f.To.Format(time.RFC3339))
		}
		fmt.Fprintf(w, "%s\t%s\t%s%s\n", f.Kind, f.Where, when, f.What)
	}
	return w.Flush()
}
