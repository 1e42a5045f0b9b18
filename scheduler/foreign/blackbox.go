package foreign

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Blackbox reads the modules of a blackbox_exporter and, from the
// configuration of the Prometheus that scrapes it, their targets and how often
// they are probed. Without the latter (its Data nil) each module becomes one
// check of an address that must be filled in.
func Blackbox(f, prometheus File) (*Imported, error) {
	c := newConversion(plainDollars)
	top, err := open(c, f)
	if err != nil {
		return nil, err
	}
	if !top.has("modules") {
		return nil, &Fault{Note{f.Name, 1, 1, "modules", "is not there; name the file that blackbox_exporter gets as --config.file"}}
	}
	modules := top.children("modules")
	jobs := map[string][]job{}
	if prometheus.Data != nil {
		if jobs, err = scrapeJobs(c, prometheus); err != nil {
			return nil, err
		}
	}
	for _, m := range modules {
		name := strings.TrimPrefix(m.path, "modules.")
		kind, known := blackboxKinds[m.text("prober")]
		if !known {
			m.note("probes by %s, which is no kind of nines, and was left out", m.text("prober"))
			m.abandon()
			continue
		}
		if len(jobs[name]) == 0 {
			if prometheus.Data != nil {
				m.note("is scraped by no job of %s, and was left out", prometheus.Name)
				m.abandon()
				continue
			}
			m.note("names no targets: fill in the address of the check, or give the file of Prometheus with --prometheus")
		}
		blackboxModule(c, m, kind, jobs[name])
	}
	top.rest()
	return c.finish("blackbox_exporter")
}

// job is a target that Prometheus has probed.
type job struct {
	name, target   string
	every, timeout time.Duration
	labels         []pair
}

// scrapeJobs returns the targets by the module that they are probed with.
func scrapeJobs(c *conversion, f File) (map[string][]job, error) {
	top, err := open(c, f)
	if err != nil {
		return nil, err
	}
	global := top.child("global")
	every := global.duration("scrape_interval", time.Minute) // Prometheus's default
	timeout := global.duration("scrape_timeout", 10*time.Second)
	jobs := map[string][]job{}
	for _, s := range top.children("scrape_configs") {
		module := firstOf(append(s.child("params").texts("module"), "")...)
		if module == "" {
			continue // it scrapes something else
		}
		j := job{name: s.text("job_name"), every: s.duration("scrape_interval", every)}
		j.timeout = min(s.duration("scrape_timeout", timeout), j.every)
		for _, group := range s.children("static_configs") {
			j.labels = group.pairs("labels")
			for _, target := range group.texts("targets") {
				j.target = target
				jobs[module] = append(jobs[module], j)
			}
		}
		for i := 0; i+1 < len(s.node.Content); i += 2 {
			if key := s.node.Content[i].Value; strings.HasSuffix(key, "_sd_configs") {
				s.lost(key, "finds targets that are not in the file; write a check for each")
			}
		}
	}
	return jobs, nil
}

// blackboxKinds is the kind of check by the prober of a module.
var blackboxKinds = map[string]string{"http": "http", "tcp": "tcp", "dns": "dns", "icmp": "icmp"}

// blackboxModule makes a check of each target of a module.
func blackboxModule(c *conversion, m *source, kind string, jobs []job) {
	name := strings.TrimPrefix(m.path, "modules.")
	options := m.child(m.text("prober"))
	if options == nil {
		options = m.enter(newDraft().node, m.path+"."+m.text("prober"))
	}
	shape := newDraft()
	switch kind {
	case "http":
		blackboxHTTP(options, shape)
	case "tcp":
		if options.boolean("tls", false) && !options.has("query_response") {
			kind = "tls"
		}
		blackboxTCP(options, shape, kind)
	case "dns":
		blackboxDNS(options, shape)
	case "icmp":
		shape.set("size", options.number("payload_size", 0))
	}
	blackboxAddress(options, shape)
	timeout := m.duration("timeout", 0)
	if len(jobs) == 0 {
		jobs = []job{{name: name, every: time.Minute, timeout: 10 * time.Second}}
	}
	for _, j := range jobs {
		d := c.check(name, firstOf(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(j.target, "https://"), "http://"), "/"), name))
		d.set("title", j.target)
		d.set("group", j.name)
		d.set("kind", kind)
		d.set("every", j.every)
		if timeout > 0 {
			j.timeout = min(timeout, j.timeout)
		}
		d.set("timeout", j.timeout)
		blackboxTarget(d, kind, j.target)
		for _, label := range j.labels {
			d.under("labels").set(label.key, label.value)
		}
		d.node.Content = append(d.node.Content, shape.node.Content...)
		d.prune()
	}
}

