package checks

import "io"

// gather reads r to its end, or to one byte beyond limit. It never holds more
// than twice what it returns, and less than a buffer that doubles without
// knowing where it will end. announced is how much is said to come; negative
// when nothing is said.
func gather(r io.Reader, announced, limit int64) ([]byte, error) {
	got := make([]byte, 0, min(max(announced, 4<<10), limit)+1)
	for {
		n, err := r.Read(got[len(got):cap(got)])
		got = got[:len(got)+n]
		switch {
		case err == io.EOF:
			return got, nil
		case err != nil || int64(len(got)) > limit:
			return got, err
		case len(got) == cap(got):
			grown := make([]byte, len(got), min(2*int64(cap(got)), limit+1))
			copy(grown, got)
			got = grown
		}
	}
}
