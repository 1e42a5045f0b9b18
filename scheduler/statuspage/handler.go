package statuspage

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed assets/style.css
var assetFiles embed.FS

// Config is what a Handler needs.
type Config struct {
	Source Source
	Title  string // of the site; empty: Status
	Logo   string // an image file's path (SVG, PNG, JPEG, GIF or WebP), or empty
	// PublicURL is where the site is reached from outside, without a slash at
	// its end; feeds and JSON link to it.
	PublicURL string
	// Language is the pages' own, as in Languages; empty: the reader's, as far
	// as it is one of them, else English.
	Language string
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: discarded
}

// Handler serves the public pages. Its methods may be called by several
// goroutines at once.
type Handler struct {
	// Immutable.
	source                    Source
	title                     string
	publicURL                 string
	base                      string // the path of publicURL, which is before every link
	words                     catalogue
	log                       *slog.Logger
	templates                 map[string]*template.Template
	assets                    map[string]*document // by file name, such as style.0123456789ab.css
	names                     map[string]string    // of assets, by what they are called without a hash
	logo                      string               // its path within the site, or empty
	missing, failed           *document
	absentBadge, absentShield *document

	clock *clock
	page  *fresh[*Page]
	// others are the same site in other languages; see edition.
	others  []*Handler
	readers *readers // nil: there is one language

	mu        sync.RWMutex                 // protects following
	documents map[string]*fresh[*document] // by what they are, such as "check shop"
	incidents map[int64]*fresh[*document]
}

// incidentsKept bounds how many incidents' pages are kept ready.
const incidentsKept = 512

// New returns a Handler; it reads the logo and asks the Source for nothing yet.
func New(c Config) (*Handler, error) {
	h := &Handler{
		source:    c.Source,
		publicURL: strings.TrimSuffix(c.PublicURL, "/"),
		words:     english,
		log:       c.Log,
		clock:     &clock{now: c.Now},
		assets:    map[string]*document{},
		names:     map[string]string{},
		documents: map[string]*fresh[*document]{},
		incidents: map[int64]*fresh[*document]{},
	}
	if c.Language != "" {
		i := slices.Index(Languages(), c.Language)
		if i < 0 {
			return nil, fmt.Errorf("the pages are not written in %q; there are %s", c.Language, strings.Join(Languages(), ", "))
		}
		h.words = languages[i]
	}
	h.title = cmp.Or(c.Title, h.words.say("site.title"))
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.clock.now == nil {
		h.clock.now = time.Now
	}
	at, err := url.Parse(h.publicURL)
	if err != nil {
		return nil, fmt.Errorf("reading the public URL: %w", err)
	}
	h.base = strings.TrimSuffix(at.EscapedPath(), "/")
	if err := h.loadAssets(c.Logo); err != nil {
		return nil, err
	}
	if c.Language == "" {
		h.readers = newReaders()
	}
	if err := h.write(); err != nil {
		return nil, err
	}
	absent := badge{h.words.say("badge.label"), h.words.say("badge.absent"), badgeColors[Unknown]}
	if h.absentBadge, err = absent.document(http.StatusNotFound, false); err != nil {
		return nil, err
	}
	if h.absentShield, err = absent.document(http.StatusNotFound, true); err != nil {
		return nil, err
	}
	h.page = newFresh(h.clock, func(ctx context.Context) (*Page, time.Time, error) {
		p, err := h.source.Page(ctx)
		if err != nil {
			h.log.Error("reading what the status page shows", "err", err)
			return nil, time.Time{}, err
		}
		return p.public(), time.Time{}, nil
	})
	if c.Language == "" {
		for _, words := range languages[1:] {
			other, err := h.translated(words, c.Title)
			if err != nil {
				return nil, err
			}
			h.others = append(h.others, other)
		}
	}
	return h, nil
}

// write makes what is said in the language of h's words.
func (h *Handler) write() (err error) {
	if h.templates, err = h.pages(); err != nil {
		return err
	}
	if h.missing, err = h.message(errorKind, http.StatusNotFound, "missing"); err != nil {
		return err
	}
	if h.failed, err = h.message(errorKind, http.StatusServiceUnavailable, "failed"); err != nil {
		return err
	}
	h.failed.headers.Set("Cache-Control", cacheNever)
	h.failed.headers.Set("Retry-After", "10")
	return nil
}

// Changed says that what Source returns is different now: the next request is
// answered with a new rendering. It returns at once. Call it when the state of
// a check, an incident or the configuration changes, not for every result:
// those show within five seconds by themselves.
func (h *Handler) Changed() { h.clock.changes.Add(1) }

// NotFound answers with a page that says so and links home.
func (h *Handler) NotFound(w http.ResponseWriter, r *http.Request) {
	h.edition(r).missing.ServeHTTP(w, r)
}

