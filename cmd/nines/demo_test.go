package main

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is what a command has printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await waits until a pattern is printed and returns its first group.
func (o *output) await(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m[len(m)-1]
		}
	}
	t.Fatalf("%s was not printed; there is:\n%s", pattern, o)
	return ""
}

// The demo is the first thing that anybody sees: page on both channels,
// acknowledged in the sandbox, recovery told, report there, nothing left.
func TestDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("PORT", "")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, errs output
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"demo", "--fail-after", "6s", "--fail-for", "20s"}, strings.NewReader(""), &out, &errs)
	}()

	page := out.await(t, `status page +(http://\S+/)\n`)
	sandbox := out.await(t, `sandbox +(http://\S+/sandbox) `)
	report := out.await(t, `SLA report +(http://\S+)\n`)
	for _, address := range []string{page, sandbox, report} {
		if body, err := fetch(address, ""); err != nil || !strings.HasPrefix(body, "200 ") {
			t.Errorf("%s: %v\n%s", address, err, body)
		}
	}

	out.await(t, `slack +DOWN shop: http\.status from [23]/3 regions`)
	id := out.await(t, `sms to (?:alice|bob) +DOWN shop: http\.status from [23]/3 regions since \S+Z\. Reply ACK (\d+)\. http`)
	phone := map[string]string{"alice": "+48500100200", "bob": "+12025550123"}[out.await(t, `sms to (alice|bob) +DOWN shop`)]
	answer, err := http.PostForm(sandbox+"/reply", url.Values{"phone": {phone}, "body": {"ACK " + id}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	out.await(t, `slack \(thread\) +ACKED shop`)
	out.await(t, `slack \(edited\) +UP shop`)
	out.await(t, `sms to (?:alice|bob) +UP shop`)
	if body, err := fetch(report, ""); err != nil || !strings.Contains(body, "http.status") {
		t.Errorf("the report does not show the outage: %v\n%s", err, body)
	}

	stop()
	if got := <-code; got != exitDone {
		t.Errorf("the demo ended with %d:\n%s", got, &errs)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
	if errs.String() != "" {
		t.Errorf("the demo complained:\n%s", &errs)
	}
}
