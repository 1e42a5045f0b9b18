package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"nines/checks"
	"nines/scheduler/config"
)

// configFlag adds -c to a command and returns where its value will be.
func configFlag(cmd *cobra.Command) *string {
	path := cmd.Flags().StringP("config", "c", "", "the configuration: a YAML file, or a directory of *.yaml")
	cmd.MarkFlagRequired("config")
	cmd.MarkFlagFilename("config", "yaml", "yml")
	return path
}

// loadConfig reads the configuration and prints its warnings to stderr.
func loadConfig(cmd *cobra.Command, path string) (*config.Config, error) {
	cfg, err := config.Load(path, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), w.String()+" (warning)")
	}
	return cfg, nil
}

// progress tells a person at a terminal what takes a while, until the function
// that it returns is called. In a pipe it says nothing.
func progress(cmd *cobra.Command, format string, args ...any) (done func()) {
	f, ok := cmd.ErrOrStderr().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}
	}
	fmt.Fprintf(f, format+"…", args...)
	return func() { fmt.Fprint(f, "\r\x1b[K") } // back to the line's start, and clear it
}

// plural returns "1 check", "2 checks", and "2 people" for the one noun that
// has its own plural.
func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case noun == "person":
		return fmt.Sprintf("%d people", n)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func newValidate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate -c PATH",
		Short: "Read the configuration and say what is wrong with it",
		Long: `validate reads the whole configuration and connects to nothing.

Every fault is one line on standard error:
  file:line:column: where.it.is: what is wrong, and what would be right
With a fault the exit code is 2. What is valid but looks wrong is printed as a
warning and does not change the exit code.`,
		Example: `  nines validate -c nines.yaml
  nines validate -c /etc/nines/`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loadConfig(cmd, *path)
		if err != nil {
			return err
		}
		for _, w := range browserWarnings(cfg, checks.HasBrowser()) {
			fmt.Fprintln(cmd.ErrOrStderr(), w+" (warning)")
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %s in %s, %s, %s, %s\n", *path,
			plural(len(cfg.Checks), "check"), plural(len(cfg.Regions), "region"), plural(len(cfg.SLAs), "SLA"),
			plural(len(cfg.Rotations), "rotation"), plural(len(cfg.People), "person"))
		return err
	}
	return cmd
}

// browserWarnings says which checks will not find the browser that they need:
// those of regions that would be probed from this machine, if it has none.
func browserWarnings(cfg *config.Config, has bool) []string {
	if has {
		return nil
	}
	here := map[string]bool{}
	for _, r := range localRegions(cfg) {
		here[r.Name] = true
	}
	var warnings []string
	for i := range cfg.Checks {
		c := &cfg.Checks[i]
		loads, ok := c.Spec.Options.(interface{ NeedsBrowser() bool })
		if ok && loads.NeedsBrowser() && slices.ContainsFunc(c.Regions, func(name string) bool { return here[name] }) {
			warnings = append(warnings, fmt.Sprintf("checks[%s].page: no chromium is found on this machine, so runs from here will be unknown (prober.browser); install it, or name it in NINES_BROWSER", c.Name))
		}
	}
	return warnings
}

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration",
		Long: `schema prints the JSON Schema of the configuration, for editors that complete
and check YAML. Save it and name it in the first line of nines.yaml:

  # yaml-language-server: $schema=nines.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(append(schema, '\n'))
			return err
		},
	}
}

// writeJSON prints v for machines and people.
func writeJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
