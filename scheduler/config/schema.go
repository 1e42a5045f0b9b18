package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"nines/checks"
)

// variablePattern is what the schema allows wherever a variable may stand for
// a value.
const variablePattern = `\$\{`

// Schema returns the JSON Schema (2020-12) of the configuration, for editors.
// It is made from the same types that read the file, and takes nothing that
// they refuse for its shape; what needs the whole document, such as names that
// must exist, it leaves to Load.
func Schema() ([]byte, error) {
	defs := object{}
	for _, name := range checks.KindNames() {
		kind, _ := checks.KindOf(name)
		def := mappingSchema(zero(checkType), reflect.ValueOf(kind.New()).Elem())
		def["description"] = kind.Summary
		defs["check-"+name] = def
	}
	root := mappingSchema(zero(reflect.TypeFor[document]()))
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "nines"
	root["$defs"] = defs
	return json.MarshalIndent(root, "", "  ")
}

// object is a JSON object.
type object map[string]any

// zero returns a value of a type with the defaults that are not in its tags.
func zero(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if p, ok := v.Interface().(presetter); ok {
		p.Preset()
	}
	return v.Elem()
}

// mappingSchema returns the schema of a mapping that is read into these
// structs, whose fields hold the defaults that are not in tags.
func mappingSchema(structs ...reflect.Value) object {
	properties := object{}
	var required []string
	var either []any
	known := map[string]bool{}
	for _, v := range structs {
		for _, k := range keysOf(v.Type()) {
			known[k.name] = true
		}
	}
	for _, v := range structs {
		for _, k := range keysOf(v.Type()) {
			properties[k.name] = keySchema(k, k.in(v))
			if k.mayBeFile() {
				properties[k.name+fileSuffix] = object{
					"type":        "string",
					"description": fmt.Sprintf("A file that holds %s, relative to the folder of this one.", k.name),
				}
			}
			switch {
			case k.required() && known[k.instead()]:
				either = append(either, oneOrOther(k.name, k.instead()))
			case k.required() && k.mayBeFile():
				either = append(either, oneOrOther(k.name, k.name+fileSuffix))
			case k.required():
				required = append(required, k.name)
			}
		}
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		schema["required"] = required
	}
	if either != nil {
		schema["allOf"] = either
	}
	return schema
}

// oneOrOther demands one of two keys.
func oneOrOther(one, other string) object {
	return object{"anyOf": []any{object{"required": []string{one}}, object{"required": []string{other}}}}
}

// keySchema returns the schema of a key's value, with what is known of it.
func keySchema(k key, v reflect.Value) object {
	schema := valueSchema(v, k)
	if doc := k.tag.Get("doc"); doc != "" {
		schema["description"] = doc
	}
	if text := k.defaultText(v); text != "" {
		schema["default"] = parseExample(text)
	}
	if example := k.tag.Get("example"); example != "" {
		schema["examples"] = []any{parseExample(example)}
	}
	return schema
}

// defaultText returns the key's default as a file would have it, from its tag
// or else from its field's value; empty for none.
func (k key) defaultText(v reflect.Value) string {
	if text, tagged := k.tag.Lookup("default"); tagged || v.IsZero() {
		return text
	}
	return render(v)
}

