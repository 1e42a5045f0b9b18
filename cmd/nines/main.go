// Command nines watches public endpoints from several regions, judges what it
// sees, pages whoever is on call, shows a public status page and writes the
// monthly SLA report.
//
// This package puts the rooms together, one small file a command; nothing of
// what nines knows is decided here. It may import everything.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // zones must not depend on the machine

	"github.com/spf13/cobra"

	"nines/scheduler/config"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(execute()) }

// execute runs the command line that the process was started with.
func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// Exit codes, as users' scripts rely on them.
const (
	exitDone  = 0
	exitBad   = 1 // the thing asked about is bad
	exitUsage = 2 // the input is unusable
)

// badError says that a command did its work and the answer is a bad one.
type badError struct{ message string }

func (e badError) Error() string { return e.message }

// inputError wraps what is wrong with flags, files or arguments.
type inputError struct{ err error }

func (e inputError) Error() string { return e.err.Error() }
func (e inputError) Unwrap() error { return e.err }

// inputf makes an inputError.
func inputf(format string, args ...any) error { return inputError{fmt.Errorf(format, args...)} }

// run runs one command line and returns its exit code. It is the whole program
// but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ran := noteRuns(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !*ran {
		// Flags or arguments were refused before the command itself had a say.
		err = inputf("%w; see %q", err, cmd.CommandPath()+" --help")
	}
	return exitCode(err, stderr)
}

// noteRuns has cmd and all its commands note when one of them has begun to run.
func noteRuns(cmd *cobra.Command) *bool {
	ran := new(bool)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if run := cmd.RunE; run != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				*ran = true
				return run(cmd, args)
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(cmd)
	return ran
}

// exitCode prints err as users should see it and returns the code it stands for.
func exitCode(err error, stderr io.Writer) int {
	var (
		bad    badError
		input  inputError
		faults config.Faults
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &bad):
		if bad.message != "" {
			fmt.Fprintln(stderr, bad.message)
		}
		return exitBad
	case errors.As(err, &faults):
		for _, fault := range faults {
			fmt.Fprintln(stderr, fault)
		}
		return exitUsage
	case errors.As(err, &input):
		fmt.Fprintln(stderr, "nines:", input)
		return exitUsage
	}
	fmt.Fprintln(stderr, "nines:", err)
	return exitBad
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "nines",
		Short: "External SLA probing: check, judge, page, report",
		Long: `nines watches public endpoints from several regions, judges what it sees,
pages whoever is on call, shows a public status page and writes the monthly
SLA report.

Start with "nines demo", which runs the whole system on this machine with no
set-up; then write a nines.yaml, look it over with "nines validate -c nines.yaml",
try a check once with "nines check -c nines.yaml NAME", and run it all with
"nines run -c nines.yaml".

Exit codes: 0 done, 1 the thing asked about is bad, 2 the input is unusable.`,
		SilenceErrors: true,
		// Two letters swapped or one missing is a slip, not another word.
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		Args:                       noCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		newDemo(), newRun(), newScheduler(), newProber(),
		newCheck(), newValidate(), newSchema(),
		newStatus(), newAck(), newResolve(), newSilence(),
		newOncall(), newPage(),
		newReport(), newReplay(), newVerify(), newSimulate(), newResults(), newBackup(), newImportForeign(),
		newVersion(),
	)
	root.InitDefaultCompletionCmd()
	for _, sub := range root.Commands() {
		if sub.Name() == "completion" { // a shell that it does not know is no success
			sub.Args, sub.RunE = cobra.NoArgs, showHelp
		}
	}
	return root
}

// noCommand refuses a word that is no command, naming those that look like it.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	message := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(message)
}

// showHelp is what a command does that only holds others.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }
