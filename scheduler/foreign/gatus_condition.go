package foreign

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// condition is one line of an endpoint's conditions: two sides and a
// comparison between them.
type condition struct{ left, op, right string }

var conditionForm = regexp.MustCompile(`^(.+?)\s+(==|!=|<=|>=|<|>)\s+(.+)$`)

// gatusConditions carries over what must hold. Gatus takes an endpoint whose
// conditions do not all hold for down, so a slow one becomes fail_after.
func gatusConditions(e *source, d *draft, kind string) {
	expect := newDraft()
	asksStatus := false
	for _, line := range e.items("conditions") {
		parts := conditionForm.FindStringSubmatch(strings.TrimSpace(line.text))
		if parts == nil {
			e.noteAt(line.node, line.where, "%q is not a comparison, and was left out", line.text)
			continue
		}
		c := condition{parts[1], parts[2], parts[3]}
		asksStatus = asksStatus || strings.Contains(c.left, "[STATUS]")
		if why := c.expect(expect, kind); why != "" {
			e.noteAt(line.node, line.where, "%q %s", line.text, why)
		}
	}
	if kind == "http" && !asksStatus {
		expect.set("status", []any{literal("100-599")}) // Gatus looks at no status of itself
	}
	d.set("expect", expect)
}

// expect adds the condition to a check's expectations, or returns why it
// cannot.
func (c condition) expect(expect *draft, kind string) (why string) {
	left := c.left
	switch {
	case left == "[CONNECTED]":
		if c.op == "==" && c.right == "true" {
			return "" // a check that cannot connect is down anyway
		}
	case left == "[STATUS]" && kind == "http":
		return c.status(expect)
	case left == "[RESPONSE_TIME]" && (c.op == "<" || c.op == "<="):
		ms, err := strconv.Atoi(c.right)
		if err != nil || ms <= 0 {
			return "is not compared with a number of milliseconds, and was left out"
		}
		if kind == "icmp" {
			expect.set("within", time.Duration(ms)*time.Millisecond)
			return "makes the check degraded, not down: of kind icmp only that can be told"
		}
		expect.set("fail_after", time.Duration(ms)*time.Millisecond)
		return ""
	case left == "[CERTIFICATE_EXPIRATION]" && (c.op == ">" || c.op == ">=") && (kind == "http" || kind == "tls"):
		d, err := parseDuration(c.right)
		if err != nil || d <= 0 {
			return "is not compared with a duration, and was left out"
		}
		expect.set("valid_for", d)
		return ""
	case left == "[DNS_RCODE]" && c.op == "==" && kind == "dns":
		expect.set("rcode", c.right)
		return ""
	case left == "[BODY]" && kind == "dns":
		if pattern := glob(c.right); c.op == "==" && pattern == "" {
			expect.append("answer_contains", c.right)
			return ""
		}
	case left == "[BODY]" && kind == "tcp" && c.op == "==":
		if text, inner := contained(c.right); inner {
			expect.append("contains", text)
			return ""
		}
	case strings.Contains(left, "[BODY]") && kind == "http":
		return c.body(expect)
	}
	return "has no counterpart, and was left out"
}

// status carries over what is said of the status.
func (c condition) status(expect *draft) string {
	var ranges []any
	code, err := strconv.Atoi(c.right)
	switch {
	case c.op == "==" && strings.HasPrefix(c.right, "any("):
		for _, text := range arguments(c.right) {
			ranges = append(ranges, literal(text))
		}
	case err != nil:
		return "is not compared with a number, and was left out"
	case c.op == "==":
		ranges = []any{literal(c.right)}
	case c.op == "<":
		ranges = []any{literal(fmt.Sprintf("100-%d", code-1))}
	case c.op == "<=":
		ranges = []any{literal(fmt.Sprintf("100-%d", code))}
	case c.op == ">":
		ranges = []any{literal(fmt.Sprintf("%d-599", code+1))}
	case c.op == ">=":
		ranges = []any{literal(fmt.Sprintf("%d-599", code))}
	case c.op == "!=":
		ranges = []any{literal(fmt.Sprintf("100-%d", code-1)), literal(fmt.Sprintf("%d-599", code+1))}
	}
	for _, r := range ranges {
		if !regexp.MustCompile(`^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$`).MatchString(string(r.(literal))) {
			return "is not compared with a status code, and was left out"
		}
	}
	for _, r := range ranges {
		expect.append("status", r)
	}
	return ""
}

var bodyForm = regexp.MustCompile(`^(len\(|has\()?\[BODY\]([A-Za-z0-9_.\[\]"'-]*)\)?$`)

