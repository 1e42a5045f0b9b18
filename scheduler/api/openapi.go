package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// object is JSON on its way out.
type object = map[string]any

var pathParameter = regexp.MustCompile(`\{([a-z]+)\}`)

// describe returns the OpenAPI description of routes. It is made from the same
// table and the same types that serve them.
func describe(routes []route) ([]byte, error) {
	d := describer{schemas: object{}}
	paths := object{}
	for _, rt := range routes {
		item, ok := paths[rt.path].(object)
		if !ok {
			item = object{}
			paths[rt.path] = item
		}
		item[strings.ToLower(rt.method)] = d.operation(rt)
	}
	d.of(reflect.TypeFor[Problem]())
	return json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "nines operator API", "version": "1",
			"description": "What operators see and do. Every request but the one for this description needs the configuration's api_token.",
		},
		"paths":    paths,
		"security": []any{object{"token": []string{}}},
		"components": object{
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
			"schemas":         d.schemas,
			"responses": object{"problem": object{
				"description": "What is wrong, as RFC 9457 has it",
				"content":     object{"application/problem+json": object{"schema": ref("Problem")}},
			}},
		},
	}, "", "  ")
}

// describer collects the schemas of types as they are met.
type describer struct{ schemas object }

func (d describer) operation(rt route) object {
	parameters := []any{}
	for _, name := range pathParameter.FindAllStringSubmatch(rt.path, -1) {
		parameters = append(parameters, object{"name": name[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range rt.query {
		parameters = append(parameters, object{"name": p.name, "in": "query", "description": p.summary, "schema": object{"type": "string"}})
	}
	success := object{"description": http.StatusText(rt.status)}
	switch {
	case rt.media != "":
		success["content"] = object{rt.media: object{}}
	case rt.out != nil && rt.status != http.StatusNoContent:
		success["content"] = object{"application/json": object{"schema": d.of(rt.out)}}
	}
	op := object{
		"summary":     rt.summary,
		"operationId": operationID(rt),
		"parameters":  parameters,
		"responses":   object{strconv.Itoa(rt.status): success, "default": object{"$ref": "#/components/responses/problem"}},
	}
	if rt.in != nil {
		op["requestBody"] = object{"content": object{"application/json": object{"schema": d.of(rt.in)}}}
	}
	if rt.path == Prefix+"openapi.json" {
		op["security"] = []any{}
	}
	return op
}

// operationID names a route: getIncidentsId.
func operationID(rt route) string {
	id := strings.ToLower(rt.method)
	for _, word := range strings.FieldsFunc(strings.TrimPrefix(rt.path, Prefix), func(r rune) bool { return r < 'a' || r > 'z' }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// of returns the schema of a type.
func (d describer) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": d.of(t.Elem())}
	case t.Kind() == reflect.Struct:
		if _, ok := d.schemas[t.Name()]; !ok {
			d.schemas[t.Name()] = object{}
			properties, required := object{}, []string{}
			d.fields(t, properties, &required)
			d.schemas[t.Name()] = object{"type": "object", "properties": properties, "required": required}
		}
		return ref(t.Name())
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.Float64:
		return object{"type": "number"}
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return object{"type": "integer"}
	}
	return object{"type": "string"}
}

// fields adds the fields of a struct, those of embedded ones among them.
func (d describer) fields(t reflect.Type, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			d.fields(f.Type, properties, required)
		case name != "" && name != "-":
			properties[name] = d.of(f.Type)
			if !strings.Contains(rest, "omit") {
				*required = append(*required, name)
			}
		}
	}
}
