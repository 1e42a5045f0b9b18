package foreign

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Gatus's defaults, by its documentation of endpoints and clients.
const (
	gatusInterval = time.Minute
	gatusTimeout  = 10 * time.Second
)

// gatusVariables are those of a shell; $$ is a dollar there too.
var gatusVariables = regexp.MustCompile(`\$\$|\$\{|\$([A-Za-z_][A-Za-z0-9_]*)`)

// Gatus reads a configuration of Gatus.
func Gatus(f File) (*Imported, error) {
	c := newConversion(func(text string) string {
		return gatusVariables.ReplaceAllStringFunc(text, func(found string) string {
			if found == "$$" || found == "${" {
				return found
			}
			return "${" + found[1:] + "}"
		})
	})
	top, err := open(c, f)
	if err != nil {
		return nil, err
	}
	top.drop("metrics", "debug", "skip-invalid-config-update", "concurrency", "disable-monitoring-lock")
	if ui := top.child("ui"); ui != nil {
		ui.drop("header", "description")
		c.doc.under("status_page").set("title", ui.text("title"))
	}
	if web := top.child("web"); web != nil {
		if port := web.text("port"); port != "" || web.has("address") {
			c.doc.set("listen", net.JoinHostPort(firstOf(web.text("address"), "0.0.0.0"), firstOf(port, "8080")))
		}
	}
	top.lost("storage", "is not carried over: nines has a store of its own, the key store; results of Gatus stay where they are")
	top.lost("security", "is not carried over: the status page is public and its operator pages ask for api_token")
	top.lost("suites", "is not carried over: write a check of kind http with steps")
	top.lost("external-endpoints", "is not carried over: nines takes results from its own probers only")
	alerting := top.child("alerting")
	for _, endpoint := range top.children("endpoints") {
		gatusEndpoint(c, endpoint)
	}
	gatusAlerting(c, alerting)
	if m := top.child("maintenance"); m != nil {
		gatusMaintenance(c, m)
	}
	top.rest()
	return c.finish("Gatus")
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// gatusEndpoint makes a check of an endpoint.
func gatusEndpoint(c *conversion, e *source) {
	name, group, address := e.text("name"), e.text("group"), e.text("url")
	if !e.boolean("enabled", true) {
		e.note("%q is switched off and was left out", name)
		e.abandon()
		return
	}
	scheme, rest, _ := strings.Cut(address, "://")
	if e.has("dns") {
		scheme = "dns"
	}
	kind, known := map[string]string{"http": "http", "https": "http", "dns": "dns", "tcp": "tcp", "tls": "tls", "starttls": "tls", "icmp": "icmp"}[scheme]
	if !known {
		e.note("%q is of a kind that nines does not have (%s), and was left out", name, scheme)
		e.abandon()
		return
	}
	d := c.check(group, name)
	d.set("title", name)
	d.set("group", group)
	d.set("kind", kind)
	every := e.duration("interval", gatusInterval)
	d.set("every", every)
	client := e.child("client")
	d.set("timeout", min(client.duration("timeout", gatusTimeout), every))
	alerts := e.children("alerts")
	for _, alert := range alerts {
		alert.abandon() // who is told, and after how long, is a matter of policies
	}
	if len(alerts) == 0 {
		d.set("severity", "none")
	}
	switch kind {
	case "http":
		d.set("url", address)
		gatusRequest(e, d)
	case "dns":
		question := e.child("dns")
		d.set("domain", question.text("query-name"))
		d.set("type", question.text("query-type"))
		d.set("server", firstOf(strings.TrimSuffix(rest, "/"), address))
	case "icmp":
		d.set("host", rest)
	default:
		d.set("address", rest)
		if scheme == "starttls" {
			d.set("starttls", "smtp")
		}
	}
	gatusClient(client, d, kind)
	gatusConditions(e, d, kind)
	for _, label := range e.pairs("extra-labels") {
		d.under("labels").set(label.key, label.value)
	}
	e.lost("maintenance-windows", "is not carried over: write it under maintenance")
	e.lost("ui", "is not carried over: nines never shows a target's address on public pages")
}

func gatusRequest(e *source, d *draft) {
	method, body := e.text("method"), e.text("body")
	if e.boolean("graphql", false) {
		method = firstOf(method, "POST")
		body = fmt.Sprintf(`{"query":%s}`, jsonText(body))
		d.under("headers").set("Content-Type", "application/json")
	}
	d.set("method", strings.ToUpper(method))
	for _, header := range e.pairs("headers") {
		d.under("headers").set(header.key, header.value)
	}
	d.set("body", body)
}

// gatusClient carries over how an endpoint is connected to.
func gatusClient(client *source, d *draft, kind string) {
	if client == nil {
		return
	}
	if client.boolean("insecure", false) && (kind == "http" || kind == "tls") {
		d.set("insecure", true)
	}
	if client.boolean("ignore-redirect", false) && kind == "http" {
		d.always("redirects", 0)
	}
	switch client.text("network") {
	case "ip4":
		d.always("ip", literal("4"))
	case "ip6":
		d.always("ip", literal("6"))
	}
	if proxy := client.text("proxy-url"); kind == "http" {
		d.set("proxy", proxy)
	}
	if oauth := client.child("oauth2"); oauth != nil && kind == "http" {
		to := d.under("oauth2")
		to.set("token_url", oauth.text("token-url"))
		to.set("client_id", oauth.text("client-id"))
		to.set("client_secret", oauth.text("client-secret"))
		to.set("scopes", oauth.texts("scopes"))
	}
	if own := client.child("tls"); own != nil {
		d.set("client_cert_file", own.text("certificate-file"))
		d.set("client_key_file", own.text("private-key-file"))
		own.drop("renegotiation")
	}
	client.lost("dns-resolver", "is not carried over: names are asked of the prober's own name servers; a check of kind dns asks any")
	client.lost("identity-aware-proxy", "is not carried over")
}

// gatusAlerting says what to write for the channels that were used.
func gatusAlerting(c *conversion, alerting *source) {
	if alerting == nil {
		return
	}
	if sms := alerting.child("twilio"); sms != nil {
		sms.drop("default-alert", "overrides")
		to := c.doc.under("twilio")
		to.set("account_sid", sms.text("sid"))
		to.set("auth_token", sms.text("token"))
		to.set("from", sms.text("from"))
		person := newDraft()
		person.set("name", "on-call")
		person.set("phone", sms.text("to"))
		c.doc.set("people", []*draft{person})
		step := newDraft()
		step.set("notify", []string{"person:on-call"})
		step.set("by", []string{"sms"})
		step.set("wait", 5*time.Minute)
		policy := newDraft()
		policy.set("name", "default")
		policy.set("steps", []*draft{step})
		c.doc.set("policies", []*draft{policy})
	}
	alerting.lost("slack", "is not carried over: a webhook cannot edit messages or carry buttons; write slack with a bot's token and a channel")
	alerting.lost("email", "is not carried over: write email, people and policies")
	for i := 0; i+1 < len(alerting.node.Content); i += 2 {
		if alerting.taken[alerting.node.Content[i].Value] {
			continue
		}
		alerting.lost(alerting.node.Content[i].Value, "is not a channel of nines; see docs/oncall.md for those there are")
	}
}

// gatusMaintenance carries over the daily or weekly window.
func gatusMaintenance(c *conversion, m *source) {
	start, long := m.text("start"), m.duration("duration", 0)
	days, zone := m.texts("every"), m.text("timezone")
	if !m.boolean("enabled", true) || start == "" || long <= 0 {
		return
	}
	begin, err := time.Parse("15:04", start)
	if err != nil || long >= 24*time.Hour {
		m.note("starts at %q and lasts %s, which is no window of hours and minutes within a day; write it by hand", start, durationText(long))
		return
	}
	names := make([]string, len(c.checks))
	for i, d := range c.checks {
		names[i] = d.node.Content[1].Value
	}
	var windows []*draft
	for _, day := range []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"} {
		on := slices.ContainsFunc(days, func(d string) bool { return strings.HasPrefix(strings.ToLower(d), day) })
		if len(days) > 0 && !on {
			continue
		}
		w := newDraft()
		w.set("title", "Maintenance")
		w.set("checks", names)
		when := w.under("weekly")
		when.set("day", day)
		when.set("from", clockTime(begin.Format("15:04")))
		when.set("to", clockTime(begin.Add(long).Format("15:04")))
		when.set("timezone", zone)
		windows = append(windows, w)
	}
	if len(names) > 0 {
		c.doc.set("maintenance", windows)
	}
}
