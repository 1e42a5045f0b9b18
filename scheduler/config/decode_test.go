package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"nines/internal/secret"
	"nines/regions"
)

// everything has a field of every type that options may have.
type everything struct {
	Text     string                   `json:"text"`
	Yes      bool                     `json:"yes"`
	Int      int                      `json:"int"`
	Int8     int8                     `json:"int8"`
	Uint     uint16                   `json:"uint"`
	Float    float64                  `json:"float"`
	Duration time.Duration            `json:"duration"`
	Secret   secret.String            `json:"secret"`
	Pointer  *int                     `json:"pointer"`
	List     []string                 `json:"list"`
	Ints     []int                    `json:"ints"`
	Map      map[string]int           `json:"map"`
	Secrets  map[string]secret.String `json:"secrets"`
	Nested   nested                   `json:"nested"`
	Deep     *nested                  `json:"deep"`
	Many     []nested                 `json:"many"`
	Quorum   regions.Quorum           `json:"quorum"`
	Either   either                   `json:"either"`
	Choice   string                   `json:"choice" enum:"one,two"`
	Body     string                   `json:"body" file:"true"`
	Any      any                      `json:"any"`
	Single   single                   `json:"single"`
	Rules    map[string]rules         `json:"rules"`
	Presets  []preset                 `json:"presets"`
	flat
	*Far
	Ignored string `json:"-"`
}

type nested struct {
	Name string `json:"name"`
	N    int    `json:"n,omitempty"`
}

// single takes any single value, as JSON has it.
type single struct{ text string }

func (s *single) UnmarshalJSON(data []byte) error {
	if string(data) == `"bad"` {
		return fmt.Errorf("%s is bad; write good", data)
	}
	s.text = string(data)
	return nil
}

// rules are a single value, or a mapping.
type rules struct {
	single
	N int `json:"n"`
}

// preset is a struct with defaults of its own.
type preset struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

func (p *preset) Preset() { p.N = 5 }

type flat struct {
	Flat string `json:"flat"`
}

// Far is embedded by a pointer.
type Far struct {
	Far string `json:"far"`
}

// either is a word, or a mapping.
type either struct {
	N    int `json:"n"`
	word string
}

func (e *either) UnmarshalText(text []byte) error {
	if string(text) == "bad" {
		return fmt.Errorf("%q is bad; write good", text)
	}
	e.word = string(text)
	return nil
}

// decodeText decodes YAML into a value and returns what is wrong.
func decodeText(t testing.TB, yaml string, into any) Faults {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "body.txt", "a\nbody\n")
	path := write(t, dir, "in.yaml", yaml)
	found := &findings{}
	root, _ := (&reader{findings: found, getenv: environment}).readFile(path)
	if root != nil {
		(&decoder{found}).structs(root, true, reflect.ValueOf(into).Elem())
	}
	faults := sorted(found.faults)
	for i := range faults {
		faults[i].File = ""
	}
	return faults
}

