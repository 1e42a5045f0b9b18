package main

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"nines/checks"
	"nines/scheduler/config"
	"nines/scheduler/store"
)

func newResults() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "results",
		Short: "Take results out of the store, or put them in, as NDJSON",
		Long:  `results moves results between the store and files of one JSON object a line.`,
		Args:  cobra.NoArgs,
		RunE:  showHelp,
	}
	cmd.AddCommand(newExport(), newImport())
	return cmd
}

func newExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export -c PATH",
		Short: "Print stored results and quarantines, one JSON object a line",
		Long: `export prints every stored result with its time in [--from, --to), and the
quarantines that overlap it, as "nines replay" and "nines results import" read
them. A scheduler may be running meanwhile.`,
		Example: `  nines results export -c nines.yaml --from 2026-10-01 --to 2026-11-01 > october.ndjson`,
		Args:    cobra.NoArgs,
	}
	path := configFlag(cmd)
	from := cmd.Flags().String("from", "2000-01-01", "the first time, RFC 3339 or a date")
	to := cmd.Flags().String("to", "2100-01-01", "the time to end before, RFC 3339 or a date")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		span, err := parseSpan(*from, *to)
		if err != nil {
			return err
		}
		return withStore(cmd, *path, func(_ *config.Config, s *store.Store) error {
			out := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
			for record, err := range s.Export(cmd.Context(), span.From, span.To) {
				if err != nil {
					return err
				}
				if err := checks.WriteRecord(out, record); err != nil {
					return err
				}
			}
			return out.Flush()
		})
	}
	return cmd
}

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import -c PATH [FILE]",
		Short: "Store results from a file, or from standard input",
		Long: `import stores the results and quarantines of a file that are not in the store
yet; importing twice changes nothing. A line that is no result is said with its
number, and then nothing at all is stored.`,
		Example: `  nines results import -c nines.yaml october.ndjson`,
		Args:    cobra.MaximumNArgs(1),
	}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := loadConfig(cmd, *path)
		if err != nil {
			return err
		}
		file := "-"
		if len(args) == 1 {
			file = args[0]
		}
		records, err := readRecords(cmd, file)
		if err != nil {
			return err
		}
		s, err := store.Open(cfg.Store)
		if err != nil {
			return err
		}
		defer s.Close()
		done := progress(cmd, "storing %s", plural(len(records), "record"))
		added, known, err := s.Import(cmd.Context(), func(yield func(checks.Record, error) bool) {
			for _, record := range records {
				if !yield(record, nil) {
					return
				}
			}
		})
		done()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s stored, %d already there\n", plural(added, "record"), known)
		return err
	}
	return cmd
}

// readRecords reads a whole file of results before anything is done with it.
func readRecords(cmd *cobra.Command, path string) ([]checks.Record, error) {
	in, name, err := openInput(cmd, path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var records []checks.Record
	for record, err := range checks.ReadRecords(in) {
		if err != nil {
			return nil, inputError{fmt.Errorf("%s:%w", name, err)}
		}
		records = append(records, record)
	}
	return records, nil
}

func newBackup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of the store while it is in use",
		Long: `backup writes a copy of the store to a new file, whole or not at all, while a
scheduler may be writing. To restore, stop the scheduler, put the copy where
"store" points (removing its -wal and -shm) and start again.`,
		Example: `  nines backup /backup/nines-$(date +%F).db -c /etc/nines/nines.yaml`,
		Args:    cobra.ExactArgs(1),
	}
	path := cmd.Flags().StringP("config", "c", "nines.yaml", "the configuration: a YAML file, or a directory of *.yaml")
	cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := os.Lstat(args[0]); err == nil {
			return inputf("%s is there already; name a new file", args[0])
		}
		return withStore(cmd, *path, func(_ *config.Config, s *store.Store) error {
			start := time.Now()
			if err := s.Backup(cmd.Context(), args[0]); err != nil {
				return err
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes in %v\n", args[0], info.Size(), time.Since(start).Round(time.Millisecond))
			return err
		})
	}
	return cmd
}
