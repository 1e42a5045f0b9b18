package config

import (
	"fmt"
	"strings"
	"testing"

	"nines/checks"
)

// An option whose type is a list that reads itself from text takes a text or a
// list of them, in files and in the schema.
func TestTextOrList(t *testing.T) {
	schema := compileSchema(t)
	for _, tt := range []struct{ server, want string }{
		{"192.0.2.53", "[192.0.2.53]"},
		{`"192.0.2.53:5353"`, "[192.0.2.53:5353]"},
		{`[192.0.2.53, "192.0.2.54:5353"]`, "[192.0.2.53 192.0.2.54:5353]"},
		{"[system]", "[system]"},
		{"", "[system]"}, // as for every list, nothing after the colon is the default
		{"192.0.2.53:x", "2:65 checks[0].server: \"192.0.2.53:x\" has no port"},
		{"[192.0.2.53, ns1:x]", "2:78 checks[0].server[1]: \"ns1:x\" has no port"},
		{"{a: b}", "2:65 checks[0].server: is a mapping of keys to values; write text, or a list of them"},
		{"[ns1, {a: b}]", "2:71 checks[0].server[1]: is a mapping"},
	} {
		text := fmt.Sprintf("regions: [{name: here}]\nchecks: [{name: ns, kind: dns, domain: example.com, server: %s}]\n", tt.server)
		text = strings.Replace(text, "server:", "    server:", 1)
		path := write(t, t.TempDir(), "nines.yaml", text)
		c, err := Load(path, environment)
		got := fmt.Sprint(err)
		if faults, ok := err.(Faults); ok {
			got = fmt.Sprintf("%d:%d %s: %s", faults[0].Line, faults[0].Column, faults[0].Path, faults[0].Message)
		} else if err == nil {
			got = fmt.Sprint([]string(c.Checks[0].Options.(*checks.DNS).Server))
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.server, got, tt.want)
		}
		shaped := !strings.Contains(tt.server, "{")
		if err := schema.Validate(instance(t, text)); (err == nil) != shaped {
			t.Errorf("%s: the schema says %v", tt.server, err)
		}
	}
}