// unnamed is the host of checks whose target is not in the file; the name can
// never exist (RFC 2606, section 2).
const unnamed = "fill-in.invalid"

func blackboxTarget(d *draft, kind, target string) {
	switch kind {
	case "http":
		target = firstOf(target, "https://"+unnamed+"/")
		if !strings.HasPrefix(target, "http://") && !strings.HasPrefix(target, "https://") {
			target = "http://" + target // as blackbox_exporter does
		}
		d.set("url", target)
	case "dns":
		d.set("server", firstOf(target, unnamed))
	case "icmp":
		d.set("host", firstOf(target, unnamed))
	default:
		d.set("address", firstOf(target, unnamed+":443"))
	}
}

// blackboxAddress carries over the IP version. A mere preference is what nines
// does by itself.
func blackboxAddress(o *source, d *draft) {
	family, strict := o.text("preferred_ip_protocol"), !o.boolean("ip_protocol_fallback", true)
	if strict && (family == "" || family == "ip6") {
		d.always("ip", literal("6"))
	} else if strict {
		d.always("ip", literal("4"))
	}
	o.lost("source_ip_address", "is not carried over: regions and probers have a source address, not checks")
}

func blackboxHTTP(o *source, d *draft) {
	d.set("method", strings.ToUpper(o.text("method")))
	for _, header := range o.pairs("headers") {
		d.under("headers").set(header.key, header.value)
	}
	d.set("body", o.text("body"))
	d.set("body_file", o.text("body_file"))
	if !o.boolean("follow_redirects", true) || o.boolean("no_follow_redirects", false) {
		d.always("redirects", 0)
	}
	if !o.boolean("enable_http2", true) {
		d.always("http_version", literal("1.1"))
	}
	if o.boolean("enable_http3", false) {
		d.always("http_version", literal("3"))
	}
	d.set("proxy", o.text("proxy_url"))
	o.drop("skip_resolve_phase_with_proxy", "compression", "use_http2")
	blackboxCredentials(o, d)
	blackboxTLS(o, d)
	o.lost("no_proxy", "is not carried over: a check goes through its proxy or through none")
	o.lost("proxy_from_environment", "is not carried over: write proxy")
	o.lost("proxy_connect_header", "is not carried over")
	o.lost("body_size_limit", "is not carried over: see max_body, in bytes")
	o.lost("fail_if_body_json_matches_cel", "is not carried over: write it as json or expr")
	o.lost("fail_if_body_json_not_matches_cel", "is not carried over: write it as json or expr")
	expect := newDraft()
	for _, code := range o.texts("valid_status_codes") {
		expect.append("status", literal(code))
	}
	for _, version := range o.texts("valid_http_versions") {
		expect.append("http_version", strings.TrimSuffix(strings.TrimPrefix(version, "HTTP/"), ".0"))
	}
	expect.set("body_matches", o.texts("fail_if_body_not_matches_regexp"))
	for _, re := range o.texts("fail_if_body_matches_regexp") {
		expect.append("expr", "not (body matches "+jsonText(re)+")")
	}
	blackboxHeaders(o, expect)
	if o.boolean("fail_if_ssl", false) {
		o.lost("fail_if_ssl", "is not carried over: write an http URL with redirects: 0")
	}
	o.drop("fail_if_not_ssl") // an https URL never goes without
	d.set("expect", expect)
}

// blackboxHeaders carries over what headers must and must not be. One that is
// missing fails there unless it may be.
func blackboxHeaders(o *source, expect *draft) {
	read := func(h *source) (header, re string, mayMiss bool) {
		return h.text("header"), h.text("regexp"), h.boolean("allow_missing", false)
	}
	for _, h := range o.children("fail_if_header_not_matches") {
		header, re, mayMiss := read(h)
		if mayMiss {
			expect.append("expr", fmt.Sprintf("%s not in headers or %s", jsonText(strings.ToLower(header)), headerMatches(header, re)))
			continue
		}
		value := newDraft()
		value.set("matches", re)
		expect.under("headers").put(header, value.node)
	}
	for _, h := range o.children("fail_if_header_matches") {
		header, re, mayMiss := read(h)
		name := jsonText(strings.ToLower(header))
		if mayMiss {
			expect.append("expr", fmt.Sprintf("%s not in headers or not (%s)", name, headerMatches(header, re)))
			continue
		}
		expect.append("expr", fmt.Sprintf("%s in headers and not (%s)", name, headerMatches(header, re)))
	}
}

func headerMatches(header, re string) string {
	return fmt.Sprintf("headers[%s] matches %s", jsonText(strings.ToLower(header)), jsonText(re))
}

