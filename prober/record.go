package prober

import (
	"encoding/json"
	"fmt"
	"time"

	"nines/checks"
)

// record is one result on its way to the scheduler. All but state is fixed
// once the record is in the outbox.
type record struct {
	seq    int64  // in its spool
	memory bool   // it could not be put on disk and is numbered apart
	check  string // of the result
	slot   int64  // of the result, in milliseconds since the Unix epoch
	body   []byte // the result as JSON
	urgent bool   // somebody waits for it
	old    bool   // about the past when it was made: sent behind what is new

	added time.Time // to the outbox; with a monotonic reading
	state state     // the outbox protects it
}

// state is where a record stands in the outbox.
type state uint8

const (
	waiting state = iota
	flying        // a request carries it
	settled       // delivered, rejected or dropped
)

// maxResult is the longest encoded result that is kept whole, in bytes; it
// leaves room for the few bytes by which another encoder may differ.
const maxResult = checks.MaxRecord - 4096

// encode makes a record of a result. A result that has no encoding, or too
// long a one, loses its facts rather than its verdict.
func encode(r *checks.Result, urgent bool) *record {
	r.Normalize()
	body, err := json.Marshal(r)
	if err != nil || len(body) > maxResult {
		bare := *r
		bare.Facts = checks.Facts{"facts_dropped": true}
		if err != nil {
			bare.Status, bare.Reason, bare.TookMS, bare.Phases = checks.Unknown, checks.ProberInternal, 0, checks.Phases{}
			bare.Detail = fmt.Sprintf("the result has no encoding: %.200v", err)
		}
		if len(bare.Detail) > 4096 {
			bare.Detail = bare.Detail[:4096]
		}
		body, _ = json.Marshal(&bare) // strings and numbers only: cannot fail
	}
	return &record{
		check: r.Check, slot: r.Slot.UnixMilli(), body: body,
		urgent: urgent || r.Status == checks.Down,
	}
}
