package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nines/notifier"
	"nines/scheduler/incident"
)

// paging is a store with one triggered incident whose next step is due in five
// minutes.
func paging(t *testing.T) (*Store, incident.Incident) {
	t.Helper()
	s := opened(t)
	i, events := incident.Open(incident.Opening{
		Check: "shop", OutageFrom: start, Severity: incident.Page, Policy: "default",
		Reason: "connect.timeout", Down: []string{"eu", "us"}, Regions: 3,
	}, start)
	i.Step, i.NextAt = 1, start.Add(5*time.Minute)
	update(t, s, func(ctx context.Context, tx *Tx) (err error) {
		i, err = tx.AddIncident(ctx, i, events)
		return err
	})
	return s, i
}

func page(incident int64, person, channel string, then ...string) notifier.Notice {
	n := notifier.Notice{
		Incident: incident, Kind: notifier.PageNotice, Person: person, Channel: channel, Then: then,
		Why: "rotation:primary, step 1", State: notifier.Queued, NotBefore: start, Created: start,
	}
	n.Nonce = notifier.NonceOf(n)
	return n
}

func queued(t *testing.T, s *Store, notices ...notifier.Notice) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *Tx) error {
		_, err := tx.Queue(ctx, notices)
		return err
	})
}

func lease(t *testing.T, s *Store, now time.Time) []notifier.LeasedNotice {
	t.Helper()
	leased, err := s.Lease(context.Background(), now, 100, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return leased
}

func settle(t *testing.T, s *Store, st notifier.Settlement) {
	t.Helper()
	if err := s.Settle(context.Background(), st); err != nil {
		t.Fatal(err)
	}
}

func TestLease(t *testing.T) {
	s, i := paging(t)
	slack, sms := page(i.ID, "", notifier.Slack), page(i.ID, "alice", notifier.SMS, notifier.Voice)
	slack.Mention = []string{"alice"}
	later := page(i.ID, "bob", notifier.SMS)
	later.NotBefore = start.Add(time.Minute)
	queued(t, s, slack, sms, later)

	first := lease(t, s, start)
	if len(first) != 2 {
		t.Fatalf("%d notices are leased, want the two that are due", len(first))
	}
	sms.ID, sms.State, sms.Attempts = 2, notifier.Leased, 1
	want := notifier.LeasedNotice{Notice: sms, Fence: 1}
	if diff := cmp.Diff(want, first[1], cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"alice"}, first[0].Mention); diff != "" {
		t.Error(diff)
	}
	if again := lease(t, s, start.Add(29*time.Second)); len(again) != 0 {
		t.Errorf("%d notices are leased twice", len(again))
	}
	second := lease(t, s, start.Add(30*time.Second))
	if len(second) != 2 || !second[1].Unclear || second[1].Fence != 2 || second[1].Attempts != 2 {
		t.Errorf("after the lease ran out: %+v", second)
	}
	stale := notifier.Settlement{ID: first[1].ID, Fence: first[1].Fence, State: notifier.Delivered}
	if err := s.Settle(context.Background(), stale); !errors.Is(err, notifier.ErrLeaseLost) {
		t.Errorf("settling with an old fence: %v", err)
	}
}

// TestOverdue: an accepted notice comes back when its delivery is not
// reported, and keeps its receipt, through a lease that ran out too.
func TestOverdue(t *testing.T) {
	s, i := paging(t)
	queued(t, s, page(i.ID, "alice", notifier.SMS, notifier.Voice))
	l := lease(t, s, start)[0]
	settle(t, s, notifier.Settlement{ID: l.ID, Fence: l.Fence, At: start, State: notifier.Accepted, Receipt: "SM1", DeliverBy: start.Add(45 * time.Second)})
	if early := lease(t, s, start.Add(44*time.Second)); len(early) != 0 {
		t.Errorf("leased before its time: %+v", early)
	}
	for _, at := range []time.Duration{45 * time.Second, 80 * time.Second} {
		over := lease(t, s, start.Add(at))
		if len(over) != 1 || !over[0].Overdue || over[0].Unclear || over[0].Receipt != "SM1" || over[0].Attempts != 1 {
			t.Fatalf("after %s: %+v", at, over)
		}
		l = over[0]
	}
	follow, _ := notifier.Follow(l.Notice, start.Add(81*time.Second))
	settle(t, s, notifier.Settlement{ID: l.ID, Fence: l.Fence, At: start.Add(81 * time.Second), State: notifier.Failed, Detail: "30003", Follow: follow})
	next := lease(t, s, start.Add(81*time.Second))
	if len(next) != 1 || next[0].Channel != notifier.Voice {
		t.Fatalf("the next channel: %+v", next)
	}
	got, err := s.Incident(context.Background(), i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]notifier.Paged{{Person: "alice", Channel: notifier.Voice}}, got.Told); diff != "" {
		t.Error(diff)
	}
}

