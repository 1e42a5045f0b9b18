package checks

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nines/checks/checkstest"
)

func jsonValue(t testing.TB, text string) JSONValue {
	t.Helper()
	var v JSONValue
	if err := v.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return v
}

func equalsJSON(t testing.TB, text string) JSONExpect { return JSONExpect{Equals: jsonValue(t, text)} }

func expression(t testing.TB, text string) Expression {
	t.Helper()
	var x Expression
	if err := x.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return x
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Each expectation of a content is met by what it asks for and not by anything
// else, and says what it found.
func TestContentExpectations(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	const body = `{"status": "ok", "n": 5, "items": [{"price": 7.5}, {"price": 3}], "list": [1, 2, 3], "name": "Anna", "none": null, "yes": true, "big": 9007199254740993}`
	day := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	stamp := func(t time.Time) string { return t.Format(http.TimeFormat) }
	header := http.Header{"X-A": {"b", "c"}, "Server": {"nginx/1.28"}, "Date": {stamp(day)}, "Last-Modified": {stamp(day.Add(-2 * time.Hour))}}
	headers := func(name string, rule HeaderExpect) HTTPExpect {
		return HTTPExpect{Headers: map[string]HeaderExpect{name: rule}}
	}
	json := func(path string, rule JSONExpect) HTTPExpect {
		return HTTPExpect{JSON: map[string]JSONExpect{path: rule}}
	}
	for _, tt := range []struct {
		name   string
		expect HTTPExpect
		reason Reason
		says   string
	}{
		{"header", headers("x-a", HeaderEquals("c")), "", ""},
		{"header differs", headers("X-A", HeaderEquals("d")), ContentMismatch, `the header X-A is "b, c"; expected "d"`},
		{"header missing", headers("X-B", HeaderEquals("d")), ContentMismatch, `the header X-B is missing; expected "d"`},
		{"header matches", headers("Server", HeaderExpect{Matches: new(pattern(t, "^nginx"))}), "", ""},
		{"header matches not", headers("Server", HeaderExpect{Matches: new(pattern(t, "^apache"))}), ContentMismatch, `"nginx/1.28"; expected a match of ^apache`},
		{"header absent", headers("X-Debug", HeaderExpect{Absent: new(true)}), "", ""},
		{"header not absent", headers("Server", HeaderExpect{Absent: new(true)}), ContentMismatch, `the header Server is "nginx/1.28"; expected none`},
		{"header there", headers("Server", HeaderExpect{Absent: new(false)}), "", ""},
		{"header not there", headers("X-Debug", HeaderExpect{Absent: new(false)}), ContentMismatch, "the header X-Debug is missing; expected any value"},
		{"header equals and matches", headers("X-A", HeaderExpect{Equals: new("b"), Matches: new(pattern(t, "c"))}), ContentMismatch, `expected "b" and a match of c`},

		{"json text", json("$.status", equalsJSON(t, `"ok"`)), "", ""},
		{"json text differs", json("$.status", equalsJSON(t, `"OK"`)), ContentMismatch, `$.status is "ok"; expected "OK"`},
		{"json number", json("$.n", equalsJSON(t, `5.0`)), "", ""},
		{"json number is no text", json("$.n", equalsJSON(t, `"5"`)), ContentMismatch, `$.n is 5; expected "5"`},
		{"json large number", json("$.big", equalsJSON(t, `9007199254740993`)), "", ""},
		{"json large number differs", json("$.big", equalsJSON(t, `9007199254740992`)), ContentMismatch, "$.big is 9007199254740993"},
		{"json null", json("$.none", equalsJSON(t, `null`)), "", ""},
		{"json null is not false", json("$.none", equalsJSON(t, `false`)), ContentMismatch, "$.none is null; expected false"},
		{"json bool", json("$.yes", equalsJSON(t, `true`)), "", ""},
		{"json missing", json("$.no", equalsJSON(t, `null`)), ContentMismatch, "there is nothing at $.no; expected null"},
		{"json list is no value", json("$.list", equalsJSON(t, `1`)), ContentMismatch, "$.list is a list of 3; expected 1"},
		{"json range", json("$.items[0].price", JSONExpect{Min: new(1.0), Max: new(100.0)}), "", ""},
		{"json too small", json("$.items[0].price", JSONExpect{Min: new(8.0)}), ContentMismatch, "is 7.5; expected a number from 8"},
		{"json too large", json("$.items[*].price", JSONExpect{Max: new(7.0)}), ContentMismatch, "is 7.5; expected a number up to 7"},
		{"json all of several", json("$.items[*].price", JSONExpect{Max: new(8.0)}), "", ""},
		{"json not a number", json("$.status", JSONExpect{Min: new(1.0)}), ContentMismatch, `$.status is "ok"; expected a number from 1`},
		{"json absent", json("$.error", JSONExpect{Absent: new(true)}), "", ""},
		{"json not absent", json("$.none", JSONExpect{Absent: new(true)}), ContentMismatch, "$.none is null; expected nothing there"},
		{"json there", json("$.none", JSONExpect{Absent: new(false)}), "", ""},
		{"json not there", json("$.no", JSONExpect{Absent: new(false)}), ContentMismatch, "expected some value"},
		{"json matches", json("$.name", JSONExpect{Matches: new(pattern(t, "^A"))}), "", ""},
		{"json matches not", json("$.name", JSONExpect{Matches: new(pattern(t, "^B"))}), ContentMismatch, `$.name is "Anna"; expected a text that matches ^B`},
		{"json matches texts", json("$.n", JSONExpect{Matches: new(pattern(t, "5"))}), ContentMismatch, "$.n is 5"},
		{"json length", json("$.list", JSONExpect{Length: new(3)}), "", ""},
		{"json length of a text", json("$.name", JSONExpect{Length: new(4)}), "", ""},
		{"json length differs", json("$.list", JSONExpect{Length: new(2)}), ContentMismatch, "$.list is a list of 3; expected a length of 2"},
		{"json length of a number", json("$.n", JSONExpect{Length: new(1)}), ContentMismatch, "$.n is 5"},
		{"json filter", json("$.items[?(@.price > 5)].price", equalsJSON(t, `7.5`)), "", ""},
		{"json anywhere", json("$..price", JSONExpect{Min: new(3.0)}), "", ""},

		{"expr", HTTPExpect{Expr: []Expression{expression(t, `status == 200 && json.n == 5`), expression(t, `headers["server"] startsWith "nginx"`)}}, "", ""},
		{"expr false", HTTPExpect{Expr: []Expression{expression(t, `json.n > 5`)}}, ContentMismatch, "json.n > 5 is false"},
		{"expr fails", HTTPExpect{Expr: []Expression{expression(t, `json.no.deeper > 5`)}}, ContentMismatch, "cannot be said: cannot fetch deeper from <nil>"},
		{"expr phases", HTTPExpect{Expr: []Expression{expression(t, `phases.first_byte >= 0 && phases.tls == 0 && took_ms > 0 && remote_ip == "127.0.0.1" && bytes == len(body)`)}}, "", ""},

		{"size", HTTPExpect{MinBytes: len(body), MaxBytes: new(len(body))}, "", ""},
		{"too small", HTTPExpect{MinBytes: len(body) + 1}, ContentMismatch, fmt.Sprintf("the body has %d bytes; expected at least %d", len(body), len(body)+1)},
		{"too large", HTTPExpect{MaxBytes: new(0)}, ContentMismatch, "expected at most 0"},
		{"digest", HTTPExpect{SHA256: strings.ToUpper(hexSHA256(body))}, "", ""},
		{"other digest", HTTPExpect{SHA256: hexSHA256("")}, ContentMismatch, "is " + hexSHA256(body) + "; expected " + hexSHA256("")},
		{"digest beside content", HTTPExpect{SHA256: hexSHA256(body), BodyContains: []string{"Anna"}}, "", ""},
		{"fresh", HTTPExpect{ModifiedWithin: 2 * time.Hour}, "", ""},
		{"stale", HTTPExpect{ModifiedWithin: time.Hour}, ContentStale, "the content last changed 2h0m0s ago, on 2026-01-02T10:00:00Z; expected a change within 1h0m0s"},
		{"version", HTTPExpect{Version: []string{"1.1", "2"}}, "", ""},
		{"other version", HTTPExpect{Version: []string{"2", "3"}}, HTTPVersion, "the answer came by HTTP/1.1; expected 2, 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.Set(checkstest.Behaviour{Header: header, Body: body})
			h := httpAt(server.URL())
			h.Expect = tt.expect
			status := Down
			if tt.reason == "" {
				status = Up
			}
			r := run(t, h, 10*time.Second, loopback())
			wants(t, r, status, tt.reason)
			if !strings.Contains(r.Detail, tt.says) {
				t.Errorf("says %q, want %q", r.Detail, tt.says)
			}
			if digest, told := r.Facts["body_sha256"]; told != (tt.expect.SHA256 != "") || told && digest != hexSHA256(body) {
				t.Errorf("facts %v", r.Facts)
			}
		})
	}
}

