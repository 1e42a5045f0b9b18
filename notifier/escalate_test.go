package notifier_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nines/notifier"
)

// roster is people and who is on call, whatever the time.
type roster struct {
	people []notifier.Person
	onCall map[string]string
}

func (r roster) Person(name string) (notifier.Person, bool) {
	for _, p := range r.people {
		if p.Name == name {
			return p, true
		}
	}
	return notifier.Person{}, false
}

func (r roster) OnCall(rotation string, _ time.Time) (string, bool) {
	person, ok := r.onCall[rotation]
	return person, ok
}

var (
	alice = notifier.Person{Name: "alice", Phone: "+48500100200", Slack: "U012ALICE", Email: "alice@example.com"}
	bob   = notifier.Person{Name: "bob", Phone: "+12025550123"}
	mute  = notifier.Person{Name: "mute", Slack: "U0MUTE"}
	house = roster{people: []notifier.Person{alice, bob, mute}, onCall: map[string]string{"primary": "alice", "quiet": "mute"}}
	noon  = time.Date(2026, 11, 23, 14, 2, 30, 0, time.UTC)
)

// brief is a notice without what every one has.
type brief struct {
	Person, Channel, Then, Why, Mention string
	Step, Round                         int
}

func briefly(notices []notifier.Notice) []brief {
	var all []brief
	for _, n := range notices {
		all = append(all, brief{n.Person, n.Channel, strings.Join(n.Then, ","), n.Why, strings.Join(n.Mention, ","), n.Step, n.Round})
	}
	return all
}

