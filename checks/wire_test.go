package checks

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"nines/internal/secret"
)

func pt(t testing.TB, name string) Profile {
	t.Helper()
	var p Profile
	if err := p.UnmarshalText([]byte(name)); err != nil {
		t.Fatal(err)
	}
	return p
}

// every option of every kind, none at its default.
func fullSpecs(t testing.TB) []Spec {
	request := func() HTTPRequest {
		return HTTPRequest{
			URL: "https://shop.example.com/", Method: "POST", Headers: map[string]secret.String{"X-Key": secret.New("k3y")}, Body: "x",
			Basic: Basic{"alice", secret.New("pw")}, Redirects: 0, IP: "4", MaxBody: 5,
			Form: map[string]secret.String{}, OAuth2: OAuth2{Params: map[string]secret.String{}}, // as none is on the wire
			SameHost: true, Proxy: secret.New("socks5://u:pr0xy@192.0.2.1:1080"), Version: HTTP11,
			Trust: Trust{ServerName: "shop.example.com", Insecure: true},
		}
	}
	expect := HTTPExpect{
		Status: []StatusRange{{200, 299}, {404, 404}}, Headers: map[string]HeaderExpect{"A": HeaderEquals("b"), "C": {Matches: new(pattern(t, "^d")), Absent: new(false)}}, BodyContains: []string{"c"},
		BodyLacks: []string{"d"}, BodyMatches: []Pattern{pattern(t, "e+")}, Within: 2 * time.Second, ValidFor: span(14 * 24 * time.Hour),
		FailAfter: 5 * time.Second, Version: []string{"1.1", "2"}, MinBytes: 1, MaxBytes: new(7), SHA256: strings.Repeat("a", 64), ModifiedWithin: time.Hour,
		JSON: map[string]JSONExpect{
			"$.a": {Equals: jsonValue(t, `"x"`)}, "$.b": {Equals: jsonValue(t, "null")}, "$.c": {Equals: jsonValue(t, "5"), Min: new(1.5), Max: new(9.0)},
			"$.d": {Absent: new(true)}, "$.e": {Matches: new(pattern(t, "")), Length: new(0)}, "$.f": {Equals: jsonValue(t, "-1.5e3")},
		},
		Expr: []Expression{expression(t, "status == 200")},
	}
	h := &HTTP{HTTPRequest: request(), Expect: expect}
	b := &Bandwidth{HTTPRequest: request(), Profile: pt(t, "slow-4g"), Expect: BandwidthExpect{expect, time.Second, 100, PageExpect{}}}
	b.Bearer, b.Basic = secret.New("t0ken"), Basic{}
	tokens := &HTTP{HTTPRequest: newHTTPRequest(7), Expect: HTTPExpect{AllAddresses: true, Headers: map[string]HeaderExpect{}, JSON: map[string]JSONExpect{}}}
	tokens.URL, tokens.Headers, tokens.Form = "https://example.com/", map[string]secret.String{}, map[string]secret.String{"a": secret.New("b")}
	tokens.Version, tokens.IP = HTTP3, "each"
	tokens.OAuth2 = OAuth2{"https://example.com/t", "id", secret.New("s3cret"), []string{"a"}, map[string]secret.String{"c": secret.New("d")}, "body"}
	own := newBandwidth()
	own.URL, own.Profile = "http://example.com/", Profile{DownKbps: 400, UpKbps: 400.5, RTTMS: 400}
	own.Form, own.OAuth2.Params = map[string]secret.String{}, map[string]secret.String{}
	own.Headers, own.Expect.Headers, own.Expect.JSON = map[string]secret.String{}, map[string]HeaderExpect{}, map[string]JSONExpect{} // as none is on the wire
	yes, no := true, false
	d := newDNS()
	d.Domain, d.Type, d.Class, d.Server, d.Transport, d.Recursion = "example.com", "MX", "CH", Servers{"192.0.2.53", "192.0.2.54"}, "tcp", false
	d.Need, d.Method, d.IP, d.EDNS = "any", "GET", "4", EDNS{Size: 4096, DO: true, Subnet: netip.MustParsePrefix("198.51.100.0/24"), Cookie: true}
	d.Authoritative.From, d.Authoritative.SerialSkew, d.Authoritative.CompareTransports = []string{"192.0.2.1"}, 7, false
	d.Expect = DNSExpect{Rcode: "NXDOMAIN", Answer: []string{"10 a.example.com"}, AnswerContains: []string{"20 b.example.com"}, AnswerMatches: []Pattern{pattern(t, "^1")},
		AuthorityContains: []string{"example.com NS a.example.com"}, TTL: TTLRange{time.Minute, time.Hour}, AA: &yes, AD: &no,
		Serial: SerialRange{1 << 31}, MaxSize: 1232, MinAnswers: 0, MaxAnswers: 3, Within: time.Second, FailAfter: time.Minute}
	c := &TLS{Address: "example.com:443", IP: "6", StartTLS: "smtp", Revocation: "crl",
		Expect: TLSExpect{ValidFor: Lifetime{part: 1, whole: 3}, MinVersion: "1.3", Strong: true, SameCertificate: true, Within: time.Minute}}
	tcp := &TCP{Address: "example.com:25", IP: "each", Send: secret.New("PING"), TLS: true, StartTLS: "smtp",
		Expect: TCPExpect{Contains: []string{"a"}, Matches: []Pattern{pattern(t, "b+")}, ValidFor: span(time.Hour), AllAddresses: true, Within: time.Second}}
	ping := &ICMP{Host: "example.com", IP: "6", Count: 5, Interval: time.Second, Size: 100, Expect: ICMPExpect{MaxLoss: Ratio{percent: 12.5, set: true}, Within: time.Second}}
	bought := steps(
		act{name: "take", url: "https://shop.example.com/", headers: secrets("X-Key", "k3y"), form: secrets("pin", "p1n"), capture: map[string]Capture{
			"a": {Header: "X"}, "b": {Cookie: "c"}, "c": {Match: new(pattern(t, "(x)"))}, "d": {JSON: path(t, "$.a[0]")}}},
		act{name: "use", url: "{{a}}", method: "PUT", headers: secrets(), form: secrets(), body: "{{b}}", bearer: secret.New("{{c}}"), capture: map[string]Capture{},
			expect: HTTPExpect{Headers: map[string]HeaderExpect{}, JSON: map[string]JSONExpect{"$": equalsJSON(t, `"{{d}}"`)}, Expr: []Expression{expression(t, `a != ""`)}}},
	)
	bought.Headers, bought.Expect.Within, bought.Expect.Headers, bought.Expect.JSON = secrets("A", "b"), time.Second, map[string]HeaderExpect{}, map[string]JSONExpect{}
	bought.Steps[0].Expect.Headers, bought.Steps[0].Expect.JSON = map[string]HeaderExpect{}, map[string]JSONExpect{}
	bought.Form, bought.OAuth2.Params = secrets(), secrets()
	for i := range bought.Steps {
		bought.Steps[i].OAuth2.Params = secrets()
	}
	specs := []Spec{{Kind: "tcp", Options: tcp}, {Kind: "icmp", Options: ping}, {Kind: "http", Options: h}, {Kind: "http", Options: tokens}, {Kind: "http", Options: bought}, {Kind: "bandwidth", Options: b}, {Kind: "bandwidth", Options: own}, {Kind: "dns", Options: d}, {Kind: "tls", Options: c}}
	for i := range specs {
		specs[i].Name, specs[i].Every, specs[i].Timeout = fmt.Sprintf("check-%d", i), time.Minute, 10*time.Second
	}
	return specs
}

