package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// canary is what must show up nowhere but in Reveal and Marshal.
const canary = "hunter2-canary"

type login struct {
	User     string            `json:"user"`
	Password String            `json:"password"`
	Headers  map[string]String `json:"headers,omitempty"`
	hidden   String
}

func sample() login {
	return login{"alice", New(canary), map[string]String{"X-Key": New(canary)}, New(canary)}
}

func TestNothingPrintsASecret(t *testing.T) {
	v := sample()
	var prints []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		prints = append(prints, fmt.Sprintf(verb, v.Password), fmt.Sprintf(verb, &v.Password),
			fmt.Sprintf(verb, v.Headers), fmt.Sprintf(verb, []String{v.Password}), fmt.Sprintf(verb, v))
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	prints = append(prints, string(encoded), v.Password.String())
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", v.Password, "headers", v.Headers)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "password", v.Password, "login", v)
	for _, p := range append(prints, log.String()) {
		if strings.Contains(p, canary) || strings.Contains(p, fmt.Sprintf("%x", canary)) {
			t.Errorf("printed: %s", p)
		}
	}
	if !strings.Contains(string(encoded), Redacted) {
		t.Errorf("encoded as %s, which does not say that something is left out", encoded)
	}
	if got := v.Password.Reveal(); got != canary {
		t.Errorf("Reveal() = %q", got)
	}
}

func TestEmptySecret(t *testing.T) {
	var s String
	if !s.IsZero() || s.String() != "" || New("x").IsZero() {
		t.Error("the empty secret is not told from one that is set")
	}
	if !New("x").Equal(New("x")) || New("x").Equal(New("y")) || New("x").Equal(s) || !s.Equal(String{}) {
		t.Error("equal secrets are not told from different ones")
	}
}

type inner struct {
	Token String `json:"token"`
}

type sent struct {
	inner
	Wait    time.Duration     `json:"wait"`
	Empty   string            `json:"empty,omitempty"`
	Skipped String            `json:"-"`
	List    []String          `json:"list"`
	None    []string          `json:"none"`
	Next    *inner            `json:"next"`
	Labels  map[string]String `json:"labels"`
	At      time.Time         `json:"at"`
}

// What is sent to whoever must know it reads back as it was.
func TestMarshalReveals(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	data, err := Marshal(&sent{
		inner: inner{New("a")}, Wait: time.Second, Skipped: New("no"), List: []String{New("b"), New("c")},
		Next: &inner{New("d")}, Labels: map[string]String{"k": New("e")}, At: at,
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"at":"2026-11-23T08:00:00Z","labels":{"k":"e"},"list":["b","c"],"next":{"token":"d"},"none":null,"token":"a","wait":1000000000}`
	if string(data) != want {
		t.Errorf("Marshal\n got %s\nwant %s", data, want)
	}
	var back sent
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back.Token.Reveal() != "a" || back.List[1].Reveal() != "c" || back.Next.Token.Reveal() != "d" || back.Labels["k"].Reveal() != "e" {
		t.Errorf("read back as %+v", back)
	}
}
