package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"nines/checks"
)

// appendLine appends r's line of NDJSON, byte for byte what checks.WriteRecord
// writes and an export holds: a report's hash is over these lines. It is a
// fraction of the cost because results are plain as a rule; whatever is not
// goes through encoding/json.
func appendLine(dst []byte, r *checks.Result) ([]byte, error) {
	dst = appendString(append(dst, `{"check":`...), r.Check)
	dst = appendString(append(dst, `,"region":`...), r.Region)
	dst = appendString(append(dst, `,"prober":`...), r.Prober)
	dst = appendTime(append(dst, `,"slot":`...), r.Slot)
	dst = appendTime(append(dst, `,"at":`...), r.At)
	dst, err := appendFloat(append(dst, `,"took_ms":`...), r.TookMS)
	if err != nil {
		return nil, fmt.Errorf("encoding a result of %s: %w", r.Check, err)
	}
	dst = appendString(append(dst, `,"status":`...), string(r.Status))
	dst = appendString(append(dst, `,"reason":`...), string(r.Reason))
	dst = appendString(append(dst, `,"detail":`...), r.Detail)
	dst, err = appendMap(append(dst, `,"phases_ms":`...), r.Phases, appendFloat)
	if err == nil {
		dst, err = appendMap(append(dst, `,"facts":`...), r.Facts, appendFact)
	}
	if err != nil {
		return nil, fmt.Errorf("encoding a result of %s: %w", r.Check, err)
	}
	return append(dst, "}\n"...), nil
}

// appendString appends a JSON string, escaped as encoding/json does.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // of a string: cannot fail
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

func appendFloat(dst []byte, f float64) ([]byte, error) {
	// Measurements are whole thousandths: digits, a point and digits.
	if thousandths := math.Round(f * 1000); f > 0 && f < 1e9 && thousandths/1000 == f {
		dst = strconv.AppendInt(dst, int64(thousandths)/1000, 10)
		if rest := int64(thousandths) % 1000; rest > 0 {
			dst = append(dst, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
			dst = bytes.TrimRight(dst, "0")
		}
		return dst, nil
	}
	return appendAny(dst, f)
}

func appendFact(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return appendString(dst, v), nil
	case float64:
		return appendFloat(dst, v)
	case bool:
		return strconv.AppendBool(dst, v), nil
	}
	return appendAny(dst, v)
}

func appendAny(dst []byte, v any) ([]byte, error) {
	encoded, err := json.Marshal(v)
	return append(dst, encoded...), err
}

// appendMap appends a JSON object with its keys in order; nil is the empty one.
func appendMap[M ~map[string]V, V any](dst []byte, m M, value func([]byte, V) ([]byte, error)) ([]byte, error) {
	var few [8]string
	keys := few[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, key), ':')
		var err error
		if dst, err = value(dst, m[key]); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// quarantineLine returns q's line of NDJSON, in whole milliseconds.
func quarantineLine(q checks.Quarantine) ([]byte, error) {
	var line bytes.Buffer
	err := checks.WriteRecord(&line, checks.Record{Quarantine: &q})
	return line.Bytes(), err
}
