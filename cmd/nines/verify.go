package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nines/internal/civil"
	"nines/scheduler"
	"nines/scheduler/api"
	"nines/scheduler/config"
	"nines/scheduler/report"
)

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify REPORT --results FILE -c PATH",
		Short: "Check a report against the results that it came from",
		Long: `verify computes a report in JSON again, from a file of results and the
configuration, and compares every figure. What only the scheduler knew is taken
from the report: when an outage was discovered and acknowledged, and the
revision.

If REPORT.sig is there, or --key is given, the signature is checked first:
--key names the public key of whoever must have signed, in PEM as
"openssl pkey -pubout" writes it.

It exits with 1 if the signature or any figure is wrong.`,
		Example: `  nines results export -c nines.yaml > results.ndjson
  nines verify gold-2026-10.json --results results.ndjson -c nines.yaml
  nines verify gold-2026-10.json --results results.ndjson -c nines.yaml --key provider.pem`,
		Args: cobra.ExactArgs(1),
	}
	path := configFlag(cmd)
	results := cmd.Flags().String("results", "", "the file of results, or - for standard input")
	key := cmd.Flags().String("key", "", "the public key that the report must be signed with")
	signature := cmd.Flags().String("signature", "", "the file of the signature (default REPORT.sig)")
	cmd.MarkFlagRequired("results")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := os.ReadFile(args[0])
		if err != nil {
			return inputError{err}
		}
		file := *signature
		if file == "" {
			file = args[0] + ".sig"
		}
		if err := verifySignature(cmd, body, file, *key, *key != "" || *signature != ""); err != nil {
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
		return verifyReports(cmd, cfg, args[0], body, source)
	}
	return cmd
}

// verifySignature checks the signature in a file, which may be missing unless
// it must be there.
func verifySignature(cmd *cobra.Command, body []byte, file, keyFile string, must bool) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !must {
		fmt.Fprintln(cmd.OutOrStdout(), "signature: none")
		return nil
	}
	if err != nil {
		return inputError{err}
	}
	var key ed25519.PublicKey
	if keyFile != "" {
		pem, err := os.ReadFile(keyFile)
		if err != nil {
			return inputError{err}
		}
		if key, err = report.ParsePublicKey(pem); err != nil {
			return inputf("%s: %w", keyFile, err)
		}
	}
	by, err := report.VerifySignature(body, text, key)
	if errors.Is(err, report.ErrForged) {
		return badError{fmt.Sprintf("%s: %v", file, err)}
	}
	if err != nil {
		return inputf("%s: %w", file, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "signature: good, by %s\n", base64.StdEncoding.EncodeToString(by))
	return nil
}

// claimed is what a report says that its results cannot.
type claimed struct {
	SLA      string    `json:"sla"`
	Month    string    `json:"month"`
	To       time.Time `json:"to"`
	Revision int       `json:"revision"`
	Outages  []struct {
		Check    string    `json:"check"`
		From     time.Time `json:"from"`
		Discover *float64  `json:"discover_seconds"`
		Respond  *float64  `json:"respond_seconds"`
	} `json:"outages"`
}

// knowing is a file of results, with what a report says was done.
type knowing struct {
	*report.FileSource
	claimed claimed
}

// Milestones implements report.Source.
func (k knowing) Milestones(_ context.Context, check string, _, _ time.Time) ([]report.Milestone, error) {
	var list []report.Milestone
	for _, o := range k.claimed.Outages {
		if o.Check != check || o.Discover == nil {
			continue
		}
		m := report.Milestone{From: o.From, Opened: o.From.Add(elapsed(*o.Discover))}
		if o.Respond != nil {
			m.Acknowledged = m.Opened.Add(elapsed(*o.Respond))
		}
		list = append(list, m)
	}
	return list, nil
}

func elapsed(seconds float64) time.Duration {
	return time.Duration(seconds*1000+.5) * time.Millisecond
}

// verifyReports computes each report of a file again.
func verifyReports(cmd *cobra.Command, cfg *config.Config, name string, body []byte, source *report.FileSource) error {
	var each []json.RawMessage
	var claims []claimed
	if err := errors.Join(json.Unmarshal(body, &each), json.Unmarshal(body, &claims)); err != nil {
		return inputf("%s: is not a report in JSON: %w", name, err)
	}
	wrong := 0
	for i, claim := range claims {
		differ, err := verifyReport(cmd.Context(), cfg, claim, each[i], source)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %s\n", claim.SLA, claim.Month, judged(differ))
		for _, m := range differ {
			fmt.Fprintf(cmd.OutOrStdout(), "  %s: the report says %s, the results %s\n", m.Figure, orNothing(m.Before), orNothing(m.After))
		}
		if len(differ) > 0 {
			wrong++
		}
	}
	if wrong > 0 {
		return badError{fmt.Sprintf("%s: %s differ from the results", name, plural(wrong, "report"))}
	}
	return nil
}

func judged(differ []api.Move) string {
	if len(differ) == 0 {
		return "every figure is right"
	}
	return plural(len(differ), "figure") + " not right"
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// verifyReport returns the figures in which a report differs from its results.
func verifyReport(ctx context.Context, cfg *config.Config, claim claimed, body json.RawMessage, source *report.FileSource) ([]api.Move, error) {
	promise := cfg.SLA(claim.SLA)
	if promise == nil {
		return nil, inputf("the configuration has no SLA called %q; give the one that the report was made by", claim.SLA)
	}
	month, err := civil.ParseMonth(claim.Month)
	if err != nil {
		return nil, inputf("the report's month: %w", err)
	}
	// A month that was still running when the report was made ended then.
	r, err := report.BuildExact(ctx, cfg, promise, month, claim.To, knowing{source, claim})
	if err != nil {
		return nil, inputError{err}
	}
	r.Revision = claim.Revision
	var again bytes.Buffer
	if err := report.WriteJSON(&again, []*report.Report{r}); err != nil {
		return nil, err
	}
	moved, err := scheduler.Moved(joined(body), again.Bytes())
	if err != nil {
		return nil, inputf("reading the report: %w", err)
	}
	var hashes []struct {
		SHA string `json:"results_sha256"`
	}
	if err := errors.Join(json.Unmarshal(joined(body), &hashes)); err == nil && hashes[0].SHA != r.ResultsSHA256 {
		moved = append(moved, api.Move{Figure: "results_sha256", Before: hashes[0].SHA, After: r.ResultsSHA256})
	}
	return moved, nil
}

// joined is an array of one report.
func joined(body json.RawMessage) []byte {
	return []byte("[" + strings.TrimSpace(string(body)) + "]")
}
