package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nines/internal/civil"
	"nines/scheduler"
	"nines/scheduler/config"
	"nines/scheduler/report"
	"nines/scheduler/store"
)

// reportFlags are those that report and replay share.
type reportFlags struct {
	month, sla, format, output string
	failOnBreach               bool
	recount                    bool // report only
}

func addReportFlags(cmd *cobra.Command) *reportFlags {
	var f reportFlags
	flags := cmd.Flags()
	flags.StringVar(&f.month, "month", "", "the calendar month, such as 2026-10, in each SLA's own zone")
	flags.StringVar(&f.sla, "sla", "", "one SLA by its name (default all)")
	flags.StringVar(&f.format, "format", "json", "json, csv, html or pdf")
	flags.StringVarP(&f.output, "output", "o", "", "write to this file instead of standard output")
	flags.BoolVar(&f.failOnBreach, "fail-on-breach", false, "exit with 1 if an SLA is breached")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"json", "csv", "html", "pdf"}, cobra.ShellCompDirectiveNoFileComp))
	return &f
}

func newReport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report -c PATH --month YYYY-MM",
		Short: "Write the monthly SLA report from the store",
		Long: `report reads the store that the configuration names and writes the report of a
month: availability with its worst and best case, the outages with how long
discovering, responding and fixing took, error budget, credit and how it was
all counted. A scheduler may be running meanwhile.

The month that is still running ends now. Without --month it is that one. A
month that is closed is shown as it was closed, in its latest revision;
--recount counts it again from the store, by the configuration as it is now.`,
		Example: `  nines report -c nines.yaml --month 2026-10
  nines report -c nines.yaml --month 2026-10 --sla gold --format html -o gold.html
  nines report -c nines.yaml --month 2026-10 --sla gold --format pdf -o gold.pdf
  nines report -c nines.yaml --month 2026-10 --fail-on-breach > /dev/null`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	flags := addReportFlags(cmd)
	cmd.Flags().BoolVar(&flags.recount, "recount", false, "count a closed month again instead of showing it as it was closed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		write, err := flags.writer()
		if err != nil {
			return err
		}
		return withStore(cmd, *path, func(cfg *config.Config, s *store.Store) error {
			return writeReport(cmd, cfg, flags, write, archive{scheduler.ReportSource(s), s}, thisMonth)
		})
	}
	return cmd
}

func newReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay -c PATH --results FILE",
		Short: "Compute the same report from a file of results alone, without a store",
		Long: `replay computes the report from results as "nines results export" writes them,
one JSON object a line, in any order. Whoever has the configuration and the
results gets the same figures; what only the scheduler knew, such as who
acknowledged when, is null.

Without --month it is the month that holds most of the results. --results -
reads standard input.`,
		Example: `  nines replay -c nines.yaml --results results.ndjson --month 2026-10
  nines results export -c nines.yaml | nines replay -c nines.yaml --results -`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	results := cmd.Flags().String("results", "", "the file of results, or - for standard input")
	cmd.MarkFlagRequired("results")
	cmd.MarkFlagFilename("results", "ndjson", "jsonl")
	flags := addReportFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		write, err := flags.writer()
		if err != nil {
			return err
		}
		cfg, err := loadConfig(cmd, *path)
		if err != nil {
			return err
		}
		in, name, err := openInput(cmd, *results)
		if err != nil {
			return err
		}
		defer in.Close()
		done := progress(cmd, "reading %s", name)
		source, err := report.NewFileSource(name, in)
		done()
		if err != nil {
			return err
		}
		return writeReport(cmd, cfg, flags, write, source, func(sla *config.SLA, now time.Time) civil.Month {
			if month, ok := source.Month(sla.Timezone, sla.Checks); ok {
				return month
			}
			return civil.MonthOf(now.In(sla.Timezone))
		})
	}
	return cmd
}

// writer returns what writes the format that was asked for.
func (f *reportFlags) writer() (reportWriter, error) {
	switch f.format {
	case "json":
		return report.WriteJSON, nil
	case "csv":
		return report.WriteCSV, nil
	case "html":
		return report.WriteHTML, nil
	case "pdf":
		return report.WritePDF, nil
	}
	return nil, inputf("--format %q: must be json, csv, html or pdf", f.format)
}

type reportWriter func(io.Writer, []*report.Report) error

// monthFunc chooses the month to report on when no flag says it.
type monthFunc func(sla *config.SLA, now time.Time) civil.Month

// thisMonth is the month that is still running.
func thisMonth(sla *config.SLA, now time.Time) civil.Month {
	return civil.MonthOf(now.In(sla.Timezone))
}

