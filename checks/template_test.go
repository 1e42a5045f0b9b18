package checks

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFill(t *testing.T) {
	values := map[string]string{"a": "1", "b": `x/y?z&"q" ü`, "up": "..", "n": "line\r\nend"}
	for _, tt := range []struct {
		text   string
		escape func(before, value string) string
		want   string
	}{
		{"plain", asIs, "plain"},
		{"{{a}}{{a}} {{ a }}", asIs, "11 1"},
		{"{{A}} {{a b}} {{}} {{{a}}} {a} }}", asIs, "{{A}} {{a b}} {{}} {1} {a} }}"},
		{"https://h/{{b}}/x", inURL, "https://h/x%2Fy%3Fz&%22q%22%20%C3%BC/x"},
		{"https://h/p?q={{b}}&r={{a}}", inURL, "https://h/p?q=x%2Fy%3Fz%26%22q%22+%C3%BC&r=1"},
		{"https://h/{{up}}/{{b}}?{{up}}", inURL, "https://h/%2E%2E/x%2Fy%3Fz&%22q%22%20%C3%BC?.."},
		{"a={{b}}", inForm, "a=x%2Fy%3Fz%26%22q%22+%C3%BC"},
		{`{"a": "{{b}}", "n": {{a}}, "\"": "{{n}}"}`, inJSON, `{"a": "x/y?z\u0026\"q\" ü", "n": 1, "\"": "line\r\nend"}`},
	} {
		if got := fill(tt.text, values, tt.escape); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
	}
	if name, ok := whole("{{ next }}"); !ok || name != "next" {
		t.Errorf("%q, %v", name, ok)
	}
	for _, text := range []string{"{{a}}{{b}}", "x{{a}}", "", "{{a}}\n"} {
		if _, ok := whole(text); ok {
			t.Errorf("%q is a name alone", text)
		}
	}
}

// Whatever a target says, a URL keeps its host, its path so many segments and
// its query so many fields; and a JSON text stays one.
func TestFillKeepsItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { keepsItsPlace(t, rapid.String().Draw(t, "value")) })
}

func FuzzFill(f *testing.F) {
	for _, value := range []string{"", "a", "/../..", "?x=1", "#", "@evil.test/", "\\evil.test", "%2f", "a&b=c", "\"}", "\x00\xff", "{{v}}", "…"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) { keepsItsPlace(t, value) })
}

func keepsItsPlace(t interface{ Errorf(string, ...any) }, value string) {
	values := map[string]string{"v": value}
	for _, text := range []string{"https://shop.example.com/a/{{v}}/b?c={{v}}&d={{v}}#e", "https://shop.example.com?{{v}}=1&d=2&c=", "http://[2001:db8::1]:8080/{{v}}"} {
		got := fill(text, values, inURL)
		u, err := url.Parse(got)
		if err != nil {
			t.Errorf("%q becomes %q: %v", value, got, err)
			continue
		}
		was, _ := url.Parse(strings.ReplaceAll(text, "{{v}}", "x"))
		if u.Scheme != was.Scheme || u.Host != was.Host || u.User != nil || u.Fragment != was.Fragment {
			t.Errorf("%q becomes %q", value, got)
		}
		if strings.Count(u.EscapedPath(), "/") != strings.Count(was.EscapedPath(), "/") || len(strings.Split(u.RawQuery, "&")) != len(strings.Split(was.RawQuery, "&")) {
			t.Errorf("%q becomes %q", value, got)
		}
		if was.Query().Get("c") == "x" && u.Query().Get("c") != value {
			t.Errorf("%q is read as %q", value, u.Query().Get("c"))
		}
	}
	var back map[string]string
	body := fill(`{"a\"": "<{{v}}>", "b": "end"}`, values, inJSON)
	if err := json.Unmarshal([]byte(body), &back); err != nil || len(back) != 2 || back[`a"`] != "<"+strings.ToValidUTF8(value, "\uFFFD")+">" {
		if len(strings.ToValidUTF8(value, "")) == len(value) || err != nil || len(back) != 2 {
			t.Errorf("%q makes %s (%v)", value, body, err)
		}
	}
	form, err := url.ParseQuery(fill("a={{v}}&b=end", values, inForm))
	if err != nil || len(form) != 2 || form.Get("a") != value {
		t.Errorf("%q makes %v (%v)", value, form, err)
	}
}

func TestAuthority(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example/x": "https://a.example", "https://a.example": "https://a.example", "https://a.example?x": "https://a.example",
		"https://a.example#x": "https://a.example", "https://{{a}}/x": "https://{{a}}", "{{a}}://b/": "{{a}}://b", "https://a{{b}}": "https://a{{b}}",
		`https://a\{{b}}/`: "https://a", "{{a}}/b": "{{a}}", "https:{{a}}": "https:{{a}}", "https:///{{a}}": "https://",
	} {
		if got := authorityOf(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
