package checks

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The values are those that RFC 9535 gives for such paths.
func TestJSONPaths(t *testing.T) {
	// After the example of RFC 9535, section 1.5.
	document := must(parseDocument([]byte(`{"store": {"book": [
		{"category": "reference", "author": "Nigel Rees", "price": 8.95},
		{"category": "fiction", "author": "Evelyn Waugh", "price": 12.99},
		{"category": "fiction", "author": "Herman Melville", "isbn": "0-553", "price": 8},
		{"category": "fiction", "author": "J. R. R. Tolkien", "isbn": "0-395", "price": 22.99}],
		"bicycle": {"color": "red", "price": 399}}, "a b": {"c.d": 1, "x]": 2}, "n": null, "deep": [[1, [2]], 3]}`)))(t)
	for path, want := range map[string]string{
		`$.store.book[*].author`:                          `["Nigel Rees","Evelyn Waugh","Herman Melville","J. R. R. Tolkien"]`,
		`$..author`:                                       `["Nigel Rees","Evelyn Waugh","Herman Melville","J. R. R. Tolkien"]`,
		`$.store..price`:                                  `[399,8.95,12.99,8,22.99]`,
		`$..book[2].isbn`:                                 `["0-553"]`,
		`$..book[-1].isbn`:                                `["0-395"]`,
		`$..book[0,1].price`:                              `[8.95,12.99]`,
		`$..book[:2].price`:                               `[8.95,12.99]`,
		`$..book[1:3].price`:                              `[12.99,8]`,
		`$..book[?(@.isbn)].price`:                        `[8,22.99]`,
		`$..book[?(@.price < 10)].author`:                 `["Nigel Rees","Herman Melville"]`,
		`$.store.book[?(@.author == 'Nigel Rees')].price`: `[8.95]`,
		`$.store.book[?(@.category == 'fiction' && @.price < 10)].author`: `["Herman Melville"]`,
		`$.store.book[?(@.author =~ /^J/)].price`:                         `[22.99]`,
		`$['a b']['c.d']`:    `[1]`,
		`$['a b']['x]']`:     `[2]`,
		`$.n`:                `[null]`,
		`$.no`:               `[]`,
		`$.store.book[9]`:    `[]`,
		`$.deep[0][1][0]`:    `[2]`,
		`$.deep..[0]`:        `[[1,[2]],1,2]`,
		`$.store.book.price`: `[]`,
	} {
		var p JSONPath
		if err := p.UnmarshalText([]byte(path)); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got, err := p.follow(document, time.Time{})
		if got == nil {
			got = []any{}
		}
		data, _ := json.Marshal(got)
		if err != nil || string(data) != want {
			t.Errorf("%s: %s (%v), want %s", path, data, err, want)
		}
	}
}

func TestJSONPathFaults(t *testing.T) {
	for path, says := range map[string]string{
		``:                               "it is empty",
		`status`:                         "does not start with $",
		`@.x`:                            "does not start with $",
		`$.`:                             "not terminated",
		`$[`:                             "not terminated",
		`$..`:                            "",
		`$.a[?(@.x == $.y)]`:             "it may look at @ alone",
		`$.a[?(@..x == 1)]`:              "has .. or a filter in it",
		`$.a[?(@.b[?(@.c == 1)] == 1)]`:  "",
		`$.a[?search(@.x, @.y)]`:         "takes its pattern from the document",
		`$.a[?search(length(@.x), @.y)]`: "takes its pattern from the document",
		`$.a[?(search(length(@.x), @.y) == 'x')]`: "takes its pattern from the document",
		`$.a[?(@.x =~ @.y)]`:                      "",
		`$.a[?(@.x =~ /(/)]`:                      "missing closing",
		`$.a[(@.length-1)]`:                       "",
		`$.a` + strings.Repeat(".b", 300):         "at most 500",
	} {
		var p JSONPath
		err := p.UnmarshalText([]byte(path))
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "is not a path into JSON") {
			t.Errorf("%.40q: %v, want %q", path, err, says)
		}
	}
}

