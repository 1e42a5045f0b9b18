package scheduler

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nines/checks"
	"nines/internal/civil"
	"nines/notifier"
	"nines/notifier/email"
	"nines/scheduler/config"
	"nines/scheduler/report"
)

// postbox is both channels as far as reports need them; it fails while err is
// set.
type postbox struct {
	notifier.Channel
	err   error
	mails []email.Mail
	said  []string
}

func (p *postbox) Mail(_ context.Context, m email.Mail) error {
	if p.err == nil {
		p.mails = append(p.mails, m)
	}
	return p.err
}

type wall struct {
	notifier.Channel
	box *postbox
}

func (w wall) Announce(_ context.Context, text string) error {
	if w.box.err == nil {
		w.box.said = append(w.box.said, text)
	}
	return w.box.err
}

// A closed month is told of once to everybody, however often telling fails, and
// is signed and sealed with the configuration that judged it.
func TestDeliverClosedMonth(t *testing.T) {
	h := build(t)
	ctx := context.Background()
	box := &postbox{err: errors.New("the mail server is away")}
	h.channels.Store(&map[string]notifier.Channel{"email": box, "slack": wall{box: box}})
	c := h.config.Load()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.ReportKey, c.Slack = private, &config.Slack{}
	c.SLA("gold").Email, c.SLA("gold").Slack = []string{"sla@customer.example", "boss@customer.example"}, true
	for at := noon; at.Before(noon.Add(time.Hour)); at = at.Add(time.Minute) {
		h.clock = at
		h.see("shop", checks.Up, everywhere...)
	}
	october := civil.Month{Year: 2026, Month: 10}
	h.clock = time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)
	if err := h.closeMonths(ctx); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := h.deliver(ctx); err != nil {
			t.Fatal(err)
		}
	}
	list, err := h.store.Deliveries(ctx, "gold")
	if err != nil || len(list) != 3 || list[0].Attempts != 1 || list[0].Detail != "the mail server is away" {
		t.Fatalf("who is told: %+v, %v", list, err)
	}
	box.err = nil
	h.clock = h.clock.Add(time.Hour)
	for range 3 {
		if err := h.deliver(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if len(box.mails) != 2 || len(box.said) != 1 {
		t.Fatalf("%d mails and %d messages", len(box.mails), len(box.said))
	}
	m := box.mails[0]
	if len(m.Files) != 3 || m.Files[0].Name != "gold-2026-10.pdf" || !strings.HasPrefix(string(m.Files[0].Body), "%PDF") ||
		!strings.Contains(m.Body, h.ReportLink("gold", october)) || !strings.HasSuffix(m.Subject, "October 2026") {
		t.Errorf("the mail is %+v", m)
	}
	if _, err := report.VerifySignature(m.Files[1].Body, m.Files[2].Body, public); err != nil {
		t.Errorf("the signature: %v", err)
	}
	forged := []byte(strings.Replace(string(m.Files[1].Body), `"revision": 1`, `"revision": 2`, 1))
	if _, err := report.VerifySignature(forged, m.Files[2].Body, public); !errors.Is(err, report.ErrForged) {
		t.Errorf("a report that was changed: %v", err)
	}
	other, _, _ := ed25519.GenerateKey(nil)
	if _, err := report.VerifySignature(m.Files[1].Body, m.Files[2].Body, other); !errors.Is(err, report.ErrForged) {
		t.Errorf("somebody else's signature: %v", err)
	}
	if !strings.HasPrefix(box.said[0], "*<"+h.ReportLink("gold", october)+"|") {
		t.Errorf("Slack is told %q", box.said[0])
	}
	revisions, err := watcher{h.Scheduler}.Revisions(ctx, "gold", october)
	if err != nil || revisions[0].ConfigSHA256 != c.Digest() {
		t.Errorf("the revisions: %+v, %v", revisions, err)
	}
	page, err := h.overview(ctx)
	if err != nil || !strings.Contains(string(page), "indeterminate, 100 %, revision 1 of 2026-11-03") || !strings.Contains(string(page), "sent by email boss@customer.example") {
		t.Errorf("the operators' page: %s, %v", page, err)
	}
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	if w := get("/reports"); w.Code != 401 {
		t.Errorf("without its key the page is %d", w.Code)
	}
	if w := get(strings.TrimPrefix(h.OverviewLink(), publicURL(c))); w.Code != 200 || !strings.Contains(w.Body.String(), "Service level reports") {
		t.Errorf("with its key the page is %d", w.Code)
	}
	for format, mediaType := range map[string]string{"pdf": "application/pdf", "sig": "application/json", "html": "text/html; charset=utf-8"} {
		if w := get(strings.TrimPrefix(h.ReportLink("gold", october), publicURL(c)) + "&format=" + format); w.Code != 200 || w.Header().Get("Content-Type") != mediaType {
			t.Errorf("%s is %d, %s", format, w.Code, w.Header().Get("Content-Type"))
		}
	}
}
