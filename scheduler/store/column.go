package store

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A column is a list of integers in whichever of a few forms is shortest for
// it: its first byte says which. Its length is known from the block around it.
const (
	runs     byte = iota // (value, how often) until the length is reached
	plain                // values
	deltas               // the first value, then differences
	deltas2              // the first value and difference, then differences of differences
	numForms             // not a form: how many there are
)

var errCorrupt = errors.New("the stored block is corrupt")

// encoder builds a block.
type encoder struct{ buf []byte }

func (e *encoder) uint(v uint64) { e.buf = binary.AppendUvarint(e.buf, v) }
func (e *encoder) int(v int64)   { e.buf = binary.AppendVarint(e.buf, v) }

func (e *encoder) text(s string) {
	e.uint(uint64(len(s)))
	e.buf = append(e.buf, s...)
}

// column appends values in their shortest form.
func (e *encoder) column(values []int64) {
	if len(values) == 0 {
		return
	}
	best, size := runs, 0
	for form := range numForms {
		if s := columnSize(form, values, size); form == runs || s < size {
			best, size = form, s
		}
	}
	e.buf = append(e.buf, best)
	var last, step int64
	for i := 0; i < len(values); i++ {
		v := values[i]
		switch best {
		case runs:
			n := runLength(values[i:])
			e.int(v)
			e.uint(uint64(n))
			i += n - 1
		case plain:
			e.int(v)
		case deltas:
			e.int(v - last)
		case deltas2:
			e.int(v - last - step)
			if i > 0 {
				step = v - last
			}
		}
		last = v
	}
}

// columnSize returns how many bytes values take in a form; it may stop
// counting once it is past limit, unless limit is 0.
func columnSize(form byte, values []int64, limit int) int {
	size := 0
	var last, step int64
	for i := 0; i < len(values) && (limit == 0 || size < limit); i++ {
		v := values[i]
		switch form {
		case runs:
			n := runLength(values[i:])
			size += varintSize(v) + varintSize(int64(n))
			i += n - 1
		case plain:
			size += varintSize(v)
		case deltas:
			size += varintSize(v - last)
		case deltas2:
			size += varintSize(v - last - step)
			if i > 0 {
				step = v - last
			}
		}
		last = v
	}
	return size
}

func runLength(values []int64) int {
	n := 1
	for n < len(values) && values[n] == values[0] {
		n++
	}
	return n
}

func varintSize(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// texts appends a list of strings: the distinct ones, then which is where.
func (e *encoder) texts(values []string) {
	index := map[string]int64{}
	var distinct []string
	which := make([]int64, len(values))
	for i, s := range values {
		if i > 0 && s == values[i-1] {
			which[i] = which[i-1]
			continue
		}
		n, ok := index[s]
		if !ok {
			n = int64(len(distinct))
			index[s] = n
			distinct = append(distinct, s)
		}
		which[i] = n
	}
	e.uint(uint64(len(distinct)))
	for _, s := range distinct {
		e.text(s)
	}
	e.column(which)
}

// decoder reads a block. After a fault every read returns zero values.
type decoder struct {
	buf []byte
	err error
}

func (d *decoder) fail() {
	d.err, d.buf = errCorrupt, nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.buf)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.buf)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.buf) == 0 {
		d.fail()
		return 0
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b
}

func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.buf)) {
		d.fail()
		return ""
	}
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	return s
}

// length reads how many things follow, at least one byte in per many of them.
func (d *decoder) length(most int) int {
	n := d.uint()
	if n > uint64(most) {
		d.fail()
		return 0
	}
	return int(n)
}

// column reads n integers.
func (d *decoder) column(n int) []int64 {
	values := make([]int64, n)
	if n == 0 {
		return values
	}
	form := d.byte()
	if form >= numForms {
		d.err = fmt.Errorf("%w: column form %d", errCorrupt, form)
		return values
	}
	var last, step int64
	for i := 0; i < n && d.err == nil; i++ {
		v := d.int()
		switch form {
		case runs:
			count := d.length(n - i)
			for j := range count {
				values[i+j] = v
			}
			if count == 0 {
				d.fail()
			}
			i += count - 1
			continue
		case deltas:
			v += last
		case deltas2:
			v += last + step
			if i > 0 {
				step = v - last
			}
		}
		values[i], last = v, v
	}
	return values
}

// texts reads n strings.
func (d *decoder) texts(n int) []string {
	distinct := make([]string, d.length(n))
	for i := range distinct {
		distinct[i] = d.text()
	}
	values := make([]string, n)
	for i, which := range d.column(n) {
		if which < 0 || which >= int64(len(distinct)) {
			if n > 0 {
				d.fail()
			}
			break
		}
		values[i] = distinct[which]
	}
	return values
}
