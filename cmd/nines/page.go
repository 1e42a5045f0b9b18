package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nines/notifier"
	"nines/scheduler/config"
)

func newPage() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "page",
		Short: "Try that pages arrive",
		Args:  cobra.NoArgs,
		RunE:  showHelp,
	}
	cmd.AddCommand(newPageTest())
	return cmd
}

func newPageTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test --to PERSON -c PATH",
		Short: "Send a real test page and wait for its delivery",
		Long: `test sends a page that says that it is a test to one person, by every channel
that the configuration has and the person an address for, or by those named
with --by. It waits until each is delivered, and exits with 1 if one is not.`,
		Example: `  nines page test --to alice -c nines.yaml
  nines page test --to alice --by sms,voice -c nines.yaml`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	to := cmd.Flags().String("to", "", "the person's name in the configuration")
	by := cmd.Flags().StringSlice("by", nil, "slack, sms, voice, email (default all that are configured)")
	wait := cmd.Flags().Duration("wait", 45*time.Second, "how long to wait for a delivery report")
	cmd.MarkFlagRequired("to")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loadConfig(cmd, *path)
		if err != nil {
			return err
		}
		person := cfg.Person(*to)
		if person == nil {
			return inputf("nobody is called %q; there are: %s", *to, strings.Join(peopleNames(cfg), ", "))
		}
		channels, err := openChannels(cfg)
		if err != nil {
			return err
		}
		wanted := *by
		if len(wanted) == 0 {
			wanted = []string{notifier.Slack, notifier.SMS, notifier.Voice, notifier.Email}
		}
		var notices []notifier.Notice
		for _, n := range notifier.Test(*person, wanted, time.Now()) {
			if channels[n.Channel] != nil {
				notices = append(notices, n)
			} else if len(*by) > 0 {
				return inputf("--by %s: the configuration has no section for it", n.Channel)
			}
		}
		if len(notices) == 0 {
			return inputf("%s has no address for any channel of the configuration", person.Name)
		}
		return sendTests(cmd, cfg, channels, notices, *wait)
	}
	return cmd
}

func peopleNames(cfg *config.Config) []string {
	var names []string
	for _, p := range cfg.People {
		names = append(names, p.Name)
	}
	return names
}

// sendTests sends the notices side by side and prints what became of each.
func sendTests(cmd *cobra.Command, cfg *config.Config, channels map[string]notifier.Channel, notices []notifier.Notice, wait time.Duration) error {
	type outcome struct {
		text string
		ok   bool
	}
	outcomes := make([]chan outcome, len(notices))
	for i, n := range notices {
		outcomes[i] = make(chan outcome, 1)
		m := notifier.Message{Notice: n, Person: *cfg.Person(n.Person)}
		for _, name := range n.Mention {
			m.Mention = append(m.Mention, *cfg.Person(name))
		}
		go func() {
			start := time.Now()
			text, err := deliver(cmd.Context(), channels[n.Channel], m, wait)
			if err != nil {
				outcomes[i] <- outcome{"not delivered: " + err.Error(), false}
				return
			}
			outcomes[i] <- outcome{fmt.Sprintf("%s after %.1f s", text, time.Since(start).Seconds()), true}
		}()
	}
	failed := 0
	for i, n := range notices {
		done := progress(cmd, "waiting for %s", n.Channel)
		o := <-outcomes[i]
		done()
		if !o.ok {
			failed++
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%-6s %s: %s\n", n.Channel, n.Person, printable(o.text))
	}
	if failed > 0 {
		return badError{fmt.Sprintf("%d of %s not delivered", failed, plural(len(notices), "page"))}
	}
	return nil
}

// deliver sends one message and asks the vendor until it is delivered, fails,
// or the wait is over.
func deliver(ctx context.Context, channel notifier.Channel, m notifier.Message, wait time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	receipt, err := channel.Send(ctx, m)
	if err != nil {
		return "", err
	}
	if receipt.Delivered {
		return "taken by the vendor, which reports no further", nil
	}
	for {
		select {
		case <-ctx.Done():
			return "", errors.New("the vendor took it and reported no delivery in time")
		case <-time.After(500 * time.Millisecond):
		}
		state, detail, err := channel.Status(ctx, receipt.ID)
		switch {
		case err != nil && ctx.Err() == nil:
			return "", err
		case state == notifier.Delivered:
			return "delivered", nil
		case state == notifier.Failed:
			return "", errors.New(detail)
		}
	}
}
