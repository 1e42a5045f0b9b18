package fleet

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"nines/regions"
)

// Handler answers everything under /probe/v1/.
func (f *Fleet) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+regions.StreamPath, f.member(f.serveStream))
	mux.Handle("POST "+regions.ResultsPath, f.member(f.serveResults))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, problem{http.StatusNotFound, "probers use GET " + regions.StreamPath + " and POST " + regions.ResultsPath, 0})
	})
	return mux
}

// member lets members through to h and writes the error that it returns.
func (f *Fleet) member(h func(http.ResponseWriter, *http.Request, caller) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		m, ok := f.identify(strings.TrimSpace(token))
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			w.Header().Set("WWW-Authenticate", `Bearer realm="nines probers"`)
			writeProblem(w, errUnauthorized)
			return
		}
		err := h(w, r, m)
		var p problem
		switch {
		case err == nil:
		case errors.As(err, &p):
			writeProblem(w, p)
		default:
			f.log.Warn("prober's request failed", "prober", m.Prober, "region", m.Region, "err", err)
			writeProblem(w, problem{http.StatusInternalServerError, "the request failed; the scheduler's log says why", 0})
		}
	})
}

// problem is an answer that is an error, as RFC 9457 has it.
type problem struct {
	status     int
	detail     string
	retryAfter int // seconds; 0: not said
}

func (p problem) Error() string { return p.detail }

var (
	errUnauthorized = problem{http.StatusUnauthorized, "the token is none of a prober's; see \"probers\" in the scheduler's configuration", 0}
	errTooLarge     = problem{http.StatusRequestEntityTooLarge, "the batch is too large; send fewer results at once", 0}
	errBusy         = problem{http.StatusServiceUnavailable, "results cannot be taken in at the moment; keep them and try again", 5}
	errStopping     = problem{http.StatusServiceUnavailable, "the scheduler is stopping or has just removed this prober", 2}
)

func writeProblem(w http.ResponseWriter, p problem) {
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	w.WriteHeader(p.status)
	json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(p.status), "status": p.status, "detail": p.detail,
	})
}
