package notifier_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nines/notifier"
)

var update = flag.Bool("update", false, "write the golden files again")

// shop is a page about the incident that the contract's example is of.
func shop() notifier.Message {
	n := notifier.Notice{Incident: 41, Kind: notifier.PageNotice, Person: "alice", Channel: "sms", Why: "rotation:primary, step 1", Created: noon}
	n.Nonce = notifier.NonceOf(n)
	return notifier.Message{
		Notice: n, Person: alice, Mention: []notifier.Person{alice},
		Subject: notifier.Subject{
			Incident: 41, Check: "shop", Title: "Shop front page", Reason: "connect.timeout",
			Down: 3, Regions: 3, Where: []string{"eu-west", "us-east", "ap-south"},
			Since: noon.Add(-20 * time.Second), Opened: noon, Runbook: "https://wiki.example.com/shop",
			Log: []notifier.LogEntry{{At: noon, Text: "shop is down: connect.timeout from 3/3 regions"}},
		},
		Link: "https://status.example.com/i/41?k=c2VjcmV0a2V5MTIz",
	}
}

// messages are what is said on every occasion.
func messages() []struct {
	name string
	m    notifier.Message
} {
	with := func(change func(m *notifier.Message)) notifier.Message {
		m := shop()
		change(&m)
		return m
	}
	acked := func(m *notifier.Message) {
		m.Subject.AckedBy, m.Subject.AckedAt = "bob", noon.Add(3*time.Minute)
	}
	over := func(m *notifier.Message) { m.Subject.Resolved = noon.Add(8 * time.Minute) }
	many := func(n int) func(m *notifier.Message) {
		return func(m *notifier.Message) {
			for i := range n - 1 {
				m.Subject.Also = append(m.Subject.Also, fmt.Sprintf("check-%d", i+1))
			}
		}
	}
	return []struct {
		name string
		m    notifier.Message
	}{
		{"page", shop()},
		{"page without a link", with(func(m *notifier.Message) { m.Link = "" })},
		{"page of yesterday's outage", with(func(m *notifier.Message) { m.Subject.Since = noon.Add(-20 * time.Hour) })},
		{"page with little known", with(func(m *notifier.Message) {
			m.Subject = notifier.Subject{Incident: 41, Check: "shop"}
		})},
		{"page sent after somebody took it", with(acked)},
		{"page sent after it was over", with(over)},
		{"page of three checks", with(many(3))},
		{"page of twelve checks", with(many(12))},
		{"update: acknowledged", with(func(m *notifier.Message) { m.Notice.Kind = notifier.UpdateNotice; acked(m) })},
		{"update: fewer regions", with(func(m *notifier.Message) {
			m.Notice.Kind = notifier.UpdateNotice
			m.Subject.Down, m.Subject.Where = 2, m.Subject.Where[:2]
		})},
		{"recovery", with(func(m *notifier.Message) { m.Notice.Kind = notifier.RecoveryNotice; acked(m); over(m) })},
		{"recovery of twelve checks", with(func(m *notifier.Message) { m.Notice.Kind = notifier.RecoveryNotice; many(12)(m); over(m) })},
		{"resolved by hand", with(func(m *notifier.Message) {
			m.Notice.Kind = notifier.RecoveryNotice
			over(m)
			m.Subject.ResolvedBy = "alice"
		})},
		{"names outside GSM-7 with close letters", with(func(m *notifier.Message) {
			m.Notice.Kind = notifier.UpdateNotice
			m.Subject.AckedBy, m.Subject.AckedAt = "Łukasz “Żółw” Nuñez…", noon
		})},
		{"names without close letters", with(func(m *notifier.Message) {
			m.Notice.Kind = notifier.UpdateNotice
			m.Subject.AckedBy, m.Subject.AckedAt = "Ольга", noon
		})},
		{"too long", with(func(m *notifier.Message) {
			m.Subject.Check = strings.Repeat("a-very-long-name-", 20)
		})},
		{"too long in UCS-2", with(func(m *notifier.Message) {
			m.Notice.Kind = notifier.UpdateNotice
			m.Subject.AckedBy, m.Subject.AckedAt = strings.Repeat("Ольга ", 30), noon
		})},
		{"test", with(func(m *notifier.Message) {
			m.Notice = notifier.Notice{Kind: notifier.TestNotice, Person: "alice", Channel: "sms", Created: noon}
			m.Notice.Nonce = notifier.NonceOf(m.Notice)
			m.Subject, m.Link = notifier.Subject{}, ""
		})},
	}
}