// Age is told by Last-Modified alone, and measured by our clock when the
// server does not tell its own.
func TestModifiedWithin(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	e := HTTPExpect{ModifiedWithin: time.Hour}
	for _, tt := range []struct{ name, modified, date, says string }{
		{"fresh by our clock", "Fri, 02 Jan 2026 11:30:00 GMT", "", ""},
		{"stale by our clock", "Fri, 02 Jan 2026 10:30:00 GMT", "", "1h30m0s ago"},
		{"fresh by its clock", "Fri, 02 Jan 2016 10:30:00 GMT", "Fri, 02 Jan 2016 11:00:00 GMT", ""},
		{"stale by its clock", "Fri, 02 Jan 2026 11:30:00 GMT", "Fri, 02 Jan 2026 14:30:00 GMT", "3h0m0s ago"},
		{"a Date that is none", "Fri, 02 Jan 2026 11:30:00 GMT", "today", ""},
		{"in the future", "Fri, 02 Jan 2027 11:30:00 GMT", "", ""},
		{"missing", "", "", "the header Last-Modified is missing"},
		{"no date", "yesterday", "", `"yesterday", which is no date`},
	} {
		a := &answer{now: now, header: http.Header{}}
		a.header.Set("Last-Modified", tt.modified)
		a.header.Set("Date", tt.date)
		f := e.modifiedWithin(a)
		if (f.status == "") != (tt.says == "") || !strings.Contains(f.detail, tt.says) || f.status != "" && f.reason != ContentStale {
			t.Errorf("%s: %+v", tt.name, f)
		}
	}
}

