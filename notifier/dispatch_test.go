package notifier_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"nines/notifier"
)

func TestDispatchSendsAtOnceAndWaitsForDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		defer b.run(t)()
		time.Sleep(300 * time.Millisecond) // between two polls
		id := b.page("sms", "voice")
		synctest.Wait()
		same(t, "asked of sms", []string{"send at 300ms"}, b.vendors["sms"].asked())
		n := b.box.notice(id)
		if n.State != notifier.Accepted || n.Receipt != "R1" || !n.DeliverBy.Equal(time.Now().Add(45*time.Second)) {
			t.Errorf("after it was sent: %+v", n)
		}
		b.box.reported("R1", notifier.Delivered, time.Now())
		time.Sleep(time.Hour)
		same(t, "notices", []string{"sms delivered"}, states(b.box.notices()))
	})
}

func TestDispatchMovesOnWithoutADeliveryReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		defer b.run(t)()
		b.page("sms", "voice")
		time.Sleep(time.Minute)
		same(t, "asked of sms", []string{"send at 0s", "status at 45s"}, b.vendors["sms"].asked())
		same(t, "asked of voice", []string{"send at 45s"}, b.vendors["voice"].asked())
		same(t, "notices", []string{"sms failed", "voice accepted"}, states(b.box.notices()))
		b.vendors["voice"].becomes(notifier.Delivered) // the report was lost, not the call
		time.Sleep(time.Minute)
		same(t, "notices", []string{"sms failed", "voice delivered"}, states(b.box.notices()))
	})
}

func TestDispatchMovesOnAtOnce(t *testing.T) {
	tests := []struct {
		name    string
		arrange func(b *bench)
	}{
		{"a permanent error", func(b *bench) {
			b.vendors["sms"].answers = []func(*vendor) answer{refuse(notifier.SendError{Permanent: true, Detail: "no such number"})}
		}},
		{"a channel that is not configured", func(b *bench) { delete(b.cfg.Channels, "sms") }},
		{"a rate limit beyond the deadline", func(b *bench) {
			b.vendors["sms"].answers = []func(*vendor) answer{refuse(notifier.SendError{RetryAfter: time.Minute})}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				test.arrange(b)
				defer b.run(t)()
				b.page("sms", "voice")
				synctest.Wait()
				same(t, "notices", []string{"sms failed", "voice accepted"}, states(b.box.notices()))
				same(t, "asked of voice", []string{"send at 0s"}, b.vendors["voice"].asked())
			})
		})
	}
}

func TestDispatchMovesOnWhenAFailureIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		defer b.run(t)()
		b.page("sms", "voice")
		time.Sleep(2 * time.Second)
		b.vendors["sms"].becomes(notifier.Failed)
		b.box.reported("R1", notifier.Failed, time.Now())
		synctest.Wait()
		same(t, "notices", []string{"sms failed", "voice accepted"}, states(b.box.notices()))
		same(t, "asked of voice", []string{"send at 2s"}, b.vendors["voice"].asked())
		if got := b.box.notices()[0].Detail; got != "as the vendor says" {
			t.Errorf("the notice says %q", got)
		}
	})
}

func TestDispatchExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		for _, name := range []string{"sms", "voice"} {
			b.vendors[name].answers = []func(*vendor) answer{refuse(notifier.SendError{Permanent: true, Detail: "no"})}
		}
		defer b.run(t)()
		b.page("sms", "voice")
		synctest.Wait()
		var exhausted []bool
		for _, s := range b.box.settlements() {
			exhausted = append(exhausted, s.Exhausted)
		}
		same(t, "exhausted", []bool{false, true}, exhausted)
	})
}

func TestDispatchTriesATemporaryErrorAgainUntilTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		for range 20 {
			b.vendors["sms"].answers = append(b.vendors["sms"].answers, refuse(notifier.SendError{Detail: "busy"}))
		}
		defer b.run(t)()
		b.page("sms", "voice")
		time.Sleep(2 * time.Minute)
		same(t, "asked of sms", []string{"send at 0s", "send at 1s", "send at 3s", "send at 7s", "send at 15s", "send at 30s", "send at 45s"}, b.vendors["sms"].asked())
		same(t, "asked of voice", []string{"send at 45s", "status at 1m30s"}, b.vendors["voice"].asked())
	})
}

