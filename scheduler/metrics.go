package scheduler

import (
	"context"
	"hash/fnv"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"nines/checks"
	"nines/notifier"
)

// metrics is what /metrics tells, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	results  *prometheus.CounterVec // by status
	notices  *prometheus.CounterVec // by channel and state
	ages     *prometheus.HistogramVec
	ingest   prometheus.Histogram
	skipped  *prometheus.CounterVec // by job
}

func newMetrics(s *Scheduler) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nines_results_total", Help: "Results taken in, by status."}, []string{"status"}),
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nines_notices_total", Help: "What became of attempts to send notices, by channel and state; queued is to be tried again."}, []string{"channel", "state"}),
		ages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "nines_notice_age_seconds", Help: "From queuing a notice to what became of an attempt to send it.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}}, []string{"channel"}),
		ingest: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nines_ingest_seconds", Help: "How long batches took to be judged and committed.",
			Buckets: prometheus.ExponentialBuckets(.0005, 2, 14)}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nines_jobs_skipped_total", Help: "Runs of a job that were left out because the one before still ran."}, []string{"job"}),
	}
	for _, status := range []checks.Status{checks.Up, checks.Degraded, checks.Down, checks.Unknown} {
		m.results.WithLabelValues(string(status))
	}
	m.registry.MustRegister(m.results, m.notices, m.ages, m.ingest, m.skipped, standing{s},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) ingested(results []checks.Result, took time.Duration) {
	m.ingest.Observe(took.Seconds())
	for i := range results {
		m.results.WithLabelValues(string(results[i].Status)).Inc()
	}
}

// sent is told of every attempt by the dispatcher.
func (m *metrics) sent(o notifier.Outcome) {
	m.notices.WithLabelValues(o.Channel, string(o.State)).Inc()
	m.ages.WithLabelValues(o.Channel).Observe(o.Age.Seconds())
}

// standing collects how things are at the moment of a scrape.
type standing struct{ s *Scheduler }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// What the latest result of a check in a region says, named as
// blackbox_exporter names it. What a result does not know is left out:
// probe_http_content_length, probe_http_last_modified_timestamp_seconds,
// probe_ssl_last_chain_info, and the counts of a DNS answer's other sections.
var (
	probeSuccess   = desc("probe_success", "Whether the latest run was up or degraded.", "check", "region")
	probeDuration  = desc("probe_duration_seconds", "How long the latest run took.", "check", "region")
	probeTime      = desc("nines_probe_timestamp_seconds", "When the latest run began.", "check", "region")
	probeDNSLookup = desc("probe_dns_lookup_time_seconds", "How long looking up the name took; 0 when an address was given.", "check", "region")
	probeIP        = desc("probe_ip_protocol", "4 or 6.", "check", "region")
	probeIPHash    = desc("probe_ip_addr_hash", "FNV-1a of the address, to see it change.", "check", "region")
	probeRegex     = desc("probe_failed_due_to_regex", "Whether the content was not what is expected.", "check", "region")
	httpStatus     = desc("probe_http_status_code", "The answer's status code; 0 without an answer.", "check", "region")
	httpVersion    = desc("probe_http_version", "The answer's version of HTTP; 0 without an answer.", "check", "region")
	httpRedirects  = desc("probe_http_redirects", "How many redirects were followed.", "check", "region")
	httpLength     = desc("probe_http_uncompressed_body_length", "How many bytes of the body were read.", "check", "region")
	httpSSL        = desc("probe_http_ssl", "Whether TLS was used.", "check", "region")
	httpPhase      = desc("probe_http_duration_seconds", "How long each phase took; 0 for one that was not come to.", "check", "region", "phase")
	dnsPhase       = desc("probe_dns_duration_seconds", "How long each phase took; request holds finding the name server too.", "check", "region", "phase")
	dnsAnswers     = desc("probe_dns_answer_rrs", "How many records the answer has.", "check", "region")
	dnsSucceeded   = desc("probe_dns_query_succeeded", "Whether an answer came.", "check", "region")
	certExpiry     = desc("probe_ssl_earliest_cert_expiry", "When the first certificate of the chain expires, in Unix time.", "check", "region")
	chainExpiry    = desc("probe_ssl_last_chain_expiry_timestamp_seconds", "When the chain that lasts longest expires, in Unix time.", "check", "region")
	icmpPhase      = desc("probe_icmp_duration_seconds", "How long each phase took.", "check", "region", "phase")
	icmpLost       = desc("nines_probe_icmp_loss_ratio", "Which part of the echo requests was not answered.", "check", "region")
	tlsVersion     = desc("probe_tls_version_info", "The version of TLS that was used.", "check", "region", "version")
)

