package report

import (
	"encoding/binary"
	"errors"
	"fmt"

	"nines/checks"
	"nines/regions"
)

// Rollup is what a UTC day of a check comes to: all that a report needs of it
// when its results are gone. Availability from rollups is exact; percentiles
// are within 1 %.
type Rollup struct {
	Day     int64 // days since the epoch
	Regions []RegionDay
}

// RegionDay is one region's part of a Rollup.
type RegionDay struct {
	Region string
	Count  int64 // results
	Sum    [32]byte
	// Gap is the longest time between two results of one stretch, in
	// milliseconds. A rule by which a result speaks for no longer than that
	// would have divided the stretch, and needs the results themselves.
	Gap       int64
	Stretches []regions.Stretch // in order; Region is not set
	parts     []part
}

// part is how long the runs of a part of the day took that found their target
// up. A day that a month begins or ends on somewhere on earth is divided where
// that may be, and any other is one part.
type part struct {
	from, to int64 // At of the first and the last of them
	took     sketch
}

// Minutes between the places where a month may begin in an hour of its first
// day of UTC, west of Greenwich, and of the day before, east of it; 0: nowhere.
// Offsets from UTC are whole hours but for some: −2:30, −3:30 and −9:30; +3:30,
// 4:30, 5:30, 5:45, 6:30, 8:45, 9:30, 10:30, 12:45 and 13:45 (IANA, 2026).
var (
	stepsAfter  = [24]int64{60, 60, 30, 30, 60, 60, 60, 60, 60, 30, 60, 60}
	stepsBefore = [24]int64{10: 15, 11: 15, 12: 60, 13: 30, 14: 30, 15: 15, 16: 60, 17: 30, 18: 15, 19: 30, 20: 30, 21: 60, 22: 60, 23: 60}
)

// partOf returns the beginning of the part of its day that a time is in.
func partOf(ms int64) int64 {
	day := dayOf(ms)
	start := day * dayMilli
	hour := (ms - start) / hourMilli
	var steps *[24]int64
	switch {
	case milli(start).Day() == 1:
		steps = &stepsAfter
	case milli(start+dayMilli).Day() == 1:
		steps = &stepsBefore
	default:
		return start
	}
	if step := steps[hour] * (hourMilli / 60); step > 0 {
		return ms - (ms-start)%step
	}
	if steps == &stepsAfter {
		return start + 12*hourMilli
	}
	return start
}

const hourMilli = dayMilli / 24

// within reports whether a part belongs to a window: as a whole where it can be
// told, and otherwise, which is only where a window begins or ends in the
// middle of a month, by the middle of its time.
func (p *part) within(from, to int64) bool {
	if p.from >= from && p.to < to {
		return true
	}
	if p.to < from || p.from >= to {
		return false
	}
	at := p.from + (p.to-p.from)/2
	return at >= from && at < to
}

// rollupVersion is the first byte of every stored rollup.
const rollupVersion = 1

// statuses are numbered by their place; never reorder.
var statuses = [...]checks.Status{checks.Up, checks.Down, checks.Unknown}

// AppendBinary appends the rollup as it is stored. Times are milliseconds of
// the day.
func (r *Rollup) AppendBinary(dst []byte) ([]byte, error) {
	dst = append(dst, rollupVersion)
	dst = binary.AppendUvarint(dst, uint64(len(r.Regions)))
	start := r.Day * dayMilli
	for i := range r.Regions {
		g := &r.Regions[i]
		dst = appendText(dst, g.Region)
		dst = binary.AppendUvarint(dst, uint64(g.Count))
		dst = append(dst, g.Sum[:]...)
		dst = binary.AppendUvarint(dst, uint64(g.Gap))
		dst = binary.AppendUvarint(dst, uint64(len(g.Stretches)))
		at := start
		for _, s := range g.Stretches {
			dst = append(dst, statusNumber(s.Status))
			dst = appendText(dst, string(s.Reason))
			dst = binary.AppendUvarint(dst, uint64(s.First-at))
			dst = binary.AppendUvarint(dst, uint64(s.Last-s.First))
			at = s.Last
		}
		dst = binary.AppendUvarint(dst, uint64(len(g.parts)))
		at = start
		for j := range g.parts {
			p := &g.parts[j]
			dst = binary.AppendUvarint(dst, uint64(p.from-at))
			dst = binary.AppendUvarint(dst, uint64(p.to-p.from))
			dst = p.took.append(dst)
			at = p.to
		}
	}
	return dst, nil
}

