// Package agreement holds our checks against the programs that others use for
// the same questions: Debian's prometheus-blackbox-exporter and openssl, on
// targets that are real too (nginx, go-httpbin). It has tests alone.
package agreement

import (
	"bufio"
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
	"strconv"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/peer"
)

// must returns v, or ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// freeAddresses returns n addresses of 127.0.0.1 on which nothing listens, no
// two of them alike.
func freeAddresses(t testing.TB, n int) []string {
	t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
		defer l.Close() // when all have been found
		addrs[i] = l.Addr().String()
	}
	return addrs
}

// start runs a program until the test ends, and waits until it accepts
// connections on addr.
func start(t testing.TB, addr, program string, args ...string) {
	t.Helper()
	var said strings.Builder
	process := exec.Command(program, args...)
	process.Stdout, process.Stderr = &said, &said
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { process.Wait(); close(ended) }()
	t.Cleanup(func() {
		process.Process.Kill()
		<-ended
	})
	for range 500 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", program, said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not listen on %s", program, addr)
}

// blackbox is a running prometheus-blackbox-exporter.
type blackbox struct{ url string }

// newBlackbox starts one that trusts the authorities in the file ca.
func newBlackbox(t testing.TB, ca string) *blackbox {
	t.Helper()
	program := peer.Program(t, "prometheus-blackbox-exporter")
	config := filepath.Join(t.TempDir(), "blackbox.yml")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(modules, "CAFILE", ca)), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddresses(t, 1)[0]
	start(t, addr, program, "--config.file="+config, "--web.listen-address="+addr)
	return &blackbox{"http://" + addr}
}

// modules are the questions that blackbox_exporter is asked.
const modules = `
modules:
  http: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: CAFILE}}}
  http_gzip: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, compression: gzip, headers: {Accept-Encoding: gzip}, tls_config: {ca_file: CAFILE}}}
  http_basic: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, basic_auth: {username: alice, password: s3cret}}}
  http_bearer: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, authorization: {credentials: t0ken}}}
  http_still: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, follow_redirects: false, valid_status_codes: [302]}}
  http_404: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, valid_status_codes: [404]}}
  http_post: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, method: POST, body: hello}}
  http_body: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: [Herman]}}
  http_lacks: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_body_matches_regexp: [Herman]}}
  http_header: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_header_not_matches: [{header: Content-Type, regexp: ^application/json}]}}
  http_short: {prober: http, timeout: 1s, http: {preferred_ip_protocol: ip4}}
  http_insecure: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}
  tls: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4, tls: true, tls_config: {ca_file: CAFILE}}}
  dns: {prober: dns, timeout: 2s, dns: {preferred_ip_protocol: ip4, query_name: example.test, query_type: A}}
  dns_mx: {prober: dns, timeout: 2s, dns: {preferred_ip_protocol: ip4, query_name: example.test, query_type: MX, validate_answer_rrs: {fail_if_not_matches_regexp: [mail]}}}
  dns_none: {prober: dns, timeout: 2s, dns: {preferred_ip_protocol: ip4, query_name: nowhere.test, query_type: A}}
  dns_none_right: {prober: dns, timeout: 2s, dns: {preferred_ip_protocol: ip4, query_name: nowhere.test, query_type: A, valid_rcodes: [NXDOMAIN]}}
  dns_tcp: {prober: dns, timeout: 2s, dns: {preferred_ip_protocol: ip4, transport_protocol: tcp, query_name: example.test, query_type: A}}
`

// sample is a metric with its labels, such as probe_tls_version_info and
// version="TLS 1.3".
type sample struct {
	labels string
	value  float64
}

// metrics are samples by the metric's name.
type metrics map[string][]sample

func (m metrics) value(name string) float64 {
	if len(m[name]) == 0 {
		return -1
	}
	return m[name][0].value
}

func (m metrics) label(name, label string) string {
	for _, s := range m[name] {
		if found := regexp.MustCompile(label + `="([^"]*)"`).FindStringSubmatch(s.labels); found != nil {
			return found[1]
		}
	}
	return ""
}

// parseMetrics reads Prometheus' text.
func parseMetrics(t testing.TB, r io.Reader) metrics {
	t.Helper()
	m := metrics{}
	line := regexp.MustCompile(`^([a-z0-9_]+)(\{.*\})? (\S+)$`)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if found := line.FindStringSubmatch(lines.Text()); found != nil {
			value, err := strconv.ParseFloat(found[3], 64)
			if err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			m[found[1]] = append(m[found[1]], sample{found[2], value})
		}
	}
	return m
}

// probe asks module's question of target.
func (b *blackbox) probe(t testing.TB, module, target string) metrics {
	t.Helper()
	resp, err := http.Get(b.url + "/probe?" + url.Values{"module": {module}, "target": {target}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	m := parseMetrics(t, resp.Body)
	if resp.StatusCode != http.StatusOK || len(m["probe_success"]) == 0 {
		t.Fatalf("module %s: %s, %v", module, resp.Status, m)
	}
	return m
}

// check runs a check of a kind with options as a configuration has them.
func check(t testing.TB, kind string, options map[string]any, timeout time.Duration) checks.Result {
	t.Helper()
	k, ok := checks.KindOf(kind)
	if !ok {
		t.Fatalf("no kind %s", kind)
	}
	o := k.New()
	if err := json.Unmarshal(must(json.Marshal(options))(t), o); err != nil {
		t.Fatal(err)
	}
	for _, f := range o.Faults() {
		t.Fatalf("%s: %s", f.Path, f.Message)
	}
	env := &checks.Env{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	spec := checks.Spec{Name: "agreement", Kind: kind, Every: time.Minute, Timeout: timeout, Options: o}
	return spec.Run(context.Background(), env, time.Now())
}

func works(r checks.Result) bool { return r.Status == checks.Up || r.Status == checks.Degraded }

// differ says where a result and what blackbox_exporter measured differ, among
// the figures that both have.
func differ(r checks.Result, m metrics) []string {
	var found []string
	say := func(what string, ours, theirs any) {
		if fmt.Sprint(ours) != fmt.Sprint(theirs) {
			found = append(found, fmt.Sprintf("%s: ours %v, theirs %v", what, ours, theirs))
		}
	}
	say("success", works(r), m.value("probe_success") == 1)
	if status := r.Facts["http_status"]; status != nil || m.value("probe_http_status_code") > 0 {
		if status == nil {
			status = 0
		}
		say("status", status, m.value("probe_http_status_code"))
		say("version", r.Facts["http_version"], m.value("probe_http_version"))
		redirects := r.Facts["redirects"]
		if redirects == nil {
			redirects = 0
		}
		say("redirects", redirects, m.value("probe_http_redirects"))
		if works(r) {
			say("body", r.Facts["body_bytes"], int(m.value("probe_http_uncompressed_body_length")))
		}
	}
	if version := m.label("probe_tls_version_info", "version"); version != "" {
		say("TLS", r.Facts["tls_version"], version)
	}
	if expires, ok := r.Facts["cert_expires"].(string); ok && works(r) && m.value("probe_ssl_last_chain_expiry_timestamp_seconds") > 0 {
		if at, err := time.Parse(time.RFC3339, expires); err == nil {
			say("expiry of the last chain", at.Unix(), int64(m.value("probe_ssl_last_chain_expiry_timestamp_seconds")))
		}
	}
	return found
}
