package checks

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// MaxRecord is the longest line of results that is read, in bytes.
const MaxRecord = 64 << 10

// LineError says which line of an NDJSON stream is wrong, and how.
type LineError struct {
	Line   int // from 1
	Column int // in bytes from 1; 1 when the line as a whole is wrong
	Err    error
}

func (e *LineError) Error() string { return fmt.Sprintf("%d:%d: %v", e.Line, e.Column, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// ReadRecords yields the records of an NDJSON stream, normalized and valid.
// Blank lines are passed over. A line that is no record yields a *LineError
// and reading goes on with the next line; an error of r itself ends it.
func ReadRecords(r io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		br := bufio.NewReaderSize(r, MaxRecord)
		for line := 1; ; line++ {
			text, err := br.ReadSlice('\n')
			tooLong := errors.Is(err, bufio.ErrBufferFull)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = br.ReadSlice('\n') // the rest of a line that is too long
			}
			if err != nil && err != io.EOF {
				yield(Record{}, fmt.Errorf("reading line %d: %w", line, err))
				return
			}
			last := err == io.EOF
			switch {
			case tooLong:
				if !yield(Record{}, &LineError{line, 1, fmt.Errorf("longer than %d bytes", MaxRecord)}) {
					return
				}
			case len(bytes.TrimSpace(text)) > 0:
				rec, column, err := parseRecord(text)
				if err != nil {
					err = &LineError{line, column, err}
				}
				if !yield(rec, err) {
					return
				}
			}
			if last {
				return
			}
		}
	}
}

// parseRecord reads one line of results. The column is where the fault lies.
func parseRecord(line []byte) (rec Record, column int, err error) {
	var both struct {
		Result
		Quarantine *Quarantine `json:"quarantine"`
	}
	if err := json.Unmarshal(line, &both); err != nil {
		return Record{}, columnOf(err), fmt.Errorf("not a result: %w", err)
	}
	if q := both.Quarantine; q != nil {
		if !validName(q.Prober) || !validTime(q.From) || !q.From.Before(q.To) {
			return Record{}, 1, errors.New("quarantine: needs a prober, a from, and a to after it")
		}
		q.From, q.To = q.From.UTC(), q.To.UTC()
		return Record{Quarantine: q}, 0, nil
	}
	result := both.Result
	if err := result.Validate(); err != nil {
		return Record{}, 1, err
	}
	result.Normalize()
	return Record{Result: &result}, 0, nil
}

func columnOf(err error) int {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return int(max(1, syntax.Offset))
	case errors.As(err, &typ):
		return int(max(1, typ.Offset))
	}
	return 1
}

// WriteRecord writes rec as one line.
func WriteRecord(w io.Writer, rec Record) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(rec); err != nil {
		return fmt.Errorf("encoding a record: %w", err)
	}
	_, err := w.Write(buf.Bytes())
	return err
}
