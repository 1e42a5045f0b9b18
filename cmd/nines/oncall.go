package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nines/notifier/rotation"
	"nines/scheduler/config"
)

func newOncall() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "oncall -c PATH",
		Short: "Say who is on call: now, at a time, or every shift in a span",
		Long: `oncall says who is on call: now, with --at at that time, or with --from and --to
every shift in that span. It reads the configuration alone; what it prints is
what paging goes by.

Tables show the rotation's own zone. JSON and ICS are in UTC. A date stands for
its midnight in UTC.`,
		Example: `  nines oncall -c nines.yaml
  nines oncall -c nines.yaml --at 2026-12-24T18:00:00Z
  nines oncall -c nines.yaml --from 2026-12-01 --to 2027-01-01 --rotation primary
  nines oncall -c nines.yaml --from 2026-12-01 --to 2027-01-01 --format ics > oncall.ics`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newOncallLint())
	path := configFlag(cmd)
	flags := cmd.Flags()
	at := flags.String("at", "", "a time, RFC 3339 or a date (default now)")
	from := flags.String("from", "", "the start of a span, RFC 3339 or a date")
	to := flags.String("to", "", "the end of a span, RFC 3339 or a date")
	name := flags.String("rotation", "", "one rotation by its name (default all)")
	format := flags.String("format", "table", "table, json or ics")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"table", "json", "ics"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.MarkFlagsMutuallyExclusive("at", "from")
	cmd.MarkFlagsMutuallyExclusive("at", "to")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !slices.Contains([]string{"table", "json", "ics"}, *format) {
			return inputf("--format %q: must be table, json or ics", *format)
		}
		if (*from == "") != (*to == "") {
			return inputf("--from and --to go together; give both, or neither")
		}
		cfg, err := loadConfig(cmd, *path)
		if err != nil {
			return err
		}
		rotations, err := chooseRotations(cfg, *name)
		if err != nil {
			return err
		}
		list, err := listShifts(rotations, *at, *from, *to, *format == "ics")
		if err != nil {
			return err
		}
		switch *format {
		case "json":
			return rotation.WriteJSON(cmd.OutOrStdout(), list)
		case "ics":
			return rotation.WriteICS(cmd.OutOrStdout(), "On call", list, time.Now())
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "nobody is on call")
			return err
		}
		return rotation.WriteTable(cmd.OutOrStdout(), list)
	}
	return cmd
}

func chooseRotations(cfg *config.Config, name string) ([]*rotation.Rotation, error) {
	if name == "" {
		return cfg.Rotations, nil
	}
	if r := cfg.Rotation(name); r != nil {
		return []*rotation.Rotation{r}, nil
	}
	var names []string
	for _, r := range cfg.Rotations {
		names = append(names, r.Name)
	}
	return nil, inputf("no rotation is called %q; there are: %s", name, strings.Join(names, ", "))
}

// listShifts returns the shifts of a span in the order in which they begin, or
// those that are under way at a time.
// A calendar knows a shift by its start, so that there the first is whole.
func listShifts(rotations []*rotation.Rotation, at, from, to string, calendar bool) ([]rotation.Listed, error) {
	var list []rotation.Listed
	if from == "" {
		t := time.Now()
		if at != "" {
			var err error
			if t, err = parseTime("at", at); err != nil {
				return nil, err
			}
		}
		return underWay(rotations, t), nil
	}
	span, err := parseSpan(from, to)
	if err != nil {
		return nil, err
	}
	if span.To.Sub(span.From) > longestSpan {
		return nil, inputf("--to %s: more than ten years after --from; ask for a shorter span", to)
	}
	for _, r := range rotations {
		if calendar {
			list = append(list, r.ListBegun(span.From, span.To)...)
		} else {
			list = append(list, r.List(span.From, span.To)...)
		}
	}
	slices.SortStableFunc(list, func(a, b rotation.Listed) int {
		return cmp.Or(a.From.Compare(b.From), strings.Compare(a.Rotation, b.Rotation))
	})
	return list, nil
}

// longestSpan bounds what one command lists.
const longestSpan = 3660 * 24 * time.Hour

// horizon is how far ahead the end of a shift under way is looked for; one
// that lasts longer is cut there.
const horizon = 100 * 24 * time.Hour

// underWay returns the shifts that contain t, whole.
func underWay(rotations []*rotation.Rotation, t time.Time) []rotation.Listed {
	var list []rotation.Listed
	for _, r := range rotations {
		for _, shift := range r.ListBegun(t, t.Add(horizon)) {
			if !shift.From.After(t) {
				list = append(list, shift)
			}
		}
	}
	return list
}
