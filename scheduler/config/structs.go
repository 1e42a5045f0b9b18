package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"nines/checks"
)

// fileSuffix makes the key under which a value may stand in a file of its own.
const fileSuffix = "_file"

// key is one field of a struct as a configuration names it.
type key struct {
	name  string
	typ   reflect.Type
	index []int
	tag   reflect.StructTag
}

// keysOf returns the keys of a struct in order; embedded structs are flattened.
func keysOf(t reflect.Type) []key {
	var keys []key
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case f.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			for _, k := range keysOf(inner) {
				k.index = append([]int{i}, k.index...)
				keys = append(keys, k)
			}
		case f.IsExported() && name != "" && name != "-":
			keys = append(keys, key{name, f.Type, []int{i}, f.Tag})
		}
	}
	return keys
}

// choices returns the values that the key's strings may have, or nil for any.
func (k key) choices() []string {
	switch enum := k.tag.Get("enum"); enum {
	case "":
		return nil
	case "kinds":
		return checks.KindNames()
	default:
		return strings.Split(enum, ",")
	}
}

func (k key) required() bool { return k.tag.Get("required") != "" }

// instead returns the key that may be given in the place of this one, which is
// required unless there is one; required:"unless:NAME" says so.
func (k key) instead() string {
	name, _ := strings.CutPrefix(k.tag.Get("required"), "unless:")
	if name == "true" {
		return ""
	}
	return name
}

func (k key) isSecret() bool {
	return k.typ == secretType || k.typ.Kind() == reflect.Pointer && k.typ.Elem() == secretType
}

// mayBeFile reports whether NAME_file may stand for the key.
func (k key) mayBeFile() bool { return k.isSecret() || k.tag.Get("file") == "true" }

