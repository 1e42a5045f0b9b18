package report

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"nines/checks"
)

// A report's hash is one of hashes: of each check, UTC day and region there is
// the SHA-256 of the lines of its results, and the report's is that of the list
// of those. So what a closed day contributes can be kept when its results are
// gone, and is made once.

// dayMilli is the length of a day in UTC, in milliseconds.
const dayMilli = int64(24 * time.Hour / time.Millisecond)

// dayOf returns the number of the UTC day that a time is on, from the epoch.
func dayOf(ms int64) int64 {
	day := ms / dayMilli
	if ms%dayMilli < 0 {
		day--
	}
	return day
}

// dayDigest is the hash of what one region has of a check on a day.
type dayDigest struct {
	day    int64
	region string
	sum    [sha256.Size]byte
}

// digester hashes a check's lines as they come, in the order of (At, region,
// prober, slot).
type digester struct {
	regions []string // of the rule
	byName  []int    // their places in the order of their names
	day     int64
	open    []hash.Hash // by region; nil: no line on that day yet
	done    []dayDigest
}

func newDigester(regions []string) *digester {
	d := &digester{regions: regions, open: make([]hash.Hash, len(regions))}
	for i := range regions {
		d.byName = append(d.byName, i)
	}
	slices.SortFunc(d.byName, func(a, b int) int { return strings.Compare(regions[a], regions[b]) })
	return d
}

func (d *digester) add(region int, at int64, line []byte) {
	if day := dayOf(at); day != d.day {
		d.flush()
		d.day = day
	}
	if d.open[region] == nil {
		d.open[region] = sha256.New()
	}
	d.open[region].Write(line)
}

// flush finishes the day.
func (d *digester) flush() {
	for _, i := range d.byName {
		if d.open[i] == nil {
			continue
		}
		digest := dayDigest{day: d.day, region: d.regions[i]}
		d.open[i].Sum(digest.sum[:0])
		d.done, d.open[i] = append(d.done, digest), nil
	}
}

// writeDigests writes the hashes of a check's days, a line each.
func writeDigests(w io.Writer, check string, digests []dayDigest) {
	var line []byte
	for _, d := range digests {
		line = append(append(line[:0], check...), ' ')
		line = append(append(line, d.region...), ' ')
		line = milli(d.day*dayMilli).AppendFormat(line, time.DateOnly)
		line = hex.AppendEncode(append(line, ' '), d.sum[:])
		w.Write(append(line, '\n')) // of a hash: cannot fail
	}
}

// writeQuarantines writes the lines of quarantines, each once, sorted by their
// bytes.
func writeQuarantines(w io.Writer, list []checks.Quarantine) error {
	var lines []string
	for _, q := range list {
		line, err := quarantineLine(q)
		if err != nil {
			return err
		}
		lines = append(lines, string(line))
	}
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		io.WriteString(w, line)
	}
	return nil
}
