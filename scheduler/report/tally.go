package report

import (
	"cmp"
	"slices"
)

// tally counts values so that exact percentiles can be told without keeping
// every one: equal values share an entry.
type tally struct {
	counts []counted // by value
	recent []int64   // not counted yet
	n      int64
}

type counted struct{ value, n int64 }

// tallyRecent is how many values are kept before they are counted.
const tallyRecent = 1 << 16

func (t *tally) add(values ...int64) {
	t.recent = append(t.recent, values...)
	t.n += int64(len(values))
	if len(t.recent) >= tallyRecent {
		t.count()
	}
}

// count moves the recent values into the counts.
func (t *tally) count() {
	slices.Sort(t.recent)
	merged := make([]counted, 0, len(t.counts)+len(t.recent)/4)
	add := func(c counted) {
		if n := len(merged); n > 0 && merged[n-1].value == c.value {
			merged[n-1].n += c.n
			return
		}
		merged = append(merged, c)
	}
	old := t.counts
	for _, v := range t.recent {
		for len(old) > 0 && cmp.Less(old[0].value, v) {
			add(old[0])
			old = old[1:]
		}
		add(counted{v, 1})
	}
	for _, c := range old {
		add(c)
	}
	t.counts, t.recent = merged, t.recent[:0]
}

// percentile returns the p-th percentile by the nearest rank: the smallest
// value that at least p % of all values do not exceed; false without values.
func (t *tally) percentile(p int64) (int64, bool) {
	if t.n == 0 {
		return 0, false
	}
	if len(t.recent) > 0 {
		t.count()
	}
	rank := max(1, (p*t.n+99)/100)
	for _, c := range t.counts {
		if rank -= c.n; rank <= 0 {
			return c.value, true
		}
	}
	return t.counts[len(t.counts)-1].value, true
}

// merge adds what another has counted.
func (t *tally) merge(o *tally) {
	if len(o.counts) > 0 {
		if len(t.recent) > 0 {
			t.count()
		}
		t.counts = slices.Concat(t.counts, o.counts)
		slices.SortFunc(t.counts, func(a, b counted) int { return cmp.Compare(a.value, b.value) })
		n := 0
		for _, c := range t.counts {
			if n > 0 && t.counts[n-1].value == c.value {
				t.counts[n-1].n += c.n
				continue
			}
			t.counts[n] = c
			n++
		}
		t.counts = t.counts[:n]
		for _, c := range o.counts {
			t.n += c.n
		}
	}
	t.add(o.recent...)
}
