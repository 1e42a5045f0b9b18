package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"nines/checks"
)

//go:generate go test -run ^TestReference$ . -update

// docs/configuration.md is what the types say.
func TestReference(t *testing.T) {
	golden(t, "../../docs/configuration.md", reference())
}

const preamble = `# Configuration

<!-- Made from the types in scheduler/config by "make generate". Do not edit. -->

Every key of the YAML that ` + "`-c`" + ` names: a file, or a folder whose ` + "`*.yaml`" + ` are read in the order of their names.
In a folder lists are joined; anything else may be given once, and a name may be defined once.
[examples/minimal.yaml](../examples/minimal.yaml) is the smallest useful configuration and
[examples/complete.yaml](../examples/complete.yaml) has everything once. ` + "`nines validate -c PATH`" + ` says what is wrong,
all of it at once, with line and column; ` + "`nines schema`" + ` prints a JSON Schema for editors.

## How values are written

- **Variables.** ` + "`${NAME}`" + ` and ` + "`${NAME:-default}`" + ` are replaced in any value, never in a key; the default stands in when the
  variable is not set or empty. Without default a variable must be set. ` + "`$$`" + ` is a dollar; a dollar before anything but
  ` + "`{`" + ` or ` + "`$`" + ` is itself. What a variable holds is a value and never YAML.
- **Secrets** are never printed. Instead of ` + "`token`" + ` there may be ` + "`token_file`" + `: a file that holds it; and so for every key whose
  type is *secret* or *or in a file*. One newline at the end of a secret's file is not part of it.
- **Paths** are relative to the folder of the file that they stand in.
- **Durations** are numbers with ` + "`ms`, `s`, `m`, `h`, `d` or `w`: `30s`, `1h30m`, `14d`" + `. A day is 24 hours.
- **Names** have 1 to 63 of ` + "`a-z`, `0-9` and `-`" + `.
- **Times of day** are ` + "`\"09:00\"`" + `; quote them, since some YAML readers take them for numbers. **Time zones** are IANA names.
  A time that a clock change skips is the first instant after it; one that comes twice is the first.
- **Limits.** A file has at most 1 MiB and one document. Unknown and repeated keys are faults.
`

// reference returns docs/configuration.md.
func reference() string {
	w := &referenceWriter{}
	w.b.WriteString(preamble)
	w.b.WriteString("\n## Top level\n")
	w.table("", zero(reflect.TypeFor[document]()))
	w.sections("", zero(reflect.TypeFor[document]()))
	return w.b.String()
}

type referenceWriter struct{ b strings.Builder }

// table writes the keys of a struct. path is where they stand.
func (w *referenceWriter) table(path string, v reflect.Value) {
	w.b.WriteString("\n| key | type | default | meaning |\n|---|---|---|---|\n")
	others := map[string]bool{}
	for _, k := range keysOf(v.Type()) {
		others[k.name] = true
	}
	for _, k := range keysOf(v.Type()) {
		// A value or a key may hold what ends a cell.
		cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
		fmt.Fprintf(&w.b, "| `%s` | %s | %s | %s |\n", k.name, cell(typeName(path, k)), cell(defaultCell(k, k.in(v), others)), cell(meaning(k)))
	}
}

// sections writes what stands beneath the keys of a struct.
func (w *referenceWriter) sections(path string, v reflect.Value) {
	for _, k := range keysOf(v.Type()) {
		inner, step := beneath(k.in(v))
		if !inner.IsValid() {
			continue
		}
		at := join(path, k.name, step)
		fmt.Fprintf(&w.b, "\n%s `%s`\n\n%s\n", level(path), at, k.tag.Get("doc"))
		w.table(at, inner)
		w.sections(at, inner)
		if inner.Type() == checkType {
			w.kinds()
		}
	}
}

// kinds writes the options of every kind of check.
func (w *referenceWriter) kinds() {
	for _, name := range checks.KindNames() {
		kind, _ := checks.KindOf(name)
		fmt.Fprintf(&w.b, "\n### `checks[]` of kind `%s`\n\nThis kind is %s: [checks/%s.md](checks/%s.md). Beside the keys of every check it has:\n",
			name, kind.Summary, name, name)
		options := reflect.ValueOf(kind.New()).Elem()
		w.table(name, options)
		w.sections(name, options)
	}
}

