package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"nines/checks/checkstest"
	"nines/internal/civil"
	"nines/notifier"
	"nines/notifier/notifytest"
	"nines/scheduler/config"
)

//go:embed demo.yaml
var demoYAML string

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole system on this machine with no set-up",
		Long: `demo starts a scheduler, three regions' probers, targets on this machine that
fail on a script, and a sandbox in the place of Slack and Twilio. Within half a
minute the shop goes down in all regions and the page goes out; a minute later
it is back and that is told. Acknowledge in the sandbox, with the Slack button
or by answering the SMS.

Nothing leaves this machine. Everything is in a folder that is removed at the
end, unless --data names one to keep. Ctrl-C stops it.`,
		Example: `  nines demo
  nines demo --port 8080
  PORT=8080 make run`,
		Args: cobra.NoArgs,
	}
	port := cmd.Flags().Int("port", 0, "the port of the status page (default $PORT, or one that is free)")
	data := cmd.Flags().String("data", "", "a folder to keep everything in (default one that is removed at the end)")
	cmd.MarkFlagDirname("data")
	st := story{worksFor: 3 * time.Minute}
	cmd.Flags().DurationVar(&st.failsAfter, "fail-after", 8*time.Second, "when the shop first goes down")
	cmd.Flags().DurationVar(&st.failsFor, "fail-for", 50*time.Second, "how long it stays down")
	level := cmd.Flags().String("log-level", "error", "the least that is logged on standard error: debug, info, warn or error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := newLogger(cmd.ErrOrStderr(), *level, "text")
		if err != nil {
			return err
		}
		if text := os.Getenv("PORT"); !cmd.Flags().Changed("port") && text != "" {
			if *port, err = strconv.Atoi(text); err != nil {
				return inputf("PORT=%s: not a number", text)
			}
		}
		if *port < 0 || *port > 65535 {
			return inputf("port %d: must be from 0 to 65535", *port)
		}
		return runDemo(cmd, *port, *data, st, log)
	}
	return cmd
}

// runDemo runs the demo until the command's context ends.
func runDemo(cmd *cobra.Command, port int, data string, st story, log *slog.Logger) error {
	d := &demo{out: cmd.OutOrStdout()}
	defer d.close()
	if err := d.open(port, data); err != nil {
		return err
	}
	path := filepath.Join(d.dir, "nines.yaml")
	cfg, err := config.Load(path, os.LookupEnv)
	if err != nil {
		return err
	}
	s, err := openSystem(path, cfg, true, d.listener, log)
	if err != nil {
		return err
	}
	s.server.Beside("/sandbox", d.sandbox.Handler())
	d.greet(s, st)
	ctx, cancel := context.WithCancel(cmd.Context())
	var telling sync.WaitGroup
	telling.Go(func() { d.shop.tell(ctx, st, func(format string, args ...any) { d.say("story", format, args...) }) })
	err = s.run(ctx)
	cancel()
	telling.Wait()
	d.say("demo", "stopped")
	return err
}

// demo is what the demo has besides a running system.
type demo struct {
	dir      string
	own      bool // dir is the demo's to remove
	listener net.Listener
	shop     *shop
	tls      io.Closer
	dns      io.Closer
	sandbox  *notifytest.Sandbox

	mu  sync.Mutex // protects out
	out io.Writer
}

// open starts targets and sandbox and writes the configuration.
func (d *demo) open(port int, dir string) (err error) {
	if dir == "" {
		d.own = true
		if d.dir, err = os.MkdirTemp("", "nines-demo-"); err != nil {
			return fmt.Errorf("making the demo's folder: %w", err)
		}
	} else if d.dir, err = filepath.Abs(dir); err != nil {
		return inputError{err}
	} else if err = os.MkdirAll(d.dir, 0o700); err != nil {
		return inputError{fmt.Errorf("making the demo's folder: %w", err)}
	}
	if d.listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		return inputError{fmt.Errorf("listening: %w; choose another --port", err)}
	}
	if d.shop, err = openShop(); err != nil {
		return err
	}
	url := "http://" + d.listener.Addr().String()
	d.sandbox, err = notifytest.New(notifytest.Config{
		Hooks: url, PublicURL: url, DeliverAfter: time.Second, OnMessage: d.arrived,
		AuthToken: newSecret(), SigningSecret: newSecret(), SlackToken: newSecret(),
		People: []notifier.Person{
			{Name: "alice", Phone: "+48500100200", Slack: "U012ALICE"},
			{Name: "bob", Phone: "+12025550123", Slack: "U012BOB"},
		},
	})
	if err != nil {
		return err
	}
	return d.write(url)
}

