package foreign

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// UptimeKuma reads a JSON backup of Uptime Kuma 1.x, or the list of monitors
// that its clients get from version 2.
func UptimeKuma(f File) (*Imported, error) {
	c := newConversion(plainDollars)
	top, err := open(c, f)
	if err != nil {
		return nil, err
	}
	if !top.has("monitorList") {
		return nil, &Fault{Note{f.Name, 1, 1, "monitorList", "is not there; export a backup under Settings, Backup"}}
	}
	top.drop("version")
	monitors := top.children("monitorList")
	groups := map[string]string{}
	for _, m := range monitors {
		if m.text("type") == "group" {
			groups[m.text("id")] = m.text("name")
		}
	}
	for _, m := range monitors {
		kumaMonitor(c, m, groups)
	}
	for _, n := range top.children("notificationList") {
		n.note("%q is not carried over: write people, rotations and policies, and slack, twilio or email", n.text("name"))
		n.abandon()
	}
	for _, p := range top.children("proxyList") {
		p.note("is not carried over: write proxy in the checks that go through it")
		p.abandon()
	}
	top.rest()
	return c.finish("Uptime Kuma")
}

// kumaOwn are the keys of a monitor that are Uptime Kuma's own affairs, or
// that nines has by itself: a second try, a page that is not repeated, a
// certificate that is looked at.
var kumaOwn = []string{
	"id", "weight", "active", "forceInactive", "parent", "childrenIDs", "pathName", "path", "maintenance", "includeSensitiveData",
	"maxretries", "retryInterval", "resendInterval", "expiryNotification", "domainExpiryNotification", "notificationIDList",
	"httpBodyEncoding", "dns_last_result", "screenshot", "cacheBust", "responseMaxLength", "saveResponse", "saveErrorResponse",
	"mqttSuccessMessage", "mqttCheckType", "kafkaProducerSaslOptions", "kafkaProducerBrokers", "databaseQuery", "docker_container",
	"gamedig", "gamedigGivenPortOnly", "grpcEnableTls", "packetSize", "ping_count", "ping_numeric", "ping_per_request_timeout",
	"dns_resolve_server", "dns_resolve_type", "port", "hostname", "url", "method", "accepted_statuscodes", "maxredirects", "timeout",
	"jsonPath", "jsonPathOperator", "expectedValue", "keyword", "invertKeyword", "ignoreTls", "authMethod", "conditions", "remote_browser",
	"radiusUsername", "radiusPassword", "smtpSecurity", "ipFamily", "user_id", "kafkaProducerSsl", "kafkaProducerAllowAutoTopicCreation",
}

func kumaMonitor(c *conversion, m *source, groups map[string]string) {
	name, what := m.text("name"), m.text("type")
	kind, known := map[string]string{"http": "http", "keyword": "http", "json-query": "http", "port": "tcp", "ping": "icmp", "dns": "dns"}[what]
	switch {
	case what == "group":
		m.abandon() // its members carry its name
		return
	case !m.boolean("active", true):
		m.note("%q is paused and was left out", name)
		m.abandon()
		return
	case !known:
		m.note("%q is of type %s, which is no kind of nines, and was left out", name, what)
		m.abandon()
		return
	case m.boolean("upsideDown", false):
		m.note("%q is upside down, which a check cannot be, and was left out", name)
		m.abandon()
		return
	}
	group := groups[m.text("parent")]
	d := c.check(group, name)
	d.set("title", name)
	d.set("group", group)
	d.set("kind", kind)
	every := max(time.Duration(m.number("interval", 60))*time.Second, time.Second)
	d.set("every", every)
	d.set("timeout", min(kumaSeconds(m.text("timeout"), every*4/5), every))
	if n := m.find("notificationIDList"); n == nil || len(n.Content) == 0 {
		d.set("severity", "none")
	}
	switch kind {
	case "http":
		kumaHTTP(m, d, what)
	case "tcp":
		d.set("address", net.JoinHostPort(m.text("hostname"), firstOf(m.text("port"), "80")))
	case "icmp":
		d.set("host", m.text("hostname"))
		if size := m.number("packetSize", 56); size != 56 {
			d.set("size", size)
		}
	case "dns":
		d.set("domain", m.text("hostname"))
		d.set("type", m.text("dns_resolve_type"))
		server, port := m.text("dns_resolve_server"), m.text("port")
		server, _, _ = strings.Cut(server, ",")
		if port != "" && port != "53" && server != "" {
			server = net.JoinHostPort(server, port)
		}
		d.set("server", server)
	}
	for _, tag := range m.children("tags") {
		d.under("labels").set(slug(tag.text("name")), firstOf(tag.text("value"), "true"))
		tag.abandon()
	}
	m.drop("type", "interval", "description")
	m.drop(kumaOwn...)
}