// nines' own.
var (
	checkVerdict    = desc("nines_check_verdict", "1 for the verdict that holds.", "check", "verdict")
	checkVoting     = desc("nines_check_regions_voting", "How many regions say something.", "check")
	checkDown       = desc("nines_check_regions_down", "How many regions say down.", "check")
	incidentsOpen   = desc("nines_incidents_open", "Incidents that are not resolved, by state.", "state")
	outboxDepth     = desc("nines_outbox_depth", "Notices that are due and not sent.")
	proberConnected = desc("nines_prober_connected", "Whether the prober has its stream open.", "prober", "region")
	proberOffset    = desc("nines_prober_clock_offset_seconds", "The prober's clock minus ours.", "prober", "region")
	shaperRate      = desc("nines_prober_shaper_kbps", "What the prober's own shaper achieved on loopback at a rate, as it last measured.", "prober", "region", "asked_kbps")
	shaperTrip      = desc("nines_prober_shaper_rtt_seconds", "The round trip that the prober's own shaper achieved at a rate and a round trip asked for.", "prober", "region", "asked_kbps", "asked_rtt_ms")
)

// Describe implements prometheus.Collector. It names nothing: what there is
// depends on the checks.
func (standing) Describe(chan<- *prometheus.Desc) {}

// collectMost bounds what a scrape may wait for the store.
const collectMost = 5 * time.Second

// Collect implements prometheus.Collector.
func (c standing) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectMost)
	defer cancel()
	for _, w := range c.s.standing() {
		w.collect(to, c.s.now())
	}
	for _, p := range c.s.fleet.Status() {
		gauge(to, proberConnected, truth(p.Connected), p.Prober, p.Region)
		gauge(to, proberOffset, p.Offset.Seconds(), p.Prober, p.Region)
		told := map[string]bool{} // a prober may say one thing twice
		for _, m := range p.Shaper {
			asked, trip := strconv.FormatFloat(m.AskedKbps, 'f', -1, 64), strconv.FormatFloat(m.AskedRTTMS, 'f', -1, 64)
			if !told[asked] {
				told[asked] = true
				gauge(to, shaperRate, m.Kbps, p.Prober, p.Region, asked)
				gauge(to, shaperTrip, m.RTTMS/1000, p.Prober, p.Region, asked, trip)
			}
		}
	}
	if open, err := c.s.store.OpenIncidents(ctx); err == nil {
		counts := map[string]float64{"triggered": 0, "acknowledged": 0}
		for _, i := range open {
			counts[string(i.State)]++
		}
		for state, n := range counts {
			gauge(to, incidentsOpen, n, state)
		}
	}
	c.s.collectBudgets(ctx, to)
	if n, _, err := c.s.store.OutboxDepth(ctx, c.s.now()); err == nil {
		gauge(to, outboxDepth, float64(n))
	}
}

// standing returns every watch in the order of the configuration. They are not
// modified by anybody.
func (s *Scheduler) standing() []*watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*watch
	c := s.config.Load()
	for i := range c.Checks {
		list = append(list, s.watches[c.Checks[i].Name])
	}
	return list
}