// Bombs of nesting and of numbers are refused or read, quickly.
func TestDocuments(t *testing.T) {
	for _, tt := range []struct{ name, body, says string }{
		{"nesting", strings.Repeat("[", 10_100), "the body is not JSON at byte 10000: invalid character '[' exceeded max depth"},
		{"nesting of objects", strings.Repeat(`{"a":`, 10_100), "more values than JSON is read of within max_body, 1048576 bytes"},
		{"values", strings.Repeat("[", 1<<20), "more values than JSON is read of within max_body, 1048576 bytes"},
		{"HTML", "<html>", "the body is not JSON at byte 0: invalid character '<' looking for beginning of value"},
		{"nothing", "", "the body is not JSON at byte 0: it ends too early"},
		{"half", `{"a": [1, 2`, "the body is not JSON at byte 11: it ends too early"},
		{"fault within", `{"a": [1, x]}`, "the body is not JSON at byte 10: invalid character 'x'"},
		{"two", `{"a": 1} {"a": 2}`, "the body is not JSON at byte 9: there is more after its end"},
		{"large", `"` + strings.Repeat("x", maxDocument) + `"`, "JSON is read from at most 4194304"},
		{"numbers", `[1e400, -1e400, 1e-400, 123456789012345678901234567890]`, ""},
		{"no UTF-8", "{\"a\": \"\xff\"}", ""},
		{"space", " \r\n\t{} \n", ""},
	} {
		start := time.Now()
		a := answered(tt.body)
		d := a.json()
		if (d.err == nil) != (tt.says == "") || d.err != nil && !strings.Contains(d.err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, d.err, tt.says)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", tt.name, took)
		}
		if d.err != nil {
			e := HTTPExpect{JSON: map[string]JSONExpect{"$": {Absent: new(false)}}}
			if f := e.json(a); f.status != Down || f.reason != ContentMismatch {
				t.Errorf("%s: %+v", tt.name, f)
			}
		}
	}
	if got := must(parseDocument([]byte(`{"a": 1, "b": 1.0, "c": [9223372036854775807, 9223372036854775808]}`)))(t); !cmp.Equal(got,
		map[string]any{"a": int64(1), "b": 1.0, "c": []any{int64(9223372036854775807), 9223372036854775808.0}}) {
		t.Errorf("%#v", got)
	}
}

// However a path and a document meet, following ends by the deadline or at the
// limit of values.
func TestPathsAreBounded(t *testing.T) {
	deep := must(parseDocument([]byte(strings.Repeat(`{"a":`, 9999) + "1" + strings.Repeat("}", 9999))))(t)
	wide := must(parseDocument([]byte("[" + strings.Repeat(`{"x":[]},`, 300_000) + "1]")))(t)
	for _, tt := range []struct {
		path     string
		document any
		want     error
	}{
		{"$..a", deep, nil},
		{"$..*..a", deep, errPathTooWide},
		{"$..a..a..a..a", deep, errPathTooWide},
		{"$..[?(@.a == 1)]", deep, nil},
		{"$..x", wide, errPathTooWide},
		{"$[*]", wide, errPathTooWide},
		{"$[0:5].x", wide, nil},
	} {
		start := time.Now()
		_, err := path(t, tt.path).follow(tt.document, start.Add(5*time.Second))
		if err != tt.want {
			t.Errorf("%s: %v, want %v", tt.path, err, tt.want)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("%s took %v", tt.path, took)
		}
	}
	if _, err := path(t, "$..a").follow(deep, time.Now().Add(-time.Second)); err != errPathTooSlow {
		t.Errorf("without time: %v", err)
	}
}

func FuzzJSONPath(f *testing.F) {
	for _, path := range []string{
		"$.a.b", "$..a[0]", "$['a','b'][*]", "$[?(@.a == 1)].b", "$[?(@.a =~ /x/)]", "$[1:2:3]", "$[-1]", "$[?length(@.a) > 1]", "$.a[?(!@.b)]", "$..*", `$["a\"b"]`, "$[?(@ == 1 || @.a in [1, 2])]",
	} {
		f.Add(path, `{"a": [{"a": 1, "b": [1, 2, {"a": "x"}]}, 2], "b": {"a": null}}`)
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		var p JSONPath
		if p.UnmarshalText([]byte(text)) != nil {
			return
		}
		value, err := parseDocument([]byte(body))
		if err != nil {
			return
		}
		start := time.Now()
		found, err := p.follow(value, start.Add(100*time.Millisecond))
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%q took %v", text, took)
		}
		if err == nil && len(found) > maxNodes {
			t.Errorf("%q finds %d", text, len(found))
		}
		for _, v := range found {
			shownValue(v)
		}
		again := new(JSONPath)
		if err := again.UnmarshalText([]byte(p.String())); err != nil {
			t.Errorf("%q cannot be read again: %v", text, err)
		}
	})
}
