// Package api is the operators' HTTP API under /api/v1/, its description in
// OpenAPI and a client for it. Whoever has the token may see and do everything
// that is here; errors are problem details (RFC 9457).
//
// Left to others: what acknowledging and the rest does (the interfaces in
// Config, which the scheduler implements), what is public (statuspage), vendors'
// webhooks (scheduler). It reads lists from the store itself.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/internal/secret"
	"nines/scheduler/config"
	"nines/scheduler/incident"
	"nines/scheduler/store"
)

// Incidents is who moves incidents. Each method returns the incident as it is
// then and whether that changed anything, or store.ErrNotFound.
type Incidents interface {
	Acknowledge(ctx context.Context, id int64, by incident.By) (incident.Incident, bool, error)
	Resolve(ctx context.Context, id int64, by incident.By) (incident.Incident, bool, error)
	Snooze(ctx context.Context, id int64, by incident.By, until time.Time) (incident.Incident, bool, error)
}

// Operator does what else operators ask for.
type Operator interface {
	AddSilence(ctx context.Context, check string, until time.Time, why, who string) (store.Silence, error)
	EndSilence(ctx context.Context, id int64) error
	TestPage(ctx context.Context, person string, by []string) ([]int64, error)
}

// Quarantiner takes out what a sick prober has said.
type Quarantiner interface {
	AddQuarantine(ctx context.Context, q checks.Quarantine) error
}

// Watcher knows how things are now.
type Watcher interface {
	// Status leaves out what the store knows: incidents and silences.
	Status(ctx context.Context) (Status, error)
	// Links are the addresses that carry a secret.
	Links() Links
}

// Reporter knows how months went.
type Reporter interface {
	// Report returns an SLA's report of a month as JSON, or store.ErrNotFound.
	Report(ctx context.Context, sla string, month civil.Month) ([]byte, error)
	// Revisions returns those of a closed month, oldest first, or
	// store.ErrNotFound.
	Revisions(ctx context.Context, sla string, month civil.Month) ([]Revision, error)
}

// Config is what an API needs.
type Config struct {
	Token       func() secret.String // the empty one admits nobody
	Config      func() *config.Config
	Store       *store.Store
	Incidents   Incidents
	Operator    Operator
	Quarantiner Quarantiner
	Watcher     Watcher
	Reporter    Reporter
	Artifacts   string // the folder of this process's probers' folders; empty: there are none
	Now         func() time.Time
	Log         *slog.Logger
}

// API answers requests under Prefix.
type API struct {
	cfg     Config
	routes  []route
	mux     *http.ServeMux
	openAPI []byte
}

// Prefix is what every path of the API begins with.
const Prefix = "/api/v1/"

// New returns an API.
func New(c Config) (*API, error) {
	a := &API{cfg: c, mux: http.NewServeMux()}
	a.routes = a.table()
	for _, r := range a.routes {
		a.mux.Handle(r.method+" "+r.path, r.handler)
	}
	a.mux.HandleFunc(Prefix, a.absent)
	var err error
	a.openAPI, err = describe(a.routes)
	return a, err
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Prefix+"openapi.json" {
		if err := a.authorize(r); err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="nines"`)
			a.fail(w, r, err)
			return
		}
	}
	a.mux.ServeHTTP(w, r)
}
