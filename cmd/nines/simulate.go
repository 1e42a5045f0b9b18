package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nines/scheduler"
	"nines/scheduler/config"
	"nines/scheduler/simulate"
	"nines/scheduler/store"
)

func newSimulate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate -c PATH --from T --to T [--set check.NAME.quorum=2]…",
		Short: "Replay stored results through changed rules: what would have been different",
		Long: `simulate judges the results of a span twice, by the configuration as it is and
with the changes of --set, and says which outages would have been gained and
lost, how many messages sent, and how the SLAs would have moved. Nothing is
changed and nobody is told.

A change names an entry and a key of it, and a value as YAML:
  check.NAME.KEY   sla.NAME.KEY   policy.NAME.KEY   rotation.NAME.KEY
  defaults.KEY     check.NAME.retries=0 (as if nothing had been tried again)
Keys may go deeper: policy.web.steps[0].wait=10m.

Messages are counted as if each arrived at once; an outage that somebody
acknowledged is taken to be acknowledged at the same time. A scheduler may be
running meanwhile.`,
		Example: `  nines simulate -c nines.yaml --from 2026-10-01 --to 2026-11-01 --set check.shop.quorum=2
  nines simulate -c nines.yaml --from 2026-10-01 --to 2026-11-01 \
    --set defaults.quorum=all --set 'check.shop.regions=[eu-west, us-east]' --format json`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	flags := cmd.Flags()
	from := flags.String("from", "", "the first instant, RFC 3339 or a date")
	to := flags.String("to", "", "the end, not included")
	cmd.MarkFlagRequired("from")
	cmd.MarkFlagRequired("to")
	sets := flags.StringArray("set", nil, "a change, such as check.shop.quorum=2; may be repeated")
	format := flags.String("format", "table", "table or json")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *format != "table" && *format != "json" {
			return inputf("--format %q: must be table or json", *format)
		}
		span, err := parseSpan(*from, *to)
		if err != nil {
			return err
		}
		return withStore(cmd, *path, func(cfg *config.Config, s *store.Store) error {
			plan := simulate.Plan{Before: cfg, From: span.From, To: span.To, Source: scheduler.ReportSource(s)}
			if err := changePlan(&plan, *path, *sets); err != nil {
				return err
			}
			done := progress(cmd, "judging %s twice", plural(len(cfg.Checks), "check"))
			outcome, err := simulate.Run(cmd.Context(), plan)
			done()
			if err != nil {
				return err
			}
			if *format == "json" {
				return writeJSON(cmd, struct {
					Changes []string `json:"changes"`
					*simulate.Outcome
				}{append([]string{}, *sets...), outcome})
			}
			return printOutcome(cmd.OutOrStdout(), outcome)
		})
	}
	return cmd
}

// changePlan reads the configuration again with the changes.
func changePlan(plan *simulate.Plan, path string, sets []string) error {
	var changes []config.Change
	plan.NoRetry = map[string]bool{}
	for _, text := range sets {
		change, err := config.ParseChange(text)
		if err != nil {
			return inputf("--set: %w", err)
		}
		if check, isRetries := retriesOf(change.Path); isRetries {
			if plan.Before.Check(check) == nil {
				return inputf("--set %s: there is no check called %q", text, check)
			}
			switch strings.TrimSpace(change.Value) {
			case "0":
				plan.NoRetry[check] = true
			case "1":
			default:
				return inputf("--set %s: a run is tried again once or not at all; write 0 or 1", text)
			}
			continue
		}
		changes = append(changes, change)
	}
	var err error
	plan.After, err = config.LoadChanged(path, os.LookupEnv, changes)
	return err
}

// retriesOf returns the check of a path check.NAME.retries.
func retriesOf(path string) (check string, ok bool) {
	rest, isCheck := strings.CutPrefix(path, "check.")
	check, isRetries := strings.CutSuffix(rest, ".retries")
	return check, isCheck && isRetries
}

// printOutcome writes what would have been different for people.
func printOutcome(out io.Writer, o *simulate.Outcome) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s to %s\tbefore\tafter\n", o.From.Format(time.RFC3339), o.To.Format(time.RFC3339))
	fmt.Fprintf(w, "outages\t%d\t%d\n", o.OutagesBefore, o.OutagesAfter)
	fmt.Fprintf(w, "down\t%s\t%s\n", length(o.SecondsBefore), length(o.SecondsAfter))
	fmt.Fprintf(w, "messages\t%d\t%d\n", o.PagesBefore, o.PagesAfter)
	for _, s := range o.SLAs {
		fmt.Fprintf(w, "SLA %s\t%s%% %s\t%s%% %s\n", s.SLA, s.AvailabilityBefore, s.VerdictBefore, s.AvailabilityAfter, s.VerdictAfter)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, c := range o.Checks {
		fmt.Fprintf(out, "\n%s\n", c.Check)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, outage := range c.Gained {
			fmt.Fprintf(w, "  gained\t%s\n", outageText(outage))
		}
		for _, outage := range c.Lost {
			fmt.Fprintf(w, "  lost\t%s\n", outageText(outage))
		}
		for _, m := range c.Moved {
			fmt.Fprintf(w, "  was\t%s\n  is\t%s\n", outageText(m.Before), outageText(m.After))
		}
		if c.PagesBefore != c.PagesAfter {
			fmt.Fprintf(w, "  messages\t%d instead of %d\n", c.PagesAfter, c.PagesBefore)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if len(o.Checks)+len(o.SLAs) == 0 {
		fmt.Fprintln(out, "\nNothing would have been different.")
	}
	return nil
}

func outageText(o simulate.Outage) string {
	return fmt.Sprintf("%s\t%s\t%s\tfrom %s", o.From.Format(time.RFC3339), length(o.Seconds), o.Reason, strings.Join(o.Regions, ", "))
}

func length(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
