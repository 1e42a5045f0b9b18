package config

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"nines/checks"
	"nines/internal/secret"
)

// decoder puts a file's values into Go structs by their json tags. It is
// strict: a key that no struct has and a value of another shape are faults.
//
// Further tags of a field: required:"true", default:"value" (in structs of
// this package; a kind's options bring their own), enum:"a,b,c", file:"true"
// for text that may stand in a file of its own under NAME_file as every secret
// may, and doc and example for the reference and the schema. A field
// At *node `json:"-"` receives the struct's own node.
type decoder struct{ *findings }

var (
	durationType  = reflect.TypeFor[time.Duration]()
	secretType    = reflect.TypeFor[secret.String]()
	checkType     = reflect.TypeFor[checkSection]()
	selectionType = reflect.TypeFor[selection]()
	textType      = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonType      = reflect.TypeFor[json.Unmarshaler]()
)

// decode reads n into v. What cannot be read leaves v as it is.
func (d *decoder) decode(n *node, v reflect.Value, k key) {
	t := v.Type()
	switch {
	case n.kind == unread:
	case takesAny(t) && (n.kind == scalar || n.kind == absent && n.text != ""):
		if err := v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(plainJSON(n)); err != nil {
			d.unreadable(n.position, n.path(), "%v", err)
		}
	case n.kind == absent && composite(t):
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		d.decode(n, p.Elem(), k)
		v.Set(p)
	case n.kind == absent:
		d.mismatch(n, t, k)
	case n.kind == scalar && reflect.PointerTo(t).Implements(textType):
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
			d.unreadable(n.position, n.path(), "%v", err)
		}
	case n.kind == scalar && isScalar(t):
		if err := setScalar(v, n.text, k); err != nil {
			d.unreadable(n.position, n.path(), "%v", err)
		}
	case t.Kind() == reflect.Slice && (n.kind == list || n.kind == mapping && t == selectionType):
		d.list(n, v, k)
	case t.Kind() == reflect.Map && n.kind == mapping:
		d.mapping(n, v, k)
	case t == checkType && n.kind == mapping:
		d.check(n, v.Addr().Interface().(*checkSection))
	case t.Kind() == reflect.Struct && n.kind == mapping && len(keysOf(t)) > 0:
		d.structs(n, true, v)
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		v.Set(reflect.ValueOf(plain(n)))
	default:
		d.mismatch(n, t, k)
	}
}

// takesAny reports whether a value of type t can be any single value, null
// included: it reads JSON, and no text.
func takesAny(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonType) && !p.Implements(textType)
}

// composite reports whether a key without a value means nothing given, as in
// a section whose entries are all commented out.
func composite(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Struct && len(keysOf(t)) > 0
}

func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

func (d *decoder) mismatch(n *node, t reflect.Type, k key) {
	if n.kind == absent {
		d.unreadable(n.position, n.path(), "has no value; write %s, or leave the key out", wanted(t, k))
		return
	}
	if t.Kind() == reflect.Slice && n.kind == scalar && isScalar(t.Elem()) {
		d.unreadable(n.position, n.path(), "is a single value; write a list: [%s]", clip(n.text))
		return
	}
	d.unreadable(n.position, n.path(), "is %s; write %s", n.kind, wanted(t, k))
}

// setScalar reads text into a string, boolean, number or duration.
func setScalar(v reflect.Value, text string, k key) error {
	t := v.Type()
	if t == durationType {
		duration, err := parseDuration(text)
		if err == nil {
			v.SetInt(int64(duration))
		}
		return err
	}
	switch {
	case t.Kind() == reflect.String:
		if choices := k.choices(); choices != nil && !slices.Contains(choices, text) {
			return notAmong(text, choices)
		}
		v.SetString(text)
		return nil
	case t.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false; write one of them", clip(text))
		}
		v.SetBool(text == "true")
		return nil
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, t.Bits())
		if err == nil {
			v.SetInt(i)
		}
		return numberFault(text, "a whole number", err)
	case v.CanUint():
		u, err := strconv.ParseUint(text, 10, t.Bits())
		if err == nil {
			v.SetUint(u)
		}
		return numberFault(text, "a whole number from 0", err)
	}
	f, err := strconv.ParseFloat(text, t.Bits())
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(text, "xX_")) {
		err = strconv.ErrSyntax
	}
	if err == nil {
		v.SetFloat(f)
	}
	return numberFault(text, "a number", err)
}

func notAmong(text string, choices []string) error {
	right := "write one of them"
	if nearest, close := nearestTo(text, choices); close {
		right = "did you mean " + nearest + "?"
	}
	return fmt.Errorf("%q is none of %s; %s", clip(text), strings.Join(choices, ", "), right)
}

func numberFault(text, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s is out of range; write a smaller number", clip(text))
	}
	return fmt.Errorf("%q is not %s; write one, such as 3", clip(text), what)
}

// list reads a list's items. One selector may stand for a list of one.
func (d *decoder) list(n *node, v reflect.Value, k key) {
	items := n.items
	if n.kind == mapping {
		items = []*node{n}
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.decode(item, out.Index(i), k)
	}
	v.Set(out)
}

// mapping reads fields of any names.
func (d *decoder) mapping(n *node, v reflect.Value, k key) {
	out := reflect.MakeMapWithSize(v.Type(), len(n.fields))
	for _, f := range n.fields {
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(f.value, value, k)
		out.SetMapIndex(reflect.ValueOf(f.key).Convert(v.Type().Key()), value)
	}
	v.Set(out)
}

// check reads a check: what all of them have, and the options of its kind.
func (d *decoder) check(n *node, into *checkSection) {
	into.options = nil
	targets := []reflect.Value{reflect.ValueOf(into).Elem()}
	if f := n.field("kind"); f != nil {
		if kind, ok := checks.KindOf(f.value.text); ok {
			into.options = kind.New()
			targets = append(targets, reflect.ValueOf(into.options).Elem())
		}
	}
	d.structs(n, into.options != nil, targets...)
}

// plain returns n as JSON would have it: for options that take any value.
func plain(n *node) any {
	switch n.kind {
	case scalar:
		return n.single()
	case list:
		items := make([]any, len(n.items))
		for i, item := range n.items {
			items[i] = plain(item)
		}
		return items
	case mapping:
		fields := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			fields[f.key] = plain(f.value)
		}
		return fields
	}
	return nil
}

// plainJSON returns n as JSON.
func plainJSON(n *node) []byte {
	data, err := json.Marshal(plain(n))
	if err != nil {
		panic(err) // plain returns nothing that JSON does not have
	}
	return data
}

// jsonNumber is a number as JSON writes it.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// single returns a scalar as JSON would have it: without quotes it may be a
// number, true, false or null.
func (n *node) single() any {
	switch {
	case !n.bare:
	case n.text == "null":
		return nil
	case n.text == "true", n.text == "false":
		return n.text == "true"
	case jsonNumber.MatchString(n.text):
		return json.Number(n.text)
	}
	return n.text
}
