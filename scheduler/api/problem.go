package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"nines/internal/secret"
	"nines/scheduler/store"
)

// Problem is an error as RFC 9457 has it. The client returns it.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// problem returns a Problem of a status.
func problem(status int, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// problemOf maps an error to what the client is told. What went wrong inside
// is for the log.
func problemOf(err error) *Problem {
	var p *Problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, store.ErrNotFound):
		return problem(http.StatusNotFound, "%s", err)
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", tooLarge.Limit)
	}
	return problem(http.StatusInternalServerError, "something went wrong inside; the scheduler's log says what")
}

// fail answers with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError && r.Context().Err() == nil {
		a.cfg.Log.Error("answering an operator", "path", r.URL.Path, "err", err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p) // whoever went away has no use for the error
}

// authorize checks the request's token.
func (a *API) authorize(r *http.Request) error {
	want := a.cfg.Token()
	if want.IsZero() {
		return problem(http.StatusUnauthorized, "the operator API is off: set api_token in the configuration")
	}
	if !Bears(r, want) {
		return problem(http.StatusUnauthorized, "send the configuration's api_token as Authorization: Bearer TOKEN")
	}
	return nil
}

// Bears reports whether a request carries the token as a Bearer token, in a
// time that tells nothing of either. The empty token is nobody's.
func Bears(r *http.Request, want secret.String) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, expected := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(want.Reveal()))
	same := subtle.ConstantTimeCompare(got[:], expected[:]) == 1
	return same && strings.EqualFold(scheme, "Bearer") && !want.IsZero()
}

// absent answers requests that no route is for.
func (a *API) absent(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range [...]string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != Prefix {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		a.fail(w, r, problem(http.StatusNotFound, "there is no %s; %sopenapi.json lists what there is", r.URL.Path, Prefix))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	a.fail(w, r, problem(http.StatusMethodNotAllowed, "%s does not take %s; it takes %s", r.URL.Path, r.Method, strings.Join(allowed, ", ")))
}
