package statuspage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// document is an answer that is ready to be sent as often as anybody asks. It
// is never modified.
type document struct {
	status  int
	plain   body
	zipped  *body // nil when compressing does not make it smaller
	headers http.Header
}

// body is one representation of a document.
type body struct {
	bytes  []byte
	etag   []string // one value: headers are set without allocating
	length []string
}

// kind is what sort of document something is, which decides its headers.
type kind struct {
	contentType string
	// cache is its Cache-Control.
	cache string
	// shared admits pages of other origins: Access-Control-Allow-Origin is *.
	shared bool
	// policy is its Content-Security-Policy.
	policy string
}

// A copy may be shown for as long as it takes to render another, and for a day
// when the server that it came from is away: an old page that says how old it
// is helps more than none.
const (
	cacheShort = "public, max-age=5, stale-while-revalidate=30, stale-if-error=86400"
	cacheBadge = "public, max-age=30, stale-while-revalidate=60, stale-if-error=86400"
	cacheAsset = "public, max-age=31536000, immutable"
	cacheError = "public, max-age=5"
	cacheNever = "no-store"
)

// The policies: nothing is loaded but the stylesheet and images of the site's
// own, nothing runs, nobody frames it. Only a message's form may be sent, to
// the site itself.
const (
	policyPage    = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
	policyMessage = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	policyData    = "default-src 'none'; frame-ancestors 'none'"
	// A logo may style itself; it still loads and runs nothing.
	policyImage = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
)

const (
	typeHTML = "text/html; charset=utf-8"
	typeJSON = "application/json; charset=utf-8"
	typeSVG  = "image/svg+xml; charset=utf-8"
)

var (
	pageKind  = kind{typeHTML, cacheShort, false, policyPage}
	errorKind = kind{typeHTML, cacheError, false, policyPage}
	atomKind  = kind{"application/atom+xml; charset=utf-8", cacheShort, true, policyData}
	rssKind   = kind{"application/rss+xml; charset=utf-8", cacheShort, true, policyData}
	jsonKind  = kind{typeJSON, cacheShort, true, policyData}
	badgeKind = kind{typeSVG, cacheBadge, true, policyImage}
	styleKind = kind{"text/css; charset=utf-8", cacheAsset, false, policyData}
	iconKind  = kind{typeSVG, cacheAsset, false, policyImage}
)

// headers are what every answer of the kind carries.
func (k kind) headers() http.Header {
	h := http.Header{
		"Content-Type":            {k.contentType},
		"Cache-Control":           {k.cache},
		"Content-Security-Policy": {k.policy},
		"X-Content-Type-Options":  {"nosniff"},
		"Referrer-Policy":         {"no-referrer"},
		"Vary":                    {"Accept-Encoding"},
	}
	if k.shared {
		h["Access-Control-Allow-Origin"] = []string{"*"}
	}
	return h
}

// newDocument compresses the content once and names it by its hash.
func newDocument(k kind, status int, content []byte) *document {
	sum := sha256.Sum256(content)
	tag := hex.EncodeToString(sum[:12])
	d := &document{status: status, headers: k.headers(), plain: newBody(content, tag)}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		z.Write(content) // a bytes.Buffer takes everything
		z.Close()
	}
	if n := b.Len(); n > 0 && n < len(content) {
		// Another encoding is another representation, whose strong tag differs.
		zipped := newBody(slices.Clip(b.Bytes()), tag+"-gz")
		d.zipped = &zipped
	}
	return d
}

func newBody(content []byte, tag string) body {
	return body{content, []string{`"` + tag + `"`}, []string{strconv.Itoa(len(content))}}
}

var gzipEncoding = []string{"gzip"}

// ServeHTTP sends the document, or nothing but its tag to whoever has it.
func (d *document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for name, value := range d.headers {
		h[name] = value
	}
	b := &d.plain
	if d.zipped != nil && acceptsGzip(r.Header["Accept-Encoding"]) {
		b = d.zipped
		h["Content-Encoding"] = gzipEncoding
	}
	if d.status == http.StatusOK {
		h["Etag"] = b.etag
		if matches(r.Header["If-None-Match"], b.etag[0]) {
			delete(h, "Content-Type")
			delete(h, "Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h["Content-Length"] = b.length
	w.WriteHeader(d.status)
	if r.Method != http.MethodHead {
		w.Write(b.bytes) // whoever went away has no use for the error
	}
}

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3): gzip, or
// anything, unless with a weight of zero.
func acceptsGzip(values []string) bool {
	if len(values) == 1 && strings.HasPrefix(values[0], "gzip,") {
		return true
	}
	anything := false
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			name, params, _ := strings.Cut(item, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name != "gzip" && name != "x-gzip" && name != "*" {
				continue
			}
			accepted := weight(params) > 0
			if name != "*" {
				return accepted
			}
			anything = accepted
		}
	}
	return anything
}

// weight reads the q of an item's parameters; 1 when it is not there, 0 when
// it cannot be read.
func weight(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(param), "=")
		if !ok || !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0
		}
		return q
	}
	return 1
}

// matches reads If-None-Match (RFC 9110, section 13.1.2), whose comparison is
// the weak one: a proxy may have weakened our tags.
func matches(values []string, etag string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			item = strings.TrimPrefix(strings.TrimSpace(item), "W/")
			if item == etag || item == "*" {
				return true
			}
		}
	}
	return false
}
