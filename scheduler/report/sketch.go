package report

import (
	"encoding/binary"
	"math/bits"
)

// sketch counts lengths in microseconds by buckets that are narrow enough for
// any percentile to be told within 1 %: whole microseconds below 128, and above
// that 64 buckets each time the value doubles. It is integers throughout, so
// that sketches of the same values are equal and add up, wherever they are made.
type sketch struct {
	counts []int64 // by bucket
	n      int64
}

// maxBucket is that of the longest length there can be; see micros in store.
const maxBucket = 64*40 + 128

// bucketOf returns the bucket of a length; negative ones count as none.
func bucketOf(us int64) int {
	if us < 128 {
		return int(max(0, us))
	}
	shift := bits.Len64(uint64(us)) - 7
	return min(64*shift+int(us>>shift), maxBucket)
}

// middle returns the length that stands for a bucket: at most 1/128 from any
// that is in it.
func middle(bucket int) int64 {
	if bucket < 128 {
		return int64(bucket)
	}
	shift := bucket/64 - 1
	return int64(bucket-64*shift)<<shift + (1<<shift-1)/2
}

func (s *sketch) add(bucket int, n int64) {
	if bucket >= len(s.counts) {
		// Room for what is a little longer, so that it rarely grows.
		s.counts = append(s.counts, make([]int64, bucket+64-len(s.counts))...)
	}
	s.counts[bucket] += n
	s.n += n
}

func (s *sketch) clear() {
	clear(s.counts)
	s.n = 0
}

func (s *sketch) merge(o *sketch) {
	for bucket, n := range o.counts {
		if n > 0 {
			s.add(bucket, n)
		}
	}
}

// percentile returns about the p-th percentile by the nearest rank; false
// without values.
func (s *sketch) percentile(p int64) (int64, bool) {
	if s == nil || s.n == 0 {
		return 0, false
	}
	rank := max(1, (p*s.n+99)/100)
	for bucket, n := range s.counts {
		if rank -= n; rank <= 0 {
			return middle(bucket), true
		}
	}
	return middle(len(s.counts) - 1), true
}

// append appends the sketch's bytes: how many buckets are not empty, then of
// each how far it is from the one before, and its count.
func (s *sketch) append(dst []byte) []byte {
	used := 0
	for _, n := range s.counts {
		if n > 0 {
			used++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(used))
	last := 0
	for bucket, n := range s.counts {
		if n > 0 {
			dst = binary.AppendUvarint(dst, uint64(bucket-last))
			dst = binary.AppendUvarint(dst, uint64(n))
			last = bucket
		}
	}
	return dst
}
