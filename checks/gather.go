package checks

import (
	"io"
	"slices"
)

// gather reads r to its end, or to one byte beyond limit, and returns what it
// read and how much that was. Of more than limit nothing is returned. It reads
// into pieces, from which nothing is copied until the end is known, so
// that a body that has no end costs no more than the limit. announced is how
// much is said to come; negative when nothing is said.
func gather(r io.Reader, announced, limit int64) ([]byte, int64, error) {
	const least, most = 4 << 10, 256 << 10
	var pieces [][]byte
	piece := make([]byte, 0, min(max(announced, least), limit)+1)
	for n := int64(0); ; {
		read, err := r.Read(piece[len(piece):min(int64(cap(piece)), int64(len(piece))+limit+1-n)])
		piece, n = piece[:len(piece)+read], n+int64(read)
		switch {
		case n > limit:
			return nil, n, nil
		case err == io.EOF && pieces == nil:
			return piece, n, nil
		case err == io.EOF:
			return slices.Concat(append(pieces, piece)...), n, nil
		case err != nil:
			return slices.Concat(append(pieces, piece)...), n, err
		case len(piece) == cap(piece):
			pieces = append(pieces, piece)
			piece = make([]byte, 0, min(max(n, least), most))
		}
	}
}
