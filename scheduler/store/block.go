package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"nines/checks"
)

// A block is many results in columns: the names are numbers of the names
// table, times are milliseconds, measurements microseconds. Results of one
// batch make a block as they come, those of a check, region and hour make one
// for good.

// blockVersion is the first byte of every block.
const blockVersion = 1

// maxRows bounds what one block may claim to hold.
const maxRows = 1 << 17

// row is a result as blocks keep it.
type row struct {
	check, region, prober int64
	slot, at, took        int64
	status                int64
	reason, detail        string
	phases                checks.Phases
	facts                 checks.Facts
}

// statuses are numbered by their place; never reorder.
var statuses = [...]checks.Status{checks.Up, checks.Degraded, checks.Down, checks.Unknown}

func statusNumber(s checks.Status) int64 { return int64(slices.Index(statuses[:], s)) }

// key is what makes a row unique.
type key struct{ check, region, prober, slot int64 }

func (r *row) key() key { return key{r.check, r.region, r.prober, r.slot} }

// encodeBlock returns rows as a block.
func encodeBlock(rows []row) []byte {
	n := len(rows)
	e := &encoder{buf: make([]byte, 0, 64+24*n)}
	e.buf = append(e.buf, blockVersion)
	e.uint(uint64(n))
	ints := make([]int64, n)
	column := func(value func(r *row) int64) {
		for i := range rows {
			ints[i] = value(&rows[i])
		}
		e.column(ints)
	}
	column(func(r *row) int64 { return r.check })
	column(func(r *row) int64 { return r.region })
	column(func(r *row) int64 { return r.prober })
	column(func(r *row) int64 { return r.slot })
	column(func(r *row) int64 { return r.at - r.slot })
	column(func(r *row) int64 { return r.status })
	column(func(r *row) int64 { return r.took - phaseSum(r.phases) })
	strs := make([]string, n)
	for i := range rows {
		strs[i] = rows[i].reason
	}
	e.texts(strs)
	for i := range rows {
		strs[i] = rows[i].detail
	}
	e.texts(strs)
	e.phases(rows, ints)
	e.facts(rows, ints)
	return e.buf
}

// phaseSum is what a run's phases take together, which is about what it took.
func phaseSum(phases checks.Phases) int64 {
	var sum int64
	for _, ms := range phases {
		sum += micros(ms)
	}
	return sum
}

// micros returns milliseconds as whole microseconds, of what a prober could
// have measured.
func micros(ms float64) int64 {
	return int64(math.Round(min(max(ms, -1e9), 1e9) * 1000))
}

func millis(us int64) float64 { return float64(us) / 1000 }

// phases appends one column a name; 0 stands for a phase that did not happen.
func (e *encoder) phases(rows []row, ints []int64) {
	names := map[string]bool{}
	for i := range rows {
		for name := range rows[i].phases {
			names[name] = true
		}
	}
	e.uint(uint64(len(names)))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		e.text(name)
		for i := range rows {
			ints[i] = 0
			if ms, ok := rows[i].phases[name]; ok {
				us := micros(ms)
				if us >= 0 {
					us++
				}
				ints[i] = us
			}
		}
		e.column(ints)
	}
}

// How a column of facts is kept.
const (
	integers    byte = iota // JSON numbers without a fraction
	thousandths             // JSON numbers with at most three decimals
	words                   // JSON strings
	documents               // any JSON
)

// facts appends, by name, which rows have it and what it is there.
func (e *encoder) facts(rows []row, ints []int64) {
	names := map[string]bool{}
	for i := range rows {
		for name := range rows[i].facts {
			names[name] = true
		}
	}
	e.uint(uint64(len(names)))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		e.text(name)
		values := make([]any, 0, len(rows))
		for i := range rows {
			v, ok := rows[i].facts[name]
			ints[i] = 0
			if ok {
				ints[i] = 1
				values = append(values, v)
			}
		}
		e.column(ints)
		e.fact(values, ints[:len(values)])
	}
}

func (e *encoder) fact(values []any, ints []int64) {
	for _, form := range [...]byte{integers, thousandths} {
		if scaled(values, ints, scaleOf(form)) {
			e.buf = append(e.buf, form)
			e.column(ints)
			return
		}
	}
	texts := make([]string, len(values))
	form := words
	for i, v := range values {
		s, ok := v.(string)
		if !ok {
			form = documents
			break
		}
		texts[i] = s
	}
	if form == documents {
		for i, v := range values {
			texts[i] = factText(v)
		}
	}
	e.buf = append(e.buf, form)
	e.texts(texts)
}

func scaleOf(form byte) float64 {
	if form == thousandths {
		return 1000
	}
	return 1
}

// scaled fills ints with the values times scale, and reports whether all are
// numbers that this loses nothing of.
func scaled(values []any, ints []int64, scale float64) bool {
	for i, v := range values {
		var f float64
		switch v := v.(type) {
		case float64:
			f = v
		case int:
			f = float64(v)
		case int64:
			f = float64(v)
		default:
			return false
		}
		s := math.Round(f * scale)
		if math.Abs(s) > 1<<52 || s/scale != f || f == 0 && math.Signbit(f) {
			return false
		}
		ints[i] = int64(s)
	}
	return true
}