func kumaSeconds(text string, fallback time.Duration) time.Duration {
	d, err := time.ParseDuration(text + "s")
	if err != nil || d <= 0 {
		return fallback.Truncate(time.Second)
	}
	return d
}

func kumaHTTP(m *source, d *draft, what string) {
	d.set("url", m.text("url"))
	if method := m.text("method"); method != "GET" {
		d.set("method", method)
	}
	kumaHeaders(m, d)
	d.set("body", m.text("body"))
	if m.boolean("ignoreTls", false) {
		d.set("insecure", true)
	}
	if n := m.number("maxredirects", 10); n != 10 {
		d.always("redirects", min(n, 20))
	}
	switch m.text("authMethod") {
	case "", "null":
		m.drop("basic_auth_user", "basic_auth_pass")
		if user := m.text("basic_auth_user"); user != "" {
			kumaBasic(m, d)
		}
	case "basic":
		kumaBasic(m, d)
	case "oauth2-cc":
		to := d.under("oauth2")
		to.set("token_url", m.text("oauth_token_url"))
		to.set("client_id", m.text("oauth_client_id"))
		to.set("client_secret", m.text("oauth_client_secret"))
		to.set("scopes", strings.Fields(m.text("oauth_scopes")))
	case "mtls":
		d.set("client_cert", m.text("tlsCert"))
		d.set("client_key", m.text("tlsKey"))
		d.set("ca", m.text("tlsCa"))
	default:
		m.lost("authMethod", "is one that nines does not have")
	}
	m.drop("oauth_auth_method", "oauth_client_id", "oauth_client_secret", "oauth_token_url", "oauth_scopes", "tlsCert", "tlsKey", "tlsCa",
		"basic_auth_user", "basic_auth_pass", "authDomain", "authWorkstation")
	m.lost("proxyId", "is not carried over: write proxy")
	expect := newDraft()
	if codes := m.texts("accepted_statuscodes"); len(codes) != 1 || codes[0] != "200-299" {
		for _, code := range codes {
			expect.append("status", literal(code))
		}
	}
	if word := m.text("keyword"); word != "" && what == "keyword" {
		key := "body_contains"
		if m.boolean("invertKeyword", false) {
			key = "body_lacks"
		}
		expect.set(key, []string{word})
	}
	if what == "json-query" {
		kumaQuery(m, expect)
	}
	d.set("expect", expect)
}

func kumaBasic(m *source, d *draft) {
	to := d.under("basic")
	to.set("username", m.text("basic_auth_user"))
	to.set("password", m.text("basic_auth_pass"))
}

// kumaHeaders reads headers, which are JSON within the JSON.
func kumaHeaders(m *source, d *draft) {
	text := m.text("headers")
	if text == "" {
		return
	}
	var inner yaml.Node
	if err := yaml.Load([]byte(text), &inner); err != nil || len(inner.Content) != 1 || inner.Content[0].Kind != yaml.MappingNode {
		m.lost("headers", "are no JSON object, and were left out")
		return
	}
	pairs := inner.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		d.under("headers").set(pairs[i].Value, pairs[i+1].Value)
	}
}

// plainPath is a JSONata path that is nothing but names.
var plainPath = regexp.MustCompile(`^\$?\.?([A-Za-z_][A-Za-z0-9_]*)((\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]+\])*)$`)

// kumaQuery carries over a query that only names a value.
func kumaQuery(m *source, expect *draft) {
	path, operator, wanted := m.text("jsonPath"), firstOf(m.text("jsonPathOperator"), "=="), m.text("expectedValue")
	parts := plainPath.FindStringSubmatch(path)
	if parts == nil {
		m.lost("jsonPath", "%q is more than a path; write it as json or expr", path)
		return
	}
	at := parts[1] + parts[2]
	switch operator {
	case "==":
		expect.under("json").always("$."+at, scalarOf(wanted))
	case "!=", "<", "<=", ">", ">=":
		expect.append("expr", fmt.Sprintf("%s %s %s", access("."+at), operator, values([]string{wanted})[0]))
	case "contains":
		expect.append("expr", fmt.Sprintf("string(%s) contains %s", access("."+at), jsonText(wanted)))
	default:
		m.lost("jsonPathOperator", "%q is one that nines does not have", operator)
	}
}