func TestDecode(t *testing.T) {
	var got everything
	faults := decodeText(t, `
text: 0x10
yes: true
int: -3
int8: 127
uint: 65535
float: 1e3
duration: 1h30m
secret: s3cret
pointer: 7
list: [a, 1, true, 2026-01-05]
ints: [1, 2]
map: {a: 1, "b c": 2}
secrets: {Authorization: Bearer x}
nested: {name: n, n: 1}
deep: {name: d}
many: [{n: 1}, {n: 2}]
quorum: 2
either: {n: 4}
choice: two
body_file: body.txt
any: {a: [1, {b: c}], d: }
single: -1.5e3
rules: {a: "5", b: true, c: null, d: ~, e: , f: {n: 3}, g: "null", h: '${STRUCTURE}', i: ${FIVE:-5}, j: 0x10, k: !!str 7, l: on}
presets: [{name: a}, {name: b, n: 0}]
flat: f
far: g
`, &got)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	seven := 7
	want := everything{
		Text: "0x10", Yes: true, Int: -3, Int8: 127, Uint: 65535, Float: 1000, Duration: 90 * time.Minute,
		Secret: secret.New("s3cret"), Pointer: &seven,
		List: []string{"a", "1", "true", "2026-01-05"}, Ints: []int{1, 2},
		Map:     map[string]int{"a": 1, "b c": 2},
		Secrets: map[string]secret.String{"Authorization": secret.New("Bearer x")},
		Nested:  nested{"n", 1}, Deep: &nested{Name: "d"}, Many: []nested{{N: 1}, {N: 2}},
		Quorum: regions.AtLeast(2), Either: either{N: 4}, Choice: "two", Body: "a\nbody\n",
		Any:    map[string]any{"a": []any{json.Number("1"), map[string]any{"b": "c"}}, "d": nil},
		Single: single{"-1.5e3"},
		Rules: map[string]rules{
			"a": {single: single{`"5"`}}, "b": {single: single{"true"}}, "c": {single: single{"null"}}, "d": {single: single{"null"}}, "e": {}, "f": {N: 3},
			"g": {single: single{`"null"`}}, "h": {single: single{`"a: b, c: [d] # \"e\" '"`}}, "i": {single: single{"5"}}, "j": {single: single{`"0x10"`}},
			"k": {single: single{`"7"`}}, "l": {single: single{`"on"`}},
		},
		Presets: []preset{{"a", 5}, {"b", 0}},
		flat:    flat{"f"}, Far: &Far{"g"},
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// What a key does not say stays as it was, and what it does say replaces it.
func TestDecodeKeepsDefaults(t *testing.T) {
	got := everything{Text: "kept", List: []string{"replaced", "too"}, Ints: []int{1}, Nested: nested{"kept", 3}, Map: map[string]int{"gone": 1}}
	if faults := decodeText(t, "list: [new]\nints:\nnested: {n: 4}\nmap: {here: 2}\n", &got); len(faults) > 0 {
		t.Fatal(faults)
	}
	want := everything{Text: "kept", List: []string{"new"}, Ints: []int{1}, Nested: nested{"kept", 4}, Map: map[string]int{"here": 2}, Far: &Far{}}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDecodeFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"text: [a]":                 ":1:7: text: is a list; write text",
		"text: {a: b}":              ":1:7: text: is a mapping of keys to values; write text",
		"text:":                     ":1:6: text: has no value; write text, or leave the key out",
		"yes: on":                   `:1:6: yes: "on" is neither true nor false; write one of them`,
		"int: 1.5":                  `:1:6: int: "1.5" is not a whole number; write one, such as 3`,
		"int: 0x10":                 `:1:6: int: "0x10" is not a whole number; write one, such as 3`,
		"int: 1_000":                `:1:6: int: "1_000" is not a whole number; write one, such as 3`,
		"int: 99999999999999999999": ":1:6: int: 99999999999999999999 is out of range; write a smaller number",
		"int8: 128":                 ":1:7: int8: 128 is out of range; write a smaller number",
		"uint: -1":                  `:1:7: uint: "-1" is not a whole number from 0; write one, such as 3`,
		"float: .inf":               `:1:8: float: ".inf" is not a number; write one, such as 3`,
		"float: 1e999":              ":1:8: float: 1e999 is out of range; write a smaller number",
		"float: 0x1p-2":             `:1:8: float: "0x1p-2" is not a number; write one, such as 3`,
		"float: nan":                `:1:8: float: "nan" is not a number; write one, such as 3`,
		"duration: 5":               `:1:11: duration: "5" has no unit; write 5s, or ms, m, h, d or w instead of s`,
		"secret: [a]":               ":1:9: secret: is a list; write a secret",
		"list: a":                   ":1:7: list: is a single value; write a list: [a]",
		"list: {a: b}":              ":1:7: list: is a mapping of keys to values; write a list",
		"list: [[a]]":               ":1:8: list[0]: is a list; write text",
		"list: [a, ]\nints: [1, x]": `:2:11: ints[1]: "x" is not a whole number; write one, such as 3`,
		"list: [a, ~]":              ":1:11: list[1]: has no value; write text, or leave the key out",
		"map: [a]":                  ":1:6: map: is a list; write a mapping of keys to values",
		"map: {a.b: x}":             `:1:12: map["a.b"]: "x" is not a whole number; write one, such as 3`,
		"nested: a":                 ":1:9: nested: is a single value; write a mapping of keys to values",
		"many: [a]":                 ":1:8: many[0]: is a single value; write a mapping of keys to values",
		"many: [{nam: a}]":          ":1:9: many[0].nam: unknown key; did you mean name?",
		"quorum: none":              `:1:9: quorum: "none" is not a quorum; write majority, any, all, or a number of regions from 1`,
		"either: bad":               `:1:9: either: "bad" is bad; write good`,
		"either: [a]":               ":1:9: either: is a list; write text, or a mapping of keys to values",
		"single: bad":               `:1:9: single: "bad" is bad; write good`,
		"single: [a]":               ":1:9: single: is a list; write a value",
		"single:":                   ":1:8: single: has no value; write a value, or leave the key out",
		"rules: {a: [b]}":           ":1:12: rules.a: is a list; write a value, or a mapping of keys to values",
		"rules: {a: {m: 1}}":        ":1:13: rules.a.m: unknown key; did you mean n?",
		"choice: three":             `:1:9: choice: "three" is none of one, two; write one of them`,
		"choice: x":                 `:1:9: choice: "x" is none of one, two; write one of them`,
		"body: a\nbody_file: b":     ":2:1: body_file: body is given too, at in.yaml:1:1; keep one of the two",
		"body_file: [a]":            ":1:12: body_file: is a list; write text",
		"text_file: a":              ":1:1: text_file: unknown key; did you mean body_file?",
		"secret_file: nowhere":      ":1:14: secret_file: the file cannot be read: no such file or directory; name one that can, relative to the folder of this one",
		"ignored: a":                ":1:1: ignored: unknown key; the nearest is int",
		"Text: a":                   ":1:1: Text: unknown key; did you mean text?",
		"? {a: b}\n: c":             ":1:3: file: a key is a list or a mapping; write a plain word",
	} {
		var into everything
		faults := decodeText(t, yaml, &into)
		got := faults.Error()
		// The first place of two is shown with its file, wherever that is.
		if i, j := strings.Index(got, "at /"), strings.Index(got, "in.yaml"); i >= 0 && j > i {
			got = got[:i+3] + got[j:]
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", yaml, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "5m": 5 * time.Minute, "2h": 2 * time.Hour, "14d": 14 * 24 * time.Hour,
		"2w": 14 * 24 * time.Hour, "1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond, "250ms": 250 * time.Millisecond,
		"1d12h": 36 * time.Hour, "36500d": 36500 * 24 * time.Hour,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "s", "1", "1.5", "-1s", "+1s", "1 s", "1s ", "1S", "1y", "1h30", "1..5s", ".5s", "1.s", "1us", "36501d", "1e3s", "١s", strings.Repeat("9", 400) + "s"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: %v; want an error", text, got)
		}
	}
}

func TestPercents(t *testing.T) {
	for text, want := range map[string]int64{
		"99.95": 99_950_000, "100": 100_000_000, "100.000000": 100_000_000, "0": 0, "0.000001": 1, "99.999999": 99_999_999, "099.9": 99_900_000,
	} {
		var p Percent
		if err := p.UnmarshalText([]byte(text)); err != nil || p.Micros != want || p.Text != text {
			t.Errorf("%s: %+v, %v; want %d", text, p, err, want)
		}
	}
	for _, text := range []string{"", ".", ".5", "5.", "-1", "+1", "100.000001", "101", "1e1", "99.9999999", "99,9", "1000", "99.9%", "9 9"} {
		var p Percent
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: %+v; want an error", text, p)
		}
	}
}

