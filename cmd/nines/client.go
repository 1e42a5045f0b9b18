package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nines/scheduler/api"
)

// clientFlags adds --scheduler and --token-file to a command that talks to a
// running scheduler and returns a function that makes its client.
func clientFlags(cmd *cobra.Command) func() (*api.Client, error) {
	address := cmd.Flags().String("scheduler", "", "the scheduler's address (default $NINES_SCHEDULER, or http://127.0.0.1:8080)")
	tokenFile := cmd.Flags().String("token-file", "", "the file that holds api_token (default the token in $NINES_API_TOKEN)")
	cmd.MarkFlagFilename("token-file")
	return func() (*api.Client, error) {
		base := cmp.Or(*address, os.Getenv("NINES_SCHEDULER"), "http://127.0.0.1:8080")
		if err := checkSchedulerURL(base); err != nil {
			return nil, err
		}
		c := &api.Client{BaseURL: base}
		if *tokenFile == "" {
			if err := c.Token.UnmarshalText([]byte(os.Getenv("NINES_API_TOKEN"))); err != nil {
				return nil, err
			}
			if c.Token.IsZero() {
				return nil, inputf("no token; name a file with --token-file, or set NINES_API_TOKEN")
			}
			return c, nil
		}
		var err error
		c.Token, err = readToken(*tokenFile)
		return c, err
	}
}

const clientHelp = `

--scheduler and --token-file say where and who; so do NINES_SCHEDULER and
NINES_API_TOKEN.`

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how things are: checks, open incidents, probers",
		Long: `status asks a running scheduler for the verdict on every check, what each region
says, the incidents that are not over, and the probers. It exits with 0 whatever
the answer is.` + clientHelp,
		Example: `  nines status --scheduler https://status.example.com --token-file api.token
  nines status --json | jq '.incidents'`,
		Args: cobra.NoArgs,
	}
	client := clientFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print the answer as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		s, err := c.Status(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(cmd, s)
		}
		var b bytes.Buffer
		printStatus(&b, &s)
		_, err = cmd.OutOrStdout().Write(b.Bytes())
		return err
	}
	return cmd
}

func printStatus(b *bytes.Buffer, s *api.Status) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHECK\tVERDICT\tSINCE\tREGIONS")
	for _, c := range s.Checks {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Check, c.Verdict, shortTime(c.Since), votes(c.Votes))
	}
	w.Flush()
	if len(s.Incidents) > 0 {
		fmt.Fprintln(w, "\nINCIDENT\tCHECK\tSTATE\tREASON\tSINCE\tBY")
		for _, i := range s.Incidents {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.Check, i.State, i.Reason, shortTime(i.OutageFrom), printable(cmp.Or(i.AcknowledgedBy, "-")))
		}
		w.Flush()
	}
	if len(s.Silences) > 0 {
		fmt.Fprintln(w, "\nSILENCE\tCHECK\tUNTIL\tWHY")
		for _, q := range s.Silences {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", q.ID, q.Check, shortTime(q.To), printable(cmp.Or(q.Why, "-")))
		}
		w.Flush()
	}
	if len(s.Budgets) > 0 {
		fmt.Fprintln(w, "\nSLA\tTARGET\tBUDGET LEFT\tOF\tBURN 1h\t6h\t3d\tGONE BY")
		for _, budget := range s.Budgets {
			rate := map[string]float64{}
			for _, r := range budget.Burn {
				rate[r.Over] = r.Rate
			}
			gone := shortTime(budget.ExhaustedAt)
			if budget.Exhausted {
				gone = "exhausted"
			}
			fmt.Fprintf(w, "%s\t%s %%\t%s\t%s\t%.3g\t%.3g\t%.3g\t%s\n", budget.SLA, budget.Target,
				seconds(budget.LeftSeconds), seconds(budget.AllowedSeconds), rate["1h"], rate["6h"], rate["3d"], gone)
		}
		w.Flush()
	}
	fmt.Fprintln(w, "\nPROBER\tREGION\tSTATE\tCLOCK\tCHECKS")
	for _, p := range s.Probers {
		state := "never seen"
		switch {
		case p.Connected:
			state = "connected"
		case !p.LastSeen.IsZero():
			state = "gone since " + shortTime(p.LastSeen)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%+.0f ms\t%d\n", p.Prober, p.Region, state, p.OffsetMS, p.Checks)
	}
	w.Flush()
}