func TestWireRoundTrip(t *testing.T) {
	for _, s := range fullSpecs(t) {
		wire, err := s.Wire()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseWire(wire)
		if err != nil {
			t.Fatalf("%v\n%s", err, wire)
		}
		if back.Name != s.Name || back.Kind != s.Kind || back.Every != s.Every || back.Timeout != s.Timeout {
			t.Errorf("got %+v", back)
		}
		if !reflect.DeepEqual(back.Options, s.Options) {
			t.Errorf("%s: got %+v, want %+v\n%s", s.Kind, back.Options, s.Options, wire)
		}
		again, err := back.Wire()
		if err != nil || string(again) != string(wire) {
			t.Errorf("not the same again: %v\n%s\n%s", err, wire, again)
		}
	}
}

func TestWireCarriesSecretsAndNothingElseDoes(t *testing.T) {
	s := fullSpecs(t)[2]
	wire, err := s.Wire()
	if err != nil || !strings.Contains(string(wire), "k3y") || !strings.Contains(string(wire), `"password":"pw"`) {
		t.Errorf("%v\n%s", err, wire)
	}
	plain, err := json.Marshal(s.Options)
	if err != nil || strings.Contains(string(plain), "k3y") || strings.Contains(string(plain), "pw") {
		t.Errorf("%v\n%s", err, plain)
	}
	if text := fmt.Sprintf("%v %+v", s.Options.(*HTTP).Headers, s.Options.(*HTTP).Basic); strings.Contains(text, "k3y") || strings.Contains(text, "pw}") {
		t.Error(text)
	}
}