// writeReport builds the reports that flags ask for and writes them.
func writeReport(cmd *cobra.Command, cfg *config.Config, flags *reportFlags, write reportWriter, source report.Source, month monthFunc) error {
	slas, err := chooseSLAs(cfg, flags.sla)
	if err != nil {
		return err
	}
	if flags.month != "" {
		fixed, err := civil.ParseMonth(flags.month)
		if err != nil {
			return inputf("--month: %w", err)
		}
		month = func(*config.SLA, time.Time) civil.Month { return fixed }
	}
	done := progress(cmd, "counting %s", plural(len(slas), "SLA"))
	made, err := makeReports(cmd.Context(), cfg, slas, month, source, flags, write)
	done()
	if err != nil {
		return err
	}
	if flags.output != "" {
		if err := os.WriteFile(flags.output, made.body, 0o644); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	} else if _, err := cmd.OutOrStdout().Write(made.body); err != nil {
		return err
	}
	if flags.failOnBreach && len(made.breached) > 0 {
		return badError{"breached: " + strings.Join(made.breached, ", ")}
	}
	return nil
}

// archive is a store as a source: it has closed months too.
type archive struct {
	report.Summaries
	store *store.Store
}

// madeReports are reports as they are written.
type madeReports struct {
	body     []byte
	breached []string // SLAs
}

// makeReports shows the SLAs' months as they were closed, where all of them
// are and the format can be put together, and counts them otherwise.
func makeReports(ctx context.Context, cfg *config.Config, slas []*config.SLA, month monthFunc, source report.Source, flags *reportFlags, write reportWriter) (made madeReports, err error) {
	now := time.Now()
	stored, ok := source.(archive)
	if ok && !flags.recount && (len(slas) == 1 || flags.format == "json") {
		if made, ok, err = closedReports(ctx, stored.store, slas, month, now, flags.format); ok || err != nil {
			return made, err
		}
	}
	reports := make([]*report.Report, 0, len(slas))
	for _, sla := range slas {
		m := month(sla, now)
		if from, _ := m.Bounds(sla.Timezone); !from.Before(now) {
			return made, inputf("--month %s: has not begun yet in %s; name one that has", m, sla.Timezone)
		}
		r, err := report.Build(ctx, cfg, sla, m, now, source)
		if err != nil {
			return made, err
		}
		if stored.store != nil {
			if r.Earlier, err = scheduler.EarlierMonths(ctx, stored.store, sla.Name, m); err != nil {
				return made, err
			}
		}
		if reports = append(reports, r); r.Verdict == "breached" {
			made.breached = append(made.breached, r.SLA)
		}
	}
	var out bytes.Buffer
	err = write(&out, reports)
	made.body = out.Bytes()
	return made, err
}

// closedReports returns the months as they were closed; false where one is not.
func closedReports(ctx context.Context, s *store.Store, slas []*config.SLA, month monthFunc, now time.Time, format string) (made madeReports, ok bool, err error) {
	var all []json.RawMessage
	for _, sla := range slas {
		m := month(sla, now)
		told, err := s.Report(ctx, sla.Name, m, "json")
		if err == nil {
			made.body = told.Body
			if format != "json" {
				var shown store.Report
				shown, err = s.Report(ctx, sla.Name, m, format)
				made.body = shown.Body
			}
		}
		if errors.Is(err, store.ErrNotFound) {
			return madeReports{}, false, nil
		}
		var list []json.RawMessage
		var verdicts []struct {
			Verdict string `json:"verdict"`
		}
		if err == nil {
			err = errors.Join(json.Unmarshal(told.Body, &list), json.Unmarshal(told.Body, &verdicts))
		}
		if err != nil {
			return madeReports{}, false, err
		}
		all = append(all, list...)
		if len(verdicts) > 0 && verdicts[0].Verdict == "breached" {
			made.breached = append(made.breached, sla.Name)
		}
	}
	if len(slas) == 1 {
		return made, true, nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(all)
	made.body = out.Bytes()
	return made, err == nil, err
}

func chooseSLAs(cfg *config.Config, name string) ([]*config.SLA, error) {
	var slas []*config.SLA
	var names []string
	for i := range cfg.SLAs {
		if name == "" || cfg.SLAs[i].Name == name {
			slas = append(slas, &cfg.SLAs[i])
		}
		names = append(names, cfg.SLAs[i].Name)
	}
	switch {
	case len(names) == 0:
		return nil, inputf("the configuration has no slas; add one to report on")
	case len(slas) == 0:
		return nil, inputf("no SLA is called %q; there are: %s", name, strings.Join(names, ", "))
	}
	return slas, nil
}

// withStore calls do with the configuration and the store that a scheduler has
// made where it says.
func withStore(cmd *cobra.Command, path string, do func(*config.Config, *store.Store) error) error {
	cfg, err := loadConfig(cmd, path)
	if err != nil {
		return err
	}
	s, err := store.OpenExisting(cfg.Store)
	if errors.Is(err, fs.ErrNotExist) {
		return inputf("there is no store at %s yet; \"nines run\" or \"nines scheduler\" makes it", cfg.Store)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	return do(cfg, s)
}

// openInput opens a file, or standard input for -, and names it for errors.
func openInput(cmd *cobra.Command, path string) (io.ReadCloser, string, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), "stdin", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", inputError{err}
	}
	return f, path, nil
}