// votes shows what each region says, and why when it is not up.
func votes(list []api.Vote) string {
	var parts []string
	for _, v := range list {
		text := v.Region + " " + cmp.Or(v.Status, "silent")
		if v.Reason != "" {
			text += " (" + v.Reason + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// shortTime shows a time in UTC to the second; - is no time.
func shortTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func newAck() *cobra.Command {
	return changeCommand("ack", "acknowledged", &cobra.Command{
		Use:   "ack ID",
		Short: "Acknowledge an incident: it is in your hands now",
		Long: `ack stops an incident's escalation and tells those who were paged who has it.
Acknowledging twice is harmless and says who was first.` + clientHelp,
		Example: `  nines ack 41 --scheduler https://status.example.com --token-file api.token`,
	})
}

func newResolve() *cobra.Command {
	return changeCommand("resolve", "resolved", &cobra.Command{
		Use:   "resolve ID",
		Short: "Resolve an incident by hand",
		Long: `resolve ends an incident without waiting for its check to recover. Incidents
whose check recovers end by themselves.` + clientHelp,
		Example: `  nines resolve 41 --scheduler https://status.example.com --token-file api.token`,
	})
}

// changeCommand makes cmd acknowledge or resolve the incident that its argument
// names.
func changeCommand(verb, done string, cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	client := clientFlags(cmd)
	who := cmd.Flags().String("who", "", "in whose name (default the name of this account)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || id < 1 {
			return inputf("%q is not an incident's number; \"nines status\" shows them", args[0])
		}
		c, err := client()
		if err != nil {
			return err
		}
		change, by := c.Acknowledge, func(i api.Incident) string { return i.AcknowledgedBy }
		if verb == "resolve" {
			change, by = c.Resolve, func(i api.Incident) string { return i.ResolvedBy }
		}
		ch, err := change(cmd.Context(), id, cmp.Or(*who, accountName()))
		if err != nil {
			return clientError(err)
		}
		name := printable(cmp.Or(by(ch.Incident), "the check's recovery"))
		already := ""
		if !ch.Changed {
			already = "already "
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "incident %d (%s) %s%s by %s\n", id, ch.Check, already, done, name)
		return err
	}
	return cmd
}

// accountName is who runs the command, as far as the machine knows.
func accountName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "operator"
}

// clientError tells what the scheduler could not use from what went wrong.
func clientError(err error) error {
	var p *api.Problem
	if errors.As(err, &p) && p.Status >= 400 && p.Status < 500 {
		return inputError{err}
	}
	return err
}

func newSilence() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "silence CHECK --for DURATION",
		Short: "Keep a check from paging anybody for a while",
		Long: `silence has outages of a check recorded and shown, and nobody paged, for as long
as --for says. --end N ends silence N early; "nines status" lists them. What is
silenced counts against the SLA all the same: planned work belongs under
"maintenance" in the configuration.` + clientHelp,
		Example: `  nines silence shop --for 2h --why "moving the database"
  nines silence --end 3`,
		Args: cobra.MaximumNArgs(1),
	}
	client := clientFlags(cmd)
	length := cmd.Flags().String("for", "1h", "how long, such as 30m, 2h or 1d")
	why := cmd.Flags().String("why", "", "why, for the log")
	who := cmd.Flags().String("who", "", "in whose name (default the name of this account)")
	end := cmd.Flags().Int64("end", 0, "the number of a silence to end now")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (*end != 0) == (len(args) == 1) {
			return inputf("name a check, or a silence to end with --end")
		}
		c, err := client()
		if err != nil {
			return err
		}
		if *end != 0 {
			if err := c.EndSilence(cmd.Context(), *end); err != nil {
				return clientError(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "silence %d ended\n", *end)
			return err
		}
		s, err := c.Silence(cmd.Context(), api.NewSilence{Check: args[0], For: *length, Why: *why, Who: cmp.Or(*who, accountName())})
		if err != nil {
			return clientError(err)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "silence %d: %s pages nobody until %s\n", s.ID, s.Check, shortTime(s.To))
		return err
	}
	return cmd
}

// seconds is a length, rounded to whole seconds.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