// Slow is degraded up to fail_after, and down from there; what is down for
// another reason keeps that.
func TestFailAfter(t *testing.T) {
	server := opened(checkstest.NewHTTP())(t)
	for _, tt := range []struct {
		name              string
		within, failAfter time.Duration
		status            Status
		reason            Reason
	}{
		{"fast enough", time.Second, 5 * time.Second, Up, ""},
		{"slow", time.Millisecond, 5 * time.Second, Degraded, SlowTotal},
		{"too slow", time.Millisecond, 20 * time.Millisecond, Down, SlowTotal},
		{"too slow at once", 0, 20 * time.Millisecond, Down, SlowTotal},
	} {
		server.Set(checkstest.Behaviour{Delay: 60 * time.Millisecond})
		h := httpAt(server.URL())
		h.Expect.Within, h.Expect.FailAfter = tt.within, tt.failAfter
		t.Run(tt.name, func(t *testing.T) { wants(t, run(t, h, 10*time.Second, loopback()), tt.status, tt.reason) })
	}
	server.Set(checkstest.Behaviour{Delay: 60 * time.Millisecond, Status: 500})
	h := httpAt(server.URL())
	h.Expect.FailAfter = time.Millisecond
	wants(t, run(t, h, 10*time.Second, loopback()), Down, HTTPStatus)
	b := newBandwidth()
	b.URL, b.Profile, b.Expect.FailAfter = server.URL(), pt(t, "fios"), time.Millisecond
	server.Set(checkstest.Behaviour{})
	wants(t, run(t, b, 10*time.Second, loopback()), Down, SlowTotal)
}