// render writes a value as a file would have it; structs are left out.
func render(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return formatDuration(d)
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Slice:
		if v.Len() == 1 && readsText(v.Type()) {
			return render(v.Index(0))
		}
		var items []string
		for i := range v.Len() {
			items = append(items, render(v.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return ""
	}
	return fmt.Sprint(v.Interface())
}

// parseExample returns what a file that holds text would hold, as JSON has it.
func parseExample(text string) any {
	var v any
	if err := yaml.Unmarshal([]byte(mask(text)), &v); err != nil || v == nil {
		return text
	}
	return unmaskAll(v)
}

func unmaskAll(v any) any {
	switch v := v.(type) {
	case string:
		return unmask(v)
	case time.Time: // YAML's own; a date is midnight to it
		return strings.TrimSuffix(v.Format(time.RFC3339), "T00:00:00Z")
	case []any:
		for i := range v {
			v[i] = unmaskAll(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = unmaskAll(v[k])
		}
	}
	return v
}

// readsText reports whether values of type t read themselves from text. A list
// that does may be written as its only item.
func readsText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// valueSchema returns the schema of values like v, whose key is k.
func valueSchema(v reflect.Value, k key) object {
	t := v.Type()
	f, known := forms[t]
	text := known || readsText(t)
	switch {
	case t.Kind() == reflect.Pointer:
		return valueSchema(zero(t.Elem()), k)
	case t == checkType:
		return checkSchema()
	case t == selectionType:
		one := zero(t.Elem())
		return object{"anyOf": []any{object{"type": "array", "items": valueSchema(one, k)}, mappingSchema(one)}}
	case takesAny(t) && len(keysOf(t)) > 0:
		return object{"anyOf": []any{singleSchema(), mappingSchema(v)}}
	case takesAny(t):
		return singleSchema()
	case text && t.Kind() == reflect.Struct && len(keysOf(t)) > 0:
		return object{"anyOf": []any{textSchema(f.pattern), mappingSchema(v)}}
	case text && t.Kind() == reflect.Slice:
		return object{"anyOf": []any{textSchema(f.pattern), object{"type": []string{"array", "null"}, "items": valueSchema(zero(t.Elem()), key{})}}}
	case text:
		return textSchema(f.pattern)
	}
	switch t.Kind() {
	case reflect.String:
		return choiceSchema(k.choices())
	case reflect.Bool:
		return orText("boolean", `^(true|false)$`)
	case reflect.Float32, reflect.Float64:
		return orText("number", `^-?[0-9.]+(e-?[0-9]+)?$`)
	case reflect.Slice:
		return object{"type": []string{"array", "null"}, "items": valueSchema(zero(t.Elem()), k)}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": valueSchema(zero(t.Elem()), k)}
	case reflect.Struct:
		schema := mappingSchema(v)
		schema["type"] = []string{"object", "null"}
		return schema
	case reflect.Interface:
		return object{}
	}
	return orText("integer", `^-?[0-9]+$`)
}

// textSchema is any text of that pattern. YAML may take some for a number.
func textSchema(pattern string) object {
	schema := object{"type": "string"}
	if form := regexp.MustCompile(pattern); form.MatchString("5") || form.MatchString("48500100200") {
		schema["type"] = []string{"string", "number"}
	}
	if pattern != "" {
		schema["pattern"] = pattern + "|" + variablePattern
	}
	return schema
}

// singleSchema is any single value.
func singleSchema() object { return object{"type": []string{"string", "number", "boolean", "null"}} }

func choiceSchema(choices []string) object {
	if choices == nil {
		return textSchema("")
	}
	var values []any
	for _, c := range choices {
		values = append(values, c)
		if n, err := strconv.ParseFloat(c, 64); err == nil {
			values = append(values, n)
		}
	}
	return object{"anyOf": []any{object{"enum": values}, object{"type": "string", "pattern": variablePattern}}}
}

// orText is a value of a JSON type, which may also be quoted, or a variable.
func orText(jsonType, pattern string) object {
	return object{"anyOf": []any{object{"type": jsonType}, object{"type": "string", "pattern": pattern + "|" + variablePattern}}}
}

// checkSchema leaves a check to the schema of its kind.
func checkSchema() object {
	var kinds []any
	for _, name := range checks.KindNames() {
		kinds = append(kinds, object{
			"if":   object{"properties": object{"kind": object{"const": name}}, "required": []string{"kind"}},
			"then": object{"$ref": "#/$defs/check-" + name},
		})
	}
	properties := object{}
	for _, k := range keysOf(checkType) {
		if k.required() {
			properties[k.name] = keySchema(k, zero(k.typ))
		}
	}
	return object{
		"type":       "object",
		"required":   []string{"name", "kind"},
		"properties": properties,
		"allOf":      kinds,
	}
}