// blackboxCredentials carries over what Prometheus's HTTP clients call
// authorization.
func blackboxCredentials(o *source, d *draft) {
	if basic := o.child("basic_auth"); basic != nil {
		to := d.under("basic")
		to.set("username", basic.text("username"))
		to.set("password", basic.text("password"))
		to.set("password_file", basic.text("password_file"))
		basic.lost("username_file", "is not carried over: write basic.username")
	}
	bearer, bearerFile := o.text("bearer_token"), o.text("bearer_token_file")
	if auth := o.child("authorization"); auth != nil {
		credentials, file := auth.text("credentials"), auth.text("credentials_file")
		if scheme := firstOf(auth.text("type"), "Bearer"); strings.EqualFold(scheme, "Bearer") {
			bearer, bearerFile = firstOf(bearer, credentials), firstOf(bearerFile, file)
		} else if file == "" {
			d.under("headers").set("Authorization", scheme+" "+credentials)
		} else {
			auth.note("is of type %s with its credentials in a file: write headers.Authorization", scheme)
		}
	}
	d.set("bearer", bearer)
	d.set("bearer_file", bearerFile)
	if oauth := o.child("oauth2"); oauth != nil {
		to := d.under("oauth2")
		to.set("token_url", oauth.text("token_url"))
		to.set("client_id", oauth.text("client_id"))
		to.set("client_secret", oauth.text("client_secret"))
		to.set("client_secret_file", oauth.text("client_secret_file"))
		to.set("scopes", oauth.texts("scopes"))
		for _, param := range oauth.pairs("endpoint_params") {
			to.under("params").set(param.key, param.value)
		}
	}
}

// blackboxTLS carries over whom a server is taken to be.
func blackboxTLS(o *source, d *draft) {
	config := o.child("tls_config")
	if config == nil {
		return
	}
	d.set("insecure", config.boolean("insecure_skip_verify", false))
	d.set("server_name", config.text("server_name"))
	for _, file := range []struct{ theirs, ours string }{
		{"ca", "ca"}, {"ca_file", "ca_file"}, {"cert", "client_cert"}, {"cert_file", "client_cert_file"}, {"key", "client_key"}, {"key_file", "client_key_file"},
	} {
		d.set(file.ours, config.text(file.theirs))
	}
	config.lost("min_version", "is not carried over: a check of kind tls has expect.min_version")
	config.lost("max_version", "is not carried over")
}

func blackboxTCP(o *source, d *draft, kind string) {
	blackboxTLS(o, d)
	if kind == "tcp" {
		d.set("tls", o.boolean("tls", false))
	}
	var said, heard []string
	for _, turn := range o.children("query_response") {
		if text := turn.text("send"); text != "" {
			said = append(said, text)
		}
		if re := turn.text("expect"); re != "" {
			heard = append(heard, re)
		}
		if turn.boolean("starttls", false) {
			turn.note("goes over to TLS in the middle: see starttls of kind tls")
		}
	}
	if len(said) > 1 || len(heard) > 1 {
		at := o.find("query_response")
		o.noteAt(at, o.where("query_response"), "is a dialogue of several turns; only the first text sent and the first expected are carried over")
	}
	if len(said) > 0 {
		d.set("send", said[0]+"\n") // blackbox_exporter ends each text with a line feed
	}
	if len(heard) > 0 {
		d.under("expect").set("matches", heard[:1])
	}
}

func blackboxDNS(o *source, d *draft) {
	d.set("domain", o.text("query_name"))
	d.set("type", o.text("query_type"))
	if class := o.text("query_class"); class != "IN" {
		d.set("class", class)
	}
	transport := o.text("transport_protocol")
	if o.boolean("dns_over_tls", false) {
		transport = "tls"
	}
	d.set("transport", transport)
	if !o.boolean("recursion_desired", true) {
		d.always("recursion", literal("false"))
	}
	blackboxTLS(o, d)
	expect := newDraft()
	codes := o.texts("valid_rcodes")
	if len(codes) > 0 {
		expect.set("rcode", codes[0])
	}
	if len(codes) > 1 {
		o.noteAt(o.find("valid_rcodes"), o.where("valid_rcodes"), "are several codes; only %s is carried over", codes[0])
	}
	if rcode := slices.Contains(codes, "NOERROR") || len(codes) == 0; rcode {
		expect.always("min_answers", 0) // blackbox_exporter takes an empty answer for a good one
	}
	for _, part := range []string{"answer", "authority", "additional"} {
		o.lost("validate_"+part+"_rrs", "is not carried over: see answer, answer_contains and answer_matches, which hold what follows the type")
	}
	d.set("expect", expect)
}
