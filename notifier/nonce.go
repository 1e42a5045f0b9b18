package notifier

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// NonceOf returns the word by which a vendor's list of messages is searched
// for the notice: the incident's number, the step from 1, and four letters that
// tell this notice from every other of the step, as in "41-1-k7q2". The same
// notice has the same nonce whenever it is asked for.
func NonceOf(n Notice) string {
	h := sha256.New()
	for _, s := range []string{string(n.Kind), n.Person, n.Channel} {
		fmt.Fprintf(h, "%q", s)
	}
	for _, v := range []int64{n.Incident, int64(n.Step), int64(n.Round), n.Created.UnixMilli()} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(v)))
	}
	const letters = "0123456789abcdefghjkmnpqrstvwxyz" // none that is read as another
	sum := h.Sum(nil)
	var tail [4]byte
	for i := range tail {
		tail[i] = letters[sum[i]%32]
	}
	return fmt.Sprintf("%d-%d-%s", n.Incident, n.Step+1, tail[:])
}
