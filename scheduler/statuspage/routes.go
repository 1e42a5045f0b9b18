package statuspage

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// Routes registers every public path with mux, for GET and HEAD. It leaves "/"
// as a catch-all to the caller, for whom NotFound is there.
func (h *Handler) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", h.read((*Handler).serveHome))
	mux.HandleFunc("GET /history", h.read((*Handler).serveHistory))
	mux.HandleFunc("GET /checks/{name}", h.read((*Handler).serveCheck))
	mux.HandleFunc("GET /incidents/{id}", h.read((*Handler).serveIncident))
	mux.HandleFunc("GET /assets/{name}", h.serveAsset)

	mux.HandleFunc("GET /history.atom", h.always("atom", h.atom))
	mux.HandleFunc("GET /history.rss", h.always("rss", h.rss))
	mux.HandleFunc("GET /badge/{file}", h.serveBadge)
	mux.HandleFunc("GET /badge/{check}/{file}", h.serveUptimeBadge)

	for path, make := range h.statuspageAPI() {
		mux.HandleFunc("GET /api/v2/"+path, h.always(path, make))
	}
}

// always serves one document.
func (h *Handler) always(key string, make func(context.Context, *Page) (*document, error)) http.HandlerFunc {
	f := h.newDocumentOf(key, make)
	return func(w http.ResponseWriter, r *http.Request) { h.send(w, r, f) }
}

func (h *Handler) serveHome(w http.ResponseWriter, r *http.Request) {
	// Reloading cannot be stopped by those whom it disturbs without a page
	// that does not do it.
	if r.URL.RawQuery == "refresh=off" {
		h.serve(w, r, "home still", func(_ context.Context, p *Page) (*document, error) { return h.home(p, false) })
		return
	}
	h.serve(w, r, "home", func(_ context.Context, p *Page) (*document, error) { return h.home(p, true) })
}

func (h *Handler) home(p *Page, reload bool) (*document, error) {
	data := h.homeData(p, reload)
	return h.html("home", view{
		Title:       h.words.say("title.page", h.words.say("level."+string(data.Level)), h.title),
		Description: data.Summary,
		State:       data.State, Nav: "status", Reload: reload, Data: data,
	})
}

func (h *Handler) serveHistory(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, "history", h.history)
}

func (h *Handler) history(_ context.Context, p *Page) (*document, error) {
	return h.html("history", view{
		Title: h.words.say("title.page", h.words.say("history.title"), h.title),
		State: p.tally().level().state(), Nav: "history", Data: h.historyData(p),
	})
}

// html renders a page of the site.
func (h *Handler) html(name string, v view) (*document, error) {
	content, err := h.render(name, v)
	if err != nil {
		return nil, err
	}
	return h.said(newDocument(pageKind, http.StatusOK, content)), nil
}

// ofCheck serves a document about a public check. There are as many as there
// are checks: a name that is none is turned away before anything is kept.
func (h *Handler) ofCheck(w http.ResponseWriter, r *http.Request, what, name string, absent *document,
	make func(ctx context.Context, p *Page, group int, c *Check) (*document, error)) {
	p, err := h.page.get(r.Context())
	switch {
	case err != nil:
		h.failed.ServeHTTP(w, r)
		return
	case !p.has(name):
		absent.ServeHTTP(w, r)
		return
	}
	h.serve(w, r, what+" "+name, func(ctx context.Context, p *Page) (*document, error) {
		for group, c := range p.checks() {
			if c.Name == name {
				return make(ctx, p, group, c)
			}
		}
		return absent, nil
	})
}

func (p *Page) has(check string) bool {
	for _, c := range p.checks() {
		if c.Name == check {
			return true
		}
	}
	return false
}

func (h *Handler) serveCheck(w http.ResponseWriter, r *http.Request) {
	h.ofCheck(w, r, "check", r.PathValue("name"), h.missing, func(ctx context.Context, p *Page, group int, c *Check) (*document, error) {
		more, err := h.source.CheckPage(ctx, c.Name)
		if err != nil {
			return nil, err
		}
		return h.html("check", view{
			Title: h.words.say("title.page", c.Title, h.title),
			State: c.State, Nav: "none", Data: h.checkData(p, group, c, more),
		})
	})
}

func (h *Handler) serveIncident(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("id")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != text {
		h.NotFound(w, r)
		return
	}
	h.mu.RLock()
	f := h.incidents[id]
	h.mu.RUnlock()
	if f == nil {
		f = h.newDocumentOf("incident "+text, func(ctx context.Context, p *Page) (*document, error) {
			i, err := h.source.Incident(ctx, id)
			switch {
			case err != nil:
				return nil, err
			case !p.has(i.Check):
				return nil, ErrNotFound
			}
			return h.incident(*i)
		})
		h.mu.Lock()
		if len(h.incidents) >= incidentsKept {
			clear(h.incidents)
		}
		h.incidents[id] = f
		h.mu.Unlock()
	}
	h.send(w, r, f)
}

func (h *Handler) incident(i Incident) (*document, error) {
	state := Up
	if i.Resolved.IsZero() {
		state = Down
	}
	return h.html("incident", view{
		Title:       h.words.say("title.page", h.words.name(&i), h.title),
		Description: h.words.story(i.newest().Update, &i),
		State:       state, Nav: "none", Data: i,
	})
}

func (h *Handler) serveAsset(w http.ResponseWriter, r *http.Request) {
	if d := h.assets[r.PathValue("name")]; d != nil {
		d.ServeHTTP(w, r)
		return
	}
	h.NotFound(w, r)
}

// badgeOf takes the name off a file such as shop.svg.
func badgeOf(file string) (name string, json, ok bool) {
	if name, ok = strings.CutSuffix(file, ".svg"); ok {
		return name, false, true
	}
	name, ok = strings.CutSuffix(file, ".json")
	return name, true, ok
}

func (h *Handler) serveBadge(w http.ResponseWriter, r *http.Request) {
	name, json, ok := badgeOf(r.PathValue("file"))
	if !ok {
		h.NotFound(w, r)
		return
	}
	h.badge(w, r, "badge", name, json, h.words.stateBadge)
}

func (h *Handler) serveUptimeBadge(w http.ResponseWriter, r *http.Request) {
	file, json, ok := badgeOf(r.PathValue("file"))
	if !ok || file != "uptime" {
		h.NotFound(w, r)
		return
	}
	h.badge(w, r, "uptime", r.PathValue("check"), json, h.words.uptimeBadge)
}
