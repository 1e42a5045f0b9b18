package checkstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
)

// TokenRequest is one that a token endpoint got.
type TokenRequest struct {
	User, Password string // from the Authorization header, decoded
	Form           url.Values
}

// Tokens is an OAuth 2.0 token endpoint on loopback. The tokens that it gives
// out are token-1, token-2 and so on.
type Tokens struct {
	server *httptest.Server

	mu       sync.Mutex
	life     int // seconds that a token lasts; zero: it does not say
	answer   func(http.ResponseWriter)
	requests []TokenRequest
}

// NewTokens starts an endpoint on a free port of 127.0.0.1, whose tokens last
// an hour.
func NewTokens() (*Tokens, error) {
	t := &Tokens{life: 3600}
	t.server = httptest.NewServer(http.HandlerFunc(t.serve))
	return t, nil
}

// URL returns the endpoint's address.
func (t *Tokens) URL() string { return t.server.URL + "/token" }

// Close ends the endpoint and every connection to it.
func (t *Tokens) Close() error {
	t.server.CloseClientConnections()
	t.server.Close()
	return nil
}

// Set says how many seconds tokens last, zero for not saying it, and what is
// answered instead of a token; nil for a token.
func (t *Tokens) Set(life int, answer func(http.ResponseWriter)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.life, t.answer = life, answer
}

// Requests returns what was asked for, oldest first.
func (t *Tokens) Requests() []TokenRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.requests)
}

func (t *Tokens) serve(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	asked := TokenRequest{Form: r.PostForm}
	asked.User, asked.Password, _ = r.BasicAuth()
	t.mu.Lock()
	t.requests = append(t.requests, asked)
	n, life, answer := len(t.requests), t.life, t.answer
	t.mu.Unlock()
	if answer != nil {
		answer(w)
		return
	}
	given := map[string]any{"access_token": fmt.Sprintf("token-%d", n), "token_type": "bearer"}
	if life > 0 {
		given["expires_in"] = life
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(given)
}