// The digest is of what was packed, and of nothing when nothing came.
func TestDigestOfPackedBodies(t *testing.T) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	zip.Write([]byte("content"))
	zip.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		if r.URL.Path == "/content" {
			w.Write(packed.Bytes())
		}
	}))
	defer server.Close()
	for path, content := range map[string]string{"/content": "content", "/empty": ""} {
		h := httpAt(server.URL + path)
		h.Expect.SHA256 = hexSHA256(content)
		if r := run(t, h, 10*time.Second, loopback()); r.Status != Up || r.Facts["body_sha256"] != hexSHA256(content) {
			t.Errorf("%s: %s %s %v", path, r.Reason, r.Detail, r.Facts)
		}
	}
}

func TestHTTPVersions(t *testing.T) {
	ca, cert := issue(t, checkstest.Leaf{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(page))
	server.EnableHTTP2 = true
	server.TLS = tlsConfig(cert)
	server.StartTLS()
	defer server.Close()
	h := httpAt(server.URL)
	h.CA, h.Expect.Version = ca.PEM(), []string{"2"}
	h.Expect.Expr = []Expression{expression(t, `http_version == "2" && cert_days_left > 0 && phases.tls > 0`)}
	wants(t, run(t, h, 10*time.Second, loopback()), Up, "")
	h.Expect.Version = []string{"1.1"}
	wants(t, run(t, h, 10*time.Second, loopback()), Down, HTTPVersion)
}

func TestExpectFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		expect HTTPExpect
		path   string
		says   string
	}{
		{"version", HTTPExpect{Version: []string{"2", "1"}}, "expect.http_version[1]", "1.0, 1.1, 2, 3"},
		{"empty header rule", HTTPExpect{Headers: map[string]HeaderExpect{"A": {}}}, "expect.headers.A", "says nothing"},
		{"absent and equal", HTTPExpect{Headers: map[string]HeaderExpect{"A": {Equals: new("x"), Absent: new(true)}}}, "expect.headers.A.absent", "keep one"},
		{"no header", HTTPExpect{Headers: map[string]HeaderExpect{"A B": HeaderEquals("x")}}, "expect.headers.A B", "not a header's name"},
		{"no value of a header", HTTPExpect{Headers: map[string]HeaderExpect{"A": HeaderEquals("x\n")}}, "expect.headers.A", "no header can carry"},
		{"path", HTTPExpect{JSON: map[string]JSONExpect{"$.a[": equalsJSON(t, "1")}}, `expect.json["$.a["]`, `"$.a[" is not a path`},
		{"empty JSON rule", HTTPExpect{JSON: map[string]JSONExpect{"$.a": {}}}, `expect.json["$.a"]`, "says nothing"},
		{"absent and a value", HTTPExpect{JSON: map[string]JSONExpect{"$.a": {Min: new(1.0), Absent: new(true)}}}, `expect.json["$.a"].absent`, "keep one"},
		{"no number fits", HTTPExpect{JSON: map[string]JSONExpect{"$.a": {Min: new(2.0), Max: new(1.0)}}}, `expect.json["$.a"].min`, "no number fits"},
		{"length", HTTPExpect{JSON: map[string]JSONExpect{"$.a": {Length: new(-1)}}}, `expect.json["$.a"].length`, "negative"},
		{"expr", HTTPExpect{Expr: []Expression{expression(t, "true"), expression(t, "stats == 1")}}, "expect.expr[1]", "unknown name stats (at 1:1)"},
		{"min_bytes", HTTPExpect{MinBytes: -1}, "expect.min_bytes", "negative"},
		{"max_bytes", HTTPExpect{MaxBytes: new(-1)}, "expect.max_bytes", "negative"},
		{"no size fits", HTTPExpect{MinBytes: 5, MaxBytes: new(4)}, "expect.max_bytes", "no body fits"},
		{"above max_body", HTTPExpect{MinBytes: defaultMaxBody + 1}, "expect.min_bytes", "max_body"},
		{"short digest", HTTPExpect{SHA256: "abcd"}, "expect.sha256", "64 hexadecimal digits"},
		{"no digest", HTTPExpect{SHA256: strings.Repeat("x", 64)}, "expect.sha256", "64 hexadecimal digits"},
		{"fail_after", HTTPExpect{Within: 2 * time.Second, FailAfter: time.Second}, "expect.fail_after", "not longer than within"},
		{"negative", HTTPExpect{FailAfter: -1}, "expect.fail_after", "negative"},
		{"negative age", HTTPExpect{ModifiedWithin: -1}, "expect.modified_within", "negative"},
	} {
		h := httpAt("https://shop.example.com/")
		h.Expect = tt.expect
		faults := h.Faults()
		if len(faults) != 1 || faults[0].Path != tt.path || !strings.Contains(faults[0].Message, tt.says) {
			t.Errorf("%s: %q, want %s: %s", tt.name, faults, tt.path, tt.says)
		}
	}
	h := httpAt("https://shop.example.com/")
	h.Expect = HTTPExpect{Headers: map[string]HeaderExpect{"A": HeaderEquals("")}, MaxBytes: new(0), SHA256: strings.Repeat("aB", 32), FailAfter: 1}
	if faults := h.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
}