func TestDispatchWaitsAsLongAsTheVendorSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.vendors["slack"].answers = []func(*vendor) answer{refuse(notifier.SendError{RetryAfter: 5 * time.Minute})}
		defer b.run(t)()
		b.page("slack")
		time.Sleep(10 * time.Minute)
		same(t, "asked of slack", []string{"send at 0s", "send at 5m0s"}, b.vendors["slack"].asked())
		same(t, "notices", []string{"slack delivered"}, states(b.box.notices()))
	})
}

func TestDispatchGivesUpWhatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		for range 1000 {
			b.vendors["slack"].answers = append(b.vendors["slack"].answers, refuse(notifier.SendError{Detail: "busy"}))
		}
		defer b.run(t)()
		b.page("slack")
		time.Sleep(3 * time.Hour)
		same(t, "notices", []string{"slack failed"}, states(b.box.notices()))
		if calls := b.vendors["slack"].asked(); len(calls) < 60 || len(calls) > 70 {
			t.Errorf("%d attempts", len(calls))
		}
	})
}

func TestDispatchLooksBeforeSendingAgain(t *testing.T) {
	tests := []struct {
		name  string
		takes bool
		blind error
		want  []string
		state string
		taken int
	}{
		{"it had arrived", true, nil, []string{"send at 0s", "find at 1s"}, "sms accepted", 1},
		{"it had not", false, nil, []string{"send at 0s", "find at 1s", "send at 1s"}, "sms accepted", 1},
		{"nobody can say yet", true, errors.New("timeout"), []string{"send at 0s", "find at 1s", "find at 3s", "find at 7s", "find at 15s", "find at 30s", "find at 45s"}, "sms failed", 1},
		{"nobody will ever say", true, &notifier.SendError{Permanent: true}, []string{"send at 0s", "find at 1s", "send at 1s"}, "sms accepted", 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				v := b.vendors["sms"]
				v.answers, v.blind = []func(*vendor) answer{lose(test.takes)}, test.blind
				defer b.run(t)()
				b.page("sms")
				time.Sleep(45 * time.Second)
				synctest.Wait()
				same(t, "asked", test.want, v.asked())
				same(t, "notices", []string{test.state}, states(b.box.notices()))
				same(t, "taken", test.taken, len(v.taken))
				if unclear := b.box.settlements()[0]; unclear.State != notifier.Queued || !unclear.Unclear {
					t.Errorf("the first attempt ended as %+v", unclear)
				}
				last := b.box.settlements()[len(b.box.settlements())-1]
				if !strings.Contains(last.Detail, "earlier attempt") {
					t.Errorf("the ledger says %q", last.Detail)
				}
			})
		})
	}
}

// A dispatcher that dies between the vendor's answer and the record of it
// leaves a lease that runs out.
func TestDispatchAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.page("sms")
		leased, err := b.box.Lease(t.Context(), time.Now(), 10, 30*time.Second)
		if err != nil || len(leased) != 1 {
			t.Fatal(leased, err)
		}
		b.vendors["sms"].Send(t.Context(), notifier.Message{Notice: leased[0].Notice})
		stop := b.run(t)
		time.Sleep(time.Minute)
		stop()
		same(t, "asked", []string{"send at 0s", "find at 30s"}, b.vendors["sms"].asked())
		if err := b.box.Settle(t.Context(), notifier.Settlement{ID: 1, Fence: leased[0].Fence, State: notifier.Failed}); !errors.Is(err, notifier.ErrLeaseLost) {
			t.Errorf("the dead dispatcher's settlement: %v", err)
		}
	})
}

func TestDispatchChannelsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		hang := func(*vendor) answer { return answer{slow: time.Hour} }
		for range 2000 {
			b.vendors["slack"].answers = append(b.vendors["slack"].answers, hang)
		}
		var storm []notifier.Notice
		for i := range 1000 { // each of an incident of its own, so that none waits for another
			id := int64(1000 + i)
			b.box.put(notifier.Subject{Incident: id, Check: "x"})
			storm = append(storm, notifier.Announce(id, "storm", time.Now())...)
		}
		b.box.queue(storm...)
		defer b.run(t)()
		time.Sleep(20 * time.Second)
		b.vendors["sms"].start = time.Now()
		b.page("sms")
		synctest.Wait()
		same(t, "asked of sms", []string{"send at 0s"}, b.vendors["sms"].asked())
		// With two calls of 10 s each a worker, and none ever answered, nothing
		// may be sent without looking first.
		time.Sleep(time.Minute)
		for _, n := range b.box.notices() {
			if n.Channel == "slack" && n.State != notifier.Queued && n.State != notifier.Leased {
				t.Fatalf("notice %d is %s", n.ID, n.State)
			}
		}
	})
}

func TestDispatchKeepsTheOrderOfAnIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		v := b.vendors["sms"]
		v.answers = []func(*vendor) answer{func(*vendor) answer { return answer{takes: true, slow: 3 * time.Second} }}
		page := b.page("sms")
		up := notifier.Tell(41, notifier.RecoveryNotice, []notifier.Paged{{Person: "alice", Channel: "sms"}}, "was paged", "", time.Now())
		b.box.queue(up...)
		defer b.run(t)()
		time.Sleep(10 * time.Second)
		same(t, "taken", []string{b.box.notice(page).Nonce, up[0].Nonce}, v.taken)
		same(t, "asked", []string{"send at 0s", "send at 3s"}, v.asked())
	})
}

func TestDispatchSurvives(t *testing.T) {
	t.Run("a channel that panics", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			b.vendors["sms"].answers = []func(*vendor) answer{func(*vendor) answer { return answer{takes: true, panic: true} }}
			defer b.run(t)()
			b.page("sms")
			time.Sleep(5 * time.Second)
			same(t, "asked", []string{"send at 0s", "find at 1s"}, b.vendors["sms"].asked())
		})
	})
	t.Run("a store that fails for a moment", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			b.box.broken = 3
			defer b.run(t)()
			b.page("sms")
			time.Sleep(5 * time.Second)
			same(t, "asked", []string{"send at 0s"}, b.vendors["sms"].asked())
			same(t, "notices", []string{"sms accepted"}, states(b.box.notices()))
		})
	})
	t.Run("an incident that cannot be read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			b.box.subjects = map[int64]notifier.Subject{}
			defer b.run(t)()
			b.page("sms")
			time.Sleep(5 * time.Second)
			b.box.put(notifier.Subject{Incident: 41, Check: "shop"})
			time.Sleep(5 * time.Second)
			same(t, "asked", []string{"send at 7s"}, b.vendors["sms"].asked())
		})
	})
	t.Run("somebody who is no longer there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			b.cfg.People = func(string) (notifier.Person, bool) { return notifier.Person{}, false }
			defer b.run(t)()
			b.page("sms", "voice")
			synctest.Wait()
			same(t, "notices", []string{"sms failed"}, states(b.box.notices()))
			if s := b.box.settlements()[0]; !s.Exhausted || s.Detail != "alice is no longer among the people" {
				t.Errorf("settled as %+v", s)
			}
		})
	})
	t.Run("somebody without an address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			b.cfg.People = func(name string) (notifier.Person, bool) { return notifier.Person{Name: name}, true }
			defer b.run(t)()
			b.page("sms", "voice")
			synctest.Wait()
			same(t, "notices", []string{"sms failed", "voice failed"}, states(b.box.notices()))
		})
	})
}

func TestDispatchDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.cfg.Workers = 1
		b.vendors["sms"].answers = []func(*vendor) answer{func(*vendor) answer { return answer{takes: true, slow: 3 * time.Second} }}
		b.page("sms")
		bobs := notifier.Notice{Incident: 41, Kind: notifier.PageNotice, Person: "bob", Channel: "sms", State: notifier.Queued, NotBefore: time.Now(), Created: time.Now()}
		b.box.queue(bobs)
		stop := b.run(t)
		time.Sleep(time.Second)
		stop()
		same(t, "time", 3*time.Second, time.Since(b.vendors["sms"].start))
		same(t, "asked", []string{"send at 0s"}, b.vendors["sms"].asked())
		// One was finished, the other is there for whoever comes next, unsent.
		got := []string{}
		for _, n := range b.box.notices() {
			got = append(got, string(n.State))
		}
		slices.Sort(got)
		same(t, "states", []string{"accepted", "queued"}, got)
		leased, _ := b.box.Lease(t.Context(), time.Now(), 10, time.Minute)
		if len(leased) != 1 || leased[0].Unclear {
			t.Errorf("left for the next: %+v", leased)
		}
	})
}