// write starts the targets that are not HTTP and writes the configuration with
// the files that it names.
func (d *demo) write(url string) error {
	ca, err := checkstest.NewCA()
	if err != nil {
		return err
	}
	cert, err := ca.Issue(checkstest.ExpiringIn(10*24*time.Hour, "shop.example.com"))
	if err != nil {
		return err
	}
	tlsTarget, err := checkstest.NewTLS(cert)
	if err != nil {
		return err
	}
	d.tls = tlsTarget
	zone, err := checkstest.NewDNS("shop.example.com. 60 IN A 192.0.2.10")
	if err != nil {
		return err
	}
	d.dns = zone
	sandbox := d.sandbox.Config()
	var yaml strings.Builder
	err = template.Must(template.New("demo.yaml").Parse(demoYAML)).Execute(&yaml, map[string]string{
		"Listen": d.listener.Addr().String(), "URL": url,
		"Shop": d.shop.url("/"), "Search": d.shop.url("/search"), "Page": d.shop.url("/page"), "Login": d.shop.url("/login"),
		"TLS": tlsTarget.Addr(), "DNS": zone.Addr(),
		"Sandbox": d.sandbox.URL(), "Channel": sandbox.SlackChannel, "AccountSID": sandbox.AccountSID, "From": sandbox.From,
	})
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"nines.yaml":    yaml.String(),
		"api.token":     rand.Text() + "\n",
		"ca.pem":        ca.PEM(),
		"slack.token":   sandbox.SlackToken.Reveal() + "\n",
		"slack.signing": sandbox.SigningSecret.Reveal() + "\n",
		"twilio.token":  sandbox.AuthToken.Reveal() + "\n",
	} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("writing the demo's configuration: %w", err)
		}
	}
	return nil
}

// greet says where everything is.
func (d *demo) greet(s *system, st story) {
	sla := s.cfg.SLA("gold")
	month := civil.MonthOf(time.Now().In(sla.Timezone))
	fmt.Fprintf(d.out, `
nines demo: a shop, watched from three regions. Ctrl-C stops it.

  status page    %[1]s/
  sandbox        %[1]s/sandbox      Slack and SMS arrive here; acknowledge here
  SLA report     %[2]s
  configuration  %[3]s/nines.yaml

In another terminal:
  bin/nines status --scheduler %[1]s --token-file %[3]s/api.token

`, s.baseURL(), s.server.ReportLink(sla.Name, month), d.dir)
	d.say("story", "all is well; the shop's front page fails in %v", st.failsAfter)
}

// arrived prints what came to the sandbox.
func (d *demo) arrived(m notifytest.Message) {
	what := m.Channel
	switch {
	case m.Thread:
		what += " (thread)"
	case m.Edited:
		what += " (edited)"
	case m.Person != "":
		what += " to " + m.Person
	}
	d.say(what, "%s", m.Text)
}

func (d *demo) say(what, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := strings.ReplaceAll(strings.TrimSpace(fmt.Sprintf(format, args...)), "\n", "\n"+strings.Repeat(" ", 27))
	fmt.Fprintf(d.out, "%s  %-15s  %s\n", time.Now().Format(time.TimeOnly), what, text)
}

func (d *demo) close() {
	var errs []error
	if d.shop != nil {
		d.shop.close()
	}
	for _, c := range []io.Closer{d.tls, d.dns} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	if d.sandbox != nil {
		errs = append(errs, d.sandbox.Close())
	}
	if d.listener != nil {
		d.listener.Close()
	}
	if d.own && d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	if err := errors.Join(errs...); err != nil {
		d.say("demo", "cleaning up: %v", err)
	}
}