func factText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		// What JSON cannot hold no prober can have sent.
		text, _ = json.Marshal(fmt.Sprint(v))
	}
	return string(text)
}

// decodeBlock reads what encodeBlock wrote.
func decodeBlock(block []byte) ([]row, error) {
	return decodeSome(block, func(*row) bool { return true }, false)
}

// decodeSome returns the rows of a block that keep accepts, by their names,
// times and status. An outline leaves out what was measured, which is most of
// the work.
func decodeSome(block []byte, keep func(*row) bool, outline bool) ([]row, error) {
	d := &decoder{buf: block}
	if v := d.byte(); v != blockVersion {
		return nil, fmt.Errorf("%w: version %d", errCorrupt, v)
	}
	n := d.length(maxRows)
	rows := make([]row, n)
	column := func(set func(r *row, v int64)) {
		for i, v := range d.column(n) {
			set(&rows[i], v)
		}
	}
	column(func(r *row, v int64) { r.check = v })
	column(func(r *row, v int64) { r.region = v })
	column(func(r *row, v int64) { r.prober = v })
	column(func(r *row, v int64) { r.slot = v })
	column(func(r *row, v int64) { r.at = r.slot + v })
	column(func(r *row, v int64) { r.status = min(max(v, 0), int64(len(statuses)-1)) })
	column(func(r *row, v int64) { r.took = v })
	for i, s := range d.texts(n) {
		rows[i].reason = s
	}
	kept := make([]bool, n)
	for i := range rows {
		kept[i] = keep(&rows[i])
	}
	if !outline && slices.Contains(kept, true) {
		for i, s := range d.texts(n) {
			rows[i].detail = s
		}
		d.phases(rows, kept)
		d.facts(rows, kept)
	}
	if d.err != nil {
		return nil, d.err
	}
	some := rows[:0]
	for i := range rows {
		if kept[i] {
			if rows[i].took += phaseSum(rows[i].phases); outline {
				rows[i].took = 0
			}
			some = append(some, rows[i])
		}
	}
	return some, nil
}

func (d *decoder) phases(rows []row, kept []bool) {
	for range d.length(len(d.buf)) {
		name := d.text()
		for i, us := range d.column(len(rows)) {
			if us == 0 || !kept[i] {
				continue
			}
			if us > 0 {
				us--
			}
			if rows[i].phases == nil {
				rows[i].phases = make(checks.Phases, 5)
			}
			rows[i].phases[name] = millis(us)
		}
	}
}

func (d *decoder) facts(rows []row, kept []bool) {
	for range d.length(len(d.buf)) {
		name := d.text()
		have := d.column(len(rows))
		count := 0
		for _, h := range have {
			if h == 1 {
				count++
			}
		}
		values := d.fact(count)
		next := 0
		for i, h := range have {
			if h != 1 || d.err != nil {
				continue
			}
			if kept[i] {
				if rows[i].facts == nil {
					rows[i].facts = make(checks.Facts, 4)
				}
				rows[i].facts[name] = values[next]
			}
			next++
		}
	}
}

func (d *decoder) fact(n int) []any {
	values := make([]any, n)
	switch form := d.byte(); form {
	case integers, thousandths:
		for i, v := range d.column(n) {
			values[i] = float64(v) / scaleOf(form)
		}
	case words:
		for i, text := range d.texts(n) {
			values[i] = text
		}
	case documents:
		parsed := map[string]any{}
		for i, text := range d.texts(n) {
			v, ok := parsed[text]
			if !ok {
				if err := json.Unmarshal([]byte(text), &v); err != nil && d.err == nil {
					d.err = fmt.Errorf("%w: %w", errCorrupt, err)
				}
				parsed[text] = v
			}
			values[i] = v
		}
	default:
		d.fail()
	}
	return values
}

// rowOf returns r as blocks keep it, its names numbered by ids.
func rowOf(r *checks.Result, ids map[string]int64) row {
	return row{
		check: ids[r.Check], region: ids[r.Region], prober: ids[r.Prober],
		slot: r.Slot.UnixMilli(), at: r.At.UnixMilli(), took: micros(r.TookMS),
		status: statusNumber(r.Status), reason: string(r.Reason), detail: r.Detail,
		phases: r.Phases, facts: r.Facts,
	}
}

// result returns what rowOf was given, normalized.
func (r *row) result(name names) checks.Result {
	out := checks.Result{
		Check: name[r.check], Region: name[r.region], Prober: name[r.prober],
		Slot: time.UnixMilli(r.slot).UTC(), At: time.UnixMilli(r.at).UTC(), TookMS: millis(r.took),
		Status: statuses[r.status], Reason: checks.Reason(r.reason), Detail: r.detail,
		Phases: r.phases, Facts: r.facts,
	}
	if out.Phases == nil {
		out.Phases = checks.Phases{}
	}
	if out.Facts == nil {
		out.Facts = checks.Facts{}
	}
	return out
}