// TestDeliveryReports: a vendor's reports may come twice, and before or after
// we have noted that it took the message.
func TestDeliveryReports(t *testing.T) {
	for _, test := range []struct {
		name  string
		state notifier.State
		want  notifier.State
		due   bool
	}{
		{"delivered", notifier.Delivered, notifier.Delivered, false},
		{"failed", notifier.Failed, notifier.Accepted, true},
		{"on its way", notifier.Accepted, notifier.Accepted, false},
	} {
		for _, early := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, early %v", test.name, early), func(t *testing.T) {
				s, i := paging(t)
				queued(t, s, page(i.ID, "alice", notifier.SMS, notifier.Voice))
				l := lease(t, s, start)[0]
				report := func() {
					t.Helper()
					for range 2 { // a replay changes nothing
						if _, err := s.Reported(context.Background(), "SM1", test.state, "words", start.Add(time.Second)); err != nil {
							t.Fatal(err)
						}
					}
				}
				if early {
					report()
				}
				settle(t, s, notifier.Settlement{ID: l.ID, Fence: l.Fence, At: start.Add(time.Second), State: notifier.Accepted, Receipt: "SM1", DeliverBy: start.Add(45 * time.Second)})
				if !early {
					report()
				}
				if known, err := s.Reported(context.Background(), "SM2", test.state, "", start); known || err != nil {
					t.Errorf("a report of nothing: %v, %v", known, err)
				}
				n, err := s.Notice(context.Background(), l.ID)
				if err != nil || n.State != test.want {
					t.Errorf("the notice is %s, %v; want %s", n.State, err, test.want)
				}
				if over := lease(t, s, start.Add(time.Second)); (len(over) == 1 && over[0].Overdue) != test.due {
					t.Errorf("leased: %+v", over)
				}
			})
		}
	}
}

// TestExhausted: the next step is due at once when nobody of the step is left
// to be reached, and not before.
func TestExhausted(t *testing.T) {
	s, i := paging(t)
	queued(t, s, page(i.ID, "", notifier.Slack), page(i.ID, "alice", notifier.SMS), page(i.ID, "bob", notifier.SMS))
	now := start.Add(2 * time.Second)
	var due []bool
	for _, l := range lease(t, s, start) {
		st := notifier.Settlement{ID: l.ID, Fence: l.Fence, At: now, State: notifier.Failed, Detail: "no", Exhausted: true}
		if l.Channel == notifier.Slack {
			st.State, st.Exhausted, st.Thread = notifier.Delivered, false, &notifier.Thread{Channel: "C0", Timestamp: "1.2"}
		}
		settle(t, s, st)
		got, err := s.Incident(context.Background(), i.ID)
		if err != nil {
			t.Fatal(err)
		}
		due = append(due, got.Due(now))
	}
	if diff := cmp.Diff([]bool{false, false, true}, due); diff != "" {
		t.Error(diff)
	}
	subject, err := s.Subject(context.Background(), i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if subject.Thread == nil || subject.Thread.Timestamp != "1.2" || len(subject.Log) < 3 {
		t.Errorf("the subject: %+v", subject)
	}
}

// TestAcknowledgedPagesAreCancelled: a page that was not sent yet never is
// once somebody has the incident; Slack's channel and recoveries are told.
func TestAcknowledgedPagesAreCancelled(t *testing.T) {
	s, i := paging(t)
	recovery := page(i.ID, "alice", notifier.SMS)
	recovery.Kind = notifier.RecoveryNotice
	sent := page(i.ID, "carol", notifier.SMS)
	queued(t, s, sent)
	l := lease(t, s, start)[0]
	settle(t, s, notifier.Settlement{ID: l.ID, Fence: l.Fence, State: notifier.Accepted, Receipt: "SM1", DeliverBy: start.Add(45 * time.Second)})
	queued(t, s, page(i.ID, "", notifier.Slack), page(i.ID, "bob", notifier.SMS), recovery)
	acked, events, _ := incident.Acknowledge(i, incident.By{Who: "alice", Via: "sms"}, start)
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.PutIncident(ctx, acked, events) })

	leased := lease(t, s, start.Add(time.Minute))
	if len(leased) != 2 || leased[0].Channel != notifier.Slack || leased[1].Kind != notifier.RecoveryNotice {
		t.Errorf("leased: %+v", leased)
	}
	notices, err := s.Notices(context.Background(), i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if notices[0].State != notifier.Accepted || notices[2].State != notifier.Cancelled {
		t.Errorf("the page that was sent is %s, the one that was not %s", notices[0].State, notices[2].State)
	}
}

