package main

import (
	"github.com/spf13/cobra"
)

func newRun() *cobra.Command {
	return serveCommand(&cobra.Command{
		Use:   "run -c PATH",
		Short: "Run the scheduler, and a prober for every region that has none",
		Long: `run starts everything in one process: the scheduler and, for every region that
no remote prober is configured for, a prober on this machine.

` + signalsHelp,
		Example: `  nines run -c nines.yaml`,
	}, true)
}

func newScheduler() *cobra.Command {
	return serveCommand(&cobra.Command{
		Use:   "scheduler -c PATH",
		Short: "Run the scheduler alone: API, verdicts, pages, status page, jobs",
		Long: `scheduler runs the server without any prober of its own. Probers join from
elsewhere with "nines prober"; each needs an entry under "probers".

` + signalsHelp,
		Example: `  nines scheduler -c /etc/nines/`,
	}, false)
}

const signalsHelp = `SIGHUP reads the configuration again and keeps the old one, saying why, if the
new one is bad. SIGTERM and Ctrl-C stop taking work, finish what is in flight,
lose nothing and exit 0.`

// serveCommand makes cmd serve the configuration that -c names.
func serveCommand(cmd *cobra.Command, local bool) *cobra.Command {
	cmd.Args = cobra.NoArgs
	path := configFlag(cmd)
	logger := logFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		cfg, err := loadConfig(cmd, *path)
		if err != nil {
			return err
		}
		s, err := openSystem(*path, cfg, local, nil, log)
		if err != nil {
			return err
		}
		log.Info("serving", "url", s.baseURL(), "checks", len(cfg.Checks), "regions", len(cfg.Regions), "version", version)
		return s.run(cmd.Context())
	}
	return cmd
}