func statusNumber(s checks.Status) byte {
	for i, known := range statuses {
		if s == known {
			return byte(i)
		}
	}
	return byte(len(statuses) - 1)
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

var errRollup = errors.New("the stored rollup is corrupt")

// readRollup reads what AppendBinary wrote of a day. What the parts hold is
// given to took, which says of each part first whether it is wanted; the parts
// themselves are left out of the result.
// Names of regions are those of names where they are the same, to save memory.
func readRollup(day int64, data []byte, names []string, took partReader) (*Rollup, error) {
	d := &rollupReader{buf: data, names: names}
	if v := d.byte(); v != rollupVersion {
		return nil, fmt.Errorf("%w: version %d", errRollup, v)
	}
	r := &Rollup{Day: day}
	for n := d.length(); n > 0; n-- {
		if r.Regions == nil {
			r.Regions = make([]RegionDay, 0, min(n, 64))
		}
		r.Regions = append(r.Regions, d.region(day*dayMilli, took))
		if d.bad {
			return nil, errRollup
		}
	}
	if d.bad || len(d.buf) != 0 {
		return nil, errRollup
	}
	return r, nil
}

// partReader takes the parts of a rollup.
type partReader interface {
	// part begins a part of a region whose values were taken from `from` to
	// `to`, and returns where they go; nil: they are not wanted.
	part(region string, from, to int64) []*sketch
}

// rollupReader reads bytes; once something is wrong all is zero.
type rollupReader struct {
	buf   []byte
	names []string
	bad   bool
}

func (d *rollupReader) fail() { d.bad, d.buf = true, nil }

func (d *rollupReader) byte() byte {
	if len(d.buf) == 0 {
		d.fail()
		return 0
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b
}

func (d *rollupReader) uint() int64 {
	if len(d.buf) > 0 && d.buf[0] < 0x80 { // most are of one byte
		v := d.buf[0]
		d.buf = d.buf[1:]
		return int64(v)
	}
	v, n := binary.Uvarint(d.buf)
	if n <= 0 || v > 1<<62 {
		d.fail()
		return 0
	}
	d.buf = d.buf[n:]
	return int64(v)
}

// span reads a length within a day.
func (d *rollupReader) span() int64 {
	ms := d.uint()
	if ms >= dayMilli {
		d.fail()
		return 0
	}
	return ms
}

// length reads how many things follow, each of which takes a byte at least.
func (d *rollupReader) length() int64 {
	n := d.uint()
	if n > int64(len(d.buf)) {
		d.fail()
		return 0
	}
	return n
}

func (d *rollupReader) text() string {
	text := d.buf[:d.length()]
	d.buf = d.buf[len(text):]
	for _, name := range d.names {
		if string(text) == name {
			return name
		}
	}
	return string(text)
}

func (d *rollupReader) region(start int64, took partReader) RegionDay {
	g := RegionDay{Region: d.text(), Count: d.uint()}
	if len(d.buf) < len(g.Sum) {
		d.fail()
		return g
	}
	d.buf = d.buf[copy(g.Sum[:], d.buf):]
	g.Gap = d.uint()
	at := start
	for n := d.length(); n > 0; n-- {
		if g.Stretches == nil {
			g.Stretches = make([]regions.Stretch, 0, min(n, 64))
		}
		s := regions.Stretch{}
		status := int(d.byte())
		if status >= len(statuses) {
			d.fail()
			return g
		}
		s.Status, s.Reason = statuses[status], checks.Reason(d.text())
		s.First = at + d.span()
		s.Last = s.First + d.span()
		if s.Last >= start+dayMilli {
			d.fail()
			return g
		}
		at = s.Last
		g.Stretches = append(g.Stretches, s)
	}
	at = start
	for range d.length() {
		from := at + d.span()
		at = from + d.span()
		d.sketch(took.part(g.Region, from, at))
	}
	return g
}

// sketch reads the buckets of a part into the sketches given.
func (d *rollupReader) sketch(into []*sketch) {
	bucket := int64(0)
	for range d.length() {
		var n int64
		// Both are of one byte almost always, and this is most of the work.
		if b := d.buf; len(b) > 1 && b[0] < 0x80 && b[1] < 0x80 {
			bucket, n, d.buf = bucket+int64(b[0]), int64(b[1]), b[2:]
		} else {
			bucket += d.uint()
			n = d.uint()
		}
		if bucket > maxBucket {
			d.fail()
			return
		}
		for _, s := range into {
			s.add(int(bucket), n)
		}
	}
}
