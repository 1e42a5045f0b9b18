package main

import (
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
)

// logFlags adds --log-level and --log-format to a command that runs for long
// and returns a function that makes the logger once flags are parsed.
func logFlags(cmd *cobra.Command) func() (*slog.Logger, error) {
	level := cmd.Flags().String("log-level", "info", "the least that is logged: debug, info, warn or error")
	format := cmd.Flags().String("log-format", "text", "how log lines look on standard error: text or json")
	return func() (*slog.Logger, error) { return newLogger(cmd.ErrOrStderr(), *level, *format) }
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
		return nil, inputf("--log-level %q: must be debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, inputf("--log-format %q: must be text or json", format)
}
