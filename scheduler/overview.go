package scheduler

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"nines/internal/civil"
	"nines/scheduler/api"
	"nines/scheduler/config"
	"nines/scheduler/store"
)

// OverviewLink returns where operators see the reports of every SLA. Whoever
// has the link can read them all.
func (s *Scheduler) OverviewLink() string {
	return publicURL(s.config.Load()) + "/reports?k=" + seal(s.keys.reports, "overview")
}

// serveOverview answers /reports to whoever has its key, or api_token.
func (s *Scheduler) serveOverview(w http.ResponseWriter, r *http.Request) {
	if !s.bearer(r) && !sealed(r.FormValue("k"), s.keys.reports, "overview") {
		w.Header().Set("WWW-Authenticate", `Bearer realm="nines"`)
		http.Error(w, "the page needs its key in the address, or api_token as a Bearer token", http.StatusUnauthorized)
		return
	}
	body, err := s.overview(r.Context())
	if err != nil {
		if r.Context().Err() == nil {
			s.log.Error("listing reports", "err", err)
		}
		http.Error(w, "the reports could not be listed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Robots-Tag", "noindex")
	s.pages.Load().RenderMessage(w, http.StatusOK, "Service level reports", body)
}

// overview is the page's body: of each SLA its budget and its months. All of it
// is escaped.
func (s *Scheduler) overview(ctx context.Context) (template.HTML, error) {
	c, now := s.config.Load(), s.now()
	budgets, err := s.budgets(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i := range c.SLAs {
		promise := &c.SLAs[i]
		fmt.Fprintf(&b, "<h2>%s</h2>", template.HTMLEscapeString(promise.Title))
		for _, budget := range budgets {
			if budget.SLA == promise.Name {
				b.WriteString(budgetLine(budget))
			}
		}
		if err := s.listMonths(ctx, &b, c, promise, now); err != nil {
			return "", err
		}
	}
	if len(c.SLAs) == 0 {
		b.WriteString("<p>No SLA is configured.</p>")
	}
	return template.HTML(b.String()), nil
}

// budgetLine tells how the running month's error budget stands.
func budgetLine(b api.Budget) string {
	left := "left"
	if b.LeftSeconds < 0 {
		left = "overspent"
	}
	length := func(s float64) string {
		return time.Duration(max(s, -s) * float64(time.Second)).Round(time.Second).String()
	}
	text := fmt.Sprintf("%s: %s of %s %s.", b.Month, length(b.LeftSeconds), length(b.AllowedSeconds), left)
	for _, r := range b.Burn {
		if r.Over == "1h" || r.Over == "6h" || r.Over == "3d" {
			text += fmt.Sprintf(" Burn rate over %s: %.3g.", r.Over, r.Rate)
		}
	}
	if !b.ExhaustedAt.IsZero() {
		text += " At the rate of the last three days it is gone by " + clock(b.ExhaustedAt) + "."
	}
	return "<p>" + template.HTMLEscapeString(text) + "</p>"
}

// listMonths writes the months of an SLA with their links, and who was told.
func (s *Scheduler) listMonths(ctx context.Context, b *strings.Builder, c *config.Config, promise *config.SLA, now time.Time) error {
	closed, err := s.store.ClosedMonths(ctx, promise.Name)
	if err != nil {
		return err
	}
	told, err := s.store.Deliveries(ctx, promise.Name)
	if err != nil {
		return err
	}
	line := func(month civil.Month, text string) {
		link := template.HTMLEscapeString(s.ReportLink(promise.Name, month))
		fmt.Fprintf(b, `<li><a href="%s">%s</a> (<a href="%s&amp;format=pdf">PDF</a>, <a href="%s&amp;format=csv">CSV</a>, <a href="%s&amp;format=json">JSON</a>) %s</li>`,
			link, month, link, link, link, template.HTMLEscapeString(text))
	}
	b.WriteString("<ul>")
	line(civil.MonthOf(now.In(promise.Timezone)), "still running")
	for _, month := range closed {
		stored, err := s.store.Report(ctx, promise.Name, month, "json")
		if err != nil {
			return err
		}
		past, err := pastMonth(stored.Body)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s, %s %%, revision %d of %s, results %.12s, configuration %.12s", past.Verdict, past.Availability, stored.Revision,
			stored.Made.UTC().Format(time.DateOnly), stored.ResultsSHA256, stored.ConfigSHA256)
		line(month, text+deliveredText(told, month, stored.Revision))
	}
	b.WriteString("</ul>")
	return nil
}

// deliveredText tells who was told of a revision.
func deliveredText(list []store.Delivery, month civil.Month, revision int) (text string) {
	for _, d := range list {
		if d.Month != month || d.Revision != revision {
			continue
		}
		to := strings.TrimSpace(d.Channel + " " + d.Address)
		switch {
		case !d.Sent.IsZero():
			text += "; sent by " + to
		case d.Attempts > 0:
			text += fmt.Sprintf("; not sent by %s after %d attempts: %s", to, d.Attempts, d.Detail)
		default:
			text += "; to be sent by " + to
		}
	}
	return text
}