func gauge(to chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// collect tells how the check stands and what its regions' latest results say,
// unless they are stale or say nothing of the target.
func (w *watch) collect(to chan<- prometheus.Metric, now time.Time) {
	name := w.check.Name
	gauge(to, checkVerdict, 1, name, string(w.judgment.Verdict))
	gauge(to, checkVoting, float64(w.judgment.Voting), name)
	gauge(to, checkDown, float64(w.judgment.Down), name)
	for _, r := range w.latest {
		if r != nil && r.Status != checks.Unknown && now.Sub(r.At) < w.rule.Stale() {
			collectResult(to, w.check.Kind, r)
		}
	}
}

// teller sends the figures of one result.
type teller struct {
	to chan<- prometheus.Metric
	r  *checks.Result
}

func (t teller) tell(d *prometheus.Desc, v float64, more ...string) {
	gauge(t.to, d, v, append([]string{t.r.Check, t.r.Region}, more...)...)
}

// fact tells the number that a fact is, or 0 without it.
func (t teller) fact(d *prometheus.Desc, name string) {
	v, _ := toFloat(t.r.Facts[name])
	t.tell(d, v)
}

func (t teller) seconds(d *prometheus.Desc, phase string, more ...string) {
	t.tell(d, t.r.Phases[phase]/1000, more...)
}

func collectResult(to chan<- prometheus.Metric, kind string, r *checks.Result) {
	t := teller{to, r}
	t.tell(probeSuccess, truth(r.Status == checks.Up || r.Status == checks.Degraded))
	t.tell(probeDuration, r.TookMS/1000)
	t.tell(probeTime, float64(r.At.UnixMilli())/1000)
	t.address()
	t.certificate()
	if version, ok := r.Facts["tls_version"].(string); ok {
		t.tell(tlsVersion, 1, version)
	}
	_, answered := r.Facts["http_status"]
	switch {
	case answered, kind == "http", kind == "bandwidth":
		t.http()
	case kind == "dns":
		t.dns()
	case kind == "icmp":
		t.icmp()
	default:
		t.seconds(probeDNSLookup, "dns")
	}
	if kind != "dns" && kind != "icmp" {
		t.tell(probeRegex, truth(r.Reason == checks.ContentMismatch))
	}
}

// address tells of the address that was reached, or for DNS of the server's.
func (t teller) address() {
	text, _ := t.r.Facts["remote_ip"].(string)
	if server, ok := t.r.Facts["server"].(string); ok {
		text, _, _ = net.SplitHostPort(server)
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return
	}
	addr = addr.Unmap().WithZone("")
	t.tell(probeIP, 4+2*truth(addr.Is6()))
	hash := fnv.New32a()
	hash.Write(addr.AsSlice())
	t.tell(probeIPHash, float64(hash.Sum32()))
}

func (t teller) certificate() {
	last, ok := t.when("cert_expires")
	if !ok {
		return
	}
	first, ok := t.when("chain_expires")
	if !ok {
		first = last
	}
	t.tell(certExpiry, first)
	t.tell(chainExpiry, last)
}

// when is the fact that is a time, in Unix seconds.
func (t teller) when(fact string) (float64, bool) {
	text, _ := t.r.Facts[fact].(string)
	at, err := time.Parse(time.RFC3339, text)
	return float64(at.Unix()), err == nil
}

// httpPhases are blackbox_exporter's names of our phases.
var httpPhases = map[string]string{
	"dns": "resolve", "connect": "connect", "tls": "tls", "first_byte": "processing", "transfer": "transfer",
}

func (t teller) http() {
	t.fact(httpStatus, "http_status")
	t.fact(httpRedirects, "redirects")
	t.fact(httpLength, "body_bytes")
	text, _ := t.r.Facts["http_version"].(string)
	version, _ := strconv.ParseFloat(strings.TrimPrefix(text, "HTTP/"), 64) // 0 when there is none
	t.tell(httpVersion, version)
	_, usedTLS := t.r.Facts["tls_version"]
	t.tell(httpSSL, truth(usedTLS))
	t.seconds(probeDNSLookup, "dns")
	for ours, theirs := range httpPhases {
		t.seconds(httpPhase, ours, theirs)
	}
}

func (t teller) dns() {
	t.seconds(dnsPhase, "dns", "request")
	t.seconds(dnsPhase, "connect", "connect")
	_, answered := t.r.Facts["rcode"]
	t.tell(dnsSucceeded, truth(answered))
	switch records := t.r.Facts["answers"].(type) {
	case []any:
		t.tell(dnsAnswers, float64(len(records)))
	case []string:
		t.tell(dnsAnswers, float64(len(records)))
	default:
		t.tell(dnsAnswers, 0)
	}
}

func (t teller) icmp() {
	t.seconds(probeDNSLookup, "dns")
	t.seconds(icmpPhase, "dns", "resolve")
	t.seconds(icmpPhase, "connect", "rtt")
	if sent, ok := toFloat(t.r.Facts["sent"]); ok && sent > 0 {
		received, _ := toFloat(t.r.Facts["received"])
		t.tell(icmpLost, (sent-received)/sent)
	}
}

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	}
	return 0, false
}
