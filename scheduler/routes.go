package scheduler

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"nines/notifier/twilio"
	"nines/scheduler/api"
	"nines/scheduler/statuspage"
)

// routes returns the mux of everything that the server answers.
func (s *Scheduler) routes(pages *statuspage.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	pages.Routes(mux)
	mux.HandleFunc("/", pages.NotFound)

	mux.Handle(api.Prefix, s.api)
	mux.Handle("/probe/v1/", s.fleet.Handler())

	mux.HandleFunc("GET /i/{id}", s.serveLink)
	mux.HandleFunc("POST /i/{id}", s.serveAcknowledge)
	mux.HandleFunc("POST /hooks/slack", s.serveSlack)
	mux.HandleFunc("POST "+twilio.StatusPath, s.serveTwilio)
	mux.HandleFunc("POST "+twilio.SMSPath, s.serveTwilio)
	mux.HandleFunc("POST "+twilio.VoicePath, s.serveTwilio)

	mux.HandleFunc("GET /oncall.ics", s.serveCalendar)
	mux.HandleFunc("GET /oncall/{file}", s.serveCalendar)
	mux.HandleFunc("GET /reports", s.serveOverview)
	mux.HandleFunc("GET /reports/{sla}/{month}", s.serveReport)

	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /readyz", s.serveReady)
	for path, h := range s.beside {
		mux.Handle(path, h)
		mux.Handle(path+"/", h)
	}
	return mux
}

// Beside has the server answer a path and everything beneath it by a handler
// that is not the scheduler's own, such as a sandbox's. Call it before Run.
func (s *Scheduler) Beside(path string, h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beside[strings.TrimSuffix(path, "/")] = h
	s.mux.Store(s.routes(s.pages.Load()))
}

// bearer reports whether a request carries api_token.
func (s *Scheduler) bearer(r *http.Request) bool { return api.Bears(r, s.config.Load().APIToken) }

// serveHealth says that the process answers.
func (s *Scheduler) serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Write([]byte("ok\n"))
}

// serveReady says whether results can be taken in and pages sent.
func (s *Scheduler) serveReady(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	answer := map[string]string{"status": "ready"}
	if err := s.ready(r.Context()); err != nil {
		s.log.Warn("not ready", "err", err)
		// Why is for the log: anybody may ask.
		answer["status"] = "not ready"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(answer) // whoever went away has no use for the error
}