// RenderMessage writes a page in the site's look that is not part of the site,
// such as the one that acknowledges an incident: never cached, never indexed,
// sending no referrer. The body stands below the title, which is its h1; it may
// use <p>, <p class="quiet">, <dl class="facts"> with <div><dt><dd></div>, and
// <form method="post"> with <label>, <input>, <select> and <button>. Styles and
// scripts of its own do not work.
func (h *Handler) RenderMessage(w http.ResponseWriter, status int, title string, body template.HTML) {
	content, err := h.render("message", view{
		Title: h.words.say("title.page", title, h.title), State: Unknown, Private: true,
		Data: messageData{title, body},
	})
	if err != nil {
		h.log.Error("rendering a message", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	for name, value := range (kind{typeHTML, cacheNever, false, policyMessage}).headers() {
		w.Header()[name] = value
	}
	w.WriteHeader(status)
	w.Write(content) // whoever went away has no use for the error
}

// message renders a page that says one thing of the catalogue.
func (h *Handler) message(k kind, status int, key string) (*document, error) {
	title := h.words.say(key + ".title")
	body := fmt.Sprintf(`<p>%s</p><p><a href="%s">%s</a></p>`, template.HTMLEscapeString(h.words.say(key+".text")),
		template.HTMLEscapeString(h.link("/")), template.HTMLEscapeString(h.words.say("message.home")))
	content, err := h.render("message", view{
		Title: h.words.say("title.page", title, h.title), State: Unknown,
		Data: messageData{title, template.HTML(body)},
	})
	if err != nil {
		return nil, err
	}
	return h.said(newDocument(k, status, content)), nil
}

// said notes on a document which language it is in, and that there are others.
func (h *Handler) said(d *document) *document {
	d.headers.Set("Content-Language", h.words["lang"])
	if h.readers != nil {
		d.headers.Set("Vary", "Accept-Encoding, Accept-Language")
	}
	return d
}

// render executes a page's template.
func (h *Handler) render(name string, v view) ([]byte, error) {
	v.Site, v.Logo = h.title, h.logo
	var b bytes.Buffer
	if err := h.templates[name].ExecuteTemplate(&b, "layout", v); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// link returns a path of the site as a browser outside sees it.
func (h *Handler) link(path string) string { return h.base + path }

// asset returns the path of an asset, which changes with its content.
func (h *Handler) asset(name string) string { return h.link("/assets/" + h.names[name]) }

func (h *Handler) loadAssets(logo string) error {
	style, err := assetFiles.ReadFile("assets/style.css")
	if err != nil {
		return fmt.Errorf("reading the stylesheet: %w", err)
	}
	h.addAsset("style.css", styleKind, style)
	for state := range favicons {
		h.addAsset(iconName(state), iconKind, []byte(favicon(state)))
	}
	if logo == "" {
		return nil
	}
	ext := strings.ToLower(filepath.Ext(logo))
	contentType, ok := logoTypes[ext]
	if !ok {
		return fmt.Errorf("reading the logo %q: its name must end in .svg, .png, .jpg, .jpeg, .gif or .webp", logo)
	}
	content, err := os.ReadFile(logo)
	if err != nil {
		return fmt.Errorf("reading the logo: %w", err)
	}
	if len(content) > maxLogo {
		return fmt.Errorf("reading the logo %q: it has %d bytes; at most %d are served", logo, len(content), maxLogo)
	}
	h.addAsset("logo"+ext, kind{contentType, cacheAsset, false, policyImage}, content)
	h.logo = h.asset("logo" + ext)
	return nil
}

// maxLogo bounds the logo, which every visitor loads.
const maxLogo = 1 << 20

var logoTypes = map[string]string{
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
}

func (h *Handler) addAsset(name string, k kind, content []byte) {
	sum := sha256.Sum256(content)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	h.names[name] = hashed
	h.assets[hashed] = newDocument(k, http.StatusOK, content)
}

// serve answers with the document of that key, which is made of the page when
// there is none yet that is fresh.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, key string, make func(context.Context, *Page) (*document, error)) {
	h.mu.RLock()
	f := h.documents[key]
	h.mu.RUnlock()
	if f == nil {
		f = h.newDocumentOf(key, make)
		h.mu.Lock()
		if other := h.documents[key]; other != nil {
			f = other
		}
		h.documents[key] = f
		h.mu.Unlock()
	}
	h.send(w, r, f)
}

func (h *Handler) newDocumentOf(what string, make func(context.Context, *Page) (*document, error)) *fresh[*document] {
	return newFresh(h.clock, func(ctx context.Context) (*document, time.Time, error) {
		page := h.page.remake(ctx) // clock.making is held
		if page.err != nil {
			return nil, page.until, page.err
		}
		d, err := make(ctx, page.thing)
		if errors.Is(err, ErrNotFound) {
			return h.missing, page.until, nil
		}
		if err != nil {
			h.log.Error("rendering the status page", "document", what, "err", err)
		}
		return d, page.until, err
	})
}

// send answers with what there is.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, f *fresh[*document]) {
	d, err := f.get(r.Context())
	if err != nil {
		d = h.failed
	}
	d.ServeHTTP(w, r)
}