func TestFire(t *testing.T) {
	step := func(wait time.Duration, by string, notify ...string) notifier.Step {
		return notifier.Step{Notify: notify, By: strings.Split(by, " "), Wait: wait}
	}
	type want struct {
		Notices     []brief
		Told        []notifier.Paged
		Step, Round int
		In          time.Duration // until the next; 0: none
		Last        bool
		Text        string
	}
	tests := []struct {
		name        string
		policy      notifier.Policy
		step, round int
		want        want
	}{
		{
			name:   "one Slack notice, phones in order, mail beside",
			policy: notifier.Policy{Name: "web", Steps: []notifier.Step{step(5*time.Minute, "slack sms voice email", "rotation:primary", "person:bob", "person:alice")}, Repeat: 1},
			want: want{
				Notices: []brief{
					{Channel: "slack", Why: "policy web, step 1", Mention: "alice,bob"},
					{Person: "alice", Channel: "sms", Then: "voice", Why: "rotation:primary and person:alice, step 1"},
					{Person: "alice", Channel: "email", Why: "rotation:primary and person:alice, step 1"},
					{Person: "bob", Channel: "sms", Then: "voice", Why: "person:bob, step 1"},
				},
				Told:  []notifier.Paged{{Channel: "slack"}, {Person: "alice", Channel: "sms"}, {Person: "alice", Channel: "email"}, {Person: "bob", Channel: "sms"}},
				Round: 1, In: 5 * time.Minute,
				Text: "step 1 told alice by sms then voice and email for rotation:primary and person:alice, bob by sms then voice for person:bob and the Slack channel",
			},
		},
		{
			name:   "the last step of the last round",
			policy: notifier.Policy{Name: "web", Steps: []notifier.Step{step(time.Minute, "sms", "person:alice"), step(time.Minute, "voice", "person:bob")}, Repeat: 2},
			step:   1, round: 2,
			want: want{
				Notices: []brief{{Person: "bob", Channel: "voice", Why: "person:bob, step 2, round 3", Step: 1, Round: 2}},
				Told:    []notifier.Paged{{Person: "bob", Channel: "voice"}},
				Round:   3, Last: true,
				Text: "step 2, round 3 told bob by voice for person:bob",
			},
		},
		{
			name:   "nobody on call goes to the fallback",
			policy: notifier.Policy{Steps: []notifier.Step{step(time.Minute, "sms", "rotation:secondary"), step(time.Minute, "sms", "person:bob")}, Fallback: "person:alice"},
			want: want{
				Notices: []brief{{Person: "alice", Channel: "sms", Why: "fallback (person:alice), step 1"}},
				Told:    []notifier.Paged{{Person: "alice", Channel: "sms"}},
				Step:    1, In: time.Minute,
				Text: "step 1 told alice by sms for fallback (person:alice) (nobody is on call in rotation:secondary)",
			},
		},
		{
			name: "steps that find nobody are passed over at once, their Slack notice is not lost",
			policy: notifier.Policy{Name: "p", Steps: []notifier.Step{
				step(time.Minute, "slack sms", "rotation:secondary"), step(time.Minute, "sms", "person:gone"), step(7*time.Minute, "sms", "person:bob"), step(time.Minute, "sms", "person:alice"),
			}},
			want: want{
				Notices: []brief{
					{Channel: "slack", Why: "policy p, step 1"},
					{Person: "bob", Channel: "sms", Why: "person:bob, step 3", Step: 2},
				},
				Told: []notifier.Paged{{Channel: "slack"}, {Person: "bob", Channel: "sms"}},
				Step: 3, In: 7 * time.Minute,
				Text: "step 1 told the Slack channel (nobody is on call in rotation:secondary); step 2 told nobody (gone is not among the people); step 3 told bob by sms for person:bob",
			},
		},
		{
			name:   "a round that finds nobody to its end waits before the next",
			policy: notifier.Policy{Steps: []notifier.Step{step(time.Minute, "sms", "rotation:a"), step(9*time.Minute, "sms", "rotation:b")}, Repeat: 1},
			want:   want{Round: 1, In: 9 * time.Minute, Text: "step 1 told nobody (nobody is on call in rotation:a); step 2 told nobody (nobody is on call in rotation:b)"},
		},
		{
			name:   "a channel nobody has an address for is skipped and said so",
			policy: notifier.Policy{Steps: []notifier.Step{step(time.Minute, "email sms", "person:bob", "rotation:quiet")}},
			want: want{
				Notices: []brief{{Person: "bob", Channel: "sms", Why: "person:bob, step 1"}},
				Told:    []notifier.Paged{{Person: "bob", Channel: "sms"}},
				Round:   1, Last: true,
				Text: "step 1 told bob by sms for person:bob (mute of rotation:quiet has no address for email and sms, email is skipped: nobody in the step has an address for it)",
			},
		},
		{
			name:   "somebody without any address counts as nobody",
			policy: notifier.Policy{Steps: []notifier.Step{step(time.Minute, "sms", "rotation:quiet")}, Fallback: "person:bob"},
			want: want{
				Notices: []brief{{Person: "bob", Channel: "sms", Why: "fallback (person:bob), step 1"}},
				Told:    []notifier.Paged{{Person: "bob", Channel: "sms"}},
				Round:   1, Last: true,
				Text: "step 1 told bob by sms for fallback (person:bob) (mute of rotation:quiet has no address for sms)",
			},
		},
		{
			name:   "Slack alone tells its people",
			policy: notifier.Policy{Name: "p", Steps: []notifier.Step{step(time.Minute, "slack", "rotation:quiet"), step(time.Minute, "sms", "person:bob")}},
			want: want{
				Notices: []brief{{Channel: "slack", Why: "policy p, step 1", Mention: "mute"}},
				Told:    []notifier.Paged{{Channel: "slack"}},
				Step:    1, In: time.Minute,
				Text: "step 1 told the Slack channel",
			},
		},
		{
			name:   "a policy that became shorter goes on with its next round",
			policy: notifier.Policy{Steps: []notifier.Step{step(time.Minute, "sms", "person:bob")}, Repeat: 1},
			step:   2,
			want: want{
				Notices: []brief{{Person: "bob", Channel: "sms", Why: "person:bob, step 1, round 2", Round: 1}},
				Told:    []notifier.Paged{{Person: "bob", Channel: "sms"}},
				Round:   2, Last: true,
				Text: "step 1, round 2 told bob by sms for person:bob",
			},
		},
		{
			name: "no steps",
			want: want{Last: true, Text: "the policy has no further step: nobody was told"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := notifier.Fire(&test.policy, house, test.step, test.round, noon)
			have := want{briefly(got.Notices), got.Told, got.Step, got.Round, 0, got.Last, got.Text}
			if !got.NextAt.IsZero() {
				have.In = got.NextAt.Sub(noon)
			}
			if diff := cmp.Diff(test.want, have); diff != "" {
				t.Error(diff)
			}
			for _, n := range got.Notices {
				if n.Kind != notifier.PageNotice || n.State != notifier.Queued || !n.NotBefore.Equal(noon) || !n.Created.Equal(noon) {
					t.Errorf("a notice that is not a page to be sent now: %+v", n)
				}
			}
		})
	}
	if got := notifier.Fire(nil, house, 0, 0, noon); !got.Last || len(got.Notices) > 0 {
		t.Errorf("without a policy: %+v", got)
	}
}

