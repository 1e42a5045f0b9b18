package secret

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Marshal encodes v as json.Marshal does, but with its secrets revealed. It is
// for the one connection that leads to whoever must know them. Struct fields
// need json tags; embedded structs are flattened.
func Marshal(v any) ([]byte, error) { return json.Marshal(reveal(reflect.ValueOf(v))) }

var (
	stringType    = reflect.TypeFor[String]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	textType      = reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()
)

// reveal turns v into values that json.Marshal encodes without asking the
// types that would redact.
func reveal(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	if v.Type() == stringType {
		return v.Interface().(String).Reveal()
	}
	if v.Type().Implements(marshalerType) || v.Type().Implements(textType) {
		return v.Interface()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return reveal(v.Elem())
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			return nil
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = reveal(v.Index(i))
		}
		return list
	case reflect.Map:
		m := make(map[string]any, v.Len())
		for _, k := range v.MapKeys() {
			m[k.String()] = reveal(v.MapIndex(k))
		}
		return m
	case reflect.Struct:
		m := map[string]any{}
		revealFields(v, m)
		return m
	}
	return v.Interface()
}

func revealFields(v reflect.Value, into map[string]any) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, rest, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			revealFields(reflect.Indirect(v.Field(i)), into)
		case !field.IsExported() || name == "-" || name == "":
		case strings.Contains(rest, "omit") && v.Field(i).IsZero():
		default:
			into[name] = reveal(v.Field(i))
		}
	}
}
