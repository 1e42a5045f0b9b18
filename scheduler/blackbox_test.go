package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/checks/checkstest"
	"nines/internal/peer"
)

// unknownFigures are those of blackbox_exporter's that no result holds.
var unknownFigures = []string{
	"probe_http_content_length", "probe_http_last_modified_timestamp_seconds", "probe_ssl_last_chain_info",
	"probe_dns_authority_rrs", "probe_dns_additional_rrs", `probe_dns_duration_seconds{phase="resolve"}`,
}

// measured are figures that are the same whoever measures, and when.
var measured = []string{
	"probe_success", "probe_http_status_code", "probe_http_version", "probe_http_redirects", "probe_http_ssl",
	"probe_http_uncompressed_body_length", "probe_ip_protocol", "probe_ip_addr_hash", "probe_failed_due_to_regex",
	"probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_expiry_timestamp_seconds", "probe_tls_version_info",
	"probe_dns_answer_rrs", "probe_dns_query_succeeded",
}

// What /metrics tells of a check has blackbox_exporter's names, and the same
// values of all that does not depend on the clock.
func TestMetricsAreBlackboxs(t *testing.T) {
	program := peer.Program(t, "prometheus-blackbox-exporter")
	ca, err := checkstest.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(checkstest.Leaf{})
	if err != nil {
		t.Fatal(err)
	}
	web, err := checkstest.NewHTTPS(cert)
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	web.Set(checkstest.Behaviour{Body: "<h1>Welcome</h1>"})
	web.SetPath("/moved", checkstest.Behaviour{Status: 302, Header: http.Header{"Location": {"/"}}})
	names, err := checkstest.NewDNS("example.test. 60 IN A 192.0.2.10", "example.test. 60 IN A 192.0.2.11")
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	theirs := startBlackbox(t, program, ca.PEM())

	for _, tt := range []struct {
		check, kind, module, target string
		options                     map[string]any
		lacks                       []string // beside the figures that none has
	}{
		{"shop", "http", "http", web.URL() + "/moved", map[string]any{"url": web.URL() + "/moved", "ca": ca.PEM()}, nil},
		{"shop", "http", "http_lacks", web.URL() + "/", map[string]any{"url": web.URL(), "ca": ca.PEM(), "expect": map[string]any{"body_lacks": []string{"Welcome"}}}, nil},
		{"shop", "http", "http", "http://127.0.0.1:1/", map[string]any{"url": "http://127.0.0.1:1/"},
			[]string{"probe_ip_protocol", "probe_ip_addr_hash"}}, // none was connected to
		{"ns", "dns", "dns", names.Addr(), map[string]any{"domain": "example.test", "server": names.Addr()},
			[]string{"probe_dns_lookup_time_seconds"}}, // of the server's own name: it is in the request's time
	} {
		t.Run(tt.module+" "+tt.target, func(t *testing.T) {
			h := build(t)
			r := probe(t, tt.kind, tt.options)
			r.Check, r.Region, r.Prober, r.Slot, r.At = tt.check, "eu", "eu-1", noon, noon
			h.ingest(r)
			_, body := h.ask("GET", "/metrics")
			ours := figures(body, `check="`+tt.check+`",?|,?region="eu"`)
			for name, value := range theirs(t, tt.module, tt.target) {
				if listed(unknownFigures, name) || listed(tt.lacks, name) {
					continue
				}
				if _, has := ours[name]; !has {
					t.Errorf("%s is missing", name)
				} else if listed(measured, name) && ours[name] != value {
					t.Errorf("%s is %s, and blackbox_exporter's is %s", name, ours[name], value)
				}
			}
			if t.Failed() {
				t.Logf("%+v\n%v", r, ours)
			}
		})
	}
}

// listed reports whether names has name, with its labels or without.
func listed(names []string, name string) bool {
	plain, _, _ := strings.Cut(name, "{")
	for _, one := range names {
		if one == name || one == plain {
			return true
		}
	}
	return false
}

// figures reads the metrics whose names begin with probe_, without the labels
// that match own.
func figures(text, own string) map[string]string {
	found := map[string]string{}
	labels := regexp.MustCompile(own)
	for line := range strings.Lines(text) {
		if at := strings.LastIndexByte(line, ' '); strings.HasPrefix(line, "probe_") {
			name := strings.NewReplacer("{}", "", "{,", "{").Replace(labels.ReplaceAllString(line[:at], ""))
			found[name] = strings.TrimSpace(line[at:])
		}
	}
	return found
}

// probe runs a check of a kind once.
func probe(t *testing.T, kind string, options map[string]any) checks.Result {
	t.Helper()
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := checks.KindOf(kind)
	o := k.New()
	if err := json.Unmarshal(text, o); err != nil {
		t.Fatal(err)
	}
	env := &checks.Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	return checks.Spec{Name: "probe", Kind: kind, Every: time.Minute, Timeout: 5 * time.Second, Options: o}.Run(context.Background(), env, time.Now())
}

// startBlackbox runs blackbox_exporter until the test ends. The returned
// function asks it about a target.
func startBlackbox(t *testing.T, program, ca string) func(t *testing.T, module, target string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`
modules:
  http: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: %[1]s}}}
  http_lacks: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: %[1]s}, fail_if_body_matches_regexp: [Welcome]}}
  dns: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: example.test, query_type: A}}
`, filepath.Join(dir, "ca.pem"))
	for name, text := range map[string]string{"ca.pem": ca, "blackbox.yml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	process := exec.Command(program, "--config.file="+filepath.Join(dir, "blackbox.yml"), "--web.listen-address="+addr)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { process.Process.Kill(); process.Wait() })
	for range 500 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return func(t *testing.T, module, target string) map[string]string {
		t.Helper()
		resp, err := http.Get("http://" + addr + "/probe?" + url.Values{"module": {module}, "target": {target}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %v\n%s", resp.Status, err, body)
		}
		return figures(string(body), "^$")
	}
}