func TestNonces(t *testing.T) {
	policy := notifier.Policy{Steps: []notifier.Step{{Notify: []string{"person:alice", "person:bob"}, By: []string{"slack", "sms", "email"}, Wait: time.Minute}}, Repeat: 3}
	seen := map[string]notifier.Notice{}
	for round := range 4 {
		fired := notifier.Fire(&policy, house, 0, round, noon.Add(time.Duration(round)*time.Minute))
		for _, n := range fired.For(41) {
			if n.Incident != 41 || !strings.HasPrefix(n.Nonce, "41-1-") || len(n.Nonce) != len("41-1-xxxx") {
				t.Errorf("incident %d, nonce %q", n.Incident, n.Nonce)
			}
			if notifier.NonceOf(n) != n.Nonce {
				t.Errorf("the nonce of %+v is another when asked for again", n)
			}
			if other, twice := seen[n.Nonce]; twice {
				t.Errorf("%+v and %+v have one nonce", other, n)
			}
			seen[n.Nonce] = n
		}
		if fired.Notices[0].Nonce != "" {
			t.Error("For changed the notices that it was asked of")
		}
	}
	// The same step, fired again after a snooze, must not be taken for the first.
	first, again := notifier.Fire(&policy, house, 0, 0, noon).For(41)[1], notifier.Fire(&policy, house, 0, 0, noon.Add(time.Hour)).For(41)[1]
	if first.Nonce == again.Nonce {
		t.Error("two firings of one step have the same nonce")
	}
}

func TestTell(t *testing.T) {
	paged := []notifier.Paged{
		{Channel: "slack"}, {Person: "alice", Channel: "sms"}, {Person: "alice", Channel: "email"}, {Person: "bob", Channel: "sms"},
		{Person: "bob", Channel: "voice"}, {Channel: "slack"}, {Person: "carol", Channel: "email"},
	}
	got := notifier.Tell(41, notifier.RecoveryNotice, paged, "was paged", "alice", noon)
	want := []brief{
		{Channel: "slack", Why: "was paged"},
		{Person: "bob", Channel: "voice", Why: "was paged"},
		{Person: "carol", Channel: "email", Why: "was paged"},
	}
	if diff := cmp.Diff(want, briefly(got)); diff != "" {
		t.Error(diff)
	}
	all := notifier.Tell(41, notifier.UpdateNotice, paged, "was paged", "", noon)
	if len(all) != 4 || all[1].Person != "alice" || all[1].Channel != "sms" || all[1].Kind != notifier.UpdateNotice || all[1].Incident != 41 || all[1].Nonce == "" {
		t.Errorf("told %+v", all)
	}
}

func TestFollow(t *testing.T) {
	n := notifier.Fire(&notifier.Policy{Steps: []notifier.Step{{Notify: []string{"person:alice"}, By: []string{"sms", "voice"}}}}, house, 0, 0, noon).For(41)[0]
	n.ID, n.Receipt, n.Detail, n.Attempts, n.State = 7, "SM1", "no", 3, notifier.Failed
	later := noon.Add(time.Minute)
	next, exhausted := notifier.Follow(n, later)
	want := notifier.Notice{
		Incident: 41, Kind: notifier.PageNotice, Person: "alice", Channel: "voice", Then: []string{}, Why: "person:alice, step 1",
		State: notifier.Queued, NotBefore: later, Created: later,
	}
	want.Nonce = notifier.NonceOf(want)
	if diff := cmp.Diff([]notifier.Notice{want}, next); diff != "" || exhausted {
		t.Error(exhausted, diff)
	}
	if want.Nonce == n.Nonce {
		t.Error("the next channel's notice has the nonce of the one before")
	}
	if next, exhausted := notifier.Follow(next[0], later); len(next) > 0 || !exhausted {
		t.Errorf("after the last channel: %v, exhausted %v", next, exhausted)
	}
	if _, exhausted := notifier.Follow(notifier.Notice{Kind: notifier.RecoveryNotice}, later); exhausted {
		t.Error("a recovery that does not arrive has nobody go on to the next step")
	}
}

func TestTestPage(t *testing.T) {
	got := briefly(notifier.Test(bob, []string{"slack", "sms", "voice", "email"}, noon))
	want := []brief{{Person: "bob", Channel: "sms", Why: "a test"}, {Person: "bob", Channel: "voice", Why: "a test"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAdvances(t *testing.T) {
	order := []notifier.State{notifier.Queued, notifier.Leased, notifier.Accepted, notifier.Delivered}
	for i, from := range order {
		for j, to := range order {
			if got := notifier.Advances(from, to); got != (j > i) {
				t.Errorf("from %s to %s: %v", from, to, got)
			}
		}
	}
	for _, end := range []notifier.State{notifier.Delivered, notifier.Failed, notifier.Cancelled} {
		if notifier.Advances(end, notifier.Delivered) || notifier.Advances(end, notifier.Failed) {
			t.Errorf("%s is not an end", end)
		}
	}
}
