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
	at    time.Time
}

// get returns what was made for key within the time given, or makes it.
func (r *recent[V]) get(key string, now time.Time, within time.Duration, create func() (V, error)) (V, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for old, made := range r.made {
		if now.Sub(made.at) >= within {
			delete(r.made, old)
		}
	}
	if made, ok := r.made[key]; ok {
		return made.value, nil
	}
	value, err := create()
	if err == nil {
		if r.made == nil {
			r.made = map[string]dated[V]{}
		}
		r.made[key] = dated[V]{value, now}
	}
	return value, err
}
