package browser

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/network"
)

// The HTTP Archive format, version 1.2, as far as viewers need it.
type (
	archived struct {
		Log archiveLog `json:"log"`
	}
	archiveLog struct {
		Version string         `json:"version"`
		Creator named          `json:"creator"`
		Pages   []archivedPage `json:"pages"`
		Entries []archiveEntry `json:"entries"`
	}
	named struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	archivedPage struct {
		ID      string             `json:"id"`
		Title   string             `json:"title"`
		Started time.Time          `json:"startedDateTime"`
		Timings map[string]float64 `json:"pageTimings"`
	}
	archiveEntry struct {
		Page     string             `json:"pageref"`
		Started  time.Time          `json:"startedDateTime"`
		Time     float64            `json:"time"`
		Request  archiveRequest     `json:"request"`
		Response archiveResponse    `json:"response"`
		Cache    struct{}           `json:"cache"`
		Timings  map[string]float64 `json:"timings"`
		Comment  string             `json:"comment,omitempty"`
	}
	archiveRequest struct {
		Method  string  `json:"method"`
		URL     string  `json:"url"`
		Version string  `json:"httpVersion"`
		Cookies []named `json:"cookies"`
		Headers []pair  `json:"headers"`
		Query   []pair  `json:"queryString"`
		Head    int     `json:"headersSize"`
		Body    int     `json:"bodySize"`
	}
	archiveResponse struct {
		Status  int            `json:"status"`
		Text    string         `json:"statusText"`
		Version string         `json:"httpVersion"`
		Cookies []named        `json:"cookies"`
		Headers []pair         `json:"headers"`
		Content archiveContent `json:"content"`
		Leads   string         `json:"redirectURL"`
		Head    int            `json:"headersSize"`
		Body    int            `json:"bodySize"`
	}
	archiveContent struct {
		Size int    `json:"size"`
		MIME string `json:"mimeType"`
	}
	pair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// Limits of what an archive holds of one request.
const (
	longestURL    = 2000
	longestHeader = 1000
)

// archive is the load as an HTTP Archive. It holds no bodies, and no values of
// headers that are, or could be, credentials.
func (w *watch) archive() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := archiveLog{Version: "1.2", Creator: named{"nines", "1"}, Entries: []archiveEntry{}, Pages: []archivedPage{}}
	if len(w.order) > 0 {
		millis := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		log.Pages = append(log.Pages, archivedPage{
			ID: "page", Title: clean(w.config.URL), Started: w.order[0].wall,
			Timings: map[string]float64{"onContentLoad": millis(w.page.DOMContentLoaded), "onLoad": millis(w.page.Load)},
		})
	}
	for _, e := range w.order {
		log.Entries = append(log.Entries, w.archiveEntry(e))
	}
	text, err := json.Marshal(archived{log})
	if err != nil {
		return nil
	}
	return text
}

func (w *watch) archiveEntry(e *entry) archiveEntry {
	wait, receive := 1000*float64(e.answered-e.began), 1000*float64(e.ended-e.answered)
	if e.answered == 0 {
		wait, receive = 1000*float64(max(0, e.ended-e.began)), 0
	}
	wait, receive = max(0, wait), max(0, receive)
	made := archiveEntry{
		Page: "page", Started: e.wall, Time: wait + receive, Comment: e.failed,
		Timings: map[string]float64{"send": 0, "wait": wait, "receive": receive},
		Request: archiveRequest{
			Method: e.method, URL: clean(e.url), Version: "unknown", Cookies: []named{}, Query: []pair{},
			Headers: w.redacted(e.request), Head: -1, Body: -1,
		},
		Response: archiveResponse{Version: "unknown", Cookies: []named{}, Headers: []pair{}, Head: -1, Body: int(e.bytes)},
	}
	if r := e.response; r != nil {
		made.Request.Version, made.Response.Version = r.Protocol, r.Protocol
		made.Response.Status, made.Response.Text = int(r.Status), r.StatusText
		made.Response.Headers = w.redacted(r.Headers)
		made.Response.Content = archiveContent{int(e.bytes), r.MimeType}
		if leads := headerOf(r.Headers).Get("Location"); leads != "" {
			made.Response.Leads = clean(leads)
		}
	}
	return made
}

// clean is a URL as it may be kept: without a user, and not endless.
func clean(text string) string {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		u.User = nil
		text = u.String()
	}
	return text[:min(len(text), longestURL)]
}

// redacted returns headers without what lets somebody in.
func (w *watch) redacted(from network.Headers) []pair {
	list := []pair{}
	for name, values := range headerOf(from) {
		for _, value := range values {
			if w.private(name) {
				value = "[redacted]"
			}
			list = append(list, pair{name, value[:min(len(value), longestHeader)]})
		}
	}
	slices.SortFunc(list, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// private reports whether a header's value is, or could be, a credential.
func (w *watch) private(name string) bool {
	if _, ours := w.config.Header[http.CanonicalHeaderKey(name)]; ours {
		return true
	}
	name = strings.ToLower(name)
	for _, word := range []string{"cookie", "auth", "token", "secret", "key", "session", "password", "csrf"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
