package fleet

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"nines/checks"
	"nines/regions"
)

// Limits of one POST. A prober stays below a quarter of each.
const (
	maxBody     = 4 << 20  // as it travels
	maxUnpacked = 16 << 20 // after decompression
	bodyTimeout = 30 * time.Second
	// answerTimeout bounds the whole request. It stands in for the server's own
	// limit: an answer that is lost after a slow commit means that everything
	// is sent again.
	answerTimeout = 2 * time.Minute
)

// serveResults answers POST /probe/v1/results.
func (f *Fleet) serveResults(w http.ResponseWriter, r *http.Request, m caller) error {
	received := f.now()
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	defer rc.SetWriteDeadline(time.Time{}) // the connection may be used again
	b, rejected, err := readBatch(w, r)
	if err != nil {
		return err
	}
	f.hear(m, r, b.Now.Sub(received), b.Shaper)
	ack := regions.Ack{Seqs: []int64{}}
	if len(b.Entries) > 0 {
		ack, err = f.ingester.Ingest(r.Context(), m.Prober, m.Region, b)
		f.ingested(m, err)
		if err != nil {
			return errBusy
		}
	}
	for seq, why := range rejected {
		if ack.Rejected == nil {
			ack.Rejected = map[int64]string{}
		}
		ack.Rejected[seq] = why
		ack.Seqs = append(ack.Seqs, seq)
	}
	ack.Now = f.now().UTC()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(ack)
}

// hear notes a sign of life, how far the prober's clock is off and, if it says
// so, how exact its shaper is.
func (f *Fleet) hear(m caller, r *http.Request, offset time.Duration, shaper []regions.Shaped) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.probers[m.Prober]; p != nil {
		p.offset, p.version = offset, r.UserAgent()
		if n := len(shaper); n > 0 && n <= regions.MaxShaped {
			p.shaper = shaper
		}
		f.alive(p)
	}
}

// ingested logs when ingest begins or ceases to fail.
func (f *Fleet) ingested(m caller, err error) {
	f.mu.Lock()
	changed := f.failing != (err != nil)
	f.failing = err != nil
	f.mu.Unlock()
	switch {
	case err != nil && changed:
		f.log.Error("results cannot be taken in; probers keep them", "prober", m.Prober, "region", m.Region, "err", err)
	case changed:
		f.log.Info("results are taken in again")
	}
}

// readBatch reads a batch within the limits. Entries that are no results are
// left out of it and returned with what is wrong with them.
func readBatch(w http.ResponseWriter, r *http.Request) (b regions.Batch, rejected map[int64]string, err error) {
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return b, nil, err
	}
	var body io.Reader = http.MaxBytesReader(w, r.Body, maxBody)
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "gzip":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return b, nil, badBody(fmt.Errorf("reading gzip: %w", err))
		}
		body = unpacked
	case "", "identity":
	default:
		return b, nil, problem{http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Encoding %q is not known; send gzip", encoding), 0}
	}
	data, err := io.ReadAll(io.LimitReader(body, maxUnpacked+1))
	if err != nil {
		return b, nil, badBody(err)
	}
	if len(data) > maxUnpacked {
		return b, nil, errTooLarge
	}
	// Whatever comes now is not for the body: a deadline that passes during
	// ingest would look like a prober that went away.
	if err := rc.SetReadDeadline(time.Time{}); err != nil {
		return b, nil, err
	}
	if b, rejected, err = decodeBatch(data); err != nil {
		return b, nil, badBody(err)
	}
	if !checks.ValidName(b.Spool) {
		return b, nil, badBody(errors.New("spool: must be 1 to 63 of a-z, 0-9 and -"))
	}
	if len(b.Entries)+len(rejected) > regions.MaxEntries {
		return b, nil, errTooLarge
	}
	return b, rejected, nil
}

// decodeBatch decodes a batch; if an entry is no result, entry by entry.
func decodeBatch(data []byte) (b regions.Batch, rejected map[int64]string, err error) {
	if err := json.Unmarshal(data, &b); err == nil {
		return b, nil, nil
	}
	var raw struct {
		Spool   string
		Now     time.Time
		Entries []struct {
			Seq    int64
			Result json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return regions.Batch{}, nil, err
	}
	b = regions.Batch{Spool: raw.Spool, Now: raw.Now}
	rejected = map[int64]string{}
	for _, e := range raw.Entries {
		entry := regions.Entry{Seq: e.Seq}
		if err := json.Unmarshal(e.Result, &entry.Result); err != nil {
			rejected[e.Seq] = "not a result: " + err.Error()
			continue
		}
		b.Entries = append(b.Entries, entry)
	}
	return b, rejected, nil
}

// badBody is the answer to a body that cannot be read.
func badBody(err error) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return errTooLarge
	}
	return problem{http.StatusBadRequest, err.Error(), 0}
}