func TestExpand(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"plain":                    "plain",
		"$":                        "$",
		"$$":                       "$",
		"$$$":                      "$$",
		"a$b":                      "a$b",
		"^ok$":                     "^ok$",
		"$HOST":                    "$HOST",
		"${HOST}":                  "status.example.com",
		"a${HOST}b${TOKEN}":        "astatus.example.combt0ken",
		"$${HOST}":                 "${HOST}",
		"$$${HOST}":                "$status.example.com",
		"${NOPE:-x}":               "x",
		"${NOPE:-}":                "",
		"${EMPTY}":                 "",
		"${EMPTY:-x}":              "x",
		"${HOST:-x}":               "status.example.com",
		"${NOPE:-a:-b c[1],{$$ ½}": "a:-b c[1],{$ ½",
		"${STRUCTURE}":             "a: b, c: [d] # \"e\" '",
	} {
		if got, wrong := expand(text, environment); got != want || wrong != nil {
			t.Errorf("%s: %q, %q; want %q", text, got, wrong, want)
		}
	}
	for text, want := range map[string]string{
		"${NOPE}":          "NOPE is not set; set it, or write ${NOPE:-default}",
		"${":               "is not closed",
		"a ${HOST":         "is not closed",
		"${}":              "names no variable",
		"${A B}":           "names no variable",
		"${1A}":            "names no variable",
		"${A-b}":           "names no variable",
		"${NOPE:-${HOST}}": "holds another ${",
		"${NOPE} ${HOST":   "is not closed",
		"${ünï}":           "names no variable",
	} {
		if got, wrong := expand(text, environment); len(wrong) == 0 || !strings.Contains(wrong[len(wrong)-1], want) {
			t.Errorf("%s: %q, %q; want %q", text, got, wrong, want)
		}
	}
}

