package checks

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
)

// read reads the body of the last answer.
func (x *exchange) read(answered *http.Response) finding {
	err := x.readBody(answered)
	if x.h3 != nil {
		err = x.h3.explain(answered.Request.Context(), err)
	}
	x.answer.watch.mark(phaseTransfer)
	x.answer.transfer = x.answer.watch.took() - x.answer.firstByte
	if x.slow != nil {
		x.answer.carried += x.slow.Received()
	}
	return classify(stageBody, err)
}

func (x *exchange) readBody(answered *http.Response) error {
	limit := int64(x.MaxBody)
	tooLarge := fmt.Errorf("the body is %w: more than max_body, %d bytes", errTooLarge, limit)
	if answered.ContentLength > limit && answered.Request.Method != http.MethodHead {
		return tooLarge
	}
	body := io.Reader(answered.Body)
	if header := answered.Header["Content-Encoding"]; len(header) > 0 {
		names, err := encodings(header)
		if err != nil {
			return err
		}
		unpacking, err := unpack(body, names, limit)
		if err != nil {
			return err
		}
		defer unpacking.Close()
		body, x.answer.encoding = unpacking, strings.Join(names, ", ")
	}
	body = io.LimitReader(body, limit+1)
	var digest hash.Hash
	if x.use&bodyHashed != 0 {
		digest = sha256.New()
		body = io.TeeReader(body, digest)
	}
	var err error
	var n int64
	if x.use&bodyKept != 0 {
		x.answer.body, n, err = gather(body, answered.ContentLength, limit)
	} else {
		n, err = io.Copy(io.Discard, body)
	}
	x.answer.bodyBytes = int(n)
	if digest != nil {
		x.answer.digest = hex.EncodeToString(digest.Sum(nil))
	}
	if n > limit || errors.Is(err, errTooLarge) && !errors.Is(err, errWindow) {
		return tooLarge
	}
	return err
}
