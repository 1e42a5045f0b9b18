package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"nines/checks"
	"nines/notifier"
	"nines/notifier/notifytest"
)

// TestScripts runs the program itself. Besides testscript's own commands:
//
//	address VAR                  a free address of this machine
//	target NAME                  a website; $NAME_URL is where
//	target-break|target-mend NAME
//	sandbox HOOKS                Slack and Twilio, with webhooks to http://HOOKS
//	await-sms|await-slack REGEXP waits; what the first group matched is $MATCH
//	count-sms REGEXP N           how many there were until now
//	reply PHONE TEXT             answers by SMS
//	press ACTION USER            presses a button of the newest Slack message
//	signal HUP|TERM              to all programs in the background
//	pause DURATION
//	slots FILE PROBER EVERY      no slot of the prober is missing or there twice
//	await-http URL REGEXP        asks again and again, with $TOKEN as bearer
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"address":      cmdAddress,
			"target":       cmdTarget,
			"target-break": func(ts *testscript.TestScript, _ bool, args []string) { targetOf(ts, args[0]).broken.Store(true) },
			"target-mend":  func(ts *testscript.TestScript, _ bool, args []string) { targetOf(ts, args[0]).broken.Store(false) },
			"sandbox":      cmdSandbox,
			"await-sms":    func(ts *testscript.TestScript, _ bool, args []string) { awaitMatch(ts, args[0], sentTexts) },
			"await-slack":  func(ts *testscript.TestScript, _ bool, args []string) { awaitMatch(ts, args[0], channelPosts) },
			"count-sms":    cmdCountSMS,
			"reply":        cmdReply,
			"press":        cmdPress,
			"signal":       cmdSignal,
			"pause":        cmdPause,
			"slots":        cmdSlots,
			"await-http":   cmdAwaitHTTP,
		},
		Setup: func(env *testscript.Env) error {
			root, err := filepath.Abs(filepath.Join("..", ".."))
			env.Setenv("ROOT", root)
			env.Values[sceneKey{}] = &scene{targets: map[string]*target{}}
			return err
		},
	})
}

// scene is what a script's commands have made for those after them.
type scene struct {
	targets map[string]*target
	sandbox *notifytest.Sandbox
}

type sceneKey struct{}

func sceneOf(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) }

func targetOf(ts *testscript.TestScript, name string) *target {
	t := sceneOf(ts).targets[name]
	if t == nil {
		ts.Fatalf("there is no target %s", name)
	}
	return t
}

func sandboxOf(ts *testscript.TestScript) *notifytest.Sandbox {
	s := sceneOf(ts).sandbox
	if s == nil {
		ts.Fatalf("there is no sandbox")
	}
	return s
}

// patience is how long a script waits for what should happen.
const patience = time.Minute

// await asks again and again until got is true.
func await(ts *testscript.TestScript, what string, got func() (bool, string)) {
	var last string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var ok bool
		if ok, last = got(); ok {
			return
		}
	}
	ts.Fatalf("%s did not come; last there was:\n%s", what, last)
}

func cmdAddress(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv(args[0], l.Addr().String())
}

// target is a website that can be broken.
type target struct {
	broken atomic.Bool
	served atomic.Int64
}

func (s *target) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.served.Add(1)
	if s.broken.Load() {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "Welcome\n")
}

func cmdTarget(ts *testscript.TestScript, _ bool, args []string) {
	s := &target{}
	server := httptest.NewServer(s)
	ts.Defer(server.Close)
	sceneOf(ts).targets[args[0]] = s
	ts.Setenv(strings.ToUpper(args[0])+"_URL", server.URL+"/")
}

func cmdSandbox(ts *testscript.TestScript, _ bool, args []string) {
	hooks := "http://" + args[0]
	s, err := notifytest.New(notifytest.Config{Hooks: hooks, PublicURL: hooks, People: []notifier.Person{
		{Name: "alice", Phone: "+48500100200", Slack: "U012ALICE"},
		{Name: "bob", Phone: "+12025550123", Slack: "U012BOB"},
	}})
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	sceneOf(ts).sandbox = s
	cfg := s.Config()
	for name, value := range map[string]string{
		"SANDBOX_URL": s.URL(), "SLACK_CHANNEL": cfg.SlackChannel,
		"SLACK_TOKEN": cfg.SlackToken.Reveal(), "SLACK_SIGNING": cfg.SigningSecret.Reveal(),
		"TWILIO_SID": cfg.AccountSID, "TWILIO_TOKEN": cfg.AuthToken.Reveal(), "TWILIO_FROM": cfg.From,
	} {
		ts.Setenv(name, value)
	}
}

