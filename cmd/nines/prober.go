package main

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"nines/checks"
	"nines/internal/secret"
	"nines/prober"
)

func newProber() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prober --scheduler URL --name NAME --token-file F --data DIR",
		Short: "Run one prober; its region is what the scheduler says it is",
		Long: `prober runs the checks that the scheduler gives it and sends back what it finds.
It only connects outwards, through a proxy if need be. Every result is on its disk before it counts and is
kept until the scheduler has it, through restarts and kill -9 of either.

It probes public addresses only. --allow admits a private range; no scheduler
can.

SIGTERM and Ctrl-C finish what is in flight, send it and exit 0.`,
		Example: `  nines prober --scheduler https://status.example.com --name fra-1 \
    --token-file /etc/nines/fra-1.token --data /var/lib/nines`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	address := flags.String("scheduler", "", "the scheduler's address, such as https://status.example.com")
	name := flags.String("name", "", "this prober's name in the scheduler's configuration")
	tokenFile := flags.String("token-file", "", "the file that holds this prober's token")
	data := flags.String("data", "", "the folder for results that are not sent yet")
	allow := flags.StringArray("allow", nil, "a private range that may be probed, such as 10.0.0.0/8 (repeatable)")
	proxy := flags.String("proxy", "", "go through this proxy to the scheduler, such as http://proxy:3128 or socks5://proxy:1080 (default: as HTTPS_PROXY says)")
	caFile := flags.String("ca-file", "", "trust the certificates of this PEM file for the scheduler, instead of the system's")
	source := flags.String("source-ip", "", "the address that probes leave from")
	for _, required := range []string{"scheduler", "name", "token-file", "data"} {
		cmd.MarkFlagRequired(required)
	}
	cmd.MarkFlagFilename("token-file")
	cmd.MarkFlagFilename("ca-file", "pem", "crt")
	cmd.MarkFlagDirname("data")
	logger := logFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		if err := checkSchedulerURL(*address); err != nil {
			return err
		}
		if !checks.ValidName(*name) {
			return inputf("--name %q: must be 1 to 63 of a-z, 0-9 and -", *name)
		}
		env, err := probeEnv(*allow, *source)
		if err != nil {
			return err
		}
		token, err := readToken(*tokenFile)
		if err != nil {
			return err
		}
		through, err := readProxy(*proxy)
		if err != nil {
			return err
		}
		roots, err := readRoots(*caFile)
		if err != nil {
			return err
		}
		p, err := prober.New(prober.Config{
			Scheduler: *address, Name: *name, Token: token, Renew: func() (secret.String, error) { return readToken(*tokenFile) },
			Proxy: through, Roots: roots, DataDir: *data, Env: env, Log: log.With("prober", *name), Version: version,
		})
		if err != nil {
			return err
		}
		log.Info("probing", "prober", *name, "scheduler", *address, "version", version)
		return p.Run(cmd.Context())
	}
	return cmd
}

// probeEnv reads --allow and --source-ip.
func probeEnv(allow []string, source string) (checks.Env, error) {
	var env checks.Env
	for _, text := range allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return env, inputf("--allow %q: not a range; write it as 10.0.0.0/8", text)
		}
		env.Allow = append(env.Allow, prefix.Masked())
	}
	if source != "" {
		ip, err := netip.ParseAddr(source)
		if err != nil {
			return env, inputf("--source-ip %q: not an address; write it as 192.0.2.7", source)
		}
		env.SourceIP = ip
	}
	return env, nil
}

// readProxy reads --proxy; nil when it is not given.
func readProxy(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return nil, inputf("--proxy: not a proxy; write one such as http://proxy.example.com:3128 or socks5://proxy.example.com:1080")
	}
	return u, nil
}

// readRoots reads --ca-file; nil when it is not given.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, inputError{fmt.Errorf("reading the certificates: %w", err)}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, inputf("--ca-file %s: holds no certificate; name a PEM file with BEGIN CERTIFICATE", path)
	}
	return roots, nil
}

// checkSchedulerURL says what is wrong with the value of --scheduler.
func checkSchedulerURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return inputf("--scheduler %q: not an address; write it as https://status.example.com", text)
	}
	return nil
}