func TestParseWireRefuses(t *testing.T) {
	for _, tt := range []struct{ name, wire, says string }{
		{"nothing", ``, "decoding a check"},
		{"kind", `{"name":"a","kind":"ftp","every_ms":60000,"timeout_ms":1000,"options":{}}`, "upgrade it"},
		{"name", `{"name":"A","kind":"tls","every_ms":60000,"timeout_ms":1000,"options":{"address":"a:443"}}`, "out of range"},
		{"timeout", `{"name":"a","kind":"tls","every_ms":60000,"timeout_ms":60001,"options":{"address":"a:443"}}`, "out of range"},
		{"every", `{"name":"a","kind":"tls","every_ms":9223372036854775807,"timeout_ms":1000,"options":{"address":"a:443"}}`, "out of range"},
		{"options", `{"name":"a","kind":"tls","every_ms":60000,"timeout_ms":1000}`, "decoding"},
		{"option", `{"name":"a","kind":"tls","every_ms":60000,"timeout_ms":1000,"options":{"address":""}}`, "address"},
		{"status", `{"name":"a","kind":"http","every_ms":60000,"timeout_ms":1000,"options":{"url":"http://a/","expect":{"status":["2"]}}}`, "not a status"},
		{"profile", `{"name":"a","kind":"bandwidth","every_ms":60000,"timeout_ms":1000,"options":{"url":"http://a/","profile":"5g"}}`, "not a profile"},
	} {
		if _, err := ParseWire([]byte(tt.wire)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
}

// What the configuration and the reference rely on in every kind's options.
func TestOptionsAreDocumented(t *testing.T) {
	for _, name := range KindNames() {
		kind, _ := KindOf(name)
		if kind.Summary == "" {
			t.Errorf("%s has no summary", name)
		}
		documented(t, name, reflect.TypeOf(kind.New()).Elem())
	}
	if _, ok := KindOf("gopher"); ok {
		t.Error("there is a kind gopher")
	}
}

func documented(t *testing.T, path string, typ reflect.Type) {
	for f := range fieldsOf(typ) {
		name := f.Tag.Get("json")
		if f.Anonymous && name == "" {
			documented(t, path, f.Type)
			continue
		}
		at := path + "." + name
		if doc := f.Tag.Get("doc"); name == "" || name != "-" && (!strings.HasSuffix(doc, ".") || len(doc) < 10) {
			t.Errorf("%s (%s) has doc %q", at, f.Name, doc)
		}
		if strings.Contains(name, "omit") {
			t.Errorf("%s would lose what is set to nothing on the wire", at)
		}
		if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == "nines/checks" {
			documented(t, at, f.Type)
		}
	}
}

// fieldsOf yields the exported and embedded fields of a struct.
func fieldsOf(typ reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range typ.NumField() {
			if f := typ.Field(i); (f.IsExported() || f.Anonymous) && !yield(f) {
				return
			}
		}
	}
}

func TestStatusRange(t *testing.T) {
	for text, want := range map[string]StatusRange{
		"200": {200, 200}, "200-299": {200, 299}, "2xx": {200, 299}, "5XX": {500, 599}, "100-599": {100, 599},
		"": {}, "99": {}, "600": {}, "299-200": {}, "6xx": {}, "0xx": {}, "xxx": {}, "200-": {}, "-200": {}, "20": {}, "2000": {}, "+20": {}, "200-2xx": {}, "200 - 299": {},
	} {
		var s StatusRange
		if err := s.UnmarshalText([]byte(text)); s != want || (err == nil) != (want != StatusRange{}) {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
	var list []StatusRange
	if err := json.Unmarshal([]byte(`[200, "3xx", "404-410"]`), &list); err != nil || listed(list) != "200, 300-399, 404-410" {
		t.Errorf("%v, %v", list, err)
	}
	if err := json.Unmarshal([]byte(`[true]`), &list); err == nil {
		t.Error("true is a status")
	}
}

func FuzzStatusRange(f *testing.F) {
	for _, text := range []string{"200", "200-299", "2xx", "", "1e2", "-1", "２００"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again StatusRange
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		if s.First < 100 || s.Last > 599 || s.First > s.Last {
			t.Errorf("%q is read as %v", text, s)
		}
		wire, _ := json.Marshal(s)
		if err := json.Unmarshal(wire, &again); err != nil || again != s {
			t.Errorf("%q: %v becomes %v (%v)", text, s, again, err)
		}
	})
}

func TestPattern(t *testing.T) {
	var p Pattern
	for _, bad := range []string{"(", `\1`, "a**", strings.Repeat("a", maxPattern+1)} {
		if err := p.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%.20q is a pattern", bad)
		}
	}
	if !p.match([]byte("anything")) || p.String() != "" {
		t.Error("the zero pattern does not match")
	}
}