func TestMessages(t *testing.T) {
	var b strings.Builder
	for _, test := range messages() {
		text := notifier.SMSText(test.m)
		segments, gsm7 := notifier.Segments(text)
		subject, body := notifier.EmailText(test.m)
		fmt.Fprintf(&b, "== %s\nsms (%d segments, gsm7 %v): %s\nvoice: %s\nsubject: %s\n%s\n", test.name, segments, gsm7, text, notifier.VoiceText(test.m), subject, body)
		if segments > 2 {
			t.Errorf("%s: %d segments", test.name, segments)
		}
		if !strings.HasSuffix(text, "#"+test.m.Notice.Nonce) || !strings.Contains(text, test.m.Link) {
			t.Errorf("%s: %q lacks its link or its nonce", test.name, text)
		}
	}
	const golden = "testdata/messages.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSMSIsTheContracts(t *testing.T) {
	m := shop()
	want := "DOWN shop: connect.timeout from 3/3 regions since 14:02Z. Reply ACK 41. " + m.Link + " #" + m.Notice.Nonce
	if got := notifier.SMSText(m); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSegments(t *testing.T) {
	tests := []struct {
		name string
		text string
		n    int
		gsm7 bool
	}{
		{"empty", "", 1, true},
		{"one full", strings.Repeat("a", 160), 1, true},
		{"one more", strings.Repeat("a", 161), 2, true},
		{"two full", strings.Repeat("a", 306), 2, true},
		{"three", strings.Repeat("a", 307), 3, true},
		{"basic characters count one", strings.Repeat("@£ÄñΩ\n", 26) + "abcd", 1, true},
		{"the euro counts two", strings.Repeat("€", 80), 1, true},
		{"the euro counts two, over", strings.Repeat("€", 80) + "a", 2, true},
		{"brackets count two", strings.Repeat("[]", 40), 1, true},
		{"brackets count two, over", strings.Repeat("[]", 40) + "{", 2, true},
		{"a pair is not split", strings.Repeat("a", 152) + "€" + strings.Repeat("a", 151), 2, true},
		{"a pair is not split, over", strings.Repeat("a", 152) + "€" + strings.Repeat("a", 152), 3, true},
		{"UCS-2", strings.Repeat("ж", 70), 1, false},
		{"UCS-2, one more", strings.Repeat("ж", 71), 2, false},
		{"UCS-2, two full", strings.Repeat("ж", 134), 2, false},
		{"UCS-2, three", strings.Repeat("ж", 135), 3, false},
		{"emoji count two", strings.Repeat("🔥", 35), 1, false},
		{"emoji are not split", strings.Repeat("ж", 66) + "🔥" + strings.Repeat("ж", 66), 3, false},
		{"one character outside", strings.Repeat("a", 69) + "ç", 1, false},
		{"one character outside, over", strings.Repeat("a", 70) + "ç", 2, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if n, gsm7 := notifier.Segments(test.text); n != test.n || gsm7 != test.gsm7 {
				t.Errorf("%d segments, gsm7 %v; want %d, %v", n, gsm7, test.n, test.gsm7)
			}
		})
	}
}

// Whatever a check, a person or a reason is called, an SMS fits into two
// segments and keeps what one needs to act.
func TestSMSAlwaysFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := shop()
		kinds := []notifier.NoticeKind{notifier.PageNotice, notifier.UpdateNotice, notifier.RecoveryNotice}
		m.Notice.Kind = rapid.SampledFrom(kinds).Draw(t, "kind")
		m.Subject.Check = rapid.String().Draw(t, "check")
		m.Subject.Reason = rapid.String().Draw(t, "reason")
		m.Subject.Also = rapid.SliceOfN(rapid.StringN(0, 200, -1), 0, 5).Draw(t, "also")
		if rapid.Bool().Draw(t, "acked") {
			m.Subject.AckedBy = rapid.StringN(1, 100, -1).Draw(t, "who")
		}
		text := notifier.SMSText(m)
		n, gsm7 := notifier.Segments(text)
		if !strings.HasSuffix(text, m.Link+" #"+m.Notice.Nonce) || !utf8.ValidString(text) {
			t.Errorf("%q lacks its link or its nonce, or is not text", text)
		}
		if m.Notice.Kind == notifier.PageNotice && m.Subject.AckedBy == "" && !strings.Contains(text, "Reply ACK 41. ") {
			t.Errorf("%q cannot be acknowledged", text)
		}
		if n > 2 {
			t.Errorf("%d segments (gsm7 %v): %q", n, gsm7, text)
		}
	})
}

func TestSpan(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 s"}, {59 * time.Second, "59 s"}, {8*time.Minute + 30*time.Second, "8 min"}, {192 * time.Minute, "3 h 12 min"}, {52 * time.Hour, "2 d 4 h"},
	} {
		if got := notifier.Span(test.d); got != test.want {
			t.Errorf("%v is %q; want %q", test.d, got, test.want)
		}
	}
}
