package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("nines.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("nines.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// instance returns what an editor sees of a YAML file: timestamps are strings.
func instance(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(mask(text)), &v); err != nil {
		t.Fatal(err)
	}
	return jsonValue(unmaskAll(v))
}

func jsonValue(v any) any {
	switch v := v.(type) {
	case int:
		return json.Number(jsonText(v))
	case []any:
		for i := range v {
			v[i] = jsonValue(v[i])
		}
	case map[any]any:
		m := map[string]any{}
		for k, e := range v {
			m[jsonText(k)] = jsonValue(e)
		}
		return m
	case map[string]any:
		for k := range v {
			v[k] = jsonValue(v[k])
		}
	}
	return v
}

func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// What Load takes, the schema takes.
func TestSchemaTakesWhatIsValid(t *testing.T) {
	schema := compileSchema(t)
	paths := append(glob(t, "../../examples"), "testdata/valid/odd.yaml", "testdata/warnings/all.yaml")
	for _, path := range append(paths, glob(t, "testdata/valid/directory")...) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v := instance(t, string(data))
		if v == nil {
			continue // a file of comments
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// What has another shape than Load takes, the schema refuses.
func TestSchemaRefuses(t *testing.T) {
	schema := compileSchema(t)
	for _, name := range []string{"keys", "missing", "shapes", "scalars"} {
		data, err := os.ReadFile(filepath.Join("testdata/faulty", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance(t, string(data))); err == nil {
			t.Errorf("%s.yaml was taken", name)
		}
	}
	for _, text := range []string{
		"listn: x", "listen: 8080", "regions: here", "regions: [{title: Here}]", "regions: [{name: EU West}]",
		"checks: [{name: a}]", "checks: [{name: a, kind: htp}]", "checks: [{name: a, kind: http}]",
		"checks: [{name: a, kind: http, url: https://a.example, evry: 30s}]",
		"checks: [{name: a, kind: http, url: https://a.example, every: 30}]",
		"checks: [{name: a, kind: dns, url: https://a.example}]",
		"checks: [{name: a, kind: http, url: https://a.example, expect: {statsu: [200]}}]",
		"slas: [{name: a, checks: [b], target: many}]", "slas: [{name: a, checks: {grup: b}, target: 99}]",
		"slas: [{name: a, checks: [b], target: 99, service_hours: sometimes}]",
		"probers: [{name: a, region: b}]", "rotations: [{name: a, every: fortnightly, handoff: mon 09:00, start: 2026-01-05, people: [b]}]",
		"policies: [{name: a, steps: [{notify: [person:b], by: [pigeon]}]}]", "status_page: {days: many}",
	} {
		if err := schema.Validate(instance(t, text)); err == nil {
			t.Errorf("taken: %s", text)
		}
	}
}

// Editors show a description of every key.
func TestSchemaDescribesEverything(t *testing.T) {
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	walkProperties(root, "", func(path string, property map[string]any) {
		if doc, _ := property["description"].(string); doc == "" || !strings.HasSuffix(doc, ".") {
			t.Errorf("%s has no description that ends in a full stop: %q", path, doc)
		}
	})
}

func walkProperties(v any, path string, visit func(string, map[string]any)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walkProperties(e, path, visit)
		}
	case map[string]any:
		for k, e := range v {
			properties, ok := e.(map[string]any)
			if k == "if" {
				continue // a condition, not something to write
			}
			if k == "properties" && ok {
				for name, p := range properties {
					visit(path+"."+name, p.(map[string]any))
					walkProperties(p, path+"."+name, visit)
				}
				continue
			}
			walkProperties(e, path, visit)
		}
	}
}