// beneath returns the struct whose keys stand beneath a value, if there is
// one, and what makes its path: [] in a list of them, .NAME in a mapping.
func beneath(v reflect.Value) (inner reflect.Value, step string) {
	t := v.Type()
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		switch t.Kind() {
		case reflect.Slice:
			step = "[]"
		case reflect.Map:
			step = ".NAME"
		}
		t = t.Elem()
		v = zero(t)
	}
	if t.Kind() != reflect.Struct || len(keysOf(t)) == 0 {
		return reflect.Value{}, ""
	}
	return v, step
}

// level returns what a heading beneath path starts with.
func level(path string) string {
	if path == "" {
		return "##"
	}
	return "###"
}

func join(path, key, step string) string {
	if path != "" {
		key = path + "." + key
	}
	return key + step
}

// typeName says what a value is, with a link to its own keys.
func typeName(path string, k key) string {
	t := k.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	short := func(t reflect.Type) string {
		return strings.TrimPrefix(strings.TrimPrefix(label(t), "a "), "an ")
	}
	said := short(t)
	if choices := k.choices(); choices != nil {
		said = "`" + strings.Join(choices, "`, `") + "`"
	}
	switch {
	case t.Kind() != reflect.Slice || readsText(t):
	case k.choices() == nil:
		said = "list, each " + label(t.Elem())
	default:
		said = "list, each of " + said
	}
	if t.Kind() == reflect.Map {
		said = "mapping of keys to " + short(t.Elem()) + "s"
		if strings.Contains(said, ", ") {
			said = "mapping, each " + label(t.Elem())
		}
	}
	said = strings.ReplaceAll(said, "mapping of keys to values", "mapping")
	if k.tag.Get("file") == "true" {
		said += ", or in a file"
	}
	if inner, step := beneath(zero(k.typ)); inner.IsValid() {
		said += fmt.Sprintf(" ([keys](#%s))", anchor(join(path, k.name, step)))
	}
	return said
}

// anchor returns the id that a heading gets.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}, strings.ToLower(heading))
}

// defaultCell returns a key's default, or that it is required. others are the
// keys beside it.
func defaultCell(k key, v reflect.Value, others map[string]bool) string {
	if text := k.defaultText(v); text != "" {
		return "`" + text + "`"
	}
	if k.required() && k.instead() != "" && others[k.instead()] {
		return "*required*, or `" + k.instead() + "`"
	}
	if k.required() {
		return "*required*"
	}
	return ""
}

func meaning(k key) string {
	doc := k.tag.Get("doc")
	if example := k.tag.Get("example"); example != "" {
		doc += " Example: `" + example + "`."
	}
	return doc
}

// Every key is described, and every example and default is what its key takes.
func TestEveryKeyIsDescribed(t *testing.T) {
	visit(t, "", zero(reflect.TypeFor[document]()))
	for _, name := range checks.KindNames() {
		kind, _ := checks.KindOf(name)
		visit(t, name, reflect.ValueOf(kind.New()).Elem())
	}
}

func visit(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	for _, k := range keysOf(v.Type()) {
		at := join(path, k.name, "")
		if doc := k.tag.Get("doc"); !strings.HasSuffix(doc, ".") {
			t.Errorf("%s: the doc tag is no sentence: %q", at, doc)
		}
		for _, tag := range []string{"example", "default"} {
			text := k.tag.Get(tag)
			if text == "" || strings.Contains(text, "${") {
				continue
			}
			into := reflect.New(reflect.StructOf([]reflect.StructField{{
				Name: "Field", Type: k.typ, Tag: reflect.StructTag(`json:"field" enum:"` + k.tag.Get("enum") + `"`),
			}}))
			if faults := decodeText(t, "field: "+text+"\n", into.Interface()); len(faults) > 0 {
				t.Errorf("%s: its %s cannot be read: %v", at, tag, faults)
			}
		}
		if inner, _ := beneath(k.in(v)); inner.IsValid() {
			visit(t, at, inner)
		}
	}
}

// No option of a kind hides a key that all checks have.
func TestKindsLeaveCommonKeysAlone(t *testing.T) {
	common := map[string]bool{}
	for _, k := range keysOf(checkType) {
		common[k.name] = true
	}
	for _, name := range checks.KindNames() {
		kind, _ := checks.KindOf(name)
		for _, k := range keysOf(reflect.TypeOf(kind.New()).Elem()) {
			if common[k.name] {
				t.Errorf("%s has an option %s, which every check has", name, k.name)
			}
		}
	}
}
