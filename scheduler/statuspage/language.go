package statuspage

import (
	"cmp"
	"net/http"
	"sync"

	"golang.org/x/text/language"
)

// languages are those that the pages are written in, the first for readers of
// all others.
var languages = []catalogue{english, german, spanish, french, italian, polish}

// Languages returns the codes (BCP 47) of the languages that the pages are
// written in.
func Languages() []string {
	codes := make([]string, len(languages))
	for i, words := range languages {
		codes[i] = words["lang"]
	}
	return codes
}

// maxAccepted is how long an Accept-Language may be to be looked at, and
// maxReaders how many different ones are remembered.
const (
	maxAccepted = 256
	maxReaders  = 1024
)

// readers chooses the language for an Accept-Language (RFC 9110, section
// 12.5.4), and remembers what was chosen.
type readers struct {
	matcher language.Matcher

	mu     sync.RWMutex   // protects following
	chosen map[string]int // by the header
}

func newReaders() *readers {
	tags := make([]language.Tag, len(languages))
	for i, code := range Languages() {
		tags[i] = language.MustParse(code)
	}
	return &readers{matcher: language.NewMatcher(tags), chosen: map[string]int{}}
}

// choose returns the place of a language in languages.
func (r *readers) choose(accepted string) int {
	if accepted == "" || len(accepted) > maxAccepted {
		return 0
	}
	r.mu.RLock()
	i, known := r.chosen[accepted]
	r.mu.RUnlock()
	if known {
		return i
	}
	wanted, _, err := language.ParseAcceptLanguage(accepted)
	if err == nil && len(wanted) > 0 {
		var confidence language.Confidence
		if _, i, confidence = r.matcher.Match(wanted...); confidence == language.No {
			i = 0
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.chosen) >= maxReaders {
		clear(r.chosen)
	}
	r.chosen[accepted] = i
	return i
}

// edition returns the site in the reader's language.
func (h *Handler) edition(r *http.Request) *Handler {
	if h.readers == nil || len(h.others) == 0 {
		return h
	}
	var accepted string
	if values := r.Header["Accept-Language"]; len(values) > 0 {
		accepted = values[0]
	}
	if i := h.readers.choose(accepted); i > 0 {
		return h.others[i-1]
	}
	return h
}

// read has a page served in the reader's language.
func (h *Handler) read(serve func(*Handler, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { serve(h.edition(r), w, r) }
}

// translated returns the same site in another language. What it is made of is
// read once for all of them.
func (h *Handler) translated(words catalogue, title string) (*Handler, error) {
	t := &Handler{
		source: h.source, title: cmp.Or(title, words.say("site.title")), publicURL: h.publicURL, base: h.base, words: words, log: h.log,
		assets: h.assets, names: h.names, logo: h.logo, absentBadge: h.absentBadge, absentShield: h.absentShield,
		clock: h.clock, page: h.page, readers: h.readers,
		documents: map[string]*fresh[*document]{}, incidents: map[int64]*fresh[*document]{},
	}
	return t, t.write()
}