// TestSlackInOrder: of an incident's Slack notices one is out at a time.
func TestSlackInOrder(t *testing.T) {
	s, i := paging(t)
	update1, update2 := page(i.ID, "", notifier.Slack), page(i.ID, "", notifier.Slack)
	update1.Kind, update2.Kind = notifier.UpdateNotice, notifier.RecoveryNotice
	queued(t, s, page(i.ID, "", notifier.Slack), update1, update2)
	for want := int64(1); want <= 3; want++ {
		leased := lease(t, s, start)
		if len(leased) != 1 || leased[0].ID != want {
			t.Fatalf("leased %+v, want %d alone", leased, want)
		}
		settle(t, s, notifier.Settlement{ID: want, Fence: leased[0].Fence, State: notifier.Delivered})
	}
}

func TestIncidentRoundTrip(t *testing.T) {
	s, i := paging(t)
	i, events, _ := incident.Acknowledge(i, incident.By{Who: "alice", Via: "sms"}, start.Add(time.Minute))
	i.Told = []notifier.Paged{{Person: "alice", Channel: notifier.SMS}}
	i.Thread = &notifier.Thread{Channel: "C0", Timestamp: "1.2"}
	i.Flaps, i.Muted, i.Within, i.Round = 2, "a silence", 7, 1
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.PutIncident(ctx, i, events) })
	got, err := s.Incident(context.Background(), i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(i, got); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Incident(context.Background(), 999); !errors.Is(err, ErrNotFound) {
		t.Errorf("an incident that is not there: %v", err)
	}
	log, err := s.Events(context.Background(), i.ID)
	if err != nil || len(log) != 2 || log[1].Who != "alice" {
		t.Errorf("the log: %+v, %v", log, err)
	}
}

func TestSilences(t *testing.T) {
	s := opened(t)
	ctx := context.Background()
	var added Silence
	update(t, s, func(ctx context.Context, tx *Tx) (err error) {
		added, err = tx.AddSilence(ctx, Silence{Check: "shop", From: start, To: start.Add(time.Hour), Why: "a test", Who: "alice", Created: start})
		return err
	})
	list, err := s.Silences(ctx, start)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Silence{added}, list); diff != "" {
		t.Error(diff)
	}
	end := func(id int64) error {
		return s.Update(ctx, func(tx *Tx) error { return tx.EndSilence(ctx, id, start.Add(time.Minute)) })
	}
	if err := end(added.ID); err != nil {
		t.Error(err)
	}
	if err := end(added.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("ending it twice: %v", err)
	}
	if list, _ := s.Silences(ctx, start.Add(time.Minute)); len(list) != 0 {
		t.Errorf("still there: %+v", list)
	}
}
