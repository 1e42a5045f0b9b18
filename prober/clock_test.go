package prober

import (
	"testing"
	"testing/synctest"
	"time"

	"nines/checks"
)

func TestClockOffset(t *testing.T) {
	type measurement struct {
		truth, out, back time.Duration // the scheduler's clock minus ours, and how long the way took
	}
	tests := []struct {
		name  string
		taken []measurement
		off   time.Duration // reported; zero: within tolerance
		by    time.Duration // how near it must be
	}{
		{"nothing known", nil, 0, 0},
		{"in step", []measurement{{0, 20 * time.Millisecond, 20 * time.Millisecond}}, 0, 0},
		{"four seconds", []measurement{{4 * time.Second, 10 * time.Millisecond, 10 * time.Millisecond}}, 0, 0},
		{"an hour behind", []measurement{{time.Hour, 10 * time.Millisecond, 30 * time.Millisecond}}, -time.Hour, 20 * time.Millisecond},
		{"an hour ahead", []measurement{{-time.Hour, 10 * time.Millisecond, 30 * time.Millisecond}}, time.Hour, 20 * time.Millisecond},
		{"a slow way is no proof", []measurement{{0, 12 * time.Second, 0}}, 0, 0},
		{"a slow way back is no proof", []measurement{{0, 0, 12 * time.Second}}, 0, 0},
		{"a slow way proves what is beyond it", []measurement{{time.Minute, 10 * time.Second, 10 * time.Second}}, -time.Minute, 10 * time.Second},
		{"a finer one is kept", []measurement{{7 * time.Second, 0, 10 * time.Millisecond}, {7 * time.Second, 0, 10 * time.Second}}, -7 * time.Second, 10 * time.Millisecond},
		{"one that contradicts counts", []measurement{{time.Hour, 0, 10 * time.Millisecond}, {0, 0, 3 * time.Second}}, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClock(nil)
				for _, m := range test.taken {
					sent := c.stamp()
					time.Sleep(m.out)
					theirs := time.Now().Add(m.truth)
					time.Sleep(m.back)
					c.measure(sent, theirs)
				}
				now, off := c.now()
				if test.off == 0 && off != 0 || (off-test.off).Abs() > test.by {
					t.Errorf("the clock is off by %s, want %s ± %s", off, test.off, test.by)
				}
				if want := time.Now().Add(-off); now.Sub(want).Abs() > time.Millisecond {
					t.Errorf("the time is %s, want %s", now, want)
				}
			})
		})
	}
}

func TestClockThatWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shift time.Duration
		c := newClock(func() time.Time { return time.Now().Add(shift) })
		asked := 0
		c.suspicious = func() { asked++ }
		if _, ok := c.read(); !ok {
			t.Fatal("the clock is doubted at the start")
		}
		shift = 500 * time.Millisecond
		if r, ok := c.read(); !ok || r.jumped || asked > 0 {
			t.Error("half a second is a jump")
		}
		sent := c.stamp()
		shift += time.Hour
		c.measure(sent, time.Now())
		if _, known := c.offset(); known || asked != 1 {
			t.Errorf("a measurement counts that was under way when the clock was set (asked %d times)", asked)
		}
		if _, ok := c.read(); ok {
			t.Error("a clock that was just set is trusted")
		}
		c.measure(c.stamp(), time.Now())
		r, ok := c.read()
		if !ok || !r.jumped || r.off != shift || !r.now.Equal(time.Now()) {
			t.Errorf("after the scheduler answered: %+v, %t", r, ok)
		}
		shift += time.Hour
		if _, ok := c.read(); ok {
			t.Error("a clock that was just set is trusted")
		}
		time.Sleep(clockHold)
		if r, ok := c.read(); !ok || r.off != 0 || !r.now.Equal(time.Now().Add(shift)) {
			t.Errorf("without an answer: %+v, %t", r, ok)
		}
		if r, ok := c.read(); !ok || r.jumped {
			t.Error("the jump is told twice")
		}
	})
}

// What a run finds under a clock that is wrong is not the target's fault.
func TestClockDoubtsResults(t *testing.T) {
	year := 365 * 24 * time.Hour
	expired := checks.Result{Status: checks.Down, Reason: checks.TLSExpired, Detail: "the certificate expired"}
	up := checks.Result{Status: checks.Up}
	for _, test := range []struct {
		name   string
		off    time.Duration // of our clock, when the run begins
		known  bool          // whether the scheduler has told the time
		set    time.Duration // by how much the clock is set during the run
		found  checks.Result
		reason checks.Reason
	}{
		{"right", 0, true, 0, expired, checks.TLSExpired},
		{"a little off", 4 * time.Second, true, 0, expired, checks.TLSExpired},
		{"years ahead", 2 * year, true, 0, expired, checks.ProberClock},
		{"years behind", -2 * year, true, 0, up, checks.ProberClock},
		{"never compared", 2 * year, false, 0, expired, checks.ProberClock},
		{"never compared, and no date in it", 2 * year, false, 0, up, ""},
		{"set meanwhile", 0, false, year, up, checks.ProberClock},
		{"set back meanwhile", 0, true, -year, expired, checks.ProberClock},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				off := test.off
				c := newClock(func() time.Time { return time.Now().Add(off) })
				if test.known {
					c.measure(c.stamp(), time.Now())
				}
				begun := c.stamp()
				r := test.found
				r.At = begun.wall
				time.Sleep(time.Second)
				off += test.set
				c.doubt(&r, begun)
				if r.Reason != test.reason || r.Reason == checks.ProberClock && r.Status != checks.Unknown {
					t.Errorf("got %s %q (%s)", r.Status, r.Reason, r.Detail)
				}
				if test.known && test.set == 0 && r.Reason == checks.ProberClock && time.Since(r.At) != time.Second {
					t.Errorf("the run began at %v, it is %v", r.At, time.Now())
				}
			})
		})
	}
}