// in returns the key's field of v, making embedded pointers that are nil.
func (k key) in(v reflect.Value) reflect.Value {
	for _, i := range k.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

// presetter is a struct, in a list of a kind's options, that sets its own
// defaults.
type presetter interface{ Preset() }

// target is a key and the field that it is read into.
type target struct {
	key
	value  reflect.Value
	inFile bool // the key is NAME_file
}

// structs reads the fields of n into structs that share them. Unless closed,
// keys that none of them has are passed over.
func (d *decoder) structs(n *node, closed bool, into ...reflect.Value) {
	known := map[string]target{}
	var keys []key
	for _, v := range into {
		d.preset(v)
		if at := v.FieldByName("At"); at.IsValid() && at.Type() == reflect.TypeFor[*node]() {
			at.Set(reflect.ValueOf(n))
		}
		for _, k := range keysOf(v.Type()) {
			keys = append(keys, k)
			known[k.name] = target{key: k, value: k.in(v)}
		}
	}
	for _, k := range keys {
		if _, taken := known[k.name+fileSuffix]; k.mayBeFile() && !taken {
			known[k.name+fileSuffix] = target{key: k, value: known[k.name].value, inFile: true}
		}
	}
	for _, f := range n.fields {
		switch t, ok := known[f.key]; {
		case !ok && closed:
			d.unknownKey(n, f, known)
		case ok && t.inFile:
			d.fromFile(n, f, t)
		case ok:
			d.decode(f.value, t.value, t.key)
			if t.required() && t.isSecret() && t.value.IsZero() {
				d.fault(f.value.position, n.beneath(f.key), "is empty; write %s", wanted(t.typ, t.key))
			}
		}
	}
	for _, k := range keys {
		_, either := known[k.instead()]
		if k.required() && n.field(k.name) == nil && n.field(k.name+fileSuffix) == nil && !(either && n.field(k.instead()) != nil) {
			d.unreadable(n.position, n.beneath(k.name), "is missing; write %s", wanted(k.typ, k))
		}
	}
}

// preset sets the defaults that v's type has: by itself, or, when it is one of
// this package, in its tags.
func (d *decoder) preset(v reflect.Value) {
	if p, ok := v.Addr().Interface().(presetter); ok {
		p.Preset()
	}
	if v.Type().PkgPath() != reflect.TypeFor[document]().PkgPath() {
		return
	}
	for _, k := range keysOf(v.Type()) {
		if text, has := k.tag.Lookup("default"); has {
			d.decode(&node{kind: scalar, text: text}, k.in(v), k)
		}
		if k.typ.Kind() == reflect.Struct {
			d.preset(k.in(v))
		}
	}
}

func (d *decoder) unknownKey(n *node, f field, known map[string]target) {
	names := slices.Sorted(maps.Keys(known))
	if !strings.HasSuffix(f.key, fileSuffix) {
		names = slices.DeleteFunc(names, func(name string) bool { return known[name].inFile })
	}
	d.fault(f.at, n.beneath(strings.TrimPrefix(keyStep(f.key), ".")), "unknown key; %s", didYouMean(f.key, names))
	// What was meant is then not missing too.
	if name, close := nearestTo(f.key, names); close && n.field(name) == nil {
		d.spoil(f.at.file, n.beneath(known[name].name))
	}
}

// fromFile reads a value from the file that f names.
func (d *decoder) fromFile(n *node, f field, t target) {
	if other := n.field(t.name); other != nil {
		d.fault(f.at, n.beneath(f.key), "%s is given too, at %s; keep one of the two", t.name, other.at)
		return
	}
	var name string
	d.decode(f.value, reflect.ValueOf(&name).Elem(), key{})
	if name == "" {
		d.unreadable(f.value.position, n.beneath(f.key), "names no file; write its path, relative to the folder of this one")
		return
	}
	path := besides(f.value, name)
	info, err := os.Stat(path)
	var data []byte
	if err == nil && info.Mode().IsRegular() {
		data, err = readLimited(path)
	}
	_, notUTF8 := notText(data)
	text := string(data)
	if t.isSecret() {
		text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	}
	// The name is not quoted: it may be the secret itself, put under the wrong
	// key.
	wrong := func(format string, args ...any) {
		d.unreadable(f.value.position, n.beneath(f.key), "the file "+format, args...)
	}
	switch {
	case err != nil:
		wrong("cannot be read: %s; name one that can, relative to the folder of this one", reason(err))
	case !info.Mode().IsRegular():
		wrong("is a folder or a device; name a plain file, relative to the folder of this one")
	case notUTF8 != "":
		wrong("%s; write it as text in UTF-8", notUTF8)
	case text == "":
		wrong("is empty; put the value into it")
	default:
		content := *f.value
		content.text = text
		d.decode(&content, t.value, t.key)
	}
}

// besides returns name as seen from the folder of the file that n stands in.
func besides(n *node, name string) string {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(n.file), name)
	}
	if absolute, err := filepath.Abs(name); err == nil {
		return absolute
	}
	return name
}

// nearestTo returns the candidate that takes the fewest edits to become, and
// whether they are few enough to believe in a slip. Of very many candidates
// it looks at the first thousand.
func nearestTo(word string, candidates []string) (nearest string, close bool) {
	word = clip(word)
	fewest := -1
	for _, c := range candidates[:min(len(candidates), 1000)] {
		if edits := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(c)); fewest < 0 || edits < fewest {
			nearest, fewest = c, edits
		}
	}
	return nearest, fewest >= 0 && fewest <= max(1, min(len(word), len(nearest))/2)
}

// didYouMean names the nearest candidate, and a few more when it is not near.
func didYouMean(word string, candidates []string) string {
	nearest, close := nearestTo(word, candidates)
	switch {
	case len(candidates) == 0:
		return "there is none"
	case len(candidates) == 1 && !close:
		return "there is only " + nearest
	case close:
		return "did you mean " + nearest + "?"
	case len(candidates) <= 12:
		return "the nearest of " + strings.Join(candidates, ", ") + " is " + nearest
	}
	return "the nearest is " + nearest
}
