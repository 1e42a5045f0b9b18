package checks

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const reasonsDoc = "../docs/checks/reasons.md"

// Every reason has its line in the documentation with what it means, and there
// is no line without a reason.
func TestReasonsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(reasonsDoc)
	if err != nil {
		t.Fatal(err)
	}
	told := map[Reason]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(string(text), -1) {
		told[Reason(row[1])] = row[2]
	}
	for _, r := range Reasons() {
		if told[r] != r.Meaning() {
			t.Errorf("%s: write in %s: | `%s` | %s |", r, reasonsDoc, r, r.Meaning())
		}
	}
	for r := range told {
		if !r.Known() {
			t.Errorf("%s is documented and is no reason", r)
		}
	}
}

func TestReasons(t *testing.T) {
	layers := "dns connect tls http content slow prober"
	for _, r := range Reasons() {
		if !strings.Contains(" "+layers+" ", " "+r.Layer()+" ") || r.Meaning() == "" || len(r) > 64 {
			t.Errorf("%s is not a reason of %s", r, layers)
		}
		f := against(r, "x")
		want := map[string]Status{"prober": Unknown, "slow": Degraded}[r.Layer()]
		if want == "" {
			want = Down
		}
		if f.status != want {
			t.Errorf("%s means %s, want %s", r, f.status, want)
		}
	}
	if r := Reason("dns.nonsense"); r.Known() || r.Meaning() != "" {
		t.Errorf("%s is known", r)
	}
	for s := stageConnect; int(s) < len(timeouts); s++ {
		if timeouts[s] == "" || !timeouts[s].Known() || s.String() == "" {
			t.Error(fmt.Errorf("stage %d has no timeout", s))
		}
	}
}