// body carries over what is said of a body or of a value in it.
func (c condition) body(expect *draft) string {
	parts := bodyForm.FindStringSubmatch(c.left)
	if parts == nil {
		return "has no counterpart, and was left out"
	}
	function, path := parts[1], parts[2]
	if path == "" && function == "" {
		return c.wholeBody(expect)
	}
	if path == "" {
		expect.append("expr", fmt.Sprintf("len(body) %s %s", c.op, c.right))
		return ""
	}
	at := "$" + path
	value := newDraft()
	pattern := glob(c.right)
	switch {
	case function == "has(" && c.op == "==" && c.right == "false":
		value.set("absent", true)
	case function == "has(" && c.op == "==" && c.right == "true":
		expect.append("expr", access(path)+" != nil")
		return ""
	case function == "len(" && c.op == "==":
		value.always("length", literal(c.right))
	case function == "len(":
		expect.append("expr", fmt.Sprintf("len(%s) %s %s", access(path), c.op, c.right))
		return ""
	case pattern != "" && c.op == "==":
		value.set("matches", pattern)
	case pattern != "" && c.op == "!=":
		expect.append("expr", fmt.Sprintf("not (string(%s) matches %s)", access(path), jsonText(pattern)))
		return ""
	case strings.HasPrefix(c.right, "any(") && (c.op == "==" || c.op == "!="):
		in := "in"
		if c.op == "!=" {
			in = "not in"
		}
		expect.append("expr", fmt.Sprintf("%s %s [%s]", access(path), in, strings.Join(values(arguments(c.right)), ", ")))
		return ""
	case c.op == "==":
		expect.under("json").always(at, scalarOf(c.right))
		return ""
	default:
		expect.append("expr", fmt.Sprintf("%s %s %s", access(path), c.op, values([]string{c.right})[0]))
		return ""
	}
	expect.under("json").put(at, value.node)
	return ""
}

func (c condition) wholeBody(expect *draft) string {
	text, inner := contained(c.right)
	pattern := glob(c.right)
	switch {
	case inner && c.op == "==":
		expect.append("body_contains", text)
	case inner && c.op == "!=":
		expect.append("body_lacks", text)
	case pattern != "" && c.op == "==":
		expect.append("body_matches", pattern)
	case pattern != "":
		return "has no counterpart, and was left out"
	case strings.HasPrefix(c.right, "any(") && c.op == "==":
		expect.append("expr", fmt.Sprintf("body in [%s]", strings.Join(quoted(arguments(c.right)), ", ")))
	case c.op == "==" || c.op == "!=":
		expect.append("expr", fmt.Sprintf("body %s %s", c.op, jsonText(c.right)))
	default:
		return "has no counterpart, and was left out"
	}
	return ""
}

// glob returns the regular expression of pat(…), "" for anything else.
func glob(right string) string {
	inside, ok := strings.CutPrefix(right, "pat(")
	if !ok || !strings.HasSuffix(inside, ")") {
		return ""
	}
	inside = strings.TrimSuffix(inside, ")")
	var b strings.Builder
	b.WriteString("(?s)^")
	for _, r := range inside {
		switch r {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString("$")
	return b.String()
}

// contained returns the text of a pattern such as pat(*text*).
func contained(right string) (string, bool) {
	inside, ok := strings.CutPrefix(right, "pat(*")
	inside, ok2 := strings.CutSuffix(inside, "*)")
	return inside, ok && ok2 && inside != "" && !strings.ContainsAny(inside, "*?[")
}

// arguments returns those of any(a, b).
func arguments(right string) []string {
	inside := strings.TrimSuffix(strings.TrimPrefix(right, "any("), ")")
	var args []string
	for arg := range strings.SplitSeq(inside, ",") {
		args = append(args, strings.TrimSpace(arg))
	}
	return args
}

// access writes a path below the body as an expression that is nil where a
// value on the way is missing.
func access(path string) string {
	return "json" + strings.ReplaceAll(strings.ReplaceAll(path, ".", "?."), "[", "?.[")
}

// scalarOf returns a value as YAML should have it: numbers, true, false and
// null as such, all else as text.
func scalarOf(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		if _, isText := v.(string); !isText {
			return literal(text)
		}
	}
	return text
}

// values writes texts as literals of an expression.
func values(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		if v, plain := scalarOf(text).(literal); plain {
			out[i] = strings.Replace(string(v), "null", "nil", 1)
			continue
		}
		out[i] = jsonText(text)
	}
	return out
}

func quoted(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = jsonText(text)
	}
	return out
}

// jsonText quotes a text as JSON and expressions do.
func jsonText(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always can be
	}
	return string(quoted)
}
