package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
)

// route is one thing that can be asked for: what serves it and what OpenAPI
// says of it.
type route struct {
	method, path string
	summary      string
	query        []parameter
	in, out      reflect.Type // nil: no body
	media        string       // of out, when it is not JSON
	status       int
	handler      http.Handler
}

// parameter is one of the query.
type parameter struct{ name, summary string }

// none is the body of a request or an answer that has none.
type none struct{}

// table is every route.
func (a *API) table() []route {
	limit := parameter{"limit", "how many at most, from 1 to 1000; default 100"}
	from := parameter{"from", "RFC 3339, or a date"}
	to := parameter{"to", "RFC 3339, or a date"}
	return []route{
		get(a, "status", "How every check, region and prober is, and what is open", a.status),
		get(a, "incidents", "The last incidents, newest first", a.incidents, limit,
			parameter{"state", "open, or all; default all"}),
		get(a, "incidents/{id}", "An incident with its log and its notices", a.incident),
		post(a, "incidents/{id}/ack", "Acknowledge an incident; twice is harmless", a.ack),
		post(a, "incidents/{id}/resolve", "Resolve an incident by hand", a.resolve),
		post(a, "incidents/{id}/snooze", "Put an incident to sleep for a while", a.snooze),
		get(a, "silences", "The silences that have not ended", a.silences),
		with(post(a, "silences", "Keep a check from paging anybody for a while", a.addSilence), http.StatusCreated),
		with(newRoute(a, http.MethodDelete, "silences/{id}", "End a silence", a.endSilence), http.StatusNoContent),
		get(a, "quarantines", "The spans in which probers were found sick", a.quarantines),
		with(post(a, "quarantines", "Have what a prober said in a span count as unknown", a.addQuarantine), http.StatusCreated),
		a.raw("results", "Results and quarantines as NDJSON", "application/x-ndjson", a.export, from, to),
		a.raw("reports/{sla}/{month}", "An SLA's report of a month, such as 2026-10", "application/json", a.report),
		get(a, "reports/{sla}/{month}/revisions", "The revisions of a closed month's report, and what moved", a.revisions),
		get(a, "links", "The addresses of calendar feeds and reports, which are secrets", a.links),
		get(a, "oncall", "Who is on call now, or every shift from one time to another", a.onCall, from, to,
			parameter{"rotation", "one rotation; default all"}),
		with(post(a, "pages/test", "Send a test page to a person", a.testPage), http.StatusAccepted),
		get(a, "notices/{id}", "How far a notice has come", a.notice),
		a.raw("artifacts/{prober}/{check}/{file}", "A picture or an HTTP Archive that a prober of this process kept of a failing run", "application/octet-stream", a.artifact),
		a.raw("openapi.json", "This description; it needs no token", "application/json", a.description),
	}
}

// maxBody bounds the body of a request.
const maxBody = 64 << 10

// newRoute returns a route whose handler decodes In from the body, calls f and
// encodes Out.
func newRoute[In, Out any](a *API, method, path, summary string, f func(ctx context.Context, r *http.Request, in In) (Out, error), query ...parameter) route {
	rt := route{method: method, path: Prefix + path, summary: summary, query: query, status: http.StatusOK}
	if t := reflect.TypeFor[In](); t != reflect.TypeFor[none]() {
		rt.in = t
	}
	if t := reflect.TypeFor[Out](); t != reflect.TypeFor[none]() {
		rt.out = t
	}
	rt.handler = answer[In, Out]{a, http.StatusOK, f}
	return rt
}

func get[Out any](a *API, path, summary string, f func(ctx context.Context, r *http.Request) (Out, error), query ...parameter) route {
	return newRoute(a, http.MethodGet, path, summary, func(ctx context.Context, r *http.Request, _ none) (Out, error) { return f(ctx, r) }, query...)
}

func post[In, Out any](a *API, path, summary string, f func(ctx context.Context, r *http.Request, in In) (Out, error)) route {
	return newRoute(a, http.MethodPost, path, summary, f)
}

// with returns the route with another status for success.
func with(rt route, status int) route {
	rt.status = status
	rt.handler = rt.handler.(interface{ as(status int) http.Handler }).as(status)
	return rt
}

// raw returns a route that writes its answer itself. An error that it returns
// before it has written anything is answered as any other.
func (a *API) raw(path, summary, media string, f func(w http.ResponseWriter, r *http.Request) error, query ...parameter) route {
	return route{
		method: http.MethodGet, path: Prefix + path, summary: summary, query: query, status: http.StatusOK, media: media,
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := f(w, r); err != nil {
				a.fail(w, r, err)
			}
		}),
	}
}

// answer is the handler of a route with JSON on both sides.
type answer[In, Out any] struct {
	a      *API
	status int
	f      func(ctx context.Context, r *http.Request, in In) (Out, error)
}

func (h answer[In, Out]) as(status int) http.Handler {
	h.status = status
	return h
}

// ServeHTTP implements http.Handler.
func (h answer[In, Out]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in In
	if err := decode(w, r, &in); err != nil {
		h.a.fail(w, r, err)
		return
	}
	out, err := h.f(r.Context(), r, in)
	if err != nil {
		h.a.fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if h.status == http.StatusNoContent {
		w.WriteHeader(h.status)
		return
	}
	body, err := json.Marshal(out)
	if err != nil {
		h.a.fail(w, r, fmt.Errorf("encoding the answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(h.status)
	w.Write(append(body, '\n')) // whoever went away has no use for the error
}

// decode reads a body of JSON, which may be left out: then in stays as it is.
func decode(w http.ResponseWriter, r *http.Request, in any) error {
	if _, nothing := in.(*none); nothing {
		return nil
	}
	if media := r.Header.Get("Content-Type"); media != "" {
		if kind, _, err := mime.ParseMediaType(media); err != nil || kind != "application/json" {
			return problem(http.StatusUnsupportedMediaType, "Content-Type %q is not known; send application/json", media)
		}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(in)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &tooLarge):
		return err
	case err != nil:
		return problem(http.StatusBadRequest, "the body is not what is expected: %s", err)
	case d.More():
		return problem(http.StatusBadRequest, "the body goes on after its JSON")
	}
	return nil
}
