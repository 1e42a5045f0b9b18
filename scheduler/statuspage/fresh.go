package statuspage

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"nines/internal/civil"
)

// cacheFor is how long what was made is served without anybody having said that
// it changed.
const cacheFor = 5 * time.Second

// retryAfter is how long an older copy is served when making a new one failed.
const retryAfter = time.Second

// makeWithin bounds the making of one document, whoever waits for it.
const makeWithin = 10 * time.Second

// clock says how old things are: by time, and by how often something changed.
type clock struct {
	now     func() time.Time
	changes atomic.Uint64
	// making admits one rendering at a time, whatever is asked for.
	making sync.Mutex
}

// fresh keeps one thing made of what a Source says, and makes it again when it
// is asked for after something changed. While it is being made, whoever has an
// older copy to look at gets that.
type fresh[T any] struct {
	clock *clock
	// make returns the thing and until when what it was made of holds; zero: as
	// long as anything.
	make func(ctx context.Context) (T, time.Time, error)
	kept atomic.Pointer[version[T]]
}

// version is one making of a thing.
type version[T any] struct {
	thing   T
	err     error // nil unless there has never been a thing
	changes uint64
	until   time.Time
}

func newFresh[T any](c *clock, make func(context.Context) (T, time.Time, error)) *fresh[T] {
	return &fresh[T]{clock: c, make: make}
}

// current returns the version to serve, or nil.
func (f *fresh[T]) current() *version[T] {
	v := f.kept.Load()
	if v == nil || v.changes != f.clock.changes.Load() || !f.clock.now().Before(v.until) {
		return nil
	}
	return v
}

// get returns the thing as it is now, or as it was last if it cannot be made. It
// returns an error only if it could never be made.
func (f *fresh[T]) get(ctx context.Context) (T, error) {
	v := f.current()
	if v == nil {
		v = f.wait(ctx)
	}
	return v.thing, v.err
}

func (f *fresh[T]) wait(ctx context.Context) *version[T] {
	if !f.clock.making.TryLock() {
		if v := f.kept.Load(); v != nil && f.clock.now().Before(v.until.Add(cacheFor)) {
			return v
		}
		f.clock.making.Lock() // others may be asking for new things without end
	}
	defer f.clock.making.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeWithin)
	defer cancel()
	return f.remake(ctx)
}

// remake makes the thing unless that has been done meanwhile. The caller holds
// clock.making.
func (f *fresh[T]) remake(ctx context.Context) *version[T] {
	if v := f.current(); v != nil {
		return v
	}
	// Both are read before the making: what changes during it makes another
	// necessary.
	v := &version[T]{changes: f.clock.changes.Load(), until: f.clock.now().Add(cacheFor)}
	var holds time.Time
	if v.thing, holds, v.err = f.make(ctx); !holds.IsZero() {
		v.until = civil.Earlier(v.until, holds)
	}
	if v.err != nil {
		v.until = f.clock.now().Add(retryAfter)
		if old := f.kept.Load(); old != nil {
			v.thing, v.err = old.thing, old.err
		}
	}
	f.kept.Store(v)
	return v
}
