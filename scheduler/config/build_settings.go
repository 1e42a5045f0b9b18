package config

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"nines/internal/secret"
)

const day = 24 * time.Hour

func (b *builder) buildSettings() {
	d, c := &b.doc, b.cfg
	c.Listen = string(d.Listen)
	c.PublicURL = string(d.PublicURL)
	c.DeadMan = string(d.DeadMan)
	c.Store = b.storePath(string(d.Store))
	c.APIToken = b.apiToken()
	c.ReportKey = b.reportKey()
	for _, r := range d.Allow {
		c.Allow = append(c.Allow, netip.Prefix(r))
	}
	c.Retention = d.Retention.Results
	switch {
	case c.Retention < day:
		b.fault(d.Retention.At, "results", "is %s; write at least 1d", formatDuration(c.Retention))
	case c.Retention < 33*day:
		b.warn(d.Retention.At, "results", "is %s, and the percentiles of a month's report are exact only if its results, which are up to 33d old then, are there; write at least 33d", formatDuration(c.Retention))
	}
	if c.PublicURL == "" && (d.Slack != nil || d.Twilio != nil) {
		b.warn(b.root, "public_url", "is not set, so that links in pages lead to %s and vendors' hooks cannot be checked; write how the world reaches this server", c.Listen)
	}
}

// storePath returns the absolute path of the SQLite file. The value is never
// quoted: what is no path may hold a password.
func (b *builder) storePath(store string) string {
	switch {
	case strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://"):
		b.fault(b.root, "store", "PostgreSQL is not supported by this version; write the path of a SQLite file, such as nines.db")
	case strings.Contains(store, "://") || strings.HasPrefix(store, "file:"):
		b.fault(b.root, "store", "is a URL; write the path of a SQLite file, such as nines.db")
	}
	return besides(b.root.nearest("store"), store)
}

// reportKey returns the key that reports are signed with, or nil.
func (b *builder) reportKey() ed25519.PrivateKey {
	if b.doc.ReportKey == nil {
		return nil
	}
	block, _ := pem.Decode([]byte(b.doc.ReportKey.Reveal()))
	if block != nil {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, ok := key.(ed25519.PrivateKey); ok {
				return key
			}
		}
	}
	b.fault(b.root, "report_key", "is not an Ed25519 private key in PEM; make one with openssl genpkey -algorithm ed25519")
	return nil
}

// apiToken returns the token. Without one nobody can use the commands that
// talk to a running scheduler, which matters once somebody is paged.
func (b *builder) apiToken() secret.String {
	token := b.doc.APIToken
	switch {
	case token == nil && len(b.doc.Policies) > 0 && !b.partial:
		b.warn(b.root, "api_token", "is not set, so that the operator API and commands such as nines ack answer nobody; write api_token: ${NINES_API_TOKEN}")
	case token != nil && token.IsZero():
		b.warn(b.root, "api_token", "is empty, so that the operator API answers nobody; write a token, or leave the key out")
	}
	if token == nil {
		return secret.String{}
	}
	return *token
}

// defaultRegion is the region of a configuration that names none.
const defaultRegion = "local"

func (b *builder) buildRegions() {
	for i := range b.doc.Regions {
		s := &b.doc.Regions[i]
		r := Region{Name: string(s.Name), Title: string(s.Title), SourceIP: netip.Addr(s.SourceIP)}
		if r.Title == "" {
			r.Title = r.Name
		}
		if r.SourceIP.IsValid() {
			for _, p := range b.doc.Probers {
				if p.Region == s.Name {
					b.fault(s.At, "source_ip", "is for in-process probers, and region %s has the remote prober %s; give that one --source-ip instead", r.Name, p.Name)
					break
				}
			}
		}
		b.cfg.Regions = append(b.cfg.Regions, r)
	}
	if len(b.doc.Regions) == 0 && len(b.doc.Checks) > 0 && !b.partial {
		b.fault(b.root, "regions", "is empty, and checks need a place to run from; write regions: [{name: here}], or leave the key out for one called %s", defaultRegion)
	}
	if len(b.doc.Checks) == 0 && !b.partial {
		b.warn(b.root, "checks", "there are none, so that nothing is watched; write checks: [{name: …, kind: http, url: …}]")
	}
}

func (b *builder) buildProbers() {
	tokens := map[string]position{}
	if b.doc.APIToken != nil && !b.doc.APIToken.IsZero() {
		tokens[b.doc.APIToken.Reveal()] = b.root.nearest("api_token").position
	}
	for i := range b.doc.Probers {
		s := &b.doc.Probers[i]
		if s.Region != "" && !b.regions.has(string(s.Region)) {
			b.fault(s.At, "region", "%s", b.regions.lacks(string(s.Region)))
		}
		p := Prober{Name: string(s.Name), Region: string(s.Region), Token: s.Token}
		if s.Next != nil {
			p.Next = *s.Next
		}
		for _, t := range []struct {
			key   string
			token secret.String
		}{{"token", p.Token}, {"next_token", p.Next}} {
			token := t.token.Reveal()
			if token == "" {
				continue
			}
			if first, again := tokens[token]; again {
				b.fault(s.At, t.key, "is the same as at %s; give everybody a token of their own", first)
			} else {
				tokens[token] = s.At.nearest(t.key).position
			}
		}
		b.cfg.Probers = append(b.cfg.Probers, p)
	}
}

func (b *builder) buildStatusPage() {
	s := &b.doc.StatusPage
	page := StatusPage{Title: string(s.Title), Days: s.Days}
	if s.Language != "auto" {
		page.Language = s.Language
	}
	if s.Days < 1 || s.Days > 366 {
		b.fault(s.At, "days", "is %d; write 1 to 366", s.Days)
	}
	if s.Logo != "" {
		page.Logo = besides(s.At.nearest("logo"), s.Logo)
		if info, err := os.Stat(page.Logo); err != nil || !info.Mode().IsRegular() {
			b.warn(s.At, "logo", "%q is not a file, so that the page has no logo; put the image there, or leave the key out", clip(s.Logo))
		}
	}
	for i, g := range s.Groups {
		switch group := string(g); {
		case slices.Contains(page.Groups, group):
			b.fault(s.At, at("groups", i), "%q is named twice; keep one of the two", clip(group))
		default:
			page.Groups = append(page.Groups, group)
			if group != "" && !slices.Contains(b.groups, group) && !b.checks.partial {
				b.warn(s.At, at("groups", i), "no check is in the group %q; %s", clip(group), didYouMean(group, b.groups))
			}
		}
	}
	b.cfg.StatusPage = page
}

// groupsOf returns the groups of checks in the order of the file.
func groupsOf(checks []checkSection) []string {
	var groups []string
	seen := map[string]bool{"": true}
	for i := range checks {
		if g := string(checks[i].Group); !seen[g] {
			seen[g] = true
			groups = append(groups, g)
		}
	}
	return groups
}

// at returns the path of a list's item.
func at(list string, i int) string { return list + indexStep(i) }
