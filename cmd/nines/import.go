package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"nines/scheduler/foreign"
)

func newImportForeign() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import gatus|blackbox|uptime-kuma FILE",
		Short: "Print another prober's configuration as nines YAML",
		Long: `import reads the configuration of Gatus, the modules of a blackbox_exporter or a
JSON backup of Uptime Kuma, and prints a configuration of nines that checks the
same. What does not carry over is said on standard error, one line each:
  file:line:column: where.it.is: what became of it

blackbox_exporter's file holds no targets. Prometheus's does: name it with
--prometheus, and each target that it has probed becomes a check.

FILE may be - for standard input. Look the result over with "nines validate".`,
		Example: `  nines import gatus config.yaml > nines.yaml
  nines import blackbox blackbox.yml --prometheus prometheus.yml > nines.yaml
  nines import uptime-kuma Uptime_Kuma_Backup.json > nines.yaml`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	gatus := importFrom("gatus FILE", "Read a configuration of Gatus")
	gatus.RunE = func(cmd *cobra.Command, args []string) error { return imported(cmd, args[0], foreign.Gatus) }
	kuma := importFrom("uptime-kuma FILE", "Read a JSON backup of Uptime Kuma")
	kuma.RunE = func(cmd *cobra.Command, args []string) error { return imported(cmd, args[0], foreign.UptimeKuma) }
	blackbox := importFrom("blackbox FILE", "Read the modules of a blackbox_exporter")
	prometheus := blackbox.Flags().String("prometheus", "", "the configuration of the Prometheus that scrapes it, for the targets")
	blackbox.MarkFlagFilename("prometheus", "yml", "yaml")
	blackbox.RunE = func(cmd *cobra.Command, args []string) error {
		var targets foreign.File
		if *prometheus != "" {
			var err error
			if targets, err = readForeign(cmd, *prometheus); err != nil {
				return err
			}
		}
		return imported(cmd, args[0], func(f foreign.File) (*foreign.Imported, error) { return foreign.Blackbox(f, targets) })
	}
	cmd.AddCommand(gatus, blackbox, kuma)
	return cmd
}

func importFrom(use, short string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1)}
}

// imported prints what read makes of the file: the configuration on standard
// output and what did not carry over on standard error.
func imported(cmd *cobra.Command, name string, read func(foreign.File) (*foreign.Imported, error)) error {
	f, err := readForeign(cmd, name)
	if err != nil {
		return err
	}
	result, err := read(f)
	if fault := (*foreign.Fault)(nil); errors.As(err, &fault) {
		return inputError{fault}
	}
	if err != nil {
		return err
	}
	for _, note := range result.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), note)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s, %s; look it over with nines validate\n",
		f.Name, plural(result.Checks, "check"), plural(len(result.Notes), "note"))
	_, err = cmd.OutOrStdout().Write(result.YAML)
	return err
}

func readForeign(cmd *cobra.Command, name string) (foreign.File, error) {
	if name == "-" {
		data, err := io.ReadAll(cmd.InOrStdin())
		return foreign.File{Name: "stdin", Data: data}, err
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return foreign.File{}, inputError{err}
	}
	return foreign.File{Name: name, Data: data}, nil
}
