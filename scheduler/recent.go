package scheduler

import (
	"sync"
	"time"
)

// recent keeps what took long to make for a while. One is made at a time, so
// that many who ask at once cost no more than one. Its zero value is ready.
type recent[V any] struct {
	mu   sync.Mutex // protects following, and is held while one is made
	made map[string]dated[V]
}

type dated[V any] struct {
	value V
	until time.Time
}

// keptShare is how much longer a thing is kept than it took to make, so that
// making it again and again costs at most a twentieth of a processor.
const keptShare = 20

// get returns what was made for key a short while ago, or makes it: a while
// that grows with what making it took, from one second to most.
func (r *recent[V]) get(key string, now time.Time, most time.Duration, create func() (V, error)) (V, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for old, made := range r.made {
		if !now.Before(made.until) {
			delete(r.made, old)
		}
	}
	if made, ok := r.made[key]; ok {
		return made.value, nil
	}
	start := time.Now()
	value, err := create()
	if err == nil {
		if r.made == nil {
			r.made = map[string]dated[V]{}
		}
		keep := min(most, max(time.Second, keptShare*time.Since(start)))
		r.made[key] = dated[V]{value, now.Add(keep)}
	}
	return value, err
}