// Masking hides variables from YAML and nothing else.
func TestMask(t *testing.T) {
	for _, text := range []string{"", "a: {b: ${C}}", "${A:-[b, c]} ${", "$${A}", "{a: ${B:-{}}", "no variables, {a: [b]}"} {
		if got := unmask(mask(text)); got != text {
			t.Errorf("%q became %q", text, got)
		}
		if len([]rune(mask(text))) != len([]rune(text)) {
			t.Errorf("%q has moved columns: %q", text, mask(text))
		}
	}
	if got := mask("{a: [b, c]}"); got != "{a: [b, c]}" {
		t.Errorf("masked %q", got)
	}
}

func TestNearest(t *testing.T) {
	for _, tt := range []struct {
		word, want string
		close      bool
	}{
		{"evry", "every", true}, {"Every", "every", true}, {"x", "every", false}, {strings.Repeat("e", 1<<20), "every", false}, {"", "every", false},
	} {
		if got, close := nearestTo(tt.word, []string{"every", "timeout"}); got != tt.want || close != tt.close {
			t.Errorf("%.20q: %s, %v; want %s, %v", tt.word, got, close, tt.want, tt.close)
		}
	}
}

// A path that options give leads to the nearest value that exists.
func TestNearestValue(t *testing.T) {
	var into struct {
		At   *node          `json:"-"`
		Map  map[string]any `json:"map"`
		List []string       `json:"list"`
		Pass secret.String  `json:"pass"`
	}
	faults := decodeText(t, "map:\n  a.b: {c: 1}\n  a: {d: 2}\n  \"x]y\": 3\nlist: [p,\n  q]\npass_file: body.txt\n", &into)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for relative, want := range map[string]string{
		"":              "1:1",
		"map":           "2:3",
		"map.a.b":       "2:8",
		"map.a.b.c":     "2:12",
		"map.a.d":       "3:10",
		"map.a.z":       "3:6",
		`map["a.b"].c`:  "2:12",
		"map.none[3].x": "2:3",
		"list[1]":       "6:3",
		"list[7]":       "5:7",
		"list[-1]":      "5:7",
		"list[":         "5:7",
		"list[x].y":     "5:7",
		"pass":          "7:12",
		"..":            "1:1",
		"nothing":       "1:1",
	} {
		got := into.At.nearest(relative)
		if position := fmt.Sprintf("%d:%d", got.line, got.column); position != want {
			t.Errorf("%s is at %s, want %s", relative, position, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "90s", time.Minute: "1m", 36 * time.Hour: "36h", 14 * 24 * time.Hour: "14d",
		1500 * time.Millisecond: "1500ms", 500 * time.Microsecond: "0.5ms",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
