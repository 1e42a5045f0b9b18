package scheduler

import (
	"context"
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
// blackbox_exporter names it.
var (
	probeSuccess   = desc("probe_success", "Whether the latest run was up or degraded.", "check", "region")
	probeDuration  = desc("probe_duration_seconds", "How long the latest run took.", "check", "region")
	probeTime      = desc("nines_probe_timestamp_seconds", "When the latest run began.", "check", "region")
	probeDNSLookup = desc("probe_dns_lookup_time_seconds", "How long looking up the name took.", "check", "region")
	probeIP        = desc("probe_ip_protocol", "4 or 6.", "check", "region")
	httpStatus     = desc("probe_http_status_code", "The answer's status code.", "check", "region")
	httpVersion    = desc("probe_http_version", "The answer's version of HTTP.", "check", "region")
	httpRedirects  = desc("probe_http_redirects", "How many redirects were followed.", "check", "region")
	httpLength     = desc("probe_http_uncompressed_body_length", "How many bytes of the body were read.", "check", "region")
	httpSSL        = desc("probe_http_ssl", "Whether TLS was used.", "check", "region")
	httpPhase      = desc("probe_http_duration_seconds", "How long each phase took.", "check", "region", "phase")
	dnsPhase       = desc("probe_dns_duration_seconds", "How long each phase took.", "check", "region", "phase")
	dnsAnswers     = desc("probe_dns_answer_rrs", "How many records the answer has.", "check", "region")
	certExpiry     = desc("probe_ssl_earliest_cert_expiry", "When the certificate expires, in Unix time.", "check", "region")
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

func collectResult(to chan<- prometheus.Metric, kind string, r *checks.Result) {
	tell := func(d *prometheus.Desc, v float64, more ...string) {
		gauge(to, d, v, append([]string{r.Check, r.Region}, more...)...)
	}
	number := func(d *prometheus.Desc, fact string) {
		if v, ok := toFloat(r.Facts[fact]); ok {
			tell(d, v)
		}
	}
	tell(probeSuccess, truth(r.Status == checks.Up || r.Status == checks.Degraded))
	tell(probeDuration, r.TookMS/1000)
	tell(probeTime, float64(r.At.UnixMilli())/1000)
	number(httpStatus, "http_status")
	number(httpRedirects, "redirects")
	number(httpLength, "body_bytes")
	if text, ok := r.Facts["http_version"].(string); ok {
		if v, err := strconv.ParseFloat(strings.TrimPrefix(text, "HTTP/"), 64); err == nil {
			tell(httpVersion, v)
		}
	}
	if text, ok := r.Facts["cert_expires"].(string); ok {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			tell(certExpiry, float64(t.Unix()))
		}
	}
	version, usedTLS := r.Facts["tls_version"].(string)
	if usedTLS {
		tell(tlsVersion, 1, version)
	}
	if ip, ok := r.Facts["remote_ip"].(string); ok {
		tell(probeIP, 4+2*truth(strings.Contains(ip, ":")))
	}
	if records, ok := r.Facts["answers"].([]any); ok {
		tell(dnsAnswers, float64(len(records)))
	}
	if ms, ok := r.Phases["dns"]; ok {
		tell(probeDNSLookup, ms/1000)
	}
	phase := httpPhase
	if kind == "dns" {
		phase = dnsPhase
	} else if _, ok := r.Facts["http_status"]; ok {
		tell(httpSSL, truth(usedTLS))
	}
	for ours, theirs := range phaseNames {
		if ms, ok := r.Phases[ours]; ok {
			tell(phase, ms/1000, theirs)
		}
	}
}

// phaseNames are blackbox_exporter's names of our phases.
var phaseNames = map[string]string{
	"dns": "resolve", "connect": "connect", "tls": "tls", "first_byte": "processing", "transfer": "transfer",
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
