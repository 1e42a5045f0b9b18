package twilio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nines/notifier"
	"nines/notifier/notifytest"
	"nines/notifier/twilio"
)

// description is as much of Twilio's OpenAPI description as is checked here.
type description struct {
	Paths map[string]map[string]json.RawMessage `json:"paths"`

	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Nullable   bool              `json:"nullable"`
	Enum       []string          `json:"enum"`
	Items      *schema           `json:"items"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
}

type operation struct {
	Parameters []struct {
		Name string `json:"name"`
		In   string `json:"in"`
	} `json:"parameters"`
	RequestBody struct {
		Content map[string]struct {
			Schema schema `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]struct {
			Schema schema `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

// readDescription reads Twilio's OpenAPI description of its API (from
// https://github.com/twilio/twilio-oai), when it is beside the checkout.
func readDescription(t *testing.T) *description {
	t.Helper()
	file := path.Join("..", "..", "..", "shared", "data", "twilio_api_v2010.json")
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		t.Skip("Twilio's OpenAPI description is not beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// operation returns what a request asks for.
func (d *description) operation(r *http.Request) (operation, bool) {
	asked := strings.Split(strings.TrimSuffix(r.URL.Path, ".json"), "/")
	for pattern, methods := range d.Paths {
		parts := strings.Split(strings.TrimSuffix(pattern, ".json"), "/")
		match := len(parts) == len(asked)
		for i := 0; match && i < len(parts); i++ {
			match = parts[i] == asked[i] || strings.HasPrefix(parts[i], "{")
		}
		raw, ok := methods[strings.ToLower(r.Method)]
		var o operation
		if match && ok && json.Unmarshal(raw, &o) == nil {
			return o, true
		}
	}
	return operation{}, false
}

// request returns what is wrong with a request.
func (d *description) request(o operation, r *http.Request, form url.Values) (wrong []string) {
	s := o.RequestBody.Content["application/x-www-form-urlencoded"].Schema
	if r.Method == http.MethodGet {
		s = schema{Properties: map[string]schema{}}
		for _, p := range o.Parameters {
			if p.In == "query" {
				s.Properties[p.Name] = schema{}
			}
		}
		form = r.URL.Query()
	}
	for _, name := range s.Required {
		if form.Get(name) == "" {
			wrong = append(wrong, name+" is missing")
		}
	}
	for name, values := range form {
		p, known := s.Properties[name]
		if p.Ref != "" {
			p = d.Components.Schemas[path.Base(p.Ref)]
		}
		switch {
		case !known:
			wrong = append(wrong, name+" is not a parameter")
		case p.Type != "array" && len(values) > 1:
			wrong = append(wrong, name+" is given twice")
		case p.Type == "integer" && strings.Trim(values[0], "0123456789") != "":
			wrong = append(wrong, name+" is not a number")
		case len(p.Enum) > 0 && !slices.Contains(p.Enum, values[0]):
			wrong = append(wrong, fmt.Sprintf("%s is %q, not one of %v", name, values[0], p.Enum))
		}
	}
	return wrong
}

// answer returns what is wrong with an answer of the sandbox's.
func (d *description) answer(where string, s schema, v any) (wrong []string) {
	if s.Ref != "" {
		s = d.Components.Schemas[path.Base(s.Ref)]
	}
	kind := map[string]bool{"": true}
	switch v := v.(type) {
	case nil:
		if !s.Nullable {
			return []string{where + " may not be null"}
		}
		return nil
	case string:
		kind["string"] = true
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			return []string{fmt.Sprintf("%s is %q, not one of %v", where, v, s.Enum)}
		}
	case float64:
		kind["integer"], kind["number"] = v == float64(int64(v)), true
	case bool:
		kind["boolean"] = true
	case []any:
		kind["array"] = true
		for i, item := range v {
			if s.Items != nil {
				wrong = append(wrong, d.answer(fmt.Sprintf("%s[%d]", where, i), *s.Items, item)...)
			}
		}
	case map[string]any:
		kind["object"] = true
		for name, value := range v {
			p, known := s.Properties[name]
			if !known && len(s.Properties) > 0 {
				wrong = append(wrong, where+"."+name+" is not a property")
				continue
			}
			wrong = append(wrong, d.answer(where+"."+name, p, value)...)
		}
	}
	if !kind[s.Type] {
		wrong = append(wrong, fmt.Sprintf("%s is %T, not %s", where, v, s.Type))
	}
	return wrong
}

// Every request that we make is one that Twilio describes, and so is every
// answer that the sandbox gives.
func TestRequestsAndSandboxAreAsTwilioDescribes(t *testing.T) {
	d := readDescription(t)
	sandbox := newSandbox(t, notifytest.Config{TalkFor: time.Millisecond})
	target, err := url.Parse(sandbox.URL())
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu   sync.Mutex
		seen = map[string]int{}
	)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(answer *http.Response) error {
		r := answer.Request
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		answer.Body = io.NopCloser(bytes.NewReader(body))
		o, ok := d.operation(r)
		if !ok {
			t.Errorf("Twilio describes no %s %s", r.Method, r.URL.Path)
			return nil
		}
		response, ok := o.Responses[fmt.Sprint(answer.StatusCode)]
		if !ok {
			t.Errorf("%s %s does not answer %d", r.Method, r.URL.Path, answer.StatusCode)
			return nil
		}
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		for _, wrong := range d.answer("the answer", response.Content["application/json"].Schema, v) {
			t.Errorf("%s %s: %s", r.Method, r.URL.Path, wrong)
		}
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		o, ok := d.operation(r)
		if !ok {
			t.Errorf("Twilio describes no %s %s", r.Method, r.URL.Path)
		}
		for _, wrong := range d.request(o, r, form) {
			t.Errorf("%s %s: %s", r.Method, r.URL.Path, wrong)
		}
		mu.Lock()
		seen[r.Method+" "+path.Base(path.Dir(r.URL.Path))+"/"+path.Base(r.URL.Path)]++
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()

	made := sandbox.Config()
	for _, detect := range []bool{false, true} {
		client, err := twilio.New(twilio.Config{
			AccountSID: made.AccountSID, AuthToken: made.AuthToken, From: made.From, APIURL: server.URL,
			PublicURL: "https://status.example.com", DetectMachines: detect,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []notifier.NoticeKind{notifier.PageNotice, notifier.RecoveryNotice} {
			for _, channel := range []string{"sms", "voice"} {
				m := page(channel)
				m.Notice.Kind = kind
				receipt, err := client.Send(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := client.Find(t.Context(), m); err != nil {
					t.Error(err)
				}
				if _, _, err := client.Status(t.Context(), receipt.ID); err != nil {
					t.Error(err)
				}
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) < 5 || seen["POST "+made.AccountSID+"/Messages.json"] != 4 || seen["POST "+made.AccountSID+"/Calls.json"] != 4 || seen["GET "+made.AccountSID+"/Messages.json"] != 4 {
		t.Errorf("what was asked: %v", seen)
	}
}
