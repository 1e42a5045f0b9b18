package prober

import (
	"sync"
	"time"

	"nines/checks"
)

const (
	// clockTolerance is how far this machine's clock may be from the
	// scheduler's before results cannot be placed in time.
	clockTolerance = 5 * time.Second
	// clockJump is by how much the wall clock must part from the monotonic one
	// to count as set.
	clockJump = time.Second
	// clockHold is how long slots wait, after a jump, for the scheduler to say
	// what time it is. Without an answer this machine is believed.
	clockHold = 3 * time.Second
	// measureAge is how long a measurement is kept if later ones are coarser.
	measureAge = time.Minute
)

// clock is the wall clock, compared with the scheduler's. While they differ by
// less than the tolerance it is this machine's; else it is this machine's
// corrected by the difference, so that slots go on where they should be, and
// whoever asks is told.
type clock struct {
	raw        func() time.Time
	begin      time.Time // with a monotonic reading
	suspicious func()    // asks for a measurement soon; set once, before use

	mu       sync.Mutex // protects following
	known    bool
	low      time.Duration // the scheduler's clock minus ours is at least this
	high     time.Duration // and at most this
	measured time.Duration // when, monotonic

	lastRaw   time.Time     // at the last look
	lastMono  time.Duration // of the same instant
	heldSince time.Duration // monotonic; negative: not held
	jumped    bool          // since the last slots were handed out
}

func newClock(raw func() time.Time) *clock {
	if raw == nil {
		raw = time.Now
	}
	return &clock{raw: raw, begin: time.Now(), heldSince: -1, suspicious: func() {}}
}

// mono returns the monotonic time since the clock was made.
func (c *clock) mono() time.Duration { return time.Since(c.begin) }

// wall returns this machine's time without a monotonic reading, so that
// arithmetic is that of the wall.
func (c *clock) wall() time.Time { return c.raw().Round(0).UTC() }

// now returns the time, and how far this machine is ahead of the scheduler if
// that is too far (negative: behind).
func (c *clock) now() (now time.Time, off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.corrected(c.wall())
}

func (c *clock) corrected(wall time.Time) (now time.Time, off time.Duration) {
	if c.known && (c.low >= clockTolerance || c.high <= -clockTolerance) {
		middle := c.low + (c.high-c.low)/2
		return wall.Add(middle), -middle
	}
	return wall, 0
}

// reading is what the schedule needs to know of the time.
type reading struct {
	now    time.Time
	mono   time.Duration
	off    time.Duration // see clock.now
	jumped bool          // the clock was set since the last reading that was trusted
}

// read returns the time, and false while it cannot be trusted: the clock was
// just set and the scheduler has not answered yet.
func (c *clock) read() (reading, bool) {
	wall, mono := c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heldSince >= 0 && !c.known && mono-c.heldSince < clockHold {
		return reading{}, false
	}
	c.heldSince = -1
	r := reading{mono: mono, jumped: c.jumped}
	c.jumped = false
	r.now, r.off = c.corrected(wall)
	return r, true
}

// look reads both clocks and sees whether the wall clock was set since the
// last look. What was known of it is then void, and the scheduler is asked.
func (c *clock) look() (wall time.Time, mono time.Duration) {
	wall, mono, set := c.observe()
	if set {
		c.suspicious()
	}
	return wall, mono
}

func (c *clock) observe() (wall time.Time, mono time.Duration, set bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, mono = c.wall(), c.mono()
	drift := wall.Sub(c.lastRaw) - (mono - c.lastMono)
	set = !c.lastRaw.IsZero() && drift.Abs() >= clockJump
	c.lastRaw, c.lastMono = wall, mono
	if set {
		c.known, c.jumped, c.heldSince = false, true, mono
	}
	return wall, mono, set
}

// stamp is an instant by both of our clocks.
type stamp struct {
	wall time.Time
	mono time.Duration
}

func (c *clock) stamp() stamp { return stamp{c.wall(), c.mono()} }

// measure takes note that the scheduler's clock showed theirs at some time
// after sent and before now.
func (c *clock) measure(sent stamp, theirs time.Time) {
	if theirs.IsZero() {
		return
	}
	wall, mono := c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	if (wall.Sub(sent.wall) - (mono - sent.mono)).Abs() >= clockJump {
		return // set on the way: sent is of another clock
	}
	low, high := theirs.Sub(wall), theirs.Sub(sent.wall)
	apart := low > c.high || high < c.low
	if c.known && !apart && high-low > c.high-c.low && mono-c.measured < measureAge {
		return
	}
	c.known, c.low, c.high, c.measured = true, low, high, mono
}

// offset returns by how much this machine is ahead of the scheduler, at best
// knowledge, and whether anything is known.
func (c *clock) offset() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return -(c.low + (c.high-c.low)/2), c.known
}

// doubt makes the result of a run that began at begun unknown if this machine's
// clock cannot be believed: it is off, or was set meanwhile. That a certificate
// is expired, or not valid yet, is not believed either before the scheduler has
// said what time it is: a clock that is off from the start looks like that.
func (c *clock) doubt(r *checks.Result, begun stamp) {
	end := c.stamp()
	took := end.mono - begun.mono
	now, off := c.now()
	_, known := c.offset()
	judgedByDate := r.Reason == checks.TLSExpired || r.Reason == checks.TLSNotYetValid
	why := ""
	switch {
	case off != 0:
		why = "the prober's clock is " + ahead(off) + " the scheduler's"
		r.At = now.Add(-took)
	case (end.wall.Sub(begun.wall) - took).Abs() >= clockJump:
		why = "the prober's clock was set during the run"
	case judgedByDate && !known:
		why = "the prober's clock was not compared with the scheduler's yet, by which " + r.Detail
	default:
		return
	}
	r.Status, r.Reason, r.Detail = checks.Unknown, checks.ProberClock, why
	r.Normalize()
}
