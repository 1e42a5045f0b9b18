package checks

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// answered is an answer as expectations see it.
func answered(body string) *answer {
	watch := startWatch()
	watch.phases[phaseTLS] = 20
	return &answer{
		watch: watch, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), status: 200, version: "2",
		header: http.Header{"Content-Type": {"application/json", "second"}}, body: []byte(body), bodyBytes: len(body),
		remote: netip.MustParseAddr("192.0.2.7"), redirects: 1, captured: map[string]string{"token": "abc"},
	}
}

func TestExpressions(t *testing.T) {
	const body = `{"total": 3, "name": "Anna", "items": [{"id": 1, "ok": true}, {"id": 2, "ok": true}], "at": "2026-01-02T03:00:00Z", "none": null}`
	for _, tt := range []struct{ text, wrong string }{
		{`status == 200`, ""},
		{`status in [200, 204]`, ""},
		{`status >= 500`, "is false"},
		{`headers["content-type"] contains "json"`, ""},
		{`headers.missing == ""`, ""},
		{`json.total > 0 && phases.tls < 200`, ""},
		{`phases.dns == 0`, ""},
		{`json.total > 3`, "json.total > 3 is false"},
		{`all(json.items, .ok)`, ""},
		{`all(json.items, {.id > 0 and .ok})`, ""},
		{`len(filter(json.items, .id > 1)) == 1`, ""},
		{`sum(json.items, .id) == 3`, ""},
		{`json.name matches "^An+a$"`, ""},
		{`json.name + "!" == "Anna!" && 1 + 2 == 3 && json.total + 1 == 4`, ""},
		{`lower(json.name) == "anna" && upper("a") == "A" && len(split(body, ",")) == 8`, ""},
		{`date(json.at) > now() - duration("1h")`, ""},
		{`date(json.at) > now() - duration("1m")`, "is false"},
		{`json.none == nil && json.absent == nil`, ""},
		{`json.none?.deeper == nil`, ""},
		{`json.none.deeper == 1`, "cannot be said: cannot fetch deeper from <nil> (at 1:11)"},
		{`json.items[5].id == 1`, "cannot be said: index out of range"},
		{`json.name > 5`, "cannot be said"},
		{`json.total`, "cannot be said: invalid operation: bool(int64) (at 1:1)"},
		{`redirects == 1 && bytes > 10 && http_version == "2" && remote_ip == "192.0.2.7" && cert_days_left == 0 && took_ms == 0`, ""},
		{`let n = json.total; n == 3`, ""},
		{`type(json.total) == "int"`, ""},
		{`all(-9223372036854775807..9223372036854775807, false)`, ""}, // its size overflows: none
		{`(json.nick ?? "x") == "x"`, ""},
	} {
		got := expression(t, tt.text).wrong(answered(body))
		if (got == "") != (tt.wrong == "") || !strings.Contains(got, tt.wrong) {
			t.Errorf("%s: %q, want %q", tt.text, got, tt.wrong)
		}
		if err := expression(t, tt.text).faults(nil); err != nil {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
	if got := expression(t, `json.total > 0`).wrong(answered("<html>")); !strings.Contains(got, "cannot fetch total from <nil>") {
		t.Errorf("what is not JSON: %q", got)
	}
	if got := expression(t, `json == nil`).wrong(answered("<html>")); got != "" {
		t.Errorf("what is not JSON: %q", got)
	}
	if got := (Expression{}).wrong(answered("")); got != "" {
		t.Errorf("the zero expression: %q", got)
	}
	x := expression(t, `token == "abc"`)
	if got := x.wrong(answered("")); got != "" || x.faults([]string{"token"}) != nil || x.faults(nil) == nil {
		t.Errorf("captured: %q, %v, %v", got, x.faults([]string{"token"}), x.faults(nil))
	}
}

func TestExpressionFaults(t *testing.T) {
	for text, says := range map[string]string{
		`status = 200`:                 "(at 1:8)",
		`(status == 200`:               "(at 1:",
		``:                             "unexpected token EOF",
		`statsu == 200`:                `unknown name statsu (at 1:1)`,
		`phases.tls < "5"`:             "mismatched types float64 and string",
		`status`:                       "expected bool, but got int",
		`status + 1`:                   "expected bool, but got int",
		`body matches headers.a`:       "no pattern that is written out",
		`body matches json.p`:          "no pattern that is written out",
		`body matches "("`:             "missing closing",
		`$env["body"] == ""`:           "$env is not known",
		`$env.body == ""`:              "$env is not known",
		`repeat(body, 1000) == ""`:     "unknown name repeat",
		`toJSON(json) == ""`:           "unknown name toJSON",
		`len(sort(json)) == 1`:         "unknown name sort",
		`#tick()`:                      "at 1:1",
		`reduce(1..9, #acc + #) == 45`: "unknown name reduce",
		strings.Repeat("status == 200 || ", 200) + "true":            "at most 2000",
		"true" + strings.Repeat("||true", 300):                       "exceeds maximum allowed nodes",
		`body matches "` + strings.Repeat("a", 1001) + `"`:           "more than 1000 bytes",
		`status == 200` + "\n" + `&& nme == "x"`:                     "unknown name nme (at 2:4)",
		`headers.a.b == ""`:                                          "type string has no field b",
		strings.Repeat("(", 999) + "true" + strings.Repeat(")", 999): "",
		`all(status, true)`:                                          "builtin all takes only array",
	} {
		var x Expression
		err := x.UnmarshalText([]byte(text))
		if err == nil {
			err = x.faults(nil)
		}
		if err == nil && says == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") && !strings.Contains(text, "\n") {
			t.Errorf("%.60q: %v, want %q", text, err, says)
		}
	}
}

// However an expression is written, it ends by the deadline and within memory.
func TestExpressionsAreBounded(t *testing.T) {
	big := `{"list": [` + strings.Repeat("1,", 99_999) + `1]}`
	for _, tt := range []struct{ text, says string }{
		{`all(1..1000000, # > 0)`, "memory budget exceeded"},
		{`all(1..99999, all(1..99999, # > 0))`, "memory budget exceeded"},
		{`all(json.list, all(json.list, # == 1))`, "did not end in the time"},
		{`all(json.list, # not in json.list || all(json.list, # in json.list))`, "did not end in the time"},
		{`len(map(json.list, upper(body))) > 0`, "texts of more than"},
		{`len(map(json.list, body + body)) > 0`, "texts of more than"},
		{`len(map(json.list, split(body, ","))) > 0`, "texts of more than"},
		{`let a = body+body; let b = a+a; let c = b+b; let d = c+c; let e = d+d; let f = e+e; let g = f+f; let h = g+g; h == ""`, "texts of more than"},
		{`len(map(1..99999, [1,2,3,4,5])) > 0`, "memory budget exceeded"},
	} {
		a := answered(big)
		a.limit = maxDocument
		start := time.Now()
		if strings.Contains(tt.says, "in the time") {
			a.until = start.Add(300 * time.Millisecond)
		}
		got := expression(t, tt.text).wrong(a)
		if got == "" || !strings.Contains(got, tt.says) {
			t.Errorf("%s: %q, want %q", tt.text, got, tt.says)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %v", tt.text, took)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, text := range []string{
		`status == 200`, `all(json.items, {.id > 0})`, `let a = body; a + a == "x"`, `headers["a"] contains "b" ?? true`, `1..5 == [1]`,
		`body matches "^a+$"`, `not (json?.a?.b in {"x": 1})`, "`raw` == 'x' ? true : false", `now() - duration("1h") < date("2026-01-01")`, `json | len() > 1`,
	} {
		f.Add(text, `{"items": [{"id": 1}]}`)
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		var x Expression
		if x.UnmarshalText([]byte(text)) != nil {
			return
		}
		x.faults(nil)
		a := answered(body)
		a.until = time.Now().Add(50 * time.Millisecond)
		start := time.Now()
		x.wrong(a)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%q took %v", text, took)
		}
		var again Expression
		if err := again.UnmarshalText([]byte(x.String())); err != nil {
			t.Errorf("%q cannot be read again: %v", text, err)
		}
	})
}