// What travels arrives, whatever it is.
func TestJSONExpectOnTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e, back JSONExpect
		if rapid.Bool().Draw(t, "equals") {
			// Adding 0 makes -0, which is the same number, one that is written the same.
			value := rapid.OneOf(
				rapid.Just[any](nil), rapid.Map(rapid.String(), asAny), rapid.Map(rapid.Bool(), asAny), rapid.Map(rapid.Int64(), asAny),
				rapid.Map(rapid.Float64Range(-1e300, 1e300), func(f float64) any { return f + 0 })).Draw(t, "value")
			e.Equals = JSONValue{true, value}
		}
		if rapid.Bool().Draw(t, "min") {
			e.Min = new(rapid.Float64Range(-1e9, 1e9).Draw(t, "least"))
		}
		if rapid.Bool().Draw(t, "absent") {
			e.Absent = new(rapid.Bool().Draw(t, "is"))
		}
		data, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := back.UnmarshalJSON(data); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		again, err := back.MarshalJSON()
		if err != nil || !bytes.Equal(again, data) || back.Equals.set != e.Equals.set || e.Equals.set && !back.Equals.equal(e.Equals.value) {
			t.Errorf("%s becomes %s (%v)", data, again, err)
		}
	})
}

func asAny[T any](v T) any { return v }

// An older scheduler sends headers as texts.
func TestHeaderExpectOnTheWire(t *testing.T) {
	for text, want := range map[string]string{
		`"b"`: `"b"`, `{"equals": "b"}`: `"b"`, `{"matches": "^a", "absent": null}`: "a match of ^a", `{"absent": false}`: "any value", `{"equals": ""}`: `""`,
	} {
		var h HeaderExpect
		if err := h.UnmarshalJSON([]byte(text)); err != nil || h.String() != want {
			t.Errorf("%s is %s (%v), want %s", text, &h, err, want)
		}
	}
	for _, text := range []string{`5`, `["a"]`, `{"matches": "("}`, `{"absent": "yes"}`} {
		if err := new(HeaderExpect).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