func TestDispatchObserves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		outcomes := make(chan notifier.Outcome, 10)
		b.cfg.Observe = func(o notifier.Outcome) { outcomes <- o }
		b.vendors["sms"].answers = []func(*vendor) answer{lose(true)}
		defer b.run(t)()
		b.page("sms")
		time.Sleep(2 * time.Second)
		same(t, "first", notifier.Outcome{Channel: "sms", Kind: notifier.PageNotice, State: notifier.Queued, Unclear: true}, <-outcomes)
		same(t, "second", notifier.Outcome{Channel: "sms", Kind: notifier.PageNotice, State: notifier.Accepted, Age: time.Second}, <-outcomes)
	})
}

// Whatever goes wrong, every notice is taken by a vendor or is failed with all
// of its channels tried; and none is taken twice, because the vendor's list is
// searched after every unclear answer.
func TestDispatchNeverLosesNorDoubles(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		faults := []func(*vendor) answer{
			func(*vendor) answer { return answer{takes: true} },
			func(*vendor) answer { return answer{takes: true, slow: 4 * time.Second} },
			func(*vendor) answer { return answer{takes: true, slow: time.Hour} },
			func(*vendor) answer { return answer{slow: time.Hour} },
			func(*vendor) answer { return answer{takes: true, panic: true} },
			lose(true), lose(false),
			refuse(notifier.SendError{Detail: "busy"}),
			refuse(notifier.SendError{RetryAfter: 7 * time.Second}),
			refuse(notifier.SendError{RetryAfter: 2 * time.Minute}),
			refuse(notifier.SendError{Permanent: true, Detail: "no"}),
		}
		script := map[string][]func(*vendor) answer{}
		for _, name := range []string{"slack", "sms", "voice"} {
			script[name] = rapid.SliceOfN(rapid.SampledFrom(faults), 0, 12).Draw(rt, name)
		}
		broken := rapid.IntRange(0, 30).Draw(rt, "broken settlements")
		restarts := rapid.SliceOfN(rapid.IntRange(1, 90), 0, 4).Draw(rt, "restarts after seconds")
		people := rapid.IntRange(1, 2).Draw(rt, "people")
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			for name, answers := range script {
				b.vendors[name].answers = slices.Clone(answers)
			}
			b.box.broken = broken
			policy := notifier.Policy{Name: "p", Steps: []notifier.Step{{Notify: []string{"person:alice", "person:bob"}[:people], By: []string{"slack", "sms", "voice"}}}}
			b.box.queue(notifier.Fire(&policy, house, 0, 0, time.Now()).For(41)...)
			for _, seconds := range restarts {
				stop := b.run(t)
				time.Sleep(time.Duration(seconds) * time.Second)
				stop()
			}
			stop := b.run(t)
			time.Sleep(2 * time.Hour)
			stop()
			reached := map[string]bool{}
			for _, n := range b.box.notices() {
				v := b.vendors[n.Channel]
				took := 0
				for _, nonce := range v.taken {
					if nonce == n.Nonce {
						took++
					}
				}
				if took > 1 {
					rt.Errorf("%s to %s was taken %d times: %v", n.Channel, n.Person, took, v.asked())
				}
				if n.State != notifier.Failed && n.State != notifier.Delivered {
					rt.Errorf("%s to %s is still %s", n.Channel, n.Person, n.State)
				}
				if n.State == notifier.Delivered && took == 0 {
					rt.Errorf("%s to %s counts as delivered and was never taken", n.Channel, n.Person)
				}
				if took > 0 || len(n.Then) == 0 {
					reached[n.Person] = true
				}
			}
			if len(reached) != people+1 {
				rt.Errorf("of %d people and a channel %v had their last chance", people, reached)
			}
		})
	})
}