// sentTexts returns what phones have been sent.
func sentTexts(s *notifytest.Sandbox) []string {
	var all []string
	for _, t := range s.Texts() {
		if t.Direction != "inbound" {
			all = append(all, t.To+" "+t.Body)
		}
	}
	return all
}

func channelPosts(s *notifytest.Sandbox) []string {
	var all []string
	for _, p := range s.Posts() {
		all = append(all, p.Said())
	}
	return all
}

func awaitMatch(ts *testscript.TestScript, pattern string, list func(*notifytest.Sandbox) []string) {
	re, err := regexp.Compile(pattern)
	ts.Check(err)
	await(ts, pattern, func() (bool, string) {
		all := list(sandboxOf(ts))
		for _, text := range all {
			if m := re.FindStringSubmatch(text); m != nil {
				if len(m) > 1 {
					ts.Setenv("MATCH", m[1])
				}
				return true, ""
			}
		}
		return false, strings.Join(all, "\n")
	})
}

func cmdCountSMS(ts *testscript.TestScript, _ bool, args []string) {
	re, err := regexp.Compile(args[0])
	ts.Check(err)
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	got := 0
	for _, text := range sentTexts(sandboxOf(ts)) {
		if re.MatchString(text) {
			got++
		}
	}
	if got != want {
		ts.Fatalf("%d SMS match %s, not %d:\n%s", got, args[0], want, strings.Join(sentTexts(sandboxOf(ts)), "\n"))
	}
}

func cmdReply(ts *testscript.TestScript, _ bool, args []string) {
	status, answer, err := sandboxOf(ts).Reply(context.Background(), args[0], args[1])
	ts.Check(err)
	if status != http.StatusOK {
		ts.Fatalf("the webhook answered %d: %s", status, answer)
	}
}

func cmdPress(ts *testscript.TestScript, _ bool, args []string) {
	var ts0 string
	for _, p := range sandboxOf(ts).Posts() {
		if p.ThreadTS == "" && len(p.Buttons()) > 0 {
			ts0 = p.TS
		}
	}
	if ts0 == "" {
		ts.Fatalf("no Slack message has buttons")
	}
	status, answer, err := sandboxOf(ts).Press(context.Background(), ts0, args[0], args[1])
	ts.Check(err)
	if status != http.StatusOK {
		ts.Fatalf("the webhook answered %d: %s", status, answer)
	}
}

func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}[args[0]]))
	}
}

func cmdPause(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	time.Sleep(d)
}

func cmdSlots(ts *testscript.TestScript, _ bool, args []string) {
	every, err := time.ParseDuration(args[2])
	ts.Check(err)
	var slots []time.Time
	for record, err := range checks.ReadRecords(strings.NewReader(ts.ReadFile(args[0]))) {
		ts.Check(err)
		// A run that another region's failure asked for has a slot of its own.
		if r := record.Result; r != nil && r.Prober == args[1] {
			slots = append(slots, r.Slot)
		}
	}
	slices.SortFunc(slots, time.Time.Compare)
	if len(slots) < 5 {
		ts.Fatalf("%s has %d results only", args[1], len(slots))
	}
	for i := 1; i < len(slots); i++ {
		if gap := slots[i].Sub(slots[i-1]); gap != every {
			ts.Fatalf("%s: %v lie between the slots %v and %v", args[1], gap, slots[i-1], slots[i])
		}
	}
}

func cmdAwaitHTTP(ts *testscript.TestScript, _ bool, args []string) {
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	await(ts, args[0]+" "+args[1], func() (bool, string) {
		body, err := fetch(args[0], ts.Getenv("TOKEN"))
		if err != nil {
			return false, err.Error()
		}
		return re.MatchString(body), body
	})
}

// fetch returns status line and body of a page.
func fetch(url, token string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return fmt.Sprintf("%s\n%s", res.Status, body), err
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nines": func() { os.Exit(execute()) }})
}
